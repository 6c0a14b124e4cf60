"""What every registered policy keeps, whatever it does."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month

from vpp_env.contract.bids import Bids, check_actions
from vpp_env.contract.policy import Consent, make_policy, policy_names
from vpp_env.core import ledger as led
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import Run, market_rules, policy_rng, simulate
from vpp_env.simulation.view_builder import build_view

CHANGES = {"fleet.size": 12, "fleet.share_bess": 0.7, "fleet.share_ev": 0.7, "time.duration_hours": 8}


def played(name: str, seed: int = 0) -> Run:
    return simulate(month("quick", CHANGES, seed), make_policy(name))


@pytest.mark.parametrize("name", policy_names())
def test_a_short_month(name: str) -> None:
    run = played(name)
    assert run.complete
    table, kpi = run.record.opportunities(), summarize(run)
    assert len(table) == kpi["total_timesteps"] == 8
    assert len(run.record.interval_table()) == 32
    money = table[[c for c in table if c.startswith("money_")]]
    assert np.isfinite(money.to_numpy()).all()
    conserved = table["money_energy"] + table["money_reserve"] - table["money_nopay"] - table["money_deviation"]
    np.testing.assert_allclose(
        conserved, table["actual_profit"] + table["money_payments"] + table["money_compute"], rtol=0, atol=1e-9
    )
    assert kpi.total_violations.total == table["preference_violations"].sum()
    for share in ("avg_satisfaction", "satisfaction_consented", "success_rate", "opportunity_satisfaction"):
        assert 0.0 <= kpi[share] <= 1.0
    assert (table["capacity_utilization"] <= 1.0 + 1e-9).all()
    assert (table["bid_capacity_mw"] >= 0.0).all()
    if run.policy.info.consent is Consent.NEVER:
        assert kpi["satisfaction_consented"] == 0.0


@pytest.mark.parametrize("name", policy_names())
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    first, again, other = played(name, 1), played(name, 1), played(name, 2)
    assert np.array_equal(first.record.totals, again.record.totals)
    ignored = ["decision_time", "optimization_time"]
    a, b = (r.record.opportunities() for r in (first, again))
    ignored += [c for c in a if c.endswith(("_s", "seconds", "_time"))]
    assert a.drop(columns=ignored, errors="ignore").equals(b.drop(columns=ignored, errors="ignore"))
    if name != "idle":
        assert not np.array_equal(first.record.totals, other.record.totals)


@pytest.mark.parametrize("name", policy_names())
def test_one_policy_object_plays_two_months_alike(name: str) -> None:
    """`reset` begins anew: nothing of the last month is left."""
    policy, fresh = make_policy(name), make_policy(name)
    simulate(month("quick", CHANGES, 3), policy)
    reused, new = (simulate(month("quick", CHANGES, 4), p).record.totals for p in (policy, fresh))
    assert np.array_equal(reused, new)


@pytest.mark.parametrize("name", policy_names())
@pytest.mark.parametrize(
    "changes", [{"fleet.size": 1}, {"fleet.share_bess": 0.0, "fleet.share_ev": 0.0}, {"market.reserve": False}]
)
def test_odd_fleets(name: str, changes: dict[str, float]) -> None:
    world, policy = begin(month("quick", {"time.duration_hours": 3} | changes)), make_policy(name)
    policy.reset(market_rules(world), policy_rng(0))
    for _ in range(3):
        bids = policy.act(build_view(world, policy.info.information))
        assert isinstance(bids, Bids)
        array = check_actions(bids.actions, world.n_homes)
        assert np.abs(array).max() <= 1.0
        if bids.accepted is not None:
            assert bids.accepted.shape == (world.n_homes,)
        o = world.step(bids.actions)
        if not world.products:
            assert o.ledger[led.L_RESERVE].sum() == 0.0
