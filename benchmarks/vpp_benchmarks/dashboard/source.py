"""What the dashboard reads: run folders, and the plan and progress that lie beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpp_benchmarks.report.html.gather import run_folders
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_folder import Stored
from vpp_benchmarks.run.plan import PlanError


@dataclass(frozen=True)
class State:
    """How far an experiment is."""

    root: Path
    planned: tuple[str, ...]  # names of runs
    statuses: Mapping[str, str]  # of those that are there
    running: Mapping[str, Mapping[str, Any]]  # name -> played, total, profit, violations
    updated: float | None  # seconds since 1970 of the last sign of life

    @property
    def done(self) -> int:
        """Runs that are there."""
        return len(self.statuses)


def check_roots(roots: Sequence[Path]) -> None:
    """Raise `PlanError` unless every folder is of an experiment, or a run folder."""
    for root in roots:
        if not (root / store.EXPERIMENT).is_file() and not run_folders(root):
            raise PlanError(f"{str(root)!r}: there are no runs in it; give a folder that compare.py has written")


def state_of(root: Path) -> State:
    """Read how far an experiment is; a single run folder is an experiment of one."""
    folders = run_folders(root)
    statuses = {path.name: str(store.read_json(path / "manifest.json")["status"]) for path in folders}
    plan = root / store.EXPERIMENT
    planned = tuple(store.read_json(plan)["runs"]) if plan.is_file() else tuple(statuses)
    live = root / store.LIVE
    told = store.read_json(live) if live.is_file() else {}
    return State(root, planned, statuses, told.get("running", {}), told.get("updated"))


def runs_of(roots: Sequence[Path]) -> dict[str, Path]:
    """Return every run folder that has something to show, by a name that tells it from the others."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in run_folders(root):
            found[path.name if len(roots) == 1 else f"{root.name}: {path.name}"] = path
    return found


def figures(run: Stored) -> dict[str, Any]:
    """Return the headline of a run."""
    m, s = run.manifest, run.summary
    return {
        "world": f"{m['case']} ({m['scenario']['hash']}{' '.join(['', *m['data']['files_sha256'].values()])[:13]})",
        "case": m["case"],
        "seed": m["seed"],
        "policy": run.label,
        "sees": m["policy"]["information_set"],
        "asks": m["policy"]["asks_consent"],
        "status": m["status"],
        "profit": s.get("total_profit"),
        "members": s.get("member_net_benefit"),
        "satisfaction": s.get("avg_satisfaction"),
        "worst": s.get("worst_decile_satisfaction"),
        "violations": (s.get("total_violations") or {}).get("total"),
    }
