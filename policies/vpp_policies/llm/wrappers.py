"""Wrappers around a model: budget, retry, rate limit, circuit breaker, repair. Callers notice none of them.

A budget is reserved before a call is made, and settled after it. All retries happen here, once: the clients' own are
off. Clock and sleep are arguments, so that tests need neither.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock

from pydantic import BaseModel

from vpp_policies.llm.chat import (
    Adapted,
    Blocked,
    BudgetSpent,
    ChatModel,
    CircuitOpen,
    CutOff,
    Denied,
    Malformed,
    Outcome,
    Question,
    Reply,
    Transient,
    Usage,
    schema_text,
    tokens,
)
from vpp_policies.llm.layer import Layer, NotAsked
from vpp_policies.llm.ledger import Ledger
from vpp_policies.llm.prompts import prompt

ROOM = 1.25
"""Tokens of the question are reserved with this much room: they are an estimate until the provider has counted. A
provider that counts more has as much reserved from then on."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Waits double from the first to the longest [assumed]."""
MINUTE_S = 60.0
SHOWN = 1500
"""Characters of the bad answer that are shown again."""
BELIEVED, SLACK = 10, 1000
"""A server's count of tokens is believed up to this many times what was estimated or allowed, and this many more
[assumed: dense text has a token in 1 to 2 characters instead of 4, a chat's frame some hundred]."""


class Metered(Layer):
    """Counts calls, tokens, USD and seconds of `inner`, and refuses a call that could exceed the budget.

    Parameters
    ----------
    inner : ChatModel
        The adapter.
    ledger : Ledger
        Where it is written down, at the ledger's prices.
    usd, calls : float, int
        Most that may be spent; inf for no limit. Every attempt counts, also one that fails.
    """

    def __init__(
        self,
        inner: ChatModel | Layer,
        ledger: Ledger,
        usd: float = float("inf"),
        calls: float = float("inf"),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(inner)
        self._ledger, self._usd, self._calls, self._clock = ledger, usd, calls, clock
        self._room_in, self._room_out = ROOM, 1.0

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Reserve as many as the budget holds at most, ask, settle; and on, until nothing more fits."""
        out: list[Outcome] = []
        while len(out) < len(questions):
            wave: list[Question] = []
            reserved, refusal = 0.0, None
            for q in questions[len(out) :]:
                room = Usage(math.ceil(self._room_in * q.tokens), math.ceil(self._room_out * q.max_tokens))
                most = self._ledger.price.usd(room)
                refusal = self._refusal(len(wave), reserved, most)
                if refusal is not None:
                    break
                wave.append(q)
                reserved += most
            if wave:
                out += self._ask(wave, timeout_s)
            elif refusal is not None:
                out.append(refusal)
        return out

    def _refusal(self, calls: int, reserved: float, most: float) -> BudgetSpent | None:
        if self._ledger.calls + calls + 1 > self._calls:
            return BudgetSpent(f"the {self._calls:g} calls of the budget are used up")
        if self._ledger.usd + reserved + most > self._usd:
            spent = f"{self._ledger.usd:.4f} of {self._usd:g} USD spent"
            return BudgetSpent(f"{spent}; the next call may cost {most:.4f}")
        return None

    def _ask(self, wave: Sequence[Question], timeout_s: float) -> list[Outcome]:
        begin = self._clock()
        try:
            out = self._inner.answer(wave, timeout_s)
        finally:
            self._ledger.seconds += self._clock() - begin
        return [self._settle(q, outcome) for q, outcome in zip(wave, out, strict=True)]

    def _settle(self, q: Question, outcome: Outcome) -> Outcome:
        """Count and charge one call; a usage that cannot be is replaced by the estimate."""
        if isinstance(outcome, NotAsked):
            return outcome
        self._ledger.calls += 1
        if isinstance(outcome, Reply):
            outcome = replace(outcome, usage=self._believable(outcome.usage, q, outcome.text))
            self._ledger.charge(outcome.usage)
        elif isinstance(outcome, Malformed | CutOff):
            outcome.usage = self._believable(outcome.usage, q, outcome.text)
            self._ledger.charge(outcome.usage)
        elif isinstance(outcome, Transient) and outcome.maybe_billed:
            self._ledger.charge(Usage(q.tokens, q.max_tokens))
        elif isinstance(outcome, Blocked):
            # the question is billed, the answer is not
            self._ledger.charge(Usage(q.tokens, 0))
        return outcome

    def _believable(self, usage: Usage, q: Question, text: str) -> Usage:
        asked, answered = usage.tokens_in, usage.tokens_out
        if not 0 <= asked <= BELIEVED * q.tokens + SLACK:
            asked = q.tokens
        if not 0 <= answered <= BELIEVED * q.max_tokens + SLACK:
            answered = min(tokens(text), q.max_tokens)
        if (asked, answered) != (usage.tokens_in, usage.tokens_out):
            self._ledger.event("odd_usage")
        self._room_in = max(self._room_in, asked / max(q.tokens, 1))
        self._room_out = max(self._room_out, answered / max(q.max_tokens, 1))
        return Usage(asked, answered)


class Retry(Layer):
    """Ask again after a `Transient` error: after what the server asks for, else after 1, 2, 4 ... s.

    Those of a batch that failed are asked again together, after the longest of their waits.

    Parameters
    ----------
    inner : ChatModel
        Who is asked.
    ledger : Ledger
        Where retries are counted.
    attempts : int
        Attempts in all; one after `Adapted` is not counted among them.
    """

    def __init__(
        self, inner: ChatModel | Layer, ledger: Ledger, attempts: int = 4, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(inner)
        self._ledger, self._attempts, self._sleep = ledger, attempts, sleep

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Ask each up to `attempts` times. A server that asks for more than a minute is not waited for."""
        out = self._inner.answer(questions, timeout_s)
        made = [1] * len(out)
        while True:
            waits = {i: wait for i, o in enumerate(out) if (wait := self._wait(o, made[i])) is not None}
            if not waits:
                return out
            for i in waits:
                adapted = isinstance(out[i], Adapted)
                self._ledger.event("adapted" if adapted else "retried")
                made[i] += not adapted
            if longest := max(waits.values()):
                self._sleep(longest)
            for i, outcome in zip(waits, self._inner.answer([questions[i] for i in waits], timeout_s), strict=True):
                out[i] = outcome

    def _wait(self, outcome: Outcome, made: int) -> float | None:
        """Seconds until it is asked again; None: it is not."""
        if not isinstance(outcome, Transient):
            return None
        if isinstance(outcome, Adapted):
            return 0.0
        wait = outcome.retry_after if outcome.retry_after is not None else FIRST_WAIT_S * 2.0 ** (made - 1)
        return wait if made < self._attempts and wait <= LONGEST_WAIT_S else None


class RateLimit:
    """Wait before a call that would exceed the provider's requests or tokens per minute (sliding window).

    A `ChatModel` like the adapter in it: it is about clocks, and decides nothing.
    """

    def __init__(
        self,
        inner: ChatModel,
        requests_per_minute: float,
        tokens_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._clock, self._sleep = inner, clock, sleep
        self._requests, self._tokens = requests_per_minute, tokens_per_minute
        self._past: deque[tuple[float, int]] = deque()
        self._turn = Lock()

    def _wait(self, need: int) -> None:
        while self._past:
            now = self._clock()
            while self._past and now - self._past[0][0] >= MINUTE_S:
                self._past.popleft()
            spent = sum(t for _, t in self._past)
            # a call that alone is above the limit goes when nothing else is in the window
            if not self._past or (len(self._past) < self._requests and spent + need <= self._tokens):
                return
            self._sleep(MINUTE_S - (now - self._past[0][0]))

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask when there is room."""
        need = tokens(system, user, schema_text(schema)) + max_tokens
        with self._turn:
            self._wait(need)
            self._past.append((self._clock(), need))
        return self._inner.complete(system, user, schema, max_tokens, timeout_s)


class Breaker(Layer):
    """After `threshold` failures in a row let the next `skips` calls fail at once, then try one.

    Counted in calls, not in time: a month plays faster than a clock, and the same run takes the same course. A provider
    that has not answered yet, or failed last, is asked one question alone before it is asked many side by side. With
    `stops`, one that has refused for good is asked nothing more.
    """

    def __init__(self, inner: ChatModel | Layer, threshold: int = 5, skips: int = 20, stops: bool = False) -> None:
        super().__init__(inner)
        self._threshold, self._skips, self._stops = threshold, skips, stops
        self._failures = self._skipped = 0
        self._sound = self._denied = False

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Ask, unless the circuit is open."""
        out: list[Outcome] = []
        while len(out) < len(questions):
            if self._stops and self._denied:
                out.append(NotAsked("another question was refused for good"))
                continue
            if self._failures >= self._threshold and self._skipped < self._skips:
                self._skipped += 1
                out.append(CircuitOpen(f"{self.provider}: {self._failures} failures in a row; not asked"))
                continue
            self._skipped = 0
            rest = questions[len(out) :]
            for outcome in self._inner.answer(rest if self._sound else rest[:1], timeout_s):
                self._note(outcome)
                out.append(outcome)
        return out

    def _note(self, outcome: Outcome) -> None:
        if isinstance(outcome, BudgetSpent | NotAsked):
            return  # it was not asked
        self._denied |= isinstance(outcome, Denied)
        answered = isinstance(outcome, Reply | Malformed | CutOff | Blocked)
        self._sound = answered
        if isinstance(outcome, Reply):
            self._failures = 0
        elif not answered:
            self._failures += 1


class Repair(Layer):
    """Ask once more, with the answer and what is wrong with it; a second bad answer is final."""

    def __init__(self, inner: ChatModel | Layer, ledger: Ledger) -> None:
        super().__init__(inner)
        self._ledger = ledger

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Ask, and ask again where the answer does not fit."""
        out = self._inner.answer(questions, timeout_s)
        bad = {i: o for i, o in enumerate(out) if isinstance(o, Malformed)}
        if not bad:
            return out
        self._ledger.event("malformed", len(bad))
        notes = {i: prompt("repair").format(error=o, answer=o.text[:SHOWN]) for i, o in bad.items()}
        again = [replace(questions[i], user=f"{questions[i].user}\n\n{note}") for i, note in notes.items()]
        for (i, first), outcome in zip(bad.items(), self._inner.answer(again, timeout_s), strict=True):
            out[i] = outcome
            if isinstance(outcome, Reply):
                self._ledger.event("repaired")
                out[i] = replace(outcome, usage=outcome.usage + first.usage)
        return out
