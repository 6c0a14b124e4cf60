"""Instructions to a model: one Markdown file each, whose first line names it and its version.

The version is part of every cassette's key: change it with the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

_HEAD = re.compile(r"^# (\w+ v\d+)$", re.MULTILINE)


@lru_cache
def prompt(name: str) -> str:
    """Text of the prompt `name`, its heading with the version included."""
    return files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


def version_of(system: str) -> str:
    """`name v3` from the heading of a prompt; empty where there is none."""
    match = _HEAD.search(system.split("\n", 1)[0])
    return match[1] if match else ""
