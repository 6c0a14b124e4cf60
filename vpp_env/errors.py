"""The error hierarchy. Every message says what was got, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VppError(Exception):
    """Base of every error that vpp_env raises on purpose."""


class ScenarioError(VppError, ValueError):
    """A scenario field is unknown, out of range or inconsistent."""


class DataError(VppError, ValueError):
    """A data file cannot be used; the message names file, row and remedy."""


class UnknownNameError(VppError, KeyError):
    """A name is not in a registry; the message offers the nearest known one."""

    def __str__(self) -> str:  # KeyError would quote the message
        return str(self.args[0])


class InformationError(VppError, PermissionError):
    """A policy asked for something its information set does not contain."""


class BidError(VppError, ValueError):
    """Bids have the wrong shape or hold values that are not numbers."""


class PolicyError(VppError, ValueError):
    """A policy cannot be built from what was given."""


def did_you_mean(got: str, known: Iterable[str], what: str, remedy: str = "") -> str:
    """Say that `got` is no known `what`, offer the nearest known names and list them all."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    tail = f" {remedy}" if remedy else ""
    return f"unknown {what} {got!r}.{hint} Known: {', '.join(names)}.{tail}"
