"""Welfare: every part against loops over a run, payments cancel, doing nothing breaks no wish."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import STYLES, begin, month, random_actions

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, PolicyInfo, make_policy
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.evaluation.welfare import PARTS, below, restoring
from vpp_env.scenario.specs import HomeSpec
from vpp_env.simulation.holdings import baseline_battery_kwh
from vpp_env.simulation.outcome import Outcome

FULL = {
    "fleet.size": 12,
    "fleet.share_bess": 0.9,
    "fleet.share_ev": 0.9,
    "fleet.v2g_share": 0.7,
    "market.min_bid_mw": 0.0,
}
INFO = PolicyInfo("dice", Information.OWN, Consent.NEVER, "random bids")
CASES: dict[str, dict[str, Any]] = {
    "hours": {"time.duration_hours": 77},
    "quarters": {"time.duration_hours": 30, "time.opportunity_minutes": 15, "time.start": "2023-08-02T09:00"},
    "clock": {"time.duration_hours": 60, "time.start": "2023-11-04T00:00", "time.opportunity_minutes": 30},
    "own_use": {"time.duration_hours": 66, "home.control": "self_consumption"},
    "calls": {"time.duration_hours": 50, "market.call_probability": 0.5},
}


def played(changes: dict[str, Any], style: str, seed: int) -> tuple[Recorder, list[Outcome]]:
    world = begin(month("week20", FULL | changes, seed))
    record, rng, outcomes = Recorder(world, INFO), np.random.default_rng(seed), []
    while not world.done:
        actions = random_actions(rng, world.n_homes, style)
        outcomes.append(world.step(actions))
        record.add(Bids(actions), outcomes[-1], 0.0)
    return record, outcomes


def naive(record: Recorder, outcomes: list[Outcome]) -> np.ndarray:
    """(6, N) USD by plain loops, one home and one step at a time."""
    world, f = record._world, record.fleet
    per_step = world.steps
    out = np.zeros((6, f.n))
    for i in range(f.n):
        floor = max(f.floor_kwh[i], f.bess_min_kwh[i])
        by_day: dict[int, float] = {}
        by_hour: dict[tuple[int, int], float] = {}
        for o in outcomes:
            t = o.opportunity * per_step
            for j in range(per_step):
                soc, base = o.soc_home_kwh[j, 0, 0, i], o.soc_home_kwh[j, 1, 0, i]
                out[0, i] += f.floor_value[i] * 0.25 * max(0.0, min(floor, base) - soc)
            row = o.ledger[:, 0, i]
            out[1, i] += f.car_value[i] * max(0.0, o.short[0, i]) * f.ev_kwh[i]
            out[3, i] += f.blackout_value[i] * row[led.L_BLACK]
            out[5, i] += f.standby_value[i] * row[led.L_RESERVE]
            day, k = world.clock(t)
            by_day[day] = by_day.get(day, 0.0) + row[led.L_BESS]
            hour = (day, k // 4)
            by_hour[hour] = by_hour.get(hour, 0.0) + row[led.L_BESS] + row[led.L_V2G]
        most = min(f.max_discharge[i], f.cycles_per_day[i]) * f.bess_kwh[i]
        out[2, i] = f.overuse_value[i] * sum(max(0.0, kwh - most) for kwh in by_day.values())
        out[4, i] = f.hassle_value[i] * sum(kwh > 0.05 for kwh in by_hour.values())
    return out


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("style", STYLES)
def test_every_part_is_what_loops_over_the_run_give(case: str, style: str) -> None:
    record, outcomes = played(CASES[case], style, 2)
    np.testing.assert_allclose(record.private_cost()[:6], naive(record, outcomes), atol=1e-9)


def test_random_bids_break_wishes_of_every_kind() -> None:
    totals = np.zeros(len(PARTS))
    for style in STYLES:
        totals += played(CASES["hours"] | {"fleet.size": 40}, style, 2)[0].private_cost().sum(axis=1)
    kinds = dict(zip(PARTS, totals, strict=True))
    assert all(kinds[kind] > 0.0 for kind in ("floor", "overuse", "blackout", "hassle", "standby", "restoring")), kinds


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_payments_cancel(style: str, seed: int) -> None:
    record, outcomes = played(CASES["hours"], style, seed)
    run = Run(make_policy("random"), INFO, record._world, record, complete=True)
    kpis, rows = summarize(run), record.totals
    table = prosumer_table(record, record._world.scenario.satisfaction, INFO)
    bill = rows[led.L_BILL] - rows[led.L_BILL_BASELINE]
    borne = bill + rows[led.L_WEAR] + rows[led.L_AWAY] - record.closing_value() + record.private_cost().sum(axis=0)
    revenue = sum(float(o.money.revenue[0]) for o in outcomes)
    compute = sum(float(o.money.compute[0]) for o in outcomes)
    assert kpis["welfare"] == pytest.approx(revenue - compute - borne.sum(), abs=1e-9)
    both = kpis["total_profit"] + kpis["member_net_benefit"] - kpis["private_cost"]
    assert kpis["welfare"] == pytest.approx(both, abs=1e-9)
    assert kpis["private_cost"] == pytest.approx(sum(kpis[f"private_cost_{kind}"] for kind in PARTS), abs=1e-9)
    assert kpis["owners_worse_off"] == int((table["net_benefit_usd"] < table["private_cost_usd"] - 1e-9).sum())
    assert kpis["private_cost"] > 0.0, "the test can fail"


def test_doing_nothing_breaks_no_wish() -> None:
    for extra in CASES.values():
        kpis = summarize(simulate(month("week20", FULL | extra, 1), make_policy("idle")))
        assert kpis["private_cost"] == kpis["welfare"] == 0.0
        assert kpis["owners_worse_off"] == 0


def test_what_is_below_the_floor_is_measured_against_the_baseline() -> None:
    got = below(np.array([5.0, 5.0, 5.0, 5.0]), np.array([3.0, 3.0, 6.0, 3.0]), np.array([8.0, 4.0, 8.0, 2.0]))
    np.testing.assert_array_equal(got, [2.0, 1.0, 0.0, 0.0])


def test_restoring_by_hand() -> None:
    home = HomeSpec()
    # 2 kWh missing, 4 kW, lossless: two steps after an hour of waiting; from 15:45 on, so half of it in the peak
    depth, usd = restoring(np.array([2.0]), np.array([4.0]), np.array([4]), np.array([15.75]), 1.0, home)
    assert depth[0] == pytest.approx(2.0 * 1.0 + 1.0 * 0.25)
    assert usd[0] == pytest.approx(0.36 + 0.55)
    # .5 one-way efficiency: half as fast, twice the energy
    depth, usd = restoring(np.array([1.0]), np.array([4.0]), np.array([0]), np.array([3.0]), 0.5, home)
    assert depth[0] == pytest.approx(0.5 * 0.25)
    assert usd[0] == pytest.approx(2.0 * 0.36)
    assert restoring(np.zeros(1), np.zeros(1), np.array([9]), np.zeros(1), 0.95, home)[1][0] == 0.0


def test_an_open_breach_is_restored_on_the_day_after_it_began() -> None:
    """Played out with idle bids, the battery is back at its floor when the closed form says so."""
    changes = FULL | {"fleet.share_bess": 1.0, "fleet.share_pv": 0.0, "market.call_probability": 0.0}
    short = month("week20", changes | {"time.duration_hours": 20}, 2)
    longer = month("week20", changes | {"time.duration_hours": 72}, 2)
    worlds = [begin(short), begin(longer)]
    rng = np.random.default_rng(0)
    records = [Recorder(world, INFO) for world in worlds]
    nothing = np.full((worlds[0].n_homes, 8), -1.0, dtype=np.float32)
    while not worlds[1].done:
        actions = random_actions(rng, worlds[0].n_homes, "sell") if worlds[1].opportunity < 20 else nothing
        for world, record in zip(worlds, records, strict=True):
            if not world.done:
                record.add(Bids(actions), world.step(actions), 0.0)
    phi, floor = records[0].fleet.floor_value, PARTS.index("floor")
    later = records[1].private_cost()[floor] / phi - records[0].private_cost()[floor] / phi
    missing = below(short.fleet.floor_kwh, worlds[0].state.battery.soc_kwh, baseline_battery_kwh(worlds[0]))
    assert (missing > 0.1).sum() > 3, "the test can fail"
    wait = 4 * (24 - 20 + 15)  # broken on the first day, which ends in four hours
    eta, tariff = short.scenario.fleet.bess_eta, short.scenario.home
    start = np.full(short.fleet.n, 15.0)
    depth, usd = restoring(missing, short.fleet.bess_kw, np.full(short.fleet.n, wait), start, eta, tariff)
    np.testing.assert_allclose(later, depth, atol=1e-9)
    bills = [r.totals[led.L_BILL] - r.totals[led.L_BILL_BASELINE] for r in records]
    np.testing.assert_allclose(bills[1] - bills[0], usd, atol=1e-9)
