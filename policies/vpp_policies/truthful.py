"""Every home offers what its own preferences allow, at its own asks: waiting on one line, storage on the other.

Row i of the bids reads row i of the view and public data, nothing else. Where the market settles twice, the VPP hands
in what its own meter has shown at that hour of past days as the next day's schedule: nothing but metered energy of the
past goes in, and the limits are what the homes asked for last.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    BUY_LIMIT_RANGE,
    SELL_ASK_RANGE,
    Bids,
    Consent,
    DayAheadSchedule,
    Homes,
    Information,
    MarketRules,
    PolicyInfo,
    Public,
    View,
    encode,
)

DAYS = 7
"""Past days whose mean is the forecast: a week holds each weekday once."""


def storage_ask(homes: Homes) -> NDArray[np.float64]:
    """(N,) least pay per kWh, USD, that covers whatever serves the second line.

    Any charging is deferred before storage gives: also where it is more than the first line holds, or begins within the
    opportunity, when the car comes home.
    """
    return np.where(homes.ev_kwh > 0, np.maximum(homes.own_ask, homes.defer_ask), homes.own_ask)


def envelope_kwh(homes: Homes, rules: MarketRules) -> NDArray[np.float64]:
    """(N,) kWh that each battery can give today inside its owner's envelope: floor and limit of the day are kept."""
    kept = np.maximum(homes.floor_kwh, homes.bess_min_kwh)
    return np.minimum(np.maximum(homes.soc_kwh - kept, 0.0) * rules.bess_eta, homes.day_left_kwh)


def own_offers(homes: Homes, public: Public, rules: MarketRules) -> dict[str, NDArray[np.float64]]:
    """What each home offers on its own account, (N,) each, as `bids.encode` takes it.

    The first line is charging that waits, at the ask for deferring, the second one storage, at the owner's compensation
    per kWh discharged. Where the gateway keeps the owner's envelope (`rules.safeguard`) a home offers the full power of
    its devices, whatever it can give of it: the market and the gateway cut it at delivery, interval by interval, and a
    car that comes home meanwhile is on offer. But what a home has on its first line is never more than its car can
    defer in every interval, unless nothing else can serve it: storage would be sold at the price of waiting.

    Without the safeguard the quantities are what the envelope allows in every interval of the opportunity.
    """
    stores = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    # what was deferred is bought back for no more than it was sold for; a battery charges at its owner's limit
    back = homes.ev_deficit_kwh > 0
    if rules.safeguard:
        # the deficit at delivery is not known at an earlier gate; above the owner's limit its battery does not charge
        back |= (homes.ev_kwh > 0) & (public.lead > 0)
        car = np.where(stores, homes.defer_kw, homes.ev_kw)
        storage = np.where(stores, rules.sell_limit_kw - car, 0.0)
        buy, reserve = rules.buy_limit_kw, rules.sell_limit_kw
    else:
        # a car alone may offer its first interval's charging: when it is full before the opportunity ends it simply
        # delivers less, and no other device has to step in
        car = np.where(stores, homes.defer_kw, homes.defer_first_kw)
        storage = homes.storage_sell_kw
        # not when it is so late that it charges by force anyway: the battery would take what the car cannot
        slack_h = homes.hours_to_ready - public.hours
        late = homes.ev_deficit_kwh >= slack_h * rules.ev_eta * homes.ev_kw
        buy = np.where(back, np.where(late, 0.0, homes.buy_back_kw), homes.bess_buy_kw)
        # what is on reserve must last through the whole opportunity (calls may repeat), beside what is sold
        reserve = np.maximum(np.minimum(homes.reserve_kw, homes.defer_kw + storage) - car - storage, 0.0)
    return {
        "sell1_kw": car,
        "sell1_ask": homes.defer_ask,
        "sell2_kw": storage,
        "sell2_ask": np.where(stores, storage_ask(homes), homes.defer_ask),
        "buy_kw": buy,
        "buy_limit": np.where(back, homes.defer_ask, homes.buy_limit),
        "reserve_kw": reserve,
        "reserve_ask": homes.reserve_ask,
    }


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

    def schedule(self, view: View, offers: dict[str, NDArray[np.float64]]) -> DayAheadSchedule | None:
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
        asks, kw = (np.concatenate([offers[f"sell1_{x}"], offers[f"sell2_{x}"]]) for x in ("ask", "kw"))
        self._ask = _mean(asks, kw, self._ask)
        self._limit = _mean(offers["buy_limit"], offers["buy_kw"], self._limit)
        hours = view.public.day_ahead_hours
        if not hours or not any(self._metered):
            return None
        kw = np.array([float(np.mean(self._metered[h])) if self._metered[h] else 0.0 for h in hours])
        return DayAheadSchedule(kw, np.where(kw >= 0.0, self._ask * (1.0 + self._margin), self._limit))


def _mean(price: NDArray[np.float64], kw: NDArray[np.float64], otherwise: float) -> float:
    """Mean of the prices, weighted by quantity; `otherwise` where nothing is offered."""
    total = float(kw.sum())
    return float((price * kw).sum()) / total if total > 0.0 else otherwise


class Truthful:
    """Each home for itself, at its own ask; no coordination."""

    info = PolicyInfo(
        name="truthful",
        information=Information.OWN,
        consent=Consent.OWN_BIDS,
        description="every home offers what its preferences allow, at its own ask; nobody coordinates",
    )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the market's rules."""
        self._rules = rules
        self._profile = MeteredProfile(rules)

    def act(self, view: View) -> Bids:
        """Encode every home's own offer."""
        rules = self._rules
        offers = own_offers(view.homes, view.public, rules)
        schedule = self._profile.schedule(view, offers)
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers), day_ahead=schedule)
