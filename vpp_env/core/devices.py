"""Scalar device functions, compiled: one battery, one car, one home. All power kW, energy kWh.

They are the only statement of the physics; the baseline, the market's quotes, the owner's bounds and the delivery
all call them. No fastmath, no transcendental functions: the bits do not depend on the processor.
"""

from __future__ import annotations

from vpp_env.jit import kernel


@kernel
def is_plugged(k: int, dep: int, arr: int) -> bool:
    """Whether the car is at home and plugged in during step k of a day with one trip [dep, arr)."""
    return not (dep <= k < arr) if dep >= 0 else True


@kernel
def steps_until_due(k: int, n: int, dep: int, ready: int, next_due: int) -> int:
    """Steps from k until the car must be ready: the next ready-by time or departure, whichever is first."""
    due = n - k + next_due
    if k < ready:
        due = min(due, ready - k)
    if k < dep:
        due = min(due, dep - k)
    return due


@kernel
def baseline_charge(soc: float, target: float, p_max: float, eta: float, dt: float) -> float:
    """Power at which an undispatched car charges: at once, at full power, up to its target."""
    return min(p_max, max(0.0, target - soc) / (eta * dt))


@kernel
def ev_need(soc: float, soc_baseline: float, target: float, p_max: float, eta: float, dt: float, due: int) -> float:
    """Energy that the car still lacks of what its baseline will hold when it is due."""
    return max(soc_baseline, min(target, soc_baseline + eta * p_max * (due * dt))) - soc


@kernel
def ev_forced(need: float, p_max: float, eta: float, dt: float, due: int) -> float:
    """Least charging power now, such that full power in the steps left still meets the need."""
    later = eta * p_max * ((due - 1) * dt)
    return min(p_max, max(0.0, (need - later) / (eta * dt)))


@kernel
def v2g_slack(need: float, p_max: float, eta: float, dt: float, due: int, span_h: float) -> float:
    """V2G power over `span_h` after which full power in the time left still meets the need."""
    later = eta * p_max * (due * dt - span_h)
    return max(0.0, (later - need) * eta / span_h)


@kernel
def discharge_limit(soc: float, floor: float, p_max: float, eta: float, span_h: float) -> float:
    """AC power that storage can give for `span_h` without going below `floor`."""
    return max(0.0, min(p_max, (soc - floor) * eta / span_h))


@kernel
def charge_limit(soc: float, ceiling: float, p_max: float, eta: float, span_h: float) -> float:
    """AC power that storage can take for `span_h` without going above `ceiling`."""
    return max(0.0, min(p_max, (ceiling - soc) / (eta * span_h)))


@kernel
def home_charge(
    soc: float,
    surplus: float,
    floor: float,
    ceiling: float,
    p_max: float,
    eta: float,
    dt: float,
    restore: bool,
) -> float:
    """Battery charging by the home itself: its own solar surplus, and the floor when it is to be restored."""
    p = min(max(0.0, surplus), charge_limit(soc, ceiling, p_max, eta, dt))
    if restore:
        p = max(p, charge_limit(soc, floor, p_max, eta, dt))
    return p


@kernel
def home_discharge(soc: float, deficit: float, floor: float, p_max: float, eta: float, dt: float) -> float:
    """Battery discharge into the home's own load (home control `self_consumption`)."""
    return min(max(0.0, deficit), discharge_limit(soc, floor, p_max, eta, dt))


@kernel
def storage_next(soc: float, p_ch: float, p_dis: float, eta: float, dt: float, low: float, high: float) -> float:
    """Energy after one step; the clip only removes rounding, the limits hold by construction."""
    return min(max(soc + eta * p_ch * dt - p_dis * dt / eta, min(low, soc)), max(high, soc))


@kernel
def below_since(soc: float, floor: float, since: float, day: int) -> float:
    """Local day on which the SoC fell below the floor, -1 when it is not below."""
    if soc < floor - 1e-9:
        return since if since >= 0.0 else float(day)
    return -1.0


@kernel
def restores(since: float, day: int, k: int, restore_step: int) -> bool:
    """Whether a floor that was breached on an earlier day is restored from the grid now."""
    return since >= 0.0 and (day > since + 1.0 or (day > since and k >= restore_step))


@kernel
def in_window(week_step: int, from1: float, to1: float, from2: float, to2: float) -> bool:
    """Whether a quarter hour of the week lies in one of two windows (-1 = no window)."""
    return (from1 <= week_step < to1) or (from2 <= week_step < to2)


@kernel
def relative_depth(soc: float, floor: float) -> float:
    """Share of the reserve floor that is missing."""
    return max(0.0, floor - soc) / floor if floor > 0.0 else 0.0
