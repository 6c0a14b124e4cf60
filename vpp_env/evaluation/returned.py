"""What `act` returned, before anything is done with it: bids whose every part can be played and stored, or an error."""

from __future__ import annotations

import json
import math
import numbers
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.errors import PolicyError


def checked(bids: Any, n: int) -> Bids:
    """Return the bids for n homes as they are.

    Raises
    ------
    PolicyError
        Where they are no `Bids`, or hold what no table can: one sentence says what was returned and what is allowed.
        The values of the actions are checked when they are played (`BidError`).
    """
    if bids is None:
        raise PolicyError("act() returned None: is a `return` missing? Allowed is Bids")
    if isinstance(bids, np.ndarray):
        raise PolicyError(f"act() returned an array of shape {bids.shape}; allowed is Bids: return Bids(actions)")
    if not isinstance(bids, Bids):
        raise PolicyError(f"act() returned a {type(bids).__name__}; allowed is Bids")
    shape = np.shape(bids.actions)
    if len(shape) != 2 or shape[0] != n:
        raise PolicyError(f"act() returned actions of shape {shape}; allowed is one row for each of the {n} homes")
    accepted = bids.accepted
    if accepted is not None and (np.shape(accepted) != (n,) or np.asarray(accepted).dtype != np.bool_):
        got = f"{np.asarray(accepted).dtype} of shape {np.shape(accepted)}"
        raise PolicyError(f"Bids.accepted is {got}; allowed is bool of shape ({n},), or None")
    if bids.expected_profit_usd is not None:
        _number("Bids.expected_profit_usd", bids.expected_profit_usd)
    _notes(bids.notes)
    _transcript(bids.transcript)
    return bids


def _number(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Real) or not _is_finite(value):
        raise PolicyError(f"{name} is {value!r:.80}; allowed is a finite number")


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
    for key, value in notes.items():
        if not isinstance(key, str):
            raise PolicyError(f"a key of Bids.notes is a {type(key).__name__}; allowed is text")
        _text("a key of Bids.notes", key)
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
    _text("Bids.transcript", text)
