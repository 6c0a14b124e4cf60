"""Foresight is what a world that nobody dispatches shows, gate by gate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import begin, month

from vpp_env.contract.foresight import Foresight
from vpp_env.contract.views import Homes, Information
from vpp_env.core import ledger as led
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.units import DT_H

IDLE = -1.0
"""The bid that is nothing."""

RICH = {"fleet.size": 12, "fleet.share_bess": 0.9, "fleet.share_ev": 0.9, "fleet.v2g_share": 0.5}
CASES: dict[str, dict[str, Any]] = {
    "hourly": {"time.duration_hours": 48},
    "mid-day": {"time.start": "2023-08-02T11:00", "time.duration_hours": 30},
    "quarters": {"time.duration_hours": 26, "time.opportunity_minutes": 15},
    "clocks back": {"time.start": "2023-11-04T18:00", "time.duration_hours": 34},
    "clocks forward": {"time.start": "2023-03-11T18:00", "time.duration_hours": 34},
    "own use": {"time.duration_hours": 48, "home.control": "self_consumption"},
    "low batteries": {"time.duration_hours": 72, "fleet.bess_soc_init": (0.15, 0.15)},
    "gate lead": {"time.duration_hours": 30, "market.gate_lead_minutes": 75},
    "regulation": {"time.duration_hours": 24, "market.regulation": True, "market.call_probability": 0.3},
}


def idle(world: World) -> Any:
    return world.step(np.full((world.n_homes, 8), IDLE, dtype=np.float32))


def look(world: World) -> tuple[Homes, Foresight]:
    view = build_view(world, Information.ORACLE)
    return view.homes, view.foresight()


@pytest.mark.parametrize("case", CASES)
def test_it_is_what_an_idle_world_shows(case: str) -> None:
    world = begin(month("week20", {**RICH, **CASES[case]}))
    f = look(world)[1]
    saved = np.zeros(world.n_homes)
    while not world.done:
        o, t = world.opportunity, world.t
        homes, later = look(world)
        then = o + world.lead
        if then < len(f.own_ask):
            np.testing.assert_array_equal(homes.own_ask, f.own_ask[then])
            np.testing.assert_array_equal(homes.defer_ask, f.defer_ask[then])
            np.testing.assert_array_equal(homes.reserve_ask, f.reserve_ask[then])
            if world.lead == 0:
                np.testing.assert_array_equal(homes.hours_to_ready, f.due[t] * DT_H)
                np.testing.assert_array_equal(homes.plugged, f.plugged[t])
                np.testing.assert_array_equal(homes.blackout_now, f.blackout[t : t + world.steps].any(axis=0))
                # a car at home that nobody dispatches is its baseline
                np.testing.assert_array_equal(homes.ev_soc_kwh, f.baseline_ev_soc_kwh[t] * f.plugged[t])
        # what is seen later is the rest of what is seen now
        np.testing.assert_array_equal(later.lmp, f.lmp[t:])
        np.testing.assert_array_equal(later.due, f.due[t:])
        np.testing.assert_array_equal(later.baseline_ev_soc_kwh, f.baseline_ev_soc_kwh[t:])
        np.testing.assert_array_equal(later.arrives, f.arrives[t:])
        np.testing.assert_array_equal(later.own_ask[world.lead :], f.own_ask[o + world.lead :])
        np.testing.assert_array_equal(later.back_end, f.back_end)
        outcome = idle(world)
        np.testing.assert_array_equal(outcome.lmp[:, 0], f.lmp[t : t + world.steps])
        bill = outcome.ledger[led.L_BILL, 0]
        np.testing.assert_allclose(outcome.ledger[led.L_BILL_BASELINE, 0], bill, atol=1e-12)
        saved -= bill
        used = f.shortage_kw[t : t + world.steps] - f.surplus_kw[t : t + world.steps]
        rate = f.import_usd_per_kwh[t : t + world.steps, None]
        # without its battery the home would have paid this
        saved += DT_H * (np.maximum(used, 0.0) * rate - np.maximum(-used, 0.0) * f.export_usd_per_kwh).sum(axis=0)
    # what the baseline's batteries gave the homes wears them; an idle world's own batteries are the baselines'
    wear = world.scenario.home.degradation_usd_per_kwh * given_at_home(begin(world.months[0]))
    np.testing.assert_allclose(f.baseline_usd, saved - wear, atol=1e-9)
    np.testing.assert_array_equal(world.owners.refill[0], f.refill_end)
    np.testing.assert_array_equal(world.owners.back[0], f.back_end)
    np.testing.assert_allclose(f.baseline_bess_kwh[-1], outcome.soc_home_kwh[-1, 1, 0])
    assert f.self_consumption == (case == "own use")
    assert (case == "own use") == (wear.sum() > 0)


def given_at_home(world: World) -> np.ndarray:
    """KWh that an idle fleet's batteries discharge, from the paths of their charge alone."""
    before = world.months[0].fleet.bess_init_kwh
    given = np.zeros(world.n_homes)
    while not world.done:
        for soc in idle(world).soc_home_kwh[:, 0, 0]:
            given += np.maximum(before - soc, 0.0) * world.scenario.fleet.bess_eta
            before = soc
    return given


def test_prices_are_those_of_the_market() -> None:
    world = begin(month("week20", {**RICH, **CASES["regulation"]}))
    f, series = look(world)[1], world.months[0].series
    rows = slice(0, f.n_steps)
    up = np.max([series.reserve_usd_per_mw[name][rows] for name in ("spin", "nonspin", "regup")], axis=0)
    np.testing.assert_allclose(f.reserve_up, up / 1000)
    np.testing.assert_allclose(f.reserve_down, series.reserve_usd_per_mw["regdown"][rows] / 1000)
    np.testing.assert_array_equal(f.called, world.months[0].calls[rows])
    assert f.called.any()
    np.testing.assert_array_equal(f.sale, f.lmp)
    assert not f.spread.any()
    two = look(begin(month("week20", {**RICH, "market.two_settlement": True})))[1]
    np.testing.assert_allclose(two.spread, series_of(two, "da") / 1000 - two.lmp)
    hot = look(begin(month("heatwave", {"fleet.size": 3, "time.duration_hours": 240})))[1]
    assert set(np.round(hot.sale - hot.lmp, 9)) == {0.0, 2.0}


def series_of(f: Foresight, name: str) -> np.ndarray:
    series = month("week20", {**RICH, "market.two_settlement": True}).series
    return getattr(series, f"{name}_usd_per_mwh")[: f.n_steps]


@pytest.mark.parametrize(("rule", "share"), [("floor_and_share", 0.7), ("uniform", 0.0), ("pay_as_bid", 0.0)])
def test_members_are_sure_of_the_share_that_the_rule_gives(rule: str, share: float) -> None:
    assert look(begin(month("quick", {"market.payment": rule})))[1].paid_share == share


def test_the_vpps_own_influence_widens_what_may_clear() -> None:
    base = look(begin(month("quick")))[1]
    moved = look(begin(month("quick", {"market.clearing": "residual_supply"})))[1]
    assert base.raised == base.slope == 0.0
    assert moved.slope == pytest.approx(0.5e-6)
    assert moved.raised == pytest.approx(0.5e-6 * month("quick").fleet.buy_limit_kw.sum())
    np.testing.assert_array_equal(moved.sale, base.sale)
    assert (moved.highest_ask > base.highest_ask).all()
    assert (moved.lowest_limit < base.lowest_limit).all()


def test_nobody_may_write_into_it() -> None:
    f = look(begin(month("quick")))[1]
    for value in vars(f).values():
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable
