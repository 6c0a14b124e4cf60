"""The kernels: which thread does what of an opportunity, and nothing of what it comes to.

One block plays one month. Its threads take the homes (and the feeders) in turns; what is decided for the month as a
whole, the merit order and the sums over homes, is one thread's, in the order in which the CPU goes. So there is
nothing that depends on which thread comes first.
"""

from __future__ import annotations

from typing import Any

from numba import cuda as numba_cuda

from vpp_env.api.device.memory import (
    ABLE,
    ASKS,
    DOWN,
    EVENING_KWH,
    EVENT,
    EVENTS,
    GATE_UP,
    HEADROOM,
    LASTING,
    LEDGER,
    LIMIT_KW,
    MONEY,
    N_HEADROOM,
    N_SUM,
    OFFERS,
    ORDERS,
    PENDING,
    PREMIUM,
    PROFIT,
    REVENUE,
    RUNNING,
    TOLD_KW,
    TOLD_PRICES,
    TOTAL_LEDGER,
    TOTAL_WISHES,
    UP,
    VIOLATED,
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
from vpp_env.api.observation import changing_of
from vpp_env.api.rewards import with_team
from vpp_env.api.tally import READ
from vpp_env.contract.bids import N_ACTION, RESERVE_KW, ROUNDING, SELL1_KW, SELL2_KW, decoded
from vpp_env.contract.observation import N_PUBLIC, observe_home
from vpp_env.core import ledger as led
from vpp_env.core.headroom import LIMITS, Delivery, Headroom, headroom_at
from vpp_env.core.home import state_at, step_at
from vpp_env.core.layout import N_FLOW
from vpp_env.core.loops import (
    Gate,
    add_feeder,
    add_flow,
    begin_home,
    deliver_feeder,
    headroom_home,
)
from vpp_env.evaluation.welfare import worth
from vpp_env.market.energy import clear_energy
from vpp_env.market.exchange import able_home
from vpp_env.market.opportunity import (
    Money,
    book_order,
    left_for_reserve,
    order_home,
    price_home,
    reserve_at_gate,
    revenue_of,
    settle_month,
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
DEFER_MEAN, STORAGE = (Headroom._fields.index(name) for name in ("defer_mean", "storage"))

# functions of arrays that are plain Python on the CPU
on_device = cuda.jit(device=True)
_member_pay, _benefit_after, _worth = on_device(led.member_pay), on_device(benefit_after), on_device(worth)
_each_violation, _revenue_of = on_device(each_violation), on_device(revenue_of)
_with_team = on_device(with_team)
_out_then = on_device(out_then)


@cuda.jit
def check_actions(actions: Any, wrong: Any) -> None:
    """Set `wrong[0]` to 1 unless all `actions` (M, N, N_ACTION) are numbers in [-1, 1]."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, actions.shape[1], cuda.blockDim.x):
        for column in range(N_ACTION):
            if not abs(actions[m, i, column]) <= MOST:  # no comparison is true of what is not a number
                wrong[0] = 1


@cuda.jit
def spread(first: Any, month: Any, out: Any) -> None:
    """Fill `out` (M, rows, N) with the rows of each month, `first` (D, rows, N)."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, out.shape[2], cuda.blockDim.x):
        for row in range(first.shape[1]):
            out[m, row, i] = first[month[m], row, i]


@cuda.jit
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


@cuda.jit
def pick(real: Any, row: int, out: Any) -> None:
    """Fill `out` (M, rows, N) with the rows of `real` from `row` on."""
    m = cuda.blockIdx.x
    for i in range(cuda.threadIdx.x, out.shape[2], cuda.blockDim.x):
        for at in range(out.shape[1]):
            out[m, at, i] = real[m, row + at, i]


@cuda.jit
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
    m, first, stride = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    d = own.month[m]
    x, p, w = own.real[m], shared.homes[d], own.whole
    n = x.shape[1]
    homes, day = homes_of(c.rules, p, x), day_of(shared, now, d)
    orders, prices, offers = orders_of(x), prices_of(x), w[m, OFFERS : OFFERS + N_ACTION]
    market = market_of(shared, own, c, now.t, m)
    week_step, found = day.plan.week_step[now.k], x[LEDGER : LEDGER + N_HEADROOM]
    lasting = Gate(day, now.k, Delivery(c.evening_steps, 0, week_step), x[PENDING], found)
    sustained = Gate(day, now.k, Delivery(c.steps, 0, week_step), x[PENDING], found)
    awards, results = awards_of(own, m), results_of(own, m)
    books = results.books
    per_feeder = own.feeders.shape[3]
    slot, hours = now.gate % max(c.lead, 1), c.steps * c.rules.dt_h
    # what was left of the last opportunity goes; bids come in
    for j in range(first, c.steps, stride):
        for row in range(N_SUM):
            own.sums[m, j, row, 0] = 0.0
        results.void[j, 0] = False
    for i in range(first, n, stride):
        out = own.absent[m, 0, i]
        free = not c.safeguard or (overridden and own.override[m, i])
        if c.lead > 0:
            # what was taken now waits, what was taken `lead` opportunities ago is played; nobody had bid for the first
            free, own.waiting_free[m, slot, i] = own.waiting_free[m, slot, i], free
        for column in range(N_ACTION):
            taken = decoded(column, float(actions[m, i, column]), p[LIMIT_KW, i], p[LIMIT_KW + 1, i])
            if c.lead > 0:
                before = own.waiting[m, slot, column, i]
                own.waiting[m, slot, column, i] = taken
                taken = before
            offers[column, 0, i] = 0 if out else taken
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
            if own.on_call_kw[m] > 0.0 and not shared.stays[d, now.evening, i]:
                out = True
                for column in range(N_ACTION):
                    offers[column, 0, i] = 0
        for row in range(LEDGER, ORDERS):
            x[row, i] = 0.0
        free = free and not out
        orders.free[i] = 1.0 if free else 0.0
        x[GATE_UP, i] = reserve_at_gate(free, homes.quote, None, i)
        prices.own[i], prices.defer[i] = x[ASKS, i], x[ASKS + 1, i]
        if c.lead > 0:
            asks = own.waiting_asks[m, slot]
            prices.own[i], prices.defer[i] = asks[0, i], asks[1, i]
            asks[0, i], asks[1, i] = x[ASKS, i], x[ASKS + 1, i]
    cuda.syncthreads()
    for j in range(c.steps):
        if first == 0:
            clear_energy(0, offers, homes.quote, market, j, bench_of(own, m), awards, results)
            room = left_for_reserve(0, homes.quote, x[GATE_UP], market, awards, w[m, UP], w[m, DOWN])
            offered = ReserveOffers(offers[RESERVE_Q], offers[RESERVE_TICKS], w[m, UP], w[m, DOWN])
            won = ReserveAwards(awards.reserve, awards.product, awards.last_reserve, awards.taken)
            highest, down = market.reserve_highest[j], market.is_down
            terms = ReserveTerms(market.rho[j], highest, down, market.min_q, market.on_offers)
            clear_reserve(0, offered, terms, room, reserve_bench_of(own, m), won)
            results.taken[j, 0] = awards.taken[0]
        cuda.syncthreads()
        for i in range(first, n, stride):
            order_home(0, i, offers, homes.quote, market, j, awards, orders)
            price_home(0, i, offers, None, market, j, awards, results.lmp[j, 0], prices)
        cuda.syncthreads()
        for f in range(first, own.feeders.shape[2], stride):
            start = f * per_feeder
            stop = min(start + per_feeder, n)
            deliver_feeder(homes, day, now.k + j, orders, prices, feeder_of(own, m, f), start, stop, j, books)
        cuda.syncthreads()
        for row in range(first, N_FLOW + 2, stride):
            if row == N_FLOW:
                for i in range(n):
                    book_order(0, i, orders, prices, j, results)
            else:
                for f in range(own.feeders.shape[2]):
                    start = f * per_feeder
                    stop = min(start + per_feeder, n)
                    if row < N_FLOW:
                        add_flow(feeder_of(own, m, f), stop - start, row, j, 0, books)
                    else:
                        add_feeder(feeder_of(own, m, f), start, stop, j, 0, books)
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


@cuda.jit
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
    m, first, stride = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    x, p, w = own.real[m], shared.homes[own.month[m]], own.whole
    n = x.shape[1]
    market, results = market_of(shared, own, c, now.t, m), results_of(own, m)
    books = results.books
    for i in range(first, n, stride):
        if paid:
            books.ledger[led.L_PAY_CAPACITY, i] += own.members_usd[m, i]
        # what it brought to the home
        if new_day:
            x[RUNNING, i] = 0.0
        limits, running = p[WISH_LIMIT : WISH_LIMIT + 3], x[RUNNING : RUNNING + 2]
        taken_of(i, own.soc[m], books.ledger, books.events[led.SHORT], limits, running, new_hour, x[WISHES:LASTING])
        mine = books.ledger[:, i]
        benefit = _benefit_after(_member_pay(mine), mine)
        own.rewards[m, i] = benefit - _worth(x[WISHES:LASTING, i], p[WORTH:, i])
        broken = _each_violation(mine, books.events[led.LACKS, i], books.events[led.MISSED, i])
        for kind, said in enumerate(broken):
            w[m, VIOLATED + kind, 0, i] = 1 if said else 0
            if said:
                own.violated[m, i] = True
        own.storage[m, i] += mine[led.L_BESS] + mine[led.L_V2G]
        for at, row in enumerate(ROWS_READ):
            x[TOTAL_LEDGER + at, i] += mine[row]
        for kind in range(LASTING - WISHES):
            x[TOTAL_WISHES + kind, i] += x[WISHES + kind, i]
    cuda.syncthreads()
    money = own.money[m]
    for kind in range(first, KINDS, stride):
        count = 0
        for i in range(n):
            count += w[m, VIOLATED + kind, 0, i]
        own.costs[m, kind] = count
        own.run[m, VIOLATIONS_OF + kind] += count
    if first == 0:
        for row in range(MONEY, EVENT):
            money[row, 0] = 0.0
        event = settle_month(0, market, results, c.rules.dt_h, c.kappa, money[MONEY:EVENT])
        money[EVENT, 0] = event
        a, b = money[:5, 0], money[5:EVENT, 0]
        compute: Any = c.compute_usd
        capacity: Any = own.capacity_usd[m] if paid else 0.0
        sums = Money(a[0], a[1], a[2], a[3], a[4], compute, b[0], b[1], capacity)
        revenue = _revenue_of(sums)
        profit = revenue - sums.payments - sums.compute
        parts = 0.0
        for i in range(n):
            parts += own.rewards[m, i]
        own.profit[m], own.joint[m] = profit, profit + parts
        own.run[m, PROFIT] += profit
        own.run[m, REVENUE] += revenue
        if not last:
            own.run[m, WELFARE] += own.joint[m]
    cuda.syncthreads()
    if c.team_share > 0.0 and not last:
        for i in range(first, n, stride):
            own.rewards[m, i] = _with_team(own.rewards[m, i], own.joint[m] / n, c.team_share)


@cuda.jit
def observe(shared: Shared, own: Own, c: Constants, then: Place, obs: Any) -> None:
    """Fill `obs` (M, N, N_OBS) float32 at the gate at `then`; who is out has nothing on offer."""
    m, stride = cuda.blockIdx.x, cuda.blockDim.x
    d = own.month[m]
    x, p = own.real[m], shared.homes[d]
    load, pv = shared.shown[d, then.gate, 0], shared.shown[d, then.gate, 1]
    if cuda.threadIdx.x == 0:
        for j in range(N_PUBLIC):
            own.public[m, j] = shared.public[d, then.gate, j]
        for j, column in enumerate(TOLD_KW):
            own.public[m, column] = own.told[m, j]
        if c.slope > 0.0:
            for j, column in enumerate(TOLD_PRICES):
                own.public[m, column] = own.told[m, KW + j]
    cuda.syncthreads()
    homes = homes_of(c.rules, p, x)
    for i in range(cuda.threadIdx.x, x.shape[1], stride):
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
        for j in range(N_PUBLIC):
            obs[m, i, j] = own.public[m, j]
        observe_home(i, i, shared.fixed[d], found, load, pv, obs[m, :, N_PUBLIC:])


@cuda.jit
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
        # faded where it is kept: a sum that follows the product would be fused with it
        own.annoyance[m, i], own.days_out[m, i], own.times[m, i] = annoyance * rules.fade, out, times
        for ahead in range(own.absent.shape[1]):
            own.absent[m, ahead, i] = _out_then(out, times, ahead, rules.times_to_leave)
        own.storage[m, i], own.violated[m, i] = 0.0, False
