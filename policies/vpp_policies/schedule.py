"""A day-ahead schedule that any policy can hand in: what the VPP's own meter has shown at that hour of past days.

Honest and simple: nothing but metered energy of the past goes in, and the limits are what the homes asked for last.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vpp_env.contract.bids import DayAheadSchedule
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import View
from vpp_env.units import BUY_LIMIT_RANGE, SELL_ASK_RANGE

DAYS = 7
"""Past days whose mean is the forecast: a week holds each weekday once."""


class MeteredProfile:
    """Mean metered power of the VPP by local clock hour, over the last `DAYS` days.

    Parameters
    ----------
    rules : MarketRules
        The market's rules; without two settlements nothing is kept and nothing handed in.
    """

    def __init__(self, rules: MarketRules) -> None:
        self._on, self._margin, self._hours = rules.two_settlement, rules.margin, rules.opportunity_hours
        # kWh of each clock hour, one entry a day, the newest last
        self._metered: list[deque[float]] = [deque(maxlen=DAYS) for _ in range(24)]
        # what the homes last asked for a kWh sold, and would last pay for one bought, USD/kWh
        self._ask, self._limit = SELL_ASK_RANGE[1], BUY_LIMIT_RANGE[0]
        self._open: tuple[int, float] | None = None  # the clock hour that is being metered, and its kWh so far

    def _watch(self, view: View) -> None:
        if not len(view.public.past_rt_usd_per_kwh):
            return  # the month begins: nothing has been metered
        now = view.public.now if view.public.now is not None else view.public.start
        hour = (now - np.timedelta64(round(self._hours * 60), "m")).hour
        kwh = float(view.homes.last_market_kwh.sum())
        if self._open is not None and self._open[0] == hour and self._hours < 1.0:
            kwh += self._open[1]
        self._open = (hour, kwh)
        if now.minute == 0:
            self._metered[hour].append(kwh)
            self._open = None

    def schedule(self, view: View, offers: dict[str, np.ndarray]) -> DayAheadSchedule | None:
        """Take note of the last opportunity; at the day-ahead gate return the next day's schedule.

        Parameters
        ----------
        view : View
            Of this gate; call it once at every gate.
        offers : dict
            What the homes offer now, as `bids.encode` takes it. The schedule's limits are the mean ask and limit of the
            latest offers that there were.

        Returns
        -------
        DayAheadSchedule or None
            kW by hour; None while the gate is shut or nothing has been metered yet.
        """
        if not self._on:
            return None
        self._watch(view)
        self._ask = _mean(offers["sell_ask"], offers["sell_kw"], self._ask)
        self._limit = _mean(offers["buy_limit"], offers["buy_kw"], self._limit)
        hours = view.public.day_ahead_hours
        if not hours or not any(self._metered):
            return None
        kw = np.array([float(np.mean(self._metered[h])) if self._metered[h] else 0.0 for h in hours])
        return DayAheadSchedule(kw, np.where(kw >= 0.0, self._ask * (1.0 + self._margin), self._limit))


def _mean(price: np.ndarray, kw: np.ndarray, otherwise: float) -> float:
    """Mean of the prices, weighted by quantity; `otherwise` where nothing is offered."""
    total = float(kw.sum())
    return float((price * kw).sum()) / total if total > 0.0 else otherwise
