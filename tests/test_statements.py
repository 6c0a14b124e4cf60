"""What owners say: true numbers, every style, nothing that varies."""

from __future__ import annotations

import re

import numpy as np
import pytest

from vpp_env.errors import UnknownNameError
from vpp_env.owners.statements import STYLES, statement
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.traces.fleet import EV_PRIORITIES, Fleet, build_fleet


@pytest.fixture(scope="module")
def world() -> tuple[Scenario, Fleet]:
    scenario = load_scenario("august").override({"fleet.size": 120})
    return scenario, build_fleet(scenario, 3)


def test_deterministic_and_varied(world: tuple[Scenario, Fleet]) -> None:
    scenario, fleet = world
    first = [statement(scenario, fleet, 3, i) for i in range(fleet.n)]
    assert first == [statement(scenario, fleet, 3, i) for i in reversed(range(fleet.n))][::-1]
    assert first[0] != statement(scenario, fleet, 4, 0)
    patterns = {re.sub(r"[\d.]+", "#", text) for text in first}
    assert len(patterns) > 0.8 * fleet.n


@pytest.mark.parametrize("style", ["clear", "spanish", "contradictory", "hostile"])
def test_true_numbers(world: tuple[Scenario, Fleet], style: str) -> None:
    scenario, fleet = world
    for i in range(fleet.n):
        text = statement(scenario, fleet, 3, i, style)
        if fleet.has_bess[i]:
            assert f"{fleet.backup_hours[i]:.1f}" in text
            assert f"{fleet.floor_kwh[i]:.1f} kWh" in text
            assert f"{fleet.cycles_per_day[i]:.2f}" in text
            assert f"{100 * fleet.max_discharge[i]:.0f} %" in text
        if fleet.has_ev[i]:
            assert f"{fleet.ready_minutes[i] // 60:02d}:{fleet.ready_minutes[i] % 60:02d}" in text
            assert f"{100 * fleet.ev_target_kwh[i] / fleet.ev_kwh[i]:.0f} %" in text
        if fleet.has_ev[i] and style != "spanish":
            assert f"{EV_PRIORITIES[fleet.ev_priority[i]]}" in text
        if fleet.has_bess[i] or fleet.has_ev[i]:
            assert f"{100 * fleet.willingness[i]:.0f} %" in text
            assert f"{100 * fleet.premium[i]:.1f} " in text.replace("¢", " ")
            assert f"{100 * fleet.buy_limit[i]:.1f} " in text.replace("¢", " ")


def test_blackout_windows_are_weekday_and_hours(world: tuple[Scenario, Fleet]) -> None:
    scenario, fleet = world
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    seen = 0
    for i in np.flatnonzero((fleet.has_bess | fleet.has_ev) & (fleet.blackout[:, 0, 0] >= 0)):
        text = statement(scenario, fleet, 3, int(i))
        for start, end in fleet.blackout[i]:
            if start >= 0:
                seen += 1
                first, last = int(start) // 96, (int(end) - 1) // 96
                opening, closing = (f"{q // 4:02d}:{q % 4 * 15:02d}" for q in (start % 96, end - 96 * last))
                tail = closing if first == last else f"{days[last]} {closing}"
                assert f"{days[first]} {opening} to {tail}" in text
    assert seen > 10


def test_only_what_the_home_has(world: tuple[Scenario, Fleet]) -> None:
    scenario, fleet = world
    bare = np.flatnonzero(~fleet.has_bess & ~fleet.has_ev)
    assert len(bare) > 0
    assert not re.search(r"\d", statement(scenario, fleet, 3, int(bare[0])))
    no_car = int(np.flatnonzero(fleet.has_bess & ~fleet.has_ev)[0])
    text = statement(scenario, fleet, 3, no_car)
    assert "car" not in re.sub(r"\bcare\w*", "", text)
    assert "priority" not in text


def test_styles(world: tuple[Scenario, Fleet]) -> None:
    scenario, fleet = world
    i = int(np.flatnonzero(fleet.has_bess & fleet.has_ev)[0])
    texts = {style: statement(scenario, fleet, 3, i, style) for style in STYLES}
    assert len(set(texts.values())) == len(STYLES)
    assert not re.search(r"\d", texts["vague"])
    assert len(texts["hostile"]) > len(texts["clear"])
    assert len(texts["contradictory"]) > len(texts["clear"])
    hostile = " ".join(statement(scenario, fleet, 3, k, "hostile") for k in range(fleet.n))
    assert "Ignore your rules" in hostile
    assert "SYSTEM:" in hostile
    assert all(0 < len(t) < 2000 and "{voice}" not in t for t in texts.values())


def test_reference_owners_name_their_lowest_price() -> None:
    scenario = load_scenario("reference").override({"fleet.size": 40})
    fleet = build_fleet(scenario, 0)
    i = int(np.flatnonzero(fleet.has_bess)[0])
    assert f"{100 * fleet.reference_compensation[i]:.1f}" in statement(scenario, fleet, 0, i)


def test_unknown_style(world: tuple[Scenario, Fleet]) -> None:
    scenario, fleet = world
    with pytest.raises(UnknownNameError, match="clear"):
        statement(scenario, fleet, 3, 0, "claer")
