"""A language model that speaks for owners.

    [owners] brains = [["llm('vpp_policies.llm.owner:speaker', llm='openai')", 1.0]]

Each owner is a question of its own: its gain, what it would take, the offer, the words so far. The world checks what is
answered (`vpp_env.owners.talk`); where no usable answer comes, the owner's own claims stand and are counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpp_env.contract.speech import SPOKEN, Heard, Speaker, Speech
from vpp_env.errors import PolicyError
from vpp_policies.llm.chat import Question, whole
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.prompts import prompt
from vpp_policies.llm.stack import LlmOptions, Stack, open_stack

MAX_TOKENS = 300
"""Of one answer."""
UNITS: dict[str, tuple[str, float]] = {
    "price": ("price_tenth_cents", 1e3),
    "defer_price": ("waiting_tenth_cents", 1e3),
    "share": ("share_percent", 1e2),
    "reserve_price": ("reserve_hundredth_cents", 1e4),
    "availability": ("fee_thousandth_cents", 1e5),
    "floor_price": ("floor_price_hundredth_cents", 1e4),
    "car_price": ("car_price_tenth_cents", 1e3),
    "overuse_price": ("day_price_tenth_cents", 1e3),
    "blackout_price": ("window_price_tenth_cents", 1e3),
}
"""Term -> field of the form, integers per unit."""


class OwnerTurn(BaseModel):
    """One answer of an owner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Literal["accept", "counter", "decline"] = Field(description="what binds")
    message: str = Field(description="to the plant, one or two sentences")
    price_tenth_cents: int = whole(-1, 5000, "asked per kWh that storage gives, tenths of a cent")
    waiting_tenth_cents: int = whole(-1, 5000, "asked per kWh of charging that waits, tenths of a cent")
    share_percent: int = whole(-1, 100, "asked of the real-time price")
    reserve_hundredth_cents: int = whole(-1, 50_000, "asked per kW and hour on reserve, hundredths of a cent")
    fee_thousandth_cents: int = whole(-1, 500_000, "asked for being there, per kW and hour, thousandths of a cent")
    floor_price_hundredth_cents: int = whole(-1, 50_000, "asked per kWh and hour below the floor, hundredths of a cent")
    car_price_tenth_cents: int = whole(-1, 5000, "asked per kWh that the car lacks, tenths of a cent")
    day_price_tenth_cents: int = whole(-1, 5000, "asked per kWh beyond the daily limit, tenths of a cent")
    window_price_tenth_cents: int = whole(-1, 5000, "asked per kWh in a blackout window, tenths of a cent")


def _integers(prices: dict[str, float]) -> dict[str, int]:
    """Prices as integers, rounded up."""
    return {UNITS[name][0]: int(-(-price * UNITS[name][1] // 1)) for name, price in prices.items()}


def question(heard: Heard) -> str:
    """Return the data of one owner's question."""
    verdict = heard.claimed
    shown: dict[str, Any] = {
        "round": heard.round,
        "of_rounds": heard.of_rounds,
        "window": heard.window.name.lower(),
        "message": heard.message,
        "before": [{line.speaker: line.text} for line in heard.past],
        "offered": _integers({name: heard.offered[name] for name in SPOKEN}),
        "offered_w": round(1000 * heard.offered["kw"]),
        "offered_floor_wh": round(1000 * heard.offered["floor_kwh"]),
        "offered_day_wh": round(1000 * heard.offered["day_kwh"]),
        "gain_hundredth_cents": round(1e4 * heard.gain_usd),
        "acceptable": verdict.accepts,
        "would_do": _integers(dict(verdict.wants)),
        "prices": [field for field, _ in UNITS.values()],
    }
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def said(turn: OwnerTurn) -> Speech:
    """Turn a form into a speech; what is -1 stays as it is offered."""
    numbers = {name: getattr(turn, field) for name, (field, _) in UNITS.items()}
    prices = {name: number / UNITS[name][1] for name, number in numbers.items() if number != -1}
    return Speech(turn.answer, turn.message, prices if turn.answer == "counter" else {})


class ModelSpeaker:
    """Asks a model for its owners, a question each, side by side; opened when the first of them is spoken to."""

    def __init__(self, reach: LlmOptions) -> None:
        self._reach = reach
        self._stack: Stack | None = None

    @property
    def stack(self) -> Stack:
        """The model in its wrappers, and the ledger of its bill."""
        if self._stack is None:
            self._stack = open_stack(self._reach)
        return self._stack

    def answer(self, heard: Sequence[Heard]) -> list[Speech | None]:
        """Ask."""
        asked = [Question(prompt("owner"), question(h), OwnerTurn, MAX_TOKENS) for h in heard]
        out: list[Speech | None] = []
        for answer in Decider(self.stack.ledger, self._reach.timeout_s).ask_all(self.stack.model, asked):
            turn = None if answer is None else answer.value
            out.append(said(turn) if isinstance(turn, OwnerTurn) else None)
        return out


def speaker(**options: Any) -> Speaker:
    """Return a model that speaks for owners; options as those of `agentic(brain='llm')` that reach a model."""
    if not options.get("llm"):
        raise PolicyError("a model that speaks for owners: say which, llm='openai' or any other of docs/llm.md")
    return ModelSpeaker(LlmOptions(**options))
