"""Cross-play: the same homes in every population, so that an owner who lies is held against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vpp_benchmarks.cli.crossplay import main
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.store import run_folders
from vpp_benchmarks.run.crossplay import MADE_WITH, POPULATIONS, TRUTHFUL, cross_play, gain, who_lies
from vpp_benchmarks.run.plan import PlanError
from vpp_benchmarks.run.progress import LogProgress

from vpp_env import Month, World, load_scenario
from vpp_env.owners.brains import Mixture
from vpp_env.owners.personas import HELD_OUT

POLICIES = ("tests.benchmarks.pays:PaysWhatIsAsked", "zero")
WORLD = load_scenario("week20").override({"time.duration_hours": 48})


def test_liars_are_the_homes_that_the_world_says() -> None:
    shares = POPULATIONS["three in ten lie"]
    month = Month(load_scenario("august").override({"owners.brains": shares}), 1003)
    drawn = World([month]).table.mixture.of_home[0]
    lies = who_lies(shares, 1003, len(drawn))
    assert (lies == (drawn == 1)).all()
    assert 0.2 < lies.mean() < 0.4


def test_who_asks_meets_other_owners_and_who_does_not_meets_the_same(tmp_path: Path) -> None:
    populations = {name: POPULATIONS[name] for name in (TRUTHFUL, "liars", "three in ten lie")}
    found = cross_play(WORLD, POLICIES, populations, (1000, 1001), tmp_path / "x", LogProgress(12))
    assert not found.failures
    asks, silent = found.cells["welfare"], found.cells["deal_rate"]
    assert {name for _, name in asks} == set(populations)
    zero = [one for one in found.lying if one.policy == "zero"]
    assert [(one.liars.value, one.welfare.value) for one in zero] == [(0.0, 0.0)] * 2
    # who pays what is asked signs with truthful owners, and is told more by liars
    assert ("zero", TRUTHFUL) not in silent
    deals = {name: one.value for (label, name), one in silent.items() if label != "zero"}
    assert deals[TRUTHFUL] > 0.0
    mine = [one for one in found.lying if one.policy != "zero"]
    assert any(one.liars.value != 0.0 for one in mine)
    mixed = next(one for one in mine if one.population == "three in ten lie")
    assert mixed.share == pytest.approx(0.3)
    assert mixed.others is not None
    assert next(one for one in mine if one.population == "liars").others is None
    above = found.above[0]
    assert found.names[above.policy] == "zero"
    more = asks[above.policy, TRUTHFUL].value - asks["payswhatisasked", TRUTHFUL].value
    assert above.by_population[TRUTHFUL].value == pytest.approx(more)
    assert above.others is not None
    rest = [one.value for name, one in above.by_population.items() if name != TRUTHFUL]
    assert above.others.value == pytest.approx(np.mean(rest))
    # the figure of a cell is that of the runs that are kept
    runs = [RunResult.read(folder) for folder in run_folders(tmp_path / "x")]
    lied = [gain(r) for r in runs if r.origin.case == "owners1" and r.label != "zero"]
    told = [gain(r) for r in runs if r.origin.case == "owners0" and r.label != "zero"]
    everybody = np.mean([(a - b).mean() for a, b in zip(lied, told, strict=True)])
    assert next(one for one in mine if one.population == "liars").liars.value == pytest.approx(everybody)


def test_the_mean_of_cross_play_leaves_out_who_policies_were_made_with(tmp_path: Path) -> None:
    day, populations = WORLD.override({"time.duration_hours": 24}), {name: POPULATIONS[name] for name in MADE_WITH}
    populations |= {name: POPULATIONS[name] for name in ("strategic", "held-out personas")}
    found = cross_play(day, (POLICIES[0], "zero", "truthful"), populations, (1000,), tmp_path / "x", LogProgress(12))
    assert [(one.policy, one.than) for one in found.above] == [
        ("zero", "payswhatisasked"), ("truthful", "payswhatisasked"), ("truthful", "zero"),
    ]  # fmt: skip
    for one in found.above:
        assert one.others is not None
        others = [one.by_population[name].value for name in ("strategic", "held-out personas")]
        assert one.others.value == pytest.approx(np.mean(others))
    # who holds out, in words or not, signs other contracts than who says what is
    assert found.above[0].by_population["held-out personas"] != found.above[0].by_population[TRUTHFUL]


def test_the_populations_are_mixtures_of_brains_that_exist() -> None:
    for shares in POPULATIONS.values():
        assert sum(share for _, share in shares) == pytest.approx(1.0)
        Mixture(shares, [1000], 8)
    assert set(HELD_OUT) == {b.speaker.name for b in Mixture(POPULATIONS["held-out personas"], [0], 1).brains}


def test_somebody_must_tell_the_truth() -> None:
    with pytest.raises(PlanError, match="truthful"):
        cross_play(WORLD, POLICIES, {"liars": POPULATIONS["liars"]}, (1000,), Path("nowhere"), LogProgress(12))


def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    words = ["--policies", "zero", "truthful", "--populations", "liars", "--seeds", "1000", "--scenario", "quick"]
    picture = tmp_path / "page.svg"
    files = ["--markdown", str(page), "--figure", str(picture)]
    assert main([*words, "--jobs", "1", *files], "vpp-env crossplay") == 0
    text = page.read_text()
    drawn = picture.read_text()
    assert drawn.count("truthful") >= 2, "a population, and the policy of that name"
    assert "USD of welfare above zero" in drawn
    assert "![Welfare above zero, by population](page.svg)" in text
    assert "## Welfare above zero" in text
    assert capsys.readouterr().out == text
    assert "| zero | 0" in text or "| zero |" in text
    assert "## Who gains from lying" in text
    assert main([*words, "--figure", "page.png"], "vpp-env crossplay") == 2
    assert ".svg" in capsys.readouterr().err
    assert main(["--populations", "lairs"], "vpp-env crossplay") == 2
    assert "liars" in capsys.readouterr().err
