"""The world: trajectories, odd fleets, odd calendars, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from support import begin, leaves, month, play, same
from vpp_policies.idle import Idle

from vpp_env.contract.bids import N_ACTION, encode
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW, copied
from vpp_env.core.loops import Books
from vpp_env.errors import BidError, ScenarioError, VppError
from vpp_env.evaluation.simulate import simulate
from vpp_env.market import opportunity
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.month import Month, join_days
from vpp_env.simulation.outcome import net_benefit
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World


def test_two_worlds_of_one_month_do_not_touch_each_other(quick_month: Month) -> None:
    first, second = begin(quick_month), begin(quick_month)
    alone = play(first, 3)
    other = play(second, 3, "edge")
    third = play(begin(quick_month), 3)
    assert all(same(a, b) for a, b in zip(alone, third, strict=True))
    assert not all(same(a, b) for a, b in zip(alone, other, strict=True))


def test_what_an_opportunity_leaves_in_its_room_is_read_by_nobody() -> None:
    """The room is used again: what lay in it, of another opportunity or a month that was played, changes nothing."""
    changes = {"fleet.size": 11, "fleet.v2g_share": 0.5, "market.feeder_homes": 4, "market.feeder_kw": 12.0}
    clean, littered = (begin(month("week20", changes | {"time.duration_hours": 48}, 4)) for _ in range(2))
    rng, shape = np.random.default_rng(5), (11, N_ACTION)
    while not clean.done:
        for room in littered._rooms.values():
            for array in leaves(room):
                array.fill(np.nan if array.dtype.kind == "f" else 10**6)
        actions = rng.uniform(-1.0, 1.0, shape)
        assert same(clean.step(actions), littered.step(actions)), clean.t


@pytest.mark.parametrize("expected", [False, True])
def test_books_are_written_whole(expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books are made of memory as it comes: what lay there, of another month or anything else, is in no figure."""
    changes = {"fleet.size": 11, "fleet.v2g_share": 0.5, "market.feeder_homes": 4, "market.feeder_kw": 12.0}
    months = [month("week20", changes | {"time.duration_hours": 48}, seed) for seed in (4, 5)]
    made = opportunity.new_books

    def littered(steps: int, months: int, n: int) -> Books:
        books = made(steps, months, n)
        for array in (books.ledger, books.events, books.soc_home_kwh):
            array.fill(np.nan)
        return books

    played = []
    for new_books in (made, littered):
        monkeypatch.setattr(opportunity, "new_books", new_books)
        world = World(months, contracts_expected=expected)
        world.reset()
        played.append(play(world, 6))
    for clean, other in zip(*played, strict=True):
        assert same(clean, other), clean.opportunity
        for name in ("short", "lacks", "missed", "departed", "soc_home_kwh", "wishes"):
            assert np.array_equal(getattr(clean, name), getattr(other, name)), (name, clean.opportunity)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: simulate(m, "truthful"), "got 'truthful' as policy; allowed is an object"),
        (lambda m: simulate(m, Idle), "got the class Idle as policy; allowed is an object"),
        (lambda m: simulate(m.scenario, Idle()), "got a Scenario as month; allowed is Month"),
        (lambda m: Month("quick", 0), "got 'quick' as scenario; allowed is a Scenario, such as load_scenario"),
        (lambda m: Month(m.scenario, -1), "got seed -1; allowed is a whole number, 0 or more"),
        (lambda m: Month(m.scenario, 1.5), "got seed 1.5; allowed is a whole number"),
        (lambda m: World(m), r"got a month; allowed is a list of them: World\(\[month\]\)"),
        (lambda m: build_view(World([m]), Information.OWN), r"call world\.reset\(\) first"),
    ],
)
def test_what_is_handed_in_by_mistake_is_named(call: Callable[[Month], object], says: str, quick_month: Month) -> None:
    with pytest.raises(VppError, match=says):
        call(quick_month)


def test_reset_begins_the_same_month_again(quick_world: World) -> None:
    first = play(quick_world, 1)
    quick_world.reset()
    assert all(same(a, b) for a, b in zip(first, play(quick_world, 1), strict=True))


def test_the_same_seed_makes_the_same_month_whoever_asks_first() -> None:
    changes = {"time.duration_hours": 72, "fleet.size": 6}
    scenario = month("week20", changes).scenario
    a, b = Month(scenario, 11), Month(scenario, 11)
    b.day(2)  # days asked for in another order
    b.traces(1)
    outcomes = [play(begin(m), 0) for m in (a, b)]
    assert all(same(x, y) for x, y in zip(*outcomes, strict=True))
    other = play(begin(Month(scenario, 12)), 0)
    assert not same(outcomes[0][0], other[0])


def test_a_months_days_survive_a_small_cache() -> None:
    changes = {"time.duration_hours": 96, "fleet.size": 6}
    scenario = month("week20", changes).scenario
    roomy, tight = Month(scenario, 2), Month(scenario, 2)
    tight._keep = 1
    assert all(same(x, y) for x, y in zip(play(begin(roomy), 0), play(begin(tight), 0), strict=True))


def test_months_side_by_side_are_the_months_alone() -> None:
    changes = {"time.duration_hours": 30, "fleet.size": 7, "market.regulation": True}
    months = [month("week20", changes, s) for s in (4, 5, 6)]
    together, alone = begin(*months), [begin(m) for m in months]
    rng = np.random.default_rng(0)
    while not together.done:
        a = rng.uniform(-1, 1, (21, 8)).astype(np.float32)
        o = together.step(a)
        for e, world in enumerate(alone):
            single = world.step(a[7 * e : 7 * e + 7])
            assert np.array_equal(o.ledger[:, e], single.ledger[:, 0])
            assert np.array_equal(o.flow_kw[..., e], single.flow_kw[..., 0])
            assert o.money.profit[e] == single.money.profit[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"fleet.size": 1},
        {"fleet.share_bess": 0.0, "fleet.share_ev": 0.0, "fleet.share_pv": 0.0},
        {"fleet.share_bess": 1.0, "fleet.share_ev": 1.0, "fleet.v2g_share": 1.0, "fleet.share_pv": 1.0},
        {"market.reserve": False},
        {"preferences.max_blackouts_per_week": 0},
        {"home.control": "self_consumption", "market.regulation": True},
        {"time.timezone": "Europe/Berlin"},
    ],
)
def test_odd_fleets_play_a_day(changes: dict[str, object]) -> None:
    base = {"fleet.size": 8, "time.duration_hours": 24, "market.min_bid_mw": 0.0}
    world = begin(month("week20", base | changes, 1))
    for o in play(world, 2):
        assert np.isfinite(o.ledger).all()
    if changes.get("fleet.share_bess") == 0.0:
        assert world.sell_limit_kw.max() == 0.0
        assert not world.last_ledger[led.L_SOLD].any()


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ("2023-03-11T05:00", 48),  # spring forward on the 12th
        ("2023-03-12T00:00", 30),
        ("2023-03-13T00:00", 30),  # the day before has 92 steps
        ("2023-11-04T22:00", 48),  # fall back on the 5th
        ("2023-11-05T00:00", 30),
        ("2023-11-06T00:00", 30),
        ("2023-12-31T20:00", 10),  # across the year
        ("2023-08-01T23:00", 3),
    ],
)
def test_odd_calendars_play(start: str, hours: int) -> None:
    changes = {"fleet.size": 8, "time.start": start, "time.duration_hours": hours, "market.min_bid_mw": 0.0}
    world = begin(month("week20", changes))
    stamps = []
    while not world.done:
        view = build_view(world, Information.ORACLE)
        stamps.append(view.public.start)
        assert view.homes.load_forecast_kw.shape == (96, 8)
        assert len(view.future(6).rt_usd_per_kwh) == 24
        assert view.public.start.hour == int(world.wall_clock()[0])
        world.step(np.zeros((8, 8), dtype=np.float32))
    assert len(stamps) == hours
    assert {(b - a).total_seconds() for a, b in pairwise(stamps)} == {3600.0}
    assert world.load_past.shape == (96, 8)


@pytest.mark.parametrize(("start", "hours"), [("2023-03-01T00:00", 743), ("2023-11-01T00:00", 721)])
def test_a_month_with_a_clock_change_has_its_true_length(start: str, hours: int) -> None:
    m = month("week20", {"time.start": start, "time.duration_hours": 0, "fleet.size": 2})
    world = begin(m)
    assert m.scenario.n_opportunities == hours
    played = play(world, 0)
    assert len(played) == hours
    assert world.done


def test_persistence_forecasts_are_what_happened_a_day_before() -> None:
    world = begin(month("week20", {"fleet.size": 4, "time.duration_hours": 60, "time.start": "2023-08-02T05:00"}))
    seen = []
    while not world.done:
        view, t = build_view(world, Information.OWN), world.t
        if t >= 96:
            np.testing.assert_array_equal(view.homes.load_forecast_kw[:4], np.stack(seen[t - 96 : t - 92]))
            np.testing.assert_array_equal(view.homes.load_kw, seen[-1])
        plan, k = world.day.plan, world.clock(t)[1]
        seen += [plan.load[k + j].copy() for j in range(4)]
        world.step(np.zeros((4, 8)))


def test_joined_days_use_memory_again_and_show_the_day_that_is_played() -> None:
    # the clock changes on the second day, which has 100 steps
    changes = {"fleet.size": 2, "time.duration_hours": 97, "time.start": "2023-11-04T00:00"}
    months = [month("week20", changes, seed) for seed in (0, 1)]
    world = begin(*months)
    rooms = [world.day.plan.load]
    while not world.done:
        before = world.day
        world.step(np.zeros((4, 8)))
        fresh = join_days([m.day(world.clock(world.t)[0]) for m in months])
        for shown, made in zip(leaves(world.day), leaves(fresh), strict=True):
            np.testing.assert_array_equal(shown, made)
        assert not world.day.plan.load.flags.writeable
        if world.day is not before:
            rooms.append(world.day.plan.load)
    first, second, third, fourth, fifth = rooms
    assert third is first
    assert fifth is third
    assert fourth is not second, "days of another length do not fit"
    assert fourth is not third, "the day before is still needed"


def test_bids_are_refused_with_a_reason_and_nothing_changes(quick_world: World) -> None:
    before = copied(quick_world.state)
    with pytest.raises(BidError, match=r"\(4, 8\).*\(5, 8\)"):
        quick_world.step(np.zeros((4, 8)))
    bad = np.zeros((5, 8))
    bad[3, 2] = np.nan
    with pytest.raises(BidError, match=r"\[3\]"):
        quick_world.step(bad)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(before), leaves(quick_world.state), strict=True))
    assert quick_world.opportunity == 0


def test_a_world_says_when_it_cannot_be_stepped(quick_month: Month) -> None:
    world = World([quick_month])
    with pytest.raises(VppError, match="reset"):
        world.step(np.zeros((5, 8)))
    world.reset()
    play(world, 0)
    with pytest.raises(VppError, match="reset"):
        world.step(np.zeros((5, 8)))


def test_outcomes_are_not_overwritten_by_the_next_step(quick_world: World) -> None:
    first = quick_world.step(np.zeros((5, 8)))
    kept = [first.ledger.copy(), first.flow_kw.copy(), first.short.copy()]
    play(quick_world, 0)
    again = [first.ledger, first.flow_kw, first.short]
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))


def test_actions_outside_the_box_are_refused_and_change_nothing(quick_month: Month) -> None:
    """They were clipped in silence, and won."""
    wild = np.zeros((5, 8))
    wild[3, 1], wild[2, 4] = -2.5, 1.7
    world, other = begin(quick_month), begin(quick_month)
    with pytest.raises(BidError, match=r"prosumer 3 has sell1_ask = -2\.5; allowed is \[-1, 1\].*encode.*clip"):
        world.step(wild)
    edge = np.where(np.zeros((5, 8)) == 0.0, 1.0 + 5e-7, 0.0)
    assert same(world.step(edge), other.step(np.ones((5, 8))))


def test_idle_homes_are_their_baselines_to_the_last_bit() -> None:
    for changes in ({}, {"home.control": "self_consumption"}, {"time.start": "2023-11-04T06:00"}):
        base = {"fleet.share_ev": 0.8, "time.duration_hours": 96}
        world = begin(month("week20", base | changes))
        idle = encode(world.sell_limit_kw, world.buy_limit_kw)
        while not world.done:
            o = world.step(idle)
            assert np.array_equal(o.soc_kwh[:, 0], o.soc_kwh[:, 1])
            assert np.array_equal(o.flow_kw[:, FLOW.retail], o.flow_kw[:, FLOW.retail_baseline])
            assert not o.flow_kw[:, [FLOW.sold, FLOW.bought, FLOW.depth, FLOW.market]].any()
            assert not net_benefit(o.ledger).any()
            assert o.money.profit[0] == 0.0


def test_months_of_different_scenarios_are_refused() -> None:
    base = {"fleet.size": 4, "time.duration_hours": 3}
    first, other = month("week20", base), month("week20", base | {"market.margin": 0.2, "fleet.v2g_share": 0.9}, 1)
    with pytest.raises(ScenarioError, match=r"fleet.v2g_share is .* in month 0 and 0.9 in month 1.*market.margin"):
        World([first, other])
    with pytest.raises(VppError, match="no month"):
        World([])
    again = Month(month("week20", base).scenario.override({"description": "the same by another name"}), 1)
    assert begin(first, again).n_months == 2


def test_what_is_asked_of_a_world_is_there_for_every_month() -> None:
    months = [month("week20", {"fleet.size": 3, "time.duration_hours": 4}, s) for s in range(2)]
    both, alone = begin(*months), [begin(m) for m in months]
    for m, one in enumerate(alone):
        assert both.required_kw()[m] == one.required_kw()[0]
        for name in ("day_ahead", "incentive", "schedule_kw"):
            assert np.array_equal(getattr(both.announced, name)[m], getattr(one.announced, name)[0])
        assert np.array_equal(both.exchange.rho[:, m], one.exchange.rho[:, 0])
        assert np.array_equal(both.exchange.called[:, m], one.exchange.called[:, 0])
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 8))
    both.step(actions)
    for m, one in enumerate(alone):
        one.step(actions[3 * m : 3 * m + 3])
        assert np.array_equal(closing_value(both)[m], closing_value(one)[0])
