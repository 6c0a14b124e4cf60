"""The owner's own arithmetic: what a contract is worth to it, and at which terms it would be indifferent.

    gain = expected pay of the contract - true cost - hassle + availability fee - the same without a contract

The equations stand in docs/owners.md; tests/owners/plain_owner.py says them again in plain Python. An owner knows its
devices, its private values and the public past, and no price that has not happened. All functions are pure: arrays over
H = M x N homes in, arrays out; row i follows from row i and the month's prices alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.contract.terms import Reason
from vpp_env.jit import inlined, kernel
from vpp_env.owners.earnings import Give, Market, least_stored, least_waited, market_of, stored, waited
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


class Judgement(NamedTuple):
    """What the owners make of offers, (H,) each."""

    accepted: Flags
    countered: Flags
    reason: Ints  # AGREED, PRICE or LIMIT
    gain_usd: Floats  # expected by true values: over the window, of `NOTICE` over a day
    terms: Floats  # (15, H) as offered; countered: the owner's own


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
def _outside(own: Situation, market: Market, eta: float, share: float, i: int, w: int) -> _Outside:
    reach = _reach(own, i, w, market.hours, eta, own.floor_kwh[i], own.day_kwh[i], own.device_kw[i], False)
    give = Give(reach.kw, reach.kwh, own.cost[i], own.hassle_value[i])
    sold = stored(market, give, own.own_ask[i], share)
    put_off = waited(market, own.waits_kw[i], reach.waits_kw, own.back[i], own.defer_ask[i], share)
    return _Outside(max(sold, 0.0), max(put_off, 0.0))


class _Worth(NamedTuple):
    """Expected USD of a window under a contract, and without one."""

    stored: float
    waited: float
    fee: float
    outside: _Outside


@inlined
def _worth(
    own: Situation, market: Market, eta: float, i: int, w: int, terms: Floats, f: float, outside: _Outside
) -> _Worth:
    """What terms are worth to an owner who claims `f` times its costs, against what it would truly earn without."""
    waived = terms[BLACKOUT, i] > 0.5
    reach = _reach(own, i, w, market.hours, eta, terms[FLOOR, i], terms[DAY, i], terms[KW, i], waived)
    give = Give(reach.kw, reach.kwh, f * own.cost[i], f * own.hassle_value[i])
    share = terms[SHARE, i]
    sold = stored(market, give, terms[PRICE, i], share)
    put_off = waited(market, own.waits_kw[i], reach.waits_kw, f * own.back[i], terms[DEFER_PRICE, i], share)
    fee = terms[AVAILABILITY, i] * terms[KW, i] * market.cells * market.hours
    return _Worth(sold, put_off, fee, outside)


@inlined
def _gain(worth: _Worth) -> float:
    return worth.stored + worth.waited + worth.fee - worth.outside.stored - worth.outside.waited


@inlined
def _counter(
    own: Situation, market: Market, rules: OwnerRules, i: int, w: int, terms: Floats, f: float, worth: _Worth
) -> bool:
    """Change terms that are not worth it, but `worth`, to the owner's own; return whether it has any.

    First what charging that waits must earn, then what storage must, up to its own asks; where that is not enough, the
    same at the share that it gets without a contract; and else its own asks and a fee for what is still missing.
    """
    eta, outside, put_off = rules.eta, worth.outside, worth.outside.waited
    waived = terms[BLACKOUT, i] > 0.5
    reach = _reach(own, i, w, market.hours, eta, terms[FLOOR, i], terms[DAY, i], terms[KW, i], waived)
    give = Give(reach.kw, reach.kwh, f * own.cost[i], f * own.hassle_value[i])
    for usual in range(2):
        if usual == 1:
            if terms[SHARE, i] >= rules.share:
                break
            terms[SHARE, i] = rules.share
            worth = _worth(own, market, eta, i, w, terms, f, outside)
        share = terms[SHARE, i]
        if worth.waited <= put_off:
            waits, back = own.waits_kw[i], f * own.back[i]
            price = least_waited(market, waits, reach.waits_kw, back, share, -put_off)
            if price < 0.0 or price > f * own.defer_ask[i]:
                price = f * own.defer_ask[i]
            if waited(market, waits, reach.waits_kw, back, price, share) > worth.waited:
                terms[DEFER_PRICE, i] = price
                worth = _worth(own, market, eta, i, w, terms, f, outside)
        if _gain(worth) > 0.0:
            return True
        price = least_stored(market, give, share, _gain(worth) - worth.stored)
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
    eta, at = rules.eta, (0, 0)
    market = market_of(know, 0, 0, rules.margin)
    for i in range(count):
        if not to[i]:
            continue
        m, w, f = i // n, window[i], factor[i]
        reason[i] = PRICE_REASON
        if _impossible(own, i, terms):
            reason[i] = LIMIT_REASON
            continue
        if at != (m, w):
            market, at = market_of(know, m, w, rules.margin), (m, w)
        outside = _outside(own, market, eta, rules.share, i, w)
        worth = _worth(own, market, eta, i, w, said, 1.0, outside)
        gain[i] = _gain(worth)
        worth_it = gain[i] > 0.0 and not _uncovered(own, i, said, 1.0, rules.call_hours, rules.reserve)
        claims = worth_it
        if f != 1.0 or not worth_it:
            for row in range(len(said)):
                said[row, i] = terms[row, i]
            if f != 1.0:
                worth = _worth(own, market, eta, i, w, said, f, outside)
            claimed = _gain(worth) > 0.0
            short = _uncovered(own, i, said, f, rules.call_hours, rules.reserve)
            claims = claimed and not short
            if not claimed:
                countered[i] = _counter(own, market, rules, i, w, said, f, worth)
            elif not (worth_it and claims):
                countered[i] = short
        accepted[i] = worth_it and claims
        if accepted[i]:
            reason[i] = AGREED_REASON
        elif not countered[i]:
            for row in range(len(said)):
                said[row, i] = terms[row, i]
    return Judgement(accepted, countered, reason, gain, said)
