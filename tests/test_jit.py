"""Compiled code is never older than the sources it was made from."""

from __future__ import annotations

import copy
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from numba.core.errors import NumbaError, TypingError

from vpp_env.core import loops
from vpp_env.jit import borrowing, cache_dir, inlined, internal, kernel, steady
from vpp_env.market.opportunity import play
from vpp_env.units import Floats


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


KERNEL = """
import importlib.util, sys
from numba.core import event

spec = importlib.util.spec_from_file_location("other_jit", sys.argv[1])
jit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jit)

class Watch(event.Listener):
    def on_start(self, event):
        print("compiled")
    def on_end(self, event):
        pass

@jit.kernel
def twice(x):
    return 2 * x

with event.install_listener("numba:compile", Watch()):
    assert twice(3) == 6
print(jit.cache_dir())
"""


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of which nothing can be written, for a user who has no home; root can write everywhere, but no folder
    where a file is."""
    package = tmp_path / "vpp_env"
    package.mkdir()
    shutil.copy(Path(loops.__file__).parents[1] / "jit.py", package)
    for file in (package / "__pycache__", tmp_path / "home"):
        file.touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    for name, value in {"XDG_CACHE_HOME": "", "HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return package


def test_where_nothing_can_be_written_kernels_are_temporary_once_with_a_note(read_only: Path, tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text(KERNEL, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "same.py"), str(read_only / "jit.py")]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    folder = tmp_path / "tmp" / f"vpp_env-{os.getuid()}"
    assert first.stdout.split()[0] == "compiled"
    assert Path(first.stdout.split()[-1]).parent == folder
    assert first.stderr.splitlines() == [
        f"compiled kernels are kept in {folder}: neither the package nor the home folder can be written; "
        "NUMBA_CACHE_DIR names another"
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (second.stdout.split(), second.stderr) == (first.stdout.split()[-1:], "")


def test_no_code_is_loaded_from_a_folder_that_others_can_write(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # read TMPDIR again
    shared = tmp_path / "tmp" / f"vpp_env-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    chosen = Path(str(load(read_only).cache_dir())).parent
    assert chosen != shared
    assert chosen.parent == shared.parent
    assert chosen.stat().st_mode & 0o777 == 0o700


def test_where_there_is_no_temporary_folder_either_kernels_are_compiled_every_time(
    read_only: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    jit = load(read_only)
    assert jit.cache_dir() is None
    assert jit.kernel(lambda x: 2 * x)(3) == 6
    assert [record.message for record in caplog.records] == [
        "kernels are compiled again in every process: neither the package nor the home folder can be written, nor a "
        "temporary one; set NUMBA_CACHE_DIR"
    ]


def test_the_opportunity_and_what_it_calls_share_one_cache() -> None:
    for function in (play, loops.run_baseline, loops.look):
        assert Path(function.stats.cache_path).is_relative_to(str(cache_dir()))


def test_a_lent_array_is_not_given_back() -> None:
    @inlined
    def row(x: tuple[Floats, int]) -> tuple[int, Floats]:
        return x[1], x[0][1]

    @inlined
    def made(n: int) -> Floats:
        return np.zeros(n)

    @kernel
    def use(x: tuple[Floats, int]) -> Floats:
        return row(x)[1]

    @kernel
    def make(n: int) -> Floats:
        return made(n)

    with pytest.raises(
        TypeError, match=r"row is part of kernels and returns an array; allowed are numbers, or @kernel"
    ):
        use((np.zeros((2, 2)), 1))
    with pytest.raises(TypingError, match="array"):
        make(3)


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
    assert twice(eval(sys.argv[4])) == 2 * eval(sys.argv[4])
"""


def both_at_once(tmp_path: Path, x: tuple[str, str]) -> list[str]:
    """Let two processes call one kernel at the same time, with `x`; return what was compiled."""
    (tmp_path / "same.py").write_text(SLOW_TO_COMPILE, encoding="utf-8")
    log, here = tmp_path / "log", [tmp_path / "first", tmp_path / "second"]
    log.touch()
    for ready in here:
        ready.unlink(missing_ok=True)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    # each begins when the other one is ready
    both = [
        subprocess.Popen([sys.executable, str(tmp_path / "same.py"), str(log), str(mine), str(other), arg], env=env)
        for arg, mine, other in zip(x, here, here[::-1], strict=True)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    lines = log.read_text(encoding="utf-8").split()
    log.unlink()
    return lines


def test_a_second_process_waits_for_the_cache(tmp_path: Path) -> None:
    assert both_at_once(tmp_path, ("3", "3")) == ["compiled"]


def test_processes_compile_variants_side_by_side_and_both_are_kept(tmp_path: Path) -> None:
    assert both_at_once(tmp_path, ("3", "1.5")) == ["compiled"] * 2
    assert both_at_once(tmp_path, ("1.5", "3")) == [], "neither variant has cost the cache the other one"


def test_a_kernel_that_borrows_leaves_references_as_they_were_and_makes_no_array() -> None:
    def double(given: Floats, out: Floats) -> float:
        for i in range(len(given)):
            out[i] = 2.0 * given[i]
        return float(out[0])

    def make(n: int) -> float:
        return float(np.zeros(n)[0])

    given, out = np.arange(3.0), np.zeros(3)
    before = sys.getrefcount(given), sys.getrefcount(out)
    doubled = borrowing(double)
    for _ in range(100):
        assert doubled(given, out) == 0.0
    assert (sys.getrefcount(given), sys.getrefcount(out)) == before
    assert out.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(NumbaError, match="Only accept returning of array passed"):
        borrowing(make)(3)


class Pair(NamedTuple):
    one: Floats
    two: Floats | None


@kernel
def _times(pair: Pair, factor: float, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = factor * pair.one[i]


def test_a_steady_kernel_sees_every_change_of_what_it_is_given() -> None:
    call, out = steady(_times), np.zeros(3)
    base = np.arange(6.0)
    locked = np.arange(3.0)
    locked.setflags(write=False)
    given: list[tuple[Pair, Any]] = [
        (Pair(base[:3], None), 2.0),
        (Pair(base[3:], None), 2.0),
        (Pair(base[::2], None), 2.0),
        (Pair(base[:3].astype(np.float32), None), 2.0),
        (Pair(base[:3].astype(np.int64), None), 3),
        (Pair(locked, None), 2.0),
        (Pair(base[:3], base), 2.0),
        (Pair(base[:3].astype(">f8").astype("<f8"), None), 0.5),
    ]
    for pair, factor in given * 2:
        call(pair, factor, out)
        np.testing.assert_array_equal(out, factor * pair.one.astype(np.float64))
    with pytest.raises(TypingError):
        call(Pair(1.0, None), 2.0, out)  # type: ignore[arg-type]
    for again in (call, copy.deepcopy(call), pickle.loads(pickle.dumps(call))):
        again(Pair(base[:3], None), 2.0, out)
        np.testing.assert_array_equal(out, 2.0 * base[:3])
        out[:] = 0.0


def test_what_kernels_call_is_machine_code_in_them_alone() -> None:
    @inlined
    def increased(x: float) -> float:
        if x < 0.0:
            raise ValueError("below nothing")
        return x + 1.0

    @internal
    def share(x: float, y: float) -> float:
        return increased(x) / y

    @kernel
    def whole(x: float, y: float) -> float:
        return share(x, y) + increased(x)

    assert whole(1.0, 2.0) == 3.0
    with pytest.raises(ValueError, match="below nothing"):
        whole(-1.0, 2.0)
    with pytest.raises(ZeroDivisionError):
        whole(1.0, 0.0)
    for made, is_code in ((increased, False), (share, False), (whole, True)):
        (entry,) = cast(Any, made).overloads.values()
        engine = entry.library.codegen._engine
        assert bool(engine.get_function_address(entry.fndesc.llvm_func_name)) == is_code, made


def test_a_part_is_compiled_once_for_all_numbers_that_calls_of_it_name() -> None:
    @inlined
    def shifted(x: float, by: int, double: bool) -> float:
        return 2.0 * (x + by) if double else x + by

    @kernel
    def both(x: float) -> float:
        return shifted(x, 1, True) + shifted(x, 2, False) * shifted(x, 3, False)

    assert both(1.0) == 4.0 + 3.0 * 4.0
    assert len(cast(Any, shifted).overloads) == 1
