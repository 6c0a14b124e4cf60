"""Proximal policy optimization: one perceptron that all homes share, trained on what each home earns.

IPPO (de Witt et al. 2020, "Is independent learning all you need in the StarCraft multi-agent challenge?"): every home
is a learner of its own that shares its weights with the others; its critic sees its own row. MAPPO (Yu et al. 2022,
"The surprising effectiveness of PPO in cooperative multi-agent games"): the critic sees the mean row of all homes too.
The clipped objective and the estimate of advantages are Schulman et al.'s (2017, 2016). Reads from top to bottom.

A home's reward is its own part of welfare and an equal share of the VPP's profit: over all homes that is the welfare.
Most single rewards are 0 and a few are hundreds of times larger than the rest. What helps: returns are divided by
their spread and bounded, advantages are normalised, the critic's loss is Huber's, the policy begins where evolution
does (`form_of`; what a perceptron adds to that is learned: Silver et al. 2018, "Residual policy learning") and explores
little around it, and what is kept is chosen on validation months.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from vpp_policies.learned import Layer

from vpp_benchmarks.train.evolution import Looks, Progress
from vpp_benchmarks.train.form import Form, form_of
from vpp_benchmarks.train.on_device import as_tensor
from vpp_env import N_ACTION, N_OBS, VectorMarketMonth
from vpp_env.api.rewards import with_profit
from vpp_env.errors import needs
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS

with needs("training by PPO"):
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Settings:
    """How it is trained."""

    months: int = 8  # played side by side in an iteration, each to its end
    hidden: tuple[int, ...] = (32, 32)  # units of the hidden layers; as many of them as a form has of its own
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


def perceptron(inputs: int, hidden: Sequence[int], outputs: int, gain: float) -> nn.Sequential:
    """Hidden layers with tanh, orthogonal weights (`gain` at the last), no bias yet."""
    sizes = (inputs, *hidden, outputs)
    linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    for layer in linear:
        nn.init.orthogonal_(layer.weight, gain if layer is linear[-1] else 2.0**0.5)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*(part for layer in linear for part in (layer, nn.Tanh())))[:-1]


class Actor(nn.Module):
    """Mean bids: what a form bids, and what a perceptron adds to the columns that are learned.

    Parameters
    ----------
    form : Form
        With hidden layers of its own, or with a bias alone.
    hidden : sequence of int
        Units of the perceptron's hidden layers; the first ones alone where the form has layers of its own.
    device : str
        Where it computes: "cpu" or "cuda".
    """

    def __init__(self, form: Form, hidden: Sequence[int], device: str = "cpu") -> None:
        super().__init__()
        self.form = form
        moving = np.flatnonzero(form.free.any(axis=0))
        self.moving = torch.as_tensor(moving, device=device)
        self.added = perceptron(N_OBS, hidden[: len(form.hidden) or None], len(moving), 0.01).to(device)
        self.base = [
            tuple(torch.as_tensor(x, dtype=torch.float32, device=device) for x in layer)
            for layer in form.layers(form.weights)
        ]

    def forward(self, obs: Tensor) -> Tensor:
        """(..., N_ACTION) means of (..., N_OBS) rows."""
        with torch.no_grad():
            found = obs
            for j, (slopes, bias) in enumerate(self.base):
                found = (found if j == 0 else torch.tanh(found)) @ slopes + bias
        return found.index_add(-1, self.moving, self.added(obs))

    def layers(self) -> list[Layer]:
        """Return one perceptron, the sum of both, as `vpp_policies.learned` saves and plays it."""
        found = [
            tuple(x.detach().cpu().numpy().astype(np.float64) for x in (part.weight.T, part.bias))
            for part in self.added
            if isinstance(part, nn.Linear)
        ]
        columns = np.eye(N_ACTION)[self.moving.cpu().numpy()]
        slopes, bias = found[-1][0] @ columns, found[-1][1] @ columns
        *own, (last, last_bias) = self.form.layers(self.form.weights)
        if not own:
            return [*found[:-1], (slopes, bias + last_bias)]
        # side by side: both read the observation, and each layer after it what is its own
        joined = [(np.hstack([own[0][0], found[0][0]]), np.concatenate([own[0][1], found[0][1]]))]
        for (a, a_bias), (b, b_bias) in zip(own[1:], found[1:-1], strict=True):
            apart = np.zeros((len(a) + len(b), a.shape[1] + b.shape[1]))
            apart[: len(a), : a.shape[1]], apart[len(a) :, a.shape[1] :] = a, b
            joined.append((apart, np.concatenate([a_bias, b_bias])))
        return [*joined, (np.vstack([last, slopes]), last_bias + bias)]


def advantages(rewards: Tensor, values: Tensor, discount: float, trace: float) -> Tensor:
    """(T, ...) generalised advantages of episodes that end after T rewards: nothing is earned beyond."""
    found, ahead, next_value = torch.zeros_like(rewards), torch.zeros_like(rewards[0]), torch.zeros_like(values[0])
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + discount * next_value - values[t] + discount * trace * ahead
        found[t], next_value = ahead, values[t]
    return found


class Learner:
    """Actor and critic of one training run, on the CPU or on a GPU beside the months that it plays."""

    def __init__(self, form: Form, settings: Settings, device: str = "cpu") -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.actor = Actor(form, settings.hidden, device)
        std = torch.full((len(self.actor.moving),), float(np.log(settings.std)), device=device)
        self.log_std = nn.Parameter(std)
        self.critic = perceptron(N_OBS * (1 + settings.central), settings.hidden, 1, 1.0).to(device)
        self.parameters = [*self.actor.parameters(), self.log_std, *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.rate, eps=1e-5)
        self.spread = 0.0  # of returns, running

    def seen_by_critic(self, obs: Tensor) -> Tensor:
        """(..., N, F) rows: a home's own; with MAPPO's critic the mean of all homes' beside it."""
        if not self.settings.central:
            return obs
        return torch.cat([obs, obs.mean(dim=-2, keepdim=True).expand_as(obs)], dim=-1)

    def log_chance(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Log density of actions before they are clipped, in the columns that are learned."""
        means = self.actor(obs)[..., self.actor.moving]
        said = torch.distributions.Normal(means, self.log_std.exp())
        return said.log_prob(actions[..., self.actor.moving]).sum(dim=-1)

    def drawn(self, obs: Tensor) -> Tensor:
        """Draw actions; what lies outside the box is clipped when it is played."""
        means = self.actor(obs)
        noise = torch.randn(*obs.shape[:-1], len(self.actor.moving), device=obs.device) * self.log_std.exp()
        return means.index_add(-1, self.actor.moving, noise)

    def play(self, env: VectorMarketMonth, seeds: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Play months to their end: observations, actions (T, M, N, ...), rewards (T, M, N) and welfare (M,)."""
        seen, done, rewards = [], [], []
        welfare = torch.zeros(env.num_envs, dtype=torch.float64, device=self.actor.moving.device)
        obs, _ = env.reset(seed=list(seeds))
        over = False
        while not over:
            rows = as_tensor(obs).clone()  # the next step may overwrite them
            with torch.no_grad():
                action = self.drawn(rows)
            obs, paid, _, ends, infos = env.step(action.clamp(-1.0, 1.0))
            joint = as_tensor(paid)
            rewards.append(with_profit(joint, as_tensor(infos["home_rewards"])))
            seen.append(rows)
            done.append(action)
            welfare += joint
            over = bool(ends.all())
        return torch.stack(seen), torch.stack(done), torch.stack(rewards), welfare

    def learn(self, obs: Tensor, actions: Tensor, rewards: Tensor) -> None:
        """Improve on what was played."""
        s = self.settings
        spread = float(advantages(rewards, torch.zeros_like(rewards), s.discount, 1.0).std(correction=0))
        self.spread = max(spread, 1e-8) if self.spread == 0.0 else self.spread
        self.spread += 0.1 * (spread - self.spread)
        scaled = (rewards / self.spread).clamp(-s.bound, s.bound)
        critic_obs = self.seen_by_critic(obs)
        with torch.no_grad():
            values = self.critic(critic_obs)[..., 0].double()
            old = self.log_chance(obs, actions).flatten()
        gain = advantages(scaled, values, s.discount, s.trace)
        aims = (gain + values).float().flatten()
        better = ((gain - gain.mean()) / (gain.std(correction=0) + 1e-8)).float().flatten()
        rows, chosen = obs.flatten(0, 2), actions.flatten(0, 2)
        critic_rows = critic_obs.flatten(0, 2)
        for _ in range(s.epochs):
            for part in torch.randperm(len(rows), device=rows.device).chunk(s.batches):
                ratio = (self.log_chance(rows[part], chosen[part]) - old[part]).exp()
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
    learner = Learner(form_of(scenario, home_data), settings)
    env = VectorMarketMonth(settings.months, scenario, home_data=home_data)
    looks = Looks(scenario, settings.validation, home_data)
    began, seen, iteration = clock(), [], 0
    best = learner.actor.layers()
    judged = looks.at(best)
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
            layers = learner.actor.layers()
            judged = looks.at(layers)
            now = float(np.mean(judged))
            if now > best_score:
                best, best_score = layers, now
            yield best, Progress(iteration, clock() - began, float(np.mean(seen)), now, best_score, judged)
            seen = []
