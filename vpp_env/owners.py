"""The owners' own prices: what a kWh discharged, a kWh of charging put off and an hour of standing by must earn.

    min_compensation = wear + energy to refill / round-trip efficiency + premium
    defer_ask        = expected price of buying back + premium by the car's priority
    standby_ask      = standby_share x min_compensation, per kW and hour

The energy to refill is the export credit for a home with panels and the day's cheap wholesale price for one
without; both are public. The expected price of buying back is the mean of the two cheapest day-ahead hours
before the car is due (a car that was put off needs one to two hours of charging).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.fleet import Fleet
from vpp_env.scenario import Scenario

CHEAP_HOURS = 4
"""The day's cheap wholesale price is the mean of its four cheapest hours: a 10 kWh battery refills in about two
to four hours [assumed]."""
LOOK_HOURS = 36
"""A car is due within this many hours at the latest."""


class OwnerPrices(NamedTuple):
    """Each (E, N), USD/kWh; standby USD/kW-h."""

    own: np.ndarray
    defer: np.ndarray
    standby: np.ndarray
    refill: np.ndarray  # what a kWh into the battery costs
    back: np.ndarray  # what a kWh of charging bought back is expected to cost


def hourly_forecast(published: np.ndarray, past: np.ndarray, hours: int) -> np.ndarray:
    """Extend published day-ahead prices to `hours` hours by repeating the last 24 known ones.

    Parameters
    ----------
    published, past : ndarray
        (E, H) and (E, t) day-ahead prices by 15-min step, from now on and before now, USD/kWh.
    hours : int
        Length wanted.

    Returns
    -------
    ndarray
        (E, hours) USD/kWh, one per hour from now.
    """
    known = published[:, ::4]
    missing = hours - known.shape[1]
    if missing <= 0:
        return known[:, :hours]
    # past steps end at now, so hours are counted back from the end
    before = past[:, ::-1][:, 3::4][:, ::-1][:, -24:]
    day = np.concatenate([before, known], axis=1)[:, -24:]
    return np.concatenate([known, np.tile(day, (1, -(-missing // day.shape[1])))[:, :missing]], axis=1)


def cheapest_two(prices: np.ndarray) -> np.ndarray:
    """Return (E, H): mean of the two cheapest of the first 1, 2, ... H prices (of the only one at first)."""
    low = np.minimum.accumulate(prices, axis=1)
    # the second smallest so far: of the running minimum before and the newcomer, the one that is not the minimum
    loser = np.maximum(low[:, :-1], prices[:, 1:])
    second = np.minimum.accumulate(loser, axis=1)
    return np.concatenate([low[:, :1], (low[:, 1:] + second) / 2.0], axis=1)


class Owners:
    """The owners' pricing rules for E fleets of N homes."""

    def __init__(self, scenario: Scenario, fleets: Sequence[Fleet]) -> None:
        self._scenario = scenario
        self._has_pv = np.stack([f.has_pv for f in fleets])
        self._premium = np.stack([f.premium for f in fleets])
        self._reference = np.stack([f.reference_compensation for f in fleets])
        extra = np.asarray(scenario.preferences.defer_premium_usd_per_kwh)
        self._defer_premium = extra[np.stack([f.ev_priority for f in fleets])]

    def prices(
        self, published: np.ndarray, past: np.ndarray, today: np.ndarray, hours_left: np.ndarray
    ) -> OwnerPrices:
        """Price the next opportunity.

        Parameters
        ----------
        published, past : ndarray
            (E, H), (E, t) day-ahead prices by step from now on, and before now, USD/kWh.
        today : ndarray
            (E, h) day-ahead prices of the local delivery day, USD/kWh.
        hours_left : ndarray
            (E, N) hours until the car must be ready.
        """
        scenario = self._scenario
        cheap = np.sort(today[:, ::4], axis=1)[:, :CHEAP_HOURS].mean(axis=1)[:, None]
        refill = np.where(self._has_pv, scenario.home.export_credit_usd_per_kwh, cheap)
        if scenario.preferences.model == "reference":
            own = self._reference
        else:
            wear = scenario.home.degradation_usd_per_kwh
            own = np.maximum(wear + refill / scenario.fleet.bess_eta**2 + self._premium, 0.0)
        two = cheapest_two(hourly_forecast(published, past, LOOK_HOURS))
        hours = np.clip(np.ceil(hours_left).astype(np.int64), 1, LOOK_HOURS)
        back = np.take_along_axis(two, hours - 1, axis=1)
        defer = np.maximum(back + self._defer_premium, 0.0)
        return OwnerPrices(own, defer, scenario.preferences.standby_share * own, refill, back)
