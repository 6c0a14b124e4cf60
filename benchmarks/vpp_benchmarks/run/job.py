"""One run: one policy plays one month. What comes back is always a result, also when the policy fails."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import pandas as pd

from vpp_benchmarks.run.plan import JobSpec
from vpp_env.contract.policy import make_policy
from vpp_env.errors import PolicyError
from vpp_env.evaluation.kpi import prosumer_table, summarize
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.scenario import Scenario
from vpp_env.simulation.month import Month

log = logging.getLogger(__name__)

COMPLETE, INTERRUPTED, FAILED, NOT_RUN, RUNNING = "complete", "interrupted", "failed", "not_run", "running"
"""States of a run."""
STOPPED_BEFORE = "the comparison was interrupted before"


@dataclass(frozen=True)
class JobEnd:
    """How a run ended: all that is kept of it in memory."""

    job: JobSpec
    status: str
    reason: str = ""  # why it is not complete
    seconds: float = 0.0  # wall clock
    played: int = 0  # opportunities
    profit: float | None = None  # USD
    satisfaction: float | None = None
    violations: int | None = None


class Progress(Protocol):
    """Who is told how a comparison gets on."""

    def begin(self, job: JobSpec, total: int) -> None:
        """Expect `total` opportunities of this run."""
        ...

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Take one more opportunity that has been played; may raise KeyboardInterrupt to stop there."""
        ...

    def end(self, end: JobEnd) -> None:
        """Close the run."""
        ...


@dataclass(frozen=True)
class JobResult:
    """What one run leaves behind."""

    job: JobSpec
    status: str
    reason: str = ""  # why it is not complete
    seconds: float = 0.0  # wall clock
    kpis: dict[str, Any] = field(default_factory=dict)  # `vpp_env.evaluation.kpi.summarize`; empty when it failed
    opportunities: pd.DataFrame = field(default_factory=pd.DataFrame)
    intervals: pd.DataFrame = field(default_factory=pd.DataFrame)
    prosumers: pd.DataFrame = field(default_factory=pd.DataFrame)
    dispatch: pd.DataFrame = field(default_factory=pd.DataFrame)  # `vpp_env.evaluation.home_record`
    events: pd.DataFrame = field(default_factory=pd.DataFrame)
    prices: pd.DataFrame = field(default_factory=pd.DataFrame)
    transcripts: tuple[Any, ...] = ()  # messages, or their JSON text where they were read from a folder
    traceback: str = ""

    @property
    def label(self) -> str:
        """The policy's label."""
        return self.job.contender.label

    @property
    def end(self) -> JobEnd:
        """The result in a few words."""
        kpis = self.kpis
        return JobEnd(
            self.job,
            self.status,
            self.reason,
            self.seconds,
            len(self.opportunities),
            kpis.get("total_profit"),
            kpis.get("avg_satisfaction"),
            kpis.get("total_violations", {}).get("total"),
        )


@lru_cache(maxsize=1)
def _month(scenario: Scenario, seed: int, market_data: str | None, node: str | None) -> Month:
    """Return the month of a run; the last one is kept, for the policies that are compared on it."""
    return Month(scenario, seed, market_data, node)


def month_of(job: JobSpec) -> Month:
    """Return the month that the run is played on."""
    return _month(job.scenario, job.seed, job.market_data, job.node)


def play(job: JobSpec, progress: Progress) -> JobResult:
    """Play one run.

    Returns
    -------
    JobResult
        `complete`; `interrupted` with all that was played before Ctrl-C; or `failed` with the reason and the
        opportunities that were played before it.
    """
    total = job.scenario.n_opportunities
    rows: list[dict[str, Any]] = []

    def on_opportunity(row: dict[str, Any]) -> None:
        rows.append(row)
        progress.row(job, row)

    begin = time.perf_counter()
    try:
        progress.begin(job, total)
        month = month_of(job)
        policy = make_policy(job.contender.spec)
        if policy.info != job.contender.info:
            # the report prints what was declared when the comparison was planned
            raise PolicyError(f"it declares {policy.info}, and declared {job.contender.info} when the run was planned")
        run = simulate(month, policy, on_opportunity)
        result = _result_of(job, month, run, total, time.perf_counter() - begin)
    except Exception as error:
        log.exception("%s: failed after %d of %d opportunities", job.contender.label, len(rows), total)
        reason = f"{type(error).__name__}: {error}"
        seconds, trace = time.perf_counter() - begin, traceback.format_exc()
        result = JobResult(job, FAILED, reason, seconds, opportunities=pd.DataFrame(rows), traceback=trace)
    except KeyboardInterrupt:  # before the first or after the last opportunity; simulate() catches those between
        reason = f"stopped after {len(rows)} of {total} opportunities"
        result = JobResult(job, INTERRUPTED, reason, time.perf_counter() - begin, opportunities=pd.DataFrame(rows))
    progress.end(result.end)
    return result


def _result_of(job: JobSpec, month: Month, run: Run, total: int, seconds: float) -> JobResult:
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
        prosumers=prosumer_table(record, run.world.scenario.satisfaction, run.info),
        dispatch=record.homes.dispatch(),
        events=record.homes.events(),
        prices=price_table(month),
        transcripts=tuple(record.transcripts),
    )


def price_table(month: Month) -> pd.DataFrame:
    """Return the market's prices by 15-min interval: day-ahead, real-time (USD/MWh), reserve (USD/MW per h)."""
    n, series = month.scenario.n_steps, month.series
    table = {"timestamp": month.calendar.local[:n], "da_usd_per_mwh": series.da_usd_per_mwh[:n]}
    table |= {"rt_usd_per_mwh": series.rt_usd_per_mwh[:n]}
    if month.scenario.market.reserve:
        table |= {f"{name}_usd_per_mw": values[:n] for name, values in series.reserve_usd_per_mw.items()}
    return pd.DataFrame(table)
