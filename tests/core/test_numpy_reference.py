"""The compiled delivery equals the vectorised NumPy one to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import run
from support import leaves

from tests.core.numpy_reference import deliver_numpy
from vpp_env.core.layout import initial_state
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month


@pytest.mark.parametrize("control", ["backup", "self_consumption"])
def test_same_bits_through_a_day(control: str) -> None:
    changes = {"fleet.size": 150, "time.duration_hours": 48, "home.control": control, "fleet.v2g_share": 0.5}
    month, rng, n = Month(load_scenario("august").override(changes), 3), np.random.default_rng(0), 150
    compiled, vectorised = (run.homes_of(month, initial_state(month.fleet)) for _ in range(2))
    day = month.day(0)
    for k in range(len(day.plan.load)):
        order = np.zeros((3, n))
        sells = rng.random(n) < 0.4
        order[0], order[1] = rng.uniform(0, 15, n) * sells, rng.uniform(0, 3, n) * (rng.random(n) < 0.1)
        order[2] = rng.uniform(0, 12, n) * ~sells * (order[1] == 0)
        out = run.deliver(compiled, day, k, order)
        np.testing.assert_array_equal(out, deliver_numpy(vectorised, day, k, order))
        for a, b in zip(leaves(compiled.state), leaves(vectorised.state), strict=True):
            np.testing.assert_array_equal(a, b)
