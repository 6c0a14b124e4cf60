"""The compiled loops on their own, from Python: one step of some homes, every home a month of its own."""

from __future__ import annotations

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.core.feeder import Feeder, new_feeder
from vpp_env.core.home import step_at
from vpp_env.core.lanes import Lot, begin_lanes, new_lot
from vpp_env.core.layout import Day, Homes, HomeState, Order, Price, copied, no_quote
from vpp_env.core.loops import Books, begin_home, begin_month, book_month, close_step, deliver_step, new_books
from vpp_env.jit import LANES, kernel
from vpp_env.simulation.month import Month
from vpp_env.units import Floats


@kernel
def _begin(homes: Homes, day: Day, k: int, books: Books) -> None:
    n = len(homes.home.buy_limit)
    begin_month(books, 0, n)
    for f in range(0, n - n % LANES, LANES):
        begin_lanes(homes, day, k, f, books.events, books.ledger)
    for i in range(n - n % LANES, n):
        begin_home(homes, step_at(day, k, i), i, books.events, books.ledger, i)


@kernel
def _deliver(
    homes: Homes, day: Day, k: int, orders: Order, prices: Price, feeder: Feeder, lot: Lot, books: Books
) -> None:
    months = books.flow.shape[2]
    n = len(orders.sell) // months
    for m in range(months):
        a, b = m * n, (m + 1) * n
        o, p = orders, prices
        mine = Order(
            o.sell[a:b], o.dear[a:b], o.call[a:b], o.buy[a:b],
            o.reserve[a:b], o.available[a:b], o.free[a:b], o.down[a:b],
        )  # fmt: skip
        its = Price(
            p.lmp[a:b], p.sold[a:b], p.dear[a:b], p.bought[a:b],
            p.reserve[a:b], p.rho[a:b], p.own[a:b], p.defer[a:b], None,
        )  # fmt: skip
        begin_month(books, a, b)
        deliver_step(homes, day, k, mine, its, feeder, lot, 0, m, books)
        close_step(homes, day, k, lot, 0, m, books, None, 0)
        book_month(homes, day, k, 1, mine, its, lot, m, books.ledger)


def homes_of(month: Month, state: HomeState[Floats]) -> Homes:
    """The homes of a month with a state of their own."""
    return Homes(month.rules, month.parameters, copied(state), no_quote(month.fleet.n))


def begin(homes: Homes, day: Day, k: int) -> np.ndarray:
    """Begin step k; returns what is booked for it: departures, shortfalls, missed trips, USD of charging
    elsewhere, and shortfalls that no contract has bought."""
    books = new_books(1, len(homes.quote.sell), 1)
    _begin(homes, day, k, books)
    return np.concatenate([books.events[:3], books.ledger[[led.L_AWAY]], books.events[3:]])


def deliver(homes: Homes, day: Day, k: int, order: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
    """Deliver step k under `order` (3, N) kW sold, called, bought; returns the flows (N_FLOW, N).

    `free`: (N,) whose envelope is overridden; None: everybody's.
    """
    n = order.shape[1]
    books, none = new_books(1, n, 1), np.zeros(n)
    sell, call, buy = (np.ascontiguousarray(x) for x in order[:3])
    prices = Price(none, none, none, none, none, none, none, none, None)
    opened = np.ones(n) if free is None else free.astype(np.float64)
    room = new_feeder(homes.rules.feeder_homes), new_lot(1, n // books.flow.shape[2])
    _deliver(homes, day, k, Order(sell, none, call, buy, none, none, opened, none), prices, *room, books)
    return books.flow[0]


def cut(homes: Homes, day: Day, some: slice) -> tuple[Homes, Day]:
    """Some of the homes, and their day."""

    def part(x: object) -> object:
        if isinstance(x, np.ndarray):
            return np.array(x[..., some], order="C")
        return type(x)(*map(part, x)) if hasattr(x, "_fields") else tuple(map(part, x)) if isinstance(x, tuple) else x

    plan = day.plan
    clock = {"week_step": plan.week_step, "peak": plan.peak}
    mine = Homes(homes.rules, part(homes.home), part(homes.state), part(homes.quote))
    return mine, Day(part(plan)._replace(**clock), part(day.baseline))


def deliver_feeders(
    homes: Homes, day: Day, k: int, order: np.ndarray, reserve: np.ndarray | None = None, down: bool = False
) -> Books:
    """Deliver step k as one month whose homes hang on feeders; every envelope is overridden, all reserve is there."""
    n = order.shape[1]
    books, none = new_books(1, 1, n), np.zeros(n)
    sell, call, buy = (np.ascontiguousarray(x) for x in order[:3])
    standing = none if reserve is None else np.ascontiguousarray(reserve)
    prices = Price(none, none, none, none, none, none + 1.0, none, none, None)
    orders = Order(sell, none, call, buy, standing, standing.copy(), none + 1.0, none + (1.0 if down else 0.0))
    room = new_feeder(homes.rules.feeder_homes), new_lot(1, n // books.flow.shape[2])
    _deliver(homes, day, k, orders, prices, *room, books)
    return books
