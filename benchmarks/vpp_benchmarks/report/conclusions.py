"""Sentences computed from the runs of a seed: none is fixed, each states a figure and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpp_benchmarks.report.tables import number, percent, score
from vpp_benchmarks.results.notes import prices_text
from vpp_benchmarks.results.run_result import MEASURED, SEEDED
from vpp_benchmarks.results.summary import SeedResult
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi import Kpis
from vpp_env.scenario.splits import not_of_test

Policies = Mapping[str, Kpis]
"""Label -> KPIs, of the runs that are complete."""
SAME_SATISFACTION = 5e-5
"""Difference that is not visible at the four digits shown."""
SAME_USD = 0.005
THIN_USD_PER_HOME_DAY = 1.0
"""Net energy revenue below which a home's energy is called thin: less than its own bill of a summer day, assumed."""


def conclusions(seed: SeedResult) -> list[str]:
    """Return what the figures of one seed say."""
    done: Policies = {run.label: run.kpis for run in seed.done if run.kpis is not None}
    lines = [
        f"{run.label} is {run.status} ({run.reason}) and is left out of what follows."
        for run in seed.runs
        if not run.complete
    ]
    if not done:
        return [*lines, "No policy played the whole run: nothing can be concluded."]
    sees = {run.label: run.info.information for run in seed.done}
    silent = [run.label for run in seed.done if not run.info.asks_consent]
    market, first, *others = seed.scenario.market, *done
    for other in others:
        lines += [_profit(done, first, other), _foresight(sees, first, other), _satisfaction(done, first, other)]
    lines += [_dominated(done), _consent(silent), _violations(done), *_sources(done)]
    lines += [_thin(done, seed.scenario.hours), _void(done, market.min_bid_mw)]
    lines += [_out(done), _nothing(done)]
    return [line for line in lines if line]


def _ordered(done: Policies, first: str, second: str, kpi: str) -> tuple[str, float, str, float]:
    """Return the better policy and its value, then the other."""
    values = {name: done[name].number(kpi) or 0.0 for name in (first, second)}
    high, low = sorted((first, second), key=lambda name: -values[name])
    return high, values[high], low, values[low]


def _profit(done: Policies, first: str, second: str) -> str:
    more, high, less, low = _ordered(done, first, second, "total_profit")
    if high - low < SAME_USD:
        text = f"{first} and {second} earn the VPP the same, {number(high)} USD"
    else:
        text = f"{more} earns the VPP {number(high)} USD, {less} {number(low)} USD: {number(high - low)} USD more"
        text += f", {high / low:.2f} times as much" if low > SAME_USD else ""
    surplus = [f"{number(done[name].joint_surplus)} USD with {name}" for name in (first, second)]
    return f"{text}. Counting the members' own gain as well, the joint surplus is {_and(surplus)}."


def _foresight(sees: Mapping[str, Information], first: str, second: str) -> str:
    if sees[first] is sees[second]:
        return ""
    text = f"They do not see the same: {first} decides on {sees[first].name}, {second} on {sees[second].name}."
    seers = [name for name in (first, second) if sees[name] is Information.ORACLE]
    if seers:
        text += f" {seers[0]} knows the future, which no operator can: its figure is a yardstick, not a rival."
    return text


def _satisfaction(done: Policies, first: str, second: str) -> str:
    more, high, less, low = _ordered(done, first, second, "avg_satisfaction")
    same = high - low < SAME_SATISFACTION
    if same:
        text = f"{first} and {second} are equally satisfying ({score(high)} and {score(low)})"
    else:
        points = number(100 * (high - low))
        text = f"{more} is more satisfying: {score(high)} against {score(low)} of {less}, {points} points of 100"
    worst = [f"{score(done[name].worst_decile_satisfaction)} with {name}" for name in (first, second)]
    text += f"; the worst-off tenth of the homes has {_and(worst)}."
    if not same:
        overlap = done[less].satisfaction_weight_q95 >= done[more].satisfaction_weight_q05
        turns = "may depend" if overlap else "does not depend"
        text += f" The order {turns} on the weights of the components (5 % to 95 % quantiles)."
    return text


def _dominated(done: Policies) -> str:
    """Name who is worse than somebody else in profit and satisfaction alike."""
    out = []
    for label, p in done.items():
        better = [
            other
            for other, q in done.items()
            if q.total_profit > p.total_profit + SAME_USD
            and q.avg_satisfaction > p.avg_satisfaction + SAME_SATISFACTION
        ]
        if better:
            out.append(f"{label} by {_and(better)}")
    if out:
        return f"Beaten in profit and satisfaction at once: {'; '.join(out)}."
    return "No policy is beaten in profit and satisfaction at once." if len(done) > 1 else ""


def _consent(silent: Sequence[str]) -> str:
    if not silent:
        return ""
    return (
        f"{_and(silent)} {'asks' if len(silent) == 1 else 'ask'} nobody: `satisfaction_consented` is 0 by "
        "construction, not by measurement; `avg_satisfaction` is what the same evaluator measures for everybody."
    )


def _violations(done: Policies) -> str:
    parts = []
    for label, p in done.items():
        kinds = {kind: n for kind, n in p.total_violations.by_kind.items() if n}
        listed = ", ".join(f"{k} {number(v, 0)}" for k, v in sorted(kinds.items(), key=lambda kv: -kv[1]))
        parts.append(f"{label} {number(p.total_violations.total, 0)}" + (f" ({listed})" if listed else ""))
    return f"Violations of the owners' preferences: {'; '.join(parts)}."


def _out(done: Policies) -> str:
    """Who tired: owners who opted out, and who left for good."""
    parts = []
    for label, p in done.items():
        if p.opt_out_days:
            left = f"{number(p.owners_lost, 0)} left for good" if p.owners_lost else "none left for good"
            parts.append(f"with {label} {percent(p.opt_out_share, 1)} of all owner-days, {left}")
    if not parts:
        return "No owner opted out."
    others = "" if len(parts) == len(done) else "; with the others nobody"
    return f"Owners opted out: {'; '.join(parts)}{others}."


def _nothing(done: Policies) -> str:
    """What doing nothing is worth to owners who joined for a gain."""
    idle = [label for label, p in done.items() if not (p.total_capacity_mwh or p.bought_mwh or p.forced_mwh)]
    if not idle:
        return ""
    scores = _and([score(done[label].avg_satisfaction) for label in idle])
    return (
        f"{_and(idle)} did nothing: that breaks no preference and gives nobody what it joined for (satisfaction "
        f"{scores})."
    )


def _sources(done: Policies) -> list[str]:
    lines = []
    for label, p in done.items():
        money, sold = p.money, p.sold_mwh
        if money.revenue <= SAME_USD:
            lines.append(f"{label} earns nothing worth naming on the market ({number(money.revenue)} USD).")
            continue
        energy, reserve, paid = (
            percent(part / money.revenue, 0) for part in (money.energy, money.reserve, money.payments)
        )
        text = f"{label}: of {number(money.revenue)} USD market revenue {energy} is energy and {reserve} reserve; "
        text += f"{paid} goes to the members."
        if sold > 0:
            devices = {"deferred charging": p.deferred_mwh, "batteries": p.bess_mwh, "V2G": p.v2g_mwh}
            shares = ", ".join(f"{percent(mwh / sold, 0)} {name}" for name, mwh in devices.items())
            text += f" Of {number(sold)} MWh sold, {shares}."
        lines.append(text)
    return lines


def _thin(done: Policies, hours: int) -> str:
    days = hours / 24.0
    parts = [f"{number(p.energy_revenue_per_home)} USD with {label}" for label, p in done.items()]
    most = max(p.energy_revenue_per_home for p in done.values())
    verdict = "Energy alone is thin" if most < THIN_USD_PER_HOME_DAY * days else "Energy"
    return f"{verdict}: net energy revenue per home in {days:.4g} days is {_and(parts)}, before anybody is paid."


def _void(done: Policies, min_bid_mw: float) -> str:
    if min_bid_mw <= 0:
        return ""
    parts = []
    for label, p in done.items():
        counts = f"{number(p.void_intervals, 0)} of {number(p.cleared_intervals, 0)}"
        parts.append(f"{label} {percent(p.void_interval_share, 0)} ({counts})")
    return (
        f"Below the minimum bid of {min_bid_mw:g} MW an energy award is void; of the 15-min intervals in "
        f"which bids would clear these are: {', '.join(parts)}."
    )


def caveats(seed: SeedResult) -> list[str]:
    """Return what the figures do not show."""
    lines = [f"One seed ({seed.seed}): nothing about chance. `--seeds test:10` gives means and intervals."]
    if MEASURED not in seed.price_kinds.values():
        lines.append(
            "Prices are synthetic, calibrated to CAISO statistics; `--market-data PATH` runs on measured ones."
        )
    elif SEEDED in seed.price_kinds.values():
        lines.append(f"Not all prices are measured: {prices_text(seed.price_kinds)} (sources: manifest.json).")
    lines += [text for text in [not_of_test([seed.seed])] if text]
    return [
        *lines,
        "The VPP is a price taker in a simplified CAISO market; a bid does not move the price.",
        "Preferences, premiums and several shares are assumptions of the scenario; `vpp-env scenario NAME` "
        "prints the source of every field.",
        "Satisfaction is a model of owners, not a survey. The consented column measures acceptance, which "
        "`avg_satisfaction` does not.",
        "What homes hold more or less than without the market at the end counts in their net benefit, at their own "
        "cost of replacing it.",
    ]


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
