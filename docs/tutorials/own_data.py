# %% [markdown]
# # Bring your homes and prices
#
# Prices are a table with a time in UTC and USD/MWh; homes are a folder of tables. What is left out is generated, and said.
# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import vpp_env

quarters = pd.date_range("2023-08-01T00:00", periods=3 * 96, freq="15min", tz="America/Los_Angeles")
price = [40 + 160 * (17 <= hour.hour < 21) for hour in quarters]  # dear evenings
pd.DataFrame({"ts_utc": quarters.tz_convert("UTC"), "lmp_da_usd_mwh": price, "lmp_rt_usd_mwh": price}).to_csv(
    "dear_evenings.csv", index=False
)
# %%
homes = Path("oak_and_elm")
homes.mkdir(exist_ok=True)
(homes / "devices.csv").write_text(
    "home,bess_kwh,bess_kw,ev_kwh,pv_kwp,profile\noak,13.5,5,0,6,moderate\nelm,10,5,75,0,aggressive\n"
)
local = quarters.tz_localize(None)[:96:4]
load = pd.DataFrame({"timestamp": local, "oak_kwh": [0.6 + 0.1 * h for h in range(24)], "elm_kwh": 0.8})
load.to_csv(homes / "load.csv", index=False)
# %% [markdown]
# Both together, for a day:
# %%
scenario = vpp_env.scenario_from_dict(
    {
        "name": "mine",
        "time": {"start": "2023-08-01T00:00", "duration_hours": 24},
        "market": {"min_bid_mw": 0.0, "reserve": False},
    }
)
month = vpp_env.Month(scenario, seed=10_000, market_data="dear_evenings.csv", home_data="oak_and_elm")
for name, text in month.home_source.items():
    print(f"{name}: {text}")
# %%
run = vpp_env.simulate(month, vpp_env.make_policy("truthful"))
rows = run.record.rows
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.bar(range(24), [row["sold_kwh"] for row in rows], color="#3b8ea5")
axes.set_xlabel("local hour")
axes.set_ylabel("sold, kWh")
twin = axes.twinx()
twin.step(range(24), [row["lmp_price"] for row in rows], where="mid", color="#c9564c")
twin.set_ylabel("price, USD/MWh")
plt.show()
# %% [markdown]
# On the command line: `vpp-env compare --market-data dear_evenings.csv --home-data oak_and_elm --start 2023-08-01T00:00 --duration-hours 24`.
# Every column: [Your own prices](../market-data.md), [Your own homes](../home-data.md). Next: [read a negotiation](negotiation.py).
