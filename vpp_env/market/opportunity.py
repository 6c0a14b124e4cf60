"""One opportunity, compiled: every 15-min interval is cleared, delivered and accounted, for M months of N homes.

The order of things in an interval: each home's offer is cut to what it can deliver now; energy clears on the market's
terms; what is left of the reserve offers clears; calls are added; the devices deliver; the ledger is kept; the next
step begins (cars leave and arrive). Then the opportunity is settled: what the VPP earns, and what it pays its members.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.contract.bids import RESERVE_TICK
from vpp_env.core import ledger as led
from vpp_env.core.feeder import Feeder, new_feeder
from vpp_env.core.lanes import Lot, move, new_lot
from vpp_env.core.layout import FLOW, Day, Homes, Order, Price, Quote
from vpp_env.core.loops import Gate, begin_month, book_month, close_step, deliver_step, fill_headroom, new_books
from vpp_env.jit import ALONE, LANES, Crew, at, at_most, borrowing, inlined, kernel, on_stack, unsigned
from vpp_env.market.energy import Bench, by_price, clear_energy, new_bench, quanta
from vpp_env.market.reserve import (
    ReserveAwards,
    ReserveBench,
    ReserveOffers,
    ReserveTerms,
    clear_reserve,
    new_reserve_bench,
)
from vpp_env.market.state import (
    BUY_TICK,
    LINES,
    PAY_DEFER,
    PAY_RESERVE,
    PAY_SHARE,
    PAY_STORAGE,
    RESERVE_Q,
    RESERVE_TICKS,
    SELL1_TICK,
    SELL2_TICK,
    Agreed,
    Awards,
    IntervalResults,
    MarketState,
    Submission,
)
from vpp_env.scenario.specs import MarketSpec
from vpp_env.units import DT_H, POWER_QUANTUM_KW, PRICE_TICK, Floats, Ints


def new_results(steps: int, months: int, n: int) -> IntervalResults:
    """Return empty results."""
    shape = (steps, months)
    return IntervalResults(
        books=new_books(steps, months, n),
        lmp=np.zeros(shape),
        award_kw=np.zeros(shape),
        called_kw=np.zeros(shape),
        reserve_kw=np.zeros(shape),
        reserve_usd_per_h=np.zeros(shape),
        projected_kw=np.zeros(shape),
        void=np.zeros(shape, dtype=np.bool_),
        taken=np.zeros(shape, dtype=np.bool_),
    )


class Room(NamedTuple):
    """What is written on the way through an opportunity of M months of N homes, and read by nobody after it."""

    orders: Order[Floats]  # (S*N,) of one month, step after step
    prices: Price[Floats]  # (S*N,)
    awards: Awards
    gate_up: Floats  # (N,) kW of reserve that the home qualifies for at the gate
    up: Ints  # (M, N) quanta that energy has left, to give
    down: Ints  # (M, N) and to charge
    energy: Bench
    reserve: ReserveBench
    feeder: Feeder
    lot: Lot


def new_room(steps: int, months: int, n: int, products: int, feeder_homes: int, contracts: bool) -> Room:
    """Return room for an opportunity of `steps` intervals of months of `n` homes."""
    shape, zero = (months, n), [np.zeros(steps * n) for _ in range(17)]
    prices = Price(*zero[8:17])
    return Room(
        Order(*zero[:8]),
        prices if contracts else prices._replace(agreed=None),
        Awards(
            np.zeros((months, LINES * n), dtype=np.int64),
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.int64),
            np.zeros(months, dtype=np.int64),
            np.zeros((months, products), dtype=np.int64),
            np.zeros(months, dtype=np.bool_),
        ),
        np.zeros(n),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        new_bench(n),
        new_reserve_bench(n),
        new_feeder(feeder_homes),
        new_lot(steps, n),
    )


@borrowing
def play(
    homes: Homes,
    day: Day,
    first: int,
    taken: Submission,
    agreed: Agreed | None,
    market: MarketState,
    gate: Gate,
    room: Room,
    results: IntervalResults,
) -> None:
    """Play the intervals of one opportunity, then begin the step after it and look at what the homes can offer there.

    Parameters
    ----------
    homes : Homes
        The homes; the quote is that of step `first`, and then that of the next gate.
    day, first : Day, int
        The day, and its step at which the opportunity begins; all its intervals lie in this day.
    taken : Submission
        Offers and asks.
    agreed : Agreed or None
        What contracts pay; the limits that they move are in `homes.home`. None, as there: nobody has a contract.
    market : MarketState
        The market.
    gate : Gate
        The step after the last interval (it may lie in the next day).
    room : Room
        Written to on the way; with room for contracts where `agreed` is given.
    results : IntervalResults
        Filled.
    """
    steps, months = market.lmp.shape
    orders, prices, awards = room.orders, room.prices, room.awards
    n = taken.offers.shape[2]
    # a month is played through before the next one: it stays near the processor
    for m in range(months):
        begin_month(results.books, m * n, (m + 1) * n)
        for i in range(n):
            room.gate_up[i] = reserve_at_gate(taken.override[m, i], homes.quote, homes.home.most_kw, m * n + i)
        for j in range(steps):
            sold = clear_energy(m, taken.offers, homes.quote, market, j, room.energy, awards, results, ALONE)
            left_for_reserve(m, homes.quote, room.gate_up, awards, room.up, room.down, ALONE)
            left = max(market.cap_q[m] - sold, 0)
            offered = ReserveOffers(taken.offers[RESERVE_Q], taken.offers[RESERVE_TICKS], room.up, room.down)
            won = ReserveAwards(awards.reserve, awards.product, awards.last_reserve)
            terms = ReserveTerms(
                market.rho[j], market.reserve_highest[j], market.is_down, market.min_q, market.on_offers
            )
            reserved = clear_reserve(m, offered, terms, left, room.reserve, won, ALONE)
            results.taken[j, m] = awards.taken[m] or reserved
            order_month(m, taken, homes.quote, agreed, market, j, awards, results.lmp[j, m], orders, prices)
            book_orders(m, orders, prices, j, results)
            coming, then = (day, first + j + 1) if j < steps - 1 else (gate.day, gate.k)
            deliver_step(homes, day, first + j, orders, prices, room.feeder, room.lot, j, m, results.books)
            close_step(homes, day, first + j, room.lot, j, m, results.books, coming, then)
        book_month(homes, day, first, steps, orders, prices, room.lot, m, results.books.ledger)
        fill_headroom(homes, gate, m * n, (m + 1) * n)


@inlined
def reserve_at_gate(override: bool, able: Quote[Floats], most_kw: Floats | None, f: int) -> float:
    """KW of reserve that home f qualifies for at the gate: inside the owner's envelope, as a contract allows."""
    return able.reserve_up[f] if override else at_most(able.reserve_kept[f], at(most_kw, f))


@inlined
def left_for_reserve(
    m: int,
    able: Quote[Floats],
    gate_up: Floats,
    awards: Awards,
    up: Ints,
    down: Ints,
    crew: Crew,
) -> None:
    """Fill month m of `up` and `down`, (M, N) quanta that energy has left; `gate_up` (N,) see `reserve_at_gate`."""
    sell, buy = awards.sell, awards.buy
    n = sell.shape[1]
    for i in range(crew.first(), n, crew.stride()):
        f = m * n + i
        # reserve qualifies on what the home could give at the gate, less what it gives now
        up[m, i] = quanta(min(gate_up[i], able.sell[f])) - sell[m, i] if buy[m, i] == 0 else 0
        down[m, i] = quanta(able.reserve_down[f]) - buy[m, i] if sell[m, i] == 0 else 0


class Served(NamedTuple):
    """The reserve product that a home serves in an interval; of none all is 0."""

    called: bool  # it is called to deliver
    down: bool  # it is headroom to charge
    rho: float  # USD/kW-h
    top: float  # highest ask accepted, USD/kW-h


@inlined
def served(r: int, m: int, market: MarketState, j: int, awards: Awards) -> Served:
    """Product r in interval j of month m; none where r is -1."""
    if r < 0:
        return Served(False, False, 0.0, 0.0)
    called, top = market.called[j, m] and market.callable[r], awards.last_reserve[m, r] * RESERVE_TICK
    return Served(called, market.is_down[r], market.rho[j, m, r], top)


@inlined
def order_home(
    m: int, i: int, n: int, offers: Ints, able: Quote[Floats], awards: Awards, serves: Served, free: float
) -> Order[float]:
    """The order of home i of n of month m that its awards make; `free` as in `Order`."""
    f = m * n + i
    sell, buy = awards.sell[m, i] * POWER_QUANTUM_KW, awards.buy[m, i] * POWER_QUANTUM_KW
    one, two = awards.lines[m, i], awards.lines[m, n + i]
    _, dear = by_price(offers[SELL1_TICK, m, i], offers[SELL2_TICK, m, i], one, two)
    reserve, up = awards.reserve[m, i] * POWER_QUANTUM_KW, able.reserve_up[f] if free > 0.0 else able.reserve_kept[f]
    room = able.reserve_down[f] - buy if serves.down else up - sell
    call = available = down = 0.0
    if reserve > 0.0:
        call = reserve if serves.called else 0.0
        down = 1.0 if serves.down else 0.0
        available = max(0.0, room)
    return Order(sell, dear * POWER_QUANTUM_KW, call, buy, reserve, available, free, down)


@inlined
def put_order(orders: Order[Floats], c: int, order: Order[float]) -> None:
    """Write an order into column c; whether it is free stays as it is."""
    orders.dear[c] = order.dear
    orders.sell[c], orders.buy[c], orders.call[c] = order.sell, order.buy, order.call
    orders.reserve[c], orders.available[c], orders.down[c] = order.reserve, order.available, order.down


@inlined
def awarded(orders: Order[Floats], prices: Price[Floats], c: int) -> tuple[float, float, float, float]:
    """What the order in column c comes to: net energy, called and reserved, kW, and what the reserve pays, USD/h."""
    reserved = orders.reserve[c]
    return orders.sell[c] - orders.buy[c], orders.call[c], reserved, reserved * prices.rho[c]


@inlined
def book_orders(m: int, orders: Order[Floats], prices: Price[Floats], j: int, results: IntervalResults) -> None:
    """Book what the homes of month m were awarded in interval j."""
    award = called = reserved = usd = 0.0
    n = results.books.ledger.shape[1] // results.lmp.shape[1]
    for c in range(j * n, (j + 1) * n):
        sold, call, reserve, paid = awarded(orders, prices, c)
        award += sold
        called += call
        reserved += reserve
        usd += paid
    results.award_kw[j, m], results.called_kw[j, m] = award, called
    results.reserve_kw[j, m], results.reserve_usd_per_h[j, m] = reserved, usd


@inlined
def price_home(
    m: int,
    i: int,
    offers: Ints,
    agreed: Agreed | None,
    market: MarketState,
    j: int,
    awards: Awards,
    lmp: float,
    serves: Served,
    own: float,
    defer: float,
) -> Price[float]:
    """What home i of month m, whose asks are `own` and `defer`, is paid, and pays, at the settled price `lmp`.

    Each sell line has its own ask. A call is paid like the dearer line: an owner whose storage is on reserve must be
    able to ask for its cost. A contract pays by the device that gave, a share of the real-time price at least; whether
    there is one is not said here.
    """
    pay = market.payment
    worth, marginal = lmp + market.incentive[j, m], awards.last_sale[m] * PRICE_TICK
    one, two = offers[SELL1_TICK, m, i] * PRICE_TICK, offers[SELL2_TICK, m, i] * PRICE_TICK
    least = max(pay.share * worth, pay.marginal * marginal)
    asked, standing = offers[RESERVE_TICKS, m, i] * RESERVE_TICK, awards.reserve[m, i] > 0
    rho = serves.rho if standing else 0.0
    reserve = max(asked, pay.share * rho, pay.marginal * serves.top) if standing else 0.0
    limit = offers[BUY_TICK, m, i] * PRICE_TICK
    by_bid = Price(
        lmp, max(min(one, two), least), max(one, two, least), min(lmp, limit), reserve, rho, own, defer, None
    )
    return _price_by_contract(m, i, agreed, by_bid)


@inlined
def _price_by_contract(m: int, i: int, agreed: Agreed | None, bid: Price[float]) -> Price[float]:
    """Put the prices of its contract in the place of those that the bid of home i of month m makes."""
    if agreed is None:
        return bid
    on, share = agreed.on[m, i], agreed.pay[PAY_SHARE, m, i]
    own = max(agreed.pay[PAY_STORAGE, m, i], share * bid.lmp)
    defer = max(agreed.pay[PAY_DEFER, m, i], share * bid.lmp)
    reserve = max(agreed.pay[PAY_RESERVE, m, i], share * bid.rho)
    return Price(
        bid.lmp,
        bid.sold,
        bid.dear,
        bid.bought,
        reserve if on else bid.reserve,
        bid.rho,
        own if on else bid.own,
        defer if on else bid.defer,
        None,
    )


@inlined
def put_price(prices: Price[Floats], c: int, price: Price[float]) -> None:
    """Write prices into column c, but for `own` and `defer`, which bids do not move."""
    prices.lmp[c], prices.sold[c], prices.dear[c], prices.bought[c] = price.lmp, price.sold, price.dear, price.bought
    prices.reserve[c], prices.rho[c] = price.reserve, price.rho


_served_room = on_stack(4, LANES)
_order_room = on_stack(len(Order._fields) + len(Price._fields), LANES)


@inlined
def order_month(
    m: int,
    taken: Submission,
    able: Quote[Floats],
    agreed: Agreed | None,
    market: MarketState,
    j: int,
    awards: Awards,
    lmp: float,
    orders: Order[Floats],
    prices: Price[Floats],
) -> None:
    """Write what the awards of month m in interval j, settled at `lmp`, make: its columns of `orders` and `prices`."""
    n = taken.offers.shape[2]
    eights = n - n % LANES
    for i in range(0, eights, LANES):
        _order_lanes(m, i, taken, able, agreed, market, j, awards, lmp, orders, prices)
    for i in range(eights, n):
        c, serves, free = j * n + i, served(awards.product[m, i], m, market, j, awards), taken.override[m, i]
        put_order(orders, c, order_home(m, i, n, taken.offers, able, awards, serves, 1.0 if free else 0.0))
        own, defer = taken.own[m, i], taken.defer[m, i]
        price = price_home(m, i, taken.offers, agreed, market, j, awards, lmp, serves, own, defer)
        put_price(prices, c, price)
        orders.free[c], prices.own[c], prices.defer[c] = 1.0 if free else 0.0, price.own, price.defer
        if agreed is not None and prices.agreed is not None:
            prices.agreed[c] = 1.0 if agreed.on[m, i] else 0.0


@inlined
def _order_lanes(
    m: int,
    first: int,
    taken: Submission,
    able: Quote[Floats],
    agreed: Agreed | None,
    market: MarketState,
    j: int,
    awards: Awards,
    lmp: float,
    orders: Order[Floats],
    prices: Price[Floats],
) -> None:
    """`order_month` of the homes `first` to `first` + 7."""
    x, y = _served_room(), _order_room()
    month, n = unsigned(m), unsigned(taken.offers.shape[2])
    for h in range(LANES):
        x[0, h], x[1, h], x[2, h], x[3, h] = 0.0, 0.0, 0.0, 0.0
    for r in range(market.rho.shape[2]):
        product = served(r, m, market, j, awards)
        for h in range(LANES):
            mine = awards.product[month, unsigned(first + h)] == r
            x[0, h] = (1.0 if product.called else 0.0) if mine else x[0, h]
            x[1, h] = (1.0 if product.down else 0.0) if mine else x[1, h]
            x[2, h], x[3, h] = product.rho if mine else x[2, h], product.top if mine else x[3, h]
    for h in range(LANES):
        i = unsigned(first + h)
        serves = Served(x[0, h] > 0.0, x[1, h] > 0.0, x[2, h], x[3, h])
        free = 1.0 if taken.override[month, i] else 0.0
        order = order_home(month, i, n, taken.offers, able, awards, serves, free)
        own, defer = taken.own[month, i], taken.defer[month, i]
        price = price_home(month, i, taken.offers, agreed, market, j, awards, lmp, serves, own, defer)
        y[0, h], y[1, h], y[2, h], y[3, h] = order.sell, order.dear, order.call, order.buy
        y[4, h], y[5, h], y[6, h], y[7, h] = order.reserve, order.available, order.free, order.down
        y[8, h], y[9, h], y[10, h], y[11, h] = price.lmp, price.sold, price.dear, price.bought
        y[12, h], y[13, h], y[14, h], y[15, h] = price.reserve, price.rho, price.own, price.defer
        if agreed is not None:
            y[16, h] = 1.0 if agreed.on[month, i] else 0.0
    c = j * taken.offers.shape[2] + first
    move(orders.sell, c, y, 0, 0)
    move(orders.dear, c, y, 1, 0)
    move(orders.call, c, y, 2, 0)
    move(orders.buy, c, y, 3, 0)
    move(orders.reserve, c, y, 4, 0)
    move(orders.available, c, y, 5, 0)
    move(orders.free, c, y, 6, 0)
    move(orders.down, c, y, 7, 0)
    move(prices.lmp, c, y, 8, 0)
    move(prices.sold, c, y, 9, 0)
    move(prices.dear, c, y, 10, 0)
    move(prices.bought, c, y, 11, 0)
    move(prices.reserve, c, y, 12, 0)
    move(prices.rho, c, y, 13, 0)
    move(prices.own, c, y, 14, 0)
    move(prices.defer, c, y, 15, 0)
    if agreed is not None and prices.agreed is not None:
        move(prices.agreed, c, y, 16, 0)


class Money(NamedTuple):
    """The VPP's ledger of one opportunity, each (M,) USD: market revenue = profit + payments + compute."""

    energy: Floats
    reserve: Floats
    nopay: Floats
    deviation: Floats
    payments: Floats
    compute: Floats
    programme: Floats  # what a programme pays for the net metered delivery of its event
    day_ahead: Floats  # what the day-ahead award earned over the real-time price
    capacity: Floats  # firm evening capacity, clawbacks taken off

    @property
    def revenue(self) -> Floats:
        """What the market pays."""
        return revenue_of(self)

    @property
    def profit(self) -> Floats:
        """What is left to the VPP."""
        return self.revenue - self.payments - self.compute


def revenue_of(money: Money) -> Floats:
    """What the market pays; of months (M,), or of one month's numbers on a GPU."""
    paid = money.energy + money.reserve - money.nopay - money.deviation
    return paid + money.programme + money.day_ahead + money.capacity


def settle(market: MarketSpec, state: MarketState, results: IntervalResults, capacity: Floats) -> Money:
    """Settle an opportunity with the market and the members; `capacity` (M,) USD is what firm capacity brings."""
    steps, months = state.lmp.shape
    paid = _settle(state, results, DT_H, market.deviation_kappa)
    energy, reserve, nopay, deviation, payments, programme, day_ahead = paid
    compute = np.full(months, market.compute_usd_per_hour * steps * DT_H)
    return Money(energy, reserve, nopay, deviation, payments, compute, programme, day_ahead, capacity)


@kernel
def _settle(market: MarketState, results: IntervalResults, dt: float, kappa: float) -> Floats:
    """Return (7, M) USD: energy, reserve, no-pay, deviation, payments, programme, day-ahead.

    With a day-ahead award D and metered energy M the last row is dt D (lmp_da - lmp), so that energy and day-ahead
    together are dt [D lmp_da + (M - D) lmp]. A programme pays what an interval adds to its due for the event's net
    delivery E so far, incentive max(0, E): it takes back what a later purchase cancels.
    """
    months = market.lmp.shape[1]
    out = np.empty((7, months))
    for m in range(months):
        settle_month(m, market, results, dt, kappa, out)
    return out


@inlined
def settle_month(m: int, market: MarketState, results: IntervalResults, dt: float, kappa: float, out: Floats) -> None:
    """Write month m of `out` (7, M), see `_settle`."""
    due = settle_intervals(m, market, results, dt, kappa)
    ledger = results.books.ledger
    n = ledger.shape[1] // market.lmp.shape[1]
    nopay = payments = 0.0
    for i in range(m * n, (m + 1) * n):
        home = dues_of(ledger, i)
        nopay += home.nopay
        payments += home.energy
        payments += home.kept
        payments += home.contract
    out[0, m], out[1, m], out[2, m], out[3, m] = due.energy, due.reserve, nopay, due.deviation
    out[4, m], out[5, m], out[6, m] = payments, due.programme, due.day_ahead


class IntervalDues(NamedTuple):
    """What the intervals of an opportunity bring to the VPP of one month, USD."""

    energy: float
    reserve: float
    deviation: float  # it pays
    programme: float
    day_ahead: float
    event_kwh: float  # net delivery of the event so far


@inlined
def settle_intervals(m: int, market: MarketState, results: IntervalResults, dt: float, kappa: float) -> IntervalDues:
    """Settle with the market what month m did in the intervals; see `_settle`."""
    flow, event = results.books.flow, market.event_kwh[m]
    energy = reserve = deviation = programme = day_ahead = 0.0
    for j in range(market.lmp.shape[0]):
        metered, lmp = flow[j, FLOW.market, m], results.lmp[j, m]
        gap = abs(metered - results.award_kw[j, m] - results.called_kw[j, m])
        energy += dt * metered * lmp
        reserve += dt * results.reserve_usd_per_h[j, m]
        deviation += kappa * dt * gap * max(lmp, 0.0)
        before = max(event, 0.0)
        event = event + dt * metered if market.incentive[j, m] > 0.0 else 0.0
        programme += market.incentive[j, m] * (max(event, 0.0) - before)
        day_ahead += dt * market.day_ahead_kw[j, m] * (market.da[j, m] - lmp)
    return IntervalDues(energy, reserve, deviation, programme, day_ahead, event)


class HomeDues(NamedTuple):
    """What one home adds to the month's sums, USD; payments are added one after the other, in this order."""

    nopay: float
    energy: float  # payment: sold, and bought
    kept: float  # payment: bought back by force, reserve, firm capacity
    contract: float  # payment


@inlined
def dues_of(ledger: Floats, i: int) -> HomeDues:
    """What home i adds to its month's sums."""
    return HomeDues(
        ledger[led.L_NOPAY, i],
        ledger[led.L_PAY_SOLD, i] + ledger[led.L_PAY_BOUGHT, i],
        ledger[led.L_PAY_FORCED, i] + ledger[led.L_PAY_RESERVE, i] + ledger[led.L_PAY_CAPACITY, i],
        ledger[led.L_PAY_AVAILABILITY, i] + ledger[led.L_PAY_CONCESSION, i],
    )
