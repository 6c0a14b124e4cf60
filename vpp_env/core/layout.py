"""Row numbers of the packed arrays that the kernels read and write.

A kernel takes few arguments (each costs dispatch time), so parameters, state, quotes and results are matrices
with one row per quantity and one column per home, all float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet
from vpp_env.units import DT_H

# constants vector
C_DT, C_ETA_B, C_ETA_EV, C_RESERVE_H, C_SELF, C_DEGRADATION = range(6)
C_IMPORT_PEAK, C_IMPORT_OFF, C_EXPORT, C_AWAY = range(6, 10)
N_CONST = 10

# parameters of a home, (N_PARAM, N)
(
    BESS_KW,  # kW
    BESS_MIN,  # kWh, hard
    BESS_MAX,  # kWh, hard
    FLOOR,  # kWh, reserve floor
    EV_KWH,  # kWh
    EV_KW,  # kW
    V2G_KW,  # kW
    EV_MIN,  # kWh, hard
    EV_TARGET,  # kWh
    DAY_LIMIT,  # kWh of battery discharge per day inside the envelope
    CYCLE_LIMIT,  # kWh per day before it is over-cycling
    BUY_LIMIT,  # USD/kWh
    BO1_FROM,  # quarter hour of the week, -1 = none
    BO1_TO,
    BO2_FROM,
    BO2_TO,
) = range(16)
N_PARAM = 16

# state of a home, (N_STATE, N)
(
    SOC_B,  # kWh in the battery
    SOC_E,  # kWh in the car
    DIS_DAY,  # kWh discharged by the battery for the market since local midnight
    BREACH_DAY,  # local day on which SoC fell below the floor; -1 = it is not below
    EV_DEPTH,  # share of capacity: worst shortfall since the car had to be ready
) = range(5)
N_STATE = 5

# what the market may count on now, (N_QUOTE, N), kW
SELL_HARD, BUY_HARD, RESERVE_UP, RESERVE_DOWN = range(4)
N_QUOTE = 4

# results of one physics step, (N_OUT, N), kW unless said
(
    SOLD,  # delivered on the sell award
    CALLED,  # delivered on a reserve call
    BOUGHT,  # taken on the buy award
    FORCED,  # bought back by force for a car that must be ready
    DEFER,  # part of SOLD + CALLED that is deferred charging
    B_DIS,  # part of SOLD + CALLED from the battery
    V2G,  # part of SOLD + CALLED from the car's battery
    BEYOND,  # part of SOLD + CALLED + BOUGHT outside the owner's envelope
    B_BUY,  # part of BOUGHT into the battery
    B_HOME_CH,  # battery charged by the home itself (own sun, or restoring the floor)
    B_HOME_DIS,  # battery discharged into the home's own load
    EV_CH,  # charging power of the car
    RETAIL,  # what the retail meter sees, plus = export
    RETAIL_BASELINE,  # the same for the baseline
    DEPTH,  # share of the floor that is breached beyond the baseline's breach
    OVER,  # kWh of this step's discharge beyond the daily cycle limit
    BLACKOUT,  # 1 in a blackout window
    MARKET,  # market energy of the home: sold + called - bought - forced
) = range(18)
N_OUT = 18

# what happened at the start of a step, (N_EVENT, N)
# 0/1; share of capacity that the target is missed by; 0/1 trip not possible; kWh charged elsewhere
DEPARTED, SHORT, MISSED, AWAY_KWH = range(4)
N_EVENT = 4

# bounds of a home for its own view over one opportunity, (N_BOUND, N), kW
(
    D_FIRST,  # charging that can be deferred in the first step
    D_MEAN,  # the same, mean over the opportunity
    D_MIN,  # the same, smallest over the opportunity
    B_ENV,  # battery, sustained, inside the envelope
    B_HARD,  # battery, sustained, down to the hard minimum
    V_ENV,  # V2G, sustained, inside the envelope
    V_HARD,  # V2G, sustained, down to the hard minimum
    S_ENV,  # battery and V2G together, sustained in the order of delivery, inside the envelope
    BUY_EV,  # buying back what the car deferred, sustained
    BUY_B,  # battery charging, sustained
    R_ENV,  # reserve inside the envelope (energy for the reserve period)
    R_HARD,  # reserve down to the hard minimum
    TW_FIRST,  # power at which the baseline's car charges now
    HOURS_LEFT,  # h until the car must be ready; 0 when away
    PLUGGED,  # 0/1
    BLACK_NOW,  # 0/1
    BLACK_4H,  # 0/1: a blackout window within 4 h
) = range(17)
N_BOUND = 17


class DayPlan(NamedTuple):
    """One local day as the kernels read it: n steps, N homes."""

    load: np.ndarray  # (n, N) float32 kW
    pv: np.ndarray  # (n, N) float32 kW
    dep: np.ndarray  # (N,) int64 step, -1 = stays
    arr: np.ndarray  # (N,) int64 step, -1 = stays
    trip: np.ndarray  # (N,) float64 kWh
    ready: np.ndarray  # (N,) int64 step at which the car must be ready
    next_due: np.ndarray  # (N,) int64 steps after midnight at which it is due tomorrow
    week_step: np.ndarray  # (n,) int64 quarter hour of the week
    peak: np.ndarray  # (n,) bool: peak tariff
    restore_step: int  # from this step on a long-breached floor is restored
    day: int  # local day number


class BaselineDay(NamedTuple):
    """The baseline's day: what the homes do with no market at all."""

    ev_kw: np.ndarray  # (n, N) kW charging
    ev_soc: np.ndarray  # (n, N) kWh at the start of the step, after arrivals
    bess_soc: np.ndarray  # (n, N) kWh at the end of the step
    bess_ch: np.ndarray  # (n, N) kW charged by the home
    bess_dis: np.ndarray  # (n, N) kW discharged into the home


def constants(scenario: Scenario) -> np.ndarray:
    """Pack the scenario's physical constants, (N_CONST,)."""
    c = np.zeros(N_CONST)
    home = scenario.home
    c[C_DT] = DT_H
    c[C_ETA_B], c[C_ETA_EV] = scenario.fleet.bess_eta, scenario.fleet.ev_eta
    c[C_RESERVE_H] = scenario.market.reserve_minutes / 60
    c[C_SELF] = float(home.control == "self_consumption")
    c[C_DEGRADATION] = home.degradation_usd_per_kwh
    c[C_IMPORT_PEAK], c[C_IMPORT_OFF] = home.import_peak_usd_per_kwh, home.import_offpeak_usd_per_kwh
    c[C_EXPORT], c[C_AWAY] = home.export_credit_usd_per_kwh, home.away_charging_usd_per_kwh
    return c


def parameters(fleet: Fleet) -> np.ndarray:
    """Pack the fleet, (N_PARAM, N)."""
    p = np.empty((N_PARAM, fleet.n))
    p[BESS_KW], p[BESS_MIN], p[BESS_MAX], p[FLOOR] = (
        fleet.bess_kw,
        fleet.bess_min_kwh,
        fleet.bess_max_kwh,
        fleet.floor_kwh,
    )
    p[EV_KWH], p[EV_KW], p[V2G_KW] = fleet.ev_kwh, fleet.ev_kw, fleet.v2g_kw
    p[EV_MIN], p[EV_TARGET] = fleet.ev_min_kwh, fleet.ev_target_kwh
    p[DAY_LIMIT], p[CYCLE_LIMIT] = fleet.day_discharge_kwh, fleet.cycle_limit_kwh
    p[BUY_LIMIT] = fleet.buy_limit
    p[BO1_FROM : BO2_TO + 1] = fleet.blackout.reshape(fleet.n, 4).T
    return p


def initial_state(fleet: Fleet) -> np.ndarray:
    """State at the start, (N_STATE, N): cars begin charged to their target [assumed]."""
    s = np.zeros((N_STATE, fleet.n))
    s[SOC_B], s[SOC_E], s[BREACH_DAY] = fleet.bess_init_kwh, fleet.ev_target_kwh, -1.0
    return s
