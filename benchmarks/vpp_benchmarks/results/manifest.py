"""Manifests above the runs: where the results of a seed, of a case and of an experiment are from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.plan import Plan


def seed_manifest(seed: SeedResult, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of the folder of one seed; `machine` is `software.environment()`."""
    origin = seed.runs[0].origin
    facts = origin.scenario
    data = {"series": dict(seed.price_source), "files_sha256": dict(origin.prices.files_sha256)}
    return {
        "status": seed.status,
        "scenario": {"name": facts.name, "hash": facts.hash, "toml": facts.toml},
        "seed": seed.seed,
        "data": {**data, "node": origin.prices.node},
        "policies": {
            run.label: run.policy_json()
            | {"status": run.status, "reason": run.reason or None, "wall_seconds": run.seconds}
            for run in seed.runs
        },
        "wall_seconds": seed.seconds,
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
