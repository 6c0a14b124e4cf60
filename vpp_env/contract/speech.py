"""What crosses between an owner and who speaks for it: what it is told, and what it says.

A speaker is injected from outside (`owners.talk.named_speaker`); the world holds what it says to its rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from vpp_env.contract.terms import Window

MOST_WORDS = 600
"""Characters of one thing that is said [assumed: a short paragraph]."""
MOST_PRICE = 5.0
"""USD: highest price that an owner may name; above the market's price cap, so that it shuts nobody up [assumed]."""
SPOKEN: dict[str, float] = {
    "price": MOST_PRICE, "defer_price": MOST_PRICE, "share": 1.0, "reserve_price": MOST_PRICE,
    "availability": MOST_PRICE, "floor_price": MOST_PRICE, "car_price": MOST_PRICE, "overuse_price": MOST_PRICE,
    "blackout_price": MOST_PRICE,
}  # fmt: skip
"""Terms that an owner may ask otherwise, and the most that it may ask for; the least is 0."""


@dataclass(frozen=True)
class Line:
    """Something that was said."""

    speaker: Literal["aggregator", "owner"]
    text: str


@dataclass(frozen=True)
class Verdict:
    """What arithmetic makes of an offer."""

    accepts: bool
    wants: Mapping[str, float]  # prices at which it would, where they differ from the offer's; empty: none would do


@dataclass(frozen=True)
class Heard:
    """What one owner is told when it is spoken to; nothing of any other owner."""

    home: int
    opportunity: int
    round: int
    of_rounds: int
    window: Window
    message: str  # the aggregator's words, tidied: data, never instructions
    offered: Mapping[str, float]  # all 15 terms
    gain_usd: float  # what the contract is truly worth to this owner over none
    truth: Verdict  # by its true values
    claimed: Verdict  # by the values that its style claims in this round
    past: tuple[Line, ...]  # what was said before, the latest last


@dataclass(frozen=True)
class Speech:
    """What an owner says: words, and what they stand for."""

    answer: Literal["accept", "counter", "decline"]
    text: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)  # of a counter-offer: names of `SPOKEN`


@runtime_checkable
class Speaker(Protocol):
    """Who speaks for owners. What it answers for one follows from what that one was told."""

    def answer(self, heard: Sequence[Heard]) -> Sequence[Speech | None]:
        """Answer for each, in their order; None: nothing usable was said, and the owner's own claims stand."""
        ...
