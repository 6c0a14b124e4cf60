"""The merit order: the linear program of one shared row, and the dispatch that stands in for a failed solver."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from vpp_policies.centralized import problem as dispatch_problem
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.centralized.problem import everything as everything_allowed
from vpp_policies.gate.inputs import SEGMENTS, Devices, GatePlan, Inputs, Limits
from vpp_policies.gate.merit import dispatch, merit_order

from tests.policies.instances import PHYSICS, gate
from tests.support import month, with_prices
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate


def _grid(low: float, high: float) -> st.SearchStrategy[float]:
    """Multiples of .001, far above HiGHS' tolerances of 1e-7.

    HiGHS takes a gain, a width or a room below its tolerances for nothing: there the reference is wrong, not the
    merit order, and by more than rounding. On this grid the program's optimum is exact.
    """
    return st.integers(round(1000 * low), round(1000 * high)).map(lambda i: i / 1000)


# few values, so that ties, segments of no width and gains of exactly nothing are common
GAIN = st.sampled_from([-0.2, -0.01, 0.0, 0.05, 0.05, 0.1, 0.3]) | _grid(-1.0, 1.0)
WIDTH = st.sampled_from([0.0, 1.0, 1.0, 2.5]) | _grid(0.0, 10.0)


@given(st.lists(st.tuples(GAIN, WIDTH), min_size=1, max_size=25), st.sampled_from([0.0, 3.0]) | _grid(0.0, 100.0))
@settings(max_examples=150, deadline=None)
def test_it_is_the_linear_programs_optimum(segments: list[tuple[float, float]], capacity: float) -> None:
    gain, kw = np.array(segments).T
    taken = merit_order(gain, kw, capacity)
    bounds = np.c_[np.zeros(len(kw)), kw]
    best = linprog(-gain, A_ub=np.ones((1, len(kw))), b_ub=[capacity], bounds=bounds, method="highs")
    assert gain @ taken == pytest.approx(-best.fun, abs=1e-9)
    assert (taken >= 0.0).all()
    assert (taken <= kw).all()
    assert taken.sum() <= capacity + 1e-9
    assert (taken[gain <= 0.0] == 0.0).all()


def test_among_equals_the_first_comes_first_and_the_last_gets_a_part() -> None:
    taken = merit_order(np.array([0.1, 0.3, 0.1, 0.1]), np.array([2.0, 1.0, 2.0, 2.0]), 4.5)
    np.testing.assert_allclose(taken, [2.0, 1.0, 1.5, 0.0])


@pytest.mark.parametrize(("gain", "capacity"), [(0.2, 0.0), (0.0, 9.0), (-0.1, 9.0)])
def test_without_room_or_gain_nothing_is_taken(gain: float, capacity: float) -> None:
    np.testing.assert_array_equal(merit_order(np.full(3, gain), np.ones(3), capacity), 0.0)
    assert merit_order(np.zeros(0), np.zeros(0), capacity).shape == (0,)


def instance(rng: np.random.Generator, asked: bool) -> tuple[Devices, Inputs]:
    """Three batteries, two cars without V2G and two with it, four intervals; some worths are above the price."""
    b, c, u, k = 3, 4, 2, 4
    devices = Devices(rng.uniform(2, 6, b), np.full(b, 1.0), np.full(b, 12.0), np.array([0.0, 7.0, 0.0, 5.0]))
    lmp = rng.uniform(-0.05, 0.5, k)
    inputs = gate(
        lmp,
        sale=lmp + rng.choice([0.0, 0.2]),
        soc=rng.uniform(1.0, 12.0, b),
        surplus=np.zeros((b, k)),
        value_low=np.full(b, 1.0),
        value_width=np.full(b, 11.0 / SEGMENTS),
        slopes=-np.sort(-rng.uniform(0.0, 0.4, (b, SEGMENTS)), axis=1),
        deficit=rng.uniform(0.0, 2.0, c),
        p_baseline=rng.uniform(0.0, 8.0, (c, k)),
        charge_room=np.zeros((c, k)),
        v2g_room=np.repeat(devices.v2g[devices.v2g > 0, None], k, axis=1) * rng.choice([0.0, 1.0], (u, k)),
        deficit_room=rng.uniform(0.0, 6.0, (c, 1)),
        back_width=np.ones(c),
        back=np.sort(rng.uniform(0.0, 0.4, (c, SEGMENTS)), axis=1),
        capacity_kw=float(rng.uniform(0.0, 25.0)),
    )
    if not asked:
        return devices, inputs
    limits: Limits = dataclasses.replace(
        everything_allowed(devices, inputs),
        sell=devices.power[:, None] * rng.choice([0.0, 1.0], (b, k)),
        # one battery may stand below its owner's floor already
        floor=rng.uniform(1.0, 9.0, b),
        day_kwh=np.stack([rng.uniform(0.0, 3.0, b), np.zeros(b)]),
    )
    return devices, dataclasses.replace(inputs, limits=limits)


def failed(devices: Devices, inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> GatePlan:
    """What the dispatch problem gives back when the solver finds nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(dispatch_problem, "_run", lambda problem: "infeasible")
        return DispatchProblem(devices, PHYSICS, 1, reserve=False).solve(inputs)


@pytest.mark.parametrize("asked", [False, True])
def test_the_fallback_keeps_every_limit(asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, dt, full, nothing_left = np.random.default_rng(1), PHYSICS.dt, 0, 0
    plan = None
    for _ in range(60):
        devices, inputs = instance(rng, asked)
        if plan is None:  # a plan without an optimum is zeros of the same shape at every gate
            plan = failed(devices, inputs, monkeypatch)
            assert plan.status == "infeasible"
            assert plan.sell_b.sum() == 0.0
        made = dispatch(inputs, devices, PHYSICS, plan)
        limits = inputs.limits or everything_allowed(devices, inputs)
        assert made.status == "infeasible"
        for kw, most in (
            (made.sell_b, limits.sell),
            (made.defer, inputs.p_baseline),
            (made.v2g[devices.v2g > 0], inputs.v2g_room),
        ):
            assert (kw >= 0.0).all()
            assert (kw <= most + 1e-9).all()
        assert (made.v2g[devices.v2g == 0.0] == 0.0).all()
        given = (made.sell_b.sum(axis=0) + made.defer.sum(axis=0)) + made.v2g.sum(axis=0)
        assert (given <= inputs.capacity_kw + 1e-9).all()
        sold = dt * made.sell_b.sum(axis=1)
        floor = np.minimum(limits.floor, inputs.soc)
        assert (inputs.soc - sold / PHYSICS.eta_b >= floor - 1e-9).all()
        assert (sold <= limits.day_kwh[0] + 1e-9).all()
        owed = dt * (PHYSICS.eta_e * made.defer.sum(axis=1) + made.v2g.sum(axis=1) / PHYSICS.eta_e)
        lacks = inputs.deficit + owed
        assert (lacks <= np.maximum(inputs.deficit_room[:, 0], inputs.deficit) + 1e-9).all()
        for array in (made.buy_b, made.back, made.reserve_b, made.reserve_e):
            assert (array == 0.0).all()
        # no interval sells below what it costs
        assert (made.sell_b[:, inputs.sale <= PHYSICS.wear] == 0.0).all()
        full += int((given >= inputs.capacity_kw - 1e-9).any())
        nothing_left += int((lacks >= inputs.deficit_room[:, 0] - 1e-9).any())
    assert full > 5, "the maximum must have bound somewhere"
    assert nothing_left > 5, "a car must have reached its limit somewhere"


def test_one_interval_of_one_price_is_the_programs_own_plan() -> None:
    """Where nothing can be bought, one interval and flat worths leave no more than the shared row."""
    physics, rng = dataclasses.replace(PHYSICS, steps=1), np.random.default_rng(2)
    for _ in range(20):
        devices, inputs = instance(rng, False)
        # no V2G: what a car gives and what it puts off would share its deficit
        devices = dataclasses.replace(devices, v2g=np.zeros(4))
        one = {name: getattr(inputs, name)[:, :1] for name in ("surplus", "p_baseline", "charge_room")}
        inputs = dataclasses.replace(
            inputs,
            lmp=np.array([2.0]),
            sale=inputs.sale[:1],
            v2g_room=np.zeros((0, 1)),
            slopes=np.repeat(inputs.slopes[:, :1], SEGMENTS, axis=1),
            back=np.repeat(inputs.back[:, -1:], SEGMENTS, axis=1),
            deficit=np.minimum(inputs.deficit, inputs.deficit_room[:, 0]),
            **one,
        )
        best = DispatchProblem(devices, physics, 1, reserve=False).solve(inputs)
        made = dispatch(inputs, devices, physics, best)
        price = inputs.sale[0]
        worth_b = price - physics.wear - inputs.slopes[:, 0] / physics.eta_b
        worth_c = price - inputs.back[:, -1] * physics.eta_e
        gained, most = (
            physics.dt * float(worth_b @ p.sell_b.sum(axis=1) + worth_c @ p.defer.sum(axis=1)) for p in (made, best)
        )
        assert best.buy_b.sum() <= 1e-9
        # the program's tie-break of 1e-6 USD/kWh, on at most 25 kW
        assert gained == pytest.approx(most, abs=physics.dt * 25 * 1e-6 + 1e-9)


@pytest.mark.parametrize("name", ["centralized", "preference_aware", "mpc"])
def test_a_failed_solver_is_counted_and_the_run_goes_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_problem, "_run", lambda problem: "infeasible")
    # dear enough for every ask, which follow the day-ahead price
    run = simulate(with_prices(month("quick"), rt=600.0, da=60.0), make_policy(name))
    table = run.record.opportunities()
    assert run.complete
    assert (table["notes_solver_failures"] == 1.0).all()
    assert run.policy.failures == len(table)  # type: ignore[attr-defined]
    assert table["sold_kwh"].sum() > 1.0
    if name != "centralized":
        assert table["preference_violations"].sum() == 0


def test_no_failure_is_counted_where_there_is_none() -> None:
    assert "notes_solver_failures" not in simulate(month("quick"), make_policy("centralized")).record.opportunities()
