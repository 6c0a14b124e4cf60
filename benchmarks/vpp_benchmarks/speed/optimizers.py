"""Speed of the optimizers, as ratios measured in one run; `benchmarks/speed.py` prints them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from vpp_policies.centralized.policy import Centralized
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.gate.merit import merit_order
from vpp_policies.optimal.devices import Device, Goal, Measure, Wishes, battery
from vpp_policies.optimal.month_lp import program
from vpp_policies.optimal.storage import backward

from vpp_benchmarks.run.ceilings import ceilings
from vpp_benchmarks.speed.direct_highs import again, model, optimum, solved
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.policy import MarketRules, make_policy
from vpp_env.contract.views import Information, View
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.scenario import Scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

Measured = tuple[str, float, float]
"""Name, ratio, target."""
Timer = Callable[..., list[float]]


def _opening(scenario: Scenario) -> tuple[View, MarketRules]:
    world = World([Month(scenario, 0)])
    world.reset()
    return build_view(world, Information.ORACLE), market_rules(world)


def _once(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class _Gates:
    """Four gates of a day in a row, for one `centralized`."""

    def __init__(self, scenario: Scenario) -> None:
        world = World([Month(scenario.override({"time.duration_hours": 48}), 0)])
        world.reset()
        policy = Centralized()
        policy.reset(market_rules(world), np.random.default_rng(0))
        self.inputs, self.models = [], []
        for _ in range(4):
            view = build_view(world, Information.ORACLE)
            policy.act(view)
            assert policy.problem is not None
            self.problem = policy.problem
            self.inputs.append(policy.inputs(view))
            self.problem.solve(self.inputs[-1])
            self.models.append(model(self.problem.compiled))
            world.step(np.full((world.n_homes, N_ACTION), -1.0))


def gate_ratios(scenario: Scenario, seconds: Timer) -> list[Measured]:
    """A gate through CVXPY against building it anew, and against HiGHS alone: one that is kept, and a new one."""
    gates = _Gates(scenario)
    problem = gates.problem

    def rebuild() -> None:
        DispatchProblem(problem.devices, problem.physics, 1, reserve=True).solve(gates.inputs[0])

    updated, built = seconds(lambda: problem.solve(gates.inputs[0]), rebuild, blocks=7)
    kept, whole = _Kept(gates.models), cycle(gates.inputs)
    new = cycle(gates.models)
    through, persistent, fresh = seconds(
        lambda: problem.solve(next(whole)), kept.next, lambda: solved(next(new)), blocks=16
    )
    return [
        ("CVXPY gate, parameters updated / problem rebuilt", updated / built, 0.5),
        ("CVXPY gate / HiGHS that is kept and changed", through / persistent, 12.0),
        ("CVXPY gate / a new HiGHS", through / fresh, 12.0),
    ]


class _Kept:
    """One HiGHS that goes from program to program: costs, rows and coefficients changed, its basis cleared."""

    def __init__(self, models: list[Any]) -> None:
        self._models, self._at = models, 0
        self._solver = solved(models[0])
        self._columns = np.arange(models[0].num_col_, dtype=np.int32)
        self._rows = np.arange(models[0].num_row_, dtype=np.int32)
        first = models[0].a_matrix_
        self._column_of = np.repeat(self._columns, np.diff(first.start_))
        if any(not np.array_equal(m.a_matrix_.index_, first.index_) for m in models):
            raise RuntimeError("the gates' programs do not share one structure")

    def next(self) -> None:
        """Go to the next program and solve it."""
        before = self._models[self._at]
        self._at = (self._at + 1) % len(self._models)
        lp, solver = self._models[self._at], self._solver
        solver.clearSolver()  # the last basis is slower, see docs/performance.md
        solver.changeColsCost(len(self._columns), self._columns, np.asarray(lp.col_cost_))
        solver.changeRowsBounds(len(self._rows), self._rows, np.asarray(lp.row_lower_), np.asarray(lp.row_upper_))
        value, old = np.asarray(lp.a_matrix_.value_), np.asarray(before.a_matrix_.value_)
        for k in np.flatnonzero(value != old):
            solver.changeCoeff(int(lp.a_matrix_.index_[k]), int(self._column_of[k]), float(value[k]))
        again(solver)


def merit_over_highs(seconds: Timer) -> Measured:
    """The merit order of 400 segments against the same knapsack in a HiGHS that is kept; the same optimum."""
    rng = np.random.default_rng(0)
    gains, kw = [rng.normal(0.0, 0.1, 400) for _ in range(8)], rng.uniform(0, 8, 400)
    x = cp.Variable(400, bounds=[0.0, kw])
    solver = solved(model(cp.Problem(cp.Maximize(gains[0] @ x), [cp.sum(x) <= 500.0])))
    columns = np.arange(400, dtype=np.int32)

    def solve(gain: NDArray[np.float64]) -> float:
        solver.changeColsCost(400, columns, -gain)
        return -optimum(again(solver))

    if any(abs(solve(gain) - gain @ merit_order(gain, kw, 500.0)) > 1e-9 for gain in gains):
        raise RuntimeError("the merit order is not the optimum")
    mine, its = cycle(gains), cycle(gains)
    sorting, solving = seconds(lambda: merit_order(next(mine), kw, 500.0), lambda: solve(next(its)), blocks=9)
    return "merit order / HiGHS that is kept, 400 segments", sorting / solving, 0.3


def _batteries(scenario: Scenario, hours: int) -> tuple[list[Device], MarketRules]:
    """Identical batteries without sun over `hours`."""
    one = {"fleet.share_bess": 1.0, "fleet.share_ev": 0.0, "fleet.share_pv": 0.0, "time.duration_hours": hours}
    same = {"fleet.size": 12, "fleet.bess_kwh_kw_weight": [[10, 5, 1.0]], "fleet.bess_soc_min": [0.1, 0.1]}
    same |= {"fleet.bess_soc_max": [0.95, 0.95], "fleet.bess_soc_init": [0.5, 0.5]}
    view, rules = _opening(scenario.override(one | same))
    goal = Goal(Measure.VALUE, Wishes.FREE, rules)
    return [battery(i, view.homes, view.foresight(), goal) for i in range(12)], rules


def _merged(devices: list[Device]) -> Device:
    """Identical batteries as one: powers, limits and start added up; exact, since plans form a convex set."""
    first, n = devices[0], len(devices)
    s = first.store
    store = s._replace(
        lo=n * s.lo, hi=n * s.hi, in_w=n * s.in_w, out_w=n * s.out_w, wanted=n * s.wanted, start=n * s.start
    )
    constant = sum(d.constant for d in devices)
    return first._replace(
        store=store, most_out=n * first.most_out, power=n * first.power, empty=n * first.empty, constant=constant
    )


def merged_over_unmerged(scenario: Scenario, seconds: Timer) -> Measured:
    """One program of three days with twelve identical batteries, against the same with one; the same optimum."""
    devices, rules = _batteries(scenario, 72)
    apart, together = (model(program(d, rules.reserve_hours, None)[0]) for d in (devices, [_merged(devices)]))
    # programs without their constants; every battery's is the same
    if abs(optimum(solved(apart)) - optimum(solved(together))) > 1e-5 * abs(optimum(solved(apart))):
        raise RuntimeError("merging changed the optimum")
    merged, whole = seconds(lambda: solved(together), lambda: solved(apart), blocks=3)
    return "LP of 12 identical batteries, merged / apart, HiGHS", merged / whole, 0.6


def dp_over_lp(scenario: Scenario, seconds: Timer) -> Measured:
    """Exact dynamic programming of a battery's month against HiGHS' simplex on its program."""
    devices, rules = _batteries(scenario, 744)
    device = devices[0]._replace(rho=np.zeros_like(devices[0].rho))
    store = device.store
    lp = model(program([device], rules.reserve_hours, None)[0])
    dp, simplex = seconds(lambda: backward(store, len(store.hold), 0), lambda: solved(lp, "simplex"), blocks=5)
    return "battery-month, exact DP / HiGHS simplex", dp / simplex, 0.02


def growth(scenario: Scenario) -> list[str]:
    """Seconds of twelve hours for fleets of 200 to 20,000 homes, the VPP's maximum growing with them."""
    names = ("greedy", "dual", "stochastic")
    lines = [f"{'homes':>8} " + " ".join(f"{name + ' s':>12}" for name in (*names, "ceilings"))]
    for n in (200, 2_000, 20_000):
        changes = {"fleet.size": n, "time.duration_hours": 12, "market.max_capacity_mw": n * 0.025}
        month = Month(scenario.override(changes), 0)
        # makes the month's days, and the first time what the policies compile or load
        for name in ("idle",) if len(lines) > 1 else ("idle", *names):
            simulate(month, make_policy(name))
        spent = [_once(partial(simulate, month, make_policy(name))) for name in names]
        spent.append(_once(partial(ceilings, month)))
        lines.append(f"{n:>8} " + " ".join(f"{s:>12.2f}" for s in spent))
    return lines


def measured(scenario: Scenario, seconds: Timer) -> list[Measured]:
    """Every ratio."""
    return [
        *gate_ratios(scenario, seconds),
        merit_over_highs(seconds),
        merged_over_unmerged(scenario, seconds),
        dp_over_lp(scenario, seconds),
    ]
