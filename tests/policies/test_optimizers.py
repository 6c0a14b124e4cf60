"""The optimizer policies: what they promise, keep and never see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from policies.centralized import problem as dispatch_problem
from policies.centralized.inputs import SEGMENTS, Devices, Inputs, Physics
from policies.centralized.merit import merit_order
from policies.centralized.problem import DispatchProblem
from policies.optimal.bounds import bracket
from policies.optimal.devices import Measure, Rules
from tests.support import begin, month, with_prices
from vpp_env.core import ledger as led
from vpp_env.kpi import summarize
from vpp_env.policy import make_policy
from vpp_env.satisfaction import violations
from vpp_env.simulate import brief_of, policy_rng, simulate
from vpp_env.views import Information

TWO_DAYS: dict[str, Any] = {"time.duration_hours": 48}
NONE = np.zeros(0)


def test_the_merit_order_is_the_linear_programs_optimum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 30))
        gain, kw = rng.normal(0.0, 0.1, n).round(2), rng.uniform(0, 8, n)
        capacity = float(rng.choice([0.0, rng.uniform(0, kw.sum() * 1.2)]))
        taken = merit_order(gain, kw, capacity)
        best = linprog(-gain, A_ub=np.ones((1, n)), b_ub=[capacity], bounds=np.c_[np.zeros(n), kw])
        assert gain @ taken == pytest.approx(-best.fun, abs=1e-9)
        assert taken.sum() <= capacity + 1e-9
        assert (taken[gain <= 0.0] == 0.0).all()


def fleet_inputs(lmp: np.ndarray, powers: np.ndarray, worth: np.ndarray, least_kw: float) -> tuple[Devices, Inputs]:
    """Batteries without cars, half full; what they keep is worth `worth` per kWh."""
    n = len(powers)
    low, high = np.zeros(n), np.full(n, 10.0)
    return Devices(powers, low, high, NONE), Inputs(
        lmp=lmp,
        sale=lmp,
        rho=np.zeros(1),
        soc=np.full(n, 5.0),
        surplus=np.zeros((n, len(lmp))),
        value_low=low,
        value_width=(high - low) / SEGMENTS,
        slopes=np.repeat(worth[:, None], SEGMENTS, axis=1),
        deficit=NONE,
        p_twin=np.zeros((0, len(lmp))),
        charge_room=np.zeros((0, len(lmp))),
        v2g_room=np.zeros((0, len(lmp))),
        deficit_room=np.zeros((0, 1)),
        back_width=NONE,
        back=np.zeros((0, SEGMENTS)),
        capacity_kw=1e6,
        least_kw=least_kw,
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_markets_minimum_equals_every_choice_tried(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever on/off pattern is forced, none is worth more than the one that is chosen."""
    monkeypatch.setattr(dispatch_problem, "ENOUGH_USD", 0.0)
    monkeypatch.setattr(dispatch_problem, "MIP_GAP", 1e-9)
    rng = np.random.default_rng(seed)
    physics = Physics(0.25, 0.95, 0.92, 0.063, 0.5, 3)
    lmp, powers = rng.uniform(0.05, 0.4, 3), rng.uniform(2, 5, 3)
    worth = rng.uniform(0.05, 0.3, 3)
    least = 0.75 * powers.sum()
    devices, inputs = fleet_inputs(lmp, powers, worth, least)
    problem = DispatchProblem(devices, physics, 1, reserve=False)
    chosen = problem.solve(inputs)
    net = (chosen.sell_b - chosen.buy_b).sum(axis=0)
    assert ((np.abs(net) < 1e-3) | (np.abs(net) >= least - 1e-3)).all()

    def worth_of(pattern: tuple[int, ...]) -> float:
        """Optimum with net >= least (1), <= -least (-1) or no trade (0), by SciPy."""
        d, c, k, n = 0, 3 * 3, 3, 3  # sells (n, k), then buys (n, k)
        cost = np.zeros(2 * n * k)
        rows, limit = [], []
        for i in range(n):
            for j in range(k):
                keep = worth[i]
                cost[d + i * k + j] = -0.25 * (lmp[j] - 0.063 - keep / 0.95 - 1e-6)
                cost[c + i * k + j] = -0.25 * (keep * 0.95 - lmp[j] - 1e-6)
            soc = np.zeros(2 * n * k)
            soc[d + i * k : d + (i + 1) * k], soc[c + i * k : c + (i + 1) * k] = -0.25 / 0.95, 0.25 * 0.95
            rows += [soc, -soc]
            limit += [5.0, 5.0]
        for j, sign in enumerate(pattern):
            sums = np.zeros(2 * n * k)
            sums[d + j : c : k], sums[c + j :: k] = 1.0, -1.0
            if sign:
                rows.append(-sign * sums)
                limit.append(-least)
            else:
                rows.append(np.abs(sums))
                limit.append(0.0)
        bounds = [(0.0, powers[i]) for _ in range(2) for i in range(n) for _ in range(k)]
        found = linprog(cost, A_ub=np.array(rows), b_ub=limit, bounds=bounds)
        return -found.fun + float(worth.sum() * 5.0) if found.status == 0 else -np.inf

    patterns = [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    # an interval that is large by itself keeps its sign: the free program says which
    free = problem.solve(dataclasses.replace(inputs, least_kw=0.0))
    own = (free.sell_b - free.buy_b).sum(axis=0)
    fixed = [int(np.sign(x)) if abs(x) >= least - 1e-4 else None for x in own]
    allowed = [p for p in patterns if all(f is None or f == s for f, s in zip(fixed, p, strict=True))]
    assert chosen.objective_usd == pytest.approx(max(map(worth_of, allowed)), abs=1e-4)


def test_a_failed_solver_is_counted_and_the_merit_order_dispatches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_problem, "_run", lambda problem: "infeasible")
    run = simulate(month("quick"), make_policy("centralized"))
    table = run.record.opportunities()
    assert run.complete
    assert (table["notes_solver_failures"] == 1.0).all()
    assert table["sold_kwh"].sum() > 0.0


def test_the_promised_profit_is_paid_where_information_is_perfect() -> None:
    """Batteries alone, bids every 15 min: one bid can say what the plan means, so the promise is kept to 1e-6 USD."""
    changes = TWO_DAYS | {"time.opportunity_minutes": 15, "fleet.share_ev": 0.0, "market.reserve": False}
    run = simulate(month("week20", changes), make_policy("preference_aware"))
    table = run.record.opportunities()
    np.testing.assert_allclose(table["expected_profit"], table["actual_profit"], atol=1e-6)
    assert table["actual_profit"].sum() > 1.0


@pytest.mark.parametrize("name", ["preference_aware", "dual", "mpc", "greedy"])
@pytest.mark.parametrize("seed", [0, 3])
def test_who_keeps_preferences_breaks_none(name: str, seed: int) -> None:
    summary = summarize(simulate(month("week20", {"time.duration_hours": 96}, seed), make_policy(name)))
    assert summary["total_violations"]["total"] == 0
    assert summary["joint_surplus"] > 0.0


def test_everybody_stands_between_the_floor_and_the_ceilings() -> None:
    made = month("week20", {"time.duration_hours": 96})
    world = begin(made)
    view, brief = world.view(Information.ORACLE), brief_of(world)
    most = {
        wishes: bracket(view.homes, view.foresight(), Rules(Measure.VALUE, wishes, brief), brief.max_capacity_kw)
        for wishes in (False, True)
    }
    names = ("idle", "truthful", "preference_aware", "dual", "dual(wishes=False)", "centralized")
    value = {name: summarize(simulate(made, make_policy(name)))["joint_surplus"] for name in names}
    assert value["idle"] == pytest.approx(0.0, abs=1e-9)
    assert 0.0 < value["truthful"] < value["preference_aware"] <= most[True].upper
    assert value["dual"] <= most[True].upper
    assert value["centralized"] <= most[False].upper
    # decomposition alone costs little
    assert value["dual(wishes=False)"] >= 0.95 * value["centralized"]
    assert value["dual"] >= 0.95 * value["preference_aware"]


def test_mpc_plans_on_what_is_public() -> None:
    made = month("week20", {"time.duration_hours": 24})
    steps = len(made.series.rt_usd_per_mwh)
    other = made.series.rt_usd_per_mwh.copy()
    other[12 * 4 :] = np.linspace(-100.0, 900.0, steps - 12 * 4)
    bids = []
    for world in (begin(made), begin(with_prices(made, rt=other))):
        policy = make_policy("mpc")
        policy.reset(brief_of(world), policy_rng(0))
        while world.opportunity < 12:
            actions = policy.act(world.view(policy.info.information)).actions
            world.step(actions)
        bids.append(policy.act(world.view(policy.info.information)).actions)
    np.testing.assert_array_equal(*bids)


def test_negative_prices_pay_for_charging_and_nobody_burns_energy() -> None:
    base = month("april", {"fleet.size": 20, "time.duration_hours": 24, "market.min_bid_mw": 0.0})
    price = np.full(len(base.series.rt_usd_per_mwh), 60.0)
    price[40:56] = -120.0  # 10 to 14 h
    world, policy = begin(with_prices(base, rt=price)), make_policy("centralized")
    policy.reset(brief_of(world), policy_rng(0))
    paid = 0.0
    while not world.done:
        outcome = world.step(policy.act(world.view(policy.info.information)).actions)
        rows = outcome.ledger[:, 0]
        if (outcome.lmp < 0.0).all():
            assert (rows[led.L_BESS] == 0.0).all()
            paid += float(rows[led.L_PAY_BOUGHT].sum())
        assert not ((rows[led.L_BESS] > 0.0) & (rows[led.L_BOUGHT] > 0.0) & (outcome.lmp < 0.0).all()).any()
    assert paid > 1.0


def test_wishes_are_kept_at_every_gate_of_a_day_with_spikes() -> None:
    base = month("week20", {"time.start": "2023-08-01T14:00", "time.duration_hours": 10})
    price = np.full(len(base.series.rt_usd_per_mwh), 40.0)
    price[9] = price[14] = price[21] = 1200.0
    world, policy = begin(with_prices(base, rt=price)), make_policy("preference_aware")
    policy.reset(brief_of(world), policy_rng(0))
    sold = 0.0
    while not world.done:
        outcome = world.step(policy.act(world.view(policy.info.information)).actions)
        assert not violations(outcome).any()
        sold += float(outcome.ledger[led.L_SOLD].sum())
    assert sold > 1.0


@pytest.mark.parametrize("name", ["preference_aware", "dual", "mpc"])
def test_a_call_of_reserve_pays_what_storage_costs(name: str) -> None:
    base = month("week20", {"time.duration_hours": 24, "market.min_bid_mw": 0.0})
    run = simulate(with_prices(base, reserve={"spin": 40.0, "nonspin": 20.0}, calls=True), make_policy(name))
    assert summarize(run)["total_violations"]["underpaid"] == 0
    assert run.record.totals[led.L_CALLED].sum() > 0.0
