"""What one opportunity brought: the record that the world hands out after every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vpp_env.contract.bids import Offers
from vpp_env.market.payment import PaymentRule
from vpp_env.market.state import Board


class Money(NamedTuple):
    """The VPP's ledger of one opportunity, each (E,) USD: market revenue = profit + payments + compute."""

    energy: np.ndarray
    reserve: np.ndarray
    nopay: np.ndarray
    deviation: np.ndarray
    payments: np.ndarray
    compute: np.ndarray
    programme: np.ndarray
    day_ahead: np.ndarray  # what the day-ahead award earned over the real-time price

    @property
    def revenue(self) -> np.ndarray:
        """What the market pays."""
        return self.energy + self.reserve - self.nopay - self.deviation + self.programme + self.day_ahead

    @property
    def profit(self) -> np.ndarray:
        """What is left to the VPP."""
        return self.revenue - self.payments - self.compute


@dataclass(frozen=True)
class Outcome:
    """What one opportunity brought; arrays are fresh, E months of N homes, S intervals."""

    opportunity: int  # index
    ledger: np.ndarray  # (N_LEDGER, E, N) see core.ledger
    money: Money  # (E,) each
    lmp: np.ndarray  # (S, E) USD/kWh, as settled
    award_kw: np.ndarray  # (S, E) net energy award
    market_kw: np.ndarray  # (S, E) metered
    reserve_kw: np.ndarray  # (S, E) reserve awarded
    rho: np.ndarray  # (S, E, K) USD/kW-h of each reserve product on sale
    void: np.ndarray  # (S, E) bool: there was an award, and it was below the minimum bid
    flow_kw: np.ndarray  # (S, N_OUT, E) sums of the step results over homes
    soc_kwh: np.ndarray  # (S, 2, E) batteries, and batteries of the baseline, at the end of the interval
    departed: np.ndarray  # (E, N) departures in this opportunity
    short: np.ndarray  # (E, N) shortfall of the car at a departure, share of its capacity
    missed: np.ndarray  # (E, N) 1 where the trip's energy was not in the car, though the baseline's had it
    offers: Offers  # decoded bids, (E, N)
    projected_kw: np.ndarray  # (E,) mean over intervals of the kW that were bid but cannot be delivered
    rewards: np.ndarray  # (E, N) USD
    incentive: np.ndarray  # (S, E) USD/kWh that a programme adds to the price of a sale
    day_ahead_kw: np.ndarray  # (S, E) day-ahead award
    soc_home_kwh: np.ndarray  # (S, 2, E, N) each battery and its baseline, at the end of the interval


class Snapshot(NamedTuple):
    """Copies of what the compiled opportunity takes, for measuring it alone; see `market.opportunity.play`."""

    kernel: tuple[Any, ...]  # constants, parameters, state, plan, baseline
    board: Board
    pay: PaymentRule
    own: np.ndarray
    scratch: tuple[np.ndarray, ...]  # quote, event, out
