"""What an aggregator and an owner can agree on: offers, answers, and the terms of a contract.

An aggregator hands `Offers` to the owners' table (`view.owners.propose`), at most `max_rounds` times at one gate, and
gets `Answers`: nothing else of the owners' private values ever crosses. Accepted terms bind from the opportunity that
is bid for on, and the world keeps them; see docs/contracts.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from vpp_env.errors import BidError
from vpp_env.units import Flags, Floats, Ints


class Window(IntEnum):
    """How long a contract runs."""

    OPPORTUNITY = 0  # the opportunity that is bid for
    EVENING = 1  # from it to the end of the next evening of firm capacity (`MarketRules.capacity_hours`)
    NOTICE = 2  # until further notice: until it is replaced, ended by the aggregator, or the owner opts out


class Reason(IntEnum):
    """Why an owner answered as it did: a closed list."""

    NOT_ASKED = 0
    AGREED = 1
    PRICE = 2  # a price is below what it would take; the answer's terms say what would
    LIMIT = 3  # asks for what is physically impossible, or beyond the hard limits: never for sale
    AWAY = 4  # opted out
    TRUST = 5  # does not deal with this aggregator at present (a broken contract, too many contacts)


@dataclass(frozen=True)
class Terms:
    """The terms of one contract for each home, (N,) float64 each; a *concession* is a wish that is given up at a price.

    Concessions are metered: an owner is paid for what was really taken of its wish, so that nobody needs foresight to
    accept one. A limit equal to the owner's own is no concession.
    """

    price: Floats  # USD per kWh that storage gives (battery, V2G): least pay
    defer_price: Floats  # USD per kWh of charging that waits: least pay
    share: Floats  # of the real-time price: pay per kWh is max(price, share x real-time price)
    reserve_price: Floats  # USD per kW and hour on reserve: least pay; the share holds here too
    availability: Floats  # USD per kW of `kw` and hour, paid while the contract runs, whatever is called
    kw: Floats  # most that may be sold or called in one interval, kW
    floor_kwh: Floats  # the battery's reserve floor while the contract runs
    floor_price: Floats  # USD per kWh and hour below the owner's own floor, beyond the baseline
    target_kwh: Floats  # what the car must hold when it must be ready
    car_price: Floats  # USD per kWh that it lacks of the owner's own target at a departure, beyond the baseline
    day_kwh: Floats  # battery discharge per day
    overuse_price: Floats  # USD per kWh of it beyond the owner's own limit
    blackout: Floats  # 1: blackout windows are waived, 0: they are kept
    blackout_price: Floats  # USD per kWh sold, called or bought in one
    v2g_reserve: Floats  # 1: the car's battery may stand on reserve, 0: it may not

    def __post_init__(self) -> None:
        shape = np.shape(self.price)
        for one in fields(self):
            array = np.array(getattr(self, one.name), dtype=np.float64)
            if array.shape != shape or array.ndim != 1:
                raise BidError(f"terms: {one.name} has shape {array.shape}; allowed is ({shape[0] if shape else 'N'},)")
            if not np.isfinite(array).all() or (array < 0.0).any():
                raise BidError(f"terms: {one.name} holds a negative or not finite number; allowed is 0 and above")
            array.setflags(write=False)
            object.__setattr__(self, one.name, array)

    @property
    def n(self) -> int:
        """Homes."""
        return len(self.price)


@dataclass(frozen=True)
class Offers:
    """What an aggregator proposes to the homes in one round.

    Parameters
    ----------
    to : ndarray
        (N,) bool: who gets an offer. Each one is a contact, and contacts cost patience.
    window : ndarray
        (N,) int, values of `Window`.
    terms : Terms
        The terms; rows of homes that get no offer are ignored.
    messages : dict, optional
        Home -> free text, for owners that read. It binds nobody.
    """

    to: Flags
    window: Ints
    terms: Terms
    messages: dict[int, str] | None = None


@dataclass(frozen=True)
class Answers:
    """What the owners said to `Offers`: all that an aggregator may know of them.

    Parameters
    ----------
    accepted : ndarray
        (N,) bool: the contract holds from the opportunity that is bid for on.
    countered : ndarray
        (N,) bool: refused, but `terms` says what this owner says it would accept.
    reason : ndarray
        (N,) int, values of `Reason`.
    terms : Terms
        Accepted: as offered. Countered: the owner's own. Else: as offered.
    round, of_rounds : int
        Which round this was at this gate, from 1, and how many there may be.
    messages : dict, optional
        Home -> the owner's words.
    """

    accepted: Flags
    countered: Flags
    reason: Ints
    terms: Terms
    round: int
    of_rounds: int
    messages: dict[int, str] | None = None
