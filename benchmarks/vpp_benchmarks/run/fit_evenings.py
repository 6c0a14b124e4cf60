"""What called evenings deliver of what the homes have declared before, when everything they have is committed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from vpp_policies.fleet import Declared, Evenings
from vpp_policies.stochastic.policy import Stochastic

from vpp_env import Bids, MarketRules, Month, Scenario, View, simulate


class Everything:
    """`stochastic`, with all that a fleet may commit on every evening: a call dispatches whatever the homes have."""

    def __init__(self) -> None:
        self._homes = Stochastic()
        self.info = replace(self._homes.info, name="everything", description="commits the most that is allowed")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self._rules, self._declared = rules, Declared(rules)
        self._homes.reset(rules, rng)
        self.declared_kw: dict[int, float] = {}  # by day of the run: what had been declared when it was committed for

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        bids, able = self._homes.act(view), self._declared.mean_kw(view)
        if able is None or not view.public.capacity_gate:
            return replace(bids, capacity=None)
        now = view.public.start if view.public.now is None else view.public.now
        steps = len(view.public.past_rt_usd_per_kwh)
        first = now - np.timedelta64(15 * steps, "m")
        self.declared_kw[(now.date() - first.date()).days + 1] = able
        return replace(bids, capacity=self._rules.max_capacity_kw)


def fit_evenings(scenario: Scenario, seeds: Sequence[int]) -> Evenings:
    """Play training seeds with everything committed, and compare what was delivered to what had been declared.

    Parameters
    ----------
    scenario : Scenario
        One that sells firm capacity.
    seeds : sequence of int
        Training seeds.
    """
    ratio: list[float] = []
    weight: list[float] = []
    for seed in seeds:
        policy = Everything()
        table = simulate(Month(scenario, seed), policy).record.evenings()
        called = table[table["called"] & table["day"].isin(policy.declared_kw)]
        ratio += [q / policy.declared_kw[day] for day, q in zip(called["day"], called["delivered_kw"], strict=True)]
        weight += [1.0 / max(len(called), 1)] * len(called)
    share = np.array(weight) / sum(weight)
    span = f"{seeds[0]}:{seeds[-1] + 1}"
    return Evenings(
        np.array(ratio),
        share,
        f"{scenario.name}, seeds {seeds[0]}-{seeds[-1]}",
        f"vpp-env fit-evenings --scenario {scenario.name} --seeds {span}",
    )


def save_evenings(evenings: Evenings, path: Path) -> None:
    """Write them as JSON, four digits each."""
    data = {
        "source": evenings.source,
        "command": evenings.command,
        "ratio": [round(float(x), 4) for x in evenings.ratio],
        "weight": [round(float(x), 6) for x in evenings.weight],
    }
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
