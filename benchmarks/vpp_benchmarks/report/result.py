"""The result in HTML: headline, and profit against satisfaction; the dashboard draws the same chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from vpp_benchmarks.report.conclusions import conclusions
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Markup, Plot, bullets, colors, extent, legend, short, table, ticks
from vpp_benchmarks.report.tables import DIGITS, Table, bracketed, number, p_value, percent, score, tables
from vpp_benchmarks.results.intervals import CONFIDENCE, Interval
from vpp_benchmarks.results.statistics import METHOD, Difference, Statistics
from vpp_env.evaluation.kpi import table as kpis
from vpp_env.evaluation.kpi_entry import Ceilings

MOST_COLUMNS = 4
"""Figures with intervals that stand beside each other; a wider table goes on below."""
ALONE = 6
"""The same without intervals."""
MOST_LINES = 10
"""Sentences of the tests that are shown at once; the table above them holds all."""


def _of(one: Table, most: int) -> str:
    """Return a table in parts that a screen and a printed page hold."""
    return "".join(table(part.header, part.rows, part.text_columns) for part in one.parts(most))


def headline(m: Material) -> str:
    """Return the headline table, with intervals where there are several units, and what may be said."""
    found = {t.name: t for t in tables(m.planned, m.seeds, m.statistics)}
    s = m.statistics
    parts = [_of(found["headline"], ALONE if s is None else MOST_COLUMNS)] if "headline" in found else []
    if s is not None and s.policies:
        note = f"Means over {s.units} units (a seed, or a month of it)"
        how = f"in brackets {percent(CONFIDENCE, 0)} intervals ({escape(METHOD)})"
        parts.append(f"<p class=note>{note}; {how}; drawn: {s.sampling and s.sampling.value}.</p>")
        parts.append(f"<h3>Welfare of every run</h3>{strip(m)}")
        if s.differences:
            css = colors(m.planned.labels)
            parts += [f"<h3>Less {escape(s.differences[0].minus)} on the same units</h3>", _differences(s)]
            some = {k: [r for r in s.differences if r.metric == k] for k in ("welfare", "total_profit")}
            names = {"welfare": "difference of welfare, USD", "total_profit": "difference of VPP profit, USD"}
            drawn = "".join(forest(rows, names[k], css) for k, rows in some.items() if rows)
            parts.append(f"<div class=grid2>{drawn}</div>")
    if s is not None:
        parts.append(bullets(s.verdict[:MOST_LINES], "said two"))
        if len(s.verdict) > MOST_LINES:
            rest = bullets(s.verdict[MOST_LINES:], "said two")
            parts.append(f"<details><summary>and {len(s.verdict) - MOST_LINES} more of these</summary>{rest}</details>")
    elif m.seeds:
        parts += ["<h3>What the figures say</h3>", bullets(conclusions(m.seeds[0]))]
    return "".join(parts)


def _differences(s: Statistics) -> str:
    """Return differences, a policy a row and a figure a column, with what Holm's correction leaves of the test."""
    digits = {kpi.name: DIGITS[kpi.form] for kpi in kpis()}
    metrics = list(dict.fromkeys(r.metric for r in s.differences))
    rows = []
    for policy in dict.fromkeys(r.policy for r in s.differences):
        mine = {r.metric: r for r in s.differences if r.policy == policy}
        cells = []
        for metric in metrics:
            r = mine[metric]
            chance = f"{r.better} of {s.units}; p {p_value(r.holm_p)}"
            cells.append(Markup(f"{bracketed(r.difference, digits[metric])}<br>{escape(chance)}"))
        rows.append([f"{policy} - {mine[metrics[0]].minus}", *cells])
    note = "<p class=note>Mean [interval]; units in which it is above; p corrected (Holm) over all tests.</p>"
    return table(["difference", *(s.metrics[metric] for metric in metrics)], rows, cards=True) + note


def strip(m: Material) -> str:
    """Draw the welfare of every unit, a dot each and a policy a row, with the mean and its interval."""
    css, means = colors(m.planned.labels), {} if m.statistics is None else m.statistics.policies
    values: dict[str, list[float]] = {}
    for label in m.planned.labels:
        runs = [run for seed in m.seeds for run in seed.done if run.label == label]
        some = [usd for run in runs if (usd := run.number("welfare")) is not None]
        values |= {label: some} if some else {}
    rows = sorted(values, key=lambda label: -sum(values[label]) / len(values[label]))
    spreads = {label: means[label]["welfare"].mean for label in rows if label in means}
    dots = extent([v for some in values.values() for v in some])
    # an interval of few runs may be wider than all of them: it is cut where it would make the dots a line
    wide = dots[1] - dots[0]
    ends = [v for mean in spreads.values() for v in (mean.low, mean.high) if v is not None]
    scale = (max(min([dots[0], *ends]), dots[0] - wide), min(max([dots[1], *ends]), dots[1] + wide))
    high = 24 * len(rows)
    plot = Plot(scale, (-float(len(rows)), 0.0), "Welfare of every run", 40 + high)
    plot.left, plot.top, plot.bottom = 118, 4, 4 + high
    plot.upright(ticks(*plot.x, 4), "welfare, USD; line: mean and its 95 % interval")
    for j, label in enumerate(rows):
        plot.text(plot.left - 7, plot.py(-j - 0.5) + 4, short(label, 17), "end strong")
        for v in values[label]:
            plot.point(v, -j - 0.5, f"{css[label]} faint", tip=f"{label}: {number(v)} USD", radius=3.5)
        mean = spreads.get(label)
        if mean is not None and mean.low is not None and mean.high is not None:
            plot.segment((max(mean.low, scale[0]), -j - 0.5), (min(mean.high, scale[1]), -j - 0.5), "ink")
            plot.segment((mean.value, -j - 0.25), (mean.value, -j - 0.75), "ink")
    return f"<figure>{plot.svg()}</figure>"


def forest(rows: Sequence[Difference], name: str, css: Mapping[str, str]) -> str:
    """Draw differences with their intervals, one line each, around zero."""
    values = [v for r in rows for v in (r.difference.value, r.difference.low, r.difference.high)]
    xs = extent([v for v in (*values, 0.0) if v is not None])
    high = 24 * len(rows)
    plot = Plot(xs, (-len(rows) + 0.5, 0.5), f"Differences of {name}", 40 + high)
    plot.left, plot.top, plot.bottom = 118, 4, 4 + high
    plot.upright(ticks(*plot.x, 4), f"{name}, less {rows[0].minus}" if rows else name)
    plot.segment((0.0, -len(rows) + 0.5), (0.0, 0.5), "zero")
    for j, row in enumerate(rows):
        d = row.difference
        if d.low is not None and d.high is not None:
            plot.segment((d.low, -j), (d.high, -j), css[row.policy])
        plot.point(d.value, -j, css[row.policy], tip=f"{d.value:.4g}")
        plot.text(plot.left - 7, plot.py(-j) + 4, short(row.policy, 17), "end strong")
    return f"<figure>{plot.svg()}</figure>"


def against_satisfaction(m: Material) -> str:
    """Return profit against satisfaction."""
    points = _points(m)
    if not points:
        return ""
    ceilings = m.seeds[0].ceilings if len(m.seeds) == 1 else None
    lines = ["Owners are content who gain what they joined for and are left in peace: neither axis ranks alone."]
    lines.append("A dotted line reaches down to the worst-off tenth of the owners.")
    if m.statistics is not None and m.statistics.hypervolume is not None:
        area, front = m.statistics.hypervolume.all, ", ".join(m.statistics.pareto_front)
        lines.append(f"Not beaten in both at once: {front}. Dominated area: {number(area)} USD x score.")
        lines.append(f"Not beaten in welfare and satisfaction at once: {', '.join(m.statistics.welfare_front)}.")
    return f"<div class=grid2>{pareto(points, colors(m.planned.labels), ceilings)}<div>{bullets(lines)}</div></div>"


def _points(m: Material) -> dict[str, Point]:
    """Profit and satisfaction of every policy, with intervals where there are."""
    if not m.seeds:
        return {}
    if m.statistics is not None and m.statistics.policies:
        return {
            label: Point(
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
            profit, satisfaction = known(k.total_profit), known(k.avg_satisfaction)
            found[run.label] = Point(profit, satisfaction, k.worst_decile_satisfaction, asks)
    return found


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


def pareto(points: Mapping[str, Point], css: Mapping[str, str], ceilings: Ceilings | None = None) -> str:
    """Draw profit against satisfaction; the ceilings of profit are vertical lines."""
    profits = [v for p in points.values() for v in (p.profit.value, p.profit.low, p.profit.high)]
    scores = [p.satisfaction.value for p in points.values()] + [p.worst for p in points.values()]
    bounds = {} if ceilings is None else {"ignoring wishes": ceilings.profit_free, "keeping wishes": ceilings.profit}
    xs = [v for v in (0.0, *profits, *(b[1] for b in bounds.values())) if v is not None]
    low, _ = extent([v for v in scores if v is not None] + [1.0])
    plot = Plot(extent(xs), (low, 1.0 + 0.06 * (1.0 - low)), "Profit against satisfaction", 300)
    plot.axes("VPP profit, USD", "satisfaction")
    for j, (name, (lower, upper)) in enumerate(bounds.items()):
        tip = f"most profit {name}: {number(lower)} to {number(upper)} USD"
        plot.box((lower, upper), (low, 1.0), "ceiling", 0.25)
        plot.segment((upper, low), (upper, 1.0), "ceiling", tip)
        before = plot.px(upper) > (plot.left + plot.right) / 2
        x = plot.px(upper) + (-5 if before else 5)
        plot.text(x, plot.bottom - 5 - 14 * j, f"ceiling {name}", "tick end" if before else "tick")
    entries = []
    for j, (label, p) in enumerate(points.items()):
        x, y = p.profit.value, p.satisfaction.value
        if p.profit.low is not None and p.profit.high is not None:
            plot.segment((p.profit.low, y), (p.profit.high, y), css[label])
        if p.satisfaction.low is not None and p.satisfaction.high is not None:
            # a score has no values beyond 0 and 1, an interval of few runs may
            plot.segment((x, max(p.satisfaction.low, low)), (x, min(p.satisfaction.high, 1.0)), css[label])
        if p.worst is not None:
            plot.segment((x, y), (x, p.worst), f"{css[label]} thin", f"{label}: worst tenth {score(p.worst)}")
        tip = f"{label}: {number(x)} USD, satisfaction {score(y)}" + ("" if p.asks else ", asks nobody")
        plot.point(x, y, css[label], hollow=not p.asks, tip=tip, radius=max(4.0, 9.0 - 1.5 * j))
        # a point under another stays visible as a rim
        entries.append((label + ("" if p.asks else " (asks nobody)"), css[label], "dot" if p.asks else "ring"))
    entries += [("most profit that could have been had", "ceiling", "line")] if bounds else []
    return f"<figure>{plot.svg()}{legend(entries)}</figure>"
