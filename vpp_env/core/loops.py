"""The compiled loops over homes: each phase of `core.home` for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.devices.battery import baseline_next, own_use, restores
from vpp_env.core.devices.vehicle import VehicleState, baseline_charge, is_plugged
from vpp_env.core.headroom import Delivery, Headroom, headroom_of
from vpp_env.core.home import begin, deliver, home_at, put_state, quote, state_at, step_at
from vpp_env.core.layout import N_FLOW, Day, Flow, Homes, HomeState, Order, Price
from vpp_env.core.ledger import N_LEDGER, account, account_events
from vpp_env.jit import inlined, kernel
from vpp_env.units import Floats

N_HEADROOM = len(Headroom._fields)
DEPARTED, SHORT, MISSED = range(3)
"""Rows of `Books.events`."""


class Books(NamedTuple):
    """What the homes of M months leave behind in an opportunity of S intervals; sums, filled by the loops."""

    ledger: Floats  # (N_LEDGER, M*N)
    events: Floats  # (3, M*N) departures, shortfalls, missed trips
    flow: Floats  # (S, N_FLOW, M) kW, sums over homes
    soc_kwh: Floats  # (S, 2, M) batteries, and batteries of the baseline, at the end of the interval
    soc_home_kwh: Floats  # (S, 2, M*N)


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
        events=np.zeros((3, months * n)),
        flow=np.zeros((steps, N_FLOW, months)),
        soc_kwh=np.zeros((steps, 2, months)),
        soc_home_kwh=np.empty((steps, 2, months * n)),
    )


@kernel
def run_baseline(homes: Homes, day: Day, first: int) -> None:
    """Run the baseline through one day from step `first`; advances the state of `homes`, fills `day.baseline`."""
    rules, plan, out = homes.rules, day.plan, day.baseline
    for i in range(len(homes.home.buy_limit)):
        home, state = home_at(homes.home, i), state_at(homes.state, i)
        for k in range(first, len(plan.load)):
            soc = state.vehicle.soc_kwh
            if k == plan.arr[i]:
                soc = max(0.0, soc - plan.trip[i])
            out.ev_soc[k, i] = soc
            ev = 0.0
            if is_plugged(k, plan.dep[i], plan.arr[i], plan.out[i]):
                ev = baseline_charge(home.vehicle, soc, rules.vehicle)
                soc += rules.vehicle.eta * ev * rules.dt_h
            surplus = plan.pv[k, i] - plan.load[k, i] - ev
            restore = restores(state.battery.below_since, plan.day, k, plan.restore_step)
            own = own_use(home.battery, state.battery, surplus, restore, rules.battery)
            battery = baseline_next(home.battery, state.battery, own, plan.day, rules.battery)
            state = HomeState(battery, VehicleState(soc, state.vehicle.shortfall))
            out.ev_kw[k, i] = ev
            out.bess_soc[k, i] = battery.soc_kwh
            out.bess_ch[k, i] = own.charge
            out.bess_dis[k, i] = own.discharge
        put_state(homes.state, i, state)


@inlined
def begin_step(homes: Homes, day: Day, k: int, books: Books) -> None:
    """Begin step k: departures and arrivals are booked, and the quotes say what each home could deliver now."""
    q = homes.quote
    for i in range(len(homes.home.buy_limit)):
        home, step = home_at(homes.home, i), step_at(day, k, i)
        state, events = begin(home, state_at(homes.state, i), step)
        put_state(homes.state, i, state)
        books.events[DEPARTED, i] += events.departed
        books.events[SHORT, i] += events.short
        books.events[MISSED, i] += events.missed
        account_events(events, homes.rules, books.ledger, i)
        now = quote(home, state, step, homes.rules)
        q.sell[i], q.buy[i], q.reserve_up[i], q.reserve_down[i] = now.sell, now.buy, now.reserve_up, now.reserve_down
        q.reserve_kept[i] = now.reserve_kept


@inlined
def _add_flow(total: Floats, m: int, flow: Flow[float]) -> None:
    for row, x in enumerate(flow):
        total[row, m] += x


@inlined
def deliver_step(
    homes: Homes, day: Day, k: int, orders: Order[Floats], prices: Price[Floats], j: int, books: Books
) -> None:
    """Run all homes through step k of the day, which is interval j of the opportunity, and keep the books."""
    months = books.flow.shape[2]
    n = len(homes.home.buy_limit) // months
    for m in range(months):
        for i in range(m * n, (m + 1) * n):
            home, step = home_at(homes.home, i), step_at(day, k, i)
            order = Order(
                orders.sell[i],
                orders.dear[i],
                orders.call[i],
                orders.buy[i],
                orders.reserve[i],
                orders.available[i],
                orders.free[i],
            )
            price = Price(
                prices.lmp[i],
                prices.sold[i],
                prices.dear[i],
                prices.bought[i],
                prices.reserve[i],
                prices.rho[i],
                prices.own[i],
                prices.defer[i],
            )
            state, flow = deliver(
                home, state_at(homes.state, i), step, order, homes.rules, price.bought <= home.buy_limit
            )
            put_state(homes.state, i, state)
            account(home, step, order, price, flow, homes.rules, books.ledger, i)
            _add_flow(books.flow[j], m, flow)
            books.soc_kwh[j, 0, m] += state.battery.soc_kwh
            books.soc_kwh[j, 1, m] += step.bess_soc
            books.soc_home_kwh[j, 0, i] = state.battery.soc_kwh
            books.soc_home_kwh[j, 1, i] = step.bess_soc


@inlined
def fill_headroom(homes: Homes, gate: Gate) -> None:
    """Fill `gate.headroom`."""
    for i in range(len(homes.home.buy_limit)):
        home, step = home_at(homes.home, i), step_at(gate.day, gate.k, i)
        state, pending = state_at(homes.state, i), gate.pending_kwh[i]
        found = headroom_of(home, state, step, gate.delivery, pending, homes.rules)
        for row, x in enumerate(found):
            gate.headroom[row, i] = x


@kernel
def look(homes: Homes, gate: Gate) -> None:
    """Fill `gate.headroom` at any other moment than the end of an opportunity."""
    fill_headroom(homes, gate)
