"""Feeders: never above the limit because of the market, never cut where there is room, one factor, conserved."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import reference as ref
import reference_feeder as naive
import run
from hypothesis import given, settings
from hypothesis import strategies as st
from support import STYLES, begin, month, play, random_actions, same, scenario
from test_reference import baseline_at, some_order, some_state

from vpp_env.api.observation import Observer
from vpp_env.contract.bids import encode
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW, BaselineDay, Day, Homes, copied, no_quote
from vpp_env.core.loops import find_late, quote_again, run_baseline
from vpp_env.errors import ScenarioError
from vpp_env.evaluation.simulate import market_rules
from vpp_env.simulation.month import Month, lock
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

DT = 0.25
RICH = {"fleet.share_bess": 0.8, "fleet.share_ev": 0.8, "fleet.share_pv": 0.7, "fleet.v2g_share": 0.5}
TINY = {**RICH, "fleet.size": 12, "time.duration_hours": 96, "market.feeder_homes": 4, "market.feeder_kw": 15.0}
CONTROLS = ("backup", "self_consumption")
some = settings(deadline=None, max_examples=150, derandomize=True)
few = settings(deadline=None, max_examples=15, derandomize=True)
LIMIT = 1e-9


def a_step(seed: int, control: str, kw: float) -> tuple[run.Homes, object, int, np.ndarray, list[list[naive.Plain]]]:
    """Some state, step and order of 12 homes on three feeders, and what the reference says of each home."""
    m, rng = month("week20", {**TINY, "home.control": control}), np.random.default_rng(seed)
    day, k = m.day(int(rng.integers(0, 3))), int(rng.integers(0, 96))
    homes, order = run.homes_of(m, some_state(rng, m, day, k)), some_order(rng, 12)
    homes = homes._replace(rules=homes.rules._replace(feeder_kw=kw))
    run.begin(homes, day, k)
    if rng.random() < 0.3:
        order[:2] *= 0.02  # a little sale, for which a home may stop serving its own load
    if control == "self_consumption":
        # a purchase for the car leaves a battery's own use alone, one for the battery does not: not told apart here
        order[2] = 0.0
    plain = [
        naive.plain(
            ref.home_of(m.parameters, m.rules, i),
            ref.step_of(day.plan, k, i),
            baseline_at(day, k, i),
            ref.state_of(homes.state, i),
            tuple(float(x) for x in order[:, i]),
            True,
        )
        for i in range(12)
    ]
    return homes, day, k, order, [plain[f : f + 4] for f in (0, 4, 8)]


@some
@given(seed=st.integers(0, 100_000), control=st.sampled_from(CONTROLS), kw=st.sampled_from([2.0, 8.0, 15.0, 30.0]))
def test_what_is_let_through_is_the_reference(seed: int, control: str, kw: float) -> None:
    homes, day, k, order, feeders = a_step(seed, control, kw)
    rows = run.deliver_feeders(homes, day, k, order).ledger / DT
    for f, plain in enumerate(feeders):
        expected = naive.cut(plain, Fraction(kw))
        for h, home in enumerate(plain):
            got = rows[:, 4 * f + h]
            give = 0 if h in expected.dropped else expected.give
            assert got[led.L_SOLD] + got[led.L_CALLED] == pytest.approx(float(give * home.given), abs=1e-8)
            assert got[led.L_BOUGHT] == pytest.approx(float(expected.buy * home.bought), abs=1e-8)
            if give == 1:  # a smaller V2G may bring back forced charging
                forced = home.meter(naive.ONE, naive.ZERO, naive.ZERO) - home.meter(naive.ONE, naive.ZERO, naive.ONE)
                assert got[led.L_FORCED] == pytest.approx(float(forced * expected.force), abs=1e-8)


def test_the_reference_meets_every_case() -> None:
    """So that the test above is not one of nothing."""
    seen = dict.fromkeys(("nothing", "give", "buy", "force", "dropped", "step"), 0)
    for seed in range(400):
        control, kw = CONTROLS[seed % 2], (2.0, 8.0, 15.0)[seed % 3]
        for plain in a_step(seed, control, kw)[4]:
            found = naive.cut(plain, Fraction(kw))
            seen["nothing"] += found == naive.Cut()
            seen["give"] += 0 < found.give < 1
            seen["buy"] += 0 < found.buy < 1
            seen["force"] += found.force < 1
            seen["dropped"] += bool(found.dropped)
            seen["step"] += found.give in {x for h in plain for x in h.kinks()}
    assert min(seen.values()) >= 3, seen


@some
@given(seed=st.integers(0, 100_000), control=st.sampled_from(CONTROLS), kw=st.sampled_from([2.0, 8.0, 15.0, 30.0]))
def test_never_above_the_limit_and_never_cut_where_there_is_room(seed: int, control: str, kw: float) -> None:
    homes, day, k, order, _ = a_step(seed, control, kw)
    for f in range(3):
        some_homes = slice(4 * f, 4 * f + 4)
        mine, its_day = run.cut(homes, day, some_homes)
        nothing, _ = run.cut(homes, day, some_homes)
        books = run.deliver_feeders(mine, its_day, k, order[:, some_homes])
        net = books.flow[0, FLOW.retail, 0] + books.flow[0, FLOW.market, 0]
        # the retail meter is all that a home does without orders and without forced charging
        alone = run.deliver_feeders(
            nothing._replace(rules=homes.rules._replace(feeder_kw=np.inf)), its_day, k, np.zeros((3, 4))
        ).flow[0, FLOW.retail, 0]
        assert net <= max(kw, alone) + LIMIT
        assert -net <= max(kw, -alone) + LIMIT
        cut_kw = books.ledger[led.L_CUT] / DT
        assert (cut_kw >= 0.0).all()
        assert (books.feeders[0, 1, 0] > 0) == (cut_kw.sum() > 0.0)
        free, _ = run.cut(homes, day, some_homes)
        whole = run.deliver_feeders(
            free._replace(rules=homes.rules._replace(feeder_kw=np.inf)), its_day, k, order[:, some_homes]
        )
        wanted = whole.flow[0, FLOW.retail, 0] + whole.flow[0, FLOW.market, 0]
        inside = -max(kw, -alone) - LIMIT <= wanted <= max(kw, alone) + LIMIT
        assert inside == (cut_kw.sum() == 0.0)
        # one factor for sales and calls, one for purchases
        for which in ((led.L_SOLD, led.L_CALLED), (led.L_BOUGHT,)):
            before, after = (sum(b.ledger[row] for row in which) for b in (whole, books))
            moved = before > 1e-6
            if moved.any() and control == "backup":
                shares = after[moved] / before[moved]
                assert np.ptp(shares) <= 1e-6


@few
@given(seed=st.integers(0, 3), bids=st.integers(0, 10_000), style=st.sampled_from(STYLES))
def test_a_world_keeps_its_feeders_and_conserves_energy_and_money(seed: int, bids: int, style: str) -> None:
    """Months of one feeder each, a step at a time: the sums of a month are the feeder's."""
    changes = {
        **TINY, "fleet.size": 5, "market.feeder_homes": 5, "market.feeder_kw": 12.0, "market.min_bid_mw": 0.0,
        "time.opportunity_minutes": 15, "time.duration_hours": 36, "market.deviation_kappa": 0.25,
    }  # fmt: skip
    world = begin(*(month("week20", changes, 10 * seed + e) for e in range(3)))
    rng, eta, n = np.random.default_rng(bids), world.scenario.fleet.bess_eta, world.n_homes
    soc = world.state.battery.soc_kwh.reshape(3, n).sum(axis=1)
    cut = 0.0
    while not world.done:
        parts = world.snapshot()
        idle = run.deliver(parts.homes, parts.day, parts.first, np.zeros((3, 3 * n)))
        alone = idle[FLOW.retail].reshape(3, n).sum(axis=1)
        outcome = world.step(random_actions(rng, 3 * n, style))
        flow, rows = outcome.flow_kw[0], outcome.ledger
        net = flow[FLOW.retail] + flow[FLOW.market]
        assert (net <= np.maximum(12.0, alone) + LIMIT).all()
        assert (-net <= np.maximum(12.0, -alone) + LIMIT).all()
        charged = (flow[FLOW.home_charge] + flow[FLOW.battery_bought]) * DT
        given_out = (flow[FLOW.battery] + flow[FLOW.home_discharge]) * DT
        np.testing.assert_allclose(outcome.soc_kwh[0, 0] - soc, eta * charged - given_out / eta, rtol=0, atol=1e-9)
        soc = outcome.soc_kwh[0, 0]
        parts_sold = flow[FLOW.deferred] + flow[FLOW.battery] + flow[FLOW.v2g]
        np.testing.assert_allclose(parts_sold, flow[FLOW.sold] + flow[FLOW.called], rtol=0, atol=1e-9)
        # what is metered is paid, what was awarded beyond it is a deviation, members are paid for what they gave
        money = outcome.money
        np.testing.assert_allclose(money.energy, DT * flow[FLOW.market] * outcome.lmp[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(money.payments, led.member_pay(rows).sum(axis=1), rtol=0, atol=1e-9)
        np.testing.assert_allclose(money.revenue, money.profit + money.payments + money.compute, rtol=0, atol=1e-9)
        gap = rows[led.L_AWARD].sum(axis=1) - rows[led.L_MARKET].sum(axis=1)
        quiet = (rows[led.L_FORCED].sum(axis=1) == 0.0) & (rows[led.L_CALLED].sum(axis=1) == 0.0)
        np.testing.assert_allclose(
            np.where(quiet, money.deviation, 0.0),
            np.where(quiet, 0.25 * np.abs(gap) * np.maximum(outcome.lmp[0], 0.0), 0.0),
            rtol=0,
            atol=1e-9,
        )
        cut += float(rows[led.L_CUT].sum())
    assert cut > 0.0 or style not in ("sell", "buy")


def test_months_side_by_side_are_months_alone_and_no_feeder_is_a_strong_one() -> None:
    changes = {**TINY, "fleet.size": 11, "market.feeder_kw": 15.0, "market.min_bid_mw": 0.0, "time.duration_hours": 24}
    months = [month("week20", changes, seed) for seed in (0, 1)]
    together, alone = begin(*months), [begin(m) for m in months]
    rng, bound = np.random.default_rng(5), 0.0
    while not together.done:
        actions = random_actions(rng, 22, "edge")
        both = together.step(actions)
        for e, world in enumerate(alone):
            single = world.step(actions[11 * e : 11 * e + 11])
            np.testing.assert_array_equal(both.ledger[:, e], single.ledger[:, 0])
            np.testing.assert_array_equal(both.feeders[..., e], single.feeders[..., 0])
            np.testing.assert_array_equal(both.flow_kw[..., e], single.flow_kw[..., 0])
        bound += float(both.feeders[:, 1].sum())
    assert bound > 10
    off = play(begin(month("week20", changes | {"market.feeder_homes": 0}, 0)), 3, "edge")
    strong = play(begin(month("week20", changes | {"market.feeder_kw": 1e6}, 0)), 3, "edge")
    assert all(same(a, b) for a, b in zip(off, strong, strict=True))
    assert not any(o.ledger[led.L_CUT].any() or o.feeders.any() for o in off)


@pytest.mark.parametrize("down", [False, True])
def test_reserve_that_a_feeder_would_not_let_through_is_not_paid(down: bool) -> None:
    m = month("week20", {**TINY, "fleet.share_pv": 0.0, "fleet.share_ev": 0.0, "fleet.share_bess": 1.0})
    day, k = m.day(1), 40
    battery = m.parameters.battery
    homes = run.homes_of(m, run.homes_of(m, some_state(np.random.default_rng(0), m, day, k)).state)
    homes.state.battery.soc_kwh[:] = 0.5 * (battery.min_kwh + battery.max_kwh)
    homes.state.battery.below_since[:] = -1.0
    homes = homes._replace(rules=homes.rules._replace(feeder_kw=5.0))
    run.begin(homes, day, k)
    reserve = np.full(12, 4.0)
    books = run.deliver_feeders(homes, day, k, np.zeros((3, 12)), reserve, down)
    load = day.plan.load[k].astype(float)
    for f in range(3):
        mine = slice(4 * f, 4 * f + 4)
        room = max(0.0, 5.0 - load[mine].sum()) if down else 5.0 + load[mine].sum()
        kept = min(1.0, room / 16.0)
        assert kept < 1.0
        np.testing.assert_allclose(books.ledger[led.L_CUT_RESERVE, mine], (1.0 - kept) * 4.0 * DT, rtol=0, atol=1e-9)
        np.testing.assert_allclose(books.ledger[led.L_NOPAY, mine], (1.0 - kept) * 4.0 * DT, rtol=0, atol=1e-9)
    assert not books.ledger[led.L_CUT].any()


def test_a_call_is_cut_like_a_sale_and_what_is_cut_is_unavailable() -> None:
    m = month("week20", {**TINY, "fleet.share_pv": 0.0, "fleet.share_ev": 0.0, "fleet.share_bess": 1.0})
    day, k = m.day(1), 40
    homes = run.homes_of(m, some_state(np.random.default_rng(0), m, day, k))
    homes.state.battery.soc_kwh[:] = m.parameters.battery.max_kwh
    homes = homes._replace(rules=homes.rules._replace(feeder_kw=2.0))
    run.begin(homes, day, k)
    order = np.zeros((3, 12))
    order[0], order[1] = 1.0, 2.0
    books = run.deliver_feeders(homes, day, k, order, np.full(12, 2.0))
    for f in range(3):
        mine = slice(4 * f, 4 * f + 4)
        share = (2.0 + float(day.plan.load[k, mine].astype(float).sum())) / 12.0
        assert share < 1.0
        np.testing.assert_allclose(books.ledger[led.L_SOLD, mine], share * DT, rtol=0, atol=1e-9)
        np.testing.assert_allclose(books.ledger[led.L_CALLED, mine], share * 2.0 * DT, rtol=0, atol=1e-9)
        np.testing.assert_allclose(books.ledger[led.L_CUT, mine], (1.0 - share) * 3.0 * DT, rtol=0, atol=1e-9)
        np.testing.assert_allclose(books.ledger[led.L_NOPAY, mine], (1.0 - share) * 2.0 * DT, rtol=0, atol=1e-9)


def test_what_a_feeder_will_keep_from_a_car_is_the_reference() -> None:
    m, seen = month("week20", {**TINY, "market.feeder_kw": 20.0}), 0
    for number in (1, 2):
        day = m.day(number)
        homes = [ref.home_of(m.parameters, m.rules, i) for i in range(12)]
        steps = [[ref.step_of(day.plan, k, i) for i in range(12)] for k in range(len(day.plan.load))]
        base = [[baseline_at(day, k, i) for i in range(12)] for k in range(len(steps))]

        def room(k: int, f: int, steps: list = steps, base: list = base) -> float:
            there = [(steps[k][i], base[k][i]) for i in range(4 * f, 4 * f + 4)]
            return max(0.0, 20.0 + sum(s.sun_less_load - b.ev_kw - b.bess_ch + b.bess_dis for s, b in there))

        for k, now in enumerate(steps):
            for i, (home, step) in enumerate(zip(homes, now, strict=True)):
                ahead = range(k + 1, min(k + step.due, len(steps))) if step.plugged else ()
                power = [min(home.ev_kw, base[j][i].ev_kw + room(j, i // 4)) for j in ahead]
                late = home.eta_e * DT * sum(home.ev_kw - x for x in power)
                assert base[k][i].ev_late == pytest.approx(late, abs=1e-8), (number, k, i)
                seen += late > 0.1
    assert seen > 50


def test_a_car_that_waits_is_ready_behind_a_feeder_that_will_be_full() -> None:
    """Cars put off all that they may; in their last quarters of an hour there is not always room for full power."""
    changes = {
        "fleet.size": 8, "fleet.share_ev": 1.0, "fleet.share_bess": 0.0, "market.min_bid_mw": 0.0,
        "market.feeder_homes": 1, "market.feeder_kw": 12.0, "market.safeguard": True, "time.duration_hours": 72,
    }  # fmt: skip
    world = begin(month("week20", changes, 10_000))
    actions = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=world.sell_limit_kw, sell1_ask=0.0)
    outcomes = []
    while not world.done:
        outcomes.append(world.step(actions))
    assert sum(o.ledger[led.L_FORCED].sum() for o in outcomes) > 100.0
    assert max(o.short.max() for o in outcomes) < 1e-9


def with_other_neighbours(m: Month, number: int, k: int, mine: np.ndarray) -> Day:
    """A day of which homes that are not `mine` (N,) draw more from step k on, have no sun, and drive less."""
    day = m.day(number)
    load, pv, trip = (x.copy() for x in (day.plan.load, day.plan.pv, day.plan.trip))
    load[k:, ~mine] += 4.0
    pv[k:, ~mine] = 0.0
    trip[~mine & (day.plan.arr > k)] *= 0.5
    made = Day(day.plan._replace(load=load, pv=pv, trip=trip), BaselineDay(*map(np.zeros_like, day.baseline)))
    state = copied(m._baseline_start[number])
    homes, first = Homes(m.rules, m.parameters, state, no_quote(len(mine))), m.calendar.offset if not number else 0
    run_baseline(homes, made, first)
    find_late(homes, made, first)
    lock(made)
    return made


def told(world: World, mine: np.ndarray) -> tuple[bytes, bytes, float]:
    """What homes are told at a gate: their rows of the view and of the observation, and what the VPP may sell."""
    view = build_view(world, Information.OWN)
    homes = b"".join(np.asarray(x)[..., mine].tobytes() for x in vars(view.homes).values())
    return homes, Observer(world).matrix()[mine].tobytes(), view.public.required_kw


@pytest.mark.parametrize("lead", [0, 75])
def test_what_homes_are_told_does_not_follow_from_what_their_neighbours_will_draw(lead: int) -> None:
    """The gateway looks ahead along its feeder, and says nothing of it: the view and the row of a home are its own."""
    changes = {
        **TINY, "fleet.share_ev": 1.0, "market.feeder_kw": 15.0, "market.min_bid_mw": 0.0, "market.safeguard": True,
        "market.max_share_of_flexible": 0.7, "market.gate_lead_minutes": lead, "time.duration_hours": 48,
    }  # fmt: skip
    m = month("week20", changes)
    world, mine, looked_ahead = begin(m), np.arange(12) % 4 == 0, 0
    actions = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=world.sell_limit_kw, sell1_ask=0.0)
    while not world.done:
        number, k = world.clock(world.t)
        true, before, quoted = world.day, told(world, mine), np.stack(copied(world.quote))
        world.day = with_other_neighbours(m, number, k, mine)
        world._look_again()
        quote_again(world._homes, world.day, k)
        looked_ahead += bool((np.stack(world.quote) != quoted)[:, mine].any())
        assert told(world, mine) == before, world.t
        world.day = true
        world._look_again()
        quote_again(world._homes, true, k)
        np.testing.assert_array_equal(np.stack(world.quote), quoted)
        world.step(actions)
    assert looked_ahead > 3, "the gateway's own quote follows from it"


def test_what_a_policy_is_told_and_what_a_scenario_may_say() -> None:
    rules = market_rules(begin(month("week20", {"fleet.size": 7, "market.feeder_homes": 3})))
    assert (rules.feeder_homes, rules.feeder_kw) == (3, 50.0)
    assert rules.feeder.tolist() == [0, 0, 0, 1, 1, 1, 2]
    off = market_rules(begin(month("week20", {"fleet.size": 7})))
    assert (off.feeder_homes, off.feeder_kw, off.feeder.tolist()) == (0, np.inf, [0] * 7)
    for name in ("august", "april", "august_allbess", "heatwave"):
        assert (scenario(name).market.feeder_homes, scenario(name).market.feeder_kw) == (10, 50.0)
    assert [scenario(name).market.feeder_homes for name in ("quick", "week20", "reference")] == [0, 0, 0]
    with pytest.raises(ScenarioError, match=r"market.feeder_kw: got 0.0; allowed: 0.001 or more"):
        scenario("week20", {"market.feeder_kw": 0.0})
    with pytest.raises(ScenarioError, match=r"market.feeder_homes: got -1; allowed: 0 or more"):
        scenario("week20", {"market.feeder_homes": -1})
