"""Every face of the environment drives the same world, and keeps the conventions of its library."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils.conversions import aec_to_parallel
from support import begin, scenario

import vpp_env
from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.observation import Observer
from vpp_env.api.parallel import MarketMonth, env, parallel_env
from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import COLUMNS, N_OBS
from vpp_env.errors import BidError, ScenarioError, VppError
from vpp_env.simulation.month import Month

SMALL = scenario("quick", {"fleet.share_ev": 0.8, "fleet.share_bess": 0.8})
N, STEPS = SMALL.fleet.size, SMALL.n_opportunities
Trajectory = list[tuple[np.ndarray, np.ndarray]]
"""Observations (N, F) and rewards (N,) after every opportunity."""


def actions(seed: int, months: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (STEPS, months * N, 8)).astype(np.float32)


def native(seed: int, acts: np.ndarray) -> Trajectory:
    world = begin(Month(SMALL, seed))
    observer, counted = Observer(world), Rewards(world)
    made = [(observer.matrix(), np.zeros(N))]
    for a in acts:
        rewards = counted.of(world.step(a)).homes[0]
        made.append((observer.matrix(), rewards))
    assert world.done
    return made


def through_parallel(seed: int, acts: np.ndarray) -> Trajectory:
    face = parallel_env(scenario=SMALL)
    obs, _ = face.reset(seed=seed, options={})
    made = [(np.stack(list(obs.values())), np.zeros(N))]
    for a in acts:
        assert face.agents
        obs, rewards, over, cut, _ = face.step(dict(zip(face.agents, a, strict=True)))
        made.append((np.stack(list(obs.values())), np.array(list(rewards.values()))))
        assert not any(over.values())
        assert set(cut.values()) == {len(made) == STEPS + 1}
    assert not face.agents
    return made


def through_aec(seed: int, acts: np.ndarray) -> Trajectory:
    face = env(scenario=SMALL)
    face.reset(seed=seed)
    made = [(np.stack([face.observe(a) for a in face.possible_agents]), np.zeros(N))]
    turn = 0
    for agent in face.agent_iter():
        _, _, over, cut, _ = face.last()
        assert not over
        if cut:
            face.step(None)
            continue
        face.step(acts[turn // N][turn % N])
        assert face.possible_agents[turn % N] == agent
        turn += 1
        if turn % N == 0:
            rewards = np.array([face.rewards[a] for a in face.possible_agents])
            made.append((np.stack([face.observe(a) for a in face.possible_agents]), rewards))
    assert turn == STEPS * N
    assert not face.agents
    return made


def through_gymnasium(seed: int, acts: np.ndarray) -> Trajectory:
    face = gymnasium.make("vpp/MarketMonth-v0", scenario=SMALL)
    obs, _ = face.reset(seed=seed)
    made = [(obs, np.zeros(N))]
    for a in acts:
        obs, reward, over, cut, info = face.step(a)
        made.append((obs, info["home_rewards"]))
        assert reward == pytest.approx(info["vpp_profit_usd"] + info["home_rewards"].sum(), abs=1e-12)
        assert not over
        assert cut == (len(made) == STEPS + 1)
    return made


def through_vector(seed: int, acts: np.ndarray) -> Trajectory:
    """Month 1 of three that begin at seed - 1 is the month of `seed`."""
    face = VectorMarketMonth(3, SMALL)
    obs, _ = face.reset(seed=seed - 1)
    made = [(obs[1], np.zeros(N))]
    for j, a in enumerate(acts):
        full = np.stack([actions(77)[j], a, actions(78)[j]])
        obs, _, over, cut, infos = face.step(full)
        made.append((obs[1], infos["home_rewards"][1]))
        assert not over.any()
        assert cut.tolist() == [len(made) == STEPS + 1] * 3
    return made


FACES = {f.__name__: f for f in (through_parallel, through_aec, through_gymnasium, through_vector)}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("seed", [3, 8])
def test_every_face_gives_the_same_trajectory(face: str, seed: int) -> None:
    acts = actions(seed + 50)
    expected, got = native(seed, acts), FACES[face](seed, acts)
    assert len(got) == len(expected) == STEPS + 1
    for (obs, rewards), (obs_e, rewards_e) in zip(got, expected, strict=True):
        assert np.array_equal(obs, obs_e)
        assert np.array_equal(rewards, rewards_e)
    other = native(seed + 1, acts)
    assert not np.array_equal(other[0][0], expected[0][0]), "another seed is another month"


def test_two_resets_of_one_env_and_the_next_unseeded_one() -> None:
    face, acts = parallel_env(scenario=SMALL, seed=4), actions(1)

    def episode(**reset: Any) -> list[float]:
        face.reset(**reset)
        return [sum(face.step(dict(zip(face.agents, a, strict=True)))[1].values()) for a in acts]

    first, unseeded = episode(), episode()
    assert first == episode(seed=4), "the constructor's seed is the first episode's"
    assert unseeded == episode(), "the episodes after a seed follow from it"
    assert unseeded != first


def test_pettingzoo_checks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        parallel_api_test(parallel_env(scenario=SMALL), num_cycles=20)
    parallel_seed_test(lambda: parallel_env(scenario=SMALL))
    # the agent-by-agent face wraps the spaces in the library's own classes, which it warns of itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api_test(env(scenario=SMALL), num_cycles=12)
        seed_test(lambda: env(scenario=SMALL), num_cycles=12)


@pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="PettingZoo before 1.27 has no registry")
def test_pettingzoos_registry_makes_the_environment() -> None:
    made = pettingzoo.make("parallel", "vpp/market_month_v0", scenario=SMALL)
    assert isinstance(made.unwrapped, MarketMonth)
    assert made.metadata["name"] == "market_month_v0"
    assert pettingzoo.make("aec", "vpp/market_month_v0", scenario=SMALL).max_num_agents == N


def test_gymnasiums_registry_makes_the_environment() -> None:
    vector = gymnasium.make_vec(
        "vpp/MarketMonth-v0", num_envs=2, vectorization_mode="vector_entry_point", scenario=SMALL
    )
    assert vector.reset(seed=1)[0].shape == (2, N, N_OBS)
    assert vpp_env.parallel_env is parallel_env


def test_gymnasium_check_env() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # check_env tells everybody that a space in [-1, 1] is fine, and that no seed was given to close()
        warnings.filterwarnings("ignore", message=".*(deprecated|render).*")
        check_env(CentralMarketMonth(SMALL), skip_render_check=True)


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_render(mode: str) -> None:
    for face in (parallel_env(scenario=SMALL, render_mode=mode), CentralMarketMonth(SMALL, render_mode=mode)):
        face.reset(seed=0)
        for a in actions(0)[:2]:
            face.step(dict(zip(face.agents, a, strict=True)) if isinstance(face, MarketMonth) else a)
        picture = face.render()
        if mode == "ansi":
            assert isinstance(picture, str)
            assert "\n" not in picture
            assert "2/6" in picture
        else:
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
            assert picture.std() > 0


@pytest.mark.parametrize("face", [parallel_env, CentralMarketMonth])
def test_what_cannot_be_drawn_is_refused(face: Callable[..., Any]) -> None:
    with pytest.raises(VppError, match="render_mode: got 'rgb'; allowed is 'rgb_array', 'ansi', or None"):
        face(scenario=SMALL, render_mode="rgb")


def test_spaces_are_one_shared_object_and_exact() -> None:
    face = parallel_env(scenario=SMALL)
    first = face.possible_agents[0]
    for space in (face.observation_space, face.action_space):
        assert all(space(a) is space(first) for a in face.possible_agents)
        assert space(first) is space(first)
    assert face.action_space(first).shape == (8,)
    assert face.observation_space(first).shape == (N_OBS,)
    face.reset(seed=0)
    assert face.state_space.contains(face.state())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["heatwave", "april", "reference"])
def test_observations_stay_in_their_space(name: str, seed: int) -> None:
    # a car is plugged in every other day: some must charge when a gate looks at them
    changes = {"fleet.size": 24, "time.duration_hours": 72, "fleet.share_ev": 1.0, "market.min_bid_mw": 0.0}
    if name != "reference":
        changes |= {"market.regulation": True, "market.gate_lead_minutes": 0}
    face = parallel_env(scenario=scenario(name, changes))
    obs, _ = face.reset(seed=seed)
    rng = np.random.default_rng(seed)
    matrices = []
    while True:
        for agent, row in obs.items():
            assert face.observation_space(agent).contains(row), agent
            assert row.flags.c_contiguous
        matrices.append(np.stack(list(obs.values())))
        if not face.agents:
            break
        obs = face.step({a: rng.uniform(-1, 1, N_ACTION).astype(np.float32) for a in face.agents})[0]
        assert face.state_space.contains(face.state())
    spread = np.ptp(np.concatenate(matrices), axis=0)
    silent = {COLUMNS[j] for j in np.flatnonzero(spread == 0)}
    # one clock, minimum and rate, too short to opt out; a programme in the heat alone; the reference sells energy alone
    known = {"lead", "minimum_kw", "schedule_gate", "schedule_kw", "capacity_rate", "absent"}
    known |= set() if name == "heatwave" else {"incentive", "incentive_ahead"}
    sold = {"spin", "nonspin", "regup", "regdown", "hours_to_call"} | {c for c in COLUMNS if c.startswith("capacity_")}
    assert silent <= known | (sold if name == "reference" else set())


def test_observations_are_nobodys_else() -> None:
    face = parallel_env(scenario=SMALL)
    obs, _ = face.reset(seed=1)
    state = face.state()
    kept = {a: row.copy() for a, row in obs.items()}
    obs["prosumer_0"][:] = 0.5
    assert np.array_equal(obs["prosumer_1"], kept["prosumer_1"])
    assert np.array_equal(face.state(), state)
    state[:] = -0.5
    after = face.step(dict.fromkeys(face.agents, np.zeros(N_ACTION, np.float32)))[0]
    clean = parallel_env(scenario=SMALL)
    clean.reset(seed=1)
    expected = clean.step(dict.fromkeys(clean.agents, np.zeros(N_ACTION, np.float32)))[0]
    assert all(np.array_equal(after[a], expected[a]) for a in expected)
    assert all(not np.shares_memory(after[a], obs[a]) for a in after)


def test_a_missing_or_misshapen_action_is_named() -> None:
    face = parallel_env(scenario=SMALL)
    face.reset(seed=0)
    good = dict.fromkeys(face.agents, np.zeros(N_ACTION, np.float32))
    with pytest.raises(BidError, match="prosumer_3"):
        face.step({a: v for a, v in good.items() if a != "prosumer_3"})
    with pytest.raises(BidError, match=r"'prosumer_1' has shape \(5,\); allowed is \(8,\)"):
        face.step(good | {"prosumer_1": np.zeros(5, np.float32)})
    for scalar in (0.5, None):
        with pytest.raises(BidError, match=r"'prosumer_1' has shape \(\); allowed is \(8,\)"):
            face.step(good | {"prosumer_1": scalar})
    with pytest.raises(BidError, match="'prosumer_9', which is no agent; agents are 'prosumer_0' to 'prosumer_4'"):
        face.step(good | {"prosumer_9": np.zeros(N_ACTION, np.float32)})
    with pytest.raises(BidError, match="got a ndarray; allowed is a dict"):
        face.step(np.zeros((N, N_ACTION), np.float32))
    with pytest.raises(BidError, match="finite"):
        face.step(good | {"prosumer_1": np.full(8, np.nan, np.float32)})


def test_two_misshapen_actions_do_not_make_up_for_each_other() -> None:
    face = parallel_env(scenario=SMALL)
    face.reset(seed=0)
    good = dict.fromkeys(face.agents, np.zeros(N_ACTION, np.float32))
    with pytest.raises(BidError):
        face.step(good | {"prosumer_1": np.zeros(5, np.float32), "prosumer_2": np.zeros(7, np.float32)})


@pytest.mark.parametrize(
    "step",
    [
        lambda: CentralMarketMonth(SMALL).step(np.zeros((N, 8))),
        lambda: VectorMarketMonth(2, SMALL).step(np.zeros((2, N, 8))),
        lambda: parallel_env(scenario=SMALL).step({}),
    ],
)
def test_a_step_before_reset_is_refused(step: Callable[[], Any]) -> None:
    with pytest.raises(VppError, match="reset"):
        step()


@pytest.mark.parametrize("kind", [MarketMonth, CentralMarketMonth, VectorMarketMonth])
def test_an_option_that_no_environment_has_is_refused(kind: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="sed"):
        kind(scenario=SMALL, sed=1)
    with pytest.raises(ScenarioError, match="quick"):
        kind(scenario="quik")


def test_stepping_after_the_end() -> None:
    central = CentralMarketMonth(SMALL)
    central.reset(seed=0)
    for a in actions(0):
        central.step(a)
    with pytest.raises(VppError, match="reset"):
        central.step(actions(0)[0])


def test_the_vector_env_begins_again_on_the_step_after_the_end() -> None:
    face = VectorMarketMonth(2, SMALL, seed=5)
    assert face.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    face.reset(seed=5)
    acts = actions(3, 2).reshape(STEPS, 2, N, 8)
    earned = False
    for a in acts:
        _, rewards, _, cut, _ = face.step(a)
        earned = earned or bool(rewards.any())
    assert cut.all()
    assert earned
    obs, rewards, over, cut, _ = face.step(np.full((2, N, 8), 1.0))
    assert not np.concatenate([rewards, over, cut]).any()
    assert face.observation_space.contains(obs)
    obs_1, *_ = face.step(acts[0])
    # the second episode is a month of its own, and the ignored actions left no trace
    again = VectorMarketMonth(2, SMALL, seed=5)
    again.reset(seed=5)
    again.reset()
    assert np.array_equal(again.step(acts[0])[0], obs_1)


def test_full_infos_hold_the_ledger() -> None:
    face = parallel_env(scenario=SMALL, full_infos=True)
    face.reset(seed=2)
    world = begin(Month(SMALL, 2))
    for a in actions(9):
        infos = face.step(dict(zip(face.possible_agents, a, strict=True)))[4]
        o = world.step(a)
        assert {i["vpp_profit_usd"] for i in infos.values()} == {float(o.money.profit[0])}
        paid = sum(i["payment_usd"] for i in infos.values())
        assert paid == pytest.approx(float(o.money.payments[0]), abs=1e-9)
        metered = sum(i["market_kwh"] for i in infos.values())
        assert metered == pytest.approx(float(o.market_kw[:, 0].sum() / 4), abs=1e-9)


def test_private_observations_do_not_hold_the_vpps_profit() -> None:
    """Two months that differ in the VPP's costs only look the same to every home."""
    dear = scenario("quick", {"market.compute_usd_per_hour": 50.0, "reward.team_share": 0.5})
    cheap = scenario("quick")
    one, two = parallel_env(scenario=dear), parallel_env(scenario=cheap)
    first, second = one.reset(seed=1)[0], two.reset(seed=1)[0]
    for a in actions(4):
        first = one.step(dict(zip(one.possible_agents, a, strict=True)))[0]
        second = two.step(dict(zip(two.possible_agents, a, strict=True)))[0]
        assert all(np.array_equal(first[k], second[k]) for k in first)
    assert not np.array_equal(one.state(), two.state())


def test_the_agent_by_agent_face_converts_back() -> None:
    face = aec_to_parallel(env(scenario=SMALL))
    obs, _ = face.reset(seed=6)
    expected, _ = parallel_env(scenario=SMALL).reset(seed=6)
    assert all(np.array_equal(obs[a], expected[a]) for a in expected)
