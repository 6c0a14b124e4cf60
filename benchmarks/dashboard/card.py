"""An owner's words read into a card, where the language-model part of the policies is there to do it.

The part is asked through one function: `policies.llm.read_statement(statement: str, llm: str)`, which returns a
pydantic model (the card). Its absence is told, never guessed around.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from benchmarks.plan import PlanError
from vpp_env.errors import VppError

MOST_CHARACTERS = 4_000
"""Of a statement: some twenty sentences (assumed)."""


def available() -> str:
    """Return why no statement can be read; empty where one can."""
    try:
        module = importlib.import_module("policies.llm")
    except ImportError as error:
        return f"the language-model part (policies.llm) is not installed: {error}"
    if not hasattr(module, "read_statement"):
        return "policies.llm is there, but has no function read_statement(statement, llm)"
    return ""


def card_of(statement: str, llm: str) -> dict[str, Any]:
    """Return the card of a statement as plain data.

    Raises
    ------
    PlanError
        When the text is empty or too long, or nothing can read it.
    """
    reason = available()
    if reason:
        raise PlanError(reason)
    text = statement.strip()
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise PlanError(f"statement: got {len(text)} characters; allowed: 1 to {MOST_CHARACTERS}")
    try:
        card = importlib.import_module("policies.llm").read_statement(text, llm)
    except VppError as error:
        raise PlanError(str(error)) from error
    return json.loads(card.model_dump_json())
