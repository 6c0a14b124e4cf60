"""The vector environment's part that plays on a GPU: months by seed, kept in device memory from reset to reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vpp_env.api.batch import Played
from vpp_env.api.device.months import DeviceMonths, check_device
from vpp_env.api.episode import Setting
from vpp_env.api.pool import MonthPool
from vpp_env.api.session import HandedIn
from vpp_env.errors import VppError


class DeviceFace:
    """Episodes of M months on a GPU: a `vpp_env.api.batch.Batch`.

    Parameters
    ----------
    n_months : int
        Months side by side, M.

    Raises
    ------
    VppError
        When there is no GPU.
    """

    def __init__(self, n_months: int) -> None:
        check_device()
        self._pool = MonthPool(n_months)
        self._key: tuple[tuple[int, ...], Setting] | None = None
        self._played: DeviceMonths | None = None

    def begin(self, seeds: Sequence[int], setting: Setting, options: Mapping[str, Any]) -> Any:
        """See `Batch.begin`; what lies in device memory already is used again."""
        key = (tuple(seeds), setting)
        if self._played is None or key != self._key:
            distinct, which = np.unique(np.asarray(seeds), return_inverse=True)
            self._played = None  # its memory is free before the next ones are copied
            self._played = DeviceMonths([self._pool.get(int(seed), setting) for seed in distinct], which.reshape(-1))
            self._key = key
        else:
            self._played.reset()
        return self._played.observe()

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """See `Batch.prepare`: on the host."""
        self._pool.prepare(seeds, setting)

    @property
    def months(self) -> DeviceMonths:
        """The months of the episode."""
        if self._played is None:
            raise VppError("step() before reset(): call reset() first")
        return self._played

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """See `Session.schedule_hours`."""
        return self.months.host.day_ahead.hours(self.months.t)

    @property
    def capacity_gate(self) -> bool:
        """See `Session.capacity_gate`."""
        return self.months.host.firm.is_gate(self.months.t)

    def submit(self, given: HandedIn) -> None:
        """See `Batch.submit`."""
        override = None if given.override is None else np.asarray(given.override).reshape(-1)
        self.months.host.submit(self.months.t, given._replace(override=override))

    def step(self, actions: Any) -> Played:
        """See `Batch.step`; `kpis` are NumPy's."""
        played = self.months.step(actions)
        infos = {"vpp_profit_usd": played.profit, "home_rewards": played.homes, "costs": played.costs}
        if played.kpis is not None:
            infos["kpis"] = played.kpis
        return self.months.observe(), played.rewards, self.months.done, infos

    def no_rewards(self) -> Any:
        """See `Batch.no_rewards`."""
        return self.months.no_rewards

    def close(self) -> None:
        """Give the memory back."""
        self._played = None
