"""Evolution strategies: one linear policy that all homes share, from what a home observes to what it bids.

Salimans et al. 2017, "Evolution strategies as a scalable alternative to reinforcement learning": P pairs of opposite
perturbations of the weights play the same training month side by side; what each is better than its opposite, by rank,
says where to go. The only signal is an episode's welfare, so that neither sparse nor heavy-tailed rewards of single
hours matter. Reads from top to bottom.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vpp_policies.constant import Constant
from vpp_policies.learned import Layer, Learned

from vpp_env import (
    BUY_KW,
    BUY_LIMIT,
    N_ACTION,
    N_OBS,
    RESERVE_ASK,
    RESERVE_KW,
    SELL1_ASK,
    SELL1_KW,
    SELL2_ASK,
    SELL2_KW,
    Month,
    VectorMarketMonth,
    build_view,
    market_rules,
    simulate,
    summarize,
)
from vpp_env.contract.observation import COLUMNS
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.simulation.world import World
from vpp_env.units import BUY_LIMIT_RANGE, Floats

PRICES = (SELL1_ASK, SELL2_ASK, BUY_LIMIT, RESERVE_ASK)
"""Columns of a bid that are learned where the gateway keeps the owner's envelope."""
READ = (
    *("hour_sin", "hour_cos", "day_ahead_0", "day_ahead_1", "day_ahead_2", "day_ahead_3", "day_ahead_4"),
    *("real_time", "real_time_q10", "real_time_q50", "real_time_q90", "sale_price"),
    *("soc", "floor", "battery_inside_kwh", "battery_room_kwh", "day_used", "ev_deficit", "hours_to_ready", "plugged"),
    *("own_ask", "defer_ask", "buy_limit", "reserve_ask", "pv_16", "net_16"),
)
"""Columns of the observation that these prices are learned from: what a kWh kept for later may be worth."""


@dataclass(frozen=True)
class Settings:
    """How it is trained; sigma and rate are the best of four pairs on validation seeds of week20."""

    pairs: int = 16  # opposite perturbations of a generation
    sigma: float = 0.03  # standard deviation of a perturbation, actions are in [-1, 1]
    rate: float = 0.01  # step of Adam
    blend: float = 0.05  # of the newest weights in their running mean, which is what is judged and kept
    check: int = 20  # generations between two looks at validation months
    validation: int = 5  # validation months of a look
    seed: int = 0  # of the perturbations, and the first training month


@dataclass(frozen=True)
class Progress:
    """What a look at the validation months found."""

    generation: int  # or iteration
    seconds: float  # CPU seconds of this process so far
    training: float  # mean welfare of the generations since the last look, USD
    validation: float  # mean welfare on validation months, USD
    best: float  # the best of them so far, USD
    months: tuple[float, ...] = ()  # welfare of each validation month of this look, USD


def start(scenario: Scenario, home_data: str | Path | None = None) -> Floats:
    """(N_OBS + 1, N_ACTION) weights that bid like `constant`, whatever is observed; the last row is the bias."""
    month = Month(scenario, SPLITS["training"].first, home_data=home_data)
    world = World([month])
    world.reset()
    constant = Constant()
    constant.reset(market_rules(world), np.random.default_rng(0))
    bids = constant.act(build_view(world, constant.info.information)).actions
    weights = np.zeros((N_OBS + 1, N_ACTION))
    # a home without a device bids nothing: the bias is of those that have some
    able = (world.sell_limit_kw > 0) & (world.buy_limit_kw > 0)
    weights[-1] = (bids[able] if able.any() else bids).mean(axis=0)
    return weights


def own_asks() -> Floats:
    """(N_OBS + 1, N_ACTION) weights that bid as `truthful` does where the gateway keeps the owner's envelope.

    What can wait on one line, all else on the other, at the owner's asks; a linear map cannot tell homes with a car
    from those without, so that a battery is never asked for more than its own ask and charging is bought at the
    owner's limit.
    """
    weights = np.zeros((N_OBS + 1, N_ACTION))
    row = {name: j for j, name in enumerate(COLUMNS)}
    weights[-1] = -1.0
    for column, name in (
        (SELL1_KW, "defer"),
        (SELL1_ASK, "defer_ask"),
        (SELL2_ASK, "own_ask"),
        (RESERVE_ASK, "reserve_ask"),
    ):
        weights[row[name], column] = 2.0  # an observation of 1 is a bid of 1: scales are the same
    weights[row["defer"], SELL2_KW] = -2.0
    weights[-1, [SELL2_KW, BUY_KW, RESERVE_KW]] = 1.0
    low, high = BUY_LIMIT_RANGE
    weights[row["buy_limit"], BUY_LIMIT] = 2.0 * high / (high - low)
    weights[-1, BUY_LIMIT] = -2.0 * low / (high - low) - 1.0
    return weights


def begin(scenario: Scenario, home_data: str | Path | None = None) -> Floats:
    """(N_OBS + 1, N_ACTION) weights to begin with: `own_asks` with a safeguard, what `constant` bids without."""
    return own_asks() if scenario.market.safeguard else start(scenario, home_data)


def free(scenario: Scenario) -> Floats:
    """(N_OBS + 1, N_ACTION) 1 for weights that are learned, 0 for those that stay.

    All of them, but for a world with a safeguard: where nothing that is offered can break a wish, all is offered and
    only `PRICES` are learned, from `READ`. 108 weights instead of 656; with all of them the search found nothing
    better than where it began.
    """
    if not scenario.market.safeguard:
        return np.ones((N_OBS + 1, N_ACTION))
    found = np.zeros((N_OBS + 1, N_ACTION))
    found[np.ix_([*(COLUMNS.index(name) for name in READ), N_OBS], PRICES)] = 1.0
    return found


def layer(weights: Floats) -> Layer:
    """Return the weights as `vpp_policies.learned` saves and plays them."""
    return weights[:-1].copy(), weights[-1].copy()


def welfare(env: VectorMarketMonth, weights: NDArray[np.float64], seed: int) -> Floats:
    """(M,) welfare of M policies, (M, N_OBS + 1, N_ACTION), on the same month."""
    obs, _ = env.reset(seed=[seed] * env.num_envs)
    slopes, bias = weights[:, :-1].astype(np.float32), weights[:, -1:].astype(np.float32)
    total, over = np.zeros(env.num_envs), False
    while not over:
        obs, reward, _, ends, _ = env.step(np.clip(obs @ slopes + bias, -1.0, 1.0))
        total += reward
        over = bool(ends.all())
    return total


def scores(months: Sequence[Month], layers: Sequence[Layer]) -> tuple[float, ...]:
    """Welfare of each of some months, USD, by the benchmark's own evaluator."""
    policy = Learned.of(layers)
    return tuple(float(summarize(simulate(month, policy))["welfare"]) for month in months)


def score(months: Sequence[Month], layers: Sequence[Layer]) -> float:
    """Mean welfare on some months, USD."""
    return float(np.mean(scores(months, layers)))


def train(
    scenario: Scenario,
    weights: Floats,
    minutes: float,
    settings: Settings,
    clock: Callable[[], float] = time.process_time,
    home_data: str | Path | None = None,
) -> Iterator[tuple[Floats, Progress]]:
    """Train for some CPU minutes; yields the best weights so far at every look.

    Parameters
    ----------
    scenario : Scenario
        The world.
    weights : ndarray
        (N_OBS + 1, N_ACTION) to begin with, see `begin`; what of them is learned says `free`.
    minutes : float
        CPU minutes of this process, looks at validation months included.
    settings : Settings
        How.
    home_data : path, optional
        A folder of one's own homes, see docs/home-data.md.
    """
    rng, learned = np.random.default_rng(settings.seed), free(scenario)
    env = VectorMarketMonth(2 * settings.pairs, scenario, home_data=home_data)
    months = [Month(scenario, seed, home_data=home_data) for seed in SPLITS["validation"].seeds(settings.validation)]
    # ranks of 2 P results, centred: 1/2 for the best, -1/2 for the worst
    rank_value = np.arange(2 * settings.pairs) / (2 * settings.pairs - 1) - 0.5
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    began, seen, generation = clock(), [], 0
    judged = scores(months, [layer(weights)])
    mean, best, best_score = weights, weights, float(np.mean(judged))
    yield best, Progress(0, clock() - began, best_score, best_score, best_score, judged)
    while clock() - began < 60.0 * minutes:
        generation += 1
        noise = rng.standard_normal((settings.pairs, *weights.shape)) * learned
        both = weights + settings.sigma * np.concatenate([noise, -noise])
        got = welfare(env, both, SPLITS["training"].first + settings.seed * 10_000 + generation)
        seen.append(float(got.mean()))
        ranks = np.empty(len(got))
        ranks[np.argsort(got, kind="stable")] = rank_value
        gain = ranks[: settings.pairs] - ranks[settings.pairs :]
        slope = np.tensordot(gain, noise, axes=1) / (2 * settings.pairs * settings.sigma)
        # Adam, with its usual constants (Kingma and Ba 2015)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        up = first / (1 - 0.9**generation) / (np.sqrt(second / (1 - 0.999**generation)) + 1e-8)
        weights = weights + settings.rate * up
        mean = mean + settings.blend * (weights - mean)
        if generation % settings.check == 0:
            judged = scores(months, [layer(mean)])
            now = float(np.mean(judged))
            if now > best_score:
                best, best_score = mean, now
            yield best, Progress(generation, clock() - began, float(np.mean(seen)), now, best_score, judged)
            seen = []
