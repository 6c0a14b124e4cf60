"""Firm evening capacity: when it is called, what it pays, and that nobody is paid for more than he has shown."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import begin, month, random_actions, scenario, with_prices
from vpp_policies.idle import Idle
from vpp_policies.truthful import Truthful

from vpp_env.contract.bids import BUY_KW, BUY_LIMIT, encode
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.errors import BidError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.market.firm import Evening, called_evenings, capacity_bonus, evenings, performance, settle_evenings
from vpp_env.scenario.specs import MarketSpec
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

RULES = MarketSpec()
FIRM: dict[str, Any] = {
    "market.firm_capacity": True,
    "market.min_bid_mw": 0.0,
    "fleet.size": 12,
    "fleet.share_bess": 1.0,
    "time.duration_hours": 144,  # six days: evenings 2, 3, 4 and 5 can be committed
}
RATE = Fraction(8, 30)


def firm_month(dear: tuple[int, ...] = (), changes: dict[str, Any] | None = None, rt: float = 100.0) -> Month:
    """Six days at flat prices; the day-ahead price of the evenings `dear` passes the threshold. No reserve calls.

    The test, where none of them does, is the last evening.
    """
    base = month("week20", FIRM | (changes or {}))
    da = np.full(len(base.series.da_usd_per_mwh), 100.0)
    for evening in evenings(base.scenario):
        if evening.day in dear:
            da[evening.first : evening.stop] = 250.0
    made = with_prices(base, rt=rt, da=da, calls=False)
    made.firm = base.firm._replace(test=0.99)
    return made


def commitments(world: World, kw: dict[int, float]) -> tuple[float, ...]:
    """What is committed at this gate: `kw` by local day, 0 where it names none; nothing where the gate is shut."""
    return (kw.get(world.clock(world.t)[0] + 1, 0.0),) if world.exchange.firm.is_gate(world.t) else ()


def played(m: Month, kw: dict[int, float], sells: Any = None, buys: Any = None) -> list[Outcome]:
    """Play a month: everybody sells at any price in the hours `sells` and buys at any price in the hours `buys`."""
    world, out = begin(m), []
    while not world.done:
        day, k = world.clock(world.delivery)
        hour = (day, k // 4)
        actions = encode(
            world.sell_limit_kw,
            world.buy_limit_kw,
            sell1_kw=99.0 * bool(sells and sells(*hour)),
            sell1_ask=0.0,
            buy_kw=99.0 * bool(buys and buys(*hour)),
            buy_limit=0.35,
        )
        out.append(world.step(actions, capacity=commitments(world, kw)))
    return out


def earned(outcomes: list[Outcome]) -> float:
    return float(sum(o.money.capacity[0] for o in outcomes))


# -- the rule, in exact fractions ----------------------------------------------------------------------


def naive(committed: list[int], delivered: list[int], called: list[bool]) -> tuple[list[Fraction], Fraction]:
    """USD of each evening, and what was demonstrated: plain lists, written from docs/market.md."""
    if not any(committed):
        return [Fraction(0)] * len(called), Fraction(0)
    firm = [min(q, c) for q, c in zip(delivered, committed, strict=True)]
    shown = [f for f, on in zip(firm, called, strict=True) if on]
    mean = Fraction(sum(shown), len(shown)) if shown else Fraction(0)
    usd = []
    for c, q, f, on in zip(committed, delivered, firm, called, strict=True):
        pay = RATE * f if on else RATE * min(Fraction(c), mean)
        usd.append(pay - 2 * RATE * c if on and 2 * q < c else pay)
    return usd, mean


evenings_st = st.lists(
    st.tuples(st.sampled_from([0, 0, 100, 150, 400, 5000]), st.integers(-200, 600), st.booleans()),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(rows=evenings_st)
def test_the_rule_in_exact_fractions(rows: list[tuple[int, int, bool]]) -> None:
    committed, delivered, called = (list(column) for column in zip(*rows, strict=True))
    got = settle_evenings(RULES, np.array(committed, float), np.array(delivered, float), np.array(called))
    usd, shown = naive(committed, delivered, called)
    np.testing.assert_allclose(got.usd, [float(x) for x in usd], rtol=0, atol=1e-9)
    assert got.demonstrated_kw == pytest.approx(float(shown), abs=1e-9)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(rows=evenings_st)
def test_no_commitment_is_worth_more_than_what_was_demonstrated(rows: list[tuple[int, int, bool]]) -> None:
    """The run pays at most rate (1 + U/E) times the sum of what the called evenings delivered: or nothing at all."""
    committed, delivered, called = (np.array(column) for column in zip(*rows, strict=True))
    found = tuple(Evening(e, 0, 16 * e, 16 * e + 16) for e in range(len(called)))
    bonus = capacity_bonus(RULES, found, called, 16 * len(called))
    energy = np.repeat(delivered / 4.0, 16)  # kWh of each step
    most = max(0.0, float(bonus @ energy))
    assert settle_evenings(RULES, committed.astype(float), delivered.astype(float), called).usd.sum() <= most + 1e-9


def test_a_search_of_commitments_never_beats_an_honest_one() -> None:
    """Whatever is delivered, all patterns of commitments over five evenings, two of them called."""
    called = np.array([False, True, False, True, False])
    found = tuple(Evening(e, 0, 16 * e, 16 * e + 16) for e in range(5))
    bonus = capacity_bonus(RULES, found, called, 80)
    for delivered in ([0.0, 0.0], [150.0, 150.0], [300.0, 0.0], [300.0, -100.0], [120.0, 240.0]):
        q = np.array([500.0, delivered[0], 500.0, delivered[1], 500.0])
        honest = settle_evenings(RULES, np.where(called, np.maximum(q, 0.0), 5000.0), q, called).usd.sum()
        best = -np.inf
        for pattern in product([0.0, 100.0, 150.0, 300.0, 5000.0], repeat=5):
            usd = settle_evenings(RULES, np.array(pattern), q, called).usd.sum()
            assert usd <= max(0.0, float(bonus @ np.repeat(q / 4.0, 16))) + 1e-9
            best = max(best, float(usd))
        # who knew what he would deliver and which evenings are called gains nothing by any other pattern
        assert best <= max(honest, 0.0) + 1e-9


@pytest.mark.parametrize(
    ("committed", "usd"),
    [
        ([5000.0] * 4, 8 / 30 * (2 * 200 + 2 * 200 - 2 * 2 * 5000)),  # the most, always: clawed back
        ([5000.0, 0.0, 0.0, 5000.0], 0.0),  # on cool evenings only: nothing was demonstrated
        ([5000.0, 100.0, 100.0, 5000.0], 8 / 30 * 400.0),  # little where it is called, much where not
        ([100.0, 5000.0, 5000.0, 100.0], 8 / 30 * (2 * 200 + 2 * 100 - 2 * 2 * 5000)),  # much where it is called
        ([200.0] * 4, 8 / 30 * 800.0),  # what is delivered
        ([390.0] * 4, 8 / 30 * 800.0),  # more, but less than twice as much: no gain
        ([0.0] * 4, 0.0),  # no part in it
    ],
)
def test_attackers_who_deliver_200_kw_when_called(committed: list[float], usd: float) -> None:
    called, delivered = np.array([False, True, True, False]), np.array([0.0, 200.0, 200.0, 0.0])
    assert settle_evenings(RULES, np.array(committed), delivered, called).usd.sum() == pytest.approx(usd, abs=1e-9)


def test_performance_is_a_share() -> None:
    got = performance(np.array([100.0, 100.0, 100.0, 0.0]), np.array([50.0, 300.0, -20.0, 70.0]))
    np.testing.assert_array_equal(got, [0.5, 1.0, 0.0, np.nan])


# -- when it is called ---------------------------------------------------------------------------------


def test_evenings_lie_in_the_run_with_their_gates() -> None:
    m = firm_month((3,))
    found, calendar = evenings(m.scenario), m.calendar
    assert [e.day for e in found] == [2, 3, 4, 5]
    for e in found:
        assert calendar.hour[e.gate] == 10.0
        assert calendar.day[e.gate] == e.day - 1
        assert set(calendar.hour[e.first : e.stop].astype(int)) == {17, 18, 19, 20}
        assert e.stop - e.first == 16
    assert len(evenings(scenario("august"))) == 29
    assert not evenings(scenario("week20")), "none by default"
    # a run that ends at 20:00 has no last evening, and a clock change takes none away
    assert [e.day for e in evenings(scenario("week20", FIRM | {"time.duration_hours": 140}))] == [2, 3, 4]
    november = scenario("week20", FIRM | {"time.start": "2023-11-03T00:00"})
    assert [e.day for e in evenings(november)] == [2, 3, 4, 5]
    assert all(e.stop - e.first == 16 for e in evenings(november))


def test_an_evening_is_called_when_it_is_dear_and_the_season_lasts() -> None:
    for dear in ((2,), (3, 5), (2, 3, 4, 5)):
        assert tuple(np.flatnonzero(begin(firm_month(dear)).exchange.firm.called[0]) + 2) == dear
    short = firm_month((2, 3, 4, 5), {"market.capacity_season_hours": 9.0})
    assert begin(short).exchange.firm.called[0].tolist() == [True, True, False, False]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(dear=st.lists(st.booleans(), min_size=29, max_size=29), draw=st.floats(0, 1, exclude_max=True))
def test_a_month_without_a_call_has_one_test_and_what_is_called_is_causal(dear: list[bool], draw: float) -> None:
    found = evenings(scenario("august"))
    prices = np.zeros(744 * 4)
    for e, on in zip(found, dear, strict=True):
        prices[e.first : e.stop] = 201.0 * on
    called = called_evenings(RULES, found, prices, draw)
    assert 1 <= called.sum() <= 15
    test = 22 + int(draw * 7)
    natural = [e for e in range(29) if dear[e]][:15]
    expected = set(natural) | ({test} if not natural or natural[0] > test else set())
    assert set(np.flatnonzero(called)) == set(sorted(expected)[:15])
    for known in (5, 20, 28):  # prices after an evening do not change whether it is called
        other = prices.copy()
        other[found[known].stop :] = 500.0
        np.testing.assert_array_equal(called_evenings(RULES, found, other, draw)[: known + 1], called[: known + 1])


def test_a_call_is_announced_with_the_prices_of_its_day() -> None:
    world = begin(firm_month((4,)))
    called, gates = {}, []
    while not world.done:
        public = build_view(world, Information.OWN).public
        day, hour = int(world.calendar.day[world.t]), float(world.calendar.hour[world.t])
        assert len(public.capacity_called) == len(public.capacity_kw) == len(public.da_usd_per_kwh)
        called[day, hour] = bool(public.capacity_called.any())
        gates += [(day, hour)] * public.capacity_gate
        world.step(np.full((12, 8), -1.0), capacity=(7.0,) if public.capacity_gate else ())
        if public.capacity_gate:
            assert world.exchange.firm.committed_kw[0, day - 1] == 7.0
    assert gates == [(1, 10.0), (2, 10.0), (3, 10.0), (4, 10.0)]
    assert not called[3, 12.0]
    assert called[3, 13.0]
    assert called[4, 20.0]
    assert not called[4, 21.0]


# -- commitments ---------------------------------------------------------------------------------------


def test_what_may_be_committed() -> None:
    off = begin(month("week20", {"fleet.size": 12}))
    nothing = np.full((12, 8), -1.0)
    with pytest.raises(BidError, match="firm_capacity = false"):
        off.step(nothing, capacity=(10.0,))
    world = begin(firm_month((3,), {"market.min_bid_mw": 0.1}))
    with pytest.raises(BidError, match="gate is shut"):
        world.step(nothing, capacity=(10.0,))
    while not world.exchange.firm.is_gate(world.t):
        world.step(nothing)
    for bad in (-1.0, 5001.0, float("nan")):
        with pytest.raises(BidError, match="allowed is 0 to 5000"):
            world.step(nothing, capacity=(bad,))
    with pytest.raises(BidError, match="one for each of 1 months"):
        world.step(nothing, capacity=(10.0, 10.0))
    at = world.opportunity
    world.step(nothing, capacity=(99.0,))
    assert world.opportunity == at + 1
    assert world.exchange.firm.committed_kw[0].tolist() == [0.0] * 4, "less than the minimum commits nothing"


def test_who_delivers_nothing_commits_nothing() -> None:
    m = firm_month((3,))
    for policy in (Idle(), None):
        world = begin(m)
        while not world.done:
            if policy is None:
                world.step(np.full((12, 8), -1.0))
            else:
                policy.reset(_rules(world), m.policy_rng())
                bids = policy.act(build_view(world, Information.OWN))
                world.step(bids.actions, capacity=(bids.capacity,))
        assert not world.exchange.firm.committed_kw.any()
        assert not world.exchange.firm.paid_usd.any()


def _rules(world: World) -> Any:
    from vpp_env.evaluation.simulate import market_rules

    return market_rules(world)


def test_the_built_in_aggregator_commits_a_low_quantile_of_what_could_be_given() -> None:
    run = simulate(firm_month((3, 5), rt=150.0), Truthful())
    firm = run.world.exchange.firm
    table, kpis = run.record.evenings(), summarize(run)
    assert (firm.committed_kw[0] > 0.0).all(), "it has seen the evenings of the first two days"
    # what it commits for an evening is the quantile over the evenings that are past at its gate
    seen = [float(np.mean(firm._able[t])) for t in sorted(firm._able)]
    for e in range(4):
        assert firm.committed_kw[0, e] == pytest.approx(float(np.quantile(seen[: e + 1], 0.2)), abs=1e-9)
    sell = run.world.sell_limit_kw.sum()
    assert (table["able_kw"] <= sell).all()
    assert kpis["capacity_revenue_usd"] == pytest.approx(table["paid_usd"].sum(), abs=1e-9)
    assert kpis["capacity_revenue_usd"] > 0.0
    assert kpis["capacity_committed_kw"] == pytest.approx(table["committed_kw"].mean())
    assert kpis["capacity_performance"] == pytest.approx(table["performance"][[1, 3]].mean())
    assert kpis["capacity_evenings_called"] == 2
    rows = run.record.opportunities()
    assert rows["capacity_called"].sum() == 8
    assert sorted(set(rows["capacity_kw"][rows["capacity_called"]])) == sorted(firm.committed_kw[0, [1, 3]])


@pytest.mark.parametrize(
    ("past", "kw"),
    [
        ([], 0.0),
        ([74.9], 74.9),  # less than the minimum, which commits nothing
        ([75.0], 100.0),  # near enough: what is given of the minimum is paid
        ([99.0, 300.0, 300.0], 179.4),
        ([101.0], 101.0),
        ([60.0, 80.0, 90.0, 100.0, 200.0, 250.0], 100.0),  # its 20 % quantile is 80
        ([9000.0], 5000.0),
    ],
)
def test_it_commits_the_minimum_where_its_quantile_comes_near_it(past: list[float], kw: float) -> None:
    world = begin(firm_month((3,), {"market.min_bid_mw": 0.1, "market.max_capacity_mw": 5.0}))
    firm = world.exchange.firm
    for j, able in enumerate(past):
        # in two parts, whose mean counts
        firm._able[j] = [np.array([0.5 * able]), np.array([1.5 * able])]
    assert firm.built_in(10_000)[0] == pytest.approx(kw, abs=1e-9)
    assert firm.built_in(0)[0] == 0.0, "what is not past counts for nothing"


def test_a_car_that_comes_home_in_the_evening_could_deliver_from_then_on() -> None:
    """Nothing is sold: in each hour a home could put off what its car charges in it, and no more than it offers."""
    cars = {"fleet.size": 60, "fleet.share_bess": 0.0, "fleet.share_ev": 1.0, "fleet.v2g_share": 0.0}
    m = firm_month((3,), cars | {"preferences.max_blackouts_per_week": 0}, rt=20.0)
    world, later, total, most = begin(m), 0, 0.0, 0.0
    while not world.done:
        day, k = world.clock(world.t)
        actions = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=4.0, sell1_ask=0.15)
        plan, baseline = m.day(day)
        there = (k < plan.dep) | ((plan.arr <= k) & (k < plan.out))
        charged = baseline.ev_kw[k : k + 4].mean(axis=0) * there
        world.step(actions, capacity=commitments(world, {}))
        if 17 <= k // 4 < 21:
            seen = [float(kw[0]) for kw in list(world.exchange.firm._able.values())[-1]]
            assert len(seen) == k // 4 - 16
            assert seen[-1] <= np.minimum(charged, 4.0).sum() + 1e-9
            later += seen[-1] > seen[0]
            total, most = total + seen[-1], most + float(np.minimum(charged, 4.0).sum())
    assert later > 0, "some came home after 17 h"
    assert total > 0.8 * most, "all but what must be ready soon"


# -- money and energy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["any", "sell", "edge"])
def test_money_is_conserved_whatever_is_bid_and_committed(style: str) -> None:
    rng = np.random.default_rng(3)
    for seed in range(3):
        m = firm_month((2, 4), {"market.regulation": bool(seed % 2)})
        world, members, usd, clawback = begin(m), 0.0, 0.0, 0.0
        while not world.done:
            kw = (float(rng.choice([0.0, 5.0, 40.0, 5000.0])),) if world.exchange.firm.is_gate(world.t) else ()
            o = world.step(random_actions(rng, 12, style), capacity=kw)
            money = o.money
            paid = sum(o.ledger[row, 0].sum() for row in range(led.L_PAY_SOLD, led.L_PAY_CAPACITY + 1))
            assert money.payments[0] == pytest.approx(paid, abs=1e-9)
            assert money.revenue[0] == pytest.approx(float(money.profit[0] + paid + money.compute[0]), abs=1e-9)
            assert (o.ledger[led.L_PAY_CAPACITY] >= 0.0).all()
            members += float(o.ledger[led.L_PAY_CAPACITY].sum())
            usd += float(money.capacity[0])
            clawback += float(o.clawback_usd[0])
        firm = world.exchange.firm
        said = settle_evenings(m.scenario.market, firm.committed_kw[0], firm.delivered_kw[0], firm.called[0])
        assert usd == pytest.approx(said.usd.sum(), abs=1e-9)
        assert clawback == pytest.approx(said.clawback_usd.sum(), abs=1e-9)
        np.testing.assert_allclose(firm.paid_usd[0], said.usd, rtol=0, atol=1e-9)
        assert members >= 0.7 * usd - 1e-9, "what is charged is the VPP's alone"


def test_members_share_by_what_they_gave() -> None:
    m = firm_month((3,))
    outcomes = played(m, dict.fromkeys(range(2, 6), 20.0), sells=lambda day, hour: 17 <= hour < 21)
    world_kwh = sum(o.ledger[led.L_REDUCED, 0] for o in outcomes[3 * 24 + 17 : 3 * 24 + 21])
    pay = sum(o.ledger[led.L_PAY_CAPACITY, 0] for o in outcomes)
    given = np.maximum(world_kwh, 0.0)
    assert earned(outcomes) > 0.0
    np.testing.assert_allclose(pay, 0.7 * earned(outcomes) * given / given.sum(), rtol=0, atol=1e-9)


def test_what_is_delivered_is_the_change_at_the_homes_meters() -> None:
    """A home that sells and refills from its own tariff gives nothing to the grid; one with no market gives nothing."""
    m = firm_month((3,), {"fleet.bess_soc_init": (0.4, 0.4)})
    world, restored, rng = begin(m), 0.0, np.random.default_rng(0)
    while not world.done:
        day, k = world.clock(world.t)
        # drained on the first day, so that the homes restore themselves from 15:00 of the second day on
        actions = random_actions(rng, 12, "sell" if day == 0 else "edge" if day > 2 else "buy")
        actions[:, [BUY_KW, BUY_LIMIT]] = -1.0 if day < 2 else actions[:, [BUY_KW, BUY_LIMIT]]
        o = world.step(actions, capacity=commitments(world, {3: 9.0}))
        flows = 0.25 * o.flow_kw[:, :, 0].sum(axis=0)
        change = flows[FLOW.retail] + flows[FLOW.market] - flows[FLOW.retail_baseline]
        assert o.ledger[led.L_REDUCED, 0].sum() == pytest.approx(float(change), abs=1e-9)
        restored -= float(o.ledger[led.L_REDUCED, 0].sum()) if day == 1 and 15 <= k // 4 < 19 else 0.0
    assert restored > 1.0
    idle = begin(m)
    while not idle.done:
        np.testing.assert_allclose(idle.step(np.full((12, 8), -1.0)).ledger[led.L_REDUCED], 0.0, rtol=0, atol=1e-9)


def test_a_call_dispatches_up_to_the_commitment_below_the_price() -> None:
    """At 20 USD/MWh nobody who asks 150 sells, but for a call; and then no more than was committed."""
    m = firm_month((3,), rt=20.0)
    for kw in (0.0, 10.0, 25.0):
        world = begin(m)
        while not world.done:
            day, k = world.clock(world.t)
            actions = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.15)
            o = world.step(actions, capacity=commitments(world, {3: kw}))
            on = day == 3 and 17 <= k // 4 < 21
            assert o.award_kw.max() <= (kw if on else 0.0) + 1e-9
            if on and k // 4 == 17 and kw == 10.0:
                assert o.award_kw.min() > 9.9
                paid = o.ledger[led.L_PAY_SOLD, 0].sum()
                assert paid == pytest.approx(0.15 * o.ledger[led.L_SOLD, 0].sum()), "members get what they ask"
    dear = begin(m)
    while not dear.done:  # an ask above the threshold is not dispatched
        actions = encode(dear.sell_limit_kw, dear.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.2)
        o = dear.step(actions, capacity=commitments(dear, {3: 10.0}))
        assert o.award_kw.max() <= 0.0


# -- attackers in the world ----------------------------------------------------------------------------


def test_pumping_inside_an_evening_earns_nothing() -> None:
    """Buying and selling in turns is netted over the whole evening; selling alone is what pays."""
    m, evening = firm_month((3,)), (17, 18, 19, 20)
    kw = dict.fromkeys(range(2, 6), 15.0)
    honest = earned(played(m, kw, sells=lambda day, hour: hour in evening))
    pump = earned(
        played(
            m,
            kw,
            sells=lambda day, hour: hour in (17, 19),
            buys=lambda day, hour: hour in (18, 20),
        )
    )
    buyer = earned(played(m, kw, buys=lambda day, hour: hour in evening))
    assert honest > 0.0
    assert pump < honest
    assert buyer < 0.0, "a net purchase on a called evening is charged, and clawed back"


def test_who_commits_nothing_takes_no_part() -> None:
    m = firm_month((3,))
    assert earned(played(m, {}, sells=lambda day, hour: True)) == 0.0
    assert earned(played(m, {}, buys=lambda day, hour: True)) == 0.0


def test_reserve_calls_count_as_what_they_deliver() -> None:
    """Who only stands on reserve delivers where he is called, and is paid for that energy alone."""
    m = firm_month((3,))
    m = with_prices(m, reserve={"spin": 50.0, "nonspin": 50.0}, calls=True)
    world, usd = begin(m), 0.0
    while not world.done:
        actions = encode(world.sell_limit_kw, world.buy_limit_kw, reserve_kw=99.0, reserve_ask=0.0, sell1_ask=0.0)
        o = world.step(actions, capacity=commitments(world, dict.fromkeys(range(2, 6), 20.0)))
        usd += float(o.money.capacity[0])
    firm = world.exchange.firm
    delivered = firm.delivered_kw[0, 1]
    assert usd <= max(0.0, 8 / 30 * 4 * delivered) + 1e-9


# -- owners who do not stay in -------------------------------------------------------------------------


def test_who_does_not_stay_in_takes_no_bid_on_a_called_evening() -> None:
    m = firm_month((3,), {"fleet.size": 200})
    stays = m.firm.stays
    expected = 1.0 - (1.0 - m.fleet.willingness) / 4.0
    assert stays.mean() == pytest.approx(expected.mean(), abs=0.05)
    np.testing.assert_array_equal(stays, Month(m.scenario, m.seed).firm.stays)
    for kw in (50.0, 0.0):
        world = begin(m)
        while not world.done:
            day, k = world.clock(world.t)
            actions = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0)
            o = world.step(actions, capacity=commitments(world, {3: kw}))
            if 17 <= k // 4 < 21 and day >= 2:
                out = ~stays[day - 2] if day == 3 and kw > 0.0 else np.zeros(200, dtype=bool)
                assert out.any() == (day == 3 and kw > 0.0)
                assert not o.offers.sell_q[0, out].any()
                assert not o.ledger[led.L_SOLD, 0, out].any()
                assert o.offers.sell_q[0, ~out].any()


# -- side by side --------------------------------------------------------------------------------------


def test_months_side_by_side_are_each_alone() -> None:
    months = [firm_month((3,)), firm_month((2, 5))]
    kw = [dict.fromkeys(range(2, 6), 12.0), dict.fromkeys(range(2, 6), 30.0)]

    def bids(world: World, rows: int) -> np.ndarray:
        limits = world.sell_limit_kw, world.buy_limit_kw
        return encode(*limits, sell1_kw=99.0 * (world.clock(world.t)[1] // 4 >= 16), sell1_ask=0.05)

    world, both = begin(*months), []
    while not world.done:
        commit = [commitments(world, c) for c in kw]
        capacity = tuple(c[0] for c in commit) if commit[0] else ()
        both.append(world.step(bids(world, 24), capacity=capacity).money.capacity)
    for j, m in enumerate(months):
        alone = begin(m)
        for capacity_usd in both:
            o = alone.step(bids(alone, 12), capacity=commitments(alone, kw[j]))
            assert o.money.capacity[0] == pytest.approx(float(capacity_usd[j]), abs=1e-9)
