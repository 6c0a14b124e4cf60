"""Units and signs, stated once and relied on everywhere.

Power is kW, energy kWh, money USD; prices inside the code are USD/kWh. Columns that face CAISO are USD/MWh
and MW and carry that in their name (`lmp_usd_per_mwh`). Plus is energy out to the grid, and money in to the
owner of the ledger: revenue = price x energy, also at negative prices.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
"""Arrays by their type; the shape stands beside each use, (N,) one for each home."""
T = TypeVar("T", float, Floats)

KWH_PER_MWH = 1000.0
"""Converts at the CAISO face: USD/MWh / this = USD/kWh, MW x this = kW."""
STEP_MINUTES = 15
"""Length of one physics step, minutes."""
STEPS_PER_HOUR = 60 // STEP_MINUTES
"""Physics steps of an hour."""
DT_H = STEP_MINUTES / 60.0
"""Length of one physics step, hours."""

PRICE_TICK = 0.001
"""Clearing resolution of prices, USD/kWh (1 USD/MWh)."""
POWER_QUANTUM_KW = 0.01
"""Clearing resolution of power, kW (10 W)."""

SELL_ASK_RANGE = (0.0, 1.0)
"""Span of a sell ask, USD per kWh: real-time prices spike beyond .5 (CAISO's soft cap is 1 USD/kWh)."""
BUY_LIMIT_RANGE = (-0.15, 0.35)
"""Span of a buy limit, USD per kWh."""
RESERVE_ASK_RANGE = (0.0, 0.05)
"""Span of a reserve ask, USD per kW and hour."""


def usd_per_kwh(usd_per_mwh: T) -> T:
    """Convert a CAISO price (USD/MWh, or USD/MW-h of capacity) to USD/kWh (USD/kW-h)."""
    return usd_per_mwh / KWH_PER_MWH
