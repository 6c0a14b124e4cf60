"""The merit order: one opportunity at one price is a continuous knapsack, solved by sorting.

Every device has segments: kW that it can give, and what a kWh brings beyond what it costs. Those that bring most come
first, the last one in part, until the VPP's maximum is reached. Without more than that one shared row the greedy
choice is the linear program's optimum (Dantzig 1957).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp_policies.gate.inputs import Devices, GatePlan, Inputs, Physics


def merit_order(gain: NDArray[np.float64], kw: NDArray[np.float64], capacity_kw: float) -> NDArray[np.float64]:
    """Take the segments that gain most, up to the capacity.

    Parameters
    ----------
    gain, kw : ndarray
        (M,) USD per kWh, and the width of each segment, kW.
    capacity_kw : float
        Most that all together may give.

    Returns
    -------
    ndarray
        (M,) kW: max sum gain x, 0 <= x <= kw, sum x <= capacity. O(M log M).
    """
    order = np.argsort(-gain, kind="stable")
    wanted = np.where(gain[order] > 0.0, np.maximum(kw[order], 0.0), 0.0)
    before = np.cumsum(wanted) - wanted
    out = np.empty_like(wanted)
    out[order] = np.clip(capacity_kw - before, 0.0, wanted)
    return out


def dispatch(inputs: Inputs, devices: Devices, physics: Physics, failed: GatePlan) -> GatePlan:
    """Dispatch the first opportunity interval by interval in merit order: what is done when no optimum was found.

    Sales only, where they bring more than the most that a kWh of the device may be worth; nothing is bought, nothing
    is on reserve.

    Parameters
    ----------
    inputs, devices, physics : Inputs, Devices, Physics
        The gate.
    failed : GatePlan
        The plan without an optimum; its shape and status are kept.
    """
    steps, dt = physics.steps, physics.dt
    u = np.flatnonzero(devices.v2g > 0)
    nb, nc = len(devices.power), len(devices.v2g)
    floor = np.minimum(inputs.limits.floor if inputs.limits else devices.low, inputs.soc)
    sell_room = inputs.limits.sell if inputs.limits else np.repeat(devices.power[:, None], len(inputs.lmp), axis=1)
    left_b = np.maximum(inputs.soc - floor, 0.0) * physics.eta_b
    if inputs.limits is not None:
        left_b = np.minimum(left_b, inputs.limits.day_kwh[0])
    left_c = np.maximum(inputs.deficit_room[:, 0] - inputs.deficit, 0.0)
    worth_b, worth_c = inputs.slopes[:, 0] / physics.eta_b, inputs.back[:, -1]
    sell, defer, v2g = np.zeros_like(failed.sell_b), np.zeros_like(failed.defer), np.zeros_like(failed.v2g)
    for k in range(steps):
        price = inputs.sale[k]
        gain = np.concatenate(
            [
                price - physics.wear - worth_b,
                price - worth_c * physics.eta_e,
                price - physics.wear - worth_c[u] / physics.eta_e,
            ]
        )
        kw = np.concatenate(
            [
                np.minimum(sell_room[:, k], left_b / dt),
                np.minimum(inputs.p_baseline[:, k], left_c / (physics.eta_e * dt)),
                np.minimum(inputs.v2g_room[:, k], left_c[u] * physics.eta_e / dt),
            ]
        )
        given = merit_order(gain, kw, inputs.capacity_kw)
        sell[:, k], defer[:, k] = given[:nb], given[nb : nb + nc]
        left_b = left_b - dt * sell[:, k]
        left_c = left_c - physics.eta_e * dt * defer[:, k]
        # what V2G may still take of the car after what was deferred
        v2g[u, k] = np.minimum(given[nb + nc :], np.maximum(left_c[u], 0.0) * physics.eta_e / dt)
        left_c[u] -= dt / physics.eta_e * v2g[u, k]
    return replace(failed, sell_b=sell, defer=defer, v2g=v2g)
