"""Do nothing: the floor that every score is measured from."""

from __future__ import annotations

import numpy as np

from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View, encode


class Idle:
    """Bid nothing, ever. The homes do what they would do without a VPP."""

    info = PolicyInfo(
        name="idle",
        information=Information.OWN,
        consent=Consent.OWN_BIDS,
        description="bids nothing: what the homes do without a VPP",
    )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Prepare the one empty bid, and the one that commits no firm capacity either."""
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw)
        self._bids, self._at_gate = Bids(actions), Bids(actions, capacity=0.0)

    def act(self, view: View) -> Bids:
        """Return the empty bid."""
        return self._at_gate if view.public.capacity_gate else self._bids
