"""What a result was computed with: Python, packages, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "vpp-env",
    "numpy",
    "pandas",
    "pyarrow",
    "numba",
    "scipy",
    "cvxpy",
    "highspy",
    "clarabel",
    "langgraph",
    "pydantic",
    "pvlib",
    "gymnasium",
    "pettingzoo",
)
ROOT = Path(__file__).resolve().parents[3]
_GIT_SECONDS = 10.0


@dataclass(frozen=True)
class Software:
    """What the code runs on."""

    python: str
    platform: str
    packages: Mapping[str, str | None]  # None where one is not installed
    git: Mapping[str, Any] | None  # commit, and whether there are changes; None for an installed copy

    @property
    def code(self) -> str:
        """Commit, with + where it has changes; else the version of the package."""
        commit = (self.git or {}).get("commit", "")[:10] + ("+" if (self.git or {}).get("dirty") else "")
        return commit or str(self.packages["vpp-env"])


@cache
def software() -> Software:
    """Return what this process runs on: the same for every run of it."""
    return Software(sys.version.split()[0], platform.platform(), versions(), git_state())


def environment() -> dict[str, Any]:
    """Everything about the machine and the code as plain data; made once per command."""
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "cpus": os.cpu_count(),
        **asdict(software()),
    }


def versions() -> dict[str, str | None]:
    """Versions of the packages that a result may depend on; None where one is not installed."""
    out: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = None
    return out


def git_state() -> dict[str, Any] | None:
    """Commit of the working copy that the code runs from, and whether it has changes; None when there is none."""
    top = _git("rev-parse", "--show-toplevel")
    # an installed copy may lie inside somebody else's repository
    if top is None or Path(top).resolve() != ROOT:
        return None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *args], capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here: a result without a commit is still a result
        return None
    return done.stdout.strip() if done.returncode == 0 else None
