"""The sections of the report, each a function from material to HTML; an empty text leaves the section out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from vpp_benchmarks.report import charts
from vpp_benchmarks.report.conclusions import caveats, conclusions
from vpp_benchmarks.report.material import BOUGHT, SOLD, Material, busiest_day
from vpp_benchmarks.report.svg import bullets, extent, table
from vpp_benchmarks.report.tables import Table, number, percent, score, tables, written
from vpp_benchmarks.results.llm_kpis import LlmBill
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import CONFIDENCE
from vpp_env.evaluation.kpi import table as kpis
from vpp_env.evaluation.kpi_entry import Place

MOST_LINES = 10
"""Conclusions that are shown at once; more are folded."""


def _of(one: Table) -> str:
    return table(one.header, one.rows, one.text_columns)


def headline(m: Material) -> str:
    """Return the headline table, with intervals where there are several units, and what may be said."""
    found = {t.name: t for t in tables(m.seeds, m.statistics)}
    parts = [_of(found["headline"])] if "headline" in found else []
    s = m.statistics
    if s is not None and s.policies:
        note = f"Means over {s.units} units (a month of a seed)"
        parts.append(f"<p class=note>{note}; in brackets {percent(CONFIDENCE, 0)} bootstrap intervals.</p>")
        if "differences" in found:
            parts += ["<h3>Differences on the same units</h3>", _of(found["differences"])]
        profit = [r for r in s.differences if r.metric == "total_profit"]
        if profit:
            parts.append(f"<div class=grid2>{charts.forest(profit, 'difference of VPP profit, USD')}</div>")
    if s is not None:
        parts.append(bullets(s.verdict))
    elif m.seeds:
        said = conclusions(m.seeds[0])
        fold = " open" if len(said) <= MOST_LINES else ""
        parts.append(f"<details{fold}><summary>What the figures say</summary>{bullets(said)}</details>")
    return "".join(parts)


def _points(m: Material) -> dict[str, charts.Point]:
    """Profit and satisfaction of every policy, with intervals where there are."""
    if not m.seeds:
        return {}
    if m.statistics is not None and m.statistics.policies:
        return {
            label: charts.Point(
                p["total_profit"].mean,
                p["avg_satisfaction"].mean,
                p["worst_decile_satisfaction"].mean.value,
                m.seeds[0].run(label).info.asks_consent,
            )
            for label, p in m.statistics.policies.items()
        }
    found = {}
    for run in m.seeds[0].runs:
        if run.kpis is not None:
            k, asks = run.kpis, run.info.asks_consent
            profit, satisfaction = charts.known(k.total_profit), charts.known(k.avg_satisfaction)
            found[run.label] = charts.Point(profit, satisfaction, k.worst_decile_satisfaction, asks)
    return found


def pareto(m: Material) -> str:
    """Return profit against satisfaction."""
    points = _points(m)
    if not points:
        return ""
    ceilings = m.seeds[0].ceilings if len(m.seeds) == 1 else None
    lines = ["Doing nothing stands at 0 USD and satisfaction 1: neither axis ranks alone."]
    if m.statistics is not None and m.statistics.hypervolume is not None:
        area, front = m.statistics.hypervolume.all, ", ".join(m.statistics.pareto_front)
        lines.append(f"Not beaten in both at once: {front}. Dominated area: {number(area)} USD x score.")
    return f"<div class=grid2>{charts.pareto(points, ceilings)}<div>{bullets(lines)}</div></div>"


def one_day(m: Material) -> str:
    """Return a day in the life of the fleet, policy by policy."""
    tables = {run.label: run.table("intervals") for run in m.shown if "intervals" in run.tables}
    if not tables:
        return ""
    date = busiest_day(list(tables.values()))
    days = {label: _on(intervals, date) for label, intervals in tables.items()}
    tops = [t[list(SOLD.values())].sum(axis=1).max() for t in days.values()]
    lows = [-t[list(BOUGHT.values())].sum(axis=1).max() for t in days.values()]
    awards = [v for t in days.values() for v in (t["award_kw"].max(), t["award_kw"].min(), t["reserve_kw"].max())]
    most = extent([*tops, *lows, *awards], zero=True)
    panels = [
        (label, charts.day(days[label], tables[label], _on(run.table("prices"), date), label, most))
        for run in m.shown
        if (label := run.label) in tables
    ]
    origin = m.shown[0].origin
    return f"<p class=note>{date:%A %d %B %Y}; {escape(origin.case)}, seed {origin.seed}.</p>" + _panels(panels, "day")


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


def bounds(m: Material) -> str:
    """Return ceilings and what every policy is short of them, where they were computed."""
    some = [(seed, seed.ceilings) for seed in m.seeds if seed.ceilings is not None]
    if not some:
        return ""
    rows = []
    for seed, ceilings in some:
        for name, one in (("free", ceilings.free), ("preferences", ceilings.preferences)):
            brackets = [f"{number(low)} to {number(high)}" for low, high in (one.value, one.profit)]
            rows.append([seed.case, str(seed.seed), name, *brackets])
    header = ["case", "seed", "ceiling", "joint surplus, USD", "VPP profit, USD"]
    shown = kpis(Place.CEILINGS)
    shares = []
    for label in m.planned.labels:
        cells = []
        for kpi in shown:
            known = [v for v in (seed.run(label).number(kpi.name) for seed, _ in some) if v is not None]
            cells.append(written(kpi, float(np.mean(known)) if known else None))
        shares.append([label, *cells])
    widest = percent(max(ceilings.gap for _, ceilings in some), 2)
    note = f"<p class=note>Brackets are proven; the widest is {widest}.</p>"
    return table(header, rows, 3) + note + table(["policy", *(kpi.heading for kpi in shown)], shares)


def time_and_cost(m: Material) -> str:
    """Return seconds, and what language models took where there were any."""
    timed = {kpi.name: kpi.heading for kpi in kpis() if kpi.is_time} | {"wall_seconds": "wall clock of all units, s"}
    rows = [[label, *(number(times.get(name), 4) for name in timed)] for label, times in m.times.items()]
    parts = [table(["policy", *timed.values()], rows)]
    bills = {label: [b for s in m.seeds if (b := s.run(label).llm) is not None] for label in m.planned.labels}
    rows = [_bill(label, some) for label, some in bills.items() if some]
    if rows:
        header = ["policy", "calls", "tokens in", "tokens out", "USD", "profit net of it, USD", "decisions", "fallback"]
        parts += ["<h3>Language model</h3>", table(header, rows), "<p class=note>Sums over all units.</p>"]
    return "".join(parts)


def _bill(label: str, bills: Sequence[LlmBill]) -> list[str]:
    """Sum up what a language model took in several units."""
    calls, sent, got, decisions = (
        sum(values) for values in zip(*((b.calls, b.tokens_in, b.tokens_out, b.decisions) for b in bills), strict=True)
    )
    usd, net = sum(b.usd for b in bills), sum(b.profit_net_of_llm for b in bills)
    fallback = sum(b.decisions_by["fallback"] for b in bills) / decisions if decisions else 0.0
    counts = [number(n, 0) for n in (calls, sent, got)]
    return [label, *counts, number(usd, 4), number(net), number(decisions, 0), percent(fallback)]


def origin(m: Material) -> str:
    """Return where the results are from: policies, runs that did not complete, scenario, versions."""
    runs = m.seeds[0].runs if m.seeds else ()
    rows = [
        [run.label, run.origin.policy.spec, run.info.information.name, run.info.consent.value, run.info.description]
        for run in runs
    ]
    parts = [table(["policy", "as called", "sees", "consent", "what it is"], rows, 5)]
    broken = [
        [run.label, seed.case, str(seed.seed), run.status, run.reason]
        for seed in m.seeds
        for run in seed.runs
        if not run.complete
    ]
    if broken:
        parts += ["<h3>Runs that are not complete</h3>", table(["policy", "case", "seed", "status", "why"], broken, 5)]
    if len(m.seeds) == 1:
        parts += ["<h3>Caveats</h3>", bullets(caveats(m.seeds[0]))]
    return "".join(parts) + ("" if m.first is None else _versions(m.first))


def _versions(run: RunResult) -> str:
    """Return versions and prices of a run, and its scenario in full; both folded."""
    software, prices, scenario = run.origin.software, run.origin.prices, run.origin.scenario
    git = software.git or {}
    commit = f"{git.get('commit', 'unknown')}{' with changes' if git.get('dirty') else ''}"
    pairs = [["commit", commit], ["python", software.python], ["platform", software.platform]]
    pairs += [[k, v or "not installed"] for k, v in software.packages.items()]
    pairs += [[f"prices: {k}", v] for k, v in prices.series.items()]
    pairs += [[f"SHA-256 {k}", v] for k, v in prices.files_sha256.items()]
    name = escape(f"{scenario.name}, hash {scenario.hash}")
    return (
        f"<details><summary>Versions and data</summary>{table(['what', 'which'], pairs, 2)}</details>"
        f"<details><summary>Scenario {name}</summary><pre>{escape(scenario.toml)}</pre></details>"
    )
