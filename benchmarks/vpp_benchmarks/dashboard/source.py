"""What the dashboard shows, read from run folders and from the plan and progress that lie beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.report.result import Point, known
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.store import run_folders
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import VppError
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place

PAY = ("pay_sold_usd", "pay_bought_usd", "pay_forced_usd", "pay_reserve_usd")
SEEN = 0.005
"""kWh, kW-h or USD below which nothing is said."""
WRONG = {
    "reserve": "the battery fell below the owner's reserve",
    "ev_not_ready": "the car was not ready",
    "underpaid": "paid less than the owner's own asks",
    "blackout": "dispatched in a window in which the owner wants to be left alone",
    "over_cycling": "the battery was cycled more than the owner wants",
}
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
    running, updated = progress.get("running", {}), progress.get("updated")
    if not isinstance(running, dict) or not isinstance(updated, int | float | None):
        raise PlanError(f"{live} does not hold what a run's progress does; remove it")
    return State(root, planned, statuses, running, updated)


def runs_of(roots: Sequence[Path]) -> dict[str, Path]:
    """Return every run folder that has something to show, by a name that tells it from the others."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in run_folders(root):
            found[path.name if len(roots) == 1 else f"{root.name}: {path.name}"] = path
    return found


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


def month_of_home(run: RunResult, home: int) -> pd.DataFrame:
    """Return the opportunities in which a home was dispatched or violated.

    Columns: timestamp, what happened (`why`), kWh sold and bought, what it earned (`earned_usd`), its own asks for it.
    """
    dispatch, events, prices = run.table("dispatch"), run.table("events"), run.table("prices")
    mine = dispatch[dispatch["prosumer"] == home] if len(dispatch) else dispatch
    wrong = events[(events["prosumer"] == home)] if len(events) else events
    asks = run.info.asks_consent
    by_hour = {int(str(k)): part["kind"].tolist() for k, part in wrong.groupby("opportunity")} if len(wrong) else {}
    steps = _steps(run, prices)
    rows = []
    records: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in mine.to_dict("records")]
    for row in records:
        k = int(row["opportunity"])
        paid = prices["rt_usd_per_mwh"].iloc[k * steps : (k + 1) * steps] / 1000
        rows.append(
            {
                "timestamp": row["timestamp"],
                "why": why(row, float(paid.min()), float(paid.max()), asks, by_hour.pop(k, [])),
                "sold_kwh": row["sold_kwh"] + row["called_kwh"],
                "bought_kwh": row["bought_kwh"] + row["forced_kwh"],
                "earned_usd": sum(row[name] for name in PAY),
                "own_asks_usd": row["owed_usd"],
            }
        )
    # harm that came later: the car that leaves short, the reserve that stays low
    stamps = wrong.groupby("opportunity")["timestamp"].first() if len(wrong) else pd.Series(dtype=object)
    for k, kinds in by_hour.items():
        text = f"not dispatched; {', '.join(WRONG.get(kind, kind) for kind in kinds)}"
        rows.append({"timestamp": stamps[k], "why": text, "sold_kwh": 0.0, "bought_kwh": 0.0, "earned_usd": 0.0,
                     "own_asks_usd": 0.0})  # fmt: skip
    columns = ["timestamp", "why", "sold_kwh", "bought_kwh", "earned_usd", "own_asks_usd"]
    return pd.DataFrame(rows, columns=columns).sort_values("timestamp", ignore_index=True)


def _steps(run: RunResult, prices: pd.DataFrame) -> int:
    """Return the 15-min intervals in one opportunity."""
    return max(1, len(prices) // run.origin.scenario.planned_timesteps)


def why(row: Mapping[str, Any], low: float, high: float, asks: bool, wrong: list[str]) -> str:
    """Say why a home was dispatched in one opportunity.

    Parameters
    ----------
    row : mapping
        A row of the dispatch table.
    low, high : float
        Range of the real-time price, USD/kWh.
    asks : bool
        Whether the policy asks owners at all.
    wrong : list of str
        Kinds of violation in this opportunity.
    """
    parts = []
    market = f"{low:.3f} to {high:.3f} USD/kWh" if high - low >= 0.0005 else f"{low:.3f} USD/kWh"
    if row["sold_kwh"] > SEEN:
        sources = {"deferred charging": "deferred_kwh", "the battery": "bess_kwh", "the car's battery": "v2g_kwh"}
        by = " and ".join(name for name, column in sources.items() if row[column] > SEEN) or "its devices"
        bid = f"bid at {row['ask_usd_per_kwh']:.3f}" if row["ask_usd_per_kwh"] > 0 else "bid at no least price"
        parts.append(f"sold {row['sold_kwh']:.2f} kWh by {by}: {bid}, the market paid {market}")
    if row["called_kwh"] > SEEN:
        parts.append(f"its reserve was called: {row['called_kwh']:.2f} kWh")
    if row["bought_kwh"] > SEEN:
        parts.append(f"bought {row['bought_kwh']:.2f} kWh: the market asked {market}")
    if row["forced_kwh"] > SEEN:
        parts.append(f"bought back {row['forced_kwh']:.2f} kWh, so that the car is ready")
    if row["reserve_kw_h"] > SEEN:
        parts.append(f"on reserve: {row['reserve_kw_h']:.2f} kW-h")
    said = "; ".join(parts) or "a trace of energy"
    agreed = "the home agreed" if row["accepted"] else ("the home did not agree" if asks else "nobody asked the owner")
    beyond = f"; {row['beyond_kwh']:.2f} kWh beyond what the owner allows" if row["beyond_kwh"] > SEEN else ""
    harm = f"; {', '.join(WRONG.get(kind, kind) for kind in wrong)}" if wrong else ""
    return f"{said} ({agreed}){beyond}{harm}"


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
