"""Policies in processes of their own: the same results, and nothing lost when one dies or Ctrl-C comes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.run import executors, process_pool
from vpp_benchmarks.run.plan import make_plan
from vpp_benchmarks.run.progress import LogProgress
from vpp_benchmarks.run.runner import run_plan
from vpp_policies.idle import Idle

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import View
from vpp_env.scenario import load_scenario


class Dies(Idle):
    """Ends its own process in the second opportunity."""

    def reset(self, rules: MarketRules, rng: Any) -> None:
        super().reset(rules, rng)
        self._played = 0

    def act(self, view: View) -> Bids:
        self._played += 1
        if self._played == 2:
            os._exit(9)
        return super().act(view)


class StopAfter(LogProgress):
    """Asks for a stop at the third opportunity that it is told of."""

    seen = 0

    def row(self, job: Any, row: dict[str, Any]) -> None:
        super().row(job, row)
        self.seen += 1
        if self.seen >= 3:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _always_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "PROCESSES_FROM", 0)


def compare(out: Path | None, *policies: str, workers: int = 2, progress: Any = None) -> Comparison:
    plan = make_plan(load_scenario("quick"), policies, (1,))
    return run_plan(plan, out, progress or LogProgress(), figures=False, workers=workers)


def test_the_same_files_as_one_after_the_other(tmp_path: Path) -> None:
    compare(tmp_path / "a", "truthful", "random", workers=1)
    compare(tmp_path / "b", "truthful", "random", workers=2)
    for name in ("simulation_results.csv", "intervals.parquet", "prosumers.parquet"):
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        one, two = (read(tmp_path / folder / name) for folder in "ab")
        timeless = [c for c in one.columns if not c.endswith("_time")]
        pd.testing.assert_frame_equal(one[timeless], two[timeless])


def test_a_process_that_dies_is_a_failed_row_and_stops_nobody(tmp_path: Path) -> None:
    found = compare(tmp_path / "out", f"{__name__}:Dies", "truthful")
    runs = {run.label: run for run in found.seeds[0].runs}
    assert runs["truthful"].complete
    dead = next(run for label, run in runs.items() if label != "truthful")
    assert dead.status == "failed"
    assert "status 9" in dead.reason


def test_a_failure_reaches_the_log_of_the_parent(tmp_path: Path) -> None:
    compare(tmp_path / "out", "tests.benchmarks.broken:Broken", "idle")
    text = (tmp_path / "out" / "simulation.log").read_text(encoding="utf-8")
    assert "Traceback" in text


def test_a_stop_keeps_what_was_played(tmp_path: Path) -> None:
    found = compare(tmp_path / "out", "truthful", "random", "idle", progress=StopAfter())
    states = [run.status for run in found.seeds[0].runs]
    assert found.status == "interrupted"
    assert "not_run" in states or "interrupted" in states
    assert (tmp_path / "out" / "simulation_summary.json").is_file()


def test_a_process_that_still_imports_outlives_ctrl_c() -> None:
    child = process_pool._hire(rehearses=False)
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGINT)
    child.pipe.close()  # nobody has work for it: it goes of its own accord
    child.process.join(60)
    assert child.process.exitcode == 0
