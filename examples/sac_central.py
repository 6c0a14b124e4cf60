"""SAC by Stable-Baselines3 on the central face: one controller that bids for all homes.

python examples/sac_central.py sac_0.csv --minutes 1 --seed 0
vpp-env curves --set market.safeguard=true SAC=sac_0.csv

Every look plays the first twenty validation months side by side; the file has a row for each, as those of `vpp-env
train`. What it learns bids for these homes and this order of them only, and is not row by row: it cannot be played as
`learned(path=...)`.
"""

import argparse
import time

import gymnasium
import numpy as np
import pandas as pd
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

import vpp_env
from vpp_env.scenario.splits import SPLITS

MONTHS = 20


def flat(world: vpp_env.Scenario) -> gymnasium.Env:
    """The central face with flat vectors; rewards in units of 10 cents."""
    env = gymnasium.wrappers.FlattenObservation(gymnasium.make("vpp/MarketMonth-v0", scenario=world))
    n = world.fleet.size
    box = gymnasium.spaces.Box(-1.0, 1.0, (n * vpp_env.N_ACTION,), np.float32)
    env = gymnasium.wrappers.TransformAction(env, lambda a: np.reshape(a, (n, vpp_env.N_ACTION)), box)
    return gymnasium.wrappers.TransformReward(env, lambda r: 10.0 * r)


def judged(model: SAC, env: vpp_env.VectorMarketMonth) -> np.ndarray:
    """Welfare of each validation month, USD, of the mean action."""
    obs, _ = env.reset(seed=list(SPLITS["validation"].seeds(env.num_envs)))
    welfare, over = np.zeros(env.num_envs), False
    while not over:
        said, _ = model.predict(obs.reshape(env.num_envs, -1), deterministic=True)
        obs, joint, _, ends, _ = env.step(said.reshape(env.action_space.shape))
        welfare += joint
        over = bool(ends.all())
    return welfare


class Looks(BaseCallback):
    """Looks at validation months every few steps, and ends after some CPU seconds."""

    def __init__(self, world: vpp_env.Scenario, months: int, seconds: float, every: int, path: str) -> None:
        super().__init__()
        self.env, self.seconds, self.every, self.path = vpp_env.VectorMarketMonth(months, world), seconds, every, path
        self.began, self.rows = time.process_time(), []

    def look(self) -> None:
        """Add a row to the file."""
        months = judged(self.model, self.env)
        now = {
            "generation": self.num_timesteps,
            "seconds": time.process_time() - self.began,
            "validation": months.mean(),
        }
        self.rows.append(now | {f"month_{j}": x for j, x in enumerate(months)})
        pd.DataFrame(self.rows).to_csv(self.path, index=False)
        print(f"{now['seconds']:8.0f} {now['generation']:10d} {now['validation']:10.2f}", flush=True)

    def _on_training_start(self) -> None:
        self.look()

    def _on_step(self) -> bool:
        if self.num_timesteps % self.every == 0:
            self.look()
        return time.process_time() - self.began < self.seconds


def train(world: vpp_env.Scenario, path: str, seconds: float, seed: int, months: int = MONTHS) -> Looks:
    """Train for some CPU seconds; settings are SB3's but for smaller networks and a discount of .95 an hour."""
    torch.set_num_threads(1)
    env = flat(world)
    steps = world.n_opportunities
    model = SAC(
        "MlpPolicy",
        env,
        gamma=0.95,
        learning_starts=2 * steps,
        train_freq=4,
        seed=SPLITS["training"].first + 10_000 * seed,  # of the first month as well: a training month
        policy_kwargs={"net_arch": [64, 64]},
        buffer_size=20_000,
        device="cpu",
    )
    looks = Looks(world, months, seconds, 10 * steps, path)
    model.learn(10**9, callback=looks)
    looks.look()
    return looks


def main() -> None:
    """Train on week20 with the safeguard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="the looks, .csv")
    parser.add_argument("--minutes", type=float, default=1.0, help="CPU minutes")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    world = vpp_env.load_scenario("week20").override({"market.safeguard": True})
    train(world, asked.file, 60.0 * asked.minutes, asked.seed)


if __name__ == "__main__":
    main()
