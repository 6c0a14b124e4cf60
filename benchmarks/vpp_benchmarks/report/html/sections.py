"""The sections of the report, each a function from material to HTML; an empty text leaves the section out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from vpp_benchmarks.report.busiest_day import busiest_day
from vpp_benchmarks.report.conclusions import conclusions
from vpp_benchmarks.report.export import Table, tables
from vpp_benchmarks.report.html import charts
from vpp_benchmarks.report.html.gather import BOUGHT, SOLD, Material
from vpp_benchmarks.report.html.parts import bullets, table
from vpp_benchmarks.report.html.svg import extent
from vpp_benchmarks.report.tables import number, percent, score

MOST_LINES = 10
"""Conclusions that are shown at once; more are folded."""


def _of(one: Table) -> str:
    return table(one.header, one.rows, one.text_columns)


def headline(m: Material) -> str:
    """Return the headline table, with intervals where there are several units, and what may be said."""
    found = {t.name: t for t in tables(m.units, m.statistics)}
    parts = [_of(found["headline"])] if "headline" in found and found["headline"].header else []
    if m.statistics and m.statistics.get("policies"):
        s = m.statistics
        note = f"Means over {s['units']} units (a month of a seed)"
        parts.append(f"<p class=note>{note}; in brackets {percent(s['confidence'], 0)} bootstrap intervals.</p>")
        if "differences" in found:
            parts += ["<h3>Differences on the same units</h3>", _of(found["differences"])]
        profit = [r for r in s["differences"] if r["metric"] == "total_profit"]
        if profit:
            parts.append(f"<div class=grid2>{charts.forest(profit, 'difference of VPP profit, USD')}</div>")
    if m.statistics:
        parts.append(bullets(m.statistics["verdict"]))
    elif m.units:
        said = conclusions(m.units[0])
        fold = " open" if len(said) <= MOST_LINES else ""
        parts.append(f"<details{fold}><summary>What the figures say</summary>{bullets(said)}</details>")
    return "".join(parts)


def _points(m: Material) -> dict[str, dict[str, Any]]:
    """Profit and satisfaction of every policy, with intervals where there are."""
    if not m.units:
        return {}
    policies = m.units[0]["policies"]
    if m.statistics and m.statistics.get("policies"):
        return {
            label: {
                "profit": p["total_profit"]["mean"],
                "satisfaction": p["avg_satisfaction"]["mean"],
                "worst": p["worst_decile_satisfaction"]["mean"]["value"],
                "asks": policies[label]["asks_consent"],
            }
            for label, p in m.statistics["policies"].items()
        }
    return {
        label: {
            "profit": {"value": p["total_profit"], "low": None, "high": None},
            "satisfaction": {"value": p["avg_satisfaction"], "low": None, "high": None},
            "worst": p["worst_decile_satisfaction"],
            "asks": p["asks_consent"],
        }
        for label, p in policies.items()
        if p.get("total_profit") is not None
    }


def pareto(m: Material) -> str:
    """Return profit against satisfaction."""
    points = _points(m)
    if not points:
        return ""
    ceilings = m.units[0].get("ceilings") if len(m.units) == 1 else None
    lines = ["Doing nothing stands at 0 USD and satisfaction 1: neither axis ranks alone."]
    if m.statistics and m.statistics.get("hypervolume"):
        h, front = m.statistics["hypervolume"], ", ".join(m.statistics["pareto_front"])
        lines.append(f"Not beaten in both at once: {front}. Dominated area: {number(h['all'])} USD x score.")
    return f"<div class=grid2>{charts.pareto(points, ceilings)}<div>{bullets(lines)}</div></div>"


def one_day(m: Material) -> str:
    """Return a day in the life of the fleet, policy by policy."""
    shown = [d for d in m.details if len(d.intervals)]
    if not shown:
        return ""
    date = busiest_day([d.intervals for d in shown])
    days = {d.label: d.intervals[d.intervals["timestamp"].dt.normalize() == date] for d in shown}
    tops = [t[c].sum(axis=1).max() for t in days.values() for c in [list(SOLD.values())]]
    lows = [-t[list(BOUGHT.values())].sum(axis=1).max() for t in days.values()]
    awards = [v for t in days.values() for v in (t["award_kw"].max(), t["award_kw"].min(), t["reserve_kw"].max())]
    most = extent([*tops, *lows, *awards], zero=True)
    panels = [
        (d.label, charts.day(days[d.label], d.intervals, _on(d.run.table("prices"), date), d.label, most))
        for d in shown
    ]
    unit = f"{m.details[0].run.manifest['case']}, seed {m.details[0].run.manifest['seed']}"
    return f"<p class=note>{date:%A %d %B %Y}; {escape(unit)}.</p>" + _panels(panels, "day")


def _on(table: pd.DataFrame, date: pd.Timestamp) -> pd.DataFrame:
    return table[table["timestamp"].dt.normalize() == date]


def _panels(panels: Sequence[tuple[str, str]], name: str) -> str:
    """Return panels side by side, with a button each that hides or shows it."""
    buttons = "".join(
        f'<button type=button data-panel="{name}-{j}" aria-pressed=true>{escape(title)}</button>'
        for j, (title, _) in enumerate(panels)
    )
    boxes = "".join(
        f'<div id="{name}-{j}"><h3>{escape(title)}</h3>{body}</div>' for j, (title, body) in enumerate(panels)
    )
    bar = f'<div class="buttons noprint">{buttons}</div>' if len(panels) > 1 else ""
    return f"{bar}<div class=grid2>{boxes}</div>"


def violations(m: Material) -> str:
    """Return violations by kind and hour."""
    some = {label: counts for label, counts in m.violations.items() if counts.any()}
    none = [label for label, counts in m.violations.items() if not counts.any()]
    parts = [charts.heat(counts, escape(label)) for label, counts in some.items()]
    note = f"<p>Without any violation: {escape(', '.join(none))}.</p>" if none else ""
    told = "<p class=note>Pairs of home and opportunity, all units together.</p>"
    return f"{told}<div class=grid2>{''.join(parts)}</div>{note}"


def fairness(m: Material) -> str:
    """Return how satisfaction and payments spread over the homes."""
    homes = {label: t for label, t in m.homes.items() if len(t)}
    if not homes:
        return ""
    drawn = charts.ordered(homes, "satisfaction", "satisfaction")
    drawn += charts.ordered(homes, "pay_usd", "payments, USD a home")
    drawn += charts.ordered(homes, "net_benefit_usd", "net benefit, USD a home")
    rows = []
    for label, t in homes.items():
        by = t.groupby("profile")
        cells = [f"{score(g['satisfaction'].mean())} / {number(g['pay_usd'].mean())}" for _, g in by]
        lost = percent((t["net_benefit_usd"] < -0.005).mean())
        rows.append([label, score(t["satisfaction"].min()), number(t["pay_usd"].median()), lost, *cells])
    profiles = [str(name) for name, _ in next(iter(homes.values())).groupby("profile")]
    header = ["policy", "worst home", "median pay, USD", "homes that lose", *profiles]
    note = "<p class=note>By profile of the owner: mean satisfaction / mean payments in USD.</p>"
    return f"<div class=grid2>{drawn}</div>{table(header, rows)}{note}"
