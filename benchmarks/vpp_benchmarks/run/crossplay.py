"""Cross-play: every aggregator against every population of owners, on the same months.

A population is a mixture of brains (`owners.brains`); the homes, their values and the prices are the same in all of
them, so that an owner who lies can be compared with itself telling the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from vpp_benchmarks.results.intervals import Interval, interval
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.store import run_folders
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.job import Progress
from vpp_benchmarks.run.plan import PlanError, make_plan
from vpp_benchmarks.run.runner import run_experiment
from vpp_env.owners.brains import Mixture
from vpp_env.scenario import Scenario
from vpp_env.units import Flags, Floats

Shares = tuple[tuple[str, float], ...]
TRUTHFUL = "truthful"
POPULATIONS: dict[str, Shares] = {
    TRUTHFUL: (("truthful", 1.0),),
    "strategic": (("strategic(0.5, 0.5)", 1.0),),
    "liars": (("liar(2)", 1.0),),
    "three in ten lie": (("truthful", 0.7), ("liar(2)", 0.3)),
    "coalition": (("truthful", 0.5), ("liar(1.2)", 0.5)),
    "personas": (("persona('plain')", 0.5), ("persona('haggler')", 0.5)),
    "held-out personas": (("persona('curt')", 0.34), ("persona('storyteller')", 0.33), ("persona('vecina')", 0.33)),
    "model": (("llm('vpp_policies.llm.owner:speaker', markup=0.3, llm='scripted')", 1.0),),
}
"""Name -> brain, share of the homes. What they claim is twice what is so, or half as much again at first [assumed];
a coalition agrees to claim a fifth more, every second owner. Of those who talk `model` is answered for by a program
that stands in for a language model."""
MADE_WITH = (TRUTHFUL, "personas")
"""Owners that policies were made with: self-play."""
KPIS = ("welfare", "total_profit", "member_net_benefit", "deal_rate", "opt_out_days", "owners_lost")


@dataclass(frozen=True)
class Lying:
    """What lying brought in one population under one aggregator, USD a home and month; the same homes, told the truth.

    `liars` and `others` are differences of net benefit less private cost to the population that is truthful.
    """

    population: str
    policy: str
    share: float  # of the homes that lie
    liars: Interval
    others: Interval | None  # None where everybody lies
    welfare: Interval  # of all homes and the VPP together, USD


@dataclass(frozen=True)
class Above:
    """Welfare of one policy above that of one named before it, USD, seed by seed.

    `others` is the mean of the populations that policies were not made with, None where there is none.
    """

    policy: str
    than: str  # the other one
    by_population: Mapping[str, Interval]
    others: Interval | None


@dataclass(frozen=True)
class CrossPlay:
    """What every aggregator came to with every population."""

    cells: Mapping[str, Mapping[tuple[str, str], Interval]]  # KPI -> (policy, population)
    above: tuple[Above, ...]
    lying: tuple[Lying, ...]
    failures: tuple[str, ...]
    names: Mapping[str, str]  # label -> the policy as it was named


def cross_play(
    base: Scenario,
    policies: Sequence[str],
    populations: Mapping[str, Shares],
    seeds: Sequence[int],
    out: Path,
    progress: Progress,
    jobs: int = 1,
    executor: str = "auto",
    home_data: str | Path | None = None,
) -> CrossPlay:
    """Play every policy with every population on every seed; the runs stay in `out`.

    Raises
    ------
    PlanError
        When no population tells the truth: there is nothing to compare lying with.
    """
    if populations.get(TRUTHFUL) != POPULATIONS[TRUTHFUL]:
        raise PlanError(f"cross-play: got the populations {list(populations)}; one must be {TRUTHFUL!r}")
    cases = {f"owners{k}": name for k, name in enumerate(populations)}
    plans = tuple(
        make_plan(base.override({"owners.brains": populations[name]}), policies, seeds, case=case, home_data=home_data)
        for case, name in cases.items()
    )
    run_experiment(Experiment(plans), out, progress, figures=False, workers=jobs, executor=executor, bounded=False)
    found = [RunResult.read(folder) for folder in run_folders(out)]
    runs = {(run.label, cases[run.origin.case], run.origin.seed): run for run in found if run.complete}
    failures = tuple(
        f"{run.label}, {cases[run.origin.case]}, seed {run.origin.seed}: {run.status}: {run.reason}"
        for run in found
        if not run.complete
    )
    names = {contender.label: contender.spec for contender in plans[0].contenders}
    labels = list(names)
    # a seed counts where every policy completed it with every population
    whole = [s for s in seeds if all((label, name, s) in runs for label in labels for name in populations)]
    if not whole:
        return CrossPlay({}, (), (), failures, names)

    def figures(kpi: str, label: str, name: str) -> Floats:
        numbers = [runs[label, name, seed].number(kpi) for seed in whole]
        return np.array([np.nan if x is None else x for x in numbers])

    pairs = [(label, name) for label in labels for name in populations]
    cells = {
        kpi: {pair: interval([x]) for pair in pairs if np.isfinite(x := figures(kpi, *pair)).all()} for kpi in KPIS
    }
    above = []
    for than, label in combinations(labels, 2):
        more = {name: figures("welfare", label, name) - figures("welfare", than, name) for name in populations}
        rest = [x for name, x in more.items() if name not in MADE_WITH]
        by_population = {name: interval([x]) for name, x in more.items()}
        others = interval([np.mean(rest, axis=0)]) if rest else None
        above.append(Above(label, than, by_population, others))
    lying = [
        _lying(runs, label, name, populations[name], whole, figures("welfare", label, name) - truth)
        for name in populations
        if name != TRUTHFUL
        for label in labels
        for truth in [figures("welfare", label, TRUTHFUL)]
    ]
    return CrossPlay(cells, tuple(above), tuple(lying), failures, names)


def _lying(
    runs: Mapping[tuple[str, str, int], RunResult],
    label: str,
    name: str,
    shares: Shares,
    seeds: Sequence[int],
    welfare: Floats,
) -> Lying:
    liars, others = [], []
    for seed in seeds:
        more = gain(runs[label, name, seed]) - gain(runs[label, TRUTHFUL, seed])
        lies = who_lies(shares, seed, len(more))
        liars.append(float(more[lies].mean()) if lies.any() else 0.0)
        others.append(float(more[~lies].mean()) if not lies.all() else 0.0)
    share = sum(part for brain, part in shares if brain != TRUTHFUL)
    rest = interval([np.array(others)]) if share < 1.0 else None
    return Lying(name, label, share, interval([np.array(liars)]), rest, interval([welfare]))


def gain(run: RunResult) -> Floats:
    """(N,) USD: every owner's net benefit less what was taken of its wishes, at its private values."""
    homes = run.table("prosumers")
    return np.asarray(homes["net_benefit_usd"] - homes["private_cost_usd"], dtype=np.float64)


def who_lies(shares: Shares, seed: int, n: int) -> Flags:
    """(N,) bool: owners whose brain is not truthful."""
    names = [brain for brain, _ in shares]
    mixture = Mixture(shares, [seed], n)
    return np.array([names[k] != TRUTHFUL for k in mixture.of_home[0]])
