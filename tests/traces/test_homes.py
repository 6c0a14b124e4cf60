"""The homes' series: determinism, clock changes, physics and calibration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.traces.fleet import build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.series import DayTraces
from vpp_env.traces.validation.homes import (
    SHAPES,
    STATS,
    coincidence,
    home_rows,
    measured_values,
    synthetic_values,
)
from vpp_env.traces.weather import build_day_weather, day_heat, heatwave_range, normal_temp_c

DATA = Path(os.environ.get("VPP_ENV_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FIELDS = ("load_kw", "pv_kw", "dep_step", "arr_step", "trip_kwh")


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
    dep, arr, trip = traces.vehicle_day(5)
    day = traces.day(5)
    assert np.array_equal(dep, day.dep_step)
    assert np.array_equal(arr, day.arr_step)
    assert np.array_equal(trip, day.trip_kwh)


@pytest.mark.parametrize(
    ("start", "steps"), [("2023-03-12T00:00", 92), ("2023-11-05T00:00", 100), ("2023-08-01T00:00", 96)]
)
def test_clock_changes(start: str, steps: int) -> None:
    scenario = scenario_of(300, **{"time.start": start, "time.duration_hours": 48})
    traces = traces_of(scenario)
    day = traces.day(0)
    assert day.load_kw.shape == day.pv_kw.shape == (steps, 300)
    hours = scenario.calendar.day_hours(0)
    goes = day.dep_step >= 0
    ready = build_fleet(scenario, 0).ready_minutes[goes] / 60.0
    assert goes.any()
    assert np.all(hours[day.dep_step[goes]] >= ready)
    assert np.all(day.arr_step[goes] <= steps - 1)
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
    assert np.all(day.dep_step == -1)
    assert np.all(day.arr_step == -1)
    assert np.all(day.trip_kwh == 0.0)
    assert np.all(day.load_kw > 0.0)


def test_trips() -> None:
    scenario = scenario_of(400)
    fleet = build_fleet(scenario, 0)
    traces = HomeTraces(scenario, fleet, 0)
    for d in range(-1, 32):
        dep, arr, trip = traces.vehicle_day(d)
        goes = dep >= 0
        assert not goes[~fleet.has_ev].any()
        assert np.array_equal(goes, arr >= 0)
        assert np.array_equal(goes, trip > 0)
        assert np.all((dep[goes] >= 1) & (dep[goes] < arr[goes]) & (arr[goes] <= 95))
        assert np.all(dep[goes] * 15 >= fleet.ready_minutes[goes])
        assert np.all(trip <= 0.8 * fleet.ev_target_kwh + 1e-9)


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
        ("sessions", 0.43, 0.51),
        ("kwh mean", 11.4, 13.9),
        ("kwh median", 8.1, 10.2),
        ("kwh p90", 23.5, 30.0),
        ("plug 16-20", 0.44, 0.54),
        ("plug shape", 0.0, 0.22),
        ("aug temp", 23.5, 27.5),
    ],
)
def test_calibration(values: dict[str, float], key: str, low: float, high: float) -> None:
    assert low <= values[key] <= high


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
    assert len(rows) == len(STATS)
    assert all(np.isfinite((row.synthetic, row.real)).all() for row in rows)
    assert all(row.source for row in rows)


def test_rows_name_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        home_rows(1, tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="no measured data: set VPP_ENV_DATA to the data folder")
def test_embedded_values_are_those_of_the_files() -> None:
    real, shapes = measured_values(DATA)
    for key, stat in STATS.items():
        if key in real:
            assert stat.real == pytest.approx(real[key], rel=0.01), key
    for key, shape in SHAPES.items():
        assert np.allclose(shape, shapes[key], atol=0.002)


def test_coincidence_of_one_and_of_equal_homes() -> None:
    x = np.array([[1.0, 1.0], [3.0, 3.0]])
    assert coincidence(x) == 1.0
    assert coincidence(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0.5
