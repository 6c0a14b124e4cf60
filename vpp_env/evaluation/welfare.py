"""Welfare: what a run is worth to everybody, every breach of a wish at its owner's private price.

    D_i = phi dt sum_t [min(F, soc_b) - soc]+ + epsilon sum_departures kWh short + delta sum_days [dis - L]+
          + beta kWh in a blackout window + alpha clock hours of hassle + sigma kW-h on reserve + restoring
    W   = market revenue - compute cost - sum_i (bill - bill_b + wear + charging elsewhere - closing value + D_i)
        = VPP's profit + sum_i (net benefit_i - D_i)                              payments cancel

F is the reserve floor or the hard minimum, whichever is higher; b marks the baseline; L is `Fleet.day_discharge_kwh`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp_env.owners.wishes import TAKEN
from vpp_env.scenario.specs import HomeSpec
from vpp_env.simulation.holdings import baseline_battery_kwh
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import Fleet
from vpp_env.units import DT_H, Floats, Ints

PARTS = (*TAKEN, "restoring")
"""Kinds of private cost."""
VALUES = ("floor_value", "car_value", "overuse_value", "blackout_value", "hassle_value", "standby_value")
"""What of a fleet prices the first six."""


class BrokenWishes:
    """How much of what was asked of every home of a world, opportunity by opportunity.

    Rows are the first six of `PARTS`, against the owners' own wishes whatever contracts allow; see `owners.wishes`.
    """

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self.values = private_values(fleets)
        self._total = np.zeros((len(TAKEN), world.n_months, world.n_homes))

    def add(self, outcome: Outcome) -> None:
        """Add one opportunity."""
        self._total += outcome.wishes

    def cost(self) -> Floats:
        """(6, M, N) USD: what was broken so far, at the owners' private values."""
        return self._total * self.values


def private_values(fleets: Sequence[Fleet]) -> Floats:
    """(6, M, N) what owners hold the first six of `PARTS` to be worth, USD a unit."""
    return np.stack([np.stack([getattr(f, name) for f in fleets]) for name in VALUES])


def worth(wishes: Floats, values: Floats) -> Floats:
    """USD of what was taken of wishes, kinds added up; of rows (6, ...), or of one home's (6,) on a GPU."""
    total = wishes[0] * values[0]
    for kind in range(1, len(values)):
        total = total + wishes[kind] * values[kind]
    return total


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
    shape, battery, state = (world.n_months, world.n_homes), world.parameters.battery, world.state.battery
    # a floor that a contract lets down is open for its owner all the same; the home would find it breached today
    let_down = (world.limits.battery.floor_kwh < battery.floor_kwh) & (state.soc_kwh < battery.floor_kwh)
    today = float(world.clock(world.t)[0])
    since = np.where(let_down & (state.below_since < 0.0), today, state.below_since)
    return restoring_cost_of(world, state.soc_kwh.reshape(shape), since.reshape(shape), np.arange(world.n_months))


def restoring_cost_of(world: World, soc_kwh: Floats, since: Floats, which: Ints) -> Floats:
    """(K, N) USD: the same of K months that stand where the world does.

    Parameters
    ----------
    world : World
        Of their baselines and prices.
    soc_kwh, since : ndarray
        (K, N) kWh in their homes' batteries, and local day on which each fell below its floor; -1: it is not below.
    which : ndarray
        (K,) which of the world's months each is.
    """
    scenario, battery, shape = world.scenario, world.parameters.battery, (world.n_months, world.n_homes)
    floor_kwh = np.maximum(battery.floor_kwh, battery.min_kwh).reshape(shape)
    missing = below(floor_kwh[which], soc_kwh, baseline_battery_kwh(world).reshape(shape)[which])
    # a difference of rounding is no breach, and the home would not restore it; few are open
    k, i = np.nonzero((since >= 0.0) & (missing > 1e-9))
    missing, since, of = missing[k, i], since[k, i], (which[k], i)
    day, step = world.clock(world.t)
    minutes = np.array([int(scenario.home.restore_hour * 60)])
    today, tomorrow = (int(world.calendar.wall_to_step(d, minutes)[0]) for d in (day, day + 1))
    until = world.calendar.steps_in_day(day) - step + tomorrow
    wait = np.where(since >= day, until, np.where(since >= day - 1, max(0, today - step), 0))
    now = float(world.calendar.day_hours(day)[step])
    hour = np.where(wait > 0, scenario.home.restore_hour, now)
    eta = scenario.fleet.bess_eta
    depth, usd = restoring(missing, battery.kw.reshape(shape)[of], wait, hour, eta, scenario.home)
    phi = np.stack([m.fleet.floor_value for m in world.months])
    cost = np.zeros(soc_kwh.shape)
    cost[k, i] = phi[of] * depth + usd - missing / eta * world.owners.refill[of]
    return cost


def private_cost(wishes: BrokenWishes, world: World) -> Floats:
    """(7, M, N) USD: D of every home by kind, rows as `PARTS`, as if the run ended now."""
    return np.concatenate([wishes.cost(), restoring_cost(world)[None]])
