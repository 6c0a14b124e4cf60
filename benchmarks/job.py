"""One run: one policy plays one month. What comes back is always a result, also when the policy fails."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from benchmarks.plan import JobSpec
from vpp_env.kpi import prosumer_table, summarize
from vpp_env.month import Month
from vpp_env.policy import make_policy
from vpp_env.simulate import Run, simulate

log = logging.getLogger(__name__)

COMPLETE, INTERRUPTED, FAILED, NOT_RUN, RUNNING = "complete", "interrupted", "failed", "not_run", "running"
"""States of a run."""


class Progress(Protocol):
    """Who is told how a comparison gets on."""

    def begin(self, job: JobSpec, total: int) -> None:
        """Expect `total` opportunities of this run."""
        ...

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Take one more opportunity that has been played; may raise KeyboardInterrupt to stop there."""
        ...

    def end(self, result: JobResult) -> None:
        """Close the run."""
        ...


@dataclass(frozen=True)
class JobResult:
    """What one run leaves behind."""

    job: JobSpec
    status: str
    reason: str = ""  # why it is not complete
    seconds: float = 0.0  # wall clock
    kpis: dict[str, Any] = field(default_factory=dict)  # `vpp_env.kpi.summarize`; empty when it failed
    opportunities: pd.DataFrame = field(default_factory=pd.DataFrame)
    intervals: pd.DataFrame = field(default_factory=pd.DataFrame)
    prosumers: pd.DataFrame = field(default_factory=pd.DataFrame)
    transcripts: tuple[dict[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """The policy's label."""
        return self.job.contender.label


def play(job: JobSpec, month: Month, progress: Progress) -> JobResult:
    """Play `month` with the policy of `job`.

    Returns
    -------
    JobResult
        `complete`; `interrupted` with all that was played before Ctrl-C; or `failed` with the reason and the
        opportunities that were played before it.
    """
    total = month.scenario.n_opportunities
    rows: list[dict[str, Any]] = []

    def on_opportunity(row: dict[str, Any]) -> None:
        rows.append(row)
        progress.row(job, row)

    begin = time.perf_counter()
    try:
        progress.begin(job, total)
        run = simulate(month, make_policy(job.contender.spec), on_opportunity)
        result = _result_of(job, run, total, time.perf_counter() - begin)
    except Exception as error:
        log.exception("%s: failed after %d of %d opportunities", job.contender.label, len(rows), total)
        reason = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - begin
        result = JobResult(job, FAILED, reason, seconds, opportunities=pd.DataFrame(rows))
    except KeyboardInterrupt:  # before the first or after the last opportunity; simulate() catches those between
        reason = f"stopped after {len(rows)} of {total} opportunities"
        result = JobResult(job, INTERRUPTED, reason, time.perf_counter() - begin, opportunities=pd.DataFrame(rows))
    progress.end(result)
    return result


def _result_of(job: JobSpec, run: Run, total: int, seconds: float) -> JobResult:
    record = run.record
    played = len(record.rows)
    # Ctrl-C while the last opportunity was played has cost nothing
    complete = run.complete or played == total
    kpis = summarize(run) if played else {}
    return JobResult(
        job=job,
        status=COMPLETE if complete else INTERRUPTED,
        reason="" if complete else f"stopped after {played} of {total} opportunities",
        seconds=seconds,
        kpis=kpis,
        opportunities=record.opportunities(),
        intervals=record.interval_table(),
        prosumers=prosumer_table(record, run.world.scenario.satisfaction, run.policy.info),
        transcripts=tuple(record.transcripts),
    )
