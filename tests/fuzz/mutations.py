"""Changes that any file may suffer: of its bytes, of the cells of a table, of values in TOML and JSON."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

CELLS = (
    "", "x", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e-320", "-0", "0", "1", "-5", "1e5", "9" * 20, "9" * 400,
    "0x10", "1,5", "1_000", " 3 ", "abc", "None", "null", "True", "1.5 USD", "\0", "-150", "{}", "2023-08-01",
    "2023-08-01T07:00:00", "2023-08-01T07:00:00Z", "2023-03-12T02:30:00-08:00", "2023-13-45", "9999-12-31T23:00:00Z",
    "0001-01-01T00:00:00Z", "1677-01-01T00:00Z", "\u0660", "\u2212" "3", '"', "'", ";", "=1+1", "\u00e9\u4e2d",
    "a" * 5000, "\t", "\x1b[31mred", "a\u2028b", "home01", "home02", "0.5", "2", "10", "24",
)  # fmt: skip
"""Texts in place of a cell's."""
TOML_VALUES = (
    '"x"', "1", "-1", "1e308", "nan", "inf", "-inf", "[]", "[[]]", "[[1,2],[3]]", "{}", "{a=1}", "true", "2023-08-01",
    "2023-08-01T00:00:00Z", '"\\u0000"', "9" * 23, "9" * 5000, "[[[[1]]]]", '["a","b"]', "[nan,nan]", '[1,"a"]', "0",
    "[5]", "[true,false]", '[[0.1,0.2],[0.3,0.4],["x",1]]', '""', "[1e308, 1e308]", "07:00:00",
    "[[1,2,3],[1,2,3],[1,2,3]]", "[[1],[2],[3],[4],[5],[6],[7]]", "[[1,2],[]]",
    "[[[1,2],[3,4]],[[1,2],[3,4]],[1,2]]", '"' + "a" * 5000 + '"', '"\\u001b[31mred\\nline"', '["", ""]',
    "[[1,2],[1,2],[1,2]]", "1e-300", "1e9", "0.5",
)  # fmt: skip
"""Texts in place of a value in TOML."""
JSON_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 0.5, 10**30, 1e308, -1e308, "", "x", "../../x", "a\0b", "\x1b[31mred\nline", [], {}, [[]],
    {"a": 1}, "9" * 9999, "\ud800", "<b>", float("nan"), float("inf"),
)  # fmt: skip
"""Values in place of any in JSON."""


def pick(rng: np.random.Generator, among: Sequence[T]) -> T:
    """Return one of them."""
    return among[int(rng.integers(len(among)))]


def changed_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, repeat, insert, end early."""
    made = bytearray(data)
    low, high = (0, 256) if rng.random() < 0.4 else (32, 127)  # any, or what can be typed
    for _ in range(int(rng.integers(1, 6))):
        at, length = int(rng.integers(len(made) + 1)), int(rng.integers(1, 30))
        kind = rng.integers(9)
        if kind <= 2 and made:
            made[min(at, len(made) - 1)] = int(rng.integers(low, high))
        elif kind <= 4:
            del made[at : at + length]
        elif kind == 5:
            made[at:at] = made[at : at + length]
        elif kind <= 7:
            made[at:at] = bytes(rng.integers(low, high, size=length, dtype=np.uint8))
        else:
            del made[at:]
    return bytes(made)


def changed_cells(data: bytes, rng: np.random.Generator) -> bytes:
    """Change cells, rows and columns of a CSV file."""
    lines = [line.split(",") for line in data.decode("utf-8").splitlines()]
    for _ in range(int(rng.integers(1, 3))):
        i = int(rng.integers(len(lines)))
        kind, row = rng.integers(-4, 8), lines[i]
        j = int(rng.integers(len(row))) if row else 0
        if kind <= 2 and row:
            row[j] = pick(rng, CELLS)
        elif kind == 3:
            lines.insert(i, list(row))
        elif kind == 4 and len(lines) > 1:
            del lines[i]
        elif kind == 5:
            other = int(rng.integers(len(lines)))
            lines[i], lines[other] = lines[other], lines[i]
        elif kind == 6:
            value = pick(rng, CELLS)
            for line in lines[1:] if rng.random() < 0.8 else lines:
                if j < len(line):
                    line[j] = value
        else:
            for line in lines:
                if j < len(line):
                    del line[j]
    return "\n".join(",".join(line) for line in lines).encode()


def changed_numbers(data: bytes, rng: np.random.Generator, into: Sequence[str] = CELLS) -> bytes:
    """Replace up to three numbers of a text, such as XML or JSON, by other texts."""
    words = data.decode("utf-8")
    numbers = list(re.finditer(r"\d+(\.\d+)?", words))
    for match in sorted(rng.choice(len(numbers), size=min(3, len(numbers)), replace=False), reverse=True):
        found = numbers[int(match)]
        words = words[: found.start()] + pick(rng, into) + words[found.end() :]
    return words.encode()


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested data: what holds it, and its key."""
    for key in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, key
        yield from places(data[key])


def change_value(data: Any, rng: np.random.Generator) -> None:
    """Change one value of nested data in place: another one, none, or one of another place."""
    found = list(places(data))
    if not found:
        return
    holder, key = pick(rng, found)
    kind = rng.integers(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder["unknown"] = holder.pop(key)
    elif kind == 2:
        other, name = pick(rng, found)
        holder[key] = copy.deepcopy(other[name])
    else:
        holder[key] = pick(rng, JSON_VALUES)


def nested(rng: np.random.Generator) -> bytes:
    """TOML that is deep, long or no text."""
    n = int(rng.integers(100, 100_000))
    return pick(
        rng,
        [
            b"a = " + b"[" * n + b"]" * n,
            b"[a" + b".b" * n + b"]\n",
            b"x=" + b"{y=" * n + b"1" + b"}" * n,
            b"\x00" * n,
            b"",
            b"\xff\xfe" + "name = 1\n".encode("utf-16-le"),
            b"\xef\xbb\xbfname = 'x'\n",
            b"name = 7\n",
        ],
    )
