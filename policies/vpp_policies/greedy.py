"""`greedy`: the merit order of a single opportunity at the public price, inside every owner's envelope.

Every home is at most two segments, its two sell lines: charging that can wait, at the price of buying it back, and
storage, at the owner's ask. What gains most at the published day-ahead price is offered first, up to the VPP's
maximum: a continuous knapsack, whose greedy solution is the linear program's (`gate.merit`). No foresight, no plan:
energy is worth its owner's ask, now and later. Where the maximum does not bind it bids what `truthful` bids.
"""

from __future__ import annotations

import numpy as np

from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View, encode
from vpp_policies.gate.merit import merit_order
from vpp_policies.truthful import own_offers


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
        rules, public = self._rules, view.public
        own = own_offers(view.homes, public, rules)
        kw, ask = (np.concatenate([own[f"sell1_{x}"], own[f"sell2_{x}"]]) for x in ("kw", "ask"))
        gain = public.expected_sale_price / (1.0 + rules.margin) - ask
        taken = merit_order(gain, kw, public.required_kw)
        # an offer is a limit: what the merit order leaves out is still on offer, at its own ask, for a dearer hour
        first, second = np.where(taken > 0.0, taken, kw).reshape(2, rules.n_homes)
        offers = own | {"sell1_kw": first, "sell2_kw": second}
        worth = float((taken * np.maximum(gain, 0.0)).sum()) * public.hours
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers), notes={"merit_gain_usd": worth})
