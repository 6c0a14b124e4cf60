"""The types of the physics on one screen: what a home is, what the outside does to it, what it does; and their packing.

Types that hold a `T` are generic: `Home[Floats]` is a struct of arrays (N,) over the homes, `Home[float]` one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp_env.core.devices.battery import Battery, BatteryRules, BatteryState
from vpp_env.core.devices.vehicle import Vehicle, VehicleRules, VehicleState, VehicleStep
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet
from vpp_env.units import DT_H, Floats

T = TypeVar("T")


# -- what does not change ----------------------------------------------------------------------------------


class Home(NamedTuple, Generic[T]):
    """Parameters; what contracts move is None where nobody has one."""

    battery: Battery[T]
    vehicle: Vehicle[T]
    buy_limit: T  # USD/kWh, above which the owner would not charge
    blackout_1: tuple[T, T]  # [from, to) in quarter hours of the week; -1 = none
    blackout_2: tuple[T, T]
    waived: T | None  # 1: a contract waives the blackout windows
    most_kw: T | None  # kW that it may sell or be called for at once by contract


class HomeState(NamedTuple, Generic[T]):
    """State at the start of a step."""

    battery: BatteryState[T]
    vehicle: VehicleState[T]


class Quote(NamedTuple, Generic[T]):
    """What the market may count on now, kW, down to the hard limits: what the owner wants is the bidder's business."""

    sell: T
    buy: T
    reserve_up: T
    reserve_down: T
    reserve_kept: T  # of `reserve_up` what is inside the owner's envelope


class Rules(NamedTuple):
    """What all homes share."""

    battery: BatteryRules
    vehicle: VehicleRules
    dt_h: float  # h, length of a step
    degradation: float  # USD per kWh discharged
    import_peak: float  # USD/kWh
    import_offpeak: float
    export: float
    away: float  # of charging elsewhere
    feeder_homes: int  # homes behind one transformer
    feeder_kw: float  # its rating, kW; inf where there are no feeders


class Homes(NamedTuple):
    """All homes of a world as the loops take them; `state` and `quote` are changed in place."""

    rules: Rules
    home: Home[Floats]
    state: HomeState[Floats]
    quote: Quote[Floats]


# -- what the outside world does ---------------------------------------------------------------------------


class DayPlan(NamedTuple):
    """One local day as the kernels read it: n steps, N homes."""

    load: NDArray[np.float32]  # (n, N) kW
    pv: NDArray[np.float32]  # (n, N) kW
    dep: NDArray[np.int64]  # (N,) step at which yesterday's car session ends, 0 = none, n = it goes on all day
    arr: NDArray[np.int64]  # (N,) step at which the car is plugged in, n = it is not
    out: NDArray[np.int64]  # (N,) step at which today's session ends, n = it goes on
    trip: Floats  # (N,) kWh used before `arr`
    ready: NDArray[np.int64]  # (N,) step at which the car must be ready, if it is plugged in
    next_due: NDArray[np.int64]  # (N,) steps after midnight at which it is due tomorrow
    week_step: NDArray[np.int64]  # (n,) quarter hour of the week
    peak: NDArray[np.bool_]  # (n,) peak tariff
    restore_step: int  # from this step on a long-breached floor is restored
    day: int  # local day number


class BaselineDay(NamedTuple):
    """The baseline's day: what the homes do with no market at all."""

    ev_kw: Floats  # (n, N) kW charging
    ev_soc: Floats  # (n, N) kWh at the start of the step, after arrivals
    bess_soc: Floats  # (n, N) kWh at the end of the step
    bess_ch: Floats  # (n, N) kW charged by the home
    bess_dis: Floats  # (n, N) kW discharged into the home
    ev_late: Floats  # (n, N) kWh that full power would bring after the step until it is due, and its feeder will not


class Day(NamedTuple):
    """A day and its baseline."""

    plan: DayPlan
    baseline: BaselineDay


class Step(NamedTuple):
    """One step of one home's day."""

    day: int
    week_step: int  # quarter hour of the week
    peak: bool  # peak tariff
    k: int
    restore_step: int
    net_kw: float  # solar output less load less the baseline's car: what the retail meter sees but for the battery
    bess_soc: float  # kWh in the baseline's battery at the end of the step
    bess_ch: float  # kW
    bess_dis: float  # kW
    vehicle: VehicleStep


# -- what the market wants, and what comes of it -----------------------------------------------------------


class Order(NamedTuple, Generic[T]):
    """What the market awarded for a step, kW."""

    sell: T
    dear: T  # of it, on the dearer of the home's two sell lines
    call: T  # delivery of reserve
    buy: T
    reserve: T  # capacity on reserve
    available: T  # of it, what the home can keep up
    free: T  # 1: the owner's envelope is overridden, 0: the gateway keeps it
    down: T  # 1: the reserve is headroom to charge


class Price(NamedTuple, Generic[T]):
    """Prices of a step, USD/kWh; reserve USD/kW-h."""

    lmp: T  # real-time price
    sold: T  # pay per kWh sold on the cheaper line
    dear: T  # pay per kWh sold on the dearer line, and called
    bought: T  # what a kWh bought costs its home: the real-time price, and never more than its limit
    reserve: T  # pay per kW-h of reserve
    rho: T  # market price of the reserve product that the home serves
    own: T  # the owner's compensation per kWh discharged; by contract what it is paid for one
    defer: T  # the owner's ask per kWh of deferred charging; by contract what it is paid for one
    agreed: T | None  # 1: a contract pays `own` and `defer`, whatever its lines say


class Flow(NamedTuple, Generic[T]):
    """What a home did in one step, kW unless said."""

    sold: T  # delivered on the sell award
    called: T  # delivered on a reserve call
    bought: T  # taken on the buy award
    forced: T  # bought back by force for a car that must be ready
    deferred: T  # part of sold + called that is deferred charging
    battery: T  # part of sold + called from the battery
    v2g: T  # part of sold + called from the car's battery
    beyond: T  # part of sold + called + bought outside the owner's envelope
    battery_bought: T  # part of bought into the battery
    home_charge: T  # battery charged by the home itself (own sun, or restoring the floor)
    home_discharge: T  # battery discharged into the home's own load
    ev_charge: T  # charging power of the car
    retail: T  # what the retail meter sees, plus = export
    retail_baseline: T  # the same for the baseline
    depth: T  # share of the floor that is breached beyond the baseline's breach
    over: T  # kWh of this step's discharge beyond the daily cycle limit
    blackout: T  # 1 in a blackout window
    market: T  # market energy of the home: sold + called - bought - forced


FLOW = Flow(*range(len(Flow._fields)))
"""Row of each flow in a matrix (N_FLOW, ...)."""
N_FLOW = len(FLOW)


# -- packing -----------------------------------------------------------------------------------------------


BLOCK = 16
"""Homes that the loops take at a time where there are no feeders."""


def rules_of(scenario: Scenario) -> Rules:
    """What all homes of a scenario share."""
    home, fleet, market = scenario.home, scenario.fleet, scenario.market
    reserve_h = market.reserve_minutes / 60
    return Rules(
        battery=BatteryRules(DT_H, fleet.bess_eta, reserve_h, home.control == "self_consumption"),
        vehicle=VehicleRules(DT_H, fleet.ev_eta, reserve_h),
        dt_h=DT_H,
        degradation=home.degradation_usd_per_kwh,
        import_peak=home.import_peak_usd_per_kwh,
        import_offpeak=home.import_offpeak_usd_per_kwh,
        export=home.export_credit_usd_per_kwh,
        away=home.away_charging_usd_per_kwh,
        feeder_homes=market.feeder_homes or BLOCK,
        feeder_kw=float(market.feeder_kw) if market.feeder_homes else math.inf,
    )


def parameters_of(fleet: Fleet) -> Home[Floats]:
    """Parameters of a fleet under no contract, (N,) each."""
    windows = fleet.blackout.astype(np.float64)
    made: Home[Floats] = Home(
        Battery(
            fleet.bess_kw,
            fleet.bess_min_kwh,
            fleet.bess_max_kwh,
            fleet.floor_kwh,
            fleet.day_discharge_kwh,
            fleet.cycle_limit_kwh,
            None,
        ),
        Vehicle(fleet.ev_kwh, fleet.ev_kw, fleet.v2g_kw, fleet.ev_min_kwh, fleet.ev_target_kwh, None, None, None),
        fleet.buy_limit,
        (windows[:, 0, 0], windows[:, 0, 1]),
        (windows[:, 1, 0], windows[:, 1, 1]),
        None,
        None,
    )
    return copied(made)


def initial_state(fleet: Fleet) -> HomeState[Floats]:
    """State at the start, (N,) each: cars begin charged to their target [assumed]."""
    zero = np.zeros(fleet.n)
    state: HomeState[Floats] = HomeState(
        BatteryState(fleet.bess_init_kwh, zero, zero - 1.0, zero), VehicleState(fleet.ev_target_kwh, zero, zero)
    )
    return copied(state)


def no_quote(n: int) -> Quote[Floats]:
    """A quote of nothing."""
    return Quote(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))


Arrays = TypeVar("Arrays", bound=tuple[Any, ...])


def side_by_side(parts: Sequence[Arrays]) -> Arrays:
    """The same structs of arrays of several fleets as one, homes along the last axis; nested ones too."""
    return _built(parts, lambda arrays: np.concatenate(arrays, axis=-1))


def copied(arrays: Arrays) -> Arrays:
    """A copy of a struct of arrays that may be written to, contiguous; nested ones too."""
    return _built([arrays], lambda x: np.array(x[0], order="C"))


def _built(parts: Sequence[Any], build: Callable[[Sequence[Any]], Any]) -> Any:
    first = parts[0]
    if first is None:
        return None
    if not isinstance(first, tuple):
        return build(parts)
    fields = [_built(x, build) for x in zip(*parts, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)
