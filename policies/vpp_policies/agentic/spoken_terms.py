"""Terms in words' company: what a model may offer one owner, as bounded integers; what is outside is refused.

A model reads and writes integers (small models mishandle decimals); -1 leaves a term as the rules have drafted it. No
number is moved into its range: an offer with one outside is not made, and is counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel

from vpp_env import Terms
from vpp_policies.agentic.negotiation import Standing
from vpp_policies.agentic.rules import WORTH

UNCHANGED = -1
"""Leaves a term as it was drafted."""


@dataclass(frozen=True)
class Spoken:
    """One term as a model is shown it."""

    field: str  # of the model's form
    term: str  # of `Terms`
    scale: float  # integers per unit of the term


SPOKEN = (
    Spoken("price_tenth_cents", "price", 1e3),
    Spoken("share_percent", "share", 1e2),
    Spoken("fee_thousandth_cents", "availability", 1e5),
    Spoken("waiting_tenth_cents", "defer_price", 1e3),
    Spoken("reserve_hundredth_cents", "reserve_price", 1e4),
    Spoken("floor_wh", "floor_kwh", 1e3),
    Spoken("floor_price_hundredth_cents", "floor_price", 1e4),
    Spoken("day_wh", "day_kwh", 1e3),
    Spoken("day_price_tenth_cents", "overuse_price", 1e3),
    Spoken("car_on_reserve", "v2g_reserve", 1.0),
)
"""What is talked about; everything else stays as it was drafted."""
MOST_SHARE, MOST_FEE = 0.9, 0.001
"""Highest share of the price (docs/agentic.md has what .9 costs), and fee per kW and hour: it buys everybody's premium
(docs/contracts.md)."""


@dataclass(frozen=True)
class Allowed:
    """(N,) least and most of each spoken term that may be offered, by its name."""

    least: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    most: dict[str, np.ndarray[Any, np.dtype[np.float64]]]

    def shown(self, i: int) -> dict[str, list[int]]:
        """Ranges of home i in integers, inside the true ones."""
        return {s.field: [_up(self.least[s.term][i], s), _down(self.most[s.term][i], s)] for s in SPOKEN}


def allowed(standing: Standing) -> Allowed:
    """Return what may be offered: nobody more than it asks by itself, no concession above what it can be worth."""
    own = standing.terms
    zero, one = np.zeros(own.n), np.ones(own.n)
    least = {s.term: zero for s in SPOKEN} | {
        "floor_kwh": np.minimum(standing.least_kwh, own.floor_kwh),
        "day_kwh": own.day_kwh,
    }
    most = {
        "price": own.price,
        "share": MOST_SHARE * one,
        "availability": MOST_FEE * one,
        "defer_price": own.defer_price,
        "reserve_price": own.reserve_price,
        "floor_kwh": own.floor_kwh,
        "floor_price": WORTH["floor_price"] * one,
        "day_kwh": np.maximum(standing.most_kwh, own.day_kwh),
        "overuse_price": WORTH["overuse_price"] * one,
        "v2g_reserve": one,
    }
    return Allowed(least, most)


def _up(value: float, s: Spoken) -> int:
    return math.ceil(value * s.scale - 1e-6)


def _down(value: float, s: Spoken) -> int:
    return math.floor(value * s.scale + 1e-6)


def shown_terms(terms: Terms, i: int) -> dict[str, int]:
    """Return the spoken terms of home i in integers, rounded; for showing only."""
    return {s.field: round(float(getattr(terms, s.term)[i]) * s.scale) for s in SPOKEN}


def asked_otherwise(offered: Terms, said: Terms, i: int) -> dict[str, int]:
    """Spoken terms that home i wants otherwise, in integers rounded up."""
    return {
        s.field: _up(float(getattr(said, s.term)[i]), s)
        for s in SPOKEN
        if abs(getattr(said, s.term)[i] - getattr(offered, s.term)[i]) > 1e-9
    }


def taken(turn: BaseModel, i: int, within: Allowed) -> dict[str, float] | None:
    """Terms that a model's form changes for home i; None where a number is outside what may be offered."""
    out: dict[str, float] = {}
    shown = within.shown(i)
    for s in SPOKEN:
        number = getattr(turn, s.field)
        if number == UNCHANGED:
            continue
        low, high = shown[s.field]
        if not low <= number <= high:
            return None
        out[s.term] = min(max(number / s.scale, float(within.least[s.term][i])), float(within.most[s.term][i]))
    return out


def changed(terms: Terms, by_home: dict[int, dict[str, float]]) -> Terms:
    """Return the terms with those of some homes changed."""
    rows = {s.term: getattr(terms, s.term).copy() for s in SPOKEN}
    for i, named in by_home.items():
        for term, value in named.items():
            rows[term][i] = value
    return replace(terms, **rows)
