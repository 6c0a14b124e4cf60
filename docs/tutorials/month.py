# %% [markdown]
# # A month in ten minutes
#
# Homes with batteries and cars bid into a market through a virtual power plant (VPP). Here: build a world, let two policies play the same
# days, and see who earned what. A week of twenty homes stands for the month of 200 (`august`), which takes the same calls.
# %%
import matplotlib.pyplot as plt

import vpp_env

month = vpp_env.Month(vpp_env.load_scenario("week20"), seed=10_000)
runs = {name: vpp_env.simulate(month, vpp_env.make_policy(name)) for name in ("idle", "truthful", "constant")}
# %% [markdown]
# The same homes, prices and trips for each. What they came to, in USD:
# %%
for name, run in runs.items():
    kpis = vpp_env.summarize(run)
    print(
        f"{name:9} VPP {kpis['total_profit']:7.2f}  members {kpis['member_net_benefit']:7.2f}  "
        f"welfare {kpis['welfare']:7.2f}  satisfaction {kpis['avg_satisfaction']:.2f}"
    )
# %% [markdown]
# `welfare` counts both, less what broken wishes are worth to their owners. The record has a row for each hour:
# %%
rows = runs["truthful"].record.rows
hours = range(len(rows))
figure, (price, sold) = plt.subplots(2, 1, sharex=True, figsize=(8, 4), layout="constrained")
price.step(hours, [row["lmp_price"] for row in rows], where="post", color="#444444")
price.set_ylabel("real-time price\nUSD/MWh")
sold.step(hours, [row["sold_kwh"] for row in rows], where="post", color="#3b8ea5")
sold.set_ylabel("sold, kWh")
sold.set_xlabel("hour of the week")
plt.show()
# %% [markdown]
# A few dear evenings hold most of the money. The command line does all this and writes a report: `vpp-env compare --scenario week20`.
# Next: [write a policy](policy.py).
