"""The dispatch problem: one linear program in CVXPY, built once, its parameters updated at every gate (DPP).

Sets: batteries b, cars e (of them V2G cars u), 15-min intervals k, opportunities o of S intervals each. All power kW,
energy kWh, prices USD/kWh. Energy is balanced per opportunity; inside one, only power limits hold per interval.

    max  sum_k dt [ lmp_k (d_bk + x_ek + v_uk - c_bk - r_ek) - wear (d_bk + v_uk) ] + sum_o H rho_o (q_bo + q_uo)
         + sum_b V_b(s_bO) - sum_e back_e g_eO / eta_e - tie (d + c + r + v)
    s.t. s_o+1 = s_o + eta_b (dt sum_k c + h) - dt / eta_b sum_k d          low <= s <= high
         h + dt sum_k surplus_k d_k / P <= dt sum_k surplus_k              own sun is not stored while discharging
         c_k <= P - surplus_k,   d_k + q_o <= P                            converter
         res_h q_o <= eta_b (s_o - low),  eta_b (s_o+1 - low)              energy behind reserve, at both ends
         g_o+1 = g_o + eta_e dt sum_k (x - r) + dt / eta_e sum_k v         0 <= g_o <= room_o
         x_k <= p_twin,  r_k <= charger room,  v_k <= V2G,  q_uo + v_uk <= V2G
         res_h q_uo <= eta_e (room_o - g_o)
         sum (d_k + x_k + v_k) + sum (q_bo + q_uo) <= capacity             the VPP's maximum

d, c, h, s, q: battery sold, bought, own sun (kWh), energy, reserve. x, r, v, g: car charging put off, bought back, V2G,
deficit against the undispatched car. V_b is concave and piecewise linear (`value`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

TIE = 1e-6
"""USD per kWh moved: among plans of equal profit take the one that moves least, so that the solution is unique."""
SEGMENTS = 6
"""Pieces of the terminal value within what a battery can reach over the horizon."""


@dataclass(frozen=True)
class Devices:
    """Batteries (B,) and cars (C,) of the fleet: fixed for a month."""

    power: np.ndarray  # battery, kW
    low: np.ndarray  # kWh
    high: np.ndarray  # kWh
    v2g: np.ndarray  # car, kW; 0 = cannot


@dataclass(frozen=True)
class Physics:
    """Constants of the month."""

    dt: float  # h
    eta_b: float
    eta_e: float
    wear: float  # USD/kWh discharged
    reserve_h: float
    steps: int  # intervals in an opportunity


@dataclass(frozen=True)
class Inputs:
    """What changes from gate to gate; K intervals, O opportunities, U V2G cars."""

    lmp: np.ndarray  # (K,) USD/kWh
    rho: np.ndarray  # (O,) USD/kW-h
    soc: np.ndarray  # (B,) kWh
    surplus: np.ndarray  # (B, K) kW
    value_low: np.ndarray  # (B,) kWh: where the terminal value's pieces begin
    value_width: np.ndarray  # (B,) kWh: width of a piece
    slopes: np.ndarray  # (B, SEGMENTS) USD/kWh, non-increasing
    deficit: np.ndarray  # (C,) kWh
    p_twin: np.ndarray  # (C, K) kW
    charge_room: np.ndarray  # (C, K) kW that the charger can take above p_twin
    v2g_room: np.ndarray  # (U, K) kW, 0 while away
    deficit_room: np.ndarray  # (C, O) kWh: most deficit before the car's hard minimum, by the end of o
    back: np.ndarray  # (C,) USD/kWh
    capacity_kw: float


@dataclass(frozen=True)
class Plan:
    """The solution, kW: (B, K), (C, K); reserve (B, O) and (C, O)."""

    sell_b: np.ndarray
    buy_b: np.ndarray
    reserve_b: np.ndarray
    defer: np.ndarray
    back: np.ndarray
    v2g: np.ndarray
    reserve_e: np.ndarray
    objective_usd: float
    status: str
    seconds: float


class _Builder:
    """Collects variables, parameters, gains and limits while the problem is written down."""

    def __init__(self) -> None:
        self.params: dict[str, cp.Parameter] = {}
        self.vars: dict[str, cp.Variable] = {}
        self.gain: list[cp.Expression] = []
        self.limits: list[cp.Constraint] = []
        self.sold: list[cp.Expression] = []

    def parameter(self, name: str, shape: tuple[int, ...], nonneg: bool = False) -> cp.Parameter:
        self.params[name] = cp.Parameter(shape, nonneg=nonneg, name=name)
        return self.params[name]

    def variable(self, name: str, shape: tuple[int, ...], bounds: list[Any] | None = None) -> cp.Variable:
        kind = {"nonneg": True} if bounds is None else {"bounds": bounds}
        self.vars[name] = cp.Variable(shape, name=name, **kind)
        return self.vars[name]


def _wide(column: np.ndarray, width: int) -> np.ndarray:
    return np.repeat(column[:, None], width, axis=1)


class DispatchProblem:
    """The parametrised problem of one fleet over `opportunities` opportunities."""

    def __init__(self, devices: Devices, physics: Physics, opportunities: int, reserve: bool) -> None:
        self._devices, self._physics, self._reserve = devices, physics, reserve
        self._o, self._k = opportunities, opportunities * physics.steps
        # (K, O): which interval lies in which opportunity
        self._of = np.repeat(np.eye(opportunities), physics.steps, axis=0)
        self._u = np.flatnonzero(devices.v2g > 0)
        build = _Builder()
        lmp = build.parameter("lmp", (self._k,))
        rho = build.parameter("rho", (self._o,), nonneg=True)
        if len(devices.power):
            self._batteries(build, lmp, rho)
        if len(devices.v2g):
            self._cars(build, lmp, rho)
        capacity = build.parameter("capacity", (), nonneg=True)
        if build.sold:
            build.limits.append(sum(build.sold) <= capacity)
        self._params, self._vars = build.params, build.vars
        self.compiled = cp.Problem(cp.Maximize(sum(build.gain) if build.gain else 0), build.limits)
        if not self.compiled.is_dpp():
            raise AssertionError("the dispatch problem must be DPP: it is compiled once")

    def _batteries(self, build: _Builder, lmp: cp.Parameter, rho: cp.Parameter) -> None:
        dev, phys, k, o, of = self._devices, self._physics, self._k, self._o, self._of
        n, dt, eta = len(dev.power), phys.dt, phys.eta_b
        d = build.variable("sell_b", (n, k), bounds=[0.0, _wide(dev.power, k)])
        c = build.variable("buy_b", (n, k))
        h = build.variable("own", (n, o))
        s = build.variable("soc", (n, o), bounds=[_wide(dev.low, o), _wide(dev.high, o)])
        w = build.variable("pieces", (n, SEGMENTS))
        surplus = build.parameter("surplus", (n, k), nonneg=True)
        start = cp.reshape(build.parameter("soc0", (n,)), (n, 1), order="F")
        before = cp.hstack([start, s[:, :-1]]) if o > 1 else start
        build.limits += [
            s == before + eta * (dt * (c @ of) + h) - (dt / eta) * (d @ of),
            h + dt * (cp.multiply(surplus, d / dev.power[:, None]) @ of) <= dt * (surplus @ of),
            c <= build.parameter("buy_room", (n, k), nonneg=True),
            w <= build.parameter("piece_width", (n, SEGMENTS), nonneg=True),
            cp.sum(w, axis=1) == s[:, o - 1] - build.parameter("value_low", (n,)),
        ]
        build.gain += [
            dt * lmp @ cp.sum(d - c, axis=0),
            -dt * (phys.wear + TIE) * cp.sum(d),
            -dt * TIE * cp.sum(c),
            cp.sum(cp.multiply(build.parameter("slopes", (n, SEGMENTS)), w)),
        ]
        used = d
        if self._reserve:
            q = build.variable("reserve_b", (n, o))
            used = d + q @ of.T
            low = _wide(dev.low, o)
            build.limits += [phys.reserve_h * q <= eta * (before - low), phys.reserve_h * q <= eta * (s - low)]
            build.gain.append(dt * phys.steps * rho @ cp.sum(q, axis=0))
            build.limits.append(used <= _wide(dev.power, k))
        build.sold.append(cp.sum(used, axis=0))

    def _cars(self, build: _Builder, lmp: cp.Parameter, rho: cp.Parameter) -> None:
        dev, phys, k, o, of = self._devices, self._physics, self._k, self._o, self._of
        n, dt, eta = len(dev.v2g), phys.dt, phys.eta_e
        x, r = build.variable("defer", (n, k)), build.variable("back", (n, k))
        g = build.variable("deficit", (n, o))
        room = build.parameter("deficit_room", (n, o))
        start = cp.reshape(build.parameter("deficit0", (n,)), (n, 1), order="F")
        before = cp.hstack([start, g[:, :-1]]) if o > 1 else start
        added = eta * dt * ((x - r) @ of)
        build.limits += [
            x <= build.parameter("p_twin", (n, k), nonneg=True),
            r <= build.parameter("charge_room", (n, k), nonneg=True),
            g <= room,
        ]
        build.gain += [
            dt * lmp @ cp.sum(x - r, axis=0),
            -(build.parameter("back_price", (n,)) @ g[:, o - 1]) / eta,
            -dt * TIE * cp.sum(r),
        ]
        build.sold.append(cp.sum(x, axis=0))
        u = self._u
        if len(u):
            v = build.variable("v2g", (len(u), k))
            v2g_room = build.parameter("v2g_room", (len(u), k), nonneg=True)
            rows = np.eye(n)[:, u]  # V2G cars among all cars
            added = added + (dt / eta) * (rows @ v @ of)
            build.gain += [dt * lmp @ cp.sum(v, axis=0), -dt * (phys.wear + TIE) * cp.sum(v)]
            used = v
            if self._reserve:
                q = build.variable("reserve_u", (len(u), o))
                used = v + q @ of.T
                build.limits.append((phys.reserve_h / eta) * q <= (room - g)[u])
                build.gain.append(dt * phys.steps * rho @ cp.sum(q, axis=0))
            build.limits.append(used <= v2g_room)
            build.sold.append(cp.sum(used, axis=0))
        build.limits.append(g == before + added)

    def solve(self, inputs: Inputs) -> Plan:
        """Solve for one gate; a plan whose status is not `optimal` holds zeros."""
        begin = time.perf_counter()
        power = self._devices.power[:, None]
        values = {
            "lmp": inputs.lmp,
            "rho": np.maximum(inputs.rho, 0.0),
            "soc0": inputs.soc,
            "surplus": inputs.surplus,
            "buy_room": np.maximum(power - inputs.surplus, 0.0),
            "value_low": inputs.value_low,
            "piece_width": _wide(inputs.value_width, SEGMENTS),
            "slopes": inputs.slopes,
            "deficit0": inputs.deficit,
            "p_twin": inputs.p_twin,
            "charge_room": inputs.charge_room,
            "v2g_room": inputs.v2g_room,
            # a car that starts beyond its room (it cannot help it) must stay feasible
            "deficit_room": np.maximum(inputs.deficit_room, inputs.deficit[:, None]),
            "back_price": inputs.back,
            "capacity": inputs.capacity_kw,
        }
        for name, parameter in self._params.items():
            parameter.value = values[name]
        # warm_start=True, CVXPY's default, makes HiGHS start from the last basis, which is slower here
        self.compiled.solve(solver=cp.HIGHS, warm_start=False)
        status = str(self.compiled.status)
        return self._plan(status, time.perf_counter() - begin)

    def _plan(self, status: str, seconds: float) -> Plan:
        nb, ne, k, o = len(self._devices.power), len(self._devices.v2g), self._k, self._o
        ok = status == cp.OPTIMAL

        def value(name: str, rows: int, width: int) -> np.ndarray:
            if not ok or name not in self._vars:
                return np.zeros((rows, width))
            return np.maximum(np.asarray(self._vars[name].value), 0.0)

        v2g, reserve_e = np.zeros((ne, k)), np.zeros((ne, o))
        v2g[self._u] = value("v2g", len(self._u), k)
        reserve_e[self._u] = value("reserve_u", len(self._u), o)
        return Plan(
            sell_b=value("sell_b", nb, k),
            buy_b=value("buy_b", nb, k),
            reserve_b=value("reserve_b", nb, o),
            defer=value("defer", ne, k),
            back=value("back", ne, k),
            v2g=v2g,
            reserve_e=reserve_e,
            objective_usd=float(self.compiled.value) if ok else float("nan"),
            status=status,
            seconds=seconds,
        )
