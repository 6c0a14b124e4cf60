"""`greedy`: the merit order of a single opportunity at the public price, inside every owner's envelope.

Every home is at most two segments: charging that can wait, at the price of buying it back, and storage, at the owner's
ask. What gains most at the published day-ahead price is offered first, up to the VPP's maximum: a continuous
knapsack, whose greedy solution is the linear program's (`centralized.merit`). No foresight, no plan: energy is worth
its owner's ask, now and later.
"""

from __future__ import annotations

import numpy as np

from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View, encode
from vpp_policies.gate.merit import merit_order
from vpp_policies.truthful import own_offers, storage_ask


class Greedy:
    """Merit order at the day-ahead price."""

    info = PolicyInfo(
        name="greedy",
        information=Information.FULL,
        consent=Consent.NEVER,
        description="merit order of one opportunity at the day-ahead price, inside every envelope; asks nobody",
        reference="Dantzig, Discrete-Variable Extremum Problems (1957)",
    )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the market's rules."""
        self._rules = rules

    def act(self, view: View) -> Bids:
        """Sort what the homes can give by what it gains, and offer it up to the maximum."""
        homes, rules, public = view.homes, self._rules, view.public
        n = rules.n_homes
        price = public.expected_sale_price / (1.0 + rules.margin)
        stored_ask = storage_ask(homes)
        gain = np.concatenate([price - homes.defer_ask, price - stored_ask])
        kw = np.concatenate([homes.defer_kw, homes.storage_sell_kw])
        taken = merit_order(gain, kw, public.required_kw)
        car, storage = taken[:n], taken[n:]
        own = own_offers(homes, public, rules)
        # an offer is a limit: what the merit order leaves out is still on offer, at its own ask, for a dearer hour
        left_out = taken.reshape(2, n).sum(axis=0) <= 0.0
        offers = own | {
            "sell1_kw": np.where(left_out, own["sell1_kw"], car + storage),
            # a member is paid at least its ask: nothing is promised below what serves it
            "sell1_ask": np.where(left_out, own["sell1_ask"], np.where(storage > 0.0, stored_ask, homes.defer_ask)),
            "reserve_kw": np.where(left_out, own["reserve_kw"], 0.0),
        }
        worth = float((taken * np.maximum(gain, 0.0)).sum()) * public.hours
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers), notes={"merit_gain_usd": worth})
