"""What flows through a negotiation, and the two sides that hold it: frozen dataclasses of arrays, and two protocols.

A bid has three *lines* (`CAR`, `FULL`, `RESERVE`), so prices and quantities are (3, N): the car's deferred charging
alone, all devices together, and capacity on reserve.

What each side may know is in the types. An `AggregatorBrain` is given declared and public content only: what homes'
agents declare, and what owners answered. A `ProsumerBrain` is given the homes' own rows; its functions are row-wise:
entry i of what it returns depends on row i, on public data and on the contract of home i. Both work on all homes at
once. Who accepts, refuses and counters are the owners of the world (`vpp_env.Table`), not a side of this policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    Answers,
    Homes,
    MarketRules,
    Offers,
    PolicyError,
    Public,
    Terms,
    UnknownNameError,
    did_you_mean,
)

CAR, FULL, RESERVE = range(3)
TRANSCRIPTS = ("summary", "full", "none")
"""Kinds of transcript."""


@dataclass(frozen=True)
class NegotiationOptions:
    """How is negotiated, whoever does it.

    Parameters
    ----------
    max_rounds : int
        Rounds of offers at one gate, at most; the owners hear no more than their own limit of them. 1 to 10.
    every_days : float
        Days between two gates at which owners without a contract are asked. Every refusal costs patience. 1 to 31.
    share : float
        Of the real-time price that a contract pays at least, 0 to 1.
    transcript : str
        `summary` (offers by round, answers counted, coalition as a table), `full` (every message) or `none`.
    without : str
        Parts left out, comma-separated (ablations): `negotiation` (nobody is asked), `memory` (what owners answered is
        forgotten from gate to gate), `concessions` (contracts are about pay alone), `rounds` (one round at a gate),
        `values` (homes ask what their contracts or owners ask), `solver`, and those of the brain.
    graph : str
        `module:build` of a graph of one's own, see `own_graph`; empty: this policy's.
    """

    max_rounds: int = 3
    every_days: float = 7.0
    share: float = 0.7
    transcript: str = "summary"
    without: str = ""
    graph: str = ""

    def __post_init__(self) -> None:
        for name, low, high in (("max_rounds", 1, 10), ("every_days", 1.0, 31.0), ("share", 0.0, 1.0)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise PolicyError(f"{name}: got {value}; allowed is {low} to {high}")
        if self.transcript not in TRANSCRIPTS:
            raise UnknownNameError(did_you_mean(self.transcript, TRANSCRIPTS, "transcript"))

    @property
    def left_out(self) -> frozenset[str]:
        """The parts of `without`."""
        return frozenset(part.strip() for part in self.without.split(",") if part.strip())


@dataclass(frozen=True)
class Notice:
    """The market opportunity: public, made by the aggregator from public data only."""

    opportunity_id: str
    start: str  # ISO 8601
    hours: float
    day_ahead: float  # published mean, USD/kWh
    weight: NDArray[np.float64]  # (K,) probabilities of the prices below
    price: NDArray[np.float64]  # (K,) real-time prices, USD/kWh, ascending
    rho_weight: NDArray[np.float64]  # (J,) probabilities of the reserve prices below
    rho: NDArray[np.float64]  # (J,) prices of the best reserve product, USD/kW-h, ascending; zeros: none on sale
    later: NDArray[np.float64]  # (h,) published day-ahead prices of the hours left today, USD/kWh, dearest first
    required_kw: float  # most that may be sold
    min_bid_kw: float
    margin: float
    revenue_share: float
    products: tuple[str, ...]
    safeguard: bool = False  # gateways keep the envelopes: the same kW may be for sale and on reserve


@dataclass(frozen=True)
class Standing:
    """What the homes' agents say of their owners, whatever is for sale now; what contracts are made of."""

    terms: Terms  # what the owner asks and wishes by itself
    cost: NDArray[np.float64]  # (N,) wear and refilling per kWh discharged, USD: arithmetic, no preference
    least_kwh: NDArray[np.float64]  # (N,) hard minimum of the battery
    most_kwh: NDArray[np.float64]  # (N,) hard maximum
    absent: NDArray[np.bool_]  # (N,) opted out


@dataclass(frozen=True)
class Settled:
    """What the last opportunity brought, as the VPP metered and paid it, (N,): no private value is among it."""

    kwh: NDArray[np.float64]  # sold less bought
    usd: NDArray[np.float64]  # paid to the owner
    absent: NDArray[np.bool_]  # opted out of the opportunity that is bid for


@dataclass(frozen=True)
class Declared:
    """What the homes' agents bid for one opportunity, (N,) unless said. Nothing here is private any more."""

    available: NDArray[np.bool_]
    kw: NDArray[np.float64]  # (3, N) most it may be called for
    ask: NDArray[np.float64]  # (3, N) USD/kWh, reserve USD/kW-h
    energy_kwh: NDArray[np.float64]  # battery energy for the market until midnight; inf: no such limit
    buy_kw: NDArray[np.float64]
    buy_limit: NDArray[np.float64]  # USD/kWh
    evening_kw: NDArray[np.float64]  # what it could give throughout an evening of firm capacity


@dataclass(frozen=True)
class Guidance:
    """What a strategy asks of the dispatch; the defaults ask nothing. Bounded in `dispatch`, whatever is given."""

    risk: float = 0.0  # 0: mean of the outlook; 1: mean of its lower half
    margin: float = 0.0  # added to asks, share
    reserve: float = 1.0  # most of the VPP's maximum that may be on reserve, share
    favour: str = "none"  # none, cars, batteries
    cap: float = np.inf  # highest ask that is taken into the coalition, USD/kWh
    asked: float = 1.0  # share of the homes that are called, cheapest first


@dataclass(frozen=True)
class CoalitionDispatch:
    """What a coalition is called for, (N,) kW and USD/kWh."""

    sell1_kw: NDArray[np.float64]  # deferred charging
    sell1_ask: NDArray[np.float64]
    sell2_kw: NDArray[np.float64]  # what all devices give beyond it
    sell2_ask: NDArray[np.float64]
    reserve_kw: NDArray[np.float64]
    reserve_ask: NDArray[np.float64]
    buy_kw: NDArray[np.float64]
    buy_limit: NDArray[np.float64]
    expected_usd: float  # expected profit of the VPP
    seconds: float  # in the solver
    fallback: bool

    @property
    def sell_kw(self) -> NDArray[np.float64]:
        """For sale on both lines."""
        return self.sell1_kw + self.sell2_kw

    @property
    def sell_ask(self) -> NDArray[np.float64]:
        """Mean ask of the lines, weighted by quantity; the second one's where nothing is for sale."""
        asked = self.sell1_kw * self.sell1_ask + self.sell2_kw * self.sell2_ask
        return np.divide(asked, self.sell_kw, out=self.sell2_ask.copy(), where=self.sell_kw > 0)

    @property
    def committed_kw(self) -> NDArray[np.float64]:
        """What a home may be called for; the kW on reserve may be the same as those for sale."""
        return np.maximum(self.sell_kw, self.reserve_kw)


@dataclass(frozen=True)
class Negotiation:
    """One opportunity as the aggregator sees it: declared and public content, and what owners answered."""

    notice: Notice
    standing: Standing | None = None  # None at a gate at which nobody is asked
    offers: tuple[Offers, ...] = ()
    answers: tuple[Answers, ...] = ()
    done: bool = False  # nothing is left to offer at this gate
    contracted: NDArray[np.bool_] | None = None  # (N,) whose contract holds in the opportunity
    declared: Declared | None = None  # what the homes bid
    guidance: Guidance | None = None  # of a strategy; None: there is none
    coalition: NDArray[np.bool_] | None = None  # (N,)
    status: str = "bid"
    dispatch: CoalitionDispatch | None = None

    @property
    def rounds(self) -> int:
        """Rounds of offers at this gate."""
        return len(self.answers)


class AggregatorBrain(Protocol):
    """The VPP's negotiator. None of its methods can see a private value."""

    def opens(self, opportunity: int, hours: float) -> bool:
        """Whether owners are asked at the gate of this opportunity of so many hours; called once at every gate."""
        ...

    def propose(
        self, notice: Notice, standing: Standing, contracted: NDArray[np.bool_], rounds_left: int
    ) -> Offers | None:
        """Make the offers of a round, `contracted` (N,) being who has a contract; None: nothing is left to offer.

        `rounds_left`, 1 or more, counts this round too.
        """
        ...

    def learn(self, standing: Standing, offers: Offers, answers: Answers) -> None:
        """Hear what owners answered."""
        ...

    def guide(self, notice: Notice, declared: Declared) -> Guidance | None:
        """Say what it wants of the dispatch; None: nothing."""
        ...


class ProsumerBrain(Protocol):
    """The homes' own agents, row by row."""

    def standing(self, homes: Homes, public: Public, rules: MarketRules) -> Standing:
        """Say what the owners ask and wish."""
        ...

    def bid(
        self, homes: Homes, public: Public, rules: MarketRules, contracted: NDArray[np.bool_], terms: Terms
    ) -> Declared:
        """Bid for the opportunity: `contracted` (N,) homes at their contracts' `terms`; called once at every gate."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A prosumer side that reads what owners say in words."""

    def hear(self, statements: Callable[[int], str], n: int) -> None:
        """Hear every owner once a month; `statements(i)` is the statement of the owner of home i."""
        ...


@runtime_checkable
class Witness(Protocol):
    """An aggregator's side that looks at what became of its decisions."""

    def settle(self, public: Public, settled: Settled) -> None:
        """See what the last opportunity brought; called first at every gate."""
        ...

    def weigh(self, notice: Notice, made: CoalitionDispatch, plain: CoalitionDispatch) -> None:
        """See the dispatch that its guidance made, and the one that there would be without it."""
        ...


class Brain(Protocol):
    """Both sides of one policy object's negotiations."""

    guided: bool
    """Whether its aggregator guides the dispatch."""

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Begin a month and return its two sides."""
        ...

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Return what was counted (notes of the bids) and said (records of the transcript) since the last call."""
        ...
