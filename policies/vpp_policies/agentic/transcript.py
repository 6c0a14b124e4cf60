"""From the arrays of a finished negotiation to its messages.

`summary` writes what a reader needs - the opportunity, the offers of each round, the answers counted, the coalition as
one table, the summary - and takes about as long as one round; `full` writes every single message.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import KWH_PER_MWH
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
from vpp_policies.agentic.negotiation import (
    CAR,
    FULL,
    LINES,
    RESERVE,
    CoalitionDispatch,
    Negotiation,
    Offer,
    Response,
)

REASONS = ("accepted", "the price is below what this round asks for")


def transcript_of(negotiation: Negotiation, full: bool) -> list[dict[str, Any]]:
    """Messages of one negotiation as plain data, in the order in which they were said."""
    said: list[Message] = [_opportunity(negotiation)]
    if full:
        said += _prosumer_bids(negotiation)
    for offer, response in zip(negotiation.offers, negotiation.responses, strict=True):
        said.append(_offer(negotiation, offer))
        said += _responses(negotiation, offer, response) if full else [_counts(negotiation, offer, response)]
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


def _offer_id(negotiation: Negotiation, offer: Offer) -> str:
    return f"{negotiation.notice.opportunity_id}-r{offer.round}"


def _offer(negotiation: Negotiation, offer: Offer) -> AggregatorOffer:
    line, home = np.nonzero(offer.to)
    return AggregatorOffer.model_construct(
        offer_id=_offer_id(negotiation, offer),
        targets=tuple(home.tolist()),
        line=tuple([LINES[j] for j in line.tolist()]),
        offered_price=_numbers(offer.price[line, home]),
        requested_kw=_numbers(offer.kw[line, home], 2),
        round=offer.round,
        of_rounds=negotiation.notice.max_rounds,
        bonus=negotiation.notice.revenue_share,
    )


def _counts(negotiation: Negotiation, offer: Offer, response: Response) -> ResponseCounts:
    refused = offer.to & ~response.accepted
    return ResponseCounts.model_construct(
        offer_id=_offer_id(negotiation, offer),
        accepted=int(response.accepted.sum()),
        countered=int(refused.sum()),
        mean_counter_price=round(float(response.counter[refused].mean()), 4) if refused.any() else None,
    )


def _responses(negotiation: Negotiation, offer: Offer, response: Response) -> list[Message]:
    return [
        ProsumerResponse(
            prosumer_id=i,
            offer_id=_offer_id(negotiation, offer),
            line=LINES[j],
            accepted=bool(response.accepted[j, i]),
            counter_price=round(float(response.counter[j, i]), 4),
            counter_kw=round(float(offer.kw[j, i]), 4),
            reason=REASONS[0 if response.accepted[j, i] else 1],
        )
        for j, i in zip(*(a.tolist() for a in np.nonzero(offer.to)), strict=True)
    ]


def _devices(negotiation: Negotiation, called: CoalitionDispatch) -> NDArray[np.str_]:
    """(N,): what serves the bid."""
    kw = negotiation.declared.kw
    storage = kw[FULL] > kw[CAR]
    served = np.where(storage & (kw[CAR] > 0), "car+storage", np.where(storage, "storage", "car"))
    return np.where((called.sell2_kw <= 0) & (called.reserve_kw <= 0) & (kw[CAR] > 0), "car", served)


def _members(negotiation: Negotiation, called: CoalitionDispatch) -> list[Message]:
    device = _devices(negotiation, called)
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
    declared, agreed, called = negotiation.declared, negotiation.agreed, negotiation.dispatch
    done = ~np.isnan(agreed[:RESERVE]) & (declared.kw[:RESERVE] > 0)
    weight = declared.kw[:RESERVE] * done
    total = float(weight.sum())
    price = float((weight * np.nan_to_num(agreed[:RESERVE])).sum() / total) if total > 0 else None
    asked = float((weight * declared.ask[:RESERVE]).sum() / total) if total > 0 else 0.0
    committed = 0.0 if called is None else float(called.committed_kw.sum())
    offered = float(declared.kw[:RESERVE].max(axis=0).sum())
    return NegotiationSummary.model_construct(
        opportunity_id=negotiation.notice.opportunity_id,
        contacted=len(declared.available),
        bids=int(declared.available.sum()),
        rounds=negotiation.rounds,
        coalition_size=0 if called is None else int(negotiation.coalition.sum()),
        committed_mw=round(committed / KWH_PER_MWH, 6),
        average_price=None if price is None else round(price, 4),
        price_improvement=round(1.0 - price / asked, 4) if price is not None and asked > 0 else None,
        capacity_utilization=round(committed / offered, 4) if offered > 0 else 0.0,
        status=negotiation.status,
    )
