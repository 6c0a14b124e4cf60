"""What a home can offer over the next opportunity, from its own state and plan alone.

Used for its owner's view: nothing here reads a load, a solar output or a price that has not happened yet. What
the baseline's car will charge within the opportunity follows from its state of charge and target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.devices import (
    baseline_charge,
    charge_limit,
    discharge_limit,
    ev_forced,
    ev_need,
    in_window,
    is_plugged,
    steps_until_due,
    v2g_slack,
)
from vpp_env.core.layout import (
    B_ENV,
    B_HARD,
    BESS_KW,
    BESS_MAX,
    BESS_MIN,
    BLACK_4H,
    BLACK_NOW,
    BO1_FROM,
    BO1_TO,
    BO2_FROM,
    BO2_TO,
    BUY_B,
    BUY_EV,
    C_DT,
    C_ETA_B,
    C_ETA_EV,
    C_RESERVE_H,
    C_SELF,
    D_FIRST,
    D_MEAN,
    D_MIN,
    DAY_LIMIT,
    DIS_DAY,
    EV_KW,
    EV_KWH,
    EV_MIN,
    EV_TARGET,
    FLOOR,
    HOURS_LEFT,
    PLUGGED,
    R_ENV,
    R_HARD,
    S_ENV,
    SOC_B,
    SOC_E,
    TW_FIRST,
    V2G_KW,
    V_ENV,
    V_HARD,
    BaselineDay,
    DayPlan,
)
from vpp_env.jit import kernel
from vpp_env.scenario.calendar import STEPS_PER_WEEK


class Delivery(NamedTuple):
    """Which opportunity is meant, seen from step k."""

    wait: int  # steps until it begins
    week_step: int  # quarter hour of the week at which it begins


LOOK_AHEAD = 16
"""Steps (4 h) within which a coming blackout window is announced in the observation."""


@kernel
def bounds(
    c: np.ndarray,
    p: np.ndarray,
    s: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    k: int,
    steps: int,
    delivery: Delivery,
    pending_kwh: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (N_BOUND, N), kW, for an opportunity of `steps` steps, seen from step k of the day.

    Where it begins later than step k, a car at home is taken to charge as planned until then, a car that will be due
    by then (or is away now) offers nothing, and of the battery's envelope the energy `pending_kwh` (N,) that earlier
    bids may still take is left out.
    """
    dt, eta_b, eta_e, res_h = c[C_DT], c[C_ETA_B], c[C_ETA_EV], c[C_RESERVE_H]
    span_h = steps * dt
    now, wait = delivery.week_step, delivery.wait
    n = len(plan.load)
    for i in range(p.shape[1]):
        black = False
        black_soon = False
        for ahead in range(LOOK_AHEAD):
            step = (now + ahead) % STEPS_PER_WEEK
            if in_window(step, p[BO1_FROM, i], p[BO1_TO, i], p[BO2_FROM, i], p[BO2_TO, i]):
                black_soon = True
                if ahead < steps:
                    black = True
        out[BLACK_NOW, i] = 1.0 if black else 0.0
        out[BLACK_4H, i] = 1.0 if black_soon else 0.0
        for row in range(BLACK_NOW):
            out[row, i] = 0.0
        # the car
        ev_reserve = 0.0
        if p[EV_KWH, i] > 0.0 and is_plugged(k, plan.dep[i], plan.arr[i]):
            due = steps_until_due(k, n, plan.dep[i], plan.ready[i], plan.next_due[i])
            p_max, target = p[EV_KW, i], p[EV_TARGET, i]
            soc, soc_baseline = s[SOC_E, i], baseline.ev_soc[k, i]
            out[PLUGGED, i] = 1.0
            for step in range(min(wait, due)):
                need = ev_need(soc, soc_baseline, target, p_max, eta_e, dt, due - step)
                p_tw = baseline_charge(soc_baseline, target, p_max, eta_e, dt)
                soc += eta_e * max(p_tw, ev_forced(need, p_max, eta_e, dt, due - step)) * dt
                soc_baseline += eta_e * p_tw * dt
            due -= wait
        else:
            due = 0
        if due > 0:
            soc_then, baseline_then = soc, soc_baseline
            out[HOURS_LEFT, i] = due * dt
            out[TW_FIRST, i] = baseline_charge(soc_baseline, target, p_max, eta_e, dt)
            ev_reserve = discharge_limit(soc, p[EV_MIN, i], p[V2G_KW, i], eta_e, res_h)
            out[V_HARD, i] = discharge_limit(soc, p[EV_MIN, i], p[V2G_KW, i], eta_e, span_h)
            gap = max(0.0, soc_baseline - soc)
            least = p_max
            buy = p_max
            total = 0.0
            for step in range(steps):
                if step >= due:
                    least = 0.0
                    buy = 0.0
                    break
                need = ev_need(soc, soc_baseline, target, p_max, eta_e, dt, due - step)
                p_tw = baseline_charge(soc_baseline, target, p_max, eta_e, dt)
                x = max(0.0, p_tw - ev_forced(need, p_max, eta_e, dt, due - step))
                if step == 0:
                    out[D_FIRST, i] = x
                least = min(least, x)
                total += x
                buy = min(buy, p_max - p_tw)
                soc_baseline += eta_e * p_tw * dt
                soc += eta_e * (p_tw - x) * dt
            out[D_MIN, i] = least
            out[D_MEAN, i] = total / steps
            # buying back ends when the deferred energy is back
            out[BUY_EV, i] = max(0.0, min(buy, gap / (eta_e * span_h)))
            if due * dt > span_h:
                need = ev_need(soc_then, baseline_then, target, p_max, eta_e, dt, due)
                out[V_ENV, i] = min(out[V_HARD, i], v2g_slack(need, p_max, eta_e, dt, due, span_h))
        # the battery
        soc_b, p_b, pending = s[SOC_B, i], p[BESS_KW, i], pending_kwh[i]
        floor, left = max(p[FLOOR, i], p[BESS_MIN, i]), max(0.0, p[DAY_LIMIT, i] - s[DIS_DAY, i] - pending)
        soc_env = soc_b - pending / eta_b
        out[B_HARD, i] = discharge_limit(soc_b, p[BESS_MIN, i], p_b, eta_b, span_h)
        out[B_ENV, i] = min(discharge_limit(soc_env, floor, p_b, eta_b, span_h), left / span_h)
        if c[C_SELF] > 0.0:
            # in the intervals that do not clear, the home may use the battery for itself, at full power at worst
            spare = (soc_env - floor) * eta_b - p_b * (span_h - dt)
            out[B_ENV, i] = min(out[B_ENV, i], max(0.0, spare / dt))
        # the battery gives first: unless it lasts at full power it runs dry, and V2G must then carry all of it alone
        lasts = out[B_ENV, i] >= p_b
        both = out[B_ENV, i] + out[V_ENV, i]
        out[S_ENV, i] = both if lasts else max(out[B_ENV, i], out[V_ENV, i])
        out[BUY_B, i] = charge_limit(soc_b, p[BESS_MAX, i], p_b, eta_b, span_h)
        reserve_b = min(discharge_limit(soc_env, floor, p_b, eta_b, res_h), left / res_h)
        out[R_ENV, i] = reserve_b + out[D_MIN, i]
        out[R_HARD, i] = discharge_limit(soc_b, p[BESS_MIN, i], p_b, eta_b, res_h) + out[TW_FIRST, i] + ev_reserve
        if black:
            for row in (D_FIRST, D_MEAN, D_MIN, B_ENV, V_ENV, S_ENV, BUY_EV, BUY_B, R_ENV):
                out[row, i] = 0.0
