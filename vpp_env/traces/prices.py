"""Seeded prices: day-ahead, real time and reserves of a run, CAISO-like or the reference's steps.

The CAISO-like model (tables and sources: price_tables.py; regime: price_regime.py; fit: docs/prices.md), per local hour
h of day d, with the regime's gas, depth, evening and scarcity, and the days' level, noon and peak:

- day-ahead = gas x night price(month) x level(d) x [1 + base(month, h) scaled by evening x peak(d)
  - depth x sun(month, h) + noon(d) x sun(month, h) + weekend shift(h) + hourly residual]
  + scarcity premium(heat of d) x shape(h); scarcity rises with the weather's heat: hot days, dear evenings.
- real time = day-ahead + spread. The spread's median and width depend on the day-ahead price and the regime; rare
  spikes of 100 to 1,000 USD/MWh come in short episodes, more of them on some days and in stressed regimes.
- reserves follow the day-ahead price: RegUp >= spin >= non-spin >= its floor; RegDown is dear
  when energy is cheap.
"""

from __future__ import annotations

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.traces import price_tables as tables
from vpp_env.traces.price_clock import Clock, build_clock, clip_lmp, month_index, season_of
from vpp_env.traces.price_regime import Regime, regime_of
from vpp_env.traces.real_time import real_time
from vpp_env.traces.series import RESERVE_PRODUCTS, MarketSeries, ar1
from vpp_env.traces.weather import day_heat
from vpp_env.units import Floats

_DAY_AHEAD, _RESERVES, _STEP = 0, 3, 4
"""Purpose of a sub-stream: second element of the spawn key (1 and 2: `real_time`, 5: the regime)."""

STEP_BASE_USD_PER_MWH = 50.0
"""Base of the reference's step prices; factors 1.8 (16-20 h), 1.4 (6-10 h), .7 (22-6 h), weekend .85."""
STEP_FLOOR_USD_PER_MWH = 10.0
STEP_SIGMA = 0.10


def build_prices(scenario: Scenario, seed: int, tail_steps: int) -> MarketSeries:
    """Make the seeded prices of a run.

    Parameters
    ----------
    scenario : Scenario
        Calendar, `prices` and the caps of `market`.
    seed : int
        Seed of the world.
    tail_steps : int
        Steps behind the run's end that are wanted too (>= 0).

    Returns
    -------
    MarketSeries
        S = n_steps + tail_steps values; USD/MWh and USD/MW per h. A value depends on the seed and on days up
        to its own, never on the length of the run or of the tail.
    """
    clock = build_clock(scenario.calendar, scenario.n_steps + tail_steps)
    if scenario.prices.model == "step":
        return step_prices(scenario, seed, clock)
    level = scenario.prices.level
    base, ordinary = day_ahead(scenario, seed, clock), ordinary_price(scenario, seed, clock)
    drawn = real_time(scenario, seed, clock, base, ordinary)
    reserves = _reserves(scenario, seed, clock, base, ordinary)
    source = f"seeded model caiso ({scenario.prices.season} season, {scenario.prices.regime} regime), docs/prices.md"
    return MarketSeries(
        da_usd_per_mwh=clip_lmp(scenario, level * base),
        rt_usd_per_mwh=clip_lmp(scenario, level * drawn.price),
        reserve_usd_per_mw=reserves,
        source={"da": source, "rt": source, **dict.fromkeys(RESERVE_PRODUCTS, source)},
    )


def scarcity_usd_per_mwh(heat: float, ordinary_share: float = 1.0) -> float:
    """Scarcity premium of the peak hour at a heat 0..1, USD/MWh; rises with heat.

    `ordinary_share` is the share that regime and month leave of it on ordinary hot days (heat up to .6); a heat wave
    (heat 1) brings the full premium in every month and regime.
    """
    if heat <= 0.0:
        return 0.0
    share = ordinary_share + (1.0 - ordinary_share) * float(np.clip((heat - 0.6) / 0.4, 0.0, 1.0))
    full = tables.SCARCITY_MAX / (1.0 + (tables.SCARCITY_HALF_HEAT / heat) ** tables.SCARCITY_EXPONENT)
    return share * full


def day_ahead(scenario: Scenario, seed: int, clock: Clock) -> Floats:
    """(S,) day-ahead prices at level 1, USD/MWh, before caps."""
    regime = regime_of(scenario, seed)
    draws = clock.draws(seed, _DAY_AHEAD, 29)
    m, row, hour = month_index(scenario, clock), clock.row, clock.hour
    level = ar1(draws[:, 25], tables.DAY_PHI)
    noon = ar1(draws[:, 26], tables.NOON_PHI)
    peak = tables.NOON_PEAK * noon + np.sqrt(1.0 - tables.NOON_PEAK**2) * ar1(draws[:, 27], tables.PEAK_PHI)
    sun = np.stack([tables.sun_shape(i) for i in range(12)])[m, hour]
    depth = regime.solar * np.asarray(tables.SOLAR_WEIGHT)[m]
    unrest = (regime.restless / tables.REGIME_RESTLESS[0]) ** tables.RESTLESS_POWER
    noon_sigma = unrest * np.asarray(tables.NOON_SIGMA)[m] * (1.0 + tables.NOON_SIGMA_SOLAR * max(regime.solar, 0.0))
    peak_sigma = unrest * tables.PEAK_SIGMA
    evening = regime.evening * np.exp(peak_sigma * peak - 0.5 * peak_sigma**2)
    base = np.asarray(tables.BASE)[m, hour] - 1.0
    peak_share = np.asarray(tables.PEAK_SHARE)[hour]
    weekend = np.where(clock.weekday >= 5, 5.0 / 7.0, -2.0 / 7.0)  # keeps the mean over the week
    residual = unrest * np.where(hour < 5, tables.HOUR_SIGMA_NIGHT, tables.HOUR_SIGMA_DAY)
    shape = (
        1.0
        + np.where(base > 0.0, base * (1.0 + (evening[row] - 1.0) * peak_share), base)
        + sun * (noon_sigma * noon[row] - depth)
        + weekend * np.asarray(tables.WEEKEND)[hour] * np.asarray(tables.WEEKEND_WEIGHT)[m]
        + residual * ar1(draws[row, clock.k], tables.HOUR_RHO)
    )
    day_level = np.exp(regime.restless * level - 0.5 * regime.restless**2)
    price = regime.gas * np.asarray(tables.NIGHT_PRICE)[m] * day_level[row] * shape
    below = min(1.0, tables.BELOW_ZERO[0] + tables.BELOW_ZERO[1] * max(regime.solar, 0.0))
    price = np.where(price < 0.0, below * price, price)
    return clock.to_steps(price + _scarcity(scenario, seed, clock, regime, draws[:, 28]))


def ordinary_price(scenario: Scenario, seed: int, clock: Clock) -> Floats:
    """(S,) the price that counts as ordinary in a regime's month, USD/MWh: the unit of spread and reserves."""
    night = np.asarray(tables.NIGHT_PRICE)[month_index(scenario, clock)]
    return clock.to_steps(regime_of(scenario, seed).gas * tables.MEDIAN_OVER_NIGHT * night)


def real_time_given_da(
    scenario: Scenario, seed: int, da_usd_per_mwh: Floats, level_usd_per_mwh: float | Floats
) -> Floats:
    """Real-time prices from the seeded spread on given day-ahead prices.

    Parameters
    ----------
    scenario, seed
        As in `build_prices`; the season's spread and spikes and the seed's real-time regime apply.
    da_usd_per_mwh : numpy.ndarray
        (S,) day-ahead prices from the run's first step, USD/MWh.
    level_usd_per_mwh : float or (S,) numpy.ndarray
        Price that counts as ordinary (the median day-ahead price), USD/MWh; the spread scales with it.

    Returns
    -------
    numpy.ndarray
        (S,) USD/MWh, inside the caps of `scenario.market`.
    """
    clock = build_clock(scenario.calendar, len(da_usd_per_mwh))
    level = np.broadcast_to(level_usd_per_mwh, np.shape(da_usd_per_mwh))
    return clip_lmp(scenario, real_time(scenario, seed, clock, da_usd_per_mwh, level).price)


def reserves_given_da(
    scenario: Scenario, seed: int, da_usd_per_mwh: Floats, level_usd_per_mwh: float | Floats
) -> dict[str, Floats]:
    """Reserve prices from the seeded model on given day-ahead prices; arguments as `real_time_given_da`.

    Returns
    -------
    dict[str, numpy.ndarray]
        Product -> (S,) USD/MW per h, at most `market.reserve_cap_usd_per_mw`.
    """
    clock = build_clock(scenario.calendar, len(da_usd_per_mwh))
    level = np.broadcast_to(level_usd_per_mwh, np.shape(da_usd_per_mwh))
    return _reserves(scenario, seed, clock, da_usd_per_mwh, level)


def _scarcity(scenario: Scenario, seed: int, clock: Clock, regime: Regime, noise: Floats) -> Floats:
    """(H,) scarcity premium, USD/MWh: the day's heat through regime and month, an hour's share of it."""
    size = np.exp(tables.SCARCITY_SIGMA * noise - 0.5 * tables.SCARCITY_SIGMA**2)
    m = month_index(scenario, clock)
    first = np.searchsorted(clock.day, clock.days)
    share = regime.scarcity * np.asarray(tables.SCARCITY_MONTH)[m[first]]
    heat = [day_heat(scenario, seed, d) for d in clock.days]
    premium = np.array([scarcity_usd_per_mwh(h, s) for h, s in zip(heat, share, strict=True)]) * size
    return np.asarray(premium[clock.row] * np.asarray(tables.SCARCITY_SHAPE)[clock.hour])


def _reserves(scenario: Scenario, seed: int, clock: Clock, da: Floats, level: Floats) -> dict[str, Floats]:
    """Product -> (S,) capacity prices, ordered by construction."""
    draws = clock.draws(seed, _RESERVES, 3 * 25)
    noise = [draws[clock.row, 25 * i + clock.k] for i in range(3)]
    up = clock.to_steps(ar1(noise[0], tables.REGUP_RHO))
    down = clock.to_steps(ar1(noise[1], tables.REGDOWN_RHO))
    share = clock.to_steps(noise[2])
    ratio = da / level
    factor = regime_of(scenario, seed).reserve
    month = clock.to_steps(clock.month)
    seasons = [tables.SEASONS[season_of(scenario, m)] for m in range(1, 13)]
    scale_up = np.array([s.regup_scale for s in seasons])[month - 1]
    scale_down = np.array([s.regdown_scale for s in seasons])[month - 1]
    spin_share = np.array([s.spin_share for s in seasons])[month - 1]
    nonspin_from = np.array([s.nonspin_from for s in seasons])[month - 1]
    regup = factor * scale_up * np.interp(ratio, tables.RESERVE_RATIO, tables.REGUP)
    regup *= np.exp(tables.REGUP_SIGMA * up - 0.5 * tables.REGUP_SIGMA**2)
    regdown = factor * scale_down * np.interp(ratio, tables.RESERVE_RATIO, tables.REGDOWN)
    regdown *= np.exp(tables.REGDOWN_SIGMA * down - 0.5 * tables.REGDOWN_SIGMA**2)
    tightness = ratio * np.exp(tables.TIGHTNESS_SIGMA * up)
    scarce = np.clip((tightness - nonspin_from) / tables.NONSPIN_WIDTH, 0.0, 1.0)
    calm = np.clip(spin_share + tables.SPIN_SPREAD * share, 0.1, 1.0)
    regup = np.maximum(regup, tables.NONSPIN_FLOOR)
    spin = np.maximum(regup * (calm + (1.0 - calm) * scarce), tables.NONSPIN_FLOOR)
    nonspin = tables.NONSPIN_FLOOR + scarce * (spin - tables.NONSPIN_FLOOR)
    made = {"spin": spin, "nonspin": nonspin, "regup": regup, "regdown": regdown}
    return {p: np.clip(made[p], 0.0, scenario.market.reserve_cap_usd_per_mw) for p in RESERVE_PRODUCTS}


def step_prices(scenario: Scenario, seed: int, clock: Clock) -> MarketSeries:
    """Prices of the published reference: steps by hour, 10 % noise in real time, no reserves."""
    hour = clock.hour
    factor = np.select(
        [(hour >= 16) & (hour < 20), (hour >= 6) & (hour < 10), (hour >= 22) | (hour < 6)],
        [1.8, 1.4, 0.7],
        1.0,
    )
    base = STEP_BASE_USD_PER_MWH * factor * np.where(clock.weekday >= 5, 0.85, 1.0)
    noise = clock.draws(seed, _STEP)[clock.row, clock.k]
    level, floor = scenario.prices.level, STEP_FLOOR_USD_PER_MWH
    da = clock.to_steps(np.maximum(base, floor))
    rt = clock.to_steps(np.maximum(base * (1.0 + STEP_SIGMA * noise), floor))
    source = "seeded model step: the published reference's prices, docs/prices.md"
    return MarketSeries(
        da_usd_per_mwh=clip_lmp(scenario, level * da),
        rt_usd_per_mwh=clip_lmp(scenario, level * rt),
        reserve_usd_per_mw={p: np.zeros(len(da)) for p in RESERVE_PRODUCTS},
        source={"da": source, "rt": source, **dict.fromkeys(RESERVE_PRODUCTS, source)},
    )
