"""Speed, mostly as ratios measured in one run: `vpp-env speed` (several minutes; `--quick` skips the months).

Two things that are compared are measured in alternating blocks of 10 ms and their medians are divided, so that a noisy
machine disturbs both alike. Nothing asserts a figure; docs/performance.md explains what misses its target.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.speed.optimizers import growth, measured
from vpp_env.api.gym import VectorMarketMonth
from vpp_env.api.parallel import MarketMonth
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.policy import make_policy, policy_names
from vpp_env.core.home import deliver, home_at, put_state, state_at, step_at
from vpp_env.core.layout import N_FLOW, Day, Homes, Order
from vpp_env.evaluation.simulate import simulate
from vpp_env.jit import kernel, steady
from vpp_env.market.opportunity import new_results, new_room, play
from vpp_env.market.state import Submission
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month, join_days
from vpp_env.simulation.world import World
from vpp_env.units import Floats

BLOCK_S = 0.01
BLOCKS = 25


@dataclass(frozen=True)
class Ratio:
    """One comparison, or a time whose unit its name says."""

    name: str
    value: float
    target: float

    def line(self) -> str:
        """One printed line."""
        verdict = "ok" if self.value <= self.target else "MISSED"
        return f"{self.name:<58} {self.value:8.3f}  <= {self.target:<6g} {verdict}"


def _block(call: Callable[[], object]) -> float:
    """Seconds per call over one block of about 10 ms (at least one call)."""
    count, begin = 0, time.perf_counter()
    while True:
        call()
        count += 1
        spent = time.perf_counter() - begin
        if spent >= BLOCK_S:
            return spent / count


def seconds(*calls: Callable[[], object], blocks: int = BLOCKS) -> list[float]:
    """Median seconds per call of each, measured in alternating blocks."""
    for call in calls:
        call()
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(blocks):
        for call, found in zip(calls, samples, strict=True):
            found.append(_block(call))
    return [statistics.median(found) for found in samples]


def _fleet(scenario: Scenario, n: int, hours: int = 48) -> Scenario:
    changes = {"fleet.size": n, "time.duration_hours": hours, "market.max_capacity_mw": max(5.0, n * 0.025)}
    return scenario.override(changes)


def _evening(scenario: Scenario, n: int) -> World:
    """A world of n homes at 18:00 of its first day: cars charging, batteries full."""
    world = World([Month(_fleet(scenario, n, 24), 0)])
    world.reset()
    idle = np.full((n, N_ACTION), -1.0)
    while world.opportunity < 18:
        world.step(idle)
    return world


@kernel
def devices_alone(homes: Homes, day: Day, first: int, steps: int, order: Floats, out: Floats) -> None:
    """Deliver the steps of an opportunity under `order` (3, N) kW sold, called, bought; fill `out` (N_FLOW, N)."""
    for k in range(first, first + steps):
        for i in range(out.shape[1]):
            home, step = home_at(homes.home, i), step_at(day, k, i)
            wanted = Order(order[0, i], 0.0, order[1, i], order[2, i], 0.0, 0.0, 1.0, 0.0)
            state, flow = deliver(home, state_at(homes.state, i), step, wanted, homes.rules)
            put_state(homes.state, i, state)
            for row, x in enumerate(flow):
                out[row, i] = x


def _deliver_call(world: World) -> Callable[[], object]:
    """The devices through one opportunity: that is what a world calls at once."""
    rng = np.random.default_rng(0)
    n, parts = world.n_homes, world.snapshot()
    order = np.zeros((3, n))
    order[0] = rng.uniform(0, 5, n) * (rng.random(n) < 0.5)
    out = np.zeros((N_FLOW, n))
    return lambda: devices_alone(parts.homes, parts.day, parts.first, world.steps, order, out)


def _play_call(world: World, rng: np.random.Generator) -> Callable[[], object]:
    """The compiled opportunity of a world, on a copy of its state."""
    months, n, parts = world.n_months, world.n_homes, world.snapshot()
    taken = Submission(rng.integers(0, 400, (N_ACTION, months, n)), *parts.asks, np.ones((months, n), dtype=np.bool_))
    compiled = steady(play)  # as the world calls it
    room = new_room(world.steps, months, n, parts.market.rho.shape[2], parts.homes.rules.feeder_homes, contracts=False)

    def call() -> object:
        results = new_results(world.steps, months, n)
        return compiled(parts.homes, parts.day, parts.first, taken, None, parts.market, parts.gate, room, results)

    return call


def core_table(scenario: Scenario) -> list[str]:
    """Microseconds per 15-min step: devices alone, and with clearing and ledger."""
    lines = [f"{'homes':>8} {'devices us/step':>16} {'opportunity us/step':>20} {'ns per home and step':>21}"]
    rng = np.random.default_rng(0)
    for n in (20, 200, 2_000, 20_000, 200_000):
        world = _evening(scenario, n)
        device, whole = seconds(_deliver_call(world), _play_call(world, rng), blocks=9)
        device, whole = device / world.steps, whole / world.steps
        lines.append(f"{n:>8} {1e6 * device:>16.1f} {1e6 * whole:>20.1f} {1e9 * whole / n:>21.1f}")
    return lines


def add_ratio(scenario: Scenario) -> Ratio:
    """Devices of 200 homes against 100 calls of np.add."""
    a, b = np.ones(200), np.ones(200)

    def hundred() -> None:
        for _ in range(100):
            np.add(a, b)

    world = _evening(scenario, 200)
    core, adds = seconds(_deliver_call(world), hundred)
    return Ratio("devices (N=200), one step / 100 np.add", core / world.steps / adds, 0.35)


def layer_ratio(scenario: Scenario) -> Ratio:
    """PettingZoo layer over a null core against the least dict building."""
    env = MarketMonth(_fleet(scenario, 200))
    env.reset(seed=0)
    names = env.possible_agents
    actions = {name: np.zeros(N_ACTION, dtype=np.float32) for name in names}
    played = env._session.step(np.zeros((200, N_ACTION)))
    env._session.step = lambda actions, into=None: played  # type: ignore[method-assign]

    def least() -> object:
        np.concatenate([actions[name] for name in names])
        return (
            dict(zip(names, played.observations.copy(), strict=True)),
            dict(zip(names, played.reward.homes[0].tolist(), strict=True)),
            dict.fromkeys(names, False),
            dict.fromkeys(names, False),
            {name: {} for name in names},
        )

    layer, minimum = seconds(lambda: env.step(actions), least)
    return Ratio("PettingZoo layer with a null core / least dict building", layer / minimum, 1.3)


class _Endless:
    """A vector environment that begins again before it ends, outside the measured call."""

    def __init__(self, scenario: Scenario, months: int, threads: int = 1) -> None:
        self._env = VectorMarketMonth(months, _fleet(scenario, 200, 24 * 14), threads=threads)
        self._actions = np.random.default_rng(0).uniform(-1, 1, (months, 200, N_ACTION)).astype(np.float32)
        self._env.reset(seed=0)
        self.world = self._env._session.world

    def __call__(self) -> None:
        self._env.step(self._actions)


def vector_ratios(scenario: Scenario) -> list[Ratio]:
    """Vector step against the compiled opportunity, 64 months against one, and two threads against one."""
    one, many = _Endless(scenario, 1), _Endless(scenario, 64)
    world = _evening(scenario, 200)
    step, core = seconds(one, _play_call(world, np.random.default_rng(0)), blocks=12)
    few, lot = seconds(one, many, blocks=12)
    alone, shared = seconds(many, _Endless(scenario, 64, threads=2), blocks=12)
    return [
        Ratio("vector API step / compiled opportunity (N=200)", step / core, 3.0),
        Ratio("64 months / 1 month, vector step", lot / few, 60.0),
        Ratio("64 months, two threads / one", shared / alone, 0.75),
        Ratio("ns per agent-step, 64 months of 200 homes, one core", 1e9 * _of_a_day(many) / (24 * 64 * 200), 400.0),
    ]


def _of_a_day(env: _Endless) -> float:
    """Processor seconds of 24 steps, mean of two days of which each is drawn at its midnight."""
    began = time.process_time()
    for _ in range(48):
        env()
    return (time.process_time() - began) / 2


def parallel_step(scenario: Scenario) -> Ratio:
    """The PettingZoo face's step of 200 homes that bid."""
    env = MarketMonth(_fleet(scenario, 200, 24 * 28))
    env.reset(seed=0)
    bids = np.random.default_rng(0).uniform(-1, 1, (200, N_ACTION)).astype(np.float32)
    actions = dict(zip(env.possible_agents, bids, strict=True))
    (step,) = seconds(lambda: env.step(actions), blocks=12)
    return Ratio("PettingZoo step (N=200), us", 1e6 * step, 130.0)


def reset_ratio(name: str, episodes: int) -> Ratio:
    """A reset without a seed against the mean step of whole episodes in which nobody bids.

    Both are processor time of the calling thread: from the second reset on, another thread makes the next world.
    """
    env = VectorMarketMonth(1, name)
    scenario, resets, steps = load_scenario(name), [], []
    actions, count = np.zeros((1, scenario.fleet.size, N_ACTION), dtype=np.float32), scenario.n_opportunities
    for _ in range(episodes):
        begin = time.thread_time()
        env.reset()
        resets.append(time.thread_time() - begin)
        begin = time.thread_time()
        for _ in range(count):
            env.step(actions)
        steps.append((time.thread_time() - begin) / count)
    env.close()
    # the first ones load kernels, and nothing was made ahead of them
    ratio = statistics.median(resets[3:]) / statistics.median(steps[3:])
    return Ratio(f"reset without a seed / mean step, {name}", ratio, 2.0)


def day_lines(scenario: Scenario, months: int = 64, days: int = 8) -> list[str]:
    """Processor time of making months of 200 homes, of drawing their days, and of joining days of 64 months."""
    made, drawn, joined = [], [], []
    side, before, last = [], None, None
    for seed in range(months + 1):
        begin = time.process_time()
        side.append(Month(scenario, seed))
        side[-1].begin()
        made.append(time.process_time() - begin)
    for day in range(1, days):
        begin = time.process_time()
        found = [month.day(day) for month in side[1:]]
        middle = time.process_time()
        before, last = last, join_days(found, before)
        drawn.append(middle - begin)
        joined.append(time.process_time() - middle)
    return [
        f"{name:<58} {1e3 * statistics.median(spent) / count:8.3f}"
        for name, spent, count in (
            ("making a month of 200 homes, ms", made[1:], 1),
            ("drawing a day of it, ms", drawn, months),
            ("joining it with 63 others, ms", joined, months),
        )
    ]


def feeder_ratio(scenario: Scenario) -> Ratio:
    """The compiled opportunity with feeders that nothing fills against the same without feeders."""
    wide = scenario.override({"market.feeder_homes": 10, "market.feeder_kw": 1e6})
    worlds = (_evening(wide, 200), _evening(scenario.override({"market.feeder_homes": 0}), 200))
    on, off = seconds(*(_play_call(world, np.random.default_rng(0)) for world in worlds))
    return Ratio("opportunity (N=200), feeders of which none binds / none", on / off, 1.15)


def copy_ratio(scenario: Scenario) -> Ratio:
    """Devices of 200,000 homes against a copy of the bytes they touch."""
    world = _evening(scenario, 200_000)
    n = world.n_homes
    parameters, state = 16, 5  # rows of each home that are read; the state is written too
    rows = parameters + 2 * state + N_FLOW + 3 + 5 + 2
    data = np.zeros((rows, n))
    core, copied = seconds(_deliver_call(world), data.copy, blocks=7)
    return Ratio("devices (N=200,000) / copy of the bytes they touch", core / world.steps / copied, 5.0)


START = """
import time
import numpy as np
from vpp_env import MarketMonth
env = MarketMonth("august")
env.reset(seed=0)
env.step({name: np.zeros(8, dtype=np.float32) for name in env.agents})
print(time.process_time())
"""


def start_seconds() -> Ratio:
    """CPU seconds of a new process from its first import to the end of the first opportunity, kernels cached."""
    spent = [float(subprocess.run([sys.executable, "-c", START], capture_output=True, check=True).stdout) for _ in "12"]
    return Ratio("CPU s to the first opportunity played, kernels cached", spent[-1], 2.0)


def reference_ratios(scenario: Scenario) -> list[Ratio]:
    """Compiled devices against the readable NumPy reference of the tests."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the reference lies with the tests
    from tests.core.numpy_reference import deliver_numpy

    ratios = []
    for n, target in ((200, 0.10), (20_000, 0.40)):
        world = _evening(scenario, n)
        order = np.zeros((3, n))
        order[0] = np.random.default_rng(0).uniform(0, 5, n)
        parts = world.snapshot()
        slow = partial(deliver_numpy, parts.homes, parts.day, parts.first, order)
        fast_s, slow_s = seconds(_deliver_call(world), slow, blocks=9)
        ratios.append(Ratio(f"devices, Numba / NumPy reference (N={n})", fast_s / world.steps / slow_s, target))
    return ratios


def month_table(scenario: Scenario) -> list[str]:
    """Seconds of the whole month for every registered policy, the world shared."""
    month = Month(scenario, 0)
    first_day = Month(scenario.override({"time.duration_hours": 24}), 0)
    simulate(month, make_policy("idle"))
    lines = [f"{'policy':<14} {'s per month':>12} {'ms per opportunity':>20}"]
    for name in policy_names():
        simulate(first_day, make_policy(name))  # what it compiles or loads
        begin = time.perf_counter()
        simulate(month, make_policy(name))
        spent = time.perf_counter() - begin
        lines.append(f"{name:<14} {spent:>12.2f} {1e3 * spent / scenario.n_opportunities:>20.2f}")
    return lines


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Print every figure."""
    parser = Parser(prog, "Print the speed of the environment and of the optimizers, as ratios.", ("--quick",))
    parser.add_argument("--quick", action="store_true", help="skip the months of the policies")
    args = parser.parse_args(argv)
    scenario = load_scenario("august")
    print("\n".join(core_table(scenario)), flush=True)
    print(start_seconds().line(), flush=True)
    print(add_ratio(scenario).line(), flush=True)
    for ratio in reference_ratios(scenario):
        print(ratio.line(), flush=True)
    print(layer_ratio(scenario).line(), flush=True)
    for ratio in vector_ratios(scenario):
        print(ratio.line(), flush=True)
    print(parallel_step(scenario).line(), flush=True)
    for name, episodes in (("quick", 40), ("week20", 12), ("august", 8)):
        print(reset_ratio(name, episodes).line(), flush=True)
    print("\n".join(day_lines(scenario)), flush=True)
    print(feeder_ratio(scenario).line(), flush=True)
    print(copy_ratio(scenario).line(), flush=True)
    for name, value, target in measured(scenario, seconds):
        print(Ratio(name, value, target).line(), flush=True)
    if not args.quick:
        print("\n".join(growth(scenario)), flush=True)
        print("\n".join(month_table(scenario)), flush=True)
    return 0
