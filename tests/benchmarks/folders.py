"""What tests compare of result folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from vpp_benchmarks.results.encode import is_time, to_json
from vpp_benchmarks.results.leaderboard import found
from vpp_benchmarks.results.run_result import VOLATILE, RunResult
from vpp_benchmarks.results.store import LOCK, LOG, MANIFEST

TIMED = ("total_simulation_time_minutes", "sha256")  # the checksum of a summary is of its times too


def run_files(out: Path) -> dict[str, bytes]:
    """All files of all run folders but the two that hold times."""
    found = (f for f in (out / "runs").rglob("*") if f.is_file() and f.name not in VOLATILE)
    return {str(f.relative_to(out)): f.read_bytes() for f in found}


def result_files(out: Path) -> dict[str, Any]:
    """All files above the runs, without times: bytes, but tables and JSON without what is a time."""
    files: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or name.startswith("runs") or path.name in (LOCK, LOG, MANIFEST, "timing.parquet"):
            continue
        if path.name == "simulation_results.csv":
            table = pd.read_csv(path, dtype=str)
            files[name] = table.drop(columns=[c for c in table.columns if is_time(c)]).to_csv()
        elif path.name == "simulation_summary.json":
            files[name] = timeless(json.loads(path.read_text(encoding="utf-8")))
        elif path.name not in ("simulation_report.md", "report.html"):  # they show seconds
            files[name] = path.read_bytes()
    return files


def runs_below(roots: Sequence[Path]) -> list[RunResult]:
    """Every run below some folders."""
    return [run for _, run in found(roots)]


def write_sealed(path: Path, data: dict[str, Any]) -> None:
    """Write JSON of a run folder that was changed as if it had been written so: its checksum is right."""
    whole = {key: value for key, value in data.items() if key != "sha256"}
    path.write_bytes(to_json(whole | {"sha256": hashlib.sha256(to_json(whole)).hexdigest()}))


def timeless(data: Any) -> Any:
    """The same JSON data without times."""
    if isinstance(data, dict):
        return {k: timeless(v) for k, v in data.items() if not is_time(k) and k not in TIMED}
    return [timeless(v) for v in data] if isinstance(data, list) else data
