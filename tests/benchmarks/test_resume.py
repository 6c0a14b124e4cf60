"""Experiments that are killed, resumed, locked, or meet a disk that takes nothing: nothing done is ever lost."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.main import main as vpp_env
from vpp_benchmarks.results import store
from vpp_benchmarks.run import ceilings as of_units
from vpp_benchmarks.run import runner
from vpp_benchmarks.run.ceilings import ceilings
from vpp_benchmarks.run.job import not_run
from vpp_benchmarks.run.plan import PlanError
from vpp_policies.optimal.ceilings import Effort

from tests.benchmarks.folders import result_files, run_files, write_sealed
from vpp_env.simulation.month import Month

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ["truthful", "random", "agentic"]
ARGS = ["--scenario", "quick", "--policies", *POLICIES, "--seeds", "0:4", "--no-figures"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert main([*ARGS, "--out", str(out), "--quiet"]) == 0
    return out


def assert_same(one: Path, two: Path) -> None:
    assert run_files(one) == run_files(two)
    assert result_files(one) == result_files(two)


def killed(out: Path, after: int, *extra: str) -> int:
    """Start the experiment as somebody types it, kill it once `after` runs are there, and return how many are."""
    command = [str(Path(sys.executable).with_name("vpp-env")), "compare", *ARGS, "--out", str(out), "--quiet", *extra]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if (out / "runs").is_dir() and len(list((out / "runs").glob("quick*"))) >= after:
                break
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return len(list((out / "runs").glob("quick*/manifest.json")))


def test_killed_and_resumed_is_the_same_to_the_byte(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = killed(out, random.Random(os.getpid()).randrange(1, 11))
    before = {f: f.stat().st_mtime_ns for f in (out / "runs").glob("quick*/summary.json")}
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    assert_same(undisturbed, out)
    # what was there is not run again
    assert len(before) == done
    assert all(f.stat().st_mtime_ns == stamp for f, stamp in before.items())


def test_resume_runs_only_what_is_missing_or_not_complete(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    shutil.rmtree(out / "runs" / "quick-s2-random")
    (out / "runs" / ".tmp-quick-s3-random").mkdir()
    (out / store.LIVE).write_text("{}", "utf-8")  # of a process that was killed
    store.temporary_of(out / store.LIVE).write_text("{", "utf-8")
    broken = out / "runs" / "quick-s1-truthful" / "manifest.json"
    broken.write_text(broken.read_text("utf-8").replace('"status": "complete"', '"status": "failed"'), "utf-8")
    stamps = {f.parent.name: f.stat().st_mtime_ns for f in (out / "runs").glob("*/summary.json")}
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    again = {
        f.parent.name
        for f in (out / "runs").glob("*/summary.json")
        if stamps.get(f.parent.name) != f.stat().st_mtime_ns
    }
    assert again == {"quick-s2-random", "quick-s1-truthful"}
    assert not list((out / "runs").glob(".tmp*"))
    assert_same(undisturbed, out)


def test_runs_of_other_versions_are_told(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    for name in ("quick-s0-random", "quick-s3-truthful"):
        path = out / "runs" / name / "manifest.json"
        manifest = json.loads(path.read_text("utf-8"))
        manifest["packages"]["numpy"] = "0.1"
        write_sealed(path, manifest)
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    assert "2 of them were played by other versions" in (out / "simulation.log").read_text("utf-8")


def test_ceilings_are_worked_out_once_and_again_where_they_were_edited(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    edited = out / "seed_1" / "simulation_summary.json"
    data = json.loads(edited.read_text("utf-8"))
    data["ceilings"]["welfare"][1] /= 2  # all scores twice as high
    edited.write_text(json.dumps(data), encoding="utf-8")
    for command in ("leaderboard", "report", "paper"):
        assert vpp_env([command, str(out)]) == 2
        assert "seed_1: simulation_summary.json has been changed since it was written" in capsys.readouterr().err
    (out / "seed_2" / "simulation_summary.json").unlink()
    asked: list[int] = []

    def counted(month: Month, effort: Effort) -> dict[str, Any]:
        asked.append(month.seed)
        return ceilings(month, effort)

    monkeypatch.setattr(of_units, "ceilings", counted)
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    assert asked == [1, 2]
    assert_same(undisturbed, out)
    assert vpp_env(["leaderboard", str(out)]) == 0


def test_a_ceiling_that_fails_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(month: Month, effort: Effort) -> dict[str, Any]:
        raise PlanError("no ceiling today")

    monkeypatch.setattr(of_units, "ceilings", fails)
    for executor in ("serial", "processes"):
        out = tmp_path / executor
        args = ["--scenario", "quick", "--policies", "idle", "--no-figures", "--quiet", "--executor", executor]
        assert main([*args, "--out", str(out)]) == 2
        # what was played is safe, and can be continued with
        assert len(list((out / "runs").iterdir())) == 1


def test_processes_give_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*ARGS, "--out", str(out), "--quiet", "--executor", "processes", "--jobs", "3"]) == 0
    assert_same(undisturbed, out)


@pytest.mark.slow
def test_ray_gives_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    out = tmp_path / "out"
    assert main([*ARGS, "--out", str(out), "--quiet", "--executor", "ray", "--jobs", "2"]) == 0
    assert not ray.is_initialized()
    assert_same(undisturbed, out)


@pytest.mark.slow
def test_a_ray_worker_that_dies_is_a_failed_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.syspath_prepend(str(ROOT))
    out = tmp_path / "out"
    args = ["--scenario", "quick", "--policies", "tests.benchmarks.test_process_pool:Dies", "idle", "--no-figures"]
    assert main([*args, "--out", str(out), "--quiet", "--executor", "ray", "--jobs", "2"]) == 1
    policies = json.loads((out / "manifest.json").read_text("utf-8"))["policies"]
    assert policies["idle"]["status"] == "complete"
    assert policies["dies"]["status"] == "failed"
    assert "Ray worker ended" in policies["dies"]["reason"]


def test_two_never_write_the_same_folder(undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    hold = "import sys, time; from pathlib import Path; from vpp_benchmarks.results import store\n"
    hold += "with store.locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(out)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert main(["--resume", str(out)]) == 2
        assert "being written by another process" in capsys.readouterr().err
        other.kill()
    # the lock went with its process
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_full_disk_loses_nothing(
    executor: str,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    write, written = Path.write_bytes, 0

    def full(path: Path, content: Any) -> int:
        nonlocal written
        written += "runs" in path.parts
        if written > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert main([*ARGS, "--out", str(out), "--quiet", "--executor", executor]) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert f"--resume {out}" in error
    whole = {f.parent.name for f in (out / "runs").glob("*/manifest.json")}
    assert f"{len(whole)} of 12 runs are complete and safe" in error
    assert len(whole) >= 4
    assert not [f for f in (out / "runs").iterdir() if f.name.startswith(".")]
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    assert_same(undisturbed, out)


@pytest.mark.skipif(os.name != "posix" or shutil.which("mount") is None or os.geteuid() != 0, reason="needs root")
@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        command = [str(Path(sys.executable).with_name("vpp-env")), "compare", *ARGS, "--out", str(disk / "out")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "complete and safe" in done.stderr
        assert "Traceback" not in done.stderr.split("error: ")[-1]
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert main(["--resume", str(disk / "out"), "--quiet", "--no-figures"]) == 0
        assert len(list((disk / "out" / "runs").glob("*/manifest.json"))) == 12
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.write_text("", "utf-8")  # root may write into a read-only folder, but nobody into a file
    assert main([*ARGS, "--out", str(taken / "out"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write")
    assert len(error.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert main([*ARGS, "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert "Permission denied" in capsys.readouterr().err


class Stopped:
    """An executor that is interrupted before anything begins."""

    def map(self, jobs: Any, progress: Any) -> Any:
        yield from (not_run(job) for job in jobs)


def test_interrupted_before_anything_began(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(runner, "choose", lambda *args: Stopped())
        assert main([*ARGS, "--out", str(out)]) == 130
    assert f"--resume {out}" in capsys.readouterr().out
    assert (out / "report.html").is_file()
    assert main(["--resume", str(out), "--quiet", "--no-figures"]) == 0
    assert_same(undisturbed, out)


def test_a_folder_in_which_nothing_was_begun_is_free(tmp_path: Path) -> None:
    (tmp_path / store.LOCK).write_text("", "utf-8")
    store.temporary_of(tmp_path / store.EXPERIMENT).write_text('{"sch', "utf-8")  # killed while it was written
    assert main(["--scenario", "quick", "--policies", "idle", "--out", str(tmp_path), "--quiet", "--no-figures"]) == 0


def test_resume_says_what_it_cannot_do(undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", str(tmp_path)]) == 2
    assert "no experiment.json" in capsys.readouterr().err
    assert main(["--resume", str(undisturbed), "--seeds", "0:9"]) == 2
    assert "leave out --seeds" in capsys.readouterr().err
    assert main([*ARGS, "--out", str(undisturbed)]) == 2
    assert f"--resume {undisturbed}" in capsys.readouterr().err


def test_resume_refuses_other_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "prices.csv", tmp_path / "out"
    rows = [f"2023-08-0{d}T{h:02d}:00:00Z,{50 + h}" for d in (1, 2, 3) for h in range(24)]
    text = "\n".join(["ts_utc,lmp_da_usd_mwh", *rows]) + "\n"
    data.write_text(text, "utf-8")
    args = ["--scenario", "quick", "--policies", "idle", "--market-data", str(data), "--quiet", "--no-figures"]
    assert main([*args, "--out", str(out)]) == 0
    data.write_text(text.replace(",60\n", ",61\n"), "utf-8")
    assert main(["--resume", str(out)]) == 2
    assert "have changed since" in capsys.readouterr().err


@pytest.mark.slow
def test_a_thousand_runs_in_bounded_memory(tmp_path: Path) -> None:
    out = tmp_path / "out"
    watch = (
        "import resource, sys\nfrom vpp_benchmarks.cli.compare import main\n"
        "code = main(sys.argv[1:])\n"
        "who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)\n"
        "print(code, *(resource.getrusage(w).ru_maxrss // 1024 for w in who))"
    )
    args = ["--scenario", "quick", "--policies", "idle", "truthful", "random", "agentic", "--seeds", "0:250"]
    begin = time.monotonic()
    command = [sys.executable, "-c", watch, *args, "--out", str(out), "--quiet", "--no-figures"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    code, parent_mb, child_mb = map(int, done.stdout.split()[-3:])
    print(f"1,000 runs: {time.monotonic() - begin:.0f} s, parent {parent_mb} MB, largest child {child_mb} MB")
    assert code == 0
    names = [f.name for f in (out / "runs").iterdir()]
    assert len(names) == 1000
    assert not [name for name in names if name.startswith(".")]
    assert len(list((out / "runs").glob("*/summary.json"))) == 1000
    assert max(parent_mb, child_mb) < 1500  # a month of 200 homes takes about 500 MB alone
    assert store.read_json(out / "statistics.json")["units"] == 250
