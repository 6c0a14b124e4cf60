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
from vpp_env.api.device.exact import exactly
from vpp_env.api.device.memory import IN_BLOCK
from vpp_env.contract.bids import N_ACTION
from vpp_env.simulation.month import Month

HOMES = IN_BLOCK
CARD = (9, 0)
"""Compute capability that is compiled for: an H100's."""
FUSED = r"^\s*(fma\.rn|(mul|add|sub))\.(f64|f32)\b"
"""Fused multiply-adds, and what the assembler might fuse: a product or a sum whose rounding is not said."""


class Calls:
    """Stands for a kernel: keeps the types of what it is called with."""

    def __init__(self, seen: dict[str, Any], name: str) -> None:
        self._seen, self._name = seen, name

    def __getitem__(self, grid: object) -> Any:
        return lambda *args: self._seen.__setitem__(self._name, tuple(typeof(x) for x in args))


def signatures() -> dict[str, tuple[Any, Any]]:
    """Kernels and the types that they are called with, from a world in this machine's memory."""
    seen: dict[str, Any] = {}
    names = ("spread", "wait", "pick", "check_actions", "end_day")
    made: list[kernels.Kernels] = []

    def compiled(shared: Any, own: Any, threads: int) -> kernels.Kernels:
        made.append(kernels.compiled(shared, own, threads))
        return kernels.Kernels(*(Calls(seen, name) for name in kernels.Kernels._fields))

    months.kernels = SimpleNamespace(compiled=compiled, **{name: Calls(seen, name) for name in names})
    months.cuda = SimpleNamespace(
        is_available=lambda: True, to_device=lambda x: x, device_array=np.zeros, pinned_array=np.zeros
    )
    months.zero = lambda array: None
    months.Host = MagicMock()
    months.Host.return_value.played.return_value = months.Host.return_value.begin.return_value = False
    scenario = load_scenario("quick").override({"fleet.size": HOMES, "time.duration_hours": 2})
    played = months.DeviceMonths([Month(scenario, 10_000)], np.zeros(1, dtype=np.int64))
    played.observe()
    months.kernels.pick[1, 1](played._own.real, 3, played._own.real)
    bids = np.zeros((1, HOMES, N_ACTION), dtype=np.float32)
    played.step(bids)
    months.kernels.end_day[1, 1](played._shared, played._own, played._patience, 0)
    months.kernels.check_actions[1, 1](bids, np.zeros(1, dtype=np.int32))
    found = {name: getattr(kernels, name) for name in names} | made[0]._asdict()
    return {name: (found[name], kinds) for name, kinds in seen.items()}


def assembled(code: str, most: int | None) -> str:
    """Registers (`most` at most) and spilled bytes of PTX code, assembled for the card; empty without an assembler."""
    found = find_spec("nvidia.cuda_nvcc")
    tool = Path(*found.submodule_search_locations or ("",)) / "bin" / "ptxas" if found else Path()
    if not tool.is_file():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(code)
        arch = "sm_{}{}".format(*CARD)
        limit = [] if most is None else ["-maxrregcount", str(most)]
        command = [str(tool), *limit, "-arch", arch, "-v", "-o", str(source.with_suffix(".bin")), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
    said = done.stderr
    if done.returncode:  # an assembler that is older than the compiler beside it
        return f", not assembled: {said.splitlines()[0]}"
    registers, spilled = (
        re.findall(words, said)[-1] for words in (r"Used (\d+) registers", r"(\d+) bytes spill stores")
    )
    return f", {registers} registers, {spilled} bytes spilled"


if __name__ == "__main__":
    # functions that a kernel calls are compiled for the card at hand: say which that is
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CARD)
    for name, (kernel, found) in signatures().items():
        begin = time.perf_counter()
        with exactly():
            code, _ = cuda.compile_ptx(kernel.py_func, found, cc=CARD)
        most = kernel.targetoptions.get("max_registers")
        lines, fused = len(code.splitlines()), len(re.findall(FUSED, code, re.MULTILINE))
        needs, seconds = assembled(code, most), time.perf_counter() - begin
        waits, calls = code.count("bar.sync"), len(re.findall(r"^\s*call", code, re.MULTILINE))
        said = f"{lines:>6} lines of PTX, {fused:>4} fused multiply-adds, {waits:>2} barriers, {calls} calls"
        print(f"{name:<17} {said}{needs}, {seconds:.1f} s", flush=True)
    sys.exit(0)
