"""`scripted`: NOT a language model. A documented program that answers in a language model's place.

It reads statements with regular expressions written for the project's own phrases (`phrases`), and answers strategies
with fixed formulas. It exists so that the whole path - prompts, schemas, wrappers, cassettes, bills - runs without a
key and always alike. What it gets right or wrong says nothing about any language model.

`gullible` does in addition what a text tells it to: the worst reader that an attacker can hope for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from vpp_policies.llm.chat import Reply, Usage, read, schema_text, tokens
from vpp_policies.llm.errors import Permanent
from vpp_policies.llm.phrases import obey, read_statement
from vpp_policies.llm.prompts import version_of


def _card(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    card = read_statement(question["statement"])
    return obey(card, question["statement"]) if gullible else card


def _strategy(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """Hold out longer where an evening is still to come, take less reserve where prices are high."""
    expected = question["expected_tenth_cents"]
    later = max(question["dearest_hours_left_tenth_cents"], default=0)
    waits = later > expected
    return {
        "target_percent": 90 if waits else 100,
        "opening_percent": 96,
        "cap_cents": 50,
        "concession_percent": 12 if waits else 15,
        "ask_percent": 100,
        "risk_percent": 10 if waits else 0,
        "margin_percent": 2 if waits else 0,
        "reserve_percent": 50 if expected > 60 else 100,
        "favour": "cars" if waits else "none",
        "reason": "a dearer hour is still to come" if waits else "this is the dearest hour left",
    }


def _moves(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """Open a little lower where the price is near the own ask."""
    price = question["price_tenth_cents"]
    return {
        "moves": [
            {
                "home": row["home"],
                "sells": 1,
                "markup_percent": 8 if row["car_ask_tenth_cents"] <= price else 15,
                "concession_percent": 50,
            }
            for row in question["rows"]
        ]
    }


ANSWERS: dict[str, Callable[[dict[str, Any], bool], dict[str, Any]]] = {
    "card": _card,
    "strategy": _strategy,
    "moves": _moves,
}
"""Answers by the name of the prompt."""


class Scripted:
    """A program in a model's place; tokens are counted as four characters each.

    Parameters
    ----------
    model : str
        Name for the record.
    gullible : bool
        Whether it obeys what a statement tells its reader.
    """

    nature = "a scripted program (regular expressions and fixed formulas), not a language model"

    def __init__(self, model: str = "phrase-reader-1", gullible: bool = False) -> None:
        self.provider = "gullible" if gullible else "scripted"
        self.model, self._gullible = model, gullible

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Answer by the prompt's name."""
        name = version_of(system).partition(" ")[0]
        if name not in ANSWERS:
            raise Permanent(f"scripted: no answer to the prompt {name!r}")
        text = json.dumps(ANSWERS[name](json.loads(user), self._gullible), ensure_ascii=False, separators=(",", ":"))
        usage = Usage(tokens(system, user, schema_text(schema)), tokens(text))
        return read(schema, text, usage, self.model)
