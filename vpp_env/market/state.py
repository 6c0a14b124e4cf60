"""What the compiled opportunity reads and leaves behind: the market's board and the opportunity's sheet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.core.layout import N_OUT

# rows of the offers, (6, E, N) int64, in the order of `bids.Offers`
SELL_Q, SELL_TICK, BUY_Q, BUY_TICK, RESERVE_Q, RESERVE_TICKS = range(6)


class Board(NamedTuple):
    """What the market knows of one opportunity: S intervals, E markets, K reserve products."""

    highest_ask: np.ndarray  # (S, E) int64 ticks
    lowest_limit: np.ndarray  # (S, E) int64 ticks
    lmp: np.ndarray  # (S, E) USD/kWh, before the VPP's own influence
    rho: np.ndarray  # (S, E, K) USD/kW-h
    reserve_highest: np.ndarray  # (S, E, K) int64 reserve ticks
    called: np.ndarray  # (S, E) bool
    is_down: np.ndarray  # (K,) bool
    callable: np.ndarray  # (K,) bool
    cap_q: np.ndarray  # (E,) int64
    min_q: int
    incentive: np.ndarray  # (S, E) USD/kWh that a programme adds to the price of a sale
    slope: float  # USD/kWh by which the price falls per quantum of net sales
    offer_factor: float  # offer / ask
    da: np.ndarray  # (S, E) day-ahead price, USD/kWh
    day_ahead_kw: np.ndarray  # (S, E) day-ahead award, plus = sale


class Sheet(NamedTuple):
    """What an opportunity leaves behind, filled by `play`."""

    ledger: np.ndarray  # (N_LEDGER, E*N)
    events: np.ndarray  # (3, E*N) departures, shortfalls, missed trips
    flow: np.ndarray  # (S, N_OUT, E) kW
    lmp: np.ndarray  # (S, E) price that is settled at, USD/kWh
    award_kw: np.ndarray  # (S, E) net energy award
    called_kw: np.ndarray  # (S, E)
    reserve_kw: np.ndarray  # (S, E)
    reserve_usd_per_h: np.ndarray  # (S, E)
    projected_kw: np.ndarray  # (S, E)
    void: np.ndarray  # (S, E) bool
    soc_kwh: np.ndarray  # (S, 2, E)
    soc_home_kwh: np.ndarray  # (S, 2, E*N)


def new_sheet(steps: int, e: int, n: int) -> Sheet:
    """Return an empty sheet."""
    return Sheet(
        ledger=np.zeros((led.N_LEDGER, e * n)),
        events=np.zeros((3, e * n)),
        flow=np.zeros((steps, N_OUT, e)),
        lmp=np.zeros((steps, e)),
        award_kw=np.zeros((steps, e)),
        called_kw=np.zeros((steps, e)),
        reserve_kw=np.zeros((steps, e)),
        reserve_usd_per_h=np.zeros((steps, e)),
        projected_kw=np.zeros((steps, e)),
        void=np.zeros((steps, e), dtype=np.bool_),
        soc_kwh=np.zeros((steps, 2, e)),
        soc_home_kwh=np.empty((steps, 2, e * n)),
    )
