"""Policies that misbehave beside good ones, in whole comparisons as they are typed: each is one failed row, no more."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.folders import run_files
from tests.fuzz.harness import one_line
from tests.fuzz.misbehaving import MOMENTS, RETURNED, WAYS

ROOT = Path(__file__).resolve().parents[2]
HOURS = 3
TIMEOUT_S = 12.0
"""Longest that an answer is waited for [assumed]: what hangs costs this much, a good policy on a busy machine less."""
MEMORY = 4 << 30
"""Bytes that each process may hold, so that who takes memory takes it from nobody."""
TOGETHER = 10
"""Of one comparison."""
GOOD = ("truthful", "tests.cheats:Honest")
"""One in the evaluator's process and one in its own, before and after those that misbehave."""
FORGED = ("sends an error of control characters", "sends an error of numbers")
"""Ways that send the evaluator's reason themselves; where it was is not in it."""
MARK = "VPP_ENV_CHAOS"


@dataclass(frozen=True)
class Case:
    """One policy that misbehaves."""

    way: str
    at: str

    @property
    def spec(self) -> str:
        return f"tests.fuzz.misbehaving:Misbehaves(way={self.way!r}, at={self.at!r})"


def cases(n: int, first: int = 0) -> list[Case]:
    """All ways in an order of chance, again and again, each at a moment of chance."""
    rng = np.random.default_rng(first)
    names: list[str] = []
    while len(names) < n:
        names += rng.permutation(list(WAYS)).tolist()
    return [Case(way, _moment(way, rng)) for way in names[:n]]


def _moment(way: str, rng: np.random.Generator) -> str:
    at = MOMENTS[int(rng.integers(len(MOMENTS)))]
    if way in RETURNED or way == "plays twice":
        return at if at != "reset" else "first"  # what `reset` returns is not looked at
    if way in ("alarmed", "declares"):
        return "first"  # there must be something to come
    return at


def compare(out: Path, specs: Sequence[str], executor: str, mark: str = "") -> subprocess.CompletedProcess[bytes]:
    """Type it."""
    command = [str(Path(sys.executable).with_name("vpp-env")), "compare", "--scenario", "quick", "--policies", *specs]
    command += ["--duration-hours", str(HOURS), "--no-figures", "--no-ceilings", "--quiet", "--out", str(out)]
    command += ["--executor", executor, "--jobs", "2", "--policy-timeout", str(TIMEOUT_S)]
    # through pipes, as `| tee` would: what lives on and holds them would hold this up
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        capture_output=True,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
        check=False,
    )


def left_over(mark: str) -> list[int]:
    """Processes that are still there of a comparison."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


def faults(done: subprocess.CompletedProcess[bytes], out: Path, tried: Sequence[Case], alone: Path) -> list[str]:
    """What is not as it must be after a comparison."""
    found = []
    if done.returncode != 1:
        found.append(f"status {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
    manifests = {p.parent.name: json.loads(p.read_bytes()) for p in (out / "runs").glob("*/manifest.json")}
    by_spec = {m["policy"]["spec"]: m for m in manifests.values()}
    for case in tried:
        row = by_spec.get(case.spec)
        if row is None or row["status"] != "failed":
            found.append(f"{case}: {'no row' if row is None else row['status']}")
        elif not one_line(row["reason"]) or not row["reason"].isprintable():
            found.append(f"{case}: {row['reason'][:300]!r}")
        elif case.way not in FORGED and "(misbehaving.py, line " not in row["reason"]:
            found.append(f"{case}: no line: {row['reason']}")
    whole, now = run_files(alone), run_files(out)
    for name in (m for m in manifests if not m.startswith("quick-s0-misbehaves")):
        files = {path: data for path, data in now.items() if f"/{name}/" in path}
        if not files or files != {path: data for path, data in whole.items() if f"/{name}/" in path}:
            found.append(f"{name} is another than alone")
    if sum(not m.startswith("quick-s0-misbehaves") for m in manifests) != len(GOOD):
        found.append("a neighbour is lost")
    return found


def main(argv: Sequence[str]) -> int:
    """Play so many, say how they ended, and return 1 where one did harm."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz policies", description=__doc__.splitlines()[0])
    parser.add_argument("policies", type=int, nargs="?", default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of their order and moments")
    parser.add_argument("--executor", action="append", choices=("serial", "processes", "ray"))
    parser.add_argument("--way", action="append", choices=sorted(WAYS), help="only these, at every moment")
    parser.add_argument("--verbose", action="store_true", help="print every reason")
    chosen = parser.parse_args(argv)
    tried = cases(chosen.policies, chosen.first)
    if chosen.way:
        tried = [Case(way, at) for way in chosen.way for at in (MOMENTS[1:] if way in RETURNED else MOMENTS)]
    wrong = 0
    with tempfile.TemporaryDirectory() as base:
        alone = Path(base, "alone")
        done = compare(alone, GOOD, "serial")
        assert done.returncode == 0, done.stderr
        for executor in chosen.executor or ("serial", "processes"):
            begin, failed, lost = time.monotonic(), 0, 0
            for k in range(0, len(tried), TOGETHER):
                some, out, mark = tried[k : k + TOGETHER], Path(base, f"{executor}{k}"), uuid.uuid4().hex
                done = compare(out, [GOOD[0], *(c.spec for c in some), GOOD[1]], executor, mark)
                told = faults(done, out, some, alone)
                rows = [json.loads(p.read_bytes()) for p in (out / "runs").glob("*/manifest.json")]
                failed += sum(r["status"] == "failed" for r in rows)
                lost += len(GOOD) - sum(r["status"] == "complete" for r in rows)
                if chosen.verbose:
                    for row in rows:
                        print(f"  {row['policy']['spec'][39:]}: {(row['reason'] or '')[:400]!r}", flush=True)
                if remaining := left_over(mark):
                    told.append(f"processes left over after {[c.way for c in some]}: {remaining}")
                    for pid in remaining:
                        os.kill(pid, signal.SIGKILL)
                wrong += len(told)
                for fault in told:
                    print(f"{executor}: {fault}", file=sys.stderr, flush=True)
            took = time.monotonic() - begin
            print(f"{executor}: {len(tried)} policies, {failed} failed rows, {lost} neighbours lost, {took:.0f} s")
    return 1 if wrong else 0
