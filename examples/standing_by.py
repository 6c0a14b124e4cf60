"""Every home for itself as `truthful`, and on reserve with all that its owner allows, whatever it also has for sale.

python benchmarks/compare.py --scenario week20 --policies examples/standing_by.py:StandingBy truthful

Where no gateway keeps the owners' envelope, `truthful` leaves off reserve what it has for sale: energy that was sold
may be called too, and then lies outside. A call comes once in 500 half hours, so that this costs it more than anything.
"""

from dataclasses import dataclass, field

import numpy as np
from vpp_policies.truthful import own_offers

from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View, encode


@dataclass
class StandingBy:
    """The offers of `truthful`, with each home's own reserve."""

    info: PolicyInfo = field(
        default=PolicyInfo("standing_by", Information.OWN, Consent.OWN_BIDS, "truthful, and always on reserve"),
        init=False,
    )
    rules: MarketRules = field(init=False)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month: keep the device limits that bids are encoded with."""
        self.rules = rules

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        offers = own_offers(view.homes, view.public, self.rules) | {"reserve_kw": view.homes.reserve_kw}
        return Bids(encode(self.rules.sell_limit_kw, self.rules.buy_limit_kw, **offers))
