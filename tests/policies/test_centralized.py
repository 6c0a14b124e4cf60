"""The central optimizer against instances that can be solved by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from vpp_policies.agentic.messages import MarketOpportunity
from vpp_policies.centralized import Centralized, CentralizedOptimizer
from vpp_policies.centralized.problem import DispatchProblem, everything
from vpp_policies.gate.inputs import SEGMENTS, Devices, GatePlan
from vpp_policies.gate.offers import always, buy_threshold, sell_threshold, spread

from tests.policies.instances import NONE, PHYSICS, gate
from vpp_env.contract.policy import make_policy
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.evaluation.verdict import Audit, Verdict
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World


def one_battery(lmp: np.ndarray, soc: float, value: float, surplus: float = 0.0, capacity: float = 1e6) -> GatePlan:
    """A battery of 4 kW, 1-10 kWh, over one hour; what it keeps is worth `value` per kWh."""
    problem = DispatchProblem(Devices(np.array([4.0]), np.array([1.0]), np.array([10.0]), NONE), PHYSICS, 1, False)
    return problem.solve(
        gate(
            lmp,
            soc=np.array([soc]),
            surplus=np.full((1, 4), surplus),
            value_low=np.array([1.0]),
            value_width=np.array([9.0 / SEGMENTS]),
            slopes=np.full((1, SEGMENTS), value),
            capacity_kw=capacity,
        )
    )


def test_sells_only_where_the_price_beats_wear_and_what_the_energy_is_worth() -> None:
    # break-even: wear + value / eta = .063 + .10 / .95 = .168
    plan = one_battery(np.array([0.16, 0.18, 0.50, 0.10]), soc=10.0, value=0.10)
    np.testing.assert_allclose(plan.sell_b[0], [0.0, 4.0, 4.0, 0.0], atol=1e-6)
    assert plan.status == "optimal"
    gain = 0.25 * 4 * (0.18 + 0.50 - 2 * 0.063)
    kept = 0.10 * (10.0 - 2 * 4 * 0.25 / 0.95 - 1.0)
    assert plan.objective_usd == pytest.approx(gain + kept, abs=1e-4)


def test_little_energy_goes_to_the_dearest_interval() -> None:
    plan = one_battery(np.array([0.38, 0.40, 0.90, 0.39]), soc=1.0 + 1.2 / 0.95, value=0.05)
    np.testing.assert_allclose(plan.sell_b[0], [0.0, 0.8, 4.0, 0.0], atol=1e-6)


def test_buys_below_what_stored_energy_is_worth_and_beside_its_own_sun() -> None:
    # worth .10 x .95 = .095 per kWh bought
    plan = one_battery(np.array([0.09, 0.10, -0.02, 0.20]), soc=2.0, value=0.10, surplus=1.0)
    np.testing.assert_allclose(plan.buy_b[0], [3.0, 0.0, 3.0, 0.0], atol=1e-6)


def test_the_maximum_of_the_vpp_binds() -> None:
    plan = one_battery(np.full(4, 0.6), soc=10.0, value=0.0, capacity=1.5)
    np.testing.assert_allclose(plan.sell_b[0], 1.5, atol=1e-6)


def test_a_car_puts_charging_off_when_later_is_cheaper() -> None:
    devices = Devices(NONE, NONE, NONE, np.array([0.0]))
    problem = DispatchProblem(devices, PHYSICS, 1, False)

    def solve(later: float) -> GatePlan:
        return problem.solve(
            gate(
                np.array([0.10, 0.30, 0.10, 0.30]),
                deficit=np.zeros(1),
                p_baseline=np.array([[7.0, 7.0, 0.0, 0.0]]),
                charge_room=np.array([[0.0, 0.0, 7.0, 7.0]]),
                deficit_room=np.full((1, 1), 40.0),
                back_width=np.ones(1),
                back=np.full((1, SEGMENTS), later / PHYSICS.eta_e),
            )
        )

    cheap_later = solve(0.05)
    np.testing.assert_allclose(cheap_later.defer[0], [7.0, 7.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(cheap_later.back[0], 0.0, atol=1e-6)
    # dear later: only the dear interval is deferred, and bought back within the hour
    dear_later = solve(0.50)
    np.testing.assert_allclose(dear_later.defer[0], [0.0, 7.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(dear_later.back[0], [0.0, 0.0, 7.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("due", [0, 1])
def test_a_car_that_cannot_be_ready_is_softened_wherever_that_is(due: int) -> None:
    """It lacks 5 kWh, may lack 2 at the end of one hour, and nothing can be returned."""
    devices = Devices(NONE, NONE, NONE, np.array([0.0]))
    room = np.full((1, 2), 40.0)
    room[0, due] = 2.0
    inputs = gate(
        np.full(8, 0.10),
        2,
        deficit=np.array([5.0]),
        p_baseline=np.zeros((1, 8)),
        charge_room=np.zeros((1, 8)),
        deficit_room=room,
        back_width=np.ones(1),
        back=np.full((1, SEGMENTS), 0.10),
    )
    limits = dataclasses.replace(everything(devices, inputs), today=np.ones(2))
    plan = DispatchProblem(devices, PHYSICS, 2, False).solve(dataclasses.replace(inputs, limits=limits))
    assert plan.status == "optimal"
    np.testing.assert_allclose(plan.late_kwh, [3.0], atol=1e-6)
    # whom nobody asks is owed no readiness: such a car is feasible as it is
    np.testing.assert_allclose(DispatchProblem(devices, PHYSICS, 2, False).solve(inputs).late_kwh, [0.0], atol=1e-6)


def test_thresholds_clear_the_planned_intervals_only() -> None:
    lmp = np.array([0.10, 0.60, 0.30, 0.20])
    dearest = [lmp >= least for least in (0.6, 0.3, 0.1, 1.0)]
    ask = sell_threshold(lmp / 1.05, np.array(dearest), np.zeros(4))
    assert [(a * 1.05 <= lmp).sum() for a in ask[:3]] == [1, 2, 4]
    assert ask[2] == 0.0
    # no less than the owner's own ask, which is that of what is not used
    asked = sell_threshold(lmp / 1.05, np.array(dearest), np.full(4, 0.25))
    np.testing.assert_allclose(asked, np.maximum([ask[0], 0.25, 0.25, 0.25], 0.25))
    # what is used clears though a dearer interval is not
    assert sell_threshold(lmp / 1.05, np.array([[True, False, False, True]]), np.zeros(1))[0] * 1.05 <= 0.20
    limit = buy_threshold(lmp, np.array([lmp <= 0.1, lmp <= 0.3, lmp < 0.0]))
    assert [(b >= lmp).sum() for b in limit] == [1, 3, 0]


def test_one_quantity_carries_the_energy_of_the_plan() -> None:
    plan = np.array([[4.0, 4.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    kw, used = spread(plan)
    np.testing.assert_array_equal(used.sum(axis=1), [2, 0, 4])
    np.testing.assert_allclose(kw * used.sum(axis=1), plan.sum(axis=1))


def test_a_line_that_storage_must_not_serve_is_within_the_plan_wherever_it_clears() -> None:
    highest = np.array([0.10, 0.40, 0.30, 0.30])
    plan = np.array([[7.0, 7.0, 7.0, 7.0], [7.0, 2.0, 2.0, 2.0], [0.0, 6.0, 5.0, 0.0], [0.0, 0.0, 7.0, 7.0]])
    kw, used = always(plan, highest)
    # all four; all four at 2; the dearest alone (the next two clear together, and one is empty); none without it
    np.testing.assert_allclose(kw, [7.0, 2.0, 6.0, 0.0])
    np.testing.assert_array_equal(used.sum(axis=1), [4, 4, 1, 0])


def test_the_problem_is_built_once_and_the_policy_is_honest_about_consent() -> None:
    month = Month(load_scenario("week20").override({"time.duration_hours": 48}), 0)
    policy = Centralized()
    run = simulate(month, policy)
    problem = policy.problem
    summary = summarize(run)
    assert problem is policy.problem
    assert policy.failures == 0
    assert summary["satisfaction_consented"] == 0.0
    audit = Audit(Verdict.VERIFIED, Information.OWN, 0, (), ())
    truthful = summarize(simulate(month, make_policy("truthful"), audit=audit))
    assert summary["market_revenue"] >= truthful["market_revenue"]
    assert summary["avg_satisfaction"] < truthful["avg_satisfaction"]


def test_a_longer_horizon_is_the_same_problem_with_more_intervals() -> None:
    month = Month(load_scenario("quick"), 1)
    short, long = simulate(month, Centralized()), simulate(month, Centralized(horizon_hours=3))
    assert long.complete
    assert long.policy.failures == short.policy.failures == 0  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="horizon_hours"):
        Centralized(horizon_hours=-1)


FLEET = [
    {"bess_kwh": 10.0, "bess_kw": 5.0, "bess_min_kwh": 1.0, "soc_kwh": 8.0},
    {"ev_kwh": 60.0, "ev_kw": 11.0, "ev_soc_kwh": 30.0, "ev_target_kwh": 50.0},
    {},
]


def test_optimize_dispatch_by_hand() -> None:
    opportunity = {"duration_hours": 1, "required_capacity_mw": 1.0, "day_ahead_price": 250.0}
    result = CentralizedOptimizer().optimize_dispatch(opportunity, FLEET, "2023-08-01T18:00")
    # everything beats its cost: the battery is limited by its converter, the car by its charger
    np.testing.assert_allclose(result.dispatch["sell_kw"], [5.0, 11.0, 0.0], atol=1e-6)
    assert result.expected_revenue_usd == pytest.approx(16.0 * 0.250)
    used = 5.0 / 0.95 + 11.0
    assert result.expected_profit_usd == pytest.approx(16.0 * 0.250 - 5.0 * 0.063 - 0.10 * used)
    cheap = CentralizedOptimizer().optimize_dispatch(opportunity | {"day_ahead_price": 20.0}, FLEET, "2023-08-01")
    assert cheap.energy_kwh == pytest.approx(0.0, abs=1e-6)


def test_optimize_dispatch_takes_messages_and_tables() -> None:
    message = MarketOpportunity(
        opportunity_id="opp-1",
        product="energy",
        start="2023-08-01T18:00:00-07:00",
        duration_hours=1.0,
        required_capacity_mw=0.004,
        minimum_capacity_mw=0.0,
        day_ahead_price=400.0,
        deadline="2023-08-01T18:00:00-07:00",
    )
    result = CentralizedOptimizer().optimize_dispatch(message, pd.DataFrame(FLEET[:1]), "2023-08-01T17:00")
    assert result.total_power_kw == pytest.approx(4.0)


ONE_HOUR: dict[str, Any] = {"duration_hours": 1, "required_capacity_mw": 1, "day_ahead_price": 1}


def test_optimize_dispatch_takes_the_homes_of_a_view_and_no_homes() -> None:
    world = World([Month(load_scenario("quick"), 1)])
    world.reset()
    homes = build_view(world, Information.OWN).homes
    opportunity = {"duration_hours": 1, "required_capacity_mw": 0.001, "day_ahead_price": 900.0}
    result = CentralizedOptimizer().optimize_dispatch(opportunity, homes, "2023-08-01")
    assert result.total_power_kw == pytest.approx(1.0)
    assert len(result.dispatch) == len(homes.own_ask)
    assert CentralizedOptimizer().optimize_dispatch(opportunity, [], "2023-08-01").energy_kwh == 0.0


@pytest.mark.parametrize(
    ("opportunity", "fleet", "match"),
    [
        ({"duration_hours": 1}, FLEET, "day_ahead_price"),
        ({"duration_hours": 0, "required_capacity_mw": 1, "day_ahead_price": 1}, FLEET, "at least"),
        ({"duration_hours": 1, "required_capacity_mw": 1, "day_ahead_price": 1}, 3, "table of homes"),
        (ONE_HOUR, [{"bess_kw": -2.0}], "negative"),
        (ONE_HOUR, [{"bess_kw": float("inf")}], "above 1e"),
        (ONE_HOUR, [{"bess_kw": "much"}], "no number"),
        (ONE_HOUR, [{"bess_kwh": 10.0, "batery_kw": 5.0}], "unknown column 'batery_kw'"),
        (ONE_HOUR, pd.DataFrame({"soc": [1.0]}), "Did you mean 'soc_kwh'"),
        (ONE_HOUR, [{}, {"bess_kwh": 10.0, "soc_kwh": 12.0}], r"rows \[1\].*soc_kwh above bess_max_kwh"),
        (ONE_HOUR, [{"bess_kwh": 10.0, "bess_max_kwh": 11.0}], "bess_max_kwh above bess_kwh"),
        (ONE_HOUR, [{"ev_kwh": 60.0, "ev_kw": 11.0, "ev_soc_kwh": 61.0}], "ev_soc_kwh above ev_kwh"),
        (ONE_HOUR, [{"ev_kw": 11.0, "ev_target_kwh": 50.0}], "ev_target_kwh above ev_kwh"),
        (ONE_HOUR, [{"plugged": "no"}], "plugged"),
        (ONE_HOUR, [3.0], "got the row 3.0"),
        (ONE_HOUR | {"duration_hours": 0.3}, FLEET, "quarter hours"),
        (ONE_HOUR | {"duration_hours": float("inf")}, FLEET, "quarter hours"),
        (ONE_HOUR | {"day_ahead_price": 1e308}, FLEET, "price of at most"),
        (ONE_HOUR | {"day_ahead_price": "cheap"}, FLEET, "day_ahead_price is 'cheap'"),
    ],
)
def test_optimize_dispatch_says_what_is_wrong(opportunity: dict[str, Any], fleet: object, match: str) -> None:
    with pytest.raises(PolicyError, match=match):
        CentralizedOptimizer().optimize_dispatch(opportunity, fleet, "2023-08-01")
