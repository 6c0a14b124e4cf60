"""Energy of every home is conserved and hard limits hold, whatever is bid.

Every home is a month of its own here, so that the sums over homes in `Outcome.flow_kw` are the home's own flows.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import STYLES, begin, month, play, random_actions, with_prices

from vpp_env.contract.bids import encode
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

DT = 0.25
HOMES = 12
ONE = {"fleet.size": 1, "market.min_bid_mw": 0.0, "time.duration_hours": 30, "market.call_probability": 0.3}
MIXES = {
    "default": {},
    "all": {"fleet.share_bess": 1.0, "fleet.share_ev": 1.0, "fleet.share_pv": 1.0, "fleet.v2g_share": 1.0},
    "own_use": {"home.control": "self_consumption", "fleet.share_bess": 1.0, "fleet.share_pv": 0.8},
    "quarters": {"time.opportunity_minutes": 15, "fleet.share_ev": 1.0, "fleet.v2g_share": 1.0},
    "halves": {"time.opportunity_minutes": 30, "fleet.share_ev": 1.0, "time.start": "2023-08-04T13:00"},
    "regulation": {"market.regulation": True, "fleet.share_bess": 1.0, "fleet.share_ev": 1.0},
    "clock": {"time.start": "2023-11-04T20:00", "fleet.share_bess": 1.0, "fleet.share_ev": 1.0},
    "weekend": {"time.start": "2023-08-05T00:00", "fleet.share_ev": 1.0, "fleet.v2g_share": 1.0},
}


def homes(mix: str, seed: int, **prices: float) -> World:
    """HOMES independent months of one home each."""
    name = "reference" if mix == "reference" else "week20"
    months = [month(name, {**ONE, **MIXES.get(mix, {})}, 100 * seed + e) for e in range(HOMES)]
    return begin(*(with_prices(m, **prices) for m in months) if prices else months)


runs = given(
    mix=st.sampled_from([*MIXES, "reference"]),
    seed=st.integers(0, 3),
    bids=st.integers(0, 10_000),
    style=st.sampled_from(STYLES),
)
few = settings(deadline=None, max_examples=12, derandomize=True)


@few
@runs
def test_battery_energy_is_conserved(mix: str, seed: int, bids: int, style: str) -> None:
    world = homes(mix, seed)
    eta = world.scenario.fleet.bess_eta
    soc = world.state.battery.soc_kwh.copy()
    for outcome in play(world, bids, style):
        for flow, (after, _) in zip(outcome.flow_kw, outcome.soc_kwh, strict=True):
            charged = (flow[FLOW.home_charge] + flow[FLOW.battery_bought]) * DT
            given_out = (flow[FLOW.battery] + flow[FLOW.home_discharge]) * DT
            np.testing.assert_allclose(after - soc, eta * charged - given_out / eta, rtol=0, atol=1e-9)
            soc = after


@few
@runs
def test_car_energy_is_conserved(mix: str, seed: int, bids: int, style: str) -> None:
    world = homes(mix, seed)
    eta, rng = world.scenario.fleet.ev_eta, np.random.default_rng(bids)
    while not world.done:
        soc, plan, k = world.state.vehicle.soc_kwh.copy(), world.day.plan, world.clock(world.t)[1]
        outcome = world.step(random_actions(rng, HOMES, style))
        for flow in outcome.flow_kw:
            away = (k >= plan.dep) & ((k < plan.arr) | (k >= plan.out))
            soc = soc + eta * flow[FLOW.ev_charge] * DT - flow[FLOW.v2g] * DT / eta
            assert not flow[[FLOW.ev_charge, FLOW.v2g, FLOW.deferred]][:, away].any()
            k += 1
            soc = np.where(plan.arr == k, np.maximum(soc - plan.trip, 0.0), soc)
        np.testing.assert_allclose(world.state.vehicle.soc_kwh, soc, rtol=0, atol=1e-9)


@few
@runs
def test_meters_add_up_and_nothing_is_paid_twice(mix: str, seed: int, bids: int, style: str) -> None:
    world = homes(mix, seed)
    rng = np.random.default_rng(bids)
    while not world.done:
        plan, baseline, k = world.day.plan, world.day.baseline, world.clock(world.t)[1]
        for flow in world.step(random_actions(rng, HOMES, style)).flow_kw:
            own = (plan.pv[k] - plan.load[k]).astype(float)  # the traces are single precision
            net = own - flow[FLOW.ev_charge] - flow[FLOW.home_charge] - flow[FLOW.battery_bought]
            net += flow[FLOW.battery] + flow[FLOW.home_discharge] + flow[FLOW.v2g]
            # what leaves the home is on exactly one of two meters
            np.testing.assert_allclose(flow[FLOW.retail] + flow[FLOW.market], net, rtol=0, atol=1e-9)
            # the retail meter sees the baseline's car, never the market's energy
            retail = own - baseline.ev_kw[k] - flow[FLOW.home_charge] + flow[FLOW.home_discharge]
            np.testing.assert_allclose(flow[FLOW.retail], retail, rtol=0, atol=1e-9)
            k += 1


@few
@runs
def test_a_deferral_is_sold_once_and_bought_back_once(mix: str, seed: int, bids: int, style: str) -> None:
    world = homes(mix, seed)
    eta, rng = world.scenario.fleet.ev_eta, np.random.default_rng(bids)
    sold, could = np.zeros(HOMES), np.zeros(HOMES)
    while not world.done:
        plan, baseline, k = world.day.plan, world.day.baseline, world.clock(world.t)[1]
        owed = baseline.ev_soc[k] - world.state.vehicle.soc_kwh
        arrives = False
        for flow in world.step(random_actions(rng, HOMES, style)).flow_kw:
            assert (flow[FLOW.deferred] <= baseline.ev_kw[k] + 1e-12).all()
            sold, could = sold + flow[FLOW.deferred], could + baseline.ev_kw[k]
            back = flow[FLOW.forced] + flow[FLOW.bought] - flow[FLOW.battery_bought]
            owed = owed + eta * (flow[FLOW.deferred] - back) * DT + flow[FLOW.v2g] * DT / eta
            k += 1
            arrives = arrives | (plan.arr == k)
        k = world.clock(world.t)[1]
        now = world.day.baseline.ev_soc[k] - world.state.vehicle.soc_kwh
        # a trip may empty the car, which ends the debt: only homes without an arrival are compared
        np.testing.assert_allclose(np.where(arrives, 0, now), np.where(arrives, 0, owed), rtol=0, atol=1e-9)
        assert (now >= -1e-9).all(), "a car holds more than its baseline"
    assert (sold <= could + 1e-9).all()


@few
@runs
def test_hard_limits_hold_for_any_bid(mix: str, seed: int, bids: int, style: str) -> None:
    world = homes(mix, seed)
    p = world.parameters
    for outcome in play(world, bids, style):
        soc_b, soc_e = world.state.battery.soc_kwh, world.state.vehicle.soc_kwh
        assert (soc_b >= p.battery.min_kwh - 1e-9).all()
        assert (soc_b <= p.battery.max_kwh + 1e-9).all()
        assert (soc_e >= 0.0).all()
        assert (soc_e <= p.vehicle.kwh).all()
        for flow, award, reserve in zip(outcome.flow_kw, outcome.award_kw, outcome.reserve_kw, strict=True):
            assert (flow[: FLOW.retail] >= -1e-12).all()
            charge, give = (
                flow[FLOW.home_charge] + flow[FLOW.battery_bought],
                flow[FLOW.battery] + flow[FLOW.home_discharge],
            )
            assert (np.maximum(charge, give) <= p.battery.kw + 1e-9).all()
            assert (charge * give == 0.0).all()
            assert (flow[FLOW.ev_charge] <= p.vehicle.kw + 1e-9).all()
            assert (flow[FLOW.v2g] <= p.vehicle.v2g_kw + 1e-9).all()
            assert (flow[FLOW.ev_charge] * flow[FLOW.v2g] == 0.0).all()
            # no phantom capacity: every award can be, and is, delivered
            np.testing.assert_allclose(flow[FLOW.sold], np.maximum(award, 0.0), rtol=0, atol=1e-8)
            np.testing.assert_allclose(flow[FLOW.bought], np.maximum(-award, 0.0), rtol=0, atol=1e-8)
            assert (flow[FLOW.called] <= reserve + 1e-9).all()
            parts = flow[FLOW.deferred] + flow[FLOW.battery] + flow[FLOW.v2g]
            np.testing.assert_allclose(parts, flow[FLOW.sold] + flow[FLOW.called], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("minutes", "control", "v2g"),
    [
        (15, "backup", 0.7),
        (30, "backup", 0.0),
        (60, "backup", 0.0),
        (30, "backup", 0.7),
        (60, "backup", 0.7),
        (15, "self_consumption", 0.7),
        (60, "self_consumption", 0.7),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_sale_within_the_bounds_of_the_view_stays_inside_the_envelope(
    minutes: int, control: str, v2g: float, seed: int
) -> None:
    changes = {
        "fleet.size": 40,
        "market.min_bid_mw": 0.0,
        "fleet.share_ev": 0.8,
        "fleet.share_bess": 0.7,
        "fleet.v2g_share": v2g,
        "time.duration_hours": 72,
        "time.opportunity_minutes": minutes,
        "home.control": control,
    }
    world = begin(with_prices(month("week20", changes, seed), rt=900.0, calls=False))
    limit, sold = world.sell_limit_kw, 0.0
    while not world.done:
        homes_now = build_view(world, Information.OWN).homes
        most = homes_now.defer_kw + homes_now.storage_sell_kw
        outcome = world.step(encode(limit, world.buy_limit_kw, sell1_kw=most, sell1_ask=0.0))
        rows = outcome.ledger[:, 0]
        # asks are paid: what is left of the envelope is measured, not its price
        assert rows[led.L_BEYOND].max() <= 1e-6
        assert rows[led.L_DEPTH_H].max() <= 1e-6
        assert rows[led.L_BLACK].max() == 0.0
        assert outcome.short.max() <= 1e-6
        assert outcome.missed.max() == 0.0
        sold += float(rows[led.L_SOLD].sum())
    assert sold > 100.0
