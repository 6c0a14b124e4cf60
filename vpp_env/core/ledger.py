"""The ledger: energy and money of every home, added up over an opportunity.

Rows are sums over the physics steps of one opportunity; USD rows are money in to the owner of the home.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env.core.home import in_window
from vpp_env.core.layout import Flow, Home, Order, Price, Rules, Step
from vpp_env.jit import at_most, inlined, is_set

(
    L_SOLD,  # kWh delivered on sell awards
    L_CALLED,  # kWh delivered on reserve calls
    L_BOUGHT,  # kWh taken on buy awards
    L_FORCED,  # kWh bought back by force
    L_DEFER,  # kWh of deferred charging
    L_BESS,  # kWh from the battery for the market
    L_V2G,  # kWh from the car's battery
    L_BEYOND,  # kWh outside the owner's envelope, as a contract has moved it
    L_BLACK,  # kWh dispatched inside a blackout window that no contract waives
    L_RESERVE,  # kW-h of reserve awarded
    L_AWARD,  # kWh awarded: sold less bought
    L_MARKET,  # kWh at the market meter: sold + called - bought - forced
    L_PAY_SOLD,  # USD for sold and called energy
    L_PAY_BOUGHT,  # USD for bought energy, negative when the price is positive
    L_PAY_FORCED,  # USD for energy bought back by force
    L_PAY_RESERVE,  # USD for reserve, less no-pay
    L_PAY_CAPACITY,  # USD of firm evening capacity, booked by the world when it is settled
    L_PAY_AVAILABILITY,  # USD for standing by a contract, booked by the world
    L_PAY_CONCESSION,  # USD for what was taken of wishes that a contract has bought, booked by the world
    L_OWED,  # USD that the owner's own asks, or its contract's prices, amount to for the energy sold
    L_BILL,  # USD retail bill (a cost: plus = the home pays)
    L_BILL_BASELINE,  # USD retail bill of the baseline
    L_WEAR,  # USD of battery wear beyond the baseline's
    L_AWAY,  # USD for charging elsewhere beyond the baseline's
    L_DEPTH_H,  # share of floor x h breached beyond the baseline's breach
    L_OVER,  # kWh of discharge beyond the daily cycle limit
    L_NOPAY,  # USD of reserve pay rescinded at the market
    L_REDUCED,  # kWh at the home's meter beyond its baseline's, market energy included
    L_CUT,  # kWh sold, called, bought or bought back by force that the feeder did not let through
    L_CUT_RESERVE,  # kW-h of reserve that was there, and that the feeder would not have let through
    L_WAIVED,  # kWh dispatched inside a blackout window that a contract waives
    L_EXCESS,  # kWh sold and called beyond the kW of a contract
) = range(32)
N_LEDGER = 32
SUMMED = (L_PAY_CAPACITY, L_PAY_AVAILABILITY, L_PAY_CONCESSION, L_AWAY, L_CUT, L_CUT_RESERVE)
"""Rows to which the world, beginning a step and feeders add."""
BOOKED = tuple(row for row in range(N_LEDGER) if row not in SUMMED)
"""Rows of what homes deliver in steps, see `Entry`."""
DEPARTED, SHORT, MISSED, LACKS = range(4)
"""Rows of events: departures, shortfalls, missed trips, shortfalls that no contract has bought."""
N_EVENTS = 4


def member_pay(ledger: NDArray[np.float64]) -> NDArray[np.float64]:
    """All that the members are paid, USD: energy sold, less bought and bought back, reserve, capacity, contracts.

    `ledger` is (N_LEDGER, ...); the result has the shape behind the rows. (Plain sums of rows: compiled for one home
    of a month on a GPU it is the same function.)
    """
    total = ledger[L_PAY_SOLD]
    for row in range(L_PAY_SOLD + 1, L_PAY_CONCESSION + 1):
        total = total + ledger[row]
    return total


@inlined
def retail_cost(net_kw: float, rate_import: float, rate_export: float, dt: float) -> float:
    """Retail bill of one step, USD: imports at the tariff less exports at the credit."""
    return dt * (max(0.0, -net_kw) * rate_import - max(0.0, net_kw) * rate_export)


class Entry(NamedTuple):
    """What one step of one home adds to the ledger, in the unit of its row; see `book`."""

    sold: float
    called: float
    bought: float
    forced: float
    deferred: float
    battery: float
    v2g: float
    beyond: float
    black: float
    reserve: float
    award: float
    market: float
    pay_sold: float
    pay_bought: float
    pay_forced: float
    pay_reserve: float
    owed: float
    bill: float
    bill_baseline: float
    wear: float
    depth_h: float
    over: float
    nopay: float
    reduced: float
    waived: float
    excess: float


@inlined
def account(
    home: Home[float],
    step: Step,
    order: Order[float],
    price: Price[float],
    flow: Flow[float],
    rules: Rules,
) -> Entry:
    """What one step of a home comes to, in energy and money."""
    dt = rules.dt_h
    rate = rules.import_peak if step.peak else rules.import_offpeak
    given = (flow.sold + flow.called) * dt
    bought, forced = flow.bought * dt, flow.forced * dt
    reserve = order.reserve * dt
    missing = max(0.0, order.reserve - order.available) * dt
    from_storage = flow.battery + flow.v2g
    beyond, black, waived = flow.beyond, 0.0, 0.0
    if flow.blackout > 0.0:
        black = given + bought
    elif price.bought > home.buy_limit:
        # the owner would not have charged the battery at this price
        beyond += flow.battery_bought
    if is_set(home.waived) and in_window(step.week_step, home.blackout_1, home.blackout_2):
        waived = given + bought
    excess = flow.sold + flow.called - at_most(flow.sold + flow.called, home.most_kw)
    # what is delivered serves the cheaper line first, then the dearer one, then a call
    cheap = min(flow.sold, order.sell - order.dear) * dt
    owed = (price.own * from_storage + price.defer * flow.deferred) * dt
    paid = owed if is_set(price.agreed) else price.sold * cheap + price.dear * (given - cheap)
    return Entry(
        sold=flow.sold * dt,
        called=flow.called * dt,
        bought=bought,
        forced=forced,
        deferred=flow.deferred * dt,
        battery=flow.battery * dt,
        v2g=flow.v2g * dt,
        beyond=beyond * dt,
        black=black,
        reserve=reserve,
        award=(order.sell - order.buy) * dt,
        market=flow.market * dt,
        pay_sold=paid,
        pay_bought=-(price.bought * bought),
        pay_forced=-(price.lmp * forced),
        pay_reserve=price.reserve * (reserve - missing),
        owed=owed,
        bill=retail_cost(flow.retail, rate, rules.export, dt),
        bill_baseline=retail_cost(flow.retail_baseline, rate, rules.export, dt),
        wear=rules.degradation * dt * (from_storage + flow.home_discharge - step.bess_dis),
        depth_h=flow.depth * dt,
        over=flow.over,
        nopay=price.rho * missing,
        reduced=(flow.retail + flow.market - flow.retail_baseline) * dt,
        waived=waived,
        excess=excess * dt,
    )


@inlined
def book(entry: Entry, led: NDArray[np.float64], i: int) -> None:
    """Add an entry of home i to the ledger `led` (N_LEDGER, N): all is read before anything is written.

    A read behind a write has to wait for it, 26 times over: on a GPU that took most of the time.
    """
    after = Entry(
        sold=led[L_SOLD, i] + entry.sold,
        called=led[L_CALLED, i] + entry.called,
        bought=led[L_BOUGHT, i] + entry.bought,
        forced=led[L_FORCED, i] + entry.forced,
        deferred=led[L_DEFER, i] + entry.deferred,
        battery=led[L_BESS, i] + entry.battery,
        v2g=led[L_V2G, i] + entry.v2g,
        beyond=led[L_BEYOND, i] + entry.beyond,
        black=led[L_BLACK, i] + entry.black,
        reserve=led[L_RESERVE, i] + entry.reserve,
        award=led[L_AWARD, i] + entry.award,
        market=led[L_MARKET, i] + entry.market,
        pay_sold=led[L_PAY_SOLD, i] + entry.pay_sold,
        pay_bought=led[L_PAY_BOUGHT, i] + entry.pay_bought,
        pay_forced=led[L_PAY_FORCED, i] + entry.pay_forced,
        pay_reserve=led[L_PAY_RESERVE, i] + entry.pay_reserve,
        owed=led[L_OWED, i] + entry.owed,
        bill=led[L_BILL, i] + entry.bill,
        bill_baseline=led[L_BILL_BASELINE, i] + entry.bill_baseline,
        wear=led[L_WEAR, i] + entry.wear,
        depth_h=led[L_DEPTH_H, i] + entry.depth_h,
        over=led[L_OVER, i] + entry.over,
        nopay=led[L_NOPAY, i] + entry.nopay,
        reduced=led[L_REDUCED, i] + entry.reduced,
        waived=led[L_WAIVED, i] + entry.waived,
        excess=led[L_EXCESS, i] + entry.excess,
    )
    led[L_SOLD, i] = after.sold
    led[L_CALLED, i] = after.called
    led[L_BOUGHT, i] = after.bought
    led[L_FORCED, i] = after.forced
    led[L_DEFER, i] = after.deferred
    led[L_BESS, i] = after.battery
    led[L_V2G, i] = after.v2g
    led[L_BEYOND, i] = after.beyond
    led[L_BLACK, i] = after.black
    led[L_RESERVE, i] = after.reserve
    led[L_AWARD, i] = after.award
    led[L_MARKET, i] = after.market
    led[L_PAY_SOLD, i] = after.pay_sold
    led[L_PAY_BOUGHT, i] = after.pay_bought
    led[L_PAY_FORCED, i] = after.pay_forced
    led[L_PAY_RESERVE, i] = after.pay_reserve
    led[L_OWED, i] = after.owed
    led[L_BILL, i] = after.bill
    led[L_BILL_BASELINE, i] = after.bill_baseline
    led[L_WEAR, i] = after.wear
    led[L_DEPTH_H, i] = after.depth_h
    led[L_OVER, i] = after.over
    led[L_NOPAY, i] = after.nopay
    led[L_REDUCED, i] = after.reduced
    led[L_WAIVED, i] = after.waived
    led[L_EXCESS, i] = after.excess
