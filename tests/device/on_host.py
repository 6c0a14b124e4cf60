"""Times what the host works out of months on a GPU, without one: `python tests/device/on_host.py [MONTHS] [HOMES]`.

Kernels do nothing here, and device memory is this machine's: what is left is Python between the launches, books and
copies. Launches, and copies over a bus, are not in it.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from vpp_env import load_scenario
from vpp_env.api.device import months
from vpp_env.contract.bids import N_ACTION
from vpp_env.simulation.month import Month

DISTINCT = 8


class Memory(np.ndarray[Any, Any]):
    """Stands for an array in device memory."""

    def copy_to_host(self, into: Any = None) -> Any:
        """Copy it, into an array or a fresh one."""
        if into is None:
            return np.array(self)
        into[:] = self
        return into

    def copy_to_device(self, values: Any) -> None:
        """Copy to it."""
        self[:] = values


def array(shape: Any, dtype: Any) -> Any:
    """Return one that is not in memory before it is touched."""
    return np.zeros(shape, dtype).view(Memory)


class Nothing:
    """Stands for a kernel that does nothing."""

    def __getitem__(self, grid: object) -> Any:
        return lambda *args: None


def new(n_months: int, homes: int) -> Any:
    """Return months of August whose kernels do nothing; what homes could give and gave is drawn once."""
    months.kernels = SimpleNamespace(**{name: Nothing() for name in vars(months.kernels)})
    months.cuda = SimpleNamespace(
        to_device=lambda x: np.array(x).view(Memory), device_array=array, pinned_array=np.zeros
    )
    scenario = load_scenario("august").override({"fleet.size": homes})
    made = months.DeviceMonths([Month(scenario, 10_000 + d) for d in range(DISTINCT)], np.arange(n_months) % DISTINCT)
    made._row[:] = np.random.default_rng(0).uniform(-0.5, 2.5, made._row.shape)
    return made


if __name__ == "__main__":
    n_months, homes = (int(x) for x in [*sys.argv[1:], "4096", "200"][:2])
    played = new(n_months, homes)
    count = played.world.scenario.n_opportunities
    bids = array((n_months, homes, N_ACTION), np.float32)
    for _ in range(3):
        played.reset()
        spent = np.empty(count)
        for o in range(count):
            begin = time.process_time()
            played.step(bids)
            played.observe()
            spent[o] = time.process_time() - begin
        paid = int((played.host.firm.paid_usd != 0.0).any(axis=0).sum())
        print(
            f"{spent[:-1].mean() * 1e3:.2f} ms an opportunity, {spent[:-1].max() * 1e3:.1f} ms at most, "
            f"{spent[-1] * 1e3:.0f} ms the last one; {paid} evenings pay something"
        )
