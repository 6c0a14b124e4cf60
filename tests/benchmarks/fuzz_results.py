"""Damaged folders of results: every reader of them answers, or says in one line what is damaged.

python -m tests.benchmarks.fuzz_results 500 [first seed]
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from vpp_benchmarks.cli.main import LOADING, main
from vpp_benchmarks.dashboard.source import figures, points_of, runs_of, state_of
from vpp_benchmarks.results.run_result import RunResult

from vpp_env.errors import VppError

PLAN = "compare --scenario quick --duration-hours 2 --fleet-size 3 --policies agentic idle --seeds 1000:1002"
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, "", "x", "../../x", "a\0b", [], {}, [[]], {"a": 1}, "9" * 9999, "\ud800", "<b>",
)  # fmt: skip


def experiment(folder: Path) -> Path:
    """Play what is damaged later."""
    made = folder / "whole"
    options = f"{PLAN} --quiet --no-figures --no-ceilings --executor serial --out {made}"
    assert main(options.split()) == 0
    return made


def _leaves(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested data: what holds it, and its key."""
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, key
        yield from _leaves(data[key])


def damage(rng: np.random.Generator, out: Path) -> str:
    """Damage one file of a folder; say which, and how."""
    files = sorted(f for f in out.rglob("*") if f.is_file() and f.suffix in (".json", ".parquet", ".jsonl", ".csv"))
    file = files[int(rng.integers(len(files)))]
    kinds = [
        "bytes",
        "cut",
        "gone",
        "link",
        "folder",
        "empty",
        "text",
        *(["value"] * 8 if file.suffix == ".json" else []),
    ]
    kind = kinds[int(rng.integers(len(kinds)))]
    content = file.read_bytes()
    if kind == "value":
        data = json.loads(content)
        places = list(_leaves(data))
        holder, key = places[int(rng.integers(len(places)))]
        holder[key] = ODD[int(rng.integers(len(ODD)))]
        file.write_text(json.dumps(data), encoding="utf-8", errors="surrogatepass")
    elif kind == "bytes":
        bad = bytearray(content or b"x")
        for at in rng.integers(len(bad), size=int(rng.integers(1, 9))):
            bad[at] = rng.integers(256)
        file.write_bytes(bytes(bad))
    elif kind == "cut":
        file.write_bytes(content[: int(rng.integers(len(content) + 1))])
    elif kind in ("empty", "text"):
        file.write_bytes(b"" if kind == "empty" else b"hello, this is a text\n")
    else:
        file.unlink()
        if kind == "link":
            file.symlink_to("/etc/hostname")
        elif kind == "folder":
            file.mkdir()
    return f"{file.relative_to(out)}: {kind}"


def dashboard(out: Path) -> int:
    """What the dashboard reads for its pages, without a browser."""
    state_of(out)
    runs = [RunResult.read(path) for path in runs_of([out]).values()]
    for run in runs:
        figures(run)
        for name in run.tables:
            run.table(name)
    points_of(runs)
    return 0


def read(way: str, out: Path) -> tuple[int, str]:
    """Read a folder in one way; return the exit status, and what standard error says."""
    if way == "dashboard":
        try:
            return dashboard(out), ""
        except VppError as error:
            return 2, f"error: {error}"
    said, told = io.StringIO(), io.StringIO()
    more = " --quiet --no-figures --no-ceilings --executor serial" if way.startswith("compare") else ""
    with redirect_stdout(said), redirect_stderr(told):
        try:
            folder = out / "seed_1000" if way == "transcript" else out
            status = main([*way.split(), str(folder), *more.split()])
        except SystemExit as end:
            status = int(end.code or 0)
    return status, told.getvalue()


WAYS = ("report", "leaderboard --by welfare", "transcript", "dashboard", "compare --resume")


def run(n: int, first: int = 0, whole: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Try n damages, of copies of an experiment where one is given; return how they ended, and the faults."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        whole = whole or experiment(Path(base))
        for seed in range(first, first + n):
            rng = np.random.default_rng(seed)
            out = Path(base) / "damaged"
            shutil.copytree(whole, out)
            what = damage(rng, out)
            way = WAYS[int(rng.integers(len(WAYS)))]
            try:
                status, told = read(way, out)
                lines = [line for line in told.splitlines() if LOADING not in line and "played again" not in line]
                if status == 2 and (len(lines) != 1 or len(lines[0]) > 1500 or not lines[0].startswith("error: ")):
                    faults.append(f"seed {seed}: {way}, {what}: not one line: {told[:300]!r}")
                ends[f"{way}: {'as it should be' if status == 0 else 'one line'}"] += 1
                if status not in (0, 2):
                    faults.append(f"seed {seed}: {way}, {what}: status {status}: {told[:300]!r}")
            except BaseException:  # noqa: BLE001  whatever it is, it is the finding
                faults.append(f"seed {seed}: {way}, {what}: {traceback.format_exc()}")
                ends["fault"] += 1
            shutil.rmtree(out)
    return ends, faults


if __name__ == "__main__":
    found, wrong = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print("\n".join(wrong))
    print(dict(found))
