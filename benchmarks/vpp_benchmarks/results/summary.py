"""What the runs of one seed come to, and the arithmetic of means over several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vpp_benchmarks.results.advantages import FLAT, NOT_COMPARED, Advantages, compare_figures, flat
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.results.run_result import COMPLETE, FAILED, INTERRUPTED, NOT_RUN, RunResult
from vpp_env.evaluation.kpi_entry import Ceilings, Kpi
from vpp_env.scenario import Scenario


def overall(states: Sequence[str]) -> str:
    """One status of several: interrupted before failed before complete."""
    if INTERRUPTED in states or NOT_RUN in states:
        return INTERRUPTED
    return FAILED if FAILED in states else COMPLETE


def advantages(first: RunResult, second: RunResult) -> Advantages:
    """Compare two runs of one seed."""
    runs = {run.label: run for run in (first, second)}
    broken = [f"{run.label} is {run.status}" for run in (first, second) if not run.complete]
    return compare_figures(first.label, second.label, lambda label, kpi: runs[label].number(kpi), broken)


@dataclass(frozen=True)
class SeedResult:
    """Every policy's run of one seed of one case, without tables; KPIs hold what the ceilings give."""

    runs: tuple[RunResult, ...]  # in the order in which policies were named; at least one
    ceilings: Ceilings | None = None

    @classmethod
    def of(cls, runs: Sequence[RunResult], ceilings: Ceilings | None) -> SeedResult:
        """Sum up the runs of a seed."""
        light = [run.without_tables() for run in runs]
        return cls(tuple(run if ceilings is None else run.scored(ceilings) for run in light), ceilings)

    @property
    def case(self) -> str:
        """Name of the case."""
        return self.runs[0].origin.case

    @property
    def seed(self) -> int:
        """Seed of fleet, weather and prices."""
        return self.runs[0].origin.seed

    @property
    def status(self) -> str:
        """Of all runs."""
        return overall([run.status for run in self.runs])

    @property
    def seconds(self) -> float:
        """Wall clock of all runs."""
        return sum(run.seconds for run in self.runs)

    @property
    def played(self) -> int:
        """Opportunities, of the run that played most."""
        return max(run.played for run in self.runs)

    @property
    def done(self) -> tuple[RunResult, ...]:
        """Runs that are complete."""
        return tuple(run for run in self.runs if run.complete)

    @cached_property
    def scenario(self) -> Scenario:
        """What was played."""
        return self.runs[0].origin.scenario.full

    @property
    def price_source(self) -> Mapping[str, str]:
        """Kind of price -> file or model."""
        return next((run.origin.prices.series for run in self.runs if run.origin.prices.series), {})

    @property
    def price_kinds(self) -> Mapping[str, str]:
        """Kind of price -> `measured` or `seeded`; empty where no month could be built."""
        return next((run.origin.prices.kinds for run in self.runs if run.origin.prices.series), {})

    @property
    def home_kinds(self) -> Mapping[str, str]:
        """Series of homes that were brought -> `measured`, `measured in part`, `generated`; empty: all generated."""
        return next((run.origin.homes.kinds for run in self.runs if run.origin.homes.series), {})

    @cached_property
    def advantages(self) -> Advantages | None:
        """First policy against second; None where there are not two."""
        return advantages(*self.runs) if len(self.runs) == 2 else None

    def run(self, label: str) -> RunResult:
        """Return the run of a policy."""
        return next(run for run in self.runs if run.label == label)

    @cached_property
    def ladder(self) -> list[tuple[str, float]]:
        """(rung, USD) upwards: doing nothing, every policy's welfare, and the ceilings; empty where there are none."""
        welfare = {run.label: run.kpis.welfare for run in self.done if run.kpis is not None}
        return [] if self.ceilings is None else self.ceilings.ladder(welfare)

    def to_json(self) -> dict[str, Any]:
        """Return what `simulation_summary.json` holds: strict JSON data."""
        s = self.scenario
        out: dict[str, Any] = {
            "status": self.status,
            "scenario": {
                "name": s.name,
                "hash": self.runs[0].origin.scenario.hash,
                "market_version": self.runs[0].origin.scenario.market_version,
                "homes": s.fleet.size,
                "start": s.time.start,
                "hours": s.hours,
                "opportunity_minutes": s.time.opportunity_minutes,
                "min_bid_mw": s.market.min_bid_mw,
                "clearing": s.market.clearing,
                "payment": s.market.payment,
            },
            "seed": self.seed,
            "price_source": self.price_source,
            "price_kinds": self.price_kinds,
            **({"home_kinds": self.home_kinds} if self.home_kinds else {}),
            "total_timesteps": self.played,
            "planned_timesteps": s.n_opportunities,
            "policies": {run.label: run.summary_json(scored=self.ceilings is not None) for run in self.runs},
        }
        if self.ceilings is not None:
            out["ceilings"] = self.ceilings
            out["ladder"] = [{"rung": rung, "usd": usd} for rung, usd in self.ladder]
        out |= plain(self.advantages or NOT_COMPARED)
        for run in self.runs:
            out |= flat(run.label, {name: run.number(name) for name in FLAT})
        out["total_simulation_time_minutes"] = self.seconds / 60.0
        return plain(out)


def mean_ladder(seeds: Sequence[SeedResult]) -> tuple[int, list[tuple[str, float]]]:
    """Return the seeds that have ceilings, how many, and the mean of every rung that all of them have, upwards."""
    ladders = [dict(seed.ladder) for seed in seeds if seed.ladder]
    shared = [name for name in ladders[0] if all(name in one for one in ladders)] if ladders else []
    means = [(name, math.fsum(one[name] for one in ladders) / len(ladders)) for name in shared]
    return len(ladders), sorted(means, key=lambda rung: rung[1])


@dataclass(frozen=True)
class Spread:
    """A figure over seeds; None where there are too few."""

    n: int
    mean: float | None
    std: float | None  # between seeds
    standard_error: float | None  # of the mean


def spread(values: Sequence[float]) -> Spread:
    """Return mean, standard deviation and standard error."""
    n = len(values)
    if n == 0:
        return Spread(0, None, None, None)
    std = float(np.std(values, ddof=1)) if n > 1 else None
    return Spread(n, float(np.mean(values)), std, None if std is None else std / math.sqrt(n))


def mean_of(kpi: Kpi, runs: Sequence[RunResult]) -> float | None:
    """Mean of a KPI over the runs that have it; of one with a weight the ratio of sums. None where none has it."""
    pairs = [(run.number(kpi.name), run.number(kpi.weighed_by) if kpi.weighed_by else 1.0) for run in runs]
    known = [(value, weight) for value, weight in pairs if value is not None and weight is not None]
    total = math.fsum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total > 0.0 else None


def ratio_of_sums(kpi: Kpi, runs: Sequence[RunResult]) -> Spread:
    """Return a ratio of sums over runs; its standard error is that of the ratio (the delta method)."""
    share = mean_of(kpi, runs)
    if share is None or len(runs) < 2:
        return Spread(len(runs), share, None, None)
    pairs = np.array([(run.number(kpi.name), run.number(kpi.weighed_by)) for run in runs], dtype=np.float64)
    off = pairs[:, 1] * (pairs[:, 0] - share) / pairs[:, 1].mean()
    std = float(np.std(off, ddof=1))
    return Spread(len(runs), share, std, std / math.sqrt(len(runs)))
