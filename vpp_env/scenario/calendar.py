"""The clock of a run: UTC inside, local time outside, days of 92, 96 or 100 steps.

A run starts at a local time and has T physics steps of 15 minutes. Traces are made by local calendar day, so
every step t has a local day d and a step-of-day k (counted in elapsed time from local midnight).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from vpp_env.units import STEP_MINUTES, Floats, Ints

STEPS_PER_WEEK = 7 * 24 * 60 // STEP_MINUTES
PUBLICATION_HOUR = 13.0
"""Local hour at which the next day-ahead prices (and programme events) are published. Source: CAISO."""


@dataclass(frozen=True)
class Calendar:
    """The time axis of a run.

    Parameters
    ----------
    start : datetime
        Naive local start of the run, on a full quarter hour.
    n_steps : int
        Physics steps of 15 minutes in the run.
    timezone : str
        IANA name.
    """

    start: datetime
    n_steps: int
    timezone: str = "America/Los_Angeles"

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone object."""
        return ZoneInfo(self.timezone)

    @property
    def first_day(self) -> date:
        """Local date of day 0."""
        return self.start.date()

    def day_start_utc(self, day: int) -> pd.Timestamp:
        """UTC instant of the local midnight at which `day` (0 = the run's first day; may be negative) begins."""
        midnight = datetime.combine(self.first_day + timedelta(days=day), time(), tzinfo=self.zone)
        return pd.Timestamp(midnight).tz_convert("UTC")

    def steps_in_day(self, day: int) -> int:
        """Physics steps in local day `day`: 96, or 92 / 100 where the clock changes."""
        return _steps_in_day(self.first_day + timedelta(days=day), self.timezone)

    @cached_property
    def offset(self) -> int:
        """Step-of-day of the run's first step."""
        start_utc = pd.Timestamp(self.start.replace(tzinfo=self.zone)).tz_convert("UTC")
        return int((start_utc - self.day_start_utc(0)) / pd.Timedelta(minutes=STEP_MINUTES))

    @cached_property
    def n_days(self) -> int:
        """Local days that the run touches."""
        return int(self.day[-1]) + 1

    @cached_property
    def _day_lengths(self) -> list[int]:
        lengths: list[int] = []
        while sum(lengths) < self.offset + self.n_steps:
            lengths.append(self.steps_in_day(len(lengths)))
        return lengths

    @cached_property
    def day(self) -> Ints:
        """(T,) int64: local day of each step, 0 = first."""
        days = np.repeat(np.arange(len(self._day_lengths)), self._day_lengths)
        return days[self.offset : self.offset + self.n_steps]

    @cached_property
    def step_of_day(self) -> Ints:
        """(T,) int64: step k within its local day."""
        ks = np.concatenate([np.arange(n) for n in self._day_lengths])
        return ks[self.offset : self.offset + self.n_steps]

    @cached_property
    def _clock(self) -> list[tuple[int, int]]:
        return list(zip(self.day.tolist(), self.step_of_day.tolist(), strict=True))

    def clock(self, t: int) -> tuple[int, int]:
        """(local day, step of day) of step t >= 0, also beyond the end of the run."""
        if t < self.n_steps:
            return self._clock[t]
        day, k = int(self.day[-1]), int(self.step_of_day[-1]) + 1 + t - self.n_steps
        while k >= self.steps_in_day(day):
            day, k = day + 1, k - self.steps_in_day(day)
        return day, k

    @cached_property
    def utc(self) -> pd.DatetimeIndex:
        """(T,) UTC start of each step."""
        first = self.day_start_utc(0) + pd.Timedelta(minutes=STEP_MINUTES * self.offset)
        return pd.date_range(first, periods=self.n_steps, freq=f"{STEP_MINUTES}min")

    @cached_property
    def local(self) -> pd.DatetimeIndex:
        """(T,) local start of each step, time-zone aware."""
        return self.utc.tz_convert(self.timezone)

    @cached_property
    def hour(self) -> Floats:
        """(T,) float64: local wall-clock hour of each step, 0 <= h < 24."""
        return np.asarray(self.local.hour + self.local.minute / 60.0, dtype=np.float64)

    @cached_property
    def weekday(self) -> Ints:
        """(T,) int64: local weekday, Monday = 0."""
        return np.asarray(self.local.day_of_week, dtype=np.int64)

    @cached_property
    def week_step(self) -> Ints:
        """(T,) int64: wall-clock quarter hour of the week, Monday 00:00 = 0, < 672."""
        return np.asarray(self.weekday * 96 + np.round(self.hour * 4).astype(np.int64), dtype=np.int64)

    def day_index_utc(self, day: int) -> pd.DatetimeIndex:
        """(n,) UTC start of every step of local day `day` (whole day, also outside the run)."""
        return pd.date_range(self.day_start_utc(day), periods=self.steps_in_day(day), freq=f"{STEP_MINUTES}min")

    def day_hours(self, day: int) -> Floats:
        """(n,) float64 local wall-clock hour of every step of local day `day`; to be read only."""
        if self.steps_in_day(day) == 96:
            return _WHOLE_DAY
        local = self.day_index_utc(day).tz_convert(self.timezone)
        return np.asarray(local.hour + local.minute / 60.0, dtype=np.float64)

    def day_weekday(self, day: int) -> int:
        """Weekday of local day `day`, Monday = 0."""
        return (self.first_day + timedelta(days=day)).weekday()

    def day_week_steps(self, day: int) -> Ints:
        """(n,) int64 quarter hour of the week, as `week_step`, of every step of local day `day`; to be read only."""
        return _day_week_steps(self, day)

    def wall_to_step(self, day: int, minutes: Floats | Ints) -> Ints:
        """Step-of-day at which the wall clock of `day` first shows `minutes` after midnight (rounded down)."""
        quarter = np.asarray(minutes, dtype=np.int64) // STEP_MINUTES
        if self.steps_in_day(day) == 96:
            return quarter
        wall = np.round(self.day_hours(day) * 60).astype(np.int64)
        # the first step whose wall time is not earlier; a skipped hour maps to the step after the gap
        k = np.array([int(np.argmax(wall >= m)) if (wall >= m).any() else len(wall) - 1 for m in range(0, 1440, 15)])
        return k[quarter]


_WHOLE_DAY = np.arange(96) / 4.0
_WHOLE_DAY.setflags(write=False)


@lru_cache(maxsize=1024)
def _steps_in_day(day: date, timezone: str) -> int:
    zone = ZoneInfo(timezone)
    start = datetime.combine(day, time(), tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return round((end.timestamp() - start.timestamp()) / (60 * STEP_MINUTES))


@lru_cache(maxsize=1024)
def _day_week_steps(calendar: Calendar, day: int) -> Ints:
    steps = calendar.day_weekday(day) * 96 + np.rint(calendar.day_hours(day) * 4).astype(np.int64)
    steps.setflags(write=False)
    return steps


def month_hours(start: datetime, timezone: str = "America/Los_Angeles") -> int:
    """Hours from `start` (naive local) to the end of its calendar month: 743 or 745 where the clock changes."""
    zone = ZoneInfo(timezone)
    first_of_next = (start.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0)
    span = first_of_next.replace(tzinfo=zone).timestamp() - start.replace(tzinfo=zone).timestamp()
    return int(span // 3600)
