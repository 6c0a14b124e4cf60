"""Layers around a model: a batch of questions goes in, as many replies or errors come out, in the same order.

One question is a batch of one. How many are asked side by side is known to `SideBySide` alone, and nothing that a layer
decides hangs on it or on who answers first: a batch is reserved, asked and settled in the order of its questions, so
that replies, ledger and cassette are the same bytes at any concurrency.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel

from vpp_policies.llm.chat import ChatError, ChatModel, Denied, Outcome, Permanent, Question, Refused, Reply
from vpp_policies.llm.threads import side_by_side


class Layer(ABC):
    """A wrapper around a model or another wrapper."""

    provider: str
    model: str

    def __init__(self, inner: ChatModel | Layer) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner: Layer = inner if isinstance(inner, Layer) else SideBySide(inner)

    @abstractmethod
    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Return what became of each question, in their order; `timeout_s` is for each call."""

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask one question; see `ChatModel`."""
        (outcome,) = self.answer([Question(system, user, schema, max_tokens)], timeout_s)
        if isinstance(outcome, ChatError):
            raise outcome
        return outcome


class SideBySide(Layer):
    """The innermost layer: ask a model, at most `workers` questions at a time.

    With `stops`, a model that refuses one question for good is asked nothing more of the batch.
    """

    def __init__(self, model: ChatModel, workers: int = 1, stops: bool = False) -> None:
        self.provider, self.model = model.provider, model.model
        self._asked, self._workers, self._stops = model, workers, stops

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Ask them all."""

        def one(q: Question) -> Outcome:
            try:
                return self._asked.complete(q.system, q.user, q.schema, q.max_tokens, timeout_s)
            except ChatError as error:
                return error

        out = side_by_side(one, questions, self._workers, lambda o: self._stops and isinstance(o, Denied))
        return [NotAsked("another question was refused for good") if o is None else o for o in out]


class NotAsked(Permanent):
    """The call was not made, because another of the same batch was refused for good."""


class Front(Layer):
    """What callers hold: room for thoughts beside every answer, and the end of a run whose model refuses to be asked.

    Parameters
    ----------
    inner : ChatModel or Layer
        Everything else.
    thinking : int
        Tokens that a reasoning model may think; they are added to the limit of every answer.
    stops : bool
        Whether `Denied` ends the run (`Refused`); otherwise it is an answer that did not come, and rules decide.
    """

    def __init__(self, inner: ChatModel | Layer, thinking: int = 0, stops: bool = True) -> None:
        super().__init__(inner)
        self._thinking, self._stops = thinking, stops

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Ask.

        Raises
        ------
        Refused
            When the server refuses for good and `stops`.
        """
        roomy = [replace(q, max_tokens=q.max_tokens + self._thinking) for q in questions]
        out = self._inner.answer(roomy, timeout_s)
        denied = next((o for o in out if isinstance(o, Denied)), None)
        if denied is not None and self._stops:
            remedy = "mend what it says, or let rules decide: --llm-fallback rules (option fallback='rules')"
            raise Refused(f"{denied}; every question would be refused alike, so the run ends: {remedy}") from denied
        return out
