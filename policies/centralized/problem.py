"""The dispatch problem: one linear program in CVXPY, built once, its parameters updated at every gate (DPP).

Sets: batteries b, cars e, intervals t of the horizon (15 min). All power kW, energy kWh, prices USD/kWh.

    max  sum_t dt [ lmp_t (d + x + v - c - r) - wear (d + v) + rho_t (q_b + q_e) ]
         + sum_b V_b(s_b,T) - sum_e back_e g_e,T - tie (d + c + r + v)
    s.t. s_t+1 = s_t + eta (c + h) dt - d dt / eta            low <= s <= high
         h + surplus d / P <= surplus                         own sun is not stored while discharging
         c + h <= P,   d + q_b <= P                           converter
         q_b res_h <= eta (s_t - low)                         energy behind reserve
         g_t+1 = g_t + eta x dt - eta r dt + v dt / eta       0 <= g <= room_t
         x <= p_twin,  r <= room to charge,  v <= V2G,  q_e <= p_twin - x + V2G - v
         sum (d + x + v) + sum (q_b + q_e) <= capacity        the VPP's maximum

d, c, h, s, q_b: battery sold, bought, own sun, energy, reserve. x, r, v, g, q_e: car charging put off, bought back,
V2G, deficit against the undispatched car, reserve. V_b is concave and piecewise linear (`value`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from policies.centralized.value import GRID

TIE = 1e-6
"""USD per kWh moved: among plans of equal profit take the one that moves least, so that the solution is unique."""


@dataclass(frozen=True)
class Devices:
    """Batteries (B,) and cars (C,) of the fleet: fixed for a month."""

    power: np.ndarray  # battery, kW
    low: np.ndarray  # kWh
    high: np.ndarray  # kWh
    v2g: np.ndarray  # car, kW


@dataclass(frozen=True)
class Physics:
    """Constants of the month."""

    dt: float  # h
    eta_b: float
    eta_e: float
    wear: float  # USD/kWh discharged
    reserve_h: float


@dataclass(frozen=True)
class Inputs:
    """What changes from gate to gate; T intervals."""

    lmp: np.ndarray  # (T,) USD/kWh
    rho: np.ndarray  # (T,) USD/kW-h; 0 where no reserve is sold
    soc: np.ndarray  # (B,) kWh
    surplus: np.ndarray  # (B, T) kW
    slopes: np.ndarray  # (B, GRID - 1) USD/kWh
    deficit: np.ndarray  # (C,) kWh
    p_twin: np.ndarray  # (C, T) kW
    charge_room: np.ndarray  # (C, T) kW that the charger can take above p_twin
    v2g_room: np.ndarray  # (C, T) kW of V2G, 0 while away
    deficit_room: np.ndarray  # (C, T) kWh: most deficit before the car's hard minimum
    back: np.ndarray  # (C,) USD/kWh
    capacity_kw: float


@dataclass(frozen=True)
class Plan:
    """The solution: (B, T) and (C, T) kW."""

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


class DispatchProblem:
    """The parametrised problem of one fleet."""

    def __init__(self, devices: Devices, physics: Physics, intervals: int, reserve: bool) -> None:
        self._devices, self._physics, self._reserve = devices, physics, reserve
        nb, ne, t = len(devices.power), len(devices.v2g), intervals
        self._shape = (nb, ne, t)
        self._params: dict[str, cp.Parameter] = {}
        self._vars: dict[str, cp.Variable] = {}
        gain: list[cp.Expression] = []
        limits: list[cp.Constraint] = []
        moved: list[cp.Expression] = []
        dt = physics.dt
        lmp = self._parameter("lmp", (t,))
        rho = self._parameter("rho", (t,), nonneg=True)
        if nb:
            self._battery(gain, limits, moved, lmp, rho)
        if ne:
            self._cars(gain, limits, moved, lmp, rho)
        cap = self._parameter("capacity", (), nonneg=True)
        limits.append(cp.sum(cp.vstack(moved), axis=0) <= cap)
        self._problem = cp.Problem(cp.Maximize(sum(gain)), limits)
        if not self._problem.is_dcp(dpp=True):
            raise AssertionError("the dispatch problem must be DPP: it is compiled once")
        self._dt = dt

    def _parameter(self, name: str, shape: tuple[int, ...], nonneg: bool = False) -> cp.Parameter:
        self._params[name] = cp.Parameter(shape, nonneg=nonneg, name=name)
        return self._params[name]

    def _variable(self, name: str, shape: tuple[int, ...]) -> cp.Variable:
        self._vars[name] = cp.Variable(shape, nonneg=True, name=name)
        return self._vars[name]

    def _battery(
        self,
        gain: list[cp.Expression],
        limits: list[cp.Constraint],
        moved: list[cp.Expression],
        lmp: cp.Parameter,
        rho: cp.Parameter,
    ) -> None:
        (nb, _, t), dev, phys = self._shape, self._devices, self._physics
        dt, eta = phys.dt, phys.eta_b
        d, c, h = (self._variable(n, (nb, t)) for n in ("sell_b", "buy_b", "own"))
        s = self._variable("soc", (nb, t + 1))
        w = self._variable("segments", (nb, GRID - 1))
        soc = self._parameter("soc0", (nb,))
        surplus = self._parameter("surplus", (nb, t), nonneg=True)
        slopes = self._parameter("slopes", (nb, GRID - 1))
        power, low, high = dev.power[:, None], dev.low[:, None], dev.high[:, None]
        limits += [
            s[:, 0] == soc,
            s[:, 1:] == s[:, :-1] + eta * dt * (c + h) - (dt / eta) * d,
            s[:, 1:] >= np.repeat(low, t, axis=1),
            s[:, 1:] <= np.repeat(high, t, axis=1),
            h + cp.multiply(surplus, d / power) <= surplus,
            c + h <= np.repeat(power, t, axis=1),
            w <= np.repeat((high - low) / (GRID - 1), GRID - 1, axis=1),
            cp.sum(w, axis=1) == s[:, t] - dev.low,
        ]
        gain += [
            dt * lmp @ cp.sum(d - c, axis=0),
            -dt * phys.wear * cp.sum(d),
            cp.sum(cp.multiply(slopes, w)),
            -TIE * dt * cp.sum(d + c),
        ]
        used = d
        if self._reserve:
            q = self._variable("reserve_b", (nb, t))
            limits.append(phys.reserve_h * q <= eta * (s[:, :-1] - np.repeat(low, t, axis=1)))
            gain.append(dt * rho @ cp.sum(q, axis=0))
            used = d + q
        limits.append(used <= np.repeat(power, t, axis=1))
        moved.append(cp.sum(used, axis=0))

    def _cars(
        self,
        gain: list[cp.Expression],
        limits: list[cp.Constraint],
        moved: list[cp.Expression],
        lmp: cp.Parameter,
        rho: cp.Parameter,
    ) -> None:
        (_, ne, t), phys = self._shape, self._physics
        dt, eta = phys.dt, phys.eta_e
        x, r, v = (self._variable(n, (ne, t)) for n in ("defer", "back", "v2g"))
        g = self._variable("deficit", (ne, t + 1))
        start = self._parameter("deficit0", (ne,))
        p_twin = self._parameter("p_twin", (ne, t), nonneg=True)
        room = self._parameter("charge_room", (ne, t), nonneg=True)
        v2g_room = self._parameter("v2g_room", (ne, t), nonneg=True)
        most = self._parameter("deficit_room", (ne, t))
        back = self._parameter("back_price", (ne,))
        limits += [
            g[:, 0] == start,
            g[:, 1:] == g[:, :-1] + eta * dt * (x - r) + (dt / eta) * v,
            g[:, 1:] <= most,
            x <= p_twin,
            r <= room,
            v <= v2g_room,
        ]
        gain += [
            dt * lmp @ cp.sum(x + v - r, axis=0),
            -dt * phys.wear * cp.sum(v),
            -(back @ g[:, t]) / eta,
            -TIE * dt * cp.sum(r + v),
        ]
        used = x + v
        if self._reserve:
            q = self._variable("reserve_e", (ne, t))
            limits += [
                q <= p_twin - x + v2g_room - v,
                (phys.reserve_h / eta) * q <= most - g[:, :-1] + phys.reserve_h * p_twin,
            ]
            gain.append(dt * rho @ cp.sum(q, axis=0))
            used = used + q
        moved.append(cp.sum(used, axis=0))

    def solve(self, inputs: Inputs) -> Plan:
        """Solve for one gate; a plan whose status is not `optimal` holds zeros."""
        begin = time.perf_counter()
        values = {
            "lmp": inputs.lmp,
            "rho": np.maximum(inputs.rho, 0.0),
            "soc0": inputs.soc,
            "surplus": inputs.surplus,
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
        # warm_start=True, CVXPY's default, makes HiGHS start from the last basis and is several times slower here
        self._problem.solve(solver=cp.HIGHS, warm_start=False)
        status = str(self._problem.status)
        seconds = time.perf_counter() - begin
        nb, ne, t = self._shape
        ok = status == cp.OPTIMAL

        def value(name: str, rows: int) -> np.ndarray:
            if not ok or name not in self._vars:
                return np.zeros((rows, t))
            return np.maximum(np.asarray(self._vars[name].value), 0.0)

        return Plan(
            sell_b=value("sell_b", nb),
            buy_b=value("buy_b", nb),
            reserve_b=value("reserve_b", nb),
            defer=value("defer", ne),
            back=value("back", ne),
            v2g=value("v2g", ne),
            reserve_e=value("reserve_e", ne),
            objective_usd=float(self._problem.value) if ok else float("nan"),
            status=status,
            seconds=seconds,
        )
