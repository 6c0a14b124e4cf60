# %% [markdown]
# # Train an agent
#
# Learning over Gymnasium's vector face: many months side by side. The reward of a step is its welfare, so that an episode adds up to
# what the evaluator reports. The agent here is as small as can be: one bid for every home and hour, moved by evolution strategies
# for some generations on the six hours of `quick`. [Learners](../learners.md) has the faces, the columns and a real training run.
# %%
import matplotlib.pyplot as plt
import numpy as np
from vpp_policies.learned import save

import vpp_env

MONTHS, GENERATIONS, SIGMA, RATE = 16, 12, 0.3, 0.3
rng = np.random.default_rng(0)
months = vpp_env.VectorMarketMonth(MONTHS, "quick")


def returns(bids):
    """Welfare of one episode for each of (MONTHS, N_ACTION) bids, USD; all play the same training seed."""
    observations, _ = months.reset(seed=[10_000] * MONTHS)
    total, over = np.zeros(MONTHS), np.zeros(MONTHS, dtype=bool)
    actions = np.repeat(np.clip(bids, -1, 1)[:, None, :], observations.shape[1], axis=1).astype(np.float32)
    while not over.any():
        _, reward, _, over, _ = months.step(actions)
        total += reward
    return total


center, curve = np.zeros(vpp_env.N_ACTION), []
for _ in range(GENERATIONS):
    noise = rng.standard_normal((MONTHS // 2, vpp_env.N_ACTION))
    noise = np.concatenate([noise, -noise])  # mirrored, so that chance cancels
    gained = returns(center + SIGMA * noise)
    curve.append(gained.mean())
    center += RATE * (gained - gained.mean()) @ noise / (MONTHS * (gained.std() + 1e-9))
print(f"mean welfare of a generation: first {curve[0]:.3f}, last {curve[-1]:.3f} USD")
# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(curve, "o-")
axes.set_xlabel("generation")
axes.set_ylabel("welfare, USD an episode")
plt.show()
# %% [markdown]
# Saved as plain numbers, it is a policy. Here it is scored on a month that it has not seen; a bid without inputs is a layer of zeros with a bias.
# %%
save("center.npz", [(np.zeros((vpp_env.N_OBS, vpp_env.N_ACTION)), np.clip(center, -1, 1))])
month = vpp_env.Month(vpp_env.load_scenario("quick"), seed=1000)
for spec in ("learned(path='center.npz')", "truthful"):
    print(spec, round(vpp_env.summarize(vpp_env.simulate(month, vpp_env.make_policy(spec)))["welfare"], 3), "USD")
# %% [markdown]
# On that evening it may well lose: it has learned another one by heart. A real run draws other months every generation and is judged on months that it never
# plays, as `vpp-env train --out weights.npz` does in five CPU minutes. Next: [bring your homes and prices](own_data.py).
