"""`truthful`: what an owner wants to sell, on the line of the device that serves it."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month
from vpp_policies.truthful import Truthful, own_offers, storage_ask

from vpp_env.contract.views import Homes, Information, Public
from vpp_env.core import ledger as led
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import MarketRules, market_rules, simulate
from vpp_env.simulation.view_builder import build_view

MIXED = {"fleet.size": 40, "fleet.share_bess": 0.6, "fleet.share_ev": 0.8, "fleet.v2g_share": 0.4}
EVENING = {"time.start": "2023-08-03T00:00", "time.duration_hours": 72}


def at(hour: int, safeguard: bool) -> tuple[Homes, Public, MarketRules]:
    world = begin(month("week20", MIXED | EVENING | {"market.safeguard": safeguard}))
    for _ in range(hour):
        world.step(np.full((40, 8), -1.0))
    view = build_view(world, Information.OWN)
    return view.homes, view.public, market_rules(world)


@pytest.mark.parametrize("hour", [3, 13, 18, 20])
def test_full_power_at_the_own_asks_behind_a_gateway(hour: int) -> None:
    homes, public, rules = at(hour, safeguard=True)
    offers = own_offers(homes, public, rules)
    stores = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    assert stores.any()
    assert (~stores & (homes.ev_kwh > 0)).any()
    total = offers["sell1_kw"] + offers["sell2_kw"]
    np.testing.assert_allclose(total, rules.sell_limit_kw, atol=1e-9)
    np.testing.assert_array_equal(offers["reserve_kw"], rules.sell_limit_kw)
    # storage can only be called at what covers it: the first line of its home is what the car can defer throughout
    assert (offers["sell1_kw"][stores] <= homes.defer_kw[stores] + 1e-9).all()
    np.testing.assert_array_equal(offers["sell1_ask"], homes.defer_ask)
    np.testing.assert_array_equal(offers["sell2_ask"][stores], storage_ask(homes)[stores])
    assert (offers["sell2_ask"][stores] >= homes.own_ask[stores]).all()
    assert (offers["buy_limit"] <= np.maximum(homes.buy_limit, homes.defer_ask) + 1e-12).all()


def test_without_a_gateway_no_more_than_lasts() -> None:
    for hour in (3, 13, 18, 20):
        homes, public, rules = at(hour, safeguard=False)
        offers = own_offers(homes, public, rules)
        stores = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
        assert (offers["sell1_kw"] <= np.where(stores, homes.defer_kw, homes.defer_first_kw) + 1e-9).all()
        assert (offers["sell2_kw"] <= homes.storage_sell_kw + 1e-9).all()
        beside = homes.defer_kw + homes.storage_sell_kw - offers["sell1_kw"] - offers["sell2_kw"]
        assert (offers["reserve_kw"] <= np.maximum(beside, 0.0) + 1e-9).all()


@pytest.mark.parametrize("lead", [0, 75])
@pytest.mark.parametrize("seed", [0, 1])
def test_nobody_is_underpaid_and_nothing_wished_is_broken(lead: int, seed: int) -> None:
    changes = MIXED | EVENING | {"market.safeguard": True, "market.gate_lead_minutes": lead}
    run = simulate(month("week20", changes, seed), Truthful())
    assert run.record.totals[led.L_SOLD].sum() > 10.0
    assert summarize(run).total_violations.total == 0
