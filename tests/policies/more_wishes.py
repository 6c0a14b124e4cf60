"""Two more wishes in the rules' contracts, which `agentic` leaves out.

    python tests/policies/more_wishes.py august 1000 1001

Welfare of a month in USD: `agentic`, with owners' blackout windows bought too, with targets of cars that give back
bought too. An offer asks for one more concession, whose price is found by Bayes' rule like the others' up to `WORTH`;
the home asks no less for what would be paid by it than its own ask and that price. docs/agentic.md tells what came out.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from vpp_policies.agentic import BRAINS, BrainEntry, agentic
from vpp_policies.agentic.memory import RANGES
from vpp_policies.agentic.negotiation import Declared, NegotiationOptions, Standing
from vpp_policies.agentic.rules import RulesAggregator, RulesBrain, RulesProsumer, up, values_of

from vpp_env import (
    BUY_LIMIT_RANGE,
    SELL_ASK_RANGE,
    Answers,
    Homes,
    MarketRules,
    Month,
    Offers,
    Public,
    Terms,
    simulate,
    summarize,
)
from vpp_env import load_scenario as scenario
from vpp_env.units import Flags

PRIORS = {
    "windows": ("blackout_price", 0.5, ((0.5, 1.5), (0.3, 1.0), (0.1, 0.5))),
    "cars": ("car_price", 1.0, ((1.0, 3.0), (0.6, 2.0), (0.4, 1.0))),
}
"""Of each trial: the term that prices the wish, most that a kWh of it is worth, the ranges of docs/model.md."""
SOON_HOURS = 4
"""A window is announced so long before it begins (`Homes.blackout_soon`)."""


class Aggregator(RulesAggregator):
    """Asks for one more concession."""

    def __init__(self, rules: MarketRules, options: NegotiationOptions, wish: str, home: Home) -> None:
        super().__init__(rules, options)
        self._wish, self._home = wish, home

    def terms(self, standing: Standing, last: bool) -> Terms:
        """As the rules', and the wish."""
        term, worth, _ = PRIORS[self._wish]
        made, own = super().terms(standing, last), standing.terms
        price, wanted = self.memory.best(term, np.zeros(own.n), np.full(own.n, worth), 0.9 if last else 0.02)
        if self._wish == "windows":
            return replace(made, blackout=wanted * 1.0, blackout_price=np.where(wanted, price, 0.0))
        wanted = wanted & self._home.gives_back
        target = np.where(wanted, np.minimum(self._home.least_kwh, own.target_kwh), made.target_kwh)
        return replace(made, target_kwh=target, car_price=np.where(wanted, price, 0.0))

    def learn(self, standing: Standing, offers: Offers, answers: Answers) -> None:
        """As the rules', and of the wish."""
        own, terms = standing.terms, offers.terms
        bought = {
            "floor_price": terms.floor_kwh < own.floor_kwh,
            "overuse_price": terms.day_kwh > own.day_kwh,
            "blackout_price": terms.blackout > 0.5,
            "car_price": terms.target_kwh < own.target_kwh,
        }
        self.memory.learn(standing.cost, offers, answers, bought)
        self._refused |= offers.to & ~answers.accepted & ~answers.countered


class Home(RulesProsumer):
    """Bids under it."""

    def __init__(self, values: Any, wish: str) -> None:
        super().__init__(values)
        self._wish, self._announced = wish, np.zeros(0)

    def standing(self, homes: Homes, public: Public, rules: MarketRules) -> Standing:
        """As the rules'; a car without a battery beside it may give back."""
        self.gives_back, self.least_kwh = (homes.v2g_kw > 0) & (homes.bess_kwh <= 0), homes.ev_min_kwh
        return super().standing(homes, public, rules)

    def bid(self, homes: Homes, public: Public, rules: MarketRules, contracted: Flags, terms: Terms) -> Declared:
        """Ask for what the wish is paid too, where it would be taken."""
        made = super().bid(homes, public, rules, contracted, terms)
        top = SELL_ASK_RANGE[1]
        if self._wish == "windows":
            # announced four hours ahead, so that it has begun where that was so three hours ago
            before = self._announced if len(self._announced) else np.zeros(len(contracted))
            self._announced = np.where(homes.blackout_soon, before + public.hours, 0.0)
            inside = contracted & (terms.blackout > 0.5) & (self._announced >= SOON_HOURS)
            extra = np.where(inside, terms.blackout_price, 0.0)
            ask = np.concatenate([np.minimum(made.ask[:2] + extra, top), made.ask[2:]])
            return replace(made, ask=up(ask), buy_limit=np.maximum(made.buy_limit - extra, BUY_LIMIT_RANGE[0]))
        # what cannot be charged again before the car is due is taken of its target
        again = rules.ev_eta * homes.ev_kw * np.maximum(homes.hours_to_ready - 1.0, 0.0)
        lacks = homes.ev_soc_kwh + again - homes.ev_target_kwh < homes.v2g_kw / rules.ev_eta
        taken = contracted & (terms.target_kwh < homes.ev_target_kwh - 1e-6) & lacks
        ask = made.ask.copy()
        ask[1] = np.where(taken, np.clip(terms.car_price + homes.own_cost, ask[1], top), ask[1])
        return replace(made, ask=up(ask))


class Trial(RulesBrain):
    """Both sides."""

    def __init__(self, options: NegotiationOptions, wish: str) -> None:
        super().__init__(options)
        self._wish = wish

    def begin(self, rules: MarketRules) -> tuple[RulesAggregator, RulesProsumer]:
        """Begin a month."""
        home = Home(values_of(rules, self._options), self._wish)
        return Aggregator(rules, self._options, self._wish, home), home


def main(name: str, *seeds: str) -> None:
    """Print welfare, and what each trial adds to it, by seed."""
    for seed in map(int, seeds):
        month = Month(scenario(name), seed)
        found = [float(summarize(simulate(month, agentic()))["welfare"])]
        for wish, (term, _, ranges) in PRIORS.items():
            BRAINS[wish] = BrainEntry(lambda options, _, wish=wish: Trial(options, wish))  # type: ignore[misc]
            RANGES[term] = ranges
            found.append(float(summarize(simulate(month, agentic(brain=wish)))["welfare"]) - found[0])
            del RANGES[term]
        print(
            seed,
            f"{found[0]:,.2f}",
            *(f"{wish} {x:+.2f}" for wish, x in zip(PRIORS, found[1:], strict=True)),
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
