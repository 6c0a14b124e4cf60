"""Measured series laid on a run's quarter hours: which year, which gaps, and what lies beside the run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.scenario.calendar import Calendar
from vpp_env.traces.homes import DAYS_AFTER, FIRST_DAY
from vpp_env.traces.readers.check import MAX_GAP, runs
from vpp_env.traces.readers.meters import QUARTER, Meter
from vpp_env.units import Flags, Floats32, Ints

WEEK = 7
"""Days by a multiple of which measured series are moved: weekdays stay weekdays."""
YEARS = 60
"""Furthest that they are moved, years."""


def moved(calendar: Calendar, utc: pd.DatetimeIndex, days: int) -> pd.DatetimeIndex:
    """(n,) UTC instants at which the wall clock showed the same time `days` local days earlier (or later: negative).

    An hour that the clock skipped then is the one after it, and one that it showed twice the first.
    """
    if days == 0:
        return utc
    wall = utc.tz_convert(calendar.timezone).tz_localize(None) - pd.Timedelta(days=days)
    there = wall.tz_localize(
        calendar.timezone, ambiguous=np.ones(len(wall), dtype=np.bool_), nonexistent="shift_forward"
    )
    return there.tz_convert("UTC")


def laid_quarters(calendar: Calendar) -> pd.DatetimeIndex:
    """UTC starts of the quarter hours that are laid: of the run's local days, and of the days around it."""
    days = range(FIRST_DAY, calendar.n_days + DAYS_AFTER + 1)
    utc = np.concatenate([calendar.day_index_utc(day).tz_localize(None).to_numpy() for day in days])
    return pd.DatetimeIndex(utc, tz="UTC")


def weeks_between(here: date, there: date) -> int:
    """Return whole years from `there` to `here` as days: the multiple of seven that is nearest to them."""
    years = here.year - there.year
    return WEEK * round(years * 365.2425 / WEEK)


@dataclass(frozen=True)
class Laid:
    """A meter on the steps of a run, the days around it included."""

    kw: Floats32  # (T, H) float32, from the start of local day `FIRST_DAY`, all finite
    begins: Ints  # (D + 1,) first row of every local day, and the end
    said: str  # of the coverage, for report and manifest


def lay_meter(meter: Meter, calendar: Calendar, role: str) -> Laid:
    """Lay a meter on the run's quarter hours.

    Data that cover the run are taken as they are. Others are moved by the whole number of weeks that is nearest to
    whole years, from the latest year that covers the run: the season and the weekdays stay. Gaps up to 2 h are
    interpolated. Days beside the run (forecasts look back and ahead) that the data lack are those of another week.

    Raises
    ------
    DataError
        When no year covers the run, or a home has a longer gap inside it.
    """
    first, last = calendar.utc[0], calendar.utc[-1] + QUARTER
    lag = _lag(meter, calendar, role)
    days = range(FIRST_DAY, calendar.n_days + DAYS_AFTER + 1)
    begins = np.concatenate([[0], np.cumsum([calendar.steps_in_day(day) for day in days])])
    utc = laid_quarters(calendar)
    row = ((moved(calendar, utc, lag) - meter.first) // QUARTER).to_numpy().astype(np.int64)
    there = (row >= 0) & (row < len(meter.kw))
    kw = np.full((len(row), len(meter.homes)), np.nan, dtype=np.float32)
    kw[there] = meter.kw[row[there]]
    inside = np.asarray((utc >= first) & (utc < last))
    gaps, filled = _fill(kw, inside, meter, utc, role)
    _borrow(kw, inside)
    begin, end = (t.tz_convert(calendar.timezone) for t in (moved(calendar, calendar.utc[[0, -1]], lag)))
    text = f"{len(meter.homes)} homes measured, {begin:%Y-%m-%d}..{end:%Y-%m-%d}"
    text += f" ({_weeks(lag)}; weekdays kept)" if lag else ""
    text += f", {'/'.join(map(str, meter.minutes))} min"
    text += f", {gaps} gaps of <= 2 h filled ({filled} quarter hours), 0 longer" if gaps else ", no gaps"
    text += f", {meter.odd.doubled} times with two values that disagree taken for gaps" if meter.odd.doubled else ""
    text += f", {meter.odd.below} values a little below 0 set to 0" if meter.odd.below else ""
    dead = [h for h, home in enumerate(meter.homes) if float(kw[inside, h].max(initial=0.0)) < 0.01]
    text += f", {len(dead)} homes below 10 W all month ({meter.homes[dead[0]]})" if dead and role == "load" else ""
    return Laid(kw, begins, text)


def _weeks(lag: int) -> str:
    return f"{abs(lag) // WEEK} weeks {'earlier' if lag > 0 else 'later'}"


def _lag(meter: Meter, calendar: Calendar, role: str) -> int:
    """Days by which the data lie before the run; 0 where they cover it."""
    first, last = calendar.utc[0], calendar.utc[-1] + QUARTER
    ends = calendar.utc[[0, -1]]
    if meter.first <= first and meter.end >= last:
        return 0
    here = calendar.first_day
    years = range(meter.end.year, meter.first.year - 2, -1)
    for year in years:
        if abs(here.year - year) > YEARS or year == here.year:
            continue
        lag = weeks_between(here, date(year, 1, 1))
        then = moved(calendar, ends, lag)
        if meter.first <= then[0] and meter.end >= then[1] + QUARTER:
            return lag
    zone = calendar.timezone
    span = [t.tz_convert(zone).strftime("%Y-%m-%dT%H:%M") for t in (meter.first, meter.end, first, last)]
    raise DataError(
        f"{meter.named}: {role} runs from {span[0]} to {span[1]}, the scenario from {span[2]} to {span[3]}, and no"
        " other year of the data holds these weeks; set time.start (--start) and time.duration_hours so that they do,"
        f" or leave {role} out: then it is generated"
    )


def _fill(kw: Floats32, inside: Flags, meter: Meter, utc: pd.DatetimeIndex, role: str) -> tuple[int, int]:
    """Interpolate gaps up to 2 h, in place; return how many there were in the run, and their quarter hours."""
    gaps = filled = 0
    most = int(MAX_GAP / QUARTER)
    for h in np.flatnonzero(np.isnan(kw).any(axis=0)):
        column = kw[:, h]
        for begin, end in runs(np.isnan(column)):
            edge = begin == 0 or end == len(column)
            within = int(inside[begin:end].sum())
            if end - begin > most or edge:
                if within:
                    at = utc[begin + int(np.argmax(inside[begin:end]))]
                    raise DataError(
                        f"{meter.named}: {role} of {meter.homes[h]} has no values for {within / 4:g} h of the run, from"
                        f" its {at.isoformat()} on; gaps up to {MAX_GAP / pd.Timedelta(hours=1):g} h are interpolated."
                        f" Add the rows, choose a run without them, or delete this home's {role}: then it is generated"
                    )
                continue
            column[begin:end] = np.interp(np.arange(begin, end), [begin - 1, end], column[[begin - 1, end]])
            gaps += within > 0
            filled += within
    return gaps, filled


def _borrow(kw: Floats32, inside: Flags) -> None:
    """Fill what lies beside the run from the same time of another week, else of another day, in place."""
    known = np.flatnonzero(inside)
    low, high = int(known[0]), int(known[-1])
    beside = np.flatnonzero(~inside)
    source = np.where(beside < low, low, high)  # where the run is shorter than a day, and nothing else is there
    for period in (96, 96 * WEEK):
        # into the run, from the side on which it lies
        back = np.where(beside < low, -(-(low - beside) // period), -(-(beside - high) // period)) * period
        at = np.where(beside < low, beside + back, beside - back)
        source = np.where((at >= low) & (at <= high), at, source)
    lacking = np.isnan(kw[beside])
    kw[beside] = np.where(lacking, kw[source], kw[beside])
