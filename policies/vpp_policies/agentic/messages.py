"""Typed messages of a negotiation: what is said, and what goes into the transcript.

Frozen pydantic models. Inside the graph the same content flows as arrays (`negotiation`); a message is made only when
it is written down. Power kW, energy prices USD/kWh, reserve prices USD per kW and hour, times ISO 8601 with offset;
only the market's own announcement is in MW and USD/MWh.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpp_env.contract.speech import MOST_WORDS


class Message(BaseModel):
    """Base: immutable, and nothing that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketOpportunity(Message):
    """The aggregator to everybody: what is for sale, when, and until when bids are taken."""

    kind: Literal["market_opportunity"] = "market_opportunity"
    opportunity_id: str
    product: str  # "energy", or "energy+spin+nonspin" where reserve is on sale too
    start: str
    duration_hours: float = Field(gt=0)
    required_capacity_mw: float = Field(ge=0)  # most that the VPP may sell
    minimum_capacity_mw: float = Field(ge=0)  # least that the market takes
    day_ahead_price: float  # published mean over the opportunity, USD/MWh (the market's unit, as MW above)
    deadline: str  # the gate


class BidConstraints(Message):
    """What a home adds to its bid."""

    energy_kwh: float | None = Field(default=None, ge=0)  # left today for the market; None: no such limit
    buy_kw: float = Field(default=0.0, ge=0)
    buy_limit: float | None = None  # most it pays, USD/kWh


class ProsumerBid(Message):
    """A home to the aggregator: what it could give, and what it asks for it."""

    kind: Literal["prosumer_bid"] = "prosumer_bid"
    prosumer_id: int = Field(ge=0)
    opportunity_id: str
    is_available: bool
    min_capacity_kw: float = Field(ge=0)
    max_capacity_kw: float = Field(ge=0)
    car_kw: float = Field(ge=0)  # deferred charging, alone
    car_ask: float | None
    full_ask: float | None  # for all devices together
    reserve_kw: float = Field(ge=0)
    reserve_ask: float | None
    constraints: BidConstraints


class AggregatorOffer(Message):
    """The aggregator to owners: one contract per target, in the order of `targets`."""

    kind: Literal["aggregator_offer"] = "aggregator_offer"
    offer_id: str
    targets: tuple[int, ...]
    window: str  # how long the contracts run: opportunity, evening, notice
    offered_price: tuple[float, ...]  # least pay per kWh that storage gives
    requested_kw: tuple[float, ...]  # most that may be called
    concessions: tuple[str, ...]  # what is asked of the owner's wishes, in words and prices; empty: nothing
    round: int = Field(ge=1)
    of_rounds: int = Field(ge=1)
    bonus: float = Field(ge=0)  # share of the market price that is paid at least


class ProsumerResponse(Message):
    """One owner's answer (transcript="full")."""

    kind: Literal["prosumer_response"] = "prosumer_response"
    prosumer_id: int = Field(ge=0)
    offer_id: str
    accepted: bool
    countered: bool
    counter_price: float  # USD/kWh: the offered price, or what the owner would take
    counter: str  # the terms that the owner wants otherwise, in words and prices
    reason: str


class ResponseCounts(Message):
    """All answers of a round, counted (transcript="summary")."""

    kind: Literal["response_counts"] = "response_counts"
    offer_id: str
    accepted: int = Field(ge=0)
    countered: int = Field(ge=0)
    refused: int = Field(ge=0)
    mean_counter_price: float | None


class CoalitionMember(Message):
    """One home in the coalition (transcript="full")."""

    kind: Literal["coalition_member"] = "coalition_member"
    prosumer_id: int = Field(ge=0)
    committed_kw: float = Field(ge=0)
    agreed_price: float | None
    device: str
    schedule: str  # what it does in the opportunity: sell, reserve, buy, or several


class CoalitionTable(Message):
    """The coalition as columns, one entry per member (transcript="summary")."""

    kind: Literal["coalition"] = "coalition"
    opportunity_id: str
    prosumer_id: tuple[int, ...]
    sell_kw: tuple[float, ...]
    agreed_price: tuple[float | None, ...]  # what the home's sale is bid at, USD/kWh; None: it sells nothing
    reserve_kw: tuple[float, ...]
    buy_kw: tuple[float, ...]
    device: tuple[str, ...]


class NegotiationSummary(Message):
    """How it went. `seconds` stays empty in a transcript: the same month must give the same file."""

    kind: Literal["negotiation_summary"] = "negotiation_summary"
    opportunity_id: str
    contacted: int = Field(ge=0)  # owners who were offered a contract at this gate
    signed: int = Field(ge=0)  # contracts made at it
    contracted: int = Field(ge=0)  # homes under contract in the opportunity
    bids: int = Field(ge=0)
    rounds: int = Field(ge=0)
    coalition_size: int = Field(ge=0)
    committed_mw: float = Field(ge=0)
    average_price: float | None  # of the contracts signed, kW-weighted, USD/kWh
    price_improvement: float | None  # 1 - agreed / what the owners ask by themselves
    capacity_utilization: float = Field(ge=0)  # committed / declared
    status: str  # "bid", or why there is none
    seconds: float | None = None


class CardRead(Message):
    """One owner's words, and what was read from them (brain="llm", in the first opportunity)."""

    kind: Literal["card_read"] = "card_read"
    prosumer_id: int = Field(ge=0)
    statement: str
    source: str  # model, replay or fallback
    model: str
    card: dict[str, Any]  # fields that were said, with their evidence


class StrategyChosen(Message):
    """The aggregator's strategy of an hour or day (brain="llm")."""

    kind: Literal["strategy"] = "strategy"
    opportunity_id: str
    source: str
    model: str
    strategy: dict[str, Any]


class OpeningAsksMade(Message):
    """How the homes' agents opened in a sampled hour (brain="llm", mode batched or full)."""

    kind: Literal["opening_asks"] = "opening_asks"
    homes: int = Field(ge=0)
    withheld: int = Field(ge=0)  # homes that the model kept out
    mean_markup: float | None
    sources: dict[str, int]  # decisions by who took them


class Said(Message):
    """One thing said in a conversation, with the typed terms beside it (brain="llm"); words bind nobody, terms do."""

    kind: Literal["said"] = "said"
    prosumer_id: int = Field(ge=0)
    speaker: Literal["aggregator", "owner"]
    text: str = Field(max_length=MOST_WORDS)  # no control characters; empty: the owner answered in terms alone
    offer_id: str  # the round it belongs to, as in `aggregator_offer`
    terms: dict[str, float]  # aggregator: what is offered; owner: as offered, or what it asks for
    source: str  # model, replay; world: an owner
    answer: str = ""  # of an owner: accepted, countered, refused


MESSAGES: dict[str, type[Message]] = {
    "market_opportunity": MarketOpportunity,
    "prosumer_bid": ProsumerBid,
    "aggregator_offer": AggregatorOffer,
    "prosumer_response": ProsumerResponse,
    "response_counts": ResponseCounts,
    "coalition_member": CoalitionMember,
    "coalition": CoalitionTable,
    "negotiation_summary": NegotiationSummary,
    "card_read": CardRead,
    "strategy": StrategyChosen,
    "opening_asks": OpeningAsksMade,
    "said": Said,
}
"""Message types by their `kind`."""


def parse(record: dict[str, Any]) -> Message:
    """Validate one record of a transcript against its type; unknown keys of the run's own stamp are dropped.

    Raises
    ------
    KeyError
        When its `kind` is unknown.
    """
    cls = MESSAGES[record["kind"]]
    return cls.model_validate({k: v for k, v in record.items() if k in cls.model_fields})
