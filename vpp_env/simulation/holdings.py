"""What the homes hold against their baselines, and what that is worth to their owners."""

from __future__ import annotations

import numpy as np

from vpp_env.simulation.world import World
from vpp_env.units import Floats, Ints


def ev_deficit(world: World) -> Floats:
    """(M*N,) kWh that each car holds less than its baseline now; 0 of homes without a car."""
    k = world.clock(world.t)[1]
    return np.maximum(world.day.baseline.ev_soc[k] - world.state.vehicle.soc_kwh, 0.0)


def baseline_battery_kwh(world: World) -> Floats:
    """(M*N,) kWh in the baselines' batteries at the end of the last step that was played; 0 without a battery."""
    day, k = world.clock(world.t)
    if k > 0:
        return world.day.baseline.bess_soc[k - 1]
    return np.concatenate([m.day(day - 1).baseline.bess_soc[-1] for m in world.months])


def closing_value(world: World) -> Floats:
    """(M, N) USD: what the homes hold more than their baselines now, at the owners' own cost of replacing it.

    Added to the owners' net benefit at the end of a run, so that nobody gains by ending with empty batteries.
    """
    shape, state = (world.n_months, world.n_homes), world.state
    soc, car_soc = state.battery.soc_kwh.reshape(shape), state.vehicle.soc_kwh.reshape(shape)
    return closing_value_of(world, soc, car_soc, world.owners.back, np.arange(world.n_months))


def closing_value_of(world: World, soc_kwh: Floats, car_soc_kwh: Floats, back: Floats, which: Ints) -> Floats:
    """(K, N) USD: the same of K months that stand where the world does.

    Parameters
    ----------
    world : World
        Of their baselines and prices.
    soc_kwh, car_soc_kwh : ndarray
        (K, N) kWh in their homes' batteries and cars.
    back : ndarray
        (K, N) USD/kWh that buying back is expected to cost their cars, see `owners.asks.bought_back`.
    which : ndarray
        (K,) which of the world's months each is.
    """
    shape, fleet, k = (world.n_months, world.n_homes), world.scenario.fleet, world.clock(world.t)[1]
    battery = soc_kwh - baseline_battery_kwh(world).reshape(shape)[which]
    missing = np.maximum(world.day.baseline.ev_soc[k].reshape(shape)[which] - car_soc_kwh, 0.0)
    return battery / fleet.bess_eta * world.owners.refill[which] - missing / fleet.ev_eta * back
