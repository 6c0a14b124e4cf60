"""Contracts in the world: windows, envelope, pay, breach; docs/contracts.md has the equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract_reference import Owner
from hypothesis import given, settings
from hypothesis import strategies as st
from support import STYLES, begin, month, random_actions, scenario, terms_of, with_prices

from vpp_env.api.rewards import Rewards
from vpp_env.contract.bids import encode
from vpp_env.contract.terms import TERMS, Terms, Window
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.errors import VppError
from vpp_env.owners.contracts import ContractBook
from vpp_env.owners.wishes import CONCESSIONS
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import Fleet


def book(homes: int = 2, months: int = 1) -> ContractBook:
    """A book of week20, which starts at midnight; evenings end at 21 h."""
    return ContractBook(scenario("week20"), months, homes)


@pytest.mark.parametrize(
    ("window", "first", "runs"),
    [
        (Window.OPPORTUNITY, 5, range(5, 6)),
        (Window.EVENING, 5, range(5, 21)),
        (Window.EVENING, 20, range(20, 21)),
        (Window.EVENING, 21, range(21, 45)),
        (Window.NOTICE, 5, range(5, 168)),
    ],
)
def test_a_contract_runs_as_long_as_its_window_says(window: Window, first: int, runs: range) -> None:
    signed = book()
    signed.sign(0, first, np.array([True, False]), np.full(2, window), terms_of(2, price=0.1))
    for o in range(168):
        on, terms = signed.in_force(0, o)
        assert on.tolist() == [o in runs, False]
        assert terms.price.tolist() == [0.1 * (o in runs), 0.0]


def test_a_newer_contract_replaces_an_older_one_from_its_delivery_on() -> None:
    signed, one = book(), np.array([True, False])
    signed.sign(0, 5, one, np.full(2, Window.NOTICE), terms_of(2, price=0.1))
    signed.sign(0, 7, one, np.full(2, Window.OPPORTUNITY), terms_of(2, price=0.3))
    assert [signed.in_force(0, o)[1].price[0] for o in (4, 5, 6, 7, 8)] == [0.0, 0.1, 0.1, 0.3, 0.0]
    assert signed.signed.tolist() == [[2, 0]]


def test_what_ends_a_contract() -> None:
    signed, both = book(), np.array([True, True])
    signed.sign(0, 5, both, np.full(2, Window.NOTICE), terms_of(2))
    signed.end(0, 7, np.array([True, False]))
    assert [signed.in_force(0, o)[0].tolist() for o in (6, 7)] == [[True, True], [False, True]]
    signed.leave(np.array([[False, True]]))
    assert [signed.in_force(0, o)[0].tolist() for o in (6, 7)] == [[True, False], [False, False]]
    assert signed.standing(7) is None


def test_what_is_over_is_forgotten_and_nothing_else() -> None:
    signed, one = book(months=2), np.array([True, False])
    for first in range(4, 9):
        signed.sign(1, first, one, np.full(2, Window.NOTICE), terms_of(2, price=0.01 * first))
    signed.forget(7)
    assert [signed.in_force(1, o)[1].price[0] for o in (7, 8, 9)] == [0.07, 0.08, 0.08]
    assert not signed.in_force(0, 8)[0].any()
    with pytest.raises(VppError, match="one gate after another"):
        signed.sign(0, 5, one, np.full(2, Window.NOTICE), terms_of(2))


# -- the world ---------------------------------------------------------------------------------------------

HOMES = 12
UNPAID_LEFT_OUT = [0, 1, 3, 4]
"""Violations but `underpaid`: random bids ask less than owners without a contract do."""
ONE = {
    "fleet.size": 1,
    "fleet.share_bess": 0.9,
    "fleet.share_ev": 0.9,
    "fleet.v2g_share": 0.7,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.3,
    "market.safeguard": True,
    "preferences.max_blackouts_per_week": 2,
    "time.duration_hours": 54,
    "owners.patience": "endless",
}
CASES: dict[str, dict[str, Any]] = {
    "hours": {},
    "quarters": {"time.opportunity_minutes": 15, "time.duration_hours": 30, "time.start": "2023-08-02T09:00"},
    "lead": {"market.gate_lead_minutes": 75},
    "own_use": {"home.control": "self_consumption"},
    "clock": {"time.start": "2023-11-04T20:00", "time.opportunity_minutes": 30},
}


def apart(case: str, seed: int) -> World:
    """A world of HOMES months of one home each: what is summed over homes is a home's own."""
    return begin(*(month("week20", ONE | CASES[case], 100 * seed + e) for e in range(HOMES)))


def drawn(rng: np.random.Generator, f: Fleet) -> dict[str, float]:
    """Terms of one home from one end of what can be written down to the other; below hard limits and above own ones."""
    high = {
        "price": 0.3,
        "defer_price": 0.2,
        "share": 1.2,
        "reserve_price": 0.01,
        "availability": 0.02,
        "kw": 1.2 * float(f.sell_limit_kw[0]),
        "floor_kwh": 1.2 * float(f.floor_kwh[0]),
        "floor_price": 0.05,
        "target_kwh": 1.2 * float(f.ev_target_kwh[0]),
        "car_price": 0.3,
        "day_kwh": 3.0 * float(f.day_discharge_kwh[0]),
        "overuse_price": 0.2,
        "blackout": 1.0,
        "blackout_price": 0.2,
        "v2g_reserve": 1.0,
    }
    flags = ("blackout", "v2g_reserve")
    return {name: float(rng.integers(0, 2) if name in flags else rng.choice([0.0, 1.0, rng.random()])) * high[name]
            for name in TERMS}  # fmt: skip


def negotiate(world: World, owners: list[Owner], rng: np.random.Generator) -> None:
    """At a gate some owners sign anything, and some contracts are ended."""
    first, one = world.opportunity + world.lead, np.ones(1, dtype=bool)
    for m, owner in enumerate(owners):
        chance = rng.random()
        if chance < 0.08:
            window, terms = Window(int(rng.integers(0, 3))), drawn(rng, owner.fleet)
            world.contracts.sign(m, first, one, np.array([window]), terms_of(1, **terms))
            owner.sign(first, window, terms)
        elif chance < 0.1:
            world.contracts.end(m, first, one)
            owner.end(first)


def owners_of(world: World) -> list[Owner]:
    hours = world.calendar.hour[:: world.steps].tolist()
    return [Owner(m.fleet, hours) for m in world.months]


def next_trips(world: World) -> list[float]:
    """What the next trip of each car takes: of today's second half while it is still here from yesterday."""
    out, (day, k) = [], world.clock(world.t)
    for made in world.months:
        today, tomorrow = made.cars(day), made.cars(day + 1)
        still_here, comes_back = k < today.dep[0], today.trip[0] > 0.0
        out.append(float(today.trip[0] if still_here and comes_back else tomorrow.trip[0]))
    return out


def in_windows(f: Fleet, week_step: int) -> bool:
    return any(a <= week_step < b for a, b in f.blackout[0].tolist())


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    case=st.sampled_from(list(CASES)), seed=st.integers(0, 3), bids=st.integers(0, 9999), style=st.sampled_from(STYLES)
)
def test_the_world_pays_what_the_reference_does(case: str, seed: int, bids: int, style: str) -> None:
    world, rng = apart(case, seed), np.random.default_rng(bids)
    owners, seen = owners_of(world), world.contracts
    while not world.done:
        negotiate(world, owners, rng)
        t, o = world.t, world.opportunity
        before, trips = world.state.vehicle.soc_kwh.tolist(), next_trips(world)
        override = rng.random(HOMES) < 0.2
        got = world.step(random_actions(rng, HOMES, style), override=override)
        cars = list(zip(before, trips, world.state.vehicle.shortfall.tolist(), strict=True))
        kinds = dict(zip(CONCESSIONS, got.contracts.concessions[:, :, 0], strict=True))
        week_steps = world.calendar.week_step[t : t + world.steps]
        for m, owner in enumerate(owners):
            new_day = t > 0 and world.calendar.day[t] != world.calendar.day[t - 1]
            black = [in_windows(owner.fleet, int(w)) for w in week_steps]
            due, on = owner.paid(got, m, black, new_day, cars[m]), owner.now(o) is not None
            assert got.contracts.on[m, 0] == on
            rows = got.ledger[:, m, 0]
            for kind in CONCESSIONS:
                assert kinds[kind][m] == pytest.approx(due[kind], abs=1e-9), kind
            assert rows[led.L_PAY_CONCESSION] == pytest.approx(sum(due[kind] for kind in CONCESSIONS), abs=1e-9)
            assert rows[led.L_PAY_AVAILABILITY] == pytest.approx(due["availability"], abs=1e-9)
            if on:
                assert rows[led.L_PAY_SOLD] == pytest.approx(due["sold"], abs=1e-9)
                assert rows[led.L_OWED] == rows[led.L_PAY_SOLD], "a contract is what its owner asks"
        revenue, money = got.money.revenue, got.money
        np.testing.assert_allclose(revenue, money.profit + money.payments + money.compute, rtol=0, atol=1e-9)
        np.testing.assert_allclose(money.payments, led.member_pay(got.ledger).sum(axis=1), rtol=0, atol=1e-9)
    assert seen.signed.sum() > 0


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    case=st.sampled_from(list(CASES)), seed=st.integers(0, 3), bids=st.integers(0, 9999), style=st.sampled_from(STYLES)
)
def test_no_contract_crosses_a_hard_limit(case: str, seed: int, bids: int, style: str) -> None:
    """Nor its own terms, behind a gateway: floors, daily limits, targets, windows and kW as agreed."""
    world, rng = apart(case, seed), np.random.default_rng(bids)
    owners, p = owners_of(world), world.parameters
    while not world.done:
        negotiate(world, owners, rng)
        o, before = world.opportunity, world.state.battery.discharged_kwh.copy()
        soc_start, day = world.state.battery.soc_kwh.copy(), world.clock(world.t)[0]
        got = world.step(random_actions(rng, HOMES, style))
        soc_b, soc_e = world.state.battery.soc_kwh, world.state.vehicle.soc_kwh
        assert (soc_b >= p.battery.min_kwh - 1e-9).all()
        assert (soc_b <= p.battery.max_kwh + 1e-9).all()
        assert (soc_e >= -1e-9).all()
        assert (soc_e <= p.vehicle.kwh + 1e-9).all()
        assert not got.missed.any(), "a contract leaves the next trip possible"
        flow = got.flow_kw
        assert (flow[:, FLOW.battery] <= p.battery.kw + 1e-9).all()
        assert (flow[:, FLOW.v2g] <= p.vehicle.v2g_kw + 1e-9).all()
        rows = got.ledger[:, :, 0]
        assert rows[[led.L_BEYOND, led.L_EXCESS, led.L_BLACK]].max() <= 1e-9
        assert not got.contracts.breached.any()
        assert not got.violated[UNPAID_LEFT_OUT].any(), "what was bought is no violation"
        for m, owner in enumerate(owners):
            terms = owner.now(o)
            lowest = min(owner.floor_in_force(terms), float(soc_start[m]))
            if rows[led.L_BESS, m] > 0.0:
                assert got.soc_home_kwh[:, 0, m, 0].min() >= max(lowest, float(owner.fleet.bess_min_kwh[0])) - 1e-9
            most = float(owner.fleet.day_discharge_kwh[0])
            most = most if terms is None else max(most, terms["day_kwh"])
            given_today = rows[led.L_BESS, m] + (before[m] if world.clock(world.t - 1)[0] == day and o else 0.0)
            assert rows[led.L_BESS, m] <= 1e-9 or given_today <= most + 1e-9
            if terms is not None:
                kw = flow[:, FLOW.sold, m] + flow[:, FLOW.called, m]
                assert kw.max() <= terms["kw"] + 1e-9
                reserve = rows[led.L_RESERVE, m] / (world.steps * 0.25)
                assert reserve <= terms["kw"] + 1e-9


@pytest.mark.parametrize("months", [1, 3])
@pytest.mark.parametrize("case", list(CASES))
def test_rewards_add_up_to_welfare_and_pay_cancels(case: str, months: int) -> None:
    """The same bids with other prices in the contracts: the same welfare, whoever gets it."""
    made = [month("week20", ONE | CASES[case] | {"fleet.size": 8}, 7 + m) for m in range(months)]
    welfare, owners_part = [], []
    for generous in (0.0, 1.0):
        world, rng = begin(*made), np.random.default_rng(5)
        rewards, total, homes_total = Rewards(world), np.zeros(months), np.zeros(months)
        while not world.done:
            for m in range(months):
                who, f = rng.random(8) < 0.1, made[m].fleet
                t = terms_of(8, share=0.5 + generous, availability=0.01 * generous, kw=6.0, day_kwh=30.0, blackout=1.0,
                             floor_price=0.05 * generous, car_price=generous, target_kwh=20.0,
                             v2g_reserve=1.0)  # fmt: skip
                assert f.n == 8
                window = rng.integers(0, 3, 8)
                world.contracts.sign(m, world.opportunity + world.lead, who, window, t)
            o = world.step(random_actions(rng, 8 * months, "any"))
            reward = rewards.of(o)
            total += reward.joint
            homes_total += reward.homes.sum(axis=1) + o.money.profit
        np.testing.assert_allclose(total, homes_total, rtol=0, atol=1e-9)
        net = net_sum(world, rewards)
        welfare.append(total)
        owners_part.append(net)
    np.testing.assert_allclose(welfare[0], welfare[1], rtol=0, atol=1e-9)
    assert (owners_part[0] == owners_part[1]).all(), "private values do not depend on what is paid"
    assert owners_part[0].sum() > 0.0


def net_sum(world: World, rewards: Rewards) -> np.ndarray:
    """(M,) USD private cost."""
    return np.asarray(rewards.private_cost().sum(axis=(0, 2)))


def test_months_side_by_side_are_the_months_alone() -> None:
    changes = ONE | {"fleet.size": 6, "time.duration_hours": 30}
    made = [month("week20", changes, s) for s in (1, 2)]

    def outcomes(worlds: list[World]) -> list[np.ndarray]:
        rngs, out = [np.random.default_rng(m) for m in range(2)], []
        while not worlds[0].done:
            acts = [random_actions(rng, 6, "any") for rng in rngs]
            for m in range(2):
                world, mine = (worlds[0], m) if len(worlds) == 1 else (worlds[m], 0)
                who = rngs[m].random(6) < 0.3
                t = terms_of(6, share=0.7, kw=4.0, day_kwh=20.0, floor_price=0.01, availability=0.001, target_kwh=30.0)
                world.contracts.sign(mine, world.opportunity, who, np.full(6, Window.EVENING), t)
            got = [worlds[0].step(np.concatenate(acts))] if len(worlds) == 1 else [
                w.step(a) for w, a in zip(worlds, acts, strict=True)
            ]  # fmt: skip
            out.append(np.concatenate([o.ledger for o in got], axis=1))
        return out

    for a, b in zip(outcomes([begin(*made)]), outcomes([begin(m) for m in made]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_who_expects_contracts_gets_the_same_month_to_the_bit() -> None:
    """Before one is signed and after: the kernels of contracts, where nothing is moved, are those without."""
    made = month("week20", ONE | {"fleet.size": 8, "time.duration_hours": 30}, 5)
    plain, expecting = World([made]), World([made], contracts_expected=True)
    rng = np.random.default_rng(3)
    plain.reset()
    expecting.reset()
    assert plain.limits.most_kw is None
    assert expecting.limits.most_kw is not None
    while not plain.done:
        if plain.opportunity == 15:
            for world in (plain, expecting):
                t = terms_of(8, share=0.7, kw=4.0, day_kwh=20.0, floor_price=0.01, target_kwh=30.0, v2g_reserve=1.0)
                world.contracts.sign(0, 16, np.arange(8) < 5, np.full(8, Window.EVENING), t)
        np.testing.assert_array_equal(plain.headroom, expecting.headroom)
        acts = random_actions(rng, 8, "any")
        override = rng.random(8) < 0.2
        one, other = plain.step(acts, override=override), expecting.step(acts, override=override)
        np.testing.assert_array_equal(one.ledger, other.ledger)
        np.testing.assert_array_equal(one.flow_kw, other.flow_kw)


def test_a_contract_that_asks_for_nothing_changes_pay_alone() -> None:
    """Own limits as terms: the same energy, bit for bit; only what members are paid differs."""
    made = month("week20", ONE | {"fleet.size": 20, "preferences.max_blackouts_per_week": 0}, 4)
    f, worlds, rng = made.fleet, [begin(made) for _ in range(2)], np.random.default_rng(2)
    t = Terms(**{name: np.zeros(20) for name in TERMS} | {
        "kw": f.sell_limit_kw, "floor_kwh": f.floor_kwh, "target_kwh": f.ev_target_kwh, "day_kwh": f.day_discharge_kwh,
        "share": np.full(20, 0.5),
    })  # fmt: skip
    paid = [0.0, 0.0]
    worlds[1].contracts.sign(0, 0, np.ones(20, dtype=bool), np.full(20, Window.NOTICE), t)
    while not worlds[0].done:
        acts = random_actions(rng, 20, "any")
        a, b = (w.step(acts) for w in worlds)
        np.testing.assert_array_equal(a.flow_kw, b.flow_kw)
        np.testing.assert_array_equal(worlds[0].headroom, worlds[1].headroom)
        paid[0], paid[1] = paid[0] + a.money.payments[0], paid[1] + b.money.payments[0]
        assert b.ledger[[led.L_PAY_AVAILABILITY, led.L_PAY_CONCESSION]].sum() == 0.0
    assert paid[0] != paid[1]


def all_batteries(**changes: Any) -> World:
    """Homes that have sold all they may, at a price that every ask is below."""
    mine = {"fleet.size": 10, "fleet.share_bess": 1.0, "fleet.share_ev": 0.0, "preferences.max_blackouts_per_week": 0}
    base = month("week20", ONE | mine | {"time.start": "2023-08-02T16:00"} | changes)
    return begin(with_prices(base, rt=300.0, calls=False))


def sell_all(world: World, override: np.ndarray | None = None) -> Outcome:
    sale = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0)
    return world.step(sale, override=override)


def test_a_floor_that_is_let_down_is_paid_until_it_is_restored() -> None:
    world = all_batteries()
    f, n = world.months[0].fleet, 10
    lower = np.arange(n) < 5
    terms = terms_of(n, kw=9.0, floor_price=0.02, day_kwh=99.0)
    world.contracts.sign(0, 0, lower, np.full(n, Window.OPPORTUNITY), terms)
    first = sell_all(world)
    below = f.floor_kwh - world.state.battery.soc_kwh
    assert (below[lower] > 0.1).any()
    assert (below[~lower] <= 1e-9).all()
    assert not first.violated[UNPAID_LEFT_OUT].any()
    paid, hours = first.ledger[led.L_PAY_CONCESSION, 0].copy(), 1
    while (f.floor_kwh - world.state.battery.soc_kwh > 1e-9)[lower].any():
        o = world.step(np.full((n, 8), -1.0))
        assert not o.violated[UNPAID_LEFT_OUT].any(), "what was bought is open, and no breach"
        taken = o.wishes[0, 0]
        np.testing.assert_allclose(o.ledger[led.L_PAY_CONCESSION, 0], 0.02 * taken, rtol=0, atol=1e-12)
        paid, hours = paid + o.ledger[led.L_PAY_CONCESSION, 0], hours + 1
    assert hours > 20, "the home restores it from the grid the day after"
    assert (paid[~lower] == 0.0).all()
    last = world.step(np.full((n, 8), -1.0))
    assert last.ledger[led.L_PAY_CONCESSION].sum() == 0.0


def test_what_is_dispatched_beyond_a_contract_is_a_breach_and_paid_as_agreed() -> None:
    world, n = all_batteries(), 10
    f, everybody = world.months[0].fleet, np.ones(10, dtype=bool)
    floor = 0.5 * (f.floor_kwh + f.bess_min_kwh)
    terms = terms_of(n, kw=2.0, floor_price=0.02, overuse_price=0.1)
    terms = Terms(**{name: getattr(terms, name) for name in TERMS} | {"floor_kwh": floor})
    world.contracts.sign(0, 0, everybody, np.full(n, Window.NOTICE), terms)
    kept = sell_all(world)
    assert not kept.contracts.breached.any()
    assert kept.flow_kw[:, FLOW.sold].max() <= 2.0 * n + 1e-9
    while not (world.state.battery.soc_kwh < floor - 0.1).any():
        o = sell_all(world, everybody)
    broken = o.contracts.breached[0]
    assert broken.any()
    assert (o.ledger[led.L_EXCESS, 0] > 0.0).any(), "more kW than the contract has"
    assert (world.contracts.breached[0] == broken).all()
    assert (world.contracts.breaches[0] >= broken).all()
    deep = world.state.battery.soc_kwh < floor - 0.1
    assert o.violated[0, 0][deep].all(), "below what was bought it is a violation"
    taken = o.wishes[:, 0]
    np.testing.assert_allclose(o.ledger[led.L_PAY_CONCESSION, 0], 0.02 * taken[0] + 0.1 * taken[2], rtol=0, atol=1e-12)


def test_the_bounds_of_a_view_follow_the_contract_for_the_delivery() -> None:
    world = all_batteries(**{"market.gate_lead_minutes": 75})
    n, some = 10, np.arange(10) % 2 == 0
    before = world.headroom.storage.copy()
    terms = terms_of(n, kw=1.5, day_kwh=99.0)
    world.contracts.sign(0, world.opportunity + world.lead, some, np.full(n, Window.OPPORTUNITY), terms)
    after = world.headroom.storage
    np.testing.assert_array_equal(after[~some], before[~some])
    assert (after[some] <= 1.5).all()
    world.contracts.end(0, world.opportunity + world.lead, some)
    np.testing.assert_array_equal(world.headroom.storage, before)


def test_a_car_may_stand_on_reserve_by_contract_only() -> None:
    changes = ONE | {"fleet.size": 30, "fleet.share_bess": 0.0, "fleet.share_ev": 1.0, "fleet.v2g_share": 1.0,
                     "time.start": "2023-08-02T22:00", "preferences.max_blackouts_per_week": 0}  # fmt: skip
    made = with_prices(month("week20", changes), rt=50.0, reserve={"spin": 20.0, "nonspin": 5.0}, calls=True)
    held = {}
    for allowed in (0.0, 1.0):
        world = begin(made)
        f = made.fleet
        terms = terms_of(30, kw=99.0, reserve_price=0.004, v2g_reserve=allowed)
        terms = Terms(**{name: getattr(terms, name) for name in TERMS} | {"target_kwh": f.ev_target_kwh})
        world.contracts.sign(0, 0, np.ones(30, dtype=bool), np.full(30, Window.NOTICE), terms)
        total = 0.0
        while not world.done:
            standby = encode(world.sell_limit_kw, world.buy_limit_kw, reserve_kw=99.0, reserve_ask=0.0)
            o = world.step(standby)
            rows = o.ledger[:, 0]
            total += float(rows[led.L_RESERVE].sum())
            assert o.short.max() <= 1e-9
            assert rows[led.L_BEYOND].max() <= 1e-9
            if rows[led.L_NOPAY].sum() == 0.0:
                np.testing.assert_allclose(rows[led.L_PAY_RESERVE], 0.004 * rows[led.L_RESERVE], rtol=0, atol=1e-9)
        held[allowed] = total
    assert held[1.0] > 2.0 * held[0.0]
    assert held[1.0] > 10.0


def test_who_opts_out_is_bound_no_more_and_earns_no_fee() -> None:
    changes = ONE | {"fleet.size": 20, "fleet.share_bess": 1.0, "owners.tolerance_factor": 0.02,
                     "owners.patience": "finite"}  # fmt: skip
    world = begin(with_prices(month("week20", changes, 1), rt=300.0, calls=False))
    n = 20
    world.contracts.sign(0, 0, np.ones(n, dtype=bool), np.full(n, Window.NOTICE),
                         terms_of(n, kw=5.0, availability=0.01, day_kwh=99.0))  # fmt: skip
    gone = np.zeros(n, dtype=bool)
    while not world.done:
        o = sell_all(world)
        gone |= o.absent[0]
        assert not (o.contracts.on[0] & gone).any()
        np.testing.assert_allclose(o.ledger[led.L_PAY_AVAILABILITY, 0], 0.05 * ~gone, rtol=0, atol=1e-12)
    assert 0 < gone.sum() < n
