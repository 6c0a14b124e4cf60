"""Day-ahead schedules: the gate, what is refused, the settlement recomputed, clock changes."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month, random_actions, with_prices
from vpp_policies.truthful import Truthful

from vpp_env.contract.bids import DayAheadSchedule
from vpp_env.contract.views import Information
from vpp_env.errors import BidError
from vpp_env.evaluation.simulate import simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

TWO = {"market.two_settlement": True, "fleet.size": 12, "market.min_bid_mw": 0.0, "time.duration_hours": 62}
IDLE = np.full((12, 8), -1.0)


def to_gate(world: World) -> World:
    while world.calendar.hour[world.t] != 10.0:
        world.step(IDLE)
    return world


@pytest.mark.parametrize("length", [60, 15])
def test_the_gate_is_open_once_a_day(length: int) -> None:
    world = begin(month("week20", TWO | {"time.opportunity_minutes": length}))
    gates = []
    while not world.done:
        public = build_view(world, Information.OWN).public
        if public.day_ahead_hours:
            assert public.day_ahead_hours == tuple(range(24))
            gates.append(public.now)
        world.step(IDLE)
    assert [(g.day, g.hour, g.minute) for g in gates] == [(1, 10, 0), (2, 10, 0)], "the third day has no next one"


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ("2023-03-11T08:00", (0, 1, *range(3, 24))),
        ("2023-11-04T08:00", (0, 1, 1, *range(2, 24))),
    ],
)
def test_a_day_of_a_clock_change_has_its_own_hours(start: str, hours: tuple[int, ...]) -> None:
    world = to_gate(begin(month("week20", TWO | {"time.start": start})))
    assert build_view(world, Information.OWN).public.day_ahead_hours == hours
    with pytest.raises(BidError, match=f"24 hours; the next day has {len(hours)}"):
        world.step(IDLE, [DayAheadSchedule(np.ones(24), np.zeros(24))])
    kw = np.arange(1.0, len(hours) + 1.0)
    gate, rng = world.t, np.random.default_rng(0)
    world.step(IDLE, [DayAheadSchedule(kw, -0.15)])
    awards = []
    while not world.done:
        o = world.step(random_actions(rng, 12))
        stamp = world.calendar.local[o.opportunity * 4]
        if stamp.day == world.calendar.local[gate].day + 1:
            awards.append(float(o.day_ahead_kw[0, 0]))
        else:
            assert not o.day_ahead_kw.any()
    assert awards == kw.tolist()


def test_money_is_that_of_two_settlements() -> None:
    world = to_gate(begin(month("week20", TWO, 2)))
    rng, gate = np.random.default_rng(3), world.t
    kw, limit = rng.uniform(-40, 40, 24), rng.uniform(0.02, 0.08, 24)
    world.step(IDLE, [DayAheadSchedule(kw, limit)])
    series, total = world.months[0].series, 0.0
    midnight = gate + 14 * 4
    baseline = to_gate(begin(month("week20", TWO, 2)))
    baseline.step(IDLE)
    while not world.done:
        a, t = random_actions(rng, 12), world.t
        o, plain = world.step(a), baseline.step(a)
        expected = 0.0
        for j in range(4):
            da, rt = series.da_usd_per_mwh[t + j] / 1000, series.rt_usd_per_mwh[t + j] / 1000
            hour, d = (t - midnight) // 4, 0.0
            if 0 <= hour < 24:
                wants = kw[hour]
                clears = da >= limit[hour] if wants > 0 else da <= limit[hour]
                d = wants if clears else 0.0
            expected += 0.25 * (d * da + (o.market_kw[j, 0] - d) * rt)
        assert o.money.energy[0] + o.money.day_ahead[0] == pytest.approx(expected, abs=1e-9)
        np.testing.assert_array_equal(o.money.payments, plain.money.payments)
        assert o.money.profit[0] == pytest.approx(plain.money.profit[0] + o.money.day_ahead[0], abs=1e-12)
        assert o.money.revenue[0] == pytest.approx(o.money.profit[0] + o.money.payments[0], abs=1e-9)
        total += abs(float(o.money.day_ahead[0]))
    assert total > 0.0


def test_a_schedule_is_cut_to_devices_cap_and_minimum() -> None:
    flat = with_prices(month("week20", TWO | {"market.max_capacity_mw": 0.02, "market.min_bid_mw": 0.005}), da=50.0)
    world = to_gate(begin(flat))
    kw = np.zeros(24)
    kw[:4] = 1e9, -1e9, 4.0, 6.0
    world.step(IDLE, [DayAheadSchedule(kw, 0.05)])
    award = world.exchange.day_ahead.award_kw[0]
    first = int(np.flatnonzero(award)[0])
    most = min(20.0, float(world.buy_limit_kw.sum()))
    assert award[first : first + 16 : 4].tolist() == [20.0, -most, 0.0, 6.0]
    alone = to_gate(begin(month("week20", TWO)))
    alone.step(IDLE, [DayAheadSchedule(np.full(24, 1e9), -1.0)])
    assert alone.exchange.day_ahead.award_kw.max() == pytest.approx(alone.sell_limit_kw.sum())


def test_what_is_refused_changes_nothing() -> None:
    good = DayAheadSchedule(np.ones(24), 0.0)
    plain = begin(month("week20", TWO | {"market.two_settlement": False}))
    with pytest.raises(BidError, match="two_settlement = false"):
        plain.step(IDLE, [good])
    world = begin(month("week20", TWO))
    with pytest.raises(BidError, match="opens at 10:00"):
        world.step(IDLE, [good])
    assert world.opportunity == 0
    to_gate(world)
    with pytest.raises(BidError, match="2 day-ahead schedules"):
        world.step(IDLE, [good, good])
    for kw, limit, words in (
        (np.ones((2, 12)), 0.0, "shape"),
        (np.full(24, np.nan), 0.0, "finite"),
        (np.ones(24), np.ones(3), "one limit for each hour"),
    ):
        with pytest.raises(BidError, match=words):
            DayAheadSchedule(kw, limit)  # type: ignore[arg-type]


def test_an_award_is_public_with_the_prices_and_not_before() -> None:
    world = to_gate(begin(month("week20", TWO)))
    world.step(IDLE, [DayAheadSchedule(np.full(24, 7.0), -1.0)])
    while not world.done and world.calendar.day[world.t] == 0:
        public = build_view(world, Information.OWN).public
        assert public.day_ahead_kw.any() == (public.now.hour >= 13)
        world.step(IDLE)
    assert (build_view(world, Information.OWN).public.day_ahead_kw[:4] == 7.0).all()


def test_months_side_by_side_have_their_own_schedules() -> None:
    months = [month("week20", TWO, s) for s in (4, 5)]
    together, alone = begin(*months), [begin(m) for m in months]
    rng = np.random.default_rng(0)
    while not together.done:
        a = random_actions(rng, 24)
        gate = together.calendar.hour[together.t] == 10.0 and together.calendar.day[together.t] < 2
        # on the first day one of them schedules, on the second both do
        first, second = (DayAheadSchedule(*rng.uniform(((-20,), (0.02,)), ((20,), (0.12,)), (2, 24))) for _ in range(2))
        plans = [first, second if together.calendar.day[together.t] == 1 else None] if gate else []
        o = together.step(a, plans)
        for e, world in enumerate(alone):
            single = world.step(a[12 * e : 12 * e + 12], plans[e : e + 1])
            assert o.money.profit[e] == single.money.profit[0]
            assert o.money.day_ahead[e] == single.money.day_ahead[0]


@pytest.mark.parametrize("length", [60, 15])
def test_truthful_schedules_what_its_meter_has_shown(length: int) -> None:
    m = month(
        "week20",
        {
            "market.two_settlement": True,
            "market.min_bid_mw": 0.0,
            "time.opportunity_minutes": length,
            "time.duration_hours": 96,
        },
    )
    evening = np.where(np.arange(len(m.calls)) % 96 < 70, 40.0, 300.0)
    m = with_prices(m, rt=evening, da=evening)
    run = simulate(m, Truthful())
    intervals, hourly = run.record.interval_table(), []
    power = intervals["market_kw"].to_numpy().reshape(-1, 4).mean(axis=1)
    scheduled = intervals["day_ahead_kw"].to_numpy().reshape(-1, 4)
    assert (scheduled == scheduled[:, :1]).all()
    assert not scheduled[:24].any(), "nothing can be scheduled for the first day"
    for h in range(48, 72):  # the second day's gate has seen hours 0 to 33
        seen = [power[past] for past in range(h % 24, 34, 24)]
        hourly.append(float(np.mean(seen)))
    got = scheduled[48:72, 0]
    assert got.any()
    taken = got != 0
    np.testing.assert_allclose(got[taken], np.array(hourly)[taken], atol=1e-9)
