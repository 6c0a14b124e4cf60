"""The homes' series: determinism, clock changes, physics and calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.traces.shared_data import DATA, needs_data
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.fleet import build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.series import DayTraces
from vpp_env.traces.validation.cars import EV_FILE, PLUGGED, START, by_hour, car_rows, measured_sessions
from vpp_env.traces.validation.cars import STATS as CAR_STATS
from vpp_env.traces.validation.cars import values as measured_values_of_cars
from vpp_env.traces.validation.homes import (
    SHAPES,
    STATS,
    coincidence,
    home_rows,
    measured_values,
    synthetic_values,
)
from vpp_env.traces.vehicles import DURATION_H, LEVELS, WEEKDAY_START, WEEKEND_START
from vpp_env.traces.weather import build_day_weather, day_heat, heatwave_range, normal_temp_c

FIELDS = ("load_kw", "pv_kw", "dep_step", "arr_step", "out_step", "trip_kwh")


def scenario_of(size: int = 30, name: str = "august", **changes: object) -> Scenario:
    return load_scenario(name).override({"fleet.size": size} | changes)


def traces_of(scenario: Scenario, seed: int = 0) -> HomeTraces:
    return HomeTraces(scenario, build_fleet(scenario, seed), seed)


def same(a: DayTraces, b: DayTraces) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    made = [synthetic_values(seed) for seed in range(4)]
    return {key: float(np.mean([m[key] for m in made])) for key in made[0]}


@pytest.fixture(scope="module")
def sessions() -> dict[str, float]:
    return {key: row.synthetic for key, row in zip(CAR_STATS, car_rows(6, None), strict=True)}


def test_days_do_not_depend_on_the_order_of_calls() -> None:
    scenario = scenario_of()
    forward, backward = traces_of(scenario), traces_of(scenario)
    days = (-2, -1, 0, 3, 17, 31, 33, 34)
    made = {d: forward.day(d) for d in days}
    assert all(same(backward.day(d), made[d]) for d in reversed(days))
    assert same(forward.day(0), made[0])
    assert not same(made[0], made[3])


def test_seeds_differ_and_arrays_are_fresh_and_read_only() -> None:
    scenario = scenario_of()
    fleet = build_fleet(scenario, 0)
    traces = HomeTraces(scenario, fleet, 0)
    one, again, other = traces.day(1), traces.day(1), HomeTraces(scenario, fleet, 1).day(1)
    assert not np.array_equal(one.load_kw, other.load_kw)
    for name in FIELDS:
        array = getattr(one, name)
        assert not array.flags.writeable
        assert array is not getattr(again, name)
    assert one.load_kw.dtype == one.pv_kw.dtype == np.float32
    assert one.dep_step.dtype == one.arr_step.dtype == np.int64


def test_vehicle_day_is_the_days_own() -> None:
    traces = traces_of(scenario_of())
    car, day = traces.vehicle_day(5), traces.day(5)
    for mine, name in zip(car, FIELDS[2:], strict=True):
        assert np.array_equal(mine, getattr(day, name))


@pytest.mark.parametrize(
    ("start", "steps"), [("2023-03-12T00:00", 92), ("2023-11-05T00:00", 100), ("2023-08-01T00:00", 96)]
)
def test_clock_changes(start: str, steps: int) -> None:
    scenario = scenario_of(300, **{"time.start": start, "time.duration_hours": 48})
    traces = traces_of(scenario)
    day = traces.day(0)
    assert day.load_kw.shape == day.pv_kw.shape == (steps, 300)
    hours = scenario.calendar.day_hours(0)
    assert 0.2 < (day.arr_step < steps)[build_fleet(scenario, 0).has_ev].mean() < 0.7
    assert day.dep_step.max() <= steps
    assert day.out_step.max() == steps
    # a session that goes on at midnight is there the next morning
    goes_on = ((day.arr_step < steps) & (day.out_step == steps)) | (day.dep_step == steps)
    assert np.array_equal(goes_on, traces.day(1).dep_step > 0)
    sunny = hours[day.pv_kw.max(axis=1) > 0.1]
    assert sunny.min() > 5.0
    assert sunny.max() < 20.5


def test_pv_is_zero_at_night_and_at_most_kwp() -> None:
    scenario = scenario_of(100)
    fleet = build_fleet(scenario, 0)
    traces = HomeTraces(scenario, fleet, 0)
    for d in range(0, 31, 5):
        pv, hours = traces.day(d).pv_kw, scenario.calendar.day_hours(d)
        assert np.all(pv[(hours < 5.5) | (hours >= 20.0)] == 0.0)
        assert np.all(pv >= 0.0)
        assert np.all(pv <= fleet.pv_kwp.astype(np.float32))
        assert np.all(pv[48, fleet.has_pv] > 0.0)
        assert np.all(pv[:, ~fleet.has_pv] == 0.0)


@pytest.mark.parametrize("size", [1, 3])
def test_homes_without_devices(size: int) -> None:
    changes = {"fleet.share_ev": 0.0, "fleet.share_pv": 0.0, "fleet.share_bess": 0.0}
    day = traces_of(scenario_of(size, **changes)).day(0)
    assert np.all(day.pv_kw == 0.0)
    assert np.all(day.dep_step == 0)
    assert np.all(day.arr_step == 96)
    assert np.all(day.trip_kwh == 0.0)
    assert np.all(day.load_kw > 0.0)


def test_sessions() -> None:
    scenario = scenario_of(400)
    fleet = build_fleet(scenario, 0)
    traces = HomeTraces(scenario, fleet, 0)
    goes_on = None
    for d in range(-1, 32):
        dep, arr, out, trip = traces.vehicle_day(d)
        starts = arr < 96
        assert not starts[~fleet.has_ev].any()
        assert not dep[~fleet.has_ev].any()
        assert np.array_equal(starts, trip > 0)
        # never plugged in without having left
        assert np.all(dep[starts] < arr[starts])
        assert np.all((arr >= 1) & (arr < out) | ~starts)
        assert np.all((dep >= 0) & (dep <= 96) & (out <= 96))
        assert np.all(trip <= 0.8 * fleet.ev_target_kwh + 1e-9)
        # what a session cannot charge was not used before it
        ends = starts & (out < 96)
        assert np.all(trip[ends] <= (0.92 * fleet.ev_kw * 0.25 * (out - arr))[ends] + 1e-9)
        if goes_on is not None:
            assert np.array_equal(goes_on, dep > 0)
        goes_on = (starts & (out == 96)) | (dep == 96)


def test_no_car_of_the_baseline_lacks_its_trip_or_leaves_short() -> None:
    """Every session of the baseline ends at the target, so that what is used before the next one is there."""
    m = Month(scenario_of(200), 3)
    fleet, sessions = m.fleet, 0
    for d in range(31):
        plan, baseline = m.day(d)
        for ends in (plan.dep, plan.out):
            there = np.flatnonzero((ends > 0) & (ends < 96))
            sessions += len(there)
            assert np.allclose(baseline.ev_soc[ends[there], there], fleet.ev_target_kwh[there], rtol=0, atol=1e-9)
        here = np.flatnonzero(plan.arr < 96)
        assert np.all(baseline.ev_soc[plan.arr[here] - 1, here] >= plan.trip[here])
    assert sessions > 500


def test_early_risers_leave_early() -> None:
    scenario = scenario_of(400)
    fleet = build_fleet(scenario, 0)
    traces = HomeTraces(scenario, fleet, 0)
    ready, leaves = [], []
    for d in range(31):
        dep = traces.vehicle_day(d).dep
        at = (dep > 16) & (dep < 56)
        ready += fleet.ready_minutes[at].tolist()
        leaves += dep[at].tolist()
    assert 0.25 < np.corrcoef(ready, leaves)[0, 1] < 0.65


def test_weather_is_continuous_seasonal_and_hot_in_a_heat_wave() -> None:
    scenario = scenario_of(name="heatwave")
    wave = heatwave_range(scenario, 0)
    assert len(wave) == 5
    assert all(day_heat(scenario, 0, d) == 1.0 for d in wave)
    hot = build_day_weather(scenario, 0, wave[2])[0]
    usual = normal_temp_c(scenario.calendar.first_day, scenario.calendar.day_hours(wave[2]))
    assert 9.0 < hot.max() - usual.max() < 15.0
    days = [build_day_weather(scenario, 0, d) for d in range(31)]
    temp = np.concatenate([t for t, _ in days])
    assert np.abs(np.diff(temp)).max() < 2.0
    assert all(np.all((c > 0.0) & (c <= 1.0)) for _, c in days)
    april = np.mean([build_day_weather(scenario_of(name="april"), 0, d)[0].mean() for d in range(30)])
    assert 14.0 < april < 20.0


def test_load_follows_heat_and_the_scenarios_mean() -> None:
    scenario = scenario_of(100, "heatwave")
    traces = traces_of(scenario)
    wave = heatwave_range(scenario, 0)
    outside = [d for d in range(31) if d not in wave]
    hot = np.mean([traces.day(d).load_kw[64:80].mean() for d in wave])
    mild = np.mean([traces.day(d).load_kw[64:80].mean() for d in outside])
    assert hot - mild > 0.6
    double = scenario_of(100, "heatwave", **{"traces.load_kw_mean": 2.2})
    ratio = traces_of(double).day(3).load_kw.mean() / traces.day(3).load_kw.mean()
    assert ratio == pytest.approx(2.0, rel=0.02)


def test_whole_load_mean_is_unbiased_over_seeds() -> None:
    scenario = scenario_of(40)
    means = []
    for seed in range(16):
        fleet = build_fleet(scenario, seed)
        traces = HomeTraces(scenario, fleet, seed)
        means.append(np.mean([traces.day(d).load_kw.mean() for d in range(0, 31, 4)]) / fleet.load_kw.mean())
    # August of the measured homes is 1.22 of their year
    assert np.mean(means) == pytest.approx(1.22, rel=0.06)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("aug mean", 1.2, 1.5),
        ("apr mean", 0.75, 0.95),
        ("aug peak", 5.5, 7.5),
        ("aug c200", 0.36, 0.52),
        ("aug shape", 0.0, 0.13),
        ("apr shape", 0.0, 0.13),
        ("aug lag1", 0.5, 0.75),
        ("aug cf", 0.18, 0.215),
        ("apr cf", 0.185, 0.235),
        ("aug cloud", 0.65, 0.9),
        ("apr cloud", 0.7, 0.95),
        ("aug temp", 23.5, 27.5),
    ],
)
def test_calibration(values: dict[str, float], key: str, low: float, high: float) -> None:
    assert low <= values[key] <= high


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("sessions", 0.44, 0.51),
        ("rate p10", 0.08, 0.17),
        ("rate p90", 0.80, 0.95),
        ("kwh mean", 11.6, 13.6),
        ("kwh median", 8.3, 9.8),
        ("kwh p90", 24.5, 29.0),
        ("hours median", 9.8, 12.0),
        ("overnight", 0.57, 0.65),
        ("start 16-20", 0.33, 0.40),
        ("start shape", 0.0, 0.06),
        ("midnight", 0.29, 0.34),
        ("evening", 0.19, 0.24),
        ("midday", 0.13, 0.18),
        ("plugged", 0.0, 0.03),
        ("plugged most", 0.0, 0.06),
    ],
)
def test_sessions_are_as_measured(sessions: dict[str, float], key: str, low: float, high: float) -> None:
    assert low <= sessions[key] <= high


def test_cloud_correlation_obeys_the_scenario() -> None:
    def spread(correlation: float) -> float:
        scenario = scenario_of(60, name="april", **{"traces.pv_residual_correlation": correlation})
        fleet = build_fleet(scenario, 0)
        even = replace(fleet, orientation=np.zeros(60, dtype=np.int64))
        pv = HomeTraces(scenario, even, 0).day(0).pv_kw[48, fleet.has_pv] / fleet.pv_kwp[fleet.has_pv]
        return float(np.std(pv) / np.mean(pv))

    assert spread(0.5) > spread(0.95)


def test_rows_without_data() -> None:
    rows = home_rows(1, None)
    assert len(rows) == len(STATS) + len(CAR_STATS)
    assert all(np.isfinite((row.synthetic, row.real)).all() for row in rows)
    assert all(row.source for row in rows)


def test_rows_name_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        home_rows(1, tmp_path)


@needs_data
def test_embedded_values_are_those_of_the_files() -> None:
    real, shapes = measured_values(DATA)
    for key, stat in STATS.items():
        if key in real:
            assert stat.real == pytest.approx(real[key], rel=0.01), key
    for key, shape in SHAPES.items():
        assert np.allclose(shape, shapes[key], atol=0.002)


@needs_data
def test_embedded_sessions_are_those_of_the_file() -> None:
    table = measured_sessions(DATA)
    real = measured_values_of_cars(table)
    for key, stat in CAR_STATS.items():
        assert stat.real == pytest.approx(real[key], rel=0.01, abs=0.002), key
    assert np.allclose(table.plugged, PLUGGED, atol=0.001)
    assert np.allclose(by_hour(table), START, atol=0.001)


@needs_data
def test_the_generators_shapes_are_those_of_all_users_the_seldom_seen_as_well() -> None:
    table = pd.read_parquet(DATA / EV_FILE).dropna()
    length = (table["plugout_local"] - table["plugin_local"]).dt.total_seconds().to_numpy() / 3600.0
    clock = pd.DatetimeIndex(table["plugin_local"])
    hour, weekend = clock.hour.to_numpy(), clock.day_of_week.to_numpy() >= 5
    for h in range(24):
        assert np.allclose(np.quantile(length[hour == h], LEVELS), DURATION_H[h], atol=0.051)  # printed to .1
    for days, shares in ((~weekend, WEEKDAY_START), (weekend, WEEKEND_START)):
        assert np.allclose(np.bincount(hour[days], minlength=24) / days.sum(), shares, atol=0.001)


def test_coincidence_of_one_and_of_equal_homes() -> None:
    x = np.array([[1.0, 1.0], [3.0, 3.0]])
    assert coincidence(x) == 1.0
    assert coincidence(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0.5
