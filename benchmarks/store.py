"""Files of a run: written to a temporary name and renamed, so that a reader never sees half of one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.job import JobResult
from benchmarks.plan import PlanError

RESULTS, SUMMARY, REPORT = "simulation_results.csv", "simulation_summary.json", "simulation_report.md"
MANIFEST, LOG, TRANSCRIPTS, OVERVIEW = "manifest.json", "simulation.log", "transcripts.jsonl", "overview.png"
TABLES = ("opportunities", "intervals", "prosumers")


def default_folder(scenario: str, now: datetime | None = None) -> Path:
    """Return `results/<scenario>-<time>` below the working directory, with a number where it is taken."""
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in scenario)
    first = folder = Path("results") / f"{name}-{stamp}"
    number = 1
    while folder.exists():
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def check_free(folder: Path) -> None:
    """Raise `PlanError` unless results may be written to `folder`: nothing is ever overwritten."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise PlanError(
            f"output folder {str(folder)!r} exists and is not empty; nothing is overwritten: give another --out, "
            "or remove it first"
        )


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text at once or not at all, with the same line ends everywhere."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write strict JSON: not-a-number is an error, not a token that no other reader knows."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_tables(folder: Path, results: Sequence[JobResult]) -> None:
    """Write the long tables (parquet, with a column `policy`) and the transcripts."""
    for name in TABLES:
        parts = [(r.label, getattr(r, name)) for r in results]
        frames = [frame.assign(policy=label) for label, frame in parts if len(frame)]
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"policy": pd.Series(dtype="str")})
        table.insert(0, "policy", table.pop("policy"))
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        write_bytes(folder / f"{name}.parquet", buffer.getvalue())
    lines = [
        json.dumps({"policy": r.label, **message}, ensure_ascii=False, default=str)
        for r in results
        for message in r.transcripts
    ]
    if lines:
        write_text(folder / TRANSCRIPTS, "\n".join(lines) + "\n")
