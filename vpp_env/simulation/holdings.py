"""What the homes hold against their baselines, and what that is worth to their owners."""

from __future__ import annotations

import numpy as np

from vpp_env.simulation.month import join_days
from vpp_env.simulation.world import World
from vpp_env.units import Floats


def ev_deficit(world: World) -> Floats:
    """(M*N,) kWh that each car holds less than its baseline now; 0 of homes without a car."""
    k = world.clock(world.t)[1]
    return np.maximum(world.day.baseline.ev_soc[k] - world.state.vehicle.soc_kwh, 0.0)


def baseline_battery_kwh(world: World) -> Floats:
    """(M*N,) kWh in the baselines' batteries at the end of the last step that was played; 0 without a battery."""
    day, k = world.clock(world.t)
    before = world.day if k > 0 else join_days([m.day(day - 1) for m in world.months])
    return before.baseline.bess_soc[k - 1]


def closing_value(world: World) -> Floats:
    """(M, N) USD: what the homes hold more than their baselines now, at the owners' own cost of replacing it.

    Added to the owners' net benefit at the end of a run, so that nobody gains by ending with empty batteries.
    """
    shape, fleet, owners = (world.n_months, world.n_homes), world.scenario.fleet, world.owners
    battery = (world.state.battery.soc_kwh - baseline_battery_kwh(world)).reshape(shape)
    return battery / fleet.bess_eta * owners.refill - ev_deficit(world).reshape(shape) / fleet.ev_eta * owners.back
