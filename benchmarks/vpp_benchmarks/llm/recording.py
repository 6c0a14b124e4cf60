"""The standard recording: what a model says in a week of 20 homes and in two August days of 200, all cards included.

    vpp-env cassette --standard DIR --llm openai --model M --base-url URL     # asks, and costs
    vpp-env cassette --check DIR                                              # asks nobody

`DIR` gets `cassette.sqlite`, `card.json` (who answered, what was played, digests of what came of it) and `bill.md`. A
recording that was cut off is taken up by the same command: what has been answered is not asked again. Seeds are of
the validation range.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpp_policies.agentic import Agentic, agentic
from vpp_policies.agentic.llm_brain import LlmBrain

from vpp_benchmarks.llm.estimate import estimate
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.results.llm_kpis import LlmBill, llm_bill
from vpp_benchmarks.results.store import write_json, write_text
from vpp_env import __version__
from vpp_env.errors import DataError, PolicyError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

CASSETTE, CARD, BILL = "cassette.sqlite", "card.json", "bill.md"
TALKERS = (("truthful", 0.5), ("persona('plain')", 0.25), ("persona('haggler')", 0.25))
"""Owners of the standard set: half of them talk, by scripted personas, so that a replay needs no second model."""


@dataclass(frozen=True)
class Part:
    """One month, or a part of one, of the standard set."""

    name: str
    scenario: str
    seed: int = 1000
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def month(self) -> Month:
        """What is played."""
        return Month(load_scenario(self.scenario).override({"owners.brains": TALKERS, **self.changes}), self.seed)


STANDARD = (
    Part("week20 in full", "week20", options={"talk": 10, "every_days": 1}),
    Part(
        "two days of august in full",
        "august",
        changes={"time.duration_hours": 48},
        options={"talk": 40, "every_days": 1},
    ),
)
"""Cards of all owners, a strategy for every hour, and talk with owners at every day's gate."""


def negotiator(part: Part, **reach: Any) -> Agentic:
    """Return the policy that plays a part with whatever answers."""
    return agentic(brain="llm", transcript="full", **part.options, **reach)


def play(part: Part, **reach: Any) -> Run:
    """Play one part with whatever answers."""
    policy = negotiator(part, **reach)
    try:
        return simulate(part.month, policy)
    finally:
        assert isinstance(policy.brain, LlmBrain)
        policy.brain.close()


def digest(run: Run) -> str:
    """SHA-256 of all that came of a run: energy and money to the bit, and everything that was said."""
    found = hashlib.sha256(run.record.totals.tobytes())
    for record in run.record.transcripts:
        # who gave an answer is the model when it is recorded, and the cassette when it is played again
        said = {k: v for k, v in record.items() if k != "source"}
        found.update(json.dumps(said, sort_keys=True, ensure_ascii=False, default=str).encode())
    return found.hexdigest()


def record(
    folder: Path, reach: Mapping[str, Any], parts: Sequence[Part] = STANDARD, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Record all parts into `folder`; returns the card. `say` is told what each part is about to cost, and has cost.

    Raises
    ------
    PolicyError
        When a part got no answer at all: there is nothing to publish, and the parts after it are not begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cassette = folder / CASSETTE
    played: list[dict[str, Any]] = []
    for part in parts:
        brain = negotiator(part, **reach).brain
        assert isinstance(brain, LlmBrain)
        expected = estimate(brain, part.month.scenario, part.seed)
        free = "" if expected.usd else "; its tokens are taken to be free: --models FILE says what they cost"
        say(f"{part.name}: estimate: {expected}{free}")
        run = play(part, cassette=str(cassette), **reach)
        bill = llm_bill(run.record.opportunities(), summarize(run).total_profit)
        assert bill is not None
        played.append(_part(part, run, bill))
        say(bill.line(part.name))
        if not any(bill.decisions_by.get(source) for source in ("model", "replay")):
            raise PolicyError(
                f"{part.name}: got no usable answer ({_counts(bill.events)}); is there a model of this name at this "
                "address? The same command takes the recording up"
            )
    with closing(sqlite3.connect(cassette)) as db:
        meta = {str(k): str(v) for k, v in db.execute("select name, value from meta order by name")}
        counts = {t: int(db.execute(f"select count(*) from {t}").fetchone()[0]) for t in ("answers", "failures")}
        prompts = [str(row[0]) for row in db.execute("select distinct prompt from answers order by prompt")]
        models = [str(row[0]) for row in db.execute("select distinct model from answers order by model")]
    card = {
        "format": 1,
        "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": __version__,
        "python": platform.python_version(),
        **meta,
        "models_that_answered": models,
        "prompts": prompts,
        **counts,
        "cassette_sha256": hashlib.sha256(cassette.read_bytes()).hexdigest(),
        "parts": played,
    }
    write_json(folder / CARD, card)
    write_text(folder / BILL, bill_text(card))
    return card


def _part(part: Part, run: Run, bill: LlmBill) -> dict[str, Any]:
    month = part.month
    return {
        "name": part.name,
        "scenario": month.scenario.name,
        "scenario_hash": month.scenario.hash,
        "seed": part.seed,
        "hours": month.scenario.hours,
        "options": dict(part.options),
        "sha256": digest(run),
        "calls": bill.calls,
        "tokens_in": bill.tokens_in,
        "tokens_out": bill.tokens_out,
        "usd": bill.usd,
        "seconds": round(bill.seconds, 1),
        "decisions": dict(bill.decisions_by),
        "events": {name: n for name, n in bill.events.items() if n},
    }


def bill_text(card: Mapping[str, Any]) -> str:
    """Markdown of the bill."""
    head = ["part", "calls", "tokens in", "tokens out", "USD", "seconds", "decisions", "events"]
    rows = [
        [
            p["name"], f"{p['calls']:,}", f"{p['tokens_in']:,}", f"{p['tokens_out']:,}", f"{p['usd']:.4f}",
            f"{p['seconds']:.0f}", _counts(p["decisions"]), _counts(p["events"]),
        ]
        for p in card["parts"]
    ]  # fmt: skip
    who = f"{card['provider']}, {card['model']} ({card['made_by']}), {card['recorded']}"
    return f"# Bill of a recording: {who}\n\n{markdown(head, rows)}\n"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items() if n) or "-"


def check(folder: Path, parts: Sequence[Part] = STANDARD) -> list[str]:
    """Play a recording again from its cassette alone; returns what differs from its card.

    Raises
    ------
    DataError
        When the card cannot be read.
    CassetteMiss
        When something is asked that was not recorded: prompts, scenario or code have changed.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text("utf-8"))
        said = {p["name"]: p for p in card["parts"]}
        whole = card["cassette_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"card {str(path)!r} cannot be read: {error}; record with --standard") from error
    cassette = folder / CASSETTE
    wrong = []
    if not cassette.is_file() or hashlib.sha256(cassette.read_bytes()).hexdigest() != whole:
        wrong.append(f"{CASSETTE} is not the file that the card describes")
    for part in parts:
        if part.name not in said:
            wrong.append(f"{part.name}: not on the card")
        elif said[part.name]["scenario_hash"] != part.month.scenario.hash:
            wrong.append(f"{part.name}: the scenario is {part.month.scenario.hash}, recorded was another")
        elif digest(play(part, llm="replay", cassette=str(cassette))) != said[part.name]["sha256"]:
            wrong.append(f"{part.name}: came to something else than when it was recorded")
    return wrong
