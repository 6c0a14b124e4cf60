"""What the dispatch problem is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEGMENTS = 6
"""Pieces of a terminal value within what a device can reach over the horizon."""
MUCH = 1e5
"""A limit that never binds, kWh or kW."""


@dataclass(frozen=True)
class Devices:
    """Batteries (B,) and cars (C,) of the fleet: fixed for a month."""

    power: np.ndarray  # battery, kW
    low: np.ndarray  # kWh
    high: np.ndarray  # kWh
    v2g: np.ndarray  # car, kW; 0 = cannot


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

    sell: np.ndarray  # (B, K) kW
    buy: np.ndarray  # (B, K) kW
    floor: np.ndarray  # (B,) kWh
    reserve_b: np.ndarray  # (B, O) kW
    reserve_e: np.ndarray  # (C, O) kW of charging that may stand by
    day_kwh: np.ndarray  # (2, B) kWh that may be discharged today, and on every later day of the horizon
    today: np.ndarray  # (O,) 1 for an opportunity of today


@dataclass(frozen=True)
class Inputs:
    """What changes from gate to gate; K intervals, O opportunities, U V2G cars."""

    lmp: np.ndarray  # (K,) USD/kWh
    sale: np.ndarray  # (K,) USD/kWh that a sale brings: with a programme's incentive
    rho: np.ndarray  # (O,) USD/kW-h
    soc: np.ndarray  # (B,) kWh
    surplus: np.ndarray  # (B, K) kW
    value_low: np.ndarray  # (B,) kWh: where the terminal value's pieces begin
    value_width: np.ndarray  # (B,) kWh: width of a piece
    slopes: np.ndarray  # (B, SEGMENTS) USD/kWh, non-increasing
    deficit: np.ndarray  # (C,) kWh
    p_baseline: np.ndarray  # (C, K) kW that may be deferred
    charge_room: np.ndarray  # (C, K) kW that the charger can take above the baseline's
    v2g_room: np.ndarray  # (U, K) kW, 0 while away
    deficit_room: np.ndarray  # (C, O) kWh: most deficit by the end of o
    back_width: np.ndarray  # (C,) kWh: width of a piece of the price of returning it; the last one has no end
    back: np.ndarray  # (C, SEGMENTS) USD/kWh of deficit, non-decreasing
    capacity_kw: float
    least_kw: float = 0.0  # the market's minimum: a smaller award is void
    limits: Limits | None = None


@dataclass(frozen=True)
class Plan:
    """The solution, kW: (B, K), (C, K); reserve (B, O) and (C, O)."""

    sell_b: np.ndarray
    buy_b: np.ndarray
    reserve_b: np.ndarray
    defer: np.ndarray
    back: np.ndarray
    v2g: np.ndarray
    reserve_e: np.ndarray
    late_kwh: np.ndarray  # (C,) most by which a car's limit cannot be met whatever is done
    objective_usd: float
    status: str
    seconds: float
    committed: bool = False  # the market's minimum needed on/off decisions
