"""Short runs of learning libraries on our faces, where they are installed: the examples as they stand."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _examples_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """BenchMARL pickles the task, which therefore is of a module that can be imported by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


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
