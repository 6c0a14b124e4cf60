"""Evolution strategies whose loop stays where the months are: in a GPU's memory, or in the CPU's.

As `evolution`, in torch: the population's noise, every home's bids, the returns and the step are tensors on the
device of the observations. What the host sees of a generation is whether its months are over. Each of the 2 P
perturbations plays the same months, side by side: as many as the environment has for each. Reads from top to bottom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from vpp_policies.learned import Layer

from vpp_benchmarks.train.evolution import Settings
from vpp_benchmarks.train.form import Form
from vpp_env import VectorMarketMonth
from vpp_env.errors import needs
from vpp_env.scenario.splits import SPLITS

with needs("training on a GPU"):
    import torch
    from torch import Tensor


def as_tensor(array: Any) -> Tensor:
    """Return a tensor that shares the memory of an array, which lies in a GPU's memory or is NumPy's."""
    if hasattr(array, "__cuda_array_interface__"):
        return torch.as_tensor(array, device="cuda")
    return torch.from_numpy(np.asarray(array))


class Policies:
    """The policies of a generation: one form, 2 P last layers.

    Parameters
    ----------
    form : Form
        What they share.
    weights : Tensor
        (2 P, F + 1, N_ACTION).
    """

    def __init__(self, form: Form, weights: Tensor) -> None:
        self._slopes, self._bias = weights[:, :-1].float(), weights[:, -1:].float()

        def on_device(x: Any) -> Tensor:
            return torch.as_tensor(x, dtype=torch.float32, device=weights.device)

        self._hidden = [tuple(map(on_device, layer)) for layer in form.hidden]
        self._mix = None if form.mix is None else on_device(form.mix)

    def bids(self, obs: Tensor) -> Tensor:
        """(M, N, N_ACTION) bids of (M, N, N_OBS) observations; the first M / 2 P months are the first policy's."""
        found = obs
        for slopes, bias in self._hidden:
            found = torch.tanh(found @ slopes + bias)
        found = found if self._mix is None else found @ self._mix
        by_policy = found.reshape(len(self._slopes), -1, found.shape[-1])
        return torch.baddbmm(self._bias, by_policy, self._slopes).clamp(-1.0, 1.0).reshape(*obs.shape[:2], -1)


def play(env: VectorMarketMonth, seeds: Sequence[int], policies: Policies) -> Tensor:
    """(M,) welfare of the months of these seeds."""
    obs, _ = env.reset(seed=list(seeds))
    total, over = torch.zeros(env.num_envs, dtype=torch.float64, device=as_tensor(obs).device), False
    while not over:
        obs, reward, _, ends, _ = env.step(policies.bids(as_tensor(obs)))
        total += as_tensor(reward)
        over = bool(ends[0])
    return total


def train(env: VectorMarketMonth, form: Form, settings: Settings) -> Iterator[tuple[Tensor, Tensor]]:
    """Train without end; yields the running mean of the weights and the mean welfare of a generation, on the device.

    Parameters
    ----------
    env : VectorMarketMonth
        Of a multiple of 2 x `pairs` months.
    form : Form
        What it begins with and what of it is learned.
    settings : Settings
        How; every pair plays every month, and no validation months are looked at (not `months`, `check`, `validation`).
    """
    first_seed, count = SPLITS["training"].first + settings.seed * 10_000, 2 * settings.pairs
    months = env.num_envs // count
    where = as_tensor(env.reset(seed=[first_seed] * env.num_envs)[0]).device
    draws = torch.Generator(where).manual_seed(settings.seed)
    weights, free = (torch.as_tensor(x, dtype=torch.float64, device=where) for x in (form.weights, form.free))
    first, second, mean = torch.zeros_like(weights), torch.zeros_like(weights), weights.clone()
    # ranks of 2 P results, centred: 1/2 for the best, -1/2 for the worst
    rank_value = torch.arange(count, dtype=torch.float64, device=where) / (count - 1) - 0.5
    generation = 0
    while True:
        shape = (settings.pairs, *weights.shape)
        noise = torch.randn(shape, generator=draws, dtype=torch.float64, device=where) * free
        both = weights + settings.sigma * torch.cat([noise, -noise])
        seeds = range(first_seed + generation * months, first_seed + (generation + 1) * months)
        generation += 1
        got = play(env, [*seeds] * count, Policies(form, both)).reshape(count, -1).mean(dim=1)
        ranks = torch.empty_like(rank_value)
        ranks[torch.argsort(got, stable=True)] = rank_value
        gain = ranks[: settings.pairs] - ranks[settings.pairs :]
        slope = torch.tensordot(gain, noise, dims=1) / (count * settings.sigma)
        # Adam, with its usual constants (Kingma and Ba 2015)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        up = first / (1 - 0.9**generation) / (torch.sqrt(second / (1 - 0.999**generation)) + 1e-8)
        weights = weights + settings.rate * up
        mean = mean + settings.blend * (weights - mean)
        yield mean, got.mean()


def layers(form: Form, weights: Tensor) -> list[Layer]:
    """Return weights as `vpp_policies.learned` saves and plays them."""
    return form.layers(weights.cpu().numpy())
