"""The loops of a comparison: seeds x policies, one folder per seed, written again after every policy."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import manifest, store
from benchmarks.job import COMPLETE, FAILED, INTERRUPTED, NOT_RUN, RUNNING, JobResult, JobSpec, Progress, play
from benchmarks.log import log_to
from benchmarks.plan import Plan
from benchmarks.report import seed_report, seeds_report
from benchmarks.results import results_table, to_csv
from benchmarks.summary import summarize_seed, summarize_seeds
from benchmarks.together import STOPPED_BEFORE, play_together
from vpp_env.month import Month

log = logging.getLogger(__name__)

TOGETHER_FROM = 50_000
"""Homes x opportunities from which processes are worth their start (about 3 s each, with the imports)."""


@dataclass(frozen=True)
class SeedRun:
    """Every policy's run of one seed."""

    seed: int
    status: str
    summary: dict[str, Any]
    table: pd.DataFrame  # simulation_results
    results: tuple[JobResult, ...] = field(repr=False)
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What a whole comparison came to."""

    status: str
    seeds: tuple[dict[str, Any], ...]  # summaries
    summary: dict[str, Any]  # the seed's own, or the means of several
    last: SeedRun | None
    folder: Path | None


def run_plan(plan: Plan, out: Path | None, progress: Progress, figures: bool = True, workers: int = 1) -> Outcome:
    """Run a comparison.

    Parameters
    ----------
    plan : Plan
        What to run.
    out : Path or None
        Folder for the results: the seed's files, or with several seeds one folder per seed and the means. It is made
        once the first month could be built. None writes nothing.
    progress : Progress
        Who is told; may raise KeyboardInterrupt in `row` to stop.
    figures : bool
        Whether to draw `overview.png`.
    workers : int
        Policies that play at the same time, each in a process of its own (large runs only, see `TOGETHER_FROM`); the
        results do not depend on it.

    Raises
    ------
    VppError
        When a month cannot be built (market data that does not fit), or the folder is taken.
    """
    if out is not None:
        store.check_free(out)
    machine, files = manifest.environment(), manifest.file_hashes(plan.market_data)
    summaries: list[dict[str, Any]] = []
    folders: dict[int, str] = {}
    last: SeedRun | None = None
    with ExitStack() as stack:
        for seed in plan.seeds:
            month = Month(plan.scenario, seed, plan.market_data, plan.node)
            if out is not None and last is None:
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(log_to(out / store.LOG))
                _log_plan(plan)
            folder = out if out is None or len(plan.seeds) == 1 else out / f"seed_{seed}"
            with ExitStack() as own:
                if folder is not None and folder != out:
                    folder.mkdir()
                    own.enter_context(log_to(folder / store.LOG))
                    _log_plan(plan)
                last = _run_seed(plan, month, folder, progress, machine, files, figures, workers)
            summaries.append(last.summary)
            folders[seed] = "." if folder is None or folder == out else folder.name
            if last.status == INTERRUPTED:
                break
        status = overall([s["status"] for s in summaries])
        summary = summaries[0] if len(plan.seeds) == 1 else summarize_seeds(plan, summaries, status)
        if out is not None and len(plan.seeds) > 1:
            store.write_json(out / store.SUMMARY, summary)
            store.write_text(out / store.REPORT, seeds_report(summary))
            store.write_json(out / store.MANIFEST, manifest.plan_manifest(plan, folders, status, machine))
        log.info("%s: results in %s", status, out)
    return Outcome(status, tuple(summaries), summary, last, out)


def overall(states: Sequence[str]) -> str:
    """One status of several: interrupted before failed before complete."""
    return next((s for s in (INTERRUPTED, NOT_RUN, FAILED) if s in states), COMPLETE)


def _log_plan(plan: Plan) -> None:
    s = plan.scenario
    log.info("scenario %s (%s): %d homes, %d h from %s", s.name, s.hash, s.fleet.size, s.hours, s.time.start)
    for c in plan.contenders:
        log.info("%s = %s [%s; %s]", c.label, c.spec, c.info.information.name, c.info.consent.value)


def _run_seed(
    plan: Plan,
    month: Month,
    folder: Path | None,
    progress: Progress,
    machine: Mapping[str, Any],
    files: Mapping[str, str],
    figures: bool,
    workers: int,
) -> SeedRun:
    """Let every policy play the same month (common random numbers) and write the folder after each."""
    begin = time.perf_counter()
    results: list[JobResult] = []
    jobs = plan.jobs(month.seed)
    order = {job.contender.label: rank for rank, job in enumerate(jobs)}
    large = plan.scenario.n_opportunities * plan.scenario.fleet.size >= TOGETHER_FROM
    together = large and min(workers, len(jobs)) > 1
    played = play_together(jobs, plan, progress, workers) if together else _one_by_one(jobs, month, progress)
    for result in played:
        results = sorted([*results, result], key=lambda r: order[r.label])
        _log_result(result)
        done = len(results) == len(jobs)
        status = overall([r.status for r in results]) if done else RUNNING
        seconds = time.perf_counter() - begin
        summary = summarize_seed(plan, month, results, status, seconds)
        table = results_table(month, results)
        run = SeedRun(month.seed, status, summary, table, tuple(results), folder)
        if folder is not None:
            info = manifest.seed_manifest(plan, month, results, status, seconds, machine, files)
            _write(run, folder, info, figures and done)
    return run


def _one_by_one(jobs: Sequence[JobSpec], month: Month, progress: Progress) -> Iterator[JobResult]:
    stopped = False
    for job in jobs:
        result = JobResult(job, NOT_RUN, STOPPED_BEFORE) if stopped else play(job, month, progress)
        stopped = stopped or result.status == INTERRUPTED
        yield result


def _write(run: SeedRun, folder: Path, info: Mapping[str, Any], figures: bool) -> None:
    store.write_tables(folder, run.results)
    store.write_text(folder / store.RESULTS, to_csv(run.table))
    store.write_json(folder / store.SUMMARY, run.summary)
    store.write_text(folder / store.REPORT, seed_report(run.summary))
    store.write_json(folder / store.MANIFEST, info)
    # after all figures are safe
    if figures and any(len(r.intervals) for r in run.results):
        from benchmarks.figures import overview  # matplotlib takes longer to import than a small run takes

        store.write_bytes(folder / store.OVERVIEW, overview(run.summary, run.results))
        store.write_text(folder / store.REPORT, seed_report(run.summary, picture=store.OVERVIEW))


def _log_result(result: JobResult) -> None:
    played = len(result.opportunities)
    if result.kpis:
        k = result.kpis
        text = "%s: %s, %d opportunities in %.1f s, profit %.2f USD, satisfaction %.4f, %d violations"
        violations = k["total_violations"]["total"]
        profit, satisfaction = k["total_profit"], k["avg_satisfaction"]
        log.info(text, result.label, result.status, played, result.seconds, profit, satisfaction, violations)
    else:
        log.warning("%s: %s after %d opportunities: %s", result.label, result.status, played, result.reason)
