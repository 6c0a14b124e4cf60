"""What one window earns an owner at a price: storage that the VPP sells, and charging that waits.

The equations S and D of docs/owners.md, and the least price at which each is worth something. Scalar functions of
one home, inlined into `arithmetic.judge`.
"""

from __future__ import annotations

from typing import NamedTuple

from vpp_env.jit import inlined, kernel
from vpp_env.owners.situation import Belief
from vpp_env.units import Floats

HALVINGS = 30
"""Of the interval in which a price lies: 1e-9 USD/kWh is left of one."""
SAME = 1e-12
"""USD/kWh below which a price is the one that it is compared with: rounding."""


@inlined
def at_least(points: Floats, low: int, high: int, price: float) -> int:
    """How many of the falling points are `price` or above, of which it is known that `low` to `high` are."""
    while low < high:
        middle = (low + high) // 2
        if points[middle] >= price:
            low = middle + 1
        else:
            high = middle
    return low


class Market(NamedTuple):
    """What an owner expects of one window."""

    points: Floats  # (P,) prices, falling
    until: Floats  # (P + 1,) h that the dearest so many last
    above: Floats  # (P + 1,) USD/kWh x h
    n: int  # P
    da: Floats  # (C,)
    surprise: Floats  # (B,)
    weight: Floats  # (B,)
    cells: int  # C
    hours: float  # of a cell
    margin: float


@kernel
def market_of(know: Belief, m: int, w: int, margin: float) -> Market:
    """Return what is expected of window w in month m."""
    cells = know.cells[w]
    return Market(
        know.points[m, w], know.until[m, w], know.above[m, w], cells * len(know.weight), know.da[m], know.surprise[m],
        know.weight, cells, know.hours, margin,
    )  # fmt: skip


@inlined
def dearest(market: Market, hours: float, low: int, high: int) -> float:
    """What a kW earns at the prices of the dearest `hours`, which end with one of the points low to high - 1."""
    while low < high:
        middle = (low + high) // 2
        if market.until[middle + 1] < hours:
            low = middle + 1
        else:
            high = middle
    last = min(low, market.n - 1)
    return market.above[last] + market.points[last] * (hours - market.until[last])


@inlined
def pay(market: Market, price: float, share: float, hours: float) -> float:
    """USD per kW: max(price, share x real time) over the dearest `hours`."""
    if hours <= 0.0:
        return 0.0
    if share <= 0.0:
        return price * hours
    many = at_least(market.points, 0, market.n, price / share)
    shared = min(hours, market.until[many])
    return share * dearest(market, shared, 0, many) + price * (hours - shared)


class Give(NamedTuple):
    """What storage can give, and what that costs its owner."""

    kw: float
    kwh: float
    cost: float  # USD per kWh
    hassle: float  # USD per hour


@inlined
def stored(market: Market, give: Give, price: float, share: float) -> float:
    """USD that storage brings when the VPP sells at `price` or above, in the dearest intervals that it lasts for."""
    if give.kw <= 0.0 or give.kwh <= 0.0:
        return 0.0
    many = at_least(market.points, 0, market.n, price * (1.0 + market.margin) - SAME)
    hours = min(market.until[many], give.kwh / give.kw)
    return give.kw * (pay(market, price, share, hours) - give.cost * hours) - give.hassle * hours


@inlined
def waited(market: Market, waits: Floats, kw: float, back: float, price: float, share: float) -> float:
    """USD that charging brings which waits where the VPP sells it, `back` being what a kWh of it costs later."""
    usd = 0.0
    for c in range(market.cells):
        power = min(waits[c], kw)
        if power > 0.0:
            for b in range(len(market.weight)):
                lmp = market.da[c] + market.surprise[b]
                if lmp >= price * (1.0 + market.margin) - SAME:
                    usd += market.weight[b] * power * market.hours * (max(price, share * lmp) - back)
    return usd


@inlined
def _halved(market: Market, give: Give, share: float, rest: float, hours: float, low: float, high: float) -> float:
    """Return the least price from `low` to `high` at which `hours` of storage and `rest` are more than 0 together.

    Prices come closer to each other, and so does how many points are paid the share: a search among few.
    """
    fewest, most, many = 0, market.n if share > 0.0 else 0, -1
    shared, usd = 0.0, 0.0
    for step in range(HALVINGS):
        middle = low if step == 0 else 0.5 * (low + high)
        found = at_least(market.points, fewest, most, middle / share) if fewest < most else most
        if found != many:
            many, shared = found, min(hours, market.until[found])
            usd = share * dearest(market, shared, 0, many)
        worth = give.kw * (usd + middle * (hours - shared) - give.cost * hours) - give.hassle * hours
        if worth + rest > 0.0:
            high, fewest = middle, many
        else:
            low, most = middle, many
    return high


@inlined
def _at_point(market: Market, give: Give, share: float, j: int) -> float:
    """USD that storage brings at the highest price that still sells point j: at least that point, and all above it."""
    price = market.points[j] / (1.0 + market.margin)
    hours = min(market.until[j + 1], give.kwh / give.kw)
    shared, most = 0, market.n  # points that are paid the share
    while shared < most:
        middle = (shared + most) // 2
        if share * market.points[middle] >= price:
            shared = middle + 1
        else:
            most = middle
    part = min(hours, market.until[shared])
    usd = share * dearest(market, part, 0, shared) + price * (hours - part)
    return give.kw * (usd - give.cost * hours) - give.hassle * hours


@inlined
def least_stored(market: Market, give: Give, share: float, rest: float) -> float:
    """Return the least price >= 0 at which what storage brings and `rest` are more than 0 together; -1: there is none.

    Between two neighbouring points the hours sold are the same and the worth rises with the price: the least price
    lies in the lowest such stretch whose upper end is worth it. As long as all that is stored is sold the hours are
    the same beyond a point too, and that stretch is found by halving.
    """
    if stored(market, give, 0.0, share) + rest > 0.0:
        return 0.0
    if give.kw <= 0.0 or give.kwh <= 0.0:
        return -1.0
    lasts, n = give.kwh / give.kw, market.n
    low, high = 0, n
    while low < high:  # the first point with which all is sold
        middle = (low + high) // 2
        if market.until[middle + 1] < lasts:
            low = middle + 1
        else:
            high = middle
    low, high = low - 1, n - 1
    while low < high:  # the last one whose price is worth it; else the one before the first
        middle = (low + high + 1) // 2
        if market.points[middle] > 0.0 and _at_point(market, give, share, middle) + rest > 0.0:
            low = middle
        else:
            high = middle - 1
    before = max(market.points[low + 1], 0.0) / (1.0 + market.margin) if low + 1 < n else 0.0
    for j in range(low, -1, -1):
        if market.points[j] <= 0.0 or (j + 1 < n and market.points[j] == market.points[j + 1]):
            continue
        price = market.points[j] / (1.0 + market.margin)
        if _at_point(market, give, share, j) + rest > 0.0:
            hours = min(market.until[j + 1], lasts)
            found = _halved(market, give, share, rest, hours, min(before + 2.0 * SAME, price), price)
            if stored(market, give, found, share) + rest > 0.0:
                return found
        before = price
    return -1.0


@inlined
def least_waited(market: Market, waits: Floats, kw: float, back: float, share: float, rest: float) -> float:
    """Return the least price >= 0 at which what waits and `rest` are more than 0 together; -1: there is none."""
    if waited(market, waits, kw, back, 0.0, share) + rest > 0.0:
        return 0.0
    found, before = -1.0, 0.0
    for c in range(market.cells):
        if min(waits[c], kw) > 0.0:
            for s in market.surprise:
                price = (market.da[c] + s) / (1.0 + market.margin)
                if (
                    price > 0.0
                    and (found < 0.0 or price < found)
                    and waited(market, waits, kw, back, price, share) + rest > 0.0
                ):
                    found = price
    if found < 0.0:
        return -1.0
    for c in range(market.cells):
        if min(waits[c], kw) > 0.0:
            for s in market.surprise:
                price = (market.da[c] + s) / (1.0 + market.margin)
                if before < price < found:
                    before = price
    low, high = min(before + 2.0 * SAME, found), found
    for step in range(HALVINGS):
        middle = low if step == 0 else 0.5 * (low + high)
        if waited(market, waits, kw, back, middle, share) + rest > 0.0:
            high = middle
        else:
            low = middle
    return high
