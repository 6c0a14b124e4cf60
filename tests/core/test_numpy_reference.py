"""The compiled delivery equals the vectorised NumPy one to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.numpy_reference import deliver_numpy
from vpp_env.core.layout import N_OUT
from vpp_env.core.loops import deliver
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World


@pytest.mark.parametrize("control", ["backup", "self_consumption"])
def test_same_bits_through_a_day(control: str) -> None:
    changes = {"fleet.size": 150, "time.duration_hours": 48, "home.control": control, "fleet.v2g_share": 0.5}
    world = World([Month(load_scenario("august").override(changes), 3)])
    world.reset()
    month, rng, n = world.months[0], np.random.default_rng(0), 150
    c, p = month.constants, world.parameters
    compiled, vectorised = world.state.copy(), world.state.copy()
    plan, baseline = month.day(0)
    for k in range(len(plan.load)):
        order = np.zeros((5, n))
        sells = rng.random(n) < 0.4
        order[0], order[1] = rng.uniform(0, 15, n) * sells, rng.uniform(0, 3, n) * (rng.random(n) < 0.1)
        order[2] = rng.uniform(0, 12, n) * ~sells * (order[1] == 0)
        out = np.zeros((N_OUT, n))
        deliver(c, p, compiled, plan, baseline, k, order, out)
        expected = deliver_numpy(c, p, vectorised, plan, baseline, k, order)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(compiled, vectorised)
