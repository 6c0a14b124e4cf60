"""The compiled loops over homes: each phase of `core.home` for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.devices.battery import BatteryState, baseline_next, own_use, restores
from vpp_env.core.devices.vehicle import VehicleState, baseline_charge, is_plugged, steps_until_due
from vpp_env.core.feeder import BUY, CALL, CUT, FINE_KW, FORCE, OVER, SELL, Feeder, again, begin_feeder, put
from vpp_env.core.headroom import Delivery, Headroom, headroom_of
from vpp_env.core.home import begin, deliver, home_at, put_state, quote, state_at, step_at
from vpp_env.core.layout import FLOW, N_FLOW, Day, Flow, Homes, HomeState, Order, Price, Quote, Step
from vpp_env.core.ledger import L_CUT, L_CUT_RESERVE, N_LEDGER, account, account_events
from vpp_env.jit import at, inlined, kernel
from vpp_env.units import Floats

N_HEADROOM = len(Headroom._fields)
DEPARTED, SHORT, MISSED, LACKS = range(4)
"""Rows of `Books.events`."""


class Books(NamedTuple):
    """What the homes of M months leave behind in an opportunity of S intervals; sums, filled by the loops."""

    ledger: Floats  # (N_LEDGER, M*N)
    events: Floats  # (4, M*N) departures, shortfalls, missed trips, shortfalls that no contract has bought
    flow: Floats  # (S, N_FLOW, M) kW, sums over homes
    soc_kwh: Floats  # (S, 2, M) batteries, and batteries of the baseline, at the end of the interval
    soc_home_kwh: Floats  # (S, 2, M*N)
    feeders: Floats  # (S, 2, M) feeders that the baseline overloads, and feeders at whose limit something was cut


class Gate(NamedTuple):
    """Where the homes look at what they can offer: step k of a day.

    Where the delivery begins later than step k, a car at home is taken to charge as planned until then, a car that will
    be due by then (or is away now) offers nothing, and `pending_kwh` is left out of the battery's envelope.
    """

    day: Day
    k: int
    delivery: Delivery
    pending_kwh: Floats  # (M*N,) kWh that earlier bids may still take
    headroom: Floats  # (N_HEADROOM, M*N) filled, rows in the order of `Headroom`


def new_books(steps: int, months: int, n: int) -> Books:
    """Return empty books."""
    return Books(
        ledger=np.zeros((N_LEDGER, months * n)),
        events=np.zeros((4, months * n)),
        flow=np.zeros((steps, N_FLOW, months)),
        soc_kwh=np.zeros((steps, 2, months)),
        soc_home_kwh=np.empty((steps, 2, months * n)),
        feeders=np.zeros((steps, 2, months)),
    )


@kernel
def run_baseline(homes: Homes, day: Day, first: int) -> None:
    """Run the baseline through one day from step `first`; advances the state of `homes`, fills `day.baseline`."""
    n = len(homes.home.buy_limit)
    # step after step, as rows lie in memory; a home's steps wait for each other, those of different homes do not
    for k in range(first, len(day.plan.load)):
        for i in range(n):
            _baseline_car(homes, day, k, i)
        for i in range(n):
            _baseline_battery(homes, day, k, i)


@inlined
def _baseline_car(homes: Homes, day: Day, k: int, i: int) -> None:
    """Charge the car of home i in step k of the baseline."""
    rules, plan, state = homes.rules.vehicle, day.plan, homes.state.vehicle
    soc = state.soc_kwh[i]
    if k == plan.arr[i]:
        soc = max(0.0, soc - plan.trip[i])
    ev = 0.0
    if is_plugged(k, plan.dep[i], plan.arr[i], plan.out[i]):
        ev = baseline_charge(home_at(homes.home, i).vehicle, soc, rules)
    day.baseline.ev_soc[k, i], day.baseline.ev_kw[k, i] = soc, ev
    state.soc_kwh[i] = soc + rules.eta * ev * rules.dt_h


@inlined
def _baseline_battery(homes: Homes, day: Day, k: int, i: int) -> None:
    """Run the battery of home i through step k of the baseline, behind its car."""
    rules, plan, out, state = homes.rules.battery, day.plan, day.baseline, homes.state.battery
    battery, before = home_at(homes.home, i).battery, state_at(homes.state, i).battery
    surplus = plan.pv[k, i] - plan.load[k, i] - out.ev_kw[k, i]
    restore = restores(before.below_since, plan.day, k, plan.restore_step)
    own = own_use(battery, before, surplus, restore, rules)
    after = baseline_next(battery, before, own, plan.day, rules)
    # what the market has discharged or stored does not change
    state.soc_kwh[i], state.below_since[i] = after.soc_kwh, after.below_since
    out.bess_soc[k, i], out.bess_ch[k, i], out.bess_dis[k, i] = after.soc_kwh, own.charge, own.discharge


@kernel
def find_late(homes: Homes, day: Day, first: int) -> None:
    """Fill `day.baseline.ev_late` of a day whose baseline has been run from step `first` on, where there are feeders.

    A car gets the room that the homes of its feeder leave at their baselines; beyond midnight it is taken to have full
    power.
    """
    rules, plan, out, kw = homes.rules, day.plan, day.baseline, homes.home.vehicle.kw
    n, together = len(kw), homes.rules.feeder_homes
    feeders = -(-n // together)
    most, kept = np.zeros(feeders), np.zeros(feeders, dtype=np.bool_)  # kW of its fastest car; something after step k
    for i in range(n):
        most[i // together] = max(most[i // together], kw[i])
    net = np.empty(n)
    for k in range(len(plan.load) - 1, first, -1):
        for i in range(n):
            net[i] = plan.pv[k, i] - plan.load[k, i] - out.ev_kw[k, i] - out.bess_ch[k, i] + out.bess_dis[k, i]
        for f in range(feeders):
            one, last, room = f * together, min((f + 1) * together, n), rules.feeder_kw
            for i in range(one, last):
                room += net[i]
            if kept[f] or room < most[f]:
                kept[f] = _put_late(homes, day, k, one, last, max(0.0, room))


@inlined
def _put_late(homes: Homes, day: Day, k: int, one: int, last: int, room: float) -> bool:
    """Write what a feeder that leaves `room` kW in step k keeps from the cars of homes `one` to `last` - 1 before it.

    Returns whether it does.
    """
    rules, plan, out, found = homes.rules, day.plan, day.baseline, False
    for i in range(one, last):
        # what the baseline does there is always room for, and rounding must not force it
        short = max(0.0, homes.home.vehicle.kw[i] - out.ev_kw[k, i] - room - FINE_KW)
        late = out.ev_late[k, i] + rules.vehicle.eta * short * rules.dt_h
        if late > 0.0 and is_plugged(k - 1, plan.dep[i], plan.arr[i], plan.out[i]):
            n = len(plan.load)
            if steps_until_due(k - 1, n, plan.dep[i], plan.out[i], plan.ready[i], plan.next_due[i]) > 1:
                out.ev_late[k - 1, i], found = late, True
    return found


@inlined
def _put_quote(q: Quote[Floats], i: int, now: Quote[float]) -> None:
    """Write the quote of home i."""
    q.sell[i], q.buy[i], q.reserve_up[i], q.reserve_down[i] = now.sell, now.buy, now.reserve_up, now.reserve_down
    q.reserve_kept[i] = now.reserve_kept


@kernel
def quote_again(homes: Homes, day: Day, k: int) -> None:
    """Quote step k, which has begun, once more: contracts have moved the limits of homes since."""
    for i in range(len(homes.home.buy_limit)):
        home, step = home_at(homes.home, i), step_at(day, k, i)
        _put_quote(homes.quote, i, quote(home, state_at(homes.state, i), step, homes.rules))


@inlined
def begin_home(homes: Homes, step: Step, i: int, books: Books) -> None:
    """Begin a step of home i: departures and arrivals are booked, and its quote says what it could deliver now."""
    home = home_at(homes.home, i)
    state, events = begin(home, state_at(homes.state, i), step)
    put_state(homes.state, i, state)
    books.events[DEPARTED, i] += events.departed
    books.events[SHORT, i] += events.short
    books.events[MISSED, i] += events.missed
    if events.lacks > 0.0:
        books.events[LACKS, i] += events.lacks
    account_events(events, homes.rules, books.ledger, i)
    _put_quote(homes.quote, i, quote(home, state, step, homes.rules))


@inlined
def begin_step(homes: Homes, day: Day, k: int, first: int, last: int, books: Books) -> None:
    """Begin step k of the homes `first` to `last` - 1."""
    for i in range(first, last):
        begin_home(homes, step_at(day, k, i), i, books)


@kernel
def begin_gate(homes: Homes, gate: Gate, books: Books) -> None:
    """Begin the step of the first gate, after an opportunity of no interval; a kernel of its own compiles sooner."""
    begin_step(homes, gate.day, gate.k, 0, len(homes.home.buy_limit), books)


@inlined
def _flow_of(feeder: Feeder, h: int) -> Flow[float]:
    """What home h of the feeder does."""
    f = feeder.flow
    return Flow(
        f[0, h], f[1, h], f[2, h], f[3, h], f[4, h], f[5, h], f[6, h], f[7, h], f[8, h],
        f[9, h], f[10, h], f[11, h], f[12, h], f[13, h], f[14, h], f[15, h], f[16, h], f[17, h],
    )  # fmt: skip


@inlined
def _state_of(feeder: Feeder, h: int) -> HomeState[float]:
    """State of home h of the feeder after the step."""
    s = feeder.state
    return HomeState(BatteryState(s[0, h], s[1, h], s[2, h], s[3, h]), VehicleState(s[4, h], s[5, h], s[6, h]))


@inlined
def _order_at(orders: Order[Floats], i: int) -> Order[float]:
    """The order of home i."""
    return Order(
        orders.sell[i], orders.dear[i], orders.call[i], orders.buy[i],
        orders.reserve[i], orders.available[i], orders.free[i], orders.down[i],
    )  # fmt: skip


@inlined
def _asked(feeder: Feeder, h: int, free: float) -> Order[float]:
    """What home h of the feeder is asked for."""
    return Order(feeder.ask[SELL, h], 0.0, feeder.ask[CALL, h], feeder.ask[BUY, h], 0.0, 0.0, free, 0.0)


@inlined
def _price_at(prices: Price[Floats], i: int) -> Price[float]:
    """The prices of home i."""
    return Price(
        prices.lmp[i],
        prices.sold[i],
        prices.dear[i],
        prices.bought[i],
        prices.reserve[i],
        prices.rho[i],
        prices.own[i],
        prices.defer[i],
        at(prices.agreed, i),
    )


@inlined
def _cut(orders: Order[Floats], feeder: Feeder, h: int, i: int, dt: float, books: Books) -> None:
    """Book what the feeder did not let through of home i, its home h, and take it off the reserve that is available."""
    kw = 0.0
    for row, flow in ((SELL, FLOW.sold), (CALL, FLOW.called), (BUY, FLOW.bought), (FORCE, FLOW.forced)):
        kw += max(0.0, feeder.whole[row, h] - feeder.flow[flow, h]) if feeder.share[row, h] < 1.0 else 0.0
    able = min(orders.reserve[i], orders.available[i])
    books.ledger[L_CUT, i] += dt * kw
    books.ledger[L_CUT_RESERVE, i] += dt * (1.0 - feeder.kept[h]) * able
    if feeder.kept[h] < 1.0:
        orders.available[i] = feeder.kept[h] * able


@inlined
def deliver_step(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    j: int,
    m: int,
    books: Books,
) -> None:
    """Run the homes of month m through step k of the day, interval j of the opportunity, and keep the books."""
    together = homes.rules.feeder_homes
    n = len(homes.home.buy_limit) // books.flow.shape[2]
    for first in range(m * n, (m + 1) * n, together):
        last = min(first + together, (m + 1) * n)
        deliver_feeder(homes, day, k, orders, prices, feeder, first, last, j, books)
        for row in range(N_FLOW):
            add_flow(feeder, last - first, row, j, m, books)
        add_feeder(feeder, first, last, j, m, books)


@inlined
def deliver_feeder(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    first: int,
    last: int,
    j: int,
    books: Books,
) -> None:
    """Run the homes `first` to `last` - 1, which one feeder serves, through step k of the day; fills `feeder`.

    They are run together, and where they would pass its limits again with less; see `core.feeder`.
    """
    rules = homes.rules
    kw = rules.feeder_kw
    begin_feeder(feeder, orders, first, last)
    fresh = True
    while True:
        net = baseline = reserve = stored = 0.0
        for i in range(first, last):
            h = i - first
            home, step = home_at(homes.home, i), step_at(day, k, i)
            spends, order = prices.bought[i] <= home.buy_limit, _asked(feeder, h, orders.free[i])
            state, flow = deliver(home, state_at(homes.state, i), step, order, rules, spends, feeder.ask[FORCE, h])
            put(feeder, h, state, flow)
            net += flow.retail + flow.market
            baseline += flow.retail_baseline
            reserve += orders.reserve[i]
            stored += flow.home_charge
        if fresh:
            # on a call a home may stop storing its own surplus
            if abs(net) <= kw and (reserve == 0.0 or abs(net) + reserve + stored <= kw):
                break
            fresh = False
        if not again(feeder, orders, kw, first, last, net):
            break
    feeder.at[OVER] = 1.0 if abs(baseline) > kw else 0.0
    for i in range(first, last):
        h = i - first
        home, step = home_at(homes.home, i), step_at(day, k, i)
        state = _state_of(feeder, h)
        if not fresh:
            _cut(orders, feeder, h, i, rules.dt_h, books)
        put_state(homes.state, i, state)
        order, price = _order_at(orders, i), _price_at(prices, i)
        account(home, step, order, price, _flow_of(feeder, h), rules, books.ledger, i)
        books.soc_home_kwh[j, 0, i] = state.battery.soc_kwh
        books.soc_home_kwh[j, 1, i] = step.bess_soc


@inlined
def add_flow(feeder: Feeder, count: int, row: int, j: int, m: int, books: Books) -> None:
    """Add one flow of the `count` homes of a feeder to the sums of month m, in their order."""
    total = books.flow[j, row, m]
    for h in range(count):
        total += feeder.flow[row, h]
    books.flow[j, row, m] = total


@inlined
def add_feeder(feeder: Feeder, first: int, last: int, j: int, m: int, books: Books) -> None:
    """Add what the batteries of a feeder's homes hold, and what was at its limit, to the sums of month m."""
    own, baseline = books.soc_kwh[j, 0, m], books.soc_kwh[j, 1, m]
    for i in range(first, last):
        own += books.soc_home_kwh[j, 0, i]
        baseline += books.soc_home_kwh[j, 1, i]
    books.soc_kwh[j, 0, m], books.soc_kwh[j, 1, m] = own, baseline
    books.feeders[j, 0, m] += feeder.at[OVER]
    books.feeders[j, 1, m] += feeder.at[CUT]


@inlined
def headroom_home(homes: Homes, gate: Gate, i: int) -> None:
    """Fill the column of home i in `gate.headroom`."""
    step = step_at(gate.day, gate.k, i)
    state, pending = state_at(homes.state, i), gate.pending_kwh[i]
    found = headroom_of(home_at(homes.home, i), state, step, gate.delivery, pending, homes.rules)
    for row, x in enumerate(found):
        gate.headroom[row, i] = x


@inlined
def fill_headroom(homes: Homes, gate: Gate, first: int, last: int) -> None:
    """Fill the columns of the homes `first` to `last` - 1 in `gate.headroom`."""
    for i in range(first, last):
        headroom_home(homes, gate, i)


@kernel
def look(homes: Homes, gate: Gate) -> None:
    """Fill `gate.headroom` at any other moment than the end of an opportunity."""
    fill_headroom(homes, gate, 0, len(homes.home.buy_limit))
