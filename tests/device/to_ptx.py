"""Compiles the kernels for a card without having one, and prints what each needs: `python tests/device/to_ptx.py`.

Needs `pip install "vpp-env[cuda]"`, and no driver. To the card's own code, where its assembler is at hand (it is one
of the packages that the extra brings); that they compile is all that it shows.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from numba import cuda, typeof
from numba.cuda import dispatcher

from vpp_env import load_scenario
from vpp_env.api.device import kernels, months
from vpp_env.contract.bids import N_ACTION
from vpp_env.simulation.month import Month

CARD = (9, 0)
"""Compute capability that is compiled for: an H100's."""


class Calls:
    """Stands for a kernel: keeps the types of what it is called with."""

    def __init__(self, seen: dict[str, Any], name: str) -> None:
        self._seen, self._name = seen, name

    def __getitem__(self, grid: object) -> Any:
        return lambda *args: self._seen.__setitem__(self._name, tuple(typeof(x) for x in args))


def signatures() -> dict[str, Any]:
    """Types that the kernels are called with, from a world of two homes in this machine's memory."""
    seen: dict[str, Any] = {}
    names = ("spread", "wait", "pick", "check_actions", "play_opportunity", "settle_opportunity", "observe", "end_day")
    months.kernels = SimpleNamespace(**{name: Calls(seen, name) for name in names})
    months.cuda = SimpleNamespace(
        is_available=lambda: True, to_device=lambda x: x, device_array=np.zeros, pinned_array=np.zeros
    )
    months.zero = lambda array: None
    months.Host = MagicMock()
    months.Host.return_value.played.return_value = months.Host.return_value.begin.return_value = False
    scenario = load_scenario("quick").override({"fleet.size": 2, "time.duration_hours": 2})
    played = months.DeviceMonths([Month(scenario, 10_000)], np.zeros(1, dtype=np.int64))
    played.observe()
    months.kernels.pick[1, 1](played._own.real, 3, played._own.real)
    bids = np.zeros((1, 2, N_ACTION), dtype=np.float32)
    played.step(bids)
    months.kernels.end_day[1, 1](played._shared, played._own, played._patience, 0)
    months.kernels.check_actions[1, 1](bids, np.zeros(1, dtype=np.int32))
    return seen


def assembled(code: str) -> str:
    """Registers and spilled bytes of PTX code, assembled for the card; empty without an assembler."""
    found = find_spec("nvidia.cuda_nvcc")
    tool = Path(*found.submodule_search_locations or ("",)) / "bin" / "ptxas" if found else Path()
    if not tool.is_file():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(code)
        arch = "sm_{}{}".format(*CARD)
        command = [str(tool), "-arch", arch, "-v", "-o", str(source.with_suffix(".bin")), str(source)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers, spilled = (
        re.findall(words, said)[-1] for words in (r"Used (\d+) registers", r"(\d+) bytes spill stores")
    )
    return f", {registers} registers, {spilled} bytes spilled"


if __name__ == "__main__":
    # functions that a kernel calls are compiled for the card at hand: say which that is
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CARD)
    for name, found in signatures().items():
        begin = time.perf_counter()
        code, _ = cuda.compile_ptx(getattr(kernels, name).py_func, found, cc=CARD)
        lines, fused = len(code.splitlines()), len(re.findall(r"\bfma\.rn\.f64", code))
        seconds = time.perf_counter() - begin
        print(
            f"{name:<17} {lines:>6} lines of PTX, {fused:>4} fused multiply-adds{assembled(code)}, {seconds:.1f} s",
            flush=True,
        )
    sys.exit(0)
