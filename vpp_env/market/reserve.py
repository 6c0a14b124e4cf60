"""Reserve capacity: what is left after energy, sold in the best-paid product that each home qualifies for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.jit import kernel
from vpp_env.market.energy import clear_row, clear_side
from vpp_env.scenario.specs import MarketSpec
from vpp_env.units import Flags, Floats, Ints

DOWN = "regdown"
"""The one product that is headroom to charge; the others are headroom to give."""
CONTINGENCY = ("spin", "nonspin")
"""Products that may be called to deliver energy."""


def products(market: MarketSpec) -> tuple[str, ...]:
    """Reserve products on sale."""
    if not market.reserve:
        return ()
    return (*CONTINGENCY, "regup", DOWN) if market.regulation else CONTINGENCY


class ReserveOffers(NamedTuple):
    """What M months of N homes offer, (M, N) int64 each."""

    q: Ints  # quanta
    tick: Ints  # ask, reserve ticks
    up_q: Ints  # capacity to give that qualifies and is left after energy
    down_q: Ints  # capacity to charge


class ReserveTerms(NamedTuple):
    """What R products pay in one interval."""

    rho: Floats  # (M, R) USD/kW-h
    highest: Ints  # (M, R) highest ask tick that clears
    is_down: Flags  # (R,)
    min_q: int  # quanta of the minimum bid
    on_offers: bool  # a product whose offer is below `min_q` is not taken; else a smaller award of it is void


class ReserveAwards(NamedTuple):
    """What clears; filled."""

    q: Ints  # (M, N) quanta
    product: Ints  # (M, N) the product that each home serves, -1 = none
    last: Ints  # (M, R) highest ask accepted
    taken: Flags  # (M,) set where the offer of a product is taken; never unset


@kernel
def clear_reserve(offers: ReserveOffers, terms: ReserveTerms, room: Ints, awards: ReserveAwards) -> None:
    """Clear one interval.

    Parameters
    ----------
    offers, terms : ReserveOffers, ReserveTerms
        What is offered, and what clears.
    room : ndarray
        (M,) int64: quanta that the VPP may still sell; is used up.
    awards : ReserveAwards
        Filled.
    """
    award, product, rho = awards.q, awards.product, terms.rho
    months, n = award.shape
    best_q = np.zeros((months, n), dtype=np.int64)
    part, mine = np.zeros((months, n), dtype=np.int64), np.zeros((months, n), dtype=np.int64)
    top = np.zeros(months, dtype=np.int64)
    for m in range(months):
        for i in range(n):
            product[m, i] = -1
            award[m, i] = 0
            best = 0.0
            for r in range(rho.shape[1]):
                left = min(offers.q[m, i], max(0, offers.down_q[m, i] if terms.is_down[r] else offers.up_q[m, i]))
                if left * rho[m, r] > best:
                    best = left * rho[m, r]
                    product[m, i] = r
                    best_q[m, i] = left
    for r in range(rho.shape[1]):
        for m in range(months):
            offered = 0
            for i in range(n):
                mine[m, i] = best_q[m, i] if product[m, i] == r else 0
                offered += mine[m, i]
            if terms.on_offers and offered < terms.min_q:
                clear_row(mine, m)
                offered = 0
            if terms.on_offers and offered > 0:
                awards.taken[m] = True
        clear_side(mine, offers.tick, terms.highest[:, r].copy(), room, part, top)
        for m in range(months):
            awards.last[m, r] = top[m]
            total = 0
            for i in range(n):
                total += part[m, i]
            if terms.on_offers or total >= terms.min_q:
                awards.taken[m] |= total > 0
                room[m] -= total
                for i in range(n):
                    award[m, i] += part[m, i]
