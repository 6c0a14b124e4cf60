"""Training by evolution strategies, and the table that a training script asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import score
from vpp_benchmarks.cli.dataset import main as dataset
from vpp_benchmarks.cli.sparsity import main as sparsity_command
from vpp_benchmarks.cli.train import main
from vpp_benchmarks.results.intervals import interval
from vpp_benchmarks.train.evaluate import COLUMNS, evaluate
from vpp_benchmarks.train.evolution import Looks, Settings, ranked, settings_of, train, welfare
from vpp_benchmarks.train.form import EVENING_READ, PRICES, Form, _products, form_of, layer, start
from vpp_benchmarks.train.sparsity import earned, sparsity, top_share
from vpp_policies.constant import Constant
from vpp_policies.learned import Learned, actions, load
from vpp_policies.truthful import Truthful

from vpp_env import (
    BUY_KW,
    BUY_LIMIT,
    N_ACTION,
    N_OBS,
    RESERVE_KW,
    SELL1_ASK,
    SELL1_KW,
    SELL2_ASK,
    SELL2_KW,
    Bids,
    Information,
    Month,
    UnknownNameError,
    VectorMarketMonth,
    View,
    VppError,
    build_view,
    load_scenario,
    make_policy,
    simulate,
    summarize,
)
from vpp_env.contract.bids import decode
from vpp_env.scenario import Scenario
from vpp_env.simulation.world import World

WORLD = load_scenario("quick")


class Ticks:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_the_start_bids_like_constant() -> None:
    weights = start(WORLD)
    assert not weights[:-1].any()
    month = Month(WORLD, 1000)
    constant = summarize(simulate(month, Constant()))["welfare"]
    assert score([month], [layer(weights)]) == pytest.approx(constant, abs=0.05 * abs(constant) + 0.05)


GUARDED = WORLD.override({"market.safeguard": True})


def test_with_a_safeguard_it_begins_where_truthful_is_and_learns_prices_alone() -> None:
    form = form_of(GUARDED)
    assert np.array_equal(form_of(WORLD).weights, start(WORLD))
    assert form_of(WORLD).free.all()
    months = [Month(GUARDED, seed) for seed in (1_000, 1_001, 1_002)]
    truthful = [summarize(simulate(month, make_policy("truthful")))["welfare"] for month in months]
    began = Looks(GUARDED, 3).at(form.layers(form.weights))
    assert began == pytest.approx(truthful, abs=0.2), "but for what `own_asks` names"
    form.weights[-1, SELL2_ASK] -= 0.6  # storage is given away: there is something to find
    settings = Settings(pairs=4, check=1, validation=1, sigma=0.1, rate=0.1, blend=0.5)
    *_, (last, _) = train(GUARDED, form, 0.3, settings, Ticks())
    moved = (last != form.weights).any(axis=0)
    assert moved.any()
    assert set(np.flatnonzero(moved)) <= set(PRICES)


EVENINGS = load_scenario("august").override(
    {
        **{"fleet.size": 12, "market.min_bid_mw": 0.0, "time.duration_hours": 96},
        **{"fleet.share_bess": 0.7, "fleet.share_ev": 0.7, "fleet.v2g_share": 0.5},
        # waiting is dear: some storage beside a car asks more than its own ask
        "preferences.defer_premium_usd_per_kwh": (0.1, 0.15, 0.3),
    }
)


def test_where_evenings_are_sold_it_begins_as_truthful() -> None:
    layers = form_of(EVENINGS).layers(form_of(EVENINGS).weights)
    seen = []

    class Both(Truthful):
        """`truthful`, and what the form would have bid at the same gates."""

        def act(self, view: View) -> Bids:
            bids = super().act(view)
            limits = self._rules.sell_limit_kw, self._rules.buy_limit_kw
            seen.append([decode(x.astype(float), *limits) for x in (bids.actions, actions(layers, view.observation()))])
            return bids

    month = Month(EVENINGS, 1000)
    truthful = summarize(simulate(month, Both()))
    for own, form in seen:
        assert (form[[SELL1_KW, SELL2_KW]] == own[[SELL1_KW, SELL2_KW]]).all()
        assert (form[[BUY_KW, RESERVE_KW]] == own[[BUY_KW, RESERVE_KW]]).all()
        for kw, price, ticks in ((SELL1_KW, SELL1_ASK, 1), (SELL2_KW, SELL2_ASK, 1), (BUY_KW, BUY_LIMIT, 1)):
            up = (form[price] - own[price])[own[kw] > 0]
            # a tick less where waiting is hardly dearer than storage: that gate is only half open
            assert up.min() >= (0 if price == SELL1_ASK else -1)
            assert up.max() <= ticks
    played = summarize(simulate(month, Learned.of(layers)))
    assert played["welfare"] == pytest.approx(truthful["welfare"], rel=0.05)
    assert played.number("total_violations") == 0


def test_gates_of_evenings_open_when_they_should() -> None:
    form = form_of(EVENINGS)
    at = {name: j for j, name in enumerate((*EVENING_READ, *_products(EVENINGS)))}
    world = World([Month(EVENINGS, 1000)])
    world.reset()
    bids = np.full((EVENINGS.fleet.size, N_ACTION), -1.0, dtype=np.float32)
    said = []
    while not world.done:
        view = build_view(world, Information.OWN)
        said.append((view.public.start.hour, form.features(view.observation()), view.homes))
        world.step(bids)
    for hour, features, homes in said:
        evening = 17 <= hour < 21
        assert features[:, at["is_evening"]] == pytest.approx(float(evening), abs=1e-3)
        assert features[:, at["is_before"]] == pytest.approx(float(15 <= hour < 17), abs=1e-3)
        dear = 20.0 * np.maximum(homes.own_ask - 0.18848, 0.0) * evening
        assert features[:, at["dear_evening"]] == pytest.approx(dear, abs=0.03)


def test_results_are_ranked_within_their_month() -> None:
    # months 0, 1, 0, 1, ...: the dear month's results are not all above the other's
    assert ranked(np.array([1.0, 100.0, 3.0, 90.0, 2.0, 95.0]), 2).tolist() == [-0.5, 0.5, 0.5, -0.5, 0.0, 0.0]
    assert ranked(np.array([5.0, 7.0, 6.0]), 1).tolist() == [-0.5, 0.5, 0.0]
    with pytest.raises(VppError, match="divides the 4 pairs"):
        next(train(WORLD, form_of(WORLD), 0.1, Settings(pairs=4, months=3)))


@pytest.mark.parametrize("world", [GUARDED, EVENINGS])
def test_a_form_knows_its_own_policies(world: Scenario) -> None:
    form = form_of(world)
    weights = form.weights + np.random.default_rng(0).standard_normal(form.weights.shape)
    assert form.of(form.layers(weights)) == pytest.approx(weights, rel=1e-9)
    assert form.of([layer(start(WORLD))]) is None
    (slopes, bias), *more = form.layers(weights)
    assert form.of([(slopes + 1.0, bias), *more]) is None
    obs = np.random.default_rng(1).uniform(-1, 1, (5, N_OBS)).astype(np.float32)
    said = np.clip(form.features(obs) @ weights[:-1] + weights[-1], -1.0, 1.0)
    assert actions(form.layers(weights), obs) == pytest.approx(said, abs=2e-3)


def test_an_episodes_welfare_is_the_evaluators() -> None:
    rng = np.random.default_rng(1)
    weights = start(WORLD) + 0.1 * rng.standard_normal((3, N_OBS + 1, N_ACTION))
    got = welfare(VectorMarketMonth(3, WORLD), Form(weights[0]), weights, [10_001] * 3)
    month = Month(WORLD, 10_001)
    said = [summarize(simulate(month, Learned.of([layer(w)])))["welfare"] for w in weights]
    assert got == pytest.approx(said, abs=1e-3)  # float32 on one side
    assert len(set(np.round(got, 6))) == 3


def test_training_keeps_the_best_and_is_repeatable() -> None:
    settings = Settings(pairs=4, check=2, validation=1)

    def run() -> list[tuple[float, float, bytes]]:
        looks = train(WORLD, form_of(WORLD), 0.3, settings, Ticks())
        return [(now.validation, now.best, weights.tobytes()) for weights, now in looks]

    found = run()
    assert found == run()
    best = [b for _, b, _ in found]
    assert best == list(np.maximum.accumulate([v for v, _, _ in found]))
    weights = np.frombuffer(found[-1][2]).reshape(N_OBS + 1, N_ACTION)
    assert score([Month(WORLD, 1000)], [layer(weights)]) == pytest.approx(best[-1], abs=1e-9)


def test_it_climbs_where_there_is_a_slope() -> None:
    # who gives storage away at any price loses; the way up is found in a few generations
    weights = start(WORLD)
    weights[-1, [SELL1_ASK, SELL2_ASK]] = -1.0
    settings = Settings(pairs=8, check=10, validation=1, sigma=0.1, rate=0.1, blend=0.5)
    *_, (_, last) = train(WORLD, Form(weights), 0.5, settings, Ticks())
    assert last.generation == 20
    env = VectorMarketMonth(1, WORLD)
    before = np.mean([welfare(env, Form(weights), weights[None], [10_000 + g]) for g in range(11, 21)])
    assert last.training > before + 0.2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.npz"
    assert main(["--out", str(file), "--scenario", "quick", "--minutes", "0.001"]) == 0
    (weights, bias), *more = load(file)
    looks = pd.read_csv(file.with_suffix(".csv"))
    assert looks.filter(like="month_").mean(axis=1).tolist() == pytest.approx(looks.validation.tolist())
    assert len(looks.filter(like="month_").columns) == Settings().validation
    assert weights.shape == (N_OBS, N_ACTION)
    assert bias.shape == (N_ACTION,)
    assert not more
    assert f"learned(path='{file}')" in capsys.readouterr().out
    changed = ["--set", "market.safeguard=true"]
    guarded = tmp_path / "g.npz"
    assert main(["--out", str(guarded), "--scenario", "quick", "--minutes", "0.001", *changed]) == 0
    assert (
        main(["--out", str(guarded), "--scenario", "quick", "--minutes", "0.001", "--from", str(guarded), *changed])
        == 0
    )
    assert main(["--out", str(file), "--scenario", "quick", "--minutes", "0.001", "--from", str(guarded)]) == 2
    assert "market.safeguard" in capsys.readouterr().err
    assert settings_of(GUARDED, 3) == Settings(seed=3, rate=0.0025, validation=20)
    assert main(["--out", str(file), "--scenario", "quick", "--minutes", "0.001", "--from", str(file), *changed]) == 0
    # scored in another world than it was trained in, a policy would be flattered or wronged
    assert "--scenario quick --set market.safeguard=true --seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "w.txt"], "ends in .npz"),
        (["--out", "no/such/folder/w.npz"], "folder that exists"),
        (["--out", "w.npz", "--minutes", "nan"], "more than 0"),
        (["--out", "w.npz", "--seed", "-1"], "0 or more"),
        (["--out", "w.npz", "--scenario", "wek20"], "week20"),
        (["--out", "w.npz", "--from", "absent.npz"], "there is no file absent.npz"),
    ],
)
def test_what_is_not_possible_is_said_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", [main, dataset])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_played(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "w.npz"
    there.touch()
    for out, locked in ((there, there), (tmp_path / "new.npz", tmp_path)):
        monkeypatch.setattr(os, "access", lambda path, mode, locked=locked: (path, mode) != (locked, os.W_OK))
        more = ["--policies", "idle"] if command is dataset else []
        assert command(["--out", str(out), "--scenario", "quick", *more]) == 2
        assert f"--out: got {out}, which cannot be written" in capsys.readouterr().err


def test_evaluate_is_the_benchmarks_table() -> None:
    found = evaluate({"mine": Constant(), "idle": "idle"}, "validation:5", WORLD)
    assert isinstance(found, pd.DataFrame)
    assert tuple(found.columns) == COLUMNS
    row = found.set_index(["policy", "kpi"]).loc[("mine", "welfare")]
    welfares = [summarize(simulate(Month(WORLD, s), Constant()))["welfare"] for s in range(1000, 1005)]
    said = interval([np.array(welfares)])
    assert (row["mean"], row["low"], row["high"]) == (said.value, said.low, said.high)
    less = found.set_index(["policy", "kpi"]).loc[("idle - mine", "welfare")]
    assert less["mean"] == pytest.approx(-np.mean(welfares))


def test_evaluate_says_what_it_cannot() -> None:
    with pytest.raises(VppError, match="got no policy"):
        evaluate({})
    with pytest.raises(UnknownNameError, match="validation"):
        evaluate({"a": "idle"}, "validatoin:5", WORLD)


def test_how_sparse_the_reward_is() -> None:
    welfare, homes = earned(WORLD, "constant", 10_000)
    assert homes.shape == (WORLD.n_opportunities, WORLD.fleet.size)
    kpis = summarize(simulate(Month(WORLD, 10_000), make_policy("constant")))
    assert welfare.sum() == pytest.approx(float(kpis["welfare"]), abs=1e-9)
    assert top_share(np.array([1.0, -3.0, 0.0, 0.0]), 0.25) == 0.75
    assert top_share(np.zeros(4)) == 0.0
    first = (np.array([2.0, 0.0]), np.array([[0.0, 2.0], [1e-12, -1.0]]))
    second = (np.array([-6.0, 0.0]), np.array([[-5.0, 0.0], [0.0, 0.0]]))
    assert sparsity([first, second]) == (5 / 8, pytest.approx(5 / 8), 6 / 8)


def test_the_command_of_sparsity(capsys: pytest.CaptureFixture[str]) -> None:
    assert sparsity_command(["quick", "--policy", "constant", "--seeds", "10000"]) == 0
    said = capsys.readouterr()
    nothing, homes_top, steps_top = (f"{100 * share:.0f} %" for share in sparsity([earned(WORLD, "constant", 10_000)]))
    assert said.out.splitlines()[2:] == [f"| quick | {nothing} | {homes_top} | {steps_top} |"]
    assert said.err.startswith("quick, seed 10000: welfare ")
    assert sparsity_command(["wek20"]) == 2
    error = capsys.readouterr().err
    assert "week20" in error
    assert error.count("\n") == 1
