"""A budget that is reserved before a call is made, and settled after it: it is never exceeded."""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import BaseModel

from vpp_policies.llm.chat import ChatModel, Reply, Usage, schema_text, tokens
from vpp_policies.llm.errors import Blocked, BudgetSpent, Malformed, Transient
from vpp_policies.llm.ledger import Ledger

ROOM = 1.25
"""Tokens of the question are reserved with this much room: they are an estimate until the provider has counted."""


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
