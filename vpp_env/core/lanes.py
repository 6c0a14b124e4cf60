"""Eight homes at a time: the phases of a step as a processor's wide registers take them.

What a home does is stated in `core.home` and `core.ledger`, of one home. Here the same functions run over eight homes
in a loop that writes to nothing but a few rows on the stack. The compiler sees that no home can depend on another one,
and makes instructions of eight (or four) numbers of it: the same bits in a sixth of the time. The last homes of a
month, fewer than eight, are not for this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.devices.vehicle import (
    VehicleHeadroom,
    at_home,
    baseline_charge,
    bought_back,
    deferred_charge,
    due_in,
    planned_charge,
    v2g_headroom,
)
from vpp_env.core.feeder import N_STATE, put
from vpp_env.core.headroom import N_HEADROOM, Delivery, headroom_with, put_headroom
from vpp_env.core.home import begin, deliver, flow_at, home_at, order_at, price_at, quote, state_at, step_at
from vpp_env.core.layout import N_FLOW, Day, Homes, HomeState, Order, Price
from vpp_env.core.ledger import BOOKED, DEPARTED, L_AWAY, LACKS, MISSED, N_LEDGER, SHORT, account, book
from vpp_env.jit import LANES, inlined, on_stack, unsigned
from vpp_env.units import Floats

_flow_room = on_stack(N_FLOW, LANES)
_state_room = on_stack(N_STATE, LANES)
_ledger_room = on_stack(N_LEDGER, LANES)
_begun_room = on_stack(14, LANES)
_SOC, _BASELINE, _DUE, _NOW, _GAP, _LEAST, _TOTAL, _BUY, _FIRST, _V2G = range(10)  # V2G: four rows
_course_room = on_stack(13, LANES)
_headroom_room = on_stack(N_HEADROOM, LANES)


class Lot(NamedTuple):
    """What the N homes of one month do in the S steps of an opportunity: step after step, N columns each."""

    flow: Floats  # (N_FLOW, S*N) kW
    state: Floats  # (N_STATE, N) after the step that is being played


def new_lot(steps: int, n: int) -> Lot:
    """Return room for a month of `n` homes."""
    return Lot(np.zeros((N_FLOW, steps * n)), np.zeros((N_STATE, n)))


@inlined
def _give(to: Floats, row: int, first: int, x: Floats, of: int) -> None:
    """Copy row `of` of eight homes to a row, from column `first` on."""
    start = unsigned(first)
    for h in range(LANES):
        to[row, start + unsigned(h)] = x[of, h]


@inlined
def move(to: Floats, first: int, x: Floats, of: int, column: int) -> None:
    """Copy eight homes of row `of`, from a column on, to elements from `first` on."""
    start, begins = unsigned(first), unsigned(column)
    for h in range(LANES):
        to[start + unsigned(h)] = x[of, begins + unsigned(h)]


@inlined
def _add(to: Floats, row: int, first: int, x: Floats, of: int) -> None:
    """Add row `of` of eight homes to a row, from column `first` on."""
    start = unsigned(first)
    for h in range(LANES):
        to[row, start + unsigned(h)] += x[of, h]


@inlined
def deliver_lanes(
    homes: Homes, day: Day, k: int, orders: Order[Floats], prices: Price[Floats], f: int, i: int, c: int, lot: Lot
) -> None:
    """Run the homes f to f + 7 through step k as if there were no feeders.

    In their month they are i to i + 7; of the step their orders, prices and flows are in the columns from c on.
    """
    flows, states, rules = _flow_room(), _state_room(), homes.rules
    for h in range(LANES):
        one, at = unsigned(f + h), unsigned(c + h)
        home, step, order = home_at(homes.home, one), step_at(day, k, one), order_at(orders, at)
        spends = prices.bought[at] <= home.buy_limit
        state, flow = deliver(home, state_at(homes.state, one), step, order, rules, spends, 1.0)
        put(flows, states, h, state, flow)
    for row in range(N_FLOW):
        _give(lot.flow, row, c, flows, row)
    for row in range(N_STATE):
        _give(lot.state, row, i, states, row)


@inlined
def account_lanes(
    homes: Homes,
    day: Day,
    first: int,
    steps: int,
    orders: Order[Floats],
    prices: Price[Floats],
    f: int,
    i: int,
    lot: Lot,
    ledger: Floats,
) -> None:
    """Book what the homes f to f + 7, i to i + 7 of their month, did in the steps from `first` on."""
    x, rules, n = _ledger_room(), homes.rules, lot.state.shape[1]
    for row in BOOKED:
        for h in range(LANES):
            x[row, h] = 0.0
    for j in range(steps):
        c = j * n + i
        for h in range(LANES):
            one, at = unsigned(f + h), unsigned(c + h)
            home, step, flow = home_at(homes.home, one), step_at(day, first + j, one), flow_at(lot.flow, at)
            book(account(home, step, order_at(orders, at), price_at(prices, at), flow, rules), x, h)
    for row in BOOKED:
        _give(ledger, row, f, x, row)


@inlined
def add_lanes(lot: Lot, c: int, sums: Floats) -> None:
    """Add the flows of the homes in columns c to c + 7 to `sums` (N_FLOW,), in their order."""
    for row in range(N_FLOW):
        total = sums[row]
        for h in range(LANES):
            total += lot.flow[row, unsigned(c + h)]
        sums[row] = total


@inlined
def put_lanes(s: HomeState[Floats], f: int, c: int, lot: Lot) -> None:
    """Write the states of the homes f to f + 7, c to c + 7 of their month, after a step."""
    move(s.battery.soc_kwh, f, lot.state, 0, c)
    move(s.battery.discharged_kwh, f, lot.state, 1, c)
    move(s.battery.below_since, f, lot.state, 2, c)
    move(s.battery.market_kwh, f, lot.state, 3, c)
    move(s.vehicle.soc_kwh, f, lot.state, 4, c)
    move(s.vehicle.shortfall, f, lot.state, 5, c)
    move(s.vehicle.lacks, f, lot.state, 6, c)


@inlined
def begin_lanes(homes: Homes, day: Day, k: int, f: int, events: Floats, ledger: Floats) -> None:
    """Begin step k of the homes f to f + 7: states, quotes and events."""
    x, rules, s, q = _begun_room(), homes.rules, homes.state, homes.quote
    for h in range(LANES):
        i = unsigned(f + h)
        home, step = home_at(homes.home, i), step_at(day, k, i)
        state, e = begin(home, state_at(s, i), step)
        able = quote(home, state, step, rules)
        x[0, h], x[1, h] = state.battery.discharged_kwh, state.vehicle.soc_kwh
        x[2, h], x[3, h] = state.vehicle.shortfall, state.vehicle.lacks
        x[4, h], x[5, h], x[6, h] = able.sell, able.buy, able.reserve_up
        x[7, h], x[8, h] = able.reserve_down, able.reserve_kept
        x[9, h], x[10, h], x[11, h], x[12, h] = e.departed, e.short, e.missed, max(0.0, e.lacks)
        x[13, h] = rules.away * e.away_kwh
    move(s.battery.discharged_kwh, f, x, 0, 0)
    move(s.vehicle.soc_kwh, f, x, 1, 0)
    move(s.vehicle.shortfall, f, x, 2, 0)
    move(s.vehicle.lacks, f, x, 3, 0)
    move(q.sell, f, x, 4, 0)
    move(q.buy, f, x, 5, 0)
    move(q.reserve_up, f, x, 6, 0)
    move(q.reserve_down, f, x, 7, 0)
    move(q.reserve_kept, f, x, 8, 0)
    _add(events, DEPARTED, f, x, 9)
    _add(events, SHORT, f, x, 10)
    _add(events, MISSED, f, x, 11)
    _add(events, LACKS, f, x, 12)
    _add(ledger, L_AWAY, f, x, 13)


@inlined
def headroom_lanes(
    homes: Homes, day: Day, k: int, delivery: Delivery, pending_kwh: Floats, f: int, headroom: Floats
) -> None:
    """Fill the columns of the homes f to f + 7 in `headroom`, seen from step k: `headroom_of`, step by step for all."""
    x, y, rules, steps = _course_room(), _headroom_room(), homes.rules, delivery.steps
    car, dt_h = rules.vehicle, rules.vehicle.dt_h
    for h in range(LANES):
        i = unsigned(f + h)
        x[_SOC, h], x[_BASELINE, h] = homes.state.vehicle.soc_kwh[i], day.baseline.ev_soc[k, i]
        x[_DUE, h] = due_in(step_at(day, k, i).vehicle)
    for ahead in range(delivery.wait):
        for h in range(LANES):
            v, due = home_at(homes.home, unsigned(f + h)).vehicle, x[_DUE, h]
            soc, baseline = planned_charge(v, x[_SOC, h], x[_BASELINE, h], due - ahead, car)
            x[_SOC, h], x[_BASELINE, h] = (soc, baseline) if ahead < due else (x[_SOC, h], x[_BASELINE, h])
    for h in range(LANES):
        v, due = home_at(homes.home, unsigned(f + h)).vehicle, x[_DUE, h] - delivery.wait
        soc, baseline = x[_SOC, h], x[_BASELINE, h]
        x[_V2G, h], x[_V2G + 1, h], x[_V2G + 2, h], x[_V2G + 3, h] = v2g_headroom(v, soc, baseline, due, steps, car)
        x[_DUE, h], x[_NOW, h], x[_GAP, h] = due, baseline_charge(v, baseline, car), max(0.0, baseline - soc)
        x[_LEAST, h], x[_TOTAL, h], x[_BUY, h] = v.kw, 0.0, v.kw
    for ahead in range(steps):
        for h in range(LANES):
            v, due = home_at(homes.home, unsigned(f + h)).vehicle, x[_DUE, h]
            can, p, x[_SOC, h], x[_BASELINE, h] = deferred_charge(v, x[_SOC, h], x[_BASELINE, h], due - ahead, car)
            x[_FIRST, h] = can if ahead == 0 else x[_FIRST, h]
            x[_LEAST, h] = min(x[_LEAST, h], can) if ahead < due else 0.0
            x[_TOTAL, h] = x[_TOTAL, h] + can if ahead < due else x[_TOTAL, h]
            x[_BUY, h] = min(x[_BUY, h], v.kw - p) if ahead < due else 0.0
    for h in range(LANES):
        i = unsigned(f + h)
        home, step, due = home_at(homes.home, i), step_at(day, k, i), x[_DUE, h]
        here = at_home(home.vehicle, step.vehicle)
        on = here and due > 0.0
        able = VehicleHeadroom(
            plugged=1.0 if here else 0.0,
            hours_left=due * dt_h if on else 0.0,
            baseline_kw=x[_NOW, h] if on else 0.0,
            defer_first=x[_FIRST, h] if on else 0.0,
            defer_mean=x[_TOTAL, h] / steps if on else 0.0,
            defer_min=x[_LEAST, h] if on else 0.0,
            v2g=x[_V2G, h] if on else 0.0,
            v2g_hard=x[_V2G + 1, h] if on else 0.0,
            buy=bought_back(x[_BUY, h], x[_GAP, h], steps, car) if on else 0.0,
            reserve=x[_V2G + 2, h] if on else 0.0,
            kept=x[_V2G + 3, h] if on else 0.0,
        )
        put_headroom(y, h, headroom_with(able, home, state_at(homes.state, i), delivery, pending_kwh[i], rules))
    for row in range(N_HEADROOM):
        _give(headroom, row, f, y, row)
