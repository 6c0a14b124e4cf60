"""Seeds, masks and months of an episode, what goes with a step's bids, and what the last info holds: in every face."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from support import begin, random_actions, scenario

from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.parallel import env, parallel_env
from vpp_env.api.pool import MonthPool
from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import Bids, DayAheadSchedule
from vpp_env.contract.policy import Consent, PolicyInfo, make_policy
from vpp_env.contract.views import Information
from vpp_env.errors import BidError, VppError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.simulate import Run
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.month import Month

SMALL = scenario("quick")
TWO = scenario(
    "week20",
    {
        "fleet.size": 8,
        "fleet.share_bess": 0.9,
        "time.duration_hours": 36,
        "market.two_settlement": True,
        "market.min_bid_mw": 0.0,
        "market.safeguard": False,
    },
)
INFO = PolicyInfo("dice", Information.OWN, Consent.NEVER, "random bids")


def first_obs(seed: int) -> np.ndarray:
    return CentralMarketMonth(SMALL).reset(seed=seed)[0]


def test_an_unseeded_reset_draws_a_training_seed_and_says_so() -> None:
    seeds = []
    for face in (CentralMarketMonth(SMALL), parallel_env(scenario=SMALL), VectorMarketMonth(3, SMALL)):
        for _ in range(2):
            obs, info = face.reset()
            if isinstance(face, VectorMarketMonth):
                assert info["seed"].shape == info["month"].shape == (3,)
                seeds += info["seed"].tolist()
                assert np.array_equal(obs[2], first_obs(int(info["seed"][2])))
                continue
            info = info if isinstance(face, CentralMarketMonth) else info["prosumer_1"]
            assert (info["split"], info["month"]) == ("training", "2023-08")
            seeds.append(info["seed"])
    assert all(seed in SPLITS["training"] for seed in seeds)
    assert len(set(seeds)) == len(seeds) == 10
    assert CentralMarketMonth(SMALL).reset(seed=3)[1] == {"seed": 3, "split": "test", "month": "2023-08"}


def test_a_seed_for_each_month() -> None:
    face = VectorMarketMonth(2, SMALL)
    obs, infos = face.reset(seed=[7, 3])
    assert infos["seed"].tolist() == [7, 3]
    assert np.array_equal(obs, np.stack([first_obs(7), first_obs(3)]))
    drawn = face.reset(seed=[5, None])[1]["seed"]
    assert drawn[0] == 5
    assert int(drawn[1]) in SPLITS["training"]
    assert face.reset(seed=4)[1]["seed"].tolist() == [4, 5]
    after = face.reset()[1]["seed"].tolist()
    face.reset(seed=4)
    assert face.reset()[1]["seed"].tolist() == after, "what comes after a seed follows from it"
    with pytest.raises(VppError, match="3 seeds for 2 months"):
        face.reset(seed=[1, 2, 3])


def test_a_mask_of_all_months_is_kept_and_one_of_some_refused() -> None:
    face = VectorMarketMonth(2, SMALL)
    face.reset(seed=1, options={"reset_mask": np.array([True, True]), "something": 1})
    for mask in ([True, False], [False, False], [True]):
        with pytest.raises(VppError, match="share one clock"):
            face.reset(seed=1, options={"reset_mask": np.array(mask)})


def test_months_are_made_once_and_few_are_kept() -> None:
    face = CentralMarketMonth(SMALL)
    months = []
    for seed in (1, 2, 1):
        face.reset(seed=seed)
        world = face._session.world
        assert world is not None
        months.append(world.months[0])
    assert months[0] is months[2] is not months[1]
    pool = MonthPool(SMALL, 2, None, None)
    pool._keep = 2
    kept = [pool.get(seed) for seed in (1, 2, 1, 3)]
    assert len(pool) == 2
    assert pool.get(1) is kept[0], "the least recently used one went"
    assert pool.get(2) is not kept[1]


def test_what_a_loop_draws_next_is_made_ahead_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def episodes(face: VectorMarketMonth) -> list[tuple[list[int], bytes]]:
        made = []
        for seed in (4, None, None, None, 9, None, None):
            obs, infos = face.reset(seed=seed)
            bids = (random_actions(np.random.default_rng(j), 10).reshape(2, 5, -1) for j in range(2))
            rewards = [face.step(actions)[1] for actions in bids]
            made.append((infos["seed"].tolist(), obs.tobytes() + np.stack(rewards).tobytes()))
        return made

    face = VectorMarketMonth(2, SMALL)
    with_it = episodes(face)
    pool = face._session._pool
    coming = set(pool._ahead)
    assert len(coming) == 2, "the last two resets drew their seeds"
    kept = {seed: future.result() for seed, future in pool._ahead.items()}
    assert set(face.reset()[1]["seed"].tolist()) == coming
    world = face._session.world
    assert world is not None
    assert [world.months[m] is kept[seed] for m, seed in enumerate(world.months[i].seed for i in range(2))] == [
        True
    ] * 2
    monkeypatch.setattr(MonthPool, "prepare", lambda self, seeds: None)
    assert episodes(VectorMarketMonth(2, SMALL)) == with_it


def test_threads_play_the_same_months() -> None:
    made = TWO.override({"market.safeguard": True})

    def played(threads: int) -> list[bytes]:
        face = VectorMarketMonth(5, made, threads=threads, seed=3)
        said, handed = [], 0
        for episode, seed in enumerate((None, 9, None, None, [4, None, 8, 1, 1])):
            obs, infos = face.reset(seed=seed)
            said += [obs.tobytes(), infos["seed"].tobytes()]
            for j in range(made.n_opportunities):
                hours = len(face.schedule_hours)
                if hours and episode == 1:
                    handed += 1
                    plans = [DayAheadSchedule(np.full(hours, kw), np.zeros(hours)) for kw in (5.0, 1.0, 3.0, 0.0)]
                    face.submit(schedules=[None, *plans], override=np.eye(5, 8, dtype=bool))
                bids = random_actions(np.random.default_rng([episode, j]), 40).reshape(5, 8, -1)
                obs, rewards, _, over, infos = face.step(bids)
                said += [obs.tobytes(), rewards.tobytes(), *(infos[k].tobytes() for k in ("home_rewards", "costs"))]
            assert over.all()
            said += [value.tobytes() for value in infos["kpis"].values()]
        assert handed
        return said

    alone = played(1)
    assert played(2) == alone
    assert played(5) == alone
    face = VectorMarketMonth(5, made, threads=2, seed=3)
    assert face.reset()[0].tobytes() == alone[0]
    with pytest.raises(BidError, match="prosumer 32"):
        face.step(np.concatenate([np.zeros((4, 8, 8)), np.full((1, 8, 8), 2.0)]))
    bids = random_actions(np.random.default_rng([0, 0]), 40).reshape(5, 8, -1)
    assert face.step(bids)[0].tobytes() == alone[2], "no month had been played"
    assert pickle.loads(pickle.dumps(face)).step(bids)[1].shape == (5,)
    face.close()
    for threads in (0, 6):
        with pytest.raises(VppError, match="threads: got"):
            VectorMarketMonth(5, made, threads=threads)


def test_months_that_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = MonthPool(SMALL, 1, None, None)
    pool.prepare([5, 6, 6])
    assert sorted(pool._ahead) == [5, 6]
    copied = pickle.loads(pickle.dumps(pool))
    assert not copied._ahead, "a copy makes its months itself"
    assert copied.get(5).seed == 5
    pool.prepare([6, 7])
    assert sorted(pool._ahead) == [6, 7], "what nobody has asked for is dropped"
    ahead = pool._ahead[6].result()
    assert pool.get(6) is ahead
    pool._process = -1  # as in a process that was forked: the thread is not there
    assert pool.get(7).seed == 7
    assert not pool._ahead

    def fails(*args: object, **named: object) -> Month:
        raise VppError("no such prices")

    monkeypatch.setattr("vpp_env.api.pool.Month", fails)
    pool.prepare([8])
    with pytest.raises(VppError, match="no such prices"):
        pool.get(8)


def test_a_kept_month_plays_as_a_new_one() -> None:
    def rewards(face: CentralMarketMonth) -> list[float]:
        face.reset(seed=2)
        rng = np.random.default_rng(0)
        return [float(face.step(random_actions(rng, 8))[1]) for _ in range(TWO.n_opportunities)]

    used = CentralMarketMonth(TWO)
    assert rewards(used) == rewards(used) == rewards(CentralMarketMonth(TWO))


def test_the_last_info_holds_what_the_evaluator_reports() -> None:
    """And the costs of an opportunity add up to the violations."""
    rng = np.random.default_rng(0)
    acts = [random_actions(rng, 8) for _ in range(TWO.n_opportunities)]
    world = begin(Month(TWO, 5))
    record = Recorder(world, INFO)
    for a in acts:
        record.add(Bids(a), world.step(a), 0.0)
    expected = summarize(Run(make_policy("random"), INFO, world, record, complete=True))
    central, vector = CentralMarketMonth(TWO), VectorMarketMonth(2, TWO)
    parallel = parallel_env(scenario=TWO, full_infos=True)
    central.reset(seed=5)
    parallel.reset(seed=5)
    vector.reset(seed=[9, 5])
    costs, costs_v, costs_p = np.zeros(5), np.zeros(5), np.zeros(5)
    for a in acts:
        info = central.step(a)[4]
        infos = vector.step(np.stack([random_actions(rng, 8), a]))[4]
        each = parallel.step(dict(zip(parallel.agents, a, strict=True)))[4]
        costs, costs_v = costs + info["costs"], costs_v + infos["costs"][1]
        costs_p = costs_p + sum(i["costs"] for i in each.values())
    kpis = info["kpis"]
    assert kpis == each["prosumer_3"]["kpis"]
    assert kpis == pytest.approx({name: value[1] for name, value in infos["kpis"].items()}, abs=1e-9)
    violations = expected["total_violations"]
    by_kind = [violations.by_kind[kind] for kind in VIOLATIONS]
    assert costs.tolist() == costs_v.tolist() == costs_p.tolist() == by_kind
    assert sum(by_kind) > 0
    for name, value in kpis.items():
        if name.startswith("violations"):
            kind = name.removeprefix("violations").removeprefix("_")
            assert value == (violations.by_kind[kind] if kind else violations.total)
        else:
            assert value == pytest.approx(float(expected[name]), abs=1e-9), name


def scheduled(hours: tuple[int, ...]) -> DayAheadSchedule:
    """Sells day ahead what it has not, at any price."""
    return DayAheadSchedule(np.where(np.array(hours) > 16, 5.0, -3.0), np.where(np.array(hours) > 16, -1.0, 1.0))


def native(acts: list[np.ndarray], override: np.ndarray) -> list[float]:
    world = begin(Month(TWO, 5))
    counted, joint = Rewards(world), []
    for a in acts:
        hours = world.exchange.day_ahead.hours(world.t)
        o = world.step(a, (scheduled(hours),) if hours else (), override)
        joint.append(float(counted.of(o).joint[0]))
    assert world.exchange.day_ahead.award_kw.any()
    return joint


@pytest.mark.parametrize("kind", ["central", "vector", "parallel", "aec"])
def test_a_learner_hands_in_the_day_ahead_schedule(kind: str) -> None:
    rng = np.random.default_rng(0)
    acts = [random_actions(rng, 8) for _ in range(TWO.n_opportunities)]
    override = np.arange(8) % 2 == 0
    made: dict[str, Any] = {
        "central": lambda: CentralMarketMonth(TWO),
        "vector": lambda: VectorMarketMonth(2, TWO),
        "parallel": lambda: parallel_env(scenario=TWO),
        "aec": lambda: env(scenario=TWO),
    }
    face = made[kind]()
    face.reset(seed=[8, 5] if kind == "vector" else 5)
    # behind wrappers, those of the agent-by-agent face too
    holder = face.unwrapped
    got, opened = [], 0
    for a in acts:
        hours = holder.schedule_hours
        if hours:
            opened += 1
            if kind == "vector":
                face.submit(schedules=[None, scheduled(hours)], override=np.stack([~override, override]))
            else:
                holder.submit(schedule=scheduled(hours), override=override)
        else:
            extra = {"schedules": [None, scheduled((1,))]} if kind == "vector" else {"schedule": scheduled((1,))}
            with pytest.raises(BidError, match="gate is shut"):
                holder.submit(**extra)
            both = np.stack([~override, override]) if kind == "vector" else override
            holder.submit(override=both)
        if kind == "vector":
            got.append(float(face.step(np.stack([a, a]))[1][1]))
        elif kind == "central":
            got.append(float(face.step(a)[1]))
        elif kind == "parallel":
            _, rewards, _, _, infos = face.step(dict(zip(face.agents, a, strict=True)))
            got.append(sum(rewards.values()) + infos["prosumer_0"]["vpp_profit_usd"])
        else:
            for row in a:
                face.step(row)
            got.append(sum(face.rewards.values()) + face.infos["prosumer_0"]["vpp_profit_usd"])
    assert opened == 1
    np.testing.assert_allclose(got, native(acts, override), rtol=0, atol=1e-9)


def test_what_is_submitted_is_for_one_step() -> None:
    face = CentralMarketMonth(TWO)
    face.reset(seed=5)
    face.submit(override=np.ones(8, dtype=np.bool_))
    assert face._session._override is not None
    face.step(np.zeros((8, face.action_space.shape[1])))
    assert face._session._override is None
    with pytest.raises(BidError, match="override"):
        face.submit(override=np.ones(7, dtype=np.bool_))


def test_a_learner_commits_the_evenings_capacity() -> None:
    made = scenario("week20", {"time.duration_hours": 96, "market.firm_capacity": True})
    face, world = CentralMarketMonth(made), begin(Month(made, 5))
    face.reset(seed=5)
    counted, opened = Rewards(world), 0
    while not world.done:
        a = np.full((20, face.action_space.shape[1]), -1.0)
        kw = 150.0 if face.capacity_gate else None
        opened += int(kw is not None)
        if kw is None:
            with pytest.raises(BidError):
                face.submit(capacity=150.0)
        face.submit(capacity=kw)
        reward = face.step(a)[1]
        joint = counted.of(world.step(a, (), None, () if kw is None else (kw,))).joint[0]
        assert reward == pytest.approx(float(joint), abs=1e-9)
    assert opened >= 1
    assert face._session.world is not None
    assert (face._session.world.announced_capacity()[1] == world.announced_capacity()[1]).all()
