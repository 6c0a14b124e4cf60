"""The learners' reward: each home's part of welfare, so that all parts add up to what the evaluator reports.

    r_i = payment - (bill - baseline's bill) - wear - charging elsewhere - what was taken, at the owner's private values
    at the last opportunity also + closing value - restoring of floors that are still broken
    sum over opportunities of (VPP's profit + sum_i r_i) = `Kpis.welfare`

A wish of a day or an hour is priced when its limit is passed. It is computed by the evaluator's own code (see
`evaluation.welfare`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.evaluation.welfare import BrokenWishes, private_cost, restoring_cost, worth
from vpp_env.jit import inlined, kernel
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.outcome import Outcome, benefit_after
from vpp_env.simulation.world import World
from vpp_env.units import Floats


class Reward(NamedTuple):
    """What an opportunity was worth, USD; M months of N homes."""

    joint: Floats  # (M,) welfare: the VPP's profit and the sum of the homes' parts
    homes: Floats  # (M, N) each home's part, with `reward.team_share` of the team's mean mixed in


def with_profit(joint: Floats, homes: Floats) -> Floats:
    """(M, N) USD: the homes' rewards, and what none of them is paid, the VPP's profit, in equal shares.

    Over the homes it adds up to the welfare `joint` (M,), whatever `reward.team_share` has mixed in.
    """
    return homes + ((joint - homes.sum(axis=1)) / homes.shape[1])[:, None]


def with_team(homes: Floats, mean: Floats, alpha: float) -> Floats:
    """Rewards with a share `alpha` of the team's mean in them; of arrays, or of one home's numbers on a GPU."""
    return (1.0 - alpha) * homes + alpha * mean


# functions of rows, of one home's numbers
_member_pay: Any = inlined(led.member_pay)
_benefit_after: Any = inlined(benefit_after)
_worth: Any = inlined(worth)


@kernel
def _parts(ledger: Floats, wishes: Floats, values: Floats, out: Floats) -> None:
    """Fill `out` (M, N): net benefit less what was taken of wishes, at the owners' private values."""
    for m in range(out.shape[0]):
        for i in range(out.shape[1]):
            mine = ledger[:, m, i]
            out[m, i] = _benefit_after(_member_pay(mine), mine) - _worth(wishes[:, m, i], values[:, m, i])


class Rewards:
    """Rewards of one episode.

    Parameters
    ----------
    world : World
        At the start of its months; `of` is called after each of its steps.
    """

    def __init__(self, world: World) -> None:
        self._world, self._wishes = world, BrokenWishes(world)
        self._team_share = world.scenario.reward.team_share

    def of(self, outcome: Outcome) -> Reward:
        """Reward of the opportunity that was played last."""
        self._wishes.add(outcome)
        homes: Floats = np.empty(outcome.wishes.shape[1:])
        _parts(outcome.ledger, outcome.wishes, self._wishes.values, homes)
        if self._world.done:
            homes += closing_value(self._world) - restoring_cost(self._world)
        joint = outcome.profit + homes.sum(axis=1)
        alpha = self._team_share
        if alpha > 0.0:
            homes = with_team(homes, (joint / homes.shape[1])[:, None], alpha)
        return Reward(joint, homes)

    def private_cost(self) -> Floats:
        """(7, M, N) USD: what the wishes that were broken so far are worth, by kind as `evaluation.welfare.PARTS`."""
        return private_cost(self._wishes, self._world)
