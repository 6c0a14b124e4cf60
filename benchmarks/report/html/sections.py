"""The sections of the report, each a function from material to HTML; an empty text leaves the section out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figures_day import busiest_day
from benchmarks.report.conclusions import caveats, conclusions
from benchmarks.report.export import Table, tables
from benchmarks.report.html import charts
from benchmarks.report.html.gather import BOUGHT, SOLD, Detail, Material
from benchmarks.report.html.svg import extent
from benchmarks.report.html.talk import Talk, talks
from benchmarks.report.tables import number, percent, score

MOST_MEMBERS = 12
"""Members of a coalition that are listed; the others are counted."""

MOST_LINES = 10
"""Conclusions that are shown at once; more are folded."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return an HTML table that scrolls inside itself where it is too wide."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if j < text_columns else ' class=n'}>{escape(str(cell))}</{tag}>" for j, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells(header, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def _of(one: Table) -> str:
    return table(one.header, one.rows, one.text_columns)


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    items = (re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(line)) for line in lines)
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


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


def negotiation(m: Material) -> str:
    """Return the negotiations of one day, an hour at a time."""
    talking = [d for d in m.details if len(d.run.table("transcripts"))]
    if not talking:
        return ""
    date = busiest_day([d.intervals for d in m.details if len(d.intervals)])
    parts = []
    for k, d in enumerate(talking):
        texts = d.run.table("transcripts")
        same = texts[texts["timestamp"].dt.normalize() == date]
        found = talks(texts, sorted(set(same["opportunity"])))
        if found:
            parts.append(_hours(d, found, k))
    return "".join(parts)


def _hours(detail: Detail, found: Mapping[int, Talk], k: int) -> str:
    """Return one policy's hours: a choice, and the hour in which most was sold shown first."""
    sold = detail.run.table("opportunities").set_index("opportunity")["sold_kwh"]
    best = max(found, key=lambda o: (float(sold.get(o, 0.0)), -o))
    options = "".join(
        f'<option value="talk-{k}-{o}"{" selected" if o == best else ""}>{escape(t.start[:16])}</option>'
        for o, t in found.items()
    )
    boxes = "".join(
        f'<div id="talk-{k}-{o}" class="talk-{k}"{"" if o == best else " hidden"}>{hour(t)}</div>'
        for o, t in found.items()
    )
    choice = f'<label class=noprint>Hour: <select data-group="talk-{k}">{options}</select></label>'
    return f"<h3>{escape(detail.label)}</h3>{choice}{boxes}"


def hour(talk: Talk) -> str:
    """Return one negotiation: what was announced, offers by round, and the coalition."""
    a, s = talk.announced, talk.summary
    told = [f"<strong>{escape(talk.start[:16])}</strong>"]
    if a:
        told.append(f"day-ahead price {number(a['day_ahead_price'])} USD/MWh, for sale: {escape(str(a['product']))}")
    if s:
        told.append(f"{s['contacted']} homes contacted, {s['bids']} bid, coalition of {s['coalition_size']}")
        told.append(f"{number(1000 * s['committed_mw'], 1)} kW committed, {escape(str(s['status']))}")
    rows = [
        [
            str(r.number),
            str(r.asked),
            number(r.kw, 1),
            f"{number(r.low, 3)} / {number(r.mean, 3)} / {number(r.high, 3)}",
            str(r.accepted),
            str(r.countered),
            number(r.counter, 3),
        ]
        for r in talk.rounds
    ]
    header = [
        "round",
        "homes asked",
        "kW",
        "offer, USD/kWh: low / mean / high",
        "accepted",
        "countered",
        "counter-offer",
    ]
    members = [
        [f"home {x['home']}", number(x["kw"], 2), number(x["price"], 3), str(x["device"])]
        for x in talk.members[:MOST_MEMBERS]
    ]
    more = len(talk.members) - len(members)
    rest = f"<p class=note>and {more} more</p>" if more > 0 else ""
    drawn = charts.rounds(talk) if talk.rounds else ""
    others = "".join(f"<pre>{escape(json.dumps(x, ensure_ascii=False))}</pre>" for x in talk.others[:MOST_MEMBERS])
    coalition = table(["coalition", "kW", "agreed, USD/kWh", "device"], members) + rest if members else ""
    return (
        f"<p>{'; '.join(told)}.</p><div class=grid2><div>{table(header, rows, 0)}{drawn}</div>"
        f"<div>{coalition}</div></div>{others}"
    )


def bounds(m: Material) -> str:
    """Return ceilings and what every policy is short of them, where they were computed."""
    some = [u for u in m.units if u.get("ceilings")]
    if not some:
        return ""
    rows = []
    for u in some:
        for name, c in u["ceilings"].items():
            if isinstance(c, Mapping):
                brackets = [
                    f"{number(b[0])} to {number(b[1])}" if b else "-" for b in (c.get("value"), c.get("profit"))
                ]
                rows.append([u["case"], str(u["seed"]), name, *brackets])
    header = ["case", "seed", "ceiling", "joint surplus, USD", "VPP profit, USD"]
    keys = {"regret, USD": "regret", "score": "score", "profit score": "profit_score"}
    labels = list(some[0]["policies"])
    shares = []
    for label in labels:
        cells = []
        for key in keys.values():
            values = [u["policies"][label].get(key) for u in some]
            known = [v for v in values if v is not None]
            cells.append(number(float(np.mean(known)), 3) if known else "-")
        shares.append([label, *cells])
    gaps = [u["ceilings"]["gap"] for u in some if u["ceilings"].get("gap") is not None]
    note = f"<p class=note>Brackets are proven; the widest is {percent(max(gaps), 2)}.</p>" if gaps else ""
    return table(header, rows, 3) + note + table(["policy", *keys], shares)


def time_and_cost(m: Material) -> str:
    """Return seconds, and what language models took where there were any."""
    names = {"avg_time_seconds": "s per decision", "wall_seconds": "wall seconds, all units"}
    names |= {k: k for t in m.times.values() for k in t if k not in names}
    rows = [[label, *(number(t.get(k), 4) for k in names)] for label, t in m.times.items()]
    parts = [table(["policy", *names.values()], rows)]
    keys = list(dict.fromkeys(k for u in m.units for p in u["policies"].values() for k in p if k.startswith("llm_")))
    if keys:
        rows = []
        for label in m.units[0]["policies"]:
            cells = []
            for key in keys:
                values = [u["policies"][label].get(key) for u in m.units]
                sums = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
                cells.append(number(sum(sums), 4) if sums else ", ".join(sorted({str(v) for v in values if v})) or "-")
            rows.append([label, *cells])
        parts += ["<h3>Language model</h3>", table(["policy", *(k.removeprefix("llm_") for k in keys)], rows)]
        parts.append("<p class=note>Sums over all units.</p>")
    return "".join(parts)


def origin(m: Material) -> str:
    """Return where the results are from: policies, runs that did not complete, scenario, versions."""
    policies = m.units[0]["policies"] if m.units else {}
    rows = [[label, p["spec"], p["information_set"], p["consent"], p["description"]] for label, p in policies.items()]
    parts = [table(["policy", "as called", "sees", "consent", "what it is"], rows, 5)]
    broken = [
        [label, str(u["case"]), str(u["seed"]), p["status"], p["reason"] or ""]
        for u in m.units
        for label, p in u["policies"].items()
        if p["status"] != "complete"
    ]
    if broken:
        parts += ["<h3>Runs that are not complete</h3>", table(["policy", "case", "seed", "status", "why"], broken, 5)]
    if len(m.units) == 1:
        parts += ["<h3>Caveats</h3>", bullets(caveats(m.units[0]))]
    if m.manifest:
        git = m.manifest.get("git") or {}
        commit = f"{git.get('commit', 'unknown')}{' with changes' if git.get('dirty') else ''}"
        pairs = [("commit", commit), ("python", m.manifest["python"]), ("platform", m.manifest["platform"])]
        pairs += [(k, v or "not installed") for k, v in m.manifest["packages"].items()]
        pairs += [(f"prices: {k}", v) for k, v in m.manifest["data"]["series"].items()]
        pairs += [(f"SHA-256 {k}", v) for k, v in m.manifest["data"]["files_sha256"].items()]
        parts.append(f"<details><summary>Versions and data</summary>{table(['what', 'which'], pairs, 2)}</details>")
        toml = escape(m.manifest["scenario"]["toml"])
        name = f"{m.manifest['scenario']['name']}, hash {m.manifest['scenario']['hash']}"
        parts.append(f"<details><summary>Scenario {escape(name)}</summary><pre>{toml}</pre></details>")
    return "".join(parts)
