"""What the report draws, read from a folder: run folders one at a time, of which only small sums are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_folder import Stored
from vpp_env.evaluation.satisfaction import VIOLATIONS

HOURS = 24
SOLD = {"deferred charging": "defer_kw", "battery": "bess_kw", "V2G": "v2g_kw"}
BOUGHT = {"bought": "bought_kw", "bought back by force": "forced_kw"}


@dataclass(frozen=True)
class Detail:
    """One policy's run of the unit that is shown by the hour, with its tables."""

    run: Stored
    intervals: pd.DataFrame
    prosumers: pd.DataFrame

    @property
    def label(self) -> str:
        """The policy's label."""
        return self.run.label


@dataclass(frozen=True)
class Material:
    """All that a report is made of."""

    experiment: Mapping[str, Any]
    units: Sequence[Mapping[str, Any]]  # summaries of seeds, with their case
    statistics: Mapping[str, Any] | None
    details: Sequence[Detail]  # one unit, every policy
    violations: Mapping[str, np.ndarray]  # label -> (kinds, 24) counts over all units
    homes: Mapping[str, pd.DataFrame]  # label -> satisfaction, pay_usd, net_benefit_usd, profile of all units
    times: Mapping[str, Mapping[str, float]]  # label -> mean figures of time over all units
    manifest: Mapping[str, Any]
    live: Mapping[str, Any] | None = None


def run_folders(folder: Path) -> list[Path]:
    """Return the run folders of an experiment, or the folder itself where it is one."""
    if (folder / store.RUNS).is_dir():
        return sorted(f for f in (folder / store.RUNS).iterdir() if (f / "manifest.json").is_file())
    return [folder] if (folder / "summary.json").is_file() else []


def gather(out: Path) -> Material:
    """Read everything that the report of an experiment shows."""
    experiment = store.read_json(out / store.EXPERIMENT)
    labels = [p["label"] for p in experiment["policies"]]
    runs = {path.name: Stored(path) for path in run_folders(out)}
    order = [runs[name] for name in experiment["runs"] if name in runs]
    first = _shown_unit(order, len(labels))
    path = out / store.STATISTICS
    return Material(
        experiment,
        _summaries(out, experiment),
        store.read_json(path) if path.is_file() else None,
        [Detail(run, run.table("intervals"), run.table("prosumers")) for run in first],
        {label: _by_hour([r for r in order if r.label == label]) for label in labels},
        {label: _homes([r for r in order if r.label == label]) for label in labels},
        {label: _times([r for r in order if r.label == label]) for label in labels},
        order[0].manifest if order else {},
    )


def _shown_unit(runs: Sequence[Stored], policies: int) -> list[Stored]:
    """Return the runs of the first unit that every policy completed, else of the first unit."""
    units: dict[tuple[str, int], list[Stored]] = {}
    for run in runs:
        units.setdefault((run.manifest["case"], run.manifest["seed"]), []).append(run)
    whole = [u for u in units.values() if sum(r.manifest["status"] == "complete" for r in u) == policies]
    return next(iter(whole or units.values()), [])


def _summaries(out: Path, experiment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the summary of every seed, in order; those that are there."""
    found = []
    several_cases, several_seeds = len(experiment["cases"]) > 1, len(experiment["seeds"]) > 1
    for case in experiment["cases"]:
        for seed in experiment["seeds"]:
            folder = out / case["case"] if several_cases else out
            path = (folder / f"seed_{seed}" if several_seeds else folder) / store.SUMMARY
            if path.is_file():
                found.append(store.read_json(path) | {"case": case["case"]})
    return found


def _by_hour(runs: Sequence[Stored]) -> np.ndarray:
    """(kinds, 24) violations by local hour."""
    out = np.zeros((len(VIOLATIONS), HOURS), dtype=np.int64)
    for run in runs:
        events = run.table("events")
        for j, kind in enumerate(VIOLATIONS):
            mine = events[events["kind"] == kind] if len(events) else events
            if len(mine):
                out[j] += np.bincount(mine["timestamp"].dt.hour, minlength=HOURS)
    return out


def _homes(runs: Sequence[Stored]) -> pd.DataFrame:
    """One row per home and unit."""
    parts = []
    for run in runs:
        table = run.table("prosumers")
        if len(table):
            pay = table[["pay_sold_usd", "pay_bought_usd", "pay_reserve_usd"]].sum(axis=1)
            parts.append(table[["satisfaction", "net_benefit_usd", "profile"]].assign(pay_usd=pay))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _times(runs: Sequence[Stored]) -> dict[str, float]:
    """Mean of every figure of time, and the sum of the wall seconds."""
    rows = [{k: v for k, v in run.timing.items() if isinstance(v, int | float)} for run in runs]
    names = dict.fromkeys(name for row in rows for name in row)
    out = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    return out | {"wall_seconds": float(sum(row.get("wall_seconds", 0.0) for row in rows))}
