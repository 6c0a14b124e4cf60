"""Data sets of what policies did, and clones that are fitted to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vpp_benchmarks.cli.dataset import main as dataset
from vpp_benchmarks.cli.train import main as train
from vpp_benchmarks.train.data import clone
from vpp_policies.learned import Learned

from vpp_env import N_ACTION, N_OBS, Month, load_scenario, make_policy, simulate, summarize

WORLD = load_scenario("quick")
T, N = WORLD.n_opportunities, WORLD.fleet.size


def test_a_data_set_holds_what_was_played_and_a_clone_follows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, weights = tmp_path / "data.npz", tmp_path / "clone.npz"
    asked = ["--out", str(file), "--scenario", "quick", "--policies", "constant", "truthful", "--seeds", "training:2"]
    assert dataset(asked) == 0
    with np.load(file, allow_pickle=False) as data:
        assert data["policy"].tolist() == ["constant"] * 2 + ["truthful"] * 2
        assert data["seed"].tolist() == [10_000, 10_001] * 2
        assert data["observations"].shape[:3] == data["actions"].shape[:3] == data["rewards"].shape == (4, T, N)
        for policy, seed, rewards in zip(data["policy"], data["seed"], data["rewards"], strict=True):
            said = summarize(simulate(Month(WORLD, int(seed)), make_policy(str(policy))))["welfare"]
            assert rewards.sum() == pytest.approx(said, abs=1e-4)
    assert dataset([*asked[:5], "constant", "--seeds", "training:2"]) == 0
    capsys.readouterr()
    assert train(["--out", str(weights), "--scenario", "quick", "--method", "clone", "--data", str(file)]) == 0
    assert "explains" in capsys.readouterr().out
    month = Month(WORLD, 10_000)
    constant, copied = (
        summarize(simulate(month, policy))["welfare"] for policy in (make_policy("constant"), Learned(str(weights)))
    )
    assert copied == pytest.approx(constant, abs=0.2 + 0.1 * abs(constant))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "clone"], "--method clone"),
        (["--data", "d.npz"], "only there"),
        (["--method", "clone", "--data", "absent.npz"], "vpp-env dataset"),
        (["--method", "ippo", "--from", "w.npz"], "--method evolution"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert train(["--out", str(tmp_path / "w.npz"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_data_set_needs_a_file_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert dataset(["--out", "data.parquet", "--policies", "idle"]) == 2
    assert "ends in .npz" in capsys.readouterr().err


def test_a_minari_data_set_loads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minari = pytest.importorskip("minari", reason="the extra minari is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    asked = ["--minari", "vpp/quick-v0", "--scenario", "quick", "--policies", "constant", "random", "--seeds", "10000"]
    assert dataset(asked) == 0
    assert str(tmp_path / "vpp" / "quick-v0") in capsys.readouterr().out
    data = minari.load_dataset("vpp/quick-v0")
    assert data.total_episodes == 2
    for episode, policy in zip(data.iterate_episodes(), ("constant", "random"), strict=True):
        assert episode.observations.shape == (T + 1, N, N_OBS)
        assert episode.actions.shape == (T, N, N_ACTION)
        said = summarize(simulate(Month(WORLD, 10_000), make_policy(policy)))["welfare"]
        assert episode.rewards.sum() == pytest.approx(said, abs=1e-4)
        assert episode.infos["home_rewards"].sum(axis=1) == pytest.approx(episode.rewards, abs=1e-5)
        assert episode.truncations.tolist() == [False] * (T - 1) + [True]
        assert not episode.terminations.any()
    said = [one["options"]["policy"] for one in data.storage.get_episode_metadata(range(2))]
    assert said == ["constant", "random"]
    # a clone of what was loaded plays as its teacher does
    one = next(data.iterate_episodes())
    layers, _ = clone(one.observations[:-1].reshape(-1, N_OBS), one.actions.reshape(-1, N_ACTION))
    constant, copied = (
        summarize(simulate(Month(WORLD, 10_000), policy))["welfare"]
        for policy in (make_policy("constant"), Learned.of(layers))
    )
    assert copied == pytest.approx(constant, abs=0.2 + 0.1 * abs(constant))
    env = data.recover_environment()
    obs, _ = env.reset(seed=10_000)
    assert np.array_equal(obs, next(data.iterate_episodes()).observations[0])
    assert dataset(asked) == 2
    assert "minari delete" in capsys.readouterr().err
    assert dataset(["--minari", "quick", *asked[2:]]) == 2
    assert "vpp/week20-v0" in capsys.readouterr().err
    assert dataset(["--minari", "vpp/other-v0", *asked[2:-1], "nine"]) == 2
    assert dataset(["--minari", "vpp/other-v0", "--scenario", "quick", "--policies", "constant", "no_such_policy"]) == 2
    assert not (tmp_path / "vpp" / "other-v0").exists(), "half a data set is none"
