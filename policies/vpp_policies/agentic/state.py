"""What flows through the graph: frozen dataclasses of arrays, N homes.

A bid has three *lines* (`CAR`, `FULL`, `STANDBY`), so prices and quantities are (3, N): the car's deferred charging
alone, all devices together, and capacity that stands by. A home is given at most one of the first two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.views import Homes, Public

CAR, FULL, STANDBY = range(3)
LINES = ("car", "full", "standby")


@dataclass(frozen=True)
class Notice:
    """The market opportunity: public, made by the aggregator from public data only."""

    opportunity_id: str
    start: str  # ISO 8601
    hours: float
    day_ahead: float  # published mean, USD/kWh
    weight: np.ndarray  # (K,) probabilities of the prices below
    price: np.ndarray  # (K,) real-time prices, USD/kWh, ascending
    rho: np.ndarray  # (K,) prices of the best reserve product, USD/kW-h, ascending; zeros: none on sale
    later: np.ndarray  # (h, K) real-time prices of the dearest hours left today, dearest first
    cheap: np.ndarray  # (h,) published day-ahead prices of the hours after this one, ascending, USD/kWh
    required_kw: float  # most that may be sold
    min_bid_kw: float
    margin: float
    revenue_share: float
    products: tuple[str, ...]
    max_rounds: int


@dataclass(frozen=True)
class Declared:
    """What the homes have told, (N,) unless said. Nothing here is private any more."""

    available: np.ndarray  # bool
    kw: np.ndarray  # (3, N) most it may be called for
    ask: np.ndarray  # (3, N) opening asks; USD/kWh, standby USD/kW-h
    energy_kwh: np.ndarray  # battery energy for the market until midnight; inf: no such limit
    buy_kw: np.ndarray
    buy_limit: np.ndarray  # USD/kWh
    buy_hours: np.ndarray  # hours of buying at buy_kw that fill what is missing
    due_hours: np.ndarray  # hours until a car must have bought back; inf: not bound


@dataclass(frozen=True)
class Guidance:
    """What a strategy asks of the dispatch; the defaults ask nothing. Bounded in `dispatch`, whatever is given."""

    risk: float = 0.0  # 0: mean of the outlook; 1: mean of its lower half
    margin: float = 0.0  # added to asks, share
    reserve: float = 1.0  # most of the VPP's maximum that may stand by, share
    favour: str = "none"  # none, cars, batteries


@dataclass(frozen=True)
class Terms:
    """The aggregator's own limits for this opportunity, (3,): where it starts and where it stops."""

    target: np.ndarray
    cap: np.ndarray
    order: np.ndarray  # (N,) homes by opening ask, cheapest first
    beta: float | None = None  # shape of this opportunity's concession; None: the brain's own
    first_step: float | None = None  # asked for in the first round, share of the ask; None: the brain's own
    asked: np.ndarray | None = None  # (N,) bool: who is asked; None: everybody
    guidance: Guidance | None = None  # for the dispatch; None: no wishes


@dataclass(frozen=True)
class Offer:
    """One round of offers to all homes; `to` says which lines of whom are meant."""

    round: int
    price: np.ndarray  # (3, N)
    kw: np.ndarray  # (3, N)
    to: np.ndarray  # (3, N) bool


@dataclass(frozen=True)
class Response:
    """The answers of one round, (3, N)."""

    accepted: np.ndarray  # bool
    counter: np.ndarray  # USD/kWh, USD/kW-h: what the line now asks


@dataclass(frozen=True)
class Plan:
    """The dispatch of a coalition, (N,) kW and USD/kWh."""

    sell_kw: np.ndarray
    sell_ask: np.ndarray
    reserve_kw: np.ndarray
    buy_kw: np.ndarray
    buy_limit: np.ndarray
    car_only: np.ndarray  # bool: the sale is the car's charging alone
    expected_usd: float  # expected profit of the VPP
    seconds: float  # in the solver
    fallback: bool


@dataclass(frozen=True)
class Talk:
    """One negotiation as the aggregator sees it: declared and public content only."""

    notice: Notice
    declared: Declared
    agreed: np.ndarray  # (3, N) USD/kWh, NaN where there is no agreement (yet)
    coalition: np.ndarray  # (N,) bool
    terms: Terms | None = None
    offers: tuple[Offer, ...] = ()
    responses: tuple[Response, ...] = ()
    status: str = "bid"
    plan: Plan | None = None

    @classmethod
    def begin(cls, notice: Notice, declared: Declared) -> Talk:
        """Return a talk in which nothing is agreed yet."""
        nothing = np.full(declared.ask.shape, np.nan)
        return cls(notice, declared, nothing, np.zeros(len(declared.available), dtype=bool))

    @property
    def rounds(self) -> int:
        """Rounds played."""
        return len(self.offers)

    def asks(self, back: int = 0) -> np.ndarray:
        """(3, N) what the homes last asked; `back` rounds ago."""
        count = len(self.responses) - back
        return self.responses[count - 1].counter if count > 0 else self.declared.ask


class WordsInput(TypedDict):
    """What `hear` is given: a reader of the owners' statements by home. No other node has it."""

    words: Callable[[int], str]


class PublicInput(TypedDict):
    """What `announce` is given."""

    public: Public


class DeclaredInput(TypedDict):
    """What the aggregator's nodes are given: LangGraph hands them no other channel."""

    talk: Talk


class PrivateInput(TypedDict):
    """What the prosumers' nodes are given; their functions are row-wise."""

    homes: Homes
    public: Public
    talk: Talk


class OpeningInput(TypedDict):
    """What `collect_bids` is given: there is no talk yet."""

    homes: Homes
    public: Public
    notice: Notice


class State(TypedDict):
    """All channels of the graph."""

    words: Callable[[int], str]
    homes: Homes
    public: Public
    notice: Notice
    talk: Talk
    bids: Bids
