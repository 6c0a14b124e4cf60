"""Short runs of learning libraries on our faces, where they are installed: the examples as they stand."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import score
from vpp_benchmarks.train.form import form_of

from vpp_env import Month, VectorMarketMonth, load_scenario
from vpp_env.api.episode import Setting, changed
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate

EXAMPLES = Path(__file__).parents[2] / "examples"
WORLD = load_scenario("quick")


@pytest.fixture(autouse=True)
def _examples_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """BenchMARL pickles the task, which therefore is of a module that can be imported by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_drawn_weeks_can_be_played_and_looks_are_the_evaluators() -> None:
    example = importlib.import_module("train_seasons")
    base, drawn = Setting(example.WORLD), [example.week(k, np.random.default_rng(k)) for k in range(40)]
    made = [changed(base, options) for options in drawn]
    assert {m.scenario.hours for m in made} == {168}
    assert len({m.month[:4] for m in made}) == 2, "measured and synthetic"
    assert len({m.scenario.start.month for m in made}) > 6
    layers = form_of(example.WORLD).layers(form_of(example.WORLD).weights)
    looked = example.Measured(["caiso:PGAE:2023-06"], (1000, 1001))
    looked.env = VectorMarketMonth(2, WORLD)
    world = WORLD.for_month("caiso:PGAE:2023-06")
    said = [score([Month(world, seed, "caiso:PGAE:2023-06")], layers) for seed in (1000, 1001)]
    assert looked.at(layers) == pytest.approx(said, abs=1e-9)


def test_every_interface_plays(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("environments").main()
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["parallel", "aec", "gymnasium", "vector", "world"]


def needs(module: str) -> None:
    pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)


def test_flat_vectors_are_the_central_face() -> None:
    env = importlib.import_module("libraries").flat_central()
    obs, _ = env.reset(seed=10_000)
    assert env.observation_space.contains(obs)
    assert obs.ndim == 1
    _, reward, *_ = env.step(env.action_space.sample())
    assert reward == reward


def test_skrl_moves_its_weights() -> None:
    needs("skrl.agents.torch.ppo")
    assert importlib.import_module("libraries").skrl() > 0.0


def test_minari_keeps_two_months() -> None:
    needs("minari")
    needs("jax")
    assert importlib.import_module("libraries").minari() == 2


def test_rllib_learns_from_every_step_that_was_asked_for() -> None:
    needs("ray.rllib.algorithms.ppo")
    assert importlib.import_module("libraries").rllib() == 12


def test_agilerl_trains_to_the_last_step() -> None:
    needs("agilerl.algorithms")
    assert importlib.import_module("libraries").agilerl() >= 24


def test_benchmarl_trains_on_the_torchrl_face() -> None:
    needs("benchmarl")
    assert importlib.import_module("benchmarl_mappo").train() == 48


def test_sac_looks_at_validation_months_and_learns(tmp_path: Path) -> None:
    needs("stable_baselines3")
    example = importlib.import_module("sac_central")
    file = tmp_path / "looks.csv"
    looks = example.train(WORLD, str(file), seconds=1.0, seed=0, months=2)
    assert looks.num_timesteps > 0
    read = pd.read_csv(file)
    assert read["generation"].tolist() == [row["generation"] for row in looks.rows]
    assert read[["month_0", "month_1"]].notna().all(axis=None)


def test_a_policy_of_drawn_worlds_is_saved_and_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, file = importlib.import_module("train_seasons"), tmp_path / "weights.npz"
    monkeypatch.setattr(example, "WORLD", WORLD)
    monkeypatch.setattr(example, "week", lambda episode, rng: {"set": {"fleet.share_ev": float(rng.uniform(0.2, 0.7))}})
    monkeypatch.setattr(example, "Measured", Short)
    monkeypatch.setattr("sys.argv", ["train_seasons.py", str(file), "--minutes", "0.005"])
    example.main()
    policy = make_policy(f"learned(path={str(file)!r})")
    assert simulate(Month(WORLD, 1000), policy).complete


class Short:
    """Looks at the six hours of a validation month."""

    def at(self, layers: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, ...]:
        return (score([Month(WORLD, 1000)], layers),)
