"""The owners' own prices, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month, with_prices

from vpp_env.contract.views import Information
from vpp_env.owners.asks import buy_back_prices, cheap_price
from vpp_env.simulation.view_builder import build_view


def steps(hours: list[float]) -> np.ndarray:
    return np.repeat(np.array([hours]), 4, axis=1)


def test_buying_back_costs_the_mean_of_the_two_cheapest_hours_in_time() -> None:
    da = steps([0.05, 0.09, 0.01, 0.03, 0.30, 0.02])
    got = buy_back_prices(da, 0, 24, 6)[0]
    np.testing.assert_allclose(got, [0.05, 0.07, 0.03, 0.02, 0.02, 0.015])
    later = buy_back_prices(da, 4, 24, 2)[0]
    np.testing.assert_allclose(later, [0.09, 0.05])


def test_hours_that_are_not_published_repeat_the_day_before() -> None:
    day, next_day = [0.1 + 0.001 * h for h in range(24)], [9.0] * 24
    da = steps(day + next_day)
    got = buy_back_prices(da, 23 * 4, 96, 5)[0]
    # 23 o'clock, then 0 to 3 o'clock as they were today
    np.testing.assert_allclose(got, [0.123, (0.123 + 0.1) / 2, (0.1 + 0.101) / 2, 0.1005, 0.1005])


def test_the_cheap_price_is_the_mean_of_four_hours() -> None:
    assert cheap_price(steps([0.2, 0.1, 0.0, -0.1, 0.5, 0.3]))[0] == pytest.approx(0.05)


def test_asks_follow_the_formula() -> None:
    changes = {"fleet.size": 60, "fleet.share_bess": 1.0, "fleet.share_ev": 1.0, "time.duration_hours": 2}
    m = with_prices(month("week20", changes), da=40.0)
    world = begin(m)
    homes, f = build_view(world, Information.OWN).homes, m.fleet
    refill = np.where(f.has_pv, 0.06, 0.04)
    np.testing.assert_allclose(homes.own_ask, 0.063 + refill / 0.95**2 + f.premium, atol=1e-12)
    np.testing.assert_allclose(homes.reserve_ask, 0.02 * homes.own_ask, atol=1e-12)
    np.testing.assert_allclose(homes.defer_ask, 0.04 + np.array([0.01, 0.03, 0.06])[f.ev_priority], atol=1e-12)
    assert 0.10 < homes.own_ask.min() < homes.own_ask.max() < 0.32


def test_asks_are_never_negative_though_prices_are() -> None:
    m = with_prices(month("week20", {"fleet.size": 60, "fleet.share_pv": 0.0, "time.duration_hours": 1}), da=-150.0)
    homes = build_view(begin(m), Information.OWN).homes
    assert homes.own_ask.min() >= 0.0
    assert homes.defer_ask.min() == 0.0


def test_the_reference_preferences_are_the_published_ranges() -> None:
    m = month("reference", {"fleet.size": 90, "time.duration_hours": 2})
    homes, f = build_view(begin(m), Information.OWN).homes, m.fleet
    for profile, (low, high) in enumerate(((0.20, 0.35), (0.12, 0.25), (0.08, 0.18))):
        mine = homes.own_ask[f.profile == profile]
        assert low <= mine.min() < mine.max() <= high
        assert len(mine) == 30, "a third each"


def test_the_fleet_keeps_its_ranges() -> None:
    m = month("august", {"fleet.size": 2000, "time.duration_hours": 1}, 4)
    f, p = m.fleet, m.parameters
    assert f.has_bess.mean() == pytest.approx(0.35, abs=0.04)
    assert f.has_ev.mean() == pytest.approx(0.45, abs=0.04)
    assert f.has_pv.mean() == pytest.approx(0.55, abs=0.04)
    b = f.has_bess
    assert (f.bess_min_kwh[b] < f.bess_init_kwh[b]).all()
    assert (f.bess_init_kwh[b] < f.bess_max_kwh[b]).all()
    floor = np.minimum(np.maximum(f.bess_min_kwh, f.backup_hours * 0.5), 0.8 * f.bess_kwh)
    np.testing.assert_array_equal(f.floor_kwh, floor)
    assert (f.v2g_kw[~f.has_ev] == 0).all()
    assert (f.v2g_kw[f.has_ev] > 0).mean() == pytest.approx(0.2, abs=0.05)
    assert (p.battery.day_limit_kwh <= p.battery.cycle_limit_kwh + 1e-12).all(), (
        "the envelope never asks for over-cycling"
    )
    assert set(np.bincount(f.profile)) == {666, 667}
