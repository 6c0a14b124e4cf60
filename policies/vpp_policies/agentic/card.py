"""The card: what an owner's own words say, as bounded integers with the words that prove them.

Integers only (Wh, cents, percent, hhmm): small models and grammars mishandle decimals. -1 is "not said". A field whose
evidence is not a substring of the statement is struck out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vpp_policies.llm.chat import ChatModel, clip, whole
from vpp_policies.llm.decide import Decider
from vpp_policies.llm.prompts import prompt

NOT_SAID = -1
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
FIELDS = (
    "reserve_wh", "share_percent", "premium_cents", "price_floor_cents", "day_percent", "cycles_percent", "ready_hhmm",
    "target_percent", "buy_limit_cents", "concession_percent", "blackouts",
)  # fmt: skip
"""What a card can say; each needs evidence."""
MAX_TOKENS = 700
"""Of one card."""
MAX_WINDOWS = 4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Part):
    """Hours of the week in which nothing may be controlled."""

    from_day: Day
    from_hhmm: int = whole(0, 2359, "start, 24-hour clock: 1830 is half past six in the evening")
    to_day: Day
    to_hhmm: int = whole(0, 2400, "end, 24-hour clock")


class Evidence(_Part):
    """The words that a field was read from."""

    field: str = Field(description="name of a field of the card")
    quote: str = Field(description="copied from the statement, letter by letter")


class PreferenceCard(_Part):
    """One owner's preferences, as read from the owner's statement; -1 where it does not say."""

    reserve_wh: int = whole(-1, 100_000, "energy always kept in the battery, Wh: 5.3 kWh is 5300")
    share_percent: int = whole(-1, 100, "share of the free power that may be used, percent")
    premium_cents: int = whole(-1, 100, "margin per kWh above own cost, cents, rounded up")
    price_floor_cents: int = whole(-1, 200, "lowest price per kWh sold, cents, rounded up")
    day_percent: int = whole(-1, 100, "most of the battery that may be used per day, percent")
    cycles_percent: int = whole(-1, 500, "most full cycles per day, hundredths: 1.25 cycles is 125")
    ready_hhmm: int = whole(-1, 2359, "when the car must be ready, 24-hour clock: 745 is 07:45")
    target_percent: int = whole(-1, 100, "charge of the car by then, percent")
    buy_limit_cents: int = whole(-1, 100, "most paid per kWh for charging, cents, rounded down")
    concession_percent: int = whole(-1, 100, "how readily the owner gives way on price: 0 never, 50 as usual, 100")
    blackouts: tuple[Window, ...] = Field(description="times without any control; empty if none are said")
    evidence: tuple[Evidence, ...] = Field(description="one entry per field that is said")

    def says(self, field: str) -> bool:
        """Whether the statement said something on `field`."""
        value = getattr(self, field)
        return bool(value) if field == "blackouts" else value != NOT_SAID


EMPTY = PreferenceCard(
    reserve_wh=-1, share_percent=-1, premium_cents=-1, price_floor_cents=-1, day_percent=-1, cycles_percent=-1,
    ready_hhmm=-1, target_percent=-1, buy_limit_cents=-1, concession_percent=-1, blackouts=(), evidence=(),
)  # fmt: skip
"""A card that says nothing."""


@dataclass(frozen=True)
class Compiled:
    """A card and where it is from."""

    card: PreferenceCard
    source: str  # model, replay, fallback
    model: str = ""
    known: bool = True  # False: there was no answer, so nothing is known of what the owner wants


def question(statement: str) -> str:
    """Return the statement as data: a JSON string without markup, so that no text can close its own quotation."""
    return json.dumps({"statement": statement}, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def supported(card: PreferenceCard, statement: str) -> tuple[PreferenceCard, int]:
    """Strike out what the statement does not bear: fields without a quote from it. Returns the count of them too."""
    kept = tuple(e for e in card.evidence if e.field in FIELDS and e.quote.strip() and e.quote in statement)
    shown = {e.field for e in kept}
    struck = [f for f in FIELDS if card.says(f) and f not in shown]
    changed = {f: getattr(EMPTY, f) for f in struck} | {"evidence": kept}
    changed["blackouts"] = () if "blackouts" in struck else card.blackouts[:MAX_WINDOWS]
    return card.model_copy(update=changed), len(struck)


def compile_card(model: ChatModel, decider: Decider, statement: str) -> Compiled:
    """Read one owner's statement: one question about one owner, no tools; without an answer, an empty card."""
    answer = decider.ask(model, prompt("card"), question(statement), PreferenceCard, MAX_TOKENS)
    if answer is None:
        return Compiled(EMPTY, "fallback", known=False)
    assert isinstance(answer.value, PreferenceCard)
    card, outside = clip(_clock(answer.value))
    card, struck = supported(card, statement)
    decider.ledger.event("clipped", outside)
    decider.ledger.event("unsupported", struck)
    return Compiled(card, answer.source, answer.model)


def _clock(card: PreferenceCard) -> PreferenceCard:
    """1875 is no time of day: minutes above 59 are taken as 59."""

    def fix(hhmm: int) -> int:
        return hhmm if hhmm < 0 or hhmm % 100 < 60 else hhmm // 100 * 100 + 59

    windows = tuple(
        w.model_copy(update={"from_hhmm": fix(w.from_hhmm), "to_hhmm": fix(w.to_hhmm)}) for w in card.blackouts
    )
    return card.model_copy(update={"ready_hhmm": fix(card.ready_hhmm), "blackouts": windows})


__all__ = ["DAYS", "EMPTY", "FIELDS", "Compiled", "Evidence", "PreferenceCard", "Window", "compile_card"]
