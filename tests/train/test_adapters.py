"""Adapters of learners' libraries: their own checks, the same world behind them, and a small improvement."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from support import score
from vpp_benchmarks.train.form import form_of, start
from vpp_policies.learned import actions, load, read, save
from vpp_policies.network import bids_of

from vpp_env import N_ACTION, N_OBS, Month, VectorMarketMonth, VppError, load_scenario, parallel_env
from vpp_env.api.gym import CentralMarketMonth

WORLD = load_scenario("quick")
N, T = WORLD.fleet.size, WORLD.n_opportunities


def acts(months: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, (T, months, N, N_ACTION)).astype(np.float32)


def played(months: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations (T + 1, M, N, F) and welfare (T, M) of the vector face."""
    env = VectorMarketMonth(months, WORLD)
    obs, welfare = [env.reset(seed=seed)[0]], []
    for a in acts(months):
        row, joint, *_ = env.step(a)
        obs.append(row)
        welfare.append(joint)
    return np.stack(obs), np.stack(welfare)


def test_stable_baselines3_plays_the_vector_faces_world() -> None:
    pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")
    from vpp_env.api.sb3 import HomesVecEnv

    env = HomesVecEnv(3, WORLD)
    assert env.num_envs == 3 * N
    env.seed(10_007)
    expected, welfare = played(3, 10_007)
    assert np.array_equal(env.reset(), expected[0].reshape(-1, N_OBS))
    for j, a in enumerate(acts(3)):
        obs, rewards, over, infos = env.step(a.reshape(-1, N_ACTION))
        assert rewards.reshape(3, N).sum(axis=1) == pytest.approx(welfare[j], abs=1e-4)
        assert over.tolist() == [j + 1 == T] * (3 * N)
        last = np.stack([i["terminal_observation"] for i in infos]) if over.all() else obs
        assert np.array_equal(last, expected[j + 1].reshape(-1, N_OBS))
    assert env.welfare == pytest.approx(welfare.sum(axis=0))
    assert not np.array_equal(obs, last), "the next months have begun"
    env.set_options({"days": 2})
    env.reset()
    assert env.env._session.scenario.hours == 48
    env.reset()
    assert env.env._session.scenario.hours == WORLD.hours
    env.set_options([{"days": k} for k in range(1, env.num_envs + 1)])
    with pytest.raises(VppError, match="share a world"):
        env.reset()


def test_stable_baselines3s_own_check_of_the_central_face() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="the extra sb3 is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # a matrix is no image and no vector; networks of theirs flatten it
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        checker.check_env(CentralMarketMonth(WORLD))


def test_torchrl_refuses_to_reset_some_months() -> None:
    torch = pytest.importorskip("torch", reason="the extra torchrl is not installed")
    pytest.importorskip("torchrl", reason="the extra torchrl is not installed")
    from tensordict import TensorDict

    from vpp_env.api.torchrl import TorchMarketMonth

    env = TorchMarketMonth(2, WORLD)
    env.reset()
    some = TensorDict({"_reset": torch.tensor([[True], [False]])}, batch_size=[2])
    with pytest.raises(VppError, match="1 of 2 months; allowed is all"):
        env.reset(some)


@pytest.mark.slow
def test_stable_baselines3_learns(tmp_path: Path) -> None:
    """PPO finds in a few updates that storage is not to be given away."""
    pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")
    import torch
    from stable_baselines3 import PPO

    from vpp_env.api.sb3 import HomesVecEnv, network_of

    torch.set_num_threads(1)
    env = HomesVecEnv(8, WORLD)
    model = PPO("MlpPolicy", env, n_steps=T, batch_size=60, learning_rate=3e-3, gamma=0.9, seed=0, device="cpu")
    model.learn(10 * T * env.num_envs)
    first, last = np.mean(env.welfare[:16]), np.mean(env.welfare[-16:])
    assert last > first + 0.2
    network = network_of(model.policy)
    save(tmp_path / "sb3.npz", *network)
    played_back = score([Month(WORLD, 1000)], load(tmp_path / "sb3.npz"))
    assert played_back == pytest.approx(score([Month(WORLD, 1000)], network[0]))


def test_actors_of_stable_baselines3_bid_from_a_file_as_they_do(tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")
    import torch

    from vpp_env.api.sb3 import HomesVecEnv, network_of

    torch.set_num_threads(1)
    env, rows = HomesVecEnv(2, WORLD), played(1, 3)[0][0, 0]
    relu = {"activation_fn": torch.nn.ReLU}
    models = [
        sb3.PPO("MlpPolicy", env, seed=1, device="cpu"),
        sb3.A2C("MlpPolicy", env, seed=2, device="cpu", policy_kwargs=relu),
        sb3.PPO("MlpPolicy", env, seed=3, device="cpu", policy_kwargs={"net_arch": []}),
        sb3.PPO("MlpPolicy", env, seed=4, device="cpu", use_sde=True, policy_kwargs={"squash_output": True}),
        sb3.SAC("MlpPolicy", env, seed=5, device="cpu", buffer_size=100, policy_kwargs={"net_arch": [8, 8]}),
        sb3.TD3("MlpPolicy", env, seed=6, device="cpu", buffer_size=100, policy_kwargs={"net_arch": [8, 8]}),
    ]
    for model in models:
        with torch.no_grad():
            for weights in model.policy.parameters():
                weights.mul_(3.0)  # so that bids are clipped and squashed
        save(tmp_path / "sb3.npz", *network_of(model.policy))
        said, _ = model.predict(rows, deterministic=True)
        assert bids_of(read(tmp_path / "sb3.npz"), rows) == pytest.approx(np.clip(said, -1, 1), abs=1e-5)
    elu = sb3.PPO("MlpPolicy", env, device="cpu", policy_kwargs={"activation_fn": torch.nn.ELU})
    state_dependent = sb3.SAC("MlpPolicy", env, device="cpu", buffer_size=100, use_sde=True)
    for model in (elu, state_dependent, sb3.DQN):
        with pytest.raises(VppError, match=r"network_of: got a .*; allowed is the `policy` of a PPO, A2C, SAC"):
            network_of(getattr(model, "policy", None))


def test_torchrls_own_check_and_world() -> None:
    torch = pytest.importorskip("torch", reason="the extra torchrl is not installed")
    pytest.importorskip("torchrl", reason="the extra torchrl is not installed")
    from torchrl.envs.utils import check_env_specs

    from vpp_env.api.torchrl import TorchMarketMonth

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env_specs(TorchMarketMonth(2, WORLD))
    env = TorchMarketMonth(2, WORLD)
    env.set_seed(10_007)
    now = env.reset()
    expected, welfare = played(2, 10_007)
    assert np.array_equal(now["agents", "observation"].numpy(), expected[0])
    for j, a in enumerate(acts(2)):
        now["agents", "action"] = torch.from_numpy(a)
        now = env.step(now)["next"]
        assert np.array_equal(now["agents", "observation"].numpy(), expected[j + 1])
        assert now["welfare"][:, 0].numpy() == pytest.approx(welfare[j], abs=1e-4)
        assert now["agents", "reward"].sum(dim=(1, 2)).numpy() == pytest.approx(welfare[j], abs=1e-4)
    assert now["done"].all()
    assert env.rollout(2 * T)["next", "done"][:, -1].all()


def test_supersuit_shares_parameters_over_homes() -> None:
    supersuit = pytest.importorskip("supersuit", reason="SuperSuit is not installed")
    pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = supersuit.pettingzoo_env_to_vec_env_v1(parallel_env(scenario=WORLD))
        env = supersuit.concat_vec_envs_v1(one, 2, num_cpus=0, base_class="gymnasium")
        obs, _ = env.reset(seed=3)
        assert obs.shape == (2 * N, N_OBS)
        for _ in range(T):
            obs, rewards, over, cut, _ = env.step(np.zeros((2 * N, N_ACTION), np.float32))
    assert cut.all()
    assert not over.any()
    assert rewards.shape == (2 * N,)


def test_what_ppo_saves_is_what_it_plays() -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    from vpp_benchmarks.train.ppo import Actor

    obs = np.random.default_rng(0).uniform(-1, 1, (20, N_OBS)).astype(np.float32)
    for world in (WORLD, WORLD.override({"market.safeguard": True}), load_scenario("august")):
        form = form_of(world)
        actor = Actor(form, (8, 8))
        with torch.no_grad():
            actor.added[-1].weight.mul_(50.0)  # far from where it begins
            said = actor(torch.as_tensor(obs)).numpy()
        # float32 on one side, and what two hidden layers let through is small beside 1
        near = 1e-5 if len(form.hidden) < 2 else 5e-3
        assert actions(actor.layers(), obs) == pytest.approx(np.clip(said, -1.0, 1.0), abs=near)
        moved = (actions(actor.layers(), obs) != actions(form.layers(form.weights), obs)).any(axis=0)
        assert moved.tolist() == form.free.any(axis=0).tolist()


def test_ppo_learns_and_is_repeatable() -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from vpp_benchmarks.train.ppo import Settings, train

    class Ticks:
        now = 0.0

        def __call__(self) -> float:
            self.now += 1.0
            return self.now

    for central in (False, True):
        settings = Settings(months=2, check=3, validation=1, epochs=2, batches=2, central=central)

        def run(settings: Settings = settings) -> list[tuple[float, float, bytes]]:
            looks = train(WORLD, 0.15, settings, Ticks())
            return [(now.validation, now.best, best[0][0].tobytes()) for best, now in looks]

        found = run()
        assert found == run()
        assert [b for _, b, _ in found] == list(np.maximum.accumulate([v for v, _, _ in found]))
        # the untrained policy is what `constant` bids
        assert found[0][0] == pytest.approx(score([Month(WORLD, 1000)], [start_layer()]), abs=0.5)


def start_layer() -> tuple[np.ndarray, np.ndarray]:
    weights = start(WORLD)
    return weights[:-1], weights[-1]
