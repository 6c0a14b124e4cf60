"""Turns the plan of a gate into one offer per home, and says what the offers will bring.

A bid holds one quantity and one ask for a whole opportunity, a plan one power per interval. Where the owners' asks
and envelopes bind, no home offers what its envelope cannot serve or below what serves it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import BUY_LIMIT_RANGE, DT_H, POWER_QUANTUM_KW, PRICE_TICK, SELL_ASK_RANGE, Homes, MarketRules, encode
from vpp_policies.gate.inputs import GatePlan
from vpp_policies.truthful import storage_ask

MOST_KW = 1e-6
"""Power below this is the solver's rounding."""


class GatePrices(NamedTuple):
    """What is known or expected of the S intervals of one opportunity."""

    lmp: NDArray[np.float64]  # (S,) USD/kWh
    sale: NDArray[np.float64]  # (S,) USD/kWh that a sale brings
    rho: float  # USD/kW-h of reserve


def offers_of(
    plan: GatePlan,
    prices: GatePrices,
    who: tuple[NDArray[np.int64], NDArray[np.int64]],
    rules: MarketRules,
    asks: Homes | None,
    certain: bool = True,
) -> dict[str, NDArray[np.float64]]:
    """Turn the first opportunity of a plan into one offer per home, as `bids.encode` takes them.

    Parameters
    ----------
    plan, prices : GatePlan, GatePrices
        The plan, whose first S intervals are the opportunity, and its prices.
    who : tuple of ndarray
        (B,), (C,) homes of the plan's batteries and cars.
    asks : Homes or None
        Whose asks and envelopes bind; None: nobody is asked, and an ask is only a threshold.
    certain : bool
        Whether the prices are known; if not, any interval of the opportunity may clear.
    """
    n, (b, e) = rules.n_homes, who
    lmp, sale, steps = prices.lmp, prices.sale, len(prices.lmp)
    sell, buy, reserve = np.zeros((n, steps)), np.zeros((n, steps)), np.zeros(n)
    sell[b] += plan.sell_b[:, :steps]
    sell[e] += plan.defer[:, :steps] + plan.v2g[:, :steps]
    buy[b] += plan.buy_b[:, :steps]
    buy[e] += plan.back[:, :steps]
    reserve[b] += plan.reserve_b[:, 0]
    reserve[e] += plan.reserve_e[:, 0]
    if float(reserve.sum()) < rules.min_bid_kw:
        reserve[:] = 0.0  # the market would not take it
    sell_kw, sell_k = spread(sell)
    buy_kw, buy_k = spread(buy)
    ask, limit = sell_threshold(sale, sell_k, rules.margin), buy_threshold(lmp, buy_k)
    reserve_ask = np.zeros(n)
    if asks is not None:
        sell_kw, ask = _at_their_asks(sell_kw, ask, sale, plan, who, asks, rules, certain)
        ask, reserve = _on_reserve(sell_kw, ask, reserve, asks)
        # what the car does not take goes into the battery; and one bid cannot spare a part of the hour
        limit = np.where(asks.bess_kwh > 0, np.minimum(limit, asks.buy_limit), limit)
        sell_kw, buy_kw, reserve = (np.where(asks.blackout_now, 0.0, kw) for kw in (sell_kw, buy_kw, reserve))
        reserve = np.minimum(reserve, asks.reserve_kw)
        reserve_ask = asks.reserve_ask
    if rules.minimum == "offer":
        most = rules.sell_limit_kw if asks is None or certain else asks.defer_kw + asks.storage_sell_kw
        if not clears(np.array([SELL_ASK_RANGE[1]]), sale, rules.margin).any():
            sell_kw, ask = _topped_up(sell_kw, ask, most, SELL_ASK_RANGE[1], rules.min_bid_kw)
        if certain and lmp.min() > BUY_LIMIT_RANGE[0]:
            buy_kw, limit = _topped_up(buy_kw, limit, rules.buy_limit_kw, BUY_LIMIT_RANGE[0], rules.min_bid_kw)
    return {
        "sell1_kw": sell_kw,
        "sell1_ask": ask,
        "buy_kw": buy_kw,
        "buy_limit": limit,
        "reserve_kw": reserve,
        "reserve_ask": reserve_ask,
    }


def bids_of(
    plan: GatePlan,
    prices: GatePrices,
    who: tuple[NDArray[np.int64], NDArray[np.int64]],
    rules: MarketRules,
    asks: Homes | None,
) -> tuple[NDArray[np.float32], float]:
    """Encode `offers_of` a plan, and say what they will bring the VPP, USD."""
    offers = offers_of(plan, prices, who, rules, asks)
    actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers)
    return actions, expected_profit(offers, prices, rules)


def _topped_up(
    kw: NDArray[np.float64], price: NDArray[np.float64], most: NDArray[np.float64], never: float, least_kw: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return quantities and prices (N,) of a side that the market takes.

    The market's minimum is of what is offered: where less than it is meant, the idle homes offer what they have at the
    price `never`, which does not clear.
    """
    if not 0.0 < kw.sum() < least_kw:
        return kw, price
    idle = kw <= 0.0
    return np.where(idle, most, kw), np.where(idle, never, price)


def _at_their_asks(
    sell_kw: NDArray[np.float64],
    ask: NDArray[np.float64],
    sale: NDArray[np.float64],
    plan: GatePlan,
    who: tuple[NDArray[np.int64], NDArray[np.int64]],
    homes: Homes,
    rules: MarketRules,
    certain: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return quantities and asks (N,) that every owner's envelope can serve and at which no device is underpaid.

    A home delivers deferred charging first, then from storage, in every interval that its ask clears. One whose
    storage is not meant to serve therefore offers what its car can deferred in every interval; another one no more
    than that and its storage can give without the sun that may shine meanwhile.
    """
    steps = len(sale)
    stores = np.zeros(len(sell_kw), dtype=bool)
    stores[who[0]] = plan.sell_b[:, :steps].max(axis=1, initial=0.0) > MOST_KW
    stores[who[1]] |= plan.v2g[:, :steps].max(axis=1, initial=0.0) > MOST_KW
    has = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    ask = np.maximum(ask, np.where(stores, storage_ask(homes), homes.defer_ask))
    above = np.maximum(homes.soc_kwh - np.maximum(homes.floor_kwh, homes.bess_min_kwh), 0.0) * rules.bess_eta
    energy = np.minimum(above, homes.day_left_kwh)
    count = np.maximum(clears(ask, sale, rules.margin).sum(axis=1), 1) if certain else steps
    battery = np.minimum(homes.bess_kw, energy / (count * DT_H))
    # what a car defers, V2G can no longer give in time; a battery that runs dry leaves all to V2G
    v2g = np.where(homes.defer_mean_kw > 0, 0.0, homes.v2g_sell_kw)
    storage = np.where(battery >= homes.bess_kw, battery + v2g, np.maximum(battery, v2g))
    most = homes.defer_kw + storage * stores
    return np.where(has, np.minimum(sell_kw, most), sell_kw), ask


def _on_reserve(
    sell_kw: NDArray[np.float64], ask: NDArray[np.float64], reserve: NDArray[np.float64], homes: Homes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return asks and reserve (N,): a call is paid like a sale, so storage on reserve asks for its cost."""
    storage = (reserve > 0.0) & (homes.storage_sell_kw > 0.0)
    least = storage_ask(homes)
    ask = np.where(storage & (sell_kw <= 0.0), np.maximum(ask, least), ask)
    return ask, np.where(storage & (ask < least - 1e-9), 0.0, reserve)


def clears(ask: NDArray[np.float64], sale: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
    """(N, S): whether a bid at `ask` (N,) clears at each price of a sale (S,), on the market's ticks."""
    tick = np.ceil(np.clip(ask, *SELL_ASK_RANGE) / PRICE_TICK - 1e-6)
    return tick[:, None] <= np.floor(sale / (1.0 + margin) / PRICE_TICK + 1e-9)


def expected_profit(offers: dict[str, NDArray[np.float64]], prices: GatePrices, rules: MarketRules) -> float:
    """What offers bring the VPP if they are delivered in full, USD: the market's own rounding and pay.

    Purchases are passed through and bring nothing.
    """
    sale, ask = prices.sale, offers["sell1_ask"]
    kw = np.floor(np.maximum(offers["sell1_kw"], 0.0) / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
    tick = np.ceil(np.clip(ask, *SELL_ASK_RANGE) / PRICE_TICK - 1e-6) * PRICE_TICK
    kept = sale[None, :] - np.maximum(tick[:, None], rules.revenue_share * sale[None, :])
    energy = DT_H * float((kw[:, None] * clears(ask, sale, rules.margin) * kept).sum())
    held = np.floor(offers["reserve_kw"] / POWER_QUANTUM_KW + 1e-6) * POWER_QUANTUM_KW
    rho = max(prices.rho, 0.0)
    share = rho - np.maximum(offers["reserve_ask"], rules.revenue_share * rho)
    return energy + float((held * np.maximum(share, 0.0)).sum()) * len(sale) * DT_H


def spread(power: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Turn (N, S) planned kW into one quantity per home and the number of intervals in which it is meant.

    A bid holds one quantity for the whole opportunity; the plan's energy is spread over the intervals that carry
    at least half of its peak.
    """
    peak = power.max(axis=1)
    used = (power >= 0.5 * peak[:, None]) & (peak[:, None] > MOST_KW)
    count = used.sum(axis=1)
    kw = np.divide(power.sum(axis=1), count, out=np.zeros(len(power)), where=count > 0)
    return kw, count


def sell_threshold(lmp: NDArray[np.float64], count: NDArray[np.int64], margin: float) -> NDArray[np.float64]:
    """(N,) lowest ask that clears in the `count` dearest intervals only, USD/kWh.

    Low, because a member is paid at least its ask: nobody asked for more.
    """
    ordered = np.sort(lmp)[::-1]
    following = np.append(ordered, -np.inf)[np.clip(count, 0, len(lmp))]
    # the next interval clears up to this tick; one above it does not
    tick = np.floor(following / (1.0 + margin) / PRICE_TICK + 1e-9) + 1.0
    return np.clip(np.where(np.isfinite(following), tick * PRICE_TICK, 0.0), *SELL_ASK_RANGE)


def buy_threshold(lmp: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) limit that clears in the `count` cheapest intervals, USD/kWh."""
    ordered = np.sort(lmp)
    last = ordered[np.clip(count - 1, 0, len(lmp) - 1)]
    limit = np.where(count > 0, np.ceil(last / PRICE_TICK - 1e-9) * PRICE_TICK, BUY_LIMIT_RANGE[0])
    return np.clip(limit, *BUY_LIMIT_RANGE)
