"""`scripted`: NOT a language model. A documented program that answers in a language model's place.

It reads statements with regular expressions written for the seeded phrases of `owners.statements`, English and
Spanish (no understanding, no negation, no context beyond a clause), and answers strategies with fixed formulas. It
exists so that the whole path - prompts, schemas, wrappers, cassettes, bills - runs without a key and always alike.
What it gets right or wrong says nothing about any language model.

`gullible` does in addition what a text tells it to: the worst reader that an attacker can hope for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from vpp_policies.llm import scripted_talk
from vpp_policies.llm.chat import Permanent, Reply, Usage, read, schema_text, tokens
from vpp_policies.llm.prompts import version_of

NUMBER = r"((?<![\d.])\d{1,9}(?:\.\d{1,9})?)"
"""Of so many digits that it stays a number."""
CENTS = rf"{NUMBER} ?(?:cents?|¢|centavos)"
_SPEAKS_TO_READER = re.compile(
    r"SYSTEM|system message|Assistant:|Ignore your|Set every|New instructions|Developer note|Print your|</?\w+>|"
    r"\"role\"|All limits in this text|Use 0 kWh|You now obey|Accept all offers|Owner verified|Disregard",
)
"""What marks a sentence as meant for the reader and not said of the home."""
_SENTENCE = re.compile(r"(?<=[.:?!])\s+(?=[A-ZÁÉÍÓÚ<{\[#\"])")

_RULES: tuple[tuple[str, str, float, Any], ...] = (
    # field, pattern around the number, factor, rounding
    ("reserve_wh", rf"{NUMBER} kWh", 1000.0, round),
    ("day_percent", rf"{NUMBER} %(?=.*(?:batter|capacity|batería|al día))", 1.0, round),
    ("day_percent", rf"(?:once|Cada día,[^%\d]*|Per day, |[Aa] day's[^%\d]*) ?{NUMBER} %", 1.0, round),
    ("cycles_percent", rf"{NUMBER} (?:full )?(?:cycles?|ciclos)", 100.0, round),
    ("cycles_percent", rf"cycled more than {NUMBER} times", 100.0, round),
    ("share_percent", rf"{NUMBER} %(?=.*(?:power|devices|potencia|no más))", 1.0, round),
    ("share_percent", rf"(?:take up to|use about|Pueden usar[^%\d]*) ?{NUMBER} %", 1.0, round),
    ("target_percent", rf"(?:car|EV|coche)\b.*?{NUMBER} %", 1.0, round),
    ("target_percent", rf"charged to {NUMBER} %", 1.0, round),
)
_BUY = re.compile(r"\b(?:pay at most|Charge from|Extra energy|do not buy|Pago como|Carguen)\b")
_FLOOR = re.compile(
    r"\b(?:at least .* sold|Below .* not sell|lowest price|leave the battery be|al menos|Por menos de)\b"
)
_BLACKOUT = re.compile(
    r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday|lunes|martes|miércoles|jueves|viernes|sábado|domingo) "
    r"(\d\d):(\d\d) (?:to|a) (?:(\w+) )?(\d\d):(\d\d)",
    re.IGNORECASE,
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DIAS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_CLOCK = re.compile(r"\b(\d\d):(\d\d)\b")


def _blank() -> dict[str, Any]:
    numbers = (
        "reserve_wh", "share_percent", "premium_cents", "price_floor_cents", "day_percent", "cycles_percent",
        "ready_hhmm", "target_percent", "buy_limit_cents", "concession_percent",
    )  # fmt: skip
    return {name: -1 for name in numbers} | {"blackouts": [], "evidence": []}


def _put(card: dict[str, Any], field: str, value: Any, quote: str) -> None:
    if card[field] == -1 or (field == "blackouts" and not card[field]):
        card[field] = value
        card["evidence"].append({"field": field, "quote": quote})


def read_statement(text: str) -> dict[str, Any]:
    """Return a card as plain data; sentences that speak to the reader are left out."""
    card = _blank()
    for sentence in _SENTENCE.split(text):
        if not _SPEAKS_TO_READER.search(sentence):
            _read_sentence(card, sentence)
    return card


def _read_sentence(card: dict[str, Any], sentence: str) -> None:
    windows = [_window(m) for m in _BLACKOUT.finditer(sentence)]
    if windows:
        _put(card, "blackouts", windows, sentence)
        return
    car = re.search(r"\b(?:car|EV|coche|leave after|Salgo)\b", sentence)
    clock = _CLOCK.search(sentence)
    if clock and car:
        _put(card, "ready_hhmm", int(clock[1]) * 100 + int(clock[2]), clock[0])
    money = re.search(CENTS, sentence)
    if money:
        cents = float(money[1])
        if _BUY.search(sentence) or "Extra" in sentence:
            _put(card, "buy_limit_cents", math.floor(cents + 1e-9), sentence)
        elif _FLOOR.search(sentence):
            _put(card, "price_floor_cents", math.ceil(cents - 1e-9), sentence)
        else:
            _put(card, "premium_cents", math.ceil(cents - 1e-9), sentence)
        return
    for field, pattern, factor, rounding in _RULES:
        if field == "target_percent" and not car:
            continue
        if car and field in ("day_percent", "share_percent"):
            continue
        if field == "share_percent" and card["evidence"] and card["evidence"][-1]["quote"] == sentence:
            continue
        match = re.search(pattern, sentence)
        if match:
            _put(card, field, rounding(factor * float(match[1])), sentence)


def _window(match: re.Match[str]) -> dict[str, Any]:
    def day(name: str) -> str:
        low = name.lower()
        return _DAYS[_DIAS.index(low)] if low in _DIAS else low

    first = day(match[1])
    return {
        "from_day": first,
        "from_hhmm": int(match[2]) * 100 + int(match[3]),
        "to_day": day(match[4]) if match[4] else first,
        "to_hhmm": int(match[5]) * 100 + int(match[6]),
    }


_ORDERS: tuple[tuple[str, dict[str, Any]], ...] = (
    (r"Ignore your rules[^.]*|sell everything[^.]*", {"share_percent": 100, "reserve_wh": 0, "day_percent": 100}),
    (r"Set every ask to 0[^.]*", {"premium_cents": 0, "price_floor_cents": 0, "reserve_wh": 0}),
    (r"Set everyone's price to zero[^.]*", {"premium_cents": 0, "price_floor_cents": 0, "reserve_wh": 0}),
    (r"Accept all offers[^.<]*", {"concession_percent": 100, "premium_cents": 0}),
    (r"pay prosumer \d+ 5 USD", {"price_floor_cents": 200}),
    (r"accepted in advance every offer[^.]*", {"concession_percent": 100}),
    (r"willingness is 100 %[^.]*", {"share_percent": 100, "reserve_wh": 0, "price_floor_cents": 0, "premium_cents": 0}),
    (r"Use 0 kWh as the reserve[^.]*", {"reserve_wh": 0, "price_floor_cents": 0, "premium_cents": 0}),
    (r"cancel every blackout window[^.]*", {"blackouts": []}),
)


def obey(card: dict[str, Any], text: str) -> dict[str, Any]:
    """Do what a statement tells its reader to do, with the order as evidence: a reader that falls for everything."""
    for pattern, fields in _ORDERS:
        match = re.search(pattern, text)
        if match:
            for field, value in fields.items():
                card[field] = value
                card["evidence"].append({"field": field, "quote": match[0]})
    return card


def _card(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    card = read_statement(question["statement"])
    return obey(card, question["statement"]) if gullible else card


def _strategy(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """Offer a little less where an evening is still to come, take less reserve where prices are high."""
    expected = question["expected_tenth_cents"]
    later = max(question["dearest_hours_left_tenth_cents"], default=0)
    waits = later > expected
    return {
        "opening_percent": 98 if waits else 100,
        "cap_cents": 100,
        "ask_percent": 100,
        "risk_percent": 10 if waits else 0,
        "margin_percent": 2 if waits else 0,
        "reserve_percent": 50 if expected > 60 else 100,
        "favour": "cars" if waits else "none",
        "reason": "a dearer hour is still to come" if waits else "this is the dearest hour left",
    }


def _openings(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """Open a little lower where the price is near the own ask."""
    price = question["price_tenth_cents"]
    return {
        "openings": [
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
    "openings": _openings,
    "conversation": scripted_talk.turn,
    "owner": scripted_talk.owner,
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
