"""One more call for an answer that does not fit its schema."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from vpp_policies.llm.chat import ChatModel, Reply
from vpp_policies.llm.errors import Malformed
from vpp_policies.llm.ledger import Ledger
from vpp_policies.llm.prompts import prompt

SHOWN = 1500
"""Characters of the bad answer that are shown again."""


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
