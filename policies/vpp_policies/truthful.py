"""Every home offers what its own preferences allow, at its own ask.

Row i of the bids reads row i of the view and public prices, nothing else. A home chooses between two offers:
the car alone at its (low) ask for putting charging off, or car, battery and V2G together at the higher of the asks.
It takes the second when the published day-ahead price (and an announced programme) would pay for it. Where the market
settles twice, the VPP hands in what its own meter has shown on past days as the next day's schedule.
"""

from __future__ import annotations

import numpy as np

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Homes, Information, Public, View
from vpp_policies.schedule import MeteredProfile


def storage_ask(homes: Homes) -> np.ndarray:
    """(N,) least pay per kWh, USD, that covers whatever serves a home whose storage is on offer.

    Any charging in the opportunity is deferred before storage gives: also where it ends before the opportunity does, or
    begins in it, when the car comes home.
    """
    charges = (homes.ev_kwh > 0) & ((homes.defer_mean_kw > 0) | ~homes.plugged)
    return np.where(charges, np.maximum(homes.own_ask, homes.defer_ask), homes.own_ask)


def own_offers(homes: Homes, public: Public, rules: MarketRules) -> dict[str, np.ndarray]:
    """What each home would offer on its own account, (N,) each.

    Returns
    -------
    dict
        `sell_kw`, `sell_ask`, `buy_kw`, `buy_limit`, `reserve_kw`, `reserve_ask` as `bids.encode` takes them. The
        quantities are `willingness` x what the envelope allows in every interval of the opportunity.
    """
    will = homes.willingness
    storage = homes.storage_sell_kw
    # a car without a battery behind it may offer its first interval's charging: when the car is full before the
    # opportunity ends it simply delivers less, and no other device has to step in
    alone = (homes.bess_kwh == 0) & (homes.v2g_kw == 0)
    car = np.where(alone, homes.defer_first_kw, homes.defer_kw)
    both_ask = storage_ask(homes)
    pays = both_ask * (1.0 + rules.margin) <= public.expected_sale_price
    both = (storage > 0) & (pays | (car <= 0))
    sell = will * np.where(both, car + storage, car)
    # a car that has put charging off buys it back for no more than it sold it for; a battery at the owner's limit
    # (not when it is so late that it charges by force anyway: the battery would take what the car cannot)
    slack_h = homes.hours_to_ready - public.hours
    back = homes.ev_deficit_kwh > 0
    late = homes.ev_deficit_kwh >= slack_h * rules.ev_eta * homes.ev_kw
    car_back = np.where(late, 0.0, homes.buy_back_kw)
    buy = np.where(back, car_back, will * homes.bess_buy_kw)
    # what stands by must last through the whole opportunity (calls may repeat), beside what is sold; a call is paid
    # like a sale, so it is offered only where the sell ask covers what storage costs
    standby = np.maximum(will * np.minimum(homes.reserve_kw, homes.defer_kw + storage) - sell, 0.0)
    covered = both | (storage <= 0)
    return {
        "sell_kw": sell,
        "sell_ask": np.where(both, both_ask, homes.defer_ask),
        "buy_kw": buy,
        "buy_limit": np.where(back, homes.defer_ask, homes.buy_limit),
        "reserve_kw": np.where(covered, standby, 0.0),
        "reserve_ask": homes.reserve_ask,
    }


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
