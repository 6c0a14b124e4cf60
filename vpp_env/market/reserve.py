"""Reserve capacity: what is left after energy, sold in the best-paid product that each home qualifies for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.jit import Crew, inlined
from vpp_env.market.energy import clear_side
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


class ReserveBench(NamedTuple):
    """Room in which one month after the other is cleared, (N,) quanta each; used again for the next one."""

    best: Ints  # what a home offers of the product that it serves
    mine: Ints  # of the product that is being cleared
    part: Ints  # award of it


def new_reserve_bench(n: int) -> ReserveBench:
    """Return room for months of `n` homes."""
    return ReserveBench(np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64))


@inlined
def clear_reserve(
    m: int,
    offers: ReserveOffers,
    terms: ReserveTerms,
    room: int,
    bench: ReserveBench,
    awards: ReserveAwards,
    crew: Crew,
) -> bool:
    """Clear an interval of a month.

    Parameters
    ----------
    m : int
        The month.
    offers, terms : ReserveOffers, ReserveTerms
        What is offered, and what clears.
    room : int
        Quanta that the VPP may still sell.
    bench : ReserveBench
        Room.
    awards : ReserveAwards
        Those of the month are filled.
    crew : Crew
        Who works.

    Returns
    -------
    bool
        Whether the market took the offer of a product.
    """
    award, product, rho = awards.q, awards.product, terms.rho
    best, mine, part = bench.best, bench.mine, bench.part
    n = award.shape[1]
    for i in range(crew.first(), n, crew.stride()):
        serves, most, kept = -1, 0.0, 0
        q, up, down = offers.q[m, i], max(0, offers.up_q[m, i]), max(0, offers.down_q[m, i])
        for r in range(rho.shape[1]):
            left = min(q, down if terms.is_down[r] else up)
            if left * rho[m, r] > most:
                most, serves, kept = left * rho[m, r], r, left
        award[m, i], product[m, i], best[i] = 0, serves, kept
    taken = False
    for r in range(rho.shape[1]):
        offered = 0
        for i in range(crew.first(), n, crew.stride()):
            q = best[i] if product[m, i] == r else 0
            mine[i] = q
            offered += q
        offered, _, _ = crew.add_up(offered, 0, 0, crew)
        if terms.on_offers and offered < terms.min_q:
            offered = 0
        if offered == 0:
            awards.last[m, r] = terms.highest[m, r] + 1
            continue
        if terms.on_offers:
            taken = True
        awards.last[m, r] = clear_side(mine, offers.tick[m], 1, terms.highest[m, r], room, part, crew)
        total = 0
        for i in range(crew.first(), n, crew.stride()):
            total += part[i]
        total, _, _ = crew.add_up(total, 0, 0, crew)
        if terms.on_offers or total >= terms.min_q:
            taken = taken or total > 0
            room -= total
            for i in range(crew.first(), n, crew.stride()):
                award[m, i] += part[i]
    return taken
