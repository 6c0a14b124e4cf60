"""What stored energy is worth at every gate of a month that is known: all value functions, solved once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env import Foresight, Homes, MarketRules
from vpp_policies.optimal.ceilings import Solution, solve
from vpp_policies.optimal.devices import Goal, Measure, Wishes
from vpp_policies.optimal.storage import BaseStock, Store, backward

GRID = 33
"""States at which a value function is written down between a store's limits."""
ROUNDS, GAP = 16, 5e-3
"""Subgradient rounds, and the gap, that a policy needs of its shadow prices: less than a ceiling does."""


class MonthValue:
    """The stores of a fleet, solved backwards against known prices.

    Parameters
    ----------
    homes, foresight : Homes, Foresight
        At the first gate.
    rules : MarketRules
        The market's goal.
    wishes : Wishes
        What becomes of the owners' preferences.
    """

    def __init__(self, homes: Homes, foresight: Foresight, rules: MarketRules, wishes: Wishes) -> None:
        goal = Goal(Measure.VALUE, wishes, rules)
        self.solution: Solution = solve(homes, foresight, goal, rules.max_capacity_kw, ROUNDS, GAP)
        self.foresight = foresight
        self.stores: list[Store] = [self.solution.store(d) for d in range(len(self.solution.devices))]
        self.policies: list[BaseStock] = [backward(store, foresight.steps, GRID) for store in self.stores]
        self._gates = np.arange(0, foresight.n_steps + 1, foresight.steps)
        shape = (len(self.stores), len(self._gates))  # there may be none
        self._value = np.array([policy.grid for policy in self.policies]).reshape(*shape, GRID)
        self._low = np.array([store.lo[self._gates] for store in self.stores]).reshape(shape)
        self._high = np.array([store.hi[self._gates] for store in self.stores]).reshape(shape)

    def slopes(
        self, which: slice, gate: int, low: NDArray[np.float64], high: NDArray[np.float64], count: int
    ) -> NDArray[np.float64]:
        """Mean marginal values of `count` equal pieces between `low` and `high` at the start of gate `gate`.

        Parameters
        ----------
        which : slice
            Devices (batteries come first, then cars).
        low, high : ndarray
            (D,) kWh of the store.

        Returns
        -------
        ndarray
            (D, count) USD/kWh, non-increasing.
        """
        gate = min(gate, len(self._gates) - 1)
        value, first = self._value[which, gate], self._low[which, gate]
        width = (high - low) / count
        span = np.maximum(self._high[which, gate] - first, 1e-9)
        points = low[:, None] + width[:, None] * np.arange(count + 1)
        # outside its limits a value function goes on along its end slopes
        x = (points - first[:, None]) / span[:, None] * (GRID - 1)
        j = np.clip(x.astype(np.int64), 0, GRID - 2)
        rows = np.arange(len(first))[:, None]
        v = value[rows, j] + (value[rows, j + 1] - value[rows, j]) * (x - j)
        slope = np.divide(
            np.diff(v, axis=1), width[:, None], out=np.zeros((len(v), count)), where=width[:, None] > 1e-9
        )
        return -np.sort(-slope, axis=1)
