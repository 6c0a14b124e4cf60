"""From the arrays of a finished negotiation to its messages.

`summary` writes what a reader needs - the opportunity, the offers of each round, the answers counted, the coalition as
one table, the summary - and takes about as long as one round; `full` writes every single message.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import KWH_PER_MWH, Answers, Offers, Reason, Terms, Window
from vpp_policies.agentic.messages import (
    AggregatorOffer,
    BidConstraints,
    CoalitionMember,
    CoalitionTable,
    MarketOpportunity,
    Message,
    NegotiationSummary,
    ProsumerBid,
    ProsumerResponse,
    ResponseCounts,
)
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, CoalitionDispatch, Negotiation

WANTED = {
    "price": "USD/kWh",
    "defer_price": "USD/kWh for charging that waits",
    "reserve_price": "USD/kW-h on reserve",
    "availability": "USD/kW-h for being there",
    "floor_price": "USD/kWh h below the reserve floor",
    "car_price": "USD/kWh that the car lacks",
    "overuse_price": "USD/kWh beyond the day's limit",
    "blackout_price": "USD/kWh in a blackout window",
    "share": "of the price",
}
"""Terms that an owner may want otherwise, and what they are."""


def transcript_of(negotiation: Negotiation, full: bool) -> list[dict[str, Any]]:
    """Messages of one negotiation as plain data, in the order in which they were said."""
    said: list[Message] = [_opportunity(negotiation)]
    for offer, answer in zip(negotiation.offers, negotiation.answers, strict=True):
        said.append(_offer(negotiation, offer, answer))
        said += _responses(negotiation, offer, answer) if full else [_counts(negotiation, offer, answer)]
    if full:
        said += _prosumer_bids(negotiation)
    if negotiation.dispatch is not None:
        said += _members(negotiation, negotiation.dispatch) if full else [_table(negotiation, negotiation.dispatch)]
    said.append(_summary(negotiation))
    return [message.model_dump(mode="json") for message in said]


def _numbers(values: NDArray[np.float64], digits: int = 4) -> tuple[float, ...]:
    return tuple(np.round(values, digits).tolist())


def _opportunity(negotiation: Negotiation) -> MarketOpportunity:
    notice = negotiation.notice
    return MarketOpportunity.model_construct(
        opportunity_id=notice.opportunity_id,
        product="+".join(("energy", *notice.products)),
        start=notice.start,
        duration_hours=notice.hours,
        required_capacity_mw=round(notice.required_kw / KWH_PER_MWH, 6),
        minimum_capacity_mw=round(notice.min_bid_kw / KWH_PER_MWH, 6),
        day_ahead_price=round(KWH_PER_MWH * notice.day_ahead, 3),
        deadline=notice.start,
    )


def _price(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _prosumer_bids(negotiation: Negotiation) -> list[Message]:
    declared = negotiation.declared
    assert declared is not None
    out: list[Message] = []
    for i in range(len(declared.available)):
        energy = float(declared.energy_kwh[i])
        buys = declared.buy_kw[i] > 0
        out.append(
            ProsumerBid(
                prosumer_id=i,
                opportunity_id=negotiation.notice.opportunity_id,
                is_available=bool(declared.available[i]),
                min_capacity_kw=0.0,
                max_capacity_kw=round(float(declared.kw[FULL, i]), 4),
                car_kw=round(float(declared.kw[CAR, i]), 4),
                car_ask=_price(declared.ask[CAR, i]),
                full_ask=_price(declared.ask[FULL, i]),
                reserve_kw=round(float(declared.kw[RESERVE, i]), 4),
                reserve_ask=_price(declared.ask[RESERVE, i]),
                constraints=BidConstraints(
                    energy_kwh=round(energy, 4) if np.isfinite(energy) else None,
                    buy_kw=round(float(declared.buy_kw[i]), 4),
                    buy_limit=round(float(declared.buy_limit[i]), 4) if buys else None,
                ),
            )
        )
    return out


def _offer_id(negotiation: Negotiation, round: int) -> str:
    return f"{negotiation.notice.opportunity_id}-r{round}"


def _offer(negotiation: Negotiation, offer: Offers, answer: Answers) -> AggregatorOffer:
    home, terms = np.flatnonzero(offer.to), offer.terms
    assert negotiation.standing is not None
    own = negotiation.standing.terms
    return AggregatorOffer.model_construct(
        offer_id=_offer_id(negotiation, answer.round),
        targets=tuple(home.tolist()),
        window=Window(int(offer.window[home[0]])).name.lower() if len(home) else "",
        offered_price=_numbers(terms.price[home]),
        requested_kw=_numbers(terms.kw[home], 2),
        concessions=tuple(_concessions(own, terms, i) for i in home.tolist()),
        round=answer.round,
        of_rounds=answer.of_rounds,
        bonus=round(float(terms.share[home].max()), 4) if len(home) else 0.0,
    )


def _concessions(own: Terms, terms: Terms, i: int) -> str:
    """What terms ask of the wishes of the owner of home i."""
    parts = []
    if terms.floor_kwh[i] < own.floor_kwh[i]:
        parts.append(f"floor {own.floor_kwh[i]:.1f} to {terms.floor_kwh[i]:.1f} kWh at {terms.floor_price[i]:.4f}")
    if terms.target_kwh[i] < own.target_kwh[i]:
        parts.append(f"car {own.target_kwh[i]:.1f} to {terms.target_kwh[i]:.1f} kWh at {terms.car_price[i]:.3f}")
    if terms.day_kwh[i] > own.day_kwh[i]:
        parts.append(f"day {own.day_kwh[i]:.1f} to {terms.day_kwh[i]:.1f} kWh at {terms.overuse_price[i]:.3f}")
    if terms.blackout[i] > own.blackout[i]:
        parts.append(f"windows at {terms.blackout_price[i]:.3f}")
    if terms.v2g_reserve[i] > own.v2g_reserve[i]:
        parts.append("the car on reserve")
    return ", ".join(parts)


def _counts(negotiation: Negotiation, offer: Offers, answer: Answers) -> ResponseCounts:
    countered = answer.countered
    return ResponseCounts.model_construct(
        offer_id=_offer_id(negotiation, answer.round),
        accepted=int(answer.accepted.sum()),
        countered=int(countered.sum()),
        refused=int((offer.to & ~answer.accepted & ~countered).sum()),
        mean_counter_price=round(float(answer.terms.price[countered].mean()), 4) if countered.any() else None,
    )


def _responses(negotiation: Negotiation, offer: Offers, answer: Answers) -> list[Message]:
    said: list[Message] = []
    for i in np.flatnonzero(offer.to).tolist():
        changed = {n: float(getattr(answer.terms, n)[i]) for n in WANTED}
        wants = {n: v for n, v in changed.items() if abs(v - float(getattr(offer.terms, n)[i])) > 1e-9}
        said.append(
            ProsumerResponse(
                prosumer_id=i,
                offer_id=_offer_id(negotiation, answer.round),
                accepted=bool(answer.accepted[i]),
                countered=bool(answer.countered[i]),
                counter_price=round(float(answer.terms.price[i]), 4),
                counter=", ".join(f"{value:.4f} {WANTED[name]}" for name, value in wants.items()),
                reason=Reason(int(answer.reason[i])).name.lower(),
            )
        )
    return said


def _devices(negotiation: Negotiation, called: CoalitionDispatch) -> NDArray[np.str_]:
    """(N,): what serves the bid."""
    assert negotiation.declared is not None
    kw = negotiation.declared.kw
    storage = kw[FULL] > kw[CAR]
    served = np.where(storage & (kw[CAR] > 0), "car+storage", np.where(storage, "storage", "car"))
    return np.where((called.sell2_kw <= 0) & (called.reserve_kw <= 0) & (kw[CAR] > 0), "car", served)


def _members(negotiation: Negotiation, called: CoalitionDispatch) -> list[Message]:
    device = _devices(negotiation, called)
    assert negotiation.coalition is not None
    out: list[Message] = []
    for i in np.flatnonzero(negotiation.coalition).tolist():
        parts = {"sell": called.sell_kw[i], "reserve": called.reserve_kw[i], "buy": called.buy_kw[i]}
        out.append(
            CoalitionMember(
                prosumer_id=i,
                committed_kw=round(float(called.committed_kw[i]), 4),
                agreed_price=_price(called.sell_ask[i]) if called.committed_kw[i] > 0 else None,
                device=str(device[i]),
                schedule=", ".join(f"{name} {kw:.2f} kW" for name, kw in parts.items() if kw > 0) or "idle",
            )
        )
    return out


def _table(negotiation: Negotiation, called: CoalitionDispatch) -> CoalitionTable:
    assert negotiation.coalition is not None
    who = np.flatnonzero(negotiation.coalition)
    price, sells = _numbers(called.sell_ask[who]), (called.committed_kw[who] > 0).tolist()
    return CoalitionTable.model_construct(
        opportunity_id=negotiation.notice.opportunity_id,
        prosumer_id=tuple(who.tolist()),
        sell_kw=_numbers(called.sell_kw[who], 2),
        agreed_price=tuple(p if given else None for p, given in zip(price, sells, strict=True)),
        reserve_kw=_numbers(called.reserve_kw[who], 2),
        buy_kw=_numbers(called.buy_kw[who], 2),
        device=tuple(_devices(negotiation, called)[who].tolist()),
    )


def _summary(negotiation: Negotiation) -> NegotiationSummary:
    declared, called, contracted = negotiation.declared, negotiation.dispatch, negotiation.contracted
    assert declared is not None
    assert contracted is not None
    assert negotiation.coalition is not None
    agreed = asked = weight = 0.0
    signed = contacted = 0
    met = np.zeros(len(contracted), dtype=np.bool_)
    for offer, answer in zip(negotiation.offers, negotiation.answers, strict=True):
        assert negotiation.standing is not None
        kw = offer.terms.kw * answer.accepted
        agreed += float(kw @ offer.terms.price)
        asked += float(kw @ negotiation.standing.terms.price)
        weight += float(kw.sum())
        signed += int(answer.accepted.sum())
        met |= offer.to
        contacted = int(met.sum())
    committed = 0.0 if called is None else float(called.committed_kw.sum())
    offered = float(declared.kw[:RESERVE].max(axis=0).sum())
    return NegotiationSummary.model_construct(
        opportunity_id=negotiation.notice.opportunity_id,
        contacted=contacted,
        signed=signed,
        contracted=int(contracted.sum()),
        bids=int(declared.available.sum()),
        rounds=negotiation.rounds,
        coalition_size=0 if called is None else int(negotiation.coalition.sum()),
        committed_mw=round(committed / KWH_PER_MWH, 6),
        average_price=round(agreed / weight, 4) if weight > 0 else None,
        price_improvement=round(1.0 - agreed / asked, 4) if asked > 0 else None,
        capacity_utilization=round(committed / offered, 4) if offered > 0 else 0.0,
        status=negotiation.status,
    )
