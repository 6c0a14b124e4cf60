"""A self-consuming home, its tariff and its export credit, by hand: plain Python over one home at a time."""

from __future__ import annotations

import numpy as np
import pytest
from support import begin, month

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
