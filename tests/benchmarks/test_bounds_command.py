"""The command that prints ceilings, and the scores that are made from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from support import month
from vpp_benchmarks.cli.bounds import main
from vpp_benchmarks.run.ceilings import MEASURED, ceilings

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.kpi_entry import Ceilings, price_of_preferences
from vpp_env.evaluation.simulate import simulate


def test_it_prints_the_brackets_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bounds.json"
    assert main(["--scenario", "quick", "--set", "fleet.size=3", "--exact", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    for title in ("U_pref", "U_cost", "U_welfare", "U_free", "profit, free", "profit, preferences"):
        assert title in printed
    assert "price of preferences, joint surplus" in printed
    data = json.loads(file.read_text(encoding="utf-8"))
    for name in MEASURED:
        low, high = data[name]
        assert low - 1e-6 <= data["exact"][name] <= high + 1e-6
    assert data["preferences"][0] <= data["cost"][1]
    assert data["cost"][0] <= data["welfare"][1]
    assert data["welfare"][0] <= data["free"][1]
    assert data["scenario"]["name"] == "quick"


def test_it_says_what_hangs_on_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bounds.json"
    changes = ["--change", "market.reserve=false", "--change", "preferences.private_value_factor=2"]
    assert main(["--scenario", "quick", "--seed", "0:2", *changes, "--json", str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed[1:4]] == ["as it is", *changes[1::2]]
    means = json.loads(file.read_text(encoding="utf-8"))["means"]
    first, without, dear = means.values()
    assert without["welfare"] < first["welfare"]
    # private values of nobody's limits are in neither: dearer ones take from all but the free ceiling
    assert dear["welfare"] < first["welfare"]
    assert dear["free"] == pytest.approx(first["free"])
    share = 1.0 - without["welfare"] / first["welfare"]
    assert f"({share:.1%})" in printed[2]
    assert main(["--scenario", "quick", "--exact", *changes]) == 2
    assert "--exact" in capsys.readouterr().err


def test_it_says_what_foresight_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bounds.json"
    few = ["--scenario", "week20", "--seed", "1000:1003", "--set", "time.duration_hours=72"]
    figure = tmp_path / "foresight.svg"
    assert main([*few, "--foresight", "--json", str(file), "--figure", str(figure)]) == 0
    printed = capsys.readouterr().out
    rows = {row["known"]: row["usd"] for row in json.loads(file.read_text(encoding="utf-8"))["foresight"]}
    assert all(name in printed for name in rows)
    plans = [usd for name, usd in rows.items() if name.startswith("plan")]
    # who knows more earns more where it is much more, and a plan is below its ceiling
    assert plans[0] < plans[1] < plans[-1] <= rows["ceiling U_welfare"]
    assert plans[1] <= rows["ceiling U_na: no foresight"] + 1e-6
    svg = fromstring(figure.read_text(encoding="utf-8"))
    texts = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    for known, usd in rows.items():
        assert f"{usd:.2f}" in texts
        assert known.removeprefix("plan: ").removeprefix("ceiling ") in texts
    assert main([*few, "--foresight", "--exact"]) == 2
    assert main(["--figure", str(figure)]) == 2
    assert main([*few, "--foresight", "--figure", str(tmp_path / "foresight.gif")]) == 2
    assert main(["--scenario", "quick", "--set", "prices.model=step", "--foresight"]) == 2
    assert "law of real-time prices" in capsys.readouterr().err


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
    idle = summarize(simulate(m, make_policy("idle"))).scored(found)
    assert idle.score == pytest.approx(0.0, abs=1e-9)
    assert idle.profit_score == pytest.approx(0.0, abs=1e-9)
    assert idle.regret == pytest.approx(found.welfare[1])
    truthful = summarize(simulate(m, make_policy("truthful"))).scored(found)
    assert truthful.score == pytest.approx(truthful.welfare / found.welfare[1])
    assert truthful.regret == pytest.approx(found.welfare[1] - truthful.welfare)
    assert truthful.share_of_preferences == pytest.approx(truthful.welfare / found.preferences[1])
    assert truthful.share_of_free == pytest.approx(truthful.joint_surplus / found.free[1])
    assert 0.0 < truthful.score < truthful.share_of_preferences <= 1.0
    price = price_of_preferences(found.preferences[1], found.free[1])
    assert price is not None
    assert 0.0 < price < 1.0
    rungs = [name for name, _ in found.ladder({"idle": idle.welfare, "truthful": truthful.welfare})]
    assert rungs == ["idle", "truthful", "U_pref", "U_cost", "U_na", "U_welfare", "U_free"]
    assert found.room == pytest.approx(dict(found.ladder({}))["U_na"] - found.idle)
    assert truthful.share_of_na == pytest.approx(truthful.welfare / found.room)


def test_who_computes_pays_and_idle_still_scores_nothing() -> None:
    dear = {"time.duration_hours": 24, "prices.regime": "stressed", "market.compute_usd_per_hour": 0.5}
    cheap = Ceilings.from_json(ceilings(month("week20", {**dear, "market.compute_usd_per_hour": 0.0})))
    found = Ceilings.from_json(ceilings(month("week20", dear)))
    assert found.idle == -12.0
    assert found.welfare[1] == pytest.approx(cheap.welfare[1] - 12.0)
    idle = summarize(simulate(month("week20", dear), make_policy("idle"))).scored(found)
    assert idle.score == pytest.approx(0.0, abs=1e-9)
    assert idle.welfare == pytest.approx(found.idle)


def test_where_nothing_can_be_earned_there_is_no_score() -> None:
    nothing = (0.0, 0.0)
    kpis = replace(summarize(simulate(month("quick"), make_policy("idle"))), welfare=-1.0)
    made = kpis.scored(Ceilings(nothing, nothing, nothing, nothing, nothing, nothing, 0.0, 0.0, 0.0))
    assert (made.regret, made.share_of_free, made.score, made.profit_score) == (1.0, None, None, None)
