"""Energy clearing of one interval, compiled: what every registered clearing shares.

Each home's offer is cut to what it can deliver now, its two sell lines together, the cheaper one first; each line is a
slice of its own in the merit order. A home whose sale and purchase both clear trades the difference;
each side is awarded in merit order on integers, in O(N). A side that offers less than the
minimum bid, at any price and cut to what can be delivered, is not taken; or (`MarketState.on_offers` False) an award
below it is void. Where the price falls with the VPP's own quantity (`MarketState.slope` > 0) the price and the quantity
are found together first. On a call of firm capacity sales are taken up to the commitment at asks up to the call's
threshold, in merit order and whatever the price: the VPP schedules itself, and bears what its members ask above it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.layout import Quote
from vpp_env.jit import inlined, kernel
from vpp_env.market.state import (
    BUY_Q,
    BUY_TICK,
    LINES,
    SELL1_Q,
    SELL1_TICK,
    SELL2_Q,
    SELL2_TICK,
    Awards,
    IntervalResults,
    MarketState,
)
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK, Floats, Ints

HALVINGS = 64
"""Halvings of the price interval in search of the fixed point: far below the resolution of a tick."""

WHOLE = 1e-3
"""A net quantity this close to a whole quantum is whole: `clearing.floor_tick` forgives 1e-9 of a tick."""


class Side(NamedTuple):
    """One month's offers as they can be delivered; `sell` and `buy` are what is left after netting.

    Sales are by line: the first lines of all homes, then the second ones.
    """

    sell_tick: Ints  # (2 N,)
    buy_tick: Ints  # (N,)
    can_sell: Ints  # (2 N,) quanta
    can_buy: Ints  # (N,)
    sell: Ints  # (2 N,) quanta, filled
    buy: Ints  # (N,)


@kernel
def clear_side(
    offered: Ints,
    tick: Ints,
    highest: Ints,
    cap: Ints,
    award: Ints,
    last: Ints,
) -> None:
    """Award the cheapest offers up to a price and a cap, pro rata at the marginal tick.

    Parameters
    ----------
    offered, tick : ndarray
        (M, N) int64: offered quantity and its price, N slices in each of M independent markets.
    highest : ndarray
        (M,) int64: offers above this tick do not clear.
    cap : ndarray
        (M,) int64: most quanta that may be awarded.
    award : ndarray
        (M, N) int64, filled. At the marginal tick of a binding cap every offer gets the same share, rounded down:
        the result does not depend on the order of homes, and at most N - 1 quanta of the cap stay unused.
    last : ndarray
        (M,) int64, filled: the highest tick awarded; `highest + 1` when nothing is.
    """
    for m in range(offered.shape[0]):
        total = 0
        low = highest[m] + 1
        top = low
        for i in range(offered.shape[1]):
            award[m, i] = 0
            if offered[m, i] > 0 and tick[m, i] <= highest[m]:
                award[m, i] = offered[m, i]
                total += offered[m, i]
                if top > highest[m] or tick[m, i] > top:
                    top = tick[m, i]
                low = min(low, tick[m, i])
        last[m] = top
        if total <= cap[m]:
            continue
        histogram = np.zeros(top - low + 1, dtype=np.int64)
        for i in range(offered.shape[1]):
            if award[m, i] > 0:
                histogram[tick[m, i] - low] += award[m, i]
        left = cap[m]
        marginal = low
        while histogram[marginal - low] <= left:
            left -= histogram[marginal - low]
            marginal += 1
        at_margin = histogram[marginal - low]
        last[m] = highest[m] + 1
        for i in range(offered.shape[1]):
            if tick[m, i] > marginal:
                award[m, i] = 0
            elif tick[m, i] == marginal and award[m, i] > 0:
                award[m, i] = award[m, i] * left // at_margin
            if award[m, i] > 0 and (last[m] > highest[m] or tick[m, i] > last[m]):
                last[m] = tick[m, i]


@inlined
def clear_row(rows: Ints, m: int) -> None:
    """Write 0 in row m, element by element: assigning to a slice compiles longer."""
    for i in range(rows.shape[1]):
        rows[m, i] = 0


@inlined
def quanta(kw: float) -> int:
    """Whole quanta in `kw`."""
    return int(np.floor(kw / POWER_QUANTUM_KW + 1e-9))


@inlined
def _trade(side: Side, highest: int, lowest: int) -> tuple[int, int]:
    """Net each home's own sale and purchase; return how much of each clears, before any cap."""
    sales = 0
    purchases = 0
    n = len(side.buy)
    for i in range(n):
        cheap, dear = by_price(side.sell_tick[i], side.sell_tick[n + i], i, n + i)
        a = side.can_sell[cheap] if side.sell_tick[cheap] <= highest else 0
        b = side.can_sell[dear] if side.sell_tick[dear] <= highest else 0
        c = side.can_buy[i] if side.buy_tick[i] >= lowest else 0
        # a home whose sale and purchase would both clear trades the difference only; its dearer line gives way first
        inside = min(a + b, c)
        from_dear = min(inside, b)
        side.sell[cheap] = side.can_sell[cheap] - (inside - from_dear)
        side.sell[dear] = side.can_sell[dear] - from_dear
        side.buy[i] = side.can_buy[i] - inside
        sales += a + b - inside
        purchases += c - inside
    return sales, purchases


@inlined
def by_price(first_tick: int, second_tick: int, first: int, second: int) -> tuple[int, int]:
    """(`first`, `second`) of a home's two sell lines as (cheaper, dearer); the first one where they ask the same."""
    return (first, second) if first_tick <= second_tick else (second, first)


@inlined
def _thresholds(price: float, incentive: float, factor: float) -> tuple[int, int]:
    """(Highest ask, lowest limit) in ticks that clear at `price`."""
    highest = int(np.floor((price + incentive) / factor / PRICE_TICK + 1e-9))
    return highest, -int(np.floor(-(price + incentive) / PRICE_TICK + 1e-9))


@inlined
def _meet(side: Side, market: MarketState, j: int, m: int) -> tuple[int, int, int, int]:
    """Where the VPP's own curve meets the price that falls with it.

    Returns highest ask and lowest limit, ticks, and most that is sold and most that is bought, quanta.

    Net sales rise with the price p, and p + slope x net is what the price would be without the VPP: it rises
    strictly, so there is one p. At a step of the curve only a part of the marginal offers is taken.
    """
    lmp, slope, cap = market.lmp[j, m], market.slope, market.cap_q[m]
    incentive, factor = market.incentive[j, m], market.offer_factor
    low, high = lmp - slope * cap - PRICE_TICK, lmp + slope * cap + PRICE_TICK
    for _ in range(HALVINGS):
        mid = 0.5 * (low + high)
        highest, lowest = _thresholds(mid, incentive, factor)
        sales, purchases = _trade(side, highest, lowest)
        if mid + slope * (min(sales, cap) - min(purchases, cap)) >= lmp:
            high = mid
        else:
            low = mid
    # just above the price the marginal sales are in, just below it the marginal purchases are
    highest, lowest = _thresholds(high, incentive, factor)[0], _thresholds(low, incentive, factor)[1]
    sales, purchases = _trade(side, highest, lowest)
    sales, purchases = min(sales, cap), min(purchases, cap)
    net = (lmp - high) / slope
    if sales - purchases > net:
        sales = max(0, purchases + int(np.floor(net + WHOLE)))
    else:
        purchases = max(0, sales - int(np.ceil(net - WHOLE)))
    return highest, lowest, sales, purchases


@kernel
def clear_energy(
    offers: Ints, able: Quote[Floats], market: MarketState, j: int, awards: Awards, results: IntervalResults
) -> None:
    """Clear energy in interval j.

    Parameters
    ----------
    offers : ndarray
        (8, M, N) int64, see `bids.Offers`.
    able : Quote
        (M*N,) kW that each home can deliver now.
    market, j : MarketState, int
        The market, and the interval.
    awards : Awards
        `lines`, `sell`, `buy`, `last_sale` and `taken` are filled.
    results : IntervalResults
        `projected_kw`, `void` and `lmp` (the price that is settled at) of interval j are filled.
    """
    lines, sell, buy, last = awards.lines, awards.sell, awards.buy, awards.last_sale
    months, n = sell.shape
    can_sell, can_buy = np.empty((months, LINES * n), dtype=np.int64), np.empty((months, n), dtype=np.int64)
    sell_q, buy_q = np.empty((months, LINES * n), dtype=np.int64), np.empty((months, n), dtype=np.int64)
    tick = np.empty((months, LINES * n), dtype=np.int64)
    minus = np.empty((months, n), dtype=np.int64)
    highest, lowest = market.highest_ask[j].copy(), market.lowest_limit[j].copy()
    most_sold, most_bought = market.cap_q.copy(), market.cap_q.copy()
    for m in range(months):
        beyond = 0
        sale = 0
        purchase = 0
        for i in range(n):
            tick[m, i], tick[m, n + i] = offers[SELL1_TICK, m, i], offers[SELL2_TICK, m, i]
            can_sell[m, i], can_sell[m, n + i] = offers[SELL1_Q, m, i], offers[SELL2_Q, m, i]
            cheap, dear = by_price(tick[m, i], tick[m, n + i], i, n + i)
            most = quanta(able.sell[m * n + i])
            can_sell[m, cheap] = min(can_sell[m, cheap], most)
            can_sell[m, dear] = min(can_sell[m, dear], most - can_sell[m, cheap])
            a = can_sell[m, i] + can_sell[m, n + i]
            b = min(offers[BUY_Q, m, i], quanta(able.buy[m * n + i]))
            beyond += offers[SELL1_Q, m, i] + offers[SELL2_Q, m, i] - a + offers[BUY_Q, m, i] - b
            can_buy[m, i] = b
            minus[m, i] = -offers[BUY_TICK, m, i]
            sale += a
            purchase += b
        results.projected_kw[j, m] = beyond * POWER_QUANTUM_KW
        awards.taken[m] = False
        if market.on_offers:
            if 0 < sale < market.min_q:
                clear_row(can_sell, m)
                results.void[j, m] = True
            if 0 < purchase < market.min_q:
                clear_row(can_buy, m)
                results.void[j, m] = True
            awards.taken[m] = sale >= max(market.min_q, 1) or purchase >= max(market.min_q, 1)
        side = Side(tick[m], offers[BUY_TICK, m], can_sell[m], can_buy[m], sell_q[m], buy_q[m])
        if market.slope > 0.0:
            highest[m], lowest[m], most_sold[m], most_bought[m] = _meet(side, market, j, m)
        sales = _trade(side, highest[m], lowest[m])[0]
        if min(sales, most_sold[m]) < market.dispatch_q[m] and highest[m] < market.dispatch_tick:
            # a call of firm capacity: the cheapest offers up to the commitment are taken, whatever the price
            most_sold[m] = min(market.dispatch_q[m], market.cap_q[m])
            highest[m] = market.dispatch_tick
            _trade(side, highest[m], lowest[m])
    unused = np.empty(months, dtype=np.int64)
    clear_side(sell_q, tick, highest, most_sold, lines, last)
    clear_side(buy_q, minus, -lowest, most_bought, buy, unused)
    for m in range(months):
        net = 0
        gross = 0
        for i in range(n):
            sell[m, i] = lines[m, i] + lines[m, n + i]
            net += sell[m, i] - buy[m, i]
            gross += sell[m, i] + buy[m, i]
        if not market.on_offers and abs(net) < market.min_q:
            results.void[j, m] = gross > 0
            clear_row(lines, m)
            clear_row(sell, m)
            clear_row(buy, m)
            net = 0
            gross = 0
        awards.taken[m] |= gross > 0
        if last[m] > highest[m] or (results.void[j, m] and not market.on_offers):
            last[m] = 0
        results.lmp[j, m] = market.lmp[j, m] - market.slope * net
