"""The compiled loops over homes: each phase of `core.home` for all of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vpp_env.core.devices.battery import baseline_next, own_use, restores
from vpp_env.core.devices.vehicle import baseline_charge, is_plugged, steps_until_due
from vpp_env.core.feeder import (
    BUY,
    CALL,
    CUT,
    FINE_KW,
    FORCE,
    FULL,
    N_STATE,
    OVER,
    SELL,
    STAGE,
    Feeder,
    again,
    ask_for_all,
    begin_feeder,
    put,
    state_of,
)
from vpp_env.core.headroom import Delivery, headroom_of, put_headroom
from vpp_env.core.home import (
    begin,
    deliver,
    flow_at,
    home_at,
    order_at,
    price_at,
    put_quote,
    put_state,
    quote,
    state_at,
    step_at,
)
from vpp_env.core.lanes import Lot, account_lanes, add_lanes, begin_lanes, deliver_lanes, headroom_lanes, put_lanes
from vpp_env.core.layout import FLOW, N_FLOW, Day, Homes, Order, Price, Step
from vpp_env.core.ledger import (
    BOOKED,
    DEPARTED,
    L_AWAY,
    L_CUT,
    L_CUT_RESERVE,
    LACKS,
    MISSED,
    N_EVENTS,
    N_LEDGER,
    SHORT,
    SUMMED,
    account,
    book,
)
from vpp_env.jit import LANES, inlined, internal, kernel, unsigned
from vpp_env.units import Floats


class Books(NamedTuple):
    """What the homes of M months leave behind in an opportunity of S intervals; sums, filled by the loops."""

    ledger: Floats  # (N_LEDGER, M*N)
    events: Floats  # (N_EVENTS, M*N)
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
    """Return books to be filled; `begin_month` begins those of the homes."""
    return Books(
        ledger=np.empty((N_LEDGER, months * n)),
        events=np.empty((N_EVENTS, months * n)),
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


@kernel
def quote_again(homes: Homes, day: Day, k: int) -> None:
    """Quote step k, which has begun, once more: contracts have moved the limits of homes since."""
    for i in range(len(homes.home.buy_limit)):
        home, step = home_at(homes.home, i), step_at(day, k, i)
        put_quote(homes.quote, i, quote(home, state_at(homes.state, i), step, homes.rules))


@inlined
def begin_home(homes: Homes, step: Step, i: int, events: Floats, ledger: Floats, c: int) -> None:
    """Begin a step of home i: departures and arrivals are booked in column c, its quote says what it could deliver."""
    home = home_at(homes.home, i)
    state, e = begin(home, state_at(homes.state, i), step)
    now = quote(home, state, step, homes.rules)
    # all is read before anything is written, as in `book`
    departed, short, missed = events[DEPARTED, c] + e.departed, events[SHORT, c] + e.short, events[MISSED, c] + e.missed
    lacks, away = events[LACKS, c], ledger[L_AWAY, c] + homes.rules.away * e.away_kwh
    put_state(homes.state, i, state)
    events[DEPARTED, c], events[SHORT, c], events[MISSED, c], ledger[L_AWAY, c] = departed, short, missed, away
    if e.lacks > 0.0:
        events[LACKS, c] = lacks + e.lacks
    put_quote(homes.quote, i, now)


@inlined
def begin_month(books: Books, first: int, last: int) -> None:
    """Begin an opportunity of a month, the homes `first` to `last` - 1: nothing is booked yet."""
    for row in SUMMED:
        for f in range(first, last):
            books.ledger[row, f] = 0.0
    for row in range(N_EVENTS):
        for f in range(first, last):
            books.events[row, f] = 0.0


@kernel
def begin_gate(homes: Homes, gate: Gate, books: Books) -> None:
    """Begin the step of the first gate, after an opportunity of no interval; a kernel of its own compiles sooner."""
    n = len(homes.home.buy_limit)
    begin_month(books, 0, n)
    for f in range(n):
        i = unsigned(f)
        begin_home(homes, step_at(gate.day, gate.k, i), i, books.events, books.ledger, f)


@inlined
def _asked(feeder: Feeder, h: int, free: float) -> Order[float]:
    """What home h of the feeder is asked for."""
    return Order(feeder.ask[SELL, h], 0.0, feeder.ask[CALL, h], feeder.ask[BUY, h], 0.0, 0.0, free, 0.0)


@inlined
def _cut(orders: Order[Floats], feeder: Feeder, h: int, c: int, dt: float, ledger: Floats, f: int) -> None:
    """Book in column f what the feeder did not let through of order c, its home h, and take it off the reserve."""
    kw = 0.0
    for row, flow in ((SELL, FLOW.sold), (CALL, FLOW.called), (BUY, FLOW.bought), (FORCE, FLOW.forced)):
        kw += max(0.0, feeder.whole[row, h] - feeder.flow[flow, h]) if feeder.share[row, h] < 1.0 else 0.0
    able = min(orders.reserve[c], orders.available[c])
    ledger[L_CUT, f] += dt * kw
    ledger[L_CUT_RESERVE, f] += dt * (1.0 - feeder.kept[h]) * able
    if feeder.kept[h] < 1.0:
        orders.available[c] = feeder.kept[h] * able


@inlined
def book_month(
    homes: Homes,
    day: Day,
    k: int,
    steps: int,
    orders: Order[Floats],
    prices: Price[Floats],
    lot: Lot,
    m: int,
    ledger: Floats,
) -> None:
    """Book what the homes of month m did in the steps from k on: all of them at once, so that a row is written once."""
    n = lot.state.shape[1]
    first, last = m * n, (m + 1) * n
    eights = last - n % LANES
    for f in range(first, eights, LANES):
        account_lanes(homes, day, k, steps, orders, prices, f, f - first, lot, ledger)
    if eights < last:
        _book_rest(homes, day, k, steps, orders, prices, lot, first, eights, ledger)


@internal
def _book_rest(
    homes: Homes,
    day: Day,
    k: int,
    steps: int,
    orders: Order[Floats],
    prices: Price[Floats],
    lot: Lot,
    first: int,
    eights: int,
    ledger: Floats,
) -> None:
    """`book_month` of the homes behind the eights of the month that begins at home `first`."""
    n = lot.state.shape[1]
    for i in range(eights - first, n):
        f = unsigned(first + i)
        for row in BOOKED:
            ledger[row, f] = 0.0
        for j in range(steps):
            c = unsigned(j * n + i)
            home, step, flow = home_at(homes.home, f), step_at(day, k + j, f), flow_at(lot.flow, c)
            book(account(home, step, order_at(orders, c), price_at(prices, c), flow, homes.rules), ledger, f)


@inlined
def deliver_step(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    lot: Lot,
    j: int,
    m: int,
    books: Books,
) -> None:
    """Run the homes of month m through step k of the day, interval j of the opportunity; fills `lot`."""
    n = lot.state.shape[1]
    first, last = m * n, (m + 1) * n
    eights = last - n % LANES
    for f in range(first, eights, LANES):
        deliver_lanes(homes, day, k, orders, prices, f, f - first, j * n + f - first, lot)
    if eights < last or homes.rules.feeder_kw < math.inf:
        _deliver_rest(homes, day, k, orders, prices, feeder, first, eights, last, lot, j, m, books)


@internal
def _close_rest(
    homes: Homes,
    lot: Lot,
    first: int,
    eights: int,
    j: int,
    sums: Floats,
    coming: Day | None,
    then: int,
    books: Books,
) -> None:
    """`close_step` of the homes behind the eights of the month that begins at home `first`."""
    n = lot.state.shape[1]
    for i in range(eights - first, n):
        f = unsigned(first + i)
        for row in range(N_FLOW):
            sums[row] += lot.flow[row, j * n + i]
        put_state(homes.state, f, state_of(lot.state, i))
        if coming is not None:
            begin_home(homes, step_at(coming, then, f), f, books.events, books.ledger, first + i)


@inlined
def close_step(
    homes: Homes, day: Day, k: int, lot: Lot, j: int, m: int, books: Books, coming: Day | None, then: int
) -> None:
    """End step k of the homes of month m, interval j, and begin step `then` of the `coming` day, if any."""
    n = lot.state.shape[1]
    first, last = m * n, (m + 1) * n
    eights, sums = last - n % LANES, books.flow[j, :, m]
    for f in range(first, eights, LANES):
        add_lanes(lot, j * n + f - first, sums)
        put_lanes(homes.state, f, f - first, lot)
        if coming is not None:
            begin_lanes(homes, coming, then, f, books.events, books.ledger)
    if eights < last:
        _close_rest(homes, lot, first, eights, j, sums, coming, then, books)
    own = baseline = 0.0
    for i in range(first, last):
        soc, planned = lot.state[0, i - first], day.baseline.bess_soc[k, i]
        books.soc_home_kwh[j, 0, i], books.soc_home_kwh[j, 1, i] = soc, planned
        own += soc
        baseline += planned
    books.soc_kwh[j, 0, m], books.soc_kwh[j, 1, m] = own, baseline


@inlined
def _take_over(feeder: Feeder, lot: Lot, i: int, c: int, count: int) -> None:
    """Copy what the `count` homes of a feeder do to the columns of their month: states from i, flows from c on."""
    for h in range(count):
        for row in range(N_FLOW):
            lot.flow[row, c + h] = feeder.flow[row, h]
        for row in range(N_STATE):
            lot.state[row, i + h] = feeder.state[row, h]


@internal
def _deliver_rest(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    first: int,
    eights: int,
    last: int,
    lot: Lot,
    j: int,
    m: int,
    books: Books,
) -> None:
    """Run the homes `eights` to `last` - 1, the last ones of a month, then hold all its feeders to their limits."""
    together, kw, n = homes.rules.feeder_homes, homes.rules.feeder_kw, last - first
    one = eights
    while one < last:  # in parts for which `feeder` has room
        count = min(together, last - one)
        c = j * n + one - first
        _settle(homes, day, k, orders, prices, feeder, math.inf, one, c, count)
        _take_over(feeder, lot, one - first, c, count)
        one += count
    if kw == math.inf:
        return
    for one in range(first, last, together):
        count = min(together, last - one)
        c = j * n + one - first
        net, baseline, reserve, stored = _together(lot.flow, orders, c, c, count)
        if abs(baseline) > kw:
            books.feeders[j, 0, m] += 1.0
        if not _fits(net, reserve, stored, kw):
            _settle(homes, day, k, orders, prices, feeder, kw, one, c, count)
            books.feeders[j, 1, m] += feeder.at[CUT]
            for h in range(count):
                _cut(orders, feeder, h, c + h, homes.rules.dt_h, books.ledger, one + h)
            _take_over(feeder, lot, one - first, c, count)


@inlined
def _together(
    flow: Floats, orders: Order[Floats], column: int, first: int, count: int
) -> tuple[float, float, float, float]:
    """What `count` homes come to, whose flows lie in the columns from `column`, their orders from `first` on; kW.

    Net export, that of the baseline, capacity on reserve, and what they store of their own surplus.
    """
    net = baseline = reserve = stored = 0.0
    for h in range(count):
        c = column + h
        net += flow[FLOW.retail, c] + flow[FLOW.market, c]
        baseline += flow[FLOW.retail_baseline, c]
        reserve += orders.reserve[first + h]
        stored += flow[FLOW.home_charge, c]
    return net, baseline, reserve, stored


@inlined
def _fits(net: float, reserve: float, stored: float, kw: float) -> bool:
    """Whether a feeder passes all that is asked of its homes: on a call a home may stop storing its own surplus."""
    return abs(net) <= kw and (reserve == 0.0 or abs(net) + reserve + stored <= kw)


@inlined
def run_home(
    homes: Homes, day: Day, k: int, orders: Order[Floats], prices: Price[Floats], feeder: Feeder, h: int, f: int, c: int
) -> None:
    """Run home f, home h of its feeder, through step k of the day with what it is asked for; fills `feeder`.

    Of the step, its order and prices are in column c.
    """
    home, step = home_at(homes.home, f), step_at(day, k, f)
    spends, order = prices.bought[c] <= home.buy_limit, _asked(feeder, h, orders.free[c])
    state, flow = deliver(home, state_at(homes.state, f), step, order, homes.rules, spends, feeder.ask[FORCE, h])
    put(feeder.flow, feeder.state, h, state, flow)


@inlined
def judge_feeder(feeder: Feeder, orders: Order[Floats], kw: float, first: int, last: int) -> bool:
    """Whether the homes that a feeder of `kw` serves, and that have been run, must be run again.

    Their orders are `first` to `last` - 1. What they are asked for then is in `feeder`; see `core.feeder`.
    `feeder.at[STAGE]` stays `FULL` where all was let through at once.
    """
    net, baseline, reserve, stored = _together(feeder.flow, orders, 0, first, last - first)
    feeder.at[OVER] = 1.0 if abs(baseline) > kw else 0.0
    if feeder.at[STAGE] == FULL and _fits(net, reserve, stored, kw):
        return False
    return again(feeder, orders, kw, first, last, net)


@internal
def _settle(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    kw: float,
    first: int,
    column: int,
    count: int,
) -> None:
    """Run `count` homes from `first` on, which one feeder of `kw` serves, through step k of the day; fills `feeder`.

    Of the step their orders and prices are in the columns from `column` on. They are run together, and where they
    would pass its limits again with less.
    """
    begin_feeder(feeder)
    for h in range(count):
        ask_for_all(feeder, h, order_at(orders, unsigned(column + h)))
    while True:
        for h in range(count):
            f, c = unsigned(first + h), unsigned(column + h)
            run_home(homes, day, k, orders, prices, feeder, h, f, c)
        if not judge_feeder(feeder, orders, kw, column, column + count):
            break


@inlined
def book_home(
    homes: Homes,
    day: Day,
    k: int,
    orders: Order[Floats],
    prices: Price[Floats],
    feeder: Feeder,
    at_once: bool,
    i: int,
    ledger: Floats,
) -> None:
    """Keep the books of home i, home i of `feeder`, after it was run; `at_once`: its feeder let all through at once."""
    if not at_once:
        _cut(orders, feeder, i, i, homes.rules.dt_h, ledger, i)
    put_state(homes.state, i, state_of(feeder.state, i))
    order, price = order_at(orders, i), price_at(prices, i)
    step, flow = step_at(day, k, i), flow_at(feeder.flow, i)
    book(account(home_at(homes.home, i), step, order, price, flow, homes.rules), ledger, i)


@inlined
def headroom_home(homes: Homes, gate: Gate, i: int) -> None:
    """Fill the column of home i in `gate.headroom`."""
    step = step_at(gate.day, gate.k, i)
    state, pending = state_at(homes.state, i), gate.pending_kwh[i]
    found = headroom_of(home_at(homes.home, i), state, step, gate.delivery, pending, homes.rules)
    put_headroom(gate.headroom, i, found)


@inlined
def fill_headroom(homes: Homes, gate: Gate, first: int, last: int) -> None:
    """Fill the columns of the homes `first` to `last` - 1 in `gate.headroom`."""
    eights = last - (last - first) % LANES
    for f in range(first, eights, LANES):
        headroom_lanes(homes, gate.day, gate.k, gate.delivery, gate.pending_kwh, f, gate.headroom)
    for i in range(eights, last):
        headroom_home(homes, gate, i)


@kernel
def look(homes: Homes, gate: Gate) -> None:
    """Fill `gate.headroom` at any other moment than the end of an opportunity; home by home, which compiles sooner."""
    for i in range(len(homes.home.buy_limit)):
        headroom_home(homes, gate, i)
