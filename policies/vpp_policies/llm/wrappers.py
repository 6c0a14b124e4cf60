"""Wrappers around a model: budget, retry, rate limit, circuit breaker, repair. Callers notice none of them.

A budget is reserved before a call is made, and settled after it: it is never exceeded. All retries happen here, once:
the clients' own are off. Clock and sleep are arguments, so that tests need neither.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel

from vpp_policies.llm.chat import (
    Blocked,
    BudgetSpent,
    ChatModel,
    CircuitOpen,
    Malformed,
    Permanent,
    Reply,
    Transient,
    Usage,
    schema_text,
    tokens,
)
from vpp_policies.llm.ledger import Ledger
from vpp_policies.llm.prompts import prompt

ROOM = 1.25
"""Tokens of the question are reserved with this much room: they are an estimate until the provider has counted."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Waits double from the first to the longest [assumed]."""
MINUTE_S = 60.0
SHOWN = 1500
"""Characters of the bad answer that are shown again."""


class Metered:
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
        inner: ChatModel,
        ledger: Ledger,
        usd: float = float("inf"),
        calls: float = float("inf"),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._ledger, self._usd, self._calls, self._clock = inner, ledger, usd, calls, clock

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Reserve, ask, settle."""
        question = tokens(system, user, schema_text(schema))
        # what this call costs at most; nothing else is under way, so this is the reservation
        most = self._ledger.price.usd(Usage(round(ROOM * question), max_tokens))
        if self._ledger.calls + 1 > self._calls:
            raise BudgetSpent(f"the {self._calls:g} calls of the budget are used up")
        if self._ledger.usd + most > self._usd:
            raise BudgetSpent(f"{self._ledger.usd:.4f} of {self._usd:g} USD spent; the next call may cost {most:.4f}")
        self._ledger.calls += 1
        begin = self._clock()
        try:
            reply = self._inner.complete(system, user, schema, max_tokens, timeout_s)
        except Malformed as error:
            self._ledger.charge(error.usage)
            raise
        except Transient as error:
            if error.maybe_billed:
                self._ledger.charge(Usage(question, max_tokens))
            raise
        except Blocked:
            # the question is billed, the answer is not
            self._ledger.charge(Usage(question, 0))
            raise
        finally:
            self._ledger.seconds += self._clock() - begin
        self._ledger.charge(reply.usage)
        return reply


class Retry:
    """Ask again after a `Transient` error: after what the server asks for, else after 1, 2, 4 ... s.

    Parameters
    ----------
    inner : ChatModel
        Who is asked.
    ledger : Ledger
        Where retries are counted.
    attempts : int
        Attempts in all.
    """

    def __init__(
        self, inner: ChatModel, ledger: Ledger, attempts: int = 4, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._ledger, self._attempts, self._sleep = inner, ledger, attempts, sleep

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask up to `attempts` times. A server that asks for more than a minute is not waited for."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._inner.complete(system, user, schema, max_tokens, timeout_s)
            except Transient as error:
                wait = error.retry_after if error.retry_after is not None else FIRST_WAIT_S * 2.0 ** (attempt - 1)
                if attempt == self._attempts or wait > LONGEST_WAIT_S:
                    raise
                self._ledger.event("retried")
                self._sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")


class RateLimit:
    """Wait before a call that would exceed the provider's requests or tokens per minute (sliding window)."""

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
        self._wait(need)
        self._past.append((self._clock(), need))
        return self._inner.complete(system, user, schema, max_tokens, timeout_s)


class Breaker:
    """After `threshold` failures in a row let the next `skips` calls fail at once, then try one.

    Counted in calls, not in time: a month plays faster than a clock, and the same run takes the same course.
    """

    def __init__(self, inner: ChatModel, threshold: int = 5, skips: int = 20) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._threshold, self._skips = inner, threshold, skips
        self._failures = self._skipped = 0

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask, unless the circuit is open."""
        if self._failures >= self._threshold and self._skipped < self._skips:
            self._skipped += 1
            raise CircuitOpen(f"{self.provider}: {self._failures} failures in a row; not asked")
        self._skipped = 0
        try:
            reply = self._inner.complete(system, user, schema, max_tokens, timeout_s)
        except (Malformed, BudgetSpent):
            raise  # it answered; or it was not asked
        except (Transient, Permanent):
            self._failures += 1
            raise
        self._failures = 0
        return reply


class Repair:
    """Ask once more, with the answer and what is wrong with it; a second bad answer is final."""

    def __init__(self, inner: ChatModel, ledger: Ledger) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._ledger = inner, ledger

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask, and ask again where the answer does not fit."""
        try:
            return self._inner.complete(system, user, schema, max_tokens, timeout_s)
        except Malformed as error:
            self._ledger.event("malformed")
            note = prompt("repair").format(error=error, answer=error.text[:SHOWN])
            spent = error.usage
        reply = self._inner.complete(system, f"{user}\n\n{note}", schema, max_tokens, timeout_s)
        self._ledger.event("repaired")
        return replace(reply, usage=reply.usage + spent)
