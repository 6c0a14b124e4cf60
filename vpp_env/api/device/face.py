"""The vector environment's part that plays on a GPU: months by seed, kept in device memory from reset to reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vpp_env.api.device.months import DeviceMonths, check_device
from vpp_env.api.episode import Setting
from vpp_env.api.pool import MonthPool
from vpp_env.simulation.world import World


class DeviceFace:
    """Episodes of M months on a GPU; see `vpp_env.api.gym.VectorMarketMonth`.

    Parameters
    ----------
    n_months : int
        Months side by side, M.
    setting : Setting
        The world that the environment is made with.

    Raises
    ------
    VppError
        When there is no GPU, or the scenario has what is not played on one.
    """

    def __init__(self, n_months: int, setting: Setting) -> None:
        check_device(setting.scenario)
        self._pool = MonthPool(n_months)
        self._key: tuple[tuple[int, ...], Setting] | None = None
        self.months: DeviceMonths | None = None

    def begin(self, seeds: Sequence[int], setting: Setting) -> tuple[Any, World]:
        """Begin the episode of these seeds, one for each month; what lies in device memory already is used again.

        Parameters
        ----------
        seeds : sequence of int
            One for each month.
        setting : Setting
            The world of this episode.

        Returns
        -------
        observations : device array
            (M, N, N_OBS) float32.
        world : World
            Of the distinct months, on the host: clock and prices.
        """
        key = (tuple(seeds), setting)
        if self.months is None or key != self._key:
            check_device(setting.scenario)
            distinct, which = np.unique(np.asarray(seeds), return_inverse=True)
            self.months = None  # its memory is free before the next ones are copied
            self.months = DeviceMonths([self._pool.get(int(seed), setting) for seed in distinct], which.reshape(-1))
            self._key = key
        else:
            self.months.reset()
        return self.months.observe(), self.months.world

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """Begin to make the months of an episode to come, on the host."""
        self._pool.prepare(seeds, setting)

    def step(self, actions: Any) -> tuple[Any, Any, bool, dict[str, Any]]:
        """Play one opportunity; return observations, rewards, whether the months are over, and infos."""
        assert self.months is not None
        played = self.months.step(actions)
        infos = {"vpp_profit_usd": played.profit, "home_rewards": played.homes, "costs": played.costs}
        return self.months.observe(), played.rewards, played.over, infos

    def no_rewards(self) -> Any:
        """(M,) zeros in device memory: of the step that resets."""
        assert self.months is not None
        return self.months.no_rewards
