"""TorchRL: the vector face as an `EnvBase`, batched over months, homes as one group of agents.

from vpp_env.api.torchrl import TorchMarketMonth
env = TorchMarketMonth(8, "week20")
env.rollout(24)["next", "agents", "reward"]         # (8, 24, N, 1)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np

from vpp_env.api.gym import VectorMarketMonth
from vpp_env.api.rewards import with_profit
from vpp_env.api.session import WorldOptions
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import N_OBS
from vpp_env.errors import VppError, needs
from vpp_env.scenario import Scenario

with needs("vpp_env.api.torchrl"):
    import torch
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Binary, Bounded, Composite, Unbounded
    from torchrl.envs import EnvBase


class TorchMarketMonth(EnvBase):
    """M months of N homes; `batch_size` is (M,).

    `("agents", "observation")` (M, N, N_OBS) and `("agents", "action")` (M, N, N_ACTION), float32 in [-1, 1];
    `("agents", "reward")` (M, N, 1), USD: a home's part of welfare and an equal share of the VPP's profit; `welfare`
    (M, 1), USD, of the last opportunity. All months are truncated at once.

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
        homes = self.env.single_observation_space.shape[0]  # type: ignore[index]
        super().__init__(device=torch.device("cpu"), batch_size=torch.Size([months]))
        box = {"low": -1.0, "high": 1.0, "dtype": torch.float32}
        shape = (months, homes)

        def group(**specs: Any) -> Composite:
            return Composite(agents=Composite(**specs, shape=shape), shape=(months,))

        self.observation_spec = group(observation=Bounded(shape=(*shape, N_OBS), **box))
        self.observation_spec["welfare"] = Unbounded(shape=(months, 1), dtype=torch.float32)
        self.action_spec = group(action=Bounded(shape=(*shape, N_ACTION), **box))
        self.reward_spec = group(reward=Unbounded(shape=(*shape, 1), dtype=torch.float32))
        flag = Binary(n=1, shape=(months, 1), dtype=torch.bool)
        self.done_spec = Composite(done=flag.clone(), terminated=flag.clone(), truncated=flag.clone(), shape=(months,))
        self._next_seed: int | None = None

    def _rows(self, obs: np.ndarray, welfare: np.ndarray, over: bool) -> dict[str, Any]:
        months = self.env.num_envs
        no = torch.zeros(months, 1, dtype=torch.bool)
        ends = torch.full((months, 1), over)
        return {
            "agents": TensorDict({"observation": torch.from_numpy(obs)}, batch_size=obs.shape[:2]),
            "welfare": torch.as_tensor(welfare, dtype=torch.float32)[:, None],
            "done": ends,
            "terminated": no,
            "truncated": ends.clone(),
        }

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is not None and not bool(mask.all()):
            raise VppError(
                f"reset: got {int(mask.sum())} of {self.env.num_envs} months; allowed is all: they share one clock"
            )
        obs, _ = self.env.reset(seed=self._next_seed)
        self._next_seed = None
        return TensorDict(self._rows(obs, np.zeros(self.env.num_envs), False), batch_size=self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        actions = tensordict["agents", "action"].detach().cpu().numpy()
        obs, joint, _, ends, infos = self.env.step(actions)
        rows = self._rows(obs, joint, bool(ends.all()))
        rewards = with_profit(joint, infos["home_rewards"])
        rows["agents"]["reward"] = torch.as_tensor(rewards, dtype=torch.float32)[..., None]
        return TensorDict(rows, batch_size=self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        self._next_seed = seed
