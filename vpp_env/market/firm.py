"""Firm evening capacity: what is committed the day before, called when tomorrow is dear, and paid as demonstrated.

At the day-ahead gate (10:00) the VPP commits kW for the evening hours of the next local day. An evening is called when
a day-ahead price in its hours passes the threshold, which is public with the prices at 13:00. With q_d the mean change
of power at the homes' meters over evening d against their baselines (net: purchases, charging bought back by force and
batteries that the homes refill themselves count against it) and c_d the commitment:

    called     pays rate (min(q_d, c_d) - 2 c_d [q_d < .5 c_d])     when the evening is over
    uncalled   pays rate min(c_d, D)                                at the end of the run
    D          mean over the called evenings of min(q_d, c_d)       at most 0 for one on which nothing was committed

A commitment is worth no more than what was demonstrated, whoever guesses which evenings are called. With E called and
U uncalled evenings the whole run pays at most rate (1 + U/E) sum of q_d: it is linear in energy (`capacity_bonus`), and
that is how every ceiling knows it. A VPP that commits nothing in a run takes no part and is neither paid nor charged.

The shape is that of California's DSGS option 4 and of resource adequacy: a commitment up front, pay adjusted for
performance, a clawback on large shortfalls, few hours a season, a test where nothing was called.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vpp_env.market.clearing import floor_tick
from vpp_env.scenario import Scenario
from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.specs import MarketSpec
from vpp_env.units import DT_H, KWH_PER_MWH, Flags, Floats

MONTH_DAYS = 30
"""Evenings over which a month's rate is paid [assumed]."""
FIRST_DAY = 2
"""Local day of a run whose evening is the first that may be committed: at its gate one evening is past [assumed]."""
TEST_EVENINGS = 7
"""The test is drawn from so many of a run's last evenings: by then it is known whether one was called [assumed]."""


class Evening(NamedTuple):
    """One evening that can be committed: its gate and all of its hours lie in the run."""

    day: int  # local day
    gate: int  # step at which its commitment is due
    first: int  # its first step
    stop: int  # the step after its last


class Draws(NamedTuple):
    """What one month draws for its evenings."""

    test: float  # [0, 1): which of the last evenings is the test, where none was called before it
    stays: Flags  # (E, N) whose owners stay in on that evening, should it be called


def evenings(scenario: Scenario) -> tuple[Evening, ...]:
    """Return the run's evenings; none where the scenario sells no firm capacity."""
    market, calendar = scenario.market, scenario.calendar
    if not market.firm_capacity:
        return ()
    return _evenings(calendar, *market.capacity_hours, market.day_ahead_gate_hour)


@lru_cache(maxsize=16)
def _evenings(calendar: Calendar, first: float, last: float, gate_hour: float) -> tuple[Evening, ...]:
    """The evenings of a run, the same for all of its months."""
    hour, day = calendar.hour, calendar.day
    gates = {int(day[t]) + 1: int(t) for t in np.flatnonzero(hour == gate_hour)}
    whole = round((last - first) / DT_H)
    found = []
    for d, gate in gates.items():
        if d < FIRST_DAY:
            continue
        steps = np.flatnonzero((day == d) & (hour >= first) & (hour < last))
        if len(steps) == whole:
            found.append(Evening(d, gate, int(steps[0]), int(steps[-1]) + 1))
    return tuple(found)


def called_evenings(market: MarketSpec, found: tuple[Evening, ...], da_usd_per_mwh: Floats, test_draw: float) -> Flags:
    """(E,) bool: the evenings that are called, in turn until the season's hours are used up.

    Where none was called before it, one of the last `TEST_EVENINGS` is called whatever its price: the test. What is
    called up to a day follows from prices that are public by then.

    Parameters
    ----------
    market, found : MarketSpec, tuple of Evening
        The rules, and the run's evenings.
    da_usd_per_mwh : ndarray
        (S,) day-ahead prices of the run.
    test_draw : float
        See `Draws`.
    """
    first, last = market.capacity_hours
    left = int(market.capacity_season_hours / (last - first) + 1e-9)
    most = min(TEST_EVENINGS, len(found))
    test = len(found) - most + int(test_draw * most)
    called = [False] * len(found)
    for e, evening in enumerate(found):
        dear = da_usd_per_mwh[evening.first : evening.stop].max() > market.capacity_call_usd_per_mwh
        if left > 0 and (dear or (e == test and not any(called))):
            called[e] = True
            left -= 1
    return np.array(called, dtype=np.bool_)


def rate_usd_per_kw_day(market: MarketSpec) -> float:
    """USD that a kW earns on one evening, where firm capacity is on sale."""
    return market.capacity_usd_per_kw_month / MONTH_DAYS


def capacity_bonus(market: MarketSpec, found: tuple[Evening, ...], called: Flags, n_steps: int) -> Floats:
    """(T,) USD/kWh: the most that net energy in each step of the run brings as capacity, for any commitments.

    The run pays at most rate (sum over called of min(q, c) + U D) = rate (1 + U/E) sum of min(q, c), and
    min(q, c) <= q = energy of the evening / its hours, also where q < 0: a net purchase costs as much.
    """
    bonus = np.zeros(n_steps)
    events = int(called.sum())
    for e in np.flatnonzero(called):
        first, stop = found[e].first, found[e].stop
        bonus[first:stop] = rate_usd_per_kw_day(market) * len(found) / events / ((stop - first) * DT_H)
    return bonus


class Statement(NamedTuple):
    """What the evenings of runs come to."""

    usd: Floats  # (..., E) what each pays; negative: is charged
    clawback_usd: Floats  # (..., E) of it taken back for a large shortfall, as a positive figure
    demonstrated_kw: Floats  # (...) D


def settle_evenings(market: MarketSpec, committed_kw: Floats, delivered_kw: Floats, called: Flags) -> Statement:
    """Settle all evenings of each run, (..., E) each; see the module's equations."""
    rate = rate_usd_per_kw_day(market)
    takes_part = np.any(committed_kw > 0.0, axis=-1)
    firm = np.minimum(delivered_kw, committed_kw)
    demonstrated = np.where(takes_part, _mean_of(firm, called), 0.0)
    short = called & (delivered_kw < market.capacity_least_performance * committed_kw)
    clawback = np.where(short, market.capacity_clawback * rate * committed_kw, 0.0)
    paid = rate * np.where(called, firm, np.minimum(committed_kw, demonstrated[..., None]))
    usd = np.where(takes_part[..., None], paid - clawback, 0.0)
    return Statement(usd, clawback, demonstrated)


def _mean_of(values: Floats, chosen: Flags) -> Floats:
    """(...) mean of the chosen ones of each row of (..., E); 0 where none is."""
    runs = math.prod(values.shape[:-1])
    rows, on = (x.reshape(runs, values.shape[-1]) for x in (values, chosen))
    counts, means = on.sum(axis=1), np.zeros(len(rows))
    for count in np.unique(counts[counts > 0]):
        # rows with as many chosen are one array, whose means have the bits of each row's own
        alike = counts == count
        means[alike] = rows[alike][on[alike]].reshape(-1, count).mean(axis=1)
    return means.reshape(values.shape[:-1])


def performance(committed_kw: Floats, delivered_kw: Floats) -> Floats:
    """Delivered share of what was committed, within [0, 1]; NaN where nothing was committed. Any shapes."""
    share = np.full(np.shape(committed_kw), np.nan)
    np.divide(delivered_kw, committed_kw, out=share, where=committed_kw > 0.0)
    return np.clip(share, 0.0, 1.0)


def strike_tick(market: MarketSpec) -> int:
    """Highest ask that a call dispatches, in ticks: the threshold, less the margin of an offer."""
    return int(floor_tick(np.array(market.capacity_call_usd_per_mwh / KWH_PER_MWH / (1.0 + market.margin))))


def least_kw(market: MarketSpec) -> float:
    """Least commitment, kW: a smaller one commits nothing."""
    return market.min_bid_mw * KWH_PER_MWH


def most_kw(market: MarketSpec) -> float:
    """Most that may be committed, kW."""
    return market.max_capacity_mw * KWH_PER_MWH
