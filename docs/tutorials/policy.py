# %% [markdown]
# # Write a policy
#
# A policy is a class with `info`, `reset(rules, rng)` and `act(view)`. Ours waits for a price: every home offers what its owner
# allows, at the owner's ask or at a floor, whichever is higher.
# %%
import matplotlib.pyplot as plt
import numpy as np

import vpp_env


class Patient:
    """Offer storage at the owner's ask, never below a floor."""

    info = vpp_env.PolicyInfo(
        "patient", vpp_env.Information.OWN, vpp_env.Consent.OWN_BIDS, "storage, never below a floor"
    )

    def __init__(self, floor_usd_per_kwh: float) -> None:
        self.floor = floor_usd_per_kwh

    def reset(self, rules, rng):
        self.rules = rules

    def act(self, view):
        ask = np.maximum(view.homes.own_ask, self.floor)
        limits = self.rules.sell_limit_kw, self.rules.buy_limit_kw
        return vpp_env.Bids(vpp_env.encode(*limits, sell1_kw=view.homes.storage_sell_kw, sell1_ask=ask))


# %% [markdown]
# Try floors on a training seed; test seeds are kept for figures that are reported.
# %%
month = vpp_env.Month(vpp_env.load_scenario("week20"), seed=10_001)
floors = [0.0, 0.1, 0.2, 0.4]
found = [vpp_env.summarize(vpp_env.simulate(month, Patient(floor))) for floor in floors]
for floor, kpis in zip(floors, found, strict=True):
    print(f"floor {floor:.1f} USD/kWh: profit {kpis['total_profit']:6.2f}, welfare {kpis['welfare']:6.2f} USD")
# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(floors, [kpis["welfare"] for kpis in found], "o-", label="welfare")
axes.plot(floors, [kpis["total_profit"] for kpis in found], "s--", label="the VPP's profit")
axes.set_xlabel("floor, USD/kWh")
axes.set_ylabel("USD a week")
axes.legend(frameon=False)
plt.show()
# %% [markdown]
# Saved as `patient.py`, it is compared, audited and ranked like any other:
#
# ```text
# vpp-env compare --policies "patient.py:Patient(floor_usd_per_kwh=0.1)" truthful --scenario week20 --verify --out mine
# vpp-env leaderboard mine
# ```
#
# All that a policy may read and bid: [Fields](../fields.md). Next: [train an agent](train.py).
