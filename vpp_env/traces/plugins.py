"""Measured charging sessions laid on the days of a run, in the form in which the world takes them.

The world knows at most one plug-in a local day, of a car that has left before. Measured cars do more: what is joined,
cut or moved for it is counted and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vpp_env.scenario.calendar import Calendar
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.homes import DAYS_AFTER, FIRST_DAY
from vpp_env.traces.lay import WEEK, moved
from vpp_env.traces.readers.meters import QUARTER
from vpp_env.traces.readers.sessions import CarSessions
from vpp_env.traces.vehicles import APART, LONGEST_DAYS, TRIP_CAP, CarDay
from vpp_env.units import DT_H, Flags, Floats, Ints

YEAR = 364
"""Days in the number of whole weeks that is nearest to a year."""
MADE_FOR = 31
"""Sessions that all lie within this many days of the run were made for it."""
SEEN = 7
"""Days before a user's first session and after its last for which it counts as seen: it need not plug in every day."""


@dataclass(frozen=True)
class LaidSessions:
    """Sessions of the homes that have some, by local day from `FIRST_DAY` on."""

    days: list[CarDay]  # (H,) each
    homes: Ints  # (H,) rows of the fleet
    said: str


@dataclass
class _Counts:
    """What had to be changed."""

    sessions: int = 0
    joined: int = 0
    overlapping: int = 0
    cut: int = 0
    moved: int = 0
    unseen: int = 0


def laid_sessions(
    sessions: CarSessions, rows: Mapping[str, int], calendar: Calendar, fleet: Fleet, eta: float
) -> LaidSessions:
    """Lay sessions on a run.

    Sessions that all lie within a month of the run were made for it and are taken as they are. Of a longer record, a
    user whose sessions span the run is taken as it was; another is moved by whole weeks, as near to whole years as its
    sessions allow; one that was seen for less than the run has generated sessions.

    Parameters
    ----------
    sessions : CarSessions
        As measured.
    rows : mapping
        User -> row of the fleet.
    calendar : Calendar
        The run's clock.
    fleet : Fleet
        Cars: what they charge at, and what is wanted in them.
    eta : float
        Charging efficiency, meter to battery.
    """
    count = _Counts()
    n_days = calendar.n_days + DAYS_AFTER + 1 - FIRST_DAY
    early = LONGEST_DAYS + 1  # days before the first whose sessions may go on
    days = range(FIRST_DAY - early, calendar.n_days + DAYS_AFTER + 1)
    begins = np.concatenate([[0], np.cumsum([calendar.steps_in_day(d) for d in days])])
    zero = calendar.day_start_utc(days[0])
    user = np.array(sessions.user, dtype=object)
    near_by = pd.Timedelta(days=MADE_FOR)
    made_for = (
        sessions.arrival.min() >= calendar.utc[0] - near_by and sessions.departure.max() <= calendar.utc[-1] + near_by
    )
    homes: list[int] = []
    columns: list[CarDay] = []
    for name, row in rows.items():
        mine = np.flatnonzero(user == name)
        arrival, departure = sessions.arrival[mine], sessions.departure[mine]
        lag = 0 if made_for or not len(mine) else _lag(arrival.min(), departure.max(), calendar)
        if lag is None:
            count.unseen += 1
            continue
        count.moved += lag != 0
        arrival, departure = (moved(calendar, ts, -lag) for ts in (arrival, departure))
        start = ((arrival - zero) // QUARTER).to_numpy().astype(np.int64)
        end = -((zero - departure) // QUARTER).to_numpy().astype(np.int64)  # rounded up
        near, start = (end > 0) & (start < begins[-1]), np.maximum(start, 0)
        order = np.flatnonzero(near)[np.argsort(start[near], kind="stable")]
        most = TRIP_CAP * float(fleet.ev_target_kwh[row])
        charge = eta * float(fleet.ev_kw[row]) * DT_H
        kwh = sessions.kwh[mine][order]
        of_trip = sessions.of_trip[mine][order]
        columns.append(_days_of(start[order], end[order], kwh, of_trip, begins, early, (most, charge, eta), count))
        homes.append(row)
    said = f"{len(homes)} cars measured, {count.sessions} sessions"
    told = (
        (count.moved, "cars moved by whole weeks"),
        (count.joined, "further sessions of a day joined to its longest"),
        (count.overlapping, "cut where the next begins"),
        (count.cut, "with more energy than the car can charge in them, cut"),
        (sessions.open, "without an end left out"),
        (count.unseen, "cars seen for less than the run: generated"),
    )
    said += "".join(f", {number} {text}" for number, text in told if number)
    stacked = [CarDay(*(np.array([c[i][d] for c in columns]) for i in range(4))) for d in range(n_days)]
    return LaidSessions(stacked if homes else [], np.array(homes, dtype=np.int64), said)


def _lag(first: pd.Timestamp, last: pd.Timestamp, calendar: Calendar) -> int | None:
    """Days by which a user's sessions lie before the run; None where they do not span it."""
    begin, end = calendar.utc[0], calendar.utc[-1] + QUARTER
    day = pd.Timedelta(days=1)
    low, high = (end - last) / day - SEEN, (begin - first) / day + SEEN
    if low <= 0 <= high:
        return 0
    least, most = WEEK * int(np.ceil(low / WEEK)), WEEK * int(np.floor(high / WEEK))
    if least > most:
        return None
    # whole years keep the season: those that fit, nearest first; else the fewest weeks from a whole year
    years = [WEEK * round(365.2425 * y / WEEK) for y in range(int(least // YEAR) - 1, int(most // YEAR) + 2)]
    fits = [lag for lag in years if least <= lag <= most]
    if fits:
        return min(fits, key=abs)
    return min((least, most), key=lambda lag: min(abs(lag - year) for year in years))


def _days_of(
    start: Ints,
    end: Ints,
    kwh: Floats,
    of_trip: Flags,
    begins: Ints,
    early: int,
    car: tuple[float, float, float],
    count: _Counts,
) -> CarDay:
    """(days,) each of `CarDay`'s fields, of one car, without the `early` days; steps count from `begins[0]`."""
    most, charge, eta = car
    day = np.searchsorted(begins, start, side="right") - 1
    kept: list[tuple[int, int, int, float, bool]] = []  # day, start, end, kWh, of_trip
    for d in np.unique(day):
        today = np.flatnonzero(day == d)
        # the longest of the day carries the energy of all: the world knows one plug-in a day
        main = today[int(np.argmax(end[today] - start[today]))]
        count.joined += len(today) - 1
        kept.append((int(d), int(start[main]), int(end[main]), float(kwh[today].sum()), bool(of_trip[main])))
    total = len(begins) - 1
    dep, arr = np.zeros(total, dtype=np.int64), np.diff(begins).copy()
    out, trip = np.diff(begins).copy(), np.zeros(total)
    left = 0  # absolute step at which the car left last
    for i, (d, begin, until, energy, exact) in enumerate(kept):
        first, n = int(begins[d]), int(begins[d + 1] - begins[d])
        # a plug goes in after midnight's step, and after the car has left
        begin = min(max(begin, first + 1, left + 1), first + n - 1)
        following = kept[i + 1][1] if i + 1 < len(kept) else int(begins[-1]) + 10 * 96
        wanted = until
        if i + 1 < len(kept):
            until = min(until, following - APART)
        until = max(until, begin + 1)
        if until in begins[1:]:
            until += 1  # a plug is pulled on one day, not between two
        count.overlapping += until < wanted and d >= early
        left = until
        arr[d] = begin - first
        out[d] = min(until - first, n)
        for later in range(d + 1, total):
            if begins[later] >= until:
                break
            dep[later] = min(until - int(begins[later]), int(begins[later + 1] - begins[later]))
        used = energy if exact else min(eta * energy, most, charge * (until - begin))
        inside = d >= early
        count.sessions += inside
        count.cut += inside and not exact and used < eta * energy - 1e-6
        trip[d] = used
    return CarDay(dep[early:], arr[early:], out[early:], trip[early:])
