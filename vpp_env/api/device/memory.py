"""What lies in device memory, and how a block finds its month in it.

Everything of one kind is one array, so that a kernel takes few of them: `Shared` is read only and belongs to the
distinct months, `Own` is what the M months that are played change. A block plays one month: it cuts its month out of
each and calls the functions that the CPU calls, for a world of one month.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from vpp_env.api.tally import READ
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import PublicColumns
from vpp_env.core.devices.battery import Battery, BatteryState
from vpp_env.core.devices.vehicle import Vehicle, VehicleState
from vpp_env.core.feeder import N_STATE, Feeder
from vpp_env.core.headroom import N_HEADROOM, Headroom
from vpp_env.core.layout import (
    N_FLOW,
    BaselineDay,
    Day,
    DayPlan,
    Home,
    Homes,
    HomeState,
    Order,
    Price,
    Quote,
    Rules,
)
from vpp_env.core.ledger import N_LEDGER
from vpp_env.core.loops import Books
from vpp_env.jit import inlined
from vpp_env.market.energy import Bench, quanta
from vpp_env.market.payment import PaymentRule
from vpp_env.market.reserve import ReserveBench
from vpp_env.market.state import Awards, IntervalResults, MarketState
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.owners.wishes import TAKEN


def _rows(*counts: int) -> tuple[int, ...]:
    """First row of each of several parts that lie below each other, and the row after the last."""
    total = [0]
    for count in counts:
        total.append(total[-1] + count)
    return tuple(total)


MOST_THREADS = 128
"""Threads of a block at most, a home each, in turns: four blocks of so many run side by side."""
IN_BLOCK = 208
"""Homes of a month at most whose bids, awards and room for clearing a block keeps in its own memory."""
# rows of `Shared.homes`: what belongs to a home and never changes
BATTERY, VEHICLE, BUY_LIMIT, BLACK, PREMIUM, LIMIT_KW, WISH_LIMIT, WORTH, N_HOME = _rows(
    6, 5, 1, 4, 1, 2, 3, len(TAKEN)
)
# rows of `Own.real`
(STATE, QUOTE, HEADROOM, LEDGER, EVENTS, ORDERS, PRICES, ASKS, GATE_UP, PENDING, RUNNING, WISHES, LASTING, ABLE,
 EVENING_KWH, TOTAL_LEDGER, TOTAL_WISHES, N_REAL) = _rows(
    7, 5, N_HEADROOM, N_LEDGER, 4, len(Order._fields), len(Price._fields) - 1, 3, 1, 1, 2, len(TAKEN),
    1, 1, 1, len(READ), len(TAKEN),
)  # fmt: skip
# rows of `Own.whole`; what energy needs room for, reserve uses again
OFFERS, SELL, BUY, RESERVE, PRODUCT, CAN_BUY, LEFT_BUY, LIMIT, MINUS, PART, N_WHOLE = _rows(
    N_ACTION, 1, 1, 1, 1, 1, 1, 1, 1, 1
)
UP, DOWN, BEST, MINE = CAN_BUY, LEFT_BUY, LIMIT, MINUS
# rows of `Own.lines`
LINES, TICK, CAN_SELL, LEFT_SELL, N_LINES = _rows(1, 1, 1, 1)
# rows of `Own.sums`: what the homes of a month come to in an interval
(LMP, AWARD, CALLED, RESERVED, RESERVE_USD, PROJECTED, FLOWS, SOC, OVERLOADS,
 N_SUM) = _rows(1, 1, 1, 1, 1, 1, N_FLOW, 2, 2)  # fmt: skip
# columns of `Own.run`
PROFIT, REVENUE, WELFARE, VIOLATIONS_OF, N_RUN = _rows(1, 1, 1, len(VIOLATIONS))
# columns of the observation that follow from the month's own bids; the prices do where the VPP moves them
TOLD_KW = tuple(map(PublicColumns._fields.index, ("schedule_kw", "capacity_kw")))
TOLD_PRICES = tuple(map(PublicColumns._fields.index, ("real_time", "real_time_q10", "real_time_q50", "real_time_q90")))
# rows of `Own.feeders`
F_FLOW, F_STATE, F_WHOLE, F_SHARE, F_ASK, F_KEPT, F_RETAIL, F_SAVED, N_FEEDER = _rows(N_FLOW, N_STATE, 4, 4, 4, 1, 1, 8)


class Constants(NamedTuple):
    """What all months share, numbers only."""

    rules: Rules
    payment: PaymentRule
    steps: int  # S, of an opportunity
    lead: int  # opportunities between gate and delivery
    slope: float  # USD/kWh by which the price falls per quantum of net sales
    min_q: int
    on_offers: bool
    offer_factor: float
    dispatch_tick: int
    kappa: float  # `MarketSpec.deviation_kappa`
    compute_usd: float  # of an opportunity
    evening_steps: int  # of an evening of firm capacity
    safeguard: bool
    team_share: float


class Place(NamedTuple):
    """A step of a local day, where its rows lie, and the gate at it."""

    day: int  # local day
    row: int  # row of `Shared.load` that holds step 0 of the day
    steps: int  # of the day
    k: int  # step of the day
    week_step: int  # quarter hour of the week at which the delivery begins that is bid for there
    ahead: int  # local days from it to that delivery
    t: int  # step of the run
    gate: int  # gate, one for each opportunity and one at the end
    inside: bool  # the opportunity lies in an evening of firm capacity
    opens: bool  # that begins with it
    evening: int  # number of that evening, where it can be committed; else -1
    fresh: bool  # and this is its first opportunity


class Shared(NamedTuple):
    """Read-only arrays of D distinct months of N homes; A local days of T steps in all, G gates, R products."""

    homes: Any  # (D, N_HOME, N) float64
    fixed: Any  # (D, len(FIXED), N) float64
    load: Any  # (D, T, N) float32 kW; the local days in full, one after the other
    pv: Any  # (D, T, N) float32 kW
    baseline: Any  # (D, 6, T, N) float64, as `BaselineDay`
    cars: Any  # (D, 5, A, N) int64: dep, arr, out, ready, next_due
    trip: Any  # (D, A, N) float64 kWh
    clock: Any  # (2, T) int64: quarter hour of the week, 1 at peak tariff
    restore: Any  # (A,) int64
    asks: Any  # (D, 2, A, N) float64: per kWh discharged, on reserve
    back: Any  # (D, G, h) float64, see `owners.asks.defer_ask`
    shown: Any  # (D, G, 2, 4, N) float32: load and solar output that the observation shows
    public: Any  # (D, G, N_PUBLIC) float64: public columns of the observation
    ticks: Any  # (D, 2, steps, 1) int64: highest ask, lowest limit
    prices: Any  # (D, 3, steps, 1) float64: real-time, incentive, day-ahead
    rho: Any  # (D, steps, 1, R) float64
    reserve_ticks: Any  # (D, steps, 1, R) int64
    called: Any  # (D, steps, 1) bool
    products: Any  # (2, R) bool: is to charge, may be called
    stays: Any  # (D, E + 1, N) bool: whose owners stay in on each evening, should it be called; the last row: all
    tolerance: Any  # (D, N) float64 points of annoyance
    bears: Any  # (D, A, N) float64: hazard up to which an owner stays at the end of a local day
    extra: Any  # (D, A, N) int64: days out beyond the first, should the owner go


class Own(NamedTuple):
    """Arrays of M months of N homes that are played, F feeders."""

    month: Any  # (M,) int64: which of the distinct months
    absent: Any  # (M, 2, N) bool: today, and tomorrow as far as the owners have said
    waiting: Any  # (M, max(lead, 1), N_ACTION, N) int64: bids that wait for delivery, of opportunity o in row o % lead
    waiting_asks: Any  # (M, max(lead, 1), 2, N) float64: asks per kWh discharged and deferred that held at their gate
    waiting_free: Any  # (M, max(lead, 1), N) bool: whose gateway does not keep the envelope in it
    override: Any  # (M, N) bool: the same of the bids that come in, where it was handed in
    real: Any  # (M, N_REAL, N) float64
    soc: Any  # (M, S, 2, N) float64: batteries and their baselines at the end of each interval
    whole: Any  # (M, N_WHOLE, 1, N) int64; (M, 1, 1, 1) where a block keeps it in its own memory, see `IN_BLOCK`
    lines: Any  # (M, N_LINES, 1, 2 N) int64; the same
    sums: Any  # (M, S, N_SUM, 1) float64
    flags: Any  # (M, 2, S, 1) bool: void, taken
    last_sale: Any  # (M, 1) int64
    last_reserve: Any  # (M, 1, R) int64
    taken: Any  # (M, 1) bool
    event_kwh: Any  # (M, 1) float64: net delivery of a programme's event so far
    rewards: Any  # (M, N) float64 USD, each home's part
    joint: Any  # (M,) float64 USD, welfare
    profit: Any  # (M,) float64 USD, the VPP's
    costs: Any  # (M, 5) float64: homes whose preferences were violated, by kind
    run: Any  # (M, N_RUN) float64: what the month has come to so far, without what is worked out at its end
    storage: Any  # (M, N) float64 kWh that storage has given today
    violated: Any  # (M, N) bool: of some kind today
    feeders: Any  # (M, N_FEEDER, N) float64
    at: Any  # (M, N_AT, F) float64
    going: Any  # (M, F) bool: whose homes have to be run (again)
    cap_q: Any  # (M,) int64: most quanta that may be sold in the opportunity
    on_call_kw: Any  # (M,) float64: firm capacity that is called in it
    day_ahead_kw: Any  # (M, S, 1) float64: award of a day-ahead schedule
    capacity_usd: Any  # (M,) float64: what firm capacity brings in it
    members_usd: Any  # (M, N) float64: the members' share of that
    told: Any  # (M, 6) float64: public columns of the next gate, `TOLD_KW` and `TOLD_PRICES`
    annoyance: Any  # (M, N) float64 points, as they will have faded by the end of today
    days_out: Any  # (M, N) int64: days that the owner stays out from today on
    times: Any  # (M, N) int64: how often the owner has opted out


@inlined
def homes_of(rules: Rules, p: Any, x: Any) -> Homes:
    """The homes of one month: `p` (N_HOME, N) parameters, `x` (N_REAL, N) what changes."""
    b, v, w, s, q = BATTERY, VEHICLE, BLACK, STATE, QUOTE
    home = Home(
        Battery(p[b], p[b + 1], p[b + 2], p[b + 3], p[b + 4], p[b + 5], None),
        Vehicle(p[v], p[v + 1], p[v + 2], p[v + 3], p[v + 4], None, None, None),
        p[BUY_LIMIT],
        (p[w], p[w + 1]),
        (p[w + 2], p[w + 3]),
        None,
        None,
    )
    state = HomeState(BatteryState(x[s], x[s + 1], x[s + 2], x[s + 3]), VehicleState(x[s + 4], x[s + 5], x[s + 6]))
    return Homes(rules, home, state, Quote(x[q], x[q + 1], x[q + 2], x[q + 3], x[q + 4]))


@inlined
def day_of(shared: Shared, place: Place, d: int) -> Day:
    """A local day of distinct month d."""
    a, b, day = place.row, place.row + place.steps, place.day
    cars, base, clock = shared.cars, shared.baseline, shared.clock
    plan = DayPlan(
        shared.load[d, a:b],
        shared.pv[d, a:b],
        cars[d, 0, day],
        cars[d, 1, day],
        cars[d, 2, day],
        shared.trip[d, day],
        cars[d, 3, day],
        cars[d, 4, day],
        clock[0, a:b],
        clock[1, a:b],
        shared.restore[day],
        day,
    )
    rows = base[d, 0, a:b], base[d, 1, a:b], base[d, 2, a:b], base[d, 3, a:b], base[d, 4, a:b], base[d, 5, a:b]
    return Day(plan, BaselineDay(*rows))


@inlined
def market_of(shared: Shared, own: Own, c: Constants, t: int, m: int) -> MarketState:
    """The market of month m in the opportunity from step t on."""
    a, b, prices, d = t, t + c.steps, shared.prices, own.month[m]
    cap: Any = (own.cap_q[m],)  # of one month
    dispatch: Any = (quanta(own.on_call_kw[m]),)
    return MarketState(
        shared.ticks[d, 0, a:b],
        shared.ticks[d, 1, a:b],
        prices[d, 0, a:b],
        shared.rho[d, a:b],
        shared.reserve_ticks[d, a:b],
        shared.called[d, a:b],
        shared.products[0],
        shared.products[1],
        cap,
        c.min_q,
        c.on_offers,
        prices[d, 1, a:b],
        own.event_kwh[m],
        c.slope,
        c.offer_factor,
        prices[d, 2, a:b],
        own.day_ahead_kw[m],
        dispatch,
        c.dispatch_tick,
        c.payment,
    )


@inlined
def awards_of(own: Own, m: int, w: Any, lines: Any) -> Awards:
    """Awards of month m, whose quanta lie in `w` (N_WHOLE, 1, N) and `lines` (N_LINES, 1, 2 N)."""
    return Awards(
        lines[LINES],
        w[SELL],
        w[BUY],
        w[RESERVE],
        w[PRODUCT],
        own.last_sale[m],
        own.last_reserve[m],
        own.taken[m],
    )


@inlined
def results_of(own: Own, m: int) -> IntervalResults:
    """What the opportunity of month m leaves behind."""
    s, x = own.sums, own.real
    books = Books(
        x[m, LEDGER:EVENTS],
        x[m, EVENTS:ORDERS],
        s[m, :, FLOWS:SOC],
        s[m, :, SOC:OVERLOADS],
        own.soc[m],
        s[m, :, OVERLOADS:N_SUM],
    )
    return IntervalResults(
        books,
        s[m, :, LMP],
        s[m, :, AWARD],
        s[m, :, CALLED],
        s[m, :, RESERVED],
        s[m, :, RESERVE_USD],
        s[m, :, PROJECTED],
        own.flags[m, 0],
        own.flags[m, 1],
    )


@inlined
def bench_of(w: Any, lines: Any) -> Bench:
    """Room in which energy of a month is cleared."""
    return Bench(
        lines[TICK, 0], lines[CAN_SELL, 0], lines[LEFT_SELL, 0], w[CAN_BUY, 0], w[LEFT_BUY, 0], w[LIMIT, 0], w[MINUS, 0]
    )


@inlined
def reserve_bench_of(w: Any) -> ReserveBench:
    """Room in which reserve of a month is cleared."""
    return ReserveBench(w[BEST, 0], w[MINE, 0], w[PART, 0])


@inlined
def feeder_of(own: Own, m: int, f: int, first: int, last: int) -> Feeder:
    """Feeder f of month m, which serves its homes `first` to `last` - 1; of all its homes for who works on one."""
    x = own.feeders
    return Feeder(
        x[m, F_FLOW:F_STATE, first:last],
        x[m, F_STATE:F_WHOLE, first:last],
        x[m, F_WHOLE:F_SHARE, first:last],
        x[m, F_SHARE:F_ASK, first:last],
        x[m, F_ASK:F_KEPT, first:last],
        x[m, F_KEPT, first:last],
        x[m, F_RETAIL, first:last],
        x[m, F_SAVED:N_FEEDER, first:last],
        own.at[m, :, f],
    )


@inlined
def orders_of(x: Any) -> Order[Any]:
    """Orders of one month's homes, `x` (N_REAL, N)."""
    o = ORDERS
    return Order(x[o], x[o + 1], x[o + 2], x[o + 3], x[o + 4], x[o + 5], x[o + 6], x[o + 7])


@inlined
def prices_of(x: Any) -> Price[Any]:
    """Prices of one month's homes, `x` (N_REAL, N)."""
    p = PRICES
    return Price(x[p], x[p + 1], x[p + 2], x[p + 3], x[p + 4], x[p + 5], x[p + 6], x[p + 7], None)


@inlined
def headroom_rows(x: Any) -> Headroom[Any]:
    """Headroom of one month's homes, `x` (N_REAL, N)."""
    h = HEADROOM
    return Headroom(
        x[h], x[h + 1], x[h + 2], x[h + 3], x[h + 4], x[h + 5], x[h + 6], x[h + 7], x[h + 8], x[h + 9], x[h + 10],
        x[h + 11], x[h + 12], x[h + 13], x[h + 14], x[h + 15], x[h + 16],
    )  # fmt: skip
