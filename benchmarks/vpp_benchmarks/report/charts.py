"""The charts of the report, each a function from figures to HTML; the dashboard draws the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.report.material import BOUGHT, HOURS, SOLD
from vpp_benchmarks.report.svg import Plot, extent, legend
from vpp_benchmarks.report.tables import number, score
from vpp_benchmarks.results.statistics import Difference, Interval
from vpp_env.evaluation.kpi_entry import Ceilings
from vpp_env.evaluation.satisfaction import VIOLATIONS

DEVICE_COLORS = {"deferred charging": "c0", "battery": "c1", "V2G": "c3", "bought": "c5", "bought back by force": "c4"}
LEAST_DAYS = 4
"""Days from which a band over days is drawn."""


def color(index: int) -> str:
    """CSS class of the n-th policy."""
    return f"c{index % 8}"


@dataclass(frozen=True)
class Point:
    """A policy in the plane of profit and satisfaction."""

    profit: Interval
    satisfaction: Interval
    worst: float | None  # satisfaction of the worst-off tenth
    asks: bool


def known(value: float) -> Interval:
    """Return a figure of one unit, which has no interval."""
    return Interval(value, None, None, 1)


def pareto(points: Mapping[str, Point], ceilings: Ceilings | None = None) -> str:
    """Draw profit against satisfaction; the ceilings of profit are vertical lines."""
    profits = [v for p in points.values() for v in (p.profit.value, p.profit.low, p.profit.high)]
    scores = [p.satisfaction.value for p in points.values()] + [p.worst for p in points.values()]
    bounds = {} if ceilings is None else {"free": ceilings.free.profit, "preferences": ceilings.preferences.profit}
    xs = [v for v in (0.0, *profits, *(b[1] for b in bounds.values())) if v is not None]
    low, _ = extent([v for v in scores if v is not None] + [1.0])
    plot = Plot(extent(xs), (low, 1.0 + 0.06 * (1.0 - low)), "Profit against satisfaction", 300)
    plot.axes("VPP profit, USD", "satisfaction")
    for name, (lower, upper) in bounds.items():
        tip = f"ceiling, {name}: {number(lower)} to {number(upper)} USD"
        plot.box((lower, upper), (low, 1.0), "ceiling", 0.25)
        plot.segment((upper, low), (upper, 1.0), "ceiling dash", tip)
    entries = []
    for j, (label, p) in enumerate(points.items()):
        x, y = p.profit.value, p.satisfaction.value
        if p.profit.low is not None and p.profit.high is not None:
            plot.segment((p.profit.low, y), (p.profit.high, y), color(j))
        if p.satisfaction.low is not None and p.satisfaction.high is not None:
            plot.segment((x, p.satisfaction.low), (x, p.satisfaction.high), color(j))
        if p.worst is not None:
            plot.segment((x, y), (x, p.worst), f"{color(j)} thin", f"{label}: worst tenth {score(p.worst)}")
        tip = f"{label}: {number(x)} USD, satisfaction {score(y)}" + ("" if p.asks else ", asks nobody")
        plot.point(x, y, color(j), hollow=not p.asks, tip=tip, radius=max(4.0, 9.0 - 1.5 * j))
        # a point under another stays visible as a rim
        entries.append((label + ("" if p.asks else " (asks nobody)"), color(j), "dot" if p.asks else "ring"))
    entries += [(f"ceiling: {name}", "ceiling", "dash") for name in bounds]
    return f"<figure>{plot.svg()}{legend(entries)}</figure>"


def forest(rows: Sequence[Difference], name: str) -> str:
    """Draw differences with their intervals, one line each, around zero."""
    values = [v for r in rows for v in (r.difference.value, r.difference.low, r.difference.high)]
    xs = extent([v for v in (*values, 0.0) if v is not None])
    plot = Plot(xs, (-len(rows) + 0.4, 0.6), f"Differences of {name}", 56 + 34 * len(rows))
    plot.axes(name, yticks=())
    plot.segment((0.0, -len(rows) + 0.4), (0.0, 0.6), "zero")
    for j, row in enumerate(rows):
        d = row.difference
        if d.low is not None and d.high is not None:
            plot.segment((d.low, -j), (d.high, -j), color(j + 1))
        plot.point(d.value, -j, color(j + 1), tip=f"{d.value:.4g}")
        plot.text(plot.left, plot.py(-j) - 9, f"{row.policy} - {row.minus}", "tick")
    return f"<figure>{plot.svg()}</figure>"


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

    def held(values: Any) -> list[float]:
        array = np.asarray(values, dtype=np.float64)
        return [*array, array[-1]]

    da, rt = held(prices["da_usd_per_mwh"]), held(prices["rt_usd_per_mwh"])
    price = _frame(hours, extent([*da, *rt], zero=True), f"{title}: prices", 150, "USD/MWh")
    price.line(edge, da, "ink dash", step=True, tip="day-ahead price")
    price.line(edge, rt, "ink", step=True, tip="real-time price")
    power = _frame(hours, most_kw, f"{title}: power", 210, "kW to the grid")
    for kinds, sign in ((SOLD, 1.0), (BOUGHT, -1.0)):
        base = np.zeros(len(edge))
        for name, column in kinds.items():
            top = base + sign * np.asarray(held(table[column]))
            power.area(edge, base.tolist(), top.tolist(), DEVICE_COLORS[name], step=True)
            base = top
    power.line(edge, held(table["award_kw"]), "ink", step=True, tip="award")
    power.line(edge, held(table["reserve_kw"]), "ink dash", step=True, tip="reserve capacity")
    power.segment((edge[0], 0.0), (edge[-1], 0.0), "zero")
    stored = _stored(hours, table, month, title)
    keys = [("real-time price; award", "ink", "line"), ("day-ahead price; reserve capacity", "ink", "dash")]
    keys += [(name, DEVICE_COLORS[name], "box") for name in (*SOLD, *BOUGHT)]
    keys += [("the same homes with no market", "grey", "line"), ("10 to 90 % of all days", "c1 soft", "box")]
    return f"<figure>{price.svg()}{power.svg()}{stored}{legend(keys)}</figure>"


def _stored(hours: NDArray[np.float64], table: pd.DataFrame, month: pd.DataFrame, title: str) -> str:
    """Energy in the batteries, MWh: the day, the same homes with no market, and the band of all days."""
    own, baseline = (table[c].to_numpy(dtype=np.float64) / 1000 for c in ("soc_kwh", "baseline_soc_kwh"))
    band = month["soc_kwh"].groupby(hours_of(month)).quantile(np.array([0.1, 0.9])).unstack() / 1000
    band = band.reindex(hours)
    many = month["timestamp"].dt.normalize().nunique() >= LEAST_DAYS and bool(band.notna().all(axis=None))
    values = [*own, *baseline, *(band.to_numpy().ravel() if many else ())]
    plot = _frame(hours, extent(values, zero=True), f"{title}: energy in batteries", 150, "MWh in batteries")
    # values are at the end of each interval
    ends = (hours + 0.25).tolist()
    if many:
        plot.area(ends, band[0.1].tolist(), band[0.9].tolist(), "c1 soft")
    plot.line(ends, baseline.tolist(), "grey", tip="the same homes with no market")
    plot.line(ends, own.tolist(), "c1", tip="energy in batteries")
    return plot.svg()


def heat(counts: NDArray[np.int64], title: str) -> str:
    """Draw violations by kind and local hour; the darker, the more."""
    kinds = len(VIOLATIONS)
    plot = Plot((0.0, float(HOURS)), (-float(kinds), 0.0), f"{title}: violations by kind and hour", 46 + 26 * kinds)
    plot.left = 92
    most = max(int(counts.max()), 1)
    for h in range(0, HOURS, 3):
        plot.text(plot.px(h + 0.5), plot.bottom + 15, str(h), "tick mid")
    for j, kind in enumerate(VIOLATIONS):
        plot.text(plot.left - 6, plot.py(-j - 0.5) + 4, kind.replace("_", " "), "tick end")
        for h in range(HOURS):
            n = int(counts[j, h])
            shade = 0.15 + 0.85 * n / most if n else 0.0
            plot.box((h + 0.04, h + 0.96), (-j - 0.95, -j - 0.05), "c4 cell" if n else "none cell", shade or 1.0,
                     f"{kind}, {h} h: {n:,}")  # fmt: skip
    plot.text((plot.left + plot.right) / 2, plot.bottom + 30, "local hour", "name mid")
    return f"<figure><figcaption>{title}: {int(counts.sum()):,}</figcaption>{plot.svg()}</figure>"


def ordered(homes: Mapping[str, pd.DataFrame], column: str, name: str) -> str:
    """Draw a figure of every home in order, from the worst off to the best off, one curve per policy."""
    curves = {k: np.sort(t[column].to_numpy(dtype=np.float64)) for k, t in homes.items() if len(t)}
    values = np.concatenate(list(curves.values())) if curves else np.zeros(1)
    plot = Plot((0.0, 100.0), extent(values), name, 240).axes("% of homes, in order", name)
    for j, (label, curve) in enumerate(curves.items()):
        # many homes: as many points as there are pixels
        at = np.linspace(0, len(curve) - 1, min(len(curve), 200)).round().astype(int)
        share = 100.0 * (at + 0.5) / len(curve)
        plot.line(share.tolist(), curve[at].tolist(), color(j), tip=label)
    return f"<figure>{plot.svg()}{legend([(k, color(j), 'line') for j, k in enumerate(curves)])}</figure>"
