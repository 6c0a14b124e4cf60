"""Delivery of one 15-min step in readable NumPy over all homes at once: same equations, same bits as the kernel.

The scalar reference beside it (`reference.py`) is written from the model's text; this one shows what vectorised code
costs (`benchmarks/speed.py`) and holds the kernel to the bit a second time.
"""

from __future__ import annotations

import numpy as np

from vpp_env.core.layout import FLOW, N_FLOW, Day, Homes


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


def deliver_numpy(homes: Homes, day: Day, k: int, order: np.ndarray) -> np.ndarray:
    """Return the flows (N_FLOW, N) of `home.deliver` for every home; the state of `homes` is advanced in place."""
    rules, (battery, vehicle, _, first, second, *_), (bess, car) = homes.rules, homes.home, homes.state
    plan, baseline = day
    dt, eta_b, eta_e = rules.dt_h, rules.battery.eta, rules.vehicle.eta
    out = np.zeros((N_FLOW, len(battery.kw)))
    w, n = plan.week_step[k], len(plan.load)
    black = ((first[0] <= w) & (w < first[1])) | ((second[0] <= w) & (w < second[1]))

    # the car: what it must charge, what it can deferred and give
    p_tw, p_max, soc_e, soc_tw = baseline.ev_kw[k], vehicle.kw, car.soc_kwh, baseline.ev_soc[k]
    plugged = (vehicle.kwh > 0.0) & ((k < plan.dep) | ((plan.arr <= k) & (k < plan.out)))
    end = np.where(k < plan.dep, plan.dep, plan.out)
    due = np.where(end < n, end - k, n - k + plan.next_due)
    due = np.where(k < plan.ready, np.minimum(due, plan.ready - k), due)
    need = np.maximum(soc_tw, np.minimum(vehicle.target_kwh, soc_tw + eta_e * p_max * (due * dt))) - soc_e
    need = need + baseline.ev_late[k]
    later = eta_e * p_max * ((due - 1) * dt)
    force = np.where(plugged, np.minimum(p_max, np.maximum(0.0, (need - later) / (eta_e * dt))), 0.0)
    x_hard = np.where(plugged, p_tw, 0.0)
    v_hard = np.where(plugged, give_limit(soc_e, vehicle.min_kwh, vehicle.v2g_kw, eta_e, dt), 0.0)
    free = plugged & ~black
    slack = np.maximum(0.0, (eta_e * p_max * (due * dt - dt) - need) * eta_e / dt)
    x_env = np.where(free, np.maximum(0.0, p_tw - force), 0.0)
    v_env = np.where(free, np.minimum(v_hard, slack), 0.0)

    # the battery: what the home itself would do, what it can give
    soc_b, floor, low, high, kw = bess.soc_kwh, battery.floor_kwh, battery.min_kwh, battery.max_kwh, battery.kw
    surplus = plan.pv[k] - plan.load[k] - p_tw
    since = bess.below_since.copy()
    restore = (since >= 0.0) & ((plan.day > since + 1.0) | ((plan.day > since) & (k >= plan.restore_step)))
    own_ch = np.minimum(np.maximum(0.0, surplus), take_limit(soc_b, high, kw, eta_b, dt))
    own_ch = np.where(restore, np.maximum(own_ch, take_limit(soc_b, floor, kw, eta_b, dt)), own_ch)
    own_dis = np.zeros_like(own_ch)
    if rules.battery.serves_home:
        wanted = np.minimum(
            np.maximum(0.0, -surplus), give_limit(soc_b - bess.market_kwh, np.maximum(floor, low), kw, eta_b, dt)
        )
        own_dis = np.where(own_ch == 0.0, wanted, 0.0)
    b_hard = give_limit(soc_b, low, kw, eta_b, dt)
    left = (battery.day_limit_kwh - bess.discharged_kwh) / dt
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
    car.soc_kwh[:] = storage(soc_e, p_ev, v, eta_e, dt, np.zeros_like(soc_e), vehicle.kwh)
    forced = np.where(v == 0.0, np.maximum(0.0, force - p_tw), 0.0)

    sells = b > 0.0
    own_ch, own_dis = np.where(sells, 0.0, own_ch), np.where(sells, 0.0, own_dis)
    b_room = take_limit(soc_b, high, kw, eta_b, dt) - own_ch
    b_bought = np.where(sells, 0.0, np.maximum(0.0, np.minimum(order[2] - ev_bought, b_room)))
    own_dis = np.where(b_bought > 0.0, 0.0, own_dis)
    soc_b = storage(soc_b, own_ch + b_bought, b + own_dis, eta_b, dt, low, high)
    bess.soc_kwh[:] = soc_b
    mine = bess.market_kwh + eta_b * b_bought * dt - b * dt / eta_b
    bess.market_kwh[:] = np.minimum(np.maximum(0.0, mine), soc_b)
    bess.below_since[:] = np.where(soc_b < floor - 1e-9, np.where(since >= 0.0, since, float(plan.day)), -1.0)
    before = bess.discharged_kwh.copy()
    bess.discharged_kwh[:] = before + b * dt

    bought, sold = ev_bought + b_bought, np.minimum(given, order[0])
    net_home = plan.pv[k] - plan.load[k] - p_tw
    depth = relative_depth(soc_b, floor) - relative_depth(baseline.bess_soc[k], floor)
    limit = battery.cycle_limit_kwh
    out[FLOW.sold], out[FLOW.called], out[FLOW.bought], out[FLOW.forced] = sold, given - sold, bought, forced
    out[FLOW.deferred], out[FLOW.battery], out[FLOW.v2g] = x, b, v
    out[FLOW.beyond] = np.maximum(0.0, given - inside) + np.where(black, bought, 0.0)
    out[FLOW.battery_bought], out[FLOW.ev_charge] = b_bought, p_ev
    out[FLOW.home_charge], out[FLOW.home_discharge] = own_ch, own_dis
    out[FLOW.retail] = net_home - own_ch + own_dis
    out[FLOW.retail_baseline] = net_home - baseline.bess_ch[k] + baseline.bess_dis[k]
    out[FLOW.depth] = np.where(depth > 1e-9, np.maximum(0.0, depth), 0.0)
    out[FLOW.over] = np.maximum(0.0, bess.discharged_kwh - limit) - np.maximum(0.0, before - limit)
    out[FLOW.blackout] = black
    out[FLOW.market] = given - bought - forced
    return out
