"""`fleet`: the best commitment against all of them, homes as `stochastic` bids them, evenings from training seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import begin, month
from vpp_benchmarks.cli.main import main as vpp_env_command
from vpp_benchmarks.run.fit_evenings import fit_evenings, save_evenings
from vpp_policies.fleet import (
    CLAWBACK,
    DEFAULT_EVENINGS,
    LEAST_PERFORMANCE,
    LOAD,
    Declared,
    Fleet,
    best_commitment,
    load_evenings,
)

from vpp_env import Information, PolicyError, load_scenario, make_policy, simulate
from vpp_env.evaluation.simulate import market_rules, policy_rng
from vpp_env.simulation.view_builder import build_view

SHORT = {"fleet.size": 40, "time.duration_hours": 100, "market.min_bid_mw": 0.01}


def paid(c: float, delivers: np.ndarray, weight: np.ndarray) -> float:
    short = delivers < LEAST_PERFORMANCE * c
    return float((np.minimum(delivers, LOAD * c) - CLAWBACK * c * short) @ weight)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_commitment_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    delivers, weight = rng.lognormal(4.0, 0.8, 12), rng.dirichlet(np.ones(12))
    for least, most in ((0.0, 5_000.0), (100.0, 5_000.0), (20.0, 60.0)):
        best = best_commitment(delivers, weight, least, most)
        assert best == 0.0 or least <= best <= most
        tried = [0.0, *np.linspace(least, most, 4_000)]
        assert paid(best, delivers, weight) >= max(paid(c, delivers, weight) for c in tried) - 1e-9


def test_half_of_a_commitment_must_be_kept() -> None:
    one = np.ones(1)
    assert best_commitment(np.array([80.0]), one, 100.0, 5_000.0) >= 100.0
    assert best_commitment(np.array([40.0]), one, 100.0, 5_000.0) == 0.0, "less than half of the least is taken back"
    # one evening in ten with a tenth of the others' makes a promise careful
    careful = best_commitment(np.array([100.0, 10.0]), np.array([0.9, 0.1]), 0.0, 5_000.0)
    assert careful == pytest.approx(100.0 / LOAD)
    timid = best_commitment(np.array([100.0, 10.0]), np.array([0.5, 0.5]), 0.0, 5_000.0)
    assert timid == pytest.approx(20.0)


def test_homes_bid_as_stochastic_does_until_evenings_differ() -> None:
    made = month("august", SHORT | {"market.firm_capacity": False}, 1000)
    runs = [simulate(made, make_policy(name)) for name in ("fleet", "stochastic")]
    np.testing.assert_array_equal(*(run.record.totals for run in runs))


def test_what_is_committed_follows_from_what_was_declared() -> None:
    world, policy = begin(month("august", SHORT, 1000)), make_policy("fleet")
    assert policy.info.information is Information.DECLARED
    rules = market_rules(world)
    policy.reset(rules, policy_rng(0))
    declared, found = Declared(rules), load_evenings(DEFAULT_EVENINGS)
    ratio, weight = found.spread()
    committed = []
    while not world.done:
        view = build_view(world, Information.DECLARED)
        able, bids = declared.mean_kw(view), policy.act(view)
        if view.public.capacity_gate and able is not None:
            expected = best_commitment(able * ratio, weight, rules.min_bid_kw, rules.max_capacity_kw)
            assert bids.capacity == expected
            committed.append(expected)
        else:
            assert bids.capacity is None
        world.step(bids.actions, capacity=(bids.capacity,))
    assert len(committed) >= 2
    assert min(committed) > 0.0


def test_the_evenings_in_the_package_are_of_training_seeds_that_the_price_model_was_not_learned_on() -> None:
    found = load_evenings(DEFAULT_EVENINGS)
    assert found.command == "vpp-env fit-evenings --scenario august --seeds 10100:10106"
    assert found.weight.sum() == pytest.approx(1.0)
    ratio, weight = found.spread()
    assert weight.sum() == pytest.approx(1.0)
    assert np.average(np.log(ratio), weights=weight) == pytest.approx(
        np.average(np.log(found.ratio), weights=found.weight)
    )


def test_evenings_are_learned_from_what_was_delivered(tmp_path: Path) -> None:
    scenario = load_scenario("august").override(SHORT | {"time.duration_hours": 168})
    found = fit_evenings(scenario, [10_100])
    assert len(found.ratio) >= 1
    assert found.weight.sum() == pytest.approx(1.0)
    save_evenings(found, tmp_path / "e.json")
    again = load_evenings(tmp_path / "e.json")
    np.testing.assert_allclose(again.ratio, found.ratio, atol=1e-4)
    assert again.command == found.command
    assert Fleet(evenings=str(tmp_path / "e.json")).info.name == "fleet"


@pytest.mark.parametrize(
    "bad", ["", "[]", '{"ratio": [1.0]}', '{"ratio": [], "weight": [], "source": "", "command": ""}']
)
def test_a_file_without_evenings_is_refused(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(bad, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"bad\.json"):
        Fleet(evenings=str(path))
    data = json.loads(DEFAULT_EVENINGS.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"weight": [2.0 * w for w in data["weight"]]}), encoding="utf-8")
    with pytest.raises(PolicyError, match="sum 1"):
        load_evenings(path)


def test_the_command_refuses_what_it_must_not_learn_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["fit-evenings", "--out", str(tmp_path / "e.json")]
    for more, text in (
        (["--seeds", "1000:1002"], "training seeds"),
        (["--seeds", "10100", "10105"], "one range"),
        (["--scenario", "quick"], "firm capacity"),
    ):
        assert vpp_env_command([*out, *more]) == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "e.json").exists()
