"""The JSON files that are written are those that docs/schemas describe, and the flat fields repeat the nested ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.main import main as vpp_env
from vpp_benchmarks.results.advantages import FLAT

from tests.benchmarks.schema import errors
from vpp_env.evaluation.kpi import REGISTERED, table

ROOT = Path(__file__).resolve().parents[2]
BROKEN = "tests.benchmarks.broken:Broken"


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


SUMMARY, MANIFEST = (read(ROOT / "docs" / "schemas" / f"{name}.json") for name in ("simulation_summary", "manifest"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two policies, of one that fails among three, of seeds, of cases of several seeds, and of one."""
    base = tmp_path_factory.mktemp("schemas")
    calls = {
        "pair": (["--policies", "truthful", "random"], 0),
        "broken": (["--policies", BROKEN, "truthful", "idle", "--no-ceilings"], 1),
        "seeds": (["--policies", "truthful", "random", "--seeds", "0:2"], 0),
        "cases": (["--policies", "truthful", "idle", "--seeds", "0:2", "--fleets", "4", "5"], 0),
        "fleets": (["--policies", "truthful", BROKEN, "--fleets", "4", "5", "--no-ceilings"], 1),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        for name, (args, status) in calls.items():
            out = ["--no-figures", "--quiet", "--out", str(base / name)]
            assert main(["--scenario", "quick", *args, *out]) == status
    return base


def test_every_summary_and_manifest_is_as_its_schema_says(written: Path) -> None:
    summaries, manifests = list(written.rglob("simulation_summary.json")), list(written.rglob("manifest.json"))
    assert (len(summaries), len(manifests)) == (1 + 1 + 3 + 7 + 3, 1 + 1 + 3 + 7 + 3 + 2 + 3 + 4 + 8 + 4)
    for schema, paths in ((SUMMARY, summaries), (MANIFEST, manifests)):
        wrong = {str(path.relative_to(written)): errors(read(path), schema) for path in paths}
        assert {path: found for path, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("pattern", "schema"),
    [("statistics.json", "statistics"), ("experiment.json", "experiment"), ("tables/*.json", "tables")],
)
def test_the_other_files_are_as_their_schemas_say(written: Path, pattern: str, schema: str) -> None:
    described = read(ROOT / "docs" / "schemas" / f"{schema}.json")
    paths = list(written.rglob(pattern))
    assert len(paths) == {"statistics": 3, "experiment": 5, "tables": 2 + 2 + 3 + 3 + 2}[schema]
    wrong = {str(path.relative_to(written)): errors(read(path), described) for path in paths}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_a_leaderboard_is_as_its_schema_says(written: Path, tmp_path: Path) -> None:
    schema = read(ROOT / "docs" / "schemas" / "leaderboard.json")
    named = set(schema["$defs"]["entry"]["properties"])
    columns = {kpi.column or kpi.name for kpi in table()}
    for name in ("pair", "broken", "seeds"):
        assert (
            vpp_env(
                ["leaderboard", str(written / name), "--by", "joint_surplus", "--json", str(tmp_path / "board.json")]
            )
            == 0
        )
        board = read(tmp_path / "board.json")
        assert errors(board, schema) == []
        entries = [entry for one in board["tables"] for entry in one["entries"]]
        assert entries
        assert {key.removesuffix("_std") for entry in entries for key in set(entry) - named} <= columns
    entries[0]["welfare"] = "much"
    assert errors(board, schema)[0].endswith(".welfare: 'much' breaks type ['number', 'null']")


def test_a_run_folder_holds_one_policy_of_the_summary(written: Path) -> None:
    folders = [path.parent for path in written.rglob("runs/*/summary.json")]
    assert len(folders) == 2 + 3 + 4 + 8 + 4
    for folder in folders:
        timing = read(folder / "timing.json")
        assert re.fullmatch(r"[0-9a-f]{64}", timing.pop("sha256"))
        assert timing.pop("files").keys() <= {"timing.parquet"}
        whole = read(folder / "summary.json") | timing
        assert errors(whole, SUMMARY["$defs"]["policy"], SUMMARY) == [], folder


def test_the_columns_of_the_csv_are_those_of_the_page(written: Path) -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8").split("## Columns of simulation_results.csv")[1]
    rows = [line.split("|")[1] for line in page.split("\n## ")[0].splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    shared = [name for name in named if not name.startswith(("<policy>", "_"))]
    own = [name.removeprefix("<policy>") for name in named if name.startswith(("<policy>", "_"))]
    with open(written / "pair" / "simulation_results.csv", encoding="utf-8") as file:
        columns = file.readline().strip().split(",")
    differences = [name for name in columns if "_difference" in name]
    assert columns == [*shared, *(f"{p}{name}" for p in ("truthful", "random") for name in own), *differences]
    assert all(f"`{name}`" in page for name in differences)


def test_the_flat_fields_repeat_the_nested_ones(written: Path) -> None:
    data = read(written / "pair" / "simulation_summary.json")
    for label, policy in data["policies"].items():
        flat = {name: data[f"{label}_{name}"] for name in FLAT}
        assert flat == {name: policy[name] for name in FLAT} | {"total_violations": policy["total_violations"]["total"]}
        assert isinstance(flat["total_violations"], int)
    means = read(written / "seeds" / "simulation_summary.json")
    for label, policy in means["policies"].items():
        assert {name: means[f"{label}_{name}"] for name in FLAT} == {name: policy[name]["mean"] for name in FLAT}
    a, b = means["truthful_total_profit"], means["random_total_profit"]
    assert means["profit_advantage_percent"] == pytest.approx(100 * (a - b) / abs(b))
    assert (means["advantage_of"], means["advantage_over"]) == ("truthful", "random")


def test_every_result_folder_has_a_summary_at_its_root(written: Path) -> None:
    """Of cases too: means over all of them, saying of what."""
    for name in ("pair", "broken", "seeds", "cases", "fleets"):
        data = read(written / name / "simulation_summary.json")
        assert {f"{label}_{kpi}" for label in data["policies"] for kpi in FLAT} <= set(data), name
    whole = read(written / "cases" / "simulation_summary.json")
    of_cases = [read(written / "cases" / case / "simulation_summary.json") for case in whole["cases"]]
    assert whole["finished_seeds"] == {"quick-n4": [0, 1], "quick-n5": [0, 1]}
    assert whole["mean_of"].startswith("units (case x seed)")
    profits = [seed["truthful_total_profit"] for seed in of_cases]
    assert whole["truthful_total_profit"] == pytest.approx(sum(profits) / 2)
    figure = whole["policies"]["truthful"]["total_profit"]
    assert (figure["n"], figure["standard_error"]) == (4, None)
    said = read(written / "cases" / "statistics.json")["policies"]["truthful"]["total_profit"]["mean"]["value"]
    assert figure["mean"] == pytest.approx(said)
    half = read(written / "fleets" / "simulation_summary.json")
    assert (half["status"], half["policies"]["broken"]["complete_units"]) == ("failed", 0)
    assert half["broken_total_profit"] is half["profit_advantage_percent"] is None
    assert half["advantage_notes"]["efficiency_ratio"] == (
        "not comparable: truthful completed 2 units, broken completed 0 units"
    )


def test_means_over_other_units_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two left out what it could not play: as many units, and not the same."""
    monkeypatch.syspath_prepend(str(ROOT))
    picky = [f"tests.benchmarks.broken:Picky(homes={homes})" for homes in (4, 5)]
    args = ["--scenario", "quick", "--duration-hours", "2", "--fleets", "4", "5", "--policies", *picky]
    assert main([*args, "--no-figures", "--no-ceilings", "--quiet", "--out", str(tmp_path / "out")]) == 1
    whole = read(tmp_path / "out" / "simulation_summary.json")
    assert [policy["complete_units"] for policy in whole["policies"].values()] == [1, 1]
    assert whole["profit_advantage_percent"] is whole["efficiency_ratio"] is None
    first, second = whole["policies"]
    note = f"not comparable: {first} completed 1 units, {second} completed 1 units, not the same ones"
    assert set(whole["advantage_notes"].values()) == {note}


def test_what_is_not_defined_is_null(written: Path) -> None:
    data = read(written / "broken" / "simulation_summary.json")
    assert [data[f"broken_{name}"] for name in FLAT] == [None] * len(FLAT)
    assert data["truthful_total_profit"] == data["policies"]["truthful"]["total_profit"]
    assert data["profit_advantage_percent"] is data["satisfaction_advantage_percent"] is None
    assert data["advantage_notes"] == {"all": "defined for two policies only"}
    idle = read(written / "cases" / "quick-n4" / "simulation_summary.json")
    assert idle["idle_total_profit"] == 0
    assert idle["profit_advantage_percent"] is None
    assert idle["advantage_notes"]["profit_advantage_percent"] == "not defined: total_profit of idle is 0"


def test_the_schema_names_every_kpi() -> None:
    described = SUMMARY["$defs"]["policy"]["properties"]
    for kpi in (kpi for kpi in table() if kpi.name not in REGISTERED and kpi.name != "total_timesteps"):
        assert described[kpi.name]["description"].startswith(kpi.description), kpi.name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"truthful_total_profit": "much"}, "$.truthful_total_profit: 'much' breaks type"),
        ({"more": 1}, "$.more: is not named"),
        ({"status": "done"}, "$.status: 'done' breaks enum"),
        ({"seed": -1}, "$.seed: '-1' breaks minimum"),
        ({"ladder": [{"rung": "idle"}]}, "$.ladder[0]: "),
    ],
)
def test_the_checker_finds_what_is_wrong(written: Path, change: dict[str, Any], says: str) -> None:
    data = read(written / "pair" / "simulation_summary.json") | change
    (found,) = errors(data, SUMMARY)
    assert found.startswith(says)
    del data["policies"]
    assert any("required" in text for text in errors(data, SUMMARY))
