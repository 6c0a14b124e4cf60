"""What a whole comparison came to: in memory when it has been played, or read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.results import store
from vpp_benchmarks.results.means import Means
from vpp_benchmarks.results.run_result import RunResult, check_seal
from vpp_benchmarks.results.statistics import Statistics, statistics
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.plan import PlanError, file_name
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Ceilings

Unit = tuple[str, int]
"""Case and seed."""


@dataclass(frozen=True)
class Planned:
    """What an experiment was to run: the part of `experiment.json` that readers need."""

    cases: Mapping[str, str]  # case -> hash of its scenario
    labels: tuple[str, ...]  # of policies
    seeds: tuple[int, ...]
    runs: tuple[str, ...]  # names, in order

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Planned:
        """Read what `experiment.to_data` made.

        Raises
        ------
        PlanError
            When it is of another form, or a name in it is a path.
        """
        try:
            made = cls(
                {case["case"]: case["hash"] for case in data["cases"]},
                tuple(policy["label"] for policy in data["policies"]),
                tuple(data["seeds"]),
                tuple(data["runs"]),
            )
            names = [*made.cases, *made.runs]
            ok = all(isinstance(x, str) and x and x == file_name(x) for x in names)
            ok = ok and all(isinstance(x, str) for x in (*made.labels, *made.cases.values()))
            ok = ok and all(isinstance(x, int) and not isinstance(x, bool) for x in made.seeds)
        except (KeyError, TypeError, AttributeError) as error:
            raise PlanError(f"{store.EXPERIMENT} does not hold what an experiment's does ({error!r:.200})") from error
        if not ok:
            raise PlanError(f"{store.EXPERIMENT} names what is no case, policy, seed or run: {names!r:.200}")
        return made

    @classmethod
    def read(cls, out: Path) -> Planned:
        """Read the plan of an experiment from its folder, or raise `PlanError`."""
        if not (out / store.EXPERIMENT).exists():
            raise PlanError(
                f"{str(out)!r} is no folder that `vpp-env compare` has written: no {store.EXPERIMENT} in it"
            )
        return cls.from_json(store.read_json(out / store.EXPERIMENT))

    @property
    def units(self) -> tuple[Unit, ...]:
        """Cases x seeds."""
        return tuple((case, seed) for case in self.cases for seed in self.seeds)

    def folder(self, out: Path, unit: Unit) -> Path:
        """Return the folder of a seed: the experiment's own where there is only one of them."""
        base = out / unit[0] if len(self.cases) > 1 else out
        return base / f"seed_{unit[1]}" if len(self.seeds) > 1 else base


@dataclass(frozen=True)
class Comparison:
    """What the runs of an experiment came to."""

    planned: Planned
    status: str
    seeds: tuple[SeedResult, ...]  # those that were begun, case by case
    statistics: Statistics | None = None  # of several units
    means: Mapping[str, Means] = field(default_factory=dict)  # by case; empty with one seed
    overall: Means | None = None  # over all cases and seeds; None with one case
    folder: Path | None = None
    table: pd.DataFrame | None = field(default=None, repr=False)  # simulation_results of the last seed


def statistics_of(planned: Planned, seeds: Sequence[SeedResult]) -> Statistics | None:
    """Return what several units say; None for one seed of one case."""
    if len(planned.units) < 2:
        return None

    def figures(run: RunResult) -> dict[str, float | None] | None:
        return {kpi.name: run.number(kpi.name) for kpi in table()} if run.complete else None

    units = {
        case: [{run.label: figures(run) for run in seed.runs} for seed in seeds if seed.case == case]
        for case in planned.cases
    }
    return statistics(units, planned.labels)


def read_ceilings(folder: Path) -> Ceilings | None:
    """Return the ceilings that the summary of a seed holds; None where it has none, or those of an older version.

    Raises
    ------
    PlanError
        When the summary is not what was written.
    """
    path = folder / store.SUMMARY
    data = store.read_json(path) if path.is_file() else {}
    check_seal(folder, store.SUMMARY, data)
    found = data.get("ceilings")
    try:
        return None if found is None or "welfare" not in found else Ceilings.from_json(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(
            f"{str(path)!r}: its ceilings are damaged ({error!r:.200}); give the folder as written"
        ) from error
