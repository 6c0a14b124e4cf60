"""The fleet in HTML: a day of it, what was violated, how figures spread over homes; also for the dashboard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.report.course import local_days
from vpp_benchmarks.report.material import BOUGHT, HOURS, SOLD, Material
from vpp_benchmarks.report.panels import panels
from vpp_benchmarks.report.svg import Plot, colors, extent, legend, table
from vpp_benchmarks.report.tables import number, percent, score
from vpp_env.owners.violations import VIOLATIONS

DEVICE_COLORS = {"deferred charging": "d0", "battery": "d1", "V2G": "d2", "bought": "d3", "bought back by force": "d4"}
DAY_KEYS = (
    ("award", "ink", "line"),
    ("reserve capacity", "d5", "line"),
    *((name, css, "box") for name, css in DEVICE_COLORS.items()),
)
"""Legend of the power of a day."""
LEAST_DAYS = 4
"""Days from which a band over days is drawn."""


def one_day(m: Material) -> str:
    """Return a day in the life of the fleet, policy by policy."""
    tables = {run.label: run.table("intervals") for run in m.shown if "intervals" in run.tables}
    date = m.day
    if not tables or date is None:
        return ""
    days = {label: _on(intervals, date) for label, intervals in tables.items()}
    most = power_range(days.values())
    made = [
        (label, day(days[label], tables[label], _on(run.table("prices"), date), label, most))
        for run in m.best_first()
        if (label := run.label) in tables
    ]
    origin = m.shown[0].origin
    return f"<p class=note>{date:%A %d %B %Y}; {escape(origin.case)}, seed {origin.seed}.</p>" + panels(made, "day")


def power_range(days: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Return the range of the power axis that holds several policies' days, kW."""
    values: list[float] = []
    for t in days:
        values += [t[list(SOLD.values())].sum(axis=1).max(), -t[list(BOUGHT.values())].sum(axis=1).max()]
        values += [t["award_kw"].max(), t["award_kw"].min(), t["reserve_kw"].max()]
    return extent(values, zero=True)


def _on(table: pd.DataFrame, date: pd.Timestamp) -> pd.DataFrame:
    return table[local_days(table) == date]


def day(
    table: pd.DataFrame, month: pd.DataFrame, prices: pd.DataFrame, title: str, most_kw: tuple[float, float]
) -> str:
    """Draw one day of a fleet: prices; award and dispatch by device; energy stored, with a band over days.

    Parameters
    ----------
    table, month : DataFrame
        Interval rows of the day, and of the whole run.
    prices : DataFrame
        Price rows of the day.
    title : str
        Name of the policy.
    most_kw : (float, float)
        Range of the power axis, the same for all policies.
    """
    # a run that was stopped has fewer intervals than the day has prices
    prices = prices[prices["timestamp"].isin(table["timestamp"])]
    hours = hours_of(table)
    edge = [*hours, hours[-1] + 0.25]
    da, rt = _held(prices["da_usd_per_mwh"]), _held(prices["rt_usd_per_mwh"])
    price = _frame(hours, extent([*da, *rt], zero=True), f"{title}: prices", 150, "USD/MWh")
    price.line(edge, da, "ink dash", step=True, tip="day-ahead price")
    price.line(edge, rt, "ink", step=True, tip="real-time price")
    keys = [("real-time price; award", "ink", "line"), ("day-ahead price", "ink", "dash"), *DAY_KEYS[1:]]
    keys += [("energy stored", "d1", "line"), ("the same homes with no market", "grey", "line")]
    stored, many = _stored(hours, table, month, title)
    drawn = f"{price.svg()}{_power(table, title, most_kw)}{stored}"
    keys += [("10 to 90 % of all days", "d1 soft", "box")] if many else []
    return f"<figure>{drawn}{legend(keys)}</figure>"


def _held(values: Any) -> list[float]:
    """Return values of intervals with the last one held to its end."""
    array = np.asarray(values, dtype=np.float64)
    return [*array, array[-1]]


def _power(table: pd.DataFrame, title: str, most_kw: tuple[float, float]) -> str:
    """Draw award and dispatch by device of one day."""
    hours = hours_of(table)
    edge = [*hours, hours[-1] + 0.25]
    power = _frame(hours, most_kw, f"{title}: power", 210, "kW to the grid")
    for kinds, sign in ((SOLD, 1.0), (BOUGHT, -1.0)):
        base = np.zeros(len(edge))
        for name, column in kinds.items():
            top = base + sign * np.asarray(_held(table[column]))
            power.area(edge, base.tolist(), top.tolist(), DEVICE_COLORS[name], step=True)
            base = top
    power.line(edge, _held(table["award_kw"]), "ink", step=True, tip="award")
    power.line(edge, _held(table["reserve_kw"]), "d5 thick", step=True, tip="reserve capacity")
    power.segment((edge[0], 0.0), (edge[-1], 0.0), "zero")
    return power.svg()


def busiest_panel(m: Material) -> str:
    """Return the power of the shown day of the policy that sells most in it; empty where no run has intervals."""
    if m.day is None:
        return ""
    days = {run.label: _on(run.table("intervals"), m.day) for run in m.shown if "intervals" in run.tables}
    days = {label: t for label, t in days.items() if len(t)}
    label = max(days, key=lambda k: float(days[k][list(SOLD.values())].to_numpy().sum()))
    return _power(days[label], f"{label}, {m.day:%d %B %Y}", power_range([days[label]]))


def _stored(hours: NDArray[np.float64], table: pd.DataFrame, month: pd.DataFrame, title: str) -> tuple[str, bool]:
    """Energy in the batteries, MWh: the day, the same homes with no market, the band of all days; is there a band."""
    own, baseline = (table[c].to_numpy(dtype=np.float64) / 1000 for c in ("soc_kwh", "baseline_soc_kwh"))
    band = month["soc_kwh"].groupby(hours_of(month)).quantile(np.array([0.1, 0.9])).unstack() / 1000
    band = band.reindex(hours)
    many = local_days(month).nunique() >= LEAST_DAYS and bool(band.notna().all(axis=None))
    values = [*own, *baseline, *(band.to_numpy().ravel() if many else ())]
    plot = _frame(hours, extent(values, zero=True), f"{title}: energy in batteries", 150, "MWh in batteries")
    # values are at the end of each interval
    ends = (hours + 0.25).tolist()
    if many:
        plot.area(ends, band[0.1].tolist(), band[0.9].tolist(), "d1 soft")
    plot.line(ends, baseline.tolist(), "grey", tip="the same homes with no market")
    plot.line(ends, own.tolist(), "d1", tip="energy in batteries")
    return plot.svg(), many


def hours_of(table: pd.DataFrame) -> NDArray[np.float64]:
    """(n,) local clock hours of the rows."""
    stamps = table["timestamp"].dt
    return (stamps.hour + stamps.minute / 60).to_numpy(dtype=np.float64)


def _clock(value: float) -> str:
    return f"{int(value) % HOURS}:{round(value % 1 * 60):02d}"


def _frame(hours: NDArray[np.float64], y: tuple[float, float], title: str, height: int, name: str) -> Plot:
    """Make a plot over clock hours with a tick every three hours or every hour."""
    low, high = float(hours[0]), float(hours[-1]) + 0.25
    every = 3 if high - low > 9 else 1
    marks = [h for h in range(int(low), int(high) + 1) if h >= low and h % every == 0]
    return Plot((low, high), y, title, height).axes("", name, marks, write=_clock)


def violations(m: Material) -> str:
    """Return violations by kind and hour."""
    some = {label: counts for label, counts in m.violations.items() if counts.any()}
    played = {run.label for seed in m.seeds for run in seed.runs if run.played}
    none = [label for label, counts in m.violations.items() if label in played and not counts.any()]
    if not some and not none:
        return ""
    most = max((int(counts.max()) for counts in some.values()), default=0)
    parts = [heat(counts, escape(label), most) for label, counts in some.items()]
    note = f"<p>Without any violation: {escape(', '.join(none))}.</p>" if none else ""
    scale = f" One logarithmic scale of colour for all: the darkest cell holds {most:,}." if some else ""
    said = f"<p class=note>Pairs of home and opportunity, all units together.{scale}</p>"
    return f"{said}<div class=grid3>{''.join(parts)}</div>{note}"


def heat(counts: NDArray[np.int64], title: str, most: int) -> str:
    """Draw violations by kind and local hour; the darker, the more, logarithmically up to `most`."""
    kinds = len(VIOLATIONS)
    plot = Plot((0.0, float(HOURS)), (-float(kinds), 0.0), f"{title}: violations by kind and hour", 46 + 26 * kinds)
    plot.left = 92
    for h in range(0, HOURS, 3):
        plot.text(plot.px(h + 0.5), plot.bottom + 15, str(h), "tick mid")
    for j, kind in enumerate(VIOLATIONS):
        plot.text(plot.left - 6, plot.py(-j - 0.5) + 4, kind.replace("_", " "), "tick end")
        for h in range(HOURS):
            n = int(counts[j, h])
            shade = 0.3 + 0.7 * math.log1p(n) / math.log1p(most) if n else 0.0
            plot.box((h + 0.04, h + 0.96), (-j - 0.95, -j - 0.05), "d4 cell" if n else "none cell", shade or 1.0,
                     f"{kind}, {h} h: {n:,}")  # fmt: skip
    plot.text((plot.left + plot.right) / 2, plot.bottom + 30, "local hour", "name mid")
    return f"<figure><figcaption>{title}: {int(counts.sum()):,}</figcaption>{plot.svg()}</figure>"


def fairness(m: Material) -> str:
    """Return how satisfaction and payments spread over the homes."""
    homes = {label: t for label, t in m.homes.items() if len(t)}
    if not homes:
        return ""
    css = colors(m.planned.labels)
    drawn = ordered(homes, "satisfaction", "satisfaction", css)
    drawn += ordered(homes, "pay_usd", "payments, USD a home", css)
    drawn += ordered(homes, "net_benefit_usd", "net benefit, USD a home", css)
    rows = []
    for label, t in homes.items():
        by = t.groupby("profile")
        cells = [f"{score(g['satisfaction'].mean())} / {number(g['pay_usd'].mean())}" for _, g in by]
        lost = percent((t["net_benefit_usd"] < -0.005).mean())
        rows.append([label, score(t["satisfaction"].min()), number(t["pay_usd"].median()), lost, *cells])
    profiles = [str(name) for name, _ in next(iter(homes.values())).groupby("profile")]
    header = ["policy", "worst home", "median pay, USD", "homes that lose money", *profiles]
    note = "<p class=note>By profile of the owner: mean satisfaction / mean payments in USD.</p>"
    return f"<div class=grid3>{drawn}</div>{table(header, rows)}{note}"


def ordered(homes: Mapping[str, pd.DataFrame], column: str, name: str, css: Mapping[str, str]) -> str:
    """Draw a figure of every home in order, from the worst off to the best off, one curve per policy."""
    curves = {k: np.sort(t[column].dropna().to_numpy(dtype=np.float64)) for k, t in homes.items()}
    curves = {k: curve for k, curve in curves.items() if len(curve)}
    values = np.concatenate(list(curves.values())) if curves else np.zeros(1)
    plot = Plot((0.0, 100.0), extent(values), name, 240).axes("% of homes, in order", name)
    for label, curve in curves.items():
        # many homes: as many points as there are pixels
        at = np.linspace(0, len(curve) - 1, min(len(curve), 200)).round().astype(int)
        share = 100.0 * (at + 0.5) / len(curve)
        plot.line(share.tolist(), curve[at].tolist(), css[label], tip=label)
    return f"<figure>{plot.svg()}{legend([(label, css[label], 'line') for label in curves])}</figure>"
