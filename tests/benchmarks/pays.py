"""An aggregator that asks every owner once a day, below the own ask, and signs what the owner wants instead."""

from __future__ import annotations

import numpy as np
from vpp_policies.truthful import own_offers

from vpp_env import Bids, Consent, Information, MarketRules, Offers, PolicyInfo, Terms, View, Window, encode

NOTHING = ("floor_price", "car_price", "overuse_price", "blackout", "blackout_price", "v2g_reserve", "availability")


class PaysWhatIsAsked:
    """Two rounds at the first gate of each day."""

    info = PolicyInfo("pays", Information.DECLARED, Consent.ACCEPTED, "asks once a day, and pays what is asked")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules."""
        self._rules, self._day = rules, -1

    def act(self, view: View) -> Bids:
        """Ask, and bid as the homes would, at the contract's price where there is one."""
        rules, homes = self._rules, view.homes
        table = view.owners
        assert table is not None
        if view.public.start.day != self._day:
            self._day = view.public.start.day
            n = rules.n_homes
            terms = Terms(
                price=0.6 * homes.own_ask,
                defer_price=0.6 * homes.defer_ask,
                share=np.full(n, rules.revenue_share),
                reserve_price=homes.reserve_ask,
                kw=rules.sell_limit_kw,
                floor_kwh=homes.floor_kwh,
                target_kwh=homes.ev_target_kwh,
                day_kwh=homes.day_limit_kwh,
                **{name: np.zeros(n) for name in NOTHING},
            )
            window = np.full(n, Window.NOTICE)
            heard = table.propose(Offers(rules.sell_limit_kw > 0, window, terms))
            if heard.countered.any():
                table.propose(Offers(heard.countered, window, heard.terms))
        offers = own_offers(homes, view.public, rules)
        ask = np.where(table.in_force, table.terms.price, offers["sell2_ask"])
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers | {"sell2_ask": ask}))
