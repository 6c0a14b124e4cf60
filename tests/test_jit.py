"""Compiled code is never older than the sources it was made from."""

from __future__ import annotations

import importlib.util
import shutil
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
