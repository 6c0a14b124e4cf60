"""Reading TOML that anybody may have written: whatever is wrong with it is one `ScenarioError`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vpp_env.errors import MOST_SHOWN, ScenarioError

MOST_BYTES = 10_000_000
"""Largest file that is read: a scenario spelled out in full has 6,000."""


def _texts(value: object) -> Iterator[str]:
    """Every text in nested data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Return the data of a TOML text; `what` names it in messages.

    Raises
    ------
    ScenarioError
        When it is no TOML, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        data = tomllib.loads(text)
        null = next((word for word in _texts(data) if "\0" in word), None)
    except RecursionError as error:
        raise ScenarioError(
            f"{what} is nested too deeply; allowed are tables of fields, as `vpp-env scenario`"
        ) from error
    except ValueError as error:  # TOMLDecodeError is one, and so is a number with too many digits
        raise ScenarioError(f"{what} is not valid TOML: {' '.join(str(error).split())}") from error
    if null is not None:
        raise ScenarioError(f"{what} holds {null[:MOST_SHOWN]!r}; allowed is text without null bytes")
    return data


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the data of a TOML file.

    Raises
    ------
    ScenarioError
        When it cannot be read, is no UTF-8 text, or is no TOML.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ScenarioError(f"{what} has {size} bytes; allowed are {MOST_BYTES}")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{what} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ScenarioError(f"{what} cannot be read: {error.strerror}") from error
    return parse_toml(text, what)
