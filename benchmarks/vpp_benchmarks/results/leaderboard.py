"""Runs collected into a ranked table per scenario and information set.

Only what is comparable stands in one table: the same scenario hash, the same price data, one information set. Where one
scenario name has several hashes, nothing is ranked until one is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vpp_benchmarks.report.tables import written
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned, read_ceilings
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.summary import mean_of
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import did_you_mean
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Better, Kpi, Place
from vpp_env.evaluation.verdict import Verdict, verdict_of

SCHEMA = "vpp_env.leaderboard/2"
VIOLATES = "[!]"
"""Mark of a policy that breaks owners' preferences."""
TEXT = ("rank", "policy", "asks", "verdict", "code", "runs")
"""Columns before the KPIs."""
MOST_REASONS = 3
"""Failed runs of an entry that are told one by one."""


def rankable() -> list[str]:
    """Names of the KPIs to rank by."""
    return [kpi.name for kpi in table(Place.RANK)]


def ranked_by() -> str:
    """Name of the KPI that ranks unless another is asked for: the score, the first that is made from ceilings."""
    return next(kpi.name for kpi in table(Place.RANK) if kpi.of_ceilings is not None)


@dataclass(frozen=True)
class Figure:
    """A KPI over the common seeds; None where it is not defined."""

    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Entry:
    """A policy as called, at one commit, with the same files of its own."""

    policy: str
    code: str  # commit, or version of the package, and digests of the policy's own files
    asks: bool
    verdict: str  # the worst that an audit of one of its runs found; `claimed` where there was none
    figures: Mapping[str, Figure]  # by name of the KPI
    complete: int  # runs, of all that the folders hold
    begun: int
    failures: tuple[str, ...]  # why the others are not complete
    rank: int = 0  # 0: refuted, and not ranked

    @property
    def violates(self) -> bool:
        """Whether it broke any owner's preferences in the common seeds."""
        return (self.figures["total_violations"].mean or 0.0) > 0.0


@dataclass(frozen=True)
class Ranking:
    """One scenario on the same prices, for one information set; `entries` are in order."""

    scenario: str
    hash: str
    market: str  # version of the market's rules
    data: str  # digests of the price files, the node and the salt; empty for the seeded model without one
    information_set: str
    by: str
    seeds: tuple[int, ...]  # that all entries have in common
    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]  # where there is no common seed

    @property
    def title(self) -> str:
        """What stands above it."""
        prices = f", prices {self.data}" if self.data else ""
        world = f"{self.scenario} ({self.hash}, market {self.market}{prices})"
        many = len(self.seeds)
        held = f"{many} common seed{'s' if many != 1 else ''}" if many else "no seed in common: not ranked"
        return f"{world}, sees {self.information_set}, by {self.by}, {held}"

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        """KPIs of the columns, what is ranked by first."""
        return _shown(self.by)

    @property
    def header(self) -> list[str]:
        """Names of the columns."""
        return [*TEXT, *(kpi.heading for kpi in self.kpis)]

    def rows(self) -> list[list[str]]:
        """Return the rows as text; what is ranked by with its standard deviation."""
        return [
            [
                str(e.rank or "-"),
                f"{e.policy} {VIOLATES}" if e.violates else e.policy,
                "yes" if e.asks else "no",
                e.verdict,
                e.code,
                f"{e.complete} of {e.begun}",
                *(self._cell(e, kpi) for kpi in self.kpis),
            ]
            for e in self.entries
        ]

    def notes(self) -> list[str]:
        """Return what must be said below the table: who breaks preferences, who failed and why."""
        lines = [f"{VIOLATES} breaks owners' preferences."] if any(e.violates for e in self.entries) else []
        if refuted := [e.policy for e in self.entries if e.verdict == Verdict.REFUTED.value]:
            why = "it uses more than it declares, or does not earn what its folder says"
            lines.append(f"refuted, and not ranked: {', '.join(refuted)}: {why}.")
        if claimed := [e.policy for e in self.entries if e.verdict == Verdict.CLAIMED.value]:
            lines.append(f"claimed: nothing has checked what {', '.join(claimed)} declares; compare with --verify.")
        for e in self.entries:
            if e.complete < e.begun:
                why = "; ".join(e.failures[:MOST_REASONS])
                lines.append(f"{e.policy}: {e.complete} of {e.begun} runs complete ({why}); ranked on seeds of all.")
        return lines

    def _cell(self, entry: Entry, kpi: Kpi) -> str:
        figure = entry.figures[kpi.name]
        spread = f" ± {written(kpi, figure.std)}" if kpi.name == self.by and figure.std else ""
        return written(kpi, figure.mean) + spread

    def to_json(self) -> dict[str, Any]:
        """Return strict JSON data, a column a key."""
        columns = {kpi.name: kpi.column or kpi.name for kpi in table()}
        entries = []
        for e in self.entries:
            row: dict[str, Any] = {"rank": e.rank or None, "policy": e.policy, "code": e.code, "asks": e.asks}
            row |= {"verdict": e.verdict}
            row |= {"complete": e.complete, "begun": e.begun, "failures": e.failures, "violates": e.violates}
            for name, figure in e.figures.items():
                row |= {columns[name]: figure.mean, f"{columns[name]}_std": figure.std}
            entries.append(row)
        head: dict[str, Any] = {"scenario": self.scenario, "hash": self.hash, "market_version": self.market}
        head |= {"data": self.data or None}
        head |= {"information_set": self.information_set, "seeds": self.seeds}
        return plain(head | {"entries": entries, "left_out": self.left_out})


@dataclass(frozen=True)
class Leaderboard:
    """All rankings of some runs."""

    by: str
    tables: tuple[Ranking, ...]

    def to_json(self) -> dict[str, Any]:
        """Return strict JSON data."""
        return {"schema": SCHEMA, "by": self.by, "tables": [one.to_json() for one in self.tables]}


def _shown(by: str) -> tuple[Kpi, ...]:
    """Return the columns: what is ranked by, then those of the table."""
    return (*(kpi for kpi in table() if kpi.name == by), *(kpi for kpi in table(Place.LEADERBOARD) if kpi.name != by))


def found(roots: Sequence[Path]) -> list[tuple[Path, RunResult]]:
    """Return every run below some folders with its folder, and the score where its seed's ceilings were worked out.

    Raises
    ------
    PlanError
        When there is none, or one is of a schema that this version does not read.
    """
    runs = []
    for root in roots:
        if not root.is_dir():
            raise PlanError(f"{str(root)!r} is no folder; give one that holds results")
        # a run folder is told from a folder of a seed by its summary's name
        folders = sorted(f.parent for f in root.rglob("summary.json") if not f.parent.name.startswith("."))
        runs += [(folder, _scored(RunResult.read(folder), folder)) for folder in folders]
    if not any(run.complete for _, run in runs):
        raise PlanError(f"no complete run in {', '.join(map(str, roots))}; results of compare hold them in runs/")
    return runs


def _scored(run: RunResult, folder: Path) -> RunResult:
    """Return a run with what its ceilings give; as it is where it lies outside an experiment, or has none."""
    out = folder.parent.parent
    if folder.parent.name != store.RUNS or not (out / store.EXPERIMENT).is_file():
        return run
    planned, unit = Planned.read(out), (run.origin.case, run.origin.seed)
    if unit not in planned.units:
        raise PlanError(f"{folder}: it is of case {unit[0]!r:.80}, seed {unit[1]}, which its experiment does not plan")
    ceilings = read_ceilings(planned.folder(out, unit))
    return run if ceilings is None else run.scored(ceilings)


def check_unmixed(runs: Sequence[RunResult]) -> None:
    """Raise `PlanError` where runs are of several versions of the market, or one scenario name of several worlds."""
    versions: dict[str, set[str]] = {}
    for run in runs:
        versions.setdefault(run.origin.scenario.market_version, set()).add(run.origin.scenario.name)
    if len(versions) > 1:
        listed = "; ".join(f"{v} ({', '.join(sorted(names))})" for v, names in sorted(versions.items()))
        raise PlanError(
            f"the runs are of different versions of the market: {listed}; what was earned under different rules cannot "
            "be ranked together: choose one with --market, or give fewer folders"
        )
    worlds: dict[str, set[tuple[str, str]]] = {}
    for run in runs:
        scenario = run.origin.scenario
        worlds.setdefault(scenario.name, set()).add((scenario.hash, run.origin.world))
    for name, found in worlds.items():
        if len(found) > 1:
            listed = "; ".join(f"{h}{f' on {d}' if d else ''}" for h, d in sorted(found))
            raise PlanError(
                f"scenario {name!r} is there with different rules, prices or salts ({listed}); their figures cannot be "
                "ranked together: choose one with --hash, or give fewer folders"
            )


def leaderboard(runs: Sequence[RunResult], by: str | None = None) -> Leaderboard:
    """Return the ranked tables.

    An entry is a policy as called, at one commit; its figures are means over the seeds that all entries of its table
    have in common, so that no entry gains by easier months.

    Parameters
    ----------
    runs : sequence of RunResult
        Of one world per scenario name.
    by : str, optional
        One of `rankable()`; the score unless another is given.

    Raises
    ------
    PlanError
        When worlds are mixed, or the figure is not there.
    """
    by = ranked_by() if by is None else by
    if by not in rankable():
        raise PlanError(did_you_mean(by, rankable(), "figure to rank by"))
    check_unmixed(runs)
    failed: dict[tuple[str, str, str, str], list[str]] = {}
    for run in runs:
        if not run.complete:
            key = (
                run.origin.scenario.name,
                run.info.information.name,
                run.origin.policy.spec,
                run.origin.code,
            )
            failed.setdefault(key, []).append(f"seed {run.origin.seed} {run.status}: {run.reason}")
    groups: dict[tuple[str, str], dict[tuple[str, str], dict[int, RunResult]]] = {}
    for run in (run for run in runs if run.complete):
        group = groups.setdefault((run.origin.scenario.name, run.info.information.name), {})
        seeds = group.setdefault((run.origin.policy.spec, run.origin.code), {})
        seeds[run.origin.seed] = _one_of(seeds.get(run.origin.seed, run), run)
    tables = []
    for (scenario, information), entries in sorted(groups.items()):
        origin = next(iter(next(iter(entries.values())).values())).origin
        common = tuple(sorted(set.intersection(*(set(seeds) for seeds in entries.values()))))
        mine = {entry: failed.get((scenario, information, *entry), []) for entry in entries}
        ranked = tuple(_ranked(entries, common, by, mine)) if common else ()
        left_out = () if common else tuple(" at ".join(entry) for entry in entries)
        hash_, market, data = origin.scenario.hash, origin.scenario.market_version, origin.world
        tables.append(Ranking(scenario, hash_, market, data, information, by, common, ranked, left_out))
    return Leaderboard(by, tuple(tables))


_TELLS = (Verdict.REFUTED, Verdict.VERIFIED, Verdict.CLAIMED)
"""Verdicts on two plays of one run, the one that stands first: who was caught once is caught."""


def _one_of(first: RunResult, second: RunResult) -> RunResult:
    """Return one of two plays of the same run, the one whose verdict stands.

    Raises
    ------
    PlanError
        When their figures differ: whichever was taken, somebody would have chosen it.
    """
    for kpi in table():
        one, other = first.number(kpi.name), second.number(kpi.name)
        if kpi.comes_out_again and one != other:
            raise PlanError(
                f"{first.origin.policy.spec} at {first.origin.code} was played twice on seed {first.origin.seed}, and "
                f"{kpi.name} is {one} and {other}; one run has one result: give only one of the two folders"
            )
    return min((first, second), key=lambda run: _TELLS.index(verdict_of([run.audit])))


def _ranked(
    entries: Mapping[tuple[str, str], Mapping[int, RunResult]],
    seeds: Sequence[int],
    by: str,
    failed: Mapping[tuple[str, str], Sequence[str]],
) -> list[Entry]:
    kpis = {kpi.name: kpi for kpi in (*_shown(by), *table()) if kpi in _shown(by) or kpi.name == "total_violations"}
    made: list[tuple[float, Entry]] = []
    sign = -1.0 if kpis[by].better is Better.LOWER else 1.0
    for (policy, code), runs in entries.items():
        figures: dict[str, Figure] = {}
        for name in kpis:
            values = [v for v in (runs[seed].number(name) for seed in seeds) if v is not None]
            if name == by and len(values) < len(seeds):
                raise PlanError(
                    f"{policy}: {name} is not in {runs[seeds[0]].name} (a score needs ceilings: compare without "
                    "--no-ceilings works them out); rank by another figure, for example --by joint_surplus"
                )
            std = float(np.std(values, ddof=1)) if len(values) > 1 else None
            figures[name] = Figure(mean_of(kpis[name], [runs[seed] for seed in seeds]), std)
        asks = all(runs[seed].info.asks_consent for seed in seeds)
        why = tuple(failed[policy, code])
        # of all its runs, not of those in common alone: who was caught once is caught
        verdict = verdict_of(run.audit for run in runs.values()).value
        entry = Entry(policy, code, asks, verdict, figures, len(runs), len(runs) + len(why), why)
        made.append((sign * (figures[by].mean or 0.0), entry))
    refuted = Verdict.REFUTED.value
    made.sort(key=lambda one: (one[1].verdict == refuted, -one[0], one[1].policy, one[1].code))
    held = [value for value, entry in made if entry.verdict != refuted]
    # who has the same figure has the same rank
    return [
        entry if entry.verdict == refuted else replace(entry, rank=1 + sum(other > value for other in held))
        for value, entry in made
    ]
