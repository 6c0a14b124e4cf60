"""Seeds, masks and months of an episode, what goes with a step's bids, and what the last info holds: in every face."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import begin, leaves, random_actions, scenario

import vpp_env.api.pool
from vpp_env.api.episode import Curriculum, Randomised, Setting
from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.parallel import MarketMonth, env, parallel_env
from vpp_env.api.pool import MonthPool
from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import Bids, DayAheadSchedule
from vpp_env.contract.policy import Consent, PolicyInfo, make_policy
from vpp_env.contract.views import Information
from vpp_env.data.months import month_names
from vpp_env.errors import BidError, VppError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.simulate import Run
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.scenario import load_scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World

SMALL = scenario("quick")
WORLD = Setting(SMALL)
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
    assert CentralMarketMonth(SMALL).reset(seed=3)[1] == {
        "seed": 3,
        "split": "test",
        "month": "2023-08",
        "options": {},
    }


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
    for no_seed in (-1, 1.5, "a", [1, -2], [1.0, 2]):
        with pytest.raises(VppError, match=r"got seed .*; allowed is a whole number, 0 or more"):
            face.reset(seed=no_seed)  # type: ignore[arg-type]
    with pytest.raises(VppError, match="got seed -3"):
        parallel_env(scenario=SMALL, seed=-3)


def test_a_mask_of_all_months_is_kept_and_one_of_some_refused() -> None:
    face = VectorMarketMonth(2, SMALL)
    face.reset(seed=1, options={"reset_mask": np.array([True, True])})
    drawn = VectorMarketMonth(2, SMALL, episodes=Curriculum(({"days": 1},), episodes=1))
    infos = drawn.reset(seed=1, options={"reset_mask": np.array([True, True])})[1]
    assert infos["options"].tolist() == [{"days": 1}] * 2, "a mask alone says nothing of the episodes"
    for mask in ([True, False], [False, False], [True]):
        with pytest.raises(VppError, match="share one clock"):
            face.reset(seed=1, options={"reset_mask": np.array(mask)})


def test_months_are_made_once_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    face = CentralMarketMonth(SMALL)
    months = []
    for seed in (1, 2, 1):
        face.reset(seed=seed)
        world = face._session.world
        assert world is not None
        months.append(world.months[0])
    assert months[0] is months[2] is not months[1]
    monkeypatch.setattr("vpp_env.api.pool.POOL_BYTES", 0)
    pool = MonthPool(2)
    kept = [pool.get(seed, WORLD) for seed in (1, 2, 1, 3)]
    assert len(pool) == 2
    assert pool.get(1, WORLD) is kept[0], "the least recently used one went"
    assert pool.get(2, WORLD) is not kept[1]


def test_days_of_months_that_do_not_fit_together_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    week = load_scenario("week20")
    setting, whole = Setting(week), Month(week, 1)
    monkeypatch.setattr("vpp_env.api.pool.POOL_BYTES", 2 * whole.kept_bytes)
    for least, kept in ((2, 7), (3, 3)):
        pool = MonthPool(least)
        month = pool.get(1, setting)
        days = [month.day(d) for d in range(7)]
        again = [month.day(d) for d in range(7)]
        assert 7 * month.kept_bytes == whole.kept_bytes * kept
        for d, (one, other) in enumerate(zip(days, again, strict=True)):
            assert (one is other) == (kept > 3), d
            assert np.array_equal(one.baseline.ev_soc, other.baseline.ev_soc)
            assert np.array_equal(one.plan.load, other.plan.load)


def test_figures_do_not_depend_on_how_many_days_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days that are drawn again, behind feeders that keep cars waiting, bring what they brought at first."""
    changes = {"time.duration_hours": 120, "market.feeder_homes": 5, "market.feeder_kw": 12.0, "fleet.share_ev": 0.9}
    week = load_scenario("week20").override(changes)
    months = {}
    for room in (1 << 28, 0):
        monkeypatch.setattr("vpp_env.api.pool.POOL_BYTES", room)
        face = VectorMarketMonth(2, week)
        for episode in ("first", "again"):
            seen, infos = [face.reset(seed=7)[0].tobytes()], {}
            for j in range(week.n_opportunities):
                bids = random_actions(np.random.default_rng(j), 40).reshape(2, 20, -1)
                obs, _, _, _, infos = face.step(bids)
                seen.append(obs.tobytes())
            kpis = {name: value.tobytes() for name, value in infos["kpis"].items()}
            world = face._session.world
            assert world is not None
            late = float(np.sum([world.months[0].day(d).baseline.ev_late for d in range(5)]))
            months[room, episode] = (seen, kpis, late)
    one, *others = months.values()
    assert one[2] > 0.0, "feeders keep something"
    assert all(other == one for other in others)


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
    coming = {seed for seed, *_ in pool._ahead}
    assert len(coming) == 2, "the last two resets drew their seeds"
    kept = {seed: future.result() for (seed, *_), future in pool._ahead.items()}
    assert set(face.reset()[1]["seed"].tolist()) == coming
    world = face._session.world
    assert world is not None
    assert [world.months[m] is kept[seed] for m, seed in enumerate(world.months[i].seed for i in range(2))] == [
        True
    ] * 2
    monkeypatch.setattr(MonthPool, "prepare", lambda self, seeds, setting: None)
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
    for wrong in ({"num_envs": "3"}, {"num_envs": 2.0}, {"threads": "2"}, {"render_mode": "ansi"}):
        with pytest.raises(VppError, match=f"^{next(iter(wrong))}: got .*; allowed is"):
            VectorMarketMonth(**{"num_envs": 5, "scenario": made} | wrong)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda face: pickle.loads(pickle.dumps(face))])
def test_a_copy_plays_on_as_its_original_does(copied: Callable[[Any], Any]) -> None:
    def played(face: Any, bids: np.ndarray, months: int) -> list[bytes]:
        if isinstance(face, MarketMonth):
            obs, rewards, *_ = face.step(dict(zip(face.agents, bids, strict=True)))
            return [np.stack(list(obs.values())).tobytes(), str(rewards).encode()]
        obs, rewards, *_ = face.step(bids if isinstance(face, CentralMarketMonth) else bids.reshape(months, 8, -1))
        return [obs.tobytes(), np.asarray(rewards).tobytes()]

    days = TWO.override({"time.duration_hours": 60})
    many = VectorMarketMonth(2, days), VectorMarketMonth(2, days, threads=2)
    for face in (CentralMarketMonth(days), MarketMonth(days), *many):
        months = 2 if face in many else 1
        rng = np.random.default_rng(3)
        bids = [random_actions(rng, 8 * months) for _ in range(60)]
        face.reset(seed=5)
        for one in bids[:26]:  # into the second day
            played(face, one, months)
        other = copied(face)
        told = [played(face, one, months) for one in bids[26:]]
        assert [played(other, one, months) for one in bids[26:]] == told, type(face).__name__


def test_months_that_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = MonthPool(1)
    pool.prepare([5, 6, 6], WORLD)
    assert sorted(key[0] for key in pool._ahead) == [5, 6]
    copied = pickle.loads(pickle.dumps(pool))
    assert not copied._ahead, "a copy makes its months itself"
    assert copied.get(5, WORLD).seed == 5
    pool.prepare([6, 7], WORLD)
    assert sorted(key[0] for key in pool._ahead) == [6, 7], "what nobody has asked for is dropped"
    ahead = next(future for (seed, *_), future in pool._ahead.items() if seed == 6).result()
    assert pool.get(6, WORLD) is ahead
    pool._process = -1  # as in a process that was forked: the thread is not there
    assert pool.get(7, WORLD).seed == 7
    assert not pool._ahead

    def fails(*args: object, **named: object) -> Month:
        raise VppError("no such prices")

    monkeypatch.setattr("vpp_env.api.pool.Month", fails)
    pool.prepare([8], WORLD)
    with pytest.raises(VppError, match="no such prices"):
        pool.get(8, WORLD)


def test_a_world_that_is_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = MonthPool(2, worlds=True)
    pool.prepare([5, 6], WORLD)
    assert pool._opening is not None
    made = pool._opening[1].result()
    pool.prepare([5, 6], WORLD)
    assert pool.world([5, 6], WORLD) is made, "the same one is still wanted"
    assert [m.seed for m in made.months] == [5, 6]
    assert [pool.get(seed, WORLD) for seed in (5, 6)] == made.months
    fresh = World([Month(WORLD.scenario, seed) for seed in (5, 6)])
    fresh.reset()
    bids = [random_actions(np.random.default_rng(j), 10) for j in range(3)]
    played = [[(w.state, w.quote, w.headroom, w.day), *(w.step(a).ledger for a in bids)] for w in (made, fresh)]
    assert [x.tobytes() for x in leaves(tuple(played[0]))] == [x.tobytes() for x in leaves(tuple(played[1]))]
    assert pool.world([5, 6], WORLD) is not made, "a world is for one episode"
    pool.prepare([6, 7], WORLD)
    assert pool._opening is None, "month 6 is kept, and may be played while the thread works"
    opened, mine = vpp_env.api.pool._opened, threading.get_ident()

    def slowly(parts: Any) -> World:
        time.sleep(0.3 if threading.get_ident() != mine else 0.0)
        return opened(parts)

    with monkeypatch.context() as patched:
        patched.setattr("vpp_env.api.pool._opened", slowly)
        pool.prepare([8, 9], WORLD)
        other = pool._opening
        assert other is not None
        assert pickle.loads(pickle.dumps(pool)).world([8, 9], WORLD) is not other[1].result()
        pool.prepare([8, 10], WORLD)
        other = pool._opening
        assert other is not None
        assert pool.get(10, WORLD).seed == 10, "the thread has made the months and is at the world"
        assert [m.seed for m in pool.world([8, 11], WORLD).months] == [8, 11]
        assert pool._opening is None
        assert other[1].done(), "nobody is at month 8 but its episode"

    def fails(*args: object, **named: object) -> Month:
        raise VppError("no such prices")

    with monkeypatch.context() as patched:
        patched.setattr("vpp_env.api.pool.Month", fails)
        pool.prepare([12, 13], WORLD)
        with pytest.raises(VppError, match="no such prices"):
            pool.world([12, 13], WORLD)
    assert [m.seed for m in pool.world([12, 14], WORLD).months] == [12, 14]


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
    assert face._session._handed.override is not None
    face.step(np.zeros((8, face.action_space.shape[1])))
    assert face._session._handed.override is None
    with pytest.raises(BidError, match="override"):
        face.submit(override=np.ones(7, dtype=np.bool_))


@pytest.mark.parametrize("threads", [1, 2])
def test_what_many_months_may_not_be_handed_is_refused_and_changes_nothing(threads: int) -> None:
    face, kept = VectorMarketMonth(2, TWO, threads=threads), np.eye(2, 8, dtype=np.bool_)
    with pytest.raises(VppError, match=r"call reset\(\) first"):
        face.submit()
    face.reset(seed=5)
    face.submit(override=kept)
    for given, said in (
        ({"override": kept[:1]}, "override: got 1; allowed is one for each of 2 months"),
        ({"override": kept[:, :7]}, r"override is bool of shape \((7|14),\); allowed"),
        ({"override": kept.astype(float)}, "override is float64"),
        ({"schedules": [scheduled((1,))]}, "schedules: got 1"),
        ({"schedules": [None, scheduled((1,))]}, "gate is shut"),
        ({"capacity": np.ones(3)}, "capacity: got 3"),
        ({"capacity": np.ones(2)}, "market.firm_capacity = false"),
    ):
        with pytest.raises(BidError, match=said):
            face.submit(**given)
    held = [session._handed.override for session in face._months.sessions]
    assert np.array_equal(np.concatenate(held), kept.ravel())
    face.submit()
    assert all(session._handed.override is None for session in face._months.sessions), "the later call counts"


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
    assert (face._session.world.announced.capacity()[1] == world.announced.capacity()[1]).all()


def reset_of(kind: str, **world: Any) -> tuple[Any, Any]:
    """A face, and (seed, options) -> (observations (N, F), info) of its reset."""
    if kind == "central":
        face: Any = CentralMarketMonth(SMALL, **world)
        return face, lambda seed, options=None: face.reset(seed=seed, options=options)
    if kind == "vector":
        face = VectorMarketMonth(2, SMALL, threads=2, **world)

        def of_second(seed: int | None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
            obs, infos = face.reset(seed=None if seed is None else seed - 1, options=options)
            return obs[1], {name: values[1] for name, values in infos.items()}

        return face, of_second
    face = parallel_env(scenario=SMALL, **world)

    def stacked(seed: int | None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        obs, infos = face.reset(seed=seed, options=options)
        return np.stack(list(obs.values())), infos["prosumer_0"]

    return face, stacked


@pytest.mark.parametrize("kind", ["central", "vector", "parallel"])
def test_options_of_a_reset_are_of_one_episode(kind: str) -> None:
    face, reset = reset_of(kind)
    usual, _ = reset(5)
    measured = {"month": "caiso:PGAE:2019-08", "start": "2019-08-03T12:00", "days": 1}
    for options, world, data in (
        ({"start": "2023-08-03T12:00", "days": 1}, {"time.start": "2023-08-03T12:00", "time.duration_hours": 24}, None),
        ({"set": {"fleet.share_bess": 0.2}}, {"fleet.share_bess": 0.2}, None),
        ({"scenario": SMALL.override({"market.safeguard": True})}, {"market.safeguard": True}, None),
        (measured, {"time.start": "2019-08-03T12:00", "time.duration_hours": 24}, "caiso:PGAE:2019-08"),
    ):
        obs, info = reset(5, options)
        assert info["options"] == options
        assert info["month"] == (data or "2023-08")
        same = CentralMarketMonth(SMALL.override(world), market_data=data)
        assert np.array_equal(obs, same.reset(seed=5)[0])
        assert face._session.scenario.hash == SMALL.override(world).hash
        assert face._session.world.scenario.n_opportunities == SMALL.override(world).n_opportunities
        again, info = reset(5)
        assert np.array_equal(again, usual), "the next episode is as ever"
        assert info["options"] == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strat": "2023-08-03T12:00"}, "Did you mean 'start'"),
        ({"seed": 3}, "unknown option"),
        ({"days": 0}, "whole number"),
        ({"days": 1.5}, "whole number"),
        ({"start": "tomorrow"}, "local ISO time"),
        ({"scenario": "week20"}, "got 20 homes; allowed is 5"),
        ({"scenario": "qick"}, "quick"),
        ({"set": {"fleet.share": 0.2}}, "share"),
        ({"set": "fleet.share_ev=0.2"}, "got set 'fleet.share_ev=0.2'; allowed are fields and values"),
        ({"month": "caiso:PGAE:2019-13"}, "Did you mean"),
        ({"month": "caiso:PGAE:2019-08", "start": "2019-09-01T00:00"}, "piece of the measured month"),
        ({"month": "caiso:PGAE:2019-08", "start": "2019-08-31T00:00", "days": 2}, "piece of the measured month"),
    ],
)
@pytest.mark.parametrize("kind", ["central", "vector", "parallel"])
def test_options_that_cannot_be_played_are_refused(kind: str, options: dict[str, Any], said: str) -> None:
    face, reset = reset_of(kind)
    reset(5)
    world = face._session.world
    with pytest.raises(VppError, match=said):
        reset(5, options)
    assert face._session.world is world, "the episode goes on"


@pytest.mark.parametrize("kind", ["central", "vector", "parallel"])
def test_a_curriculum_and_random_worlds(kind: str) -> None:
    face, reset = reset_of(kind, episodes=Curriculum(({"days": 1}, {"days": 2}, {}), episodes=2))
    hours = []
    for k in range(6):
        reset(None)
        hours.append(face._session.scenario.hours)
        if k == 3:
            reset(None, {"days": 5})
            assert face._session.scenario.hours == 120, "options that are given win, and count for no episode"
            reset(None, {})
            assert face._session.scenario.hours == 6, "options that are empty are given, too"
    assert hours == [24, 24, 48, 48, 6, 6]

    months = month_names(["caiso:PGAE:2019-06..09"])
    between = {"fleet.share_bess": (0.2, 0.8), "fleet.share_ev": (0.0, 1.0)}
    draw = Randomised({"month": months}, between, {"days": 1, "set": {"market.safeguard": True}})
    face, reset = reset_of(kind, episodes=draw, seed=10_000)  # unseeded, months agree once in a thousand runs
    drawn = []
    for _ in range(6):
        obs, info = reset(None)
        drawn.append(info["options"])
        fleet, options = face._session.scenario.fleet, info["options"]
        assert (fleet.share_bess, fleet.share_ev) == tuple(options["set"][field] for field in between)
        assert all(low <= options["set"][field] <= high for field, (low, high) in between.items())
        assert info["month"] == options["month"] in months
        assert face._session.scenario.market.safeguard
        seed = int(info["seed"])
        assert seed in SPLITS["training"]
    assert len({options["month"] for options in drawn}) > 1
    assert len({options["set"]["fleet.share_bess"] for options in drawn}) == 6
    # the world follows from the seed
    fresh, reset = reset_of(kind, episodes=draw)
    if kind == "vector":
        matrices, infos = fresh.reset(seed=[seed for one in face._months.sessions for seed in one.seeds])
        again, options = matrices[1], infos["options"][1]
    else:
        again, info = reset(seed)
        options = info["options"]
    assert options == drawn[-1]
    assert np.array_equal(again, obs)


def test_a_curriculum_goes_on_when_the_vector_face_resets_itself() -> None:
    face = VectorMarketMonth(2, SMALL, seed=3, episodes=Curriculum(({"days": 1}, {}), episodes=1))
    face.reset()
    bids = np.zeros((2, 5, 8), dtype=np.float32)
    ends = [bool(face.step(bids)[3].all()) for _ in range(24 + 1 + 6)]
    assert [j for j, end in enumerate(ends) if end] == [23, 30]
    for stages, episodes in (((), 1), (({},), 0)):
        with pytest.raises(VppError, match="allowed is 1 or more"):
            Curriculum(stages, episodes)
    for kind in (CentralMarketMonth, VectorMarketMonth, parallel_env):
        with pytest.raises(VppError, match="Did you mean 'days'"):
            kind(scenario=SMALL, episodes=Curriculum(({"days": 1}, {"dys": 3}), episodes=50))


def test_worlds_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(VppError, match="no value of 'month' to choose from"):
        Randomised({"month": []})
    for between in ((0.8, 0.2), (0.0, np.nan), (0.0, np.inf)):
        with pytest.raises(VppError, match=r"'fleet.share_ev' from .* allowed is from less to more"):
            Randomised({}, {"fleet.share_ev": between})
