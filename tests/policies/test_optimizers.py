"""The optimizer policies: what they promise, keep and never see."""

from __future__ import annotations

import numpy as np
import pytest

from policies.optimal.bounds import bracket
from policies.optimal.devices import Measure, Rules
from tests.support import begin, month, with_prices
from vpp_env.core import ledger as led
from vpp_env.kpi import summarize
from vpp_env.policy import make_policy
from vpp_env.satisfaction import violations
from vpp_env.simulate import brief_of, policy_rng, simulate
from vpp_env.views import Information


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
