"""Reserve capacity: what is left after energy, sold in the best-paid product that each home qualifies for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.bids import RESERVE_TICK
from vpp_env.market.merit import clear_side
from vpp_env.scenario import MarketSpec
from vpp_env.units import KWH_PER_MWH, POWER_QUANTUM_KW

DOWN = "regdown"
"""The one product that is headroom to charge; the others are headroom to give."""


@dataclass(frozen=True)
class ReserveAward:
    """Result for E markets of N homes."""

    award_q: np.ndarray  # (E, N) int64 quanta
    product: np.ndarray  # (E, N) int64 index into the products on sale
    rho: np.ndarray  # (E, N) USD/kW-h: market price of that product
    last_tick: np.ndarray  # (E, N) int64: highest reserve ask accepted in that product


def products(market: MarketSpec) -> tuple[str, ...]:
    """Reserve products on sale, in the order of `ReserveAward.product`."""
    if not market.reserve:
        return ()
    return ("spin", "nonspin", "regup", DOWN) if market.regulation else ("spin", "nonspin")


def clear_reserve(
    market: MarketSpec,
    reserve_q: np.ndarray,
    reserve_tick: np.ndarray,
    up_q: np.ndarray,
    down_q: np.ndarray,
    rho: np.ndarray,
    cap_q: np.ndarray,
) -> ReserveAward:
    """Clear the reserve offers of one interval.

    Parameters
    ----------
    market : MarketSpec
        Rules.
    reserve_q, reserve_tick : ndarray
        (E, N) int64: what is offered, and its ask in reserve ticks.
    up_q, down_q : ndarray
        (E, N) int64: capacity that qualifies and is left after energy, upward and downward.
    rho : ndarray
        (E, K) USD/kW-h: price of each product on sale.
    cap_q : ndarray
        (E,) int64: most quanta that the VPP may still sell.
    """
    names = products(market)
    e, n = reserve_q.shape
    best = np.full((e, n), -1.0)
    choice = np.zeros((e, n), dtype=np.int64)
    quantity = np.zeros((e, n), dtype=np.int64)
    for j, name in enumerate(names):
        left = np.minimum(reserve_q, np.maximum(down_q if name == DOWN else up_q, 0))
        value = left * rho[:, j : j + 1]
        better = value > best
        best[better] = value[better]
        choice[better] = j
        quantity[better] = left[better]
    price = np.take_along_axis(rho, choice, axis=1)
    award = np.zeros_like(quantity)
    last = np.zeros_like(quantity)
    room = cap_q.copy()
    min_q = int(np.ceil(market.min_bid_mw * KWH_PER_MWH / POWER_QUANTUM_KW - 1e-9))
    part, top = np.empty_like(quantity), np.empty(e, dtype=np.int64)
    for j in range(len(names)):
        mine = choice == j
        # the offer is ask x (1 + margin), as for energy
        highest = np.floor(rho[:, j] / (1.0 + market.margin) / RESERVE_TICK + 1e-9).astype(np.int64)
        clear_side(np.where(mine, quantity, 0), reserve_tick, highest, room, part, top)
        part[part.sum(axis=1) < min_q] = 0
        award += part
        room -= part.sum(axis=1)
        last = np.where(mine, top[:, None], last)
    return ReserveAward(award, choice, price, last)
