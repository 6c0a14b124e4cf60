"""The dispatch problem: one linear program in CVXPY, built once, its parameters updated at every gate (DPP).

Sets: batteries b, cars e (of them V2G cars u), 15-min intervals k, opportunities o of S intervals each. All power kW,
energy kWh, prices USD/kWh. Energy is balanced per opportunity; inside one, only power limits hold per interval.

    max  sum_k dt [ sale_k (d_bk + x_ek + v_uk) - lmp_k (c_bk + r_ek) - wear (d_bk + v_uk) ] - export sum h
         + sum_o H rho_o (q_bo + y_eo + q_uo) + sum_b V_b(s_bO) - sum_e B_e(g_eO) - tie (d + c + r + v) - late w
    s.t. s_o+1 = s_o + eta_b (dt sum_k c + h) - dt / eta_b sum_k d          floor <= s <= high
         h + dt sum_k surplus_k d_k / P <= dt sum_k surplus_k              own sun is not stored while discharging
         c_k <= buy room,   d_k <= sell room,   d_k + q_o <= P             converter
         dt sum d over a day <= what the owner allows
         res_h q_o <= eta_b (s_o - floor),  eta_b (s_o+1 - floor)          energy behind reserve, at both ends
         g_o+1 = g_o + eta_e dt sum_k (x - r) + dt / eta_e sum_k v         0 <= g_o <= room_o + w_o
         x_k + y_o <= what may be deferred,  r_k <= charger room,  v_k <= V2G,  q_uo + v_uk <= V2G
         res_h q_uo <= eta_e (room_o - g_o)
         sum (d_k + x_k + v_k) + sum (q_bo + y_eo + q_uo) <= capacity      the VPP's maximum

d, c, h, s, q: battery sold, bought, own sun (kWh), energy, reserve. x, r, v, g, y: car deferred charging, bought back,
V2G, deficit against the undispatched car, charging on reserve. V_b is concave, B_e convex, both piecewise linear.
w keeps a car feasible that cannot be ready whatever is done; it costs more than any price.

An award below the market's minimum, where that is one of awards, is void: a plan whose award is void earns nothing, and
keeps what it would have sold.
"""

from __future__ import annotations

import time

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from vpp_policies.centralized.statement import Builder, batteries, cars, wide
from vpp_policies.gate.inputs import MUCH, SEGMENTS, Devices, GatePlan, Inputs, Limits, Physics
from vpp_policies.highs import HIGHS


class DispatchProblem:
    """The parametrised problem of one fleet over `opportunities` opportunities."""

    def __init__(self, devices: Devices, physics: Physics, opportunities: int, reserve: bool) -> None:
        self.devices, self.physics = devices, physics
        build = Builder(devices, physics, opportunities, reserve)
        self._o, self._k, self._u = build.o, build.k, build.v2g
        build.parameter("lmp", (self._k,))
        build.parameter("sale", (self._k,))
        build.parameter("rho", (self._o,), nonneg=True)
        if len(devices.power):
            batteries(build)
        if len(devices.v2g):
            cars(build)
        capacity = build.parameter("capacity", (), nonneg=True)
        if build.sold:
            build.limits.append(sum(build.sold) + sum(build.held) <= capacity)
        self._params, self._vars, self._balance = build.params, build.vars, build.balance
        self.compiled = cp.Problem(cp.Maximize(sum(build.gain) if build.gain else 0), build.limits)
        if not self.compiled.is_dpp():
            raise AssertionError("the dispatch problem must be DPP: it is compiled once")

    def _set(self, inputs: Inputs) -> None:
        power, limits = self.devices.power, inputs.limits or everything(self.devices, inputs)
        deficit, plain = inputs.deficit[:, None], inputs.sale <= inputs.lmp + 1e-9
        values = {
            "lmp": inputs.lmp,
            "sale": inputs.sale,
            "rho": np.maximum(inputs.rho, 0.0),
            "soc0": inputs.soc,
            "floor": np.minimum(limits.floor, inputs.soc)[:, None],
            "surplus": inputs.surplus,
            "sell_room": limits.sell,
            # in an event a purchase is not worth the incentive that it cancels: it would not clear
            "buy_room": np.maximum(np.minimum(limits.buy, power[:, None] - inputs.surplus), 0.0) * plain,
            "today": limits.today,
            "day_left": limits.day_kwh[0],
            "day_later": limits.day_kwh[1],
            "value_low": np.minimum(inputs.value_low, inputs.soc),
            "piece_width": wide(inputs.value_width, SEGMENTS),
            "slopes": inputs.slopes,
            "deficit0": inputs.deficit,
            "p_baseline": inputs.p_baseline,
            "charge_room": inputs.charge_room,
            "v2g_room": inputs.v2g_room,
            # a car that starts beyond its room (it cannot help it) must stay feasible
            "deficit_room": np.maximum(inputs.deficit_room, deficit) if inputs.limits is None else inputs.deficit_room,
            "back_width": inputs.back_width[:, None],
            "owed_price": inputs.back,
            "reserve_b_room": limits.reserve_b,
            "reserve_x_room": limits.reserve_e,
            # V2G is on reserve only where nobody asks its owner
            "reserve_u_room": np.full((len(self._u), self._o), MUCH if inputs.limits is None else 0.0),
            "capacity": inputs.capacity_kw,
        }
        for name, parameter in self._params.items():
            given = np.asarray(values[name], dtype=np.float64)
            if given.shape != parameter.shape or (parameter.is_nonneg() and not (given >= 0.0).all()):
                raise AssertionError(
                    f"{name}: shape {given.shape}, least {given.min()}; stated is {parameter.shape}, >= 0"
                )
            # what `parameter.value =` checks in ten times as long, at a tenth of a gate's time
            parameter.save_value(given)

    def solve(self, inputs: Inputs) -> GatePlan:
        """Solve for one gate; a plan whose status is not `optimal` holds zeros."""
        begin = time.perf_counter()
        self._set(inputs)
        return self._plan(_run(self.compiled), begin)

    def _plan(self, status: str, begin: float) -> GatePlan:
        nb, ne, k, o = len(self.devices.power), len(self.devices.v2g), self._k, self._o
        ok = status == cp.OPTIMAL

        def value(name: str, rows: int, width: int) -> NDArray[np.float64]:
            if not ok or name not in self._vars:
                return np.zeros((rows, width))
            return np.maximum(np.asarray(self._vars[name].value), 0.0)

        # what the objective gains by a kWh more: CVXPY hands out the dual of the minimised negative
        worth = np.asarray(self._balance.dual_value)[:, 0] if ok and self._balance is not None else np.zeros(nb)
        v2g, reserve_e = np.zeros((ne, k)), value("reserve_x", ne, o)
        v2g[self._u] = value("v2g", len(self._u), k)
        reserve_e[self._u] += value("reserve_u", len(self._u), o)
        return GatePlan(
            sell_b=value("sell_b", nb, k),
            buy_b=value("buy_b", nb, k),
            reserve_b=value("reserve_b", nb, o),
            defer=value("defer", ne, k),
            back=value("back", ne, k),
            v2g=v2g,
            reserve_e=reserve_e,
            late_kwh=value("late", ne, o).max(axis=1),
            worth_b=worth,
            objective_usd=float(self.compiled.value) if ok else float("nan"),
            status=status,
            seconds=time.perf_counter() - begin,
        )


def _run(problem: cp.Problem) -> str:
    """Solve with HiGHS; an error of the solver is a status like any other that is not `optimal`."""
    try:
        # warm_start=True, CVXPY's default, makes HiGHS start from the last basis, which is slower here
        problem.solve(solver=HIGHS, warm_start=False)
    except cp.SolverError:
        return "solver_error"
    return str(problem.status)


def everything(devices: Devices, inputs: Inputs) -> Limits:
    """The limits of somebody who asks no owner: physics."""
    b, c, k, o = len(devices.power), len(devices.v2g), len(inputs.lmp), len(inputs.rho)
    return Limits(
        sell=wide(devices.power, k),
        buy=wide(devices.power, k),
        floor=devices.low,
        reserve_b=np.full((b, o), MUCH),
        reserve_e=np.full((c, o), MUCH),
        day_kwh=np.full((2, b), MUCH),
        today=np.zeros(o),
    )
