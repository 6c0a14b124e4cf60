"""Values of a fleet's storage at every gate: solved when day-ahead prices appear, read at the gates after it.

Row i of everything reads row i of the view, public prices and a forecaster, nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from vpp_env import BUY_LIMIT_RANGE, MarketRules, View
from vpp_env.units import DT_H, Floats
from vpp_policies.evening import Promise
from vpp_policies.forecast import QUARTERS, Forecast, Forecaster
from vpp_policies.stochastic.contracted import Bought, nothing_bought
from vpp_policies.stochastic.value import Battery, odds_of, solve_all

LOOK_HOURS = 36
"""A car is due within this many hours at the latest."""
BEYOND_HOURS = 24
"""Hours behind the published ones that the values look into."""


class StorageValues:
    """What every home's battery is worth in every state, and what a car's waiting is.

    Parameters
    ----------
    rules : MarketRules
        The month's.
    forecaster : Forecaster
        Of prices.
    promise : Promise
        Evenings that are called and promised bring more.
    """

    def __init__(self, rules: MarketRules, forecaster: Forecaster, promise: Promise) -> None:
        self._rules, self._forecaster, self._promise = rules, forecaster, promise
        self._published = -1
        self._start = 0
        self._values = np.zeros((0, 0, 0, 0))
        # what the bids that wait for delivery are expected to take out of each home's battery and put into it, kWh
        self._pending: deque[tuple[Floats, Floats]] = deque(maxlen=max(rules.lead, 1))

    def look(self, view: View, hours: int) -> Forecast:
        """Forecast of `hours` from delivery on, with what a promise adds to the prices."""
        forecast = self._forecaster(view.public, hours)
        return replace(forecast, price=forecast.price + self._promise.bonus(view, hours)[:, None, None])

    def after(self, view: View, hours: int = 1, bought: Bought | None = None) -> Floats:
        """(N, X, D) values `hours` hours after delivery begins, `BEYOND_HOURS` at most; call it at every gate."""
        public = view.public
        # the first quarter that is not published yet, counted from the month's start
        published = public.opportunity * public.steps + len(public.da_usd_per_kwh)
        if published != self._published:
            self._published = published
            ahead = len(public.da_usd_per_kwh) // QUARTERS + BEYOND_HOURS
            odds = odds_of(self.look(view, ahead), self._rules.margin)
            clock = np.asarray((public.start.hour + np.arange(ahead)) % 24, dtype=np.int64)
            self._start = public.opportunity
            self._values = solve_all(odds, clock, self.sun(view, ahead), self.batteries(view, bought))
        return self._values[:, int((public.opportunity - self._start) * public.hours) + hours]

    def batteries(self, view: View, bought: Bought | None = None) -> Battery[Floats]:
        """What the owners say of their batteries, (N,) each; 0 kW where there is none."""
        homes, rules = view.homes, self._rules
        bought = nothing_bought(rules.n_homes) if bought is None else bought
        kept = np.maximum(homes.floor_kwh, homes.bess_min_kwh)
        refill = np.maximum(homes.own_cost - rules.degradation_usd_per_kwh, 0.0) * rules.bess_eta
        alike = np.ones(rules.n_homes)
        return Battery(
            kw=homes.bess_kw,
            room=np.maximum(homes.bess_max_kwh - kept, 0.0),
            day=homes.day_limit_kwh,
            eta=rules.bess_eta * alike,
            wear=rules.degradation_usd_per_kwh * alike,
            ask=homes.own_ask,
            limit=homes.buy_limit,
            standby=homes.reserve_ask,
            sun_price=refill * rules.bess_eta,
            refill=refill,
            below=bought.floor_kwh,
            floor_price=bought.floor_price,
            spare=bought.day_kwh,
            overuse_price=bought.day_price,
        )

    def expect(self, gone: Floats, came: Floats) -> None:
        """Take note of what a gate's bids, delivered later (`rules.lead`), are expected to give and take in, (N,) kWh.

        Call it once at every gate, after `state`.
        """
        self._pending.append((gone, came))

    def state(self, view: View) -> tuple[Floats, Floats]:
        """(N,) x and d of `value` at delivery, the bids that wait for theirs done as they are expected to be."""
        gone, came = (sum((p[k] for p in self._pending), np.zeros(self._rules.n_homes)) for k in (0, 1))
        homes, public, batteries = view.homes, view.public, self.batteries(view)
        kept = np.maximum(homes.floor_kwh, homes.bess_min_kwh)
        x = np.clip(homes.soc_kwh - gone / self._rules.bess_eta + came - kept, 0.0, batteries.room)
        same_day = public.now is None or public.now.day == public.start.day
        return x, np.maximum(homes.day_left_kwh - gone, 0.0) if same_day else batteries.day

    def sun(self, view: View, hours: int) -> Floats:
        """(hours, N) kWh that each home's own sun would store, from delivery on, as it was a day ago."""
        homes = view.homes
        surplus = np.maximum(homes.pv_forecast_kw - homes.load_forecast_kw, 0.0).astype(np.float64)
        shift = view.public.lead * round(view.public.hours * QUARTERS)
        hourly = np.roll(surplus, -shift, axis=0).reshape(-1, QUARTERS, surplus.shape[1]).sum(axis=1)
        return hourly[np.arange(hours) % len(hourly)] * (DT_H * self._rules.bess_eta)

    def put_into(
        self, own: dict[str, Floats], view: View, ask: Floats, limit: Floats, patience: Floats
    ) -> dict[str, Floats]:
        """Put (N,) asks and limits of the batteries, and the patience of cars, into what the homes offer.

        No owner's ask is lowered.
        """
        homes = view.homes
        stores, cars = homes.bess_kwh > 0, homes.ev_kwh > 0
        ask = np.where(self._promise.bonus(view, 1)[0] > 0.0, 0.0, ask)  # a promise is kept at the owners' own asks
        # at an earlier gate the deficit at delivery is not known: a car alone may come to lack what it sells now
        back = (homes.ev_deficit_kwh > 0) | (cars & ~stores)
        return own | {
            "sell2_ask": np.where(stores, np.maximum(ask, own["sell2_ask"]), own["sell2_ask"]),
            "buy_limit": np.where(back, patience, np.where(stores, limit, own["buy_limit"])),
        }

    def patience(self, view: View) -> Floats:
        """(N,) most that a car which put charging off pays now, USD/kWh: what waiting one more hour would cost.

        Optimal stopping: v_T = E p_T in the last hour T in which full power still returns what is missing, and
        v_h = E min(p_h, v_h+1) before it.
        """
        homes, rules = view.homes, self._rules
        charge = np.maximum(rules.ev_eta * homes.ev_kw, 1e-9)
        last = np.floor(homes.hours_to_ready - homes.ev_deficit_kwh / charge).astype(int) - 1
        last = np.clip(last, 0, LOOK_HOURS - 1)
        forecast = self.look(view, LOOK_HOURS)
        price, weight = forecast.price, forecast.weight
        mean = (price.mean(axis=2) * weight).sum(axis=1)
        worth = np.full(rules.n_homes, np.inf)
        for h in range(int(last.max()), 0, -1):
            cut = np.minimum(price[h][:, :, None], worth).mean(axis=1)
            worth = np.where(h == last, mean[h], np.where(h < last, weight[h] @ cut, worth))
        # who is away is back, and lacks something, at a time that is not known: it buys at what it sold for
        return np.where(homes.hours_to_ready <= 0.0, homes.defer_ask, np.where(last > 0, worth, BUY_LIMIT_RANGE[1]))
