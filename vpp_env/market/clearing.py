"""Energy clearing: a protocol with registered implementations.

A clearing sees the offers of one 15-min interval, already limited to what each home can deliver, and the real-time
price; it returns what is awarded. The rules of model `caiso2023`: the VPP is a price taker; the offer of a slice is
its ask x (1 + margin); sells and buys net out inside the VPP; an award whose net total is below the minimum bid is
void; the VPP's maximum caps each side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.market.merit import clear_side
from vpp_env.scenario import MarketSpec
from vpp_env.units import KWH_PER_MWH, POWER_QUANTUM_KW, PRICE_TICK


@dataclass(frozen=True)
class EnergyAward:
    """Result for E markets of N homes, quanta."""

    sell_q: np.ndarray  # (E, N) int64
    buy_q: np.ndarray  # (E, N) int64
    last_tick: np.ndarray  # (E,) int64: highest ask awarded (uniform pricing)
    void: np.ndarray  # (E,) bool: the net award was below the minimum bid


class Clearing(Protocol):
    """An energy market for one interval."""

    def clear(
        self,
        sell_q: np.ndarray,
        sell_tick: np.ndarray,
        buy_q: np.ndarray,
        buy_tick: np.ndarray,
        lmp_usd_per_kwh: np.ndarray,
        cap_q: np.ndarray,
    ) -> EnergyAward:
        """Clear (E, N) integer offers at real-time prices (E,), at most `cap_q` (E,) quanta a side."""
        ...


def floor_tick(price: np.ndarray) -> np.ndarray:
    """Largest tick that is not above `price` (USD/kWh), forgiving float noise of 1e-9 ticks."""
    return np.floor(price / PRICE_TICK + 1e-9).astype(np.int64)


@dataclass(frozen=True)
class Threshold:
    """A market whose price does not depend on the offers: sell and buy slices clear on their side of a threshold."""

    min_q: int
    sell_threshold: Callable[[np.ndarray], np.ndarray]  # price -> highest ask tick that clears
    buy_threshold: Callable[[np.ndarray], np.ndarray]  # price -> lowest limit tick that clears

    def clear(
        self,
        sell_q: np.ndarray,
        sell_tick: np.ndarray,
        buy_q: np.ndarray,
        buy_tick: np.ndarray,
        lmp_usd_per_kwh: np.ndarray,
        cap_q: np.ndarray,
    ) -> EnergyAward:
        """Clear one interval; see `Clearing.clear`."""
        highest = self.sell_threshold(lmp_usd_per_kwh)
        lowest = self.buy_threshold(lmp_usd_per_kwh)
        # a home whose sell and buy would both clear trades the difference only
        both = (sell_tick <= highest[:, None]) & (buy_tick >= lowest[:, None])
        inside = np.where(both, np.minimum(sell_q, buy_q), 0)
        sell, buy = np.empty_like(sell_q), np.empty_like(buy_q)
        last, _ = np.empty_like(highest), np.empty_like(highest)
        clear_side(sell_q - inside, sell_tick, highest, cap_q, sell, last)
        clear_side(buy_q - inside, -buy_tick, -lowest, cap_q, buy, _)
        net = np.abs(sell.sum(axis=1) - buy.sum(axis=1))
        void = net < self.min_q
        if void.any():
            sell[void] = 0
            buy[void] = 0
        return EnergyAward(sell, buy, last, void)


def _min_quanta(market: MarketSpec) -> int:
    return int(np.ceil(market.min_bid_mw * KWH_PER_MWH / POWER_QUANTUM_KW - 1e-9))


def price_taker(market: MarketSpec) -> Clearing:
    """The default: a slice clears when ask x (1 + margin) <= lmp, a buy slice when limit >= lmp."""
    return Threshold(
        _min_quanta(market),
        lambda lmp: floor_tick(lmp / (1.0 + market.margin)),
        lambda lmp: -floor_tick(-lmp),
    )


def pm10(market: MarketSpec) -> Clearing:
    """Accept a bid at up to 1.1 x lmp: the published reference's rule, for reproducing it only."""
    return Threshold(
        _min_quanta(market),
        lambda lmp: floor_tick(1.1 * lmp),
        lambda lmp: -floor_tick(-lmp / 1.1),
    )


CLEARINGS: dict[str, Callable[[MarketSpec], Clearing]] = {"price_taker": price_taker, "pm10": pm10}


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
