"""The market by hand: one interval in exact fractions and plain lists, written from docs/market.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Home:
    """Quanta and ticks offered, two lines to sell on, and the quanta that can be delivered."""

    sell: int
    ask: int
    sell2: int
    ask2: int
    buy: int
    limit: int
    can_sell: int
    can_buy: int

    @property
    def lines(self) -> list[tuple[int, int, int]]:
        """(tick, line, quanta) of the lines as they can be delivered together, cheapest first."""
        left, out = self.can_sell, []
        for tick, line, quanta in sorted([(self.ask, 0, self.sell), (self.ask2, 1, self.sell2)]):
            out.append((tick, line, min(quanta, left)))
            left -= out[-1][2]
        return out

    @property
    def sale(self) -> int:
        return sum(quanta for _, _, quanta in self.lines)


@dataclass(frozen=True)
class Rules:
    lmp: Fraction
    margin: Fraction
    cap: int
    least: int
    incentive: Fraction = Fraction(0)
    threshold: Fraction | None = None  # where not lmp: what offers are held against
    on_offers: bool = False  # `least` is of what is offered, not of what is awarded
    dispatch: int = 0  # a call of firm capacity takes sales up to so many quanta
    strike: int = 0  # ticks: at asks up to this one


def merit(quantity: list[int], tick: list[int], cap: int) -> list[int]:
    """Cheapest first; at the tick that does not fit everybody gets the same share, rounded down."""
    award, left = [0] * len(quantity), cap
    for level in sorted(set(tick)):
        here = [i for i in range(len(tick)) if tick[i] == level and quantity[i] > 0]
        total = sum(quantity[i] for i in here)
        for i in here:
            award[i] = quantity[i] if total <= left else quantity[i] * left // total
        if total > left:
            break
        left -= total
    return award


def sides(
    homes: list[Home], sells: Callable[[int], bool], buys: Callable[[int], bool]
) -> tuple[list[list[int]], list[int]]:
    """What each home brings to either side, by line, its own sale and purchase netted: the dearest line gives way."""
    up, down = [], []
    for h in homes:
        take = min(h.buy, h.can_buy) if buys(h.limit) else 0
        mine = [0, 0]
        for tick, line, quanta in reversed(h.lines):
            if sells(tick):
                both = min(quanta, take)
                mine[line] = quanta - both
                take -= both
        up.append(mine)
        down.append(take)
    return up, down


def total(up: list[list[int]]) -> int:
    return sum(a + b for a, b in up)


def award(
    homes: list[Home], up: list[list[int]], down: list[int], most_up: int, most_down: int, least: int
) -> list[tuple[int, int, int]]:
    """What each home sells on either line, and buys, quanta; all zero where the net is below the minimum bid."""
    slices = merit([q for mine in up for q in mine], [tick for h in homes for tick in (h.ask, h.ask2)], most_up)
    bought = merit(down, [-h.limit for h in homes], most_down)
    got = [(slices[2 * i], slices[2 * i + 1], b) for i, b in enumerate(bought)]
    return got if abs(net(got)) >= least else [(0, 0, 0)] * len(homes)


def net(got: list[tuple[int, int, int]]) -> int:
    return sum(a + b - c for a, b, c in got)


def taken(homes: list[Home], r: Rules) -> tuple[list[Home], int]:
    """The offers that the market takes, and the least award: a side that offers too little is as good as not there."""
    if not r.on_offers:
        return homes, r.least
    up = sum(h.sale for h in homes) >= r.least
    down = sum(min(h.buy, h.can_buy) for h in homes) >= r.least
    return [replace(h, sell=h.sell * up, sell2=h.sell2 * up, buy=h.buy * down) for h in homes], 0


Awards = list[tuple[int, int, int]]


def on_call(
    homes: list[Home], up: list[list[int]], down: list[int], buys: Callable[[int], bool], most_up: int, r: Rules
) -> tuple[list[list[int]], list[int], int]:
    """Both sides and most quanta sold: a call of firm capacity takes asks up to the strike, if less clears."""
    if min(total(up), most_up) >= r.dispatch:
        return up, down, most_up
    return *sides(homes, lambda ask: ask <= r.strike, buys), min(r.dispatch, r.cap)


def price_taker(homes: list[Home], r: Rules) -> Awards:
    at = r.lmp if r.threshold is None else r.threshold
    homes, least = taken(homes, r)

    def buys(limit: int) -> bool:
        return limit * TICK >= at + r.incentive

    up, down = sides(homes, lambda ask: ask * TICK * (1 + r.margin) <= at + r.incentive, buys)
    most = r.cap
    if r.strike * TICK * (1 + r.margin) > at + r.incentive:
        up, down, most = on_call(homes, up, down, buys, r.cap, r)
    return award(homes, up, down, most, r.cap, least)


def pm10(homes: list[Home], r: Rules) -> Awards:
    homes, least = taken(homes, r)

    def buys(limit: int) -> bool:
        return limit * TICK * Fraction(11, 10) >= r.lmp + r.incentive

    up, down = sides(homes, lambda ask: ask * TICK <= Fraction(11, 10) * (r.lmp + r.incentive), buys)
    most = r.cap
    if r.strike * TICK > Fraction(11, 10) * (r.lmp + r.incentive):
        up, down, most = on_call(homes, up, down, buys, r.cap, r)
    return award(homes, up, down, most, r.cap, least)


def residual(homes: list[Home], r: Rules, slope: Fraction) -> tuple[Awards, Fraction]:
    """Net awards and price, where the price falls by `slope` for every quantum: try every stretch of the curve."""
    homes, least = taken(homes, r)

    def offer(ask: int) -> Fraction:
        return ask * TICK * (1 + r.margin) - r.incentive

    def limit(most: int) -> Fraction:
        return most * TICK - r.incentive

    def called(up: Any, down: Any, buys: Callable[[int], bool], most: tuple[int, int], price: Fraction) -> Awards:
        most_up = most[0]
        if offer(r.strike) > price:
            up, down, most_up = on_call(homes, up, down, buys, most_up, r)
        return award(homes, up, down, most_up, most[1], least)

    breaks = sorted({offer(ask) for h in homes for ask in (h.ask, h.ask2)} | {limit(h.limit) for h in homes})
    far = abs(r.lmp) + slope * (r.cap + 1) + 1000
    edges = [-far, *breaks, far]
    for low, high in pairwise(edges):  # between two breaks the quantity does not change
        middle = (low + high) / 2
        up, down = sides(homes, lambda ask, p=middle: offer(ask) <= p, lambda most, p=middle: limit(most) >= p)
        price = r.lmp - slope * (min(total(up), r.cap) - min(sum(down), r.cap))
        if low < price < high:
            got = called(up, down, lambda most, p=middle: limit(most) >= p, (r.cap, r.cap), price)
            return got, r.lmp - slope * net(got)
    for price in breaks:  # else it stands at a break, and the marginal offers are taken in part
        up, down = sides(homes, lambda ask, p=price: offer(ask) <= p, lambda most, p=price: limit(most) >= p)
        below = sides(homes, lambda ask, p=price: offer(ask) < p, lambda most, p=price: limit(most) >= p)
        above = sides(homes, lambda ask, p=price: offer(ask) <= p, lambda most, p=price: limit(most) > p)
        left, right = (min(total(u), r.cap) - min(sum(d), r.cap) for u, d in (below, above))
        wanted = (r.lmp - price) / slope
        if left <= wanted <= right:
            most_up, most_down = min(total(up), r.cap), min(sum(down), r.cap)
            if most_up - most_down > wanted:
                # a home that turns from buyer to seller here is left out rather than split
                most_up = max(0, most_down + floor(wanted))
            else:
                most_down = max(0, most_up - ceil(wanted))
            got = called(up, down, lambda most, p=price: limit(most) >= p, (most_up, most_down), price)
            return got, r.lmp - slope * net(got)
    raise AssertionError("the curves always meet")
