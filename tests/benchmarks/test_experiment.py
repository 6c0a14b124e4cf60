"""Plans of several scenarios, fleets, starts and seeds, from files and from the command line."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import experiment_of, main, parser
from vpp_benchmarks.run.experiment import Experiment, from_data, job_hash, make_experiment, read_request, to_data
from vpp_benchmarks.run.plan import PlanError

FILE = """
policies = ["idle", "truthful"]
scenarios = ["quick", "week20"]
seeds = ["0:2", 7]
fleets = [3, 5]
starts = [2023-08-01T16:00:00, "2023-04-02T16:00"]
[set]
time.duration_hours = 2
market.reserve = false
"""


def of(*args: str) -> Experiment:
    return experiment_of(parser().parse_args(list(args)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_the_product(file: Path) -> None:
    experiment = make_experiment(read_request(file))
    assert [p.case for p in experiment.plans][:3] == [
        "quick-n3-2023-08-01",
        "quick-n3-2023-04-02",
        "quick-n5-2023-08-01",
    ]
    assert len(experiment.plans) == 2 * 2 * 2
    assert experiment.units == 8 * 3
    jobs = experiment.jobs()
    assert len(jobs) == 8 * 3 * 2
    assert len({job.name for job in jobs}) == len({job_hash(job) for job in jobs}) == len(jobs)
    assert jobs[0].name == "quick-n3-2023-08-01-s0-idle"
    assert all(p.scenario.hours == 2 and not p.scenario.market.reserve for p in experiment.plans)


MONTHS = ("--scenario", "quick", "--duration-hours", "3", "--policies", "idle", "--seeds", "0:2")


def test_measured_months_are_cases() -> None:
    experiment = of(*MONTHS, "--months", "caiso:PGAE:2019-11..12", "caiso:sce:2023-08,caiso:PGAE:2023-08")
    names = ["PGAE-2019-11", "PGAE-2019-12", "SCE-2023-08", "PGAE-2023-08"]
    assert [p.case for p in experiment.plans] == [f"quick-{n}" for n in names]
    # rankings put scenarios of one name together
    assert [p.scenario.name for p in experiment.plans] == [p.case for p in experiment.plans]
    assert [p.market_data for p in experiment.plans] == [f"caiso:{n.replace('-', ':', 1)}" for n in names]
    assert [p.node for p in experiment.plans] == ["pgae", "pgae", "sce", "pgae"]
    assert [p.scenario.time.start for p in experiment.plans][:2] == ["2019-11-01T00:00", "2019-12-01T00:00"]
    assert experiment.units == 8
    assert len({job_hash(job) for job in experiment.jobs()}) == 8
    assert from_data(json.loads(json.dumps(to_data(experiment)))) == experiment
    whole = of("--months", "caiso:PGAE:2019-02", "--policies", "idle")
    assert whole.plans[0].scenario.hours == 28 * 24


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--months", "caiso:PGAE:2019-13"], "Did you mean"),
        (["--months", "caiso:PGAE:2019-12..01"], "give the earlier first"),
        (["--months", "caiso:PGAE:2019-01,caiso:PGAE:2019-01..02"], "named 2 times"),
        (["--months", "caiso:PGAE:2019-01", "--start", "2019-01-05T00:00"], "leave out time.start"),
        (["--months", "caiso:PGAE:2019-01", "--market-data", "caiso:PGAE:2019-01"], "leave out market_data"),
        (["--months", "caiso:PGAE:2019-01", "--starts", "2019-01-05T00:00"], "leave out starts"),
    ],
)
def test_months_that_cannot_be_are_told(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "quick", "--policies", "idle", *args]) == 2
    assert says in capsys.readouterr().err


def test_months_resume_and_say_what_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = [*MONTHS, "--months", "caiso:PGAE:2019-11", "caiso:SCE:2023-08", "--no-figures", "--no-ceilings", "--quiet"]
    assert main([*args, "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    kinds = {case: data["data"]["kinds"] for case, data in manifest["cases"].items()}
    assert kinds["quick-PGAE-2019-11"]["rt"] == "measured"
    assert kinds["quick-SCE-2023-08"]["rt"] == "seeded"
    assert kinds["quick-SCE-2023-08"]["da"] == "measured"
    statistics = (out / "statistics.json").read_bytes()
    assert json.loads(statistics)["cases"] == {"quick-PGAE-2019-11": 2, "quick-SCE-2023-08": 2}
    shutil.rmtree(out / "runs" / "quick-SCE-2023-08-s1-idle")
    assert main(["--resume", str(out), "--no-figures", "--no-ceilings", "--quiet"]) == 0
    assert (out / "statistics.json").read_bytes() == statistics
    with pytest.raises(PlanError, match="leave out --months"):
        of("--resume", str(out), "--months", "caiso:PGAE:2019-11")


def test_options_win_over_the_file(file: Path) -> None:
    experiment = of("--experiment", str(file), "--scenarios", "quick", "--seeds", "3", "--set", "market.reserve=true")
    assert {p.scenario.name for p in experiment.plans} == {"quick"}
    assert experiment.plans[0].seeds == (3,)
    assert experiment.plans[0].scenario.market.reserve


def test_what_a_folder_keeps_gives_the_same_experiment(file: Path) -> None:
    experiment = make_experiment(read_request(file))
    data = json.loads(json.dumps(to_data(experiment)))
    assert from_data(data) == experiment
    with pytest.raises(PlanError, match="schema"):
        from_data(data | {"schema": "other/9"})


def test_a_job_hash_covers_what_a_result_depends_on() -> None:
    (job,) = of("--scenario", "quick", "--policies", "idle").jobs()
    for args in (["--seed", "1"], ["--fleet-size", "4"], ["--policies", "truthful"], ["--set", "market.reserve=false"]):
        policies = [] if "--policies" in args else ["--policies", "idle"]
        (other,) = of("--scenario", "quick", *policies, *args).jobs()
        assert job_hash(other) != job_hash(job)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("polices = ['idle']", "Did you mean 'policies'?"),
        ("seeds = 'many'", "a range such as 0:10"),
        ("fleets = ['five']", "allowed is a list of int"),
        ("policies = [3]", "allowed is a list of str"),
        ("set = 3", "table of scenario fields"),
        ("seeds = ", "not valid TOML"),
        ("scenarios = []", "no scenario is named"),
        ("scenarios = ['quick', 'quick']", "more than once"),
        ("scenarios = ['quick']\nfleets = [5, 5]", "more than once"),
        ("scenarios = ['quick']\nset.fleet.szie = 3", "Did you mean 'size'?"),
    ],
)
def test_bad_files_are_told(text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "plan.toml", tmp_path / "out"
    path.write_text(text, encoding="utf-8")
    assert main(["--experiment", str(path), "--policies", "idle", "--out", str(out)]) == 2
    assert says in capsys.readouterr().err
    assert not out.exists()


def test_cases_that_differ_in_name_only_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.toml"
    same = (files("vpp_env.scenario") / "august.toml").read_text(encoding="utf-8")
    copy.write_text(same.replace('"august"', '"copy"', 1), encoding="utf-8")
    assert main(["--scenarios", "august", str(copy), "--policies", "idle", "--out", str(tmp_path / "out")]) == 2
    assert "scenario hash" in capsys.readouterr().err


def test_the_folders_of_several_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    args = [
        "--scenario",
        "quick",
        "--fleets",
        "3",
        "5",
        "--policies",
        "idle",
        "truthful",
        "--seeds",
        "0:3",
        "--no-figures",
    ]
    assert main([*args, "--no-figures", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "quick-n5" in text
    assert "truthful - idle" in text
    assert {f.name for f in out.iterdir() if f.is_dir()} == {"quick-n3", "quick-n5", "runs", "tables"}
    assert {f.name for f in (out / "quick-n3").iterdir() if f.is_dir()} == {"seed_0", "seed_1", "seed_2"}
    statistics = json.loads((out / "statistics.json").read_text("utf-8"))
    assert statistics["cases"] == {"quick-n3": 3, "quick-n5": 3}
    assert statistics["units"] == 6
    profits = [
        json.loads((out / case / f"seed_{s}" / "simulation_summary.json").read_text("utf-8"))["policies"]["truthful"][
            "total_profit"
        ]
        for case in ("quick-n3", "quick-n5")
        for s in range(3)
    ]
    assert statistics["policies"]["truthful"]["total_profit"]["mean"]["value"] == pytest.approx(sum(profits) / 6)
    table = pd.read_csv(out / "tables" / "kpis.csv")
    mine = table[(table["kpi"] == "total_profit") & (table["policy"] == "truthful")]
    assert mine["value"].tolist() == pytest.approx(profits)
    assert "## What may be said" in (out / "simulation_report.md").read_text("utf-8")


def test_common_random_numbers(tmp_path: Path) -> None:
    """Policies of a seed see the same prices, and another seed's are other ones."""
    out = tmp_path / "out"
    args = ["--scenario", "quick", "--policies", "idle", "truthful", "--seeds", "0:2", "--no-figures", "--quiet"]
    assert main([*args, "--out", str(out)]) == 0
    prices = {f.parent.name: f.read_bytes() for f in (out / "runs").glob("*/prices.parquet")}
    assert prices["quick-s0-idle"] == prices["quick-s0-truthful"] != prices["quick-s1-idle"]


def test_the_example_of_the_docs_is_a_plan(tmp_path: Path) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "benchmark.md"
    (example,) = re.findall(r"```toml\n(.*?)```", docs.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "plan.toml"
    path.write_text(example, encoding="utf-8")
    experiment = make_experiment(replace(read_request(path), market_data=None))
    assert len(experiment.jobs()) == 2 * 2 * 3 * 10
    assert experiment.plans[0].scenario.market.min_bid_mw == 0.05
