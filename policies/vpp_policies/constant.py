"""One bid for every home and hour: a strong opponent that knows nothing. Who does not beat it is not clever.

The defaults are the best that `vpp-env tune-constant` found: `Constant` says by which command, when, and of what worth.
"""

from __future__ import annotations

import math

import numpy as np

from vpp_env import (
    BUY_LIMIT_RANGE,
    RESERVE_ASK_RANGE,
    SELL_ASK_RANGE,
    Bids,
    Consent,
    Information,
    MarketRules,
    PolicyError,
    PolicyInfo,
    View,
    encode,
)

SPANS: dict[str, tuple[float, float]] = {
    "sell_share": (0.0, 1.0),
    "sell_ask": SELL_ASK_RANGE,
    "buy_share": (0.0, 1.0),
    "buy_limit": BUY_LIMIT_RANGE,
    "reserve_share": (0.0, 1.0),
    "reserve_ask": RESERVE_ASK_RANGE,
}
"""Options and what they may be: shares of a home's device limits; USD/kWh; reserve USD per kW and hour."""


class Constant:
    """Bid the same share of every home's limits at the same prices, always; nobody is asked.

    One line holds all that a home has: two lines at two prices (four pairs around the best bid) are worth less.

    The defaults are what `vpp-env tune-constant --scenario august --seeds validation:3 --random 16 --refined 30` found
    on 2026-11-26 under market version caiso2023.2 (seeds 1,000-1,002): a mean welfare of 1,659.13 USD. They are tuned
    again when the market's rules change.

    Parameters
    ----------
    sell_share, buy_share, reserve_share : float
        Of the device limits that `encode` is given (reserve: of the sell limit), 0 to 1.
    sell_ask, buy_limit : float
        USD/kWh.
    reserve_ask : float
        USD per kW and hour on reserve.

    Raises
    ------
    PolicyError
        When a value is outside its span.
    """

    def __init__(
        self,
        sell_share: float = 0.98,
        sell_ask: float = 0.15,
        buy_share: float = 0.45,
        buy_limit: float = 0.088,
        reserve_share: float = 0.71,
        reserve_ask: float = 0.0026,
    ) -> None:
        given = (sell_share, sell_ask, buy_share, buy_limit, reserve_share, reserve_ask)
        self.bid = dict(zip(SPANS, map(float, given), strict=True))
        for name, value in self.bid.items():
            low, high = SPANS[name]
            if not (math.isfinite(value) and low <= value <= high):
                raise PolicyError(f"constant({name}={value!r}): allowed is {low:g} to {high:g}")
        self.info = PolicyInfo(
            name="constant",
            information=Information.OWN,
            consent=Consent.NEVER,
            description="one bid for every home and hour, the best that was found on validation seeds",
        )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Encode the one bid for the homes of this month."""
        bid, sell, buy = self.bid, rules.sell_limit_kw, rules.buy_limit_kw
        self._bids = Bids(
            encode(
                sell,
                buy,
                sell1_kw=bid["sell_share"] * sell,
                sell1_ask=bid["sell_ask"],
                buy_kw=bid["buy_share"] * buy,
                buy_limit=bid["buy_limit"],
                reserve_kw=bid["reserve_share"] * sell,
                reserve_ask=bid["reserve_ask"],
            )
        )

    def act(self, view: View) -> Bids:
        """Return the one bid."""
        return self._bids
