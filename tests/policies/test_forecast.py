"""Forecasts: by hand on made-up prices, blind to what comes, steady when the clock changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from support import begin, month, with_prices
from vpp_policies.forecast import (
    FORECASTERS,
    DayAheadForecast,
    Persistence,
    Seasonal,
    day_ahead_prices,
    make_forecaster,
    reserve_prices,
)

from vpp_env.contract.views import Information, Public
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.simulation.view_builder import build_view

ZONE = "America/Los_Angeles"


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
    for forecast in FORECASTERS.values():
        np.testing.assert_array_equal(forecast(p, 144), got)
    with pytest.raises(PolicyError, match="day-ahead"):
        day_ahead_prices(public("2023-08-01T12:00", np.zeros(0), np.zeros(0), np.zeros(0)), 4)


def test_day_ahead_adds_the_mean_difference_of_the_hour() -> None:
    da = np.full(192, 0.10)
    rt = da.copy()
    rt[72:76] += 0.04  # 18 h of the first day
    rt[96 + 72 : 96 + 76] += [0.0, 0.0, 0.0, 0.08]
    p = public("2023-08-03T00:00", rt, da, np.full(96, 0.20))
    got = DayAheadForecast()(p, 96)
    expected = np.full(96, 0.20)
    expected[72:76] += (4 * 0.04 + 0.08) / 8
    np.testing.assert_allclose(got, expected, atol=1e-12)
    expected[72:76] = 0.20 + 0.08 / 4
    np.testing.assert_allclose(DayAheadForecast(days=1)(p, 96), expected, atol=1e-12)


def test_persistence_repeats_the_last_day() -> None:
    rt = np.random.default_rng(0).normal(size=300)
    p = public("2023-08-04T03:00", rt, np.zeros(300), np.ones(84))
    got = Persistence()(p, 200)
    np.testing.assert_array_equal(got[:96], rt[-96:])
    np.testing.assert_array_equal(got[96:], got[:104])
    # six hours into a month: what was seen is repeated, the rest is day-ahead and its mean difference (0 there)
    p = public("2023-08-01T06:00", rt[:24], np.zeros(24), np.ones(72))
    got = Persistence()(p, 96)
    np.testing.assert_array_equal(got[:72], 1.0)
    np.testing.assert_array_equal(got[72:], rt[:24])


def test_with_a_lead_the_horizon_begins_at_delivery() -> None:
    rt = np.random.default_rng(1).normal(size=192)
    p = public("2023-08-03T00:00", rt, np.zeros(192), np.arange(88.0), lead=2)
    np.testing.assert_array_equal(Persistence()(p, 88), rt[96 + 8 :])
    np.testing.assert_array_equal(Persistence()(p, 96)[88:], rt[96 : 96 + 8])
    np.testing.assert_allclose(Seasonal()(p, 1), [(rt[8] + rt[96 + 8]) / 2])
    got = day_ahead_prices(p, 96 + 8)
    np.testing.assert_array_equal(got[:88], np.arange(88.0))
    assert (got[88:96] == 0.0).all(), "the gap is in no view: the day before stands for it"
    np.testing.assert_array_equal(got[96:], np.arange(8.0))


def test_seasonal_takes_weekends_apart_once_there_are_enough() -> None:
    # from a Tuesday on: weekday price 1, weekend price 5
    days = pd.date_range("2023-08-01", periods=16, tz=ZONE).day_of_week
    rt = np.repeat(np.where(days >= 5, 5.0, 1.0), 96)
    few = public("2023-08-12T00:00", rt[: 11 * 96], np.zeros(11 * 96), np.zeros(96))  # Saturday, after one weekend
    np.testing.assert_allclose(Seasonal()(few, 96), (9 * 1 + 2 * 5) / 11)
    assert (Seasonal(least_days=2)(few, 96) == 5.0).all()
    enough = public("2023-08-17T00:00", rt, np.zeros(16 * 96), np.zeros(96))  # Thursday, after two
    got = Seasonal()(enough, 4 * 96)
    np.testing.assert_array_equal(got.reshape(4, 96).mean(axis=1), [1.0, 1.0, 5.0, 5.0])


@pytest.mark.parametrize("change", ["2023-11-05", "2023-03-12"])
@pytest.mark.parametrize("name", FORECASTERS)
def test_the_evening_stays_in_the_evening_when_the_clock_changes(change: str, name: str) -> None:
    gate = pd.Timestamp(change, tz=ZONE)
    first = gate - 10 * pd.Timedelta(days=1)
    clock = pd.date_range(first, gate + pd.Timedelta(hours=60), freq="15min")
    price = np.where((clock.hour >= 17) & (clock.hour < 21), 0.3, 0.05)
    t = int(np.searchsorted(clock, gate))
    p = public(change, price[:t], price[:t], price[t : t + 4])
    np.testing.assert_allclose(FORECASTERS[name](p, 200), price[t : t + 200], atol=1e-12)


def test_reserve_is_the_mean_of_the_hour() -> None:
    none = public("2023-08-01T00:00", np.zeros(0), np.zeros(0), np.ones(96), rho=np.zeros(0))
    assert (reserve_prices(none, 8)["spin"] == 0.0).all()
    some = public("2023-08-01T02:00", np.zeros(8), np.zeros(8), np.ones(88), rho=np.array([1.0] * 4 + [3.0] * 4))
    assert (reserve_prices(some, 8)["spin"] == 2.0).all(), "an hour never seen: the mean of all"
    np.testing.assert_array_equal(reserve_prices(some, 96)["spin"][-8:], [1.0] * 4 + [3.0] * 4)
    rho = np.concatenate([np.full(96, 1.0), np.full(96, 5.0)])
    two = public("2023-08-03T00:00", np.zeros(192), np.zeros(192), np.ones(96), rho=rho)
    assert (reserve_prices(two, 96)["spin"] == 3.0).all()
    assert reserve_prices(public("2023-08-01T00:00", np.zeros(0), np.zeros(0), np.ones(96)), 4) == {}


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
    for forecast in FORECASTERS.values():
        first, second = (forecast(v, 96) for v in views)
        assert np.isfinite(first).all()
        assert first.tobytes() == second.tobytes()
    for product, price in reserve_prices(views[0], 96).items():
        assert price.tobytes() == reserve_prices(views[1], 96)[product].tobytes()
    # the test can fail: one opportunity later the torn prices are past
    for w in worlds:
        w.step(np.full((2, 8), -1.0))
    later = [Persistence()(build_view(w, Information.OWN).public, 96) for w in worlds]
    assert not np.array_equal(*later)


def test_names() -> None:
    assert set(FORECASTERS) == {"day_ahead", "persistence", "seasonal"}
    assert make_forecaster("seasonal") == Seasonal()
    with pytest.raises(UnknownNameError, match=r"Did you mean 'persistence'"):
        make_forecaster("persistance")
