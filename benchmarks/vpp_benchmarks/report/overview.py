"""One picture of a run: a day in the life of the fleet, and profit against satisfaction."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vpp_benchmarks.report.course import local_days
from vpp_benchmarks.report.material import busiest_day
from vpp_benchmarks.report.style import light_colors
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.summary import SeedResult
from vpp_env.evaluation.kpi import Kpis
from vpp_env.evaluation.kpi_entry import Ceilings

MOST_DAYS = 2
"""Policies whose day is drawn; the scatter shows all."""
SOLD = {"deferred charging": ("defer_kw", "#3b8ea5"), "battery": ("bess_kw", "#e0a030"), "V2G": ("v2g_kw", "#8a6bb1")}
BOUGHT = {"bought": ("bought_kw", "#9fc5a8"), "bought back by force": ("forced_kw", "#c9564c")}
INK, FAINT, PRICE = "#2b2b2b", "#b8b8b8", "#444444"
Panels = NDArray[np.object_]
"""Axes of one policy (3,) or of all (3, policies)."""
STYLE: dict[str, Any] = {"fontsize": 8, "color": INK}


def overview(seed: SeedResult, runs: Sequence[RunResult]) -> bytes:
    """Draw the picture.

    Parameters
    ----------
    seed : SeedResult
        What the runs came to.
    runs : sequence of RunResult
        The runs with their tables; the first two with intervals are drawn by the hour.

    Returns
    -------
    bytes
        A PNG.
    """
    shown = [run for run in runs if "intervals" in run.tables][:MOST_DAYS]
    tables = [run.table("intervals") for run in shown]
    figure = Figure(figsize=(5.0 * len(shown) + 4.2, 6.6), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3,
        len(shown) + 1,
        height_ratios=(1, 2, 1.2),
        width_ratios=[1.0] * len(shown) + [0.85],
        left=0.055,
        right=0.985,
        top=0.87,
        bottom=0.135,
        hspace=0.2,
        wspace=0.25,
    )
    axes = np.empty((3, len(shown)), dtype=object)
    day = busiest_day(tables)
    for j, (run, table) in enumerate(zip(shown, tables, strict=True)):
        for i in range(3):
            axes[i, j] = figure.add_subplot(
                grid[i, j], sharex=axes[0, j] if i else None, sharey=axes[i, 0] if j else None
            )
        _day(axes[:, j], run.label, table[local_days(table) == day])
    for axis, text in zip(axes[:, 0], ("USD/MWh", "kW to the grid", "MWh in batteries"), strict=True):
        axis.set_ylabel(text, **STYLE)
    axes[2, 0].set_ylim(bottom=0)  # after all panels: they share it
    _legend(figure, axes[:, 0])
    _scatter(figure.add_subplot(grid[:, len(shown)]), seed)
    s = seed.scenario
    figure.text(
        0.055, 0.955, f"One day of {s.fleet.size} homes: {day:%A %d %B %Y}", fontsize=12, weight="bold", color=INK
    )
    figure.text(0.985, 0.955, f"{s.name}, seed {seed.seed}", fontsize=8, color="#777777", ha="right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _day(axes: Panels, label: str, table: pd.DataFrame) -> None:
    """Draw one policy's day: price, power, energy stored."""
    hours = table["timestamp"].dt.tz_localize(None).to_numpy()
    hours = np.append(hours, hours[-1] + np.timedelta64(15, "m"))

    def steps(values: pd.Series) -> NDArray[np.float64]:
        array = np.asarray(values, dtype=np.float64)
        return np.append(array, array[-1])

    price, power, stored = axes
    price.step(hours, steps(table["lmp_usd_per_mwh"]), where="post", color=PRICE, lw=1.2, label="real-time price")
    price.set_title(label, loc="left", fontsize=10, color=INK)
    for kinds, sign in ((SOLD, 1.0), (BOUGHT, -1.0)):
        base = np.zeros(len(hours))
        for name, (column, color) in kinds.items():
            top = base + sign * steps(table[column])
            power.fill_between(hours, base, top, step="post", color=color, lw=0, label=name)
            base = top
    power.axhline(0, color=INK, lw=0.6)
    power.step(
        hours,
        steps(table["reserve_kw"]),
        where="post",
        color=INK,
        lw=0.9,
        ls=(0, (1, 1.5)),
        label="reserve capacity",
    )
    stored.plot(hours, steps(table["baseline_soc_kwh"]) / 1000, color=FAINT, lw=1.4, label="the baseline")
    stored.plot(hours, steps(table["soc_kwh"]) / 1000, color=SOLD["battery"][1], lw=1.6, label="stored in batteries")
    stored.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))
    stored.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    for axis in axes:
        _plain(axis)
        axis.set_axisbelow(True)
        axis.grid(axis="y", color="#eeeeee", lw=0.8)
    for axis in (price, power):
        axis.tick_params(labelbottom=False)


def _legend(figure: Figure, axes: Panels) -> None:
    handles, labels = [], []
    for axis in axes:
        found = axis.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    figure.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.05, 0.0),
        ncols=5,
        columnspacing=2.5,
        frameon=False,
        fontsize=8,
    )


def _scatter(axis: Axes, seed: SeedResult) -> None:
    """Profit against satisfaction; hollow where the owners were not asked, a line where preferences end all profit."""
    done: list[tuple[RunResult, Kpis]] = [(run, run.kpis) for run in seed.runs if run.kpis is not None]
    ceilings: Ceilings | None = seed.ceilings
    points = [(kpis.total_profit, kpis.avg_satisfaction) for _, kpis in done]
    direct = not _crowded(points)
    if ceilings is not None:
        most = ceilings.profit[1]
        axis.axvline(most, color=FAINT, lw=1.0, ls="--", zorder=0)
        axis.annotate(
            "most profit inside preferences", (most, 0.98), (-4, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, ha="right", va="top", fontsize=7, color="#888888",
        )  # fmt: skip
    colors = light_colors(run.label for run in seed.runs)  # in the order of the plan, as in the report
    for (run, kpis), (x, y) in zip(done, points, strict=True):
        color, asked = colors[run.label], run.info.asks_consent
        worst = kpis.worst_decile_satisfaction
        axis.plot([x, x], [worst, y], color=color, lw=1.0, alpha=0.7)
        axis.plot([x], [worst], marker="_", ms=9, color=color)
        parts = [run.label, f"sees {run.info.information.name}", *([] if asked else ["asks nobody"])]
        face = color if asked else "white"
        axis.scatter([x], [y], s=90, facecolor=face, edgecolor=color, lw=2, zorder=3, label=", ".join(parts))
        if direct:
            text = "\n".join(parts)
            axis.annotate(text, (x, y), (0, 11), textcoords="offset points", fontsize=8, color=color, ha="center")
    if not direct:
        axis.legend(loc="best", frameon=False, fontsize=8, labelspacing=1.0)
    axis.set_title("profit against satisfaction", loc="left", fontsize=10, color=INK)
    axis.set_xlabel("VPP profit over the run, USD", **STYLE)
    axis.set_ylabel("mean satisfaction; bar: down to the worst 10 %", **STYLE)
    axis.margins(x=0.22, y=0.18)
    _plain(axis)


def _crowded(points: Sequence[tuple[float, float]]) -> bool:
    """Whether labels beside the points would cover each other."""
    array = np.array(points)
    span = np.maximum(np.ptp(array, axis=0), [1e-9, 0.2])
    apart = np.abs(array[:, None] - array[None]) / span
    close = (apart[..., 0] < 0.3) & (apart[..., 1] < 0.2)
    return bool((close & ~np.eye(len(points), dtype=bool)).any())


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FAINT)
    axis.tick_params(labelsize=8, colors="#555555", length=3)
