"""The ledger: energy and money of every home, added up over an opportunity.

Rows are sums over the physics steps of one opportunity; USD rows are money in to the owner of the home.
"""

from __future__ import annotations

import numpy as np

from vpp_env.core.layout import (
    AWAY_KWH,
    B_BUY,
    B_DIS,
    B_HOME_DIS,
    BEYOND,
    BLACKOUT,
    BOUGHT,
    BUY_LIMIT,
    C_AWAY,
    C_DEGRADATION,
    C_DT,
    C_EXPORT,
    C_IMPORT_OFF,
    C_IMPORT_PEAK,
    CALLED,
    DEFER,
    DEPTH,
    FORCED,
    MARKET,
    OVER,
    RETAIL,
    RETAIL_BASELINE,
    SOLD,
    V2G,
    BaselineDay,
    DayPlan,
)
from vpp_env.jit import kernel

(
    L_SOLD,  # kWh delivered on sell awards
    L_CALLED,  # kWh delivered on reserve calls
    L_BOUGHT,  # kWh taken on buy awards
    L_FORCED,  # kWh bought back by force
    L_DEFER,  # kWh of deferred charging
    L_BESS,  # kWh from the battery for the market
    L_V2G,  # kWh from the car's battery
    L_BEYOND,  # kWh outside the owner's envelope
    L_BLACK,  # kWh dispatched inside a blackout window
    L_RESERVE,  # kW-h of reserve awarded
    L_AWARD,  # kWh awarded: sold less bought
    L_MARKET,  # kWh at the market meter: sold + called - bought - forced
    L_PAY_SOLD,  # USD for sold and called energy
    L_PAY_BOUGHT,  # USD for bought energy, negative when the price is positive
    L_PAY_FORCED,  # USD for energy bought back by force
    L_PAY_RESERVE,  # USD for reserve, less no-pay
    L_OWED,  # USD that the owner's own asks amount to for the energy sold
    L_BILL,  # USD retail bill (a cost: plus = the home pays)
    L_BILL_BASELINE,  # USD retail bill of the baseline
    L_WEAR,  # USD of battery wear beyond the baseline's
    L_AWAY,  # USD for charging elsewhere beyond the baseline's
    L_DEPTH_H,  # share of floor x h breached beyond the baseline's breach
    L_OVER,  # kWh of discharge beyond the daily cycle limit
    L_NOPAY,  # USD of reserve pay rescinded at the market
) = range(24)
N_LEDGER = 24

# orders of one interval, (N_ORDER, N): what the market awarded, kW
O_SELL, O_CALL, O_BUY, O_RESERVE, O_AVAILABLE = range(5)
N_ORDER = 5

# prices of one interval by home, (N_PRICE, N), USD/kWh or USD/kW-h
(
    P_LMP,  # real-time price
    P_MEMBER,  # pay per kWh sold
    P_RHO,  # market price of the reserve product this home serves
    P_RESERVE,  # pay per kW-h of reserve
    P_OWN,  # the owner's compensation per kWh discharged
    P_DEFER,  # the owner's ask per kWh of deferred charging
    P_BOUGHT,  # what a kWh bought costs its home: the real-time price, and never more than its limit
) = range(7)
N_PRICE = 7


def member_pay(ledger: np.ndarray) -> np.ndarray:
    """All that the members are paid, USD: energy sold, less energy bought and bought back, and reserve.

    `ledger` is (N_LEDGER, ...); the result has the shape behind the rows.
    """
    return np.asarray(ledger[L_PAY_SOLD : L_PAY_RESERVE + 1].sum(axis=0))


@kernel
def retail_cost(net_kw: float, rate_import: float, rate_export: float, dt: float) -> float:
    """Retail bill of one step, USD: imports at the tariff less exports at the credit."""
    return dt * (max(0.0, -net_kw) * rate_import - max(0.0, net_kw) * rate_export)


@kernel
def account(
    c: np.ndarray,
    p: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    k: int,
    order: np.ndarray,
    price: np.ndarray,
    out: np.ndarray,
    led: np.ndarray,
) -> None:
    """Add step k to the ledger `led` (N_LEDGER, N)."""
    dt = c[C_DT]
    rate = c[C_IMPORT_PEAK] if plan.peak[k] else c[C_IMPORT_OFF]
    for i in range(out.shape[1]):
        given = (out[SOLD, i] + out[CALLED, i]) * dt
        bought, forced = out[BOUGHT, i] * dt, out[FORCED, i] * dt
        lmp = price[P_LMP, i]
        reserve = order[O_RESERVE, i] * dt
        missing = max(0.0, order[O_RESERVE, i] - order[O_AVAILABLE, i]) * dt
        from_storage = out[B_DIS, i] + out[V2G, i]
        led[L_SOLD, i] += out[SOLD, i] * dt
        led[L_CALLED, i] += out[CALLED, i] * dt
        led[L_BOUGHT, i] += bought
        led[L_FORCED, i] += forced
        led[L_DEFER, i] += out[DEFER, i] * dt
        led[L_BESS, i] += out[B_DIS, i] * dt
        led[L_V2G, i] += out[V2G, i] * dt
        beyond = out[BEYOND, i]
        if out[BLACKOUT, i] > 0.0:
            led[L_BLACK, i] += given + bought
        elif price[P_BOUGHT, i] > p[BUY_LIMIT, i]:
            # the owner would not have charged the battery at this price
            beyond += out[B_BUY, i]
        led[L_BEYOND, i] += beyond * dt
        led[L_RESERVE, i] += reserve
        led[L_AWARD, i] += (order[O_SELL, i] - order[O_BUY, i]) * dt
        led[L_MARKET, i] += out[MARKET, i] * dt
        led[L_PAY_SOLD, i] += price[P_MEMBER, i] * given
        led[L_PAY_BOUGHT, i] -= price[P_BOUGHT, i] * bought
        led[L_PAY_FORCED, i] -= lmp * forced
        led[L_PAY_RESERVE, i] += price[P_RESERVE, i] * (reserve - missing)
        led[L_NOPAY, i] += price[P_RHO, i] * missing
        led[L_OWED, i] += (price[P_OWN, i] * from_storage + price[P_DEFER, i] * out[DEFER, i]) * dt
        led[L_BILL, i] += retail_cost(out[RETAIL, i], rate, c[C_EXPORT], dt)
        led[L_BILL_BASELINE, i] += retail_cost(out[RETAIL_BASELINE, i], rate, c[C_EXPORT], dt)
        led[L_WEAR, i] += c[C_DEGRADATION] * dt * (from_storage + out[B_HOME_DIS, i] - baseline.bess_dis[k, i])
        led[L_DEPTH_H, i] += out[DEPTH, i] * dt
        led[L_OVER, i] += out[OVER, i]


@kernel
def account_events(c: np.ndarray, event: np.ndarray, led: np.ndarray) -> None:
    """Add what the start of a step brought (charging elsewhere) to the ledger."""
    for i in range(event.shape[1]):
        led[L_AWAY, i] += c[C_AWAY] * event[AWAY_KWH, i]
