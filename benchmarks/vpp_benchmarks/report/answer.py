"""The first screen: who earned what, who was better off, who left, what was to be had, whether it is chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Bar, Markup, bars, bullets, colors, markup, swatch, table
from vpp_benchmarks.report.tables import MISSING, bracketed, number, percent
from vpp_benchmarks.results.intervals import CONFIDENCE, LEAST_UNITS
from vpp_benchmarks.results.lead import RANKED_BY, Lead, lead
from vpp_benchmarks.results.notes import completed, homes_line, named, notes, prices_line
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.summary import mean_ladder, mean_of
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi import table as kpis
from vpp_env.evaluation.kpi_entry import LADDER

IDLE, NO_FORESIGHT, CEILING = "idle", LADDER["no_foresight"], LADDER["welfare"]
RUNGS = {
    IDLE: "doing nothing",
    NO_FORESIGHT: "most to be had without foresight of prices",
    CEILING: "most to be had with perfect foresight",
}
"""Rungs of the ladder that are not policies."""
SAME_USD = 0.005
WHOLE_USD = 100.0
"""USD from which cents are left out."""
NAMED = 3
"""Policies that a sentence names."""


@dataclass(frozen=True)
class Standing:
    """What a policy came to: means over the units that it completed, USD and homes."""

    label: str
    profit: float
    owners: float  # their gain: net benefit less private cost
    welfare: float
    share_of_na: float | None
    worse_off: float  # owners whose net benefit is below their private cost
    lost: float  # owners who left for good
    days_out: float  # owner-days
    sees: Information


def standings(m: Material) -> list[Standing]:
    """Return every policy that completed a unit, the highest welfare first."""
    entries = {kpi.name: kpi for kpi in kpis()}
    found = []
    for label in m.planned.labels:
        runs = [run for seed in m.seeds for run in seed.done if run.label == label]
        if not runs:
            continue

        def mean(name: str, runs: Sequence[RunResult] = runs) -> float | None:
            return mean_of(entries[name], runs)

        profit, owners, welfare = (mean(name) or 0.0 for name in ("total_profit", "owners_gain", RANKED_BY))
        worse, lost, out = (mean(name) or 0.0 for name in ("owners_worse_off", "owners_lost", "opt_out_days"))
        share, sees = mean("share_of_na"), runs[0].info.information
        found.append(Standing(label, profit, owners, welfare, share, worse, lost, out, sees))
    return sorted(found, key=lambda one: -one.welfare)


def answer(m: Material) -> str:
    """Return the first screen."""
    found = standings(m)
    # where prices and homes are from stands above
    said = [line for line in notes(m.planned, m.seeds) if line not in (prices_line(m.seeds), homes_line(m.seeds))]
    if not found:
        return f"<p class=lead>No policy played a whole run: nothing can be concluded.</p>{bullets(said)}"
    ahead = lead(m.seeds)
    _, rungs = mean_ladder(m.seeds)
    answers = {
        "Who earned what": _earned(found),
        "Who was worse off": _worse_off(found, m.seeds[0].scenario.fleet.size),
        "Who left": _left(found),
        "What could have been had": _had(found, dict(rungs)),
        "Is the difference real": _real(ahead),
    }
    told = [Markup(f"<strong>{name}.</strong> {markup(text)}") for name, text in answers.items() if text]
    return (
        f"<p class=lead>{markup(_headline(found, ahead))}</p><div class=first><div>{_ladder(m, found, rungs)}</div>"
        f"<div>{_table(m, found, ahead)}</div>{bullets([*told, *said], 'said two')}</div>"
    )


def _headline(found: Sequence[Standing], ahead: Lead | None) -> str:
    """Say who leads, by how much, and whether that is chance."""
    best, *others = found
    text = f"{best.label} is worth most to VPP and owners together: {_usd(best.welfare)} of welfare"
    text += f", {_usd(best.profit)} to the VPP and {_usd(best.owners)} to the owners"
    if not others:
        return f"{text}."
    gap = best.welfare - others[0].welfare
    text += f"; {_usd(gap)} more than {others[0].label}"
    row = ahead.of(others[0].label) if ahead is not None and ahead.policy == best.label else None
    if row is None or ahead is None or ahead.units < 2:
        return f"{text}, in one run, which says nothing about chance."
    return f"{text}, {'more than chance' if row.told_apart else 'which may be chance'}."


def _usd(value: float) -> str:
    return f"{number(value, 0 if abs(value) >= WHOLE_USD else 2)} USD"


def _earned(found: Sequence[Standing]) -> str:
    rich, kind = max(found, key=lambda s: s.profit), max(found, key=lambda s: s.owners)
    return (
        f"Most to the VPP with {rich.label}, {_usd(rich.profit)}; most to the owners with {kind.label}, "
        f"{_usd(kind.owners)} (pay - bill - wear - what broken wishes are worth to them)."
    )


def _worse_off(found: Sequence[Standing], homes: int) -> str:
    """Say how many owners would have been better off without a market."""
    some = [s for s in found if s.worse_off >= SAME_USD]
    if not some:
        return f"Nobody, of {homes} owners."
    return f"Of {homes} owners, against no market: {_most_of(found, some, 'worse_off', '')}."


def _left(found: Sequence[Standing]) -> str:
    """Say who lost owners."""
    out = [s for s in found if s.days_out >= SAME_USD or s.lost >= SAME_USD]
    gone = [s for s in out if s.lost >= SAME_USD]
    if not out:
        return "Nobody, not for a day."
    text = _most_of(found, gone, "lost", " for good") if gone else "Nobody for good"
    most = max(out, key=lambda s: s.days_out)
    return f"{text}. Days on which owners took no bid: at most {_count(most.days_out)}, with {most.label}."


def _most_of(found: Sequence[Standing], some: Sequence[Standing], what: str, more: str) -> str:
    """Name who has most of `what`, three at most."""
    ranked = sorted(some, key=lambda s: -getattr(s, what))
    text = _list([f"{_count(getattr(s, what))}{more} with {s.label}" for s in ranked[:NAMED]])
    if len(ranked) > NAMED:
        text += f", fewer with {len(ranked) - NAMED} more"
    return text + (
        f"; nobody with the other{'s' if len(found) - len(some) > 1 else ''}" if len(some) < len(found) else ""
    )


def _p(p: float | None) -> str:
    """Write a p value in little room."""
    return MISSING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _count(mean: float) -> str:
    """Write a mean of counts."""
    return number(mean, 0 if abs(mean - round(mean)) < SAME_USD else 1)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _had(found: Sequence[Standing], rungs: Mapping[str, float]) -> str:
    """Say what could have been had."""
    idle, top = rungs.get(IDLE), rungs.get(CEILING)
    if idle is None or top is None:
        return "Not worked out (--no-ceilings)."
    best = found[0]
    text = f"{_usd(top)} with perfect foresight"
    na = rungs.get(NO_FORESIGHT)
    if na is not None:
        text += f", {_usd(na)} without (in the mean over months)"
    if top - idle > SAME_USD:
        share = best.share_of_na if na is not None else None
        of = f"{percent(share, 0)} of what is to be had without foresight and " if share is not None else ""
        text += f". {best.label} takes {of}{percent((best.welfare - idle) / (top - idle), 0)} of it all"
    seers = [s.label for s in found if s.sees is Information.ORACLE]
    if seers:
        text += f"; {_list(seers)} {'knows' if len(seers) == 1 else 'know'} the future, which no operator can"
    return f"{text}."


def _real(ahead: Lead | None) -> str:
    """Say whether the lead is more than chance."""
    if ahead is None or not ahead.behind:
        return ""
    if ahead.units < 2:
        return "One seed says nothing about chance; --seeds test:10 gives intervals and tests."
    if ahead.units < LEAST_UNITS:
        return f"{ahead.units} runs are too few to say; run at least {LEAST_UNITS}, better 10."
    apart = [row.policy for row in ahead.behind if row.told_apart]
    alike = [row.policy for row in ahead.behind if not row.told_apart]
    text = f"On the same {ahead.units} seeds and months (by signed-rank test, Holm over all pairs, and by interval) "
    parts = [f"{ahead.policy} is ahead of {_list(apart)} by more than chance"] if apart else []
    if alike:
        parts.append(f"{'it' if apart else ahead.policy} cannot be told from {_list(alike)}")
    return f"{text}{', and '.join(parts)}."


def ladder_of(m: Material) -> str:
    """Return the drawing of the ladder; empty where no policy played a whole run."""
    found = standings(m)
    return _drawn(m, found, mean_ladder(m.seeds)[1]) if found else ""


def _ladder(m: Material, found: Sequence[Standing], rungs: Sequence[tuple[str, float]]) -> str:
    """Return the ladder, and what its rungs are."""
    there = dict(rungs)
    keys = [f"{name}: {what}" for name, what in RUNGS.items() if name in there]
    whiskers = [f"line: {percent(CONFIDENCE, 0)} interval"] if len(m.seeds) >= LEAST_UNITS else []
    said = markup("; ".join([*keys, *whiskers]))
    drawn = _drawn(m, found, rungs)
    return f"<h2>Compared with what could have been had</h2>{drawn}<p class=note>{said}.</p>"


def _drawn(m: Material, found: Sequence[Standing], rungs: Sequence[tuple[str, float]]) -> str:
    """Draw idle, policies and ceilings, the highest above."""
    digits = 0 if max(abs(s.welfare) for s in found) >= WHOLE_USD else 2
    css, means = colors(m.planned.labels), {} if m.statistics is None else m.statistics.policies
    rows = []
    for s in found:
        spread = means[s.label][RANKED_BY].mean if s.label in means else None
        whisker = None if spread is None or spread.low is None or spread.high is None else (spread.low, spread.high)
        rows.append(Bar(s.label, s.welfare, css[s.label], number(s.welfare, digits), whisker, strong=True))
    there = dict(rungs)
    rows += [Bar(name, there[name], css.get(name, "ceiling"), number(there[name], digits)) for name in RUNGS
             if name in there and name not in {s.label for s in found}]  # fmt: skip
    rows.sort(key=lambda bar: -bar.value)
    best = max(max(bar.value for bar in rows), SAME_USD)
    # who destroys more than anybody makes would make all others a line
    least = -best if min(bar.value for bar in rows) < -2.0 * best else None
    return bars(rows, "Ladder of welfare", "welfare, USD a run", least=least)


def _table(m: Material, found: Sequence[Standing], ahead: Lead | None) -> str:
    """Return the figures of every policy, one a row."""
    css, told = colors(m.planned.labels), ahead is not None and ahead.units >= LEAST_UNITS
    header = ["policy", "sees", "VPP, USD", "owners, USD", "welfare, USD"]
    header += ["behind [95 %], USD", "p (Holm)"] if told else ["behind, USD"]
    shares = any(s.share_of_na is not None for s in found)
    header += ["share of U_na"] if shares else []
    header += ["worse off", "left", "days out"]
    digits = 0 if max(abs(s.welfare) for s in found) >= WHOLE_USD else 2
    done, units = completed(m.planned, m.seeds), len(m.planned.units)
    names = {s.label: named(s.label, done[s.label], units) for s in found}
    rows = []
    for s in found:
        row = None if ahead is None else ahead.of(s.label)
        cells = [Markup(f"<span class=who>{swatch(css[s.label])}{markup(names[s.label])}</span>"), s.sees.name]
        cells += [number(usd, digits) for usd in (s.profit, s.owners, s.welfare)]
        cells.append(MISSING if row is None else bracketed(row.difference, digits))
        cells += [_p(None if row is None else row.p)] if told else []
        cells += [percent(s.share_of_na, 0)] if shares else []
        cells += [_count(x) for x in (s.worse_off, s.lost, s.days_out)]
        rows.append(cells)
    note = f"Means over {len(m.seeds)} runs" if len(m.seeds) > 1 else f"Seed {m.seeds[0].seed} of {m.seeds[0].case}"
    said = (
        f"<p class=note>{markup(note)}; welfare = VPP's profit + owners' gain; behind: to the first; worse off: owners "
    )
    said += "against no market; left: for good; days out: owner-days without a bid.</p>"
    return f"<h2>Who earned what, who left</h2>{table(header, rows, 2, cards=True)}{said}"
