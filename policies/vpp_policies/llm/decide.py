"""The place where an answer, or its absence, becomes a decision with a source."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import BaseModel

from vpp_policies.llm.chat import ChatModel
from vpp_policies.llm.errors import Blocked, BudgetSpent, ChatError, CircuitOpen, Malformed, Transient
from vpp_policies.llm.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A validated object and who gave it."""

    value: BaseModel
    source: str  # model or replay
    model: str


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

    def ask(
        self, model: ChatModel, system: str, user: str, schema: type[BaseModel], max_tokens: int, decisions: int = 1
    ) -> Answer | None:
        """Return the answer, or None after a `ChatError`; `decisions` is how many decisions hang on it."""
        try:
            reply = model.complete(system, user, schema, max_tokens, self.timeout_s)
        except ChatError as error:
            kind = _kind(error)
            self.ledger.event(kind)
            # the first of a kind is news, the rest is a number in the ledger
            news = self.ledger.events[kind] == 1
            log.log(logging.WARNING if news else logging.DEBUG, "rules decide instead of the model: %s", error)
            source = "fallback"
            answer = None
        else:
            source = "replay" if reply.replayed else "model"
            answer = Answer(reply.value, source, reply.model)
        for _ in range(decisions):
            self.ledger.decided(source)
        return answer


def _kind(error: ChatError) -> str:
    """Name of the event; subclasses first."""
    kinds: tuple[tuple[type[ChatError], str], ...] = (
        (BudgetSpent, "budget"),
        (CircuitOpen, "circuit"),
        (Malformed, "malformed"),
        (Blocked, "blocked"),
        (Transient, "transient"),
    )
    return next((name for cls, name in kinds if isinstance(error, cls)), "permanent")
