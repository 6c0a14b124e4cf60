"""Gymnasium: one central controller that sees a matrix and bids a matrix; and the batched vector environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vpp_env.api.observation import N_OBS
from vpp_env.api.session import Session
from vpp_env.contract.bids import N_ACTION
from vpp_env.scenario import Scenario
from vpp_env.simulation.outcome import Outcome


def _boxes(session: Session) -> tuple[Box, Box]:
    n = session.scenario.fleet.size
    return Box(-1.0, 1.0, (n, N_OBS), np.float32), Box(-1.0, 1.0, (n, N_ACTION), np.float32)


def joint_reward(outcome: Outcome) -> np.ndarray:
    """(E,) USD: the VPP's profit and every home's reward, together."""
    return outcome.money.profit + outcome.rewards.sum(axis=1)


class CentralMarketMonth(gym.Env[np.ndarray, np.ndarray]):
    """The month for one controller: `vpp/MarketMonth-v0`.

    Observation `Box(-1, 1, (N, 54))` and action `Box(-1, 1, (N, 6))`, float32: row i is home i; the columns are those
    of `vpp_env.api.parallel.MarketMonth`. Reward, USD: the VPP's profit plus the sum of the homes' rewards. The episode
    is truncated after the last opportunity. `info` holds `vpp_profit_usd` and `home_rewards` (N,).

    Parameters
    ----------
    scenario, seed, market_data, node : see `MarketMonth`
        The world.
    render_mode : {None, "rgb_array", "ansi"}
        What `render()` returns.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 - as the base class

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        *,
        seed: int = 0,
        market_data: str | Path | None = None,
        node: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._session = Session(scenario, seed, 1, market_data, node)
        self.render_mode = render_mode
        self.observation_space, self.action_space = _boxes(self._session)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a month."""
        super().reset(seed=seed)
        return self._session.reset(seed), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one opportunity."""
        obs, outcome, over = self._session.step(action)
        info = {"vpp_profit_usd": float(outcome.money.profit[0]), "home_rewards": outcome.rewards[0]}
        return obs, float(joint_reward(outcome)[0]), False, over, info

    def render(self) -> np.ndarray | str | None:
        """The month so far: an rgb array or one line of text."""
        if self.render_mode == "rgb_array":
            from vpp_env.api.render import rgb_month

            return rgb_month(self._session)
        return self._session.line() if self.render_mode == "ansi" else None


class VectorMarketMonth(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """E months of N homes on one matrix, with Gymnasium's vector conventions.

    Observations (E, N, 54), actions (E, N, 6), rewards (E,): the joint reward of `CentralMarketMonth`. Month e of an
    episode has seed + e. All months end together; the step after that resets (`AutoresetMode.NEXT_STEP`): its actions
    are ignored and its rewards are 0. `infos` holds `vpp_profit_usd` (E,) and `home_rewards` (E, N).

    Parameters
    ----------
    num_envs : int
        Months side by side, E.
    scenario, seed, market_data, node : see `MarketMonth`
        The world.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | str | Path = "august",
        *,
        seed: int = 0,
        market_data: str | Path | None = None,
        node: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._session = Session(scenario, seed, num_envs, market_data, node)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = _boxes(self._session)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin E months; of a list of seeds the first counts."""
        first = seed[0] if isinstance(seed, list) else seed
        self._over = False
        return self._shaped(self._session.reset(first)), {}

    def _shaped(self, matrix: np.ndarray) -> np.ndarray:
        return matrix.reshape(self.num_envs, -1, N_OBS)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one opportunity of every month, or begin the next months after the last one."""
        no = np.zeros(self.num_envs, dtype=bool)
        if self._over:
            obs, infos = self.reset()
            return obs, np.zeros(self.num_envs), no, no.copy(), infos
        obs, outcome, self._over = self._session.step(np.asarray(actions).reshape(-1, N_ACTION))
        infos = {"vpp_profit_usd": outcome.money.profit, "home_rewards": outcome.rewards}
        return self._shaped(obs), joint_reward(outcome), no, np.full(self.num_envs, self._over), infos
