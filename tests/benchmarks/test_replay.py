"""Runs that are played again: figures, ceilings and verdicts that somebody wrote do not come out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vpp_benchmarks.cli.compare import main as compare
from vpp_benchmarks.cli.leaderboard import main
from vpp_benchmarks.results.encode import to_json
from vpp_benchmarks.results.run_result import sealed

from tests.benchmarks.folders import write_sealed
from vpp_env.evaluation.verdict import Verdict

SEALS = ("sha256", "files")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("replay") / "out"
    args = "--scenario quick --duration-hours 4 --policies random truthful --no-figures --quiet --executor serial"
    assert compare([*args.split(), "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def forge(folder: Path, summary: dict[str, Any], manifest: Callable[[dict[str, Any]], None] = lambda m: None) -> None:
    """Change a run folder as somebody does who makes its checksums anew."""
    path, data = folder / "manifest.json", json.loads((folder / "manifest.json").read_bytes())
    written = to_json(json.loads((folder / "summary.json").read_bytes()) | summary)
    (folder / "summary.json").write_bytes(written)
    manifest(data)
    files = {name: (folder / name).read_bytes() for name in data["files"]}
    path.write_bytes(to_json(sealed({k: v for k, v in data.items() if k not in SEALS}, files)))


def board(out: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what was printed, and the row of `random`."""
    path = out.parent / "board.json"
    status = main([str(out), "--by", "welfare", "--json", str(path), *args])
    rows = {e["policy"]: e for t in json.loads(path.read_text())["tables"] for e in t["entries"]}
    return status, capsys.readouterr().out, rows["random"]


def test_what_was_played_comes_out_again(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, row = board(out, capsys, "--replay", "5")
    assert (status, row["verdict"]) == (0, "claimed")
    assert text.count("played again, the same") == 2


def test_a_figure_that_was_written_does_not(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(out / "runs" / "quick-s0-random", {"welfare": 9999.0})
    status, _, row = board(out, capsys)
    assert (status, row["rank"], row["welfare"]) == (0, 1, 9999.0)  # checksums alone are not enough
    status, text, row = board(out, capsys, "--replay")
    assert (status, row["rank"], row["verdict"]) == (1, None, "refuted")
    assert "when it is played again; the folder says 9999.0" in text
    assert "refuted, and not ranked: random" in text


def test_nor_does_a_verdict(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit = {"verdict": "verified", "information": "OWN", "seed": 0, "gates": 4, "checked": [], "evidence": []}

    def verified(data: dict[str, Any]) -> None:
        data["policy"] |= {"verdict": "verified", "audit": {**audit, "reason": "", "month": "quick, seed 0"}}

    forge(out / "runs" / "quick-s0-random", {}, verified)
    assert board(out, capsys)[2]["verdict"] == Verdict.VERIFIED.value
    status, text, row = board(out, capsys, "--replay")
    assert (status, row["verdict"]) == (1, "refuted")
    assert "an audit finds it claimed; the folder says verified" in text


@pytest.mark.parametrize(("name", "value"), [("welfare", [0.0, 0.5]), ("no_foresight", [0.0, 0.5]), ("idle", -50.0)])
def test_nor_does_a_ceiling(name: str, value: Any, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "simulation_summary.json"
    data = json.loads(path.read_text())
    data["ceilings"][name] = value
    write_sealed(path, data)
    status, text, _ = board(out, capsys, "--replay")
    assert status == 1
    assert f"the ceiling {name} is" in text


def test_nor_does_another_world_under_this_ones_name(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def easier(data: dict[str, Any]) -> None:
        data["scenario"]["toml"] = data["scenario"]["toml"].replace("margin = 0.05", "margin = 0.0")

    forge(out / "runs" / "quick-s0-random", {}, easier)
    status, text, _ = board(out, capsys, "--replay")
    assert status == 1
    assert "its scenario is another one than the experiment's" in text


def test_nor_does_another_policy_under_this_ones_figures(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy that everybody has, shown as one's own."""

    def mine(data: dict[str, Any]) -> None:
        data["policy"]["spec"] = "mine.py:Clever"

    forge(out / "runs" / "quick-s0-truthful", {}, mine)
    assert main([str(out), "--by", "welfare", "--replay"]) == 1
    text = capsys.readouterr().out
    assert "its policy is another one than the experiment's" in text
    assert "refuted, and not ranked: mine.py:Clever" in text


def test_a_run_of_another_case_has_no_ceilings_here(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The case says in which folder the ceilings lie: one that the experiment does not plan is a path out of it."""

    def elsewhere(data: dict[str, Any]) -> None:
        data["case"] = "../elsewhere"

    forge(out / "runs" / "quick-s0-random", {}, elsewhere)
    assert main([str(out), "--by", "welfare"]) == 2
    assert "it is of case '../elsewhere', seed 0, which its experiment does not plan" in capsys.readouterr().err


def test_a_plan_that_was_changed_is_another_run(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "experiment.json"
    data = json.loads(path.read_text())
    data["cases"][0]["scenario"]["market"]["margin"] = 0.0
    path.write_text(json.dumps(data))
    status, text, _ = board(out, capsys, "--replay")
    assert status == 1
    assert "its manifest is of another run than its experiment plans" in text


def test_what_cannot_be_played_again_is_said(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = out.parent / "alone"
    shutil.copytree(out / "runs" / "quick-s0-random", alone / "quick-s0-random")
    assert main([str(alone), "--by", "welfare", "--replay"]) == 2
    assert "lies in no experiment's runs/" in capsys.readouterr().err


def test_a_policy_from_outside_is_named_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, marker, out = tmp_path / "mine.py", tmp_path / "executed", tmp_path / "out"
    file.write_text(
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\nfrom vpp_policies.idle import Idle as Mine\n"
    )
    args = "--scenario quick --duration-hours 2 --no-ceilings --no-figures --quiet --executor serial"
    assert compare([*args.split(), "--policies", f"{file}:Mine", "--out", str(out)]) == 0
    marker.unlink()
    assert main([str(out), "--by", "welfare", "--replay"]) == 2
    assert "from outside the registry" in capsys.readouterr().err
    assert not marker.exists()
    assert main([str(out), "--by", "welfare", "--replay", "--policies", f"{file}:Mine", "idle"]) == 0
    assert marker.exists()


def test_a_language_model_is_not_asked_again(whole: Path) -> None:
    from dataclasses import replace

    from vpp_benchmarks.results.run_result import RunResult
    from vpp_benchmarks.run.plan import PlanError
    from vpp_benchmarks.run.replay import difference

    folder = whole / "runs" / "quick-s0-random"
    run = RunResult.read(folder)
    policy = replace(run.origin.policy, spec="agentic(brain='llm', llm='gemini')")
    asks = replace(run, origin=replace(run.origin, policy=policy))
    with pytest.raises(PlanError, match="asks a language model"):
        difference(folder, asks)
