"""Policies that ask the owners, for tests only."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.terms import Answers, Offers, Terms, Window
from vpp_env.contract.views import Homes, Information, View


def terms_of(homes: Homes, limit_kw: Any, **changed: Any) -> Terms:
    """Terms that ask for nothing: the owner's own prices and limits, but for what is changed."""
    n = len(homes.own_ask)
    rows: dict[str, Any] = {
        "price": homes.own_ask,
        "defer_price": homes.defer_ask,
        "share": 0.7,
        "reserve_price": homes.reserve_ask,
        "availability": 0.0,
        "kw": limit_kw,
        "floor_kwh": homes.floor_kwh,
        "floor_price": 0.0,
        "target_kwh": homes.ev_target_kwh,
        "car_price": 0.0,
        "day_kwh": homes.day_limit_kwh,
        "overuse_price": 0.0,
        "blackout": 0.0,
        "blackout_price": 0.0,
        "v2g_reserve": 0.0,
    }
    return Terms(**{name: np.broadcast_to(value, n) for name, value in (rows | changed).items()})


class Negotiator:
    """Offers a price below the own ask, then what the owners ask for; bids at what was agreed."""

    info = PolicyInfo("negotiator", Information.DECLARED, Consent.ACCEPTED, "two rounds an hour")
    rounds = 2

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self.rules = rules
        self.heard: list[Answers] = []

    def act(self, view: View) -> Bids:
        homes = view.homes
        n = len(homes.own_ask)
        terms = self.first(view)
        to = ~view.owners.in_force
        for _ in range(min(self.rounds, view.owners.rounds_left)):
            if not to.any():
                break
            answers = view.owners.propose(Offers(to, np.full(n, Window.NOTICE), terms, {int(np.argmax(to)): "Hello"}))
            self.heard.append(answers)
            terms, to = answers.terms, to & answers.countered
        ask = np.where(view.owners.in_force, view.owners.terms.price, homes.own_ask)
        limits = self.rules.sell_limit_kw, self.rules.buy_limit_kw
        return Bids(encode(*limits, sell1_kw=homes.storage_sell_kw, sell1_ask=ask))

    def first(self, view: View) -> Terms:
        """What is offered first."""
        price = 0.5 * (view.homes.own_ask + view.homes.own_cost)
        return terms_of(view.homes, self.rules.sell_limit_kw, price=price, availability=0.001)


class Peeks(Negotiator):
    """Its offers follow real-time prices that have not happened, found behind the table."""

    def first(self, view: View) -> Terms:
        from vpp_env.simulation.world import World

        worlds = [x for x in gc.get_objects() if type(x) is World]  # isinstance asks dead proxies
        more = sum(float(w.exchange.rt[0, w.t + 4]) for w in worlds if w.opportunity >= 0)
        return terms_of(view.homes, self.rules.sell_limit_kw, price=view.homes.own_ask * 0.5 + 0.1 * abs(more))


class Nags(Negotiator):
    """Asks once more than a gate allows."""

    def act(self, view: View) -> Bids:
        bids = super().act(view)
        n = len(view.homes.own_ask)
        for _ in range(9):
            view.owners.propose(Offers(np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.int64), self.first(view)))
        return bids


class Ends(Negotiator):
    """Ends every contract at the gate after it was signed."""

    def act(self, view: View) -> Bids:
        view.owners.end(view.owners.in_force)
        assert not view.owners.in_force.any()
        return super().act(view)
