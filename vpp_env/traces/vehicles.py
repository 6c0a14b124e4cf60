"""Cars: when each is plugged in at home, and what it has used since it was plugged in last.

A session is one plug-in: it starts on a local day (at most one does), lasts, and ends when the car leaves or the plug
is pulled. Between sessions a car is away or at home unplugged: the market cannot reach it, and which of the two it is
does not matter. All shapes are those of measured sessions (`SESSION_SOURCE`); docs/validation.md holds both beside each
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vpp_env.jit import inlined, kernel
from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.streams import stream
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.weather import DAY_KEY
from vpp_env.units import DT_H, Floats, Ints

SESSION_SOURCE = "35,339 home sessions of 267 users, Norway 2018-2021, doi 10.1016/j.dib.2024.110883"
"""Sorensen et al. 2024, "Residential electric vehicle charging datasets"; sessions without an end are left out."""
WEEKDAY_START = np.array(
    [16, 9, 6, 8, 9, 3, 4, 8, 15, 16, 19, 25, 30, 36, 60, 97, 124, 89, 77, 84, 89, 77, 63, 36]
) / 1000.0  # fmt: skip
"""(24,) share of weekday plug-ins by local hour. Source: `SESSION_SOURCE`."""
WEEKEND_START = np.array(
    [31, 17, 11, 12, 12, 5, 4, 7, 12, 13, 24, 37, 50, 58, 68, 84, 83, 84, 87, 83, 70, 58, 57, 32]
) / 1000.0  # fmt: skip
"""(24,) share of weekend plug-ins by local hour. Source: `SESSION_SOURCE`."""
WEEKDAY_SHARES, WEEKEND_SHARES = (
    np.concatenate([[0.0], np.cumsum(shares / shares.sum())]) for shares in (WEEKDAY_START, WEEKEND_START)
)
"""(25,) share of plug-ins before each local hour."""
LEVELS = np.array(
    [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1]
)  # fmt: skip
"""Levels of the quantiles of `DURATION_H`; fine where sessions of the day and of the night lie apart."""
DURATION_H = np.array(
    [
        [0.3, 5.0, 6.3, 6.8, 7.3, 7.8, 8.6, 9.3, 9.9, 10.6, 11.1, 11.6, 12.1, 13.4, 14.9, 17.9, 24.3, 42.1, 110.1],
        [0.1, 3.4, 5.5, 6.1, 6.8, 7.7, 8.6, 9.3, 9.9, 10.5, 11.1, 11.6, 11.9, 13.2, 14.6, 18.0, 32.0, 38.5, 93.5],
        [0.1, 2.4, 4.4, 4.7, 5.7, 7.2, 8.1, 8.9, 9.9, 10.7, 11.1, 11.4, 11.7, 13.1, 15.1, 17.9, 28.9, 37.1, 63.5],
        [0.3, 4.1, 5.5, 5.9, 6.2, 6.6, 7.4, 8.3, 8.8, 9.8, 10.8, 11.6, 12.6, 14.7, 15.2, 17.2, 34.4, 51.7, 65.3],
        [0.1, 3.6, 4.8, 5.1, 5.4, 5.7, 6.2, 6.7, 8.2, 8.9, 9.7, 10.9, 13.0, 14.2, 14.8, 24.3, 38.2, 44.6, 109.5],
        [0.5, 1.6, 2.9, 3.9, 4.1, 4.3, 5.0, 6.4, 7.5, 8.3, 8.9, 10.2, 11.2, 13.0, 13.5, 18.0, 36.9, 45.0, 105.7],
        [0.1, 0.5, 1.0, 2.0, 3.2, 4.6, 5.4, 6.2, 7.3, 8.2, 9.2, 9.9, 10.5, 11.6, 13.0, 15.2, 21.6, 37.0, 50.9],
        [0.1, 0.6, 1.2, 1.5, 1.9, 2.4, 3.0, 3.7, 4.2, 4.6, 5.5, 6.1, 6.9, 7.9, 9.5, 13.2, 25.5, 48.6, 73.8],
        [0.1, 0.7, 1.2, 1.5, 1.9, 2.3, 2.7, 3.0, 3.3, 3.9, 4.4, 4.8, 5.3, 6.6, 7.8, 10.6, 27.3, 53.6, 100.1],
        [0.1, 0.6, 1.1, 1.3, 1.7, 2.1, 2.6, 3.0, 3.5, 4.1, 4.6, 4.9, 5.2, 6.1, 7.3, 22.1, 37.3, 72.5, 116.8],
        [0.0, 0.5, 0.8, 1.2, 1.4, 1.8, 2.1, 2.4, 2.7, 3.1, 3.5, 4.0, 4.5, 5.8, 8.0, 24.4, 30.0, 53.9, 102.7],
        [0.1, 0.7, 1.0, 1.4, 1.6, 1.9, 2.2, 2.5, 2.9, 3.1, 3.6, 4.1, 4.4, 5.8, 8.0, 23.7, 31.3, 55.6, 119.7],
        [0.1, 0.5, 0.9, 1.2, 1.6, 1.9, 2.2, 2.5, 2.8, 3.1, 3.5, 4.1, 4.8, 6.8, 20.2, 25.6, 43.2, 67.3, 119.9],
        [0.0, 0.6, 1.0, 1.4, 1.7, 2.0, 2.4, 2.7, 3.2, 3.8, 4.2, 5.0, 6.0, 17.8, 21.1, 25.5, 42.3, 57.1, 118.9],
        [0.0, 0.7, 1.1, 1.6, 2.0, 2.5, 2.9, 3.3, 3.9, 4.5, 6.0, 14.2, 14.6, 17.0, 19.9, 25.4, 44.4, 66.4, 117.8],
        [0.0, 0.7, 1.1, 1.6, 1.9, 2.4, 2.8, 3.3, 4.0, 5.2, 10.9, 14.9, 15.2, 16.5, 19.6, 24.3, 43.5, 64.2, 119.7],
        [0.1, 0.7, 1.1, 1.5, 1.9, 2.5, 3.1, 4.2, 6.2, 13.9, 14.3, 14.7, 15.0, 16.0, 18.6, 23.0, 39.7, 62.5, 119.4],
        [0.0, 0.7, 1.2, 1.7, 2.2, 3.0, 4.1, 11.4, 13.1, 13.6, 13.9, 14.2, 14.6, 16.2, 18.4, 22.8, 40.4, 62.3, 119.8],
        [0.1, 0.8, 1.2, 1.9, 2.7, 3.9, 10.2, 12.1, 12.6, 13.0, 13.3, 13.8, 14.4, 16.2, 18.3, 22.5, 38.5, 49.1, 117.7],
        [0.1, 0.8, 1.5, 2.3, 3.9, 10.4, 11.1, 11.5, 11.8, 12.1, 12.4, 12.8, 13.3, 14.9, 16.9, 21.1, 35.8, 47.4, 115.8],
        [0.0, 1.0, 2.4, 8.6, 9.9, 10.3, 10.6, 10.9, 11.2, 11.4, 11.8, 12.3, 12.9, 14.5, 16.5, 20.4, 35.2, 46.2, 119.7],
        [0.1, 1.5, 7.1, 8.8, 9.3, 9.5, 9.8, 10.0, 10.2, 10.4, 10.8, 11.2, 11.8, 13.4, 15.4, 18.9, 23.0, 42.8, 110.8],
        [0.0, 2.4, 7.7, 8.2, 8.5, 8.8, 9.0, 9.2, 9.4, 9.7, 10.0, 10.6, 11.2, 12.7, 14.5, 18.0, 21.6, 40.6, 119.5],
        [0.1, 2.5, 6.7, 7.4, 7.8, 8.1, 8.4, 8.8, 9.4, 10.0, 10.6, 11.3, 11.9, 13.2, 14.7, 17.9, 24.2, 38.8, 116.8],
    ]
)  # fmt: skip
"""(24, 19) quantiles of a session's length, h, by the local hour of plugging in. Source: `SESSION_SOURCE`."""
SESSIONS_PER_DAY = 0.48
"""Sessions per car and weekday; .47 over the week. Source: `SESSION_SOURCE`, 258 users seen for more than 30 days."""
WEEKEND_SESSIONS = 0.93
"""Weekend over weekday frequency. Source: `SESSION_SOURCE` (share of weekdays .147, of weekends .133)."""
RATE_SPREAD = 1.4
"""Standard deviation of a car's log odds of a session. Calibrated: tenths of the users have rates below .11 and above
.91 (`SESSION_SOURCE`); ours are at most 1 a day."""
CAR_MEDIAN_KWH = 11.2
"""Median over cars of the median session at the meter, kWh. Calibrated: the pooled session has median 9.03 and
mean 12.65 (`SESSION_SOURCE`); the pool holds more of the frequent cars' small ones, and the caps take some."""
CAR_SIGMA, DAY_SIGMA = 0.50, 0.68
"""Log standard deviation of session energy between cars and within a car. Source: `SESSION_SOURCE`: within .68;
between chosen so that mean over median is 1.40, as measured."""
RATE_ENERGY = -0.5
"""Correlation of a car's frequency with its energy per session. Source: `SESSION_SOURCE`."""
LENGTH_ENERGY = 0.40
"""Correlation of a session's energy (within a car) with the rank of its length. Source: `SESSION_SOURCE`."""
HABIT = 0.5
"""Correlation of the end of a session overnight with the owner's ready-by time. Source: `SESSION_SOURCE`: .27 of the
variance of the time of plugging out lies between users; that it is the ready-by time that they share is assumed."""
TRIP_CAP = 0.8
"""Most that is used between two sessions, share of the energy that the owner wants at departure. Assumed."""
LONGEST_DAYS = 5
"""No session lasts longer (`SESSION_SOURCE`: 119.9 h)."""
_HOURS = np.arange(25.0)
APART = 2
"""Steps between two sessions at least, and that a session lasts at least where the next one cuts it. Assumed."""
NEVER = 1 << 40
"""Step of what does not happen."""


class CarDay(NamedTuple):
    """Sessions of one local day of n steps: a car is plugged in at k < dep and at arr <= k < out."""

    dep: Ints  # (N,) int64: step at which yesterday's session ends; 0 = there is none, n = it goes on all day
    arr: Ints  # (N,) int64: step at which it is plugged in, dep < arr < n; n = it is not
    out: Ints  # (N,) int64: step at which today's session ends; n = it goes on
    trip: Floats  # (N,) float64: battery energy used before `arr`, kWh; 0 without a plug-in


@dataclass(frozen=True)
class Cars:
    """Constants of the homes with a car; C of the N homes."""

    n_homes: int
    column: Ints  # (C,) int64: home index
    kw: Floats  # (C,) float64: charger
    eta: float  # charging efficiency, meter to battery
    habit: Floats  # (C,) float64: how late it leaves, normal
    weekday: Floats  # (C,) float64: chance of a session on a weekday
    weekend: Floats  # (C,) float64: the same on a day of a weekend
    median_kwh: Floats  # (C,) float64: battery energy of the median session
    cap_kwh: Floats  # (C,) float64: most used between two sessions


def cars(fleet: Fleet, seed: int, ev_eta: float) -> Cars:
    """Draw the constants of the cars; `ev_eta` is the charging efficiency, meter to battery."""
    from scipy.special import ndtri  # .2 s of imports that only a month that is made needs

    normals = stream(seed, "vehicles", 0).standard_normal((2, fleet.n))
    column = np.flatnonzero(fleet.has_ev)
    energy = normals[0, column]
    rate = RATE_ENERGY * energy + np.sqrt(1.0 - RATE_ENERGY**2) * normals[1, column]
    # the mean of a logistic over normal log odds lies nearer to 1/2 than the logistic of the mean
    stretch = np.sqrt(1.0 + np.pi / 8 * RATE_SPREAD**2)
    odds = np.log(SESSIONS_PER_DAY / (1.0 - SESSIONS_PER_DAY)) * stretch
    rarity = 1.0 + np.exp(-(odds + RATE_SPREAD * rate))
    ready = fleet.ready_minutes[column]
    # rank among the cars, ties in the middle
    rank = 0.5 * (np.searchsorted(np.sort(ready), ready) + np.searchsorted(np.sort(ready), ready, side="right"))
    return Cars(
        n_homes=fleet.n,
        column=column,
        kw=fleet.ev_kw[column],
        eta=ev_eta,
        habit=ndtri((rank + 0.5) / (len(column) + 1)),
        weekday=1.0 / rarity,
        weekend=WEEKEND_SESSIONS / rarity,
        median_kwh=ev_eta * CAR_MEDIAN_KWH * np.exp(CAR_SIGMA * energy),
        cap_kwh=TRIP_CAP * fleet.ev_target_kwh[column],
    )


class _Drawn(NamedTuple):
    """Sessions as drawn for one day, before what lies around them is looked at."""

    start: Ints  # (C,) step of the day, >= 1; NEVER = none
    end: Ints  # (C,) step of the day, may be days later
    kwh: Floats  # (C,) battery energy used before it


def length_h(start_h: Floats, rank: Floats, habit: Floats) -> Floats:
    """Return the length of sessions.

    Parameters
    ----------
    start_h : (C,) ndarray
        Local hour of plugging in, 0 to 24.
    rank : (C,) ndarray
        Standard normal: how long, among the sessions that start in this hour.
    habit : (C,) ndarray
        Standard normal: how late the car leaves in the morning, among all cars.
    """
    from scipy.special import ndtr, ndtri

    u = ndtr(rank)
    same_day, share = _before_midnight(start_h, u)
    # of the sessions that last over midnight, those of an early riser end early
    late = ndtr(HABIT * habit + np.sqrt(1.0 - HABIT**2) * ndtri(share))
    return _length(start_h, u, same_day, late)


@kernel
def _between(x: float, xs: Floats, ys: Floats) -> float:
    """Value at x of the line through (xs, ys), level beyond its ends; xs ascends. The bits of `numpy.interp`."""
    last = len(xs) - 1
    if x <= xs[0]:
        return float(ys[0])
    if x >= xs[last]:
        return float(ys[last])
    j = np.searchsorted(xs, x, side="right") - 1
    return float((ys[j + 1] - ys[j]) / (xs[j + 1] - xs[j]) * (x - xs[j]) + ys[j])


@kernel
def _start_h(u: Floats, shares: Floats) -> Floats:
    """(C,) local hour of plugging in, 0 to 24, where a share u of the plug-ins is earlier."""
    out = np.empty(len(u))
    for c in range(len(u)):
        out[c] = min(_between(u[c], shares, _HOURS), 24.0 - 1e-9)
    return out


@kernel
def _before_midnight(start_h: Floats, u: Floats) -> tuple[Floats, Floats]:
    """(C,) share of the sessions that start in each hour and end before midnight; (C,) rank u among the others."""
    same_day, rank = np.empty(len(u)), np.empty(len(u))
    for c, start in enumerate(start_h):
        same_day[c] = _between(24.0 - start, DURATION_H[int(start)], LEVELS)
        share = (u[c] - same_day[c]) / max(1.0 - same_day[c], 1e-9)
        rank[c] = min(max(share, 1e-9), 1.0 - 1e-9)
    return same_day, rank


@kernel
def _length(start_h: Floats, u: Floats, same_day: Floats, late: Floats) -> Floats:
    """(C,) h: the length that a share u of the sessions that start in each hour do not exceed.

    Of those that last over midnight it is a share `late`.
    """
    out = np.empty(len(u))
    for c, start in enumerate(start_h):
        level = same_day[c] + (1.0 - same_day[c]) * late[c] if u[c] > same_day[c] else u[c]
        out[c] = _between(level, LEVELS, DURATION_H[int(start)])
    return out


class Sessions:
    """The sessions of all cars; a day depends on (cars, seed, day) alone, never on which were asked for before.

    Parameters
    ----------
    the_cars : Cars
        Constants of the cars.
    calendar : Calendar
        The run's clock.
    seed : int
        Seed of the world.
    """

    def __init__(self, the_cars: Cars, calendar: Calendar, seed: int) -> None:
        self._cars, self._calendar, self._seed = the_cars, calendar, seed
        self._days: dict[int, _Drawn] = {}

    def day(self, day: int) -> CarDay:
        """Return the sessions of local day `day`, fresh arrays."""
        c, span = self._cars, range(day - 1 - LONGEST_DAYS, day + 3)
        # today and tomorrow are asked for
        self._days = {d: made for d, made in self._days.items() if span.start <= d <= span.stop}
        drawn = [self._drawn(d) for d in span]
        lengths = np.array([self._calendar.steps_in_day(d) for d in span])
        start, end = np.array([d.start for d in drawn]), np.array([d.end for d in drawn])
        full_kwh = c.eta * c.kw * DT_H
        today = 1 + LONGEST_DAYS
        dep, arr, out = np.empty((3, c.n_homes), dtype=np.int64)
        made = CarDay(dep, arr, out, np.zeros(c.n_homes))
        _cut(start, end, lengths, today, drawn[today].kwh, c.column, c.cap_kwh, full_kwh, made)
        return made

    def _drawn(self, day: int) -> _Drawn:
        if day not in self._days:
            self._days[day] = _draw(self._cars, self._calendar, self._seed, day)
        return self._days[day]


@kernel
def _cut(
    start: Ints,
    end: Ints,
    lengths: Ints,
    today: int,
    kwh: Floats,
    column: Ints,
    cap_kwh: Floats,
    full_kwh: Floats,
    made: CarDay,
) -> None:
    """Cut sessions where the next one begins; fills `made` for the day of row `today`.

    Parameters
    ----------
    start, end, lengths : ndarray
        (W, C) as drawn, and (W,) steps of each day: those before today that a session may come from, and two after.
    kwh : ndarray
        (C,) battery energy used before today's session.
    column, cap_kwh, full_kwh : ndarray
        (C,) see `Cars`; what a car charges in a step.
    """
    n = lengths[today]
    made.dep[:], made.arr[:], made.out[:] = 0, n, n
    for c, i in enumerate(column):
        arr, tomorrow = _kept(start, lengths, today, c), n + _kept(start, lengths, today + 1, c)
        if arr < NEVER:
            made.arr[i] = arr
            out = _past_midnight(min(end[today, c], tomorrow - APART), n, n)
            made.out[i] = min(out, n)
            # what a session cannot charge was not used before it: every session of the baseline ends at the target
            made.trip[i] = min(kwh[c], min(cap_kwh[c], full_kwh[c] * (out - arr)))
        # a car must have left before it is plugged in again
        following, ahead = arr if arr < NEVER else tomorrow, 0
        for d in range(today - 1, -1, -1):
            ahead += lengths[d]
            if _kept(start, lengths, d, c) < NEVER:
                left = _past_midnight(min(end[d, c] - ahead, following - APART), 0, n)
                made.dep[i] = min(max(left, 0), n)
                break


@inlined
def _kept(start: Ints, lengths: Ints, d: int, c: int) -> int:
    """Start of the session of day d, NEVER where the next day's begins too soon after it."""
    return start[d, c] if lengths[d] + start[d + 1, c] - start[d, c] >= 2 * APART else NEVER


@inlined
def _past_midnight(end: int, one: int, other: int) -> int:
    """Move an end off two midnights, one step later: a plug is pulled on one day, not between two."""
    return end + 1 if end in (one, other) else end


def _draw(c: Cars, calendar: Calendar, seed: int, day: int) -> _Drawn:
    rng, n = stream(seed, "vehicles", DAY_KEY + day), calendar.steps_in_day(day)
    weekend = calendar.day_weekday(day) >= 5
    u, z = rng.random((2, len(c.column))), rng.standard_normal((2, len(c.column)))
    goes = u[0] < (c.weekend if weekend else c.weekday)
    start_h = _start_h(u[1], WEEKEND_SHARES if weekend else WEEKDAY_SHARES)
    minutes = np.floor(start_h * 4.0) * 15.0
    # the clock's map is only made on days on which it changes
    step = minutes.astype(np.int64) // 15 if n == 96 else calendar.wall_to_step(day, minutes)
    start = np.minimum(np.maximum(step, 1), n - 1)
    length = np.maximum(np.rint(length_h(start_h, z[0], c.habit) / DT_H).astype(np.int64), 1)
    within = LENGTH_ENERGY * z[0] + np.sqrt(1.0 - LENGTH_ENERGY**2) * z[1]
    kwh = c.median_kwh * np.exp(DAY_SIGMA * within)
    return _Drawn(np.where(goes, start, NEVER), np.where(goes, start + length, NEVER), kwh)
