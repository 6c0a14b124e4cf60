"""Reserve capacity: what is left after energy, sold in the best-paid product that each home qualifies for."""

from __future__ import annotations

import numpy as np

from vpp_env.jit import kernel
from vpp_env.market.merit import clear_side
from vpp_env.scenario.specs import MarketSpec

DOWN = "regdown"
"""The one product that is headroom to charge; the others are headroom to give."""
CONTINGENCY = ("spin", "nonspin")
"""Products that may be called to deliver energy."""


def products(market: MarketSpec) -> tuple[str, ...]:
    """Reserve products on sale."""
    if not market.reserve:
        return ()
    return (*CONTINGENCY, "regup", DOWN) if market.regulation else CONTINGENCY


@kernel
def clear_reserve(
    offer_q: np.ndarray,
    offer_tick: np.ndarray,
    up_q: np.ndarray,
    down_q: np.ndarray,
    rho: np.ndarray,
    highest: np.ndarray,
    is_down: np.ndarray,
    room: np.ndarray,
    min_q: int,
    award: np.ndarray,
    product: np.ndarray,
    last: np.ndarray,
) -> None:
    """Clear one interval of E markets with N homes and K products; fills the last three arrays.

    Parameters
    ----------
    offer_q, offer_tick : ndarray
        (E, N) int64: what is offered, and its ask in reserve ticks.
    up_q, down_q : ndarray
        (E, N) int64: capacity that qualifies and is left after energy.
    rho, highest : ndarray
        (E, K): price USD/kW-h, and the highest ask tick that clears.
    is_down : ndarray
        (K,) bool.
    room : ndarray
        (E,) int64: quanta that the VPP may still sell; is used up.
    min_q : int
        A product whose total is below is void.
    award, product, last : ndarray
        (E, N) int64 awarded quanta, the product each home serves (-1 = none), and (E, K) highest ask accepted.
    """
    e_all, n = offer_q.shape
    best_q = np.zeros((e_all, n), dtype=np.int64)
    part, mine = np.zeros((e_all, n), dtype=np.int64), np.zeros((e_all, n), dtype=np.int64)
    top = np.zeros(e_all, dtype=np.int64)
    for e in range(e_all):
        for i in range(n):
            product[e, i] = -1
            award[e, i] = 0
            best = 0.0
            for j in range(rho.shape[1]):
                left = min(offer_q[e, i], max(0, down_q[e, i] if is_down[j] else up_q[e, i]))
                if left * rho[e, j] > best:
                    best = left * rho[e, j]
                    product[e, i] = j
                    best_q[e, i] = left
    for j in range(rho.shape[1]):
        for e in range(e_all):
            for i in range(n):
                mine[e, i] = best_q[e, i] if product[e, i] == j else 0
        clear_side(mine, offer_tick, highest[:, j].copy(), room, part, top)
        for e in range(e_all):
            last[e, j] = top[e]
            total = 0
            for i in range(n):
                total += part[e, i]
            if total >= min_q:
                room[e] -= total
                for i in range(n):
                    award[e, i] += part[e, i]
