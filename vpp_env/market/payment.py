"""What the members are paid: a protocol with registered implementations.

`share` is `market.revenue_share`. All prices USD/kWh of energy or USD/kW-h of reserve, arrays (E, N) unless said;
`price` is (E, 1) for energy, (E, N) for reserve (each home serves one product).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vpp_env.errors import UnknownNameError, did_you_mean


class PaymentRule(Protocol):
    """The pay of one unit sold."""

    def __call__(
        self, ask: np.ndarray, price: np.ndarray, marginal_ask: np.ndarray, share: float
    ) -> np.ndarray:
        """Return the pay per unit, (E, N); `marginal_ask` (E, 1) is the highest ask that was accepted."""
        ...


def floor_and_share(ask: np.ndarray, price: np.ndarray, marginal_ask: np.ndarray, share: float) -> np.ndarray:
    """Pay the ask or the revenue share of the market price, whichever is more (the default)."""
    return np.maximum(ask, share * price)


def uniform(ask: np.ndarray, price: np.ndarray, marginal_ask: np.ndarray, share: float) -> np.ndarray:
    """Pay every seller the highest accepted ask of the interval; one called without an award gets its own ask."""
    return np.maximum(ask, marginal_ask)


def pay_as_bid(ask: np.ndarray, price: np.ndarray, marginal_ask: np.ndarray, share: float) -> np.ndarray:
    """Pay every seller its own ask."""
    return ask


PAYMENTS: dict[str, PaymentRule] = {
    "floor_and_share": floor_and_share,
    "uniform": uniform,
    "pay_as_bid": pay_as_bid,
}


def make_payment(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]:
    """Return the payment rule `name`.

    Raises
    ------
    UnknownNameError
        When it is not registered.
    """
    if name not in PAYMENTS:
        raise UnknownNameError(did_you_mean(name, PAYMENTS, "payment rule"))
    return PAYMENTS[name]
