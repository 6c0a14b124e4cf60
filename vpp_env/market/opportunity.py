"""One opportunity, compiled: every 15-min interval is cleared, delivered and accounted, for E markets of N homes.

The order of things in an interval: each home's offer is cut to what it can deliver now; energy clears on the market's
terms; what is left of the reserve offers clears; calls are added; the devices deliver; the ledger is kept; the next
step begins (cars leave and arrive).
"""

from __future__ import annotations

import numpy as np

from vpp_env.contract.bids import RESERVE_TICK
from vpp_env.core import ledger as led
from vpp_env.core.layout import (
    BUY_HARD,
    MARKET,
    N_OUT,
    RESERVE_DOWN,
    RESERVE_UP,
    SELL_HARD,
    SOC_B,
    BaselineDay,
    DayPlan,
)
from vpp_env.core.loops import deliver, prepare
from vpp_env.jit import kernel
from vpp_env.market.energy import clear_energy, quanta
from vpp_env.market.payment import PaymentRule
from vpp_env.market.reserve import clear_reserve
from vpp_env.market.state import BUY_TICK, RESERVE_Q, RESERVE_TICKS, SELL_TICK, Board, Sheet
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK


@kernel
def begin(
    c: np.ndarray,
    p: np.ndarray,
    s: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    k: int,
    quote: np.ndarray,
    event: np.ndarray,
    sheet: Sheet,
) -> None:
    """Begin step k, and book what that brought to the opportunity that has just been played."""
    prepare(c, p, s, plan, baseline, k, quote, event)
    for i in range(event.shape[1]):
        for row in range(3):
            sheet.events[row, i] += event[row, i]
    led.account_events(c, event, sheet.ledger)


@kernel
def play(
    c: np.ndarray,
    p: np.ndarray,
    s: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    first: int,
    offers: np.ndarray,
    board: Board,
    pay: PaymentRule,
    own: np.ndarray,
    quote: np.ndarray,
    event: np.ndarray,
    out: np.ndarray,
    sheet: Sheet,
) -> None:
    """Play the intervals of one opportunity from step `first` of the day; all lie in one local day.

    Parameters
    ----------
    c, p, s, plan, baseline, quote, event, out :
        See `core.kernels`; `s`, `quote`, `event`, `out` are changed. `quote` is that of step `first`.
    offers : ndarray
        (6, E, N) int64.
    board, pay : Board, PaymentRule
        The market.
    own : ndarray
        (2, E, N) the owners' asks per kWh discharged and per kWh of deferred charging, USD/kWh.
    sheet : Sheet
        Filled. The last step's successor is not begun (it may lie in the next day): see `begin`.
    """
    steps, e_all = board.lmp.shape
    n = offers.shape[2]
    order, price = np.zeros((led.N_ORDER, e_all * n)), np.zeros((led.N_PRICE, e_all * n))
    sell, buy = np.zeros((e_all, n), dtype=np.int64), np.zeros((e_all, n), dtype=np.int64)
    up, down = np.zeros((e_all, n), dtype=np.int64), np.zeros((e_all, n), dtype=np.int64)
    reserve, product = np.zeros((e_all, n), dtype=np.int64), np.zeros((e_all, n), dtype=np.int64)
    gate_up = quote[RESERVE_UP].copy()
    room = np.zeros(e_all, dtype=np.int64)
    top = np.zeros((e_all, board.rho.shape[2]), dtype=np.int64)
    for j in range(steps):
        k = first + j
        last = clear_energy(offers, quote[SELL_HARD], quote[BUY_HARD], board, j, sell, buy, sheet)
        for e in range(e_all):
            room[e] = board.cap_q[e]
            for i in range(n):
                f = e * n + i
                room[e] -= sell[e, i]
                # reserve qualifies on what the home could give at the gate, less what it gives now
                able = min(gate_up[f], quote[SELL_HARD, f])
                up[e, i] = quanta(able) - sell[e, i] if buy[e, i] == 0 else 0
                down[e, i] = quanta(quote[RESERVE_DOWN, f]) - buy[e, i] if sell[e, i] == 0 else 0
            room[e] = max(room[e], 0)
        clear_reserve(
            offers[RESERVE_Q],
            offers[RESERVE_TICKS],
            up,
            down,
            board.rho[j],
            board.reserve_highest[j],
            board.is_down,
            room,
            board.min_q,
            reserve,
            product,
            top,
        )
        for e in range(e_all):
            lmp = sheet.lmp[j, e]
            worth = lmp + board.incentive[j, e]
            marginal = last[e] * PRICE_TICK
            for i in range(n):
                f = e * n + i
                ask = offers[SELL_TICK, e, i] * PRICE_TICK
                standby = reserve[e, i] * POWER_QUANTUM_KW
                which = product[e, i]
                order[led.O_SELL, f] = sell[e, i] * POWER_QUANTUM_KW
                order[led.O_BUY, f] = buy[e, i] * POWER_QUANTUM_KW
                order[led.O_RESERVE, f] = standby
                order[led.O_CALL, f] = 0.0
                order[led.O_AVAILABLE, f] = 0.0
                price[led.P_LMP, f] = lmp
                price[led.P_BOUGHT, f] = min(lmp, offers[BUY_TICK, e, i] * PRICE_TICK)
                price[led.P_MEMBER, f] = max(ask, pay.share * worth, pay.marginal * marginal)
                price[led.P_RHO, f] = 0.0
                price[led.P_RESERVE, f] = 0.0
                price[led.P_OWN, f] = own[0, e, i]
                price[led.P_DEFER, f] = own[1, e, i]
                if standby > 0.0:
                    if board.called[j, e] and board.callable[which]:
                        order[led.O_CALL, f] = standby
                    if board.is_down[which]:
                        order[led.O_AVAILABLE, f] = max(0.0, quote[RESERVE_DOWN, f] - order[led.O_BUY, f])
                    else:
                        order[led.O_AVAILABLE, f] = max(0.0, quote[RESERVE_UP, f] - order[led.O_SELL, f])
                    rho = board.rho[j, e, which]
                    price[led.P_RHO, f] = rho
                    least = offers[RESERVE_TICKS, e, i] * RESERVE_TICK
                    price[led.P_RESERVE, f] = max(least, pay.share * rho, pay.marginal * top[e, which] * RESERVE_TICK)
                sheet.award_kw[j, e] += order[led.O_SELL, f] - order[led.O_BUY, f]
                sheet.called_kw[j, e] += order[led.O_CALL, f]
                sheet.reserve_kw[j, e] += standby
                sheet.reserve_usd_per_h[j, e] += standby * price[led.P_RHO, f]
        deliver(c, p, s, plan, baseline, k, order, out)
        led.account(c, p, plan, baseline, k, order, price, out, sheet.ledger)
        for e in range(e_all):
            for i in range(e * n, (e + 1) * n):
                for row in range(N_OUT):
                    sheet.flow[j, row, e] += out[row, i]
                sheet.soc_kwh[j, 0, e] += s[SOC_B, i]
                sheet.soc_kwh[j, 1, e] += baseline.bess_soc[k, i]
                sheet.soc_home_kwh[j, 0, i] = s[SOC_B, i]
                sheet.soc_home_kwh[j, 1, i] = baseline.bess_soc[k, i]
        if j < steps - 1:
            begin(c, p, s, plan, baseline, k + 1, quote, event, sheet)


@kernel
def settle(board: Board, sheet: Sheet, dt: float, kappa: float) -> np.ndarray:
    """Return (7, E) USD of an opportunity: energy, reserve, no-pay, deviation, payments, programme, day-ahead.

    The last two are what a programme pays for the net metered delivery, and what the day-ahead award D earns over the
    real-time price: dt D (lmp_da - lmp), so that energy and day-ahead together are dt [D lmp_da + (M - D) lmp].
    """
    steps, e_all = board.lmp.shape
    n = sheet.ledger.shape[1] // e_all
    out = np.zeros((7, e_all))
    for e in range(e_all):
        for j in range(steps):
            metered, lmp = sheet.flow[j, MARKET, e], sheet.lmp[j, e]
            gap = abs(metered - sheet.award_kw[j, e] - sheet.called_kw[j, e])
            out[0, e] += dt * metered * lmp
            out[1, e] += dt * sheet.reserve_usd_per_h[j, e]
            out[3, e] += kappa * dt * gap * max(lmp, 0.0)
            out[5, e] += board.incentive[j, e] * dt * max(metered, 0.0)
            out[6, e] += dt * board.day_ahead_kw[j, e] * (board.da[j, e] - lmp)
        for i in range(e * n, (e + 1) * n):
            out[2, e] += sheet.ledger[led.L_NOPAY, i]
            out[4, e] += sheet.ledger[led.L_PAY_SOLD, i] + sheet.ledger[led.L_PAY_BOUGHT, i]
            out[4, e] += sheet.ledger[led.L_PAY_FORCED, i] + sheet.ledger[led.L_PAY_RESERVE, i]
    return out
