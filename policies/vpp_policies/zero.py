"""The all-zero action: what an untrained network bids, every column at the middle of its span."""

from __future__ import annotations

import numpy as np

from vpp_env import N_ACTION, Bids, Consent, Information, MarketRules, PolicyInfo, View


class Zero:
    """Bid zeros, always: half the power at the middle of every price span; nobody is asked."""

    info = PolicyInfo(
        name="zero",
        information=Information.OWN,
        consent=Consent.NEVER,
        description="the all-zero action: every column at the middle of its span",
    )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Prepare the one bid."""
        self._bids = Bids(np.zeros((rules.n_homes, N_ACTION), dtype=np.float32))

    def act(self, view: View) -> Bids:
        """Return the one bid."""
        return self._bids
