"""The kernels: which thread does what of an opportunity, and nothing of what it comes to.

One block plays one month. Its threads take the homes (and the feeders) in turns. The merit order is of whole numbers,
which they add up together; a sum over homes that is not is one thread's, in the order in which the CPU goes. So there
is nothing that depends on which thread comes first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import cuda as numba_cuda
from numba import float32, float64, int32, int64

from vpp_env.api.device.exact import exact
from vpp_env.api.device.memory import (
    ABLE,
    ASKS,
    AWARD,
    DOWN,
    EVENING_KWH,
    EVENTS,
    FLOWS,
    GATE_UP,
    HEADROOM,
    IN_BLOCK,
    LASTING,
    LEDGER,
    LIMIT_KW,
    MOST_THREADS,
    N_LINES,
    N_REAL,
    N_WHOLE,
    OFFERS,
    ORDERS,
    OVERLOADS,
    PENDING,
    PREMIUM,
    PROFIT,
    PROJECTED,
    REVENUE,
    RUNNING,
    TOLD_KW,
    TOLD_PRICES,
    TOTAL_LEDGER,
    TOTAL_WISHES,
    UP,
    VIOLATIONS_OF,
    WELFARE,
    WISH_LIMIT,
    WISHES,
    WORTH,
    Constants,
    Own,
    Place,
    Shared,
    awards_of,
    bench_of,
    day_of,
    feeder_of,
    headroom_rows,
    homes_of,
    market_of,
    orders_of,
    prices_of,
    reserve_bench_of,
    results_of,
)
from vpp_env.api.device.shapes import known_shapes, simulated, with_names
from vpp_env.api.observation import changing_of
from vpp_env.api.rewards import with_team
from vpp_env.api.tally import READ
from vpp_env.contract.bids import N_ACTION, RESERVE_KW, ROUNDING, SELL1_KW, SELL2_KW, decoded
from vpp_env.contract.observation import N_OBS, N_PUBLIC, observe_home
from vpp_env.core import ledger as led
from vpp_env.core.feeder import CUT, FULL, OVER, STAGE, ask_for_all, begin_feeder
from vpp_env.core.headroom import LIMITS, N_HEADROOM, Delivery, Headroom, headroom_at
from vpp_env.core.home import state_at, step_at
from vpp_env.core.layout import N_FLOW
from vpp_env.core.loops import Gate, begin_home, book_home, headroom_home, judge_feeder, run_home
from vpp_env.evaluation.welfare import worth
from vpp_env.jit import Crew
from vpp_env.market.energy import clear_energy
from vpp_env.market.exchange import able_home
from vpp_env.market.opportunity import (
    IntervalDues,
    Money,
    awarded,
    dues_of,
    left_for_reserve,
    order_home,
    price_home,
    put_order,
    put_price,
    reserve_at_gate,
    revenue_of,
    served,
    settle_intervals,
)
from vpp_env.market.reserve import ReserveAwards, ReserveOffers, ReserveTerms, clear_reserve
from vpp_env.market.state import RESERVE_Q, RESERVE_TICKS
from vpp_env.owners.asks import defer_ask
from vpp_env.owners.patience import NOTICED_KWH, PatienceRules, day_of_owner, out_then
from vpp_env.owners.violations import VIOLATIONS, each_violation
from vpp_env.owners.wishes import taken_of
from vpp_env.simulation.outcome import benefit_after
from vpp_env.units import POWER_QUANTUM_KW

cuda: Any = numba_cuda
ROWS_OF_LIMITS, ROWS_READ, KINDS = tuple(LIMITS), tuple(READ.tolist()), len(VIOLATIONS)
MOST, KW = 1.0 + ROUNDING, len(TOLD_KW)
PARTS = 16
"""Threads of a block that add up what the others have found; they divide a warp."""
MOST_REGISTERS = 128
"""That a thread may take, so that enough of them are under way to hide how long memory takes."""
NOPAY, PAY, REWARD, BROKEN, N_DUE = 0, 1, 4, 5, 5 + KINDS
"""Rows of what homes add to the sums of their month: payments are three, each sum is one."""
N_TOTAL = N_DUE - 2
N_BROUGHT = len(IntervalDues._fields)
EVENT_KWH = IntervalDues._fields.index("event_kwh")
N_KEPT = N_REAL - TOTAL_LEDGER
SETTLED, SEEN = 256, 128
"""Homes that are settled, and observed, at a time: as many as a block has room for."""
DUE_ROW, SEEN_ROW = SETTLED + 1, (N_OBS - N_PUBLIC) | 1
"""Of the room for them, an odd number: what threads side by side take then lies in different banks."""
DEFER_MEAN, STORAGE = (Headroom._fields.index(name) for name in ("defer_mean", "storage"))

# what is added up over homes after each step, in the order of `Own.sums`: awards, flows and what batteries hold
N_AWARDED = PROJECTED - AWARD
N_SUMMED = N_AWARDED + N_FLOW + 2

on_device = cuda.jit(device=True)

# what the kernels are compiled for, see `compiled`: threads of a block, and the room for what these tell each other and
# for what they sum over homes (one more: so each row begins in a bank of its own)
THREADS = MOST_THREADS
TOLD, ROW = THREADS + PARTS, THREADS + 1
HOMES, PAIRS = IN_BLOCK, 2 * IN_BLOCK
WHOLE = int64 if simulated() else int32  # NumPy does not widen a product of its own short numbers


def _as_given(arrays: Any) -> Any:
    return arrays


shared_known = own_known = on_device(_as_given)

# functions of arrays that are plain Python on the CPU
_member_pay, _benefit_after, _worth = on_device(led.member_pay), on_device(benefit_after), on_device(worth)
_each_violation, _revenue_of = on_device(each_violation), on_device(revenue_of)
_with_team = on_device(with_team)
_out_then = on_device(out_then)


def thread() -> int:
    """Number of the thread in its block."""
    found: int = cuda.threadIdx.x
    return found


def threads() -> int:
    """Threads of a block."""
    return THREADS


def add_up(a: int, b: int, c: int, crew: Any) -> tuple[int, int, int]:
    """The sums over a block's threads of three numbers that each has found, see `Crew`: the same for each thread."""
    first, stride, room = crew.first(), crew.stride(), crew.room
    room[0, first], room[1, first], room[2, first] = a, b, c
    cuda.syncthreads()
    parts = min(PARTS, stride)
    if first < parts:
        for k in range(1, stride // parts):
            t = first + k * parts
            a, b, c = a + room[0, t], b + room[1, t], c + room[2, t]
        room[0, stride + first], room[1, stride + first], room[2, stride + first] = a, b, c
    cuda.syncthreads()
    a, b, c = room[0, stride], room[1, stride], room[2, stride]
    for t in range(stride + 1, stride + parts):
        a, b, c = a + room[0, t], b + room[1, t], c + room[2, t]
    return a, b, c


def sum_and_top(found: int, top: int, crew: Any) -> tuple[int, int]:
    """The sum of what the threads of a block have found, and the highest, see `Crew`: the same for each thread."""
    first, stride, room = crew.first(), crew.stride(), crew.room
    room[0, first], room[1, first] = found, top
    cuda.syncthreads()
    parts = min(PARTS, stride)
    if first < parts:
        for k in range(1, stride // parts):
            t = first + k * parts
            found, top = found + room[0, t], max(top, room[1, t])
        room[0, stride + first], room[1, stride + first] = found, top
    cuda.syncthreads()
    found, top = room[0, stride], room[1, stride]
    for t in range(stride + 1, stride + parts):
        found, top = found + room[0, t], max(top, room[1, t])
    return found, top


@exact()
def check_actions(actions: Any, wrong: Any) -> None:
    """Set `wrong[0]` to 1 unless all `actions` (M, N, N_ACTION) are numbers in [-1, 1]."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, actions.shape[1], cuda.blockDim.x):
        for column in range(N_ACTION):
            if not abs(actions[m, i, column]) <= MOST:  # no comparison is true of what is not a number
                wrong[0] = 1


@exact()
def spread(first: Any, month: Any, out: Any) -> None:
    """Fill `out` (M, rows, N) with the rows of each month, `first` (D, rows, N)."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, out.shape[2], cuda.blockDim.x):
        for row in range(first.shape[1]):
            out[m, row, i] = first[month[m], row, i]


@exact()
def wait(own: Own) -> None:
    """Let no bid wait: at the start there are empty ones, with the asks of the first gate."""
    m = cuda.blockIdx.x
    x = own.real[m]
    for i in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
        for slot in range(own.waiting.shape[1]):
            for column in range(N_ACTION):
                own.waiting[m, slot, column, i] = 0
            own.waiting_free[m, slot, i] = False
            own.waiting_asks[m, slot, 0, i], own.waiting_asks[m, slot, 1, i] = x[ASKS, i], x[ASKS + 1, i]


@exact()
def pick(real: Any, row: int, out: Any) -> None:
    """Fill `out` (M, rows, N) with the rows of `real` from `row` on."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, out.shape[2], cuda.blockDim.x):
        for at in range(out.shape[1]):
            out[m, at, i] = real[m, row + at, i]


def play_opportunity(
    actions: Any,
    shared: Shared,
    own: Own,
    c: Constants,
    now: Place,
    then: Place,
    overridden: bool,
) -> None:
    """Play one opportunity of every month, a block each, from step `now` to the gate at `then`; settle nothing yet.

    Parameters
    ----------
    actions : array
        (M, N, N_ACTION) float32, checked.
    shared, own : Shared, Own
        Device memory.
    c : Constants
        Numbers.
    now, then : Place
        The first step, and the step after the last.
    overridden : bool
        Whether `Own.override` says whose gateway does not keep the envelope when these bids are delivered.
    """
    shared, own = shared_known(shared), own_known(own)
    m, first, stride = cuda.blockIdx.x, cuda.threadIdx.x, THREADS
    d = own.month[m]
    x, p = own.real[m], shared.homes[d]
    n = x.shape[1]
    if HOMES <= IN_BLOCK:
        w = cuda.shared.array((N_WHOLE, 1, HOMES), WHOLE)
        lines = cuda.shared.array((N_LINES, 1, PAIRS), WHOLE)
    else:
        w, lines = own.whole[m], own.lines[m]
    homes, day = homes_of(c.rules, p, x), day_of(shared, now, d)
    orders, prices, offers = orders_of(x), prices_of(x), w[OFFERS : OFFERS + N_ACTION]
    market = market_of(shared, own, c, now.t, m)
    week_step, found = day.plan.week_step[now.k], x[LEDGER : LEDGER + N_HEADROOM]
    lasting = Gate(day, now.k, Delivery(c.evening_steps, 0, week_step), x[PENDING], found)
    sustained = Gate(day, now.k, Delivery(c.steps, 0, week_step), x[PENDING], found)
    awards, results = awards_of(own, m, w, lines), results_of(own, m)
    books = results.books
    per_feeder, feeders = c.rules.feeder_homes, own.at.shape[2]
    whole, at, going = feeder_of(own, m, 0, 0, n), own.at[m], own.going[m]
    slot, hours = now.gate % max(c.lead, 1), c.steps * c.rules.dt_h
    crew = Crew(thread, threads, cuda.shared.array((3, TOLD), int64), add_up, sum_and_top)
    part = cuda.shared.array((N_SUMMED, ROW), float64)
    # bids come in
    for i in range(first, n, stride):
        out = own.absent[m, 0, i]
        free = not c.safeguard or (overridden and own.override[m, i])
        if c.lead > 0:
            # what was taken now waits, what was taken `lead` opportunities ago is played; nobody had bid for the first
            free, own.waiting_free[m, slot, i] = own.waiting_free[m, slot, i], free
        # here and elsewhere, all is read before anything is written: a read behind a write waits for it
        asked = cuda.local.array(N_ACTION, float64)
        for column in range(N_ACTION):
            asked[column] = float(actions[m, i, column])
        bids = cuda.local.array(N_ACTION, int64)
        for column in range(N_ACTION):
            bids[column] = decoded(column, asked[column], p[LIMIT_KW, i], p[LIMIT_KW + 1, i])
        if c.lead > 0:
            for column in range(N_ACTION):
                before = own.waiting[m, slot, column, i]
                own.waiting[m, slot, column, i] = bids[column]
                bids[column] = before
        for column in range(N_ACTION):
            offers[column, 0, i] = 0 if out else bids[column]
        if now.inside:
            # what it could give, noted for the built-in aggregator; the ledger is room for a look
            x[PENDING, i] = 0.0
            if now.opens:
                headroom_home(homes, lasting, i)
                x[LASTING, i] = found[STORAGE, i]
            headroom_home(homes, sustained, i)
            kw = found[DEFER_MEAN, i] + x[LASTING, i]
            x[ABLE, i] = able_home(offers, 0, i, market.dispatch_tick, kw)
            if now.fresh:
                x[EVENING_KWH, i] = 0.0
            if now.evening >= 0 and own.on_call_kw[m] > 0.0 and not shared.stays[d, now.evening, i]:
                out = True
                for column in range(N_ACTION):
                    offers[column, 0, i] = 0
        free = free and not out
        able, stored, deferred = reserve_at_gate(free, homes.quote, None, i), x[ASKS, i], x[ASKS + 1, i]
        if c.lead > 0:
            asks, now_stored, now_deferred = own.waiting_asks[m, slot], stored, deferred
            stored, deferred = asks[0, i], asks[1, i]
            asks[0, i], asks[1, i] = now_stored, now_deferred
        prices.own[i], prices.defer[i] = stored, deferred
        x[GATE_UP, i], orders.free[i] = able, 1.0 if free else 0.0
        for row in range(LEDGER, ORDERS):
            x[row, i] = 0.0
    cuda.syncthreads()
    for j in range(c.steps):
        sold = clear_energy(0, offers, homes.quote, market, j, bench_of(w, lines), awards, results, crew)
        left_for_reserve(0, homes.quote, x[GATE_UP], awards, w[UP], w[DOWN], crew)
        room = max(market.cap_q[0] - sold, 0)
        offered = ReserveOffers(offers[RESERVE_Q], offers[RESERVE_TICKS], w[UP], w[DOWN])
        won = ReserveAwards(awards.reserve, awards.product, awards.last_reserve)
        highest, down = market.reserve_highest[j], market.is_down
        terms = ReserveTerms(market.rho[j], highest, down, market.min_q, market.on_offers)
        reserved = clear_reserve(0, offered, terms, room, reserve_bench_of(w), won, crew)
        if first == 0:
            results.taken[j, 0] = awards.taken[0] or reserved
        for f in range(first, feeders, stride):
            begin_feeder(feeder_of(own, m, f, 0, n))
            going[f] = True
        cuda.syncthreads()
        for i in range(first, n, stride):
            serves = served(awards.product[0, i], 0, market, j, awards)
            order = order_home(0, i, n, offers, homes.quote, awards, serves, orders.free[i])
            lmp, stored, deferred = results.lmp[j, 0], prices.own[i], prices.defer[i]
            put_price(prices, i, price_home(0, i, offers, None, market, j, awards, lmp, serves, stored, deferred))
            put_order(orders, i, order)
            ask_for_all(whole, i, order)
        # homes are run together, and those of a feeder that would pass its limits again with less
        more = True
        while more:
            for i in range(first, n, stride):
                if going[i // per_feeder]:
                    run_home(homes, day, now.k + j, orders, prices, whole, i, i, i)
            cuda.syncthreads()
            more = False
            for f in range(first, feeders, stride):
                if going[f]:
                    start, stop = f * per_feeder, min((f + 1) * per_feeder, n)
                    feeder = feeder_of(own, m, f, start, stop)
                    going[f] = judge_feeder(feeder, orders, c.rules.feeder_kw, start, stop)
                    more = more or going[f]
            more = crew.add_up(1 if more else 0, 0, 0, crew)[0] > 0
        # in parts for which there is room: every home's thread books, then every row's adds up in the order of homes
        for begin in range(0, n, stride):
            i = begin + first
            if i < n:
                at_once, flow = at[STAGE, i // per_feeder] == FULL, cuda.local.array(N_SUMMED, float64)
                flow[0], flow[1], flow[2], flow[3] = awarded(orders, prices, i)
                for row in range(N_FLOW):
                    flow[N_AWARDED + row] = whole.flow[row, i]
                soc, planned = whole.state[0, i], day.baseline.bess_soc[now.k + j, i]
                flow[N_SUMMED - 2], flow[N_SUMMED - 1] = soc, planned
                book_home(homes, day, now.k + j, orders, prices, whole, at_once, i, books.ledger)
                books.soc_home_kwh[j, 0, i], books.soc_home_kwh[j, 1, i] = soc, planned
                for row in range(N_SUMMED):
                    part[row, first] = flow[row]
            cuda.syncthreads()
            for row in range(first, N_SUMMED, stride):
                to = AWARD + row if row < N_AWARDED else FLOWS + row - N_AWARDED
                total = own.sums[m, j, to, 0] if begin > 0 else 0.0
                for h in range(min(stride, n - begin)):
                    total += part[row, h]
                own.sums[m, j, to, 0] = total
            cuda.syncthreads()
        for row in range(first, 2, stride):
            total = 0.0
            for f in range(feeders):
                total += at[CUT, f] if row else at[OVER, f]
            own.sums[m, j, OVERLOADS + row, 0] = total
        if j < c.steps - 1:
            for i in range(first, n, stride):
                begin_home(homes, step_at(day, now.k + j + 1, i), i, books.events, books.ledger, i)
        cuda.syncthreads()
    # the gate of the next one
    coming = day_of(shared, then, d)
    delivery = Delivery(c.steps, c.lead * c.steps, then.week_step)
    gate = Gate(coming, then.k, delivery, x[PENDING], x[HEADROOM : HEADROOM + N_HEADROOM])
    for i in range(first, n, stride):
        begin_home(homes, step_at(coming, then.k, i), i, books.events, books.ledger, i)
        pending = 0.0
        if not c.safeguard:
            # as `Waiting.pending_kwh`: the oldest bids first
            for later in range(1, c.lead + 1):
                bids = own.waiting[m, (now.gate + later) % c.lead]
                kw = (bids[SELL1_KW, i] + bids[SELL2_KW, i] + bids[RESERVE_KW, i]) * POWER_QUANTUM_KW
                pending += min(kw, p[LIMIT_KW, i]) * hours
        x[PENDING, i] = pending
        headroom_home(homes, gate, i)
        hours_left = headroom_rows(x).hours_left[i]
        _, defer = defer_ask(shared.back[d, then.gate], hours_left, p[PREMIUM, i])
        x[ASKS, i], x[ASKS + 1, i] = shared.asks[d, 0, then.day, i], defer
        x[ASKS + 2, i] = shared.asks[d, 1, then.day, i]
        if now.evening >= 0:
            x[EVENING_KWH, i] += books.ledger[led.L_REDUCED, i]


def settle_opportunity(
    shared: Shared, own: Own, c: Constants, now: Place, paid: bool, new_day: bool, new_hour: bool, last: bool
) -> None:
    """Settle the opportunity that was played from step `now` on: money, what was taken of wishes, rewards.

    Parameters
    ----------
    shared, own : Shared, Own
        Device memory.
    c : Constants
        Numbers.
    now : Place
        Its first step.
    paid : bool
        Whether firm capacity brings something: `Own.capacity_usd` and `Own.members_usd` hold it.
    new_day, new_hour : bool
        Whether it is the first opportunity of a local day (that is not the run's first), of a clock hour.
    last : bool
        Whether it is the run's last one: what is stored and broken at the end is added, and mixed, by whoever calls.
    """
    shared, own = shared_known(shared), own_known(own)
    m, first, stride = cuda.blockIdx.x, cuda.threadIdx.x, THREADS
    x, p = own.real[m], shared.homes[own.month[m]]
    n = x.shape[1]
    market, results = market_of(shared, own, c, now.t, m), results_of(own, m)
    books = results.books
    # a line each: by its line the simulator knows whose room is the same
    due = cuda.shared.array((N_DUE, DUE_ROW), float64)
    total = cuda.shared.array(N_TOTAL, float64)
    brought = cuda.shared.array(N_BROUGHT, float64)
    for r in range(first, N_TOTAL, stride):
        total[r] = 0.0
    for start in range(0, n, SETTLED):
        count = min(SETTLED, n - start)
        if start > 0:
            cuda.syncthreads()  # the homes before are summed
        for h in range(first, count, stride):
            i = start + h
            if paid:
                books.ledger[led.L_PAY_CAPACITY, i] += own.members_usd[m, i]
            # what it brought to the home
            if new_day:
                x[RUNNING, i] = 0.0
            limits, running = p[WISH_LIMIT : WISH_LIMIT + 3], x[RUNNING : RUNNING + 2]
            taken_of(i, own.soc[m], books.ledger, books.events[led.SHORT], limits, running, new_hour, x[WISHES:LASTING])
            mine, dues = books.ledger[:, i], dues_of(books.ledger, i)
            benefit = _benefit_after(_member_pay(mine), mine)
            reward = benefit - _worth(x[WISHES:LASTING, i], p[WORTH:, i])
            broken = _each_violation(mine, books.events[led.LACKS, i], books.events[led.MISSED, i])
            # nothing is written between the reads: they are under way together
            sums = cuda.local.array(N_KEPT, float64)
            for at, row in enumerate(ROWS_READ):
                sums[at] = x[TOTAL_LEDGER + at, i] + mine[row]
            for kind in range(LASTING - WISHES):
                sums[TOTAL_WISHES - TOTAL_LEDGER + kind] = x[TOTAL_WISHES + kind, i] + x[WISHES + kind, i]
            storage = own.storage[m, i] + (mine[led.L_BESS] + mine[led.L_V2G])
            for at in range(N_KEPT):
                x[TOTAL_LEDGER + at, i] = sums[at]
            own.storage[m, i], own.rewards[m, i] = storage, reward
            due[NOPAY, h], due[REWARD, h] = dues.nopay, reward
            due[PAY, h], due[PAY + 1, h], due[PAY + 2, h] = dues.energy, dues.kept, dues.contract
            for kind, said in enumerate(broken):
                due[BROKEN + kind, h] = 1.0 if said else 0.0
                if said:
                    own.violated[m, i] = True
        cuda.syncthreads()
        # sums side by side, each in the CPU's order
        for r in range(first, N_TOTAL, stride):
            found, row = total[r], r if r <= PAY else r + 2
            for h in range(count):
                found += due[row, h]
                if r == PAY:
                    found += due[PAY + 1, h]
                    found += due[PAY + 2, h]
            total[r] = found
    if first == stride - 1:
        brought_by = settle_intervals(0, market, results, c.rules.dt_h, c.kappa)
        for at, usd in enumerate(brought_by):
            brought[at] = usd
    cuda.syncthreads()
    for kind in range(first, KINDS, stride):
        count = total[PAY + 2 + kind]
        own.costs[m, kind] = count
        own.run[m, VIOLATIONS_OF + kind] += count
    if first == 0:
        own.event_kwh[m, 0] = brought[EVENT_KWH]
        compute: Any = c.compute_usd
        capacity: Any = own.capacity_usd[m] if paid else 0.0
        b, payments = brought, total[PAY]
        sums_of: Any = Money(b[0], b[1], total[NOPAY], b[2], payments, compute, b[3], b[4], capacity)
        revenue = _revenue_of(sums_of)
        profit = revenue - payments - c.compute_usd
        own.profit[m], own.joint[m] = profit, profit + total[PAY + 1]
        own.run[m, PROFIT] += profit
        own.run[m, REVENUE] += revenue
        if not last:
            own.run[m, WELFARE] += own.joint[m]
    if c.team_share > 0.0 and not last:
        cuda.syncthreads()
        for i in range(first, n, stride):
            own.rewards[m, i] = _with_team(own.rewards[m, i], own.joint[m] / n, c.team_share)


def observe(shared: Shared, own: Own, c: Constants, then: Place, obs: Any) -> None:
    """Fill `obs` (M, N, N_OBS) float32 at the gate at `then`; who is out has nothing on offer."""
    shared, own = shared_known(shared), own_known(own)
    m, first, stride = cuda.blockIdx.x, cuda.threadIdx.x, THREADS
    d = own.month[m]
    x, p = own.real[m], shared.homes[d]
    n = x.shape[1]
    load, pv = shared.shown[d, then.gate, 0], shared.shown[d, then.gate, 1]
    room = cuda.shared.array((SEEN, SEEN_ROW), float32)
    public = cuda.shared.array(N_PUBLIC, float32)
    for j in range(first, N_PUBLIC, stride):
        public[j] = shared.public[d, then.gate, j]
    cuda.syncthreads()
    if first == 0:
        for j, column in enumerate(TOLD_KW):
            public[column] = own.told[m, j]
        if c.slope > 0.0:
            for j, column in enumerate(TOLD_PRICES):
                public[column] = own.told[m, KW + j]
    homes = homes_of(c.rules, p, x)
    for start in range(0, n, SEEN):
        count = min(SEEN, n - start)
        for h in range(first, count, stride):
            i = start + h
            out = own.absent[m, then.ahead, i]
            if out:
                for row in ROWS_OF_LIMITS:
                    x[HEADROOM + row, i] = 0.0
            state = state_at(homes.state, i)
            mine = x[LEDGER:EVENTS, i]
            deficit = max(shared.baseline[d, 1, then.row + then.k, i] - state.vehicle.soc_kwh, 0.0)
            asks = (x[ASKS, i], x[ASKS + 1, i], x[ASKS + 2, i])
            last = (mine[led.L_AWARD], mine[led.L_MARKET], _member_pay(mine))
            found = changing_of(state, headroom_at(headroom_rows(x), i), deficit, asks, out, last)
            observe_home(i, h, shared.fixed[d], found, load, pv, room)
        cuda.syncthreads()
        # rows are copied as the one run of memory that they are: threads side by side write numbers side by side
        h, column = first // N_OBS, first % N_OBS
        while h < count:
            obs[m, start + h, column] = public[column] if column < N_PUBLIC else room[h, column - N_PUBLIC]
            h += stride // N_OBS
            column += stride % N_OBS
            if column >= N_OBS:
                h += 1
                column -= N_OBS
        cuda.syncthreads()


@exact()
def end_day(shared: Shared, own: Own, rules: PatienceRules, day: int) -> None:
    """End local day `day`: owners decide who stays out, and the next day begins.

    Parameters
    ----------
    shared, own : Shared, Own
        Device memory.
    rules : PatienceRules
        Numbers.
    day : int
        Local day of the run.
    """
    m = cuda.blockIdx.x
    d = own.month[m]
    for i in range(cuda.threadIdx.x, own.annoyance.shape[1], cuda.blockDim.x):
        called, violated = own.storage[m, i] > NOTICED_KWH, own.violated[m, i]
        before, out, times = own.annoyance[m, i], own.days_out[m, i], own.times[m, i]
        bears, extra = shared.bears[d, day, i], shared.extra[d, day, i]
        annoyance, out, times = day_of_owner(
            before, out, times, called, violated, 0, shared.tolerance[d, i], bears, extra, rules
        )
        own.annoyance[m, i], own.days_out[m, i], own.times[m, i] = annoyance * rules.fade, out, times
        for ahead in range(own.absent.shape[1]):
            own.absent[m, ahead, i] = _out_then(out, times, ahead, rules.times_to_leave)
        own.storage[m, i], own.violated[m, i] = 0.0, False


class Kernels(NamedTuple):
    """Kernels of months of one shape."""

    play_opportunity: Any
    settle_opportunity: Any
    observe: Any


_COMPILED: dict[tuple[object, ...], Kernels] = {}


def compiled(shared: Shared, own: Own, count: int) -> Kernels:
    """Return the kernels for arrays of these shapes (but for how many months there are), `count` threads a block."""
    key = (count, *(tuple(array.shape[1:]) for array in (*shared, *own)))
    if key not in _COMPILED:
        names = {"THREADS": count, "shared_known": known_shapes(shared), "own_known": known_shapes(own)}
        homes = own.real.shape[2]
        names |= {"TOLD": count + PARTS, "ROW": count + 1, "HOMES": homes, "PAIRS": 2 * homes}
        kernels, helpers = (play_opportunity, settle_opportunity, observe), (thread, threads, add_up, sum_and_top)
        _COMPILED[key] = Kernels(*(exact(MOST_REGISTERS)(with_names(kernel, helpers, **names)) for kernel in kernels))
    return _COMPILED[key]
