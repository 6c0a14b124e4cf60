"""Whether the order of policies depends on what we assumed: one parameter changed at a time, all policies play again.

Distances between orders are Kendall's: pairs of policies that stand the other way round; a pair that is tied in one
order only counts half (Fagin et al. 2006, "Comparing partial rankings", p = 1/2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from vpp_benchmarks.results.advantages import NOTHING
from vpp_benchmarks.results.orders import DEFAULT, Order, Sensitivity
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.job import Progress
from vpp_benchmarks.run.plan import PlanError, make_plan, parse_override
from vpp_benchmarks.run.runner import run_experiment
from vpp_env.errors import ScenarioError
from vpp_env.scenario import Scenario


@dataclass(frozen=True)
class Change:
    """One parameter, changed."""

    path: str  # section.field
    value: Callable[[Any], Any]  # from the scenario's own
    note: str = ""  # what is done where the value does not say it

    def label(self, value: Any) -> str:
        """Return what is shown."""
        return f"{self.path} {self.note or f'= {value}'}"


def to(value: Any) -> Callable[[Any], Any]:
    """Return a change that sets a value."""
    return lambda own: value


CHANGES: tuple[Change, ...] = (
    Change("satisfaction.weights", lambda own: tuple(1.0 / len(own) for _ in own), "all the same"),
    Change("satisfaction.weights", lambda own: tuple(reversed(own)), "the other way round"),
    Change("preferences.private_value_factor", lambda own: own * 0.5, "x .5"),
    Change("preferences.private_value_factor", lambda own: own * 2.0, "x 2"),
    Change("owners.patience", to("endless")),
    Change("owners.tolerance_factor", lambda own: own * 0.5, "x .5"),
    Change("owners.tolerance_factor", lambda own: own * 2.0, "x 2"),
    Change("market.minimum", to("award")),
    Change("market.min_bid_mw", to(0.0)),
    Change("market.gate_lead_minutes", to(0)),
    Change("market.gate_lead_minutes", to(75)),
    Change("market.margin", to(0.0)),
    Change("market.margin", to(0.2)),
    Change("market.payment", to("uniform")),
    Change("market.payment", to("pay_as_bid")),
    Change("market.call_probability", to(0.0)),
    Change("market.call_probability", lambda own: own * 5.0, "x 5"),
)
"""What is changed. A field that a scenario does not have is skipped, and said."""


def changed(base: Scenario, given: Sequence[str], only_given: bool) -> tuple[dict[str, Scenario], list[str]]:
    """Return the scenarios to play by label, the one as it is first, and what is skipped with the reason.

    `given` are texts `section.field=value`.

    Raises
    ------
    VppError
        When a change that was given is not possible.
    """
    made, skipped = {DEFAULT: base}, []
    for change in () if only_given else CHANGES:
        section, _, field = change.path.partition(".")
        own = base.to_dict().get(section)
        if not isinstance(own, dict) or field not in own:
            skipped.append(f"{change.path} {change.note}: the scenario has no such field".replace(" :", ":"))
            continue
        value = change.value(own[field])
        try:
            scenario = base.override({change.path: value})
        except ScenarioError as error:
            skipped.append(f"{change.label(value)}: {error}")
            continue
        _add(made, skipped, change.label(value), scenario)
    for text in given:
        path, value = parse_override(text, base)
        _add(made, skipped, f"{path} = {value}", base.override({path: value}))
    if len(made) < 2:
        raise PlanError(f"nothing is changed: {'; '.join(skipped) or 'give --change section.field=value'}")
    return made, skipped


def _add(made: dict[str, Scenario], skipped: list[str], label: str, scenario: Scenario) -> None:
    same = next((name for name, other in made.items() if other.hash == scenario.hash), None)
    if same is None:
        made[label] = scenario
    else:
        skipped.append(f"{label}: the same as {same!r}")


def sensitivity(
    scenarios: Mapping[str, Scenario],
    skipped: Sequence[str],
    policies: Sequence[str],
    seeds: Sequence[int],
    kpis: Sequence[str],
    progress: Progress,
    jobs: int = 1,
    executor: str = "auto",
    data: tuple[str | None, str | None, str | None] = (None, None, None),
) -> Sensitivity:
    """Play every policy on every seed of every scenario; compare the orders by `kpis`, of which more is better.

    `data` are measured prices, their node, and homes of one's own.
    """
    market_data, node, homes = data
    cases = {f"change{k}": label for k, label in enumerate(scenarios)}
    made = zip(cases, scenarios.values(), strict=True)
    plans = tuple(
        make_plan(scenario, policies, seeds, market_data, node, case, home_data=homes) for case, scenario in made
    )
    found = run_experiment(Experiment(plans), None, progress, figures=False, workers=jobs, executor=executor)
    orders: list[Order] = []
    failures: list[str] = []
    for case, label in cases.items():
        mine = [seed for seed in found.seeds if seed.case == case]
        failures += [
            f"{label}: {run.label}, seed {seed.seed}: {run.status}: {run.reason}"
            for seed in mine
            for run in seed.runs
            if not run.complete
        ]
        means = {kpi: _means(mine, kpi) for kpi in kpis}
        first = orders[0].means if orders else means
        distance = {kpi: kendall(means[kpi], first[kpi]) for kpi in kpis}
        orders.append(Order(label, sum(len(s.done) == len(s.runs) for s in mine), means, distance))
    count = len(plans[0].contenders)
    return Sensitivity(tuple(orders), tuple(skipped), tuple(failures), count * (count - 1) // 2)


def _means(seeds: Sequence[SeedResult], kpi: str) -> dict[str, float]:
    """Mean of a KPI by policy over the seeds that all completed; empty where there is none."""
    whole = [seed for seed in seeds if len(seed.done) == len(seed.runs)]
    labels = [run.label for run in whole[0].runs] if whole else []
    values = {label: [seed.run(label).number(kpi) for seed in whole] for label in labels}
    return {label: float(np.mean([np.nan if v is None else v for v in some])) for label, some in values.items()}


def kendall(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Return the Kendall distance of two orders of the same names; NaN where one has no figures."""
    if not a or a.keys() != b.keys() or not np.isfinite([*a.values(), *b.values()]).all():
        return float("nan")

    def way(of: Mapping[str, float], x: str, y: str) -> int:
        return 0 if abs(of[x] - of[y]) <= NOTHING else (1 if of[x] > of[y] else -1)

    return sum(abs(way(a, x, y) - way(b, x, y)) / 2.0 for x, y in combinations(a, 2))
