"""What was asked, answered, spent and who decided: counters that only grow; and the place where they are counted.

A `Decider` asks: an answer, or its absence, becomes a decision with a source.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from vpp_policies.llm.chat import (
    Blocked,
    BudgetSpent,
    ChatError,
    ChatModel,
    CircuitOpen,
    CutOff,
    Malformed,
    Outcome,
    Question,
    Transient,
    Usage,
)

log = logging.getLogger(__name__)

SOURCES = ("model", "replay", "rules", "fallback")
"""Who took a decision: a model asked now; a recorded answer; rules by choice; rules because there was no answer."""
EVENTS = (
    "retried", "adapted", "transient", "permanent", "blocked", "cut_off", "malformed", "repaired", "clipped",
    "unsupported", "odd_usage", "budget", "circuit", "tool_calls", "refused_tools", "refused_terms", "handed_back",
)  # fmt: skip
"""What is counted beside calls: retries; parameters that a server refused and that were left out; failures by class;
answers that did not fit and those put right; integers moved into their bounds; fields of a card without evidence in the
statement; numbers of tokens that cannot be; calls not made for want of budget, or while the circuit was open; calls of
tools in a conversation, and those beyond its limit; offers outside what may be offered; opportunities at which the
rules had taken over from a strategy or conversation that lost against them."""


@dataclass(frozen=True)
class Price:
    """USD per million tokens."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def usd(self, usage: Usage) -> float:
        """Cost of `usage`."""
        return (usage.tokens_in * self.tokens_in + usage.tokens_out * self.tokens_out) / 1e6


@dataclass
class Ledger:
    """Totals of one run.

    `calls` are requests sent (retries included), or answers read from a cassette; `seconds` are those that the run
    waited for them, side by side or not.
    """

    price: Price = field(default_factory=Price)
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)

    def event(self, name: str, count: int = 1) -> None:
        """Count something that happened."""
        if name not in EVENTS:
            raise AssertionError(f"unknown event {name}")
        self.events[name] += count

    def decided(self, source: str) -> None:
        """Count a decision by who took it."""
        if source not in SOURCES:
            raise AssertionError(f"unknown source {source}")
        self.decisions[source] += 1

    def charge(self, usage: Usage) -> None:
        """Add the cost of tokens."""
        self.usage = self.usage + usage
        self.usd += self.price.usd(usage)

    def totals(self) -> dict[str, float]:
        """Everything as plain numbers."""
        return {
            "llm_calls": float(self.calls),
            "llm_tokens_in": float(self.usage.tokens_in),
            "llm_tokens_out": float(self.usage.tokens_out),
            "llm_usd": self.usd,
            "llm_seconds": self.seconds,
            **{f"llm_by_{s}": float(self.decisions[s]) for s in SOURCES},
            **{f"llm_{e}": float(self.events[e]) for e in EVENTS},
        }


@dataclass(frozen=True)
class Answer:
    """A validated object and who gave it."""

    value: BaseModel
    source: str  # model or replay
    model: str


@runtime_checkable
class Batches(Protocol):
    """A model that takes many questions at once: `wrappers.Layer`."""

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Return what became of each, in their order."""
        ...


@dataclass
class Decider:
    """Ask, count, and say `None` where rules have to decide.

    Parameters
    ----------
    ledger : Ledger
        Counts every failure by class, and every decision by source.
    timeout_s : float
        Of one call.
    """

    ledger: Ledger
    timeout_s: float = 30.0

    def ask(self, model: ChatModel, system: str, user: str, schema: type[BaseModel], max_tokens: int) -> Answer | None:
        """Return the answer, on which one decision hangs, or None after a `ChatError`."""
        return self.ask_all(model, [Question(system, user, schema, max_tokens)])[0]

    def ask_all(self, model: ChatModel, questions: Sequence[Question], decisions: int = 1) -> list[Answer | None]:
        """Return the answers of a batch, which may be asked side by side; `decisions` is how many hang on each."""
        return [self._decided(outcome, decisions) for outcome in self._outcomes(model, questions)]

    def _outcomes(self, model: ChatModel, questions: Sequence[Question]) -> list[Outcome]:
        if isinstance(model, Batches):
            return model.answer(questions, self.timeout_s)
        out: list[Outcome] = []
        for q in questions:
            try:
                out.append(model.complete(q.system, q.user, q.schema, q.max_tokens, self.timeout_s))
            except ChatError as error:
                out.append(error)
        return out

    def _decided(self, outcome: Outcome, decisions: int) -> Answer | None:
        if isinstance(outcome, ChatError):
            kind = _kind(outcome)
            self.ledger.event(kind)
            # the first of a kind is news, the rest is a number in the ledger
            news = self.ledger.events[kind] == 1
            log.log(logging.WARNING if news else logging.DEBUG, "rules decide instead of the model: %s", outcome)
            source = "fallback"
            answer = None
        else:
            source = "replay" if outcome.replayed else "model"
            answer = Answer(outcome.value, source, outcome.model)
        for _ in range(decisions):
            self.ledger.decided(source)
        return answer


def _kind(error: ChatError) -> str:
    """Name of the event; subclasses first."""
    kinds: tuple[tuple[type[ChatError], str], ...] = (
        (BudgetSpent, "budget"),
        (CircuitOpen, "circuit"),
        (Malformed, "malformed"),
        (CutOff, "cut_off"),
        (Blocked, "blocked"),
        (Transient, "transient"),
    )
    return next((name for cls, name in kinds if isinstance(error, cls)), "permanent")
