"""Satisfaction: each component by hand, idle contents nobody, honest bids violate nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from support import begin, month, with_prices

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo, make_policy
from vpp_env.contract.views import Information, View
from vpp_env.core import ledger as led
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import jain_index, prosumer_table, worst_mean
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.satisfaction import (
    COMPONENTS,
    SatisfactionTotals,
    opportunity_score,
    score,
)
from vpp_env.evaluation.simulate import Run, market_rules, policy_rng, simulate
from vpp_env.evaluation.verdict import Audit, Verdict
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.scenario import scenario_names
from vpp_env.scenario.specs import SatisfactionSpec
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.view_builder import build_view
from vpp_env.traces.fleet import Fleet

SPEC = SatisfactionSpec()
FULL_HOMES = {"fleet.size": 4, "fleet.share_bess": 1.0, "fleet.share_ev": 1.0}
RESERVE, EV, PAY, GAIN, CALLS, CONSENT, USE = range(7)
VERIFIED = Audit(Verdict.VERIFIED, Information.OWN, 0, (), ())


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return month("quick", FULL_HOMES).fleet


def outcome(fleet: Fleet, ledger: dict[int, float], departed: float = 0.0, short: float = 0.0, missed: float = 0.0):
    """An opportunity in which home 0 lived through the given, and nobody else anything."""
    world = begin(month("quick", FULL_HOMES))
    plain = world.step(encode(world.sell_limit_kw, world.buy_limit_kw))
    rows = np.zeros_like(plain.ledger)
    for row, value in ledger.items():
        rows[row, 0, 0] = value
    events = [np.zeros((1, fleet.n)) for _ in range(3)]
    for array, value in zip(events, (departed, short, missed), strict=True):
        array[0, 0] = value
    return dataclasses.replace(plain, ledger=rows, departed=events[0], lacks=events[1], missed=events[2])


def added_up(fleet: Fleet, days: list[list[Outcome]], covered: np.ndarray | None = None) -> SatisfactionTotals:
    totals = SatisfactionTotals(fleet, SPEC)
    for day in days:
        for j, o in enumerate(day):
            totals.add(o, o.violated[:, 0], np.zeros(fleet.n) if covered is None else covered, j == len(day) - 1)
    return totals


def components(totals: SatisfactionTotals, fleet: Fleet, gain: float = 0.0, strain: float = 0.0) -> np.ndarray:
    """Components after half a month in which every owner gained `gain` of what it expects of a month."""
    return totals.components(gain * fleet.expected_gain, np.full(fleet.n, strain), 0.5)


def component(totals: SatisfactionTotals, which: int) -> float:
    return float(components(totals, totals._fleet)[which, 0])


def test_reserve_is_the_mean_over_days_of_an_exponential(fleet: Fleet) -> None:
    breached, fine = outcome(fleet, {led.L_DEPTH_H: 0.5}), outcome(fleet, {})
    # first day: .5 + .5 full-breach hours; second day: none
    totals = added_up(fleet, [[breached, breached], [fine, fine]])
    assert component(totals, RESERVE) == pytest.approx((np.exp(-1.0 / 2) + 1) / 2)
    assert totals.violations[VIOLATIONS.index("reserve"), 0] == 2
    assert totals.violations.sum() == 2


def test_ev_is_the_mean_over_departures(fleet: Fleet) -> None:
    short = outcome(fleet, {}, departed=1.0, short=0.05)
    ready = outcome(fleet, {}, departed=1.0, short=-0.01)
    stuck = outcome(fleet, {}, departed=1.0, missed=1.0)
    totals = added_up(fleet, [[short], [ready], [stuck]])
    assert component(totals, EV) == pytest.approx((np.exp(-0.5) + 1 + 0) / 3)
    assert totals.violations[VIOLATIONS.index("ev_not_ready"), 0] == 2
    assert np.isnan(components(totals, fleet)[EV, 1]), "nobody else left"


def test_pay_compares_with_the_owners_own_asks(fleet: Fleet) -> None:
    under = outcome(fleet, {led.L_SOLD: 2.0, led.L_PAY_SOLD: 0.3, led.L_OWED: 0.4})
    over = outcome(fleet, {led.L_SOLD: 2.0, led.L_PAY_SOLD: 0.6, led.L_OWED: 0.4})
    assert component(added_up(fleet, [[under]]), PAY) == pytest.approx(0.75)
    assert component(added_up(fleet, [[over]]), PAY) == 1.0
    assert added_up(fleet, [[under, over]]).violations[VIOLATIONS.index("underpaid"), 0] == 1


def test_consent_is_the_share_that_is_covered(fleet: Fleet) -> None:
    done = outcome(fleet, {led.L_SOLD: 3.0, led.L_BOUGHT: 1.0, led.L_PAY_SOLD: 9.0, led.L_OWED: 1.0})
    assert component(added_up(fleet, [[done, done]], np.full(fleet.n, 3.0)), CONSENT) == pytest.approx(0.75)
    assert component(added_up(fleet, [[done]]), CONSENT) == 0.0
    assert component(added_up(fleet, [[done]], np.full(fleet.n, 9.0)), CONSENT) == 1.0, "no more than there was"
    assert np.isnan(components(added_up(fleet, [[done]]), fleet)[CONSENT, 1]), "nobody else was dispatched"
    black = outcome(fleet, {led.L_SOLD: 4.0, led.L_BLACK: 4.0, led.L_PAY_SOLD: 9.0, led.L_OWED: 1.0})
    assert added_up(fleet, [[black]]).violations[VIOLATIONS.index("blackout"), 0] == 1


def test_gain_is_measured_against_what_the_owner_joined_for(fleet: Fleet) -> None:
    totals = added_up(fleet, [[outcome(fleet, {})]])
    for gain, want in ((0.0, 0.0), (-3.0, 0.0), (0.25, 0.5), (0.5, 1.0), (2.0, 1.0)):
        np.testing.assert_allclose(components(totals, fleet, gain)[GAIN], want)


def test_calls_weigh_once_annoyance_is_above_what_is_borne(fleet: Fleet) -> None:
    totals = added_up(fleet, [[outcome(fleet, {})]])
    for strain, want in ((0.0, 1.0), (1.0, 1.0), (1.3, 0.7), (5.0, 0.0)):
        np.testing.assert_allclose(components(totals, fleet, strain=strain)[CALLS], want)


def test_who_has_nothing_to_offer_is_not_asked() -> None:
    bare = month("quick", {"fleet.size": 12, "fleet.share_bess": 0.3, "fleet.share_ev": 0.3})
    run = simulate(bare, make_policy("truthful"))
    parts, can = run.record.components(), bare.fleet.can_offer
    assert 0 < can.sum() < 12
    assert np.isnan(parts[:, ~can]).all()
    assert not np.isnan(parts[[GAIN, CALLS]][:, can]).any()
    table = prosumer_table(run.record, run.world.scenario.satisfaction, run.info)
    assert table["satisfaction"].isna().to_numpy().tolist() == (~can).tolist()
    assert summarize(run)["avg_satisfaction"] == pytest.approx(score(parts, SPEC)[can].mean())


def test_use_is_the_mean_over_days_of_the_excess(fleet: Fleet) -> None:
    limit = fleet.cycle_limit_kwh[0]
    over, fine = outcome(fleet, {led.L_OVER: 0.4 * limit}), outcome(fleet, {})
    assert component(added_up(fleet, [[over], [fine]]), USE) == pytest.approx(0.8)
    assert component(added_up(fleet, [[over, over, over], [fine]]), USE) == pytest.approx(0.5), "not below zero"
    assert added_up(fleet, [[over]]).violations[VIOLATIONS.index("over_cycling"), 0] == 1


def test_the_score_is_a_weighted_geometric_mean_over_what_applies() -> None:
    nan = np.nan
    parts = np.array(
        [
            [0.5, nan, 0.0],
            [0.25, nan, nan],
            [1.0, 0.49, nan],
            [0.8, nan, 0.0],
            [1.0, nan, 1.0],
            [1.0, nan, nan],
            [1.0, 1.0, 1.0],
        ]
    )
    got = score(parts, SPEC)
    assert got[0] == pytest.approx(0.5**0.22 * 0.25**0.18 * 0.8**0.20)
    assert got[1] == pytest.approx(0.49 ** (0.15 / 0.20)), "weights are renormalised"
    assert got[2] == pytest.approx(0.01 ** (0.42 / 0.57)), "no component is below the floor"
    assert score(np.full((7, 1), nan), SPEC)[0] == 1.0
    only_pay = score(parts, SPEC, np.array([0, 0, 1.0, 0, 0, 0, 0]))
    assert only_pay[1] == pytest.approx(0.49)
    assert len(COMPONENTS) == len(SPEC.weights)


def test_the_score_of_an_opportunity_is_over_those_it_touched(fleet: Fleet) -> None:
    untouched, nothing = outcome(fleet, {}), np.zeros(fleet.n)
    assert opportunity_score(untouched, untouched.violated[:, 0], nothing, fleet, SPEC) == 1.0
    half = outcome(fleet, {led.L_SOLD: 1.0, led.L_PAY_SOLD: 0.1, led.L_OWED: 0.2})
    # reserve 1, pay .5, consent 1 or .01, use 1: no departure, and neither gain nor calls
    covered = opportunity_score(half, half.violated[:, 0], np.ones(fleet.n), fleet, SPEC)
    assert covered == pytest.approx(0.5 ** (0.15 / 0.52))
    silent = opportunity_score(half, half.violated[:, 0], nothing, fleet, SPEC)
    assert silent == pytest.approx(0.5 ** (0.15 / 0.52) * 0.01 ** (0.10 / 0.52))
    assert half.violated.sum() == 1


@pytest.mark.parametrize("name", scenario_names())
def test_idle_breaks_nothing_and_gives_nobody_what_it_joined_for(name: str) -> None:
    """Version 1 scored it 1: owners who earn nothing from what they joined are not content (s_gain 0)."""
    base = month(name).scenario
    changes = {"fleet.size": min(base.fleet.size, 60), "time.duration_hours": min(base.hours, 72)}
    for extra in ({}, {"home.control": "self_consumption"}):
        run = simulate(month(name, changes | extra, 1), make_policy("idle"), audit=VERIFIED)
        kpi, spec = summarize(run), run.world.scenario.satisfaction
        parts, can = run.record.components(), run.record.fleet.can_offer
        applies = ~np.isnan(parts)
        assert (parts[GAIN, can] == 0.0).all()
        others = np.delete(np.arange(len(COMPONENTS)), GAIN)
        assert (parts[others][applies[others]] == 1.0).all()
        weights = np.array(spec.weights)[:, None] * applies[:, can]
        want = spec.component_floor ** (weights[GAIN] / weights.sum(axis=0))
        assert kpi["avg_satisfaction"] == pytest.approx(want.mean())
        assert kpi["worst_decile_satisfaction"] <= kpi["avg_satisfaction"] < 0.35
        assert kpi["opportunity_satisfaction"] == 1.0, "it touches nobody"
        assert kpi["satisfaction_consented"] == pytest.approx(kpi["avg_satisfaction"])
        assert kpi.total_violations.total == kpi["opt_out_days"] == kpi["owners_lost"] == 0
        assert kpi["total_profit"] == kpi["member_net_benefit"] == kpi["joint_surplus"] == 0.0
        assert kpi["success_rate"] == 0.0


HONEST_CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "quarters": {"time.opportunity_minutes": 15},
    "halves": {"time.opportunity_minutes": 30, "time.start": "2023-04-10T00:00"},
    "v2g": {"fleet.v2g_share": 1.0, "fleet.share_ev": 0.9, "fleet.share_bess": 0.9},
    "calls": {"market.call_probability": 1.0, "market.regulation": True, "fleet.share_bess": 0.8},
    "own_use": {"home.control": "self_consumption", "fleet.share_bess": 0.9},
    "clock": {"time.start": "2023-11-02T00:00", "fleet.share_ev": 0.9},
    "dear": {"prices.level": 4.0, "fleet.share_ev": 0.9, "fleet.share_bess": 0.9, "fleet.v2g_share": 1.0},
}


@pytest.mark.parametrize("name", list(HONEST_CASES))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_truthful_homes_keep_their_owners_preferences(name: str, seed: int) -> None:
    # in a calm regime five days can pass without a price that honest homes sell at
    base = {"fleet.size": 40, "time.duration_hours": 120, "market.min_bid_mw": 0.0, "prices.regime": "stressed"}
    run = simulate(month("week20", base | HONEST_CASES[name], seed), make_policy("truthful"))
    kpi = summarize(run)
    counts = kpi.total_violations
    assert (counts.reserve, counts.ev_not_ready, counts.blackout) == (0, 0, 0)
    assert kpi["sold_mwh"] > 0.0, "the test can fail"
    assert counts.underpaid == 0
    assert kpi["beyond_envelope_mwh"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("minutes", [15, 60])
def test_no_truthful_slice_loses_money(seed: int, minutes: int) -> None:
    """Without calls, which come at any price: the VPP earns on every slice and no home sells below its ask."""
    changes = {
        "fleet.size": 40,
        "fleet.share_ev": 1.0,  # most are not plugged in, and batteries rarely sell
        "time.duration_hours": 96,
        "market.min_bid_mw": 0.0,
        "market.call_probability": 0.0,
        "time.opportunity_minutes": minutes,
    }
    world = begin(month("week20", changes, seed))
    policy = make_policy("truthful")
    policy.reset(market_rules(world), policy_rng(seed))
    sold = 0.0
    while not world.done:
        o = world.step(policy.act(build_view(world, Information.OWN)).actions)
        rows = o.ledger[:, 0]
        assert o.money.profit[0] >= -1e-9
        assert (rows[led.L_PAY_SOLD] >= rows[led.L_OWED] - 1e-9).all()
        assert rows[led.L_NOPAY].sum() <= o.money.reserve[0] + 1e-12
        sold += float(rows[led.L_SOLD].sum())
    assert sold > 0


class Careless:
    """Sells everything at any price and says that everybody agreed; what counts is in tests/test_consent.py."""

    def __init__(self, consent: Consent, accepted: bool | None) -> None:
        self.info = PolicyInfo("careless", Information.OWN, consent, "a fire sale")
        self._accepted = accepted

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._rules = rules

    def act(self, view: View) -> Bids:
        b = self._rules
        n = b.n_homes
        accepted = None if self._accepted is None else np.full(n, self._accepted)
        return Bids(encode(b.sell_limit_kw, b.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0), accepted)


def fire_sale(consent: Consent, accepted: bool | None) -> Run:
    m = with_prices(month("week20", {"fleet.share_bess": 1.0, "time.duration_hours": 30}, 1), rt=150.0)
    return simulate(m, Careless(consent, accepted))


def test_consented_is_exactly_zero_for_who_asks_nobody() -> None:
    run = fire_sale(Consent.NEVER, True)
    kpi = summarize(run)
    assert kpi["satisfaction_consented"] == 0.0
    assert 0.0 < kpi["avg_satisfaction"] < 1.0
    table = prosumer_table(run.record, run.world.scenario.satisfaction, run.policy.info)
    assert (table["satisfaction_consented"][run.record.fleet.can_offer] == 0.0).all()
    # also where nothing at all was dispatched
    assert summarize(simulate(month("quick"), make_policy("random")))["satisfaction_consented"] == 0.0


def test_a_fire_sale_is_seen_for_what_it_is() -> None:
    run = fire_sale(Consent.NEVER, None)
    kpi = summarize(run)
    assert kpi.total_violations.reserve > 0
    assert kpi.total_violations.underpaid > 0
    assert kpi.total_violations.blackout > 0
    assert kpi["beyond_envelope_mwh"] > 0
    table = prosumer_table(run.record, run.world.scenario.satisfaction, run.policy.info)
    counted = table[[f"violations_{v}" for v in VIOLATIONS]].to_numpy().sum()
    assert counted == kpi.total_violations.total == run.record.opportunities()["preference_violations"].sum()
    assert table["net_benefit_usd"].sum() == pytest.approx(kpi["member_net_benefit"])
    assert kpi["joint_surplus"] == pytest.approx(kpi["total_profit"] + kpi["member_net_benefit"])


def test_the_days_of_a_run_are_its_calendars() -> None:
    """A run from the afternoon touches three local days: each ends once."""
    m = month("quick", {"time.start": "2023-08-01T16:00", "time.duration_hours": 34, **FULL_HOMES})
    world = begin(m)
    policy = make_policy("idle")
    record = Recorder(world, policy.info)
    while not world.done:
        bids = Bids(encode(world.sell_limit_kw, world.buy_limit_kw))
        record.add(bids, world.step(bids.actions), 0.0)
    assert record.satisfaction._days == 3
    assert (record.components()[RESERVE] == 1.0).all()
    assert record.days == 3


def test_kpis_by_hand() -> None:
    assert jain_index(np.array([1.0, 1.0, 1.0])) == pytest.approx(1.0)
    assert jain_index(np.array([1.0, 0.0, 0.0])) == pytest.approx(1 / 3)
    assert worst_mean(np.array([0.1, 0.9, 0.5, 1.0]), 0.5) == pytest.approx(0.3)
    assert worst_mean(np.array([0.7]), 0.1) == 0.7


def test_nobody_gaining_is_not_called_fair() -> None:
    losses = jain_index(np.array([-3.0, -1.0, -50.0]))
    assert np.isnan(losses), "an index of shares of nothing says nothing"


def test_policies_on_one_seed_see_the_same_world(quick_month: Month) -> None:
    tables = [simulate(quick_month, make_policy(p)).record.opportunities() for p in ("idle", "random", "truthful")]
    for column in ("timestamp", "lmp_price", "spin_price", "nonspin_price"):
        assert tables[0][column].equals(tables[1][column])
        assert tables[0][column].equals(tables[2][column])
    assert not tables[0]["sold_kwh"].equals(tables[1]["sold_kwh"])
