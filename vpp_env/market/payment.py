"""What the members are paid per unit sold: registered rules.

    pay = max(own ask, share x market price, marginal x highest accepted ask)

for a kWh of energy as for a kW-h of reserve (then the market price is the product's). A rule is its two weights.
"""

from __future__ import annotations

from typing import NamedTuple

from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.scenario.specs import MarketSpec


class PaymentRule(NamedTuple):
    """The weights of a rule."""

    share: float  # of the market price
    marginal: float  # of the highest ask accepted in the interval


def make_payment(market: MarketSpec) -> PaymentRule:
    """Return the payment rule that the scenario names.

    `floor_and_share` (the default): the ask or the revenue share of the market price, whichever is more. `uniform`:
    every seller gets the highest accepted ask. `pay_as_bid`: every seller gets its own ask.

    Raises
    ------
    UnknownNameError
        When it is not registered.
    """
    rules = payments(market)
    if market.payment not in rules:
        raise UnknownNameError(did_you_mean(market.payment, rules, "payment rule"))
    return rules[market.payment]


def payments(market: MarketSpec) -> dict[str, PaymentRule]:
    """All rules by name."""
    return {
        "floor_and_share": PaymentRule(market.revenue_share, 0.0),
        "uniform": PaymentRule(0.0, 1.0),
        "pay_as_bid": PaymentRule(0.0, 0.0),
    }
