"""The month as one linear program in CVXPY: the statement that `bounds` encloses, and its exact optimum.

Sets: devices d, steps k; a device is a `devices.Device`. Variables in kWh of the store: a_j (taken in along segment
j), g_j (given out), x (charged elsewhere), s (held), z (share of the step spent taking in); q (reserve, kW).

    max  sum  out_m g - in_m a - ext_price x + rho dt q + end s_T + constant
    s.t. s_k+1 = s_k + x_k + sum a - sum g          lo <= s_k + x_k <= hi,   x <= ext
         a_j <= in_w_j z,   g_j <= out_w_j (1 - z),   sum_j g_j <= most_out (1 - z)
                                                    the hull of "take in" and "give out"
         q <= power - busy sum_j shares_j g_j eta / dt,   reserve_h q <= eta (s_k+1 - empty)
         sum over a day of g_0 grid_0 <= day_kwh               or at day_usd per kWh more
         less short [wanted - s_k+1]+, and hour_usd [sum over an hour of g_storage grid_storage - hour_kwh]+
         sum_d (sum_j g_j grid_j / dt + busy q) <= capacity
         sum over the devices of a feeder ((sum_j g_j meter_j - sum_j a_j / eta) / dt + busy q) <= room

Without the last two rows the devices are independent and are solved one by one. Used by `--exact` and by the tests;
nothing in a month of the policies calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, PolicyError
from vpp_policies.highs import HIGHS
from vpp_policies.optimal.devices import Device
from vpp_policies.optimal.sharing import Shared


class _Part(NamedTuple):
    """One device in the program."""

    worth: cp.Expression
    limits: list[Any]
    sold: cp.Expression  # (K,) kW that it fills of the VPP's maximum
    met: cp.Expression  # (K,) kW of its feeder


def _device(device: Device, reserve_h: float) -> _Part:
    """Write one device down."""
    st, steps = device.store, len(device.rho)
    a, g = cp.Variable((steps, 2), nonneg=True), cp.Variable((steps, 2), nonneg=True)
    z = cp.Variable(steps, bounds=[0.0, 1.0])
    s = cp.Variable(steps + 1)
    limits: list[Any] = [s[0] == st.start]
    held: cp.Expression = s
    worth: cp.Expression = device.constant + cp.sum(cp.multiply(st.out_m, g)) - cp.sum(cp.multiply(st.in_m, a))
    if (st.ext > 0.0).any():
        x = cp.Variable(steps + 1, bounds=[0.0, st.ext])
        held = s + x
        worth -= st.ext_price * cp.sum(x)
    limits += [
        held >= st.lo,
        held <= st.hi,
        s[1:] == held[:-1] + cp.sum(a, axis=1) - cp.sum(g, axis=1),
        a <= cp.multiply(st.in_w, z[:, None]),
        g <= cp.multiply(st.out_w, 1.0 - z[:, None]),
    ]
    if (both := device.most_out < np.inf).any():
        limits.append(cp.sum(g, axis=1)[both] <= cp.multiply(device.most_out[both], 1.0 - z[both]))
    worth += st.end * held[steps]
    sold = (g @ device.grid_kwh) / DT_H
    met = (g @ device.meter_kwh - cp.sum(a, axis=1) / device.eta) / DT_H
    if (device.rho > 0.0).any():
        may = device.rho > 0.0
        q = cp.Variable(steps, bounds=[0.0, np.where(may, device.power, 0.0)])
        used = (g @ device.shares.astype(float)) * (device.eta / DT_H)
        limits += [
            q <= device.power - cp.multiply(device.busy.astype(float), used),
            reserve_h * q[may] <= device.eta * (s[1:] - device.empty)[may],
        ]
        worth += DT_H * (device.rho @ q)
        sold = sold + cp.multiply(device.busy.astype(float), q)
        met = met + cp.multiply(device.busy.astype(float), q)
    if device.day_kwh < np.inf:
        of = np.equal.outer(np.unique(device.day), device.day).astype(float)
        today = of @ g[:, 0] * device.grid_kwh[0]
        if device.day_usd == np.inf:
            limits.append(today <= device.day_kwh)
        else:
            beyond = cp.Variable(len(of), nonneg=True)
            limits.append(today - beyond <= device.day_kwh)
            worth -= device.day_usd * cp.sum(beyond)
    if (st.short > 0.0).any():
        missing = cp.Variable(steps, nonneg=True)
        limits.append(s[1:] + missing >= st.wanted)
        worth -= st.short @ missing
    if device.hour_usd > 0.0:
        of = np.equal.outer(np.unique(device.hour), device.hour).astype(float)
        hourly = of @ g[:, device.storage] * device.grid_kwh[device.storage]
        noticed = cp.Variable(len(of), nonneg=True)
        limits.append(hourly - noticed <= device.hour_kwh)
        worth -= device.hour_usd * cp.sum(noticed)
    return _Part(worth, limits, sold, met)


def program(devices: list[Device], reserve_h: float, room: Shared | None) -> tuple[cp.Problem, list[_Part]]:
    """Write the devices down as one program; without `room` nothing joins them.

    Returns
    -------
    tuple
        The program, and the devices in it.
    """
    parts = [_device(d, reserve_h) for d in devices]
    limits = [row for part in parts for row in part.limits]
    if room is not None:
        limits.append(sum(part.sold for part in parts) <= room.capacity_kw)
        for f in np.unique(room.feeder[: len(devices)]):
            there = np.isfinite(room.room[f])
            if there.any():
                met = [part.met[there] for part, at in zip(parts, room.feeder, strict=True) if at == f]
                limits.append(sum(met) <= room.room[f, there])
    return cp.Problem(cp.Maximize(sum(part.worth for part in parts)), limits), parts


def _solve(
    devices: list[Device], reserve_h: float, room: Shared | None
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    problem, parts = program(devices, reserve_h, room)
    problem.solve(solver=HIGHS, warm_start=False)
    if problem.status != cp.OPTIMAL:
        raise PolicyError(f"the month's linear program ended as {problem.status!r}; only 'optimal' is an answer")
    sold, met = (np.array([kw.value for kw in side]) for side in zip(*((p.sold, p.met) for p in parts), strict=True))
    return float(problem.value), sold, met


def exact(
    devices: list[Device],
    reserve_h: float,
    room: Shared,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> float:
    """Return the optimum of the month, USD: device by device where nothing shared is short, else all in one.

    Raises
    ------
    PolicyError
        When the solver does not end with an optimum.
    """
    if not devices:
        return 0.0
    found = []
    for j, device in enumerate(devices):
        found.append(_solve([device], reserve_h, None))
        progress(j + 1, len(devices))
    sold, met = (np.concatenate([one[side] for one in found]) for side in (1, 2))
    if not room.concerned(devices, sold, met).any():
        return sum(one[0] for one in found)
    return _solve(devices, reserve_h, room)[0]
