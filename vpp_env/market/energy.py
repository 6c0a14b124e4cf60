"""Energy clearing of one interval, compiled: what every registered clearing shares.

Each home's offer is cut to what it can deliver now; a home whose sale and purchase both clear trades the difference;
each side is awarded in merit order; an award below the minimum bid is void. Where the price falls with the VPP's own
quantity (`Board.slope` > 0) the price and the quantity are found together first.
"""

from __future__ import annotations

import numpy as np

from vpp_env.jit import kernel
from vpp_env.market.merit import clear_side
from vpp_env.market.state import BUY_Q, BUY_TICK, SELL_Q, SELL_TICK, Board, Sheet
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

HALVINGS = 64
"""Halvings of the price interval in search of the fixed point: far below the resolution of a tick."""

WHOLE = 1e-3
"""A net quantity this close to a whole quantum is whole: `clearing.floor_tick` forgives 1e-9 of a tick."""


@kernel
def quanta(kw: float) -> int:
    """Whole quanta in `kw`."""
    return int(np.floor(kw / POWER_QUANTUM_KW + 1e-9))


@kernel
def _trade(
    offers: np.ndarray,
    e: int,
    able: np.ndarray,
    highest: int,
    lowest: int,
    sell_q: np.ndarray,
    buy_q: np.ndarray,
) -> tuple[int, int]:
    """Net each home's own sale and purchase (N,); return how much of each side clears, before any cap."""
    sales = 0
    purchases = 0
    for i in range(len(sell_q)):
        a, b = able[0, e, i], able[1, e, i]
        sells, buys = offers[SELL_TICK, e, i] <= highest, offers[BUY_TICK, e, i] >= lowest
        # a home whose sale and purchase would both clear trades the difference only
        inside = min(a, b) if sells and buys else 0
        sell_q[i], buy_q[i] = a - inside, b - inside
        if sells:
            sales += a - inside
        if buys:
            purchases += b - inside
    return sales, purchases


@kernel
def _thresholds(price: float, incentive: float, factor: float) -> tuple[int, int]:
    """(Highest ask, lowest limit) in ticks that clear at `price`."""
    highest = int(np.floor((price + incentive) / factor / PRICE_TICK + 1e-9))
    return highest, -int(np.floor(-price / PRICE_TICK + 1e-9))


@kernel
def _meet(
    offers: np.ndarray, able: np.ndarray, board: Board, j: int, e: int, sell_q: np.ndarray, buy_q: np.ndarray
) -> tuple[int, int, int, int]:
    """Where the VPP's own curve meets the price that falls with it.

    Returns highest ask and lowest limit, ticks, and most that is sold and most that is bought, quanta.

    Net sales rise with the price p, and p + slope x net is what the price would be without the VPP: it rises
    strictly, so there is one p. At a step of the curve only a part of the marginal offers is taken.
    """
    lmp, slope, cap = board.lmp[j, e], board.slope, board.cap_q[e]
    incentive, factor = board.incentive[j, e], board.offer_factor
    low, high = lmp - slope * cap - PRICE_TICK, lmp + slope * cap + PRICE_TICK
    for _ in range(HALVINGS):
        mid = 0.5 * (low + high)
        highest, lowest = _thresholds(mid, incentive, factor)
        sales, purchases = _trade(offers, e, able, highest, lowest, sell_q, buy_q)
        if mid + slope * (min(sales, cap) - min(purchases, cap)) >= lmp:
            high = mid
        else:
            low = mid
    # just above the price the marginal sales are in, just below it the marginal purchases are
    highest, lowest = _thresholds(high, incentive, factor)[0], _thresholds(low, incentive, factor)[1]
    sales, purchases = _trade(offers, e, able, highest, lowest, sell_q, buy_q)
    sales, purchases = min(sales, cap), min(purchases, cap)
    net = (lmp - high) / slope
    if sales - purchases > net:
        sales = max(0, purchases + int(np.floor(net + WHOLE)))
    else:
        purchases = max(0, sales - int(np.ceil(net - WHOLE)))
    return highest, lowest, sales, purchases


@kernel
def clear_energy(
    offers: np.ndarray,
    hard_sell_kw: np.ndarray,
    hard_buy_kw: np.ndarray,
    board: Board,
    j: int,
    sell: np.ndarray,
    buy: np.ndarray,
    sheet: Sheet,
) -> np.ndarray:
    """Clear energy in interval j.

    Parameters
    ----------
    offers : ndarray
        (6, E, N) int64, see `bids.Offers`.
    hard_sell_kw, hard_buy_kw : ndarray
        (E*N,) kW that each home can deliver now.
    board : Board
        The market.
    j : int
        The interval.
    sell, buy : ndarray
        (E, N) int64 quanta, filled.
    sheet : Sheet
        `projected_kw`, `void` and `lmp` (the price that is settled at) of interval j are filled.

    Returns
    -------
    ndarray
        (E,) int64 highest ask accepted, ticks; 0 where none is.
    """
    e_all, n = sell.shape
    able = np.empty((2, e_all, n), dtype=np.int64)
    sell_q, buy_q = np.empty((e_all, n), dtype=np.int64), np.empty((e_all, n), dtype=np.int64)
    minus = np.empty((e_all, n), dtype=np.int64)
    highest, lowest = board.highest_ask[j].copy(), board.lowest_limit[j].copy()
    most_sold, most_bought = board.cap_q.copy(), board.cap_q.copy()
    for e in range(e_all):
        beyond = 0
        for i in range(n):
            a = min(offers[SELL_Q, e, i], quanta(hard_sell_kw[e * n + i]))
            b = min(offers[BUY_Q, e, i], quanta(hard_buy_kw[e * n + i]))
            beyond += offers[SELL_Q, e, i] - a + offers[BUY_Q, e, i] - b
            able[0, e, i], able[1, e, i] = a, b
            minus[e, i] = -offers[BUY_TICK, e, i]
        sheet.projected_kw[j, e] = beyond * POWER_QUANTUM_KW
        if board.slope > 0.0:
            met = _meet(offers, able, board, j, e, sell_q[e], buy_q[e])
            highest[e], lowest[e], most_sold[e], most_bought[e] = met
        _trade(offers, e, able, highest[e], lowest[e], sell_q[e], buy_q[e])
    last, _ = np.empty(e_all, dtype=np.int64), np.empty(e_all, dtype=np.int64)
    clear_side(sell_q, offers[SELL_TICK], highest, most_sold, sell, last)
    clear_side(buy_q, minus, -lowest, most_bought, buy, _)
    for e in range(e_all):
        net = 0
        gross = 0
        for i in range(n):
            net += sell[e, i] - buy[e, i]
            gross += sell[e, i] + buy[e, i]
        if abs(net) < board.min_q:
            sheet.void[j, e] = gross > 0
            sell[e, :] = 0
            buy[e, :] = 0
            net = 0
        if last[e] > highest[e] or sheet.void[j, e]:
            last[e] = 0
        sheet.lmp[j, e] = board.lmp[j, e] - board.slope * net
    return last
