"""Stable-Baselines3: every home of M months is an environment of its own, and one policy plays them all.

    from stable_baselines3 import PPO
    from vpp_env.api.sb3 import HomesVecEnv
    PPO("MlpPolicy", HomesVecEnv(8, "week20"), n_steps=168).learn(500_000)

Stable-Baselines3 takes one agent an environment and refuses Gymnasium's vector environments; its own `VecEnv` over the
vector face shares parameters over homes at the speed of that face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from vpp_env.api.gym import VectorMarketMonth
from vpp_env.api.rewards import with_profit
from vpp_env.api.session import WorldOptions
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import N_OBS
from vpp_env.errors import VppError, needs
from vpp_env.scenario import Scenario

with needs("vpp_env.api.sb3"):
    from stable_baselines3.common.vec_env import VecEnv


class HomesVecEnv(VecEnv):
    """M months of N homes as M*N environments: row m*N + i is home i of month m.

    Observation `Box(-1, 1, (N_OBS,))`, action `Box(-1, 1, (N_ACTION,))`. Reward, USD: a home's part of welfare and an
    equal share of the VPP's profit, so that the mean over rows is the welfare by home. All months end at once and
    begin again with training seeds; the info of the last step holds `terminal_observation`, and no value is to be
    added to its reward, which pays what is left in the batteries (`TimeLimit.truncated` is False).

    Parameters
    ----------
    months : int
        Months side by side, M.
    scenario, **world : see `VectorMarketMonth`
        The world.
    """

    def __init__(
        self, months: int = 8, scenario: Scenario | str | Path = "week20", **world: Unpack[WorldOptions]
    ) -> None:
        self.env = VectorMarketMonth(months, scenario, **world)
        self.homes = self.env.single_observation_space.shape[0]  # type: ignore[index]
        self._actions: NDArray[Any] | None = None
        self._welfare = np.zeros(months)
        self.welfare: list[float] = []
        """Welfare of every month that was played to its end, USD."""
        self.render_mode = None
        super().__init__(
            months * self.homes,
            Box(-1.0, 1.0, (N_OBS,), np.float32),
            Box(-1.0, 1.0, (N_ACTION,), np.float32),
        )

    def reset(self) -> NDArray[np.float32]:
        """Begin M months: those of `seed(...)` if it was called since the last reset, else of training seeds.

        Options of `set_options(...)` are those of the vector face, for one episode and for all homes alike.
        """
        given = [self._seeds[m * self.homes] for m in range(self.env.num_envs)]
        options = self._options[0]
        if any(other != options for other in self._options):
            raise VppError(
                "set_options: got different options for homes; allowed is one dictionary: they share a world"
            )
        obs, _ = self.env.reset(seed=None if given[0] is None else given, options=options or None)
        self._reset_seeds()
        self._reset_options()
        self._welfare[:] = 0.0
        return obs.reshape(self.num_envs, N_OBS)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Play months `seed`, `seed` + 1, ... at the next reset."""
        of_months = [None if seed is None else seed + m for m in range(self.env.num_envs)]
        self._seeds = [s for s in of_months for _ in range(self.homes)]
        return self._seeds

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions of all homes."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Play one opportunity of every month; begin the next months after the last one."""
        if self._actions is None:
            raise VppError("step_wait() before step_async(): hand in actions first")
        obs, joint, _, ends, infos = self.env.step(self._actions.reshape(self.env.num_envs, self.homes, N_ACTION))
        self._actions = None
        self._welfare += joint
        rewards = with_profit(joint, infos["home_rewards"]).ravel().astype(np.float32)
        said: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        rows = obs.reshape(self.num_envs, N_OBS)
        if ends.all():
            self.welfare.extend(self._welfare.tolist())
            for info, last in zip(said, rows, strict=True):
                info.update({"terminal_observation": last, "TimeLimit.truncated": False})
            rows = self.reset()
        return rows, rewards, np.repeat(ends, self.homes), said

    def close(self) -> None:
        """Nothing is open."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the environments, which are one."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: homes share one world, and none of them can be changed alone."""
        raise VppError(f"set_attr({attr_name!r}): homes share one world; say it when the environment is made")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: homes share one world, and a call for some of them would be one for all."""
        raise VppError(f"env_method({method_name!r}): homes share one world; call it on `.env`, of all months")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """No home is wrapped."""
        return [False for _ in self._get_indices(indices)]


def network_of(policy: Any) -> tuple[list[tuple[NDArray[np.float64], NDArray[np.float64]]], str, str]:
    """Return the actor of an `MlpPolicy`: its layers, what is between them and its output, as `save` takes them.

    That is `vpp_policies.learned.save(path, *network_of(model.policy))`.

    Parameters
    ----------
    policy : stable_baselines3.common.policies.BasePolicy
        The `policy` of a PPO, A2C, SAC, TD3 or DDPG model.

    Raises
    ------
    VppError
        When it is another policy, or its actor has other layers than linear ones with tanh or relu between them.
    """
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.torch_layers import FlattenExtractor
    from stable_baselines3.sac.policies import SACPolicy
    from stable_baselines3.td3.policies import TD3Policy
    from torch import nn

    squashes, extractor = True, None
    if isinstance(policy, ActorCriticPolicy):
        parts = [*policy.mlp_extractor.policy_net, policy.action_net]
        squashes, extractor = policy.squash_output, policy.features_extractor
    elif isinstance(policy, SACPolicy):
        parts, extractor = [*policy.actor.latent_pi, policy.actor.mu], policy.actor.features_extractor
    elif isinstance(policy, TD3Policy):
        *parts, squash = policy.actor.mu
        parts, extractor = parts if isinstance(squash, nn.Tanh) else [*parts, squash], policy.actor.features_extractor
    else:
        parts = []
    linear, between = parts[::2], {type(part) for part in parts[1::2]}
    names = {nn.Tanh: "tanh", nn.ReLU: "relu"}
    fits = bool(linear) and len(parts) % 2 == 1 and all(isinstance(part, nn.Linear) for part in linear)
    if not (fits and len(between) <= 1 and between <= names.keys() and isinstance(extractor, FlattenExtractor)):
        got = f"{type(policy).__name__} of {', '.join(type(part).__name__ for part in parts) or 'another kind'}"
        raise VppError(
            f"network_of: got a {got}; allowed is the `policy` of a PPO, A2C, SAC, TD3 or DDPG model with linear "
            "layers and tanh or relu between them, of the observation as it is"
        )
    layers = [tuple(x.detach().cpu().numpy().astype(np.float64) for x in (part.weight.T, part.bias)) for part in linear]
    return layers, names[between.pop()] if between else "tanh", "tanh" if squashes else "clip"
