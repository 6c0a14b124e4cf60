"""What policies did, as data: for offline learning and for clones. Clones are fitted to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vpp_policies.arrays import numbers, read_arrays, whole
from vpp_policies.learned import Layer

from vpp_env import N_ACTION, N_OBS, OBSERVATION_VERSION, Month, build_view, make_policy, market_rules
from vpp_env.api.rewards import Rewards, with_profit
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario
from vpp_env.simulation.world import World

RIDGE = 1e-3
"""Weight of the squares of a clone's weights [assumed]: it only keeps columns that never change from blowing up."""


def played(
    scenario: Scenario, teacher: str, seed: int, home_data: str | Path | None = None
) -> dict[str, NDArray[np.float32]]:
    """One month of a policy: `observations` (T, N, N_OBS), `actions` (T, N, N_ACTION), `rewards` (T, N) in USD.

    Rewards are those of `vpp_env.api.rewards.with_profit`: over the homes they add up to the welfare.
    """
    world = World([Month(scenario, seed, home_data=home_data)])
    world.reset()
    policy = make_policy(teacher)
    policy.reset(market_rules(world), np.random.default_rng(seed))
    rewards = Rewards(world)
    rows: tuple[list[NDArray], list[NDArray], list[NDArray]] = ([], [], [])
    while not world.done:
        view = build_view(world, policy.info.information)
        bids = policy.act(view)
        earned = rewards.of(world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,)))
        paid = with_profit(earned.joint, earned.homes)[0]
        for column, value in zip(rows, (view.observation(), bids.actions, paid), strict=True):
            column.append(value.astype(np.float32))
    return dict(zip(("observations", "actions", "rewards"), map(np.stack, rows), strict=True))


def write(
    path: Path,
    scenario: Scenario,
    teachers: Sequence[str],
    seeds: Sequence[int],
    home_data: str | Path | None = None,
) -> Iterator[str]:
    """Write the months of some policies as one .npz file; yields a line for each.

    Columns, of E episodes (every policy on every seed) of T opportunities and N homes: `observations` (E, T, N, N_OBS),
    `actions` (E, T, N, N_ACTION), `rewards` (E, T, N) USD, float32; `policy` (E,) text, `seed` (E,);
    `observation_version`. An episode ends with its last opportunity.
    """
    episodes = [(teacher, seed) for teacher in teachers for seed in seeds]
    found = []
    for teacher, seed in episodes:
        found.append(played(scenario, teacher, seed, home_data))
        yield f"{teacher}, seed {seed}: welfare {found[-1]['rewards'].sum(dtype=np.float64):.2f} USD"
    columns = {name: np.stack([episode[name] for episode in found]) for name in found[0]}
    labels = {"policy": np.array([t for t, _ in episodes]), "seed": np.array([s for _, s in episodes])}
    np.savez_compressed(path, observation_version=OBSERVATION_VERSION, **labels, **columns)  # type: ignore[arg-type]


def read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows of a file that `write` made: (K, N_OBS) observations and (K, N_ACTION) actions.

    Raises
    ------
    DataError
        When it is no such file, or of another version of the observation.
    """
    try:
        parts = read_arrays(path, math.inf)
        version = whole(parts, "observation_version")
        if version != OBSERVATION_VERSION:
            raise ValueError(f"it has version {version} of the observation; allowed is {OBSERVATION_VERSION}")
        shape = (None, None, None)
        obs, actions = numbers(parts, "observations", (*shape, N_OBS)), numbers(parts, "actions", (*shape, N_ACTION))
        if obs.shape[:3] != actions.shape[:3]:
            raise ValueError(
                f"observations are of {obs.shape[:3]}, actions of {actions.shape[:3]}; allowed is one each"
            )
    except ValueError as error:
        raise DataError(
            f"{path} cannot be read ({error}); allowed is a file that `vpp-env dataset` wrote: write it again"
        ) from error
    return obs.astype(np.float32).reshape(-1, N_OBS), actions.astype(np.float32).reshape(-1, N_ACTION)


def clone(obs: NDArray[np.float32], actions: NDArray[np.float32]) -> tuple[list[Layer], NDArray[np.float64]]:
    """Fit one linear layer by ridge regression; also return the share of each action column that it explains."""
    x = np.column_stack([obs.astype(np.float64), np.ones(len(obs))])
    found = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ actions.astype(np.float64))
    left = ((np.clip(x @ found, -1.0, 1.0) - actions) ** 2).mean(axis=0)
    return [(found[:-1], found[-1])], 1.0 - left / np.maximum(actions.var(axis=0), 1e-12)
