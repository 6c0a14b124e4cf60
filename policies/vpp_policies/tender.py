"""`tender`: an auction for contracts. Owners bid what they want for concessions; the others' bids set what they get.

Three rounds at a gate:

1. *call*: everything is asked for at nothing. An owner's counter-offer is its sealed bid, term by term.
2. *award*: owner i is offered, for every term, the best single price for all others, by their bids without its own. A
   concession whose price is below its bid stays out of its contract.
3. *last call*: the same prices for who has turned down the award, with the concessions that its second answer allows.

No word of an owner moves a price that it is offered, and what it bids decides only which of these prices it takes: it
can gain nothing by bidding more than its values or by holding out for the last round, and it signs nothing below them.
That is the leave-one-out price of A. Goldberg, J. Hartline, A. Karlin, M. Saks, A. Wright, "Competitive auctions",
Games and Economic Behavior 55, 2006. Vickrey's own price is of no use here: the VPP's maximum does not bind, no owner
displaces another, and each would be paid all that its concession is worth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp_env import Consent, Homes, Information, Offers, PolicyError, PolicyInfo, Table, Terms, Window
from vpp_env.units import Flags, Floats
from vpp_policies.agentic.rules import LEAST, ROOM, WORTH
from vpp_policies.posted import FEE, Posted
from vpp_policies.stochastic.contracted import own_terms


def best_price(bids: Floats, worth: float) -> Floats:
    """(N,) the price for each owner that is best for all others, by their bids; NaN where nobody else bids below worth.

    A unit is used where its value v, taken to be uniform from 0 to `worth`, is above the price x, and then brings
    v - r. So who bids r <= x adds in proportion to (worth - r)^2 - (x - r)^2, and x is one of the bids.

    Parameters
    ----------
    bids : ndarray
        (N,) what each owner wants for a unit, USD; NaN: it has none to sell.
    worth : float
        Most that a unit is worth, USD.
    """
    price = np.where(bids < worth, bids, np.nan)
    added = np.where(price <= price[:, None], (worth - price[:, None]) * (worth + price[:, None] - 2.0 * price), 0.0)
    without = added.sum(axis=1)[:, None] - added  # (candidates, owners)
    np.fill_diagonal(without, 0.0)
    without = np.where(np.isnan(price)[:, None], 0.0, without)
    return np.where(without.max(axis=0, initial=0.0) > 0.0, price[without.argmax(axis=0)], np.nan)


class Tender(Posted):
    """Buy contracts at prices that the bids of the other owners set.

    Parameters
    ----------
    share : float
        Of the real-time price that a contract pays at least, 0 to 1.

    Raises
    ------
    PolicyError
        When the share is out of range.
    """

    def __init__(self, share: float = 0.7) -> None:
        if not 0.0 <= share <= 1.0:
            raise PolicyError(f"tender: share is {share}; allowed is 0 to 1")
        super().__init__(share=share)
        self.info = PolicyInfo(
            name="tender",
            information=Information.DECLARED,
            consent=Consent.ACCEPTED,
            description="an auction for contracts: each owner is offered the prices that the others' bids set",
            reference="Goldberg, Hartline, Karlin, Saks & Wright 2006",
        )

    def deal(self, table: Table, to: Flags, homes: Homes) -> None:
        """Call for bids, award, and call once more."""
        everything = self.everything(homes)
        window = np.full(len(to), Window.NOTICE)
        answers = table.propose(Offers(to, window, everything))
        prices = self.prices(answers.terms, answers.countered, homes)
        bids = {name: getattr(answers.terms, name) for name in WORTH}
        while table.rounds_left and answers.countered.any():
            award = self.awarded(everything, prices, bids, homes)
            answers = table.propose(Offers(answers.countered, window, award))
            # what was not asked for this time keeps the bid that left it out
            again = {name: getattr(answers.terms, name) for name in WORTH}
            bids = {name: np.where(getattr(award, name) > 0.0, again[name], bid) for name, bid in bids.items()}

    def everything(self, homes: Homes) -> Terms:
        """Return all that is asked for, at no price."""
        own = own_terms(homes, self._rules, self._share)
        nothing, all_of_it = np.zeros((2, self._rules.n_homes))
        all_of_it = nothing + 1.0
        return replace(
            own,
            price=nothing,
            availability=FEE * all_of_it,
            floor_kwh=homes.bess_min_kwh,
            day_kwh=np.maximum(homes.bess_max_kwh, own.day_kwh),
            v2g_reserve=all_of_it,
        )

    def prices(self, bids: Terms, bid: Flags, homes: Homes) -> dict[str, Floats]:
        """(N,) what each owner is offered by term, NaN where nothing: `bid` (N,) says whose bids count."""
        stores = bid & (homes.bess_kwh > 0)
        made = {name: best_price(np.where(stores, getattr(bids, name), np.nan), worth) for name, worth in WORTH.items()}
        # of pay the bid is what it is above wear and refilling, which are arithmetic
        premium = best_price(np.where(stores, bids.price - homes.own_cost, np.nan), ROOM)
        price = np.maximum(homes.own_cost + np.where(np.isnan(premium), 0.0, premium), LEAST)
        return made | {"price": np.minimum(price, homes.own_ask)}

    def awarded(self, everything: Terms, prices: dict[str, Floats], bids: dict[str, Floats], homes: Homes) -> Terms:
        """Return what each owner is offered: of the concessions those whose price covers its bid."""
        own = own_terms(homes, self._rules, self._share)
        floor, day = (bids[name] <= prices[name] + 1e-12 for name in WORTH)
        return replace(
            everything,
            price=prices["price"],
            floor_kwh=np.where(floor, everything.floor_kwh, own.floor_kwh),
            floor_price=np.where(floor, prices["floor_price"], 0.0),
            day_kwh=np.where(day, everything.day_kwh, own.day_kwh),
            overuse_price=np.where(day, prices["overuse_price"], 0.0),
        )
