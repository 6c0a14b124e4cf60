"""Energy clearing: a protocol with registered implementations.

The rules of model `caiso2023.2`: the offer of a slice is its ask x (1 + margin); sells and buys net out inside the VPP;
a side whose offer is below the minimum bid is not taken; the VPP's maximum caps each side.

A clearing states its `Terms` for the intervals of an opportunity - up to which ask a sale clears and down to which
limit a purchase clears - and the compiled loop (`market.opportunity`) applies them to what each home can deliver. Where
the price depends on the VPP's own quantity the terms say by how much, and `market.energy` finds both together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.scenario.specs import MarketSpec
from vpp_env.units import KWH_PER_MWH, PRICE_TICK, Floats

Prices = Floats | float


class Terms(NamedTuple):
    """Per interval and month, (S, M) ticks."""

    highest_ask: NDArray[np.int64]  # a sale clears at this ask or below
    lowest_limit: NDArray[np.int64]  # a purchase clears at this limit or above
    slope: float = 0.0  # USD/kWh by which the price falls per kW of the VPP's net sales


class Clearing(Protocol):
    """An energy market."""

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Prices = 0.0, shift: Prices = 0.0) -> Terms:
        """State the terms of S intervals of M months.

        Parameters
        ----------
        lmp_usd_per_kwh : ndarray
            (S, M) real-time prices, USD/kWh.
        incentive : ndarray or float
            (S, M) what a programme pays for a kWh of net delivery, USD/kWh: a sale earns it, a purchase gives it up.
        shift : ndarray or float
            (S, M) standard logistic draws of the month; the same for every policy.
        """
        ...


def floor_tick(price: Floats) -> NDArray[np.int64]:
    """Largest tick that is not above `price` (USD/kWh), forgiving float noise of 1e-9 ticks."""
    return np.floor(price / PRICE_TICK + 1e-9).astype(np.int64)


@dataclass(frozen=True)
class PriceTaker:
    """The default: a sale clears when ask x (1 + margin) <= lmp, a purchase when limit >= lmp."""

    margin: float

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Prices = 0.0, shift: Prices = 0.0) -> Terms:
        """See `Clearing.terms`."""
        worth = lmp_usd_per_kwh + incentive
        return Terms(floor_tick(worth / (1.0 + self.margin)), -floor_tick(-worth))


@dataclass(frozen=True)
class Pm10:
    """Accept a bid at up to 1.1 x lmp: the published reference's rule, for reproducing it only."""

    factor: float = 1.1

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Prices = 0.0, shift: Prices = 0.0) -> Terms:
        """See `Clearing.terms`."""
        worth = lmp_usd_per_kwh + incentive
        return Terms(floor_tick(self.factor * worth), -floor_tick(-worth / self.factor))


@dataclass(frozen=True)
class ResidualSupply(PriceTaker):
    """A price taker's rule at lmp' = lmp - slope x the VPP's own net MW: selling lowers the price, buying raises it."""

    slope: float  # USD/kWh per kW

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Prices = 0.0, shift: Prices = 0.0) -> Terms:
        """See `Clearing.terms`; the ticks are those without the VPP's own influence."""
        return super().terms(lmp_usd_per_kwh, incentive)._replace(slope=self.slope)


@dataclass(frozen=True)
class Logit(PriceTaker):
    """A slice clears with probability 1 / (1 + exp((offer - lmp) / scale)), one hidden draw an interval; paid lmp."""

    scale: float  # USD/kWh

    def terms(self, lmp_usd_per_kwh: Floats, incentive: Prices = 0.0, shift: Prices = 0.0) -> Terms:
        """See `Clearing.terms`: a logistic shift of the threshold is that probability, with no exp in a step."""
        return super().terms(lmp_usd_per_kwh + self.scale * shift, incentive)


CLEARINGS: dict[str, Callable[[MarketSpec], Clearing]] = {
    "price_taker": lambda market: PriceTaker(market.margin),
    "pm10": lambda market: Pm10(),
    "residual_supply": lambda market: ResidualSupply(
        market.margin, market.residual_slope_usd_per_mwh_per_mw / KWH_PER_MWH**2
    ),
    "logit": lambda market: Logit(market.margin, market.logit_scale_usd_per_mwh / KWH_PER_MWH),
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
