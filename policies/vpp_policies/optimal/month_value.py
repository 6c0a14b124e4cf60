"""What stored energy is worth at every gate of a month that is known: all value functions, solved once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import Foresight, Homes, MarketRules, kernel
from vpp_policies.optimal.ceilings import Effort, Solution, solve
from vpp_policies.optimal.devices import Goal, Measure, Wishes
from vpp_policies.optimal.storage import BaseStock, Store, backward, room_for_steps, step

GRID = 33
"""States at which a value function is written down between a store's limits."""
EFFORT = Effort(rounds=16, gap=5e-3, pace=0.0, feeders=False)
"""What a policy needs of its shadow prices: less than a ceiling does."""


class Steps(NamedTuple):
    """What D devices do in K intervals: kWh of the store."""

    took: NDArray[np.float64]  # (D, K, 2) by segment
    gave: NDArray[np.float64]  # (D, K, 2)
    held: NDArray[np.float64]  # (D, K) at the end of the interval


@kernel
def _walk(
    store: Store,
    policy: BaseStock,
    first: int,
    s: float,
    day: NDArray[np.int64],
    day_kwh: float,
    left: float,
    eta: float,
    took: NDArray[np.float64],
    gave: NDArray[np.float64],
    held: NDArray[np.float64],
) -> None:
    """Follow the base stock from `s` kWh at the start of interval `first` on, as far as the arrays reach.

    What a battery may discharge in a day, `left` kWh of today's, is kept: the price of the day keeps it on the mean.
    """
    room = room_for_steps()
    for k in range(len(held)):
        at = first + k
        if k > 0 and day[at] != day[at - 1]:
            left = day_kwh
        # below the limit: what was charged elsewhere
        s = step(store, policy, at, max(s, store.lo[at]), took[k], gave[k], room)
        cut = min(max(0.0, gave[k, 0] - max(left, 0.0) / eta), max(store.hi[at + 1] - s, 0.0))
        gave[k, 0] -= cut
        left -= gave[k, 0] * eta
        s += cut
        held[k] = s


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
    paid : bool
        See `Goal`.
    """

    def __init__(
        self, homes: Homes, foresight: Foresight, rules: MarketRules, wishes: Wishes, paid: bool = False
    ) -> None:
        goal = Goal(Measure.VALUE, wishes, rules, paid)
        self.solution: Solution = solve(homes, foresight, goal, rules.max_capacity_kw, EFFORT)
        self.foresight = foresight
        self.stores: list[Store] = [self.solution.store(d) for d in range(len(self.solution.devices))]
        self.policies: list[BaseStock] = [backward(store, foresight.steps, GRID) for store in self.stores]
        self._gates = np.arange(0, foresight.n_steps + 1, foresight.steps)
        shape = (len(self.stores), len(self._gates))  # there may be none
        self._value = np.array([policy.grid for policy in self.policies]).reshape(*shape, GRID)
        self._low = np.array([store.lo[self._gates] for store in self.stores]).reshape(shape)
        self._high = np.array([store.hi[self._gates] for store in self.stores]).reshape(shape)

    def walk(self, homes: Homes, first: int, stop: int) -> Steps:
        """Let every device take its own steps of the intervals from `first`, where `homes` are, to before `stop`."""
        b, e = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        start = np.concatenate([homes.soc_kwh[b], -homes.ev_deficit_kwh[e]])
        left = np.concatenate([homes.day_left_kwh[b], np.full(len(e), np.inf)])
        n, k = len(self.stores), max(min(stop, self.foresight.n_steps) - first, 0)
        steps = Steps(np.zeros((n, k, 2)), np.zeros((n, k, 2)), np.zeros((n, k)))
        for d, device in enumerate(self.solution.devices):
            strict = device.day_usd == np.inf and device.day_kwh < np.inf
            whole, today = (device.day_kwh, left[d]) if strict else (np.inf, np.inf)
            _walk(
                self.stores[d],
                self.policies[d],
                first,
                start[d],
                device.day,
                whole,
                today,
                device.eta,
                steps.took[d],
                steps.gave[d],
                steps.held[d],
            )
        return steps

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
