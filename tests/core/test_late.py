"""What a feeder will keep from a car, against a plain loop of each feeder: the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from support import month

from vpp_env.core.feeder import FINE_KW
from vpp_env.core.layout import Day, Homes, copied, no_quote
from vpp_env.core.loops import find_late
from vpp_env.simulation.month import Month

FULL = {"fleet.share_ev": 0.9, "fleet.share_bess": 0.5, "time.duration_hours": 96}


def plain_late(m: Month, day: Day, first: int) -> np.ndarray:
    """(n, N) kWh, see `BaselineDay.ev_late`: feeder by feeder, and home by home at every step."""
    plan, out, rules = day.plan, day.baseline, m.rules
    n, homes = plan.load.shape
    late = np.zeros((n, homes))
    for one in range(0, homes, rules.feeder_homes):
        mine = range(one, min(one + rules.feeder_homes, homes))
        for k in range(n - 1, first, -1):
            room = rules.feeder_kw
            for i in mine:
                sun = float(plan.pv[k, i] - plan.load[k, i])
                room += sun - out.ev_kw[k, i] - out.bess_ch[k, i] + out.bess_dis[k, i]
            for i in mine:
                there = k - 1 < plan.dep[i] or plan.arr[i] <= k - 1 < plan.out[i]
                end = plan.dep[i] if k - 1 < plan.dep[i] else plan.out[i]
                due = end - k + 1 if end < n else n - k + 1 + plan.next_due[i]
                if k - 1 < plan.ready[i]:
                    due = min(due, plan.ready[i] - k + 1)
                if there and due > 1:
                    kw = m.parameters.vehicle.kw[i] - out.ev_kw[k, i] - max(0.0, room) - FINE_KW
                    late[k - 1, i] = late[k, i] + rules.vehicle.eta * max(0.0, kw) * rules.dt_h
    return late


@pytest.mark.parametrize(("homes", "kw", "size"), [(4, 20.0, 14), (1, 9.0, 5), (10, 35.0, 33)])
def test_what_is_kept_is_the_plain_loops(homes: int, kw: float, size: int) -> None:
    changes = {
        **FULL, "fleet.size": size, "market.feeder_homes": homes, "market.feeder_kw": kw,
        "time.start": "2023-11-03T00:00",
    }  # fmt: skip
    m, seen = month("week20", changes, 3), 0
    for number in (0, 1, 2):
        late = m.day(number).baseline.ev_late
        assert late.tobytes() == plain_late(m, m.day(number), 0).tobytes(), number
        seen += int((late > 0.0).sum())
    assert 20 < seen < 3 * 100 * size * 0.9


def test_a_run_that_begins_in_the_day_leaves_the_hours_before_it_alone() -> None:
    changes = {**FULL, "fleet.size": 12, "market.feeder_homes": 4, "market.feeder_kw": 20.0}
    m = month("week20", {**changes, "time.start": "2023-08-01T10:00"}, 3)
    late = m.day(0).baseline.ev_late
    assert late.tobytes() == plain_late(m, m.day(0), 40).tobytes()
    assert not late[:40].any()
    assert late.any()


def test_without_feeders_nothing_is_kept() -> None:
    m = month("week20", {**FULL, "fleet.size": 12}, 3)
    day = m.day(1)
    assert m.rules.feeder_kw == np.inf
    assert not day.baseline.ev_late.any()
    again = Day(day.plan, day.baseline._replace(ev_late=np.zeros_like(day.baseline.ev_late)))
    find_late(Homes(m.rules, m.parameters, copied(m._baseline_start[1]), no_quote(12)), again, 0)
    assert not again.baseline.ev_late.any()
