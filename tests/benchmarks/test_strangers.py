"""What somebody else adds (a KPI, an executor, a logger) is used, by one entry each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.leaderboard import main as leaderboard
from vpp_benchmarks.dashboard.source import figures
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.executors import EXECUTORS
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.job import JobSpec, Progress, play
from vpp_benchmarks.run.loggers import LOGGERS

from vpp_env.evaluation.kpi import EVERYWHERE, REGISTERED, markdown_table, table
from vpp_env.evaluation.kpi_entry import Better, Format, Kpi

NAME, SHORT, HEADING = "peak_sold_kwh", "peak hour", "peak hour, kWh"
PEAK = Kpi(
    SHORT,
    "kWh",
    Better.HIGHER,
    Format.THREE,
    "most that is sold in one opportunity",
    lambda evidence: float(evidence.opportunities["sold_kwh"].max()),
    shown=EVERYWHERE,
)
ARGS = ["--scenario", "quick", "--policies", "idle", "truthful", "--no-figures"]


@pytest.fixture(scope="module")
def peak() -> Iterator[None]:
    """One entry, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REGISTERED, NAME, PEAK)
        yield


@pytest.fixture(scope="module")
def one(peak: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "out"
    assert main([*ARGS, "--quiet", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def several(peak: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("several") / "out"
    assert main([*ARGS, "--quiet", "--seeds", "0:5", "--executor", "serial", "--out", str(out)]) == 0
    return out


def peak_of(evidence: Any) -> float:
    return float(evidence.opportunities["sold_kwh"].max())


def test_a_new_kpi_reaches_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTERED, NAME, replace(PEAK, of_run=peak_of))
    out = tmp_path / "out"
    assert main([*ARGS, "--quiet", "--seeds", "0:2", "--executor", "processes", "--jobs", "2", "--out", str(out)]) == 0
    for run in ("quick-s0-truthful", "quick-s1-truthful"):
        assert json.loads((out / "runs" / run / "summary.json").read_text("utf-8"))[NAME] == most_sold(
            out / "runs" / run
        )


def test_a_kpi_that_cannot_be_sent_is_refused(peak: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, "--quiet", "--executor", "processes", "--out", str(tmp_path / "out")]) == 2
    assert f"KPI {NAME!r} cannot be sent to processes" in capsys.readouterr().err


def most_sold(run: Path) -> float:
    return float(pd.read_parquet(run / "opportunities.parquet")["sold_kwh"].max())


def test_a_new_kpi_is_in_the_files_of_a_run_and_of_its_seed(one: Path) -> None:
    run = one / "runs" / "quick-s0-truthful"
    value = most_sold(run)
    assert json.loads((run / "summary.json").read_text("utf-8"))[NAME] == value
    assert RunResult.read(run).number(NAME) == value
    summary = json.loads((one / "simulation_summary.json").read_text("utf-8"))
    assert summary["policies"]["truthful"][NAME] == value
    assert (one / "simulation_report.md").read_text("utf-8").count(HEADING) >= 3


def test_a_new_kpi_is_in_every_table_and_in_the_html_report(one: Path, several: Path) -> None:
    for out in (one, several):
        assert HEADING in (out / "report.html").read_text("utf-8")
        for kind in ("md", "tex"):
            assert HEADING in (out / "tables" / f"headline.{kind}").read_text("utf-8")
        kpis = pd.read_csv(out / "tables" / "kpis.csv")
        assert set(kpis[kpis["kpi"] == NAME]["policy"]) == {"idle", "truthful"}
    assert NAME in pd.read_csv(one / "tables" / "headline.csv")
    assert NAME in set(pd.read_csv(several / "tables" / "headline.csv")["metric"])
    assert NAME in set(pd.read_csv(several / "tables" / "differences.csv")["metric"])


def test_a_new_kpi_has_means_intervals_and_tests(several: Path) -> None:
    values = [most_sold(several / "runs" / f"quick-s{seed}-truthful") for seed in range(5)]
    means = json.loads((several / "simulation_summary.json").read_text("utf-8"))["policies"]["truthful"]
    assert means[NAME]["mean"] == pytest.approx(sum(values) / 5)
    assert means["minus_idle"][NAME]["n"] == 5
    found = json.loads((several / "statistics.json").read_text("utf-8"))
    assert found["metrics"][NAME] == HEADING
    assert found["policies"]["truthful"][NAME]["mean"]["value"] == pytest.approx(sum(values) / 5)
    assert HEADING in (several / "simulation_report.md").read_text("utf-8")


def test_a_new_kpi_is_on_the_terminal(peak: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # narrow columns hold a word a line
    for seeds in ([], ["--seeds", "0:2"]):
        assert main([*ARGS, *seeds, "--out", str(tmp_path / str(len(seeds)))]) == 0
        assert {"peak", "hour", "kWh"} <= set(capsys.readouterr().out.split())


def test_a_new_kpi_is_on_the_leaderboard_and_the_dashboard(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board, text = tmp_path / "board.json", tmp_path / "board.md"
    assert leaderboard([str(several), "--by", NAME, "--json", str(board), "--markdown", str(text)]) == 0
    assert NAME in json.loads(board.read_text("utf-8"))["tables"][0]["entries"][0]
    assert HEADING in text.read_text("utf-8")
    assert f"by {NAME}" in capsys.readouterr().out
    run = RunResult.read(several / "runs" / "quick-s0-truthful")
    assert figures(run)[HEADING] == run.number(NAME)


def test_every_entry_of_the_table_is_whole() -> None:
    for kpi in table():
        assert (kpi.of_run is None) != (kpi.of_ceilings is None), kpi.name
        assert kpi.short
        assert kpi.description


def test_the_docs_hold_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """VPP_WRITE_DOCS=1 writes it."""
    monkeypatch.delitem(REGISTERED, NAME, raising=False)
    path = Path(__file__).resolve().parents[2] / "docs" / "files.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split("<!-- table of KPIs -->\n")
    if os.environ.get("VPP_WRITE_DOCS"):
        after = rest.split("<!-- end -->\n")[1]
        path.write_text(f"{before}<!-- table of KPIs -->\n{markdown_table()}<!-- end -->\n{after}", encoding="utf-8")
    else:
        assert rest.startswith(markdown_table() + "<!-- end -->"), "write it with: VPP_WRITE_DOCS=1 pytest -k docs_hold"


# -- executors and loggers ---------------------------------------------------------------------------------------


class Backwards:
    """An executor that begins at the end."""

    played: list[str]

    def __init__(self) -> None:
        self.played = []

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[RunResult]:
        for job in reversed(jobs):
            self.played.append(job.name)
            yield play(job, progress)


def test_a_stranger_s_executor_plays_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Backwards()
    monkeypatch.setitem(EXECUTORS, "backwards", lambda workers, address: mine)
    for name in ("serial", "backwards"):
        assert main([*ARGS, "--quiet", "--executor", name, "--out", str(tmp_path / name)]) == 0
    assert mine.played == ["quick-s0-truthful", "quick-s0-idle"]
    for file in ("opportunities.parquet", "intervals.parquet", "prosumers.parquet", "tables/kpis.csv"):
        assert (tmp_path / "serial" / file).read_bytes() == (tmp_path / "backwards" / file).read_bytes()


class Diary:
    """A logger that keeps what it is told."""

    said: list[str]

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.said.append(folder.name)

    def begin(self, job: JobSpec, total: int) -> None:
        self.said.append(f"{job.name}: {total}")

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        self.said.append(f"{row['actual_profit']:.0f}")

    def end(self, result: RunResult) -> None:
        self.said.append(f"{result.name}: {result.status}")

    def close(self) -> None:
        self.said.append("closed")


def test_a_stranger_s_logger_is_told_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Diary, "said", said, raising=False)
    monkeypatch.setitem(LOGGERS, "diary", Diary)
    args = ["--scenario", "quick", "--policies", "idle", "--no-figures", "--quiet", "--executor", "serial"]
    assert main([*args, "--log", "diary", "--out", str(tmp_path / "out")]) == 0
    assert said == ["out", "quick-s0-idle: 6", *["0"] * 6, "quick-s0-idle: complete", "closed"]
