"""The owners' own prices, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month, with_prices

from vpp_env.contract.views import Information
from vpp_env.owners.asks import buy_back_prices, cheap_price
from vpp_env.scenario.streams import STREAMS
from vpp_env.simulation.view_builder import build_view
from vpp_env.traces.fleet import PRIVATE_VALUES


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
    # two draws an hour of .002, half an hour each: .002 kWh are called per kW on reserve and hour
    np.testing.assert_allclose(homes.reserve_ask, f.standby_value + 0.002 * homes.own_ask, atol=1e-12)
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


FLEET_SEED_0 = {
    "bess_kwh": 89886.5,
    "bess_kw": 46137.0,
    "bess_min_kwh": 8860.024135306572,
    "bess_max_kwh": 84622.1538954145,
    "bess_init_kwh": 52871.181224377324,
    "ev_kwh": 687575.0,
    "ev_kw": 104219.40000000001,
    "v2g_kw": 7482.3,
    "ev_min_kwh": 68757.5,
    "pv_kwp": 85230.0,
    "orientation": 52270.0,
    "load_kw": 22353.813980359133,
    "profile": 19070.0,
    "backup_hours": 110761.17349700502,
    "willingness": 13033.52008509423,
    "premium": 1086.942093179181,
    "max_discharge": 11665.747616184432,
    "cycles_per_day": 19718.356516084543,
    "ev_priority": 17375.0,
    "ev_target_kwh": 569050.1100452626,
    "ready_minutes": 9503265.0,
    "buy_limit": 1216.0683245470054,
    "reference_compensation": 3932.0772794238487,
    "floor_kwh": 20101.955502754085,
    "blackout": 49054686.0,
}
"""Sum of position x value of every array of August's fleet, as it was before the owners had private values."""


def test_private_values_have_a_stream_of_their_own_and_move_nothing_else() -> None:
    fleet = month("august", {"time.duration_hours": 1}).fleet
    for name, expected in FLEET_SEED_0.items():
        values = getattr(fleet, name).ravel()
        assert float((np.arange(values.size) * values).sum()) == pytest.approx(expected, rel=1e-12), name
    # 9 was the policies' own, which is a hash apart from the world's streams
    first = ("fleet", "statements", "weather", "prices", "solar", "load", "vehicles", "market")
    assert [STREAMS[name] for name in first] == list(range(1, 9)), "the numbers of a stream never move"


def test_private_values_keep_their_ranges_by_profile_and_scale() -> None:
    changes = {"fleet.size": 600, "time.duration_hours": 1}
    m, scaled = month("august", changes, 3), month("august", changes | {"preferences.private_value_factor": 2.0}, 3)
    prefs, f = m.scenario.preferences, m.fleet
    for name in (*PRIVATE_VALUES, "tolerance"):
        values = getattr(f, name)
        for profile, (low, high) in enumerate(getattr(prefs, name)):
            mine = values[f.profile == profile]
            assert low <= mine.min() < mine.max() <= high, name
            assert mine.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low)), name
    for name in PRIVATE_VALUES:
        np.testing.assert_allclose(getattr(scaled.fleet, name), 2.0 * getattr(f, name), rtol=1e-12)
    np.testing.assert_array_equal(scaled.fleet.tolerance, f.tolerance)
    np.testing.assert_array_equal(scaled.fleet.expected_gain, f.expected_gain)
    wish = 2.9 * f.bess_kw + f.has_ev
    assert (f.expected_gain >= 0.5 * wish).all()
    assert (f.expected_gain <= 1.5 * wish).all()
    assert (f.expected_gain[~f.has_bess & ~f.has_ev] == 0.0).all()
    assert not np.array_equal(f.tolerance, month("august", changes, 4).fleet.tolerance)


def test_no_view_holds_a_private_value() -> None:
    m = month("week20", {"time.duration_hours": 2})
    hidden = [getattr(m.fleet, name) for name in (*PRIVATE_VALUES, "tolerance", "expected_gain")]
    for information in (Information.OWN, Information.DECLARED, Information.FULL):
        homes = build_view(begin(m), information).homes
        shown = [np.asarray(getattr(homes, name)) for name in dir(homes) if not name.startswith("_")]
        columns = [a for a in shown if a.shape == (m.fleet.n,) and a.dtype == np.float64]
        assert len(columns) > 10
        assert not any(np.array_equal(a, b) for a in columns for b in hidden)
