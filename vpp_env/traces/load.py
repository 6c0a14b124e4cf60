"""Gross load of the homes (without car), 15 min: a measured shape, cooling, routine, appliances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vpp_env.jit import kernel
from vpp_env.scenario.streams import stream
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.solar import interpolation
from vpp_env.traces.weather import by_month, normal_temp_c, wrap_hours
from vpp_env.units import Floats, Floats32, Ints

SOURCE = "17 measured homes, Fontana CA, 2016-08 to 2017-07 (CityLearn challenge 2022, MIT)"
YEAR_MEAN_KW = 1.138
"""Mean load of the measured homes over the year, kW per home. Source: `SOURCE`."""
MONTH_MEAN_KW = np.array([1.28, 1.071, 0.939, 0.858, 0.972, 1.316, 1.531, 1.411, 1.148, 0.935, 0.955, 1.238])
"""Mean load by month, kW per home. Source: `SOURCE`."""
SUMMER_KW = np.array(
    [1.072, 0.881, 0.758, 0.673, 0.631, 0.634, 0.670, 0.767, 0.974, 1.226, 1.576, 1.744,
     1.873, 1.879, 1.901, 1.944, 2.062, 2.005, 1.905, 1.711, 1.548, 1.457, 1.348, 1.239]
)  # fmt: skip
"""(24,) kW per home by local hour, June-September. Source: `SOURCE`."""
MILD_KW = np.array(
    [0.674, 0.574, 0.546, 0.534, 0.548, 0.604, 0.663, 0.767, 0.956, 1.194, 1.370, 1.291,
     1.330, 1.237, 1.192, 1.129, 1.066, 1.008, 0.931, 1.033, 1.077, 0.893, 0.805, 0.754]
)  # fmt: skip
"""(24,) the same, March-May; October and November have the same shape within 15 %."""
WINTER_KW = np.array(
    [1.060, 1.025, 0.971, 1.007, 1.027, 1.113, 1.293, 1.184, 1.370, 1.498, 1.507, 1.340,
     1.266, 1.184, 1.089, 0.995, 1.016, 1.161, 1.264, 1.394, 1.426, 1.305, 1.214, 1.107]
)  # fmt: skip
"""(24,) the same, December-February."""
_SEASON = (WINTER_KW, WINTER_KW, MILD_KW, MILD_KW, MILD_KW, *(SUMMER_KW,) * 4, MILD_KW, MILD_KW, WINTER_KW)
PROFILE_KW = np.array([s / s.mean() * m for s, m in zip(_SEASON, MONTH_MEAN_KW, strict=True)])
"""(12, 24) kW per home by month and local hour: the season's shape at the month's level."""
WEEKDAY, WEEKEND = 0.977, 1.058
"""Level of working days and weekends. Source: `SOURCE`, all months."""

COOL_FROM_C = 20.0
"""Outdoor temperature above which homes cool. Assumed (balance point of cooling in warm climates)."""
COOL_KW_PER_K = 0.09
"""Cooling load per K above it, kW, mean of all homes. Assumed: half the summer afternoon's load at the normal
temperature. The weather file cannot give it: it is a typical year, not the measured one."""
COOL_SHARE = 0.9
"""Share of homes with air conditioning. Assumed (inland California)."""
COOL_SPREAD = 0.25
"""Log standard deviation of cooling between homes of one size. Assumed."""
COOL_LAG_STEPS = 12
"""Steps of the moving mean of temperature that cooling follows (3 h of thermal mass). Assumed."""
MIN_BASE_SHARE = 0.25
"""Smallest share of the measured profile that is left to the load other than cooling."""

PHASE_H = 1.0
"""Standard deviation of a home's routine, h, clipped at 3 h. Assumed."""
NODE_STEPS = 6
"""Steps between the nodes of the noise of base load and cooling. Calibrated: correlation over an hour."""
BASE_SIGMA = 0.30
"""Standard deviation of a home's base load relative to its routine, nodes 1.5 h apart. Calibrated: peaks."""
HABIT_SIGMA, HABIT_STEPS, HABIT_NODES = 0.6, 12, 10
"""Lasting standard deviation of a home's routine by time of day, steps between its nodes, nodes in 25 h.
Calibrated: correlation of a home's load over 24 h."""
DAY_SIGMA = 0.20
"""Standard deviation of a home's day relative to its mean (away, guests). Assumed."""
REGION_SIGMA = 0.06
"""Standard deviation of the day that all homes share beyond weather, relative. Assumed."""
BASE_SPAN = (0.2, 2.2)
"""Span of the base load relative to its mean. Calibrated: peaks; larger ones come from the appliances."""
COOL_SIGMA = 0.50
"""Standard deviation of a home's cooling relative to its mean, nodes 1.5 h apart. Calibrated: peaks."""
MAX_DUTY = 2.0
"""Largest cooling relative to the mean at that temperature: the compressor runs all the time. Assumed."""
QUARTER_GAIN = 0.5
"""Within-hour relative standard deviation per unit of (15-min peak / hourly peak - 1). Calibrated: that ratio."""

RUNS_PER_DAY = 2.0
"""Runs of large appliances (oven, dryer, dishwasher, pump) per home and day. Assumed."""
RUN_SLOTS = 8
"""Most runs that a home can have in a day."""
RUN_KW = (1.0, 3.5)
"""Span of an appliance's power, kW, uniform. Assumed."""
RUN_STEPS = (2, 6)
"""Span of a run's length in steps, uniform. Assumed."""
RUN_HOURS = np.array([1, 0.5, 0.3, 0.3, 0.3, 0.6, 2, 4, 5, 5, 5, 5, 6, 5, 4, 4, 5, 7, 9, 9, 8, 6, 4, 2.0])
"""(24,) relative frequency of a run's start by local hour. Assumed: domestic activity."""
_RUN_MEAN_KW = RUNS_PER_DAY * sum(RUN_KW) / 2 * sum(RUN_STEPS) / 2 * 0.25 / RUN_HOURS.sum() * RUN_HOURS


KNEE_KW, OVER_KNEE = 3.7, 0.5
"""Load above this, kW for the mean home, counts by this share. Calibrated: the measured homes' peaks are as high
in April as in August, so large loads rarely run together."""


@dataclass(frozen=True)
class LoadHomes:
    """Constants of the N homes."""

    size: Floats32  # (N,) float32: factor on the measured mean home
    phase: Ints  # (N,) int64: index into `PHASES_H`
    cooling: Floats32  # (N,) float32: factor on the mean cooling, 0 = none
    runs: Floats32  # (N,) float32: chance of each of the RUN_SLOTS appliance runs
    knee: Floats32  # (N,) float32, kW: above it load is compressed
    habit: Floats32  # (HABIT_NODES, N) float32: lasting departure of the routine from the mean, relative
    run_scale: float  # factor on appliance power: the scenario's mean over the measured one


PHASES_H = np.arange(-12, 13) / 4.0
"""(25,) h: the shifts of routine that a home can have."""


def load_homes(fleet: Fleet, seed: int, load_kw_mean: float) -> LoadHomes:
    """Draw the constants of the homes; `load_kw_mean` is the scenario's yearly mean, kW."""
    rng = stream(seed, "load", 0)
    phase = np.clip(np.round(rng.normal(0.0, PHASE_H, fleet.n) * 4), -12, 12).astype(np.int64) + 12
    has = rng.random(fleet.n) < COOL_SHARE
    cooling = has * rng.lognormal(-0.5 * COOL_SPREAD**2, COOL_SPREAD, fleet.n) / COOL_SHARE
    relative = fleet.load_kw / load_kw_mean
    return LoadHomes(
        size=(fleet.load_kw / YEAR_MEAN_KW).astype(np.float32),
        phase=phase,
        cooling=cooling.astype(np.float32),
        runs=np.clip(RUNS_PER_DAY / RUN_SLOTS * relative, 0.0, 1.0).astype(np.float32),
        knee=(KNEE_KW * load_kw_mean / YEAR_MEAN_KW * np.sqrt(relative)).astype(np.float32),
        habit=HABIT_SIGMA * rng.standard_normal((HABIT_NODES, fleet.n), dtype=np.float32),
        run_scale=load_kw_mean / YEAR_MEAN_KW,
    )


def cooling_kw(temp_c: Floats) -> Floats:
    """Mean cooling load of a home, kW, at a lagged outdoor temperature."""
    return COOL_KW_PER_K * np.maximum(temp_c - COOL_FROM_C, 0.0)


def lagged(temp_c: Floats) -> Floats:
    """Mean of each element and the `COOL_LAG_STEPS - 1` before it; drops those that have no full history."""
    return np.convolve(temp_c, np.full(COOL_LAG_STEPS, 1.0 / COOL_LAG_STEPS), mode="valid")


@lru_cache(maxsize=64)
def base_profile_kw(when: date) -> Floats:
    """(24,) load by hour that is neither cooling nor a large appliance: the rest of the measured profile."""
    measured = by_month(PROFILE_KW, when)
    quarters = normal_temp_c(when, np.arange(96) / 4.0)
    normal = lagged(np.concatenate([quarters[-COOL_LAG_STEPS + 1 :], quarters]))
    rest = measured - cooling_kw(normal).reshape(24, 4).mean(axis=1) - _RUN_MEAN_KW
    made = np.maximum(rest, MIN_BASE_SHARE * measured)
    made.setflags(write=False)
    return made


class _DayShape(NamedTuple):
    """What all homes of all months share of a date; n steps."""

    level: float  # of its kind of day
    base_kw: Floats32  # (n, 25) of a mean home, by shift of routine
    run_starts: Floats  # (n - 1,) share of appliance runs that begin before the end of each step


@lru_cache(maxsize=64)
def _day_shape(when: date, hours: tuple[float, ...]) -> _DayShape:
    """`hours` are the local wall-clock hours of the day's steps."""
    level, clock = WEEKEND if when.weekday() >= 5 else WEEKDAY, np.array(hours)
    profile, chance = base_profile_kw(when) * level, RUN_HOURS[clock.astype(np.int64)]
    made = _DayShape(
        level,
        np.stack([wrap_hours(profile, clock - shift) for shift in PHASES_H], axis=1).astype(np.float32),
        np.cumsum(chance / chance.sum())[:-1],
    )
    made.base_kw.setflags(write=False)
    made.run_starts.setflags(write=False)
    return made


class _Runs(NamedTuple):
    """The runs of large appliances on a day, R of them; no run crosses midnight."""

    home: Ints  # (R,)
    start: Ints  # (R,) step
    end: Ints  # (R,) step, n at the latest
    kw: Floats32  # (R,)


def _appliances(homes: LoadHomes, shape: _DayShape, rng: np.random.Generator) -> _Runs:
    """Draw the runs of a day."""
    active = np.flatnonzero(rng.random((len(homes.size), RUN_SLOTS), dtype=np.float32) < homes.runs[:, None])
    count = len(active)
    start = np.searchsorted(shape.run_starts, rng.random(count))
    length = rng.integers(RUN_STEPS[0], RUN_STEPS[1] + 1, count)
    power = rng.uniform(*RUN_KW, count).astype(np.float32) * np.float32(homes.run_scale)
    return _Runs(active // RUN_SLOTS, start, np.minimum(start + length, len(shape.base_kw)), power)


@kernel
def _add_up(
    load: Floats32,
    cool: Floats32,
    ripple: Floats32,
    region: np.float32,
    cool_kw: Floats32,
    base_kw: Floats32,
    runs: _Runs,
    phase: Ints,
    own: tuple[Floats32, Floats32, Floats32],
    quarter: float,
) -> None:
    """Make `load` (n, N), the base load relative to its routine, the load in kW; all arithmetic is float32.

    Parameters
    ----------
    load, cool, ripple : ndarray
        (n, N) base load and cooling relative to their means, and the noise of a quarter hour.
    region : float32
        What all homes' day departs by, relative, and 1.
    cool_kw, base_kw : ndarray
        (n,) mean cooling; (n, 25) see `_DayShape`.
    runs : _Runs
        Large appliances.
    phase, own, quarter :
        See `LoadHomes`: routine, and cooling, size and knee; relative standard deviation of the noise.
    """
    one, zero, low, high = np.float32(1.0), np.float32(0.0), np.float32(BASE_SPAN[0]), np.float32(BASE_SPAN[1])
    duty, over_knee = np.float32(MAX_DUTY), np.float32(1.0 - OVER_KNEE)
    least, most, gain = np.float32(0.3), np.float32(1.7), np.float32(quarter)
    cooling, size, knee = own
    steps, n = load.shape
    # what appliances draw, step by step: each run changes it twice
    edges = np.zeros((steps + 1, n), dtype=np.float32)
    for r, home in enumerate(runs.home):
        edges[runs.start[r], home] += runs.kw[r]
    for r, home in enumerate(runs.home):
        edges[runs.end[r], home] -= runs.kw[r]
    drawn, kw = np.zeros(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    for k in range(steps):
        # loops of few arrays each: of many the compiler makes no vector instructions
        for i in range(n):
            kw[i] = min(max(load[k, i] + region, low), high) * base_kw[k, phase[i]]
        for i in range(n):
            kw[i] += min(max(cool[k, i] + one, zero), duty) * cool_kw[k] * cooling[i]
        for i in range(n):
            drawn[i] += edges[k, i]
        for i in range(n):
            # sums of equal and opposite float32 leave dust below zero
            kw[i] = kw[i] * size[i] + max(drawn[i], zero)
        for i in range(n):
            kw[i] -= max(kw[i] - knee[i], zero) * over_knee
        for i in range(n):
            load[k, i] = kw[i] * min(max(ripple[k, i] * gain + one, least), most)


def day_load(
    homes: LoadHomes,
    when: date,
    hours: Floats,
    lagged_temp_c: Floats,
    peak_ratio: float,
    rng: np.random.Generator,
) -> Floats32:
    """Gross load of every home on one local day.

    Parameters
    ----------
    homes : LoadHomes
        Constants of the homes.
    when : datetime.date
        The local date: season and weekday.
    hours : numpy.ndarray
        (n,) local wall-clock hour of every step.
    lagged_temp_c : numpy.ndarray
        (n,) outdoor temperature, 3-h moving mean, deg C.
    peak_ratio : float
        15-min peak over hourly peak of one home.
    rng : numpy.random.Generator
        The day's stream.

    Returns
    -------
    numpy.ndarray
        (n, N) float32, kW.
    """
    n, n_homes = len(hours), len(homes.size)
    shape = _day_shape(when, tuple(hours.tolist()))
    nodes, habit = interpolation(n, NODE_STEPS), interpolation(n, HABIT_STEPS)
    load = nodes @ (rng.standard_normal((nodes.shape[1], n_homes), dtype=np.float32) * np.float32(BASE_SIGMA))
    load += habit @ homes.habit[: habit.shape[1]]
    load += np.float32(DAY_SIGMA) * rng.standard_normal(n_homes, dtype=np.float32)
    region = np.float32(1.0 + REGION_SIGMA * rng.standard_normal())
    cool = nodes @ (rng.standard_normal((nodes.shape[1], n_homes), dtype=np.float32) * np.float32(COOL_SIGMA))
    runs = _appliances(homes, shape, rng)
    ripple = rng.standard_normal((n, n_homes), dtype=np.float32)
    cool_kw = (shape.level * cooling_kw(lagged_temp_c)).astype(np.float32)
    quarter = QUARTER_GAIN * (peak_ratio - 1.0)
    own = homes.cooling, homes.size, homes.knee
    _add_up(load, cool, ripple, region, cool_kw, shape.base_kw, runs, homes.phase, own, quarter)
    return load
