"""The policy `stochastic`: asks and limits from the value of what is stored.

Row i of the bids reads row i of the view, public prices and a price model that was learned from other months. A battery
has a stochastic dynamic program of its own (`value`), solved when day-ahead prices appear; its ask is the best one at
or above its owner's, its limit the best one at or below. Whatever else a home offers, it offers as `truthful` does.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from vpp_env import (
    BUY_LIMIT_RANGE,
    SELL_ASK_RANGE,
    Bids,
    Consent,
    Homes,
    Information,
    MarketRules,
    PolicyInfo,
    Public,
    View,
    encode,
)
from vpp_env.units import DT_H, Floats, Ints
from vpp_policies.evening import Promise, able_kw, evening_bonus
from vpp_policies.forecast import day_ahead_prices
from vpp_policies.stochastic.prices import QUARTERS, PriceModel, SpikeCount, levels, load, samples
from vpp_policies.stochastic.value import ASKS, LIMITS, Battery, bid_all, odds_of, solve_all
from vpp_policies.truthful import MeteredProfile, own_offers

DEFAULT_MODEL = Path(__file__).parent / "models" / "default.npz"
LOOK_HOURS = 36
"""A car is due within this many hours at the latest."""
BEYOND_HOURS = 24
"""Hours behind the published ones that the values look into."""


class Outlook:
    """What hours to come may bring, from public prices and a model of other months; one object a month.

    Parameters
    ----------
    model : PriceModel, optional
        Default: the one in the package.
    """

    def __init__(self, model: PriceModel | None = None) -> None:
        self._model = load(DEFAULT_MODEL) if model is None else model
        self._spikes = SpikeCount(self._model)
        self._counted = 0

    def look(self, public: Public, hours: int) -> tuple[tuple[Floats, Floats, Floats], Ints]:
        """Samples, as `prices.samples` returns them, and clock hours of `hours` from delivery on."""
        self._count(public)
        model = self._model
        past = public.past_da_usd_per_kwh
        ahead = day_ahead_prices(public, hours * QUARTERS)
        # hours that lie between the gate and delivery belong to neither; the level hardly moves by them
        known = np.concatenate([past[len(past) % QUARTERS :], ahead])
        hourly = known.reshape(-1, QUARTERS).mean(axis=1)
        level = levels(hourly)[-hours:]
        da = hourly[-hours:]
        clock = np.asarray((public.start.hour + np.arange(hours)) % 24, dtype=np.int64)
        off = 0.0
        if len(past):
            off = float(public.past_rt_usd_per_kwh[-1] - past[-1]) / float(level[0])
            off = 0.0 if abs(off) > model.dear else off * model.carry ** (1 + public.lead)
        return samples(model, da, level, clock, off, self._spikes.factor), clock

    def _count(self, public: Public) -> None:
        past, rt = public.past_da_usd_per_kwh, public.past_rt_usd_per_kwh
        hours = len(past) // QUARTERS
        if hours <= self._counted:
            return
        da = past[: hours * QUARTERS].reshape(-1, QUARTERS).mean(axis=1)
        off = (rt - past)[: hours * QUARTERS].reshape(-1, QUARTERS).mean(axis=1) / levels(da)
        now = public.now if public.now is not None else public.start
        for h in range(self._counted, hours):
            self._spikes.add(float(off[h]), now.hour - (hours - h))
        self._counted = hours


class Values:
    """What the homes of one month ask and pay for, each from its own row, public prices and an `Outlook`.

    Parameters
    ----------
    rules : MarketRules
        The market's rules.
    outlook : Outlook
        The month's.
    """

    def __init__(self, rules: MarketRules, outlook: Outlook) -> None:
        self._rules, self._outlook = rules, outlook
        self._published = -1
        self._values = np.zeros((0, 0, 0, 0))
        # what the bids that wait for delivery are expected to take out of each home's battery and put into it, kWh
        self._pending: deque[tuple[Floats, Floats]] = deque(maxlen=max(rules.lead, 1))

    def offers(self, homes: Homes, public: Public, own: dict[str, Floats]) -> dict[str, Floats]:
        """Put the values' asks and limits into what the homes offer on their own account; call it once at every gate.

        Parameters
        ----------
        homes, public : Homes, Public
            The gate.
        own : dict
            Of `own_offers`.
        """
        ask, limit = self._bids(homes, public)
        stores, cars = homes.bess_kwh > 0, homes.ev_kwh > 0
        # the owner's own ask is below none of these, whatever serves the second line
        bonus = evening_bonus(public, self._rules, 1)[0]
        ask = np.where(bonus > 0.0, 0.0, ask)  # a promise is kept at the owners' own asks
        # at an earlier gate the deficit at delivery is not known: a car alone may come to lack what it sells now
        back = (homes.ev_deficit_kwh > 0) | (cars & ~stores)
        return own | {
            "sell2_ask": np.where(stores, np.maximum(ask, own["sell2_ask"]), own["sell2_ask"]),
            "buy_limit": np.where(back, self._patience(homes, public), np.where(stores, limit, own["buy_limit"])),
        }

    def _look(self, public: Public, hours: int) -> tuple[tuple[Floats, Floats, Floats], Ints]:
        (price, weight, reserve), clock = self._outlook.look(public, hours)
        return (price + evening_bonus(public, self._rules, hours)[:, None, None], weight, reserve), clock

    def _patience(self, homes: Homes, public: Public) -> Floats:
        """(N,) most that a car which put charging off pays now, USD/kWh: what waiting one more hour would cost.

        Optimal stopping: v_T = E p_T in the last hour T in which full power still returns what is missing, and
        v_h = E min(p_h, v_h+1) before it.
        """
        rules = self._rules
        charge = np.maximum(rules.ev_eta * homes.ev_kw, 1e-9)
        last = np.floor(homes.hours_to_ready - homes.ev_deficit_kwh / charge).astype(int) - 1
        last = np.clip(last, 0, LOOK_HOURS - 1)
        (price, weight, _), _ = self._look(public, LOOK_HOURS)
        mean = (price.mean(axis=2) * weight).sum(axis=1)
        worth = np.full(rules.n_homes, np.inf)
        for h in range(LOOK_HOURS - 1, 0, -1):
            cut = np.minimum(price[h][:, :, None], worth).mean(axis=1)
            worth = np.where(h == last, mean[h], np.where(h < last, weight[h] @ cut, worth))
        # who is away is back, and lacks something, at a time that is not known: it buys at what it sold for
        return np.where(homes.hours_to_ready <= 0.0, homes.defer_ask, np.where(last > 0, worth, BUY_LIMIT_RANGE[1]))

    def _bids(self, homes: Homes, public: Public) -> tuple[Floats, Floats]:
        """(N,) asks and limits of the batteries."""
        rules = self._rules
        known = len(public.da_usd_per_kwh) // QUARTERS
        # the first quarter that is not published yet, counted from the month's start
        published = public.opportunity * public.steps + len(public.da_usd_per_kwh)
        if published != self._published:
            self._published = published
            hours = known + BEYOND_HOURS
            drawn, clock = self._look(public, hours)
            odds = odds_of(*drawn, rules.margin)
            self._start = public.opportunity
            self._values = solve_all(odds, clock, self._sun(homes, public, hours), self._batteries(homes))
        drawn, clock = self._look(public, 1)
        odds = odds_of(*drawn, rules.margin)
        after = int((public.opportunity - self._start) * public.hours) + 1
        batteries, sun = self._batteries(homes), self._sun(homes, public, 1)[0]
        gone, came = (sum((p[k] for p in self._pending), np.zeros(rules.n_homes)) for k in (0, 1))
        kept = np.maximum(homes.floor_kwh, homes.bess_min_kwh)
        x = np.clip(homes.soc_kwh - gone / rules.bess_eta + came - kept, 0.0, batteries.room)
        same_day = public.now is None or public.now.day == public.start.day
        d = np.maximum(homes.day_left_kwh - gone, 0.0) if same_day else batteries.day
        chosen = bid_all(self._values[:, after], odds, int(clock[0]), sun, (x, d), batteries)
        if rules.lead:
            self._pending.append((chosen.out, chosen.into))
        ask = np.where(chosen.ask >= 0, ASKS[chosen.ask], SELL_ASK_RANGE[1])
        return ask, np.where(chosen.limit >= 0, LIMITS[chosen.limit], BUY_LIMIT_RANGE[0])

    def _batteries(self, homes: Homes) -> Battery[Floats]:
        """What the owners say of their batteries, (N,) each; 0 kW where there is none."""
        rules = self._rules
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
        )

    def _sun(self, homes: Homes, public: Public, hours: int) -> Floats:
        """(hours, N) kWh that each home's own sun would store, from delivery on, as it was a day ago."""
        surplus = np.maximum(homes.pv_forecast_kw - homes.load_forecast_kw, 0.0).astype(np.float64)
        shift = public.lead * round(public.hours * QUARTERS)
        hourly = np.roll(surplus, -shift, axis=0).reshape(-1, QUARTERS, surplus.shape[1]).sum(axis=1)
        return hourly[np.arange(hours) % len(hourly)] * (DT_H * self._rules.bess_eta)


class Stochastic:
    """Bid from values of storage under prices that are not known.

    Parameters
    ----------
    model : str, optional
        A price model made by `vpp-env fit-prices`; default: the one in the package.
    """

    def __init__(self, model: str | None = None) -> None:
        self._model: PriceModel = load(DEFAULT_MODEL if model is None else Path(model).expanduser())
        self.info = PolicyInfo(
            name="stochastic",
            information=Information.OWN,
            consent=Consent.OWN_BIDS,
            description="every home bids from the value of its storage under prices that are not known yet",
        )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self._rules = rules
        self._profile = MeteredProfile(rules)
        self._promise = Promise(rules)
        self._values = Values(rules, Outlook(self._model))

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        rules, homes, public = self._rules, view.homes, view.public
        own = own_offers(homes, public, rules)
        schedule = self._profile.schedule(view, own)
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **self._values.offers(homes, public, own))
        return Bids(actions, day_ahead=schedule, capacity=self._promise.kw(public, able_kw(homes, rules)))
