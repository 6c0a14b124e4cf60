"""The leaderboard: only what is comparable is ranked together."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from vpp_benchmarks.cli.compare import main as compare
from vpp_benchmarks.cli.leaderboard import main
from vpp_benchmarks.results.leaderboard import SCHEMA, leaderboard
from vpp_benchmarks.results.run_result import ScenarioFacts
from vpp_benchmarks.run.plan import PlanError

from tests.benchmarks.folders import runs_below, write_sealed


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    runs = {
        "first": ["--policies", "idle", "truthful", "centralized", "--seeds", "0:3"],
        "second": ["--policies", "random", "--seeds", "1:4"],
    }
    for name, args in runs.items():
        assert compare(["--scenario", "quick", *args, "--no-figures", "--quiet", "--out", str(root / name)]) == 0
    return root


def test_ranked_by_information_set_on_the_seeds_in_common(results: Path) -> None:
    runs = runs_below([results])
    board = leaderboard(runs).to_json()
    assert board["schema"] == SCHEMA
    assert [t["information_set"] for t in board["tables"]] == ["ORACLE", "OWN"]
    oracle, own = board["tables"]
    assert oracle["seeds"] == [0, 1, 2]
    assert own["seeds"] == [1, 2]
    assert {e["policy"] for e in own["entries"]} == {"idle", "truthful", "random"}
    scores = [e["score"] for e in own["entries"]]
    assert scores == sorted(scores, reverse=True)
    assert board["by"] == "score"
    profits = [e.figures["total_profit"].mean or 0.0 for e in leaderboard(runs, "total_profit").tables[1].entries]
    assert profits == sorted(profits, reverse=True)
    mine = [r.number("total_profit") for r in runs if r.label == "truthful" and r.origin.seed in (1, 2)]
    truthful = next(e for e in own["entries"] if e["policy"] == "truthful")
    assert truthful["total_profit"] == pytest.approx(sum(m or 0.0 for m in mine) / 2)
    by_score = leaderboard(runs, "avg_satisfaction").tables[1].entries
    # owners who joined for a gain are least content with nothing
    assert by_score[0].policy == "truthful"
    assert [e.rank for e in by_score] == [1, 2, 3]
    assert {e.policy: e.figures["avg_satisfaction"].mean for e in by_score}["idle"] < 0.35


def test_worlds_are_never_mixed(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    args = ["--scenario", "quick", "--set", "market.margin=0.1", "--policies", "idle", "--no-figures", "--quiet"]
    assert compare([*args, "--out", str(other)]) == 0
    assert main([str(results), str(other)]) == 2
    error = capsys.readouterr().err
    assert "cannot be ranked together" in error
    hashes = {run.origin.scenario.hash for run in runs_below([results, other])}
    assert all(h in error for h in hashes)
    assert main([str(results), str(other), "--hash", runs_below([other])[0].origin.scenario.hash]) == 0
    assert main([str(results), "--hash", "ffff"]) == 2


def test_the_same_rules_on_other_prices_are_another_world(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results / "first" / "runs" / "quick-s0-idle", copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["data"]["files_sha256"] = {"prices.csv": "ab" * 32}
    write_sealed(copy / "manifest.json", manifest)
    with pytest.raises(PlanError, match="different rules, prices or salts"):
        leaderboard(runs_below([results, copy]))


def test_a_schema_that_is_not_known_is_refused(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results / "first" / "runs" / "quick-s0-idle", copy)
    path = copy / "manifest.json"
    path.write_text(path.read_text("utf-8").replace("vpp_env.run/1", "vpp_env.run/9"), "utf-8")
    with pytest.raises(PlanError, match=r"this version reads 'vpp_env\.run/1'"):
        runs_below([copy])


def test_runs_that_are_not_complete_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    broken = "tests.benchmarks.broken:Broken"
    assert compare(["--scenario", "quick", "--policies", broken, "--no-figures", "--quiet", "--out", str(out)]) == 1
    assert main([str(out)]) == 2
    assert "no complete run" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 2


def test_files(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", str(tmp_path / "board.json"), "--markdown", str(tmp_path / "board.md")]
    assert main([str(results), *files]) == 0
    assert "centralized" in capsys.readouterr().out
    assert json.loads((tmp_path / "board.json").read_text("utf-8"))["schema"] == SCHEMA
    assert "| 1 | centralized [!] | no |" in (tmp_path / "board.md").read_text("utf-8")
    assert main([str(results), "--by", "profit"]) == 2
    assert "Known: avg_satisfaction" in capsys.readouterr().err
    bare = tmp_path / "bare"
    args = ["--scenario", "quick", "--policies", "idle", "--no-figures", "--no-ceilings", "--quiet", "--out", str(bare)]
    assert compare(args) == 0
    assert main([str(bare)]) == 2
    assert "rank by another figure" in capsys.readouterr().err
    assert main([str(bare), "--by", "joint_surplus"]) == 0


def test_no_common_seed_is_said(results: Path) -> None:
    runs = [r for r in runs_below([results]) if (r.label, r.origin.seed) in (("idle", 0), ("random", 3))]
    (table,) = leaderboard(runs).tables
    assert table.entries == ()
    assert len(table.left_out) == 2


def test_who_breaks_preferences_is_marked(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(results)]) == 0
    out = capsys.readouterr().out
    assert "centralized [!]" in out
    assert "[!] breaks owners' preferences." in out
    for table in leaderboard(runs_below([results])).tables:
        for entry in table.entries:
            assert entry.violates == ((entry.figures["total_violations"].mean or 0.0) > 0)
            assert entry.violates == (entry.policy in ("random", "centralized"))


def test_failed_runs_of_an_entry_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    args = ["--scenario", "quick", "--policies", "idle", "tests.benchmarks.broken:Sometimes", "--seeds", "test:6"]
    assert compare([*args, "--no-figures", "--quiet", "--out", str(out)]) == 1
    (board,) = leaderboard(runs_below([out])).tables
    entry = next(e for e in board.entries if "Sometimes" in e.policy)
    assert 0 < entry.complete < entry.begun == 6
    assert len(board.seeds) == entry.complete
    assert main([str(out), "--json", str(tmp_path / "board.json")]) == 0
    said = f"{entry.complete} of 6 runs complete (seed "
    assert said in " ".join(capsys.readouterr().out.split())
    rows = json.loads((tmp_path / "board.json").read_text("utf-8"))["tables"][0]["entries"]
    assert {(row["complete"], row["begun"]) for row in rows} == {(6, 6), (entry.complete, 6)}


def test_versions_of_the_market_are_never_mixed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = runs_below([results / "first"])
    versions = {run.origin.scenario.market_version for run in runs}
    (version,) = versions
    data = tomllib.loads(runs[0].origin.scenario.toml)
    data["market"]["version"] = "caiso2099.1"
    facts = replace(runs[0].origin.scenario, name="other", toml=tomli_w.dumps(data))
    other = replace(runs[0], origin=replace(runs[0].origin, scenario=facts))
    assert other.origin.scenario.market_version == "caiso2099.1" != version
    with pytest.raises(PlanError, match="different versions of the market"):
        leaderboard([*runs, other])
    # the same from folders, where one version may be chosen
    copy = tmp_path / "copy"
    shutil.copytree(results / "first" / "runs" / "quick-s0-idle", copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["scenario"] |= {"toml": facts.toml, "hash": "ab" * 6}
    write_sealed(copy / "manifest.json", manifest)
    assert main([str(results), str(copy)]) == 2
    error = capsys.readouterr().err
    assert "caiso2099.1" in error
    assert version in error
    assert main([str(results), str(copy), "--market", version]) == 0
    assert f"market {version}" in " ".join(capsys.readouterr().out.split())
    assert main([str(results), "--market", "none"]) == 2


def test_market_version_of_scenarios_that_name_none() -> None:
    facts = ScenarioFacts("old", "ab", 5, 6, "[market]\nmargin = 0.05\n")
    assert facts.market_version == "caiso2023.1"
