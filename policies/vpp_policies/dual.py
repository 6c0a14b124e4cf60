"""`dual`: every home answers prices by exact dynamic programming; a coordinator only moves the prices.

The coordinator announces the prices of the month and, where the fleet's answers together exceed the VPP's maximum, a
price of congestion (`optimal.ceilings` finds it by subgradients, from nothing but the fleet's total). Each device then
follows its own base-stock levels: it needs no model of any other home. The announced
prices are the true ones: what is lost against `centralized` is lost by decomposition alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp_env import (
    DT_H,
    Bids,
    Consent,
    Homes,
    Information,
    MarketRules,
    PolicyError,
    PolicyInfo,
    View,
    did_you_mean,
    encode,
)
from vpp_policies.gate.inputs import GatePlan
from vpp_policies.gate.offers import GatePrices, bids_of
from vpp_policies.optimal.devices import Wishes
from vpp_policies.optimal.month_value import MonthValue
from vpp_policies.optimal.storage import step

GOALS = {"preferences": Wishes.ASKS, "cost": Wishes.LIMITS, "welfare": Wishes.PRICED, "free": Wishes.FREE}
"""Ceiling whose plan is played -> what becomes of the owners' preferences."""


class Dual:
    """Price-directed coordination with perfect price information.

    Parameters
    ----------
    goal : str
        The ceiling whose plan is played. `preferences`: the homes answer inside their owners' preferences and never
        below their asks; `cost`: inside them at any price; `welfare`: outside of them where that is worth the owners'
        private values; `free`: as if they had none, the decomposed counterpart of `centralized`. The last two
        override the homes' gateways.
    """

    info = PolicyInfo(
        name="dual",
        information=Information.ORACLE,
        consent=Consent.OWN_BIDS,
        description="each home answers the true prices by exact dynamic programming; a coordinator moves the price",
        reference="Boyd et al., Notes on Decomposition Methods (2008)",
    )

    def __init__(self, goal: str = "preferences") -> None:
        if goal not in GOALS:
            raise PolicyError(did_you_mean(goal, list(GOALS), "goal of dual"))
        self._wishes = GOALS[goal]
        if self._wishes is not Wishes.ASKS:
            # homes that are made to go below their owners' asks bid for nobody
            told = f"{self.info.description}; preferences: {self._wishes.value}"
            self.info = replace(self.info, consent=Consent.NEVER, description=told)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules."""
        self._rules = rules
        self._value: MonthValue | None = None

    def _begin(self, view: View) -> MonthValue:
        homes, rules = view.homes, self._rules
        self._who = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        self._first = view.public.opportunity - view.public.lead
        return MonthValue(homes, view.foresight(), rules, self._wishes)

    def act(self, view: View) -> Bids:
        """Let every device take its steps of the next opportunity."""
        rules = self._rules
        if self._value is None:
            self._value = self._begin(view)
        if view.public.opportunity >= view.public.n_opportunities:
            return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw))  # delivery would be beyond the end
        homes, f = view.homes, self._value.foresight
        gate = view.public.opportunity - self._first
        span = slice(gate * f.steps, (gate + 1) * f.steps)
        prices = GatePrices(f.lmp[span], f.sale[span], float(f.reserve_up[span].mean()))
        plan = self._answers(homes, gate)
        asks = homes if self._wishes is Wishes.ASKS else None
        actions, expected = bids_of(plan, prices, self._who, rules, asks)
        free = self._wishes in (Wishes.PRICED, Wishes.FREE)
        firm = self._commitment(homes, gate) if view.public.capacity_gate else None
        override = np.full(rules.n_homes, free)
        return Bids(actions, expected_profit_usd=expected, override=override, capacity=firm)

    def _commitment(self, homes: Homes, gate: int) -> float:
        """KW for tomorrow's evening: what the devices plan to give where it is called; else it is paid as demonstrated.

        Whoever knows which evenings are called may promise the most on all others.
        """
        value, rules = self._value, self._rules
        assert value is not None
        f, now = value.foresight, gate * value.foresight.steps
        evening = np.flatnonzero((f.bonus > 0.0) & (f.day == f.day[now] + 1))
        if not len(evening):
            return rules.max_capacity_kw
        took, gave, kwh = np.zeros(2), np.zeros(2), 0.0
        b, e = self._who
        start = np.concatenate([homes.soc_kwh[b], -homes.ev_deficit_kwh[e]])
        for d, device in enumerate(value.solution.devices):
            s = start[d]
            for at in range(now, evening[-1] + 1):
                s = step(value.stores[d], value.policies[d], at, s, took, gave)
                if at >= evening[0]:
                    kwh += float(gave @ device.grid_kwh) - float(took.sum()) / device.eta
        return float(np.clip(kwh / (len(evening) * DT_H), 0.0, rules.max_capacity_kw))

    def _answers(self, homes: Homes, gate: int) -> GatePlan:
        """Every device's own steps, from where it is now."""
        value, rules = self._value, self._rules
        assert value is not None
        (b, e), steps = self._who, value.foresight.steps
        sell, buy = np.zeros((len(b), steps)), np.zeros((len(b), steps))
        defer, back, v2g = (np.zeros((len(e), steps)) for _ in range(3))
        reserve = np.zeros((len(b) + len(e), steps))
        took, gave = np.zeros(2), np.zeros(2)
        start = np.concatenate([homes.soc_kwh[b], -homes.ev_deficit_kwh[e]])
        for d, device in enumerate(value.solution.devices):
            store, policy, eta, s = value.stores[d], value.policies[d], device.eta, start[d]
            for k in range(steps):
                at = gate * steps + k
                s = step(store, policy, at, s, took, gave)
                by_energy = max(0.0, (s - device.empty[at]) * eta / rules.reserve_hours)
                if d < len(b):
                    sell[d, k], buy[d, k] = gave[0] * eta / DT_H, took[1] / (eta * DT_H)
                    used = (gave[0] + gave[1]) * eta / DT_H
                else:
                    c = d - len(b)
                    defer[c, k], v2g[c, k] = gave[0] / (eta * DT_H), gave[1] * eta / DT_H
                    back[c, k] = took[0] / (eta * DT_H)
                    used = v2g[c, k]
                if device.rho[at] > 0.0:
                    reserve[d, k] = max(0.0, min(device.power[at] - used, by_energy))
        least = reserve.min(axis=1)[:, None]
        nothing = np.zeros(len(e))
        return GatePlan(sell, buy, least[: len(b)], defer, back, v2g, least[len(b) :], nothing, 0.0, "optimal", 0.0)
