"""The loop of an experiment: jobs to an executor, run folders to disk, files of a seed behind its last run."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.report import seed_report
from vpp_benchmarks.results import manifest, store
from vpp_benchmarks.results.summary import summarize_seed, summarize_seeds
from vpp_benchmarks.results.wide_table import results_table, to_csv
from vpp_benchmarks.run.ceilings import Ceilings
from vpp_benchmarks.run.executors import Done, Executor, Serial, choose
from vpp_benchmarks.run.experiment import Experiment, checked, file_hashes, from_data, to_data
from vpp_benchmarks.run.job import COMPLETE, FAILED, INTERRUPTED, NOT_RUN, JobResult, JobSpec, Progress, month_of
from vpp_benchmarks.run.log import log_to
from vpp_benchmarks.run.plan import Plan, PlanError
from vpp_benchmarks.run.run_cache import Folders, Memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedRun:
    """Every policy's run of one seed of one case."""

    case: str
    seed: int
    status: str
    summary: dict[str, Any]
    table: pd.DataFrame = field(repr=False)  # simulation_results
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What a whole comparison came to."""

    status: str
    seeds: tuple[dict[str, Any], ...]  # summaries, case by case
    summary: dict[str, Any]  # the seed's own, or the means of several
    last: SeedRun | None
    folder: Path | None
    statistics: dict[str, Any] | None = None  # of several seeds or cases


def run_plan(plan: Plan, out: Path | None, progress: Progress, figures: bool = True, workers: int = 1) -> Outcome:
    """Run one scenario; see `run_experiment`."""
    return run_experiment(Experiment((plan,)), out, progress, figures, workers)


def run_experiment(
    experiment: Experiment,
    out: Path | None,
    progress: Progress,
    figures: bool = True,
    workers: int = 1,
    executor: str = "auto",
    address: str | None = None,
    resume: bool = False,
    bounded: bool = False,
) -> Outcome:
    """Run a comparison.

    Parameters
    ----------
    experiment : Experiment
        What to run.
    out : Path or None
        Folder for the results; made once the first month of every case could be built. None writes nothing.
    progress : Progress
        Who is told; may raise KeyboardInterrupt in `row` to stop.
    figures : bool
        Whether to draw `overview.png`.
    workers : int
        Runs that are played at the same time; the results do not depend on it.
    executor, address : str
        See `executors.choose`.
    resume : bool
        Whether `out` holds this experiment already: its complete runs are kept.
    bounded : bool
        Whether every seed's ceilings are worked out, and what each policy is short of them (`bounds`).

    Raises
    ------
    VppError
        When a month cannot be built (market data that does not fit), the folder is taken or cannot be written to.
    """
    checked(experiment)
    if out is not None and not resume:
        store.check_free(out)
    for plan in experiment.plans:
        month_of(plan.jobs(plan.seeds[0])[0])  # prices that do not fit end here, before anything is written
    player = choose(executor, experiment.jobs(), workers, address)
    with ExitStack() as stack:
        runs = Memory()
        if out is not None:
            stack.enter_context(store.locked(out))
            store.write_json(out / store.EXPERIMENT, to_data(experiment))
            runs = Folders(out)
            stack.enter_context(log_to(out / store.LOG))
        for plan in experiment.plans:
            _log_plan(plan)
        loop = _Loop(experiment, out, runs, figures, bounded)
        try:
            return loop.run(player, progress)
        except store.StoreError as error:
            raise store.StoreError(loop.saved(error)) from error


def resumed(folder: Path) -> Experiment:
    """Return the experiment that `folder` holds.

    Raises
    ------
    PlanError
        When there is none, or its data have changed.
    """
    if not (folder / store.EXPERIMENT).is_file():
        raise PlanError(f"--resume {str(folder)!r}: there is no {store.EXPERIMENT} in it; give the folder of a run")
    return from_data(store.read_json(folder / store.EXPERIMENT))


class _Loop:
    """Takes runs as they come and puts the files of every seed together."""

    def __init__(self, experiment: Experiment, out: Path | None, runs: Memory, figures: bool, bounded: bool) -> None:
        self._experiment, self._out, self._runs, self._figures = experiment, out, runs, figures
        self._machine = manifest.environment()
        self._units = {(plan.case, seed): (plan, plan.jobs(seed)) for plan in experiment.plans for seed in plan.seeds}
        self._ended: dict[str, str] = {}  # name of the run -> its status
        self._reasons: dict[str, str] = {}
        self._seeds: dict[tuple[str, int], SeedRun] = {}
        self._begin = time.perf_counter()
        self._ceilings = Ceilings({unit: self.folder(unit) for unit in self._units}) if bounded else None

    def run(self, player: Executor, progress: Progress) -> Outcome:
        jobs = self._experiment.jobs()
        kept = [job for job in jobs if self._runs.has(job)]
        self._ended |= {job.name: COMPLETE for job in kept}
        if kept:
            log.info("%d of %d runs are there already", len(kept), len(jobs))
            other = self._runs.of_other_software(kept)
            if other:
                log.warning(
                    "%d of them were played by other versions of code or packages; their manifests say which", other
                )
        for unit in self._units:
            self._close(unit)
        missing = [job for job in jobs if job.name not in self._ended]
        if self._ceilings is not None and not isinstance(player, Serial):
            # beside runs in this process they would disturb the time of every decision
            self._ceilings.begin([(u, jobs[0]) for u, (_, jobs) in self._units.items() if u not in self._seeds])
        with closing(_iterate(player, missing, progress)) as results:
            for done in results:
                self._runs.save(done)
                self._ended[done.end.job.name] = done.end.status
                self._reasons[done.end.job.name] = done.end.reason
                _log_end(done)
                self._close((done.end.job.case, done.end.job.seed))
        return self._finish()

    def saved(self, error: Exception) -> str:
        """Say what is safe after an error of writing."""
        whole = sum(status == COMPLETE for status in self._ended.values())
        total = len(self._experiment.jobs())
        return (
            f"{error}. {whole} of {total} runs are complete and safe; make room (or give write permission), then "
            f"continue with: python benchmarks/compare.py --resume {self._out}"
        )

    def _close(self, unit: tuple[str, int]) -> None:
        """Write the files of a seed once all its runs have ended."""
        plan, jobs = self._units[unit]
        if not all(job.name in self._ended for job in jobs) or unit in self._seeds:
            return
        states = [self._ended[job.name] for job in jobs]
        if set(states) == {NOT_RUN}:
            return  # a seed that was never begun has no folder
        results = [self._result(job) for job in jobs]
        month, status = month_of(jobs[0]), overall(states)
        seconds = sum(r.seconds for r in results)
        bounds = self._ceilings.get(unit, jobs[0]) if self._ceilings is not None and COMPLETE in states else None
        summary = summarize_seed(plan, month, results, status, seconds, bounds)
        run = SeedRun(plan.case, month.seed, status, summary, results_table(month, results), self.folder(unit))
        self._seeds[unit] = run
        if run.folder is not None:
            info = manifest.seed_manifest(
                plan, month, results, status, seconds, self._machine, file_hashes(plan.market_data)
            )
            store.make_folder(run.folder)
            if run.folder != self._out:
                store.write_text(run.folder / store.LOG, _seed_log(plan, results))
            _write(run, results, info, self._figures)

    def _result(self, job: JobSpec) -> JobResult:
        stored = self._runs.load(job) if self._ended[job.name] != NOT_RUN else None
        return stored or JobResult(job, self._ended[job.name], self._reasons.get(job.name, ""))

    def folder(self, unit: tuple[str, int]) -> Path | None:
        """Return the folder of a seed: the experiment's own where there is only one of them."""
        if self._out is None:
            return None
        several_cases = len(self._experiment.plans) > 1
        base = self._out / unit[0] if several_cases else self._out
        return base / f"seed_{unit[1]}" if len(self._experiment.plans[0].seeds) > 1 else base

    def _finish(self) -> Outcome:
        """Write what is above the seeds: means, statistics, the report and its tables."""
        from vpp_benchmarks.run.overall import write_overall  # reads what the seeds have written

        status = overall([self._ended.get(job.name, NOT_RUN) for job in self._experiment.jobs()])
        seeds = [self._seeds[unit] for unit in self._units if unit in self._seeds]
        means = {
            plan.case: summarize_seeds(plan, [s.summary for s in seeds if s.case == plan.case], status)
            for plan in self._experiment.plans
            if len(plan.seeds) > 1
        }
        first = self._experiment.plans[0]
        summary = means.get(first.case) or (seeds[0].summary if seeds else {})
        statistics = write_overall(self._experiment, seeds, means, status, self._out, self._machine)
        log.info("%s: results in %s", status, self._out)
        last = seeds[-1] if seeds else None
        return Outcome(status, tuple(s.summary for s in seeds), summary, last, self._out, statistics)


def _iterate(player: Executor, jobs: Sequence[JobSpec], progress: Progress) -> Generator[Done, None, None]:
    """Turn the executor's results into a generator, which can be closed."""
    if jobs:
        yield from player.map(jobs, progress)


def overall(states: Sequence[str]) -> str:
    """One status of several: interrupted before failed before complete."""
    if INTERRUPTED in states or NOT_RUN in states:
        return INTERRUPTED
    return FAILED if FAILED in states else COMPLETE


def _seed_log(plan: Plan, results: Sequence[JobResult]) -> str:
    """Tell again, beside the files of one seed of several, what happened to its runs."""
    lines = [f"{plan.case} ({plan.scenario.hash})"]
    for r in results:
        lines.append(f"{r.label}: {r.status} after {len(r.opportunities)} opportunities. {r.reason}".rstrip())
        lines += [r.traceback] if r.traceback else []
    return "\n".join(lines) + "\n"


def _log_plan(plan: Plan) -> None:
    s = plan.scenario
    log.info("scenario %s (%s): %d homes, %d h from %s", s.name, s.hash, s.fleet.size, s.hours, s.time.start)
    for c in plan.contenders:
        log.info("%s = %s [%s; %s]", c.label, c.spec, c.info.information.name, c.info.consent.value)


def _write(run: SeedRun, results: Sequence[JobResult], info: Mapping[str, Any], figures: bool) -> None:
    folder = run.folder
    assert folder is not None
    store.write_tables(folder, results)
    store.write_text(folder / store.RESULTS, to_csv(run.table))
    store.write_json(folder / store.SUMMARY, run.summary)
    store.write_text(folder / store.REPORT, seed_report(run.summary))
    store.write_json(folder / store.MANIFEST, info)
    # after all figures are safe
    if figures and any(len(r.intervals) for r in results):
        from vpp_benchmarks.report.figures import overview  # matplotlib takes longer to import than a small run takes

        store.write_bytes(folder / store.OVERVIEW, overview(run.summary, results))
        store.write_text(folder / store.REPORT, seed_report(run.summary, picture=store.OVERVIEW))


def _log_end(done: Done) -> None:
    end = done.end
    name = f"{end.job.contender.label}, {end.job.case}, seed {end.job.seed}"
    if end.profit is not None:
        text = "%s: %s, %d opportunities in %.1f s, profit %.2f USD, satisfaction %.4f, %d violations"
        log.info(text, name, end.status, end.played, end.seconds, end.profit, end.satisfaction, end.violations)
    else:
        log.warning("%s: %s after %d opportunities: %s", name, end.status, end.played, end.reason)
