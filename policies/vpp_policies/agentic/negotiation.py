"""What flows through a negotiation, and the two sides that hold it: frozen dataclasses of arrays, and two protocols.

A bid has three *lines* (`CAR`, `FULL`, `RESERVE`), so prices and quantities are (3, N): the car's deferred charging
alone, all devices together, and capacity on reserve. A home is given at most one of the first two.

What each side may know is in the types. An `AggregatorBrain` is given declared and public content only. A
`ProsumerBrain` is given the homes' own rows; its functions are row-wise: entry i of what it returns depends on row i,
on public data and on what was offered to home i. Both work on all homes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vpp_env import Homes, MarketRules, PolicyError, Public, UnknownNameError, did_you_mean

CAR, FULL, RESERVE = range(3)
LINES = ("car", "full", "reserve")
TRANSCRIPTS = ("summary", "full", "none")
"""Kinds of transcript."""


@dataclass(frozen=True)
class NegotiationOptions:
    """How is negotiated, whoever does it (concessions: Faratin, Sierra & Jennings 1998, time-dependent tactics).

    Parameters
    ----------
    max_rounds : int
        Rounds of counter-offers, 1 to 10.
    markup : float
        A home opens at (1 + markup) x its own ask; 0 to 1.
    home_beta, aggregator_beta : float
        Shape of the concession over the rounds, (r / R) ** (1 / beta), .05 to 20: 1 is linear, below 1 holds out
        (Boulware), above 1 gives way early (Conceder).
    transcript : str
        `summary` (offers by round, answers counted, coalition as a table), `full` (every message) or `none`.
    without : str
        Parts left out, comma-separated (ablations): `negotiation`, `solver`, `values` (homes ask what owners ask),
        and those of the brain.
    """

    max_rounds: int = 3
    markup: float = 0.0
    home_beta: float = 1.0
    aggregator_beta: float = 0.15
    transcript: str = "summary"
    without: str = ""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("max_rounds", 1, 10),
            ("markup", 0.0, 1.0),
            ("home_beta", 0.05, 20.0),
            ("aggregator_beta", 0.05, 20.0),
        ):
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
    max_rounds: int
    safeguard: bool = False  # gateways keep the envelopes: the same kW may be for sale and on reserve


@dataclass(frozen=True)
class Declared:
    """What the homes have declared, (N,) unless said. Nothing here is private any more."""

    available: NDArray[np.bool_]
    kw: NDArray[np.float64]  # (3, N) most it may be called for
    ask: NDArray[np.float64]  # (3, N) opening asks; USD/kWh, reserve USD/kW-h
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


@dataclass(frozen=True)
class AggregatorTerms:
    """The aggregator's own limits for this opportunity, (3,): where it starts and where it stops."""

    target: NDArray[np.float64]
    cap: NDArray[np.float64]
    order: NDArray[np.int64]  # (N,) homes by opening ask, cheapest first
    beta: float | None = None  # shape of this opportunity's concession; None: the brain's own
    first_step: float | None = None  # asked for in the first round, share of the ask; None: the brain's own
    asked: NDArray[np.bool_] | None = None  # (N,) who is asked; None: everybody
    guidance: Guidance | None = None  # for the dispatch; None: there is none


@dataclass(frozen=True)
class Offer:
    """One round of offers to all homes; `to` says which lines of whom are meant."""

    round: int
    price: NDArray[np.float64]  # (3, N)
    kw: NDArray[np.float64]  # (3, N)
    to: NDArray[np.bool_]  # (3, N)


@dataclass(frozen=True)
class Response:
    """The answers of one round, (3, N)."""

    accepted: NDArray[np.bool_]
    counter: NDArray[np.float64]  # USD/kWh, USD/kW-h: what the line now asks


@dataclass(frozen=True)
class CoalitionDispatch:
    """What a coalition is called for, (N,) kW and USD/kWh."""

    sell1_kw: NDArray[np.float64]  # deferred charging
    sell1_ask: NDArray[np.float64]
    sell2_kw: NDArray[np.float64]  # what all devices give beyond it
    sell2_ask: NDArray[np.float64]
    reserve_kw: NDArray[np.float64]
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
    """One negotiation as the aggregator sees it: declared and public content only."""

    notice: Notice
    declared: Declared
    agreed: NDArray[np.float64]  # (3, N) USD/kWh, NaN where there is no agreement (yet)
    coalition: NDArray[np.bool_]  # (N,)
    terms: AggregatorTerms | None = None
    offers: tuple[Offer, ...] = ()
    responses: tuple[Response, ...] = ()
    status: str = "bid"
    dispatch: CoalitionDispatch | None = None

    @classmethod
    def begin(cls, notice: Notice, declared: Declared) -> Negotiation:
        """Return a negotiation in which nothing is agreed yet."""
        nothing = np.full(declared.ask.shape, np.nan)
        return cls(notice, declared, nothing, np.zeros(len(declared.available), dtype=bool))

    @property
    def rounds(self) -> int:
        """Rounds played."""
        return len(self.offers)

    def asks(self, back: int = 0) -> NDArray[np.float64]:
        """(3, N) what the homes last asked; `back` rounds ago."""
        count = len(self.responses) - back
        return self.responses[count - 1].counter if count > 0 else self.declared.ask

    def open_lines(self) -> NDArray[np.bool_]:
        """(3, N): lines that were bid and are not agreed."""
        return self.declared.available & (self.declared.kw > 0) & np.isnan(self.agreed)


@dataclass(frozen=True)
class NegotiationRound:
    """What the aggregator makes the offers of one round from."""

    number: int  # from 1
    asks: NDArray[np.float64]  # (3, N) what the homes last asked
    earlier: NDArray[np.float64]  # (3, N) the asks before those
    is_open: NDArray[np.bool_]  # (3, N) lines without agreement


class AggregatorBrain(Protocol):
    """The VPP's negotiator. None of its methods can see a private value."""

    def opening(self, notice: Notice, declared: Declared) -> AggregatorTerms:
        """Rank the bids; say where the offers start and where they end."""
        ...

    def counter_offer(self, notice: Notice, declared: Declared, terms: AggregatorTerms, now: NegotiationRound) -> Offer:
        """Make the offers of a round."""
        ...

    def accepts(self, notice: Notice, terms: AggregatorTerms, asks: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(3, N): which final asks it takes as limits."""
        ...


class ProsumerBrain(Protocol):
    """The homes' own agents, row by row."""

    def declare(self, homes: Homes, public: Public, rules: MarketRules) -> Declared:
        """Bid: availability, capacity, opening asks, constraints."""
        ...

    def respond(
        self, homes: Homes, public: Public, rules: MarketRules, offer: Offer, of_rounds: int, declared: Declared
    ) -> Response:
        """Answer the offers: accept, or counter."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A prosumer side that reads what owners say in words."""

    def hear(self, statements: Callable[[int], str], n: int) -> None:
        """Hear every owner once a month; `statements(i)` is the statement of the owner of home i."""
        ...


class Brain(Protocol):
    """Both sides of one policy object's negotiations."""

    guided: bool
    """Whether its aggregator's terms carry guidance for the dispatch."""

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Begin a month and return its two sides."""
        ...

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Return what was counted (notes of the bids) and said (records of the transcript) since the last call."""
        ...
