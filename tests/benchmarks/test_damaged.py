"""Damaged folders of results: refused by name, played again where they are resumed, and never a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from vpp_benchmarks.cli.main import main

from tests.benchmarks.folders import run_files
from tests.fuzz.results import WAYS, experiment, read

RUN = "quick-s1000-idle"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("damaged"))


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def edited(path: Path, key: str, value: object) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {key: value}), encoding="utf-8")


def damage(folder: Path, how: str) -> str:
    """Damage a run folder; return the file that must be named."""
    match how:
        case "an edited figure":
            edited(folder / "summary.json", "total_profit", 999.0)
            return "summary.json has been changed"
        case "an edited manifest":
            edited(folder / "manifest.json", "seed", 7)
            return "manifest.json has been changed"
        case "edited times":
            edited(folder / "timing.json", "wall_seconds", 0.1)
            return "timing.json has been changed"
        case "a table of another run":
            shutil.copy(folder.parent / "quick-s1001-idle" / "prosumers.parquet", folder / "prosumers.parquet")
            return "prosumers.parquet has been changed"
        case "a table that is gone":
            (folder / "prices.parquet").unlink()
            return "prices.parquet is not there any more"
        case "a link out of the folder":
            file = folder / "prices.parquet"
            shutil.copy(file, folder.parents[2] / "elsewhere")
            file.unlink()
            file.symlink_to(folder.parents[2] / "elsewhere")
            return "prices.parquet is a symbolic link"
        case _:
            (folder / "manifest.json").write_text("[1, 2]", encoding="utf-8")
            return "manifest.json holds a list"


HOWS = (
    "an edited figure", "an edited manifest", "edited times", "a table of another run", "a table that is gone",
    "a link out of the folder", "no object",
)  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
def test_damage_is_refused_by_name(how: str, out: Path) -> None:
    named = damage(out / "runs" / RUN, how)
    for way in ("report", "leaderboard --by welfare", "dashboard"):
        status, told = read(way, out)
        assert status == 2
        assert f"{RUN}: {named}" in told


@pytest.mark.parametrize("hows", [HOWS[:4], HOWS[4:]])
def test_what_is_damaged_is_played_again_on_resume(hows: tuple[str, ...], whole: Path, out: Path) -> None:
    for folder, how in zip(sorted((out / "runs").iterdir(), reverse=True), hows, strict=False):  # a run each
        damage(folder, how)
    assert run_files(out) != run_files(whole)
    status, _ = read("compare --resume", out)
    assert status == 0
    assert run_files(out) == run_files(whole)
    assert (out / "statistics.json").read_bytes() == (whole / "statistics.json").read_bytes()
    assert read("leaderboard --by welfare", out)[0] == 0


def test_results_of_before_there_were_checksums_are_read(out: Path) -> None:
    for name in ("manifest.json", "timing.json"):
        for path in out.glob(f"runs/*/{name}"):
            data = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps({k: v for k, v in data.items() if k not in ("files", "sha256")}), "utf-8")
    assert read("leaderboard --by welfare", out) == (0, "")


def test_a_run_that_is_not_there_is_said(out: Path) -> None:
    shutil.rmtree(out / "runs" / RUN)
    status, told = read("report", out)
    assert status == 2
    assert "the run of idle in quick, seed 1000 is not there; continue with" in told


@pytest.mark.parametrize("link", ["simulation.log", "seed_1000", "runs", "tables", "paper"])
def test_nothing_is_written_through_a_link(link: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger's folder: what is continued in it, or made of it, would go into files of one's own."""
    elsewhere, path = out.parent / "elsewhere", out / link
    log = link.endswith(".log")
    if log:
        elsewhere.write_text("mine", encoding="utf-8")
    else:
        shutil.copytree(path, elsewhere) if path.exists() else elsewhere.mkdir()
    before = elsewhere.read_bytes() if log else sorted(f.name for f in elsewhere.rglob("*"))
    if path.exists():
        path.unlink() if log else shutil.rmtree(path)
    path.symlink_to(elsewhere)
    commands = [["compare", "--resume", str(out), "--quiet", "--no-figures"], ["paper", str(out)]]
    for command in commands if link != "simulation.log" else commands[:1]:
        assert main(command) == 2
        assert f"{link}' is a symbolic link" in capsys.readouterr().err
    assert before == (elsewhere.read_bytes() if log else sorted(f.name for f in elsewhere.rglob("*")))


def test_no_path_leaves_the_folder(out: Path) -> None:
    path = out / "experiment.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["cases"][0]["case"] = "../../elsewhere"
    path.write_text(json.dumps(data), encoding="utf-8")
    for way in WAYS:
        if way != "transcript":
            status, told = read(way, out)
            assert status == 2
            assert "../../elsewhere" in told
    assert not (out.parent.parent / "elsewhere").exists()
