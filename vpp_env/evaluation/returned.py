"""What `act` returned, before anything is done with it: bids whose every part can be played and stored, or an error."""

from __future__ import annotations

import json
import math
import numbers
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids, DayAheadSchedule, check_actions, check_override
from vpp_env.errors import MOST_SHOWN, PolicyError, shortened

MOST_NOTES = 100
"""Notes of one opportunity: each is a column of a table [assumed; the policies of this package have up to 25]."""
MOST_TRANSCRIPT = 4_000_000
"""Characters of one opportunity's messages [assumed]: some 10,000 of a language model's."""


def checked(bids: Any, n: int) -> Bids:
    """Return the bids for n homes as they are.

    Raises
    ------
    PolicyError
        Where they are no `Bids`, or hold what no table can: one sentence says what was returned and what is allowed.
    BidError
        Where the actions are no numbers in [-1, 1].
    """
    if bids is None:
        raise PolicyError("act() returned None: is a `return` missing? Allowed is Bids")
    if isinstance(bids, np.ndarray):
        raise PolicyError(f"act() returned an array of shape {bids.shape}; allowed is Bids: return Bids(actions)")
    if not isinstance(bids, Bids):
        raise PolicyError(f"act() returned a {type(bids).__name__}; allowed is Bids")
    shape = _shape(bids.actions)
    if len(shape) != 2 or shape[0] != n:
        raise PolicyError(f"act() returned actions of shape {shape}; allowed is one row for each of the {n} homes")
    check_actions(_of_numbers(bids.actions), n)
    check_override(bids.override, n)
    accepted = bids.accepted
    if accepted is not None and (np.shape(accepted) != (n,) or np.asarray(accepted).dtype != np.bool_):
        got = f"{np.asarray(accepted).dtype} of shape {np.shape(accepted)}"
        raise PolicyError(f"Bids.accepted is {got}; allowed is bool of shape ({n},), or None")
    if bids.expected_profit_usd is not None:
        _number("Bids.expected_profit_usd", bids.expected_profit_usd)
    if bids.capacity is not None:
        _number("Bids.capacity", bids.capacity)
    if bids.day_ahead is not None and not isinstance(bids.day_ahead, DayAheadSchedule):
        raise PolicyError(f"Bids.day_ahead is a {type(bids.day_ahead).__name__}; allowed is DayAheadSchedule, or None")
    _notes(bids.notes)
    _transcript(bids.transcript)
    return bids


def _shape(actions: Any) -> tuple[int, ...]:
    try:
        return np.shape(actions)
    except ValueError as error:  # rows of different lengths
        raise PolicyError(f"act() returned actions that are no array ({error}); allowed is float32 (N, 8)") from error


def _of_numbers(actions: Any) -> Any:
    if not isinstance(actions, np.ndarray):
        got = f"a {type(actions).__name__}"
        raise PolicyError(f"act() returned {got} of actions; allowed is a NumPy array, float32 (N, 8)")
    if actions.dtype.kind not in "fiub":
        raise PolicyError(f"act() returned actions of {actions.dtype}; allowed is float32")
    return actions


def _number(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Real) or not _is_finite(value):
        try:
            got = shortened(repr(value))
        except ValueError:  # an integer of thousands of digits
            got = f"a {type(value).__name__} of many digits"
        raise PolicyError(f"{name} is {got}; allowed is a finite number")


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an int of many digits
        return False


def _text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PolicyError(f"{name} holds text that cannot be stored as UTF-8 ({error.reason})") from error


def _notes(notes: Any) -> None:
    if not isinstance(notes, dict):
        raise PolicyError(f"Bids.notes is a {type(notes).__name__}; allowed is a dict of numbers")
    if len(notes) > MOST_NOTES:
        raise PolicyError(f"Bids.notes has {len(notes)} entries; allowed are {MOST_NOTES}")
    for key, value in notes.items():
        if not isinstance(key, str):
            raise PolicyError(f"a key of Bids.notes is a {type(key).__name__}; allowed is text")
        if not key or not key.isprintable() or len(key) > MOST_SHOWN:
            raise PolicyError(
                f"a key of Bids.notes is {shortened(key)!r}; allowed is printable text of up to {MOST_SHOWN} characters"
            )
        _number(f"Bids.notes[{key!r:.40}]", value)


def _transcript(messages: Any) -> None:
    if messages is None:
        return
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise PolicyError("Bids.transcript holds something else than messages; allowed is a list of dicts, or None")
    try:
        # as `default` is used where it is stored: an object is kept as its text
        text = json.dumps(messages, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise PolicyError(f"Bids.transcript cannot be stored: {type(error).__name__}; allowed is plain data") from error
    if len(text) > MOST_TRANSCRIPT:
        raise PolicyError(f"Bids.transcript has {len(text)} characters as JSON; allowed are {MOST_TRANSCRIPT}")
    _text("Bids.transcript", text)
