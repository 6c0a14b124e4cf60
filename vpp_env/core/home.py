"""One home through one 15-min step: begin, quote, deliver, account. This is the only statement of the physics.

A home is its devices and its owner's limits. Types that hold a `T` are generic: `Home[Floats]` is a struct of arrays
(N,) over the homes, `Home[float]` one of them. The functions are of one home; `core.loops` calls them over all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp_env.core.devices.battery import (
    Battery,
    BatteryRules,
    BatteryState,
    OwnUse,
    battery_range,
    battery_step,
    inside_envelope,
    own_use,
    relative_depth,
    restores,
)
from vpp_env.core.devices.vehicle import (
    Vehicle,
    VehicleEvents,
    VehicleRules,
    VehicleState,
    VehicleStep,
    vehicle_begin,
    vehicle_limits,
    vehicle_range,
    vehicle_step,
)
from vpp_env.jit import inlined
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet
from vpp_env.units import DT_H

T = TypeVar("T")
Floats = NDArray[np.float64]
"""(N,) one number for each home."""


# -- what does not change ----------------------------------------------------------------------------------


class Home(NamedTuple, Generic[T]):
    """Parameters."""

    battery: Battery[T]
    vehicle: Vehicle[T]
    buy_limit: T  # USD/kWh, above which the owner would not charge
    blackout_1: tuple[T, T]  # [from, to) in quarter hours of the week; -1 = none
    blackout_2: tuple[T, T]


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
    dep: NDArray[np.int64]  # (N,) step, -1 = stays
    arr: NDArray[np.int64]  # (N,) step, -1 = stays
    trip: Floats  # (N,) kWh
    ready: NDArray[np.int64]  # (N,) step at which the car must be ready
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
    call: T  # delivery of reserve
    buy: T
    reserve: T  # capacity on reserve
    available: T  # of it, what the home can keep up


class Price(NamedTuple, Generic[T]):
    """Prices of a step, USD/kWh; reserve USD/kW-h."""

    lmp: T  # real-time price
    sold: T  # pay per kWh sold
    bought: T  # what a kWh bought costs its home: the real-time price, and never more than its limit
    reserve: T  # pay per kW-h of reserve
    rho: T  # market price of the reserve product that the home serves
    own: T  # the owner's compensation per kWh discharged
    defer: T  # the owner's ask per kWh of deferred charging


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


def rules_of(scenario: Scenario) -> Rules:
    """What all homes of a scenario share."""
    home, fleet, reserve_h = scenario.home, scenario.fleet, scenario.market.reserve_minutes / 60
    return Rules(
        battery=BatteryRules(DT_H, fleet.bess_eta, reserve_h, home.control == "self_consumption"),
        vehicle=VehicleRules(DT_H, fleet.ev_eta, reserve_h),
        dt_h=DT_H,
        degradation=home.degradation_usd_per_kwh,
        import_peak=home.import_peak_usd_per_kwh,
        import_offpeak=home.import_offpeak_usd_per_kwh,
        export=home.export_credit_usd_per_kwh,
        away=home.away_charging_usd_per_kwh,
    )


def parameters_of(fleet: Fleet) -> Home[Floats]:
    """Parameters of a fleet, (N,) each."""
    windows = fleet.blackout.astype(np.float64)
    made: Home[Floats] = Home(
        Battery(
            fleet.bess_kw,
            fleet.bess_min_kwh,
            fleet.bess_max_kwh,
            fleet.floor_kwh,
            fleet.day_discharge_kwh,
            fleet.cycle_limit_kwh,
        ),
        Vehicle(fleet.ev_kwh, fleet.ev_kw, fleet.v2g_kw, fleet.ev_min_kwh, fleet.ev_target_kwh),
        fleet.buy_limit,
        (windows[:, 0, 0], windows[:, 0, 1]),
        (windows[:, 1, 0], windows[:, 1, 1]),
    )
    return copied(made)


def initial_state(fleet: Fleet) -> HomeState[Floats]:
    """State at the start, (N,) each: cars begin charged to their target [assumed]."""
    zero = np.zeros(fleet.n)
    state: HomeState[Floats] = HomeState(
        BatteryState(fleet.bess_init_kwh, zero, zero - 1.0), VehicleState(fleet.ev_target_kwh, zero)
    )
    return copied(state)


def no_quote(n: int) -> Quote[Floats]:
    """A quote of nothing."""
    return Quote(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))


Arrays = TypeVar("Arrays", bound=tuple[Any, ...])


def side_by_side(parts: Sequence[Arrays]) -> Arrays:
    """The same structs of arrays of several fleets as one, homes along the last axis; nested ones too."""
    return _built(parts, lambda arrays: np.concatenate(arrays, axis=-1))


def copied(arrays: Arrays) -> Arrays:
    """A copy of a struct of arrays that may be written to, contiguous; nested ones too."""
    return _built([arrays], lambda x: np.array(x[0], order="C"))


def _built(parts: Sequence[Any], build: Callable[[Sequence[Any]], Any]) -> Any:
    first = parts[0]
    if not isinstance(first, tuple):
        return build(parts)
    fields = [_built(x, build) for x in zip(*parts, strict=True)]
    return type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)


# -- one home, gathered and put back -----------------------------------------------------------------------


@inlined
def home_at(h: Home[Floats], i: int) -> Home[float]:
    """Home i."""
    b, v, first, second = h.battery, h.vehicle, h.blackout_1, h.blackout_2
    return Home(
        Battery(
            b.kw[i], b.min_kwh[i], b.max_kwh[i], b.floor_kwh[i], b.day_limit_kwh[i], b.cycle_limit_kwh[i]
        ),
        Vehicle(v.kwh[i], v.kw[i], v.v2g_kw[i], v.min_kwh[i], v.target_kwh[i]),
        h.buy_limit[i],
        (first[0][i], first[1][i]),
        (second[0][i], second[1][i]),
    )  # fmt: skip


@inlined
def state_at(s: HomeState[Floats], i: int) -> HomeState[float]:
    """State of home i."""
    b, v = s.battery, s.vehicle
    return HomeState(
        BatteryState(b.soc_kwh[i], b.discharged_kwh[i], b.below_since[i]), VehicleState(v.soc_kwh[i], v.shortfall[i])
    )


@inlined
def put_state(s: HomeState[Floats], i: int, new: HomeState[float]) -> None:
    """Write the state of home i."""
    s.battery.soc_kwh[i] = new.battery.soc_kwh
    s.battery.discharged_kwh[i] = new.battery.discharged_kwh
    s.battery.below_since[i] = new.battery.below_since
    s.vehicle.soc_kwh[i] = new.vehicle.soc_kwh
    s.vehicle.shortfall[i] = new.vehicle.shortfall


@inlined
def step_at(day: Day, k: int, i: int) -> Step:
    """Step k of home i."""
    p, b = day.plan, day.baseline
    ev_kw = b.ev_kw[k, i]
    return Step(
        day=p.day,
        week_step=p.week_step[k],
        peak=p.peak[k],
        k=k,
        restore_step=p.restore_step,
        net_kw=p.pv[k, i] - p.load[k, i] - ev_kw,
        bess_soc=b.bess_soc[k, i],
        bess_ch=b.bess_ch[k, i],
        bess_dis=b.bess_dis[k, i],
        vehicle=VehicleStep(
            k=k,
            steps_in_day=len(p.load),
            dep=p.dep[i],
            arr=p.arr[i],
            trip_kwh=p.trip[i],
            ready=p.ready[i],
            next_due=p.next_due[i],
            baseline_kw=ev_kw,
            baseline_kwh=b.ev_soc[k, i],
            baseline_before_kwh=b.ev_soc[max(k - 1, 0), i],
        ),
    )


@inlined
def in_window(week_step: int, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether a quarter hour of the week lies in one of two windows [from, to) (-1 = no window)."""
    return (first[0] <= week_step < first[1]) or (second[0] <= week_step < second[1])


# -- the phases --------------------------------------------------------------------------------------------


@inlined
def begin(home: Home[float], state: HomeState[float], step: Step) -> tuple[HomeState[float], VehicleEvents]:
    """Begin a step: the day's counters start at midnight, the car departs and arrives."""
    b = state.battery
    discharged = 0.0 if step.k == 0 else b.discharged_kwh
    vehicle, events = vehicle_begin(home.vehicle, state.vehicle, step.vehicle)
    return HomeState(BatteryState(b.soc_kwh, discharged, b.below_since), vehicle), events


@inlined
def quote(home: Home[float], state: HomeState[float], step: Step, rules: Rules) -> Quote[float]:
    """What the home could deliver in this step."""
    car = vehicle_range(home.vehicle, state.vehicle, step.vehicle, rules.vehicle)
    own = _own_use(home, state, step, rules)
    battery = battery_range(home.battery, state.battery, own, rules.battery)
    take = car.take + battery.take
    return Quote(car.give + battery.give, take, car.give_reserve + battery.give_reserve, take)


@inlined
def _own_use(home: Home[float], state: HomeState[float], step: Step, rules: Rules) -> OwnUse:
    """What the home itself wants of its battery; its meter sees the baseline's car."""
    restore = restores(state.battery.below_since, step.day, step.k, step.restore_step)
    return own_use(home.battery, state.battery, step.net_kw, restore, rules.battery)


@inlined
def deliver(
    home: Home[float], state: HomeState[float], step: Step, order: Order[float], rules: Rules
) -> tuple[HomeState[float], Flow[float]]:
    """Run the devices through the step under an order.

    A home delivers cheapest first - deferred charging, battery, V2G, all inside the owner's envelope - and what is
    still owed then comes from beyond it, in the same order, down to the hard limits.
    """
    b, before = home.battery, state.battery
    black = in_window(step.week_step, home.blackout_1, home.blackout_2)
    car = vehicle_limits(home.vehicle, state.vehicle, step.vehicle, black, rules.vehicle)
    own = _own_use(home, state, step, rules)
    hard = battery_range(b, before, own, rules.battery).give
    inside = 0.0 if black else inside_envelope(b, before, rules.battery)
    # allocate what is owed
    owed = order.sell + order.call
    x = min(owed, car.defer)
    y = min(owed - x, inside)
    z = min(owed - x - y, car.v2g)
    kept = x + y + z
    x += min(max(0.0, owed - kept), car.defer_hard - x)
    y += min(max(0.0, owed - x - y - z), hard - y)
    z += min(max(0.0, owed - x - y - z), car.v2g_hard - z)
    given = x + y + z
    vehicle, ev = vehicle_step(
        home.vehicle, state.vehicle, step.vehicle, car.forced, (x, z), order.buy, rules.vehicle
    )  # fmt: skip
    battery, bess = battery_step(b, before, own, y, order.buy - ev.bought, step.day, rules.battery)
    # the record
    bought = ev.bought + bess.bought
    sold = min(given, order.sell)
    beyond = max(0.0, given - kept) + (bought if black else 0.0)
    depth = relative_depth(battery.soc_kwh, b.floor_kwh) - relative_depth(step.bess_soc, b.floor_kwh)
    depth = max(0.0, depth) if depth > 1e-9 else 0.0
    limit, blackout = b.cycle_limit_kwh, 1.0 if black else 0.0
    return HomeState(battery, vehicle), Flow(
        sold=sold,
        called=given - sold,
        bought=bought,
        forced=ev.forced,
        deferred=x,
        battery=y,
        v2g=z,
        beyond=beyond,
        battery_bought=bess.bought,
        home_charge=bess.home_charge,
        home_discharge=bess.home_discharge,
        ev_charge=ev.charge,
        retail=step.net_kw - bess.home_charge + bess.home_discharge,
        retail_baseline=step.net_kw - step.bess_ch + step.bess_dis,
        depth=depth,
        over=max(0.0, battery.discharged_kwh - limit) - max(0.0, before.discharged_kwh - limit),
        blackout=blackout,
        market=given - bought - ev.forced,
    )
