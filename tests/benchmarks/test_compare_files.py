"""What a run writes: names, columns, strict JSON, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.report.markdown import seed_report
from vpp_benchmarks.report.material import read_material
from vpp_benchmarks.results import store
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.run.files import TIMING
from vpp_benchmarks.run.job import _month as month_cache
from vpp_benchmarks.run.plan import PlanError, label_of, parse_override, parse_seeds, unique_labels

from vpp_env.scenario import Scenario, load_scenario, scenario_from_dict
from vpp_env.simulation.month import Month

PAIR = ["agentic", "centralized"]
COLUMNS = [
    "success",
    "bid_capacity_mw",
    "bid_price_mwh",
    "expected_profit",
    "actual_profit",
    "prosumer_satisfaction",
    "preference_violations",
    "negotiation_rounds",
    "coalition_size",
    "optimization_time",
    "capacity_utilization",
]
FILES = {
    "simulation_results.csv",
    "simulation_summary.json",
    "simulation_report.md",
    "simulation.log",
    "manifest.json",
    "opportunities.parquet",
    "intervals.parquet",
    "prosumers.parquet",
    "transcripts.jsonl",
    "timing.parquet",
}
EXPERIMENT = {".lock", "experiment.json", "report.html", "runs", "tables"}
KPIS = {
    "total_profit",
    "avg_satisfaction",
    "satisfaction_consented",
    "success_rate",
    "total_violations",
    "avg_coalition_size",
    "avg_negotiation_rounds",
    "total_capacity_mwh",
    "avg_time_seconds",
    "information_set",
}


def compare(out: Path, *args: str) -> Path:
    assert main([*args, "--out", str(out), "--no-figures", "--quiet"]) == 0
    return out


def strict(path: Path) -> dict[str, Any]:
    def no(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=no)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compare(tmp_path_factory.mktemp("pair") / "out", "--scenario", "week20", "--duration-hours", "48")


def test_files_and_columns(pair: Path) -> None:
    assert {f.name for f in pair.iterdir()} == FILES | EXPERIMENT
    table = pd.read_csv(pair / "simulation_results.csv")
    expected = ["timestamp", "lmp_price", "spin_price", "nonspin_price"]
    expected += [f"{label}_{column}" for label in PAIR for column in COLUMNS]
    expected += ["profit_difference", "satisfaction_difference", "capacity_difference_mw", "price_difference_mwh"]
    assert list(table.columns) == expected
    assert len(table) == 48
    difference = table["agentic_actual_profit"] - table["centralized_actual_profit"]
    pd.testing.assert_series_equal(table["profit_difference"], difference, check_names=False, rtol=1e-7, atol=1e-8)


def test_wide_and_long_tables_agree(pair: Path) -> None:
    wide = pd.read_csv(pair / "simulation_results.csv")
    long = pd.read_parquet(pair / "opportunities.parquet")
    assert list(long["policy"].unique()) == PAIR
    # the CSV has ten significant digits, and nothing below 1e-9
    for label in PAIR:
        mine = long[long["policy"] == label].reset_index(drop=True)
        for column in ("lmp_price", "spin_price", "nonspin_price"):
            assert wide[column].to_numpy() == pytest.approx(mine[column].to_numpy(), rel=1e-9, abs=1e-9)
        assert wide[f"{label}_actual_profit"].to_numpy() == pytest.approx(mine["actual_profit"].to_numpy(), abs=1e-8)
    assert len(pd.read_parquet(pair / "intervals.parquet")) == 2 * 48 * 4
    assert len(pd.read_parquet(pair / "prosumers.parquet")) == 2 * 20


def test_summary(pair: Path) -> None:
    summary = strict(pair / "simulation_summary.json")
    assert summary["status"] == "complete"
    assert summary["total_timesteps"] == 48
    assert list(summary["policies"]) == PAIR
    a, c = (summary["policies"][label] for label in PAIR)
    assert set(a) >= KPIS
    assert set(a["total_violations"]) == {"total", "reserve", "ev_not_ready", "underpaid", "blackout", "over_cycling"}
    assert c["satisfaction_consented"] == 0
    assert c["satisfaction_consented_note"] == "0 by construction: this policy asks nobody"
    assert "satisfaction_consented_note" not in a, "its owners have signed contracts"
    assert a["satisfaction_consented"] > 0
    assert a["contracts_signed"] > 0
    profit = 100 * (a["total_profit"] - c["total_profit"]) / abs(c["total_profit"])
    assert summary["profit_advantage_percent"] == pytest.approx(profit)
    satisfaction = 100 * (a["avg_satisfaction"] / c["avg_satisfaction"] - 1)
    assert summary["satisfaction_advantage_percent"] == pytest.approx(satisfaction)
    assert summary["efficiency_ratio"] == pytest.approx(a["total_capacity_mwh"] / c["total_capacity_mwh"])


def test_manifest(pair: Path) -> None:
    data = strict(pair / "manifest.json")
    scenario = scenario_from_dict(tomllib.loads(data["scenario"]["toml"]))
    assert scenario.hash == data["scenario"]["hash"]
    assert data["seed"] == 0
    assert set(data["data"]["series"]) >= {"da", "rt", "spin", "nonspin"}
    assert data["packages"]["vpp-env"]
    assert data["policies"]["centralized"]["information_set"] == "ORACLE"
    assert data["policies"]["centralized"]["asks_consent"] is False
    assert data["wall_seconds"] > 0


def test_report_follows_from_the_run_folders(pair: Path) -> None:
    text = (pair / "simulation_report.md").read_text(encoding="utf-8")
    assert text == seed_report(read_material(pair).seeds[0])
    for part in ("## Result", "## Violations", "## Where the money", "## Caveats", "0 by construction", "ORACLE"):
        assert part in text
    assert "of the owners who have something to offer" in text
    assert "No owner opted out." in text


def test_transcripts_are_strict_json_lines(pair: Path) -> None:
    lines = (pair / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines
    assert {json.loads(line)["policy"] for line in lines} == {"agentic"}


def untimed(folder: Path) -> bytes:
    table = pd.read_csv(folder / "simulation_results.csv", dtype=str)
    timing = [c for c in table.columns if c.endswith(TIMING)]
    assert len(timing) == 2
    return table.drop(columns=timing).to_csv().encode()


def test_same_seed_same_bytes(pair: Path, tmp_path: Path) -> None:
    args = ["--scenario", "week20", "--duration-hours", "48"]
    again = compare(tmp_path / "again", *args)
    assert untimed(again) == untimed(pair)
    digest = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in again.iterdir() if f.is_file()}
    for name in ("opportunities.parquet", "intervals.parquet", "prosumers.parquet", "transcripts.jsonl"):
        assert digest[name] == hashlib.sha256((pair / name).read_bytes()).hexdigest(), name
    other = compare(tmp_path / "other", *args, "--seed", "1")
    assert untimed(other) != untimed(pair)


def test_one_opportunity(tmp_path: Path) -> None:
    out = compare(tmp_path / "out", "--scenario", "quick", "--duration-hours", "1", "--policies", "idle", "truthful")
    assert len((out / "simulation_results.csv").read_text(encoding="utf-8").splitlines()) == 2
    summary = strict(out / "simulation_summary.json")
    # nobody earned anything: the ratios have no meaning, and say so
    assert summary["profit_advantage_percent"] is None
    assert "is 0" in summary["advantage_notes"]["profit_advantage_percent"]
    assert "transcripts.jsonl" not in {f.name for f in out.iterdir()}


def test_same_policy_twice_has_two_labels(tmp_path: Path) -> None:
    specs = ["centralized", "centralized(horizon_hours=2)"]
    out = compare(tmp_path / "out", "--scenario", "quick", "--duration-hours", "2", "--policies", *specs)
    policies = strict(out / "manifest.json")["policies"]
    assert {label: p["spec"] for label, p in policies.items()} == dict(
        zip(["centralized", "centralized_2"], specs, strict=True)
    )
    assert "centralized_2_actual_profit" in (out / "simulation_results.csv").read_text(encoding="utf-8")


def test_a_folder_per_seed_and_the_means(tmp_path: Path) -> None:
    args = ["--scenario", "quick", "--policies", "idle", "random", "--seeds", "0:2", "5"]
    out = compare(tmp_path / "out", *args)
    seeds = ("seed_0", "seed_1", "seed_5")
    assert {f.name for f in out.iterdir() if f.is_dir()} == {*seeds, "runs", "tables"}
    assert {f.name for f in (out / "seed_5").iterdir()} == FILES - {"transcripts.jsonl"}
    summary = strict(out / "simulation_summary.json")
    profits = [strict(out / s / "simulation_summary.json")["policies"]["random"]["total_profit"] for s in seeds]
    assert summary["policies"]["random"]["total_profit"]["mean"] == pytest.approx(sum(profits) / 3)
    assert summary["policies"]["random"]["minus_idle"]["total_profit"]["n"] == 3
    assert "random - idle" in (out / "simulation_report.md").read_text(encoding="utf-8")
    assert strict(out / "manifest.json")["folders"] == {"0": "seed_0", "1": "seed_1", "5": "seed_5"}


def test_measured_prices_are_named_and_hashed(tmp_path: Path) -> None:
    hours = pd.date_range("2023-08-01T07:00:00Z", periods=72, freq="h")
    data = tmp_path / "prices.csv"
    price = [60.0 + 40.0 * (h.hour in (1, 2, 3)) for h in hours]
    pd.DataFrame({"ts_utc": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "lmp_da_usd_mwh": price}).to_csv(data, index=False)
    out = compare(tmp_path / "out", "--scenario", "quick", "--policies", "truthful", "--market-data", str(data))
    manifest = strict(out / "manifest.json")
    assert manifest["data"]["files_sha256"] == {str(data): hashlib.sha256(data.read_bytes()).hexdigest()}
    assert "prices.csv" in manifest["data"]["series"]["da"]
    assert (manifest["data"]["kinds"]["da"], manifest["data"]["kinds"]["rt"]) == ("measured", "seeded")
    assert strict(out / "simulation_summary.json")["price_kinds"]["rt"] == "seeded"
    assert "Not all prices are measured: da measured, rt seeded, reserves seeded" in (
        out / "simulation_report.md"
    ).read_text(encoding="utf-8")


def test_labels() -> None:
    assert label_of("centralized(horizon_hours=24)") == "centralized"
    assert label_of("my.module:MyPolicy") == "mypolicy"
    assert unique_labels(["a", "a", "b", "a"]) == ["a", "a_2", "b", "a_3"]
    # a name that looks like a number is never taken away from its owner
    assert unique_labels(["a", "a", "a_2"]) == ["a", "a_3", "a_2"]


def test_seeds_and_overrides() -> None:
    assert parse_seeds(["0:3", "7"]) == (0, 1, 2, 7)
    assert parse_seeds(["test:2", "validation:2", "31"]) == (0, 1, 1000, 1001, 31)
    scenario = load_scenario("quick")
    assert parse_override("market.min_bid_mw = 0.2", scenario) == ("market.min_bid_mw", 0.2)
    assert parse_override("market.clearing=pm10", scenario) == ("market.clearing", "pm10")
    assert parse_override("time.start=2023-08-01T10:00:00", scenario) == ("time.start", "2023-08-01T10:00:00")
    weights = parse_override("satisfaction.weights=[0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.25]", scenario)
    assert scenario.override(dict([weights])).satisfaction.weights == (*(0.125,) * 6, 0.25)


def test_plain_is_strict() -> None:
    assert plain({"a": float("nan"), "b": [float("inf"), 1.5], 3: (True, None)}) == {
        "a": None,
        "b": [None, 1.5],
        "3": [True, None],
    }


def test_files_appear_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(path, {"a": float("nan")})

    def no_space(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(store.os, "replace", no_space)
    with pytest.raises(OSError, match="disk full"):
        store.write_text(path, "other")
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


def test_a_taken_folder(tmp_path: Path) -> None:
    store.check_free(tmp_path)
    store.check_free(tmp_path / "new")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(PlanError, match="not empty"):
        store.check_free(tmp_path)
    with pytest.raises(PlanError, match="not empty"):
        store.check_free(tmp_path / "file")


def test_a_picture_of_runs_of_different_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    specs = ["truthful", "tests.benchmarks.broken:Interrupting(at=2)"]
    args = ["--scenario", "quick", "--duration-hours", "40", "--policies", *specs, "--out", str(tmp_path / "out")]
    assert main([*args, "--quiet"]) == 130
    assert (tmp_path / "out" / "overview.png").is_file()
    assert "](overview.png)" in (tmp_path / "out" / "simulation_report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_nothing_written_is_read_back_and_a_month_is_built_once(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: Any, **options: Any) -> None:
        raise AssertionError("a table is read back by the process that wrote it")

    built: list[int] = []
    build = Month.__init__

    def counted(month: Month, scenario: Scenario, seed: int, *args: Any, **options: Any) -> None:
        built.append(seed)
        build(month, scenario, seed, *args, **options)

    monkeypatch.setattr(pd, "read_parquet", read)
    monkeypatch.setattr(Month, "__init__", counted)
    month_cache.cache_clear()
    args = ["--scenario", "quick", "--policies", "idle", "truthful", "--seeds", "40:42", "--executor", executor]
    compare(tmp_path / "out", *args, "--jobs", "2")
    assert built == [40, 41]
