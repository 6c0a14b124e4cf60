"""Train in drawn worlds: weeks of every season, synthetic and of other nodes' measured months, with other fleets.

python examples/train_seasons.py seasons.npz --minutes 2

Evolution strategies with the safeguard; each generation plays a world of its own. Half of them are synthetic weeks of
any season, half are weeks of June to December 2023 at SCE, SDGE and VEA; shares of batteries, cars and solar are drawn
too. Looks are whole months of PGAE, June to December 2023, with the homes of two validation seeds.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vpp_benchmarks.train.evolution import Settings, played, train
from vpp_benchmarks.train.form import form_of
from vpp_policies.learned import Layer, actions, save

import vpp_env
from vpp_env.data.months import month_names

WORLD = vpp_env.load_scenario("week20").override({"market.safeguard": True})
LEARNED_ON = month_names(["caiso:SCE:2023-06..12", "caiso:SDGE:2023-06..12", "caiso:VEA:2023-06..12"])
JUDGED_ON = month_names(["caiso:PGAE:2023-06..12"])
SHARES = {"bess": (0.2, 0.8), "ev": (0.2, 0.7), "pv": (0.2, 0.8)}


def week(episode: int, rng: np.random.Generator) -> Mapping[str, Any]:
    """Draw the options of an episode."""
    fleet = {f"fleet.share_{device}": float(rng.uniform(*between)) for device, between in SHARES.items()}
    day = int(rng.integers(1, 22))  # a week from there on is in the month
    if rng.random() < 0.5:
        month = LEARNED_ON[int(rng.integers(len(LEARNED_ON)))]
        return {"month": month, "start": f"{month[-7:]}-{day:02d}T00:00", "days": 7, "set": fleet}
    return {"start": f"2023-{int(rng.integers(1, 13)):02d}-{day:02d}T00:00", "set": fleet}


class Measured:
    """Looks at measured months."""

    def __init__(self, months: Sequence[str] = JUDGED_ON, seeds: Sequence[int] = (1000, 1001)) -> None:
        self.months, self.seeds = months, seeds
        self.env = vpp_env.VectorMarketMonth(len(seeds), WORLD)

    def at(self, layers: Sequence[Layer]) -> tuple[float, ...]:
        """Welfare of each month and seed, USD."""
        found = [
            played(self.env, self.seeds, lambda obs: actions(layers, obs), {"month": month}) for month in self.months
        ]
        return tuple(np.concatenate(found).tolist())


def main() -> None:
    """Train, and keep the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the weights, .npz")
    parser.add_argument("--minutes", type=float, default=2.0, help="CPU minutes")
    parser.add_argument("--seed", type=int, default=50)
    asked = parser.parse_args()
    form, settings = form_of(WORLD), Settings(rate=0.0025, check=40, seed=asked.seed)
    for best, now in train(WORLD, form, asked.minutes, settings, episodes=week, looks=Measured()):
        save(asked.file, form.layers(best))
        print(
            f"{now.seconds:8.0f} CPU s {now.generation:6d} generations {now.validation:10.2f} USD, best {now.best:.2f}"
        )


if __name__ == "__main__":
    main()
