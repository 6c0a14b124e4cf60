"""From the arrays of a finished negotiation to its messages.

`summary` writes what a reader needs - the opportunity, the offers of each round, the answers counted, the coalition as
one table, the summary - and takes about as long as one round; `full` writes every single message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vpp_env.units import KWH_PER_MWH
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
from vpp_policies.agentic.state import CAR, FULL, LINES, STANDBY, Offer, Plan, Response, Talk

TRANSCRIPTS = ("summary", "full", "none")
"""Kinds of transcript."""
REASONS = ("accepted", "the price is below what this round asks for")


def transcript_of(talk: Talk, full: bool) -> list[dict[str, Any]]:
    """Messages of one negotiation as plain data, in the order in which they were said."""
    said: list[Message] = [_opportunity(talk)]
    if full:
        said += _prosumer_bids(talk)
    for offer, response in zip(talk.offers, talk.responses, strict=True):
        said.append(_offer(talk, offer))
        said += _responses(talk, offer, response) if full else [_counts(talk, offer, response)]
    if talk.plan is not None:
        said += _members(talk, talk.plan) if full else [_table(talk, talk.plan)]
    said.append(_summary(talk))
    return [message.model_dump(mode="json") for message in said]


def _numbers(values: np.ndarray, digits: int = 4) -> tuple[float, ...]:
    return tuple(np.round(values, digits).tolist())


def _opportunity(talk: Talk) -> MarketOpportunity:
    notice = talk.notice
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


def _prosumer_bids(talk: Talk) -> list[Message]:
    told = talk.declared
    out: list[Message] = []
    for i in range(len(told.available)):
        energy = float(told.energy_kwh[i])
        buys = told.buy_kw[i] > 0
        out.append(
            ProsumerBid(
                prosumer_id=i,
                opportunity_id=talk.notice.opportunity_id,
                is_available=bool(told.available[i]),
                min_capacity_kw=0.0,
                max_capacity_kw=round(float(told.kw[FULL, i]), 4),
                car_kw=round(float(told.kw[CAR, i]), 4),
                car_ask=_price(told.ask[CAR, i]),
                full_ask=_price(told.ask[FULL, i]),
                standby_kw=round(float(told.kw[STANDBY, i]), 4),
                reserve_ask=_price(told.ask[STANDBY, i]),
                constraints=BidConstraints(
                    energy_kwh=round(energy, 4) if np.isfinite(energy) else None,
                    buy_kw=round(float(told.buy_kw[i]), 4),
                    buy_limit=round(float(told.buy_limit[i]), 4) if buys else None,
                ),
            )
        )
    return out


def _offer_id(talk: Talk, offer: Offer) -> str:
    return f"{talk.notice.opportunity_id}-r{offer.round}"


def _offer(talk: Talk, offer: Offer) -> AggregatorOffer:
    line, home = np.nonzero(offer.to)
    return AggregatorOffer.model_construct(
        offer_id=_offer_id(talk, offer),
        targets=tuple(home.tolist()),
        line=tuple([LINES[j] for j in line.tolist()]),
        offered_price=_numbers(offer.price[line, home]),
        requested_kw=_numbers(offer.kw[line, home], 2),
        round=offer.round,
        of_rounds=talk.notice.max_rounds,
        bonus=talk.notice.revenue_share,
    )


def _counts(talk: Talk, offer: Offer, response: Response) -> ResponseCounts:
    refused = offer.to & ~response.accepted
    return ResponseCounts.model_construct(
        offer_id=_offer_id(talk, offer),
        accepted=int(response.accepted.sum()),
        countered=int(refused.sum()),
        mean_counter_price=round(float(response.counter[refused].mean()), 4) if refused.any() else None,
    )


def _responses(talk: Talk, offer: Offer, response: Response) -> list[Message]:
    return [
        ProsumerResponse(
            prosumer_id=i,
            offer_id=_offer_id(talk, offer),
            line=LINES[j],
            accepted=bool(response.accepted[j, i]),
            counter_price=round(float(response.counter[j, i]), 4),
            counter_kw=round(float(offer.kw[j, i]), 4),
            reason=REASONS[0 if response.accepted[j, i] else 1],
        )
        for j, i in zip(*(a.tolist() for a in np.nonzero(offer.to)), strict=True)
    ]


def _devices(talk: Talk, plan: Plan) -> np.ndarray:
    """(N,) str: what serves the bid."""
    kw = talk.declared.kw
    storage = kw[FULL] > kw[CAR]
    served = np.where(storage & (kw[CAR] > 0), "car+storage", np.where(storage, "storage", "car"))
    return np.where(plan.car_only, "car", served)


def _members(talk: Talk, plan: Plan) -> list[Message]:
    device = _devices(talk, plan)
    out: list[Message] = []
    for i in np.flatnonzero(talk.coalition).tolist():
        parts = {"sell": plan.sell_kw[i], "standby": plan.reserve_kw[i], "buy": plan.buy_kw[i]}
        out.append(
            CoalitionMember(
                prosumer_id=i,
                committed_kw=round(float(plan.sell_kw[i] + plan.reserve_kw[i]), 4),
                agreed_price=_price(plan.sell_ask[i]) if plan.sell_kw[i] + plan.reserve_kw[i] > 0 else None,
                device=str(device[i]),
                schedule=", ".join(f"{name} {kw:.2f} kW" for name, kw in parts.items() if kw > 0) or "idle",
            )
        )
    return out


def _table(talk: Talk, plan: Plan) -> CoalitionTable:
    who = np.flatnonzero(talk.coalition)
    price, sells = _numbers(plan.sell_ask[who]), (plan.sell_kw[who] + plan.reserve_kw[who] > 0).tolist()
    return CoalitionTable.model_construct(
        opportunity_id=talk.notice.opportunity_id,
        prosumer_id=tuple(who.tolist()),
        sell_kw=_numbers(plan.sell_kw[who], 2),
        agreed_price=tuple(p if given else None for p, given in zip(price, sells, strict=True)),
        standby_kw=_numbers(plan.reserve_kw[who], 2),
        buy_kw=_numbers(plan.buy_kw[who], 2),
        device=tuple(_devices(talk, plan)[who].tolist()),
    )


def _summary(talk: Talk) -> NegotiationSummary:
    told, agreed, plan = talk.declared, talk.agreed, talk.plan
    done = ~np.isnan(agreed[:STANDBY]) & (told.kw[:STANDBY] > 0)
    weight = told.kw[:STANDBY] * done
    total = float(weight.sum())
    price = float((weight * np.nan_to_num(agreed[:STANDBY])).sum() / total) if total > 0 else None
    asked = float((weight * told.ask[:STANDBY]).sum() / total) if total > 0 else 0.0
    committed = 0.0 if plan is None else float((plan.sell_kw + plan.reserve_kw).sum())
    declared = float(told.kw[:STANDBY].max(axis=0).sum())
    return NegotiationSummary.model_construct(
        opportunity_id=talk.notice.opportunity_id,
        contacted=len(told.available),
        bids=int(told.available.sum()),
        rounds=talk.rounds,
        coalition_size=0 if plan is None else int(talk.coalition.sum()),
        committed_mw=round(committed / KWH_PER_MWH, 6),
        average_price=None if price is None else round(price, 4),
        price_improvement=round(1.0 - price / asked, 4) if price is not None and asked > 0 else None,
        capacity_utilization=round(committed / declared, 4) if declared > 0 else 0.0,
        status=talk.status,
    )


__all__ = ["TRANSCRIPTS", "transcript_of"]
