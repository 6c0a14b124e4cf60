"""Delivery of one 15-min step in readable NumPy over all homes at once: same equations, same bits as the kernel.

The scalar reference beside it (`reference.py`) is written from the model's text; this one shows what vectorised code
costs (`benchmarks/speed.py`) and holds the kernel to the bit a second time.
"""

from __future__ import annotations

import numpy as np

from vpp_env.core import layout as lay
from vpp_env.core.layout import BaselineDay, DayPlan


def give_limit(soc: np.ndarray, floor: np.ndarray, kw: np.ndarray, eta: float, hours: float) -> np.ndarray:
    return np.maximum(0.0, np.minimum(kw, (soc - floor) * eta / hours))


def take_limit(soc: np.ndarray, ceiling: np.ndarray, kw: np.ndarray, eta: float, hours: float) -> np.ndarray:
    return np.maximum(0.0, np.minimum(kw, (ceiling - soc) / (eta * hours)))


def storage(
    soc: np.ndarray, ch: np.ndarray, dis: np.ndarray, eta: float, dt: float, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    moved = soc + eta * ch * dt - dis * dt / eta
    return np.minimum(np.maximum(moved, np.minimum(low, soc)), np.maximum(high, soc))


def relative_depth(soc: np.ndarray, floor: np.ndarray) -> np.ndarray:
    return np.divide(np.maximum(0.0, floor - soc), floor, out=np.zeros_like(soc), where=floor > 0.0)


def deliver_numpy(
    c: np.ndarray, p: np.ndarray, s: np.ndarray, plan: DayPlan, baseline: BaselineDay, k: int, order: np.ndarray
) -> np.ndarray:
    """Return what `kernels.deliver` writes into `out`; `s` is advanced in place."""
    dt, eta_b, eta_e = c[lay.C_DT], c[lay.C_ETA_B], c[lay.C_ETA_EV]
    out = np.zeros((lay.N_OUT, p.shape[1]))
    w, n = plan.week_step[k], len(plan.load)
    black = ((p[lay.BO1_FROM] <= w) & (w < p[lay.BO1_TO])) | ((p[lay.BO2_FROM] <= w) & (w < p[lay.BO2_TO]))

    # the car: what it must charge, what it can deferred and give
    p_tw, p_max, soc_e, soc_tw = baseline.ev_kw[k], p[lay.EV_KW], s[lay.SOC_E], baseline.ev_soc[k]
    away = (plan.dep >= 0) & (plan.dep <= k) & (k < plan.arr)
    plugged = (p[lay.EV_KWH] > 0.0) & ~away
    due = n - k + plan.next_due
    due = np.where(k < plan.ready, np.minimum(due, plan.ready - k), due)
    due = np.where(k < plan.dep, np.minimum(due, plan.dep - k), due)
    need = np.maximum(soc_tw, np.minimum(p[lay.EV_TARGET], soc_tw + eta_e * p_max * (due * dt))) - soc_e
    later = eta_e * p_max * ((due - 1) * dt)
    force = np.where(plugged, np.minimum(p_max, np.maximum(0.0, (need - later) / (eta_e * dt))), 0.0)
    x_hard = np.where(plugged, p_tw, 0.0)
    v_hard = np.where(plugged, give_limit(soc_e, p[lay.EV_MIN], p[lay.V2G_KW], eta_e, dt), 0.0)
    free = plugged & ~black
    slack = np.maximum(0.0, (eta_e * p_max * (due * dt - dt) - need) * eta_e / dt)
    x_env = np.where(free, np.maximum(0.0, p_tw - force), 0.0)
    v_env = np.where(free, np.minimum(v_hard, slack), 0.0)

    # the battery: what the home itself would do, what it can give
    soc_b, floor, low, high, kw = s[lay.SOC_B], p[lay.FLOOR], p[lay.BESS_MIN], p[lay.BESS_MAX], p[lay.BESS_KW]
    surplus = plan.pv[k] - plan.load[k] - p_tw
    since = s[lay.BREACH_DAY]
    restore = (since >= 0.0) & ((plan.day > since + 1.0) | ((plan.day > since) & (k >= plan.restore_step)))
    own_ch = np.minimum(np.maximum(0.0, surplus), take_limit(soc_b, high, kw, eta_b, dt))
    own_ch = np.where(restore, np.maximum(own_ch, take_limit(soc_b, floor, kw, eta_b, dt)), own_ch)
    own_dis = np.zeros_like(own_ch)
    if c[lay.C_SELF] > 0.0:
        wanted = np.minimum(np.maximum(0.0, -surplus), give_limit(soc_b, np.maximum(floor, low), kw, eta_b, dt))
        own_dis = np.where(own_ch == 0.0, wanted, 0.0)
    b_hard = give_limit(soc_b, low, kw, eta_b, dt)
    left = (p[lay.DAY_LIMIT] - s[lay.DIS_DAY]) / dt
    keep = give_limit(soc_b, np.maximum(floor, low), kw, eta_b, dt)
    b_env = np.where(black, 0.0, np.maximum(0.0, np.minimum(keep, left)))

    # what is owed: inside the envelope first, then beyond it, cheapest device first
    owed = order[0] + order[1]
    x = np.minimum(owed, x_env)
    b = np.minimum(owed - x, b_env)
    v = np.minimum(owed - x - b, v_env)
    inside = x + b + v
    x = x + np.minimum(np.maximum(0.0, owed - inside), x_hard - x)
    b = b + np.minimum(np.maximum(0.0, owed - x - b - v), b_hard - b)
    v = v + np.minimum(np.maximum(0.0, owed - x - b - v), v_hard - v)
    given = x + b + v

    charges = plugged & (v == 0.0)
    base = np.maximum(p_tw, force)
    room = np.maximum(0.0, np.minimum(p_max, p_tw + (soc_tw - soc_e) / (eta_e * dt)) - base)
    ev_bought = np.where(charges, np.minimum(order[2], room), 0.0)
    p_ev = np.where(charges, base - x + ev_bought, 0.0)
    s[lay.SOC_E] = storage(soc_e, p_ev, v, eta_e, dt, np.zeros_like(soc_e), p[lay.EV_KWH])
    forced = np.where(v == 0.0, np.maximum(0.0, force - p_tw), 0.0)

    sells = b > 0.0
    own_ch, own_dis = np.where(sells, 0.0, own_ch), np.where(sells, 0.0, own_dis)
    b_room = take_limit(soc_b, high, kw, eta_b, dt) - own_ch
    b_bought = np.where(sells, 0.0, np.maximum(0.0, np.minimum(order[2] - ev_bought, b_room)))
    own_dis = np.where(b_bought > 0.0, 0.0, own_dis)
    soc_b = storage(soc_b, own_ch + b_bought, b + own_dis, eta_b, dt, low, high)
    s[lay.SOC_B] = soc_b
    s[lay.BREACH_DAY] = np.where(soc_b < floor - 1e-9, np.where(since >= 0.0, since, float(plan.day)), -1.0)
    before = s[lay.DIS_DAY].copy()
    s[lay.DIS_DAY] = before + b * dt

    bought, sold = ev_bought + b_bought, np.minimum(given, order[0])
    net_home = plan.pv[k] - plan.load[k] - p_tw
    depth = relative_depth(soc_b, floor) - relative_depth(baseline.bess_soc[k], floor)
    limit = p[lay.CYCLE_LIMIT]
    out[lay.SOLD], out[lay.CALLED], out[lay.BOUGHT], out[lay.FORCED] = sold, given - sold, bought, forced
    out[lay.DEFER], out[lay.B_DIS], out[lay.V2G] = x, b, v
    out[lay.BEYOND] = np.maximum(0.0, given - inside) + np.where(black, bought, 0.0)
    out[lay.B_BUY], out[lay.B_HOME_CH], out[lay.B_HOME_DIS], out[lay.EV_CH] = b_bought, own_ch, own_dis, p_ev
    out[lay.RETAIL] = net_home - own_ch + own_dis
    out[lay.RETAIL_BASELINE] = net_home - baseline.bess_ch[k] + baseline.bess_dis[k]
    out[lay.DEPTH] = np.where(depth > 1e-9, np.maximum(0.0, depth), 0.0)
    out[lay.OVER] = np.maximum(0.0, s[lay.DIS_DAY] - limit) - np.maximum(0.0, before - limit)
    out[lay.BLACKOUT] = black
    out[lay.MARKET] = given - bought - forced
    return out
