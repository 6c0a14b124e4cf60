"""Welfare: what a run is worth to everybody, every breach of a wish at its owner's private price.

    D_i = phi dt sum_t [min(F, soc_b) - soc]+ + epsilon sum_departures kWh short + delta sum_days [dis - L]+
          + beta kWh in a blackout window + alpha clock hours of hassle + sigma kW-h on reserve + restoring
    W   = market revenue - compute cost - sum_i (bill - bill_b + wear + charging elsewhere - closing value + D_i)
        = VPP's profit + sum_i (net benefit_i - D_i)                              payments cancel

F is the reserve floor or the hard minimum, whichever is higher; b marks the baseline; L is `Fleet.day_discharge_kwh`.
"""

from __future__ import annotations

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.scenario.specs import HomeSpec
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import HASSLE_KWH, Fleet
from vpp_env.units import DT_H, Floats, Ints

PARTS = ("floor", "car", "overuse", "blackout", "hassle", "standby", "restoring")
"""Kinds of private cost."""


class BrokenWishes:
    """How much of what was asked of every home over a run, added up opportunity by opportunity.

    Rows of `amounts` are the first six of `PARTS`: kWh h, kWh, kWh, kWh, clock hours, kW-h.
    """

    def __init__(self, fleet: Fleet) -> None:
        n = fleet.n
        self._fleet = fleet
        self._floor = np.maximum(fleet.floor_kwh, fleet.bess_min_kwh)
        self._done = np.zeros((len(PARTS) - 1, n))
        self._day_kwh, self._hour_kwh, self._hour = np.zeros(n), np.zeros(n), -1

    def add(self, outcome: Outcome, hour: int, day_ends: bool) -> None:
        """Add one opportunity of the first month.

        Parameters
        ----------
        outcome : Outcome
            What was played.
        hour : int
            Clock hour of the run that it lies in, counted from its start.
        day_ends : bool
            Whether the local day is over with it.
        """
        rows = outcome.ledger[:, 0]
        if hour != self._hour:
            self._done[4] += self._hour_kwh > HASSLE_KWH
            self._hour_kwh[:], self._hour = 0.0, hour
        soc, baseline = outcome.soc_home_kwh[:, 0, 0], outcome.soc_home_kwh[:, 1, 0]
        self._done[0] += DT_H * below(self._floor, soc, baseline).sum(axis=0)
        self._done[1] += np.maximum(outcome.short[0], 0.0) * self._fleet.ev_kwh
        self._done[3] += rows[led.L_BLACK]
        self._done[5] += rows[led.L_RESERVE]
        self._day_kwh += rows[led.L_BESS]
        self._hour_kwh += rows[led.L_BESS] + rows[led.L_V2G]
        if day_ends:
            self._done[2] += self._beyond_day()
            self._day_kwh[:] = 0.0

    def _beyond_day(self) -> Floats:
        return np.maximum(self._day_kwh - self._fleet.day_discharge_kwh, 0.0)

    @property
    def amounts(self) -> Floats:
        """(6, N), the day and the hour in progress included."""
        out = self._done.copy()
        out[2] += self._beyond_day()
        out[4] += self._hour_kwh > HASSLE_KWH
        return out

    def cost(self) -> Floats:
        """(6, N) USD: the amounts at the owners' private values."""
        f = self._fleet
        values = (f.floor_value, f.car_value, f.overuse_value, f.blackout_value, f.hassle_value, f.standby_value)
        return self.amounts * np.stack(values)


def below(floor_kwh: Floats, soc_kwh: Floats, baseline_kwh: Floats) -> Floats:
    """KWh by which a battery is below its floor and its baseline is not: [min(F, soc_b) - soc]+, any shapes."""
    return np.maximum(np.minimum(floor_kwh, baseline_kwh) - soc_kwh, 0.0)


def restoring(
    open_kwh: Floats, kw: Floats, wait: Ints, start_hour: Floats, eta: float, home: HomeSpec
) -> tuple[Floats, Floats]:
    """What becomes of breaches that are open at the end: restored from the grid, as a home does it.

    Parameters
    ----------
    open_kwh, kw : ndarray
        (N,) kWh missing, and power of the battery, kW.
    wait : ndarray
        (N,) 15-min steps until restoring begins.
    start_hour : ndarray
        (N,) local hour at which it begins.
    eta : float
        One-way efficiency.
    home : HomeSpec
        Retail tariff.

    Returns
    -------
    ndarray, ndarray
        (N,) kWh h below the floor until it is restored, and (N,) USD at the retail tariff.
    """
    left = open_kwh.copy()
    depth = left * wait * DT_H
    usd = np.zeros_like(left)
    step = 0
    while (left > 0.0).any():
        hour = (start_hour + step * DT_H) % 24.0
        peak = (hour >= home.peak_hours[0]) & (hour < home.peak_hours[1])
        rate = np.where(peak, home.import_peak_usd_per_kwh, home.import_offpeak_usd_per_kwh)
        stored = np.minimum(left, eta * kw * DT_H)
        left = np.where(left - stored > 1e-12, left - stored, 0.0)
        usd += rate * stored / eta
        depth += left * DT_H
        step += 1
    return depth, usd


def restoring_cost(world: World) -> Floats:
    """(N,) USD: breaches of the first month that are open now, until the homes have restored them.

    The closing value has priced the missing energy at the owner's refill price already: what restoring it at the
    retail tariff costs more, and phi for the hours until then, is what is left to count.
    """
    fleet, scenario = world.months[0].fleet, world.scenario
    soc, since = (x[: fleet.n] for x in (world.state.battery.soc_kwh, world.state.battery.below_since))
    day, k = world.clock(world.t)
    baseline = world.baseline_battery_kwh()[: fleet.n]
    missing = below(np.maximum(fleet.floor_kwh, fleet.bess_min_kwh), soc, baseline)
    # a difference of rounding is no breach, and the home would not restore it
    missing = np.where((since >= 0.0) & (missing > 1e-9), missing, 0.0)
    minutes = np.array([int(scenario.home.restore_hour * 60)])
    today, tomorrow = (int(world.calendar.wall_to_step(d, minutes)[0]) for d in (day, day + 1))
    wait = np.where(
        since >= day, world.calendar.steps_in_day(day) - k + tomorrow, np.where(since >= day - 1, max(0, today - k), 0)
    )
    now = float(world.calendar.day_hours(day)[k])
    hour = np.where(wait > 0, scenario.home.restore_hour, now)
    eta = scenario.fleet.bess_eta
    depth, usd = restoring(missing, fleet.bess_kw, wait, hour, eta, scenario.home)
    return fleet.floor_value * depth + usd - missing / eta * world.owners.refill[0]


def private_cost(wishes: BrokenWishes, world: World) -> Floats:
    """(7, N) USD: D of every home of the first month by kind, rows as `PARTS`."""
    return np.concatenate([wishes.cost(), restoring_cost(world)[None]])
