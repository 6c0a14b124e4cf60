# %% [markdown]
# # Reproduce the headline table
#
# The table of the README is thirty test seeds of `august`, which takes hours of a laptop's evening:
#
# ```text
# vpp-env compare --policies idle truthful constant agentic --seeds test --out headline
# vpp-env paper headline
# ```
#
# The same call on a smaller world, three validation seeds of `week20` for a day, shows every part of it.
# %%
from pathlib import Path

from vpp_benchmarks.cli.main import main

call = "compare --policies idle truthful constant --scenario week20 --duration-hours 24 --seeds validation:3"
main([*call.split(), "--no-figures", "--no-ceilings", "--quiet", "--out", "headline"])
print(Path("headline/tables/headline.md").read_text(encoding="utf-8"))
# %% [markdown]
# Differences are paired: the same homes, prices and trips, seed by seed. Three seeds are too few for an interval, and every p-value is 1:
# %%
print(Path("headline/tables/differences.md").read_text(encoding="utf-8"))
# %% [markdown]
# The paper kit draws them, and writes LaTeX, versions and digests:
# %%
main(["paper", "headline"])
# %% [markdown]
# What a column means: [Files and figures](../files.md). Next: [the published comparison](published.py).
