"""Money: every dollar is somebody's, computed a second time from energies, asks and prices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import naive
from support import STYLES, begin, month, random_actions, with_prices

from vpp_env.contract.bids import RESERVE_TICK, encode
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.simulation.holdings import closing_value, ev_deficit
from vpp_env.simulation.outcome import Outcome, net_benefit
from vpp_env.simulation.world import World
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

DT = 0.25
BASE = {
    "fleet.size": 15,
    "fleet.share_bess": 0.7,
    "fleet.share_ev": 0.7,
    "fleet.v2g_share": 0.6,
    "market.min_bid_mw": 0.0,
    "time.opportunity_minutes": 15,
    "time.duration_hours": 24,
    "time.start": "2023-08-02T09:00",
    "market.call_probability": 0.3,
    "market.compute_usd_per_hour": 0.5,
}
KINDS = {
    "default": {},
    "uniform": {"market.payment": "uniform"},
    "pay_as_bid": {"market.payment": "pay_as_bid"},
    "stress": {"market.deviation_kappa": 0.25, "market.max_capacity_mw": 0.02},
    "spring": {"time.start": "2023-04-02T09:00"},
    "minimum": {"market.min_bid_mw": 0.015},
    "reference": {"market.clearing": "pm10", "market.reserve": False},
    "team": {"reward.team_share": 0.3, "home.control": "self_consumption"},
}


def available_kw(world: World) -> np.ndarray:
    """What each home can keep up for the reserve period, from its state and the baseline's charging alone."""
    m, s, k = world.months[0], world.state, world.clock(world.t)[1]
    f, spec = m.fleet, m.scenario.fleet
    hours = m.scenario.market.reserve_minutes / 60
    plan, baseline = world.day.plan, world.day.baseline
    plugged = (k < plan.dep) | ((plan.arr <= k) & (k < plan.out))
    battery = np.clip((s.battery.soc_kwh - f.bess_min_kwh) * spec.bess_eta / hours, 0.0, f.bess_kw)
    car = np.clip((s.vehicle.soc_kwh - f.ev_min_kwh) * spec.ev_eta / hours, 0.0, f.v2g_kw)
    return battery + np.where(plugged, baseline.ev_kw[k] + car, 0.0)


def lines_awarded(o: Outcome, world: World, able: np.ndarray) -> np.ndarray:
    """(2, N) kW on the cheaper and the dearer sell line, by the naive market; `able` (2, N) kW for sale, to buy."""
    market, offers = world.scenario.market, o.offers
    rows = (offers.sell1_q, offers.sell1_tick, offers.sell2_q, offers.sell2_tick, offers.buy_q, offers.buy_tick)
    can = np.floor(able / POWER_QUANTUM_KW + 1e-9).astype(int)
    homes = [naive.Home(*(int(x) for x in home)) for home in zip(*(r[0] for r in rows), *can, strict=True)]
    rules = naive.Rules(
        lmp=Fraction(float(o.lmp[0, 0])),
        margin=Fraction(str(market.margin)),
        cap=int(market.max_capacity_mw * 1e5 + 1e-9),
        least=int(np.ceil(market.min_bid_mw * 1e5 - 1e-9)),
        on_offers=market.minimum == "offer",
    )
    clear = {"price_taker": naive.price_taker, "pm10": naive.pm10}[market.clearing]
    got = [
        (second, first) if h.ask > h.ask2 else (first, second)
        for h, (first, second, _) in zip(homes, clear(homes, rules), strict=True)
    ]
    return np.array(got).T * POWER_QUANTUM_KW


def expected_payments(o: Outcome, world: World, available: np.ndarray, able: np.ndarray) -> tuple[np.ndarray, float]:
    """(N,) USD to the members by kind, and the no-pay, for a 15-min opportunity with spin and non-spin on sale."""
    market = world.scenario.market
    rows, lmp = o.ledger[:, 0], o.lmp[0, 0]
    asks = np.sort([o.offers.sell1_tick[0], o.offers.sell2_tick[0]], axis=0) * PRICE_TICK
    awarded = lines_awarded(o, world, able)
    np.testing.assert_allclose(
        awarded.sum(axis=0) * DT, np.maximum(rows[led.L_AWARD], 0.0), rtol=0, atol=1e-9, err_msg="the sale awards"
    )
    price = {
        "floor_and_share": np.maximum(asks, market.revenue_share * lmp),
        "pay_as_bid": asks,
        "uniform": np.maximum(asks, asks[awarded > 0].max(initial=0.0)),
    }[market.payment]
    # the cheaper line is served first, then the dearer one, then a call, which is paid like it
    cheap = np.minimum(rows[led.L_SOLD], awarded[0] * DT)
    sold = price[0] * cheap + price[1] * (rows[led.L_SOLD] + rows[led.L_CALLED] - cheap)
    # a clearing may accept a limit below the price: nobody pays more than its own limit
    most = np.minimum(lmp, o.offers.buy_tick[0] * PRICE_TICK)
    energy = sold - most * rows[led.L_BOUGHT] - lmp * rows[led.L_FORCED]
    if not world.products:
        return energy, 0.0
    # spin is never below non-spin: it is the best-paid product of every home
    rho = o.rho[0, 0, 0]
    reserve = rows[led.L_RESERVE]
    least = o.offers.reserve_tick[0] * RESERVE_TICK
    pay = {
        "floor_and_share": np.maximum(least, market.revenue_share * rho),
        "pay_as_bid": least,
        "uniform": np.maximum(least, least[reserve > 0].max(initial=0.0)),
    }[market.payment]
    missing = np.clip(reserve - np.maximum(available * DT - rows[led.L_SOLD], 0.0), 0.0, None)
    return energy + pay * (reserve - missing), float((rho * missing).sum())


@settings(deadline=None, max_examples=20, derandomize=True)
@given(kind=st.sampled_from(list(KINDS)), bids=st.integers(0, 9999), style=st.sampled_from(STYLES))
def test_money_is_conserved_and_recomputed(kind: str, bids: int, style: str) -> None:
    world = begin(month("week20", BASE | KINDS[kind], bids % 3))
    market, rng = world.scenario.market, np.random.default_rng(bids)
    while not world.done:
        own_use = market is not None and world.scenario.home.control == "self_consumption"
        available, quote = available_kw(world), world.snapshot().homes.quote
        able = np.stack([quote.sell, quote.buy])
        o = world.step(random_actions(rng, world.n_homes, style))
        rows, money, lmp = o.ledger[:, 0], o.money, float(o.lmp[0, 0])
        kwh = rows[led.L_SOLD] + rows[led.L_CALLED] - rows[led.L_BOUGHT] - rows[led.L_FORCED]
        assert money.energy[0] == pytest.approx(float((lmp * kwh).sum()), abs=1e-9)
        rho = o.rho[0, 0, 0] if world.products else 0.0
        assert money.reserve[0] == pytest.approx(float((rho * rows[led.L_RESERVE]).sum()), abs=1e-9)
        gap = kwh - rows[led.L_AWARD] - rows[led.L_CALLED]
        expected = market.deviation_kappa * abs(gap.sum()) * max(lmp, 0.0)
        assert money.deviation[0] == pytest.approx(expected, abs=1e-9)
        assert money.compute[0] == pytest.approx(0.5 * DT)
        if not own_use:
            paid, nopay = expected_payments(o, world, available, able)
            ledger_pay = rows[led.L_PAY_SOLD : led.L_PAY_RESERVE + 1].sum(axis=0)
            np.testing.assert_allclose(ledger_pay, paid, rtol=0, atol=1e-9)
            assert money.nopay[0] == pytest.approx(nopay, abs=1e-9)
            revenue = float((lmp * kwh + rho * rows[led.L_RESERVE]).sum()) - nopay - expected
            profit = revenue - float(paid.sum()) - 0.5 * DT
            assert money.profit[0] == pytest.approx(profit, abs=1e-9)
        assert money.revenue[0] == pytest.approx(money.profit[0] + money.payments[0] + money.compute[0], abs=1e-9)
        assert -1e-12 <= money.nopay[0] <= money.reserve[0] + 1e-9
        assert (rows[led.L_PAY_RESERVE] >= -1e-12).all(), "nobody pays for being on reserve"


@pytest.mark.parametrize("kind", ["default", "spring", "team"])
def test_the_members_net_benefit(kind: str) -> None:
    """One home a month: its bills follow from the retail meter, tariff and clock alone."""
    changes = BASE | KINDS[kind] | {"fleet.size": 1, "time.opportunity_minutes": 60}
    months = [month("week20", changes, e) for e in range(10)]
    world, home = begin(*months), months[0].scenario.home
    rng = np.random.default_rng(0)
    total = 0.0
    while not world.done:
        t = world.t
        k, baseline = world.clock(t)[1], world.day.baseline
        o = world.step(random_actions(rng, world.n_months))
        rows, bill, wear = o.ledger[:, :, 0], np.zeros(10), np.zeros(10)
        for j, flow in enumerate(o.flow_kw):
            hour = world.calendar.hour[t + j]
            rate = home.import_peak_usd_per_kwh if 16 <= hour < 21 else home.import_offpeak_usd_per_kwh
            for meter, sign in ((flow[FLOW.retail], 1.0), (flow[FLOW.retail_baseline], -1.0)):
                bill += sign * DT * np.where(meter < 0, -meter * rate, -meter * home.export_credit_usd_per_kwh)
            cycled = flow[FLOW.battery] + flow[FLOW.v2g] + flow[FLOW.home_discharge] - baseline.bess_dis[k + j]
            wear += 0.063 * DT * cycled
        pay = rows[led.L_PAY_SOLD] + rows[led.L_PAY_BOUGHT] + rows[led.L_PAY_FORCED] + rows[led.L_PAY_RESERVE]
        mine = pay - bill - wear - rows[led.L_AWAY]
        np.testing.assert_allclose(net_benefit(o.ledger)[:, 0], mine, rtol=0, atol=1e-9)
        total += float(np.abs(mine).sum())
    assert total > 1.0


def fire_sale(world: World) -> np.ndarray:
    return encode(world.sell_limit_kw, world.buy_limit_kw, sell1_kw=99.0, sell1_ask=0.0)


def spree(world: World, limit: float = 0.35) -> np.ndarray:
    return encode(world.sell_limit_kw, world.buy_limit_kw, buy_kw=99.0, buy_limit=limit)


HOUR = BASE | {"time.duration_hours": 2, "time.opportunity_minutes": 60, "market.compute_usd_per_hour": 0.0}


def test_a_sale_at_a_positive_price_earns_for_everybody() -> None:
    world = begin(with_prices(month("week20", HOUR), rt=200.0, calls=False))
    o = world.step(fire_sale(world))
    assert o.award_kw.min() > 0.0
    assert (o.market_kw == o.flow_kw[:, FLOW.market]).all()
    assert o.market_kw.min() > 0.0, "plus is out to the grid"
    sold = float(o.ledger[led.L_SOLD].sum())
    assert o.money.energy[0] == pytest.approx(0.2 * sold, abs=1e-9)
    assert o.money.payments[0] == pytest.approx(0.7 * 0.2 * sold, abs=1e-9)
    assert o.money.profit[0] == pytest.approx(0.3 * 0.2 * sold, abs=1e-9)


def test_buying_at_a_negative_price_pays_the_member() -> None:
    world = begin(with_prices(month("week20", HOUR), rt=-50.0, calls=False))
    o = world.step(spree(world, limit=-0.05))
    bought = float(o.ledger[led.L_BOUGHT].sum())
    assert bought > 1.0
    assert o.market_kw.max() < 0.0, "minus is in from the grid"
    assert float(o.ledger[led.L_PAY_BOUGHT].sum()) == pytest.approx(0.05 * bought, abs=1e-9)
    assert o.money.energy[0] == pytest.approx(0.05 * bought, abs=1e-9)
    assert o.money.profit[0] == pytest.approx(0.0, abs=1e-9)
    dearer = begin(with_prices(month("week20", HOUR), rt=-49.0, calls=False))
    assert dearer.step(spree(dearer, limit=-0.05)).ledger[led.L_BOUGHT].sum() == 0.0


def test_nothing_is_sold_at_a_negative_price() -> None:
    world = begin(with_prices(month("week20", HOUR), rt=-1.0, calls=False))
    o = world.step(fire_sale(world))
    assert o.ledger[led.L_SOLD].sum() == 0.0
    assert not o.void.any()


def test_a_call_delivers_for_half_an_hour_and_is_paid() -> None:
    patched = with_prices(month("week20", HOUR), rt=100.0, reserve={"spin": 30.0, "nonspin": 1.0}, calls=True)
    world = begin(patched)
    a = encode(world.sell_limit_kw, world.buy_limit_kw, sell1_ask=0.12, reserve_kw=2.0, reserve_ask=0.01)
    o = world.step(a)
    called = o.flow_kw[:, FLOW.called, 0]
    assert called.min() > 5.0
    np.testing.assert_allclose(called, o.reserve_kw[:, 0], rtol=0, atol=1e-9)
    kwh, rows = float(called.sum() * DT), o.ledger[:, 0]
    assert rows[led.L_SOLD].sum() == 0.0
    assert rows[led.L_CALLED].sum() == pytest.approx(kwh, abs=1e-9)
    assert o.money.energy[0] == pytest.approx(0.1 * kwh, abs=1e-9)
    assert rows[led.L_PAY_SOLD].sum() == pytest.approx(0.12 * kwh, abs=1e-9), "a call is paid at the sell ask"
    assert o.money.reserve[0] == pytest.approx(0.03 * float(o.reserve_kw.sum()) * DT, abs=1e-9)
    quiet = begin(with_prices(patched, calls=False))
    assert quiet.step(a).ledger[led.L_CALLED].sum() == 0.0


def test_calls_last_thirty_minutes_and_come_as_often_as_drawn() -> None:
    m = month("week20", {"market.call_probability": 0.2, "fleet.size": 1})
    pairs = m.calls[: len(m.calls) // 2 * 2].reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert 0.1 < pairs[:, 0].mean() < 0.3
    assert not month("week20", {"market.call_probability": 0.0, "fleet.size": 1}).calls.any()


def test_charging_elsewhere_is_the_members_cost() -> None:
    """V2G to the bottom before a trip: what the car then takes elsewhere is paid by its home."""
    changes = BASE | {"fleet.share_ev": 1.0, "fleet.v2g_share": 1.0, "time.duration_hours": 48, "fleet.size": 30}
    world = begin(with_prices(month("week20", changes, 2), rt=400.0))
    away = missed = 0.0
    while not world.done:
        o = world.step(fire_sale(world))
        cost = o.ledger[led.L_AWAY, 0]
        missed += float(o.missed.sum())
        away += float(cost.sum())
        assert (cost >= 0).all()
    assert missed > 0
    assert away > 0


def test_the_last_of_the_battery_is_not_free() -> None:
    """Ending with empty batteries is charged to the members: the closing value makes up for what is missing."""
    world = begin(with_prices(month("week20", HOUR | {"time.duration_hours": 4}), rt=400.0, calls=False))
    while not world.done:
        world.step(fire_sale(world))
    closing = closing_value(world)[0]
    baseline = world.months[0].day(0)[1].bess_soc[world.clock(world.t)[1] - 1]
    gone = baseline - world.state.battery.soc_kwh
    assert gone.max() > 1.0
    assert (closing[gone > 0.1] < 0).all()
    refill = world.owners.refill[0]
    cars = ev_deficit(world) / 0.92 * world.owners.back[0]
    np.testing.assert_allclose(closing, -gone / 0.95 * refill - cars, rtol=0, atol=1e-9)
    still = begin(month("week20", HOUR))
    while not still.done:
        still.step(encode(still.sell_limit_kw, still.buy_limit_kw))
    assert np.abs(closing_value(still)).max() < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_no_pay_never_exceeds_the_reserve_pay(seed: int) -> None:
    """Selling the energy that is also on reserve: the capacity is not there, its pay is lost, and no more than that."""
    changes = {"fleet.size": 40, "fleet.share_bess": 1.0, "market.min_bid_mw": 0.0, "time.duration_hours": 48}
    world, rng = begin(month("week20", changes, seed)), np.random.default_rng(seed)
    lost = 0.0
    while not world.done:
        sell = rng.uniform(0.2, 0.5, world.n_homes) * world.sell_limit_kw
        actions = encode(
            world.sell_limit_kw, world.buy_limit_kw, sell1_kw=sell, sell1_ask=0.0, reserve_kw=99.0, reserve_ask=0.0
        )
        o = world.step(actions)
        lost += float(o.money.nopay[0])
        assert o.money.nopay[0] <= o.money.reserve[0] + 1e-12
        assert o.ledger[led.L_PAY_RESERVE].min() >= -1e-12
    assert lost > 0.0
