"""A self-consuming home, its tariff and its export credit, by hand: plain Python over one home at a time."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led

BASE = {
    "fleet.size": 10,
    "fleet.share_bess": 1.0,
    "fleet.share_ev": 0.0,
    "fleet.share_pv": 0.7,
    "time.duration_hours": 60,
    "home.control": "self_consumption",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"time.start": "2023-03-11T06:00"},
        {"time.start": "2023-11-04T06:00", "home.peak_hours": (6.0, 9.0)},
        {
            "home.import_peak_usd_per_kwh": 0.9,
            "home.export_credit_usd_per_kwh": 0.2,
            "preferences.backup_hours": ((0.0, 1.0),) * 3,
        },
        {"home.control": "backup"},
    ],
)
def test_idle_homes_by_hand(changes: dict[str, object]) -> None:
    world = begin(month("week20", BASE | changes, 2))
    m, home = world.months[0], world.scenario.home
    fleet, eta, dt = m.fleet, m.scenario.fleet.bess_eta, 0.25
    soc = [float(x) for x in fleet.bess_init_kwh]
    used_battery = exported = 0.0
    while not world.done:
        t = world.t
        o = world.step(np.full((10, 8), -1.0))
        bill = [0.0] * 10
        for j in range(4):
            stamp, day = m.calendar.local[t + j], int(m.calendar.day[t + j])
            plan, k = m.day(day)[0], int(m.calendar.step_of_day[t + j])
            hour = stamp.hour + stamp.minute / 60
            rate = (
                home.import_peak_usd_per_kwh
                if home.peak_hours[0] <= hour < home.peak_hours[1]
                else home.import_offpeak_usd_per_kwh
            )
            for i in range(10):
                surplus = float(plan.pv[k, i]) - float(plan.load[k, i])
                charge = discharge = 0.0
                if surplus > 0:
                    charge = max(
                        0.0, min(surplus, float(fleet.bess_kw[i]), (float(fleet.bess_max_kwh[i]) - soc[i]) / eta / dt)
                    )
                elif home.control == "self_consumption":
                    floor = max(float(fleet.floor_kwh[i]), float(fleet.bess_min_kwh[i]))
                    discharge = max(0.0, min(-surplus, float(fleet.bess_kw[i]), (soc[i] - floor) * eta / dt))
                soc[i] += (charge * eta - discharge / eta) * dt
                net = surplus - charge + discharge
                bill[i] += dt * (-net * rate if net < 0 else -net * home.export_credit_usd_per_kwh)
                used_battery += discharge
                exported += max(0.0, net)
            np.testing.assert_allclose(o.soc_home_kwh[j, 0, 0], soc, atol=1e-6)
        np.testing.assert_allclose(o.ledger[led.L_BILL, 0], bill, atol=1e-6)
        np.testing.assert_allclose(o.ledger[led.L_BILL_BASELINE, 0], bill, atol=1e-6)
    assert exported > 0
    assert (used_battery > 0) == (home.control == "self_consumption")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("power_kw", [0.3, 5.0])
def test_buying_at_wholesale_to_use_it_at_home_gains_nothing(seed: int, power_kw: float) -> None:
    """The battery fills at a twentieth of the tariff, hour by hour; the home's bill is not below its baseline's."""
    changes = {
        "fleet.share_pv": 0.0,
        "market.reserve": False,
        "market.min_bid_mw": 0.0,
        # one tariff: a purchase makes the home's own use wait, and its own energy may then be used at a dearer hour
        "home.import_peak_usd_per_kwh": 0.35,
        "home.import_offpeak_usd_per_kwh": 0.35,
        # nobody is below the floor, which would be restored at retail
        "preferences.backup_hours": ((0.0, 1.0),) * 3,
    }
    world = begin(with_prices(month("week20", BASE | changes, seed), rt=15.0))
    m, gain, bought, payment = world.months[0], 0.0, 0.0, 0.0
    while not world.done:
        before = world.state.battery.soc_kwh - world.state.battery.market_kwh
        buys = encode(m.fleet.sell_limit_kw, m.fleet.buy_limit_kw, buy_kw=power_kw, buy_limit=0.3)
        o = world.step(buys, override=np.ones(10, dtype=bool))
        rows = o.ledger[:, 0]
        gain += float((rows[led.L_BILL_BASELINE] - rows[led.L_BILL]).sum())
        bought += float(rows[led.L_BOUGHT].sum())
        payment += float(rows[led.L_PAY_BOUGHT].sum())
        state = world.state.battery
        assert (state.market_kwh >= 0.0).all()
        assert (state.market_kwh <= state.soc_kwh).all()
        # the owner's own energy only falls, by what the home uses, and stays above the floor once it is there
        assert (state.soc_kwh - state.market_kwh <= before + 1e-9).all()
    assert bought > 10.0
    assert payment == pytest.approx(-0.015 * bought, abs=1e-9)
    assert gain <= 1e-9


def test_what_was_bought_goes_back_to_the_market() -> None:
    """Bought energy is sold first: buying and selling it leaves the owner's own energy alone."""
    changes = {"fleet.share_pv": 0.0, "market.reserve": False, "market.min_bid_mw": 0.0, "home.control": "backup"}
    world = begin(with_prices(month("week20", BASE | changes, 1), rt=15.0))
    m = world.months[0]
    limits = m.fleet.sell_limit_kw, m.fleet.buy_limit_kw
    own = world.state.battery.soc_kwh.copy()
    everywhere = np.ones(10, dtype=bool)
    world.step(encode(*limits, buy_kw=1.0, buy_limit=0.3), override=everywhere)
    there = world.state.battery.market_kwh.copy()
    assert there.max() > 0.9
    np.testing.assert_allclose(world.state.battery.soc_kwh - there, own, rtol=0, atol=1e-9)
    world.step(encode(*limits, sell1_kw=0.5, sell1_ask=0.0), override=everywhere)
    state = world.state.battery
    assert (state.market_kwh < there)[there > 0].all()
    np.testing.assert_allclose(state.soc_kwh - state.market_kwh, own, rtol=0, atol=1e-9)
