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
from vpp_env.jit import kernel
from vpp_env.scenario.specs import HomeSpec
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import HASSLE_KWH
from vpp_env.units import DT_H, Floats, Ints

PARTS = ("floor", "car", "overuse", "blackout", "hassle", "standby", "restoring")
"""Kinds of private cost."""
VALUES = ("floor_value", "car_value", "overuse_value", "blackout_value", "hassle_value", "standby_value")
"""What of a fleet prices the first six."""
STEPS_PER_HOUR = 4


@kernel
def _broken(
    soc_kwh: Floats, ledger: Floats, short: Floats, limits: Floats, running: Floats, hour_begins: bool, out: Floats
) -> None:
    """Fill `out` (6, n) with what one opportunity broke; advances `running`.

    A limit of a day or an hour is broken when its sum passes it, so that the parts of an opportunity add up to what the
    whole day or hour comes to.

    Parameters
    ----------
    soc_kwh : ndarray
        (S, 2, n) charge of each battery and of its baseline, at the end of the interval.
    ledger, short : ndarray
        (N_LEDGER, n) see `core.ledger`, and (n,) shortfalls of departing cars, share of capacity.
    limits : ndarray
        (3, n) kWh: floor or hard minimum, capacity of the car, discharge of a day.
    running : ndarray
        (2, n) kWh: from the battery today, from storage in this clock hour.
    hour_begins : bool
        Whether the opportunity begins a clock hour.
    """
    for i in range(out.shape[1]):
        depth = 0.0
        for j in range(len(soc_kwh)):
            depth += max(0.0, min(limits[0, i], soc_kwh[j, 1, i]) - soc_kwh[j, 0, i])
        out[0, i] = DT_H * depth
        out[1, i] = max(0.0, short[i]) * limits[1, i]
        day = running[0, i] + ledger[led.L_BESS, i]
        out[2, i] = max(0.0, day - limits[2, i]) - max(0.0, running[0, i] - limits[2, i])
        out[3, i] = ledger[led.L_BLACK, i]
        before = 0.0 if hour_begins else running[1, i]
        hour = before + ledger[led.L_BESS, i] + ledger[led.L_V2G, i]
        out[4, i] = 1.0 if before <= HASSLE_KWH < hour else 0.0
        out[5, i] = ledger[led.L_RESERVE, i]
        running[0, i], running[1, i] = day, hour


class BrokenWishes:
    """How much of what was asked of every home of a world, opportunity by opportunity.

    Rows are the first six of `PARTS`: kWh h, kWh, kWh, kWh, clock hours, kW-h.
    """

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self._shape = (len(PARTS) - 1, world.n_months, world.n_homes)
        self._calendar, self._steps = world.calendar, world.steps
        floors = [np.maximum(f.floor_kwh, f.bess_min_kwh) for f in fleets]
        cars, days = [f.ev_kwh for f in fleets], [f.day_discharge_kwh for f in fleets]
        self._limits = np.stack([np.concatenate(rows) for rows in (floors, cars, days)])
        self._values = np.stack([np.stack([getattr(f, name) for f in fleets]) for name in VALUES])
        self._running = np.zeros((2, self._limits.shape[1]))
        self._total = np.zeros(self._shape)

    def add(self, outcome: Outcome) -> Floats:
        """Add one opportunity; return (M, N) USD of what it broke, at the owners' private values."""
        t, n = outcome.opportunity * self._steps, self._running.shape[1]
        day = self._calendar.day
        if t > 0 and day[t] != day[t - 1]:
            self._running[0] = 0.0
        amounts = np.empty(self._shape)
        _broken(
            outcome.soc_home_kwh.reshape(self._steps, 2, n),
            outcome.ledger.reshape(-1, n),
            outcome.short.reshape(n),
            self._limits,
            self._running,
            t % STEPS_PER_HOUR == 0,
            amounts.reshape(-1, n),
        )
        self._total += amounts
        return np.asarray((amounts * self._values).sum(axis=0))

    def cost(self) -> Floats:
        """(6, M, N) USD: what was broken so far, at the owners' private values."""
        return self._total * self._values


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
    """(M, N) USD: breaches that are open now, until the homes have restored them.

    The closing value has priced the missing energy at the owner's refill price already: what restoring it at the
    retail tariff costs more, and phi for the hours until then, is what is left to count.
    """
    scenario, battery = world.scenario, world.parameters.battery
    shape = (world.n_months, world.n_homes)
    soc, since = world.state.battery.soc_kwh, world.state.battery.below_since
    day, k = world.clock(world.t)
    missing = below(np.maximum(battery.floor_kwh, battery.min_kwh), soc, world.baseline_battery_kwh())
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
    depth, usd = restoring(missing, battery.kw, wait, hour, eta, scenario.home)
    phi = np.stack([m.fleet.floor_value for m in world.months])
    return np.asarray(
        phi * depth.reshape(shape) + usd.reshape(shape) - missing.reshape(shape) / eta * world.owners.refill
    )


def private_cost(wishes: BrokenWishes, world: World) -> Floats:
    """(7, M, N) USD: D of every home by kind, rows as `PARTS`, as if the run ended now."""
    return np.concatenate([wishes.cost(), restoring_cost(world)[None]])
