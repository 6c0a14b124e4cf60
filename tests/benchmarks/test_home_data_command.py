"""Homes of one's own on the command line: the page's example, there and back, resume, executors, what is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.main import COMMANDS
from vpp_benchmarks.cli.main import main as vpp_env
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.experiment import job_hash
from vpp_benchmarks.run.plan import make_plan
from vpp_benchmarks.train.evolution import score
from vpp_benchmarks.train.form import layer, start

from tests.benchmarks.folders import result_files, run_files
from vpp_env import MarketMonth, Month, make_policy, simulate, summarize
from vpp_env.scenario import load_scenario
from vpp_env.simulation.sources import scenario_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "home-data.md").read_text(encoding="utf-8")
QUIET = ["--no-figures", "--no-ceilings", "--quiet"]


def example(folder: Path) -> Path:
    """The page's files."""
    homes = folder / "my_homes"
    homes.mkdir()
    for name, text in re.findall(r"`my_homes/([\w.]+)`[^`]*```csv\n(.*?)```", PAGE, flags=re.DOTALL):
        (homes / name).write_text(text, encoding="utf-8")
    assert sorted(file.name for file in homes.iterdir()) == ["devices.csv", "load.csv", "vehicles.csv"]
    return homes


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return example(tmp_path).relative_to(tmp_path)


def test_the_example_of_the_page_runs_as_it_says(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = re.search(r"^vpp-env (compare .*)$", PAGE, flags=re.MULTILINE)
    assert command is not None
    assert vpp_env([*command[1].split(), "--out", "out", "--no-figures"]) == 0
    shown = capsys.readouterr().out
    said = re.search(r"```text\n(homes my_homes.*?)```", PAGE, flags=re.DOTALL)
    assert said is not None
    assert said[1] in shown
    line = "homes: load measured, pv generated, vehicles measured, devices measured in part"
    assert line in shown
    for file in ("simulation_report.md", "report.html"):
        assert line in Path("out", file).read_text("utf-8")
    data = json.loads(Path("out/manifest.json").read_text("utf-8"))["data"]["homes"]
    assert data["kinds"] == {
        "load": "measured",
        "pv": "generated",
        "vehicles": "measured",
        "devices": "measured in part",
    }
    assert sorted(Path(path).name for path in data["files_sha256"]) == ["devices.csv", "load.csv", "vehicles.csv"]
    run = RunResult.read(Path("out/runs/week20-s0-truthful"))
    assert run.origin.homes.kinds == data["kinds"]
    assert run.origin.world.startswith("homes ")
    assert run.origin.scenario.homes == 2


def test_runs_on_other_homes_are_never_mixed(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = load_scenario("quick").override({"fleet.size": 2})

    def hashed(home_data: Path | None) -> str:
        (job,) = make_plan(scenario, ["idle"], home_data=home_data).jobs(0)
        return job_hash(job)

    args = ["--scenario", "quick", "--policies", "idle", "truthful", "--home-data", "my_homes", "--out", "out", *QUIET]
    args += ["--start", "2023-08-01T10:00"]
    assert main(args) == 0
    before, plain = hashed(homes), hashed(None)
    assert before != plain
    assert main(["--resume", "out", *QUIET]) == 0
    load = homes / "load.csv"
    load.write_text(load.read_text("utf-8").replace("0.61", "0.62"), encoding="utf-8")
    assert hashed(homes) not in (before, plain)
    assert main(["--resume", "out", *QUIET]) == 2
    assert "different prices or homes cannot be put together" in capsys.readouterr().err
    # what a file is called says what it is
    load.rename(homes / "load_kwh.csv")
    assert hashed(homes) not in (before, plain)


def test_parallel_runs_get_the_homes(homes: Path) -> None:
    args = ["--scenario", "quick", "--start", "2023-08-01T10:00", "--policies", "truthful", "random", "--seeds", "0:2"]
    for name, jobs in (("one", "1"), ("two", "2")):
        assert main([*args, "--home-data", "my_homes", "--jobs", jobs, "--out", name, *QUIET]) == 0
    assert run_files(Path("one")) == run_files(Path("two"))
    assert result_files(Path("one")) == result_files(Path("two"))


def test_export_and_back_is_the_same_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert vpp_env(["export-homes", "quick", "--seed", "3", "--out", "homes"]) == 0
    args = ["--scenario", "quick", "--seed", "3", "--policies", "truthful", "centralized", *QUIET]
    assert main([*args, "--out", "seeded"]) == 0
    assert main([*args, "--out", "brought", "--home-data", "homes"]) == 0
    for label in ("truthful", "centralized"):
        for table in ("opportunities", "intervals", "prosumers"):
            a, b = (pd.read_parquet(f"{out}/runs/quick-s3-{label}/{table}.parquet") for out in ("seeded", "brought"))
            pd.testing.assert_frame_equal(a, b)
    assert vpp_env(["export-homes", "quick", "--out", "homes"]) == 2  # nothing is overwritten


def test_learners_play_homes_that_were_brought(homes: Path) -> None:
    env = MarketMonth("quick", home_data=homes)
    assert len(env.possible_agents) == 2
    observations, _ = env.reset(seed=0)
    assert set(observations) == set(env.possible_agents)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--home-data", "nowhere"], "home data 'nowhere' does not exist; give a folder with"),
        (["--home-data", "my_homes/load.csv"], "is a file; give a folder with"),
        (["--home-data", "my_homes", "--fleet-size", "5"], "there are as many homes as in --home-data"),
        (["--home-data", "my_homes", "--fleets", "5", "6"], "there are as many homes as in --home-data"),
        (["--home-data", "my_homes", "--start", "2023-09-01T00:00"], "set time.start (--start)"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    homes: Path, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scenario", "quick", "--policies", "idle", *args, "--out", "out", *QUIET]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert "\n" not in error
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "devices",
    ["home,bess_kwh,ev_kwh,pv_kwp\na,0,0,0\nb,0,0,0\n", "home,bess_kwh,pv_kwp,has_ev\na,0,0,yes\nb,0,0,yes\n"],
)
def test_fleets_of_nothing_and_of_cars_alone(tmp_path: Path, devices: str) -> None:
    (tmp_path / "homes").mkdir()
    (tmp_path / "homes" / "devices.csv").write_text(devices, encoding="utf-8")
    policies = [
        "idle",
        "random",
        "truthful",
        "greedy",
        "mpc",
        "dual",
        "auction",
        "centralized",
        "agentic",
        "stochastic",
    ]
    args = ["--scenario", "quick", "--policies", *policies, "--home-data", str(tmp_path / "homes")]
    assert main([*args, "--out", str(tmp_path / "out"), "--no-figures", "--quiet"]) == 0


DAY = {"time.start": "2023-08-01T12:00", "time.duration_hours": 3}
OWN = ["--scenario", "quick", "--home-data", "my_homes", *(f"--set={name}={value}" for name, value in DAY.items())]


def test_learners_train_on_homes_of_ones_own(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = scenario_of(load_scenario("quick").override(DAY), homes)
    assert vpp_env(["train", "--out", "w.npz", "--minutes", "1e-9", *OWN]) == 0
    shown = capsys.readouterr().out
    months = [Month(scenario, seed, home_data=homes) for seed in range(1000, 1005)]
    assert f"w.npz: {score(months, [layer(start(scenario, homes))]):.2f} USD" in shown
    assert "--home-data my_homes" in shown
    assert vpp_env(["dataset", "--out", "d.npz", "--policies", "truthful", "--seeds", "1000", *OWN]) == 0
    with np.load("d.npz", allow_pickle=False) as data:
        assert data["rewards"].shape == (1, 3, 2)
        earned = summarize(simulate(months[0], make_policy("truthful")))["welfare"]
        assert data["rewards"].sum() == pytest.approx(earned, abs=1e-4)
    assert vpp_env(["train", "--out", "w.npz", "--method", "clone", "--data", "d.npz", "--home-data", "my_homes"]) == 2
    assert "vpp-env dataset" in capsys.readouterr().err


def test_cross_play_with_homes_of_ones_own(homes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--policies", "idle", "truthful", "--populations", "liars", "--seeds", "1000", "--jobs", "1"]
    assert vpp_env(["crossplay", *chosen, *OWN, "--out", "out"]) == 0
    called = f"--home-data my_homes {' '.join(f'--set {name}={value}' for name, value in DAY.items())}"
    assert called in capsys.readouterr().out
    runs = [RunResult.read(folder) for folder in sorted(Path("out/runs").iterdir())]
    assert len(runs) == 4
    for run in runs:
        assert run.origin.homes.kinds["load"] == "measured"
        assert len(run.table("prosumers")) == 2


def test_every_command_that_changes_a_scenario_takes_homes(capsys: pytest.CaptureFixture[str]) -> None:
    """All that have --set have --home-data; sensitivity, bounds, ... get both from one place."""
    taken = set()
    for name in (command.name for command in COMMANDS):
        with pytest.raises(SystemExit):
            vpp_env([name, "--help"])
        shown = capsys.readouterr().out
        assert ("--set " in shown) == ("--home-data " in shown), name
        taken |= {name} if "--set " in shown else set()
    assert {"compare", "train", "dataset", "crossplay", "sensitivity", "bounds"} <= taken
