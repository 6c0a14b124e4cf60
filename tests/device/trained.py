"""Trains beside months on Numba's CUDA simulator and beside the CPU's, step by step alike: `python trained.py`.

A process of its own, as `simulated.py`.
"""

from __future__ import annotations

import os
import sys
from itertools import islice

os.environ |= {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}

import numpy as np
import torch
from numba import cuda
from vpp_benchmarks.train import ppo
from vpp_benchmarks.train.evolution import Settings
from vpp_benchmarks.train.form import Form, own_asks, start
from vpp_benchmarks.train.on_device import Policies, as_tensor, layers, train
from vpp_policies.learned import actions

from vpp_env import N_OBS, VectorMarketMonth, load_scenario

WORLD = load_scenario("quick").override(
    {"fleet.size": 3, "time.start": "2023-08-01T18:00", "time.duration_hours": 2, "market.min_bid_mw": 0.0}
)
FACES = {device: VectorMarketMonth(4, WORLD, device=device) for device in ("cpu", "cuda")}


def shared_memory() -> None:
    """A tensor is a view of the array."""
    for array in (np.zeros(3), cuda.to_device(np.zeros(3))):
        tensor = as_tensor(array)
        tensor[1] = 7.0
        assert np.asarray(array).tolist() == [0.0, 7.0, 0.0]
        assert as_tensor(array).data_ptr() == tensor.data_ptr()


def evolution(form: Form, generations: int) -> None:
    """Generations of one pair, two months each, have the same weights."""
    made = {}
    for device, face in FACES.items():
        found = list(islice(train(face, form, Settings(pairs=1, sigma=0.3, rate=0.1, blend=0.5)), generations))
        made[device] = found[-1]
        assert not np.array_equal(found[0][0], form.weights), "it has moved"
    assert torch.equal(made["cpu"][0], made["cuda"][0])
    assert abs(float(made["cpu"][1] - made["cuda"][1])) < 1e-12
    # and they are what `learned` plays
    obs = np.random.default_rng(0).uniform(-1.0, 1.0, (4, 3, N_OBS)).astype(np.float32)
    bids = Policies(form, made["cuda"][0][None]).bids(torch.from_numpy(obs)).numpy()
    np.testing.assert_allclose(bids, actions(layers(form, made["cuda"][0]), obs), rtol=0, atol=2e-5)


def ippo() -> None:
    """An iteration sees and learns the same on both: what is earned differs in the order of a sum."""
    made = []
    for face in FACES.values():
        learner = ppo.Learner(Form(start(WORLD)), ppo.Settings(hidden=(4,), epochs=1, batches=2))
        seen, done, rewards, welfare = learner.play(face, [10_000, 10_001, 10_002, 10_003])
        assert seen.shape[:3] == rewards.shape == (2, 4, 3)
        learner.learn(seen, done, rewards)
        made.append((seen, rewards, welfare, learner.actor.layers()))
    (seen, rewards, welfare, one), (same, paid, earned, two) = made
    assert torch.equal(seen, same)
    torch.testing.assert_close(rewards, paid, rtol=0, atol=1e-12)
    torch.testing.assert_close(welfare, earned, rtol=0, atol=1e-12)
    for a, b in zip(one, two, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-6)


if __name__ == "__main__":
    sys.setswitchinterval(1e-4)  # a block of the simulator waits for its threads in a loop
    torch.set_num_threads(1)
    shared_memory()
    evolution(Form(start(WORLD)), 2)
    evolution(own_asks(), 1)
    ippo()
