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
from vpp_env.core.layout import FLOW, Day, Homes, Order, Price, Quote
from vpp_env.core.loops import Gate, begin_step, deliver_step, fill_headroom, new_books
from vpp_env.jit import at, at_most, inlined, kernel
from vpp_env.market.energy import by_price, clear_energy, quanta
from vpp_env.market.reserve import ReserveAwards, ReserveOffers, ReserveTerms, clear_reserve
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


@kernel
def play(
    homes: Homes,
    day: Day,
    first: int,
    taken: Submission,
    agreed: Agreed | None,
    market: MarketState,
    gate: Gate,
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
    results : IntervalResults
        Filled.
    """
    steps, months = market.lmp.shape
    n = taken.offers.shape[2]
    count = months * n
    orders, prices = _no_orders(count), _no_prices(count, taken, agreed)
    shape = (months, n)
    awards = Awards(
        lines=np.zeros((months, LINES * n), dtype=np.int64),
        sell=np.zeros(shape, dtype=np.int64),
        buy=np.zeros(shape, dtype=np.int64),
        reserve=np.zeros(shape, dtype=np.int64),
        product=np.zeros(shape, dtype=np.int64),
        last_sale=np.zeros(months, dtype=np.int64),
        last_reserve=np.zeros((months, market.rho.shape[2]), dtype=np.int64),
        taken=np.zeros(months, dtype=np.bool_),
    )
    gate_up = np.empty(count)
    for m in range(months):
        for i in range(n):
            f = m * n + i
            orders.free[f] = 1.0 if taken.override[m, i] else 0.0
            kept = at_most(homes.quote.reserve_kept[f], at(homes.home.most_kw, f))
            gate_up[f] = homes.quote.reserve_up[f] if taken.override[m, i] else kept
    for j in range(steps):
        clear_energy(taken.offers, homes.quote, market, j, awards, results)
        _clear_reserve(taken.offers, homes.quote, gate_up, market, j, awards)
        for m in range(months):
            results.taken[j, m] = awards.taken[m]
            _order(m, taken.offers, homes.quote, market, j, awards, orders, results)
            _price(m, taken.offers, agreed, market, j, awards, results.lmp[j, m], prices)
        deliver_step(homes, day, first + j, orders, prices, j, results.books)
        if j < steps - 1:
            begin_step(homes, day, first + j + 1, results.books)
    begin_step(homes, gate.day, gate.k, results.books)
    fill_headroom(homes, gate)


@inlined
def _no_orders(n: int) -> Order[Floats]:
    """Orders of nothing."""
    zero = np.zeros(n)
    return Order(zero, zero.copy(), zero.copy(), zero.copy(), zero.copy(), zero.copy(), zero.copy(), zero.copy())


@inlined
def _no_prices(n: int, taken: Submission, agreed: Agreed | None) -> Price[Floats]:
    """Prices of nothing, and the owners' own asks."""
    own, defer = taken.own.ravel().copy(), taken.defer.ravel().copy()
    on = _paid_by_contract(agreed)
    return Price(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), own, defer, on)


@inlined
def _clear_reserve(
    offers: Ints, able: Quote[Floats], gate_up: Floats, market: MarketState, j: int, awards: Awards
) -> None:
    """Clear reserve on what energy has left."""
    sell, buy = awards.sell, awards.buy
    months, n = sell.shape
    up, down = np.zeros((months, n), dtype=np.int64), np.zeros((months, n), dtype=np.int64)
    room = np.zeros(months, dtype=np.int64)
    for m in range(months):
        room[m] = market.cap_q[m]
        for i in range(n):
            f = m * n + i
            room[m] -= sell[m, i]
            # reserve qualifies on what the home could give at the gate, less what it gives now
            up[m, i] = quanta(min(gate_up[f], able.sell[f])) - sell[m, i] if buy[m, i] == 0 else 0
            down[m, i] = quanta(able.reserve_down[f]) - buy[m, i] if sell[m, i] == 0 else 0
        room[m] = max(room[m], 0)
    clear_reserve(
        ReserveOffers(offers[RESERVE_Q], offers[RESERVE_TICKS], up, down),
        ReserveTerms(market.rho[j], market.reserve_highest[j], market.is_down, market.min_q, market.on_offers),
        room,
        ReserveAwards(awards.reserve, awards.product, awards.last_reserve, awards.taken),
    )


@inlined
def _order(
    m: int,
    offers: Ints,
    able: Quote[Floats],
    market: MarketState,
    j: int,
    awards: Awards,
    orders: Order[Floats],
    results: IntervalResults,
) -> None:
    """Turn the awards of month m into orders, and book them."""
    n = offers.shape[2]
    for i in range(n):
        f = m * n + i
        sell, buy = awards.sell[m, i] * POWER_QUANTUM_KW, awards.buy[m, i] * POWER_QUANTUM_KW
        _, dear = by_price(offers[SELL1_TICK, m, i], offers[SELL2_TICK, m, i], i, n + i)
        reserve, r = awards.reserve[m, i] * POWER_QUANTUM_KW, awards.product[m, i]
        call = available = rho = down = 0.0
        if reserve > 0.0:
            rho = market.rho[j, m, r]
            if market.called[j, m] and market.callable[r]:
                call = reserve
            up = able.reserve_up[f] if orders.free[f] > 0.0 else able.reserve_kept[f]
            down = 1.0 if market.is_down[r] else 0.0
            room = able.reserve_down[f] - buy if market.is_down[r] else up - sell
            available = max(0.0, room)
        orders.dear[f] = awards.lines[m, dear] * POWER_QUANTUM_KW
        orders.sell[f], orders.buy[f], orders.call[f] = sell, buy, call
        orders.reserve[f], orders.available[f], orders.down[f] = reserve, available, down
        results.award_kw[j, m] += sell - buy
        results.called_kw[j, m] += call
        results.reserve_kw[j, m] += reserve
        results.reserve_usd_per_h[j, m] += reserve * rho


@inlined
def _price(
    m: int,
    offers: Ints,
    agreed: Agreed | None,
    market: MarketState,
    j: int,
    awards: Awards,
    lmp: float,
    prices: Price[Floats],
) -> None:
    """Say what each home of month m is paid, and pays, at the settled price `lmp`.

    Each sell line has its own ask. A call is paid like the dearer line: an owner whose storage is on reserve must be
    able to ask for its cost. A contract pays by the device that gave, a share of the real-time price at least.
    """
    n, pay = offers.shape[2], market.payment
    worth, marginal = lmp + market.incentive[j, m], awards.last_sale[m] * PRICE_TICK
    for i in range(n):
        f = m * n + i
        one, two = offers[SELL1_TICK, m, i] * PRICE_TICK, offers[SELL2_TICK, m, i] * PRICE_TICK
        least = max(pay.share * worth, pay.marginal * marginal)
        prices.lmp[f] = lmp
        prices.bought[f] = min(lmp, offers[BUY_TICK, m, i] * PRICE_TICK)
        prices.sold[f] = max(min(one, two), least)
        prices.dear[f] = max(one, two, least)
        prices.rho[f] = 0.0
        prices.reserve[f] = 0.0
        if awards.reserve[m, i] > 0:
            r = awards.product[m, i]
            rho, asked = market.rho[j, m, r], offers[RESERVE_TICKS, m, i] * RESERVE_TICK
            top = awards.last_reserve[m, r] * RESERVE_TICK
            prices.rho[f] = rho
            prices.reserve[f] = max(asked, pay.share * rho, pay.marginal * top)
    _price_by_contract(m, agreed, lmp, prices)


@inlined
def _price_by_contract(m: int, agreed: Agreed | None, lmp: float, prices: Price[Floats]) -> None:
    """Put the prices of month m's contracts in the place of those that the bids make."""
    if agreed is None:
        return
    n = agreed.on.shape[1]
    for i in range(n):
        f = m * n + i
        if agreed.on[m, i]:
            share = agreed.pay[PAY_SHARE, m, i]
            prices.own[f] = max(agreed.pay[PAY_STORAGE, m, i], share * lmp)
            prices.defer[f] = max(agreed.pay[PAY_DEFER, m, i], share * lmp)
            prices.reserve[f] = max(agreed.pay[PAY_RESERVE, m, i], share * prices.rho[f])


@inlined
def _paid_by_contract(agreed: Agreed | None) -> Floats | None:
    """(M*N,) 1 where a contract pays."""
    if agreed is None:
        return None
    months, n = agreed.on.shape
    on = np.zeros(months * n)
    for m in range(months):
        for i in range(n):
            if agreed.on[m, i]:
                on[m * n + i] = 1.0
    return on


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
        paid = self.energy + self.reserve - self.nopay - self.deviation
        return paid + self.programme + self.day_ahead + self.capacity

    @property
    def profit(self) -> Floats:
        """What is left to the VPP."""
        return self.revenue - self.payments - self.compute


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
    steps, months = market.lmp.shape
    ledger, flow = results.books.ledger, results.books.flow
    n = ledger.shape[1] // months
    out = np.zeros((7, months))
    for m in range(months):
        event = market.event_kwh[m]
        for j in range(steps):
            metered, lmp = flow[j, FLOW.market, m], results.lmp[j, m]
            gap = abs(metered - results.award_kw[j, m] - results.called_kw[j, m])
            out[0, m] += dt * metered * lmp
            out[1, m] += dt * results.reserve_usd_per_h[j, m]
            out[3, m] += kappa * dt * gap * max(lmp, 0.0)
            before = max(event, 0.0)
            event = event + dt * metered if market.incentive[j, m] > 0.0 else 0.0
            out[5, m] += market.incentive[j, m] * (max(event, 0.0) - before)
            out[6, m] += dt * market.day_ahead_kw[j, m] * (market.da[j, m] - lmp)
        for i in range(m * n, (m + 1) * n):
            out[2, m] += ledger[led.L_NOPAY, i]
            out[4, m] += ledger[led.L_PAY_SOLD, i] + ledger[led.L_PAY_BOUGHT, i]
            out[4, m] += ledger[led.L_PAY_FORCED, i] + ledger[led.L_PAY_RESERVE, i] + ledger[led.L_PAY_CAPACITY, i]
            out[4, m] += ledger[led.L_PAY_AVAILABILITY, i] + ledger[led.L_PAY_CONCESSION, i]
    return out
