"""A run is of the files that its policy names: others are another run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from vpp_benchmarks.cli.compare import main as compare_main
from vpp_benchmarks.results.leaderboard import leaderboard
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.experiment import job_hash
from vpp_benchmarks.run.job import play
from vpp_benchmarks.run.named_files import named_files
from vpp_benchmarks.run.plan import PlanError, make_plan
from vpp_benchmarks.run.progress import LogProgress
from vpp_policies.learned import save

from tests.benchmarks.folders import runs_below
from vpp_env import N_ACTION, N_OBS
from vpp_env.scenario import load_scenario

POLICY = """
import numpy as np
from vpp_env import Bids, Consent, Information, PolicyInfo, encode

class Seller:
    info = PolicyInfo("seller", Information.OWN, Consent.NEVER, "sells all")

    def reset(self, rules, rng):
        self.rules = rules

    def act(self, view):
        sell, buy = self.rules.sell_limit_kw, self.rules.buy_limit_kw
        return Bids(encode(sell, buy, sell1_kw=sell, sell1_ask=ASK))
"""
TINY = ["--scenario", "quick", "--duration-hours", "3", "--no-figures", "--no-ceilings", "--quiet"]


def written(folder: Path, ask: float) -> Path:
    file = folder / "seller.py"
    file.write_text(POLICY.replace("ASK", str(ask)), encoding="utf-8")
    return file


def test_files_are_found_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    names = ("package/__init__.py", "package/inner.py", "package/weights.npz", "net.safetensors", "tape.sqlite")
    for name in names:
        (tmp_path / name).write_text(f"raise SystemExit({name!r})", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def sha(name: str) -> str:
        return sha256((tmp_path / name).read_bytes()).hexdigest()

    inner, weights = sha("package/inner.py"), sha("package/weights.npz")
    assert named_files("package.inner:Policy") == (("package.inner:Policy", inner),)
    assert named_files("package/inner.py:Policy") == (("package/inner.py:Policy", inner),)
    assert named_files("package:Policy") == (("package:Policy", sha("package/__init__.py")),)
    found = named_files("learned(path='package/weights.npz', more=['package.inner:graph', 3, 'tape.sqlite'])")
    assert found == (("package/weights.npz", weights), ("package.inner:graph", inner))
    assert named_files("learned(path='net.safetensors')") == (("net.safetensors", sha("net.safetensors")),)
    # of the registry, not there, no name of a file
    for spec in ("truthful", "learned(path='guarded_week20')", "nowhere:Policy", f"x(path='{'a' * 5000}.npz')"):
        assert named_files(spec) == ()


def test_an_edited_policy_is_played_again_on_resume(tmp_path: Path) -> None:
    file, out = written(tmp_path, 0.9), tmp_path / "out"
    args = [*TINY, "--executor", "serial", "--policies", f"{file}:Seller", "idle", "--seeds", "0:2"]
    assert compare_main([*args, "--out", str(out)], "vpp-env compare") == 0
    before = {f.name: json.loads((f / "summary.json").read_text())["welfare"] for f in (out / "runs").iterdir()}
    idle = (out / "runs" / "quick-s0-idle" / "timing.json").read_bytes()
    written(tmp_path, 0.0)
    again = ["--resume", str(out), "--policies", f"{file}:Seller", "--quiet", "--no-figures", "--no-ceilings"]
    assert compare_main(again, "vpp-env compare") == 0
    after = {f.name: json.loads((f / "summary.json").read_text())["welfare"] for f in (out / "runs").iterdir()}
    sellers = [name for name in before if name.endswith("seller")]
    assert all(before[name] == 0.0 != after[name] for name in sellers)
    # who names no file is left alone
    assert (out / "runs" / "quick-s0-idle" / "timing.json").read_bytes() == idle


def test_a_policy_that_is_edited_while_it_waits_is_not_played(tmp_path: Path) -> None:
    scenario = load_scenario("quick").override({"time.duration_hours": 3})
    (job,) = make_plan(scenario, [f"{written(tmp_path, 0.9)}:Seller"]).jobs(0)
    assert play(job, LogProgress()).complete
    file = written(tmp_path, 0.0)
    result = play(job, LogProgress())
    assert result.status == "failed"
    assert f"has changed since the run was planned: {file}:Seller" in result.reason


def test_other_weights_are_another_job_and_the_manifest_says_which(tmp_path: Path) -> None:
    scenario = load_scenario("quick").override({"time.duration_hours": 3})
    file, jobs = tmp_path / "weights.npz", []
    for bias in (0.0, 1.0):
        save(file, [(np.zeros((N_OBS, N_ACTION)), np.full(N_ACTION, bias))])
        jobs += make_plan(scenario, [f"learned(path='{file}')"]).jobs(0)
    assert job_hash(jobs[0]) != job_hash(jobs[1])
    files = play(jobs[1], LogProgress()).files()
    said = json.loads(files["manifest.json"])["policy"]["files_sha256"]
    assert said == {str(file): sha256(file.read_bytes()).hexdigest()}
    # of the registry: as before there were any
    (job,) = make_plan(scenario, ["idle"]).jobs(0)
    assert "files_sha256" not in json.loads(play(job, LogProgress()).files()["manifest.json"])["policy"]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same policy file with two contents, each played."""
    folder = tmp_path_factory.mktemp("two")
    outs = folder / "first", folder / "second"
    for out, ask in zip(outs, (0.9, 0.0), strict=True):
        args = [
            *TINY,
            "--executor",
            "serial",
            "--policies",
            f"{written(folder, ask)}:Seller",
            "--seeds",
            "0:2",
            "--out",
            str(out),
        ]
        assert compare_main(args, "vpp-env compare") == 0
    return outs


def test_two_contents_of_a_file_are_two_entries(two: tuple[Path, Path]) -> None:
    runs = runs_below(two)
    assert len({run.origin.policy.spec for run in runs}) == 1
    (table,) = leaderboard(runs, "welfare").tables
    assert [entry.rank for entry in table.entries] == [1, 2]
    assert len({entry.code for entry in table.entries}) == 2


def test_a_run_is_ranked_by_one_result(two: tuple[Path, Path]) -> None:
    runs = runs_below([two[0]])
    (table,) = leaderboard([*runs, *runs], "welfare").tables
    assert [entry.complete for entry in table.entries] == [2]
    other = replace(runs[1], kpis=replace(runs[1].kpis, total_profit=1.5))  # type: ignore[type-var]
    for order in ([*runs, other], [other, *runs]):
        with pytest.raises(PlanError, match=re.escape("was played twice on seed 1, and total_profit is ")):
            leaderboard(order, "welfare")


def test_who_was_caught_in_one_of_two_plays_is_caught(two: tuple[Path, Path]) -> None:
    from vpp_benchmarks.run.replay import refuted

    runs = runs_below([two[0]])
    caught = refuted(runs[0], "it reads what it may not")
    for order in ([*runs, caught], [caught, *runs]):
        (table,) = leaderboard(order, "welfare").tables
        assert [entry.verdict for entry in table.entries] == ["refuted"]


def test_a_run_is_read_with_its_files(two: tuple[Path, Path]) -> None:
    for folder in (two[0] / "runs").iterdir():
        run = RunResult.read(folder)
        assert run.origin.policy.files
        assert run.origin.code.endswith(run.origin.policy.files[0][1][:8])
