"""Folders of results: every reader of them answers, or says in one line what is damaged."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from vpp_benchmarks.cli.main import LOADING, main
from vpp_benchmarks.dashboard.source import figures, points_of, runs_of, state_of
from vpp_benchmarks.results.run_result import RunResult

from tests.fuzz.harness import Attempt, Target
from tests.fuzz.mutations import change_value, changed_bytes, pick
from vpp_env.errors import VppError

PLAN = "compare --scenario quick --duration-hours 2 --fleet-size 3 --policies agentic idle --seeds 1000:1002"


def experiment(folder: Path) -> Path:
    """Play what is damaged later."""
    made = folder / "whole"
    options = f"{PLAN} --quiet --no-figures --no-ceilings --executor serial --out {made}"
    assert main(options.split()) == 0
    return made


def damage(rng: np.random.Generator, out: Path) -> str:
    """Damage one file of a folder; say which, and how."""
    files = sorted(f for f in out.rglob("*") if f.is_file() and f.suffix in (".json", ".parquet", ".jsonl", ".csv"))
    file = pick(rng, files)
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
    kind = pick(rng, kinds)
    content = file.read_bytes()
    if kind == "value":
        data = json.loads(content)
        change_value(data, rng)
        file.write_text(json.dumps(data), encoding="utf-8", errors="surrogatepass")
    elif kind == "bytes":
        file.write_bytes(changed_bytes(content, rng))
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


AGAIN = "played again"
"""What --resume says of a damaged run."""
WAYS = ("report", "leaderboard --by welfare", "transcript", "dashboard", "compare --resume")


def _results(valid: Path) -> Attempt:
    whole = experiment(valid)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        out = Path(shutil.copytree(whole, folder / "damaged"))
        damage(rng, out)
        status, told = read(pick(rng, WAYS), out)
        if status == 2:
            raise VppError("\n".join(line for line in told.splitlines() if LOADING not in line and AGAIN not in line))
        assert status == 0, told

    return attempt


RESULTS = Target(
    "folders of results", "bytes, cut, gone, links, values; read by report, leaderboard, ...", _results, quick=6
)
