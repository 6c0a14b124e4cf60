"""The market by hand: one interval in exact fractions and plain lists, written from docs/model.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Home:
    """Quanta and ticks offered, and the quanta that can be delivered."""

    sell: int
    ask: int
    buy: int
    limit: int
    can_sell: int
    can_buy: int


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


def sides(homes: list[Home], sells: list[bool], buys: list[bool]) -> tuple[list[int], list[int]]:
    """What each home brings to either side, its own sale and purchase netted."""
    up, down = [], []
    for h, s, b in zip(homes, sells, buys, strict=True):
        give = min(h.sell, h.can_sell) if s else 0
        take = min(h.buy, h.can_buy) if b else 0
        both = min(give, take)
        up.append(give - both)
        down.append(take - both)
    return up, down


def award(homes: list[Home], up: list[int], down: list[int], most_up: int, most_down: int, least: int) -> list[int]:
    """Net award of each home, quanta; all zero where the total is below the minimum bid."""
    sold = merit(up, [h.ask for h in homes], most_up)
    bought = merit(down, [-h.limit for h in homes], most_down)
    net = [a - b for a, b in zip(sold, bought, strict=True)]
    return net if abs(sum(net)) >= least else [0] * len(homes)


def taken(homes: list[Home], r: Rules) -> tuple[list[Home], int]:
    """The offers that the market takes, and the least award: a side that offers too little is as good as not there."""
    if not r.on_offers:
        return homes, r.least
    up = sum(min(h.sell, h.can_sell) for h in homes) >= r.least
    down = sum(min(h.buy, h.can_buy) for h in homes) >= r.least
    return [replace(h, sell=h.sell * up, buy=h.buy * down) for h in homes], 0


def on_call(
    homes: list[Home], sells: list[bool], buys: list[bool], most_up: int, r: Rules, strike_clears: bool
) -> tuple[list[bool], int]:
    """Whose sales are taken, and most quanta of them: a call of firm capacity dispatches asks up to the strike."""
    if strike_clears or min(sum(sides(homes, sells, buys)[0]), most_up) >= r.dispatch:
        return sells, most_up
    return [h.ask <= r.strike for h in homes], min(r.dispatch, r.cap)


def price_taker(homes: list[Home], r: Rules) -> list[int]:
    at = r.lmp if r.threshold is None else r.threshold
    sells = [h.ask * TICK * (1 + r.margin) <= at + r.incentive for h in homes]
    buys = [h.limit * TICK >= at + r.incentive for h in homes]
    homes, least = taken(homes, r)
    sells, most = on_call(homes, sells, buys, r.cap, r, r.strike * TICK * (1 + r.margin) <= at + r.incentive)
    return award(homes, *sides(homes, sells, buys), most, r.cap, least)


def pm10(homes: list[Home], r: Rules) -> list[int]:
    sells = [h.ask * TICK <= Fraction(11, 10) * (r.lmp + r.incentive) for h in homes]
    buys = [h.limit * TICK * Fraction(11, 10) >= r.lmp + r.incentive for h in homes]
    homes, least = taken(homes, r)
    sells, most = on_call(homes, sells, buys, r.cap, r, r.strike * TICK <= Fraction(11, 10) * (r.lmp + r.incentive))
    return award(homes, *sides(homes, sells, buys), most, r.cap, least)


def residual(homes: list[Home], r: Rules, slope: Fraction) -> tuple[list[int], Fraction]:
    """Net awards and price, where the price falls by `slope` for every quantum: try every stretch of the curve."""
    homes, least = taken(homes, r)
    offer = [h.ask * TICK * (1 + r.margin) - r.incentive for h in homes]
    limit = [h.limit * TICK - r.incentive for h in homes]
    strike = r.strike * TICK * (1 + r.margin) - r.incentive

    def called(sells: list[bool], buys: list[bool], most_up: int, most_down: int, price: Fraction) -> list[int]:
        sells, most_up = on_call(homes, sells, buys, most_up, r, strike <= price)
        return award(homes, *sides(homes, sells, buys), most_up, most_down, least)

    breaks = sorted(set(offer) | set(limit))
    far = abs(r.lmp) + slope * (r.cap + 1) + 1000
    edges = [-far, *breaks, far]
    for low, high in pairwise(edges):  # between two breaks the quantity does not change
        middle = (low + high) / 2
        sells, buys = [o <= middle for o in offer], [x >= middle for x in limit]
        up, down = sides(homes, sells, buys)
        net = min(sum(up), r.cap) - min(sum(down), r.cap)
        price = r.lmp - slope * net
        if low < price < high:
            got = called(sells, buys, r.cap, r.cap, price)
            return got, r.lmp - slope * sum(got)
    for price in breaks:  # else it stands at a break, and the marginal offers are taken in part
        sells, buys = [o <= price for o in offer], [x >= price for x in limit]
        up, down = sides(homes, sells, buys)
        below = sides(homes, [o < price for o in offer], [x >= price for x in limit])
        above = sides(homes, [o <= price for o in offer], [x > price for x in limit])
        left, right = (min(sum(u), r.cap) - min(sum(d), r.cap) for u, d in (below, above))
        net = (r.lmp - price) / slope
        if left <= net <= right:
            most_up, most_down = min(sum(up), r.cap), min(sum(down), r.cap)
            if most_up - most_down > net:
                # a home that turns from buyer to seller here is left out rather than split
                most_up = max(0, most_down + floor(net))
            else:
                most_down = max(0, most_up - ceil(net))
            got = called(sells, buys, most_up, most_down, price)
            return got, r.lmp - slope * sum(got)
    raise AssertionError("the curves always meet")
