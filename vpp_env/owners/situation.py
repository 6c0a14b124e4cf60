"""What an owner knows when it is asked: itself, and what is public of the prices. Types, and how beliefs are made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.units import Flags, Floats, Ints

LEVELS = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0])
"""Edges of the quantile groups of past surprises that an owner reckons with: fine where spikes are [assumed]."""
LEAST_SURPRISES = 96
"""Past steps below which an owner reckons with none: a day [assumed]."""


class Belief(NamedTuple):
    """What is expected of real-time prices, from public data alone; C cells of one opportunity's length."""

    da: Floats  # (M, C) day-ahead price of each cell, USD/kWh; an hour that is not published repeats the day before
    surprise: Floats  # (M, B) real-time price less day-ahead price, USD/kWh
    weight: Floats  # (B,) how likely each is
    points: Floats  # (M, 3, C * B) by window: the expected prices, falling; beyond the window's cells -inf
    until: Floats  # (M, 3, C * B + 1) h: how long the dearest so many points last
    above: Floats  # (M, 3, C * B + 1) USD/kWh x h: what a kW earns at their prices
    cells: Ints  # (3,) of each window
    hours: float  # length of a cell


class Situation(NamedTuple):
    """What the owners of H homes know of themselves at a gate, (H,) each unless said."""

    # devices
    device_kw: Floats  # all that a sell bid of 1 stands for
    bess_kw: Floats
    min_kwh: Floats  # hard minimum of the battery
    max_kwh: Floats
    ev_min_kwh: Floats
    ev_kwh: Floats
    # state
    soc_kwh: Floats
    discharged_kwh: Floats  # today
    v2g_kw: Floats  # V2G inside the envelope over the opportunity that is bid for
    waits_kw: Floats  # (H, C) charging that can wait in each cell
    # wishes
    floor_kwh: Floats
    target_kwh: Floats
    day_kwh: Floats
    blackout: Flags  # a window lies in the opportunity
    windows: Flags  # there are blackout windows
    # what they are worth, USD
    floor_value: Floats  # phi
    car_value: Floats  # epsilon
    hassle_value: Floats  # alpha
    blackout_value: Floats  # beta
    overuse_value: Floats  # delta
    standby_value: Floats  # sigma
    # USD/kWh
    cost: Floats  # wear and refill / efficiency per kWh that storage gives
    back: Floats  # expected price of charging that waited
    own_ask: Floats
    defer_ask: Floats


class OwnerRules(NamedTuple):
    """The rules that all owners share."""

    eta: float  # one-way efficiency of a battery
    margin: float  # the VPP offers at ask x (1 + margin)
    share: float  # of the real-time price, paid without a contract
    call_hours: float  # expected h of call per hour on reserve
    reserve: bool  # reserve is sold at all


# -- beliefs -----------------------------------------------------------------------------------------------


def surprises(past_rt: Floats, past_da: Floats) -> tuple[Floats, Floats]:
    """Return (M, B) surprises, means of quantile groups of the past ones, and (B,) their shares; 0 for the first day.

    Parameters
    ----------
    past_rt, past_da : ndarray
        (M, t) prices of past steps, USD/kWh.
    """
    months, t = past_rt.shape
    if t < LEAST_SURPRISES:
        return np.zeros((months, 1)), np.ones(1)
    rows = np.sort(past_rt - past_da, axis=1)
    edges = np.unique((t * LEVELS).astype(np.int64))
    count = np.diff(edges)
    return np.asarray(np.add.reduceat(rows, edges[:-1], axis=1) / count), count / t


def belief(da: Floats, surprise: Floats, weight: Floats, cells: Ints, hours: float) -> Belief:
    """Sort what is expected of the cells (M, C), for each window: opportunity, evening, until further notice."""
    months, count = da.shape
    b = len(weight)
    points = np.full((months, 3, count * b), -np.inf)
    until, above = np.zeros((2, months, 3, count * b + 1))
    for w, last in enumerate(cells):
        if w and last == cells[w - 1]:
            for array in (points, until, above):
                array[:, w] = array[:, w - 1]
            continue
        size = last * b
        prices = (da[:, :last, None] + surprise[:, None, :]).reshape(months, size)
        order = np.argsort(-prices, axis=1, kind="stable")
        prices, length = np.take_along_axis(prices, order, axis=1), hours * weight[order % b]
        points[:, w, :size] = prices
        np.cumsum(length, axis=1, out=until[:, w, 1 : size + 1])
        np.cumsum(prices * length, axis=1, out=above[:, w, 1 : size + 1])
    return Belief(da, surprise, weight, points, until, above, cells, hours)
