"""From play to a policy that the benchmark scores: a linear copy of what a policy does, saved as plain numbers.

python examples/clone_policy.py truthful weights.npz
vpp-env compare --policies "learned(path='weights.npz')" truthful --scenario week20 --seeds validation:5
"""

import sys

import numpy as np
from vpp_policies.learned import actions, save

import vpp_env

SEEDS = range(10_100, 10_106)
RIDGE = 1e-3


def played(teacher: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations (T*N, N_OBS) of a month, and what the teacher bid on them."""
    world = vpp_env.World([vpp_env.Month(vpp_env.load_scenario("week20"), seed)])
    world.reset()
    policy = vpp_env.make_policy(teacher)
    policy.reset(vpp_env.market_rules(world), np.random.default_rng(seed))
    seen, done = [], []
    while not world.done:
        view = vpp_env.build_view(world, policy.info.information)
        bids = policy.act(view)
        seen.append(view.observation())
        done.append(bids.actions)
        world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,))
    return np.concatenate(seen), np.concatenate(done)


def clone(teacher: str, seeds: range = SEEDS) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit one linear layer by ridge regression."""
    pairs = []
    for seed in seeds:
        print(f"{teacher} plays seed {seed}; the first run of all compiles kernels, once", flush=True)
        pairs.append(played(teacher, seed))
    x, y = (np.concatenate([pair[j] for pair in pairs]).astype(np.float64) for j in (0, 1))
    x1 = np.column_stack([x, np.ones(len(x))])
    found = np.asarray(np.linalg.solve(x1.T @ x1 + RIDGE * np.eye(x1.shape[1]), x1.T @ y), dtype=np.float64)
    layers = [(found[:-1], found[-1])]
    left = ((actions(layers, x.astype(np.float32)) - y) ** 2).mean(axis=0)
    share = 1.0 - left / np.maximum(y.var(axis=0), 1e-12)
    print("explained share of each column of the bids:", np.round(share, 2).tolist())
    return layers


def main() -> None:
    """Clone, save, and score both on a month that neither has seen."""
    teacher, path = (*sys.argv[1:], "truthful", "weights.npz")[:2] if len(sys.argv) < 3 else sys.argv[1:3]
    save(path, clone(teacher))
    month = vpp_env.Month(vpp_env.load_scenario("week20"), 1000)
    for spec in (teacher, f"learned(path={path!r})"):
        kpis = vpp_env.summarize(vpp_env.simulate(month, vpp_env.make_policy(spec)))
        print(f"{spec:<32} welfare {kpis['welfare']:8.2f} USD")


if __name__ == "__main__":
    main()
