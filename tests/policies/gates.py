"""Real gates of a month that nobody has traded in, for policies that are given rows and public data."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from support import begin, month

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Information, Public
from vpp_env.evaluation.simulate import market_rules
from vpp_env.simulation.view_builder import build_view


@lru_cache
def real_gate(hours: int = 42, changes: tuple[tuple[str, float], ...] = ()) -> tuple[Homes, Public, MarketRules]:
    """The gate of week20, seed 3, after `hours` in which all were idle; 42 is the evening of the second day."""
    world = begin(month("week20", dict(changes), 3))
    for _ in range(hours):
        world.step(np.full((world.n_homes, 8), -1.0))
    view = build_view(world, Information.DECLARED)
    return view.homes, view.public, market_rules(world)
