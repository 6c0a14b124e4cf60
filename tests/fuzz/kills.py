"""Experiments that are killed between and during their writes, and resumed: the same bytes as of one undisturbed.

Everything is loaded once, and every experiment is a copy of this process, so that a hundred fit a machine. A copy is
killed (SIGKILL) after a time of chance, at the n-th time that it opens, renames, makes or removes something in its
folder, or in the middle of a file that it writes; one resume in four is killed too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from vpp_benchmarks.cli.compare import main as compare

from tests.benchmarks.folders import result_files, run_files
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

POLICIES = ("truthful", "random")
SEEDS = "12000:12003"
HOURS, HOMES = 4, 5
QUIET = ["--quiet", "--no-figures", "--executor", "serial"]
ARGS = ["--scenario", "week20", "--policies", *POLICIES, "--seeds", SEEDS, "--duration-hours", str(HOURS)]
ARGS += ["--fleet-size", str(HOMES), "--no-ceilings", *QUIET]
RESUMED = ["--quiet", "--no-figures", "--no-ceilings"]
TOUCHES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
"""Events of the interpreter at which a folder is changed."""
AGAIN = 0.25
"""Share of the resumes that are killed too."""


@dataclass(frozen=True)
class Kill:
    """When a copy kills itself: after seconds, at the n-th touch of its folder, or within the n-th file; else never."""

    seconds: float | None = None
    touch: int | None = None
    write: int | None = None


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _armed(out: Path, kill: Kill, count: Callable[[str], None]) -> None:
    """Arrange for the end of this process."""
    touches = writes = 0
    whole, inside = Path.write_bytes, str(out)

    def touched(event: str, args: tuple[Any, ...]) -> None:
        nonlocal touches
        if event in TOUCHES and args and str(args[0]).startswith(inside):
            if event == "open" and not (isinstance(args[1], str) and set(args[1]) & set("wax+")):
                return
            touches += 1
            count("touches")
            if touches == kill.touch:
                _die()

    def written(path: Path, content: Any) -> int:
        nonlocal writes
        if str(path).startswith(inside):
            writes += 1
            count("writes")
            if writes == kill.write:
                whole(path, bytes(content)[: len(content) // 2])
                _die()
        return whole(path, content)

    sys.addaudithook(touched)
    Path.write_bytes = written  # type: ignore[method-assign]
    if kill.seconds is not None:
        timer = threading.Timer(kill.seconds, _die)
        timer.daemon = True
        timer.start()


def copy(args: Sequence[str], out: Path, kill: Kill) -> tuple[int, Counter[str]]:
    """Run `compare` in a copy of this process: its exit status (-9: killed), and what it counted."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        status = 99
        try:
            os.close(read)
            _armed(out, kill, lambda what: os.write(write, what[0].encode()) and None)
            status = compare([*args], "vpp-env compare")
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        counted = Counter("touches" if c == ord("t") else "writes" for c in pipe.read())
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), counted


def _drawn(rng: np.random.Generator, kind: str, seconds: float, counted: Counter[str]) -> Kill:
    if kind == "between":
        return Kill(touch=int(rng.integers(1, counted["touches"] + 1)))
    if kind == "during":
        return Kill(write=int(rng.integers(1, counted["writes"] + 1)))
    return Kill(seconds=float(rng.uniform(0.0, seconds)))


def main(argv: Sequence[str]) -> int:
    """Kill so many, say how they ended, and return 1 where one is another than if nobody had disturbed it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz kills", description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, nargs="?", default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of the moments")
    chosen = parser.parse_args(argv)
    rng, faults, done, begun = np.random.default_rng(chosen.first), 0, Counter[str](), 0
    scenario = load_scenario("week20").override({"fleet.size": HOMES, "time.duration_hours": 2})
    for name in POLICIES:  # kernels are loaded here, once
        simulate(Month(scenario, 12_000), make_policy(name))
    with tempfile.TemporaryDirectory() as base:
        whole, begin = Path(base, "whole"), time.monotonic()
        status, counted = copy([*ARGS, "--out", str(whole)], whole, Kill())
        seconds = time.monotonic() - begin
        assert status == 0, status
        whole_files = run_files(whole) | result_files(whole)
        while sum(done.values()) < chosen.kills:
            out = Path(base, str(begun))
            begun += 1
            kind = ("time", "between", "during")[begun % 3]
            kill = _drawn(rng, kind, seconds, counted)
            status, _ = copy([*ARGS, "--out", str(out)], out, kill)
            told = [f"first: {status}"]
            done[kind] += status == -signal.SIGKILL
            for _ in range(8):
                resumes = ["--resume", str(out), *RESUMED] if (out / "experiment.json").is_file() else None
                again = _drawn(rng, "between", seconds, counted) if rng.random() < AGAIN else Kill()
                status, _ = copy(resumes or [*ARGS, "--out", str(out)], out, again)
                told.append(f"{'resumed' if resumes else 'anew'}: {status}")
                done["in the resume"] += status == -signal.SIGKILL
                if status != -signal.SIGKILL:
                    break
            found = run_files(out) | result_files(out)
            other = sorted(name for name in whole_files.keys() | found if whole_files.get(name) != found.get(name))
            if status != 0 or other:
                faults += 1
                print(f"{kill}: {told}; other than undisturbed: {', '.join(other)}", file=sys.stderr, flush=True)
    parts = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
    print(f"{sum(done.values())} kills ({parts}) of {begun} experiments, {faults} of them another than undisturbed")
    return 1 if faults else 0
