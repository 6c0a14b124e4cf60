"""The hourly frame of the price model: whole local days from a fixed day before the run.

Every draw is addressed by local day, and every autoregression starts `WARMUP_DAYS` before the run's first day
and moves forward only. A price therefore depends neither on how long the run is nor on the tail behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env.scenario import Scenario
from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.streams import stream
from vpp_env.traces import price_tables as tables
from vpp_env.traces.weather import DAY_KEY
from vpp_env.units import STEP_MINUTES, STEPS_PER_HOUR, Floats, Ints

Number = TypeVar("Number", np.float64, np.int64)
WARMUP_DAYS = 14
"""Days before the run at which the autoregressions start: .8 ** 14 = .04 of the first draw is left."""
HOURS = 25
"""Draws per day and purpose; 23 to 25 of them are used."""


@dataclass(frozen=True)
class Clock:
    """H hours of whole local days; the run and its tail are steps `first_step : first_step + n_steps`."""

    day: Ints  # (H,) int64: local day, 0 = the run's first, starts at -WARMUP_DAYS
    hour: Ints  # (H,) int64: local wall-clock hour
    weekday: Ints  # (H,) int64: Monday = 0
    month: Ints  # (H,) int64: 1..12
    first_step: int  # quarter hours from the frame's start to the run's first step
    n_steps: int  # S: steps of run and tail

    @property
    def days(self) -> range:
        """Local days of the frame."""
        return range(-WARMUP_DAYS, int(self.day[-1]) + 1)

    @property
    def row(self) -> Ints:
        """(H,) int64: row of the day in an array with one row per day of the frame."""
        return self.day + WARMUP_DAYS

    @property
    def k(self) -> Ints:
        """(H,) int64: elapsed hours since local midnight, 0..24."""
        first = np.searchsorted(self.day, self.day)
        return np.arange(len(self.day)) - first

    def draws(self, seed: int, purpose: int, n: int = HOURS) -> Floats:
        """(D, n) standard normals: a row per day of the frame from its own sub-stream."""
        return np.stack([stream(seed, "prices", purpose, DAY_KEY + d).standard_normal(n) for d in self.days])

    def to_steps(self, hourly: NDArray[Number]) -> NDArray[Number]:
        """(S,) values of run and tail from (H,) hourly ones."""
        return self.window(np.repeat(hourly, STEPS_PER_HOUR))

    def window(self, steps: NDArray[Number]) -> NDArray[Number]:
        """(S,) values of run and tail from (4 H,) ones of the whole frame."""
        return steps[self.first_step : self.first_step + self.n_steps]


@lru_cache(maxsize=16)
def build_clock(calendar: Calendar, n_steps: int) -> Clock:
    """Make the frame that covers `n_steps` steps from the run's first one; arrays are read-only, of all months one."""
    step = pd.Timedelta(minutes=STEP_MINUTES)
    last = calendar.utc[0] + (n_steps - 1) * step
    last_day = (last.tz_convert(calendar.timezone).date() - calendar.first_day).days
    begin = calendar.day_start_utc(-WARMUP_DAYS)
    hours = pd.date_range(begin, calendar.day_start_utc(last_day + 1), freq="h", inclusive="left")
    local = hours.tz_convert(calendar.timezone)
    dates = local.tz_localize(None).normalize()
    made = Clock(
        day=np.asarray((dates - pd.Timestamp(calendar.first_day)).days, dtype=np.int64),
        hour=np.asarray(local.hour, dtype=np.int64),
        weekday=np.asarray(local.day_of_week, dtype=np.int64),
        month=np.asarray(local.month, dtype=np.int64),
        first_step=int((calendar.utc[0] - begin) / step),
        n_steps=n_steps,
    )
    for array in (made.day, made.hour, made.weekday, made.month):
        array.setflags(write=False)
    return made


def clip_lmp(scenario: Scenario, price: Floats) -> Floats:
    """Energy prices inside the floor and cap of `scenario.market`, USD/MWh."""
    return np.clip(price, scenario.market.price_floor_usd_per_mwh, scenario.market.price_cap_usd_per_mwh)


def season_of(scenario: Scenario, month: int) -> str:
    """Season of a month (1..12), or the scenario's own one."""
    return tables.SEASON_OF_MONTH[month - 1] if scenario.prices.season == "auto" else scenario.prices.season


def month_index(scenario: Scenario, clock: Clock) -> Ints:
    """(H,) month index 0..11 of every hour, or the middle month of the scenario's own season."""
    season = scenario.prices.season
    return clock.month - 1 if season == "auto" else np.full(len(clock.month), tables.MONTH_OF_SEASON[season] - 1)
