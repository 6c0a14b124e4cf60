"""One run: one policy plays one month. What comes back is always a result, also when the policy fails."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import pandas as pd

from vpp_benchmarks.results.llm_kpis import llm_bill
from vpp_benchmarks.results.run_result import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    NOT_RUN,
    HomeSource,
    Origin,
    PriceSource,
    RunResult,
    ScenarioFacts,
)
from vpp_benchmarks.results.software import software
from vpp_benchmarks.run.auditing import audit_of
from vpp_benchmarks.run.experiment import file_hashes, job_hash
from vpp_benchmarks.run.named_files import named_files
from vpp_benchmarks.run.plan import JobSpec, Salt
from vpp_env.errors import PolicyError
from vpp_env.evaluation.answers import PolicyFailure, said
from vpp_env.evaluation.isolation import player
from vpp_env.evaluation.kpi import Kpis, summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import Run, rehearse, simulate
from vpp_env.scenario import Scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.readers.homes import home_hashes

log = logging.getLogger(__name__)

STOPPED_BEFORE = "the comparison was interrupted before"


class Progress(Protocol):
    """Who is told how a comparison gets on."""

    def begin(self, job: JobSpec, total: int) -> None:
        """Expect `total` opportunities of this run."""
        ...

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Take one more opportunity that has been played; may raise KeyboardInterrupt to stop there."""
        ...

    def end(self, result: RunResult) -> None:
        """Take what the run left behind; whoever keeps it keeps its tables."""
        ...


@lru_cache(maxsize=1)
def _month(
    scenario: Scenario,
    seed: int,
    market_data: str | None,
    node: str | None,
    salt: Salt | None,
    home_data: str | None,
    homes: tuple[str, ...],
) -> Month:
    """Return the month of a run; the last one is kept, for the policies that are compared on it.

    `homes` are the hashes of the files of `home_data`: what was made of others is not taken.
    """
    return Month(scenario, seed, market_data, node, salt=None if salt is None else salt.text, home_data=home_data)


def month_of(job: JobSpec) -> Month:
    """Return the month that the run is played on."""
    data = job.market_data, job.node, job.checks.salt, job.home_data
    return _month(job.scenario, job.seed, *data, tuple(home_hashes(job.home_data).values()))


def origin_of(job: JobSpec, month: Month | None = None) -> Origin:
    """Return where a run is from; the month, where it could be built, says what its prices and homes are."""
    s = job.scenario
    facts = ScenarioFacts(s.name, s.hash, s.fleet.size, s.n_opportunities, s.to_toml())
    series, said = ({}, {}) if month is None else (month.series.source, month.home_source)
    prices = PriceSource(dict(series), dict(file_hashes(job.market_data)), job.node)
    homes = HomeSource(dict(said), home_hashes(job.home_data))
    made = (job.name, job_hash(job), job.case, job.seed, job.contender, facts, prices, software())
    return Origin(*made, job.checks.salt_sha256, homes)


def not_run(job: JobSpec) -> RunResult:
    """Return a run that was not begun."""
    return RunResult(origin_of(job), NOT_RUN, STOPPED_BEFORE, audit=job.audited)


def stopped(job: JobSpec, status: str, reason: str) -> RunResult:
    """Return a run that left nothing behind: its process died, or was ended at once."""
    return RunResult(origin_of(job), status, reason, audit=job.audited)


def play(job: JobSpec, progress: Progress, rehearses: bool = False) -> RunResult:
    """Play one run; with `rehearses` an opportunity of nobody before it, which compiles or loads what all runs need.

    Returns
    -------
    RunResult
        `complete`; `interrupted` with all that was played before Ctrl-C; or `failed` with the reason and the
        opportunities that were played before it.
    """
    total = job.scenario.n_opportunities
    rows: list[dict[str, Any]] = []
    month: Month | None = None
    audited = job.audited

    def on_opportunity(row: dict[str, Any]) -> None:
        rows.append(row)
        progress.row(job, row)

    def partial(status: str, reason: str, trace: str = "") -> RunResult:
        tables = {"opportunities": pd.DataFrame(rows)} if rows else {}
        origin = origin_of(job)
        if month is not None:
            origin, tables = origin_of(job, month), tables | {"prices": price_table(month)}
        return RunResult(origin, status, reason, trace, played=len(rows), tables=tables, audit=audited)

    begin = time.perf_counter()
    try:
        progress.begin(job, total)
        month = month_of(job)
        if rehearses:
            rehearse(month)
        audited = audited or audit_of(job, month)
        with player(job.contender.spec, job.checks.policy_timeout_s) as policy:
            if policy.info != job.contender.info:
                # the report prints what was declared when the comparison was planned
                declared = job.contender.info
                raise PolicyError(f"it declares {policy.info}, and declared {declared} when the run was planned")
            if changed := set(named_files(job.contender.spec)) ^ set(job.contender.files):
                files = ", ".join(sorted({name for name, _ in changed}))
                raise PolicyError(f"what it names has changed since the run was planned: {files}")
            result = _result_of(job, month, simulate(month, policy, on_opportunity, audited))
    except PolicyFailure as error:  # in a process of its own: the words and the traceback are from there
        trace = error.trace or traceback.format_exc()
        log.error("%s: failed after %d of %d opportunities\n%s", job.contender.label, len(rows), total, trace)
        result = partial(FAILED, str(error), trace)
    except Exception as error:
        log.exception("%s: failed after %d of %d opportunities", job.contender.label, len(rows), total)
        result = partial(FAILED, said(error), traceback.format_exc())
    except KeyboardInterrupt:  # before the first or after the last opportunity; simulate() catches those between
        result = partial(INTERRUPTED, f"stopped after {len(rows)} of {total} opportunities")
    except BaseException as error:  # SystemExit and the like: a policy ends its own run and no other
        log.exception("%s: failed after %d of %d opportunities", job.contender.label, len(rows), total)
        result = partial(FAILED, said(error), traceback.format_exc())
    result = replace(result, seconds=time.perf_counter() - begin)
    progress.end(result)
    return result


def _result_of(job: JobSpec, month: Month, run: Run) -> RunResult:
    record, total = run.record, job.scenario.n_opportunities
    played = len(record.rows)
    # Ctrl-C while the last opportunity was played has cost nothing
    complete = run.complete or played == total
    kpis: Kpis | None = summarize(run) if played else None
    opportunities = record.opportunities()
    tables = {
        "opportunities": opportunities,
        "intervals": record.interval_table(),
        "prosumers": prosumer_table(record, run.world.scenario.satisfaction, run.info),
        "dispatch": record.homes.dispatch(),
        "events": record.homes.events(),
        "prices": price_table(month),
    }
    if record.transcripts:
        tables["transcripts"] = message_table(record.transcripts)
    return RunResult(
        origin_of(job, month),
        COMPLETE if complete else INTERRUPTED,
        "" if complete else f"stopped after {played} of {total} opportunities",
        played=played,
        kpis=kpis,
        llm=llm_bill(opportunities, kpis.total_profit) if kpis else None,
        tables={name: table for name, table in tables.items() if len(table.columns)},
        audit=run.audit,
    )


def price_table(month: Month) -> pd.DataFrame:
    """Return the market's prices by 15-min interval: day-ahead, real-time (USD/MWh), reserve (USD/MW per h)."""
    n, series = month.scenario.n_steps, month.series
    table = {"timestamp": month.calendar.local[:n], "da_usd_per_mwh": series.da_usd_per_mwh[:n]}
    table |= {"rt_usd_per_mwh": series.rt_usd_per_mwh[:n]}
    if month.scenario.market.reserve:
        table |= {f"{name}_usd_per_mw": values[:n] for name, values in series.reserve_usd_per_mw.items()}
    return pd.DataFrame(table)


def message_table(messages: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the messages of a negotiation, one a row, each whole as JSON text."""
    rows = [
        {
            "opportunity": message["opportunity"],
            "timestamp": message["timestamp"],
            "kind": str(message.get("kind", "")),
            "message": json.dumps(message, ensure_ascii=False, default=str),
        }
        for message in messages
    ]
    return pd.DataFrame(rows)
