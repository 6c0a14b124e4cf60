"""What every device that stores energy shares: how much it can give and take, and what is in it afterwards."""

from __future__ import annotations

from vpp_env.jit import inlined


@inlined
def discharge_limit(soc: float, floor: float, p_max: float, eta: float, span_h: float) -> float:
    """AC power that storage can give for `span_h` without going below `floor`."""
    # here and elsewhere: 1 / span_h is worked out once for all homes; a division takes as long as ten products
    return max(0.0, min(p_max, (soc - floor) * eta * (1.0 / span_h)))


@inlined
def charge_limit(soc: float, ceiling: float, p_max: float, eta: float, span_h: float) -> float:
    """AC power that storage can take for `span_h` without going above `ceiling`."""
    return max(0.0, min(p_max, (ceiling - soc) / (eta * span_h)))


@inlined
def storage_next(soc: float, p_ch: float, p_dis: float, eta: float, dt: float, low: float, high: float) -> float:
    """Energy after one step; the clip only removes rounding, the limits hold by construction."""
    return min(max(soc + eta * p_ch * dt - p_dis * dt / eta, min(low, soc)), max(high, soc))
