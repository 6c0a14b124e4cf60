"""Speed of the optimizers, as ratios measured in one run; `benchmarks/speed.py` prints them."""

from __future__ import annotations

import time
from collections.abc import Callable

import cvxpy as cp
import numpy as np

from policies.centralized.merit import merit_order
from policies.centralized.policy import Centralized
from policies.centralized.problem import DispatchProblem
from policies.optimal.devices import Device, Measure, Rules, battery
from policies.optimal.month_lp import exact
from policies.optimal.storage import backward
from vpp_env.month import Month
from vpp_env.policy import Brief
from vpp_env.scenario import Scenario
from vpp_env.simulate import brief_of
from vpp_env.views import Information, View
from vpp_env.world import World

Measured = tuple[str, float, float]
"""Name, ratio, target."""
Timer = Callable[..., list[float]]


def _opening(scenario: Scenario) -> tuple[View, Brief]:
    world = World([Month(scenario, 0)])
    world.reset()
    return world.view(Information.ORACLE), brief_of(world)


def _once(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def dpp_over_rebuild(scenario: Scenario, seconds: Timer) -> Measured:
    """Solving a gate with new parameters against building the problem for it."""
    view, brief = _opening(scenario.override({"time.duration_hours": 48}))
    policy = Centralized(minimum=False)
    policy.reset(brief, np.random.default_rng(0))
    policy.act(view)
    problem, inputs = policy.problem, policy.inputs(view)
    assert problem is not None
    devices = problem.devices

    def rebuild() -> None:
        DispatchProblem(devices, problem.physics, 1, reserve=True).solve(inputs)

    updated, built = seconds(lambda: problem.solve(inputs), rebuild, blocks=7)
    return "CVXPY gate, parameters updated / problem rebuilt", updated / built, 0.5


def merit_over_highs(seconds: Timer) -> Measured:
    """The merit order of 400 segments against the same knapsack in HiGHS, compiled once by CVXPY."""
    rng = np.random.default_rng(0)
    gain, kw = rng.normal(0.0, 0.1, 400), rng.uniform(0, 8, 400)
    x, price = cp.Variable(400, nonneg=True), cp.Parameter(400)
    program = cp.Problem(cp.Maximize(price @ x), [x <= kw, cp.sum(x) <= 500.0])
    price.value = gain

    def solve() -> None:
        program.solve(solver=cp.HIGHS, warm_start=False)

    sorting, solving = seconds(lambda: merit_order(gain, kw, 500.0), solve, blocks=9)
    return "merit order / CVXPY with HiGHS, 400 segments", sorting / solving, 0.3


def _batteries(scenario: Scenario, hours: int) -> tuple[list[Device], Brief]:
    """Identical batteries without sun over `hours`."""
    one = {"fleet.share_bess": 1.0, "fleet.share_ev": 0.0, "fleet.share_pv": 0.0, "time.duration_hours": hours}
    same = {"fleet.size": 12, "fleet.bess_kwh_kw_weight": [[10, 5, 1.0]], "fleet.bess_soc_min": [0.1, 0.1]}
    same |= {"fleet.bess_soc_max": [0.95, 0.95], "fleet.bess_soc_init": [0.5, 0.5]}
    view, brief = _opening(scenario.override(one | same))
    rules = Rules(Measure.VALUE, False, brief)
    return [battery(i, view.homes, view.foresight(), rules) for i in range(12)], brief


def _merged(devices: list[Device]) -> Device:
    """Identical batteries as one: powers, limits and start added up; exact, see docs/optimizers.md."""
    first, n = devices[0], len(devices)
    s = first.store
    store = s._replace(lo=n * s.lo, hi=n * s.hi, in_w=n * s.in_w, out_w=n * s.out_w, start=n * s.start)
    constant = sum(d.constant for d in devices)
    return first._replace(
        store=store, most_out=n * first.most_out, power=n * first.power, empty=n * first.empty, constant=constant
    )


def merged_over_unmerged(scenario: Scenario) -> Measured:
    """The LP of three days with twelve identical batteries merged into one, against one by one; the same optimum."""
    devices, brief = _batteries(scenario, 72)
    found: dict[str, float] = {}

    def solve(name: str, made: list[Device]) -> None:
        found[name] = exact(made, brief.reserve_hours, 1e6)

    whole = _once(lambda: solve("one by one", devices))
    merged = _once(lambda: solve("merged", [_merged(devices)]))
    if abs(found["merged"] - found["one by one"]) > 1e-5 * abs(found["one by one"]):
        raise AssertionError(f"merging changed the optimum: {found}")
    return "month LP, identical batteries merged / one by one", merged / whole, 0.6


def dp_over_lp(scenario: Scenario, seconds: Timer) -> Measured:
    """Exact dynamic programming of a battery's month against its linear program, built and solved through CVXPY."""
    devices, brief = _batteries(scenario, 744)
    device = devices[0]._replace(rho=np.zeros_like(devices[0].rho))
    store = device.store
    (dp,) = seconds(lambda: backward(store, len(store.hold), 0), blocks=9)
    lp = min(_once(lambda: exact([device], brief.reserve_hours, 1e6)) for _ in range(2))
    return "battery-month, exact DP / linear program", dp / lp, 0.02


def measured(scenario: Scenario, seconds: Timer) -> list[Measured]:
    """Every ratio."""
    return [
        dpp_over_rebuild(scenario, seconds),
        merit_over_highs(seconds),
        merged_over_unmerged(scenario),
        dp_over_lp(scenario, seconds),
    ]
