"""Bids for an opportunity that begins later: the queue, what a view shows, what the record books."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import begin, month, random_actions, scenario
from vpp_policies.truthful import Truthful

from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.observation import Observer
from vpp_env.api.parallel import parallel_env
from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import SELL1_ASK, SELL2_ASK, Bids
from vpp_env.contract.policy import Consent, PolicyInfo
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.evaluation.simulate import simulate
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import net_benefit
from vpp_env.simulation.view_builder import build_view

DAY = {"fleet.size": 8, "time.duration_hours": 30, "market.min_bid_mw": 0.0, "fleet.share_bess": 0.8}
LATE = {"market.gate_lead_minutes": 75}
EVERYTHING = {
    "market.clearing": "logit",
    "market.programme": "elrp",
    "market.programme_temp_c": 10.0,
    "market.two_settlement": True,
    "market.regulation": True,
    **LATE,
}

NEWER = [led.L_REDUCED, led.L_PAY_CAPACITY, led.L_CUT, led.L_CUT_RESERVE]
NEWER += [led.L_PAY_AVAILABILITY, led.L_PAY_CONCESSION, led.L_WAIVED, led.L_EXCESS]
"""Rows of the ledger that are younger than the figures recorded below."""


@pytest.mark.parametrize(("minutes", "length", "lead"), [(0, 60, 0), (1, 60, 1), (75, 60, 2), (75, 15, 5), (75, 30, 3)])
def test_a_lead_is_rounded_up_to_whole_opportunities(minutes: int, length: int, lead: int) -> None:
    made = scenario(changes={"market.gate_lead_minutes": minutes, "time.opportunity_minutes": length})
    assert made.lead_opportunities == lead


def test_without_a_lead_nothing_is_new() -> None:
    """Figures of the world before there were lead times, programmes and two settlements.

    Asks spanned 0 to .5 USD/kWh then, half of today's span, and the minimum was one of awards. Figures: profit, the
    members' net benefit (their reward then was that less a discomfort that no evaluator knew), sum of the ledger; all
    recorded again when cars came to be plugged in as measured.
    """
    cases = [
        (month("quick", {}, 3), 5, "any", [0.052048577083267294, -0.6110194458039754, 76.00364127802528]),
        (
            month(
                "week20",
                {
                    "time.duration_hours": 30,
                    "market.regulation": True,
                    "market.call_probability": 0.2,
                    "market.deviation_kappa": 0.25,
                    "market.minimum": "award",
                },
                1,
            ),
            6,
            "sell",
            [8.318367752524322, -14.620319519035, 2431.3391765899446],
        ),
    ]
    for m, seed, style, expected in cases:
        world, rng, out = begin(m), np.random.default_rng(seed), []
        while not world.done:
            actions = random_actions(rng, world.n_homes, style, lines=1).astype(np.float64)
            asks = [SELL1_ASK, SELL2_ASK]
            actions[:, asks] = (actions[:, asks] - 1.0) / 2.0
            out.append(world.step(actions))
        got = [
            sum(f(o) for o in out)
            for f in (
                lambda o: o.money.profit[0],
                lambda o: net_benefit(o.ledger).sum(),
                lambda o: np.delete(o.ledger, NEWER, axis=0).sum(),
            )
        ]
        assert [float(x) for x in got] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("length", [60, 15])
def test_bids_are_played_when_their_time_has_come(length: int) -> None:
    changes = DAY | {"time.opportunity_minutes": length, "time.duration_hours": 12}
    late, prompt = begin(month("week20", changes | LATE)), begin(month("week20", changes))
    lead, rng = late.lead, np.random.default_rng(0)
    queue = [np.full((8, 8), -1.0)] * lead
    while not late.done:
        a = random_actions(rng, 8)
        queue.append(a)
        o, expected = late.step(a), prompt.step(queue.pop(0))
        np.testing.assert_array_equal(o.flow_kw, expected.flow_kw)
        np.testing.assert_array_equal(o.offers.sell_q, expected.offers.sell_q)
        assert o.money.revenue == expected.money.revenue
    assert prompt.done
    assert lead == (2 if length == 60 else 5)


def test_a_view_says_which_opportunity_is_bid_for() -> None:
    m = month("week20", DAY | LATE | {"time.start": "2023-11-04T10:00"})
    world, stamps = begin(m), []
    while not world.done:
        public, t = build_view(world, Information.OWN).public, world.t
        assert public.lead == 2
        assert public.opportunity == world.opportunity + 2
        assert (public.start - public.now) == pd.Timedelta(hours=2), "elapsed time, also over the clock change"
        assert public.now == m.calendar.local[t]
        da = m.series.da_usd_per_mwh[t + 8 : t + 12] / 1000
        assert public.expected_lmp == pytest.approx(da.mean(), abs=1e-12)
        assert len(public.da_usd_per_kwh) >= public.steps, "the delivery's price is always public"
        assert len(public.past_rt_usd_per_kwh) == t
        assert len(public.incentive_usd_per_kwh) == len(public.da_usd_per_kwh) == len(public.day_ahead_kw)
        future = build_view(world, Information.ORACLE).future(1)
        np.testing.assert_allclose(future.rt_usd_per_kwh * 1000, m.series.rt_usd_per_mwh[t + 8 : t + 12])
        stamps.append(public.start)
        world.step(np.zeros((8, 8)))
    assert stamps[-1] > m.calendar.local[-1], "the last bids are for nothing that is played"


def test_headroom_is_that_of_the_delivery() -> None:
    """Blackout windows, cars that will have left, and energy that earlier bids may still take are left out."""
    changes = DAY | {"fleet.size": 30, "fleet.share_ev": 1.0, "time.duration_hours": 48}
    late, prompt = begin(month("week20", changes | LATE)), begin(month("week20", changes))
    idle, black, gone = np.full((30, 8), -1.0), [], 0
    while not prompt.done:
        black.append(late.headroom.blackout.copy())
        if len(black) > 2:
            np.testing.assert_array_equal(black[-3], prompt.headroom.blackout)
        due = late.headroom.hours_left
        leaves = (late.headroom.plugged > 0) & (due == 0)
        gone += int(leaves.sum())
        assert (late.headroom.defer_mean[leaves] == 0).all()
        stays = due > 0
        np.testing.assert_allclose(due[stays], prompt.headroom.hours_left[stays] - 2.0)
        late.step(idle)
        prompt.step(idle)
    assert gone > 0
    world = begin(month("week20", changes | LATE))
    before = world.headroom.battery.copy()
    offer = np.full((30, 8), -1.0)
    offer[:, :2] = 1.0, 1.0
    world.step(offer)
    after, waits = world.headroom.battery, before > 0.1
    assert waits.any()
    assert (after[waits] < before[waits]).all()


@pytest.mark.parametrize("safeguard", [False, True])
def test_what_waiting_bids_may_take_is_left_out_unless_gateways_keep_the_envelope(safeguard: bool) -> None:
    changes = DAY | LATE | {"fleet.size": 30, "fleet.share_bess": 1.0, "market.safeguard": safeguard}
    worlds = [begin(month("week20", changes)) for _ in range(2)]
    offer = np.full((30, 8), -1.0)
    offer[:, [0, 2, 6]] = 1.0
    offer[:, [1, 3]] = 1.0
    worlds[0].step(offer)
    worlds[1].step(np.full((30, 8), -1.0))
    sold, idle = (w.headroom.battery for w in worlds)
    if safeguard:
        np.testing.assert_array_equal(sold, idle)
    else:
        assert (sold <= idle).all()
        assert (sold < idle).any()


class Marker:
    """Accepts for, and speaks of, the opportunity that it bids for."""

    info = PolicyInfo("marker", Information.OWN, Consent.ACCEPTED, "a test's own")

    def reset(self, rules: Any, rng: Any) -> None:
        self._n = rules.n_homes

    def act(self, view: Any) -> Bids:
        k = view.public.opportunity
        return Bids(
            np.full((self._n, 8), 0.2, dtype=np.float32),
            accepted=np.arange(self._n) == k % self._n,
            expected_profit_usd=float(k),
            notes={"mark": float(k)},
            transcript=[{"about": k}],
        )


def test_the_record_books_bids_with_their_opportunity() -> None:
    record = simulate(month("week20", DAY | LATE), Marker()).record
    table = record.opportunities()
    assert table["expected_profit"].isna().sum() == 2, "nobody bid for the first two"
    assert (table["bid_capacity_mw"][:2] == 0).all()
    assert (table["bid_capacity_mw"][2:] > 0).any()
    np.testing.assert_array_equal(table["notes_mark"][2:], table["opportunity"][2:])
    assert [t["about"] for t in record.transcripts] == [t["opportunity"] for t in record.transcripts]
    assert len(record.transcripts) == len(table) - 2
    prompt = simulate(month("week20", DAY), Marker()).record
    assert len(prompt.transcripts) == len(prompt.rows)


def test_truthful_homes_keep_their_word_at_a_lead() -> None:
    record = simulate(month("week20", {"time.duration_hours": 96} | LATE), Truthful()).record
    assert record.opportunities()["sold_kwh"].sum() > 0
    assert record.opportunities()["violations_reserve"].sum() == 0


def test_every_face_agrees_on_the_whole_market() -> None:
    made = scenario("quick", EVERYTHING | {"time.duration_hours": 8, "time.start": "2023-08-01T11:00"})
    seed, n = 4, made.fleet.size
    world, rng = begin(Month(made, seed)), np.random.default_rng(1)
    observer, counted = Observer(world), Rewards(world)
    central, vector, parallel = CentralMarketMonth(made), VectorMarketMonth(2, made), parallel_env(scenario=made)
    first = central.reset(seed=seed)[0], vector.reset(seed=seed - 1)[0][1], parallel.reset(seed=seed)[0]
    for obs in (first[0], first[1], np.stack(list(first[2].values()))):
        np.testing.assert_array_equal(obs, observer.matrix())
    earned = 0.0
    while not world.done:
        a = rng.uniform(-1, 1, (n, 8)).astype(np.float32)
        o, matrix = world.step(a), observer.matrix()
        homes = counted.of(o).homes[0]
        obs, _, _, _, info = central.step(a)
        obs_v, _, _, _, info_v = vector.step(np.stack([rng.uniform(-1, 1, (n, 8)).astype(np.float32), a]))
        obs_p, rewards, *_ = parallel.step(dict(zip(parallel.agents, a, strict=True)))
        for got in (obs, obs_v[1], np.stack(list(obs_p.values()))):
            np.testing.assert_array_equal(got, matrix)
        for got in (info["home_rewards"], info_v["home_rewards"][1], np.array(list(rewards.values()))):
            np.testing.assert_array_equal(got, homes)
        assert info["vpp_profit_usd"] == o.money.profit[0]
        earned += float(o.money.programme[0])
    assert earned > 0.0
