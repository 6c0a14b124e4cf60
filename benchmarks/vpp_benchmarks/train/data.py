"""What policies did, as data: for offline learning and for clones. Clones are fitted to it."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from vpp_policies.arrays import numbers, read_arrays, whole
from vpp_policies.learned import Layer

from vpp_env import N_ACTION, N_OBS, OBSERVATION_VERSION, Month, build_view, make_policy, market_rules
from vpp_env.api.observation import Observer
from vpp_env.api.rewards import Rewards, with_profit
from vpp_env.errors import DataError, VppError, needs
from vpp_env.scenario import Scenario
from vpp_env.simulation.world import World

RIDGE = 1e-3
"""Weight of the squares of a clone's weights [assumed]: it only keeps columns that never change from blowing up."""


class Episode(NamedTuple):
    """One month of a policy, float32; over the homes the rewards add up to the welfare."""

    policy: str
    seed: int
    observations: NDArray[np.float32]  # (T + 1, N, N_OBS): the last one is of the end
    actions: NDArray[np.float32]  # (T, N, N_ACTION)
    rewards: NDArray[np.float32]  # (T, N) USD, of `vpp_env.api.rewards.with_profit`


def played(scenario: Scenario, teacher: str, seed: int, home_data: str | Path | None = None) -> Episode:
    """Play one month of a policy."""
    month = Month(scenario, seed, home_data=home_data)
    world = World([month])
    world.reset()
    policy = make_policy(teacher)
    policy.reset(market_rules(world), month.policy_rng())  # as the benchmark plays it
    observer, rewards = Observer(world), Rewards(world)
    seen, done, paid = [observer.matrix()], [], []
    while not world.done:
        bids = policy.act(build_view(world, policy.info.information))
        earned = rewards.of(world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,)))
        seen.append(observer.matrix())
        done.append(bids.actions.astype(np.float32))
        paid.append(with_profit(earned.joint, earned.homes)[0].astype(np.float32))
    return Episode(teacher, seed, np.stack(seen), np.stack(done), np.stack(paid))


def write(path: Path, episodes: Iterable[Episode]) -> None:
    """Write the months of some policies as one .npz file.

    Columns, of E episodes (every policy on every seed) of T opportunities and N homes: `observations` (E, T, N, N_OBS),
    `actions` (E, T, N, N_ACTION), `rewards` (E, T, N) USD, float32; `policy` (E,) text, `seed` (E,);
    `observation_version`. An episode ends with its last opportunity.
    """
    found = list(episodes)
    columns = {name: np.array([getattr(e, name) for e in found]) for name in ("policy", "seed", "actions", "rewards")}
    seen = np.stack([e.observations[:-1] for e in found])
    np.savez_compressed(path, observation_version=OBSERVATION_VERSION, observations=seen, **columns)  # type: ignore[arg-type]


def write_minari(dataset: str, episodes: Iterable[Episode], homes: int, scenario: str | None, about: str) -> Path:
    """Write the months of some policies as a Minari data set of the central face, episode after episode.

    Observations (T + 1, N, N_OBS), actions (T, N, N_ACTION), rewards (T,) welfare in USD; `options` of an episode name
    its policy, `infos` hold `home_rewards` (T, N), as `Episode` has them.

    Parameters
    ----------
    dataset : str
        Its name in Minari, `vpp/week20-v0`.
    episodes : iterable of Episode
        Asked for one by one: only one is in memory.
    homes : int
        Homes of the world.
    scenario : str or None
        What `recover_environment` makes the environment of; None: it cannot.
    about : str
        Description of the data set.

    Returns
    -------
    path
        The folder that it lies in.

    Raises
    ------
    VppError
        When there is one of that name, or Minari takes no such name.
    """
    with needs("a Minari data set"):
        import minari
        from minari.data_collector import EpisodeBuffer
        from minari.dataset.minari_dataset import parse_dataset_id
        from minari.storage.datasets_root_dir import get_dataset_path
    allowed = "allowed is a new name such as vpp/week20-v0"
    try:
        parse_dataset_id(dataset)
    except (ValueError, TypeError) as error:  # a TypeError where the version is left out
        raise VppError(f"--minari: got {dataset}; {allowed}") from error
    folder = Path(get_dataset_path(dataset))
    if folder.exists():
        raise VppError(f"--minari: {folder} exists; {allowed}, or delete it: minari delete {dataset}")

    def buffers() -> Iterator[Any]:
        for e in episodes:
            ends = np.zeros(len(e.rewards), dtype=bool)
            over = ends.copy()
            over[-1] = True
            yield EpisodeBuffer(
                seed=e.seed,
                options={"policy": e.policy},
                observations=e.observations,
                actions=e.actions,
                rewards=e.rewards.sum(axis=1, dtype=np.float64),
                terminations=ends,
                truncations=over,
                infos={"home_rewards": e.rewards},
            )

    env = None if scenario is None else gymnasium.make("vpp/MarketMonth-v0", scenario=scenario)
    box = {
        f"{name}_space": Box(-1.0, 1.0, (homes, columns), np.float32)
        for name, columns in (("observation", N_OBS), ("action", N_ACTION))
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is set to None.*")  # author, link: of whoever publishes it
            minari.create_dataset_from_buffers(
                dataset, buffers(), env=env, description=about, requirements=["vpp-env"], **box
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # half a data set is none
        raise
    return folder


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
