"""Weights from a file: the same score through the benchmark as through an environment, and nothing else is loaded."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import month
from vpp_policies.learned import WEIGHTS, Learned, actions, load, read, save
from vpp_policies.network import Network, bids_of

from vpp_env.api.gym import CentralMarketMonth
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import N_OBS, OBSERVATION_VERSION
from vpp_env.contract.policy import Policy, make_policy
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation.audit import audit
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.evaluation.verdict import Verdict
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

ROOT = Path(__file__).parents[2]
Layers = list[tuple[np.ndarray, np.ndarray]]


def layers(*widths: int, seed: int = 0, scale: float = 0.3) -> Layers:
    rng, sizes = np.random.default_rng(seed), [N_OBS, *widths, N_ACTION]
    return [(scale * rng.normal(size=(a, b)), scale * rng.normal(size=b)) for a, b in itertools.pairwise(sizes)]


def test_a_file_is_what_was_saved(tmp_path: Path) -> None:
    made = layers(16, 5)
    save(tmp_path / "w.npz", made)
    for (w, b), (w_read, b_read) in zip(made, load(tmp_path / "w.npz"), strict=True):
        assert np.array_equal(w, w_read)
        assert np.array_equal(b, b_read)


def test_a_perceptron_by_hand() -> None:
    (w0, b0), (w1, b1) = made = layers(4)
    obs = np.random.default_rng(1).uniform(-1, 1, (3, N_OBS)).astype(np.float32)
    for i in range(3):
        hidden = [np.tanh(sum(obs[i, k] * w0[k, j] for k in range(N_OBS)) + b0[j]) for j in range(4)]
        out = [sum(hidden[k] * w1[k, j] for k in range(4)) + b1[j] for j in range(N_ACTION)]
        np.testing.assert_allclose(actions(made, obs)[i], np.clip(out, -1, 1), atol=1e-6)
    assert (np.abs(actions(layers(scale=9.0), obs)) <= 1.0).all()


def test_relu_and_a_squashed_output_by_hand(tmp_path: Path) -> None:
    (w0, b0), (w1, b1) = made = layers(4)
    obs = np.random.default_rng(1).uniform(-1, 1, (3, N_OBS)).astype(np.float32)
    hidden = np.maximum(obs.astype(np.float64) @ w0 + b0, 0.0)
    save(tmp_path / "w.npz", made, between="relu", output="tanh")
    found = read(tmp_path / "w.npz")
    assert found[1:] == ("relu", "tanh")
    np.testing.assert_allclose(bids_of(found, obs), np.tanh(hidden @ w1 + b1), atol=1e-6)
    with pytest.raises(PolicyError, match="relu between layers and tanh at the end; allowed here is tanh and clip"):
        load(tmp_path / "w.npz")
    for wrong in ({"between": "gelu"}, {"output": "softmax"}):
        with pytest.raises(
            PolicyError, match=r"has (between 'gelu'|output 'softmax'); allowed is '.*' or 'tanh'|'relu'"
        ):
            save(tmp_path / "other.npz", made, **wrong)


VERSION = {"observation_version": str(OBSERVATION_VERSION)}


def state_of(made: Layers) -> dict[str, np.ndarray]:
    """What torch's `state_dict()` of a `Sequential` with a function after each `Linear` holds."""
    names = range(0, 2 * len(made), 2)
    return {
        f"{j}.{part}": np.ascontiguousarray(x, dtype=np.float32)
        for j, (w, b) in zip(names, made, strict=True)
        for part, x in (("weight", w.T), ("bias", b))
    }


def test_a_torch_module_is_read_from_safetensors(tmp_path: Path) -> None:
    made, file = layers(*[6] * 6), tmp_path / "net.safetensors"  # layer 10 is not the second one
    obs = np.random.default_rng(1).uniform(-1, 1, (3, N_OBS)).astype(np.float32)
    save_file(state_of(made), file, metadata=VERSION)
    assert bids_of(read(file), obs) == pytest.approx(actions(made, obs), abs=1e-6)
    save_file(state_of(made), file, metadata=VERSION | {"between": "relu", "output": "tanh"})
    assert bids_of(read(file), obs) == pytest.approx(bids_of(Network(made, "relu", "tanh"), obs), abs=1e-6)
    policy = make_policy(f"learned(path={str(file)!r})")
    assert "perceptron of 7 layers" in policy.info.description
    assert summarize(simulate(month("quick", {}, 4), policy))["welfare"] != 0.0


def test_tensors_that_are_no_policy_are_refused(tmp_path: Path) -> None:
    file, made = tmp_path / "net.safetensors", layers(4)
    state, old = state_of(made), {"observation_version": str(OBSERVATION_VERSION - 1)}
    other = {"log_std": np.zeros(8, np.float32)}
    wide = state | {"0.weight": np.zeros((4, N_OBS + 1), np.float32)}
    nan = state | {"2.bias": np.full(N_ACTION, np.nan, np.float32)}
    for tensors, said, why in (
        (state, None, "no observation_version; write it with save_file"),
        (state, old, f"version {OBSERVATION_VERSION - 1} of the observation"),
        (state, {"observation_version": "x" * 100}, "version 'xxxxxxxxxxxxxxxxxxxx' of the observation"),
        (state | other, VERSION, "holds .*'log_std'.*write the actor alone"),
        (wide, VERSION, f"from {N_OBS}"),
        (nan, VERSION, "finite"),
        (state, VERSION | {"between": "gelu"}, "between 'gelu'; allowed is 'tanh' or 'relu'"),
        ({}, VERSION, "last one"),
    ):
        save_file(tensors, file, metadata=said)
        with pytest.raises(PolicyError, match=why):
            Learned(path=str(file))
    save_file(state, file, metadata=VERSION)
    whole = file.read_bytes()
    for damaged in (b"", whole[:7], whole[:-3], b"\xff" * 64, (2**60).to_bytes(8, "little") + whole[8:]):
        file.write_bytes(damaged)
        with pytest.raises(PolicyError, match="cannot be read"):
            Learned(path=str(file))


@pytest.mark.parametrize("made", [layers(), layers(16)], ids=["linear", "perceptron"])
def test_the_benchmark_scores_what_the_environment_paid(made: Layers, tmp_path: Path) -> None:
    save(tmp_path / "w.npz", made)
    m = month("quick", {"time.duration_hours": 30}, 4)
    face = CentralMarketMonth(m.scenario)
    obs, _ = face.reset(seed=4)
    total, over = 0.0, False
    while not over:
        obs, reward, _, over, info = face.step(actions(made, obs))
        total += float(reward)
    policy = Learned(path=str(tmp_path / "w.npz"))
    kpis = summarize(simulate(m, policy))
    assert total == pytest.approx(kpis["welfare"], abs=1e-9)
    assert info["kpis"]["total_profit"] == pytest.approx(kpis["total_profit"], abs=1e-9)
    assert abs(total) > 0.01, "the test can fail"


def test_the_audit_verifies_it_as_own(tmp_path: Path) -> None:
    save(tmp_path / "w.npz", layers(8))
    spec = f"vpp_policies.learned:Learned(path={str(tmp_path / 'w.npz')!r})"
    found = audit(month("week20", {"fleet.size": 8, "time.duration_hours": 6}), spec)
    assert (found.verdict, found.information, found.separate) == (Verdict.VERIFIED, Information.OWN, True)


def test_what_comes_with_the_package_plays() -> None:
    """A linear copy of `truthful`."""
    policy = Learned()
    kpis = summarize(simulate(month("week20", {"fleet.size": 20, "time.duration_hours": 48}, 1), policy))
    assert kpis["sold_mwh"] > 0.0
    assert "linear" in policy.info.description


def test_another_version_of_the_observation_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "old.npz"
    ((w, b),) = layers()
    np.savez(file, observation_version=OBSERVATION_VERSION - 1, layers=1, w0=w, b0=b)
    with pytest.raises(
        PolicyError, match=rf"^learned: .*version {OBSERVATION_VERSION - 1} .*allowed is {OBSERVATION_VERSION}"
    ):
        Learned(path=str(file))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


def test_nothing_that_needs_pickle_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "policy.pkl").write_bytes(pickle.dumps(Bomb()))
    np.savez(tmp_path / "objects.npz", observation_version=OBSERVATION_VERSION, layers=1, w0=np.array([Bomb()]))
    (tmp_path / "text.npz").write_text("no weights", encoding="utf-8")
    for name in ("policy.pkl", "objects.npz", "text.npz"):
        with pytest.raises(PolicyError, match="pickle"):
            Learned(path=str(tmp_path / name))
    with pytest.raises(PolicyError, match=r"there is no file .*missing\.npz; allowed is .* evening_august"):
        Learned(path=str(tmp_path / "missing.npz"))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(PolicyError, match=r"holds \['x'\]"):
        Learned(path=str(tmp_path / "other.npz"))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "last one"),
        ([(np.zeros((N_OBS - 1, N_ACTION)), np.zeros(N_ACTION))], f"from {N_OBS}"),
        ([(np.zeros((N_OBS, 3)), np.zeros(3))], f"{N_ACTION} outputs"),
        ([(np.zeros((N_OBS, 4)), np.zeros(4)), (np.zeros((5, N_ACTION)), np.zeros(N_ACTION))], "layers"),
        ([(np.full((N_OBS, N_ACTION), np.nan), np.zeros(N_ACTION))], "finite"),
    ],
)
def test_layers_that_do_not_fit_are_refused(made: Layers, message: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=message):
        save(tmp_path / "w.npz", made)
    assert not (tmp_path / "w.npz").exists()
    with pytest.raises(PolicyError, match=r"ends in \.npz"):
        save(tmp_path / "w.pt", layers())


def test_the_example_makes_a_policy_from_play(tmp_path: Path) -> None:
    """One week of `truthful`: the copy bids nearly what it bid."""
    spec = importlib.util.spec_from_file_location("clone_policy", ROOT / "examples" / "clone_policy.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    save(tmp_path / "w.npz", example.clone("truthful", range(10_000, 10_001)))
    seen, done = example.played("truthful", 10_001)
    copied = actions(load(tmp_path / "w.npz"), seen)
    assert ((copied - done) ** 2).mean() < 0.3 * done.var(axis=0).mean()


def test_weights_of_the_package_are_named() -> None:
    for file in WEIGHTS.glob("*.npz"):
        assert file.stat().st_size < 200_000
        for ours, theirs in zip(load(file.stem), load(file), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(UnknownNameError, match="evolved_week20"):
        load("evolved_wek20")


@pytest.mark.parametrize(
    ("weights", "scenario", "safeguard", "seeds"),
    [
        ("evolved_week20", "week20", False, range(1005, 1010)),
        ("guarded_week20", "week20", True, range(1020, 1025)),
        ("seasons_week20", "week20", True, range(1020, 1025)),
        ("evening_august", "august", True, range(1020, 1023)),
    ],
)
def test_what_was_evolved_beats_truthful_on_months_that_it_was_not_chosen_on(
    weights: str, scenario: str, safeguard: bool, seeds: range
) -> None:
    world = load_scenario(scenario).override({"market.safeguard": safeguard})
    months = [Month(world, seed) for seed in seeds]

    def mean(policy: Policy) -> float:
        return float(np.mean([summarize(simulate(month, policy))["welfare"] for month in months]))

    assert mean(Learned(weights)) > mean(make_policy("truthful"))
