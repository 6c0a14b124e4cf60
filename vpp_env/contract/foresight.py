"""Perfect foresight: everything that an optimizer of the whole rest of a month may know, in one record.

Made by `view_builder` for the information set ORACLE only. It is the common ground of the optimizers and of the bounds:
prices, what the homes do by themselves, and what the owners ask, by 15-min step from now to the end of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Foresight:
    """T steps from now to the end of the run, N homes, O opportunities of `steps` steps; read-only.

    Money USD, prices USD/kWh (capacity USD/kW-h), power kW, energy kWh.
    """

    steps: int  # 15-min steps in an opportunity
    lmp: np.ndarray  # (T,) real-time price without the VPP's own influence
    sale: np.ndarray  # (T,) the same with a programme's incentive: what a kWh sold brings
    slope: float  # USD/kWh by which the price falls per kW of the VPP's net sales
    spread: np.ndarray  # (T,) day-ahead less real-time price where schedules are settled, else 0
    reserve_up: np.ndarray  # (T,) best price of an upward reserve product, 0 where none is sold
    reserve_down: np.ndarray  # (T,) price of the downward product
    called: np.ndarray  # (T,) bool: reserve is called
    highest_ask: np.ndarray  # (T,) a sale clears at this ask or below, whatever the VPP does to the price
    lowest_limit: np.ndarray  # (T,) a purchase clears at this limit or above, whatever the VPP does to the price
    raised: float  # USD/kWh that the VPP's own purchases can raise the price by
    paid_share: float  # share of the market's price that the payment rule gives the members at least
    import_usd_per_kwh: np.ndarray  # (T,) retail tariff
    export_usd_per_kwh: float  # export credit
    away_usd_per_kwh: float  # charging elsewhere
    # the homes by themselves
    surplus_kw: np.ndarray  # (T, N) own sun that is left over
    shortage_kw: np.ndarray  # (T, N) load and charging beyond the sun
    self_consumption: bool  # the battery serves the home's own shortage
    baseline_usd: np.ndarray  # (N,) what the baseline's battery earns its owner on the retail bill, less wear
    baseline_bess_kwh: np.ndarray  # (N,) what the baseline's battery holds at the end
    baseline_ev_kw: np.ndarray  # (T, N) the undispatched car's charging
    baseline_ev_soc_kwh: np.ndarray  # (T + 1, N) its energy at the start of the step, after arrivals
    plugged: np.ndarray  # (T, N) bool
    arrives: np.ndarray  # (T + 1, N) bool: the car comes home at the start of this step
    due: np.ndarray  # (T, N) int64 steps until the car must be ready, 0 while it is away
    # the owners
    blackout: np.ndarray  # (T, N) bool: no dispatch wanted
    own_ask: np.ndarray  # (O, N) per kWh discharged
    defer_ask: np.ndarray  # (O, N) per kWh of deferred charging
    reserve_ask: np.ndarray  # (O, N) per kW and hour
    refill_end: np.ndarray  # (N,) at the end, what a kWh into the battery costs
    back_end: np.ndarray  # (N,) at the end, what a kWh of charging bought back costs
    day: np.ndarray  # (T,) int64 local day

    @property
    def n_steps(self) -> int:
        """Steps to the end."""
        return len(self.lmp)
