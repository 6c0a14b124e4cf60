"""Proximal policy optimization: one perceptron that all homes share, trained on what each home earns.

IPPO (de Witt et al. 2020, "Is independent learning all you need in the StarCraft multi-agent challenge?"): every home
is a learner of its own that shares its weights with the others; its critic sees its own row. MAPPO (Yu et al. 2022,
"The surprising effectiveness of PPO in cooperative multi-agent games"): the critic sees the mean row of all homes too.
The clipped objective and the estimate of advantages are Schulman et al.'s (2017, 2016). Reads from top to bottom.

A home's reward is its own part of welfare and an equal share of the VPP's profit: over all homes that is the welfare.
Most single rewards are 0 and a few are hundreds of times larger than the rest. What helps: returns are divided by
their spread and bounded, advantages are normalised, the critic's loss is Huber's, the policy begins at what `constant`
bids and explores little around it, and what is kept is chosen on validation months.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from vpp_policies.learned import Layer

from vpp_benchmarks.train.evolution import Progress, scores
from vpp_benchmarks.train.form import start
from vpp_env import N_ACTION, N_OBS, Month, VectorMarketMonth
from vpp_env.api.rewards import with_profit
from vpp_env.errors import needs
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS
from vpp_env.units import Floats

with needs("training by PPO"):
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Settings:
    """How it is trained."""

    months: int = 8  # played side by side in an iteration, each to its end
    hidden: int = 32  # units of each of two hidden layers
    epochs: int = 4  # passes over an iteration's steps
    batches: int = 8  # in a pass
    rate: float = 1e-3  # step of Adam
    discount: float = 0.95  # an hour; most of what a bid earns is paid within the day
    trace: float = 0.9  # lambda of the estimate of advantages
    clip: float = 0.2  # bound on the ratio of probabilities
    std: float = 0.1  # of the first actions, which are in [-1, 1]
    bound: float = 10.0  # of a reward in units of the returns' spread
    check: int = 5  # iterations between two looks at validation months
    validation: int = 5  # validation months of a look
    central: bool = False  # MAPPO's critic
    seed: int = 0  # of weights and exploration, and the first training month


def perceptron(inputs: int, hidden: int, outputs: int, gain: float) -> nn.Sequential:
    """Two hidden layers with tanh, orthogonal weights (`gain` at the last), no bias yet."""
    found = nn.Sequential(
        nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, outputs)
    )
    for layer, scale in zip((found[0], found[2], found[4]), (2.0**0.5, 2.0**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return found


def layers_of(net: nn.Sequential) -> list[Layer]:
    """Return a perceptron as `vpp_policies.learned` saves and plays it."""
    return [
        (layer.weight.detach().numpy().T.astype(np.float64), layer.bias.detach().numpy().astype(np.float64))
        for layer in net
        if isinstance(layer, nn.Linear)
    ]


def advantages(rewards: Floats, values: Floats, discount: float, trace: float) -> Floats:
    """(T, ...) generalised advantages of episodes that end after T rewards: nothing is earned beyond."""
    found, ahead, next_value = np.zeros_like(rewards), np.zeros_like(rewards[0]), np.zeros_like(values[0])
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + discount * next_value - values[t] + discount * trace * ahead
        found[t], next_value = ahead, values[t]
    return found


class Learner:
    """Actor and critic of one training run."""

    def __init__(self, bias: Floats, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.actor = perceptron(N_OBS, settings.hidden, N_ACTION, 0.01)
        with torch.no_grad():
            self.actor[-1].bias.copy_(torch.as_tensor(bias))
        self.log_std = nn.Parameter(torch.full((N_ACTION,), float(np.log(settings.std))))
        self.critic = perceptron(N_OBS * (1 + settings.central), settings.hidden, 1, 1.0)
        self.parameters = [*self.actor.parameters(), self.log_std, *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.rate, eps=1e-5)
        self.spread = 0.0  # of returns, running

    def seen_by_critic(self, obs: Tensor) -> Tensor:
        """(..., N, F) rows: a home's own; with MAPPO's critic the mean of all homes' beside it."""
        if not self.settings.central:
            return obs
        return torch.cat([obs, obs.mean(dim=-2, keepdim=True).expand_as(obs)], dim=-1)

    def chances(self, obs: Tensor) -> torch.distributions.Normal:
        """Return the distribution of actions; what lies outside the box is clipped when it is played."""
        return torch.distributions.Normal(self.actor(obs), self.log_std.exp())

    def play(self, env: VectorMarketMonth, seeds: list[int]) -> tuple[Tensor, Tensor, Floats, Floats]:
        """Play months to their end: observations, actions (T, M, N, ...), rewards (T, M, N) and welfare (M,)."""
        seen, done, rewards, welfare = [], [], [], np.zeros(env.num_envs)
        obs, _ = env.reset(seed=list(seeds))
        over = False
        while not over:
            rows = torch.as_tensor(obs)
            with torch.no_grad():
                action = self.chances(rows).sample()
            obs, joint, _, ends, infos = env.step(np.clip(action.numpy(), -1.0, 1.0))
            rewards.append(with_profit(joint, infos["home_rewards"]))
            seen.append(rows)
            done.append(action)
            welfare += joint
            over = bool(ends.all())
        return torch.stack(seen), torch.stack(done), np.stack(rewards), welfare

    def learn(self, obs: Tensor, actions: Tensor, rewards: Floats) -> None:
        """Improve on what was played."""
        s = self.settings
        returns = advantages(rewards, np.zeros_like(rewards), s.discount, 1.0)
        self.spread = max(float(returns.std()), 1e-8) if self.spread == 0.0 else self.spread
        self.spread += 0.1 * (float(returns.std()) - self.spread)
        scaled = np.clip(rewards / self.spread, -s.bound, s.bound)
        critic_obs = self.seen_by_critic(obs)
        with torch.no_grad():
            values = self.critic(critic_obs)[..., 0].numpy().astype(np.float64)
            old = self.chances(obs).log_prob(actions).sum(dim=-1).flatten()
        gain = advantages(scaled, values, s.discount, s.trace)
        aims = torch.as_tensor(gain + values, dtype=torch.float32).flatten()
        better = torch.as_tensor((gain - gain.mean()) / (gain.std() + 1e-8), dtype=torch.float32).flatten()
        rows, chosen = obs.flatten(0, 2), actions.flatten(0, 2)
        critic_rows = critic_obs.flatten(0, 2)
        for _ in range(s.epochs):
            for part in torch.randperm(len(rows)).chunk(s.batches):
                ratio = (self.chances(rows[part]).log_prob(chosen[part]).sum(dim=-1) - old[part]).exp()
                clipped = ratio.clamp(1.0 - s.clip, 1.0 + s.clip)
                actor_loss = -torch.minimum(ratio * better[part], clipped * better[part]).mean()
                critic_loss = nn.functional.huber_loss(self.critic(critic_rows[part])[:, 0], aims[part])
                self.optimizer.zero_grad()
                (actor_loss + 0.5 * critic_loss).backward()
                nn.utils.clip_grad_norm_(self.parameters, 0.5)
                self.optimizer.step()


def train(
    scenario: Scenario,
    minutes: float,
    settings: Settings,
    clock: Callable[[], float] = time.process_time,
    home_data: str | Path | None = None,
) -> Iterator[tuple[list[Layer], Progress]]:
    """Train for some CPU minutes; yields the best policy so far at every look.

    Parameters
    ----------
    scenario : Scenario
        The world.
    minutes : float
        CPU minutes of this process, looks at validation months included.
    settings : Settings
        How.
    home_data : path, optional
        A folder of one's own homes, see docs/home-data.md.
    """
    torch.set_num_threads(1)
    learner = Learner(start(scenario, home_data)[-1], settings)
    env = VectorMarketMonth(settings.months, scenario, home_data=home_data)
    months = [Month(scenario, seed, home_data=home_data) for seed in SPLITS["validation"].seeds(settings.validation)]
    began, seen, iteration = clock(), [], 0
    best = layers_of(learner.actor)
    judged = scores(months, best)
    best_score = float(np.mean(judged))
    yield best, Progress(0, clock() - began, best_score, best_score, best_score, judged)
    first = SPLITS["training"].first + settings.seed * 10_000
    while clock() - began < 60.0 * minutes:
        seeds = [first + iteration * settings.months + m for m in range(settings.months)]
        obs, actions, rewards, welfare = learner.play(env, seeds)
        learner.learn(obs, actions, rewards)
        iteration += 1
        seen.append(float(welfare.mean()))
        if iteration % settings.check == 0:
            layers = layers_of(learner.actor)
            judged = scores(months, layers)
            now = float(np.mean(judged))
            if now > best_score:
                best, best_score = layers, now
            yield best, Progress(iteration, clock() - began, float(np.mean(seen)), now, best_score, judged)
            seen = []
