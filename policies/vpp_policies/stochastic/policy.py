"""The policy `stochastic`: asks and limits from the value of what is stored.

Row i of the bids reads row i of the view, public prices and a price model that was learned from other months. A battery
has a stochastic dynamic program of its own (`value`), solved when day-ahead prices appear; its ask is the best one at
or above its owner's, its limit the best one at or below. Whatever else a home offers, it offers as `truthful` does.
"""

from __future__ import annotations

import numpy as np

from vpp_env import (
    BUY_LIMIT_RANGE,
    SELL_ASK_RANGE,
    Bids,
    Consent,
    Information,
    MarketRules,
    PolicyInfo,
    View,
    encode,
)
from vpp_env.units import Floats
from vpp_policies.evening import Promise
from vpp_policies.forecast import Forecaster, make_forecaster
from vpp_policies.stochastic.contracted import Bought
from vpp_policies.stochastic.storage import StorageValues
from vpp_policies.stochastic.value import ASKS, LIMITS, bid_all, odds_of
from vpp_policies.truthful import MeteredProfile, own_offers


class ValueBids:
    """What the homes of a month ask and pay for, each from its own row, public prices and a forecaster.

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
        self._rules, self._storage = rules, StorageValues(rules, forecaster, promise)

    def offers(self, view: View, own: dict[str, Floats], bought: Bought | None = None) -> dict[str, Floats]:
        """Put the values' asks and limits into what the homes offer on their own account; call it once at every gate.

        Parameters
        ----------
        view : View
            The gate: of `homes` row i is read for home i only.
        own : dict
            Of `own_offers`.
        bought : Bought, optional
            What contracts have bought of the owners' wishes; the view is then that of `under_contract`.
        """
        homes = view.homes
        ask, limit = self._bids(view, bought)
        patience = self._storage.patience(view)
        made = dict(own)
        if bought is not None:
            # charging that waits is bought back; where no owner's ask says so it asks no less than that may cost
            waits = np.where(
                (homes.ev_kwh > 0) & (homes.hours_to_ready > 0.0), np.minimum(patience, SELL_ASK_RANGE[1]), 0.0
            )
            made["sell1_ask"] = np.maximum(own["sell1_ask"], waits)
            # and so is what a car without a battery at home gives back
            back_usd = (
                self._rules.degradation_usd_per_kwh + np.minimum(patience, homes.defer_ask) / self._rules.ev_eta**2
            )
            alone = (homes.v2g_kw > 0) & (homes.bess_kwh <= 0)
            made["sell2_ask"] = np.where(alone, np.maximum(own["sell2_ask"], back_usd), own["sell2_ask"])
        return self._storage.put_into(made, view, ask, limit, patience)

    def _bids(self, view: View, bought: Bought | None) -> tuple[Floats, Floats]:
        """(N,) asks and limits of the batteries."""
        rules, storage = self._rules, self._storage
        values = storage.after(view, bought=bought)
        odds = odds_of(storage.look(view, 1), rules.margin)
        batteries = storage.batteries(view, bought)
        chosen = bid_all(values, odds, view.public.start.hour, storage.sun(view, 1)[0], storage.state(view), batteries)
        if rules.lead:
            storage.expect(chosen.out, chosen.into)
        ask = np.where(chosen.ask >= 0, ASKS[chosen.ask], SELL_ASK_RANGE[1])
        return ask, np.where(chosen.limit >= 0, LIMITS[chosen.limit], BUY_LIMIT_RANGE[0])


class Stochastic:
    """Bid from values of storage under prices that are not known.

    Parameters
    ----------
    forecaster : str
        A name of `vpp_policies.forecast.FORECASTERS`, or the file of a price model (`vpp-env fit-prices`).
    """

    info = PolicyInfo(
        name="stochastic",
        information=Information.OWN,
        consent=Consent.OWN_BIDS,
        description="every home bids from the value of its storage under prices that are not known yet",
    )

    def __init__(self, forecaster: str = "learned") -> None:
        self._forecaster: Forecaster = make_forecaster(forecaster)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self._rules = rules
        self._profile = MeteredProfile(rules)
        self._promise = Promise(rules)
        self._values = ValueBids(rules, self._forecaster, self._promise)

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        rules = self._rules
        own = own_offers(view.homes, view.public, rules)
        schedule = self._profile.schedule(view, own)
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **self._values.offers(view, own))
        return Bids(actions, day_ahead=schedule, capacity=self._promise.kw(view))
