"""Cars: at most one trip per local day; a car at home is plugged in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.streams import stream
from vpp_env.traces.fleet import Fleet
from vpp_env.units import Floats, Ints

ARRIVAL = np.array(
    [11, 4, 2, 2, 0, 1, 4, 5, 9, 13, 18, 30, 37, 43, 56, 81, 118, 149, 132, 93, 76, 58, 37, 21]
) / 1000.0  # fmt: skip
"""(24,) share of home plug-ins by local hour. Source: EVI-Pro, California, home L2 arrivals."""
DEPARTURE = np.array(
    [1, 0, 0, 0, 20, 57, 128, 183, 138, 88, 64, 44, 35, 36, 33, 29, 30, 34, 37, 21, 11, 6, 3, 2]
) / 1000.0  # fmt: skip
"""(24,) share of departures by local hour. Source: EVI-Pro, California, home L2 departures."""
WEEKEND_ARRIVAL = np.array(
    [32, 17, 11, 12, 12, 5, 4, 7, 12, 13, 24, 37, 50, 59, 68, 84, 83, 83, 86, 84, 70, 59, 57, 33]
) / 1000.0  # fmt: skip
"""(24,) share of weekend plug-ins. Source: 35,377 measured Norwegian home sessions (doi
10.1016/j.dib.2024.110883)."""
SESSION_SOURCE = "35,377 home sessions of 267 users, Norway 2018-2021, doi 10.1016/j.dib.2024.110883"
TRIPS_PER_DAY = 0.48
"""Sessions per car and working day; .47 over the week. Source: `SESSION_SOURCE`, 258 users seen for more than
30 days, pooled."""
WEEKEND_TRIPS = 0.93
"""Weekend over weekday frequency. Source: `SESSION_SOURCE` (share of weekdays .147, of weekends .133)."""
TRIP_SPREAD = 0.8
"""Standard deviation of a car's log odds of a trip. Assumed; measured rates spread from .1 to .9 per day."""
CAR_MEDIAN_KWH = 10.3
"""Median over cars of the median session at the meter, kWh. Calibrated: the pooled session has median 9.03 and
mean 12.65 (`SESSION_SOURCE`); the pool holds more of the frequent cars' small ones, and the cap takes some."""
CAR_SIGMA, DAY_SIGMA = 0.50, 0.68
"""Log standard deviation of session energy between cars and within a car. Source: `SESSION_SOURCE`: within .68;
between chosen so that mean over median is 1.40, as measured."""
RATE_ENERGY = -0.5
"""Correlation of a car's frequency with its energy per session. Source: `SESSION_SOURCE`."""
TRIP_CAP = 0.8
"""Largest trip, share of the energy the owner wants at departure. Assumed."""
COMMUTE_SHARE = 0.68
"""Share of weekday trips that start with the working day. Source: EVI-Pro departures from 4 to 11 h."""
JITTER_MINUTES = 45.0
"""A commuter leaves this long after the ready-by time at most, uniform. Assumed."""
MIN_COMMUTE_H, MIN_ERRAND_H = 4.0, 0.75
"""Shortest absence, h. Assumed."""


@dataclass(frozen=True)
class Cars:
    """Constants of the homes with a car; C of the N homes."""

    column: Ints  # (C,) int64: home index
    ready_h: Floats  # (C,) float64: ready-by time, local hour
    log_odds: Floats  # (C,) float64: of a trip on a weekday
    median_kwh: Floats  # (C,) float64: battery energy of the median trip
    cap_kwh: Floats  # (C,) float64: largest trip


def cars(fleet: Fleet, seed: int, ev_eta: float) -> Cars:
    """Draw the constants of the cars; `ev_eta` is the charging efficiency, meter to battery."""
    normals = stream(seed, "vehicles", 0).standard_normal((2, fleet.n))
    column = np.flatnonzero(fleet.has_ev)
    energy = normals[0, column]
    rate = RATE_ENERGY * energy + np.sqrt(1.0 - RATE_ENERGY**2) * normals[1, column]
    # the mean of a logistic over normal log odds lies nearer to 1/2 than the logistic of the mean
    stretch = np.sqrt(1.0 + np.pi / 8 * TRIP_SPREAD**2)
    odds = np.log(TRIPS_PER_DAY / (1.0 - TRIPS_PER_DAY)) * stretch
    return Cars(
        column=column,
        ready_h=fleet.ready_minutes[column] / 60.0,
        log_odds=odds + TRIP_SPREAD * rate,
        median_kwh=ev_eta * CAR_MEDIAN_KWH * np.exp(CAR_SIGMA * energy),
        cap_kwh=TRIP_CAP * fleet.ev_target_kwh[column],
    )


def _inverse(shares: Floats, low_h: Floats, u: Floats) -> Floats:
    """Draw an hour in [low_h, 24) from hourly `shares` by inverse transform of `u`."""
    edges, cdf = np.arange(25.0), np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    start = np.interp(low_h, edges, cdf)
    # a tiny slope makes the inverse unique where an hour has no share
    return np.interp(start + u * (1.0 - start), cdf + 1e-9 * edges, edges)


def _steps(calendar: Calendar, day: int, minutes: Floats) -> Ints:
    """Step-of-day of wall-clock `minutes`; the clock's map is only made on days on which it changes."""
    if calendar.steps_in_day(day) == 96:
        return minutes.astype(np.int64) // 15
    return calendar.wall_to_step(day, minutes)


def day_trips(
    the_cars: Cars, n_homes: int, calendar: Calendar, day: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Floats]:
    """Departure, return and energy of every car on one local day.

    A car is at home and plugged in at step k unless dep <= k < arr.

    Parameters
    ----------
    the_cars : Cars
        Constants of the cars.
    n_homes : int
        N, all homes.
    calendar : Calendar
        The run's clock.
    day : int
        Local day.
    rng : numpy.random.Generator
        The day's stream.

    Returns
    -------
    tuple of numpy.ndarray
        dep_step (N,) int64, arr_step (N,) int64, trip_kwh (N,) float64 battery energy; -1, -1 and 0 for a home
        without car and for a car that stays. Else 1 <= dep < arr <= n - 1.
    """
    n = calendar.steps_in_day(day)
    weekend = calendar.day_weekday(day) >= 5
    u = rng.random((5, len(the_cars.column)))
    energy = the_cars.median_kwh * np.exp(DAY_SIGMA * rng.standard_normal(len(the_cars.column)))
    chance = (WEEKEND_TRIPS if weekend else 1.0) / (1.0 + np.exp(-the_cars.log_odds))
    goes = u[0] < chance
    commutes = (u[1] < COMMUTE_SHARE) & (not weekend)
    errand = np.minimum(_inverse(DEPARTURE, np.maximum(the_cars.ready_h, 10.0 if not weekend else 8.0), u[2]), 21.0)
    leave = np.where(commutes, the_cars.ready_h + u[2] * JITTER_MINUTES / 60.0, errand)
    least = np.where(commutes, MIN_COMMUTE_H, MIN_ERRAND_H)
    back = _inverse(WEEKEND_ARRIVAL if weekend else ARRIVAL, leave + least, u[3])
    # the wall clock's quarters, up: never before the ready-by time
    dep_minutes = np.ceil(np.round(leave * 60.0, 6) / 15.0) * 15.0
    arr_minutes = np.minimum(np.ceil(back * 4.0) * 15.0, 1425.0)
    dep = np.clip(_steps(calendar, day, dep_minutes), 1, n - 2)
    arr = np.clip(_steps(calendar, day, arr_minutes), dep + 1, n - 1)
    dep_step = np.full(n_homes, -1, dtype=np.int64)
    arr_step = np.full(n_homes, -1, dtype=np.int64)
    trip_kwh = np.zeros(n_homes)
    dep_step[the_cars.column] = np.where(goes, dep, -1)
    arr_step[the_cars.column] = np.where(goes, arr, -1)
    trip_kwh[the_cars.column] = np.where(goes, np.minimum(energy, the_cars.cap_kwh), 0.0)
    return dep_step, arr_step, trip_kwh
