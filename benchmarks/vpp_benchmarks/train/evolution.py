"""Evolution strategies: the last layer of one policy that all homes share, from what each observes to what it bids.

Salimans et al. 2017, "Evolution strategies as a scalable alternative to reinforcement learning": P pairs of opposite
perturbations of the weights play the same training month side by side; what each is better than its opposite, by rank,
says where to go. The only signal is an episode's welfare, so that neither sparse nor heavy-tailed rewards of single
hours matter. Reads from top to bottom.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from vpp_policies.learned import Layer, actions

from vpp_benchmarks.train.form import Form, sells_evenings
from vpp_env import VectorMarketMonth
from vpp_env.api.episode import Draw
from vpp_env.errors import VppError
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.units import Floats

Bids = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(M, N, N_OBS) observations -> (M, N, N_ACTION) bids."""


@dataclass(frozen=True)
class Settings:
    """How it is trained; sigma and rate are the best of four pairs on validation seeds of week20."""

    pairs: int = 16  # opposite perturbations of a generation
    months: int = 1  # training months of a generation; each is played by its share of the pairs, and ranks them
    sigma: float = 0.03  # standard deviation of a perturbation, actions are in [-1, 1]
    rate: float = 0.01  # step of Adam
    blend: float = 0.05  # of the newest weights in their running mean, which is what is judged and kept
    check: int = 20  # generations between two looks at validation months
    validation: int = 5  # validation months of a look
    seed: int = 0  # of the perturbations, and the first training month


def settings_of(scenario: Scenario, seed: int) -> Settings:
    """Return how a scenario is trained in: with a safeguard there is little to gain, and steps are small.

    The rate is the best of three on training seeds 10,000-10,039 of week20. Among five months one decides. Where
    evenings are sold months differ by how many are called, and a generation plays eight.
    """
    if sells_evenings(scenario):
        return Settings(seed=seed, months=8, sigma=0.04, rate=0.005, check=25, validation=20)
    return Settings(seed=seed, rate=0.0025, validation=20) if scenario.market.safeguard else Settings(seed=seed)


@dataclass(frozen=True)
class Progress:
    """What a look at the validation months found."""

    generation: int  # or iteration
    seconds: float  # CPU seconds of this process so far
    training: float  # mean welfare of the generations since the last look, USD
    validation: float  # mean welfare on validation months, USD
    best: float  # the best of them so far, USD
    months: tuple[float, ...] = ()  # welfare of each validation month of this look, USD


def played(
    env: VectorMarketMonth, seeds: Sequence[int], bids: Bids, options: Mapping[str, Any] | None = None
) -> Floats:
    """(M,) welfare of the months of these seeds, played side by side; `options` are of their reset."""
    obs, _ = env.reset(seed=list(seeds), options=None if options is None else dict(options))
    total, over = np.zeros(env.num_envs), False
    while not over:
        obs, reward, _, ends, _ = env.step(bids(obs))
        total += reward
        over = bool(ends.all())
    return total


def welfare(env: VectorMarketMonth, form: Form, weights: NDArray[np.float64], seeds: Sequence[int]) -> Floats:
    """(M,) welfare of M policies, last layers (M, F + 1, N_ACTION), each on the month of its seed."""
    slopes, bias = weights[:, :-1].astype(np.float32), weights[:, -1:].astype(np.float32)
    return played(env, seeds, lambda obs: np.clip(form.features(obs) @ slopes + bias, -1.0, 1.0))


def ranked(got: Floats, months: int) -> Floats:
    """(M,) ranks of (M,) results among those of the same month, centred: 1/2 for its best, -1/2 for its worst.

    Result m is of month m % `months`.
    """
    by_month = got.reshape(-1, months)
    order = np.argsort(by_month, axis=0, kind="stable")
    values = np.arange(len(by_month)) / (len(by_month) - 1) - 0.5
    ranks = np.empty_like(by_month)
    np.put_along_axis(ranks, order, values[:, None], axis=0)
    return ranks.ravel()


class Judge(Protocol):
    """Says what a policy earns on months that it is not trained on."""

    def at(self, layers: Sequence[Layer]) -> tuple[float, ...]:
        """Welfare of each month, USD."""
        ...


class Looks:
    """Judge policies on the first validation months, which are played side by side.

    Parameters
    ----------
    scenario : Scenario
        The world.
    count : int
        Validation months.
    home_data : path, optional
        A folder of one's own homes.
    """

    def __init__(self, scenario: Scenario, count: int, home_data: str | Path | None = None) -> None:
        self._env = VectorMarketMonth(count, scenario, home_data=home_data)
        self._seeds = SPLITS["validation"].seeds(count)

    def at(self, layers: Sequence[Layer]) -> tuple[float, ...]:
        """Welfare of each month, USD: what the evaluator reports, but for the order of its sums."""
        return tuple(played(self._env, self._seeds, lambda obs: actions(layers, obs)).tolist())


def train(
    scenario: Scenario,
    form: Form,
    minutes: float,
    settings: Settings,
    clock: Callable[[], float] = time.process_time,
    home_data: str | Path | None = None,
    episodes: Draw | None = None,
    looks: Judge | None = None,
) -> Iterator[tuple[Floats, Progress]]:
    """Train for some CPU minutes; yields the best weights so far at every look.

    Parameters
    ----------
    scenario : Scenario
        The world.
    form : Form
        What it begins with and what of it is learned, see `form_of`.
    minutes : float
        CPU minutes of this process, looks at validation months included.
    settings : Settings
        How.
    home_data : path, optional
        A folder of one's own homes, see docs/home-data.md.
    episodes : Draw, optional
        Draws the world of every generation, see `vpp_env.api.episode`; None: `scenario`.
    looks : Judge, optional
        What is judged on; None: the first validation months of `scenario`.
    """
    if settings.pairs % settings.months:
        raise VppError(f"months: got {settings.months}; allowed is what divides the {settings.pairs} pairs")
    rng, weights, free = np.random.default_rng(settings.seed), form.weights, form.free
    env = VectorMarketMonth(2 * settings.pairs, scenario, home_data=home_data, episodes=episodes)
    judge = looks or Looks(scenario, settings.validation, home_data)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    began, seen, generation = clock(), [], 0
    judged = judge.at(form.layers(weights))
    mean, best, best_score = weights, weights, float(np.mean(judged))
    yield best, Progress(0, clock() - began, best_score, best_score, best_score, judged)
    while clock() - began < 60.0 * minutes:
        generation += 1
        noise = rng.standard_normal((settings.pairs, *weights.shape)) * free
        both = weights + settings.sigma * np.concatenate([noise, -noise])
        first_seed = SPLITS["training"].first + settings.seed * 10_000 + (generation - 1) * settings.months + 1
        seeds = [first_seed + m % settings.months for m in range(env.num_envs)]
        got = welfare(env, form, both, seeds)
        seen.append(float(got.mean()))
        ranks = ranked(got, settings.months)
        gain = ranks[: settings.pairs] - ranks[settings.pairs :]
        slope = np.tensordot(gain, noise, axes=1) / (2 * settings.pairs * settings.sigma)
        # Adam, with its usual constants (Kingma and Ba 2015)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        up = first / (1 - 0.9**generation) / (np.sqrt(second / (1 - 0.999**generation)) + 1e-8)
        weights = weights + settings.rate * up
        mean = mean + settings.blend * (weights - mean)
        if generation % settings.check == 0:
            judged = judge.at(form.layers(mean))
            now = float(np.mean(judged))
            if now > best_score:
                best, best_score = mean, now
            yield best, Progress(generation, clock() - began, float(np.mean(seen)), now, best_score, judged)
            seen = []
