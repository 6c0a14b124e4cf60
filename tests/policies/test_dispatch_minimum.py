"""The market's minimum: on/off decisions of the dispatch problem against every choice tried one by one."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from vpp_policies.centralized import Centralized
from vpp_policies.centralized import problem as dispatch_problem
from vpp_policies.centralized.problem import SOME_KW, DispatchProblem
from vpp_policies.centralized.statement import TIE
from vpp_policies.gate.inputs import GatePlan

from tests.policies.instances import PHYSICS, batteries
from tests.support import begin, month
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import market_rules, policy_rng
from vpp_env.simulation.view_builder import build_view

ROUNDING_KW = 1e-3
K = PHYSICS.steps


def net_of(plan: GatePlan) -> np.ndarray:
    """(K,) kW that the plan sells, purchases negative."""
    sold = plan.sell_b.sum(axis=0) + plan.defer.sum(axis=0) + plan.v2g.sum(axis=0)
    return np.asarray(sold - plan.buy_b.sum(axis=0) - plan.back.sum(axis=0))


def stands(net: np.ndarray, least: float) -> np.ndarray:
    """(K,) whether the market leaves an award alone: nothing, or the minimum at least."""
    return np.asarray((np.abs(net) < ROUNDING_KW) | (np.abs(net) >= least - ROUNDING_KW))


def best_of(pattern: tuple[int, ...], lmp: np.ndarray, powers: np.ndarray, worth: np.ndarray, least: float) -> float:
    """Optimum where interval k sells `least` or more (1), buys as much (-1) or trades nothing (0), by SciPy.

    Columns: kW sold (B, K), kW bought (B, K). Batteries of 10 kWh that start with 5.
    """
    n, dt, eta = len(powers), PHYSICS.dt, PHYSICS.eta_b
    sells = dt * (lmp[None, :] - PHYSICS.wear - TIE - worth[:, None] / eta)
    buys = dt * (worth[:, None] * eta - lmp[None, :] - TIE)
    cost = -np.concatenate([sells.ravel(), buys.ravel()])
    rows, most = [], []
    for i in range(n):
        mine = np.repeat(np.arange(n) == i, K).astype(float)
        stored = np.concatenate([-dt / eta * mine, dt * eta * mine])
        rows += [stored, -stored]
        most += [5.0, 5.0]
    for k, sign in enumerate(pattern):
        now = np.tile(np.arange(K) == k, n).astype(float)
        rows.append(np.concatenate([-sign * now, sign * now]) if sign else np.concatenate([now, now]))
        most.append(-least if sign else 0.0)
    bounds = [(0.0, p) for _ in range(2) for p in powers for _ in range(K)]
    found = linprog(cost, A_ub=np.array(rows), b_ub=most, bounds=bounds, method="highs")
    return float(worth.sum() * 5.0 - found.fun) if found.status == 0 else -np.inf


def test_it_is_the_best_of_all_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals that are large by themselves keep their sign; of all choices for the others the best one is made."""
    monkeypatch.setattr(dispatch_problem, "ENOUGH_USD", 0.0)
    monkeypatch.setattr(dispatch_problem, "MIP_GAP", 1e-9)
    rng, problem, decided, traded = np.random.default_rng(0), None, 0, 0
    powers = np.array([2.5, 3.0, 4.5])
    for _ in range(12):
        lmp, worth = rng.uniform(0.05, 0.4, K), rng.uniform(0.05, 0.3, 3)
        least = float(rng.uniform(0.4, 0.9) * powers.sum())
        devices, inputs = batteries(lmp, powers, worth, least_kw=least)
        problem = problem or DispatchProblem(devices, PHYSICS, 1, reserve=False)
        own = net_of(problem.solve(dataclasses.replace(inputs, least_kw=0.0)))
        chosen = problem.solve(inputs)
        assert chosen.status == "optimal"
        assert stands(net_of(chosen), least).all()
        choices = [(int(np.sign(x)),) if abs(x) >= least - SOME_KW else (-1, 0, 1) for x in own]
        best = max(best_of(pattern, lmp, powers, worth, least) for pattern in product(*choices))
        assert chosen.objective_usd == pytest.approx(best, abs=1e-6)
        decided += chosen.committed
        traded += chosen.committed and bool((np.abs(net_of(chosen)[np.abs(own) < least - SOME_KW]) > 1.0).any())
    assert decided >= 6, "the minimum must have bound"
    assert traded >= 2, "and raising an award to it must have paid"


def test_the_decision_costs_no_more_than_it_says() -> None:
    """With the tolerances of a real gate: never above the free program, at most `ENOUGH_USD` below the best choice."""
    rng, problem = np.random.default_rng(1), None
    powers = np.array([2.5, 3.0, 4.5])
    for _ in range(12):
        lmp, worth = rng.uniform(0.05, 0.4, K), rng.uniform(0.05, 0.3, 3)
        devices, inputs = batteries(lmp, powers, worth, least_kw=7.0)
        problem = problem or DispatchProblem(devices, PHYSICS, 1, reserve=False)
        free = problem.solve(dataclasses.replace(inputs, least_kw=0.0))
        chosen = problem.solve(inputs)
        assert free.objective_usd - dispatch_problem.ENOUGH_USD <= chosen.objective_usd <= free.objective_usd + 1e-9
        assert stands(net_of(chosen), 7.0).all()


def test_where_no_award_is_too_small_the_plan_is_the_linear_programs() -> None:
    # sell all, nothing (wear and worth lie between), sell all, buy all: 9 kW, 0, 9 kW, -9 kW
    lmp, powers, worth = np.array([0.50, 0.15, 0.60, 0.02]), np.array([4.0, 5.0]), np.array([0.10, 0.12])
    devices, inputs = batteries(lmp, powers, worth)
    problem = DispatchProblem(devices, PHYSICS, 1, reserve=False)
    plain = problem.solve(inputs)
    np.testing.assert_allclose(net_of(plain), [9.0, 0.0, 9.0, -9.0], atol=1e-6)
    for least in (1.0, 9.0):
        chosen = problem.solve(dataclasses.replace(inputs, least_kw=least))
        assert not chosen.committed
        assert chosen.objective_usd == plain.objective_usd
        np.testing.assert_array_equal(chosen.sell_b, plain.sell_b)
        np.testing.assert_array_equal(chosen.buy_b, plain.buy_b)
    # the same gate with a minimum that nobody reaches: nothing is left of it
    none = problem.solve(dataclasses.replace(inputs, least_kw=9.5))
    assert none.committed
    np.testing.assert_allclose(net_of(none), 0.0, atol=ROUNDING_KW)
    # and the next gate is not shut by what that one decided
    np.testing.assert_array_equal(problem.solve(inputs).sell_b, plain.sell_b)


def test_at_every_gate_of_a_fleet_nothing_is_planned_that_the_market_would_void() -> None:
    made = month("week20", {"time.duration_hours": 36, "market.reserve": False, "market.minimum": "award"})
    world, policy = begin(made), make_policy("centralized")
    assert isinstance(policy, Centralized)
    rules = market_rules(world)
    policy.reset(rules, policy_rng(0))
    committed = 0
    while not world.done:
        view = build_view(world, policy.info.information)
        bids = policy.act(view)
        assert policy.problem is not None
        plan = policy.problem.solve(policy.inputs(view))
        assert plan.committed == bool(bids.notes["commitments"])
        assert stands(net_of(plan), rules.min_bid_kw).all()
        committed += plan.committed
        world.step(bids.actions)
    assert committed > 3
