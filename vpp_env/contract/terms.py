"""What an aggregator and an owner can agree on: offers, answers, and the terms of a contract.

An aggregator hands `Offers` to the owners' table (`view.owners.propose`), at most `max_rounds` times at one gate, and
gets `Answers`: nothing else of the owners' private values ever crosses. Accepted terms bind from the opportunity that
is bid for on, and the world keeps them; see docs/contracts.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from vpp_env.errors import BidError, InformationError
from vpp_env.units import Flags, Floats, Ints

MOST_TEXT = 4000
"""Characters of a message to one home, at most: about a page [assumed]."""


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
        for name in TERMS:
            if (got := np.shape(getattr(self, name))) != shape or len(got) != 1:
                raise BidError(f"terms: {name} has shape {got}; allowed is ({shape[0] if shape else 'N'},)")
        rows = np.array([getattr(self, name) for name in TERMS], dtype=np.float64)
        if not (rows.min(initial=0.0) >= 0.0 and rows.max(initial=0.0) < np.inf):
            wrong = TERMS[int(np.argmin((np.isfinite(rows) & (rows >= 0.0)).all(axis=1)))]
            raise BidError(f"terms: {wrong} holds a negative or not finite number; allowed is 0 and above")
        rows.setflags(write=False)
        for name, row in zip(TERMS, rows, strict=True):
            object.__setattr__(self, name, row)

    @property
    def n(self) -> int:
        """Homes."""
        return len(self.price)


TERMS = tuple(f.name for f in fields(Terms))
"""The fields of `Terms`, in their order: rows of a matrix of terms (15, ...)."""


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


class Table(Protocol):
    """Where an aggregator meets the owners of one month at one gate: what `view.owners` is."""

    @property
    def round(self) -> int:
        """Rounds of offers that were made at this gate."""
        ...

    @property
    def rounds_left(self) -> int:
        """Rounds that may still be made at this gate."""
        ...

    @property
    def in_force(self) -> Flags:
        """(N,) bool: homes whose contract holds in the opportunity that is bid for."""
        ...

    @property
    def terms(self) -> Terms:
        """The terms of these contracts; 0 for the other homes."""
        ...

    def propose(self, offers: Offers) -> Answers:
        """Make offers and hear the answers; what is accepted binds at once.

        Parameters
        ----------
        offers : Offers
            Terms for the homes that are asked, (N,) each.

        Returns
        -------
        Answers
            (N,) what each owner said, with the terms that it would accept.

        Raises
        ------
        BidError
            When the offers are malformed, or no round is left at this gate; nobody has heard of them then.
        """
        ...

    def end(self, rows: Flags) -> None:
        """End the contracts of the homes `rows` (N,) bool before the opportunity that is bid for.

        Parameters
        ----------
        rows : ndarray
            (N,) bool: homes whose contract ends.
        """
        ...


@dataclass(frozen=True)
class LeftTable:
    """The `Table` of a view that was pickled: what was known of it then. There is nobody to ask behind a copy."""

    round: int
    rounds_left: int
    in_force: Flags
    terms: Terms

    def propose(self, offers: Offers) -> Answers:
        """Refuse."""
        raise InformationError("this view is a copy (it was pickled): ask the owners through the view given to act()")

    def end(self, rows: Flags) -> None:
        """Refuse."""
        self.propose(rows)  # type: ignore[arg-type]


def check_rows(rows: Any, n: int, name: str) -> Flags:
    """Return `rows` as a new (n,) bool array.

    Raises
    ------
    BidError
        When it is none.
    """
    array = np.array(rows)
    if array.shape != (n,) or array.dtype != np.bool_:
        raise BidError(f"{name} is {array.dtype} of shape {array.shape}; allowed is bool of shape ({n},)")
    return array


def check_offers(offers: Any, n: int) -> Offers:
    """Return the offers with arrays of their own, of the right types.

    Raises
    ------
    BidError
        When a part has another shape, type or value than `Offers` and `Terms` allow.
    """
    if not isinstance(offers, Offers):
        raise BidError(f"propose() got a {type(offers).__name__}; allowed is vpp_env.Offers(to, window, terms)")
    to = check_rows(offers.to, n, "Offers.to")
    window = np.array(offers.window)
    if window.shape != (n,) or window.dtype.kind not in "iu" or not _among(window[to], 0, max(Window)):
        known = ", ".join(f"{w.name} = {w.value}" for w in Window)
        got = f"{window.dtype} of shape {window.shape}"
        raise BidError(f"Offers.window is {got}; allowed are whole numbers of shape ({n},): {known}")
    terms = offers.terms
    if not isinstance(terms, Terms) or terms.n != n:
        got = f"Terms of {terms.n} homes" if isinstance(terms, Terms) else f"a {type(terms).__name__}"
        raise BidError(f"Offers.terms is {got}; allowed is vpp_env.Terms with one row for each of the {n} homes")
    for name in ("blackout", "v2g_reserve"):
        flag = getattr(terms, name)[to]
        if (flag * (1.0 - flag)).any():
            raise BidError(f"terms: {name} holds something else than 0 (no) and 1 (yes)")
    return replace(offers, to=to, window=window.astype(np.int64), messages=_checked_messages(offers.messages, to))


def _among(values: Ints, least: int, most: int) -> bool:
    return bool(values.min(initial=least) >= least and values.max(initial=most) <= most)


def _checked_messages(messages: Any, to: Flags) -> dict[int, str] | None:
    if messages is None:
        return None
    if not isinstance(messages, dict):
        raise BidError(f"Offers.messages is a {type(messages).__name__}; allowed is a dict of home -> text, or None")
    made: dict[int, str] = {}
    for home, text in messages.items():
        if isinstance(home, bool) or not isinstance(home, int | np.integer) or not 0 <= home < len(to) or not to[home]:
            raise BidError(
                f"Offers.messages has a text for {home!r:.40}; allowed are homes that get an offer, by index"
            )
        if not isinstance(text, str) or len(text) > MOST_TEXT:
            got = f"{len(text)} characters" if isinstance(text, str) else f"a {type(text).__name__}"
            raise BidError(f"the message to home {home} is {got}; allowed is text of at most {MOST_TEXT} characters")
        made[int(home)] = text
    return made
