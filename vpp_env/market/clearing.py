"""Energy clearing: a protocol with registered implementations.

The rules of model `caiso2023`: the VPP is a price taker; the offer of a slice is its ask x (1 + margin); sells and buys
net out inside the VPP; an award whose net total is below the minimum bid is void; the VPP's maximum caps each side.

A clearing states its `Terms` for the intervals of an opportunity - up to which ask a sale clears and down to which
limit a purchase clears - and the compiled loop (`market.opportunity`) applies them to what each home can deliver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.scenario import MarketSpec
from vpp_env.units import PRICE_TICK


class Terms(NamedTuple):
    """Per interval and market, (S, E) int64 ticks."""

    highest_ask: np.ndarray  # a sale clears at this ask or below
    lowest_limit: np.ndarray  # a purchase clears at this limit or above


class Clearing(Protocol):
    """An energy market."""

    def terms(self, lmp_usd_per_kwh: np.ndarray) -> Terms:
        """State the terms at real-time prices (S, E), USD/kWh."""
        ...


def floor_tick(price: np.ndarray) -> np.ndarray:
    """Largest tick that is not above `price` (USD/kWh), forgiving float noise of 1e-9 ticks."""
    return np.floor(price / PRICE_TICK + 1e-9).astype(np.int64)


@dataclass(frozen=True)
class PriceTaker:
    """The default: a sale clears when ask x (1 + margin) <= lmp, a purchase when limit >= lmp."""

    margin: float

    def terms(self, lmp_usd_per_kwh: np.ndarray) -> Terms:
        """See `Clearing.terms`."""
        return Terms(floor_tick(lmp_usd_per_kwh / (1.0 + self.margin)), -floor_tick(-lmp_usd_per_kwh))


@dataclass(frozen=True)
class Pm10:
    """Accept a bid at up to 1.1 x lmp: the published reference's rule, for reproducing it only."""

    factor: float = 1.1

    def terms(self, lmp_usd_per_kwh: np.ndarray) -> Terms:
        """See `Clearing.terms`."""
        return Terms(floor_tick(self.factor * lmp_usd_per_kwh), -floor_tick(-lmp_usd_per_kwh / self.factor))


CLEARINGS: dict[str, Callable[[MarketSpec], Clearing]] = {
    "price_taker": lambda market: PriceTaker(market.margin),
    "pm10": lambda market: Pm10(),
}


def make_clearing(market: MarketSpec) -> Clearing:
    """Return the clearing that the scenario names.

    Raises
    ------
    UnknownNameError
        When it is not registered.
    """
    if market.clearing not in CLEARINGS:
        raise UnknownNameError(did_you_mean(market.clearing, CLEARINGS, "market clearing"))
    return CLEARINGS[market.clearing](market)
