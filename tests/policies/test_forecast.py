"""Forecasts: by hand on made-up prices, blind to what comes, steady when the clock changes, of no day learned on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import begin, month, with_prices
from vpp_benchmarks.run.fit_prices import fit_measured
from vpp_policies.forecast import (
    FORECASTERS,
    DayAheadForecast,
    Forecast,
    LearnedForecast,
    Persistence,
    Seasonal,
    day_ahead_prices,
    make_forecaster,
)
from vpp_policies.forecast.forecast import clock_of
from vpp_policies.forecast.learned import DEFAULT_MODEL, day_marks, levels, load, save, spike_factor

from vpp_env import KWH_PER_MWH, Month, load_scenario, make_policy, real_month_names, simulate
from vpp_env.contract.views import Information, Public
from vpp_env.errors import DataError, PolicyError, UnknownNameError
from vpp_env.simulation.view_builder import build_view
from vpp_env.traces.prices import build_prices
from vpp_env.traces.readers.caiso import load_market_data

ZONE = "America/Los_Angeles"
PLAIN = ("day_ahead", "persistence", "seasonal")
"""Forecasters without a model."""


def public(
    now: str, rt: np.ndarray, da: np.ndarray, ahead: np.ndarray, lead: int = 0, rho: np.ndarray | None = None
) -> Public:
    gate = pd.Timestamp(now, tz=ZONE)
    return Public(
        opportunity=len(rt) // 4 + lead,
        n_opportunities=744,
        start=gate + lead * pd.Timedelta(hours=1),
        hours=1.0,
        steps=4,
        da_usd_per_kwh=ahead,
        past_da_usd_per_kwh=da,
        past_rt_usd_per_kwh=rt,
        past_reserve_usd_per_kw_h={} if rho is None else {"spin": rho},
        required_kw=1000.0,
        now=gate,
        lead=lead,
    )


def test_unpublished_hours_repeat_the_latest_known_day() -> None:
    # Tuesday noon: today to midnight is published
    yesterday, morning, rest = np.arange(96.0), 100 + np.arange(48.0), 148 + np.arange(48.0)
    p = public("2023-08-08T12:00", np.zeros(144), np.concatenate([yesterday, morning]), rest)
    got = day_ahead_prices(p, 150)
    np.testing.assert_array_equal(got[:48], rest)
    np.testing.assert_array_equal(got[48:144], np.concatenate([morning, rest]))
    np.testing.assert_array_equal(got[144:], morning[:6])
    np.testing.assert_array_equal(day_ahead_prices(p, 3), rest[:3])


def test_a_month_that_begins_at_noon_knows_half_a_day() -> None:
    p = public("2023-08-01T12:00", np.zeros(0), np.zeros(0), 5 + np.arange(48.0))
    got = day_ahead_prices(p, 144)
    assert (got[48:96] == 5.0).all(), "a morning that nobody has seen: the earliest price known"
    np.testing.assert_array_equal(got[96:144], got[:48])
    for name in PLAIN:
        np.testing.assert_allclose(make_forecaster(name)(p, 36).points, got, rtol=0, atol=1e-15)
    with pytest.raises(PolicyError, match="day-ahead"):
        day_ahead_prices(public("2023-08-01T12:00", np.zeros(0), np.zeros(0), np.zeros(0)), 4)


def test_day_ahead_adds_the_differences_of_past_days() -> None:
    da = np.full(192, 0.10)
    rt = da.copy()
    rt[72:76] += 0.04  # 18 h of the first day
    rt[96 + 72 : 96 + 76] += [0.0, 0.0, 0.0, 0.08]
    p = public("2023-08-03T00:00", rt, da, np.full(96, 0.20))
    got = DayAheadForecast()(p, 24)
    expected = np.full(96, 0.20)
    expected[72:76] = [0.22, 0.22, 0.22, 0.26]
    np.testing.assert_allclose(got.points, expected, atol=1e-12)
    # an hour's intervals come together: the latest day first
    np.testing.assert_allclose(got.price[18], [[0.20, 0.20, 0.20, 0.28], [0.24] * 4], atol=1e-12)
    np.testing.assert_allclose(got.weight, 0.5)
    expected[72:76] = [0.20, 0.20, 0.20, 0.28]
    np.testing.assert_allclose(DayAheadForecast(days=1)(p, 24).points, expected, atol=1e-12)


def test_persistence_repeats_the_last_day() -> None:
    rt = np.random.default_rng(0).normal(size=300)
    p = public("2023-08-04T03:00", rt, np.zeros(300), np.ones(84))
    forecast = Persistence()(p, 50)
    got = forecast.points
    np.testing.assert_allclose(got[:96], rt[-96:], atol=1e-12)
    np.testing.assert_array_equal(got[96:], got[:104])
    # 3 h: three past days, two changes from day to day, taken less their mean
    day = rt[[284, 188, 92]]
    changes = np.array([day[0] - day[1], day[1] - day[2]])
    there = forecast.weight[20] > 0
    np.testing.assert_allclose(forecast.price[20, there, 0], day[0] + changes - changes.mean(), atol=1e-12)
    # six hours into a month: what was seen is repeated, the rest is day-ahead and its mean difference (0 there)
    p = public("2023-08-01T06:00", rt[:24], np.zeros(24), np.ones(72))
    got = Persistence()(p, 24).points
    np.testing.assert_array_equal(got[:72], 1.0)
    np.testing.assert_array_equal(got[72:], rt[:24])


def test_with_a_lead_the_horizon_begins_at_delivery() -> None:
    rt = np.random.default_rng(1).normal(size=192)
    p = public("2023-08-03T00:00", rt, np.zeros(192), np.arange(88.0), lead=2)
    np.testing.assert_allclose(Persistence()(p, 22).points, rt[96 + 8 :], atol=1e-12)
    np.testing.assert_allclose(Persistence()(p, 24).points[88:], rt[96 : 96 + 8], atol=1e-12)
    np.testing.assert_allclose(Seasonal()(p, 1).points, (rt[8:12] + rt[96 + 8 : 96 + 12]) / 2)
    got = day_ahead_prices(p, 96 + 8)
    np.testing.assert_array_equal(got[:88], np.arange(88.0))
    assert (got[88:96] == 0.0).all(), "the gap is in no view: the day before stands for it"
    np.testing.assert_array_equal(got[96:], np.arange(8.0))


def test_seasonal_takes_weekends_apart_once_there_are_enough() -> None:
    # from a Tuesday on: weekday price 1, weekend price 5
    days = pd.date_range("2023-08-01", periods=16, tz=ZONE).day_of_week
    rt = np.repeat(np.where(days >= 5, 5.0, 1.0), 96)
    few = public("2023-08-12T00:00", rt[: 11 * 96], np.zeros(11 * 96), np.zeros(96))  # Saturday, after one weekend
    np.testing.assert_allclose(Seasonal()(few, 24).points, (9 * 1 + 2 * 5) / 11)
    np.testing.assert_allclose(Seasonal(least_days=2)(few, 24).points, 5.0)
    enough = public("2023-08-17T00:00", rt, np.zeros(16 * 96), np.zeros(96))  # Thursday, after two
    got = Seasonal()(enough, 4 * 24).points
    np.testing.assert_allclose(got.reshape(4, 96).mean(axis=1), [1.0, 1.0, 5.0, 5.0])


@pytest.mark.parametrize("change", ["2023-11-05", "2023-03-12"])
@pytest.mark.parametrize("name", PLAIN)
def test_the_evening_stays_in_the_evening_when_the_clock_changes(change: str, name: str) -> None:
    gate = pd.Timestamp(change, tz=ZONE)
    first = gate - 10 * pd.Timedelta(days=1)
    clock = pd.date_range(first, gate + pd.Timedelta(hours=60), freq="15min")
    price = np.where((clock.hour >= 17) & (clock.hour < 21), 0.3, 0.05)
    t = int(np.searchsorted(clock, gate))
    p = public(change, price[:t], price[:t], price[t : t + 4])
    np.testing.assert_allclose(make_forecaster(name)(p, 50).points, price[t : t + 200], atol=1e-12)


@pytest.mark.parametrize("minute", [15, 30, 45])
def test_an_hour_may_begin_between_full_hours(minute: int) -> None:
    rt, k = np.random.default_rng(minute).normal(size=192 + minute // 15), minute // 15
    p = public(f"2023-08-03T00:{minute}", rt, np.zeros(len(rt)), np.zeros(96 - k))
    np.testing.assert_allclose(Persistence()(p, 23).points, rt[96 + k : 192 - 4 + k], atol=1e-12)
    assert LEARNED(p, 23).price.shape[0] == 23


def test_reserve_is_of_the_same_hour() -> None:
    def mean(p: Public, hours: int, name: str = "day_ahead") -> np.ndarray:
        return make_forecaster(name)(p, hours).reserve_points

    none = public("2023-08-01T00:00", np.zeros(0), np.zeros(0), np.ones(96), rho=np.zeros(0))
    some = public("2023-08-01T02:00", np.zeros(8), np.zeros(8), np.ones(88), rho=np.array([1.0] * 4 + [3.0] * 4))
    rho = np.concatenate([np.full(96, 1.0), np.full(96, 5.0)])
    two = public("2023-08-03T00:00", np.zeros(192), np.zeros(192), np.ones(96), rho=rho)
    for name in PLAIN:
        assert (mean(none, 2, name) == 0.0).all()
        assert (mean(some, 2, name) == 2.0).all(), "an hour never seen: the mean of all"
        np.testing.assert_array_equal(mean(some, 24, name)[-2:], [1.0, 3.0])
    np.testing.assert_allclose(mean(two, 24), 3.0)
    # that of the product which pays best, of those that give energy
    both = dataclasses.replace(
        two, past_reserve_usd_per_kw_h={"spin": rho, "nonspin": 6.0 - rho, "regdown": 9.0 * np.ones(192)}
    )
    np.testing.assert_allclose(mean(both, 24), 5.0)
    assert (mean(public("2023-08-01T00:00", np.zeros(0), np.zeros(0), np.ones(96)), 1) == 0.0).all()


def test_quantiles_are_of_the_weighted_samples() -> None:
    price = np.arange(8.0).reshape(1, 2, 4)
    forecast = Forecast(price, np.array([[0.25, 0.75]]), np.zeros((1, 2)))
    got = forecast.quantiles(np.array([0.0, 0.25, 0.26, 1.0]))
    np.testing.assert_array_equal(got[0], [0.0, 0.0, 4.0, 4.0])
    np.testing.assert_array_equal(got[:, 0], price[0, 0])
    np.testing.assert_allclose(forecast.points, 0.25 * price[0, 0] + 0.75 * price[0, 1])


@pytest.mark.parametrize("lead", [0, 75])
@pytest.mark.parametrize("gate", [0, 7, 14, 30])
def test_what_comes_after_the_gate_changes_nothing(gate: int, lead: int) -> None:
    changes = {"fleet.size": 2, "time.duration_hours": 40, "market.gate_lead_minutes": lead}
    base = month("week20", changes, 3)
    world = begin(base)
    t, known = gate * 4, (gate * 4 // 96 + (2 if gate % 24 >= 13 else 1)) * 96
    series = base.series
    rng = np.random.default_rng(gate)
    da, rt = series.da_usd_per_mwh.copy(), series.rt_usd_per_mwh.copy()
    da[known:], rt[t:] = rng.normal(size=len(da) - known), rng.normal(size=len(rt) - t)
    other = with_prices(base, rt=rt, da=da)
    rho = {k: np.concatenate([v[:t], 9.0 + v[t:]]) for k, v in series.reserve_usd_per_mw.items()}
    other.series = dataclasses.replace(other.series, reserve_usd_per_mw=rho)
    worlds = world, begin(other)
    for _ in range(gate):
        for w in worlds:
            w.step(np.full((2, 8), -1.0))
    views = [build_view(w, Information.OWN).public for w in worlds]
    for name in FORECASTERS:
        first, second = (make_forecaster(name)(v, 24) for v in views)
        np.testing.assert_allclose(first.weight.sum(axis=1), 1.0)
        for one, other_one in ((getattr(first, f), getattr(second, f)) for f in ("price", "weight", "reserve")):
            assert np.isfinite(one).all()
            assert one.tobytes() == other_one.tobytes()
    # the test can fail: one opportunity later the torn prices are past
    for w in worlds:
        w.step(np.full((2, 8), -1.0))
    later = [Persistence()(build_view(w, Information.OWN).public, 24).points for w in worlds]
    assert not np.array_equal(*later)


def test_names() -> None:
    assert set(FORECASTERS) == {*PLAIN, "learned"}
    assert make_forecaster("seasonal") == Seasonal()
    with pytest.raises(UnknownNameError, match=r"Did you mean 'persistence'"):
        make_forecaster("persistance")
    with pytest.raises(PolicyError, match="is no price model"):
        make_forecaster("absent.npz")
    for policy in ("mpc", "stochastic"):
        with pytest.raises(UnknownNameError, match=r"Did you mean 'seasonal'"):
            make_policy(f"{policy}(forecaster='seasnal')")


@pytest.mark.parametrize("first", ["2023-08-04T17:15", "2023-11-05T00:00", "2023-11-04T23:30", "2023-03-11T23:45"])
@pytest.mark.parametrize("steps", [0, 1, 4, 96, 1000])
def test_clocks_are_those_of_the_wall(first: str, steps: int) -> None:
    begin = pd.Timestamp(first, tz=ZONE)
    clock, local = clock_of(begin, steps), pd.date_range(begin, periods=steps, freq="15min")
    np.testing.assert_array_equal(clock.quarter, local.hour * 4 + local.minute // 15)
    np.testing.assert_array_equal(clock.weekend, local.day_of_week >= 5)


LEARNED = make_forecaster("learned")


def test_a_model_refuses_the_days_that_it_was_fitted_on() -> None:
    played = {"fleet.size": 1, "time.duration_hours": 4}
    with pytest.raises(PolicyError, match="fitted on the month that is played"):
        simulate(month("august", played, 10_003), make_policy("stochastic"))
    # also where the run begins inside the month, in the afternoon
    inside = {"time.start": "2023-08-10T16:00", "fleet.size": 1, "time.duration_hours": 4}
    with pytest.raises(PolicyError, match="fitted on the month that is played"):
        simulate(month("august", inside, 10_003), make_policy("mpc(forecaster='learned')"))
    assert simulate(month("august", played, 10_500), make_policy("stochastic")).complete


@pytest.mark.parametrize(
    ("scenario", "seeds"), [("august", range(1000, 1100)), ("august", range(30)), ("april", range(1000, 1030))]
)
def test_no_day_of_validation_and_test_months_is_in_the_shipped_model(scenario: str, seeds: range) -> None:
    known, whole = load(DEFAULT_MODEL).days, load_scenario(scenario)
    for seed in seeds:
        da = build_prices(whole, seed, 0).da_usd_per_mwh / KWH_PER_MWH
        marks = day_marks(da, clock_of(whole.calendar.local[0], len(da)))
        assert len(marks) == round(whole.n_steps / 96)
        assert not np.isin(marks, known).any()


def test_no_day_of_a_measured_month_is_in_the_shipped_model() -> None:
    known, base = load(DEFAULT_MODEL).days, load_scenario("august")
    for name in real_month_names():
        at = base.for_month(name)
        da = load_market_data(name, at, 0, 0).da_usd_per_mwh / KWH_PER_MWH
        assert not np.isin(day_marks(da, clock_of(at.calendar.local[0], len(da))), known).any()


def test_a_model_of_measured_months_is_refused_on_them_alone(tmp_path: Path) -> None:
    names = [f"caiso:PGAE:2019-{m:02d}" for m in (6, 7, 9)]
    made = fit_measured(load_scenario("august"), names, 10_000)
    save(made, tmp_path / "summer.npz")
    again = load(tmp_path / "summer.npz")
    assert (again.rows, again.source, again.command) == (made.rows, made.source, made.command)
    assert "caiso:PGAE:2019-07" in again.command
    policy = f"stochastic(forecaster={str(tmp_path / 'summer.npz')!r})"
    base = load_scenario("august").override({"fleet.size": 1})
    for name, refused in (("caiso:PGAE:2019-07", True), ("caiso:PGAE:2019-08", False)):
        at = base.for_month(name).override({"time.duration_hours": 4})
        played = Month(at, 0, name)
        if refused:
            with pytest.raises(PolicyError, match="fitted on the month that is played"):
                simulate(played, make_policy(policy))
        else:
            assert simulate(played, make_policy(policy)).complete
    with pytest.raises(DataError, match=r"real time of caiso:SCE:2023-08 is seeded"):
        fit_measured(load_scenario("august"), ["caiso:SCE:2023-08"], 10_000)


def test_a_model_without_its_days_is_refused(tmp_path: Path) -> None:
    save(dataclasses.replace(load(DEFAULT_MODEL), days=np.zeros(0, dtype=np.int64)), tmp_path / "bare.npz")
    with pytest.raises(PolicyError, match="on which days it was fitted"):
        load(tmp_path / "bare.npz")


def test_one_price_changes_a_days_mark() -> None:
    clock, da = clock_of(pd.Timestamp("2023-08-01T13:00", tz=ZONE), 300), np.linspace(0.01, 0.2, 300)
    marks = day_marks(da, clock)
    assert len(marks) == 2, "of the first day noon is missing, of the last one midnight"
    other = da.copy()
    other[92 + 96 + 40] += 1e-5
    assert (day_marks(other, clock) == marks).tolist() == [True, False]
    np.testing.assert_array_equal(day_marks(da + 1e-13, clock), marks)


def test_dear_months_raise_the_spike_factor_and_calm_ones_lower_it() -> None:
    model, hours = load(DEFAULT_MODEL), 200
    da = np.full(4 * hours, 0.05)
    dear = da.copy()
    dear[: 4 * 40] += 2.0 * model.dear * 0.05
    gate = "2023-08-09T08:00"
    assert spike_factor(model, public("2023-08-01T00:00", da[:0], da[:0], da[:96])) == 1.0
    assert spike_factor(model, public(gate, dear, da, da[:4])) > 2.0
    assert spike_factor(model, public(gate, da, da, da[:4])) < 1.0
    # an hour is held against the level of its own time: what comes later makes none dear
    rising = np.concatenate([da[:400], 9.0 * da[400:]])
    factors = [spike_factor(model, public(gate, rising[:n], rising[:n], da[:4])) for n in (400, 800)]
    assert factors[1] < factors[0] < 1.0
    np.testing.assert_array_equal(levels(rising[::4], least=1)[:100], levels(da[::4], least=1)[:100])


def test_the_learned_forecast_is_the_models_samples() -> None:
    p = public("2023-08-01T00:00", np.zeros(0), np.zeros(0), np.full(96, 0.05))
    got = LEARNED(p, 24)
    assert isinstance(LEARNED, LearnedForecast)
    assert got.price.shape == (24, LEARNED.model.off.shape[2], 4)
    # a surprise in the last quarter known is expected to be left in part, and to die away
    past = np.full(96, 0.05)
    off = public("2023-08-02T00:00", np.append(past[:-1], 0.06), past, past)
    calm = public("2023-08-02T00:00", past, past, past)
    left = LEARNED(off, 3).points - LEARNED(calm, 3).points
    np.testing.assert_allclose(left[::4], 0.01 * LEARNED.model.carry ** np.arange(1, 4), rtol=0.02)
