"""Eight homes at a time: the phases of a step as a processor's wide registers take them.

What a home does is stated in `core.home` and `core.ledger`, of one home. Here the same functions run over eight homes
in a loop that writes to nothing but a few rows on the stack. The compiler sees that no home can depend on another one,
and makes instructions of eight (or four) numbers of it: the same bits in a sixth of the time. The last homes of a
month, fewer than eight, are not for this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.feeder import N_STATE, put
from vpp_env.core.home import begin, deliver, flow_at, home_at, order_at, price_at, quote, state_at, step_at
from vpp_env.core.layout import N_FLOW, Day, Homes, Order, Price
from vpp_env.core.ledger import DEPARTED, L_AWAY, LACKS, MISSED, N_EVENTS, N_LEDGER, SHORT, account, book
from vpp_env.jit import LANES, inlined, kernel, on_stack
from vpp_env.units import Floats

_flow_room = on_stack(N_FLOW, LANES)
_state_room = on_stack(N_STATE, LANES)
_ledger_room = on_stack(N_LEDGER, LANES)
_begun_room = on_stack(14, LANES)


class Lot(NamedTuple):
    """What the N homes of one month do: in the step that is being played, and summed over an opportunity."""

    flow: Floats  # (N_FLOW, N) kW in this step
    state: Floats  # (N_STATE, N) after it
    ledger: Floats  # (N_LEDGER, N)
    events: Floats  # (N_EVENTS, N)


@kernel
def new_lot(n: int) -> Lot:
    """Return room for a month of `n` homes."""
    return Lot(np.zeros((N_FLOW, n)), np.zeros((N_STATE, n)), np.zeros((N_LEDGER, n)), np.zeros((N_EVENTS, n)))


@inlined
def _give(to: Floats, row: int, first: int, x: Floats, of: int) -> None:
    """Copy row `of` of eight homes to a row, from column `first` on."""
    # an index without a sign is never one from the end
    start = np.uint64(first)
    for h in range(LANES):
        to[row, start + np.uint64(h)] = x[of, h]


@inlined
def _give_all(to: Floats, first: int, x: Floats, of: int) -> None:
    """Copy row `of` of eight homes, from element `first` on."""
    start = np.uint64(first)
    for h in range(LANES):
        to[start + np.uint64(h)] = x[of, h]


@inlined
def _add(to: Floats, row: int, first: int, x: Floats, of: int) -> None:
    """Add row `of` of eight homes to a row, from column `first` on."""
    start = np.uint64(first)
    for h in range(LANES):
        to[row, start + np.uint64(h)] += x[of, h]


@inlined
def deliver_lanes(
    homes: Homes, day: Day, k: int, orders: Order[Floats], prices: Price[Floats], first: int, last: int, lot: Lot
) -> None:
    """Run the homes `first` to `last` - 1, eights of one month, through step k as if there were no feeders."""
    flows, states, rules, n = _flow_room(), _state_room(), homes.rules, lot.flow.shape[1]
    for f in range(first, last, LANES):
        for h in range(LANES):
            i = np.uint64(f + h)
            home, step, order = home_at(homes.home, i), step_at(day, k, i), order_at(orders, i)
            spends = prices.bought[i] <= home.buy_limit
            state, flow = deliver(home, state_at(homes.state, i), step, order, rules, spends)
            put(flows, states, h, state, flow)
        for row in range(N_FLOW):
            _give(lot.flow, row, f % n, flows, row)
        for row in range(N_STATE):
            _give(lot.state, row, f % n, states, row)


@inlined
def account_lanes(
    homes: Homes, day: Day, k: int, orders: Order[Floats], prices: Price[Floats], first: int, last: int, lot: Lot
) -> None:
    """Book what the homes `first` to `last` - 1, eights of one month, did in step k."""
    x, rules, n = _ledger_room(), homes.rules, lot.flow.shape[1]
    for f in range(first, last, LANES):
        for row in range(N_LEDGER):
            for h in range(LANES):
                x[row, h] = 0.0
        mine = f % n
        for h in range(LANES):
            i = np.uint64(f + h)
            home, step, flow = home_at(homes.home, i), step_at(day, k, i), flow_at(lot.flow, np.uint64(mine + h))
            book(account(home, step, order_at(orders, i), price_at(prices, i), flow, rules), x, h)
        for row in range(N_LEDGER):
            _add(lot.ledger, row, mine, x, row)


@inlined
def begin_lanes(homes: Homes, day: Day, k: int, first: int, last: int, lot: Lot) -> None:
    """Begin step k of the homes `first` to `last` - 1, eights of one month: their states, quotes and events."""
    x, rules, n = _begun_room(), homes.rules, lot.flow.shape[1]
    s, q = homes.state, homes.quote
    for f in range(first, last, LANES):
        for h in range(LANES):
            i = np.uint64(f + h)
            home, step = home_at(homes.home, i), step_at(day, k, i)
            state, e = begin(home, state_at(s, i), step)
            able = quote(home, state, step, rules)
            x[0, h], x[1, h] = state.battery.discharged_kwh, state.vehicle.soc_kwh
            x[2, h], x[3, h] = state.vehicle.shortfall, state.vehicle.lacks
            x[4, h], x[5, h], x[6, h] = able.sell, able.buy, able.reserve_up
            x[7, h], x[8, h] = able.reserve_down, able.reserve_kept
            x[9, h], x[10, h], x[11, h], x[12, h] = e.departed, e.short, e.missed, max(0.0, e.lacks)
            x[13, h] = rules.away * e.away_kwh
        _give_all(s.battery.discharged_kwh, f, x, 0)
        _give_all(s.vehicle.soc_kwh, f, x, 1)
        _give_all(s.vehicle.shortfall, f, x, 2)
        _give_all(s.vehicle.lacks, f, x, 3)
        _give_all(q.sell, f, x, 4)
        _give_all(q.buy, f, x, 5)
        _give_all(q.reserve_up, f, x, 6)
        _give_all(q.reserve_down, f, x, 7)
        _give_all(q.reserve_kept, f, x, 8)
        _add(lot.events, DEPARTED, f % n, x, 9)
        _add(lot.events, SHORT, f % n, x, 10)
        _add(lot.events, MISSED, f % n, x, 11)
        _add(lot.events, LACKS, f % n, x, 12)
        _add(lot.ledger, L_AWAY, f % n, x, 13)


@inlined
def add_up(lot: Lot, sums: Floats, last: int) -> None:
    """Add the flows of a month's homes 0 to `last` - 1, eights, to `sums` (N_FLOW,), in their order."""
    for f in range(0, last, LANES):
        for row in range(N_FLOW):
            total = sums[row]
            for h in range(LANES):
                total += lot.flow[row, f + h]
            sums[row] = total
