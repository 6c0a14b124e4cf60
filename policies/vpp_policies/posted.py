"""`posted`: one contract at a posted price for everybody, take it or leave it, and bids from the values under it.

The honest baseline of every negotiation: an offer to every home at the first gate until further notice, and again once
a week to those who have none. Nothing is learned from the answers, and no counter-offer is heard.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp_env import (
    Bids,
    Consent,
    Homes,
    Information,
    MarketRules,
    Offers,
    PolicyError,
    PolicyInfo,
    Table,
    Terms,
    View,
    Window,
    encode,
)
from vpp_env.units import Flags
from vpp_policies.evening import Promise, able_kw
from vpp_policies.forecast import make_forecaster
from vpp_policies.stochastic.contracted import own_terms, under_contract
from vpp_policies.stochastic.policy import ValueBids
from vpp_policies.truthful import own_offers

WEEK_H = 168.0
"""Hours between two offers."""
FEE = 1e-6
"""USD per kW and hour, for owners who are as well off without a contract: they refuse what gains them nothing."""


class Posted:
    """Offer one contract to everybody.

    Parameters
    ----------
    price : float
        Least pay per kWh that storage gives, USD; a home that asks less is offered what it asks.
    share : float
        Of the real-time price that is paid at least, 0 to 1.
    day_price : float
        USD per kWh of a day's discharge beyond the owner's own limit; 0: the limit is not bought.
    floor_price : float
        USD per kWh and hour below the owner's reserve floor; 0: the floor is not bought.

    Raises
    ------
    PolicyError
        When a number is out of range.
    """

    def __init__(
        self, price: float = 0.14, share: float = 0.9, day_price: float = 0.2, floor_price: float = 0.0
    ) -> None:
        for name, value in (("price", price), ("share", share), ("day_price", day_price), ("floor_price", floor_price)):
            if not 0.0 <= value <= 1.0:
                raise PolicyError(f"posted: {name} is {value}; allowed is 0 to 1")
        self._price, self._share, self._day, self._floor = price, share, day_price, floor_price
        self.info = PolicyInfo(
            name="posted",
            information=Information.DECLARED,
            consent=Consent.ACCEPTED,
            description="one contract at a posted price for everybody, take it or leave it; bids from values under it",
        )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self._rules = rules
        self._promise = Promise(rules)
        self._values = ValueBids(rules, make_forecaster("learned"), self._promise)
        self._next_h = 0.0

    def terms(self, homes: Homes) -> Terms:
        """Return what every home is offered: waiting and reserve at what it asks, the car's battery on reserve too."""
        own, same = own_terms(homes, self._rules, self._share), np.ones(self._rules.n_homes)
        made = replace(
            own, price=np.minimum(self._price, own.price), availability=FEE * same, v2g_reserve=same
        )  # fmt: skip
        if self._day > 0.0:
            day_kwh = np.maximum(homes.bess_max_kwh, own.day_kwh)
            made = replace(made, day_kwh=day_kwh, overuse_price=self._day * same)
        if self._floor > 0.0:
            made = replace(made, floor_kwh=homes.bess_min_kwh, floor_price=self._floor * same)
        return made

    def deal(self, table: Table, to: Flags, homes: Homes) -> None:
        """Make the offers of one gate to the homes `to` (N,)."""
        table.propose(Offers(to, np.full(len(to), Window.NOTICE), self.terms(homes)))

    def act(self, view: View) -> Bids:
        """Offer once a week; bid."""
        rules, public, table = self._rules, view.public, view.owners
        hour = public.opportunity * public.hours
        # the last gates of a month with a lead are for opportunities beyond its end
        if hour >= self._next_h and public.opportunity < public.n_opportunities:
            self._next_h = hour + WEEK_H
            to = ~table.in_force & (rules.sell_limit_kw > 0) & ~view.homes.absent
            if to.any():
                self.deal(table, to, view.homes)
        contracted = table.in_force
        known, bought = under_contract(view, rules, contracted, table.terms)
        offers = self._values.offers(known, own_offers(known.homes, public, rules), bought)
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers)
        capacity = self._promise.commit(public, able_kw(known.homes, rules))
        return Bids(actions, accepted=contracted.copy(), capacity=capacity)
