"""The command that prints ceilings, and the scores that are made from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import month
from vpp_benchmarks.cli.bounds import main
from vpp_benchmarks.run.ceilings import ceilings

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.kpi_entry import Brackets, Ceilings, price_of_preferences
from vpp_env.evaluation.simulate import simulate


def test_it_prints_four_brackets_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bounds.json"
    assert main(["--scenario", "quick", "--set", "fleet.size=3", "--exact", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    for title in ("value, free", "profit, free", "value, preferences", "profit, preferences", "price of preferences"):
        assert title in printed
    data = json.loads(file.read_text(encoding="utf-8"))
    for name in ("free", "preferences"):
        for label in ("value", "profit"):
            low, high = data[name][label]
            assert low - 1e-6 <= data["exact"][name][label] <= high + 1e-6
    assert data["scenario"]["name"] == "quick"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scenario", "agust"], "august"),
        (["--seed", "0:3"], "one integer"),
        (["--set", "fleet.sise=3"], "size"),
        (["--market-data", "/no/such/file.csv"], "/no/such/file.csv"),
        (["--json", "/no/such/folder/x.json"], "folder"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert word in capsys.readouterr().err


def test_doing_nothing_scores_nothing_and_the_rest_lies_below_one() -> None:
    # stressed: a day on which there is something to earn
    m = month("week20", {"time.duration_hours": 24, "prices.regime": "stressed"})
    found = Ceilings.from_json(ceilings(m))
    kept, free = found.preferences.value[1], found.free.value[1]
    idle = summarize(simulate(m, make_policy("idle"))).scored(found)
    assert idle.score == pytest.approx(0.0, abs=1e-9)
    assert idle.profit_score == pytest.approx(0.0, abs=1e-9)
    assert idle.regret == pytest.approx(kept)
    truthful = summarize(simulate(m, make_policy("truthful"))).scored(found)
    assert truthful.score is not None
    assert truthful.regret is not None
    assert truthful.regret_free is not None
    assert 0.0 < truthful.score <= 1.0
    assert truthful.regret_free > truthful.regret > 0.0
    price = price_of_preferences(kept, free)
    assert price is not None
    assert 0.0 < price < 1.0


def test_where_nothing_can_be_earned_there_is_no_score() -> None:
    nothing = Brackets((0.0, 0.0), (0.0, 0.0))
    kpis = replace(summarize(simulate(month("quick"), make_policy("idle"))), joint_surplus=-1.0)
    made = kpis.scored(Ceilings(nothing, nothing, 0.0, 0.0))
    assert (made.regret, made.regret_free, made.score, made.profit_score) == (1.0, 1.0, None, None)
