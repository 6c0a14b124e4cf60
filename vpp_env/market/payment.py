"""What the members are paid per unit sold: registered rules.

    pay = max(own ask, share x market price, marginal x highest accepted ask)

for a kWh of energy as for a kW-h of reserve (then the market price is the product's). A rule is its two weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.scenario.specs import MarketSpec


class PaymentRule(NamedTuple):
    """The weights of a rule."""

    share: float  # of the market price
    marginal: float  # of the highest ask accepted in the interval


PAYMENTS: dict[str, Callable[[MarketSpec], PaymentRule]] = {
    # the ask or the revenue share of the market price, whichever is more
    "floor_and_share": lambda market: PaymentRule(market.revenue_share, 0.0),
    # every seller gets the highest accepted ask
    "uniform": lambda market: PaymentRule(0.0, 1.0),
    # every seller gets its own ask
    "pay_as_bid": lambda market: PaymentRule(0.0, 0.0),
}


def make_payment(market: MarketSpec) -> PaymentRule:
    """Return the payment rule that the scenario names.

    Raises
    ------
    UnknownNameError
        When it is not registered.
    """
    if market.payment not in PAYMENTS:
        raise UnknownNameError(did_you_mean(market.payment, PAYMENTS, "payment rule"))
    rule = PAYMENTS[market.payment](market)
    # the compiled opportunity takes floats
    return PaymentRule(float(rule.share), float(rule.marginal))
