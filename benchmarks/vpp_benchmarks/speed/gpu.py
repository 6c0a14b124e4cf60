"""Months on a GPU: how many homes' opportunities a second, with observations and without, against one CPU core.

Everything is measured in one run on one machine; kernels are compiled before the clock starts. The months are
`distinct` ones, each many times with bids of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numba import cuda as numba_cuda

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.train.evolution import Settings
from vpp_benchmarks.train.form import own_asks
from vpp_env.api.device.months import DeviceMonths, check_device
from vpp_env.api.gym import VectorMarketMonth
from vpp_env.contract.bids import N_ACTION
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.month import Month
from vpp_env.units import Floats32

CORE_MONTHS = 64
"""Months side by side on the core: more are no faster a home."""
FIRST_SEED = SPLITS["training"].first


def bids(months: int, homes: int, seed: int = 0) -> Floats32:
    """(months, homes, N_ACTION) bids of which many clear."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (months, homes, N_ACTION)).astype(np.float32)


def seconds_each(play: Callable[[], object], finish: Callable[[], object], steps: int) -> float:
    """Seconds of one opportunity, over `steps` of them."""
    finish()
    begin = time.perf_counter()
    for _ in range(steps):
        play()
    finish()
    return (time.perf_counter() - begin) / steps


def on_device(scenario: Scenario, months: int, distinct: int) -> dict[str, float]:
    """Seconds of an opportunity of all months on the card, by what is asked of it, and of a reset."""
    n, half = scenario.fleet.size, (scenario.n_opportunities - 1) // 2
    made = [Month(scenario, FIRST_SEED + m) for m in range(distinct)]
    played = DeviceMonths(made, np.arange(months) % distinct)
    actions = numba_cuda.to_device(bids(months, n))

    def whole() -> None:
        played.step(actions)
        played.observe()

    for _ in range(scenario.n_opportunities):  # compiles, what comes at midnight too
        whole()
    played.reset()
    alone = seconds_each(lambda: played.step(actions), numba_cuda.synchronize, half)
    seen = seconds_each(whole, numba_cuda.synchronize, half)
    again = seconds_each(played.reset, numba_cuda.synchronize, 3)
    return {"rewards": alone, "rewards and observations": seen, "a reset": again}


def training(scenario: Scenario, months: int) -> dict[str, float]:
    """Seconds of a generation of evolution strategies on the card, whose months are made anew; none without torch."""
    if find_spec("torch") is None:
        return {}
    from vpp_benchmarks.train.on_device import train  # torch takes seconds to import

    env = VectorMarketMonth(months, scenario, device="cuda")
    found = train(env, own_asks(), Settings(pairs=max(1, months // 64)))
    return {"a generation of evolution": seconds_each(lambda: next(found), numba_cuda.synchronize, 2)}


def on_core(scenario: Scenario) -> float:
    """Homes' opportunities a second of the vector face, observations and rewards with them, on one core."""
    env, n = VectorMarketMonth(CORE_MONTHS, scenario), scenario.fleet.size
    actions = bids(CORE_MONTHS, n)
    env.reset(seed=FIRST_SEED)
    env.step(actions)
    each = seconds_each(lambda: env.step(actions), lambda: None, scenario.n_opportunities - 2)
    return CORE_MONTHS * n / each


def differences(scenario: Scenario, months: int = 4) -> dict[str, float]:
    """Largest difference between card and core over a run, by array: 0 where all bits are equal."""
    seeds = [FIRST_SEED + m for m in range(months)]
    cpu, gpu = VectorMarketMonth(months, scenario), VectorMarketMonth(months, scenario, device="cuda")
    largest: dict[str, float] = {}

    def add(**pairs: tuple[object, object]) -> None:
        for name, (here, there) in pairs.items():
            gap = float(np.abs(np.asarray(here) - there.copy_to_host()).max())  # type: ignore[attr-defined]
            largest[name] = max(largest.get(name, 0.0), gap)

    add(observations=(cpu.reset(seed=list(seeds))[0], gpu.reset(seed=list(seeds))[0]))
    for o in range(scenario.n_opportunities):
        actions = bids(months, scenario.fleet.size, o)
        (obs, reward, _, _, infos), (seen, paid, _, _, said) = cpu.step(actions), gpu.step(actions)
        add(observations=(obs, seen), rewards=(reward, paid), costs=(infos["costs"], said["costs"]))
        add(home_rewards=(infos["home_rewards"], said["home_rewards"]))
    return largest


def report(scenario: Scenario, months: int, distinct: int) -> list[str]:
    """Return the printed lines."""
    n, core = scenario.fleet.size, on_core(scenario)
    lines = [
        f"{months} months ({distinct} distinct) of {n} homes, {scenario.n_opportunities} opportunities of "
        f"{scenario.steps_per_opportunity} steps; homes' opportunities a second, millions",
        f"{'one core, the same':<32} {core / 1e6:>10.2f}",
    ]
    for name, each in on_device(scenario, months, distinct).items():
        rate = months * n / each
        lines.append(f"{'GPU, ' + name:<32} {rate / 1e6:>10.2f} {rate / core:>8.1f} x one core, {1e3 * each:.2f} ms")
    for name, each in training(scenario, months).items():
        rate = months * n * scenario.n_opportunities / each
        lines.append(f"{'GPU, ' + name:<32} {rate / 1e6:>10.2f} {rate / core:>8.1f} x one core, {each:.2f} s")
    for name, gap in differences(scenario).items():
        lines.append(f"largest difference to the CPU, {name:<14} {gap:.3g}")
    return lines


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Print every figure."""
    parser = Parser(prog, "Print what a GPU plays, against one core of the same machine.", ("--months 1024",))
    parser.add_argument("--months", type=int, default=4096, help="months side by side; default 4096")
    parser.add_argument("--homes", type=int, default=200, help="homes of a month; default 200")
    parser.add_argument("--distinct", type=int, default=8, help="different months among them; default 8")
    parser.add_argument("--hours", type=int, default=48, help="length of a run; default 48")
    args = parser.parse_args(argv)
    changes = {"fleet.size": args.homes, "time.duration_hours": args.hours}
    scenario = load_scenario("august").override(changes)
    check_device()
    print("\n".join(report(scenario, args.months, args.distinct)), flush=True)
    return 0
