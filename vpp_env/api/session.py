"""One episode after another over the world: what the PettingZoo, Gymnasium and vector environments share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.observation import Observer
from vpp_env.errors import VppError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World

STATE_COMPANION = ("profit_usd", "revenue_usd", "payments_usd", "award_kw", "market_kw", "reserve_kw")
"""Last elements of `state()`: the VPP's side of the last opportunity, scaled by 100 USD and 1,000 kW."""


class WorldOptions(TypedDict, total=False):
    """Keyword arguments that every environment takes beside its scenario, and hands on to `Session`."""

    seed: int  # of the first episode that is reset without a seed; the next ones follow from it; default 0
    market_data: str | Path | None  # real prices, see docs/market-data.md
    node: str | None  # their price node, where the file holds several


class Session:
    """Worlds of M months, one episode after another.

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    n_months : int
        Months side by side, M.
    seed, market_data, node :
        See `WorldOptions`.

    Raises
    ------
    VppError
        When there is no such scenario, or `n_months` is less than 1.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        n_months: int = 1,
        *,
        seed: int = 0,
        market_data: str | Path | None = None,
        node: str | None = None,
    ) -> None:
        self.scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        if n_months < 1:
            raise VppError(f"n_months: got {n_months}; allowed is 1 or more")
        self.n_months = n_months
        self._data = (market_data, node)
        self._seeds = np.random.default_rng(seed)
        self._first_seed: int | None = seed
        self.world: World | None = None
        self.outcome: Outcome | None = None
        self.history: list[tuple[float, float, float, float]] = []

    def reset(self, seed: int | None) -> NDArray[np.float32]:
        """Begin an episode; return (M*N, N_OBS) observations. Month m of the episode has seed + m."""
        if seed is None:
            seed = self._first_seed if self._first_seed is not None else int(self._seeds.integers(2**31))
        else:
            self._seeds = np.random.default_rng(seed)
        self._first_seed = None
        months = [Month(self.scenario, seed + m, *self._data) for m in range(self.n_months)]
        self.world = World(months)
        self.world.reset()
        self.outcome = None
        self.history = []
        self._observer = Observer(self.world)
        return self._observer.matrix()

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float32], Outcome, bool]:
        """Play one opportunity with (M*N, 8) actions; return observations, outcome and whether the month is over."""
        if self.world is None:
            raise VppError("step() before reset(): call reset() first")
        outcome = self.world.step(actions)
        self.outcome = outcome
        self.history.append(
            (
                float(outcome.lmp[:, 0].mean()),
                float(outcome.market_kw[:, 0].mean()),
                float(outcome.soc_kwh[-1, 0, 0]),
                float(outcome.money.profit[0]),
            )
        )
        return self._observer.matrix(), outcome, self.world.done

    def companion(self) -> NDArray[np.float32]:
        """(6,) float32 the VPP's side of the last opportunity; see `STATE_COMPANION`."""
        if self.outcome is None:
            return np.zeros(len(STATE_COMPANION), dtype=np.float32)
        o = self.outcome
        money = np.array([o.money.profit[0], o.money.revenue[0], o.money.payments[0]]) / 100.0
        power = np.array([o.award_kw[:, 0].mean(), o.market_kw[:, 0].mean(), o.reserve_kw[:, 0].mean()]) / 1000.0
        return np.clip(np.concatenate([money, power]), -1.0, 1.0).astype(np.float32)

    def line(self) -> str:
        """One line on the month so far."""
        if self.world is None:
            return "not reset yet"
        done, total = self.world.opportunity, self.scenario.n_opportunities
        profit = sum(h[3] for h in self.history)
        at = self.world.calendar.local[min(self.world.t, self.world.calendar.n_steps - 1)]
        last = f", last lmp {1000 * self.history[-1][0]:.0f} USD/MWh, {self.history[-1][1]:+.0f} kW" if done else ""
        return f"{self.scenario.name} {at:%Y-%m-%d %H:%M} {done}/{total}: profit {profit:.2f} USD{last}"
