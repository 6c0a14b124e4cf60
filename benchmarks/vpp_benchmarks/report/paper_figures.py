"""Vector figures of a comparison, as SVG and PDF: welfare and its ceilings, profit against satisfaction, differences.

The same results give the same bytes: no date, no random identifiers.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vpp_benchmarks.report.style import light_colors
from vpp_benchmarks.results.intervals import Interval
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import SeedResult, mean_ladder
from vpp_env.evaluation.kpi_entry import LADDER

WIDTH = 5.5
"""Inches: a column of text."""
RC: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "vpp_env",
    "pdf.fonttype": 42,
}
METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
Point = tuple[str, Interval, Interval]
"""Label, first and second figure."""


def figures(
    labels: Sequence[str], seeds: Sequence[SeedResult], statistics: Statistics | None
) -> dict[str, dict[str, bytes]]:
    """Return name -> `svg` and `pdf` -> file; every policy in its colour of the report."""
    color = light_colors(labels)
    welfare = [(label, found) for label in labels if (found := _figure(label, "welfare", seeds, statistics))]
    profit = {label: _figure(label, "total_profit", seeds, statistics) for label in labels}
    satisfaction = {label: _figure(label, "avg_satisfaction", seeds, statistics) for label in labels}
    points = [(x, p, s) for x in labels if (p := profit[x]) is not None and (s := satisfaction[x]) is not None]
    out = {}
    with matplotlib.rc_context(RC):
        if welfare:
            figure, axes = _axes(len(welfare))
            _bars(axes, welfare, color)
            _ceilings(axes, seeds)
            out["welfare"] = _files(figure)
        if points:
            figure, axes = _axes(10)
            _pareto(axes, points, color)
            out["pareto"] = _files(figure)
        differences = [d for d in statistics.differences if d.metric == "welfare"] if statistics else []
        if differences:
            figure, axes = _axes(len(differences))
            _bars(axes, [(d.policy, d.difference) for d in differences], color)
            axes.set_xlabel(f"welfare less that of {differences[0].minus}, USD a month")
            out["differences"] = _files(figure)
    return out


def _figure(label: str, kpi: str, seeds: Sequence[SeedResult], statistics: Statistics | None) -> Interval | None:
    """Return a policy's figure: with its interval over several units, alone for one; None where it has none."""
    if statistics is not None:
        found = statistics.policies.get(label, {}).get(kpi)
        return found.mean if found else None
    run = seeds[0].run(label)
    value = run.number(kpi) if run.complete else None
    return None if value is None else Interval(value, None, None, 1)


def _axes(rows: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 0.9 + 0.24 * rows), layout="constrained")
    return figure, figure.add_subplot()


def _error(found: Interval) -> tuple[list[float], list[float]] | None:
    if found.low is None or found.high is None:
        return None
    return [found.value - found.low], [found.high - found.value]


def _bars(axes: Axes, rows: Sequence[tuple[str, Interval]], color: dict[str, str]) -> None:
    """Draw one bar a policy, the highest on top."""
    ordered = sorted(rows, key=lambda row: row[1].value)
    for y, (label, found) in enumerate(ordered):
        axes.barh(y, found.value, color=color[label], height=0.65)
        if (error := _error(found)) is not None:
            axes.errorbar(found.value, y, xerr=error, color="#2b2b2b", lw=0.9, capsize=2)
    axes.set_yticks(range(len(ordered)), [label for label, _ in ordered])
    axes.axvline(0, color="#2b2b2b", lw=0.6)
    axes.set_xlabel("welfare, USD a month")


def _ceilings(axes: Axes, seeds: Sequence[SeedResult]) -> None:
    """Draw the ceilings of the ladder as lines, named above."""
    names = set(LADDER.values())
    for name, usd in mean_ladder(seeds)[1]:
        if name in names:
            axes.axvline(usd, color="#777777", lw=0.8, ls=(0, (3, 2)))
            axes.text(usd, 1.0, name, transform=axes.get_xaxis_transform(), rotation=40, fontsize=6, va="bottom")


def _pareto(axes: Axes, points: Sequence[Point], color: dict[str, str]) -> None:
    """Draw profit against satisfaction with the intervals of both."""
    for label, profit, satisfaction in points:
        axes.errorbar(
            profit.value,
            satisfaction.value,
            xerr=_error(profit),
            yerr=_error(satisfaction),
            fmt="o",
            color=color[label],
            ms=4,
            lw=0.9,
            label=label,
        )
    axes.set_xlabel("the VPP's profit, USD a month")
    axes.set_ylabel("mean satisfaction of owners")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _files(figure: Figure) -> dict[str, bytes]:
    out = {}
    for suffix, metadata in METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        out[suffix] = buffer.getvalue()
    return out
