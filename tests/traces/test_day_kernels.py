"""A day as it is drawn, against plain NumPy: the same bits."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaincinv, ndtr, ndtri

from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.streams import stream
from vpp_env.traces import load as loads
from vpp_env.traces import solar, vehicles, weather
from vpp_env.traces.fleet import build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.price_clock import build_clock
from vpp_env.traces.series import ar1
from vpp_env.traces.vehicles import APART, DURATION_H, LEVELS, LONGEST_DAYS, NEVER, CarDay, Cars
from vpp_env.units import DT_H, Floats

STARTS = ("2023-08-01T00:00", "2023-03-10T00:00", "2023-11-03T00:00", "2024-12-20T00:00")
"""Among them the days on which the clock changes."""


def scenario_of(start: str, size: int = 120, **changes: object) -> Scenario:
    given = {"fleet.size": size, "time.start": start, "time.duration_hours": 96}
    return load_scenario("august").override(given | changes)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# -- cars --------------------------------------------------------------------------------------------------


def plain_length_h(start_h: Floats, rank: Floats, habit: Floats) -> Floats:
    """(C,) h, see `vehicles.length_h`."""
    u = ndtr(rank)
    same_day = np.array([np.interp(24.0 - h, DURATION_H[int(h)], LEVELS) for h in start_h])
    share = np.clip((u - same_day) / np.maximum(1.0 - same_day, 1e-9), 1e-9, 1.0 - 1e-9)
    late = ndtr(vehicles.HABIT * habit + np.sqrt(1.0 - vehicles.HABIT**2) * ndtri(share))
    level = np.where(u > same_day, same_day + (1.0 - same_day) * late, u)
    return np.array([np.interp(x, LEVELS, DURATION_H[int(h)]) for x, h in zip(level, start_h, strict=True)])


def plain_drawn(c: Cars, scenario: Scenario, seed: int, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and energy of the sessions of a day, before what lies around them is looked at."""
    calendar = scenario.calendar
    rng, n = stream(seed, "vehicles", weather.DAY_KEY + day), calendar.steps_in_day(day)
    weekend = calendar.day_weekday(day) >= 5
    u, z = rng.random((2, len(c.column))), rng.standard_normal((2, len(c.column)))
    shares = vehicles.WEEKEND_SHARES if weekend else vehicles.WEEKDAY_SHARES
    start_h = np.minimum(np.interp(u[1], shares, np.arange(25.0)), 24.0 - 1e-9)
    start = np.clip(calendar.wall_to_step(day, np.floor(start_h * 4.0) * 15.0), 1, n - 1)
    length = np.maximum(np.rint(plain_length_h(start_h, z[0], c.habit) / DT_H).astype(np.int64), 1)
    within = vehicles.LENGTH_ENERGY * z[0] + np.sqrt(1.0 - vehicles.LENGTH_ENERGY**2) * z[1]
    goes = u[0] < (c.weekend if weekend else c.weekday)
    kwh = c.median_kwh * np.exp(vehicles.DAY_SIGMA * within)
    return np.where(goes, start, NEVER), np.where(goes, start + length, NEVER), kwh


class PlainSessions:
    """See `vehicles.Sessions`; day by day and array by array."""

    def __init__(self, c: Cars, scenario: Scenario, seed: int) -> None:
        self._c, self._scenario, self._seed = c, scenario, seed
        self._n = scenario.calendar.steps_in_day
        self._days: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def _drawn(self, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if day not in self._days:
            self._days[day] = plain_drawn(self._c, self._scenario, self._seed, day)
        return self._days[day]

    def _start(self, day: int) -> np.ndarray:
        mine = self._drawn(day)[0]
        return np.where(self._n(day) + self._drawn(day + 1)[0] - mine >= 2 * APART, mine, NEVER)

    @staticmethod
    def _past(end: np.ndarray, *midnights: int) -> np.ndarray:
        return np.where(np.isin(end, midnights), end + 1, end)

    def day(self, day: int) -> CarDay:
        c, n = self._c, self._n(day)
        there, end_before, ahead = np.zeros(len(c.column), dtype=bool), np.zeros(len(c.column), dtype=np.int64), 0
        for d in range(day - 1, day - 2 - LONGEST_DAYS, -1):
            ahead += self._n(d)
            new = (self._start(d) < NEVER) & ~there
            end_before, there = np.where(new, self._drawn(d)[1] - ahead, end_before), there | new
        _, end, kwh = self._drawn(day)
        arr, tomorrow = self._start(day), n + self._start(day + 1)
        out = np.where(arr < NEVER, self._past(np.minimum(end, tomorrow - APART), n), NEVER)
        following = np.where(arr < NEVER, arr, tomorrow)
        dep = np.where(there, np.clip(self._past(np.minimum(end_before, following - APART), 0, n), 0, n), 0)
        full = c.eta * c.kw * DT_H * (out - arr)
        trip = np.where(arr < NEVER, np.minimum(kwh, np.minimum(c.cap_kwh, full)), 0.0)
        made = CarDay(
            np.zeros(c.n_homes, dtype=np.int64), np.full(c.n_homes, n), np.full(c.n_homes, n), np.zeros(c.n_homes)
        )
        for mine, of_car in zip(made, (dep, np.minimum(arr, n), np.minimum(out, n), trip), strict=True):
            mine[c.column] = of_car
        return made


@pytest.mark.parametrize("start", STARTS)
def test_a_day_of_cars(start: str) -> None:
    scenario = scenario_of(start, 500)
    c = vehicles.cars(build_fleet(scenario, 3), 3, scenario.fleet.ev_eta)
    plain, compiled = PlainSessions(c, scenario, 3), vehicles.Sessions(c, scenario.calendar, 3)
    for day in range(-2, 6):
        for mine, other in zip(compiled.day(day), plain.day(day), strict=True):
            assert same(mine, other), day


@pytest.mark.parametrize(("tomorrow", "dep"), [(1, 95), (2, 96), (50, 96), (NEVER, 96)])
def test_a_car_that_is_plugged_in_all_day_leaves_in_time_for_tomorrows_session(tomorrow: int, dep: int) -> None:
    start, end = np.full((9, 1), NEVER), np.full((9, 1), NEVER)
    start[5], end[5], start[7] = 80, 80 + 300, tomorrow  # yesterday's, for three days; today there is none
    made = CarDay(*(np.zeros(1, dtype=np.int64) for _ in range(3)), np.zeros(1))
    one = np.ones(1)
    vehicles._cut(start, end, np.full(9, 96), 6, one, np.zeros(1, dtype=np.int64), one, one, made)
    assert [float(x[0]) for x in made] == [dep, 96, 96, 0.0]


def test_how_likely_a_session_is() -> None:
    """A logistic of log odds whose mean over the cars is the measured frequency."""
    scenario = scenario_of(STARTS[0], 20_000)
    c = vehicles.cars(build_fleet(scenario, 0), 0, scenario.fleet.ev_eta)
    assert c.weekday.mean() == pytest.approx(vehicles.SESSIONS_PER_DAY, abs=0.01)
    assert np.allclose(c.weekend, vehicles.WEEKEND_SESSIONS * c.weekday, rtol=1e-15)


# -- sun ---------------------------------------------------------------------------------------------------


def plain_pv(homes: solar.PvHomes, n: int, unit: np.ndarray, clearness: Floats, rho: float, seed: int) -> np.ndarray:
    """(n, N) float32 kW, see `solar.day_pv`."""
    out = np.zeros((len(unit), n), dtype=np.float32)
    own, rng = solar.interpolation(len(unit), solar.RESIDUAL_STEPS), np.random.default_rng(seed)
    normals = own @ rng.standard_normal((own.shape[1], len(homes.column)), dtype=np.float32)
    gain = solar.RESIDUAL_GAIN * np.sqrt((1.0 - rho) / max(rho, 0.05))
    sigma = (gain * np.clip(1.0 - clearness, 0.0, 1.0) ** solar.RESIDUAL_POWER).astype(np.float32)[:, None]
    up = np.flatnonzero(unit.any(axis=1))
    factor = np.exp(normals[up] * sigma[up] - sigma[up] ** 2 / 2)
    share = np.clip(factor * unit[up][:, homes.roof] * homes.factor, 0.0, 1.0)
    out[np.ix_(up, homes.column)] = share * homes.kwp
    return out


@pytest.mark.parametrize("start", STARTS)
def test_a_day_of_solar_output(start: str) -> None:
    scenario = scenario_of(start)
    fleet = build_fleet(scenario, 4)
    traces, homes = HomeTraces(scenario, fleet, 4), solar.pv_homes(fleet, 4)
    for day in (0, 2, 3):
        unit, clearness = traces._unit_day(day), traces.weather_day(day)[1]
        made = solar.day_pv(homes, fleet.n, unit, clearness, 0.4, np.random.default_rng(day))
        assert same(made, plain_pv(homes, fleet.n, unit, clearness, 0.4, day)), day
        assert made.max() > 1.0


def test_the_sun_is_worked_out_once_for_all_months_of_a_scenario() -> None:
    scenario = scenario_of(STARTS[1])
    days = range(-2, 7)
    sun = solar.sun_of_days(scenario.site, scenario.calendar, days)
    assert solar.sun_of_days(scenario.site, scenario_of(STARTS[1], 5).calendar, days) is sun
    assert solar.sun_of_days(scenario.site, scenario_of(STARTS[2]).calendar, days) is not sun
    assert not any(array.flags.writeable for array in sun[1:])
    utc = [scenario.calendar.day_index_utc(day) for day in days]
    index = pd.DatetimeIndex(np.concatenate([u.tz_localize(None).to_numpy() for u in utc]), tz="UTC")
    ghi, cosine = solar.clear_ghi(scenario.site, index)
    assert same(ghi[sun.up], sun.clear_ghi)
    assert same(cosine[sun.up], np.cos(np.radians(sun.zenith)))
    assert sun.steps == len(ghi) == 96 * len(days) - 4
    assert not np.delete(ghi, sun.up).any()


# -- load --------------------------------------------------------------------------------------------------


def plain_load(homes: loads.LoadHomes, scenario: Scenario, day: int, warm: Floats, ratio: float) -> np.ndarray:
    """(n, N) float32 kW, see `loads.day_load`."""
    f32, rng, hours = np.float32, np.random.default_rng(day), scenario.calendar.day_hours(day)
    n, count = len(hours), len(homes.size)
    shape = loads._day_shape(scenario.calendar.first_day + timedelta(days=day), tuple(hours.tolist()))
    nodes, habit = loads.interpolation(n, loads.NODE_STEPS), loads.interpolation(n, loads.HABIT_STEPS)
    base = nodes @ (rng.standard_normal((nodes.shape[1], count), dtype=f32) * f32(loads.BASE_SIGMA))
    base += habit @ homes.habit[: habit.shape[1]]
    base += f32(loads.DAY_SIGMA) * rng.standard_normal(count, dtype=f32)
    region = f32(1.0 + loads.REGION_SIGMA * rng.standard_normal())
    cool = nodes @ (rng.standard_normal((nodes.shape[1], count), dtype=f32) * f32(loads.COOL_SIGMA))
    runs = loads._appliances(homes, shape, rng)
    ripple = rng.standard_normal((n, count), dtype=f32)
    cool_kw = (shape.level * loads.cooling_kw(warm)).astype(f32)
    edges = np.zeros((n + 1, count), dtype=f32)
    np.add.at(edges, (runs.start, runs.home), runs.kw)
    np.subtract.at(edges, (runs.end, runs.home), runs.kw)
    drawn = np.add.accumulate(edges, axis=0, dtype=f32)[:-1]
    kw = np.clip(base + region, *map(f32, loads.BASE_SPAN)) * shape.base_kw[:, homes.phase]
    kw += np.clip(cool + f32(1.0), f32(0.0), f32(loads.MAX_DUTY)) * cool_kw[:, None] * homes.cooling
    kw = kw * homes.size + np.maximum(drawn, f32(0.0))
    kw -= np.maximum(kw - homes.knee, f32(0.0)) * f32(1.0 - loads.OVER_KNEE)
    quarter = f32(loads.QUARTER_GAIN * (ratio - 1.0))
    return np.asarray(kw * np.clip(ripple * quarter + f32(1.0), f32(0.3), f32(1.7)))


@pytest.mark.parametrize("start", STARTS)
def test_a_day_of_load(start: str) -> None:
    scenario = scenario_of(start)
    homes = loads.load_homes(build_fleet(scenario, 5), 5, scenario.traces.load_kw_mean)
    for day in (0, 2, 3):
        hours = scenario.calendar.day_hours(day)
        warm = 24.0 + 8.0 * np.sin(hours / 4.0)
        when = scenario.calendar.first_day + timedelta(days=day)
        made = loads.day_load(homes, when, hours, warm, 1.5, np.random.default_rng(day))
        assert same(made, plain_load(homes, scenario, day, warm, 1.5)), day


# -- weather and clock -------------------------------------------------------------------------------------


def plain_ar1(noise: Floats, phi: float) -> Floats:
    made = noise.copy()
    for t in range(1, len(noise)):
        made[t] = phi * made[t - 1] + np.sqrt(1.0 - phi**2) * noise[t]
    return made


def test_an_autoregression() -> None:
    noise = np.random.default_rng(0).standard_normal((500, 2))
    for phi in (0.0, 0.38**0.25, 0.9, 0.999):
        assert same(ar1(noise[:, 0], phi), plain_ar1(noise[:, 0], phi))
    assert np.array_equal(ar1(noise[:9, 1], 0.8), ar1(noise[:, 1], 0.8)[:9])


def test_what_is_drawn_of_a_days_weather_once_is_what_its_streams_say() -> None:
    """Cached by seed and day: of other seeds in between, and asked for backwards."""
    scenario = load_scenario("heatwave")

    def normal(seed: int, purpose: int, day: int) -> float:
        return float(stream(seed, "weather", purpose, weather.DAY_KEY + day).standard_normal())

    weights = 0.75 ** np.arange(8)
    weights /= np.sqrt(np.sum(weights**2))
    for seed in (1, 2, 1):
        first = int(stream(seed, "weather", 1).integers(0, 31 - scenario.prices.heatwave_days + 1))
        wave = range(first, first + scenario.prices.heatwave_days)
        assert weather.heatwave_range(scenario, seed) == wave
        for day in (wave.stop, first, first - 1, 0, -2):
            index = float(weights @ [normal(seed, 0, day - lag) for lag in range(8)])
            heat = 1.0 if day in wave else float(0.6 / (1.0 + np.exp(-1.5 * (index - 0.8))))
            assert weather.day_heat(scenario, seed, day) == heat
            noise = weather.DAY_NOISE_C * normal(seed, 3, day)
            assert weather._anomaly_c(scenario, seed, day) == weather.HEAT_SPAN_C * (heat - weather.MEAN_HEAT) + noise
            when = scenario.calendar.first_day + timedelta(days=day)
            mean = 1.0 - weather.by_month(weather.CLEAR_MEAN, when)
            size = mean * (1.0 - mean) / weather.by_month(weather.CLEAR_STD, when) ** 2 - 1.0
            u = ndtr(0.86 * normal(seed, 4, day) + 0.51 * normal(seed, 4, day - 1))
            cloud = float(betaincinv(mean * size, (1.0 - mean) * size, u)) * (1.0 - 0.5 * heat)
            assert weather._day_cloud(scenario, seed, day, when) == cloud
            hours = scenario.calendar.day_hours(day)
            y = plain_ar1(
                stream(seed, "weather", 2, weather.DAY_KEY + day).standard_normal(96),
                weather.CLOUD_HOUR_CORRELATION**0.25,
            )
            marine = 1.0 + weather.by_month(weather.MARINE, when) * np.clip((11.0 - hours) / 4.0, -0.6, 1.0)
            spread = np.exp(weather.CLOUD_SIGMA * y - weather.CLOUD_SIGMA**2 / 2)
            clear = 1.0 - np.minimum(cloud * np.maximum(marine, 0.1) * spread, weather.MAX_CLOUD)
            assert same(weather.build_day_weather(scenario, seed, day)[1], clear)


def test_months_share_a_clock_that_nobody_can_change() -> None:
    calendar = load_scenario("week20").calendar
    clock = build_clock(calendar, 700)
    assert build_clock(load_scenario("week20").calendar, 700) is clock
    assert build_clock(calendar, 701) is not clock
    with pytest.raises(ValueError, match="read-only"):
        clock.day[0] = 5
