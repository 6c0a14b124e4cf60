"""What the dashboard shows, read from run folders and from the plan and progress that lie beside them."""

from __future__ import annotations

import io
import json
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpp_benchmarks.report.result import Point, known
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned
from vpp_benchmarks.results.run_result import FAILED, RunResult
from vpp_benchmarks.results.store import run_folders
from vpp_benchmarks.run.plan import PlanError, make_plan, overridden, scenario_of
from vpp_env import Month
from vpp_env.errors import VppError
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.check import shown

TAIL, COMPILING, FRESH_SECONDS = 2_000, "compiling, once", 10.0
"""Bytes of a log that are looked at, how a line on compilation begins, and for how long it holds."""
MOST_CHARACTERS = 4_000
"""Of a statement: some twenty sentences (assumed)."""
MOST_NAME = 200
"""Bytes of an uploaded file's name: file systems take 255."""
READER = "scripted"
"""Who reads where nobody else is named: a program that knows phrases, not a language model."""


@dataclass(frozen=True)
class State:
    """How far an experiment is."""

    root: Path
    planned: tuple[str, ...]  # names of runs; empty where nothing is planned yet
    statuses: Mapping[str, str]  # of those that are there
    running: Mapping[str, Mapping[str, Any]]  # name -> played, total, profit, violations, rate (opportunities/s)
    updated: float | None  # seconds since 1970 of the last sign of life
    began: float | None = None  # when what is under way began
    ended: int = 0  # runs that ended since
    compiling: str = ""  # what the log says while kernels are compiled
    failed: Mapping[str, str] = field(default_factory=dict)  # name -> why

    @property
    def done(self) -> int:
        """Runs that are there."""
        return len(self.statuses)

    def left(self, now: float) -> float | None:
        """Seconds until the end at the pace so far; None where there is none yet."""
        shares = sum(run["played"] / run["total"] for run in self.running.values() if run["total"])
        if self.began is None or self.ended + shares <= 0.0:
            return None
        return max(0.0, (now - self.began) / (self.ended + shares) * (len(self.planned) - self.done - shares))


def check_roots(roots: Sequence[Path]) -> None:
    """Raise `PlanError` unless every folder is of an experiment, also of one that has just begun, or a run folder."""
    for root in roots:
        begun = (root / store.EXPERIMENT).is_file() or (root / store.LOCK).is_file()
        if not begun and not run_folders(root):
            lacks = "holds no runs" if root.is_dir() else "is no folder"
            raise PlanError(
                f"{str(root)!r} {lacks}; allowed is what `vpp-env compare --out FOLDER` has written, or is writing, or "
                "one of its runs/: start one, then give its FOLDER"
            )


def state_of(root: Path) -> State:
    """Read how far an experiment is; a single run folder is an experiment of one."""
    folders = run_folders(root)
    runs = {path.name: RunResult.read(path) for path in folders}
    statuses = {name: run.status for name, run in runs.items()}
    failed = {name: run.reason for name, run in runs.items() if run.status == FAILED}
    plan = root / store.EXPERIMENT
    planned = Planned.read(root).runs if plan.is_file() else tuple(statuses)
    live = root / store.LIVE
    progress = store.read_json(live) if live.is_file() else {}
    running, updated = progress.get("running", {}), progress.get("updated")
    kept = isinstance(running, dict) and all(isinstance(run, dict) for run in running.values())
    if not kept or not isinstance(updated, int | float | None):
        raise PlanError(f"{live} does not hold what a run's progress does; remove it")
    said = _compiling(root / store.LOG) if progress else ""
    if said:  # the log is a sign of life as well
        updated = max(updated or 0.0, (root / store.LOG).stat().st_mtime)
    running = {name: {"rate": None, **run} for name, run in running.items() if name not in statuses}
    return State(
        root, planned, statuses, running, updated, progress.get("began"), progress.get("ended", 0), said, failed
    )


def _compiling(log: Path) -> str:
    """Return what a log says last, where that is that kernels are compiled; else empty."""
    if not log.is_file() or time.time() - log.stat().st_mtime > FRESH_SECONDS:
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        last = file.read().decode("utf-8", errors="replace").rstrip().rsplit("\n", 1)[-1]
    return COMPILING + last.split(COMPILING, 1)[1] if COMPILING in last else ""


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


def unit_of(run: RunResult) -> tuple[str, int]:
    """Return what runs share that may be laid side by side: case and seed."""
    return run.origin.case, run.origin.seed


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


def archive(folder: Path) -> bytes:
    """Return a folder as a zip file: whole run folders and tables, nothing that is being written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.rglob("*")):
            inside = file.relative_to(folder)
            if file.is_file() and not any(part.startswith(store.TEMPORARY) for part in inside.parts):
                out.write(file, f"{folder.name}/{inside}")
    return buffer.getvalue()


def edited(base: str, changes: Mapping[str, str], name: str = "") -> Scenario:
    """Return a scenario with fields changed.

    Parameters
    ----------
    base : str
        A shipped scenario.
    changes : mapping
        Dotted field -> value as in a TOML file; a word that is no TOML is text.
    name : str
        Of the new scenario; empty: as it is.

    Raises
    ------
    VppError
        When a field is unknown or a value not allowed.
    """
    empty = next((field for field, text in changes.items() if not text.strip()), None)
    if empty is not None:
        raise PlanError(f"{empty}: got nothing; allowed is a value as in a TOML file, or take the field out again")
    made = overridden(load_scenario(base), [f"{field}={text}" for field, text in changes.items()])
    made = made.override({"name": name}) if name else made
    make_plan(made, ["idle"])  # whether its market and payment are known
    return made


def _named(files: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """Return name -> content, where every name is a file's of its own and no path."""
    found: dict[str, bytes] = {}
    for given, content in files:
        name = Path(given.replace("\\", "/")).name
        if not name.isprintable() or name in ("", "..") or len(name.encode()) > MOST_NAME:
            raise PlanError(f"got {shown(name)} as the name of a file; allowed are up to {MOST_NAME} printable bytes")
        if name in found:
            raise PlanError(f"two files are named {shown(name)}; allowed is one of each name: rename one")
        found[name] = content
    return found


def findings(files: Sequence[tuple[str, bytes]], what: str, scenario: str) -> list[tuple[str, str]]:
    """Return what the checker says of files that somebody brings: (series, where it is from or what is made of it).

    Parameters
    ----------
    files : sequence
        (name, content) of each.
    what : str
        `prices` or `homes`.
    scenario : str
        The shipped scenario that they are to cover.

    Raises
    ------
    PlanError
        What is wrong with them, in the checker's words: file, row and remedy.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in _named(files).items():
            (Path(scratch) / name).write_bytes(content)
        try:
            if what == "prices":
                said = dict(Month(load_scenario(scenario), 0, scratch).series.source)
            else:
                chosen = scenario_of(load_scenario(scenario), scratch)
                said = {"homes": f"{chosen.fleet.size}"} | dict(Month(chosen, 0, home_data=scratch).home_source)
        except VppError as error:
            # whoever uploads a file does not know where it lies
            raise PlanError(str(error).replace(f"{scratch}/", "").replace(scratch, "the files")) from error
        return [(key, text.replace(f"{scratch}/", "")) for key, text in said.items()]
