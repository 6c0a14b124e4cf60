"""Turns the plan of a gate into bids, and says what they will bring.

A plan has a power per device and interval, a bid two lines of one quantity and one ask for the whole opportunity.
Charging that waits is the first line, storage the second: each asks what clears where the plan uses it, and its
owner's ask or more where that clears too. What the plan does not use offers nothing, at its owner's ask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env import (
    BUY_LIMIT_RANGE,
    DT_H,
    POWER_QUANTUM_KW,
    PRICE_TICK,
    SELL_ASK_RANGE,
    Foresight,
    Homes,
    MarketRules,
    encode,
)
from vpp_env.units import Flags, Floats, Floats32, Ints
from vpp_policies.gate.inputs import GatePlan
from vpp_policies.truthful import envelope_kwh, storage_ask

MOST_KW = 1e-6
"""Power below this is the solver's rounding."""
Offers = dict[str, Floats]
"""(N,) quantities and prices as `bids.encode` takes them."""


class GatePrices(NamedTuple):
    """What is known of the S intervals of one opportunity."""

    lmp: Floats  # (S,) USD/kWh
    sale: Floats  # (S,) USD/kWh that a sale brings
    highest: Floats  # (S,) USD/kWh: a sale clears at this ask or below
    rho: float  # USD/kW-h of reserve
    called: bool  # reserve is called


def known_prices(f: Foresight, span: slice) -> GatePrices:
    """Read the prices of one opportunity off a month that is known."""
    return GatePrices(
        lmp=f.lmp[span],
        sale=f.sale[span],
        highest=f.highest_ask[span] - f.raised,
        rho=float(f.reserve_up[span].mean()),
        called=bool(f.called[span].any()),
    )


class Who(NamedTuple):
    """Whose devices a plan is of, and how they are asked."""

    batteries: Ints  # (B,) homes
    cars: Ints  # (C,) homes
    homes: Homes
    reserve_ask: Floats  # (N,) USD/kW-h
    asked: bool  # nobody is paid less than the own ask
    spared: bool  # nothing is bought for a car or held on reserve in a blackout window
    kept: bool  # what the owners want binds


def bids_of(plan: GatePlan, prices: GatePrices, who: Who, rules: MarketRules) -> tuple[Floats32, float]:
    """Return the bids (N, 8) of a plan's first opportunity, and what they will bring the VPP, USD."""
    offers = offers_of(plan, prices, who, rules)
    expected = expected_profit(offers, plan, prices, who, rules)
    if rules.minimum == "offer":
        offers = large_enough(offers, prices, rules)
    return encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers), expected


def offers_of(plan: GatePlan, prices: GatePrices, who: Who, rules: MarketRules) -> Offers:
    """Return what the homes offer of a plan whose first S intervals are the opportunity."""
    n, steps, homes = rules.n_homes, len(prices.lmp), who.homes
    waits, stores = np.zeros((n, steps)), np.zeros((n, steps))
    waits[who.cars] = plan.defer[:, :steps]
    stores[who.batteries] = plan.sell_b[:, :steps]
    stores[who.cars] += plan.v2g[:, :steps]
    # what a car cannot defer in an interval that clears its home's storage would give, at the price of waiting
    has = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    first_kw, first_used = always(waits, prices.highest)
    first_kw, first_used = np.where(has, first_kw, waits.max(axis=1)), np.where(has[:, None], first_used, wanted(waits))
    second_kw, second_used = spread(stores)
    own = (homes.defer_ask, storage_ask(homes)) if who.asked else (np.zeros(n), np.zeros(n))
    first_ask = sell_threshold(prices.highest, first_used, own[0])
    second_ask = sell_threshold(prices.highest, second_used, own[1])
    # the market takes energy first and lets the rest of a home's power be on reserve; a call takes it all
    alone = rules.safeguard and not prices.called
    reserve_kw = rules.sell_limit_kw if alone else reserve_of(plan, who, n)
    if who.spared:
        reserve_kw = reserve_kw * ~homes.blackout_now
    buy_kw, limit = purchases(plan, prices.lmp, who, n)
    if who.kept and not rules.safeguard:
        count = np.maximum((second_ask[:, None] <= prices.highest + PRICE_TICK / 2).sum(axis=1), 1)
        first_kw = np.where(has, np.minimum(first_kw, homes.defer_kw), first_kw)
        second_kw = np.minimum(second_kw, lasting_kw(homes, count, rules))
        first_kw, second_kw, buy_kw = (np.where(homes.blackout_now, 0.0, x) for x in (first_kw, second_kw, buy_kw))
        reserve_kw = np.minimum(reserve_kw, homes.reserve_kw)
    return {
        "sell1_kw": first_kw,
        "sell1_ask": first_ask,
        "sell2_kw": second_kw,
        "sell2_ask": second_ask,
        "buy_kw": buy_kw,
        "buy_limit": limit,
        "reserve_kw": reserve_kw,
        "reserve_ask": who.reserve_ask,
    }


def purchases(plan: GatePlan, lmp: Floats, who: Who, n: int) -> tuple[Floats, Floats]:
    """(N,) kW bought and limits of a plan whose first S intervals have the prices `lmp` (S,)."""
    fills, returns = np.zeros((n, len(lmp))), np.zeros((n, len(lmp)))
    fills[who.batteries] = plan.buy_b[:, : len(lmp)]
    returns[who.cars] = plan.back[:, : len(lmp)]
    if who.spared:
        # in a window in which nothing is wanted a car charges only when it must, which is no breach
        returns *= ~who.homes.blackout_now[:, None]
    kw, used = spread(fills)
    limit = buy_threshold(lmp, used | wanted(returns))
    if who.kept:
        # what the car does not take goes into the battery
        limit = np.where(who.homes.bess_kwh > 0, np.minimum(limit, who.homes.buy_limit), limit)
    # a car takes less than its peak by itself
    return kw + returns.max(axis=1), limit


def reserve_of(plan: GatePlan, who: Who, n: int) -> Floats:
    """(N,) kW that the plan has on reserve."""
    kw = np.zeros(n)
    kw[who.batteries] = plan.reserve_b[:, 0]
    kw[who.cars] += plan.reserve_e[:, 0]
    return kw


def lasting_kw(homes: Homes, count: Ints, rules: MarketRules) -> Floats:
    """(N,) kW that storage gives inside the envelope in `count` intervals, without the sun that may shine meanwhile."""
    battery = np.minimum(homes.bess_kw, envelope_kwh(homes, rules) / (count * DT_H))
    # what a car defers, V2G can no longer give in time; a battery that runs dry leaves all to V2G
    v2g = np.where(homes.defer_mean_kw > 0, 0.0, homes.v2g_sell_kw)
    return np.where(battery >= homes.bess_kw, battery + v2g, np.maximum(battery, v2g))


def large_enough(offers: Offers, prices: GatePrices, rules: MarketRules) -> Offers:
    """Return offers that the market takes: its minimum is of what is offered, at any price.

    Where less than it is meant, every home adds what it has on a line that it does not use, at the end of the span of
    prices, if that does not clear.
    """
    (never, floor), most = (SELL_ASK_RANGE[1], BUY_LIMIT_RANGE[0]), rules.sell_limit_kw
    first, second, buy = offers["sell1_kw"], offers["sell2_kw"], offers["buy_kw"]
    made = dict(offers)
    if 0.0 < (first + second).sum() < rules.min_bid_kw and prices.highest.max() < never:
        # the dearer line is cut to what the cheaper one leaves
        for line, kw in (("sell1", first), ("sell2", second)):
            made[f"{line}_kw"] = np.where(kw > 0.0, kw, most)
            made[f"{line}_ask"] = np.where(kw > 0.0, offers[f"{line}_ask"], never)
    if 0.0 < buy.sum() < rules.min_bid_kw and prices.lmp.min() > floor:
        made["buy_kw"] = np.where(buy > 0.0, buy, rules.buy_limit_kw)
        made["buy_limit"] = np.where(buy > 0.0, offers["buy_limit"], floor)
    return made


def expected_profit(offers: Offers, plan: GatePlan, prices: GatePrices, who: Who, rules: MarketRules) -> float:
    """What offers bring the VPP if they are delivered in full, USD: the market's own rounding and pay.

    Purchases are passed through and bring nothing; reserve is what the plan has on it.
    """
    total = 0.0
    for line in ("sell1", "sell2"):
        kw = np.floor(np.maximum(offers[f"{line}_kw"], 0.0) / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
        ask = np.ceil(np.clip(offers[f"{line}_ask"], *SELL_ASK_RANGE) / PRICE_TICK - 1e-6)[:, None] * PRICE_TICK
        kept = prices.sale - np.maximum(ask, rules.revenue_share * prices.sale)
        total += DT_H * float((kw[:, None] * (ask <= prices.highest + PRICE_TICK / 2) * kept).sum())
    kw = np.minimum(offers["reserve_kw"], reserve_of(plan, who, rules.n_homes))
    held = np.floor(kw / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
    rho = max(prices.rho, 0.0)
    share = rho - np.maximum(offers["reserve_ask"], rules.revenue_share * rho)
    return total + float((held * np.maximum(share, 0.0)).sum()) * len(prices.sale) * DT_H


def wanted(power: Floats) -> Flags:
    """(N, S) intervals that carry at least half of the peak of the planned kW (N, S)."""
    peak = power.max(axis=1)[:, None]
    return (power >= 0.5 * peak) & (peak > MOST_KW)


def spread(power: Floats) -> tuple[Floats, Flags]:
    """Turn (N, S) planned kW into one quantity per home and the intervals (N, S) in which it is meant.

    A bid holds one quantity for the whole opportunity; the plan's energy is spread over the intervals that carry
    at least half of its peak.
    """
    used = wanted(power)
    count = used.sum(axis=1)
    kw = np.divide(power.sum(axis=1), count, out=np.zeros(len(power)), where=count > 0)
    return kw, used


def always(power: Floats, highest: Floats) -> tuple[Floats, Flags]:
    """One quantity (N,) that is within the planned kW (N, S) wherever it clears, and the intervals in which it does.

    A bid clears in the dearest intervals; so many of them are chosen that the quantity brings the most energy.
    """
    order = np.argsort(-highest, kind="stable")
    least = np.minimum.accumulate(power[:, order], axis=1)
    energy = least * np.arange(1, len(order) + 1)
    # intervals of one price clear together
    energy[:, :-1][:, np.diff(highest[order]) == 0.0] = 0.0
    best = energy.argmax(axis=1)
    rows = np.arange(len(power))
    kw = np.where(energy[rows, best] > MOST_KW, least[rows, best], 0.0)
    return kw, (highest >= highest[order][best][:, None]) & (kw > 0.0)[:, None]


def sell_threshold(highest: Floats, used: Flags, own: Floats) -> Floats:
    """(N,) lowest ask, from the owner's own one on, that clears in every interval that is used and in no cheaper one.

    Low, because a member is paid at least its ask. Where nothing is used it is the own one.

    Parameters
    ----------
    highest : ndarray
        (S,) highest ask that clears, USD/kWh.
    used : ndarray
        (N, S) bool.
    own : ndarray
        (N,) the owners' own asks; 0 where nobody asks them.
    """
    top = np.where(used, highest, np.inf).min(axis=1)[:, None]
    beyond = np.where((highest < top - PRICE_TICK / 2) & np.isfinite(top), highest, -np.inf).max(axis=1)
    return np.clip(np.maximum(own, np.where(np.isfinite(beyond), beyond + PRICE_TICK, 0.0)), *SELL_ASK_RANGE)


def buy_threshold(lmp: Floats, used: Flags) -> Floats:
    """(N,) lowest limit that clears in every interval (N, S) that is used, USD/kWh."""
    last = np.where(used, lmp, -np.inf).max(axis=1)
    limit = np.where(np.isfinite(last), np.ceil(last / PRICE_TICK - 1e-9) * PRICE_TICK, BUY_LIMIT_RANGE[0])
    return np.clip(limit, *BUY_LIMIT_RANGE)
