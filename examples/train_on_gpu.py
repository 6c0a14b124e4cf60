"""Train evolution strategies or IPPO with a loop that stays in a GPU's memory; --device cpu runs the same code there.

python examples/train_on_gpu.py weights.npz --scenario week20
python examples/train_on_gpu.py weights.npz --method ippo --months 64 --hours 48

Needs pip install "vpp-env[cuda,torch]". `vpp-env compare --policies "learned(path='weights.npz')"` plays what it saves.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vpp_benchmarks.train import ppo
from vpp_benchmarks.train.evolution import Settings
from vpp_benchmarks.train.form import Form, form_of
from vpp_benchmarks.train.on_device import layers, train
from vpp_policies.learned import Layer, save

from vpp_env import VectorMarketMonth, load_scenario
from vpp_env.scenario.splits import SPLITS


def evolved(env: VectorMarketMonth, form: Form, pairs: int, seed: int) -> Iterator[tuple[list[Layer], float]]:
    """Yield a policy and what the months of its generation earned on average."""
    for weights, welfare in train(env, form, Settings(pairs=pairs, seed=seed)):
        yield layers(form, weights), float(welfare)


def ippo(env: VectorMarketMonth, form: Form, device: str, seed: int) -> Iterator[tuple[list[Layer], float]]:
    """Yield a policy and what the months of its iteration earned on average."""
    learner, first = ppo.Learner(form, ppo.Settings(seed=seed), device), SPLITS["training"].first + seed * 10_000
    while True:
        observations, actions, rewards, welfare = learner.play(env, [*range(first, first + env.num_envs)])
        learner.learn(observations, actions, rewards)
        first += env.num_envs
        yield learner.actor.layers(), float(welfare.mean())


def main() -> None:
    """Train, and keep the last policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the weights, .npz")
    parser.add_argument("--scenario", default="week20")
    parser.add_argument("--hours", type=int, help="length of an episode; default: the scenario's")
    parser.add_argument("--method", choices=("es", "ippo"), default="es")
    parser.add_argument("--months", type=int, default=4096, help="months side by side")
    parser.add_argument("--pairs", type=int, default=64, help="opposite perturbations of a generation (es)")
    parser.add_argument("--generations", type=int, default=100, help="or iterations")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    scenario = load_scenario(asked.scenario)
    if asked.hours is not None:
        scenario = scenario.override({"time.duration_hours": asked.hours})
    env, form = VectorMarketMonth(asked.months, scenario, device=asked.device), form_of(scenario)
    found = (
        evolved(env, form, asked.pairs, asked.seed)
        if asked.method == "es"
        else ippo(env, form, asked.device, asked.seed)
    )
    began = time.perf_counter()
    for generation, (policy, welfare) in enumerate(islice(found, asked.generations), 1):
        save(asked.file, policy)
        print(f"{time.perf_counter() - began:8.1f} s {generation:5d} {welfare:10.2f} USD a month", flush=True)


if __name__ == "__main__":
    main()
