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
from vpp_policies.gate.commitment import commitment
from vpp_policies.gate.inputs import GatePlan
from vpp_policies.gate.offers import Who, bids_of, known_prices
from vpp_policies.optimal.devices import Wishes
from vpp_policies.optimal.month_value import MonthValue

GOALS = {
    "preferences": Wishes.ASKS,
    "cost": Wishes.LIMITS,
    "welfare": Wishes.PRICED,
    "paid": Wishes.PRICED,
    "free": Wishes.FREE,
}
"""Goal -> what becomes of the owners' preferences."""


class Dual:
    """Price-directed coordination with perfect price information.

    Parameters
    ----------
    goal : str
        The ceiling whose plan is played. `preferences`: the homes answer inside their owners' preferences and never
        below their asks; `cost`: inside them at any price; `welfare`: outside of them where that is worth the owners'
        private values; `paid`: the same, but nobody gives for less than the own ask, since owners who are underpaid opt
        out; `free`: as if they had no preferences, the decomposed counterpart of `centralized`. The last three override
        the homes' gateways.
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
        self._wishes, self._paid = GOALS[goal], goal == "paid"
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
        return MonthValue(homes, view.foresight(), rules, self._wishes, self._paid)

    def act(self, view: View) -> Bids:
        """Let every device take its steps of the next opportunity."""
        rules = self._rules
        if self._value is None:
            self._value = self._begin(view)
        if view.public.opportunity >= view.public.n_opportunities:
            return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw))  # delivery would be beyond the end
        value, homes = self._value, view.homes
        f = value.foresight
        first = (view.public.opportunity - self._first) * f.steps
        now, span = first - view.public.lead * f.steps, slice(first, first + f.steps)
        plan = self._answers(value, homes, now, first)
        kept = self._wishes in (Wishes.ASKS, Wishes.LIMITS)
        asked, spared = self._paid or self._wishes is Wishes.ASKS, self._wishes is not Wishes.FREE
        standby = f.standby_value * spared if self._wishes is not Wishes.ASKS else homes.reserve_ask
        who = Who(*self._who, homes, standby, asked, spared, kept)
        actions, expected = bids_of(plan, known_prices(f, span), who, rules)
        free = self._wishes in (Wishes.PRICED, Wishes.FREE)
        firm = commitment(view, rules, value, now)
        override = np.full(rules.n_homes, free)
        return Bids(actions, expected_profit_usd=expected, override=override, capacity=firm)

    def _answers(self, value: MonthValue, homes: Homes, now: int, first: int) -> GatePlan:
        """Every device's own steps of the opportunity that begins at interval `first`, from where it is at the gate.

        With a gate lead the bids between are waiting: they say what these same steps say.
        """
        rules, (b, e), n = self._rules, self._who, value.foresight.steps
        steps, wait, span = value.walk(homes, now, first + n), first - now, slice(first, first + n)
        took, gave, held = steps.took[:, wait:], steps.gave[:, wait:], steps.held[:, wait:]
        cars = len(b)
        eta_b, eta_e = rules.bess_eta / DT_H, rules.ev_eta / DT_H
        used = np.concatenate([gave[:cars].sum(axis=2) * eta_b, gave[cars:, :, 1] * eta_e])
        reserve = np.zeros(held.shape)
        for d, device in enumerate(value.solution.devices):
            by_energy = np.maximum(held[d] - device.empty[span], 0.0) * device.eta / rules.reserve_hours
            free = np.minimum(device.power[span] - used[d], by_energy)
            reserve[d] = np.where(device.rho[span] > 0.0, np.maximum(free, 0.0), 0.0)
        least = reserve.min(axis=1)[:, None]
        return GatePlan(
            sell_b=gave[:cars, :, 0] * eta_b,
            buy_b=took[:cars, :, 1] / (rules.bess_eta * DT_H),
            reserve_b=least[:cars],
            defer=gave[cars:, :, 0] / (rules.ev_eta * DT_H),
            back=took[cars:, :, 0] / (rules.ev_eta * DT_H),
            v2g=gave[cars:, :, 1] * eta_e,
            reserve_e=least[cars:],
            late_kwh=np.zeros(len(e)),
            worth_b=np.zeros(len(b)),
            objective_usd=0.0,
            status="optimal",
            seconds=0.0,
        )
