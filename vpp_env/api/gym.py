"""Gymnasium: one central controller that sees a matrix and bids a matrix; and the batched vector environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from vpp_env.api.observation import N_OBS
from vpp_env.api.render import RENDER_MODES, render
from vpp_env.api.session import Session, WorldOptions
from vpp_env.contract.bids import N_ACTION
from vpp_env.scenario import Scenario
from vpp_env.simulation.outcome import Outcome


def _boxes(session: Session) -> tuple[Box, Box]:
    n = session.scenario.fleet.size
    return Box(-1.0, 1.0, (n, N_OBS), np.float32), Box(-1.0, 1.0, (n, N_ACTION), np.float32)


def joint_reward(outcome: Outcome) -> NDArray[np.float64]:
    """(M,) USD: the VPP's profit and the sum of the homes' rewards."""
    return outcome.money.profit + outcome.rewards.sum(axis=1)


class CentralMarketMonth(gym.Env[NDArray[Any], NDArray[Any]]):
    """The month for one controller: `vpp/MarketMonth-v0`.

    Observation `Box(-1, 1, (N, 54))` and action `Box(-1, 1, (N, 8))`, float32: row i is home i; the columns are those
    of `vpp_env.api.parallel.MarketMonth`. Reward, USD: the VPP's profit plus the sum of the homes' rewards. The episode
    is truncated after the last opportunity. `info` holds `vpp_profit_usd` and `home_rewards` (N,).

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    render_mode : {None, "rgb_array", "ansi"}
        What `render()` returns.
    **world : WorldOptions
        `seed`, `market_data`, `node`; see `vpp_env.api.session.WorldOptions`.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 4}  # noqa: RUF012 - as the base class

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        *,
        render_mode: str | None = None,
        **world: Unpack[WorldOptions],
    ) -> None:
        self._session = Session(scenario, **world)
        self.render_mode = render_mode
        self.observation_space, self.action_space = _boxes(self._session)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a month."""
        super().reset(seed=seed)
        return self._session.reset(seed), {}

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Play one opportunity."""
        obs, outcome, over = self._session.step(action)
        info = {"vpp_profit_usd": float(outcome.money.profit[0]), "home_rewards": outcome.rewards[0]}
        return obs, float(joint_reward(outcome)[0]), False, over, info

    def render(self) -> NDArray[np.uint8] | str | None:
        """The month so far: an rgb array or one line of text."""
        return render(self._session, self.render_mode)


class VectorMarketMonth(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """M months of N homes on one matrix, with Gymnasium's vector conventions.

    Observations (M, N, 54), actions (M, N, 8), rewards (M,): the joint reward of `CentralMarketMonth`. Month m of an
    episode has seed + m. All months end at once; the step after that resets (`AutoresetMode.NEXT_STEP`): its actions
    are ignored and its rewards are 0. `infos` holds `vpp_profit_usd` (M,) and `home_rewards` (M, N).

    Parameters
    ----------
    num_envs : int
        Months side by side, M.
    scenario, render_mode, **world : see `CentralMarketMonth`
        The world; nothing is drawn of many months.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | str | Path = "august",
        *,
        render_mode: str | None = None,
        **world: Unpack[WorldOptions],
    ) -> None:
        self._session = Session(scenario, num_envs, **world)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = _boxes(self._session)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin M months; of a list of seeds the first counts."""
        first = seed[0] if isinstance(seed, list) else seed
        self._over = False
        return self._shaped(self._session.reset(first)), {}

    def _shaped(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return matrix.reshape(self.num_envs, -1, N_OBS)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Play one opportunity of every month, or begin the next months after the last one."""
        no = np.zeros(self.num_envs, dtype=bool)
        if self._over:
            obs, infos = self.reset()
            return obs, np.zeros(self.num_envs), no, no.copy(), infos
        obs, outcome, self._over = self._session.step(np.asarray(actions).reshape(-1, N_ACTION))
        infos = {"vpp_profit_usd": outcome.money.profit, "home_rewards": outcome.rewards}
        return self._shaped(obs), joint_reward(outcome), no, np.full(self.num_envs, self._over), infos
