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
from vpp_env.core.lanes import Lot, new_lot
from vpp_env.core.layout import FLOW, Day, Homes, Order, Price, Quote
from vpp_env.core.loops import Gate, begin_month, book_month, close_step, deliver_step, fill_headroom, new_books
from vpp_env.jit import ALONE, Crew, at, at_most, borrowing, inlined, kernel
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

    orders: Order[Floats]  # (M*N,)
    prices: Price[Floats]  # (M*N,)
    awards: Awards
    gate_up: Floats  # (M*N,) kW of reserve that the home qualifies for at the gate
    up: Ints  # (M, N) quanta that energy has left, to give
    down: Ints  # (M, N) and to charge
    energy: Bench
    reserve: ReserveBench
    feeder: Feeder
    lot: Lot


def new_room(months: int, n: int, products: int, feeder_homes: int, contracts: bool) -> Room:
    """Return room for months of `n` homes."""
    shape, zero = (months, n), [np.zeros(months * n) for _ in range(18)]
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
        zero[17],
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        new_bench(n),
        new_reserve_bench(n),
        new_feeder(feeder_homes),
        new_lot(n),
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
    for m in range(months):
        for i in range(n):
            f = m * n + i
            orders.free[f] = 1.0 if taken.override[m, i] else 0.0
            room.gate_up[f] = reserve_at_gate(taken.override[m, i], homes.quote, homes.home.most_kw, f)
            prices.own[f], prices.defer[f] = taken.own[m, i], taken.defer[m, i]
            if agreed is not None and prices.agreed is not None:
                prices.agreed[f] = 1.0 if agreed.on[m, i] else 0.0
    # a month is played through before the next one: it stays near the processor
    for m in range(months):
        begin_month(room.lot)
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
            for i in range(n):
                free = orders.free[m * n + i]
                put_order(orders, m * n + i, order_home(m, i, taken.offers, homes.quote, market, j, awards, free))
                price_home(m, i, taken.offers, agreed, market, j, awards, results.lmp[j, m], prices)
                book_order(m, m * n + i, orders, prices, j, results)
            coming, then = (day, first + j + 1) if j < steps - 1 else (gate.day, gate.k)
            deliver_step(homes, day, first + j, orders, prices, room.feeder, room.lot, j, m, results.books)
            close_step(homes, day, first + j, orders, prices, room.lot, j, m, results.books, coming, then)
        book_month(room.lot, m, results.books)
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
    """Fill month m of `up` and `down`, (M, N) quanta that energy has left."""
    sell, buy = awards.sell, awards.buy
    n = sell.shape[1]
    for i in range(crew.first(), n, crew.stride()):
        f = m * n + i
        # reserve qualifies on what the home could give at the gate, less what it gives now
        up[m, i] = quanta(min(gate_up[f], able.sell[f])) - sell[m, i] if buy[m, i] == 0 else 0
        down[m, i] = quanta(able.reserve_down[f]) - buy[m, i] if sell[m, i] == 0 else 0


@inlined
def order_home(
    m: int,
    i: int,
    offers: Ints,
    able: Quote[Floats],
    market: MarketState,
    j: int,
    awards: Awards,
    free: float,
) -> Order[float]:
    """The order of home i of month m that its awards make; `free` as in `Order`."""
    n = offers.shape[2]
    f = m * n + i
    sell, buy = awards.sell[m, i] * POWER_QUANTUM_KW, awards.buy[m, i] * POWER_QUANTUM_KW
    one, two = awards.lines[m, i], awards.lines[m, n + i]
    _, dear = by_price(offers[SELL1_TICK, m, i], offers[SELL2_TICK, m, i], one, two)
    reserve, r = awards.reserve[m, i] * POWER_QUANTUM_KW, awards.product[m, i]
    call = available = down = 0.0
    if reserve > 0.0:
        if market.called[j, m] and market.callable[r]:
            call = reserve
        up = able.reserve_up[f] if free > 0.0 else able.reserve_kept[f]
        down = 1.0 if market.is_down[r] else 0.0
        room = able.reserve_down[f] - buy if market.is_down[r] else up - sell
        available = max(0.0, room)
    return Order(sell, dear * POWER_QUANTUM_KW, call, buy, reserve, available, free, down)


@inlined
def put_order(orders: Order[Floats], f: int, order: Order[float]) -> None:
    """Write the order of home f; whether it is free stays as it is."""
    orders.dear[f] = order.dear
    orders.sell[f], orders.buy[f], orders.call[f] = order.sell, order.buy, order.call
    orders.reserve[f], orders.available[f], orders.down[f] = order.reserve, order.available, order.down


@inlined
def book_order(m: int, f: int, orders: Order[Floats], prices: Price[Floats], j: int, results: IntervalResults) -> None:
    """Book what home f of month m was awarded."""
    award, called, reserved, usd = awarded(orders, prices, f)
    results.award_kw[j, m] += award
    results.called_kw[j, m] += called
    results.reserve_kw[j, m] += reserved
    results.reserve_usd_per_h[j, m] += usd


@inlined
def awarded(orders: Order[Floats], prices: Price[Floats], f: int) -> tuple[float, float, float, float]:
    """What home f was awarded: net energy, called and reserved, kW, and what the reserve pays, USD/h."""
    reserved = orders.reserve[f]
    return orders.sell[f] - orders.buy[f], orders.call[f], reserved, reserved * prices.rho[f]


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
    prices: Price[Floats],
) -> None:
    """Say what home i of month m is paid, and pays, at the settled price `lmp`.

    Each sell line has its own ask. A call is paid like the dearer line: an owner whose storage is on reserve must be
    able to ask for its cost. A contract pays by the device that gave, a share of the real-time price at least.
    """
    f, pay = m * offers.shape[2] + i, market.payment
    worth, marginal = lmp + market.incentive[j, m], awards.last_sale[m] * PRICE_TICK
    one, two = offers[SELL1_TICK, m, i] * PRICE_TICK, offers[SELL2_TICK, m, i] * PRICE_TICK
    least = max(pay.share * worth, pay.marginal * marginal)
    rho = reserve = 0.0
    if awards.reserve[m, i] > 0:
        r = awards.product[m, i]
        rho, asked = market.rho[j, m, r], offers[RESERVE_TICKS, m, i] * RESERVE_TICK
        top = awards.last_reserve[m, r] * RESERVE_TICK
        reserve = max(asked, pay.share * rho, pay.marginal * top)
    limit = offers[BUY_TICK, m, i] * PRICE_TICK
    prices.lmp[f] = lmp
    prices.bought[f] = min(lmp, limit)
    prices.sold[f] = max(min(one, two), least)
    prices.dear[f] = max(one, two, least)
    prices.rho[f] = rho
    prices.reserve[f] = reserve
    _price_by_contract(m, i, agreed, lmp, prices)


@inlined
def _price_by_contract(m: int, i: int, agreed: Agreed | None, lmp: float, prices: Price[Floats]) -> None:
    """Put the prices of its contract in the place of those that the bid of home i of month m makes."""
    if agreed is None:
        return
    f = m * agreed.on.shape[1] + i
    if agreed.on[m, i]:
        share = agreed.pay[PAY_SHARE, m, i]
        prices.own[f] = max(agreed.pay[PAY_STORAGE, m, i], share * lmp)
        prices.defer[f] = max(agreed.pay[PAY_DEFER, m, i], share * lmp)
        prices.reserve[f] = max(agreed.pay[PAY_RESERVE, m, i], share * prices.rho[f])


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
