"""The files of one run: what a run folder holds, as bytes. Times lie in files of their own.

| file | what it holds |
|---|---|
| `manifest.json` | schema, hash of the job, status, error, scenario, data, policy, versions |
| `summary.json` | every KPI but times |
| `opportunities.parquet`, `intervals.parquet`, `prosumers.parquet` | the tables of docs/benchmark.md |
| `dispatch.parquet`, `events.parquet` | who was dispatched, what went wrong (`vpp_env.evaluation.home_record`) |
| `prices.parquet`, `transcripts.parquet` | market prices; messages as JSON text |
| `timing.parquet`, `timing.json` | seconds per opportunity; wall seconds |
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.results.manifest import RUN_SCHEMA, run_manifest
from vpp_benchmarks.results.summary import plain, policy_summary
from vpp_benchmarks.run.experiment import file_hashes, job_hash
from vpp_benchmarks.run.job import FAILED, JobEnd, JobResult, month_of
from vpp_benchmarks.run.plan import JobSpec, PlanError
from vpp_env.errors import VppError

RunFiles = Mapping[str, bytes]
TABLES = ("opportunities", "intervals", "prosumers", "dispatch", "events", "prices")
MANIFEST, SUMMARY, TIMING, TIMES, TRANSCRIPTS = (
    "manifest.json",
    "summary.json",
    "timing.json",
    "timing.parquet",
    "transcripts.parquet",
)
VOLATILE = (TIMING, TIMES)
"""The only files that differ between two plays of the same run."""


def is_time(name: str) -> bool:
    """Whether a column or KPI is a measured time."""
    return name == "seconds" or name.endswith(("_time", "_seconds"))


def files_of(result: JobResult) -> dict[str, bytes]:
    """Return the files of a run, name -> content."""
    job = result.job
    summary = policy_summary(result, job.scenario.fleet.size)
    kpis = {key: value for key, value in summary.items() if not is_time(key)}
    times = {key: value for key, value in summary.items() if is_time(key)}
    data = {"series": _series(job), "files_sha256": dict(file_hashes(job.market_data))}
    files = {
        MANIFEST: to_json(run_manifest(result, data, job_hash(job))),
        SUMMARY: to_json(plain(kpis)),
        TIMING: to_json(plain({"wall_seconds": result.seconds, **times})),
    }
    played = result.opportunities
    timed = [column for column in played.columns if is_time(column)]
    tables = {name: getattr(result, name) for name in TABLES}
    tables["opportunities"] = played.drop(columns=timed)
    files |= {f"{name}.parquet": to_parquet(table) for name, table in tables.items() if len(table.columns)}
    files[TIMES] = to_parquet(played[[c for c in ("opportunity",) if c in played.columns] + timed])
    if result.transcripts:
        files[TRANSCRIPTS] = to_parquet(_messages(result.transcripts))
    return files


def _series(job: JobSpec) -> dict[str, str]:
    try:
        return dict(month_of(job).series.source)
    except (VppError, OSError):  # the run has failed for the same reason, which its manifest holds
        return {}


def _messages(transcripts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "opportunity": message["opportunity"],
            "timestamp": message["timestamp"],
            "kind": str(message.get("kind", "")),
            "message": json.dumps(message, ensure_ascii=False, default=str),
        }
        for message in transcripts
    ]
    return pd.DataFrame(rows)


def failed_files(end: JobEnd) -> dict[str, bytes]:
    """Return the files of a run that left nothing behind: its process died."""
    return files_of(JobResult(end.job, FAILED, end.reason, end.seconds))


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as parquet; the same table gives the same bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_json(data: Mapping[str, Any]) -> bytes:
    """Return strict JSON: not-a-number is an error, not a token that no other reader knows."""
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


# -- reading -----------------------------------------------------------------------------------------------------


class Stored:
    """A run as it lies in a folder, or in memory; tables are read when they are asked for.

    Parameters
    ----------
    files : Path or mapping
        The run folder, or its files.

    Raises
    ------
    PlanError
        When it is no run folder, or of another schema.
    """

    def __init__(self, files: Path | RunFiles) -> None:
        self._files = files
        self.where = str(files) if isinstance(files, Path) else "memory"
        self.manifest = self._json(MANIFEST)
        if self.manifest.get("schema") != RUN_SCHEMA:
            raise PlanError(
                f"{self.where}: its schema is {self.manifest.get('schema')!r}; this version reads {RUN_SCHEMA!r}"
            )

    def _read(self, name: str) -> bytes | None:
        if not isinstance(self._files, Path):
            return self._files.get(name)
        path = self._files / name
        return path.read_bytes() if path.is_file() else None

    def _json(self, name: str) -> dict[str, Any]:
        content = self._read(name)
        if content is None:
            raise PlanError(f"{self.where}: there is no {name}; this is no run folder")
        try:
            return json.loads(content)
        except ValueError as error:
            raise PlanError(f"{self.where}: {name} is not valid JSON: {error}") from error

    @property
    def summary(self) -> dict[str, Any]:
        """KPIs, without times."""
        return self._json(SUMMARY)

    @property
    def timing(self) -> dict[str, Any]:
        """Wall seconds and mean times."""
        return self._json(TIMING)

    @property
    def label(self) -> str:
        """The policy's label."""
        return str(self.manifest["policy"]["label"])

    def table(self, name: str) -> pd.DataFrame:
        """Return a table; one without columns where the run left none."""
        content = self._read(f"{name}.parquet")
        return pd.DataFrame() if content is None else pd.read_parquet(io.BytesIO(content))

    def result(self, job: JobSpec) -> JobResult:
        """Return the run as it was played; KPIs are plain data."""
        tables = {name: self.table(name) for name in TABLES}
        played, times = tables["opportunities"], self.table("timing")
        if len(played):
            tables["opportunities"] = played.assign(**{c: times[c] for c in times.columns if c != "opportunity"})
        texts = self.table("transcripts")
        timing = self.timing
        kpis = self.summary | {key: value for key, value in timing.items() if key != "wall_seconds"}
        played_anything = "total_profit" in kpis
        return JobResult(
            job,
            self.manifest["status"],
            self.manifest["reason"] or "",
            timing["wall_seconds"],
            kpis if played_anything else {},
            transcripts=tuple(texts["message"]) if len(texts) else (),
            traceback=self.manifest["traceback"] or "",
            **tables,
        )
