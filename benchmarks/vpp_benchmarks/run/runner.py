"""The loop of an experiment: plan -> jobs -> `RunResult`s -> folders; the files of a seed follow its last run."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vpp_benchmarks.report.material import Gathering
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Comparison, Planned, Unit, statistics_of
from vpp_benchmarks.results.means import means_of
from vpp_benchmarks.results.run_result import INTERRUPTED, NOT_RUN, RunResult
from vpp_benchmarks.results.software import environment, software
from vpp_benchmarks.results.summary import SeedResult, overall
from vpp_benchmarks.run import auditing, compiling
from vpp_benchmarks.run.ceilings import CeilingsOfUnits
from vpp_benchmarks.run.executors import Executor, Serial, choose
from vpp_benchmarks.run.experiment import Experiment, checked, from_data, job_hash, to_data
from vpp_benchmarks.run.files import wide_table, write_experiment, write_seed
from vpp_benchmarks.run.job import JobSpec, Progress, month_of, not_run
from vpp_benchmarks.run.log import log_to, told_while
from vpp_benchmarks.run.plan import Checks, Plan, PlanError
from vpp_env.evaluation.verdict import Audit, Verdict

log = logging.getLogger(__name__)


def run_plan(plan: Plan, out: Path | None, progress: Progress, figures: bool = True, workers: int = 1) -> Comparison:
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
) -> Comparison:
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
    if out is not None:
        (store.check_links if resume else store.check_free)(out)
    with ExitStack() as stack:
        stack.enter_context(compiling.told())
        # prices that do not fit end here, before anything is written; the first case last: its month is played first
        for plan in reversed(experiment.plans):
            month_of(plan.jobs(plan.seeds[0])[0])
        player = choose(executor, experiment.jobs(), workers, address)
        if out is not None:
            stack.enter_context(store.locked(out))
            store.clear_live(out)
            store.write_json(out / store.EXPERIMENT, to_data(experiment))
            stack.enter_context(log_to(out / store.LOG))
        for plan in experiment.plans:
            _log_plan(plan)
        loop = _Loop(experiment, out, figures, bounded)
        try:
            return loop.run(player, progress)
        except store.StoreError as error:
            raise store.StoreError(loop.saved(error)) from error


def resumed(folder: Path, named: Sequence[str] = (), checks: Checks | None = None) -> Experiment:
    """Return the experiment that `folder` holds; see `experiment.from_data` for what must be named again.

    Raises
    ------
    PlanError
        When there is none, its data have changed, or something must be named again.
    """
    if not (folder / store.EXPERIMENT).is_file():
        raise PlanError(f"--resume {str(folder)!r}: there is no {store.EXPERIMENT} in it; give the folder of a run")
    return from_data(store.read_json(folder / store.EXPERIMENT), named, checks)


class _Loop:
    """Takes runs as they come and puts the files of every seed together.

    A run keeps its tables until the files of its seed are written; what an earlier process wrote is read where it is
    needed, and what this one wrote never.
    """

    def __init__(self, experiment: Experiment, out: Path | None, figures: bool, bounded: bool) -> None:
        self._experiment, self._out, self._figures = experiment, out, figures
        self._planned = Planned.from_json(to_data(experiment))
        self._machine = environment()
        self._units: dict[Unit, tuple[JobSpec, ...]] = {
            (plan.case, seed): plan.jobs(seed) for plan in experiment.plans for seed in plan.seeds
        }
        self._runs = None if out is None else store.RunStore(out / store.RUNS)
        self._ended: dict[str, RunResult] = {}  # by name
        self._seeds: dict[Unit, SeedResult] = {}
        self._gathering = Gathering(self._planned)
        self._table: pd.DataFrame | None = None
        folders = {unit: out and self._planned.folder(out, unit) for unit in self._units}
        self._ceilings = CeilingsOfUnits(folders) if bounded else None

    def run(self, player: Executor, progress: Progress) -> Comparison:
        self._take_up()
        for unit in self._units:
            self._close(unit)
        missing = [job for job in self._experiment.jobs() if job.name not in self._ended]
        auditing.announce(missing)
        if self._ceilings is not None and not isinstance(player, Serial):
            # beside runs in this process they would disturb the time of every decision
            self._ceilings.begin([(u, jobs[0]) for u, jobs in self._units.items() if u not in self._seeds])
        # runs that audit their policies themselves first: what they find stands for the other runs of the same policy
        for jobs in ([j for j in missing if j.audit_run is None], [j for j in missing if j.audit_run is not None]):
            stopped = any(result.status in (INTERRUPTED, NOT_RUN) for result in self._ended.values())
            told = [self._told(job) for job in jobs]
            with closing(_iterate(player, told, progress) if not stopped else _none(told)) as results:
                for result in results:
                    self._take(result)
        return self._finish()

    def _take(self, result: RunResult) -> None:
        """Keep a run that has ended."""
        if self._runs is not None and result.begun:
            self._runs.save(result)
        self._ended[result.name] = result
        _log_end(result)
        self._close((result.origin.case, result.origin.seed))

    def _told(self, job: JobSpec) -> JobSpec:
        """Return the job with what the audit of its policy has found, where that is made in another run."""
        if job.audit_run is None or job.audit_run not in self._ended:
            return job
        run = self._ended[job.audit_run]
        reason = f"the run that it was to be audited in, {run.name}, is {run.status}: {run.reason}"
        none = Audit(Verdict.CLAIMED, job.contender.info.information, 0, 0, (), reason=reason)
        return replace(job, audited=run.audit or none)

    def saved(self, error: Exception) -> str:
        """Say what is safe after an error of writing."""
        whole = sum(result.complete for result in self._ended.values())
        return (
            f"{error}. {whole} of {len(self._planned.runs)} runs are complete and safe; make room (or give write "
            f"permission), then continue with: python benchmarks/compare.py --resume {self._out}"
        )

    def _take_up(self) -> None:
        """Read the runs that are complete already."""
        if self._runs is None:
            return
        kept = [job for job in self._experiment.jobs() if self._runs.finished(job.name, job_hash(job))]
        there = {job.name: self._runs.read(job.name) for job in kept}
        for job in kept:
            audit = there[job.name].audit
            if job.audit_run is None or job.audit_run in there or (audit is not None and audit.month):
                self._ended[job.name] = there[job.name]
            else:  # it was played unaudited since the run with the audit had failed, which is played again now
                log.info("%s is played again: its policy had not been audited", job.name)
        other = sum(run.origin.software != software() for run in self._ended.values())
        if self._ended:
            log.info("%d of %d runs are there already", len(self._ended), len(self._planned.runs))
        if other:
            log.warning(
                "%d of them were played by other versions of code or packages; their manifests say which", other
            )

    def _close(self, unit: Unit) -> None:
        """Write the files of a seed once all its runs have ended, and let their tables go."""
        jobs = self._units[unit]
        if not all(job.name in self._ended for job in jobs) or unit in self._seeds:
            return
        runs = [self._ended[job.name] for job in jobs]
        if not any(run.begun for run in runs):
            return  # a seed that was never begun has no folder
        ceilings = None
        if self._ceilings is not None and any(run.complete for run in runs):
            log.info("%s, seed %d: what no policy can exceed (ceilings)", *unit)
            with told_while(lambda s: log.info("%s, seed %d: ceilings, %.0f s", *unit, s)):
                ceilings = self._ceilings.get(unit, jobs[0])
        seed = self._seeds[unit] = SeedResult.of(runs, ceilings)
        self._table = wide_table(runs)
        if self._out is not None:
            if self._figures and len(self._units) == 1:
                log.info("drawing the day")  # loads matplotlib, which takes seconds on a cold disk
            folder = self._planned.folder(self._out, unit)
            write_seed(folder, seed, runs, self._table, self._machine, self._figures, alone=folder == self._out)
            self._gathering.add(unit, runs)
        self._ended |= {run.name: run.without_tables() for run in runs}

    def _finish(self) -> Comparison:
        """Write what is above the seeds: means, statistics, the report and its tables."""
        states = [run.status for run in self._ended.values()]
        states += [NOT_RUN] * (len(self._planned.runs) - len(states))
        status = overall(states)
        seeds = tuple(self._seeds[unit] for unit in self._units if unit in self._seeds)
        means = {
            plan.case: means_of([plan], [s for s in seeds if s.case == plan.case], status)
            for plan in self._experiment.plans
            if len(plan.seeds) > 1
        }
        whole = means_of(self._experiment.plans, seeds, status) if len(self._experiment.plans) > 1 else None
        found = Comparison(
            self._planned, status, seeds, statistics_of(self._planned, seeds), means, whole, self._out, self._table
        )
        if self._out is not None:
            log.info("writing the report")
            write_experiment(self._out, found, self._experiment, self._gathering, self._machine)
        log.info("%s: results in %s", status, self._out)
        return found


def _iterate(player: Executor, jobs: Sequence[JobSpec], progress: Progress) -> Generator[RunResult, None, None]:
    """Turn the executor's results into a generator, which can be closed."""
    if jobs:
        yield from player.map(jobs, progress)


def _none(jobs: Sequence[JobSpec]) -> Generator[RunResult, None, None]:
    """What is left of jobs where the comparison was interrupted before."""
    yield from (not_run(job) for job in jobs)


def _log_plan(plan: Plan) -> None:
    s = plan.scenario
    log.info("scenario %s (%s): %d homes, %d h from %s", s.name, s.hash, s.fleet.size, s.hours, s.time.start)
    for c in plan.contenders:
        log.info("%s = %s [%s; %s]", c.label, c.spec, c.info.information.name, c.info.consent.value)


def _log_end(run: RunResult) -> None:
    name = f"{run.label}, {run.origin.case}, seed {run.origin.seed}"
    if run.kpis is not None:
        text = "%s: %s, %d opportunities in %.1f s, profit %s USD, satisfaction %.4f, %d violations"
        profit, satisfaction = f"{run.kpis.total_profit:z.2f}", run.kpis.avg_satisfaction
        violations = run.kpis.total_violations.total
        log.info(text, name, run.status, run.played, run.seconds, profit, satisfaction, violations)
    else:
        log.warning("%s: %s after %d opportunities: %s", name, run.status, run.played, run.reason)
