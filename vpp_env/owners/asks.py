"""The owners' own prices: what a kWh discharged, a kWh of deferred charging and an hour on reserve must earn.

    min_compensation = wear + energy to refill / round-trip efficiency + premium
    defer_ask        = expected price of buying back + premium by the car's priority
    reserve_ask      = sigma + calls per hour x 1/2 h x min_compensation, per kW and hour

The energy to refill is the export credit for a home with panels and the day's cheap wholesale price for one
without; both are public. The expected price of buying back is the mean of the two cheapest day-ahead hours
before the car is due (a car that was deferred needs one to two hours of charging). sigma is the owner's private value
of a kW standing by for an hour; a call lasts half an hour. The model `reference` has no such value: its reserve_ask is
reserve_ask_share x min_compensation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.jit import floor, inlined, kernel
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet
from vpp_env.units import Floats

CHEAP_HOURS = 4
"""The day's cheap wholesale price is the mean of its four cheapest hours: a 10 kWh battery refills in about two
to four hours [assumed]."""
AWAY_HOURS = 12
"""Hours until a car that is still away will be due once it is back, for its owner's ask [assumed]."""
CALLS_PER_HOUR, CALL_HOURS = 2, 0.5
"""A call of reserve is drawn for each half hour, and lasts it."""
LOOK_HOURS = 36
"""A car is due within this many hours at the latest."""


class OwnerPrices(NamedTuple):
    """Each (M, N), USD/kWh; reserve USD/kW-h."""

    own: Floats  # least pay per kWh discharged: min_compensation
    defer: Floats  # per kWh of deferred charging
    reserve: Floats  # per kW and hour on reserve
    refill: Floats  # what a kWh into the battery costs
    back: Floats  # what a kWh of charging bought back is expected to cost


@kernel
def buy_back_prices(da: Floats, now: int, known: int, hours: int) -> Floats:
    """Return (M, hours): mean of the two cheapest hours among the next 1, 2, ... `hours` (of the only one at first).

    Parameters
    ----------
    da : ndarray
        (M, S) day-ahead prices by 15-min step, USD/kWh. Only steps before `known` are read: an hour beyond it is
        taken to repeat the same hour of the latest day that is known.
    now, known : int
        Current step; first step that is not published yet.
    hours : int
        How far to look.
    """
    out = np.empty((da.shape[0], hours))
    for m in range(da.shape[0]):
        low = second = np.inf
        for h in range(hours):
            step = now + 4 * h
            while step >= known:
                step -= 96
            price = da[m, max(step, 0)]
            if price < low:
                low, second = price, low
            elif price < second:
                second = price
            out[m, h] = (low + second) / 2.0 if h > 0 else low
    return out


@inlined
def defer_ask(back: Floats, hours_left: float, premium: float) -> tuple[float, float]:
    """Return what buying back is expected to cost a car, and what its owner asks for letting it wait, USD/kWh.

    `back` is (h,) what it costs among the next 1, 2, ... h hours. A car that comes home within the opportunity is due
    the next morning.
    """
    due = -floor(-hours_left) if hours_left > 0.0 else AWAY_HOURS
    price = back[min(due, LOOK_HOURS) - 1]
    return price, max(price + premium, 0.0)


@kernel
def _defer_asks(back: Floats, hours_left: Floats, premium: Floats, cost: Floats, ask: Floats) -> None:
    """Fill `cost` and `ask` (M, N); see `defer_ask`."""
    for m in range(len(ask)):
        for i in range(ask.shape[1]):
            cost[m, i], ask[m, i] = defer_ask(back[m], hours_left[m, i], premium[m, i])


def bought_back(back: Floats, hours_left: Floats) -> Floats:
    """(M, N) USD/kWh that buying back is expected to cost cars due in so many hours; `back` (M, h), see `defer_ask`."""
    cost, nothing = np.empty_like(hours_left), np.zeros_like(hours_left)
    _defer_asks(back, hours_left, nothing, cost, nothing)
    return cost


class Owners:
    """The owners' pricing rules for M fleets of N homes."""

    def __init__(self, scenario: Scenario, fleets: Sequence[Fleet]) -> None:
        self._scenario = scenario
        self._has_pv = np.stack([f.has_pv for f in fleets])
        self._premium = np.stack([f.premium for f in fleets])
        self._reference = np.stack([f.reference_compensation for f in fleets])
        self._standby = np.stack([f.standby_value for f in fleets])
        extra = np.asarray(scenario.preferences.defer_premium_usd_per_kwh)
        self.defer_premium = extra[np.stack([f.ev_priority for f in fleets])]
        self._today: tuple[Floats, tuple[Floats, Floats, Floats]] | None = None

    def prices(self, da: Floats, now: int, known: int, cheap: Floats, hours_left: Floats) -> OwnerPrices:
        """Price the next opportunity.

        Parameters
        ----------
        da, now, known :
            See `buy_back_prices`.
        cheap : ndarray
            (M,) the local day's cheap wholesale price, USD/kWh; see `cheap_price`. One array all day long.
        hours_left : ndarray
            (M, N) hours until the car must be ready.
        """
        if self._today is None or self._today[0] is not cheap:
            self._today = (cheap, self._of_day(cheap))
        own, reserve, refill = (asks.copy() for asks in self._today[1])
        back, defer = np.empty_like(own), np.empty_like(own)
        _defer_asks(buy_back_prices(da, now, known, LOOK_HOURS), hours_left, self.defer_premium, back, defer)
        return OwnerPrices(own, defer, reserve, refill, back)

    def _of_day(self, cheap: Floats) -> tuple[Floats, Floats, Floats]:
        """(M, N) each: asks per kWh discharged and on reserve, and the price of refilling, the same all day long."""
        scenario = self._scenario
        refill = np.where(self._has_pv, scenario.home.export_credit_usd_per_kwh, cheap[:, None])
        if scenario.preferences.model == "reference":
            own = self._reference
            reserve = scenario.preferences.reserve_ask_share * own
        else:
            wear = scenario.home.degradation_usd_per_kwh
            own = np.maximum(wear + refill / scenario.fleet.bess_eta**2 + self._premium, 0.0)
            reserve = self._standby + CALLS_PER_HOUR * CALL_HOURS * scenario.market.call_probability * own
        return own, reserve, refill


def cheap_price(today: Floats) -> Floats:
    """(M,) mean of the cheapest hours of a local day's day-ahead prices (M, h) by 15-min step, USD/kWh."""
    return np.sort(today[:, ::4], axis=1)[:, :CHEAP_HOURS].mean(axis=1)
