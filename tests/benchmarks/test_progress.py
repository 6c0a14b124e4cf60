"""What is seen of an experiment while it runs, and the loggers."""

from __future__ import annotations

import io
import json
import logging
import time
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import event
from rich.console import Console
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run import auditing, compiling, progress
from vpp_benchmarks.run.experiment import Request, make_experiment
from vpp_benchmarks.run.job import month_of, origin_of
from vpp_benchmarks.run.live import live
from vpp_benchmarks.run.log import told_while
from vpp_benchmarks.run.plan import Checks, JobSpec
from vpp_benchmarks.run.progress import FileProgress, LogProgress, RunningSums, Several, Stop, clock

from tests.benchmarks.schema import errors
from vpp_env.contract.views import Information
from vpp_env.evaluation.verdict import Audit, Verdict

JOBS = make_experiment(Request(policies=("idle",), scenarios=("quick",), seeds=tuple(range(20)))).jobs()
ROW = {"actual_profit": 2.0, "prosumer_satisfaction": 0.5, "preference_violations": 3}


def play(listener: Any, jobs: tuple[JobSpec, ...]) -> None:
    for job in jobs:
        listener.begin(job, 2)
        listener.row(job, ROW)
        listener.row(job, ROW)
        listener.end(RunResult(origin_of(job), "complete", seconds=1.0, played=2))


def test_many_runs_are_lines_on_the_whole(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(float(k) for k in range(0, 10_000, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with caplog.at_level(logging.INFO, "vpp_benchmarks"):
        play(LogProgress(20), JOBS)
    # 6 s a run, and a line every 10 s: every other run
    assert caplog.messages[0] == "2/20 runs, 0 failed, about 0:01:48 left"
    assert caplog.messages[-1] == "20/20 runs, 0 failed, about 0:00:00 left"
    assert len(caplog.messages) == 10


def test_few_runs_are_followed_by_quarters(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with caplog.at_level(logging.INFO, "vpp_benchmarks"):
        play(LogProgress(1), JOBS[:1])
    assert caplog.messages[1:] == [
        "idle, seed 0: 1/2, profit 2.00, satisfaction per opportunity 0.500, violations 3",
        "idle, seed 0: 2/2, profit 4.00, satisfaction per opportunity 0.500, violations 6, 1 opportunities/s, "
        "about 0:00:00 left",
    ]


def test_a_slow_run_is_followed_every_four_seconds_from_its_beginning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10_000, 3))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with caplog.at_level(logging.INFO, "vpp_benchmarks"):
        listener = LogProgress(1)
        listener.begin(JOBS[0], 100)
        for _ in range(9):
            listener.row(JOBS[0], ROW)
    # 3 s an opportunity, no quarter reached: every other one, the first after what came before the first opportunity
    assert [m.split(",")[1] for m in caplog.messages[1:]] == [f" seed 0: {k}/100" for k in (2, 4, 6, 8)]
    assert caplog.messages[-1].endswith("0.333 opportunities/s, about 0:04:36 left")


def test_no_figure_is_minus_nothing() -> None:
    assert RunningSums(profit=-0.001).figures()["profit"] == "0.00"


def test_kernels_that_compile_are_told_once_and_again_and_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "TELL_SECONDS", 0.3)

    def triple(x: float) -> float:
        return 3.0 * x

    with caplog.at_level(logging.INFO, "vpp_benchmarks"), compiling.told():
        compiled = numba.njit(triple)
        with event.trigger_event(compiling.KIND):  # one that lasts
            assert compiled(2.0) == 6.0
            deadline = time.monotonic() + 10.0
            while len(caplog.messages) < 3 and time.monotonic() < deadline:
                time.sleep(0.05)
        told = len(caplog.messages)
        assert compiled(3.0) == 9.0  # compiled already
        time.sleep(0.6)
    assert caplog.messages[0] == "compiling, once: kernels of this version are kept for the next run"
    assert told >= 3
    assert len(caplog.messages) == told


def test_processes_that_compile_side_by_side_are_told_as_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "TELL_SECONDS", 3.0)
    with caplog.at_level(logging.INFO, "vpp_benchmarks"), compiling.told():
        for at in (100.0, 100.1, 102.9, 103.0, 103.1, 105.9, 106.5):  # of whichever process
            record = compiling.log.makeRecord(compiling.log.name, logging.INFO, "", 0, compiling.FIRST, (), None)
            record.created = at
            compiling.log.handle(record)
    assert caplog.messages == [compiling.FIRST, "compiling, once: 3 s", "compiling, once: 6 s"]


def test_kernels_that_compile_are_told_above_the_moving_table() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with live(console), compiling.told(), event.trigger_event(compiling.KIND):
        pass
    assert "compiling, once" in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_audit_says_how_far_it_is_also_above_the_moving_table(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "TELL_SECONDS", 0.02)

    def slow(*args: Any, on_gate: Any) -> Audit:
        for k in (1, 2):
            until = len(caplog.messages) + 2
            while len(caplog.messages) < until:
                time.sleep(0.01)
            on_gate(k, 4)
        return Audit(Verdict.VERIFIED, Information.OWN, 0, 4, ())

    monkeypatch.setattr(auditing, "audit", slow)
    request = Request(policies=("truthful", "idle"), scenarios=("quick",))
    job, other = make_experiment(request, checks=Checks(verify_hours=2)).jobs()
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with live(console, 2), caplog.at_level(logging.INFO, "vpp_benchmarks"):
        auditing.announce([job, other])
        auditing.announce(JOBS)
        found = auditing.audit_of(job, month_of(job))
        told = len(caplog.messages)
        time.sleep(0.1)
    assert found is not None
    assert found.month == "quick, seed 0"
    assert len(caplog.messages) == told, "nothing more once it is over"
    assert caplog.messages[0] == "audits: 2, of truthful, idle"
    assert caplog.messages[2].startswith("truthful, seed 0: audit, the first gate, ")
    assert caplog.messages[4].startswith("truthful, seed 0: audit, 25% of 4 gates, ")
    assert caplog.messages[-1].startswith("truthful, seed 0: verified, in ")
    assert "audit, 25% of 4 gates" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_moving_table_shows_the_whole_and_the_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with live(console, len(JOBS)) as shown:
        play(shown, JOBS[:5])
        shown.begin(JOBS[5], 2)
        shown.row(JOBS[5], ROW)
        descriptions = [task.description for task in shown._bars.tasks]
        assert descriptions == ["[bold]all runs[/]", "idle [dim]quick #5[/]"]
        assert shown._bars.tasks[0].completed == 5
        assert shown._bars.tasks[0].total == 20
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "left" in text


def test_the_file_for_others_is_there_while_it_runs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress.json"
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    shown = FileProgress(path)
    shown.begin(JOBS[0], 2)
    shown.row(JOBS[0], ROW)
    schema = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "progress.json").read_text("utf-8"))
    told = json.loads(path.read_text("utf-8"))
    assert errors(told, schema) == []
    assert errors(told | {"ended": -1}, schema) != []
    running = told["running"]
    assert running == {"quick-s0-idle": {"played": 1, "total": 2, "profit": 2.0, "violations": 3, "rate": None}}
    shown.row(JOBS[0], ROW)
    told = json.loads(path.read_text("utf-8"))
    assert told["running"]["quick-s0-idle"]["rate"] > 0
    assert errors(told, schema) == []
    # another process that cannot get the folder does not take it away
    FileProgress(path).close()
    assert path.exists()
    shown.close()
    assert not path.exists()


def test_a_listener_that_fails_is_dropped_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    class Away(LogProgress):
        def row(self, job: JobSpec, row: dict[str, Any]) -> None:
            raise ConnectionError("the server is away")

    good = FileProgress(Path("/nonexistent/progress.json"))
    several = Several([Away(), good], Stop())
    several.begin(JOBS[0], 2)
    several.row(JOBS[0], ROW)
    several.row(JOBS[0], ROW)
    assert [m for m in caplog.messages if "Away failed" in m] == ["Away failed and is told nothing more"]
    assert good._runs["quick-s0-idle"][0].played == 2
    with pytest.raises(KeyboardInterrupt):
        Several([good], Stop(asked=True)).row(JOBS[0], ROW)


def test_clock() -> None:
    assert [clock(s) for s in (0.4, 61, 3600 * 26 + 125)] == ["0:00:00", "0:01:01", "26:02:05"]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "out"
    args = ["--scenario", "quick", "--duration-hours", "48", "--policies", "truthful", "--no-figures", "--quiet"]
    assert main([*args, "--out", str(out), "--log", "tensorboard"]) == 0
    events = accumulator.EventAccumulator(str(out / "tensorboard" / "quick-s0-truthful"))
    events.Reload()
    assert [e.step for e in events.Scalars("running/profit_usd")] == [24, 48]
    kpis = json.loads((out / "runs" / "quick-s0-truthful" / "summary.json").read_text("utf-8"))
    (last,) = events.Scalars("final/profit_usd")
    assert last.value == pytest.approx(kpis["total_profit"], rel=1e-6)


@pytest.mark.slow
def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    out = tmp_path / "out"
    args = ["--scenario", "quick", "--duration-hours", "24", "--no-figures", "--quiet", "--out", str(out)]
    assert main([*args, "--policies", "truthful", "tests.benchmarks.broken:Broken", "--log", "mlflow"]) == 1
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("out")
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    assert {name: r.info.status for name, r in runs.items()} == {
        "quick-s0-truthful": "FINISHED",
        "quick-s0-broken": "FAILED",
    }
    kpis = json.loads((out / "runs" / "quick-s0-truthful" / "summary.json").read_text("utf-8"))
    assert runs["quick-s0-truthful"].data.metrics["profit_usd"] == pytest.approx(kpis["total_profit"])
    assert runs["quick-s0-broken"].data.tags["reason"].startswith("RuntimeError: the model is away (broken.py")


@pytest.mark.parametrize(("module", "logger"), [("tensorboardX", "tensorboard"), ("mlflow", "mlflow")])
def test_a_logger_that_is_not_installed_says_how(
    module: str, logger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    out = tmp_path / "out"
    assert main(["--scenario", "quick", "--policies", "idle", "--out", str(out), "--log", logger]) == 2
    assert f'pip install "vpp-env[{logger}]"' in capsys.readouterr().err
    assert not out.exists()


def test_ray_that_is_not_installed_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    args = ["--scenario", "quick", "--policies", "idle", "--out", str(tmp_path / "out")]
    assert main([*args, "--executor", "ray"]) == 2
    assert 'pip install "vpp-env[ray]"' in capsys.readouterr().err
    assert main([*args, "--address", "auto"]) == 2
    assert "--executor ray" in capsys.readouterr().err
    assert main([*args, "--jobs", "0"]) == 2


def test_long_work_is_told_again_and_again_until_it_ends() -> None:
    told: list[float] = []
    with told_while(told.append, 0.01):
        while len(told) < 2:
            time.sleep(0.01)
    assert told == sorted(told)
    count = len(told)
    time.sleep(0.05)
    assert len(told) == count, "nothing is said once it is done"
