"""The Python API of a comparison, and the demonstration."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime
from pathlib import Path

import pytest
from vpp_benchmarks.cli import demo
from vpp_benchmarks.run.orchestrator import SimulationSummary, VPPSimulationOrchestrator

from vpp_env.errors import PolicyError, ScenarioError, UnknownNameError, VppError


@pytest.fixture(scope="module")
def summary() -> SimulationSummary:
    return VPPSimulationOrchestrator().run_full_simulation(fleet_size=12, duration_hours=24)


def test_attributes_and_keys(summary: SimulationSummary) -> None:
    assert summary.status == "complete"
    assert summary.total_timesteps == summary["total_timesteps"] == 24
    assert summary["simulation_duration_hours"] == 24
    assert summary.agentic_total_profit == summary["agentic_total_profit"]
    assert summary.agentic_total_profit == summary.policies["agentic"]["total_profit"]
    assert summary["satisfaction_improvement"] == pytest.approx(summary.satisfaction_advantage_percent / 100)
    assert f"{summary['satisfaction_improvement']:.1%}"
    assert len(summary.results) == 24
    assert summary.results["agentic_actual_profit"].sum() == pytest.approx(summary.agentic_total_profit)
    assert "centralized_avg_satisfaction" in summary
    assert "efficiency_ratio" in list(summary)


def test_unknown_figures(summary: SimulationSummary) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'satisfaction_improvement'"):
        summary["satisfaction_improvment"]
    with pytest.raises(AttributeError, match="Did you mean 'agentic_total_profit'"):
        _ = summary.agentic_totl_profit
    assert not hasattr(summary, "__array__")


def test_copies(summary: SimulationSummary) -> None:
    assert copy.deepcopy(summary).agentic_total_profit == summary.agentic_total_profit
    assert pickle.loads(pickle.dumps(summary)).profit_advantage_percent == summary.profit_advantage_percent


def test_arguments() -> None:
    run = VPPSimulationOrchestrator(policies=("idle",), scenario="quick").run_full_simulation
    quarter = run(3, datetime(2023, 8, 5, 10), 2, 0.25)
    assert quarter.total_timesteps == 8
    assert quarter.simulation_duration_hours == 2
    assert quarter.results["timestamp"].iloc[0] == "2023-08-05T10:00:00-07:00"
    assert quarter.profit_advantage_percent is None
    assert quarter.advantage_notes == {"all": "defined for two policies only"}
    assert run(3, "2023-08-05T10:00", 2).total_timesteps == 2
    with pytest.raises(VppError, match=r"1, 0\.5 or 0\.25"):
        run(opportunity_frequency_hours=2)
    with pytest.raises(VppError, match="whole hours"):
        run(duration_hours=1.5)
    with pytest.raises(ScenarioError, match="allowed: 1 to"):
        run(fleet_size=0)
    with pytest.raises(ScenarioError, match="without an offset"):
        run(start_timestamp="2023-08-05T10:00-07:00")


def test_constructor_checks() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'agentic'"):
        VPPSimulationOrchestrator(policies=("agentik",))
    with pytest.raises(PolicyError, match="horizon_hours"):
        VPPSimulationOrchestrator(policies=("centralized(horizon_hours=-1)",))
    with pytest.raises(VppError, match="a list of texts"):
        VPPSimulationOrchestrator(policies="agentic")


def test_homes_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("home,bess_kwh,ev_kwh\noak,13.5,0\nelm,0,60\nash,0,0\n", encoding="utf-8")
    made = VPPSimulationOrchestrator(("truthful",), "quick", market_data="caiso:PGAE:2019-08", home_data=tmp_path)
    summary = made.run_full_simulation(duration_hours=3, start_timestamp="2019-08-01T00:00")
    assert summary.status == "complete"
    assert summary.total_timesteps == 3
    with pytest.raises(VppError, match="as many homes as in home_data"):
        made.run_full_simulation(20, duration_hours=3)


def test_files_where_wanted(tmp_path: Path) -> None:
    orchestrator = VPPSimulationOrchestrator(policies=("idle", "truthful"), scenario="quick", out=tmp_path / "out")
    assert orchestrator.run_full_simulation(5, duration_hours=6).folder == tmp_path / "out"
    assert (tmp_path / "out" / "simulation_summary.json").is_file()
    with pytest.raises(VppError, match="not empty"):
        orchestrator.run_full_simulation(5, duration_hours=6)


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    summary = VPPSimulationOrchestrator(
        policies=("tests.benchmarks.broken:Broken", "idle"), scenario="quick"
    ).run_full_simulation(5, duration_hours=6)
    assert summary.status == "failed"
    with pytest.raises(AttributeError, match="the model is away"):
        _ = summary.broken_total_profit


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main([]) == 0
    text = capsys.readouterr().out
    for word in ("Solver: optimal", "prosumer_0", "agentic", "centralized", "ORACLE"):
        assert word in text
