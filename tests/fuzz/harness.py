"""The loop of every fuzzer: valid files are changed at random and used as a user would; each ends well, or in one line.

`python -m tests.fuzz` runs all targets. A target says what a valid input is, and uses a changed one; everything else is
here: seeds, folders, the clock, and what counts as a fault.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpp_env.errors import VppError

HANG_S = 60.0
"""Longest that one input may take [assumed]; the slowest valid one takes 2 s."""
MOST_CHARACTERS = 1500
"""Of a message: what a terminal still shows at once [assumed]."""
FAULTS = ("traceback", "message", "hang", "not finite")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""Characters that no message holds: a line feed, or what a terminal obeys."""

Attempt = Callable[[np.random.Generator, Path], None]
"""Change a valid input at random, into an empty folder, and use it: returns, or raises."""


class NotFiniteError(AssertionError):
    """A value that is no finite number has come in, and nobody has said so."""


class HangError(BaseException):
    """It takes too long. No `Exception`: what is tried may catch those."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed."""

    name: str
    about: str  # what is changed
    make: Callable[[Path], Attempt]  # writes valid inputs into a folder, once, and returns what tries one
    kept: tuple[int, ...] = ()  # seeds that were a fault once: the quick tests try them again
    quick: int = 20  # inputs of the quick tests
    weight: int = 10  # share of a long run


@dataclass(frozen=True)
class Fault:
    """One input that ended as none may."""

    seed: int
    kind: str  # one of FAULTS
    told: str


@dataclass
class Tally:
    """How the inputs of a target ended."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """Faults of a kind."""
        return sum(fault.kind == kind for fault in self.faults)


def check_finite(what: str, values: Any) -> None:
    """Raise `NotFiniteError` where a number among the values is not finite."""
    array = np.asarray(values)
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise NotFiniteError(f"{what} is not finite: {array!r:.200}")


def one_line(told: str) -> bool:
    """Whether a message can be read in a terminal: one line, of some length, without control characters."""
    return 0 < len(told) <= MOST_CHARACTERS and not CONTROL.search(told)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `HangError` where the block takes longer."""

    def ring(number: int, frame: Any) -> None:
        raise HangError(f"took longer than {seconds:g} s:\n" + "".join(traceback.format_stack(frame)[-6:]))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ended(attempt: Attempt, seed: int, folder: Path) -> tuple[str, str]:
    """Try one input; return `accepted`, `refused` or a kind of fault, and what was told."""
    try:
        with within(HANG_S), contextlib.chdir(folder):
            attempt(np.random.default_rng(seed), folder)
    except VppError as error:
        told = str(error)
        return ("refused", told) if one_line(told) else ("message", repr(told[: 2 * MOST_CHARACTERS]))
    except NotFiniteError as error:
        return "not finite", str(error)
    except HangError as error:
        return "hang", str(error)
    except BaseException as error:  # noqa: BLE001  whatever it is, it is the finding
        at = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)[-4:]))
        return "traceback", f"{at}{type(error).__name__}: {error!s:.300}"
    return "accepted", ""


def run(target: Target, seeds: Iterable[int], on_fault: Callable[[Fault], None] | None = None) -> Tally:
    """Try an input for each seed."""
    tally, begin = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        valid = Path(base, "valid")
        valid.mkdir()
        attempt = target.make(valid)
        for seed in seeds:
            with tempfile.TemporaryDirectory(dir=base) as folder:
                end, told = ended(attempt, seed, Path(os.path.realpath(folder)))
            tally.inputs += 1
            tally.accepted += end == "accepted"
            tally.refused += end == "refused"
            if end in FAULTS:
                tally.faults.append(Fault(seed, end, told))
                if on_fault is not None:
                    on_fault(tally.faults[-1])
    tally.seconds = time.monotonic() - begin
    return tally
