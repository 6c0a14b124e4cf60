"""Forecasts made of the month so far and of the published day-ahead prices, without a model.

Each takes past hours of the same clock hour as samples; what differs is what they are laid over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vpp_env import PolicyError, Public
from vpp_env.units import Flags, Floats, Ints
from vpp_policies.forecast.forecast import DAY, QUARTERS, Forecast, clock_of, past_clock

TWO_DAYS = 2 * DAY + 8
"""Steps that hold every quarter hour of the day, also where the clock changes."""


def day_ahead_prices(public: Public, steps: int) -> Floats:
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
    when = clock_of(public.start, max(steps, len(published))).quarter
    quarter = np.concatenate([past_clock(public, len(past)).quarter, when[: len(published)]])
    last, seen = np.zeros(DAY), np.zeros(DAY, dtype=bool)
    last[quarter], seen[quarter] = known, True  # of a quarter that is there more than once NumPy keeps the last
    repeated = np.where(seen, last, known[0])[when[len(published) :]]
    return np.concatenate([published, repeated])[:steps]


class Past(NamedTuple):
    """Past hours of the same clock hour as each of H hours to come, the latest first, D at most."""

    at: Ints  # (H, D, 4) their steps
    seen: Flags  # (H, D)
    alike: Flags  # (H, D) weekday or weekend as the hour to come is


def past_hours(public: Public, hours: int, days: int) -> Past:
    """Find them; D is `days`, or less where there are not so many, and 1 at least.

    An hour begins as many minutes past the full hour as delivery does.
    """
    known = len(public.past_rt_usd_per_kwh)
    then, when = past_clock(public, known), clock_of(public.start, QUARTERS * hours)
    first = np.arange(max(known - QUARTERS + 1, 0))
    first = first[then.quarter[first] % QUARTERS == when.quarter[0] % QUARTERS][::-1]
    of_clock = {q: first[then.quarter[first] == q][:days] for q in np.unique(when.quarter[::QUARTERS])}
    size = max([len(found) for found in of_clock.values()] + [1])
    at = np.full((DAY, size), -1)
    for q, found in of_clock.items():
        at[q, : len(found)] = found
    begin = at[when.quarter[::QUARTERS]]
    seen = begin >= 0
    weekend = np.zeros(begin.shape, dtype=bool) if not known else then.weekend[begin]
    steps = np.maximum(begin, 0)[:, :, None] + np.arange(QUARTERS)
    return Past(steps, seen, weekend == when.weekend[::QUARTERS][:, None])


def _sampled(public: Public, price: Floats, past: Past, counts: Flags) -> Forecast:
    """Put a forecast together: `price` (H, D, 4) of the past hours that count; day-ahead prices where none does."""
    hours, size = counts.shape
    none: Flags = np.asarray(~counts.any(axis=1))
    day_ahead = day_ahead_prices(public, QUARTERS * hours).reshape(hours, 1, QUARTERS)
    counts = counts | (none[:, None] & (np.arange(size) == 0))
    weight = counts / counts.sum(axis=1, keepdims=True)
    rho = [r for name, r in public.past_reserve_usd_per_kw_h.items() if name != "regdown" and len(r)]
    reserve = np.zeros((hours, size))
    if rho:
        best = np.max(rho, axis=0)
        # of an hour that no past day holds: the mean of all that is past
        reserve = np.where(past.seen, best[past.at].mean(axis=2), best.mean())
    return Forecast(np.where(none[:, None, None], day_ahead, price), weight, reserve)


@dataclass(frozen=True)
class DayAheadForecast:
    """Day-ahead prices, and the differences of real time from them in that hour of past days.

    Parameters
    ----------
    days : int
        Past days that are taken. Four weeks [assumed]: the difference is mostly rare spikes, few days say little.
    """

    days: int = 28

    def __call__(self, public: Public, hours: int) -> Forecast:
        """See `Forecaster`."""
        past = past_hours(public, hours, self.days)
        day_ahead = day_ahead_prices(public, QUARTERS * hours).reshape(hours, 1, QUARTERS)
        spread = _taken(public.past_rt_usd_per_kwh - public.past_da_usd_per_kwh, past)
        return _sampled(public, day_ahead + spread, past, past.seen)


@dataclass(frozen=True)
class Persistence:
    """The latest day's real-time prices again and again, give or take what they have changed by from day to day.

    The changes are taken less their mean: on the mean, prices stay as they were.
    """

    def __call__(self, public: Public, hours: int) -> Forecast:
        """See `Forecaster`."""
        past = past_hours(public, hours, len(public.past_rt_usd_per_kwh))
        price = _taken(public.past_rt_usd_per_kwh, past)
        pairs = np.concatenate([past.seen[:, 1:], np.zeros((hours, 1), dtype=bool)], axis=1)
        change = np.where(pairs[:, :, None], price - np.roll(price, -1, axis=1), 0.0)
        mean = change.sum(axis=1) / np.maximum(pairs.sum(axis=1), 1)[:, None]
        counts = np.where(pairs.any(axis=1, keepdims=True), pairs, past.seen)
        change -= np.where(pairs[:, :, None], mean[:, None], 0.0)
        return _sampled(public, price[:, :1] + change, past, counts)


@dataclass(frozen=True)
class Seasonal:
    """The same hour of past days.

    Parameters
    ----------
    least_days : int
        Weekdays and weekends are taken apart once there are so many days of the kind in question; before, all days
        count. Four: two weekends [assumed].
    """

    least_days: int = 4

    def __call__(self, public: Public, hours: int) -> Forecast:
        """See `Forecaster`."""
        past = past_hours(public, hours, len(public.past_rt_usd_per_kwh))
        of_kind = past.seen & past.alike
        enough = of_kind.sum(axis=1, keepdims=True) >= self.least_days
        return _sampled(public, _taken(public.past_rt_usd_per_kwh, past), past, np.where(enough, of_kind, past.seen))


def _taken(values: Floats, past: Past) -> Floats:
    """(H, D, 4) values at the steps of past hours; 0 where there are none."""
    if not len(values):
        return np.zeros(past.at.shape)
    return np.where(past.seen[:, :, None], values[past.at], 0.0)
