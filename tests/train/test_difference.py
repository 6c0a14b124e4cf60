"""Difference rewards: what the team would have earned less without a home."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_env import (
    N_ACTION,
    BidError,
    Bids,
    Consent,
    Information,
    Month,
    PolicyInfo,
    VectorMarketMonth,
    encode,
    load_scenario,
    simulate,
    summarize,
)
from vpp_env.api.difference import difference_rewards

WORLD = load_scenario("quick")
N, T = WORLD.fleet.size, WORLD.n_opportunities


class Recorded:
    """Bids as they were written down."""

    info = PolicyInfo(
        name="recorded", information=Information.OWN, consent=Consent.NEVER, description="plays what it was given"
    )

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def reset(self, rules: object, rng: object) -> None:
        self.coming = iter(self.actions)

    def act(self, view: object) -> Bids:
        return Bids(next(self.coming))


def test_it_is_what_the_evaluator_finds_without_the_home() -> None:
    actions = np.random.default_rng(3).uniform(-1, 1, (T, N, N_ACTION)).astype(np.float32)
    found = difference_rewards(WORLD, 10_003, actions)
    assert found.shape == (T, N)
    month, nothing = Month(WORLD, 10_003), encode(np.ones(1), np.ones(1))[0]
    whole = float(summarize(simulate(month, Recorded(actions)))["welfare"])
    for i in range(N):
        without = actions.copy()
        without[:, i] = nothing
        left = float(summarize(simulate(month, Recorded(without)))["welfare"])
        assert found[:, i].sum() == pytest.approx(whole - left, abs=1e-9)
    # credit for oneself and for what one's bids do to the others: it is not one's own part of welfare
    env = VectorMarketMonth(1, WORLD)
    env.reset(seed=10_003)
    parts = sum(env.step(bids[None])[-1]["home_rewards"][0] for bids in actions)
    assert abs(found.sum(axis=0) - parts).max() > 1e-3


def test_who_bids_nothing_gets_nothing_and_options_are_kept() -> None:
    actions = np.random.default_rng(4).uniform(-1, 1, (3, N, N_ACTION)).astype(np.float32)
    actions[:, 2] = encode(np.ones(1), np.ones(1))[0]
    shorter = {"set": {"time.duration_hours": 3}}
    found = difference_rewards(WORLD, 10_003, actions, shorter)
    assert not found[:, 2].any()
    assert found.any()
    with pytest.raises(BidError, match="has more"):
        difference_rewards(WORLD, 10_003, actions)
    with pytest.raises(BidError, match="has 3"):
        difference_rewards(WORLD, 10_003, np.repeat(actions, 2, axis=0), shorter)
    with pytest.raises(BidError, match="got actions"):
        difference_rewards(WORLD, 10_003, actions[0])
