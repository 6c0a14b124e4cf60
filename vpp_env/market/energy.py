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
from vpp_env.jit import Crew, floor, inlined
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

LEAST = -(1 << 62)
"""Below any tick."""
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


@inlined
def clear_side(offered: Ints, tick: Ints, lines: int, highest: int, cap: int, award: Ints, crew: Crew) -> int:
    """Award the cheapest offers of a month up to a price and a cap, pro rata at the marginal tick.

    Parameters
    ----------
    offered, tick : ndarray
        (lines N,) int64: offered quantity and its price, the first lines of all homes first.
    lines : int
        Offers of a home.
    highest : int
        Offers above this tick do not clear.
    cap : int
        Most quanta that may be awarded.
    award : ndarray
        (lines N,) int64, filled. At the marginal tick of a binding cap every offer gets the same share, rounded down:
        the result does not depend on the order of homes, and at most lines N - 1 quanta of the cap stay unused.
    crew : Crew
        Who works; a home's lines are looked at by one of them.

    Returns
    -------
    int
        The highest tick awarded; `highest + 1` when nothing is.
    """
    total = 0
    top = LEAST
    n = len(offered) // lines
    for line in range(lines):
        for i in range(line * n + crew.first(), (line + 1) * n, crew.stride()):
            taken = offered[i] > 0 and tick[i] <= highest
            q = offered[i] if taken else 0
            award[i] = q
            total += q
            top = max(top, tick[i] if taken else LEAST)
    total, top = crew.sum_and_top(total, top, crew)
    if total == 0:
        return highest + 1
    if total <= cap:
        return top
    last = _share_out(tick, lines, cap, top, award, crew)
    return last if last > LEAST else highest + 1


@inlined
def _share_out(tick: Ints, lines: int, cap: int, top: int, award: Ints, crew: Crew) -> int:
    """Cut `award`, all that clears up to tick `top`, to the cap; return the highest tick left, or `LEAST`."""
    n = len(award) // lines
    high = LEAST  # the same with the other sign, so that one function finds both ends
    for line in range(lines):
        for i in range(line * n + crew.first(), (line + 1) * n, crew.stride()):
            high = max(high, -tick[i] if award[i] > 0 else LEAST)
    low = -crew.sum_and_top(0, high, crew)[1]
    # the marginal tick is the lowest up to which more is offered than the cap
    marginal = top
    while low < marginal:
        middle = (low + marginal) // 2
        below = 0
        for line in range(lines):
            for i in range(line * n + crew.first(), (line + 1) * n, crew.stride()):
                if tick[i] <= middle:
                    below += award[i]
        if crew.add_up(below, 0, 0, crew)[0] > cap:
            marginal = middle
        else:
            low = middle + 1
    before = 0
    at_margin = 0
    for line in range(lines):
        for i in range(line * n + crew.first(), (line + 1) * n, crew.stride()):
            if tick[i] < marginal:
                before += award[i]
            elif tick[i] == marginal:
                at_margin += award[i]
    before, at_margin, _ = crew.add_up(before, at_margin, 0, crew)
    last = LEAST
    for line in range(lines):
        for i in range(line * n + crew.first(), (line + 1) * n, crew.stride()):
            if tick[i] > marginal:
                award[i] = 0
            elif tick[i] == marginal and award[i] > 0:
                award[i] = award[i] * (cap - before) // at_margin
            if award[i] > 0:
                last = max(last, tick[i])
    return crew.sum_and_top(0, last, crew)[1]


@inlined
def quanta(kw: float) -> int:
    """Whole quanta in `kw`."""
    return floor(kw / POWER_QUANTUM_KW + 1e-9)


@inlined
def _trade(side: Side, highest: int, lowest: int, crew: Crew) -> tuple[int, int]:
    """Net each home's own sale and purchase; return how much of each clears, before any cap, of one of a crew."""
    sales = 0
    purchases = 0
    n = len(side.buy)
    for i in range(crew.first(), n, crew.stride()):
        # values and not places are put in order of price: a processor guesses no branch wrong then
        one, two, can_buy = side.can_sell[i], side.can_sell[n + i], side.can_buy[i]
        tick_1, tick_2, limit = side.sell_tick[i], side.sell_tick[n + i], side.buy_tick[i]
        cheap, dear = by_price(tick_1, tick_2, one, two)
        a = cheap if min(tick_1, tick_2) <= highest else 0
        b = dear if max(tick_1, tick_2) <= highest else 0
        c = can_buy if limit >= lowest else 0
        # a home whose sale and purchase would both clear trades the difference only; its dearer line gives way first
        inside = min(a + b, c)
        from_dear = min(inside, b)
        cheap -= inside - from_dear
        dear -= from_dear
        side.sell[i], side.sell[n + i] = by_price(tick_1, tick_2, cheap, dear)
        side.buy[i] = can_buy - inside
        sales += a + b - inside
        purchases += c - inside
    return sales, purchases


@inlined
def by_price(first_tick: int, second_tick: int, first: int, second: int) -> tuple[int, int]:
    """What is of a home's `first` and `second` sell line as (cheaper, dearer); the first one where they ask the same.

    The other way round too: of (cheaper, dearer) it gives (first, second).
    """
    return (first, second) if first_tick <= second_tick else (second, first)


@inlined
def _thresholds(price: float, incentive: float, factor: float) -> tuple[int, int]:
    """(Highest ask, lowest limit) in ticks that clear at `price`."""
    highest = floor((price + incentive) / factor / PRICE_TICK + 1e-9)
    return highest, -floor(-(price + incentive) / PRICE_TICK + 1e-9)


@inlined
def _meet(side: Side, market: MarketState, j: int, m: int, crew: Crew) -> tuple[int, int, int, int]:
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
        sales, purchases = _trade(side, highest, lowest, crew)
        sales, purchases, _ = crew.add_up(sales, purchases, 0, crew)
        if mid + slope * (min(sales, cap) - min(purchases, cap)) >= lmp:
            high = mid
        else:
            low = mid
    # just above the price the marginal sales are in, just below it the marginal purchases are
    highest, lowest = _thresholds(high, incentive, factor)[0], _thresholds(low, incentive, factor)[1]
    sales, purchases = _trade(side, highest, lowest, crew)
    sales, purchases, _ = crew.add_up(sales, purchases, 0, crew)
    sales, purchases = min(sales, cap), min(purchases, cap)
    net = (lmp - high) / slope
    if sales - purchases > net:
        sales = max(0, purchases + floor(net + WHOLE))
    else:
        purchases = max(0, sales + floor(WHOLE - net))
    return highest, lowest, sales, purchases


class Bench(NamedTuple):
    """Room in which one month after the other is cleared, N homes; used again for the next one."""

    tick: Ints  # (2 N,) asks of the lines
    can_sell: Ints  # (2 N,) quanta that can be delivered
    sell: Ints  # (2 N,) what is left of it after netting
    can_buy: Ints  # (N,)
    buy: Ints  # (N,)
    limit: Ints  # (N,) buy limits
    minus: Ints  # (N,) the same with the other sign, as asks are sorted


def new_bench(n: int) -> Bench:
    """Return room for months of `n` homes."""
    return Bench(
        np.empty(LINES * n, dtype=np.int64),
        np.empty(LINES * n, dtype=np.int64),
        np.empty(LINES * n, dtype=np.int64),
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.int64),
    )


@inlined
def clear_energy(
    m: int,
    offers: Ints,
    able: Quote[Floats],
    market: MarketState,
    j: int,
    bench: Bench,
    awards: Awards,
    results: IntervalResults,
    crew: Crew,
) -> int:
    """Clear energy of a month in an interval.

    Parameters
    ----------
    m : int
        The month.
    offers : ndarray
        (8, M, N) int64, see `bids.Offers`.
    able : Quote
        (M*N,) kW that each home can deliver now.
    market, j : MarketState, int
        The market, and the interval.
    bench : Bench
        Room.
    awards : Awards
        `lines`, `sell`, `buy`, `last_sale` and `taken` of the month are filled.
    results : IntervalResults
        `projected_kw`, `void` and `lmp` (the price that is settled at) of interval j are filled.
    crew : Crew
        Who works.

    Returns
    -------
    int
        Quanta sold.
    """
    n = awards.sell.shape[1]
    lines, sell, buy = awards.lines, awards.sell, awards.buy
    can_sell, can_buy, tick = bench.can_sell, bench.can_buy, bench.tick
    highest, lowest = market.highest_ask[j, m], market.lowest_limit[j, m]
    most_sold = most_bought = market.cap_q[m]
    beyond = 0
    sale = 0
    purchase = 0
    for i in range(crew.first(), n, crew.stride()):
        tick_1, tick_2, limit = offers[SELL1_TICK, m, i], offers[SELL2_TICK, m, i], offers[BUY_TICK, m, i]
        one, two, wanted = offers[SELL1_Q, m, i], offers[SELL2_Q, m, i], offers[BUY_Q, m, i]
        cheap, dear = by_price(tick_1, tick_2, one, two)
        most = quanta(able.sell[m * n + i])
        cheap = min(cheap, most)
        dear = min(dear, most - cheap)
        a, b = cheap + dear, min(wanted, quanta(able.buy[m * n + i]))
        beyond += one + two - a + wanted - b
        can_sell[i], can_sell[n + i] = by_price(tick_1, tick_2, cheap, dear)
        tick[i], tick[n + i] = tick_1, tick_2
        can_buy[i], bench.limit[i], bench.minus[i] = b, limit, -limit
        sale += a
        purchase += b
    beyond, sale, purchase = crew.add_up(beyond, sale, purchase, crew)
    taken = void = False
    if market.on_offers:
        if 0 < sale < market.min_q:
            _no_lines(can_sell, n, crew)
            void = True
        if 0 < purchase < market.min_q:
            _nothing(can_buy, crew)
            void = True
        taken = sale >= max(market.min_q, 1) or purchase >= max(market.min_q, 1)
    side = Side(tick, bench.limit, can_sell, can_buy, bench.sell, bench.buy)
    if market.slope > 0.0:
        highest, lowest, most_sold, most_bought = _meet(side, market, j, m, crew)
    sales = _trade(side, highest, lowest, crew)[0]
    if market.dispatch_q[m] > 0 and highest < market.dispatch_tick:
        sales, _, _ = crew.add_up(sales, 0, 0, crew)
        if min(sales, most_sold) < market.dispatch_q[m]:
            # a call of firm capacity: the cheapest offers up to the commitment are taken, whatever the price
            most_sold = min(market.dispatch_q[m], market.cap_q[m])
            highest = market.dispatch_tick
            _trade(side, highest, lowest, crew)
    last = clear_side(bench.sell, tick, LINES, highest, most_sold, lines[m], crew)
    clear_side(bench.buy, bench.minus, 1, -lowest, most_bought, buy[m], crew)
    sold = 0
    bought = 0
    for i in range(crew.first(), n, crew.stride()):
        sell[m, i] = lines[m, i] + lines[m, n + i]
        sold += sell[m, i]
        bought += buy[m, i]
    sold, bought, _ = crew.add_up(sold, bought, 0, crew)
    if not market.on_offers and abs(sold - bought) < market.min_q:
        void = sold + bought > 0
        _no_lines(lines[m], n, crew)
        _nothing(sell[m], crew)
        _nothing(buy[m], crew)
        sold = 0
        bought = 0
    if last > highest or (void and not market.on_offers):
        last = 0
    # all of a crew write the same
    awards.taken[m], awards.last_sale[m] = taken or sold + bought > 0, last
    results.projected_kw[j, m], results.void[j, m] = beyond * POWER_QUANTUM_KW, void
    results.lmp[j, m] = market.lmp[j, m] - market.slope * (sold - bought)
    return sold


@inlined
def _nothing(q: Ints, crew: Crew) -> None:
    """Offer or award nothing."""
    for i in range(crew.first(), len(q), crew.stride()):
        q[i] = 0


@inlined
def _no_lines(q: Ints, n: int, crew: Crew) -> None:
    """The same of both sell lines of `n` homes: a home's lines are looked at by one of a crew."""
    for i in range(crew.first(), n, crew.stride()):
        q[i], q[n + i] = 0, 0
