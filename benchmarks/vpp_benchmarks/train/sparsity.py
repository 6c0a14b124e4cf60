"""How sparse the reward is, and in how few hours the money lies (`vpp-env sparsity`).

Each home is paid its own part of welfare and nothing of the VPP's profit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vpp_env import Month, build_view, make_policy, market_rules
from vpp_env.api.rewards import Rewards
from vpp_env.scenario import Scenario
from vpp_env.simulation.world import World
from vpp_env.units import Floats

NOTHING_USD = 1e-9
"""Rewards below this are rounding."""


class Sparsity(NamedTuple):
    """Shares, 0 to 1."""

    nothing: float  # of home-steps whose reward is 0
    homes_top: float  # of all rewards' amounts, in the 1 % of home-steps with the largest
    steps_top: float  # of all welfare's amounts, in the 1 % of opportunities with the largest


def earned(
    scenario: Scenario, policy_name: str, seed: int, home_data: str | Path | None = None
) -> tuple[Floats, Floats]:
    """One month: (T,) welfare and (T, N) the homes' parts of it, USD."""
    world = World([Month(scenario, seed, home_data=home_data)])
    world.reset()
    policy = make_policy(policy_name)
    policy.reset(market_rules(world), np.random.default_rng(seed))
    rewards, joint, homes = Rewards(world), [], []
    while not world.done:
        bids = policy.act(build_view(world, policy.info.information))
        made = rewards.of(world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,)))
        joint.append(made.joint[0])
        homes.append(made.homes[0])
    return np.array(joint), np.stack(homes)


def top_share(amounts: Floats, part: float = 0.01) -> float:
    """Share of the sum of absolute amounts that lies in this part of them, the largest; at least one."""
    sorted_down = np.sort(np.abs(amounts).ravel())[::-1]
    whole = float(sorted_down.sum())
    return float(sorted_down[: max(1, round(part * sorted_down.size))].sum()) / whole if whole > 0.0 else 0.0


def sparsity(months: Sequence[tuple[Floats, Floats]]) -> Sparsity:
    """Shares over months of (T,) welfare and (T, N) homes' parts."""
    joint = np.concatenate([j for j, _ in months])
    homes = np.concatenate([h.ravel() for _, h in months])
    return Sparsity(float((np.abs(homes) < NOTHING_USD).mean()), top_share(homes), top_share(joint))
