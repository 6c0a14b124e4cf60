"""What the dashboard shows, read from run folders and from the plan and progress that lie beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vpp_benchmarks.report.result import Point, known
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.store import run_folders
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import VppError
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place

MOST_CHARACTERS = 4_000
"""Of a statement: some twenty sentences (assumed)."""
READER = "scripted"
"""Who reads where nobody else is named: a program that knows phrases, not a language model."""


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
    statuses = {path.name: RunResult.read(path).status for path in folders}
    plan = root / store.EXPERIMENT
    planned = Planned.read(root).runs if plan.is_file() else tuple(statuses)
    live = root / store.LIVE
    progress = store.read_json(live) if live.is_file() else {}
    return State(root, planned, statuses, progress.get("running", {}), progress.get("updated"))


def runs_of(roots: Sequence[Path]) -> dict[str, Path]:
    """Return every run folder that has something to show, by a name that tells it from the others."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in run_folders(root):
            found[path.name if len(roots) == 1 else f"{root.name}: {path.name}"] = path
    return found


def labels_of(roots: Sequence[Path]) -> tuple[str, ...]:
    """Return the labels of all policies in the order in which they were named: what gives each its colour."""
    plans = [Planned.read(root).labels for root in roots if (root / store.EXPERIMENT).is_file()]
    alone = [RunResult.read(path).label for root in roots for path in run_folders(root)]
    return tuple(dict.fromkeys([*(label for plan in plans for label in plan), *alone]))


def figures(run: RunResult) -> dict[str, Any]:
    """Return the headline of a run: a row of the comparison, with a column for every KPI of `Place.DASHBOARD`."""
    o = run.origin
    head: dict[str, Any] = {
        "world": f"{o.case} ({o.scenario.hash}{' ' + o.world if o.world else ''})",
        "case": o.case,
        "seed": o.seed,
        "policy": run.label,
        "sees": run.info.information.name,
        "asks": run.info.asks_consent,
        "verdict": run.verdict,
        "status": run.status,
    }
    return head | {kpi.heading: run.number(kpi.name) for kpi in table(Place.DASHBOARD)}


def points_of(runs: Sequence[RunResult]) -> dict[str, Point]:
    """Return every policy's mean profit and satisfaction over its complete runs."""
    found: dict[str, Point] = {}
    for label in dict.fromkeys(run.label for run in runs):
        mine = [run for run in runs if run.label == label and run.kpis is not None]

        def mean(kpi: str, mine: Sequence[RunResult] = mine) -> float:
            return float(np.mean([run.number(kpi) for run in mine]))

        profit, satisfaction = known(mean("total_profit")), known(mean("avg_satisfaction"))
        found[label] = Point(profit, satisfaction, mean("worst_decile_satisfaction"), mine[0].info.asks_consent)
    return found


def card_of(statement: str, llm: str = READER) -> dict[str, Any]:
    """Return the card of a statement as plain data, with `source` and `model`: who has read it.

    Raises
    ------
    PlanError
        When the text is empty or too long, or nobody can read it (no such reader, no key, not in the cassette).
    """
    # the negotiation takes a second to import, and the command that starts the dashboard reads no card
    from vpp_policies.agentic.card import compile_card
    from vpp_policies.llm.ledger import Decider
    from vpp_policies.llm.stack import LlmOptions, open_stack

    text = statement.strip()
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise PlanError(f"statement: got {len(text)} characters; allowed: 1 to {MOST_CHARACTERS}")
    if ":" in llm:
        raise PlanError(f"reader: got {llm!r}; a page imports no module, allowed are the names of docs/llm.md")
    try:
        options = LlmOptions(llm=llm, max_calls=2)
        with closing(open_stack(options)) as stack:
            read = compile_card(stack.model, Decider(stack.ledger, options.timeout_s), text)
    except VppError as error:
        raise PlanError(str(error)) from error
    if not read.known:
        raise PlanError(f"{llm} gave no answer that is a card; nothing is known of what the owner wants")
    return json.loads(read.card.model_dump_json()) | {"source": read.source, "model": read.model}
