"""Where a result is from: scenario, seed, data, versions, policies."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vpp_benchmarks.results.summary import CONSENT_NOTE
from vpp_benchmarks.run.job import JobResult
from vpp_benchmarks.run.plan import Plan
from vpp_env.simulation.month import Month

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
RUN_SCHEMA = "vpp_env.run/1"
"""Version of the files of a run folder; see docs/benchmark.md."""
ROOT = Path(__file__).resolve().parents[3]
_GIT_SECONDS = 10.0


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


def policy_entry(result: JobResult) -> dict[str, Any]:
    """What a policy is, what it was allowed to see, and how its run ended."""
    info = result.job.contender.info
    return {
        "spec": result.job.contender.spec,
        "description": info.description,
        "reference": info.reference or None,
        "information_set": info.information.name,
        "asks_consent": info.asks_consent,
        "consent": info.consent.value if info.asks_consent else CONSENT_NOTE,
        "status": result.status,
        "reason": result.reason or None,
        "wall_seconds": result.seconds,
    }


def environment() -> dict[str, Any]:
    """Everything about the machine and the code; made once per command."""
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "cpus": os.cpu_count(),
        **software(),
    }


@cache
def software() -> dict[str, Any]:
    """What the code runs on: the same for every run of a process."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": versions(),
        "git": git_state(),
    }


def run_manifest(result: JobResult, data: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Manifest of one run folder: nothing in it differs between two plays of the same run.

    Parameters
    ----------
    result : JobResult
        The run.
    data : mapping
        `series` and `files_sha256` of its prices.
    digest : str
        Hash of the job, see `experiment.job_hash`.
    """
    job = result.job
    policy = {k: v for k, v in policy_entry(result).items() if k not in ("status", "reason", "wall_seconds")}
    return {
        "schema": RUN_SCHEMA,
        "run": job.name,
        "hash": digest,
        "status": result.status,
        "reason": result.reason or None,
        "traceback": result.traceback or None,
        "case": job.case,
        "scenario": {
            "name": job.scenario.name,
            "hash": job.scenario.hash,
            "homes": job.scenario.fleet.size,
            "planned_timesteps": job.scenario.n_opportunities,
            "toml": job.scenario.to_toml(),
        },
        "seed": job.seed,
        "policy": {"label": job.contender.label, **policy},
        "data": {**data, "node": job.node},
        **software(),
    }


def seed_manifest(
    plan: Plan,
    month: Month,
    results: Sequence[JobResult],
    status: str,
    seconds: float,
    machine: Mapping[str, Any],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Manifest of the folder of one seed."""
    return {
        "status": status,
        **_scenario(plan),
        "seed": month.seed,
        "data": {"series": dict(month.series.source), "files_sha256": dict(files), "node": plan.node},
        "policies": {r.label: policy_entry(r) for r in results},
        "wall_seconds": seconds,
        **machine,
    }


def plan_manifest(plan: Plan, folders: Mapping[int, str], status: str, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of a comparison of several seeds: where each seed's folder is."""
    return {
        "status": status,
        **_scenario(plan),
        "seeds": list(plan.seeds),
        "folders": {str(seed): folder for seed, folder in folders.items()},
        "policies": {c.label: c.spec for c in plan.contenders},
        **machine,
    }


def experiment_manifest(cases: Mapping[str, Plan], status: str, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of several cases: each has a folder of its name."""
    first = next(iter(cases.values()))
    return {
        "status": status,
        "cases": {case: _scenario(plan)["scenario"] for case, plan in cases.items()},
        "seeds": list(first.seeds),
        "policies": {c.label: c.spec for c in first.contenders},
        **machine,
    }


def _scenario(plan: Plan) -> dict[str, Any]:
    scenario = plan.scenario
    return {"scenario": {"name": scenario.name, "hash": scenario.hash, "toml": scenario.to_toml()}}
