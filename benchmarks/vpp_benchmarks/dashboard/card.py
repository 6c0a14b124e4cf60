"""An owner's words read into a card, by the same reader that a negotiation uses."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from vpp_policies.agentic.card import compile_card
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.stack import LlmOptions, open_stack

from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import VppError

MOST_CHARACTERS = 4_000
"""Of a statement: some twenty sentences (assumed)."""
READER = "scripted"
"""Who reads where nobody else is named: a program that knows phrases, not a language model."""


def card_of(statement: str, llm: str = READER) -> dict[str, Any]:
    """Return the card of a statement as plain data, with `source` and `model`: who has read it.

    Raises
    ------
    PlanError
        When the text is empty or too long, or nobody can read it (no such reader, no key, not in the cassette).
    """
    text = statement.strip()
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise PlanError(f"statement: got {len(text)} characters; allowed: 1 to {MOST_CHARACTERS}")
    try:
        options = LlmOptions(llm=llm, max_calls=2)
        with closing(open_stack(options)) as stack:
            read = compile_card(stack.model, Decider(stack.ledger, options.timeout_s), text)
    except VppError as error:
        raise PlanError(str(error)) from error
    if not read.known:
        raise PlanError(f"{llm} gave no answer that is a card; nothing is known of what the owner wants")
    return json.loads(read.card.model_dump_json()) | {"source": read.source, "model": read.model}
