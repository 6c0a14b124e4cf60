"""Plays on Numba's CUDA simulator what `test_cuda.py` played on the CPU: `python simulated.py FOLDER`.

A process of its own: the simulator is chosen before Numba is imported, and needs the functions of one home uncompiled.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

os.environ |= {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}

import numpy as np
import pytest
from numba.cuda.simulator import kernelapi
from test_cuda import hand_in, kpis_of

from vpp_env import BidError, VectorMarketMonth, VppError, load_scenario
from vpp_env.api.device import kernels, months
from vpp_env.api.device.memory import HEADROOM, LEDGER, STATE


class Once(dict[Any, Any]):
    """A block's shared arrays by the line that asks for them: one thread makes an array, and the others wait for it.

    The simulator looks whether there is one, and makes it where there is none: two threads that look at once would
    have one each, and what one of them writes is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._making = threading.Lock()

    def get(self, line: Any, default: Any = None) -> Any:
        """Return the array, or keep all others from looking until it is there."""
        self._making.acquire()
        found = super().get(line, default)
        if found is not None:
            self._making.release()
        return found

    def __setitem__(self, line: Any, array: Any) -> None:
        super().__setitem__(line, array)
        self._making.release()


def share_once() -> None:
    """Mend the simulator, see `Once`."""
    begin = kernelapi.FakeCUDAShared.__init__

    def init(self: Any, *given: Any) -> None:
        begin(self, *given)
        self._allocations = Once()

    kernelapi.FakeCUDAShared.__init__ = init


def held(face: VectorMarketMonth) -> dict[str, Any]:
    """What lies in the memory of the device after a step."""
    months = face._months.months
    own = months._own
    x = own.real.copy_to_host()
    return {
        "state": x[:, STATE : STATE + 7],
        "headroom": x[:, HEADROOM:LEDGER],
        "ledger": x[:, LEDGER : LEDGER + 32],
        "flows": own.sums.copy_to_host()[..., 0],
        "void": own.flags.copy_to_host()[:, 0, :, 0],
        "absent": own.absent.copy_to_host(),
        "owners": np.stack([x.copy_to_host() for x in (own.annoyance, own.days_out, own.times)], axis=1),
    }


def play(folder: Path, case: dict[str, Any]) -> None:
    """Play one case and keep what it came to."""
    face = VectorMarketMonth(len(case["seeds"]), load_scenario("quick").override(case["changes"]), device="cuda")
    actions = np.load(folder / f"{case['name']}-actions.npy")
    obs, infos = face.reset(seed=case["seeds"])
    assert infos["seed"].tolist() == case["seeds"]
    made: dict[str, list[Any]] = {"observations": [obs.copy_to_host()]}
    for step, bids in enumerate(actions):
        if step == 1:
            refused(face, bids)
        hand_in(face, step)
        obs, reward, _, over, infos = face.step(bids)
        one = {
            "observations": obs.copy_to_host(),
            "reward": reward.copy_to_host(),
            "homes": infos["home_rewards"].copy_to_host(),
            "profit": infos["vpp_profit_usd"].copy_to_host(),
            "costs": infos["costs"].copy_to_host(),
            **held(face),
        }
        for name, value in one.items():
            made.setdefault(name, []).append(value)
    assert over.all()
    # the same months again: nothing of the first episode is left
    again, _ = face.reset(seed=case["seeds"])
    assert np.array_equal(again.copy_to_host(), made["observations"][0])
    assert not held(face)["owners"].any()
    hand_in(face, 0)
    _, reward, *_ = face.step(actions[0])
    assert np.array_equal(reward.copy_to_host(), made["reward"][0])
    arrays = {name: np.array(values) for name, values in made.items()}
    np.savez(folder / f"{case['name']}-cuda.npz", **arrays, **kpis_of(infos))


def refused(face: VectorMarketMonth, bids: Any) -> None:
    """Bids in device memory that are no bids change nothing."""
    from numba import cuda

    wrong = bids.copy()
    wrong[0, 1, 2] = np.nan
    with pytest.raises(BidError, match="override is float64"):
        face.submit(override=np.ones(bids.shape[:2]))
    for given, words in ((wrong, "not finite"), (3.0 * bids, "allowed is [-1, 1]"), (bids[:, :1], "of shape")):
        before = held(face)
        with pytest.raises(BidError, match=re.escape(words)):
            face.step(cuda.to_device(np.ascontiguousarray(given)))
        assert all(np.array_equal(before[name], value) for name, value in held(face).items())


def too_much() -> None:
    """A home whose bid does not fit into what a card keeps of it is refused."""
    batteries = {"fleet.size": 2, "fleet.share_bess": 1.0, "fleet.bess_kwh_kw_weight": ((1e9, 1e8, 1.0),)}
    face = VectorMarketMonth(1, load_scenario("quick").override(batteries), device="cuda")
    with pytest.raises(VppError, match="allowed on a GPU is less than"):
        face.reset(seed=1)


if __name__ == "__main__":
    sys.setswitchinterval(1e-4)  # a block of the simulator waits for its threads in a loop
    share_once()
    folder = Path(sys.argv[1])
    too_much()
    for case in json.loads((folder / "cases.json").read_text()):
        # a block has room for fewer homes than a month has, and for fewer than it has threads
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "_COMPILED", {})  # where such numbers are constants
            for name, value in case["room"].items():
                for module in (kernels, months):
                    if hasattr(module, name):
                        patch.setattr(module, name, value)
            play(folder, case)
