"""Retry, rate limit and circuit breaker: the three wrappers that deal with a provider's bad days.

All retries happen here, once: the clients' own are off. Clock and sleep are arguments, so that tests need neither.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from pydantic import BaseModel

from vpp_policies.llm.chat import ChatModel, Reply, schema_text, tokens
from vpp_policies.llm.errors import BudgetSpent, CircuitOpen, Malformed, Permanent, Transient
from vpp_policies.llm.ledger import Ledger

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Waits double from the first to the longest [assumed]."""
MINUTE_S = 60.0


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
