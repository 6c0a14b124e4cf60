"""The car: its charging can be deferred and bought back, and with V2G its battery gives too.

Everything is measured against the baseline's car, which charges at once, at full power, up to its target. A car that
has deferred must hold, when it is due, what its baseline will hold then: charging that cannot wait any more is forced.
It begins earlier where the feeder will not have room for full power, if its homes do what they do by themselves.

The market reaches a car in its sessions only. A car is due at the owner's ready-by time while it is plugged in, and
when the session ends, which the owner says when the plug goes in (assumed; drivers at public chargers are asked that).
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from vpp_env.core.devices.storage import discharge_limit, storage_next
from vpp_env.jit import at_most, inlined, is_set

T = TypeVar("T")


class Vehicle(NamedTuple, Generic[T]):
    """Parameters; a home without a car has zeros. What contracts move is None where nobody has one."""

    kwh: T  # kWh, capacity
    kw: T  # kW, charger
    v2g_kw: T  # kW, discharging; 0 = it cannot
    min_kwh: T  # kWh, hard minimum of V2G
    target_kwh: T  # kWh that the owner wants in it when it must be ready
    ready_kwh: T | None  # kWh that a contract wants then, if that is less
    lack_kwh: T | None  # kWh below which it then lacks something that no contract has bought, if less
    on_reserve: T | None  # 1: a contract lets its battery stand on reserve


class VehicleState(NamedTuple, Generic[T]):
    """State at the start of a step."""

    soc_kwh: T  # kWh
    shortfall: T  # share of capacity: worst shortfall since the car had to be ready
    lacks: T  # the same, of what no contract has bought


class VehicleRules(NamedTuple):
    """What all cars share."""

    dt_h: float  # h, length of a step
    eta: float  # one-way efficiency
    reserve_h: float  # h that reserve must last


class VehicleStep(NamedTuple):
    """One step of one car's day: clock, sessions and baseline."""

    k: int  # step of the day
    steps_in_day: int
    dep: int  # step at which yesterday's session ends; 0 = there is none, n = it goes on all day
    arr: int  # step at which it is plugged in; n = it is not
    out: int  # step at which today's session ends; n = it goes on
    trip_kwh: float  # used before it is plugged in
    ready: int  # step at which it must be ready, if it is plugged in
    next_due: int  # steps after midnight at which it is due tomorrow
    baseline_kw: float  # at which the baseline's car charges
    baseline_kwh: float  # in the baseline's car at the start of the step
    baseline_before_kwh: float  # one step earlier
    late_kwh: float  # that full power would bring after the step until it is due, and its feeder will not


class VehicleEvents(NamedTuple):
    """What happened at the start of a step."""

    departed: float  # 0/1: a session ends
    short: float  # share of capacity by which a departing car misses its target
    missed: float  # 0/1, at the next plug-in: the trip was not possible, and its baseline's was
    away_kwh: float  # kWh charged elsewhere, beyond the baseline's
    lacks: float  # of `short` what no contract has bought


class VehicleRange(NamedTuple):
    """What it could do for the market now, kW, down to the hard limits."""

    give: float  # deferring and V2G for one step
    give_reserve: float  # for as long as reserve must last
    take: float  # buying back


class VehicleLimits(NamedTuple):
    """What it can give in one step, kW, and what it must charge."""

    defer: float  # inside the owner's envelope
    defer_hard: float
    v2g: float  # inside the owner's envelope
    v2g_hard: float
    forced: float  # charging that cannot wait


class VehicleFlow(NamedTuple):
    """What it did in one step, kW."""

    charge: float
    bought: float
    forced: float  # bought back by force


class VehicleHeadroom(NamedTuple):
    """What it can promise for a whole opportunity, kW unless said."""

    plugged: float  # 0/1
    hours_left: float  # h until it must be ready; 0 when it is not plugged in
    baseline_kw: float  # at which the baseline's car charges in the first step
    defer_first: float  # charging that can be deferred in the first step
    defer_mean: float
    defer_min: float
    v2g: float  # sustained, inside the owner's envelope
    v2g_hard: float  # sustained
    buy: float  # buying back, sustained
    reserve: float  # V2G for as long as reserve must last
    kept: float  # of it what a contract lets stand on reserve, and the car can do without at the end


NO_HEADROOM = VehicleHeadroom(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
NO_RANGE = VehicleRange(0.0, 0.0, 0.0)
NO_LIMITS = VehicleLimits(0.0, 0.0, 0.0, 0.0, 0.0)


@inlined
def is_plugged(k: int, dep: int, arr: int, out: int) -> bool:
    """Whether the car is plugged in during step k of a day: in yesterday's session, or in today's [arr, out)."""
    return k < dep or arr <= k < out


@inlined
def steps_until_due(k: int, n: int, dep: int, out: int, ready: int, next_due: int) -> int:
    """Steps from k, plugged in, until the car must be ready: the ready-by time or the session's end, what is first."""
    end = dep if k < dep else out
    due = end - k if end < n else n - k + next_due
    if k < ready:
        due = min(due, ready - k)
    return due


@inlined
def due_in(step: VehicleStep) -> int:
    """Steps until the car must be ready; see `steps_until_due`."""
    return steps_until_due(step.k, step.steps_in_day, step.dep, step.out, step.ready, step.next_due)


@inlined
def at_home(v: Vehicle[float], step: VehicleStep) -> bool:
    """Whether there is a car, and it is plugged in."""
    return v.kwh > 0.0 and is_plugged(step.k, step.dep, step.arr, step.out)


@inlined
def baseline_charge(v: Vehicle[float], soc: float, rules: VehicleRules) -> float:
    """Power at which an undispatched car charges: at once, at full power, up to its target."""
    return min(v.kw, max(0.0, v.target_kwh - soc) / (rules.eta * rules.dt_h))


@inlined
def need(v: Vehicle[float], soc: float, baseline: float, due: float, rules: VehicleRules) -> float:
    """Energy that the car still lacks of what its baseline will hold when it is due, or of what a contract wants."""
    holds = max(baseline, min(v.target_kwh, baseline + rules.eta * v.kw * (due * rules.dt_h)))
    return at_most(holds, v.ready_kwh) - soc


@inlined
def lacks_now(v: Vehicle[float], soc: float, step: VehicleStep, due: int, rules: VehicleRules) -> float:
    """Energy that the car needs, and what its feeder keeps from it later: that cannot wait either."""
    return need(v, soc, step.baseline_kwh, due, rules) + step.late_kwh


@inlined
def forced_charge(v: Vehicle[float], lacks: float, due: float, rules: VehicleRules) -> float:
    """Least charging power now, such that full power in the steps left still meets the need."""
    later = rules.eta * v.kw * ((due - 1) * rules.dt_h)
    return min(v.kw, max(0.0, (lacks - later) / (rules.eta * rules.dt_h)))


@inlined
def v2g_slack(v: Vehicle[float], lacks: float, due: float, span_h: float, rules: VehicleRules) -> float:
    """V2G power over `span_h` after which full power in the time left still meets the need."""
    later = rules.eta * v.kw * (due * rules.dt_h - span_h)
    return max(0.0, (later - lacks) * rules.eta * (1.0 / span_h))


@inlined
def vehicle_begin(
    v: Vehicle[float], s: VehicleState[float], step: VehicleStep
) -> tuple[VehicleState[float], VehicleEvents]:
    """Ends and begins a session at the start of a step."""
    soc, shortfall, lacks = s.soc_kwh, s.shortfall, s.lacks
    departed = short = missed = away = left_with = 0.0
    k, trip = step.k, step.trip_kwh
    if k == 0:
        shortfall = lacks = 0.0
    if v.kwh > 0.0:
        leaves = (k == step.dep and k > 0) or k == step.out
        if leaves or (k == step.ready and (k < step.dep or step.arr < k < step.out)):
            want = min(v.target_kwh, step.baseline_kwh)
            shortfall = max(shortfall, (want - soc) / v.kwh)
            lacks = max(lacks, (at_most(want, v.lack_kwh) - soc) / v.kwh)
        if leaves:
            departed = 1.0
            short, left_with = shortfall, lacks
            shortfall = lacks = 0.0
        if k == step.arr:
            away = max(0.0, trip - soc) - max(0.0, trip - step.baseline_before_kwh)
            if away > 1e-9:
                missed = 1.0
            soc = max(0.0, soc - trip)
    return VehicleState(soc, shortfall, lacks), VehicleEvents(departed, short, missed, away, left_with)


@inlined
def buy_back_room(v: Vehicle[float], soc: float, step: VehicleStep, forced: float, rules: VehicleRules) -> float:
    """Charging power beyond what the car does anyway, until the deferred energy is back."""
    most = min(v.kw, step.baseline_kw + (step.baseline_kwh - soc) / (rules.eta * rules.dt_h))
    return max(0.0, most - max(step.baseline_kw, forced))


@inlined
def vehicle_range(v: Vehicle[float], s: VehicleState[float], step: VehicleStep, rules: VehicleRules) -> VehicleRange:
    """What the market may count on."""
    if not at_home(v, step):
        return NO_RANGE
    soc, due = s.soc_kwh, due_in(step)
    forced = forced_charge(v, lacks_now(v, soc, step, due, rules), due, rules)
    return VehicleRange(
        step.baseline_kw + discharge_limit(soc, v.min_kwh, v.v2g_kw, rules.eta, rules.dt_h),
        step.baseline_kw + discharge_limit(soc, v.min_kwh, v.v2g_kw, rules.eta, rules.reserve_h),
        buy_back_room(v, soc, step, forced, rules),
    )


@inlined
def reserve_kept(v: Vehicle[float], s: VehicleState[float], step: VehicleStep, rules: VehicleRules) -> float:
    """V2G power that may stand on reserve inside the owner's envelope: none unless a contract allows it."""
    if not is_set(v.on_reserve) or not at_home(v, step):
        return 0.0
    due = due_in(step)
    slack = v2g_slack(v, lacks_now(v, s.soc_kwh, step, due, rules), due, rules.reserve_h, rules)
    return min(discharge_limit(s.soc_kwh, v.min_kwh, v.v2g_kw, rules.eta, rules.reserve_h), slack)


@inlined
def vehicle_limits(
    v: Vehicle[float], s: VehicleState[float], step: VehicleStep, black: bool, rules: VehicleRules
) -> VehicleLimits:
    """What it can give in this step; in a blackout window nothing of it is inside the envelope."""
    if not at_home(v, step):
        return NO_LIMITS
    due = due_in(step)
    lacks = lacks_now(v, s.soc_kwh, step, due, rules)
    forced = forced_charge(v, lacks, due, rules)
    hard = discharge_limit(s.soc_kwh, v.min_kwh, v.v2g_kw, rules.eta, rules.dt_h)
    if black:
        return VehicleLimits(0.0, step.baseline_kw, 0.0, hard, forced)
    slack = v2g_slack(v, lacks, due, rules.dt_h, rules)
    return VehicleLimits(max(0.0, step.baseline_kw - forced), step.baseline_kw, min(hard, slack), hard, forced)


@inlined
def vehicle_step(
    v: Vehicle[float],
    s: VehicleState[float],
    step: VehicleStep,
    forced: float,
    given: tuple[float, float],
    buy: float,
    rules: VehicleRules,
) -> tuple[VehicleState[float], VehicleFlow]:
    """Charge as the baseline does, less what is deferred, plus what is bought back; `given` is (deferred, V2G) kW."""
    deferred, v2g = given
    charge = bought = back = 0.0
    if v2g == 0.0:
        back = max(0.0, forced - step.baseline_kw)
        if at_home(v, step):
            bought = min(buy, buy_back_room(v, s.soc_kwh, step, forced, rules))
            charge = max(step.baseline_kw, forced) - deferred + bought
    soc = storage_next(s.soc_kwh, charge, v2g, rules.eta, rules.dt_h, 0.0, v.kwh)
    return VehicleState(soc, s.shortfall, s.lacks), VehicleFlow(charge, bought, back)


@inlined
def planned_charge(
    v: Vehicle[float], soc: float, baseline: float, due: float, rules: VehicleRules
) -> tuple[float, float]:
    """(SoC, baseline's SoC) after a step, `due` steps before it must be ready, in which it charges as planned."""
    lacks = need(v, soc, baseline, due, rules)
    p = baseline_charge(v, baseline, rules)
    charge = max(p, forced_charge(v, lacks, due, rules))
    return soc + rules.eta * charge * rules.dt_h, baseline + rules.eta * p * rules.dt_h


@inlined
def deferred_charge(
    v: Vehicle[float], soc: float, baseline: float, due: float, rules: VehicleRules
) -> tuple[float, float, float, float]:
    """(Deferrable kW, baseline's kW, SoC, baseline's SoC) of and after a step in which it defers all that can wait."""
    lacks = need(v, soc, baseline, due, rules)
    p = baseline_charge(v, baseline, rules)
    x = max(0.0, p - forced_charge(v, lacks, due, rules))
    return x, p, soc + rules.eta * (p - x) * rules.dt_h, baseline + rules.eta * p * rules.dt_h


@inlined
def v2g_headroom(
    v: Vehicle[float], soc: float, baseline: float, due: float, steps: int, rules: VehicleRules
) -> tuple[float, float, float, float]:
    """V2G kW of a delivery of `steps` that begins now, as (v2g, v2g_hard, reserve, kept) of `VehicleHeadroom`."""
    span_h, v2g, kept = steps * rules.dt_h, 0.0, 0.0
    hard = discharge_limit(soc, v.min_kwh, v.v2g_kw, rules.eta, span_h)
    reserve = discharge_limit(soc, v.min_kwh, v.v2g_kw, rules.eta, rules.reserve_h)
    if due * rules.dt_h > span_h:
        v2g = min(hard, v2g_slack(v, need(v, soc, baseline, due, rules), due, span_h, rules))
        if is_set(v.on_reserve):
            late = due - steps
            kept = min(reserve, v2g_slack(v, need(v, soc, baseline, late, rules), late, rules.reserve_h, rules))
    return v2g, hard, reserve, kept


@inlined
def bought_back(buy: float, gap: float, steps: int, rules: VehicleRules) -> float:
    """Buying back, sustained: it ends when the deferred energy `gap` is back."""
    return max(0.0, min(buy, gap / (rules.eta * (steps * rules.dt_h))))


@inlined
def vehicle_headroom(
    v: Vehicle[float], s: VehicleState[float], step: VehicleStep, steps: int, wait: int, rules: VehicleRules
) -> VehicleHeadroom:
    """What it can promise for `steps` steps that begin `wait` steps from now, from its own state and plan alone.

    A car at home is taken to charge as planned until then; one that is due by then, or away now, offers nothing.
    `core.lanes.headroom_lanes` does the same for eight homes, step by step.
    """
    if not at_home(v, step):
        return NO_HEADROOM
    soc, baseline, due = s.soc_kwh, step.baseline_kwh, due_in(step)
    for ahead in range(min(wait, due)):
        soc, baseline = planned_charge(v, soc, baseline, due - ahead, rules)
    due -= wait
    if due <= 0:
        return VehicleHeadroom(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    v2g, hard, reserve, kept = v2g_headroom(v, soc, baseline, due, steps, rules)
    now_kw, gap = baseline_charge(v, baseline, rules), max(0.0, baseline - soc)
    least = buy = v.kw
    first = total = 0.0
    for ahead in range(steps):
        if ahead >= due:
            least = 0.0
            buy = 0.0
            break
        x, p, soc, baseline = deferred_charge(v, soc, baseline, due - ahead, rules)
        if ahead == 0:
            first = x
        least = min(least, x)
        total += x
        buy = min(buy, v.kw - p)
    buy = bought_back(buy, gap, steps, rules)
    return VehicleHeadroom(1.0, due * rules.dt_h, now_kw, first, total / steps, least, v2g, hard, buy, reserve, kept)
