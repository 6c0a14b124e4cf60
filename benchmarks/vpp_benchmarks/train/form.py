"""What evolution strategies search: the last layer of a policy, what it begins with, and which of its columns move."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vpp_policies.constant import Constant
from vpp_policies.learned import Layer

from vpp_env import (
    BUY_KW,
    BUY_LIMIT,
    N_ACTION,
    N_OBS,
    RESERVE_ASK,
    RESERVE_KW,
    SELL1_ASK,
    SELL1_KW,
    SELL2_ASK,
    SELL2_KW,
    Month,
    build_view,
    market_rules,
)
from vpp_env.contract.observation import COLUMNS
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.world import World
from vpp_env.units import BUY_LIMIT_RANGE, Flags, Floats

PRICES = (SELL1_ASK, SELL2_ASK, BUY_LIMIT, RESERVE_ASK)
"""Columns of a bid that are learned where the gateway keeps the owner's envelope."""
READ = (
    *("hour_sin", "hour_cos", "day_ahead_0", "day_ahead_1", "day_ahead_2", "day_ahead_3", "day_ahead_4"),
    *("real_time", "real_time_q10", "real_time_q50", "real_time_q90", "sale_price"),
    *("soc", "floor", "battery_inside_kwh", "battery_room_kwh", "day_used", "ev_deficit", "hours_to_ready", "plugged"),
    *("own_ask", "defer_ask", "buy_limit", "reserve_ask", "pv_16", "net_16", "defer"),
)
"""Columns of the observation that they are learned from: what a kWh that is kept for later may be worth."""
SMALL = 1e-3
"""Scale at which tanh lets a number in [-1, 1] through: off by 3e-7 at most."""
LARGE = 1e3
"""Scale at which tanh says whether a number is more than 0."""


@dataclass(frozen=True)
class Form:
    """A policy of which the last layer is learned.

    Parameters
    ----------
    weights : ndarray
        (F + 1, N_ACTION) to begin with, of F features; the last row is the bias.
    learned : ndarray, optional
        (N_ACTION,) bool, columns of the bid whose weights move. None: all.
    hidden : Layer, optional
        The layer that makes features of an observation, by tanh. None: the observation is what is read.
    scale : ndarray, optional
        (F,) what a feature is multiplied with. None: 1.
    """

    weights: Floats
    learned: Flags | None = None
    hidden: Layer | None = None
    scale: Floats | None = None

    @property
    def free(self) -> Floats:
        """(F + 1, N_ACTION) 1 for weights that move, 0 for those that stay."""
        learned = np.ones(N_ACTION) if self.learned is None else self.learned
        return np.broadcast_to(learned, self.weights.shape).astype(np.float64)

    def features(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., F) features of (..., N_OBS) observations."""
        if self.hidden is None:
            return obs
        slopes, bias = (x.astype(np.float32) for x in self.hidden)
        scale = np.float32(1.0) if self.scale is None else self.scale.astype(np.float32)
        return np.asarray(np.tanh(obs @ slopes + bias) * scale, dtype=np.float32)

    def layers(self, weights: Floats) -> list[Layer]:
        """Return a policy with this last layer as `vpp_policies.learned` saves and plays it."""
        if self.hidden is None:
            return [layer(weights)]
        slopes, bias = layer(weights)
        return [self.hidden, (slopes if self.scale is None else self.scale[:, None] * slopes, bias)]

    def of(self, layers: list[Layer]) -> Floats | None:
        """Return the last layer of a policy that `layers` made; None where its form is another."""
        if len(layers) != (1 if self.hidden is None else 2):
            return None
        if self.hidden is not None and not all(map(np.array_equal, layers[0], self.hidden)):
            return None
        slopes, bias = layers[-1]
        return np.vstack([slopes if self.scale is None else slopes / self.scale[:, None], bias])


def layer(weights: Floats) -> Layer:
    """Return (F + 1, N_ACTION) weights as slopes and bias."""
    return weights[:-1].copy(), weights[-1].copy()


def start(scenario: Scenario, home_data: str | Path | None = None) -> Floats:
    """(N_OBS + 1, N_ACTION) weights that bid like `constant`, whatever is observed; the last row is the bias."""
    month = Month(scenario, SPLITS["training"].first, home_data=home_data)
    world = World([month])
    world.reset()
    constant = Constant()
    constant.reset(market_rules(world), np.random.default_rng(0))
    bids = constant.act(build_view(world, constant.info.information)).actions
    weights = np.zeros((N_OBS + 1, N_ACTION))
    # a home without a device bids nothing: the bias is of those that have some
    able = (world.sell_limit_kw > 0) & (world.buy_limit_kw > 0)
    weights[-1] = (bids[able] if able.any() else bids).mean(axis=0)
    return weights


def own_asks() -> Form:
    """Bid as `truthful` does where the gateway keeps the owner's envelope; the prices are learned.

    Nothing that is offered can break a wish, so that all is offered: what can wait on one line, the rest on the other,
    at the owner's asks. Features are the columns `READ`, whether a home has storage, and whether its car is owed
    something. What a line can say and `truthful` does otherwise: charging that is owed is bought back at the owner's
    limit for its battery, and a battery beside a car is not asked for more than its own ask.
    """
    row = {name: j for j, name in enumerate(COLUMNS)}
    count = len(READ) + 2
    slopes = np.zeros((N_OBS, count))
    for feature, name in enumerate(READ):
        slopes[row[name], feature] = SMALL
    stores, owed = len(READ), len(READ) + 1
    slopes[[row["power"], row["v2g_power"]], stores] = LARGE
    slopes[row["ev_deficit"], owed] = LARGE
    scale = np.array([1.0 / SMALL] * len(READ) + [1.0, 1.0])

    weights, at = np.zeros((count + 1, N_ACTION)), {name: j for j, name in enumerate(READ)}
    # who has no storage offers all of its car on the first line; the bid is clipped to [-1, 1]
    weights[[at["defer"], stores, -1], SELL1_KW] = 2.0, -2.0, 1.0
    weights[[at["defer"], stores, -1], SELL2_KW] = -2.0, 2.0, -1.0
    weights[-1, [BUY_KW, RESERVE_KW]] = 1.0
    for column, name in ((SELL1_ASK, "defer_ask"), (SELL2_ASK, "own_ask"), (RESERVE_ASK, "reserve_ask")):
        weights[[at[name], -1], column] = 2.0, -1.0  # what is observed has the scale of the bid
    low, high = BUY_LIMIT_RANGE
    weights[[at["buy_limit"], -1], BUY_LIMIT] = 2.0 * high / (high - low), -2.0 * low / (high - low) - 1.0
    return Form(weights, np.isin(np.arange(N_ACTION), PRICES), (slopes, np.zeros(count)), scale)


def form_of(scenario: Scenario, home_data: str | Path | None = None) -> Form:
    """Return what evolution begins with: `own_asks` in a world with a safeguard, what `constant` bids without."""
    return own_asks() if scenario.market.safeguard else Form(start(scenario, home_data))
