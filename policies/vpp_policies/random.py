"""Uniform random bids: shows what careless dispatch costs, and exercises every part of the model."""

from __future__ import annotations

import numpy as np

from vpp_env import N_ACTION, Bids, Consent, Information, MarketRules, PolicyInfo, View


class Random:
    """Draw every action uniformly from the box; nobody is asked."""

    info = PolicyInfo(
        name="random",
        information=Information.OWN,
        consent=Consent.NEVER,
        description="uniform random bids, blind to everything",
    )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the stream and the number of homes."""
        self._rng, self._n = rng, rules.n_homes

    def act(self, view: View) -> Bids:
        """Draw (N, 6) actions in [-1, 1]."""
        return Bids(self._rng.uniform(-1.0, 1.0, (self._n, N_ACTION)).astype(np.float32))
