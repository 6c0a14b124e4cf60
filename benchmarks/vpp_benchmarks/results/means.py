"""Means over seeds of a case, or over all cases and seeds of an experiment, and what their summary holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpp_benchmarks.results.advantages import FLAT, NOT_COMPARED, Advantages, compare_figures, flat
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.results.summary import SeedResult, Spread, ratio_of_sums, spread
from vpp_benchmarks.run.plan import Contender, Plan
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place
from vpp_env.evaluation.verdict import verdict_of


@dataclass(frozen=True)
class PolicyMeans:
    """One policy over the units (case x seed) that it completed."""

    policy: Contender
    verdict: str  # the worst that an audit of one of its runs found
    consent_note: str  # why its consented satisfaction is 0 whatever it does; empty where it is counted somewhere
    completed: frozenset[tuple[str, int]]  # units: case, seed
    means: Mapping[str, Spread]  # KPI -> over units
    minus_first: Mapping[str, Spread]  # KPI -> paired difference from the first policy; empty for the first

    @property
    def complete(self) -> int:
        """How many units it completed."""
        return len(self.completed)


@dataclass(frozen=True)
class Means:
    """Means over units, and paired differences from the first policy (common random numbers)."""

    plans: tuple[Plan, ...]  # one a case
    status: str
    finished: Mapping[str, tuple[int, ...]]  # case -> seeds that were begun
    policies: Mapping[str, PolicyMeans]  # by label, the first policy first

    @property
    def units(self) -> int:
        """Units that were planned."""
        return sum(len(plan.seeds) for plan in self.plans)

    def to_json(self) -> dict[str, Any]:
        """Return what `simulation_summary.json` of several seeds or cases holds."""
        first, several = next(iter(self.policies)), len(self.plans) > 1
        policies: dict[str, Any] = {}
        for label, p in self.policies.items():
            info = p.policy.info
            head = {"spec": p.policy.spec, "information_set": info.information.name, "asks_consent": info.asks_consent}
            head |= {"verdict": p.verdict, "complete_units" if several else "complete_seeds": p.complete}
            policies[label] = head | dict(p.means)
            if label != first:
                policies[label][f"minus_{first}"] = p.minus_first
        out: dict[str, Any] = {"status": self.status, **self._of(), "policies": policies, **plain(self.advantages)}
        for label, p in self.policies.items():
            out |= flat(label, {name: p.means[name].mean for name in FLAT})
        return plain(out)

    def _of(self) -> dict[str, Any]:
        """Say what it is a mean of."""
        scenarios = {
            p.case: {"name": p.scenario.name, "hash": p.scenario.hash, "homes": p.scenario.fleet.size}
            for p in self.plans
        }
        case, seeds = self.plans[0].case, self.plans[0].seeds
        if len(self.plans) == 1:
            of = "seeds that the policy completed, each weighing the same"
            return {"mean_of": of, "scenario": scenarios[case], "seeds": seeds, "finished_seeds": self.finished[case]}
        of = "units (case x seed) that the policy completed, each weighing the same whatever its homes and hours"
        return {"mean_of": of, "cases": scenarios, "seeds": seeds, "finished_seeds": self.finished}

    @property
    def advantages(self) -> Advantages:
        """First policy's means against the second's; of nothing where there are not two that completed the same."""
        if len(self.policies) != 2:
            return NOT_COMPARED
        first, second = self.policies.items()
        what = "units" if len(self.plans) > 1 else "seeds"
        done = [f"{label} completed {p.complete} {what}" for label, p in (first, second)]
        if first[1].complete == second[1].complete:
            done.append("not the same ones")
        broken = done if first[1].completed != second[1].completed else []
        return compare_figures(first[0], second[0], lambda label, kpi: self.policies[label].means[kpi].mean, broken)


def means_of(plans: Sequence[Plan], seeds: Sequence[SeedResult], status: str) -> Means:
    """Return the means over the seeds of some cases; a KPI that ceilings give only where all have it.

    Of several cases there are no standard errors: seeds of a month share its prices, and fleets or scenarios that were
    chosen are no sample; `statistics.json` has the intervals.
    """
    contenders = plans[0].contenders
    first = contenders[0].label
    policies: dict[str, PolicyMeans] = {}
    for contender in contenders:
        label = contender.label
        completed = [s for s in seeds if s.run(label).complete]
        done = [s.run(label) for s in completed]
        pairs = [(s.run(label), s.run(first)) for s in seeds if s.run(label).complete and s.run(first).complete]
        means: dict[str, Spread] = {}
        for kpi in table(Place.MEANS):
            known = [v for v in (run.number(kpi.name) for run in done) if v is not None]
            if kpi.of_ceilings is None or (done and len(known) == len(done)):
                means[kpi.name] = ratio_of_sums(kpi, done) if kpi.weighed_by else spread(known)
        minus: dict[str, Spread] = {}
        for kpi in table(Place.DIFFERENCES) if label != first else ():
            values = [(a.number(kpi.name), b.number(kpi.name)) for a, b in pairs]
            minus[kpi.name] = spread([a - b for a, b in values if a is not None and b is not None])
        if len(plans) > 1:
            means, minus = ({k: replace(v, standard_error=None) for k, v in of.items()} for of in (means, minus))
        mine = [s.run(label) for s in seeds]
        notes = {run.consent_note for run in mine}
        note = min(notes, default="")  # empty before any other
        units = frozenset((s.case, s.seed) for s in completed)
        policies[label] = PolicyMeans(contender, verdict_of(run.audit for run in mine).value, note, units, means, minus)
    finished = {plan.case: tuple(s.seed for s in seeds if s.case == plan.case) for plan in plans}
    return Means(tuple(plans), status, finished, policies)
