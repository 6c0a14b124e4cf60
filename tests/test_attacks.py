"""Ways in which a figure could flatter a policy, tried."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from support import begin, leaves, month, play, with_prices
from vpp_benchmarks.run.job import play as play_job
from vpp_benchmarks.run.plan import make_plan
from vpp_benchmarks.run.progress import LogProgress

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo, make_policy
from vpp_env.contract.views import Information, View
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.errors import InformationError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.scenario import load_scenario
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import net_benefit
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

RICH = {
    "fleet.size": 30,
    "fleet.share_bess": 1.0,
    "fleet.share_ev": 1.0,
    "fleet.v2g_share": 1.0,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.0,
    "time.duration_hours": 72,
}


def sell_all(world: World, ask: float = 0.0) -> np.ndarray:
    return encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=ask)


def buy_all(world: World) -> np.ndarray:
    return encode(world.sell_limit_kw, world.buy_limit_kw, buy_kw=99.0, buy_limit=0.35)


def test_every_kind_of_violation_is_counted_when_it_is_provoked() -> None:
    """Empty everything in one hour and fill it in the next, at any price."""
    world = begin(with_prices(month("week20", RICH, 1), rt=100.0))
    seen = np.zeros(len(VIOLATIONS), dtype=int)
    turn = 0
    while not world.done:
        seen += world.step(sell_all(world) if turn % 2 else buy_all(world)).violated[:, 0].sum(axis=1)
        turn += 1
    assert (seen > 0).all(), dict(zip(VIOLATIONS, seen.tolist(), strict=True))


def test_a_purchase_above_the_owners_limit_is_outside_the_envelope() -> None:
    base = month("week20", RICH | {"preferences.max_blackouts_per_week": 0}, 1)
    dear, cheap = begin(with_prices(base, rt=150.0)), begin(with_prices(base, rt=1.0))
    o = dear.step(buy_all(dear))
    bought = o.flow_kw[:, FLOW.battery_bought].sum() / 4
    assert bought > 1.0
    assert o.ledger[led.L_BEYOND].sum() == pytest.approx(bought, abs=1e-9)
    assert cheap.step(buy_all(cheap)).ledger[led.L_BEYOND].sum() == 0.0


def test_a_discharge_beyond_the_daily_limit_is_outside_the_envelope() -> None:
    """Refilled every other hour the battery never meets its floor: it is the day's limit that is broken."""
    world = begin(with_prices(month("week20", RICH | {"fleet.share_ev": 0.0}, 2), rt=60.0))
    beyond = depth = 0.0
    limit = world.parameters.battery.day_limit_kwh
    used = np.zeros(world.n_homes)
    for turn in range(20):
        keep = np.maximum(world.state.battery.soc_kwh - world.parameters.battery.floor_kwh, 0.0) * 0.9
        sale = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=keep, sell1_ask=0.0)
        o = world.step(sale if turn % 2 else buy_all(world))
        used += o.ledger[led.L_BESS, 0]
        if turn % 2:
            beyond, depth = beyond + float(o.ledger[led.L_BEYOND].sum()), depth + float(o.ledger[led.L_DEPTH_H].sum())
    windows = world.months[0].fleet.blackout[:, :, 0].max(axis=1) >= 0
    assert (used > limit + 1e-6).any()
    over = np.maximum(used - limit, 0.0)[~windows].sum()
    assert beyond >= over - 1e-6
    assert over > 1.0


def test_day_limits_begin_anew_at_local_midnight() -> None:
    world = begin(with_prices(month("week20", RICH | {"time.start": "2023-11-04T20:00"}, 1), rt=300.0))
    for _ in range(4):
        world.step(sell_all(world))
    assert world.wall_clock()[0] == 0.0
    assert not world.state.battery.discharged_kwh.any()


class Liar:
    """Claims a profit, a coalition and columns that are the runner's; tears at every array it is given."""

    info = PolicyInfo("liar", Information.FULL, Consent.NEVER, "claims things")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._rules = rules
        rules.sell_limit_kw.setflags(write=True)
        self._sell = rules.sell_limit_kw.copy()
        rules.sell_limit_kw[:] *= 1000.0

    def act(self, view: View) -> Bids:
        for part in (view.public, view.homes):
            for f in fields(part):
                array = getattr(part, f.name)
                if isinstance(array, np.ndarray) and array.dtype == np.float64:
                    array.setflags(write=True)
                    array[:] = 1e6
        view.public.past_reserve_usd_per_kw_h.clear()
        n = self._rules.n_homes
        notes = {"actual_profit": 1e9, "prosumer_satisfaction": 1.0, "money_energy": 1e9, "sold_kwh": 1e9}
        actions = encode(self._sell, self._rules.buy_limit_kw, sell1_kw=5.0, sell1_ask=0.0)
        return Bids(actions, np.ones(n, dtype=bool), expected_profit_usd=1e9, notes=notes)


class Plain(Liar):
    """The same bids without the lies."""

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._rules, self._sell = rules, rules.sell_limit_kw

    def act(self, view: View) -> Bids:
        return Bids(encode(self._sell, self._rules.buy_limit_kw, sell1_kw=5.0, sell1_ask=0.0))


def test_what_a_policy_claims_or_breaks_changes_no_figure() -> None:
    m = month("week20", RICH | {"time.duration_hours": 12})
    lies, truth = simulate(m, Liar()), simulate(m, Plain())
    assert np.array_equal(lies.record.totals, truth.record.totals)
    told, real = (replace(summarize(run), avg_time_seconds=0.0) for run in (lies, truth))
    assert repr(told) == repr(real)


class Turncoat:
    """Declares that it sees and asks little, and takes back both while it plays."""

    info = PolicyInfo("turncoat", Information.OWN, Consent.NEVER, "changes its mind")

    def __init__(self, when: str) -> None:
        self._when = when

    def _turn(self, when: str) -> None:
        if when == self._when:
            self.info = PolicyInfo("turncoat", Information.ORACLE, Consent.OWN_BIDS, "sees everything")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._rules = rules
        self._turn("reset")

    def act(self, view: View) -> Bids:
        self._turn("act")
        with pytest.raises(InformationError):
            view.foresight()
        rules = self._rules
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, sell1_kw=5.0, sell1_ask=0.0))


@pytest.mark.parametrize("when", ["reset", "act"])
def test_what_was_declared_before_the_month_holds_to_its_end(when: str) -> None:
    run = simulate(month("week20", RICH | {"time.duration_hours": 6}), Turncoat(when))
    summary = summarize(run)
    assert run.info.information is Information.OWN
    assert summary["satisfaction_consented"] == 0.0
    assert summary["sold_mwh"] > 0.0


class Fickle(Turncoat):
    """Declares something else every time that it is made."""

    def __init__(self) -> None:
        super().__init__("never")
        # a policy from outside is made in a process of its own: what it remembers lies in a file
        made = Path(os.environ["FICKLE"])
        again = made.exists()
        made.touch()
        if again:
            self.info = PolicyInfo("turncoat", Information.ORACLE, Consent.OWN_BIDS, "sees everything")


def test_a_run_is_played_with_what_its_plan_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FICKLE", str(tmp_path / "made"))
    plan = make_plan(load_scenario("quick"), [f"{__name__}:Fickle"], (0,))
    (job,) = plan.jobs(0)
    result = play_job(job, LogProgress())
    assert result.status == "failed"
    assert "declared" in result.reason


def bytes_of(m: Month) -> list[bytes]:
    plan, baseline = m.day(0)
    arrays = leaves((plan, baseline, m.parameters, tuple(m.rules)))
    arrays += [getattr(m.fleet, f.name) for f in fields(m.fleet)]
    arrays += [m.series.da_usd_per_mwh, m.series.rt_usd_per_mwh, *m.series.reserve_usd_per_mw.values()]
    return [x.tobytes() for x in (*arrays, m.calls)]


def test_a_played_month_is_as_it_was() -> None:
    m = month("quick", RICH | {"time.duration_hours": 6}, 9)
    before = bytes_of(m)
    for style in ("edge", "sell", "buy"):
        play(begin(m), 1, style)
    assert bytes_of(m) == before


def test_prices_and_calls_do_not_depend_on_who_lives_there() -> None:
    small = month("week20", {"fleet.size": 3, "fleet.share_ev": 0.0})
    large = month("week20", {"fleet.size": 50, "home.control": "self_consumption", "market.payment": "uniform"})
    assert np.array_equal(small.series.rt_usd_per_mwh, large.series.rt_usd_per_mwh)
    assert np.array_equal(small.series.da_usd_per_mwh, large.series.da_usd_per_mwh)
    assert np.array_equal(small.calls, large.calls)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    """The end of a run casts no shadow: what is played before it is the same in a longer one."""
    short, long = (begin(month("week20", {"fleet.size": 6, "time.duration_hours": h}, 2)) for h in (20, 50))
    rng = np.random.default_rng(0)
    while not short.done:
        a = rng.uniform(-1, 1, (6, 8))
        one, other = short.step(a), long.step(a)
        assert np.array_equal(one.ledger, other.ledger)


def test_wash_trades_between_members_earn_the_market_nothing() -> None:
    """Half the homes sell to the other half: the market sees the difference, and pays for no more."""
    base = with_prices(month("week20", RICH | {"fleet.share_ev": 0.0, "time.duration_hours": 2}), rt=100.0)
    world = begin(base)
    odd = np.arange(world.n_homes) % 2 == 1
    o = world.step(
        encode(
            world.sell_limit_kw,
            world.buy_limit_kw,
            sell1_kw=np.where(odd, 1.0, 0.0),
            sell1_ask=0.0,
            buy_kw=np.where(odd, 0.0, 1.0),
            buy_limit=0.35,
        )
    )
    net = o.ledger[led.L_SOLD].sum() - o.ledger[led.L_BOUGHT].sum()
    assert o.ledger[led.L_SOLD].sum() > 5.0
    assert o.money.energy[0] == pytest.approx(0.1 * net, abs=1e-9)
    assert o.money.revenue[0] == pytest.approx(o.money.profit[0] + o.money.payments[0], abs=1e-9)


def test_round_trips_lose_energy() -> None:
    """Buying and selling back and forth at one price cannot earn: efficiency and wear are paid for."""
    base = with_prices(month("week20", RICH | {"fleet.share_ev": 0.0, "fleet.share_pv": 0.0}), rt=50.0, da=50.0)
    world = begin(base)
    benefit = profit = 0.0
    for turn in range(24):
        o = world.step(buy_all(world) if turn % 2 else sell_all(world))
        benefit += float(net_benefit(o.ledger).sum())
        profit += float(o.money.profit[0])
    assert profit + benefit + float(closing_value(world).sum()) < 0.0


def test_the_loops_mean_in_python_what_they_mean_compiled() -> None:
    """Uncompiled, an index out of range is an error and not a read from somewhere else."""
    here = Path(__file__).parent
    code = "from test_attacks import short_run; print(short_run())"
    paths = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == short_run()


def short_run() -> str:
    """The ledger's and observations' sums of three homes over some hours across midnight, to the last bit."""
    from vpp_env.api.observation import Observer

    changes = {"fleet.size": 3, "time.start": "2023-03-12T22:00", "time.duration_hours": 6}
    world = begin(month("week20", RICH | changes | {"market.regulation": True, "market.call_probability": 0.5}, 1))
    seen = Observer(world)
    total, sights = 0.0, 0.0
    for o in play_and_look(world, seen):
        total += float(o[0])
        sights += float(o[1])
    return f"{total!r} {sights!r}"


def play_and_look(world: World, seen: object) -> list[tuple[float, float]]:
    rng, made = np.random.default_rng(0), []
    while not world.done:
        o = world.step(rng.uniform(-1, 1, (world.n_homes, 8)))
        made.append((float(np.abs(o.ledger).sum()), float(seen.matrix().astype(float).sum())))  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("policy", ["random", "truthful", "centralized"])
def test_nothing_is_lost_or_counted_twice_between_the_vpp_and_its_members(policy: str) -> None:
    """The joint surplus, from what passes the outside: market, retailer, wear, stores; no pay between them in it."""
    run = simulate(month("week20", {"time.duration_hours": 96, "market.call_probability": 0.2}, 1), make_policy(policy))
    kpi, totals = summarize(run), run.record.totals
    from_market = run.record.opportunities()[["money_energy", "money_reserve"]].sum().sum()
    rescinded = run.record.opportunities()[["money_nopay", "money_deviation", "money_compute"]].sum().sum()
    retailer = (totals[led.L_BILL] - totals[led.L_BILL_BASELINE]).sum()
    worn = (totals[led.L_WEAR] + totals[led.L_AWAY]).sum()
    outside = from_market - rescinded - retailer - worn + run.record.closing_value().sum()
    assert kpi["joint_surplus"] == pytest.approx(outside, abs=1e-9 * len(run.record.rows))
    assert kpi["member_payments"] != 0.0, "the test can fail"


def test_an_oracle_that_tears_at_foresight_changes_no_month() -> None:
    m = month("quick", RICH | {"time.duration_hours": 6}, 9)
    before = bytes_of(m)
    world = begin(m)
    for _ in range(2):
        foresight = build_view(world, Information.ORACLE).foresight()
        for f in fields(foresight):
            array = getattr(foresight, f.name)
            if isinstance(array, np.ndarray):
                array.setflags(write=True)
                array[...] = 1
        world.step(sell_all(world))
    again = build_view(begin(m), Information.ORACLE).foresight()
    assert bytes_of(m) == before
    assert again.lmp.max() < 10.0
    assert (again.lmp != 1.0).all()
