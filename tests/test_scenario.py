"""Scenarios: round trip, hash, what is refused and how."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import begin, month, play
from vpp_benchmarks.run.plan import overridden

from vpp_env.errors import ScenarioError, VppError
from vpp_env.scenario import Scenario, load_scenario, scenario_from_dict, scenario_names
from vpp_env.scenario.scenario import describe
from vpp_env.simulation.world import World

SHIPPED = ["april", "august", "august_allbess", "haggle", "heatwave", "quick", "reference", "week20"]


def test_every_named_scenario_ships() -> None:
    assert set(SHIPPED) <= set(scenario_names())


@pytest.mark.parametrize("name", scenario_names())
def test_a_shipped_scenario_loads_and_plays(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description
    file = tmp_path / "copy.toml"
    file.write_text(scenario.to_toml(), encoding="utf-8")
    again = load_scenario(file)
    assert again == scenario
    assert again.hash == scenario.hash
    assert scenario_from_dict(scenario.to_dict()) == scenario
    world = begin(month(name, {"fleet.size": 4}))
    assert len(play(world, 0, limit=3)) == 3


def test_the_default_month_is_what_is_published() -> None:
    august, week, quick = (load_scenario(n) for n in ("august", "week20", "quick"))
    assert (august.fleet.size, august.hours, august.n_opportunities, august.n_steps) == (200, 744, 744, 2976)
    assert (week.fleet.size, week.hours, week.market.min_bid_mw) == (20, 168, 0.01)
    assert (quick.fleet.size, quick.hours, quick.market.min_bid_mw) == (5, 6, 0.0)
    reference = load_scenario("reference")
    assert (reference.market.clearing, reference.market.reserve, reference.preferences.model) == (
        "pm10",
        False,
        "reference",
    )
    assert reference.market.max_capacity_mw == 0.1
    assert load_scenario("august_allbess").fleet.share_bess == 1.0


def test_the_hash_follows_the_content_and_not_the_name() -> None:
    base = load_scenario("week20")
    assert base.override({"name": "other", "description": "x"}).hash == base.hash
    assert base.override({"fleet.size": 21}).hash != base.hash
    assert base.override({"fleet.share_bess": 0.350001}).hash != base.hash
    assert base.override({"fleet.size": 20}).hash == base.hash
    code = "from vpp_env.scenario import load_scenario; print(load_scenario('week20').hash)"
    for seed in ("1", "99"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == base.hash


def test_scenarios_cannot_be_changed() -> None:
    scenario = load_scenario("quick")
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.name = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.fleet.size = 3  # type: ignore[misc]
    changed = scenario.override({"fleet.size": 3, "market.margin": 0})
    assert changed.fleet.size == 3
    assert isinstance(changed.market.margin, float)
    assert scenario.fleet.size == 5


def test_every_field_says_its_unit_and_source() -> None:
    rows = describe(Scenario())
    assert len(rows) > 70
    assert all(unit and source for _, _, unit, _, source in rows)
    bounded = {field: limits for field, _, _, limits, _ in rows}
    assert bounded["fleet.share_ev"] == "0 to 1"
    assert bounded["prices.model"] == "caiso, step"
    again = overridden(Scenario(), [f"{field}={value}" for field, value, *_ in rows])
    assert again == Scenario(), "every value is spelled as --set takes it"


BAD = [
    ({"fleet.sise": 5}, "size"),
    ({"flet.size": 5}, "fleet"),
    ({"market.clearing_rule": "x"}, "clearing"),
    ({"fleet.size": 0}, "fleet.size"),
    ({"fleet.size": 2.5}, "fleet.size"),
    ({"fleet.size": True}, "fleet.size"),
    ({"fleet.size": "many"}, "fleet.size"),
    ({"fleet": 3}, "table"),
    ({"fleet.share_bess": 1.2}, "0 to 1"),
    ({"fleet.share_ev": -0.1}, "0 to 1"),
    ({"fleet.share_pv": float("nan")}, "share_pv"),
    ({"fleet.bess_eta": 1.1}, "0.1 to 1"),
    ({"fleet.ev_eta": 0.0}, "0.1 to 1"),
    ({"fleet.bess_eta": float("inf")}, "finite"),
    ({"fleet.bess_soc_min": [0.2, 0.1]}, "low <= high"),
    ({"fleet.bess_soc_min": [0.05, 0.5]}, "initial SoC"),
    ({"fleet.bess_soc_max": [0.5, 0.9]}, "bess_soc_max"),
    ({"fleet.pv_kwp_weight": [[4, 0.5]]}, "sum to 1"),
    ({"fleet.bess_kwh_kw_weight": [[5, 1.0]]}, "rows of 3"),
    ({"time.start": "yesterday"}, "ISO time"),
    ({"time.start": "2023-08-01T16:07"}, "full hour"),
    ({"time.start": "2023-08-01T16:00+02:00"}, "without an offset"),
    ({"time.start": "1066-10-14T09:00"}, "1990"),
    ({"time.duration_hours": -1}, "0 to 8784"),
    ({"time.duration_hours": 24 * 500}, "0 to 8784"),
    ({"time.opportunity_minutes": 20}, "15, 30, 60"),
    ({"time.timezone": "America/Lost_Angeles"}, "IANA"),
    ({"home.control": "backupp"}, "backup"),
    ({"prices.model": "ciaso"}, "caiso"),
    ({"prices.season": "sumer"}, "summer"),
    ({"prices.level": 0.0}, "0.001"),
    ({"preferences.model": "refrence"}, "reference"),
    ({"preferences.willingness": [[0.3, 0.6], [0.6, 0.8]]}, "three"),
    ({"preferences.cycles_per_day": [1.0]}, "low, high"),
    ({"satisfaction.weights": [0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]}, "sum to 1"),
    ({"satisfaction.weights": [0.5, 0.5]}, "seven"),
    ({"satisfaction.weights": [-0.3, 0.6, 0.3, 0.2, 0.2, 0.0, 0.0]}, "0 to 1"),
    ({"satisfaction.ev_scale": 0.0}, "1e-06 or more"),
    ({"market.version": "caiso2023"}, "caiso2023.2"),
    ({"market.margin": -0.1}, "0 to 10"),
    ({"market.max_capacity_mw": 0.0}, "0.001 or more"),
    ({"market.reserve": 1}, "market.reserve"),
    ({"market.price_floor_usd_per_mwh": 3000.0}, "price_cap"),
    ({"market.call_probability": 2.0}, "0 to 1"),
    ({"reward.team_share": 1.5}, "0 to 1"),
    ({"reward.team_share": float("nan")}, "team_share"),
]


@pytest.mark.parametrize(("changes", "says"), BAD, ids=lambda x: str(x)[:40])
def test_a_bad_value_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_scenario("week20").override(changes)
    assert says in str(error.value)
    assert next(iter(changes)).split(".")[0][:3] in str(error.value), "the message names the field"


SLIPS = [
    {"home.restore_hour": 99.0},
    {"home.import_peak_usd_per_kwh": -1.0},
    {"home.away_charging_usd_per_kwh": -1.0},
    {"preferences.ev_target": [0.75, 1.5]},
    {"preferences.willingness": [[0.3, 0.6], [0.6, 0.8], [0.8, 7.0]]},
    {"preferences.max_discharge": [[0.3, 0.5], [0.5, 0.7], [0.7, 8.5]]},
    {"preferences.defer_premium_usd_per_kwh": [0.01]},
    {"preferences.reference_min_compensation": [[0.2, 0.3]]},
    {"preferences.backup_hours": [[-6, 12], [3, 8], [1, 4]]},
    {"preferences.blackout_hours": [2.0, 500.0]},
    {"preferences.ready_by_hour": [6.0, 30.0]},
    {"preferences.reserve_ask_share": -1.0},
    {"fleet.ev_soc_min": 0.95},
    {"market.margin": float("inf")},
    {"market.reserve_cap_usd_per_mw": -5.0},
    {"site.latitude": 200.0},
    {"name.x": 3},
    {"fleet.size.x": 3},
]


@pytest.mark.parametrize("changes", SLIPS, ids=str)
def test_no_nonsense_slips_through(changes: dict[str, Any]) -> None:
    with pytest.raises(VppError):
        load_scenario("quick").override(changes)


def test_names_and_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="'august'"):
        load_scenario("agust")
    with pytest.raises(ScenarioError, match="does not exist"):
        load_scenario(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[fleet\nsize = 3", encoding="utf-8")
    with pytest.raises(ScenarioError, match="not valid TOML"):
        load_scenario(broken)


def test_the_scenario_is_the_same_for_all_seeds() -> None:
    a, b = month("quick", seed=0), month("quick", seed=1)
    assert a.scenario.hash == b.scenario.hash
    assert isinstance(begin(a), World)
    assert not (a.fleet.load_kw == b.fleet.load_kw).any()
