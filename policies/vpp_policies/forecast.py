"""Forecasts of prices from public data only: what a policy that plans may believe.

    price = FORECASTERS["seasonal"](view.public, steps=96)          (96,) USD/kWh from delivery on

A forecaster is a frozen value: all it knows is in its parameters and in the `Public` that it is handed. Times are those
of the wall clock, so that the evening peak stays in the evening when the clock changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env import STEP_MINUTES, PolicyError, Public, UnknownNameError, did_you_mean

DAY = 96
"""Steps of a day without a clock change."""
TWO_DAYS = 2 * DAY + 8
"""Steps that hold every quarter hour of the day, also where the clock changes."""
QUARTERS_PER_HOUR = 4
SATURDAY = 5


class Forecaster(Protocol):
    """Real-time prices to come."""

    def __call__(self, public: Public, steps: int) -> NDArray[np.float64]:
        """Forecast the next `steps` 15-min intervals.

        Parameters
        ----------
        public : Public
            What is known at the gate.
        steps : int
            Length of the horizon, 1 or more; it begins at delivery (`public.start`).

        Returns
        -------
        ndarray
            (steps,) real-time prices, USD/kWh.
        """
        ...


@dataclass(frozen=True)
class LocalClock:
    """Wall clock of past steps and of the horizon."""

    quarter: NDArray[np.int64]  # quarter hour of the day, 0 to 95
    weekend: NDArray[np.bool_]


def _clock(first: pd.Timestamp, steps: int) -> LocalClock:
    local = pd.date_range(first, periods=steps, freq=f"{STEP_MINUTES}min")
    quarter = np.asarray(local.hour * QUARTERS_PER_HOUR + local.minute // STEP_MINUTES)
    return LocalClock(quarter, np.asarray(local.day_of_week >= SATURDAY))


def _past_clock(public: Public, steps: int) -> LocalClock:
    """Clock of the last `steps` steps before the gate."""
    now = public.start if public.now is None else public.now
    return _clock(now - steps * pd.Timedelta(minutes=STEP_MINUTES), steps)


def _means(
    key: NDArray[np.int64], values: NDArray[np.float64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(size,) mean of the values of each key, 0 where there is none, and their number."""
    count = np.bincount(key, minlength=size)
    total = np.bincount(key, weights=values, minlength=size)
    return np.divide(total, count, out=np.zeros(size), where=count > 0), count


def _latest(
    key: NDArray[np.int64], values: NDArray[np.float64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(size,) last value of each key, 0 where there is none, and whether there is one."""
    last, seen = np.zeros(size), np.zeros(size, dtype=bool)
    last[key], seen[key] = values, True  # of a key that is there more than once NumPy keeps the last
    return last, seen


def day_ahead_prices(public: Public, steps: int) -> NDArray[np.float64]:
    """(steps,) day-ahead prices from delivery on, USD/kWh.

    A step that is not published yet repeats the same quarter hour of the latest day that is known, as the owners' own
    prices do (`owners.asks.buy_back_prices`, in elapsed time); where there is no such day, the earliest price known.

    Raises
    ------
    PolicyError
        When no price is known at all.
    """
    past, published = public.past_da_usd_per_kwh[-TWO_DAYS:], public.da_usd_per_kwh
    known = np.concatenate([past, published])
    if not len(known):
        raise PolicyError("no day-ahead price is published or past; a forecast needs one")
    when = _clock(public.start, max(steps, len(published))).quarter
    last, seen = _latest(np.concatenate([_past_clock(public, len(past)).quarter, when[: len(published)]]), known, DAY)
    repeated = np.where(seen, last, known[0])[when[len(published) :]]
    return np.concatenate([published, repeated])[:steps]


@dataclass(frozen=True)
class DayAheadForecast:
    """Day-ahead prices, and the mean difference of real time from them at that hour of past days.

    Parameters
    ----------
    days : int
        Past days that are averaged. Four weeks [assumed]: the difference is mostly rare spikes, few days say little.
    """

    days: int = 28

    def __call__(self, public: Public, steps: int) -> NDArray[np.float64]:
        """See `Forecaster`."""
        window = min(len(public.past_rt_usd_per_kwh), self.days * DAY)
        spread = public.past_rt_usd_per_kwh - public.past_da_usd_per_kwh
        hour = _past_clock(public, window).quarter // QUARTERS_PER_HOUR
        mean, _ = _means(hour, spread[len(spread) - window :], 24)
        return day_ahead_prices(public, steps) + mean[_clock(public.start, steps).quarter // QUARTERS_PER_HOUR]


def _filled(price: NDArray[np.float64], seen: NDArray[np.bool_], public: Public) -> NDArray[np.float64]:
    """`price` where it was seen, the forecast from day-ahead prices elsewhere."""
    return price if seen.all() else np.where(seen, price, DayAheadForecast()(public, len(price)))


@dataclass(frozen=True)
class Persistence:
    """The latest day's real-time prices again and again; what no past day holds is forecast from day-ahead prices."""

    def __call__(self, public: Public, steps: int) -> NDArray[np.float64]:
        """See `Forecaster`."""
        past = public.past_rt_usd_per_kwh[-TWO_DAYS:]
        last, seen = _latest(_past_clock(public, len(past)).quarter, past, DAY)
        when = _clock(public.start, steps).quarter
        return _filled(last[when], seen[when], public)


@dataclass(frozen=True)
class Seasonal:
    """Mean of the same quarter hour of past days; what no past day holds is forecast from day-ahead prices.

    Parameters
    ----------
    least_days : int
        Weekdays and weekends are taken apart once there are so many days of the kind in question; before, all days
        count. Four: two weekends [assumed].
    """

    least_days: int = 4

    def __call__(self, public: Public, steps: int) -> NDArray[np.float64]:
        """See `Forecaster`."""
        past = public.past_rt_usd_per_kwh
        then, when = _past_clock(public, len(past)), _clock(public.start, steps)
        kinds, of_kind = _means(then.quarter + DAY * then.weekend, past, 2 * DAY)
        every, days = _means(then.quarter, past, DAY)
        which = when.quarter + DAY * when.weekend
        mean = np.where(of_kind[which] >= self.least_days, kinds[which], every[when.quarter])
        return _filled(mean, days[when.quarter] > 0, public)


def reserve_prices(public: Public, steps: int) -> dict[str, NDArray[np.float64]]:
    """Forecast each reserve product: the mean of the same hour on past days.

    Parameters
    ----------
    public, steps :
        See `Forecaster`.

    Returns
    -------
    dict
        Product -> (steps,) USD/kW-h. An hour that no past day holds gets the mean of all that is past; 0 before any.
    """
    hour = _clock(public.start, steps).quarter // QUARTERS_PER_HOUR
    forecasts = {}
    for product, past in public.past_reserve_usd_per_kw_h.items():
        then = _past_clock(public, len(past)).quarter // QUARTERS_PER_HOUR
        mean, count = _means(then, past, 24)
        overall = float(past.mean()) if len(past) else 0.0
        forecasts[product] = np.where(count[hour] > 0, mean[hour], overall)
    return forecasts


FORECASTERS: dict[str, Forecaster] = {
    "day_ahead": DayAheadForecast(),
    "persistence": Persistence(),
    "seasonal": Seasonal(),
}


def make_forecaster(name: str) -> Forecaster:
    """Return the forecaster of that name.

    Raises
    ------
    UnknownNameError
        When it is not registered; the message offers the nearest.
    """
    if name not in FORECASTERS:
        raise UnknownNameError(did_you_mean(name, FORECASTERS, "forecaster"))
    return FORECASTERS[name]
