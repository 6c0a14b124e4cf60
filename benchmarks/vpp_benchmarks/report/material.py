"""What the report of an experiment shows: sums over all runs, and one unit with its tables.

`Gathering` takes the runs as they come, from memory or from folders, and keeps small sums of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.report.course import Course, course_of, local_days, mean_course
from vpp_benchmarks.report.home import paid
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned, Unit, read_ceilings, statistics_of
from vpp_benchmarks.results.orders import Study, read_study
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.plan import PlanError
from vpp_env.evaluation.kpi import table
from vpp_env.owners.violations import VIOLATIONS

HOURS = 24
INTERVALS_PER_DAY = 96
SOLD = {"deferred charging": "defer_kw", "battery": "bess_kw", "V2G": "v2g_kw"}
"""What is sold, by device: columns of the interval table."""
BOUGHT = {"bought": "bought_kw", "bought back by force": "forced_kw"}


@dataclass(frozen=True)
class Material:
    """All that a report is made of."""

    planned: Planned
    seeds: Sequence[SeedResult]
    statistics: Statistics | None
    shown: Sequence[RunResult]  # every policy's run of one unit, with tables
    violations: Mapping[str, NDArray[np.int64]]  # label -> (kinds, 24) counts by local hour over all units
    homes: Mapping[str, pd.DataFrame]  # label -> satisfaction, pay_usd, net_benefit_usd, profile of all units
    times: Mapping[str, Mapping[str, float]]  # label -> KPIs of time, mean over units, and wall seconds in all
    first: RunResult | None  # whose versions and prices are said
    courses: Mapping[str, Course]  # label -> mean over its units, of those that left tables
    study: Study | None  # of the sensitivity of the order, where the folder holds one
    day: pd.Timestamp | None  # local day that is shown by the hour; None where no run has intervals

    def best_first(self) -> list[RunResult]:
        """Return the shown runs by welfare, those without it last."""
        worth = {run.label: run.number("welfare") for run in self.shown}
        return sorted(self.shown, key=lambda run: -math.inf if (usd := worth[run.label]) is None else usd, reverse=True)


@dataclass(frozen=True)
class _Digest:
    """What is kept of every run."""

    run: RunResult  # without tables
    violations: NDArray[np.int64]  # (kinds, 24)
    homes: pd.DataFrame | None
    course: Course | None


class Gathering:
    """Collects the material of a report, a unit at a time and in any order."""

    def __init__(self, planned: Planned) -> None:
        self._planned = planned
        self._digests: dict[str, _Digest] = {}
        self._shown: tuple[tuple[bool, int], Sequence[RunResult]] | None = None

    def add(self, unit: Unit, runs: Sequence[RunResult]) -> None:
        """Take the runs of a unit with their tables; kept are those of the first that every policy completed."""
        begun = [run for run in runs if run.begun]
        self._digests |= {run.name: _digest(run) for run in begun}
        whole = sum(run.complete for run in begun) == len(self._planned.labels)
        rank = (not whole, self._planned.units.index(unit))
        if begun and (self._shown is None or rank < self._shown[0]):
            self._shown = (rank, begun)

    def material(
        self, seeds: Sequence[SeedResult], statistics: Statistics | None, study: Study | None = None
    ) -> Material:
        """Return what a report is made of; `seeds` and `statistics` are those of the same runs."""
        order = [self._digests[name] for name in self._planned.runs if name in self._digests]
        mine = {label: [d for d in order if d.run.label == label] for label in self._planned.labels}
        none = np.zeros((len(VIOLATIONS), HOURS), dtype=np.int64)
        shown = () if self._shown is None else self._shown[1]
        intervals = [run.table("intervals") for run in shown if "intervals" in run.tables]
        homes = {label: [d.homes for d in some if d.homes is not None] for label, some in mine.items()}
        return Material(
            self._planned,
            seeds,
            statistics,
            shown,
            {label: sum((d.violations for d in some), none) for label, some in mine.items()},
            {label: pd.concat(t, ignore_index=True) if t else pd.DataFrame() for label, t in homes.items()},
            {label: _times([d.run for d in some]) for label, some in mine.items()},
            order[0].run if order else None,
            {label: mean for label, some in mine.items() if (mean := _course(some)) is not None},
            study,
            busiest_day(intervals) if intervals else None,
        )


def read_material(out: Path) -> Material:
    """Read what the report of an experiment shows from its run folders, and the ceilings from its summaries."""
    planned = Planned.read(out)
    gathering, seeds = Gathering(planned), []
    runs = {path.name: RunResult.read(path) for path in store.run_folders(out)}
    strange = [path for path, run in runs.items() if run.label not in planned.labels]
    if strange:
        raise PlanError(f"{out}: the run {strange[0]!r} is of no policy of its {store.EXPERIMENT}; take it out")
    for unit in planned.units:
        found = [run for run in runs.values() if (run.origin.case, run.origin.seed) == unit]
        found.sort(key=lambda run: planned.labels.index(run.label))
        if found:
            for label in (label for label in planned.labels if label not in {run.label for run in found}):
                raise PlanError(
                    f"{out}: the run of {label} in {unit[0]}, seed {unit[1]} is not there; continue with"
                    f" `vpp-env compare --resume {out}`"
                )
            gathering.add(unit, found)
            seeds.append(SeedResult.of(found, read_ceilings(planned.folder(out, unit))))
    return gathering.material(seeds, statistics_of(planned, seeds), read_study(out))


def _digest(run: RunResult) -> _Digest:
    counts = np.zeros((len(VIOLATIONS), HOURS), dtype=np.int64)
    events, prosumers = run.table("events"), run.table("prosumers")
    for j, kind in enumerate(VIOLATIONS):
        mine = events[events["kind"] == kind] if len(events) else events
        if len(mine):
            counts[j] = np.bincount(mine["timestamp"].dt.hour, minlength=HOURS)
    if not len(prosumers):
        return _Digest(run.without_tables(), counts, None, course_of(run))
    homes = prosumers[["satisfaction", "net_benefit_usd", "profile"]].assign(pay_usd=paid(prosumers))
    return _Digest(run.without_tables(), counts, homes, course_of(run))


def _course(some: Sequence[_Digest]) -> Course | None:
    return mean_course([d.course for d in some if d.course is not None and d.run.complete])


def _times(runs: Sequence[RunResult]) -> dict[str, float]:
    """Mean of every KPI of time, and the sum of the wall seconds."""
    out: dict[str, float] = {}
    for kpi in table():
        known = [v for v in (run.number(kpi.name) for run in runs) if v is not None] if kpi.is_time else []
        if known:
            out[kpi.name] = float(np.mean(known))
    return out | {"wall_seconds": float(sum(run.seconds for run in runs))}


def busiest_day(tables: Sequence[pd.DataFrame]) -> pd.Timestamp:
    """Local day, of those that all have played (whole days where there is one), on which every panel shows most.

    That is where the policy that sells least sells most. The day has no zone, see `local_days`.
    """
    sold, whole = [], []
    for intervals in tables:
        days = local_days(intervals)
        sold.append(intervals[list(SOLD.values())].sum(axis=1).groupby(days).sum())
        whole.append(days.value_counts() >= INTERVALS_PER_DAY - 4)  # the clock may be set forward
    joined = pd.concat(sold, axis=1, join="inner")
    full = pd.concat(whole, axis=1, join="inner").all(axis=1).reindex(joined.index)
    joined = joined[full] if full.any() else joined
    # where one policy sells nothing on any day, the other decides
    busiest: Any = (joined.min(axis=1) + 1e-6 * joined.sum(axis=1)).idxmax()
    return pd.Timestamp(busiest)
