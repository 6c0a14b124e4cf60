"""The owner's own arithmetic: what a contract is worth to it, and at which terms it would be indifferent.

    gain = expected pay of the contract - true cost - hassle + availability fee - the same without a contract

The equations stand in docs/contracts.md; tests/owners/reference.py says them again in plain Python. An owner knows its
devices, its private values and the public past, and no price that has not happened. All functions are pure: arrays over
H = M x N homes in, arrays out; row i follows from row i and the month's prices alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.contract.terms import Reason
from vpp_env.jit import inlined, kernel
from vpp_env.owners.situation import Belief, OwnerRules, Situation
from vpp_env.units import Flags, Floats, Ints

(
    PRICE, DEFER_PRICE, SHARE, RESERVE_PRICE, AVAILABILITY, KW, FLOOR, FLOOR_PRICE, TARGET, CAR_PRICE, DAY,
    OVERUSE_PRICE, BLACKOUT, BLACKOUT_PRICE, V2G_RESERVE,
) = range(15)  # fmt: skip
"""Rows of a matrix of terms, in the order of the fields of `Terms`."""
AGREED_REASON, PRICE_REASON, LIMIT_REASON = int(Reason.AGREED), int(Reason.PRICE), int(Reason.LIMIT)
SLACK = 1e-6
"""kW and kWh by which a limit may be missed: rounding."""
HIGHER = 1e-6
"""USD above indifference that a fee is asked at, so that what was asked is accepted when it is offered."""
HALVINGS = 30
"""Of the interval in which a price lies: 1e-9 USD/kWh is left of one."""
SAME = 1e-12
"""USD/kWh below which a price is the one that it is compared with: rounding."""


class Judgement(NamedTuple):
    """What the owners make of offers, (H,) each."""

    accepted: Flags
    countered: Flags
    reason: Ints  # AGREED, PRICE or LIMIT
    gain_usd: Floats  # expected by true values: over the window, of `NOTICE` over a day
    terms: Floats  # (15, H) as offered; countered: the owner's own


# -- worth -------------------------------------------------------------------------------------------------


@inlined
def _at_least(points: Floats, n: int, price: float) -> int:
    """How many of the first n falling points are `price` or above."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if points[middle] >= price:
            low = middle + 1
        else:
            high = middle
    return low


class _Market(NamedTuple):
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
def _market(know: Belief, m: int, w: int, margin: float) -> _Market:
    cells = know.cells[w]
    return _Market(
        know.points[m, w], know.until[m, w], know.above[m, w], cells * len(know.weight), know.da[m], know.surprise[m],
        know.weight, cells, know.hours, margin,
    )  # fmt: skip


@inlined
def _dearest(market: _Market, hours: float, low: int, high: int) -> float:
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
def _pay(market: _Market, price: float, share: float, hours: float) -> float:
    """USD per kW: max(price, share x real time) over the dearest `hours`."""
    if hours <= 0.0:
        return 0.0
    if share <= 0.0:
        return price * hours
    many = _at_least(market.points, market.n, price / share)
    shared = min(hours, market.until[many])
    return share * _dearest(market, shared, 0, many) + price * (hours - shared)


class _Give(NamedTuple):
    """What storage can give, and what that costs its owner."""

    kw: float
    kwh: float
    cost: float  # USD per kWh
    hassle: float  # USD per hour


@inlined
def _stored(market: _Market, give: _Give, price: float, share: float) -> float:
    """USD that storage brings when the VPP sells at `price` or above, in the dearest intervals that it lasts for."""
    if give.kw <= 0.0 or give.kwh <= 0.0:
        return 0.0
    many = _at_least(market.points, market.n, price * (1.0 + market.margin) - SAME)
    hours = min(market.until[many], give.kwh / give.kw)
    return give.kw * (_pay(market, price, share, hours) - give.cost * hours) - give.hassle * hours


@inlined
def _waited(market: _Market, waits: Floats, kw: float, back: float, price: float, share: float) -> float:
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
def _least_stored(market: _Market, give: _Give, share: float, rest: float) -> float:
    """Return the least price >= 0 at which what storage brings and `rest` are more than 0 together; -1: there is none.

    Between two neighbouring points the hours sold are the same and the worth rises with the price: the least price
    lies in the lowest such stretch whose upper end is worth it.
    """
    if _stored(market, give, 0.0, share) + rest > 0.0:
        return 0.0
    if give.kw <= 0.0 or give.kwh <= 0.0:
        return -1.0
    lasts, before = give.kwh / give.kw, 0.0
    shared, n = market.n, market.n  # the first `shared` points are paid the share
    for j in range(n - 1, -1, -1):
        if market.points[j] <= 0.0 or (j + 1 < n and market.points[j] == market.points[j + 1]):
            continue
        price = market.points[j] / (1.0 + market.margin)
        hours = min(market.until[j + 1], lasts)
        while shared > 0 and share * market.points[shared - 1] < price:
            shared -= 1
        # worth at most: all of it paid the better of the two
        if give.kw * (price + share * market.points[0] - give.cost) * hours - give.hassle * hours + rest > 0.0:
            part = min(hours, market.until[shared])
            pay = share * _dearest(market, part, 0, shared) + price * (hours - part)
            if give.kw * (pay - give.cost * hours) - give.hassle * hours + rest > 0.0:
                low, high = min(before + 2.0 * SAME, price), price
                for step in range(HALVINGS):
                    middle = low if step == 0 else 0.5 * (low + high)
                    worth = give.kw * (_pay(market, middle, share, hours) - give.cost * hours) - give.hassle * hours
                    if worth + rest > 0.0:
                        high = middle
                    else:
                        low = middle
                if _stored(market, give, high, share) + rest > 0.0:
                    return high
        before = price
    return -1.0


@inlined
def _least_waited(market: _Market, waits: Floats, kw: float, back: float, share: float, rest: float) -> float:
    """Return the least price >= 0 at which what waits and `rest` are more than 0 together; -1: there is none."""
    if _waited(market, waits, kw, back, 0.0, share) + rest > 0.0:
        return 0.0
    found, before = -1.0, 0.0
    for c in range(market.cells):
        if min(waits[c], kw) > 0.0:
            for s in market.surprise:
                price = (market.da[c] + s) / (1.0 + market.margin)
                if (
                    price > 0.0
                    and (found < 0.0 or price < found)
                    and _waited(market, waits, kw, back, price, share) + rest > 0.0
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
        if _waited(market, waits, kw, back, middle, share) + rest > 0.0:
            high = middle
        else:
            low = middle
    return high


# -- answers -----------------------------------------------------------------------------------------------


class _Reach(NamedTuple):
    """What storage can give under some terms in some window."""

    kw: float
    kwh: float
    waits_kw: float  # most that charging that waits may amount to


@inlined
def _reach(
    own: Situation, i: int, w: int, hours: float, eta: float, floor: float, day: float, kw: float, waived: bool
) -> _Reach:
    """A battery gives what it holds now; over a longer window it is filled each day, by its sun or from the grid.

    A limit that is stricter than the owner's own is the own one, as the world keeps contracts.
    """
    if w == 0 and own.blackout[i] and not waived:
        return _Reach(0.0, 0.0, 0.0)
    least, day = max(min(floor, own.floor_kwh[i]), own.min_kwh[i]), max(day, own.day_kwh[i])
    if w == 0:
        kwh = min((own.soc_kwh[i] - least) * eta, day - own.discharged_kwh[i])
    else:
        kwh = min((own.max_kwh[i] - least) * eta, day)
    kwh = max(kwh, 0.0)
    power = own.bess_kw[i] if kwh > 0.0 else 0.0
    return _Reach(min(power + own.v2g_kw[i], kw), kwh + own.v2g_kw[i] * hours, kw)


@inlined
def _impossible(own: Situation, i: int, terms: Floats) -> bool:
    """Whether terms ask for what the devices cannot do, or what lies beyond their hard limits."""
    if terms[KW, i] > own.device_kw[i] + SLACK:
        return True
    floor, target = terms[FLOOR, i], terms[TARGET, i]
    if own.bess_kw[i] > 0.0 and (floor < own.min_kwh[i] - SLACK or floor > own.max_kwh[i] + SLACK):
        return True
    return own.ev_kwh[i] > 0.0 and (target < own.ev_min_kwh[i] - SLACK or target > own.ev_kwh[i] + SLACK)


@inlined
def _raised(terms: Floats, row: int, i: int, needed: bool, value: float) -> bool:
    """Raise a price to a value that it does not cover; return whether that was so."""
    if not needed or terms[row, i] >= value:
        return False
    terms[row, i] = value
    return True


@inlined
def _uncovered(own: Situation, i: int, terms: Floats, f: float, call_hours: float, reserve: bool) -> bool:
    """Raise the prices of concessions that do not cover what they cost the owner; return whether there were any."""
    battery = own.bess_kw[i] > 0.0
    standby = f * (own.standby_value[i] + call_hours * own.cost[i])
    car = own.ev_kwh[i] > 0.0 and terms[TARGET, i] < own.target_kwh[i] - SLACK
    floor = _raised(
        terms, FLOOR_PRICE, i, battery and terms[FLOOR, i] < own.floor_kwh[i] - SLACK, f * own.floor_value[i]
    )
    short = _raised(terms, CAR_PRICE, i, car, f * own.car_value[i])
    over = _raised(
        terms, OVERUSE_PRICE, i, battery and terms[DAY, i] > own.day_kwh[i] + SLACK, f * own.overuse_value[i]
    )
    black = _raised(terms, BLACKOUT_PRICE, i, own.windows[i] and terms[BLACKOUT, i] > 0.5, f * own.blackout_value[i])
    stands = _raised(terms, RESERVE_PRICE, i, reserve and own.device_kw[i] > 0.0, standby)
    return floor or short or over or black or stands


class _Outside(NamedTuple):
    """Expected USD of a window without a contract."""

    stored: float
    waited: float


@inlined
def _outside(own: Situation, market: _Market, eta: float, share: float, i: int, w: int) -> _Outside:
    reach = _reach(own, i, w, market.hours, eta, own.floor_kwh[i], own.day_kwh[i], own.device_kw[i], False)
    give = _Give(reach.kw, reach.kwh, own.cost[i], own.hassle_value[i])
    sold = _stored(market, give, own.own_ask[i], share)
    put_off = _waited(market, own.waits_kw[i], reach.waits_kw, own.back[i], own.defer_ask[i], share)
    return _Outside(max(sold, 0.0), max(put_off, 0.0))


class _Worth(NamedTuple):
    """Expected USD of a window under a contract, and without one."""

    stored: float
    waited: float
    fee: float
    outside: _Outside


@inlined
def _worth(
    own: Situation, market: _Market, eta: float, i: int, w: int, terms: Floats, f: float, outside: _Outside
) -> _Worth:
    """What terms are worth to an owner who claims `f` times its costs, against what it would truly earn without."""
    waived = terms[BLACKOUT, i] > 0.5
    reach = _reach(own, i, w, market.hours, eta, terms[FLOOR, i], terms[DAY, i], terms[KW, i], waived)
    give = _Give(reach.kw, reach.kwh, f * own.cost[i], f * own.hassle_value[i])
    share = terms[SHARE, i]
    stored = _stored(market, give, terms[PRICE, i], share)
    waited = _waited(market, own.waits_kw[i], reach.waits_kw, f * own.back[i], terms[DEFER_PRICE, i], share)
    fee = terms[AVAILABILITY, i] * terms[KW, i] * market.cells * market.hours
    return _Worth(stored, waited, fee, outside)


@inlined
def _gain(worth: _Worth) -> float:
    return worth.stored + worth.waited + worth.fee - worth.outside.stored - worth.outside.waited


@inlined
def _counter(
    own: Situation, market: _Market, rules: OwnerRules, i: int, w: int, terms: Floats, f: float, outside: _Outside
) -> bool:
    """Change terms that are not worth it to the owner's own; return whether it has any.

    First what charging that waits must earn, then what storage must, up to its own asks; where that is not enough, the
    same at the share that it gets without a contract; and else its own asks and a fee for what is still missing.
    """
    eta, put_off = rules.eta, outside.waited
    waived = terms[BLACKOUT, i] > 0.5
    reach = _reach(own, i, w, market.hours, eta, terms[FLOOR, i], terms[DAY, i], terms[KW, i], waived)
    give = _Give(reach.kw, reach.kwh, f * own.cost[i], f * own.hassle_value[i])
    worth = _worth(own, market, eta, i, w, terms, f, outside)
    for usual in range(2):
        if usual == 1:
            if terms[SHARE, i] >= rules.share:
                break
            terms[SHARE, i] = rules.share
            worth = _worth(own, market, eta, i, w, terms, f, outside)
        share = terms[SHARE, i]
        if worth.waited <= put_off:
            waits, back = own.waits_kw[i], f * own.back[i]
            price = _least_waited(market, waits, reach.waits_kw, back, share, -put_off)
            if price < 0.0 or price > f * own.defer_ask[i]:
                price = f * own.defer_ask[i]
            if _waited(market, waits, reach.waits_kw, back, price, share) > worth.waited:
                terms[DEFER_PRICE, i] = price
                worth = _worth(own, market, eta, i, w, terms, f, outside)
        if _gain(worth) > 0.0:
            return True
        price = _least_stored(market, give, share, _gain(worth) - worth.stored)
        if 0.0 <= price <= f * own.own_ask[i]:
            terms[PRICE, i] = price
            return _gain(_worth(own, market, eta, i, w, terms, f, outside)) > 0.0
    if give.kw > 0.0:
        terms[PRICE, i] = f * own.own_ask[i]
    missing = -_gain(_worth(own, market, eta, i, w, terms, f, outside))
    if missing < 0.0:
        return True
    kwh = terms[KW, i] * market.cells * market.hours
    if kwh <= 0.0:
        return False
    terms[AVAILABILITY, i] += (missing + HIGHER) / kwh
    return _gain(_worth(own, market, eta, i, w, terms, f, outside)) > 0.0


@kernel
def judge(
    to: Flags, window: Ints, terms: Floats, factor: Floats, own: Situation, know: Belief, rules: OwnerRules
) -> Judgement:
    """Let the owners of H homes answer.

    Parameters
    ----------
    to : ndarray
        (H,) who has an offer.
    window : ndarray
        (H,) values of `Window`.
    terms : ndarray
        (15, H) what is offered, rows as the fields of `Terms`.
    factor : ndarray
        (H,) what each owner says of its values and costs, as a multiple of them (see `owners.brains`).
    own, know, rules :
        The homes, what is expected of prices, the market's rules.
    """
    count = len(to)
    n = count // len(know.da)
    accepted, countered = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    reason, gain, said = np.zeros(count, dtype=np.int64), np.zeros(count), terms.copy()
    for i in range(count):
        if not to[i]:
            continue
        m, w, f = i // n, window[i], factor[i]
        reason[i] = PRICE_REASON
        if _impossible(own, i, terms):
            reason[i] = LIMIT_REASON
            continue
        market, eta = _market(know, m, w, rules.margin), rules.eta
        outside = _outside(own, market, eta, rules.share, i, w)
        gain[i] = _gain(_worth(own, market, eta, i, w, said, 1.0, outside))
        worth_it = gain[i] > 0.0 and not _uncovered(own, i, said, 1.0, rules.call_hours, rules.reserve)
        claims = worth_it
        if f != 1.0 or not worth_it:
            for row in range(len(said)):
                said[row, i] = terms[row, i]
            claimed = (gain[i] if f == 1.0 else _gain(_worth(own, market, eta, i, w, said, f, outside))) > 0.0
            short = _uncovered(own, i, said, f, rules.call_hours, rules.reserve)
            claims = claimed and not short
            if not claimed:
                countered[i] = _counter(own, market, rules, i, w, said, f, outside)
            elif not (worth_it and claims):
                countered[i] = short
        accepted[i] = worth_it and claims
        if accepted[i]:
            reason[i] = AGREED_REASON
        elif not countered[i]:
            for row in range(len(said)):
                said[row, i] = terms[row, i]
    return Judgement(accepted, countered, reason, gain, said)
