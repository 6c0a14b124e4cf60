"""What prices may come: one object that gives points, quantiles and joint samples, and one protocol that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from vpp_env import STEP_MINUTES, Public
from vpp_env.units import Flags, Floats, Ints

QUARTERS = 4
DAY = 96
"""Steps of a day without a clock change."""
SATURDAY = 5


@dataclass(frozen=True)
class Forecast:
    """Weighted samples of H hours from delivery on; a sample is of the whole hour: its four intervals belong together.

    Of two hours nothing is said jointly.
    """

    price: Floats  # (H, S, 4) real-time price of each interval, USD/kWh
    weight: Floats  # (H, S) sums to 1 over S
    reserve: Floats  # (H, S) best price of reserve that gives energy, of the same sample, USD/kW-h

    @property
    def points(self) -> Floats:
        """(4 H,) mean real-time price by interval, USD/kWh."""
        return np.einsum("hs,hsq->hq", self.weight, self.price).ravel()

    @property
    def reserve_points(self) -> Floats:
        """(H,) mean reserve price, USD/kW-h."""
        return np.asarray((self.weight * self.reserve).sum(axis=1))

    def quantiles(self, shares: Floats) -> Floats:
        """(4 H, Q) real-time price that the share `shares` (Q,), 0 to 1, of the weight lies at or below, USD/kWh."""
        order = np.argsort(self.price, axis=1, kind="stable")
        price = np.take_along_axis(self.price, order, axis=1)
        below = np.cumsum(np.take_along_axis(np.broadcast_to(self.weight[:, :, None], price.shape), order, 1), axis=1)
        # the first sample up to which the weight adds up; rounding must not pass the last one
        rank = (below[:, :, :, None] < np.asarray(shares) - 1e-12).sum(axis=1).clip(max=price.shape[1] - 1)
        return np.take_along_axis(price, rank.swapaxes(1, 2), axis=1).swapaxes(1, 2).reshape(-1, len(shares))


class Forecaster(Protocol):
    """Somebody who forecasts from public data alone; a frozen value, which remembers nothing between gates."""

    def __call__(self, public: Public, hours: int) -> Forecast:
        """Forecast the next `hours` hours, 1 or more, from delivery (`public.start`) on.

        Raises
        ------
        PolicyError
            When no price is known at all.
        """
        ...


@dataclass(frozen=True)
class LocalClock:
    """Wall clock of steps: the evening peak stays in the evening when the clock changes."""

    quarter: Ints  # quarter hour of the day, 0 to 95
    weekend: Flags


def clock_of(first: pd.Timestamp, steps: int) -> LocalClock:
    """Clock of `steps` steps, less than half a year, from `first` on."""
    step = pd.Timedelta(minutes=STEP_MINUTES)
    if first.utcoffset() == (first + max(steps - 1, 0) * step).utcoffset():
        # no clock changes in between
        at = first.hour * QUARTERS + first.minute // STEP_MINUTES + np.arange(steps)
        return LocalClock(at % DAY, (first.day_of_week + at // DAY) % 7 >= SATURDAY)
    local = pd.date_range(first, periods=steps, freq=step)
    quarter = np.asarray(local.hour * QUARTERS + local.minute // STEP_MINUTES, dtype=np.int64)
    return LocalClock(quarter, np.asarray(local.day_of_week >= SATURDAY))


def past_clock(public: Public, steps: int) -> LocalClock:
    """Clock of the last `steps` steps before the gate."""
    now = public.start if public.now is None else public.now
    return clock_of(now - steps * pd.Timedelta(minutes=STEP_MINUTES), steps)
