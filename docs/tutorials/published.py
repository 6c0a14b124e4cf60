# %% [markdown]
# # The published comparison's +33 %
#
# A published comparison of negotiating agents with a central optimizer reports +44 to +60 % profit and +33.3 % satisfaction for the agents.
# Both come from constants in its code and not from a measurement: a satisfaction that is set for each side in the ratio 4 to 3 differs by a
# third before the first hour is played, whatever the agents do.
# %%
import matplotlib.pyplot as plt

import vpp_env

print(f"{4 / 3 - 1:+.1%}")
# %% [markdown]
# The scenario `reference` has that comparison's prices, acceptance rule and preferences; here one evaluator measures both sides, on homes that
# are the same for both. Twenty homes and two days, on a validation seed:
# %%
scenario = vpp_env.load_scenario("reference").to_dict()
scenario["fleet"]["size"], scenario["time"]["duration_hours"] = 20, 48
month = vpp_env.Month(vpp_env.scenario_from_dict(scenario), seed=1000)
found = {
    name: vpp_env.summarize(vpp_env.simulate(month, vpp_env.make_policy(name))) for name in ("agentic", "centralized")
}
for name, kpis in found.items():
    print(
        f"{name:12} profit {kpis['total_profit']:6.2f}, members {kpis['member_net_benefit']:7.2f}, "
        f"welfare {kpis['welfare']:7.2f} USD, satisfaction {kpis['avg_satisfaction']:.3f}, "
        f"broken wishes {kpis['total_violations'].total:.0f}"
    )
# %% [markdown]
# The two advantages, computed from what was measured:
# %%
for kpi in ("total_profit", "avg_satisfaction"):
    agents, optimizer = (found[name][kpi] for name in ("agentic", "centralized"))
    print(f"{kpi}: {100 * (agents - optimizer) / abs(optimizer):+.1f} %" if optimizer else f"{kpi}: not defined, of 0")
# %%
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for name, kpis in found.items():
    axes.plot(kpis["total_profit"], kpis["avg_satisfaction"], "o", label=name)
axes.set_xlabel("the VPP's profit, USD")
axes.set_ylabel("satisfaction")
axes.set_ylim(0, 1)
axes.legend(frameon=False)
plt.show()
# %% [markdown]
# The sign and the size are now results: they change with the world, and two days of one seed are no evidence. The optimizer knows the future and asks
# nobody (ORACLE); it is a yardstick and not a rival. Thirty seeds, with intervals:
#
# ```text
# vpp-env compare --policies agentic centralized --scenario reference --seeds test
# ```
#
# What the market of today makes of it is the [headline table](headline.py).
