"""Writes the dispatch problem down in CVXPY, part by part; `problem` states it as a whole."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from vpp_policies.gate.inputs import SEGMENTS, Devices, Physics

TIE = 1e-6
"""USD per kWh moved: among plans of equal profit take the one that moves least, so that the solution is unique."""
LATE = 10.0
"""USD per kWh: above any price of the market (its hard cap is 2)."""


class Builder:
    """Collects variables, parameters, gains and limits while the problem is written down."""

    def __init__(self, devices: Devices, physics: Physics, opportunities: int, reserve: bool) -> None:
        self.devices, self.physics, self.reserve = devices, physics, reserve
        self.o, self.k = opportunities, opportunities * physics.steps
        # (K, O): which interval lies in which opportunity
        self.of = np.repeat(np.eye(opportunities), physics.steps, axis=0)
        self.v2g = np.flatnonzero(devices.v2g > 0)  # V2G cars among all cars
        self.params: dict[str, cp.Parameter] = {}
        self.vars: dict[str, cp.Variable] = {}
        self.gain: list[cp.Expression] = []
        self.limits: list[cp.Constraint] = []
        self.sold: list[cp.Expression] = []  # (K,) energy
        self.bought: list[cp.Expression] = []  # (K,)
        self.held: list[cp.Expression] = []  # (K,) reserve
        self.balance: cp.Constraint | None = None  # (B, O) energy of the batteries

    def parameter(self, name: str, shape: tuple[int, ...], nonneg: bool = False) -> cp.Parameter:
        """Declare what changes from gate to gate."""
        self.params[name] = cp.Parameter(shape, nonneg=nonneg, name=name)
        return self.params[name]

    def variable(self, name: str, shape: tuple[int, ...], bounds: list[Any] | None = None) -> cp.Variable:
        """Declare what is decided: not negative, or within constant bounds."""
        kind = {"nonneg": True} if bounds is None else {"bounds": bounds}
        self.vars[name] = cp.Variable(shape, name=name, **kind)
        return self.vars[name]


def wide(column: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Repeat a column (N,) to (N, width)."""
    return np.repeat(column[:, None], width, axis=1)


def batteries(build: Builder) -> None:
    """Write the batteries down."""
    dev, phys, k, o, of = build.devices, build.physics, build.k, build.o, build.of
    lmp, sale, rho = (build.params[name] for name in ("lmp", "sale", "rho"))
    n, dt, eta = len(dev.power), phys.dt, phys.eta_b
    d, c, h = build.variable("sell_b", (n, k)), build.variable("buy_b", (n, k)), build.variable("own", (n, o))
    s = build.variable("soc", (n, o), bounds=[0.0, wide(dev.high, o)])
    w = build.variable("pieces", (n, SEGMENTS))
    surplus = build.parameter("surplus", (n, k), nonneg=True)
    floor = build.parameter("floor", (n, 1), nonneg=True)
    today = build.parameter("today", (o,), nonneg=True)
    start = cp.reshape(build.parameter("soc0", (n,)), (n, 1), order="F")
    before = cp.hstack([start, s[:, :-1]]) if o > 1 else start
    by_opportunity = dt * (d @ of)
    build.balance = s == before + eta * (dt * (c @ of) + h) - (1.0 / eta) * by_opportunity
    build.limits += [
        build.balance,
        s >= floor @ np.ones((1, o)),
        h + dt * (cp.multiply(surplus, d / dev.power[:, None]) @ of) <= dt * (surplus @ of),
        d <= build.parameter("sell_room", (n, k), nonneg=True),
        c <= build.parameter("buy_room", (n, k), nonneg=True),
        by_opportunity @ today <= build.parameter("day_left", (n,), nonneg=True),
        w <= build.parameter("piece_width", (n, SEGMENTS), nonneg=True),
        cp.sum(w, axis=1) == s[:, o - 1] - build.parameter("value_low", (n,)),
    ]
    if o > 1:
        later = build.parameter("day_later", (n,), nonneg=True)
        build.limits.append(cp.sum(by_opportunity, axis=1) - by_opportunity @ today <= later)
    build.gain += [
        dt * sale @ cp.sum(d, axis=0) - dt * lmp @ cp.sum(c, axis=0),
        -dt * (phys.wear + TIE) * cp.sum(d),
        -dt * TIE * cp.sum(c) - phys.export * cp.sum(h),
        cp.sum(cp.multiply(build.parameter("slopes", (n, SEGMENTS)), w)),
    ]
    if build.reserve:
        q = build.variable("reserve_b", (n, o))
        build.limits += [
            phys.reserve_h * q <= eta * (before - floor @ np.ones((1, o))),
            phys.reserve_h * q <= eta * (s - floor @ np.ones((1, o))),
            q <= build.parameter("reserve_b_room", (n, o), nonneg=True),
            d + q @ of.T <= wide(dev.power, k),
        ]
        build.gain.append(dt * phys.steps * rho @ cp.sum(q, axis=0))
        build.held.append(cp.sum(q @ of.T, axis=0))
    build.sold.append(cp.sum(d, axis=0))
    build.bought.append(cp.sum(c, axis=0))


def cars(build: Builder) -> None:
    """Write the cars down."""
    dev, phys, k, o, of = build.devices, build.physics, build.k, build.o, build.of
    lmp, sale, rho = (build.params[name] for name in ("lmp", "sale", "rho"))
    n, dt, eta = len(dev.v2g), phys.dt, phys.eta_e
    x, r = build.variable("defer", (n, k)), build.variable("back", (n, k))
    g, late, w = (
        build.variable("deficit", (n, o)),
        build.variable("late", (n, o)),
        build.variable("owed", (n, SEGMENTS)),
    )
    room = build.parameter("deficit_room", (n, o))
    p_baseline = build.parameter("p_baseline", (n, k), nonneg=True)
    start = cp.reshape(build.parameter("deficit0", (n,)), (n, 1), order="F")
    before = cp.hstack([start, g[:, :-1]]) if o > 1 else start
    added = eta * dt * ((x - r) @ of)
    build.limits += [
        r <= build.parameter("charge_room", (n, k), nonneg=True),
        g <= room + late,
        w[:, :-1] <= build.parameter("back_width", (n, 1), nonneg=True) @ np.ones((1, SEGMENTS - 1)),
        cp.sum(w, axis=1) == g[:, o - 1],
    ]
    waits = x
    if build.reserve:
        y = build.variable("reserve_x", (n, o))
        waits = x + y @ of.T
        build.limits.append(y <= build.parameter("reserve_x_room", (n, o), nonneg=True))
        build.gain.append(dt * phys.steps * rho @ cp.sum(y, axis=0))
        build.held.append(cp.sum(y @ of.T, axis=0))
    build.limits.append(waits <= p_baseline)
    build.gain += [
        dt * sale @ cp.sum(x, axis=0) - dt * lmp @ cp.sum(r, axis=0),
        -cp.sum(cp.multiply(build.parameter("owed_price", (n, SEGMENTS)), w)),
        -dt * TIE * cp.sum(r) - LATE * cp.sum(late),
    ]
    build.sold.append(cp.sum(x, axis=0))
    build.bought.append(cp.sum(r, axis=0))
    u = build.v2g
    if len(u):
        v = build.variable("v2g", (len(u), k))
        v2g_room = build.parameter("v2g_room", (len(u), k), nonneg=True)
        rows = np.eye(n)[:, u]  # V2G cars among all cars
        added = added + (dt / eta) * (rows @ v @ of)
        build.gain += [dt * sale @ cp.sum(v, axis=0), -dt * (phys.wear + TIE) * cp.sum(v)]
        used = v
        if build.reserve:
            q = build.variable("reserve_u", (len(u), o))
            used = v + q @ of.T
            build.limits += [
                (phys.reserve_h / eta) * q <= (room + late - g)[u],
                q <= build.parameter("reserve_u_room", (len(u), o), nonneg=True),
            ]
            build.gain.append(dt * phys.steps * rho @ cp.sum(q, axis=0))
            build.held.append(cp.sum(q @ of.T, axis=0))
        build.limits.append(used <= v2g_room)
        build.sold.append(cp.sum(v, axis=0))
    build.limits.append(g == before + added)
