"""What a home can offer over the next opportunity, from its own state and plan alone.

Used for its owner's view: nothing here reads a load, a solar output or a price that has not happened yet. What the
baseline's car will charge within the opportunity follows from its state of charge and target.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from vpp_env.core.devices.battery import battery_headroom
from vpp_env.core.devices.vehicle import VehicleHeadroom, vehicle_headroom
from vpp_env.core.layout import Home, HomeState, Rules, Step
from vpp_env.jit import inlined, is_set
from vpp_env.scenario.calendar import STEPS_PER_WEEK
from vpp_env.units import Floats

T = TypeVar("T")


class Headroom(NamedTuple, Generic[T]):
    """Limits of a home for its own view over one opportunity, kW unless said; `Headroom[Floats]`: (N,) each."""

    defer_first: T  # charging that can be deferred in the first step
    defer_mean: T  # the same, mean over the opportunity
    defer: T  # the same, smallest over the opportunity
    battery: T  # sustained, inside the envelope
    battery_hard: T  # sustained, down to the hard minimum
    v2g: T  # sustained, inside the envelope
    v2g_hard: T  # sustained, down to the hard minimum
    storage: T  # battery and V2G together, sustained in the order of delivery, inside the envelope
    buy_back: T  # buying back what the car deferred, sustained
    battery_buy: T  # battery charging, sustained
    reserve: T  # inside the envelope (energy for the reserve period)
    reserve_hard: T  # down to the hard minimum
    baseline_kw: T  # power at which the baseline's car charges now
    hours_left: T  # h until the car must be ready; 0 when away
    plugged: T  # 0/1
    blackout: T  # 0/1: a window within the opportunity that no contract waives
    blackout_soon: T  # 0/1: a window within 4 h


N_HEADROOM = len(Headroom._fields)
_ROW = {name: row for row, name in enumerate(Headroom._fields)}
_FACTS = ("hours_left", "plugged", "blackout", "blackout_soon")
LIMITS = [row for name, row in _ROW.items() if name not in _FACTS]
"""Rows of a headroom matrix that are 0 for a home that takes no bid."""


@inlined
def headroom_at(h: Headroom[Floats], i: int) -> Headroom[float]:
    """Headroom of home i."""
    return Headroom(
        h.defer_first[i], h.defer_mean[i], h.defer[i], h.battery[i], h.battery_hard[i], h.v2g[i], h.v2g_hard[i],
        h.storage[i], h.buy_back[i], h.battery_buy[i], h.reserve[i], h.reserve_hard[i], h.baseline_kw[i],
        h.hours_left[i], h.plugged[i], h.blackout[i], h.blackout_soon[i],
    )  # fmt: skip


@inlined
def put_headroom(to: Floats, i: int, found: Headroom[float]) -> None:
    """Write the headroom of home i into its column of (len(Headroom), homes); a loop over the fields takes longer."""
    to[0, i] = found.defer_first
    to[1, i] = found.defer_mean
    to[2, i] = found.defer
    to[3, i] = found.battery
    to[4, i] = found.battery_hard
    to[5, i] = found.v2g
    to[6, i] = found.v2g_hard
    to[7, i] = found.storage
    to[8, i] = found.buy_back
    to[9, i] = found.battery_buy
    to[10, i] = found.reserve
    to[11, i] = found.reserve_hard
    to[12, i] = found.baseline_kw
    to[13, i] = found.hours_left
    to[14, i] = found.plugged
    to[15, i] = found.blackout
    to[16, i] = found.blackout_soon


class Delivery(NamedTuple):
    """Which opportunity is meant, seen from a step."""

    steps: int  # its length
    wait: int  # steps until it begins
    week_step: int  # quarter hour of the week at which it begins


LOOK_AHEAD = 16
"""Steps (4 h) within which a coming blackout window is announced in the observation."""


@inlined
def blackouts(home: Home[float], delivery: Delivery) -> tuple[bool, bool]:
    """Whether a window that no contract waives lies within the delivery, and any at all within `LOOK_AHEAD`."""
    soon = _meets(home, delivery.week_step, LOOK_AHEAD)
    return not is_set(home.waived) and _meets(home, delivery.week_step, min(delivery.steps, LOOK_AHEAD)), soon


@inlined
def _meets(home: Home[float], first: int, steps: int) -> bool:
    """Whether a blackout window lies in so many quarter hours of the week, which may go on in the next week."""
    return (
        _meet(home.blackout_1, first, first + steps)
        | _meet(home.blackout_1, first - STEPS_PER_WEEK, first + steps - STEPS_PER_WEEK)
        | _meet(home.blackout_2, first, first + steps)
        | _meet(home.blackout_2, first - STEPS_PER_WEEK, first + steps - STEPS_PER_WEEK)
    )


@inlined
def _meet(window: tuple[float, float], first: int, last: int) -> bool:
    """Whether whole numbers [first, last) meet a window [from, to) of such (-1 = no window)."""
    return max(window[0], first) < min(window[1], last)


@inlined
def headroom_of(
    home: Home[float], state: HomeState[float], step: Step, delivery: Delivery, pending_kwh: float, rules: Rules
) -> Headroom[float]:
    """What the home can promise for `delivery`; `pending_kwh` is what earlier bids may still take of its battery."""
    car = vehicle_headroom(home.vehicle, state.vehicle, step.vehicle, delivery.steps, delivery.wait, rules.vehicle)
    return headroom_with(car, home, state, delivery, pending_kwh, rules)


@inlined
def headroom_with(
    car: VehicleHeadroom,
    home: Home[float],
    state: HomeState[float],
    delivery: Delivery,
    pending_kwh: float,
    rules: Rules,
) -> Headroom[float]:
    """What the home can promise whose car can promise `car`; see `headroom_of`."""
    black, soon = blackouts(home, delivery)
    battery = battery_headroom(home.battery, state.battery, delivery.steps * rules.dt_h, pending_kwh, rules.battery)
    # the battery gives first: unless it lasts at full power it runs dry, and V2G must then carry all of it alone
    lasts = battery.inside >= home.battery.kw
    storage = battery.inside + car.v2g if lasts else max(battery.inside, car.v2g)
    # in a blackout window nothing is inside the envelope
    free = (car.defer_first, car.defer_mean, car.defer_min, battery.inside, car.v2g, storage)
    reserve, buy_back, battery_buy = battery.reserve + car.defer_min + car.kept, car.buy, battery.buy
    if black:
        free = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        reserve = buy_back = battery_buy = 0.0
    defer_first, defer_mean, defer, inside, v2g, both = free
    blackout, blackout_soon = 1.0 if black else 0.0, 1.0 if soon else 0.0
    return Headroom(
        defer_first=defer_first,
        defer_mean=defer_mean,
        defer=defer,
        battery=inside,
        battery_hard=battery.hard,
        v2g=v2g,
        v2g_hard=car.v2g_hard,
        storage=both,
        buy_back=buy_back,
        battery_buy=battery_buy,
        reserve=reserve,
        reserve_hard=battery.reserve_hard + car.baseline_kw + car.reserve,
        baseline_kw=car.baseline_kw,
        hours_left=car.hours_left,
        plugged=car.plugged,
        blackout=blackout,
        blackout_soon=blackout_soon,
    )


def limit_to(most_kw: Floats, bounds: Floats) -> None:
    """Cut a headroom matrix `bounds` (rows of `Headroom`, N) to the kW (N,) that contracts allow.

    Deferred charging is cheapest: it is what a kW of a contract goes to first.
    """
    deferred = [_ROW["defer_first"], _ROW["defer_mean"], _ROW["defer"]]
    stored = [_ROW["battery"], _ROW["v2g"], _ROW["storage"]]
    cut = [*deferred, _ROW["reserve"]]
    bounds[cut] = np.minimum(bounds[cut], most_kw)
    bounds[stored] = np.minimum(bounds[stored], most_kw - bounds[deferred].max(axis=0))
