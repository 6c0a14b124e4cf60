"""The `rules` brain: homes bid values under their contracts, the aggregator negotiates contracts by Bayes' rule.

Every owner without a contract is offered one until further notice. Of each priced term the offer is the price x that
promises VPP and owner together the most under the beliefs of `memory`; a concession is asked for while rounds
are left to find out its price, and in the last one only where the offer is nearly sure to be taken with it. What an
owner asks for a concession beyond its worth drops the concession, not the contract.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    POWER_QUANTUM_KW,
    PRICE_TICK,
    RESERVE_TICK,
    Answers,
    Homes,
    Information,
    MarketRules,
    Offers,
    Public,
    Terms,
    View,
    Window,
)
from vpp_env.units import Flags, Floats
from vpp_policies.agentic.memory import Memory
from vpp_policies.agentic.negotiation import (
    AggregatorBrain,
    Declared,
    Guidance,
    NegotiationOptions,
    Notice,
    ProsumerBrain,
    Standing,
)
from vpp_policies.evening import Promise, able_kw
from vpp_policies.forecast import make_forecaster
from vpp_policies.stochastic.contracted import Bought, own_terms, under_contract
from vpp_policies.stochastic.policy import ValueBids
from vpp_policies.truthful import envelope_kwh, own_offers

TICKS = np.array([PRICE_TICK, PRICE_TICK, RESERVE_TICK])[:, None]
"""Prices are bid on whole ticks of the market, (3, 1)."""
ROOM = 0.03
"""USD/kWh above an ask that a kWh under contract is worth, for the reserve and concessions with it [assumed]."""
FEE = 1e-6
"""USD per kW and hour, for owners who are as well off without a contract: they refuse what gains them nothing."""

WORTH = {"floor_price": 0.02, "overuse_price": 0.5}
"""Most that a unit of a concession is worth, USD. A kWh more of a day: what it brings on a called evening, .33 of firm
capacity (`evening.CALLED_BONUS`) and its price. Of .015, .02, .03 for the floor .02 was best on validation seeds."""
LEAST = 0.14
"""Least price that is offered, USD/kWh: below it batteries sell on ordinary evenings what they lack on called ones. Of
.11, .13, .14, .145, .16 and .20 those from .14 to .16 were best on validation seeds 1000 and 1001."""
TRY, SURE = 0.02, 0.9
"""A price is tried when it is enough with this probability: while rounds are left, and in the last one [assumed]."""


def up(price: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round (3, N) prices up to whole ticks."""
    return np.ceil(price / TICKS - 1e-6) * TICKS


def own_lines(
    view: View, rules: MarketRules, values: ValueBids | None = None, bought: Bought | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """A home's own truth, from its own offer.

    Parameters
    ----------
    view, rules :
        The gate; of `homes` row i is read for home i only.
    values : ValueBids, optional
        What storage asks and pays for; None: what the owners ask, or their contracts.
    bought : Bought, optional
        What contracts have bought.

    Returns
    -------
    kw, ask : ndarray
        (3, N): quantities, and asks on whole ticks.
    now : dict
        The offer behind them.
    """
    homes = view.homes
    now = own_offers(homes, view.public, rules)
    if values is not None:
        now = values.offers(view, now, bought)
    car, full, reserve = now["sell1_kw"], now["sell1_kw"] + now["sell2_kw"], now["reserve_kw"]
    if not rules.safeguard:
        # reserve is held to what lasts through the opportunity, like a sale; a car without storage offers as reserve
        # what it can defer in every interval
        reserve = np.minimum(np.minimum(homes.reserve_kw, homes.defer_kw + homes.storage_sell_kw), full)
    ask = np.stack([now["sell1_ask"], now["sell2_ask"], now["reserve_ask"]])
    return np.stack([car, full, reserve]), up(ask), now


class RulesProsumer:
    """The homes' side: says what its owner wishes, and bids what energy is worth, never below contract or owner's ask.

    Parameters
    ----------
    values : ValueBids, optional
        The month's; None: homes ask what their contracts or their owners ask.
    """

    def __init__(self, values: ValueBids | None = None) -> None:
        self._values = values

    def standing(self, homes: Homes, public: Public, rules: MarketRules) -> Standing:
        """Say what the owners ask and wish."""
        terms = own_terms(homes, rules, rules.revenue_share)
        return Standing(terms, homes.own_cost, homes.bess_min_kwh, homes.bess_max_kwh, homes.absent)

    def bid(
        self, homes: Homes, public: Public, rules: MarketRules, contracted: NDArray[np.bool_], terms: Terms
    ) -> Declared:
        """Bid what the owner's wishes and contract allow."""
        view, bought = under_contract(View(public, Information.DECLARED, homes), rules, contracted, terms)
        homes = view.homes
        kw, ask, now = own_lines(view, rules, self._values, bought)
        buy = now["buy_kw"]
        kw[kw < POWER_QUANTUM_KW] = 0.0
        can = ~homes.blackout_now & ((kw > 0).any(axis=0) | (buy >= POWER_QUANTUM_KW))
        return Declared(
            available=can,
            kw=kw * can,
            ask=ask,
            energy_kwh=np.where(homes.bess_kwh > 0, envelope_kwh(homes, rules), np.inf),
            buy_kw=buy * can,
            # what a full car leaves of a buy award goes into the battery, at the battery's limit; a gateway sees to it
            buy_limit=np.where(
                (homes.bess_kwh > 0) & (not rules.safeguard),
                np.minimum(now["buy_limit"], homes.buy_limit),
                now["buy_limit"],
            ),
            evening_kw=able_kw(homes, rules),
        )


class RulesAggregator:
    """The VPP's side: contracts by Bayes' rule.

    Parameters
    ----------
    rules : MarketRules
        The market's rules and device limits (public).
    options : NegotiationOptions
        Rounds, days between gates, share of the price, ablations.
    """

    def __init__(self, rules: MarketRules, options: NegotiationOptions) -> None:
        self._rules, self._options = rules, options
        self._sells = rules.sell_limit_kw > 0
        self.memory = Memory(rules.n_homes)
        self._next_h = 0.0
        self._refused = np.zeros(rules.n_homes, dtype=bool)  # at this gate, without saying what would do

    def opens(self, opportunity: int, hours: float) -> bool:
        """Open the table at the first gate, and every so many days."""
        if "negotiation" in self._options.left_out or opportunity * hours < self._next_h:
            return False
        self._next_h = opportunity * hours + 24.0 * self._options.every_days
        self._refused[:] = False
        if "memory" in self._options.left_out:
            self.memory.forget()
        return True

    def propose(
        self, notice: Notice, standing: Standing, contracted: NDArray[np.bool_], rounds_left: int
    ) -> Offers | None:
        """Offer a contract to everybody who can sell, is in, has none, and has not refused one at this gate."""
        to = self._sells & ~standing.absent & ~contracted & ~self._refused
        if not to.any():
            return None
        return Offers(to, np.full(len(to), Window.NOTICE), self.terms(standing, last=rounds_left == 1))

    def learn(self, standing: Standing, offers: Offers, answers: Answers) -> None:
        """Remember what owners answered."""
        own, terms = standing.terms, offers.terms
        bought = {
            "floor_price": terms.floor_kwh < own.floor_kwh,
            "overuse_price": terms.day_kwh > own.day_kwh,
        }
        self.memory.learn(standing.cost, offers, answers, bought)
        self._refused |= offers.to & ~answers.accepted & ~answers.countered

    def guide(self, notice: Notice, declared: Declared) -> Guidance | None:
        """Ask nothing of the dispatch."""
        return None

    def terms(self, standing: Standing, last: bool) -> Terms:
        """Return what everybody would be offered; `last`: there is no round after this one."""
        own, memory = standing.terms, self.memory
        n = len(standing.absent)
        price, found = memory.best("price", standing.cost, own.price + ROOM, SURE if last else TRY)
        price = np.maximum(price, LEAST)
        made = replace(
            own,
            price=np.where(found, np.minimum(price, own.price), own.price),
            share=np.full(n, self._options.share),
            availability=np.full(n, FEE),
        )
        if "concessions" in self._options.left_out:
            return made
        floor, over = (self._concession(name, own, last) for name in WORTH)
        return replace(
            made,
            floor_kwh=np.where(floor[0], standing.least_kwh, own.floor_kwh),
            floor_price=floor[1],
            day_kwh=np.where(over[0], np.maximum(standing.most_kwh, own.day_kwh), own.day_kwh),
            overuse_price=over[1],
            v2g_reserve=np.ones(n),
        )

    def _concession(self, name: str, own: Terms, last: bool) -> tuple[Flags, Floats]:
        """(N,) whether it is asked for, and (N,) at what price, 0 where it is not."""
        none = np.zeros(own.n)
        price, wanted = self.memory.best(name, none, np.full(own.n, WORTH[name]), SURE if last else TRY)
        return wanted, np.where(wanted, price, 0.0)


def values_of(rules: MarketRules, options: NegotiationOptions) -> ValueBids | None:
    """Return the values of a month's homes; None without them (an ablation)."""
    if "values" in options.left_out:
        return None
    return ValueBids(rules, make_forecaster("learned"), Promise(rules))


class RulesBrain:
    """Both sides by rules; nothing is counted and nothing said beside the negotiation."""

    guided = False

    def __init__(self, negotiation: NegotiationOptions) -> None:
        self._options = negotiation

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Return the two sides; they know nothing yet."""
        return RulesAggregator(rules, self._options), RulesProsumer(values_of(rules, self._options))

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Nothing."""
        return {}, []
