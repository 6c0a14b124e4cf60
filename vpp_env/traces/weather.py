"""The region's weather by local day, from the seed: heat, temperature and clearness.

The climate is that of inland Southern California. Everything heat- or sun-driven reads the same day, so hot
days, high loads and scarcity prices coincide.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.scenario.streams import stream
from vpp_env.traces.series import ar1
from vpp_env.units import Floats

DAY_KEY = 100
"""Added to a day index so that days before the run have a valid (non-negative) spawn key."""

MONTH_HIGH_C = np.array([18.5, 19.0, 21.0, 23.0, 25.5, 29.0, 32.5, 33.0, 31.5, 27.0, 22.5, 18.5])
"""Mean daily maximum by month, deg C. Source: published normals of Riverside, CA (18.5 in January, 32.9 in
August), rounded; the months between are assumed from the same tables."""
MONTH_LOW_C = np.array([8.5, 9.0, 10.5, 12.0, 14.5, 16.5, 19.0, 19.0, 18.0, 14.5, 10.5, 8.0])
"""Mean daily minimum by month, deg C. Source: as `MONTH_HIGH_C` (8.5 in January, 19.1 in August)."""
DIURNAL = np.array(
    [0.20, 0.16, 0.12, 0.08, 0.04, 0.00, 0.03, 0.18, 0.38, 0.58, 0.74, 0.86,
     0.94, 0.99, 1.00, 0.98, 0.91, 0.80, 0.66, 0.53, 0.43, 0.35, 0.29, 0.24]
)  # fmt: skip
"""(24,) share of the daily range above the minimum, by local hour. Source: the shape of the Southern
California weather file, with the maximum an hour later, as inland; assumed."""
HEAT_SPAN_C = 14.5
"""Peak temperature between heat 0 and heat 1, K: a heat-wave day is 12 K above the normal. Assumed."""
MEAN_HEAT = 0.185
"""Mean of `day_heat` outside a heat wave (its logistic over normals, measured): keeps the normals normal."""
DAY_NOISE_C = 1.0
"""Standard deviation of the day's temperature that heat does not explain, K. Assumed; the file's days vary
by .8-2.2 K within a month, at the coast."""

CLEAR_MEAN = np.array([0.71, 0.70, 0.83, 0.84, 0.80, 0.89, 0.90, 0.91, 0.86, 0.82, 0.87, 0.80])
"""Mean daily clearness by month. Source: mean of two measurements: daily PV energy of 14 Fontana homes over
its clear-day envelope, and daily global irradiance of the weather file over the clear-sky model."""
CLEAR_STD = np.array([0.28, 0.25, 0.19, 0.18, 0.23, 0.10, 0.07, 0.08, 0.16, 0.24, 0.22, 0.24])
"""Standard deviation of the daily clearness by month. Source: as `CLEAR_MEAN`."""
MARINE = np.array([0.0, 0.0, 0.2, 0.6, 1.0, 1.6, 1.4, 0.8, 0.8, 0.3, 0.0, 0.0])
"""Strength of the morning marine layer by month (1 = mornings have twice the mean cloud). Source: hourly
clearness of the weather file: in June .54 at 7-8 h and .95 in the afternoon."""
CLOUD_SIGMA = 0.75
"""Intra-day log standard deviation of cloud. Source: the measured fleet's hourly ratio varies by .07 within an
August day around a mean cloud of .08."""
CLOUD_HOUR_CORRELATION = 0.38
"""Correlation of that deviation over an hour. Source: measured fleet (lag-1 of hourly ratios)."""
MAX_CLOUD = 0.93
"""Darkest sky as a share of clear-sky irradiance lost. Assumed."""


_HEAT, _WAVE, _HOURLY, _PEAK, _CLOUD = range(5)
"""Purpose of a sub-stream: second element of the spawn key."""


@lru_cache(maxsize=4096)
def _day_noise(seed: int, purpose: int, day: int) -> float:
    return float(stream(seed, "weather", purpose, DAY_KEY + day).standard_normal())


def heatwave_range(scenario: Scenario, seed: int) -> range:
    """Days of the run that are in the heat wave: one block of `prices.heatwave_days`, placed by the seed."""
    return _wave(seed, scenario.prices.heatwave_days, scenario.calendar.n_days)


@lru_cache(maxsize=256)
def _wave(seed: int, days: int, n_days: int) -> range:
    """A block of so many days, of those of a run."""
    length = min(days, n_days)
    if length == 0:
        return range(0)
    first = int(stream(seed, "weather", _WAVE).integers(0, n_days - length + 1))
    return range(first, first + length)


def day_heat(scenario: Scenario, seed: int, day: int) -> float:
    """Heat of a day, 0 = normal .. 1 = extreme: 1 inside the heat wave, else a smooth seeded index below .6.

    The index is a logistic of a moving average of daily normals (lag-1 correlation about .75), so hot days
    come in runs; load and scarcity prices both read it.
    """
    return 1.0 if day in heatwave_range(scenario, seed) else _ordinary_heat(seed, day)


@lru_cache(maxsize=4096)
def _ordinary_heat(seed: int, day: int) -> float:
    """Heat of a day outside the heat wave."""
    weights = 0.75 ** np.arange(8)
    weights /= np.sqrt(np.sum(weights**2))
    index = float(weights @ [_day_noise(seed, _HEAT, day - lag) for lag in range(8)])
    return float(0.6 / (1.0 + np.exp(-1.5 * (index - 0.8))))


def month_blend(day: date) -> tuple[int, int, float]:
    """Return (m0, m1, w): the months (0-11) around `day` and the weight of m1, linear between mid-months."""
    first = day.replace(day=1)
    length = ((first + timedelta(days=32)).replace(day=1) - first).days
    x = (day.day - 0.5) / length - 0.5
    return (day.month - 1, day.month % 12, x) if x >= 0 else (day.month - 1, (day.month - 2) % 12, -x)


def by_month(table: Floats, day: date) -> Floats:
    """Value of a (12, ...) monthly table on `day`, linear between mid-months."""
    m0, m1, w = month_blend(day)
    return np.asarray((1.0 - w) * table[m0] + w * table[m1])


def wrap_hours(table: Floats, hours: Floats) -> Floats:
    """Value of a (24,) table of hourly means at local `hours` (start of a quarter), linear between mid-hours."""
    centre = np.concatenate([[-0.5], np.arange(24) + 0.5, [24.5]])
    return np.interp((hours + 0.125) % 24.0, centre, np.concatenate([table[-1:], table, table[:1]]))


def normal_temp_c(day: date, hours: Floats) -> Floats:
    """(n,) normal temperature, deg C, at local `hours` of `day`."""
    low, high = by_month(MONTH_LOW_C, day), by_month(MONTH_HIGH_C, day)
    return np.asarray(low + (high - low) * wrap_hours(DIURNAL, hours))


def _anomaly_c(scenario: Scenario, seed: int, day: int) -> float:
    """Departure of a day's maximum from the normal, K."""
    noise = DAY_NOISE_C * _day_noise(seed, _PEAK, day)
    return HEAT_SPAN_C * (day_heat(scenario, seed, day) - MEAN_HEAT) + noise


def _day_cloud(scenario: Scenario, seed: int, day: int, when: date) -> float:
    """Mean share of clear-sky irradiance that clouds take on a day: a beta variable, correlated over days."""
    from scipy.special import betaincinv, ndtr  # .2 s of imports that only a month that is made needs

    today, yesterday = _day_noise(seed, _CLOUD, day), _day_noise(seed, _CLOUD, day - 1)
    mean = 1.0 - by_month(CLEAR_MEAN, when)
    size = mean * (1.0 - mean) / by_month(CLEAR_STD, when) ** 2 - 1.0
    # .86 and .51: unit variance, and a day-to-day correlation of .44 (measured fleet: .51)
    cloud = betaincinv(mean * size, (1.0 - mean) * size, ndtr(0.86 * today + 0.51 * yesterday))
    return float(cloud) * (1.0 - 0.5 * day_heat(scenario, seed, day))


def _clearness(scenario: Scenario, seed: int, day: int, when: date, hours: Floats) -> Floats:
    shocks = stream(seed, "weather", _HOURLY, DAY_KEY + day).standard_normal(len(hours))
    marine = 1.0 + by_month(MARINE, when) * np.clip((11.0 - hours) / 4.0, -0.6, 1.0)
    y = ar1(shocks, CLOUD_HOUR_CORRELATION**0.25)
    cloud = _day_cloud(scenario, seed, day, when) * np.maximum(marine, 0.1)
    return 1.0 - np.minimum(cloud * np.exp(CLOUD_SIGMA * y - CLOUD_SIGMA**2 / 2), MAX_CLOUD)


def build_day_weather(scenario: Scenario, seed: int, day: int) -> tuple[Floats, Floats]:
    """Temperature and clearness of a local day.

    Parameters
    ----------
    scenario : Scenario
        Calendar and heat wave.
    seed : int
        Seed of the world.
    day : int
        Local day, 0 = the run's first; may be negative down to -90.

    Returns
    -------
    tuple of numpy.ndarray
        temp_c (n,) float64, deg C; clearness (n,) float64, factor on clear-sky global irradiance, 0..1;
        n = 92, 96 or 100.
    """
    calendar = scenario.calendar
    hours, when = calendar.day_hours(day), calendar.first_day + timedelta(days=day)
    noon = [_anomaly_c(scenario, seed, d) for d in (day - 1, day, day + 1)]
    # noon to noon, flat 12-18 h: continuous over midnight, and the hot afternoon has the day's full anomaly
    anomaly = np.interp(hours, [-6.0, 12.0, 18.0, 36.0], [noon[0], noon[1], noon[1], noon[2]])
    temp = normal_temp_c(when, hours) + anomaly * (0.75 + 0.25 * wrap_hours(DIURNAL, hours))
    return temp, _clearness(scenario, seed, day, when, hours)
