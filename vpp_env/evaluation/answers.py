"""What a policy in a process of its own sends back: JSON and raw numbers, never a pickle.

A message is two lengths (8 bytes each), JSON of the first length, and the raw bytes of the arrays that it describes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids, DayAheadSchedule
from vpp_env.contract.terms import Offers, Terms
from vpp_env.errors import PolicyError, in_one_line, printable

HEAD = struct.Struct("<QQ")
MOST_BYTES = 1 << 28
"""Longest answer that is read (256 MB): bids of a million homes fit."""
DTYPES = ("float64", "float32", "int64", "int32", "bool")
"""What an answer's arrays may be of: numbers, never objects."""
RECORDS: dict[str, type] = {kind.__name__: kind for kind in (Bids, DayAheadSchedule, Offers, Terms)}
"""What an answer may be built into."""


class PolicyFailure(PolicyError):
    """A policy in a process of its own raised an error, died, took too long, or answered nonsense.

    The message begins with what happened there; `trace` is its traceback, where it had one.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = "\n".join(printable(line) for line in trace.splitlines())


def _kind(error: BaseException) -> str:
    """Return the name of an error's class, whatever its own class makes of it."""
    return str(type.__dict__["__name__"].__get__(type(error)))


def text_of(error: BaseException) -> str:
    """Return an error's text in one line, also where it cannot be had: its class may be somebody else's."""
    try:
        return in_one_line(str.__str__(str(error)))  # plain text, and no kind of it that resists
    except BaseException as second:  # noqa: BLE001 - SystemExit too
        return f"(its text raises {in_one_line(_kind(second))})"


def said(error: BaseException) -> str:
    """Return an error's kind and text in one line."""
    text = text_of(error)
    return in_one_line(f"{_kind(error)}: {text}" if text else _kind(error))


def encode_answer(value: Any) -> bytes:
    """Encode an answer: JSON and raw arrays.

    Raises
    ------
    TypeError
        When a part of it is no number, text, array, list, dict or one of `RECORDS`.
    """
    arrays: list[bytes] = []

    def plain(x: Any) -> Any:
        if x is None or isinstance(x, bool | int | float | str):
            return x
        if isinstance(x, np.generic):
            return x.item()
        if isinstance(x, np.ndarray):
            array = np.ascontiguousarray(x)
            if array.dtype.name not in DTYPES:
                raise TypeError(f"an array of {array.dtype}; allowed are {', '.join(DTYPES)}")
            arrays.append(array.tobytes())
            return {"array": [array.dtype.name, list(x.shape)]}
        if isinstance(x, dict):
            return {"dict": [[str(k), plain(v)] for k, v in x.items()]}
        if isinstance(x, list | tuple):
            return [plain(v) for v in x]
        if RECORDS.get(type(x).__name__) is type(x):
            return {"record": [type(x).__name__, {f.name: plain(getattr(x, f.name)) for f in dataclasses.fields(x)}]}  # type: ignore[arg-type]
        return str(x) if hasattr(x, "isoformat") else _refuse(x)

    head = json.dumps(plain(value)).encode()
    body = b"".join(arrays)
    return HEAD.pack(len(head), len(body)) + head + body


def _refuse(x: Any) -> Any:
    raise TypeError(
        f"a {type(x).__name__}; allowed are numbers, text, arrays, lists, dicts and what Bids and Offers are made of"
    )


def decode_answer(head: bytes, body: bytes) -> Any:
    """Decode an answer; it can hold nothing but what `encode_answer` allows.

    Raises
    ------
    PolicyFailure
        When it is of another form.
    """
    at = 0

    def built(x: Any) -> Any:
        nonlocal at
        if isinstance(x, list):
            return [built(v) for v in x]
        if not isinstance(x, dict):
            return x
        ((kind, value),) = x.items()
        if kind == "dict":
            return {str(k): built(v) for k, v in value}
        if kind == "record":
            return RECORDS[value[0]](**{str(k): built(v) for k, v in value[1].items()})
        name, shape = value
        if kind != "array" or name not in DTYPES or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"{kind} of {name!r}, {shape!r}")
        count = math.prod(shape)
        array = np.frombuffer(body, np.dtype(name), count, at).reshape(shape).copy()
        at += array.nbytes
        return array

    try:
        return built(json.loads(head))
    except PolicyError:
        raise
    except Exception as error:  # whatever a stranger's bytes make of what reads them
        raise PolicyFailure(f"the policy's process sent an answer that cannot be read ({error!r})") from error
