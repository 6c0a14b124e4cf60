"""The day-ahead market: when its prices are public, whose gate is open when, and what was awarded.

One schedule of hourly quantities is cleared as a price taker. The gate is the opportunity at whose start the local
clock shows `market.day_ahead_gate_hour` (10:00, before the prices of the next day are published at 13:00). A schedule
is for the next local day; what of it lies in the run is settled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp_env.contract.bids import DayAheadSchedule
from vpp_env.errors import BidError
from vpp_env.scenario import Scenario
from vpp_env.scenario.calendar import PUBLICATION_HOUR, Calendar
from vpp_env.units import KWH_PER_MWH, STEPS_PER_HOUR, Floats


def published_until(calendar: Calendar, day: int, k: int, t: int) -> int:
    """First step whose day-ahead price is not public yet at step t of the run, which is step k of local day `day`."""
    hours = calendar.day_hours(day)
    end = t - k + calendar.steps_in_day(day)
    return end + calendar.steps_in_day(day + 1) if hours[min(k, len(hours) - 1)] >= PUBLICATION_HOUR else end


def clear_day_ahead(
    kw: Floats,
    limit: Floats,
    price: Floats,
    most_sold: float | Floats,
    most_bought: float | Floats,
    least: float,
) -> Floats:
    """Award each hour of a schedule, or of several: (H,) or (K, H) each.

    Parameters
    ----------
    kw, limit : ndarray
        (H,) scheduled kW, plus = sale, and limit prices, USD/kWh.
    price : ndarray
        (H,) day-ahead prices, USD/kWh.
    most_sold, most_bought : float or ndarray
        kW, (K, 1) of several: a schedule is cut to what the devices and the VPP's maximum allow.
    least : float
        kW: an hour below this minimum bid is void.

    Returns
    -------
    ndarray
        kW: the whole hour where its limit is met (sales at the limit or above, purchases at it or below), else 0.
    """
    cut = np.clip(kw, -most_bought, most_sold)
    met = np.where(cut >= 0.0, price >= limit - 1e-12, price <= limit + 1e-12)
    return np.where(met & (np.abs(cut) >= least - 1e-9), cut, 0.0)


class DayAhead:
    """Schedules and awards of M months.

    Parameters
    ----------
    scenario : Scenario
        The market's rules.
    prices : ndarray
        (M, S) day-ahead prices, USD/kWh.
    sell_limit_kw, buy_limit_kw : ndarray
        (M,) device limits of each fleet.
    """

    def __init__(self, scenario: Scenario, prices: Floats, sell_limit_kw: Floats, buy_limit_kw: Floats) -> None:
        market = scenario.market
        self._calendar: Calendar = scenario.calendar
        self._on, self._gate_hour = market.two_settlement, int(market.day_ahead_gate_hour)
        self._prices = prices
        most = market.max_capacity_mw * KWH_PER_MWH
        self._most_sold, self._most_bought = np.minimum(sell_limit_kw, most), np.minimum(buy_limit_kw, most)
        self._least = market.min_bid_mw * KWH_PER_MWH
        self.reset()

    def reset(self) -> None:
        """Forget all awards."""
        self.award_kw = np.zeros_like(self._prices)

    def hours(self, t: int) -> tuple[int, ...]:
        """Local clock hours (23 to 25 of them) of the day that may be scheduled at step t; empty: the gate is shut."""
        calendar = self._calendar
        if not self._on or t >= calendar.n_steps or calendar.hour[t] != self._gate_hour:
            return ()
        day = int(calendar.day[t]) + 1
        if day >= calendar.n_days:
            return ()
        return tuple(int(h) for h in calendar.day_hours(day)[::STEPS_PER_HOUR])

    def check(self, t: int, schedules: Sequence[DayAheadSchedule | None]) -> None:
        """Raise `BidError` unless these schedules (one a month, or none) may be handed in at step t."""
        if all(s is None for s in schedules):
            return
        if not self._on:
            raise BidError("a day-ahead schedule was handed in; the scenario has market.two_settlement = false")
        hours = len(self.hours(t))
        if hours == 0:
            raise BidError(
                f"a day-ahead schedule was handed in while the gate is shut; it opens at {self._gate_hour}:00 local "
                "time for the next day of the run: see Public.day_ahead_hours"
            )
        if len(schedules) != len(self._prices):
            raise BidError(
                f"{len(schedules)} day-ahead schedules; allowed is one for each of {len(self._prices)} months"
            )
        for schedule in schedules:
            if schedule is not None and len(schedule.kw) != hours:
                raise BidError(f"the day-ahead schedule has {len(schedule.kw)} hours; the next day has {hours}")

    def submit(self, t: int, schedules: Sequence[DayAheadSchedule | None]) -> None:
        """Clear checked schedules; the award becomes public with the prices, at 13:00."""
        given = {m: schedule for m, schedule in enumerate(schedules) if schedule is not None}
        if not given:
            return
        months = np.array(list(given))
        kw, limit = (np.stack([getattr(s, name) for s in given.values()]) for name in ("kw", "limit_usd_per_kwh"))
        day, k = self._calendar.clock(t)
        first = t - k + self._calendar.steps_in_day(day)
        span = slice(first, first + kw.shape[1] * STEPS_PER_HOUR)
        price = self._prices[months, span].reshape(*kw.shape, STEPS_PER_HOUR).mean(axis=2)
        most_sold, most_bought = self._most_sold[months, None], self._most_bought[months, None]
        award = clear_day_ahead(kw, limit, price, most_sold, most_bought, self._least)
        self.award_kw[months, span] = np.repeat(award, STEPS_PER_HOUR, axis=1)
