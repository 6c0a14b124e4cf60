"""What the dispatch problem is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEGMENTS = 6
"""Pieces of a terminal value within what a device can reach over the horizon."""
MUCH = 1e5
"""A limit that never binds, kWh or kW."""


@dataclass(frozen=True)
class Devices:
    """Batteries (B,) and cars (C,) of the fleet: fixed for a month."""

    power: NDArray[np.float64]  # battery, kW
    low: NDArray[np.float64]  # kWh
    high: NDArray[np.float64]  # kWh
    v2g: NDArray[np.float64]  # car, kW; 0 = cannot


@dataclass(frozen=True)
class Physics:
    """Constants of the month."""

    dt: float  # h
    eta_b: float
    eta_e: float
    wear: float  # USD/kWh discharged
    reserve_h: float
    steps: int  # intervals in an opportunity
    export: float = 0.0  # USD/kWh of own sun that is stored instead of exported


@dataclass(frozen=True)
class Limits:
    """What the owners allow; everything where nobody asks them."""

    sell: NDArray[np.float64]  # (B, K) kW
    buy: NDArray[np.float64]  # (B, K) kW
    floor: NDArray[np.float64]  # (B,) kWh
    reserve_b: NDArray[np.float64]  # (B, O) kW
    reserve_e: NDArray[np.float64]  # (C, O) kW of charging that may be on reserve
    day_kwh: NDArray[np.float64]  # (2, B) kWh that may be discharged today, and on every later day of the horizon
    today: NDArray[np.float64]  # (O,) 1 for an opportunity of today


@dataclass(frozen=True)
class Inputs:
    """What changes from gate to gate; K intervals, O opportunities, U V2G cars."""

    lmp: NDArray[np.float64]  # (K,) USD/kWh
    sale: NDArray[np.float64]  # (K,) USD/kWh that a sale brings: with a programme's incentive
    rho: NDArray[np.float64]  # (O,) USD/kW-h
    soc: NDArray[np.float64]  # (B,) kWh
    surplus: NDArray[np.float64]  # (B, K) kW
    value_low: NDArray[np.float64]  # (B,) kWh: where the terminal value's pieces begin
    value_width: NDArray[np.float64]  # (B,) kWh: width of a piece
    slopes: NDArray[np.float64]  # (B, SEGMENTS) USD/kWh, non-increasing
    deficit: NDArray[np.float64]  # (C,) kWh
    p_baseline: NDArray[np.float64]  # (C, K) kW that may be deferred
    charge_room: NDArray[np.float64]  # (C, K) kW that the charger can take above the baseline's
    v2g_room: NDArray[np.float64]  # (U, K) kW, 0 while away
    deficit_room: NDArray[np.float64]  # (C, O) kWh: most deficit by the end of o
    back_width: NDArray[np.float64]  # (C,) kWh: width of a piece of the price of returning it; the last one has no end
    back: NDArray[np.float64]  # (C, SEGMENTS) USD/kWh of deficit, non-decreasing
    capacity_kw: float
    limits: Limits | None = None


@dataclass(frozen=True)
class GatePlan:
    """The solution, kW: (B, K), (C, K); reserve (B, O) and (C, O)."""

    sell_b: NDArray[np.float64]
    buy_b: NDArray[np.float64]
    reserve_b: NDArray[np.float64]
    defer: NDArray[np.float64]
    back: NDArray[np.float64]
    v2g: NDArray[np.float64]
    reserve_e: NDArray[np.float64]
    late_kwh: NDArray[np.float64]  # (C,) most by which a car's limit cannot be met whatever is done
    worth_b: NDArray[np.float64]  # (B,) USD/kWh: what a kWh held after the first opportunity is worth to the plan
    objective_usd: float
    status: str
    seconds: float
