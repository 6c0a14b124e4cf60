"""The learners' reward: summed over homes and the month, with the VPP's profit, it is the evaluator's welfare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import STYLES, begin, random_actions, scenario

from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.parallel import env, parallel_env
from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, PolicyInfo, make_policy
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.simulate import Run
from vpp_env.scenario import Scenario
from vpp_env.simulation.month import Month

FULL = {
    "fleet.size": 10,
    "fleet.share_bess": 0.9,
    "fleet.share_ev": 0.9,
    "fleet.v2g_share": 0.7,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.3,
    "market.safeguard": False,
}
CASES: dict[str, dict[str, Any]] = {
    "hours": {"time.duration_hours": 53},
    "quarters": {"time.duration_hours": 26, "time.opportunity_minutes": 15, "time.start": "2023-08-02T09:00"},
    "clock": {"time.duration_hours": 36, "time.start": "2023-11-04T20:00", "time.opportunity_minutes": 30},
    "lead": {"time.duration_hours": 40, "market.gate_lead_minutes": 75, "market.programme": "elrp"},
    "own_use": {"time.duration_hours": 30, "home.control": "self_consumption", "market.two_settlement": True},
}
INFO = PolicyInfo("dice", Information.OWN, Consent.NEVER, "random bids")
SEED = 3


def bids(made: Scenario, style: str) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [random_actions(rng, made.fleet.size, style) for _ in range(made.n_opportunities)]


def evaluated(made: Scenario, acts: list[np.ndarray]) -> tuple[float, float]:
    """(welfare, VPP's profit) that the evaluator reports."""
    world = begin(Month(made, SEED))
    record = Recorder(world, INFO)
    for a in acts:
        record.add(Bids(a), world.step(a), 0.0)
    kpis = summarize(Run(make_policy("random"), INFO, world, record, complete=True))
    assert kpis["private_cost"] > 0.0, "the test can fail"
    return float(kpis["welfare"]), float(kpis["total_profit"])


def by_parallel(made: Scenario, acts: list[np.ndarray]) -> tuple[float, float]:
    face = parallel_env(scenario=made)
    face.reset(seed=SEED)
    total = profit = 0.0
    for a in acts:
        _, rewards, _, _, infos = face.step(dict(zip(face.agents, a, strict=True)))
        assert len({info["vpp_profit_usd"] for info in infos.values()}) == 1
        profit += infos["prosumer_0"]["vpp_profit_usd"]
        total += sum(rewards.values())
    assert not face.agents
    return total + profit, profit


def by_aec(made: Scenario, acts: list[np.ndarray]) -> tuple[float, float]:
    face, turn, total, profit = env(scenario=made), 0, 0.0, 0.0
    face.reset(seed=SEED)
    n = made.fleet.size
    for _ in face.agent_iter():
        over = face.last()[3]
        if over:
            face.step(None)
            continue
        face.step(acts[turn // n][turn % n])
        turn += 1
        if turn % n == 0:
            total += sum(face.rewards.values())
            profit += face.infos["prosumer_0"]["vpp_profit_usd"]
    return total + profit, profit


def by_gymnasium(made: Scenario, acts: list[np.ndarray]) -> tuple[float, float]:
    face = CentralMarketMonth(made)
    face.reset(seed=SEED)
    total = profit = 0.0
    for a in acts:
        _, reward, _, _, info = face.step(a)
        total, profit = total + reward, profit + info["vpp_profit_usd"]
    return total, profit


def by_vector(made: Scenario, acts: list[np.ndarray]) -> tuple[float, float]:
    """Month 2 of four."""
    face = VectorMarketMonth(4, made)
    face.reset(seed=SEED - 2)
    total = profit = 0.0
    rng = np.random.default_rng(1)
    for a in acts:
        all_months = rng.uniform(-1, 1, (4, *a.shape)).astype(np.float32)
        all_months[2] = a
        _, reward, _, _, infos = face.step(all_months)
        total, profit = total + float(reward[2]), profit + float(infos["vpp_profit_usd"][2])
    return total, profit


FACES: dict[str, Callable[[Scenario, list[np.ndarray]], tuple[float, float]]] = {
    f.__name__: f for f in (by_parallel, by_aec, by_gymnasium, by_vector)
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("style", STYLES)
def test_rewards_and_profit_add_up_to_welfare_in_every_face(case: str, style: str) -> None:
    made = scenario("week20", FULL | CASES[case])
    acts = bids(made, style)
    expected = evaluated(made, acts)
    for name, play in FACES.items():
        assert play(made, acts) == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_team_share_mixes_in_the_teams_mean(alpha: float) -> None:
    """The joint reward stays welfare whatever is mixed into the homes' own."""
    worlds = [
        begin(Month(scenario("week20", FULL | {"time.duration_hours": 30, "reward.team_share": a}), 0))
        for a in (0.0, alpha)
    ]
    plain, mixed = (Rewards(world) for world in worlds)
    rng, moved = np.random.default_rng(0), 0.0
    while not worlds[0].done:
        a = random_actions(rng, worlds[0].n_homes)
        outcomes = [world.step(a) for world in worlds]
        own, team = plain.of(outcomes[0]), mixed.of(outcomes[1])
        assert np.array_equal(own.joint, team.joint)
        mean = (outcomes[0].money.profit[0] + own.homes[0].sum()) / worlds[0].n_homes
        np.testing.assert_allclose(team.homes[0], (1 - alpha) * own.homes[0] + alpha * mean, atol=1e-12)
        moved += float(np.abs(own.homes).sum())
    assert moved > 1.0


def test_a_wish_is_priced_when_its_limit_is_passed() -> None:
    """Credit comes at once: a home that was told to discharge in quarter hours is charged for hassle in the first."""
    changes = FULL | {"time.duration_hours": 4, "time.opportunity_minutes": 15, "time.start": "2023-08-02T18:00"}
    made = scenario("week20", changes | {"market.call_probability": 0.0, "fleet.share_ev": 0.0})
    world = begin(Month(made, 0))
    counted, hassle = Rewards(world), []
    for _ in range(4):
        a = random_actions(np.random.default_rng(0), world.n_homes, "sell")
        a[:, 0] = 1.0
        outcome = world.step(a)
        before = counted._wishes.cost()[4].copy()
        counted.of(outcome)
        hassle.append(float((counted._wishes.cost()[4] - before).sum()))
    assert hassle[0] > 0.0
    assert hassle[1:] == [0.0, 0.0, 0.0]
