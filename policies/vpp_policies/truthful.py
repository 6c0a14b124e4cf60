"""Every home offers what its own preferences allow, at its own ask.

Row i of the bids reads row i of the view and public prices, nothing else. A home chooses between two offers:
the car alone at its (low) ask for deferred charging, or car, battery and V2G together at the higher of the asks.
It takes the second when the published day-ahead price (and an announced programme) would pay for it. Where the market
settles twice, the VPP hands in what its own meter has shown at that hour of past days as the next day's schedule:
nothing but metered energy of the past goes in, and the limits are what the homes asked for last.
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
    """(N,) least pay per kWh, USD, that covers whatever serves a home whose storage is on offer.

    Any charging in the opportunity is deferred before storage gives: also where it ends before the opportunity does, or
    begins in it, when the car comes home.
    """
    charges = (homes.ev_kwh > 0) & ((homes.defer_mean_kw > 0) | ~homes.plugged)
    return np.where(charges, np.maximum(homes.own_ask, homes.defer_ask), homes.own_ask)


def own_offers(homes: Homes, public: Public, rules: MarketRules) -> dict[str, NDArray[np.float64]]:
    """What each home would offer on its own account, (N,) each.

    Returns
    -------
    dict
        `sell1_kw`, `sell1_ask`, `buy_kw`, `buy_limit`, `reserve_kw`, `reserve_ask` as `bids.encode` takes them. The
        quantities are what the envelope allows in every interval of the opportunity.
    """
    storage = homes.storage_sell_kw
    # a car without a battery behind it may offer its first interval's charging: when the car is full before the
    # opportunity ends it simply delivers less, and no other device has to step in
    alone = (homes.bess_kwh == 0) & (homes.v2g_kw == 0)
    car = np.where(alone, homes.defer_first_kw, homes.defer_kw)
    both_ask = storage_ask(homes)
    pays = both_ask * (1.0 + rules.margin) <= public.expected_sale_price
    both = (storage > 0) & (pays | (car <= 0))
    sell = np.where(both, car + storage, car)
    # a car that has put charging off buys it back for no more than it sold it for; a battery at the owner's limit
    # (not when it is so late that it charges by force anyway: the battery would take what the car cannot)
    slack_h = homes.hours_to_ready - public.hours
    back = homes.ev_deficit_kwh > 0
    late = homes.ev_deficit_kwh >= slack_h * rules.ev_eta * homes.ev_kw
    car_back = np.where(late, 0.0, homes.buy_back_kw)
    buy = np.where(back, car_back, homes.bess_buy_kw)
    # what is on reserve must last through the whole opportunity (calls may repeat), beside what is sold; a call is paid
    # like a sale, so it is offered only where the sell ask covers what storage costs
    reserve = np.maximum(np.minimum(homes.reserve_kw, homes.defer_kw + storage) - sell, 0.0)
    covered = both | (storage <= 0)
    return {
        "sell1_kw": sell,
        "sell1_ask": np.where(both, both_ask, homes.defer_ask),
        "buy_kw": buy,
        "buy_limit": np.where(back, homes.defer_ask, homes.buy_limit),
        "reserve_kw": np.where(covered, reserve, 0.0),
        "reserve_ask": homes.reserve_ask,
    }


def full_offers(homes: Homes, public: Public, rules: MarketRules) -> dict[str, NDArray[np.float64]]:
    """What each home offers where its gateway keeps the owner's envelope: full device power, see `own_offers`.

    A home that would have its car alone serve at its low ask still offers no more than the car can defer: the envelope
    is kept at delivery, the price of what serves is not.
    """
    offers = own_offers(homes, public, rules)
    stores = (homes.bess_kwh > 0) | (homes.v2g_kw > 0)
    both_ask = storage_ask(homes)
    pays = both_ask * (1.0 + rules.margin) <= public.expected_sale_price
    full = ~stores | pays | (homes.defer_kw <= 0)
    return offers | {
        "sell1_kw": np.where(full, rules.sell_limit_kw, homes.defer_kw),
        "sell1_ask": np.where(full & stores, both_ask, homes.defer_ask),
        "reserve_kw": np.where(full, rules.sell_limit_kw, 0.0),
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
        self._ask = _mean(offers["sell1_ask"], offers["sell1_kw"], self._ask)
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
        offers = (full_offers if rules.safeguard else own_offers)(view.homes, view.public, rules)
        schedule = self._profile.schedule(view, offers)
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers), day_ahead=schedule)
