"""Owners who do not stay in on a called evening, in a ceiling: nobody sells what is not at home.

On an evening that is called and was committed the owners who drop out take no bid, whoever plays. So on such an evening
their devices give nothing to the market and hold no reserve; that they may still take in, only raises the ceiling. On a
called evening that was not committed everybody is in, but capacity pays at most 0: its bonus is gone. Which of the two
an evening is, is one choice for the whole fleet, and the ceiling must hold for every pattern of choices.

With A the best plan where every called evening is committed, shadow prices in it, and for each evening e

    alone_e = the best plan where e alone is not committed
    kappa_e = sum over devices of max over states s at the beginning of e of (what follows from s, e not committed) -
              (what follows from s, e committed)

a pattern that leaves the set B of evenings uncommitted earns at most alone_first + sum of kappa_e over the rest of B:
putting one evening's way of playing into the place of the other's, the last one first, lifts what follows from any
state by at most kappa_e. Also the bonus may be charged and paid on an evening that is not committed, since that is no
less than min(q, 0), what is paid on it: kappa_e is then what being in is worth to those who drop out, and the lower of
the two counts. So the higher of A and the highest of these bounds every pattern. Each maximum is taken from values on a
grid: between two points what is concave lies above its chord and below the extended chords of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes
from vpp_policies.optimal.devices import Device, Goal
from vpp_policies.optimal.shadow import Prices, ceiling, priced
from vpp_policies.optimal.storage import backward

POINTS = 257
"""States at which the value of a device is written down at the beginning of an evening."""


class Dropped(NamedTuple):
    """A called evening, and who does not stay in should it be committed."""

    first: int  # its first step
    stop: int  # the step after its last
    out: NDArray[np.bool_]  # (N,) homes that take no bid


def closed(made: Sequence[Device], f: Foresight, evenings: Sequence[Dropped]) -> list[Device]:
    """Return devices that give nothing to the market, and hold no reserve, while their owners are out.

    Bids are taken by the opportunity: who is out takes none of those that begin in the evening.
    """
    begin = np.arange(f.n_steps) // f.steps * f.steps
    shut = [(begin >= e.first) & (np.arange(f.n_steps) < e.stop) for e in evenings]
    found = []
    for device in made:
        rows = np.zeros(f.n_steps, dtype=np.bool_)
        for e, inside in zip(evenings, shut, strict=True):
            rows |= inside & e.out[device.home]
        out_w, rho = device.store.out_w.copy(), device.rho.copy()
        # what a battery gives its own home needs no bid; all that a car gives does
        out_w[np.ix_(rows, device.grid_kwh > 0.0)] = 0.0
        rho[rows] = 0.0
        found.append(device._replace(store=device.store._replace(out_w=out_w), rho=rho))
    return found


def without_bonus(f: Foresight, homes: Homes, goal: Goal, evening: Dropped) -> Foresight:
    """Return the month in which one called evening brings no bonus, to the baseline neither."""
    bonus = f.bonus.copy()
    bonus[evening.first : evening.stop] = 0.0
    return replace(f, bonus=bonus, baseline_bonus_usd=f.baseline_bonus_usd - baseline_bonus(f, homes, goal, evening))


def baseline_bonus(f: Foresight, homes: Homes, goal: Goal, evening: Dropped) -> NDArray[np.float64]:
    """(N,) USD: the bonus of what the baseline's batteries give in one evening, less what they take in."""
    held = np.concatenate([homes.soc_kwh[None], f.baseline_bess_kwh])[evening.first : evening.stop + 1]
    came = np.diff(held, axis=0)
    # one interval sees a battery charge or discharge, never both
    given = np.where(came > 0.0, -came / goal.rules.bess_eta, -came * goal.rules.bess_eta)
    return np.asarray(f.bonus[evening.first : evening.stop] @ given)


def uncommitted_usd(
    evenings: Sequence[Dropped],
    inside: Sequence[Device],
    free: Callable[[int, bool], Sequence[Device]],
    prices: Sequence[Prices],
    reserve_h: float,
) -> float:
    """Return the most that is earned by who leaves called evenings, one at least, without a commitment, USD.

    Parameters
    ----------
    evenings : sequence of Dropped
        The called evenings, in turn; one at least.
    inside : sequence of Device
        Of who commits them all.
    free : callable
        `free(j, False)`: the same devices where evening j alone is not committed and brings no bonus; `free(j, True)`:
        where everybody is in on it and its bonus is paid.
    prices : sequence of Prices
        Shadow prices of each device; any will do.
    reserve_h : float
        Hours of energy behind reserve.
    """
    alone, kappa, paid = np.zeros(len(evenings)), np.zeros(len(evenings)), np.zeros(len(evenings))
    for j, evening in enumerate(evenings):
        for one, other, price in zip(inside, free(j, False), prices, strict=True):
            whole, instead = _values(other, price, reserve_h, evening.first)
            alone[j] += whole
            if len(evenings) > 1:
                kappa[j] += _highest(instead, _values(one, price, reserve_h, evening.first)[1])
        for one, all_in, price in zip(inside, free(j, True), prices, strict=True) if len(evenings) > 1 else ():
            if evening.out[one.home]:
                ends = [_values(device, price, reserve_h, evening.first)[1] for device in (all_in, one)]
                paid[j] += _highest(*ends)
    kappa = np.minimum(kappa, paid)
    # of those left uncommitted after the first one all that bring something are taken
    later = np.maximum(kappa, 0.0)[::-1].cumsum()[::-1] - np.maximum(kappa, 0.0)
    return float((alone + later).max())


def _values(device: Device, prices: Prices, reserve_h: float, first: int) -> tuple[float, NDArray[np.float64]]:
    """Return the ceiling of a device, USD, and what follows from equally spaced states at step `first`, alike."""
    found = backward(priced(device, prices, reserve_h, DT_H), first, POINTS)
    return (
        ceiling(device, prices, found.value, reserve_h, DT_H),
        found.grid[1] + ceiling(device, prices, 0.0, reserve_h, DT_H),
    )


def _highest(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """No less than the maximum of the difference of two concave functions of which equally spaced values are given."""
    # a concave function turns by so much at the points between; it lies above a chord by no more than the extensions of
    # its neighbours, which meet above it
    turn = np.maximum(-np.diff(above, 2), 0.0)
    left, right = turn[:-1], turn[1:]
    inner = left * right / np.maximum(left + right, 1e-12)
    bump = np.concatenate([turn[:1], inner, turn[-1:]])
    gap = above - below
    return float((np.maximum(gap[:-1], gap[1:]) + bump).max())
