"""Compiled code is never older than the sources it was made from."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vpp_env.core import loops
from vpp_env.jit import cache_dir
from vpp_env.market import energy
from vpp_env.market.opportunity import play


def load(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("other_jit", folder / "jit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_edit_anywhere_in_the_package_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    copy = tmp_path / "vpp_env"
    shutil.copytree(Path(loops.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    first = load(copy).cache_dir()
    assert Path(first).parent.parent == copy
    assert load(copy).cache_dir() == first, "the same sources share their cache"
    for name in ("core/devices/battery.py", "core/home.py", "units.py"):
        source = copy / name
        source.write_text(source.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
        edited = load(copy).cache_dir()
        assert edited != first, name
        first = edited


def test_the_opportunity_and_what_it_calls_share_one_cache() -> None:
    for function in (play, loops.run_baseline, energy.clear_energy):
        assert Path(function.stats.cache_path).is_relative_to(cache_dir())


SLOW_TO_COMPILE = """
import sys, time
from pathlib import Path
from numba.core import event
from vpp_env.jit import kernel

class Watch(event.Listener):
    def on_start(self, event):
        with open(sys.argv[1], "a") as log:
            log.write("compiled\\n")
        time.sleep(1.0)  # long enough for the other one to come
    def on_end(self, event):
        pass

@kernel
def twice(x):
    return 2 * x

Path(sys.argv[2]).touch()
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
with event.install_listener("numba:compile", Watch()):
    assert twice(3) == 6
"""


def test_a_second_process_waits_for_the_cache(tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text(SLOW_TO_COMPILE, encoding="utf-8")
    log, here = tmp_path / "log", [tmp_path / "first", tmp_path / "second"]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    # each begins when the other one is ready
    both = [
        subprocess.Popen([sys.executable, str(tmp_path / "same.py"), str(log), str(mine), str(other)], env=env)
        for mine, other in (here, here[::-1])
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert log.read_text(encoding="utf-8").split() == ["compiled"]
