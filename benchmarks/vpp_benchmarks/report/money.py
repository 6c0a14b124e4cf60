"""Where the money came from and where it went: waterfall, days, spikes, prices captured, capacity and reserve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vpp_benchmarks.report.course import SHARES, Course
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.panels import panels
from vpp_benchmarks.report.svg import Bar, Plot, bars, colors, days, extent, legend, markup, table
from vpp_benchmarks.report.tables import MISSING, number, percent
from vpp_benchmarks.results.run_result import RunResult
from vpp_env.evaluation.kpi import Kpis

STEPS: Sequence[tuple[str, str, float]] = (
    ("energy", "energy", 1.0),
    ("day_ahead", "day-ahead", 1.0),
    ("reserve", "reserve", 1.0),
    ("capacity", "firm kW", 1.0),
    ("programme", "events", 1.0),
    ("deviation", "deviation", -1.0),
    ("nopay", "no-pay", -1.0),
    ("revenue", "market", 0.0),
    ("payments", "members", -1.0),
    ("compute", "computing", -1.0),
)
"""Lines of the ledger in the order of the waterfall: name, what it is called there, sign; 0 is a level."""
SPIKES = (0.01, 0.05, 0.10)
"""Dearest shares of hours of which the share of revenue is told."""
MOST_SHARE = 160.0
"""% of market revenue up to which curves are drawn."""
MONTH_DAYS = 30.0
CAPACITY_PAID = "<p class=note>Firm capacity is paid for called evenings, the rest of it at the end of the month.</p>"
REFERENCES = (
    "Published, for comparison: resource adequacy from a VPP costs a US utility 43 USD/kW-year net, 3.6 USD/kW-month, "
    "against 8.3 from a gas peaker (Hledik and Peters, Real Reliability, The Brattle Group 2023); home "
    "batteries in Rhode Island, Massachusetts and Connecticut earned over 200 USD/kW-year, 17 USD/kW-month "
    "(vppdata.com, October 2023). Those are pay for enrolled capacity; here all market revenue is over kW once shown."
)


def money(m: Material) -> str:
    """Return the section."""
    done = {label: runs for label in m.planned.labels if (runs := _complete(m, label))}
    # the most welfare first, as everywhere
    done = dict(sorted(done.items(), key=lambda item: -(_mean(item[1], lambda k: k.welfare) or 0.0)))
    if not done:
        return ""
    over = f"Means over {len(m.seeds)} runs." if len(m.seeds) > 1 else "The whole run."
    parts = [
        f"<p class=note>{over} Market revenue less what members are paid is the VPP's profit.</p>",
        _waterfalls(done),
    ]
    courses = {label: m.courses[label] for label in done if label in m.courses}
    if courses:
        css = colors(m.planned.labels)
        if max(len(course.days) for course in courses.values()) > 1:
            parts += ["<h3>Day by day</h3>", by_day(courses, css)]
            if any(one.money.capacity for runs in done.values() for one in runs):
                parts.append(CAPACITY_PAID)
        parts += ["<h3>How much came from few dear hours, and at what price</h3>", _spikes(courses, css)]
        parts += [_captured(courses, css), _per_kw(done, courses)]
    return "".join([*parts, _products(done)])


def _complete(m: Material, label: str) -> list[Kpis]:
    runs: list[RunResult] = [run for seed in m.seeds for run in seed.done if run.label == label]
    return [run.kpis for run in runs if run.kpis is not None]


def _mean(runs: Sequence[Kpis], of: Callable[[Kpis], float | None]) -> float | None:
    known = [v for v in map(of, runs) if v is not None and math.isfinite(v)]
    return float(np.mean(known)) if known else None


def ledger(runs: Sequence[Kpis]) -> dict[str, float]:
    """Return the lines of the waterfall, means over runs, USD; `profit` is what is left."""
    out = {name: float(np.mean([getattr(k.money, name) for k in runs])) for name, _, _ in STEPS}
    return out | {"profit": float(np.mean([k.total_profit for k in runs]))}


def _waterfalls(done: Mapping[str, Sequence[Kpis]]) -> str:
    """Draw a waterfall per policy, in the order of `done`, on one scale."""
    lines = {label: ledger(runs) for label, runs in done.items()}
    # what no policy has is left out
    steps = [s for s in STEPS if s[2] == 0.0 or s[0] == "payments" or any(abs(v[s[0]]) > 0.005 for v in lines.values())]
    reached = [v for one in lines.values() for v in (*_levels(one, steps), one["profit"])]
    scale = extent(reached, 0.08, zero=True)
    drawn = [
        (label, waterfall(one, steps, scale, f"{label}: from the market to the VPP")) for label, one in lines.items()
    ]
    keys = [("comes in", "d3", "box"), ("goes out", "d4", "box")]
    keys += [("market revenue", "d5", "box"), ("VPP's profit", "ink", "box")]
    return panels(drawn, "money", "grid3", shown=6) + legend(keys)


def _levels(one: Mapping[str, float], steps: Sequence[tuple[str, str, float]]) -> list[float]:
    return list(itertools.accumulate(sign * one[name] for name, _, sign in steps))


def waterfall(
    one: Mapping[str, float], steps: Sequence[tuple[str, str, float]], scale: tuple[float, float], title: str
) -> str:
    """Draw one ledger as steps from nothing to what is left."""
    names = [*(name for _, name, _ in steps), "VPP"]
    plot = Plot((0.0, float(len(names))), scale, title, 230)
    plot.axes("", "USD", ())
    plot.segment((0.0, 0.0), (float(len(names)), 0.0), "zero")
    level = 0.0
    for j, (name, shown, sign) in enumerate(steps):
        low, high = (0.0, one[name]) if sign == 0.0 else (level, level + sign * one[name])
        kind = "d5" if sign == 0.0 else "d3" if high >= low else "d4"
        plot.box(
            (j + 0.12, j + 0.88),
            (min(low, high), max(low, high)),
            f"{kind} cell",
            tip=f"{shown}: {one[name]:z,.2f} USD",
        )
        level = high
        plot.text(
            plot.px(j + 0.5),
            plot.py(max(low, high)) - 4,
            _brief(one[name] if sign == 0 else sign * one[name]),
            "tick mid",
        )
    last, left = len(names) - 1, one["profit"]
    plot.box(
        (last + 0.12, last + 0.88), (min(0.0, left), max(0.0, left)), "ink cell", tip=f"VPP's profit: {left:z,.2f} USD"
    )
    plot.text(plot.px(last + 0.5), plot.py(max(0.0, left)) - 4, _brief(left), "tick mid")
    for j, name in enumerate(names):
        plot.text(plot.px(j + 0.5), plot.bottom + 14 + (12 if len(names) > 6 and j % 2 else 0), name, "tick mid")
    return f"<figure>{plot.svg()}</figure>"


def _brief(usd: float) -> str:
    return number(usd, 0 if abs(usd) >= 100 else 1 if abs(usd) >= 10 else 2)


def by_day(courses: Mapping[str, Course], css: Mapping[str, str]) -> str:
    """Draw what VPP and owners had earned up to every day, on one scale."""
    curves = {
        name: {
            label: np.cumsum(c.days[column].to_numpy(dtype=np.float64))
            for label, c in courses.items()
            if column in c.days
        }
        for name, column in (
            ("VPP's profit so far", "actual_profit"),
            ("Members' net benefit so far", "net_benefit"),
        )
    }
    scale = extent([v for some in curves.values() for curve in some.values() for v in curve], zero=True)
    last = max(len(curve) for some in curves.values() for curve in some.values())
    drawn = []
    for name, some in curves.items():
        plot = Plot((1.0, float(max(last, 2))), scale, name, 240).axes("day of the run", "USD", days(last))
        plot.segment((1.0, 0.0), (float(max(last, 2)), 0.0), "zero")
        for policy, curve in some.items():
            plot.line(list(range(1, len(curve) + 1)), curve.tolist(), css[policy], tip=policy)
        drawn.append(f"<figure><figcaption>{markup(name)}</figcaption>{plot.svg()}</figure>")
    keys = legend([(policy, css[policy], "line") for policy in courses])
    return f"<div class=grid2>{''.join(drawn)}</div>{keys}"


def _spikes(courses: Mapping[str, Course], css: Mapping[str, str]) -> str:
    """Draw the share of hourly market revenue from the dearest hours, and say it for a few shares."""
    some = {k: c.dearest_usd / c.dearest_usd[-1] for k, c in courses.items() if c.dearest_usd[-1] > 0.005}
    if not some:
        return "<p>No policy earned anything on the market.</p>"
    scale = extent([min(MOST_SHARE, v) for curve in some.values() for v in 100 * curve] + [100.0], zero=True)
    plot = Plot((0.0, 100.0), scale, "Share of hourly market revenue by price", 260)
    plot.axes("% of hours, the dearest first", "% of revenue without capacity")
    for name, curve in some.items():
        shown = np.where(100 * curve <= MOST_SHARE, 100 * curve, np.nan)
        plot.line((100 * SHARES).tolist(), shown.tolist(), css[name], tip=name)
    at = [round(100 * share) for share in SPIKES]
    rows = [[name, *(percent(float(some[name][k]), 0) if name in some else MISSING for k in at)] for name in courses]
    header = ["policy", *(f"from the dearest {k}\u00a0% of hours" for k in at)]
    note = "<p class=note>Market revenue without firm capacity; above 100 %: made in dear, spent in cheap hours.</p>"
    keys = legend([(name, css[name], "line") for name in some])
    return f"<div class=grid2><figure>{plot.svg()}{keys}</figure><div>{table(header, rows)}{note}</div></div>"


def _captured(courses: Mapping[str, Course], css: Mapping[str, str]) -> str:
    """Draw the real-time price at which each policy sold against the mean price of all hours."""
    price = float(np.mean([c.mean_price for c in courses.values()]))
    rows, cells = [Bar("mean price", price, "ceiling", f"{number(price, 1)}")], []
    for name, c in courses.items():
        sold = 1000.0 * c.sold_usd / c.sold_kwh if c.sold_kwh > 0.0 else None
        paid = 1000.0 * c.bought_usd / c.bought_kwh if c.bought_kwh > 0.0 else None
        if sold is not None:
            rows.append(Bar(name, sold, css[name], f"{number(sold, 1)}, {sold / price:.2f} x"))
        cells.append(
            [name, number(sold, 1), number(paid, 1), number(c.sold_kwh / 1000.0, 3), number(c.bought_kwh / 1000.0, 3)]
        )
    header = ["policy", "sold at, USD/MWh", "bought at, USD/MWh", "sold, MWh", "bought, MWh"]
    drawn = bars(rows, "Price at which energy was sold", "real-time price when it sold, by kWh, USD/MWh")
    return f"<div class=grid2>{drawn}{table(header, cells)}</div>"


def _per_kw(done: Mapping[str, Sequence[Kpis]], courses: Mapping[str, Course]) -> str:
    """Say what a kW brought in a month."""
    rows = []
    for name, c in courses.items():
        months = len(c.days) / MONTH_DAYS
        lines, kw = ledger(done[name]), c.peak_kw
        per = [lines[k] / kw / months if kw > 0.5 else None for k in ("revenue", "payments", "profit")]
        firm = _mean(done[name], lambda k: k.capacity_committed_kw) or 0.0
        pay = _mean(done[name], lambda k: k.capacity_revenue_usd) or 0.0
        rows.append(
            [name, number(kw, 1), *(number(x) for x in per), number(pay / firm / months if firm > 0.5 else None)]
        )
    header = ["policy", "kW shown", "market revenue", "members", "VPP", "firm capacity, per kW committed"]
    note = "kW shown: most that was sold over 15 min; figures in USD per such kW and 30 days. "
    return f"<h3>USD per kW and month</h3>{table(*_seen(header, rows))}<p class=note>{markup(note + REFERENCES)}</p>"


def _products(done: Mapping[str, Sequence[Kpis]]) -> str:
    """Say what capacity and reserve brought."""
    rows = []
    for name, runs in done.items():
        lines = ledger(runs)
        mean = {k: _mean(runs, lambda one, k=k: getattr(one, k)) for k in  # type: ignore[misc]
                ("capacity_committed_kw", "capacity_evenings_called", "capacity_performance", "capacity_revenue_usd",
                 "capacity_clawback_usd", "reserve_mw_h")}  # fmt: skip
        kw, called, shown, pay, back, held = mean.values()
        cells = [number(kw, 1), number(called, 1), percent(shown, 0), number(pay), number(back)]
        rows.append([name, *cells, number(held, 3), number(lines["reserve"]), number(lines["nopay"])])
    header = ["policy", "firm kW committed", "evenings called", "performance", "firm pay, USD", "clawback, USD"]
    header += ["reserve, MW-h", "reserve pay, USD", "no-pay, USD"]
    header, rows = _seen(header, rows)
    return f"<h3>Capacity and reserve</h3>{table(header, rows)}" if len(header) > 1 else ""


def _seen(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns in which nobody has anything."""
    kept = [j for j in range(len(header)) if any(row[j].strip("0.,") not in ("", MISSING) for row in rows)]
    return [header[j] for j in kept], [[row[j] for j in kept] for row in rows]
