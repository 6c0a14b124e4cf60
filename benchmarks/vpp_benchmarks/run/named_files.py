"""Files that a policy's specification names, its code and what it has learned: a run is of their contents."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from vpp_env.contract.policy import GROUP, OWN_DIST, parse_spec
from vpp_env.traces.readers.digests import digest

NamedFiles = tuple[tuple[str, str], ...]
"""(as the specification names it, SHA-256 of the file) each."""
LEARNED = (".npz", ".safetensors")
"""Endings of files of learned numbers. Others that an option may name (cassettes) grow while they are played with."""


def named_files(spec: str) -> NamedFiles:
    """Return the files that a policy's specification names: source files of classes, graphs and models, and weights.

    What they import is not looked for, and nothing is imported. What comes with this package is told by its commit.

    Raises
    ------
    PolicyError
        When the specification cannot be read.
    """
    name, options = parse_spec(spec)
    texts = [name, *_texts(list(options.values()))]
    if ":" not in name:
        found = [e for e in entry_points(group=GROUP) if e.name == name]
        texts += [e.value for e in found if e.dist is not None and e.dist.name != OWN_DIST]
    return tuple((text, sha) for text in dict.fromkeys(texts) if (sha := _digest(text)) is not None)


def _digest(text: str) -> str | None:
    """Return the SHA-256 of the file that a text names; None where there is none that can be read."""
    for path in _paths(text):
        try:
            return digest(path.expanduser())
        except (OSError, ValueError, RuntimeError):  # not there, no name of a file, nobody's home
            continue
    return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _texts(part)


def _paths(text: str) -> list[Path]:
    """Return where a text may name a file: weights, or what `module:name` or `path/to/file.py:name` is written in."""
    where, colon, _ = text.rpartition(":")
    if text.endswith(LEARNED):
        return [Path(text)]
    if colon and where.endswith(".py"):
        return [Path(where)]
    if not (colon and all(part.isidentifier() for part in where.split("."))):
        return []
    # the working directory first, as for who imports it; `find_spec` would import what it lies in
    bases = [Path(root or os.curdir, *where.split(".")) for root in (os.getcwd(), *sys.path)]
    return [path for base in bases for path in (base / "__init__.py", base.parent / f"{base.name}.py")]
