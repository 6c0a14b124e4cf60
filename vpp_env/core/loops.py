"""The loops over homes: the baseline's day, what the market may count on, and the delivery of one physics step."""

from __future__ import annotations

import numpy as np

from vpp_env.core.devices import (
    baseline_charge,
    below_since,
    charge_limit,
    discharge_limit,
    ev_forced,
    ev_need,
    home_charge,
    home_discharge,
    in_window,
    is_plugged,
    relative_depth,
    restores,
    steps_until_due,
    storage_next,
    v2g_slack,
)
from vpp_env.core.layout import (
    AWAY_KWH,
    B_BUY,
    B_DIS,
    B_HOME_CH,
    B_HOME_DIS,
    BESS_KW,
    BESS_MAX,
    BESS_MIN,
    BEYOND,
    BLACKOUT,
    BO1_FROM,
    BO1_TO,
    BO2_FROM,
    BO2_TO,
    BOUGHT,
    BREACH_DAY,
    BUY_HARD,
    C_DT,
    C_ETA_B,
    C_ETA_EV,
    C_RESERVE_H,
    C_SELF,
    CALLED,
    CYCLE_LIMIT,
    DAY_LIMIT,
    DEFER,
    DEPARTED,
    DEPTH,
    DIS_DAY,
    EV_CH,
    EV_DEPTH,
    EV_KW,
    EV_KWH,
    EV_MIN,
    EV_TARGET,
    FLOOR,
    FORCED,
    MARKET,
    MISSED,
    OVER,
    RESERVE_DOWN,
    RESERVE_UP,
    RETAIL,
    RETAIL_BASELINE,
    SELL_HARD,
    SHORT,
    SOC_B,
    SOC_E,
    SOLD,
    V2G,
    V2G_KW,
    BaselineDay,
    DayPlan,
)
from vpp_env.jit import kernel


@kernel
def baseline_day(c: np.ndarray, p: np.ndarray, s: np.ndarray, plan: DayPlan, baseline: BaselineDay, first: int) -> None:
    """Run the baseline through one day from step `first`; advances its state `s`, fills `baseline`."""
    dt, eta_b, eta_e = c[C_DT], c[C_ETA_B], c[C_ETA_EV]
    n = len(plan.load)
    for i in range(p.shape[1]):
        for k in range(first, n):
            if k == plan.arr[i]:
                s[SOC_E, i] = max(0.0, s[SOC_E, i] - plan.trip[i])
            baseline.ev_soc[k, i] = s[SOC_E, i]
            ev = 0.0
            if is_plugged(k, plan.dep[i], plan.arr[i]):
                ev = baseline_charge(s[SOC_E, i], p[EV_TARGET, i], p[EV_KW, i], eta_e, dt)
                s[SOC_E, i] += eta_e * ev * dt
            surplus = plan.pv[k, i] - plan.load[k, i] - ev
            restore = restores(s[BREACH_DAY, i], plan.day, k, plan.restore_step)
            soc, floor = s[SOC_B, i], p[FLOOR, i]
            ch = home_charge(soc, surplus, floor, p[BESS_MAX, i], p[BESS_KW, i], eta_b, dt, restore)
            dis = 0.0
            if c[C_SELF] > 0.0 and ch == 0.0:
                dis = home_discharge(soc, -surplus, max(floor, p[BESS_MIN, i]), p[BESS_KW, i], eta_b, dt)
            soc = storage_next(soc, ch, dis, eta_b, dt, p[BESS_MIN, i], p[BESS_MAX, i])
            s[SOC_B, i] = soc
            s[BREACH_DAY, i] = below_since(soc, floor, s[BREACH_DAY, i], plan.day)
            baseline.ev_kw[k, i] = ev
            baseline.bess_soc[k, i] = soc
            baseline.bess_ch[k, i] = ch
            baseline.bess_dis[k, i] = dis


@kernel
def prepare(
    c: np.ndarray,
    p: np.ndarray,
    s: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    k: int,
    quote: np.ndarray,
    event: np.ndarray,
) -> None:
    """Begin step k: departures and arrivals happen, then `quote` says what each home could deliver now.

    The quote is physical (hard limits); what the owner would want is the bidder's business.
    """
    dt, eta_b, eta_e, res_h = c[C_DT], c[C_ETA_B], c[C_ETA_EV], c[C_RESERVE_H]
    for i in range(p.shape[1]):
        if k == 0:
            s[DIS_DAY, i] = 0.0
            s[EV_DEPTH, i] = 0.0
        event[DEPARTED, i] = 0.0
        event[SHORT, i] = 0.0
        event[MISSED, i] = 0.0
        event[AWAY_KWH, i] = 0.0
        ev_up = 0.0
        ev_up_res = 0.0
        ev_down = 0.0
        if p[EV_KWH, i] > 0.0:
            dep, arr, trip = plan.dep[i], plan.arr[i], plan.trip[i]
            soc, soc_baseline = s[SOC_E, i], baseline.ev_soc[k, i]
            if k == dep or k == plan.ready[i]:
                want = min(p[EV_TARGET, i], soc_baseline)
                s[EV_DEPTH, i] = max(s[EV_DEPTH, i], (want - soc) / p[EV_KWH, i])
            if k == dep:
                event[DEPARTED, i] = 1.0
                event[SHORT, i] = s[EV_DEPTH, i]
                if max(0.0, trip - soc) > max(0.0, trip - soc_baseline) + 1e-9:
                    event[MISSED, i] = 1.0
                s[EV_DEPTH, i] = 0.0
            if k == arr:
                event[AWAY_KWH, i] = max(0.0, trip - soc) - max(0.0, trip - baseline.ev_soc[k - 1, i])
                soc = max(0.0, soc - trip)
                s[SOC_E, i] = soc
            if is_plugged(k, dep, arr):
                due = steps_until_due(k, len(plan.load), dep, plan.ready[i], plan.next_due[i])
                p_tw, p_max = baseline.ev_kw[k, i], p[EV_KW, i]
                need = ev_need(soc, soc_baseline, p[EV_TARGET, i], p_max, eta_e, dt, due)
                p_base = max(p_tw, ev_forced(need, p_max, eta_e, dt, due))
                ev_up = p_tw + discharge_limit(soc, p[EV_MIN, i], p[V2G_KW, i], eta_e, dt)
                ev_up_res = p_tw + discharge_limit(soc, p[EV_MIN, i], p[V2G_KW, i], eta_e, res_h)
                ev_down = max(0.0, min(p_max, p_tw + (soc_baseline - soc) / (eta_e * dt)) - p_base)
        p_b, soc_b = p[BESS_KW, i], s[SOC_B, i]
        own_ch = _own_battery(c, p, s, plan, baseline, k, i)[0]
        b_up = discharge_limit(soc_b, p[BESS_MIN, i], p_b, eta_b, dt)
        b_up_res = discharge_limit(soc_b, p[BESS_MIN, i], p_b, eta_b, res_h)
        b_down = charge_limit(soc_b, p[BESS_MAX, i], p_b, eta_b, dt) - own_ch
        quote[SELL_HARD, i] = ev_up + b_up
        quote[BUY_HARD, i] = ev_down + max(0.0, b_down)
        quote[RESERVE_UP, i] = ev_up_res + b_up_res
        quote[RESERVE_DOWN, i] = ev_down + max(0.0, b_down)


@kernel
def _own_battery(
    c: np.ndarray, p: np.ndarray, s: np.ndarray, plan: DayPlan, baseline: BaselineDay, k: int, i: int
) -> tuple[float, float]:
    """Charging and discharging (kW) that the home itself wants of its battery; its meter sees the baseline's car."""
    surplus = plan.pv[k, i] - plan.load[k, i] - baseline.ev_kw[k, i]
    soc, floor, p_max, eta, dt = s[SOC_B, i], p[FLOOR, i], p[BESS_KW, i], c[C_ETA_B], c[C_DT]
    restore = restores(s[BREACH_DAY, i], plan.day, k, plan.restore_step)
    ch = home_charge(soc, surplus, floor, p[BESS_MAX, i], p_max, eta, dt, restore)
    dis = 0.0
    if c[C_SELF] > 0.0 and ch == 0.0:
        dis = home_discharge(soc, -surplus, max(floor, p[BESS_MIN, i]), p_max, eta, dt)
    return ch, dis


@kernel
def deliver(
    c: np.ndarray,
    p: np.ndarray,
    s: np.ndarray,
    plan: DayPlan,
    baseline: BaselineDay,
    k: int,
    order: np.ndarray,
    out: np.ndarray,
) -> None:
    """Run the devices through step k under `order` = (sell award, reserve call, buy award) kW, shape (3, N).

    A home delivers cheapest first - deferred charging, battery, V2G, all inside the owner's envelope - and
    what is still owed then comes from beyond it, in the same order, down to the hard limits.
    """
    dt, eta_b, eta_e = c[C_DT], c[C_ETA_B], c[C_ETA_EV]
    for i in range(p.shape[1]):
        black = in_window(plan.week_step[k], p[BO1_FROM, i], p[BO1_TO, i], p[BO2_FROM, i], p[BO2_TO, i])
        p_tw, p_max = baseline.ev_kw[k, i], p[EV_KW, i]
        # what each device can give, inside the envelope (env) and physically (hard)
        x_env = x_hard = v_env = v_hard = p_force = 0.0
        plugged = p[EV_KWH, i] > 0.0 and is_plugged(k, plan.dep[i], plan.arr[i])
        soc_e, soc_baseline = s[SOC_E, i], baseline.ev_soc[k, i]
        if plugged:
            due = steps_until_due(k, len(plan.load), plan.dep[i], plan.ready[i], plan.next_due[i])
            need = ev_need(soc_e, soc_baseline, p[EV_TARGET, i], p_max, eta_e, dt, due)
            p_force = ev_forced(need, p_max, eta_e, dt, due)
            x_hard = p_tw
            v_hard = discharge_limit(soc_e, p[EV_MIN, i], p[V2G_KW, i], eta_e, dt)
            if not black:
                x_env = max(0.0, p_tw - p_force)
                v_env = min(v_hard, v2g_slack(need, p_max, eta_e, dt, due, dt))
        soc_b, floor, low = s[SOC_B, i], p[FLOOR, i], p[BESS_MIN, i]
        own_ch, own_dis = _own_battery(c, p, s, plan, baseline, k, i)
        b_hard = discharge_limit(soc_b, low, p[BESS_KW, i], eta_b, dt)
        b_env = 0.0
        if not black:
            keep = discharge_limit(soc_b, max(floor, low), p[BESS_KW, i], eta_b, dt)
            b_env = max(0.0, min(keep, (p[DAY_LIMIT, i] - s[DIS_DAY, i]) / dt))
        # allocate what is owed
        owed = order[0, i] + order[1, i]
        x = min(owed, x_env)
        b = min(owed - x, b_env)
        v = min(owed - x - b, v_env)
        inside = x + b + v
        x += min(max(0.0, owed - inside), x_hard - x)
        b += min(max(0.0, owed - x - b - v), b_hard - b)
        v += min(max(0.0, owed - x - b - v), v_hard - v)
        given = x + b + v
        # the car: base charging, less what is deferred, plus what is bought back
        p_ev = ev_bought = 0.0
        if plugged and v == 0.0:
            p_base = max(p_tw, p_force)
            room = max(0.0, min(p_max, p_tw + (soc_baseline - soc_e) / (eta_e * dt)) - p_base)
            ev_bought = min(order[2, i], room)
            p_ev = p_base - x + ev_bought
        s[SOC_E, i] = storage_next(soc_e, p_ev, v, eta_e, dt, 0.0, p[EV_KWH, i])
        forced = max(0.0, p_force - p_tw) if v == 0.0 else 0.0
        # the battery; what the home would do by itself waits while it is dispatched
        if b > 0.0:
            own_ch = own_dis = 0.0
        b_bought = 0.0
        if b == 0.0:
            room = charge_limit(soc_b, p[BESS_MAX, i], p[BESS_KW, i], eta_b, dt) - own_ch
            b_bought = max(0.0, min(order[2, i] - ev_bought, room))
            if b_bought > 0.0:
                own_dis = 0.0
        soc_b = storage_next(soc_b, own_ch + b_bought, b + own_dis, eta_b, dt, low, p[BESS_MAX, i])
        s[SOC_B, i] = soc_b
        s[BREACH_DAY, i] = below_since(soc_b, floor, s[BREACH_DAY, i], plan.day)
        before = s[DIS_DAY, i]
        # what the home discharges for itself, its baseline discharges too
        s[DIS_DAY, i] = before + b * dt
        # the record
        bought = ev_bought + b_bought
        sold = min(given, order[0, i])
        net_home = plan.pv[k, i] - plan.load[k, i] - p_tw
        out[SOLD, i] = sold
        out[CALLED, i] = given - sold
        out[BOUGHT, i] = bought
        out[FORCED, i] = forced
        out[DEFER, i] = x
        out[B_DIS, i] = b
        out[V2G, i] = v
        out[BEYOND, i] = max(0.0, given - inside) + (bought if black else 0.0)
        out[B_BUY, i] = b_bought
        out[B_HOME_CH, i] = own_ch
        out[B_HOME_DIS, i] = own_dis
        out[EV_CH, i] = p_ev
        out[RETAIL, i] = net_home - own_ch + own_dis
        out[RETAIL_BASELINE, i] = net_home - baseline.bess_ch[k, i] + baseline.bess_dis[k, i]
        depth = relative_depth(soc_b, floor) - relative_depth(baseline.bess_soc[k, i], floor)
        out[DEPTH, i] = max(0.0, depth) if depth > 1e-9 else 0.0
        limit = p[CYCLE_LIMIT, i]
        out[OVER, i] = max(0.0, s[DIS_DAY, i] - limit) - max(0.0, before - limit)
        out[BLACKOUT, i] = 1.0 if black else 0.0
        out[MARKET, i] = given - bought - forced
