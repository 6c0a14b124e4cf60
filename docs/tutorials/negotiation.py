# %% [markdown]
# # Read a negotiation
#
# `agentic` offers contracts to owners; each accepts, counters or refuses by its own arithmetic. Every message is kept.
# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
from vpp_benchmarks.cli.main import main

call = "compare --policies agentic --scenario week20 --seed 1000 --duration-hours 24 --no-figures --no-ceilings"
status = main([*call.split(), "--quiet", "--out", "talk"])
messages = [json.loads(line) for line in Path("talk/transcripts.jsonl").read_text(encoding="utf-8").splitlines()]
print(status, len(messages), "messages")
# %% [markdown]
# One hour, as a conversation. It is what `vpp-env transcript talk --hour 2023-08-01T00` prints:
# %%
main(["transcript", "talk", "--hour", "2023-08-01T00"])
# %% [markdown]
# What the owners answered in each round: those that ask for more get a better offer in the next one.
# %%
rounds = [message for message in messages if message["kind"] == "response_counts"]
names = [f"round {k + 1}" for k in range(len(rounds))]
left = [0] * len(rounds)
figure, axes = plt.subplots(figsize=(7, 2), layout="constrained")
for answer, color in (("accepted", "#5a9367"), ("countered", "#e0a030"), ("refused", "#c9564c")):
    width = [message[answer] for message in rounds]
    axes.barh(names, width, left=left, color=color, label=answer)
    left = [a + b for a, b in zip(left, width, strict=True)]
axes.invert_yaxis()
axes.set_xlabel("owners")
axes.legend(frameon=False)
plt.show()
# %% [markdown]
# Terms, rounds and brains: [The negotiation](../agentic.md). Next: [the headline table](headline.py).
