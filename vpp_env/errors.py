"""The error hierarchy. Every message says what was got, what is allowed and what to do."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MOST_SHOWN = 120
"""Longest value that a message repeats whole."""
MOST_CHARACTERS = 1500
"""Of a message: what a terminal still shows at once [assumed]."""
_BREAK = re.compile(r"\s*[\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*")


def shortened(text: str) -> str:
    """Return a value's text for a message, not longer than is read."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}... ({len(text)} characters)"


def printable(text: str, instead: str | None = None) -> str:
    """Return text without what a terminal obeys or no reader sees: control, direction and half characters.

    Parameters
    ----------
    text : str
        What somebody else has written: a file's cell, another library's words, an owner's, a server's.
    instead : str, optional
        What stands for a run of such characters; by default each is shown by its number.
    """
    if text.isprintable():
        return text
    if instead is None:
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    runs = itertools.groupby(text, str.isprintable)
    return "".join("".join(run) if shown else instead for shown, run in runs)


def in_one_line(text: str) -> str:
    """Return a message in one line of `printable` text, its middle left out where it is long."""
    text = printable(_BREAK.sub(" ", text.replace("\t", " ")))
    if len(text) <= MOST_CHARACTERS:
        return text
    begin, end = text[: MOST_CHARACTERS // 2], text[-(MOST_CHARACTERS // 4) :]
    return f"{begin} ... ({len(text)} characters) ... {end}"


class VppError(Exception):
    """Base of every error that vpp_env raises on purpose. Its text is one line, whatever was put into it."""

    def __str__(self) -> str:
        return in_one_line(super().__str__())


class ScenarioError(VppError, ValueError):
    """A scenario field is unknown, out of range or inconsistent."""


class DataError(VppError, ValueError):
    """A data file cannot be used; the message names file, row and remedy."""


class UnknownNameError(VppError, KeyError):
    """A name is not in a registry; the message offers the nearest known one."""

    def __str__(self) -> str:  # KeyError would quote the message
        return in_one_line(str(self.args[0])) if self.args else ""


class InformationError(VppError, PermissionError):
    """A policy asked for something its information set does not contain."""


class BidError(VppError, ValueError):
    """Bids have the wrong shape or hold values that are not numbers."""


class PolicyError(VppError, ValueError):
    """A policy cannot be built from what was given."""


class MissingExtraError(VppError, ImportError):
    """Something needs a package that the base installation does not bring; the message has the install command."""


EXTRA_OF = {
    "cvxpy": "bench",
    "highspy": "bench",
    "clarabel": "bench",
    "langgraph": "bench",
    "pydantic": "bench",
    "pyarrow": "bench",
    "rich": "bench",
    "matplotlib": "bench",
    "httpx": "llm",
    "ray": "ray",
    "streamlit": "dashboard",
    "tensorboardX": "tensorboard",
    "mlflow": "mlflow",
    "torch": "torch",
    "safetensors": "safetensors",
    "stable_baselines3": "sb3",
    "torchrl": "torchrl",
    "tensordict": "torchrl",
    "minari": "minari",
}
"""Extra of pyproject.toml that brings a module which the base installation may lack."""


@contextmanager
def needs(what: str, extra: str = "") -> Iterator[None]:
    """Answer a missing package of an extra with the command that installs it; wraps the import that may fail.

    Parameters
    ----------
    what : str
        What needs it, as the user calls it.
    extra : str, optional
        The extra that brings everything imported inside; by default the one that `EXTRA_OF` names, and a module that
        is not in it (a user's own) raises its error as it is.

    Raises
    ------
    MissingExtraError
        When it is missing.
    """
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        found = extra or EXTRA_OF.get(missing, "")
        if not found or isinstance(error, MissingExtraError):
            raise
        lacking = f"{missing}, which is not installed" if missing else "a package that is not installed"
        raise MissingExtraError(f'{what} needs {lacking}: pip install "vpp-env[{found}]"', name=error.name) from error


def did_you_mean(got: str, known: Iterable[str], what: str, remedy: str = "") -> str:
    """Say that `got` is no known `what`, offer the nearest known names and list them all.

    Parameters
    ----------
    got : str
        What was typed.
    known : iterable of str
        What is allowed.
    what : str
        What it is a name of, for the message.
    remedy : str, optional
        What to do, at the end of the message.

    Returns
    -------
    str
        One line.
    """
    names = sorted(known)
    tail = f" {remedy}" if remedy else ""
    return f"unknown {what} {shortened(got)!r}.{nearest(got, names)} Known: {', '.join(names)}.{tail}"


def nearest(got: str, known: Iterable[str]) -> str:
    """Return ` Did you mean ...?` with the two nearest of the known names; empty where none is near."""
    near = difflib.get_close_matches(got[:MOST_SHOWN], sorted(known), n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
