"""The day-ahead side of a world: whose gate is open when, and what was awarded.

The gate is the opportunity at whose start the local clock shows `market.day_ahead_gate_hour` (10:00, before the prices
of the next day are published at 13:00). A schedule is for the next local day; what of it lies in the run is settled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp_env.contract.bids import DayAheadSchedule
from vpp_env.errors import BidError
from vpp_env.market.day_ahead import clear_day_ahead
from vpp_env.scenario import Scenario
from vpp_env.scenario.calendar import Calendar
from vpp_env.units import KWH_PER_MWH

STEPS_PER_HOUR = 4


class DayAhead:
    """Schedules and awards of E months.

    Parameters
    ----------
    scenario : Scenario
        The market's rules.
    prices : ndarray
        (E, S) day-ahead prices, USD/kWh.
    sell_limit_kw, buy_limit_kw : ndarray
        (E,) device limits of each fleet.
    """

    def __init__(
        self, scenario: Scenario, prices: np.ndarray, sell_limit_kw: np.ndarray, buy_limit_kw: np.ndarray
    ) -> None:
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
        calendar = self._calendar
        for e, schedule in enumerate(schedules):
            if schedule is None:
                continue
            day, k = calendar.clock(t)
            first = t - k + calendar.steps_in_day(day)
            span = slice(first, first + len(schedule.kw) * STEPS_PER_HOUR)
            price = self._prices[e, span].reshape(-1, STEPS_PER_HOUR).mean(axis=1)
            award = clear_day_ahead(
                schedule.kw,
                schedule.limit_usd_per_kwh,
                price,
                float(self._most_sold[e]),
                float(self._most_bought[e]),
                self._least,
            )
            self.award_kw[e, span] = np.repeat(award, STEPS_PER_HOUR)
