"""The physics of one 15-min step once more, home by home, in plain Python floats: slow, and meant to be read.

It follows docs/model.md: the undispatched baseline, what a home could deliver at the start of a step, and the delivery.
The compiled loops must give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.core import layout as lib
from vpp_env.core.devices.battery import BatteryState
from vpp_env.core.devices.vehicle import VehicleState

DT = 0.25


@dataclass
class Home:
    """Devices and limits of one home, and the constants that all homes share."""

    bess_kw: float
    bess_min: float
    bess_max: float
    floor: float
    ev_kwh: float
    ev_kw: float
    v2g_kw: float
    ev_min: float
    ev_target: float
    ev_ready: float  # what a contract wants in the car, inf = none does
    ev_lack: float  # what a contract has bought, below which the car lacks something
    ev_stands: float  # 1: a contract lets it stand on reserve
    day_limit: float
    cycle_limit: float
    breach: float  # below it the floor is breached
    windows: tuple[tuple[float, float], tuple[float, float]]
    eta_b: float
    eta_e: float
    reserve_h: float
    own_use: bool
    waived: float  # 1: a contract waives the windows

    def black(self, week_step: int) -> bool:
        return not self.waived and any(first <= week_step < end for first, end in self.windows)


@dataclass
class Step:
    """What the outside world does to one home in one step."""

    k: int
    steps_in_day: int
    day: int
    restore_step: int
    week_step: int
    sun_less_load: float  # kW
    leaves: int  # step at which yesterday's session ends; 0 = there is none, the length of the day = it goes on
    returns: int  # step at which it is plugged in; the length of the day = it is not
    out: int  # step at which today's session ends; the length of the day = it goes on
    trip: float  # kWh used before it is plugged in
    ready: int
    next_due: int

    @property
    def plugged(self) -> bool:
        return self.k < self.leaves or self.returns <= self.k < self.out

    @property
    def due(self) -> int:
        """Steps until the car has to be ready."""
        end = self.leaves if self.k < self.leaves else self.out
        ahead = [end - self.k if end < self.steps_in_day else self.steps_in_day - self.k + self.next_due]
        ahead += [self.ready - self.k] if self.ready > self.k else []
        return min(ahead)


@dataclass
class Baseline:
    """The undispatched baseline's step."""

    ev_kw: float
    ev_soc: float  # at the start
    bess_soc: float  # at the end
    bess_ch: float
    bess_dis: float
    ev_late: float = 0.0  # kWh that full power would bring after the step until the car is due, and its feeder will not


@dataclass
class State:
    """What changes of a home."""

    soc_b: float
    given_today: float
    below_since: float
    market: float  # kWh in the battery that were bought at the market
    soc_e: float
    shortfall: float
    lacks: float


def home_of(h: lib.Home, rules: lib.Rules, i: int) -> Home:
    b, v = ([None if x is None else float(x[i]) for x in device] for device in (h.battery, h.vehicle))
    # without any contract: the floor is the owner's, the target too, no car stands on reserve
    b[6] = b[3] if b[6] is None else b[6]
    v[5:] = [none if x is None else x for x, none in zip(v[5:], (np.inf, np.inf, 0.0), strict=True)]
    return Home(
        *b[:4],
        *v,
        *b[4:],
        windows=tuple((float(first[i]), float(end[i])) for first, end in (h.blackout_1, h.blackout_2)),
        eta_b=rules.battery.eta,
        eta_e=rules.vehicle.eta,
        reserve_h=rules.battery.reserve_h,
        own_use=rules.battery.serves_home,
        waived=0.0 if h.waived is None else float(h.waived[i]),
    )


def state_of(s: lib.HomeState, i: int) -> State:
    b, v = s
    values = (b.soc_kwh, b.discharged_kwh, b.below_since, b.market_kwh, v.soc_kwh, v.shortfall, v.lacks)
    return State(*(float(x[i]) for x in values))


def states_of(homes: list[State]) -> lib.HomeState:
    """The reference's states as the struct of arrays that the loops keep."""
    rows = np.array([[s.soc_b, s.given_today, s.below_since, s.market, s.soc_e, s.shortfall, s.lacks] for s in homes]).T
    return lib.HomeState(BatteryState(*rows[:4]), VehicleState(*rows[4:]))


def step_of(plan: lib.DayPlan, k: int, i: int) -> Step:
    return Step(
        k=k,
        steps_in_day=len(plan.load),
        day=plan.day,
        restore_step=plan.restore_step,
        week_step=int(plan.week_step[k]),
        sun_less_load=float(plan.pv[k, i] - plan.load[k, i]),
        leaves=int(plan.dep[i]),
        returns=int(plan.arr[i]),
        out=int(plan.out[i]),
        trip=float(plan.trip[i]),
        ready=int(plan.ready[i]),
        next_due=int(plan.next_due[i]),
    )


def clip0(x: float) -> float:
    return max(0.0, x)


def can_give(soc: float, floor: float, kw: float, eta: float, hours: float) -> float:
    """kW at the meter that storage can give for so many hours."""
    return clip0(min(kw, (soc - floor) * eta / hours))


def can_take(soc: float, ceiling: float, kw: float, eta: float, hours: float) -> float:
    return clip0(min(kw, (ceiling - soc) / (eta * hours)))


def store(soc: float, charge: float, give: float, eta: float, low: float, high: float) -> float:
    after = soc + eta * charge * DT - give * DT / eta
    return min(max(after, min(low, soc)), max(high, soc))


def depth(soc: float, floor: float) -> float:
    return clip0(floor - soc) / floor if floor > 0 else 0.0


def home_battery(
    home: Home, step: Step, soc: float, since: float, baseline_ev: float, market: float = 0.0
) -> tuple[float, float]:
    """Charging and discharging that the home itself wants."""
    surplus = step.sun_less_load - baseline_ev
    charge = min(clip0(surplus), can_take(soc, home.bess_max, home.bess_kw, home.eta_b, DT))
    days_below = step.day - since if since >= 0 else 0
    if days_below > 1 or (days_below > 0 and step.k >= step.restore_step):
        charge = max(charge, can_take(soc, home.floor, home.bess_kw, home.eta_b, DT))
    if not home.own_use or charge > 0:
        return charge, 0.0
    keep = max(home.floor, home.bess_min)
    return charge, min(clip0(-surplus), can_give(soc - market, keep, home.bess_kw, home.eta_b, DT))


def since_when(home: Home, soc: float, since: float, day: int) -> float:
    if soc >= home.floor - 1e-9:
        return -1.0
    return since if since >= 0 else float(day)


def baseline_step(
    home: Home, step: Step, soc_b: float, soc_e: float, since: float
) -> tuple[Baseline, float, float, float]:
    """One step of the baseline; returns what it does and its state after it."""
    if step.k == step.returns:
        soc_e = clip0(soc_e - step.trip)
    at_start, ev = soc_e, 0.0
    if step.plugged:
        ev = min(home.ev_kw, clip0(home.ev_target - soc_e) / (home.eta_e * DT))
        soc_e += home.eta_e * ev * DT
    charge, give = home_battery(home, step, soc_b, since, ev)
    soc_b = store(soc_b, charge, give, home.eta_b, home.bess_min, home.bess_max)
    return Baseline(ev, at_start, soc_b, charge, give), soc_b, soc_e, since_when(home, soc_b, since, step.day)


def car_plan(home: Home, step: Step, baseline: Baseline, soc: float) -> tuple[float, float]:
    """Energy that the car lacks of what the baseline will hold when it is due, and that its feeder will keep from it
    later; and the charging that cannot wait."""
    full = home.eta_e * home.ev_kw
    goal = max(baseline.ev_soc, min(home.ev_target, baseline.ev_soc + full * (step.due * DT)))
    need = min(goal, home.ev_ready) - soc + baseline.ev_late
    later = full * ((step.due - 1) * DT)
    return need, min(home.ev_kw, clip0((need - later) / (home.eta_e * DT)))


def begin(
    home: Home, step: Step, baseline: Baseline, baseline_before: float, s: State
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Departures and arrivals; changes the state `s` and returns (quote, events)."""
    if step.k == 0:
        s.given_today = s.shortfall = s.lacks = 0.0
    departed = short = missed = away = lacks = 0.0
    give = give_reserve = take = kept = stands = 0.0
    black = home.black(step.week_step)
    if home.ev_kwh > 0:
        soc = s.soc_e
        ends = {step.leaves, step.out} - {0}
        if step.k in ends or (step.k == step.ready and step.plugged and step.k != step.returns):
            wanted = min(home.ev_target, baseline.ev_soc)
            s.shortfall = max(s.shortfall, (wanted - soc) / home.ev_kwh)
            s.lacks = max(s.lacks, (min(wanted, home.ev_lack) - soc) / home.ev_kwh)
        if step.k in ends:
            departed, short, lacks = 1.0, s.shortfall, s.lacks
            s.shortfall = s.lacks = 0.0
        if step.k == step.returns:
            away = clip0(step.trip - soc) - clip0(step.trip - baseline_before)
            missed = 1.0 if away > 1e-9 else 0.0
            soc = s.soc_e = clip0(soc - step.trip)
        if step.plugged:
            _, forced = car_plan(home, step, baseline, soc)
            give = baseline.ev_kw + can_give(soc, home.ev_min, home.v2g_kw, home.eta_e, DT)
            give_reserve = baseline.ev_kw + can_give(soc, home.ev_min, home.v2g_kw, home.eta_e, home.reserve_h)
            most = min(home.ev_kw, baseline.ev_kw + (baseline.ev_soc - soc) / (home.eta_e * DT))
            take = clip0(most - max(baseline.ev_kw, forced))
            kept = clip0(baseline.ev_kw - forced)
            if home.ev_stands:
                lacking, _ = car_plan(home, step, baseline, soc)
                later = home.eta_e * home.ev_kw * (step.due * DT - home.reserve_h)
                slack = clip0((later - lacking) * home.eta_e / home.reserve_h)
                stands = min(can_give(soc, home.ev_min, home.v2g_kw, home.eta_e, home.reserve_h), slack)
    soc = s.soc_b
    charge, _ = home_battery(home, step, soc, s.below_since, baseline.ev_kw)
    give += can_give(soc, home.bess_min, home.bess_kw, home.eta_b, DT)
    give_reserve += can_give(soc, home.bess_min, home.bess_kw, home.eta_b, home.reserve_h)
    take += clip0(can_take(soc, home.bess_max, home.bess_kw, home.eta_b, DT) - charge)
    above = can_give(soc, max(home.floor, home.bess_min), home.bess_kw, home.eta_b, home.reserve_h)
    kept += clip0(min(above, (home.day_limit - s.given_today) / home.reserve_h))
    kept += stands
    kept = 0.0 if black else min(kept, give_reserve)
    return (give, take, give_reserve, take, kept), (departed, short, missed, away, lacks)


def deliver(
    home: Home, step: Step, baseline: Baseline, s: State, order: tuple[float, float, float], free: bool = True
) -> lib.Flow[float]:
    """Deliver (sell award, reserve call, buy award) kW; changes the state `s` and returns the flows.

    Unless the envelope is overridden (`free`) nothing comes from beyond it, and nothing is bought in a blackout window.
    """
    sell, call, buy = order
    black = home.black(step.week_step)
    if black and not free:
        buy = 0.0
    soc_e, soc_b = s.soc_e, s.soc_b
    plugged = home.ev_kwh > 0 and step.plugged
    forced = defer_env = defer_hard = v2g_env = v2g_hard = 0.0
    if plugged:
        need, forced = car_plan(home, step, baseline, soc_e)
        defer_hard = baseline.ev_kw
        v2g_hard = can_give(soc_e, home.ev_min, home.v2g_kw, home.eta_e, DT)
        if not black:
            defer_env = clip0(baseline.ev_kw - forced)
            full_later = home.eta_e * home.ev_kw * (step.due * DT - DT)
            v2g_env = min(v2g_hard, clip0((full_later - need) * home.eta_e / DT))
    own_charge, own_use = home_battery(home, step, soc_b, s.below_since, baseline.ev_kw, s.market)
    bess_hard = can_give(soc_b, home.bess_min, home.bess_kw, home.eta_b, DT)
    bess_env = 0.0
    if not black:
        above = can_give(soc_b, max(home.floor, home.bess_min), home.bess_kw, home.eta_b, DT)
        bess_env = clip0(min(above, (home.day_limit - s.given_today) / DT))

    # cheapest first, inside the envelope; then beyond it in the same order
    owed = sell + call
    defer = min(owed, defer_env)
    bess = min(owed - defer, bess_env)
    v2g = min(owed - defer - bess, v2g_env)
    inside = defer + bess + v2g
    if free:
        defer += min(clip0(owed - inside), defer_hard - defer)
        bess += min(clip0(owed - defer - bess - v2g), bess_hard - bess)
        v2g += min(clip0(owed - defer - bess - v2g), v2g_hard - v2g)
    given = defer + bess + v2g

    car = car_bought = car_forced = 0.0
    if v2g == 0:
        car_forced = clip0(forced - baseline.ev_kw)
        if plugged:
            base = max(baseline.ev_kw, forced)
            most = min(home.ev_kw, baseline.ev_kw + (baseline.ev_soc - soc_e) / (home.eta_e * DT))
            car_bought = min(buy, clip0(most - base))
            car = base - defer + car_bought
    s.soc_e = store(soc_e, car, v2g, home.eta_e, 0.0, home.ev_kwh)

    bess_bought = 0.0
    if bess > 0:  # what the home would do by itself waits while it is dispatched
        own_charge = own_use = 0.0
    else:
        room = can_take(soc_b, home.bess_max, home.bess_kw, home.eta_b, DT) - own_charge
        bess_bought = clip0(min(buy - car_bought, room))
        if bess_bought > 0:
            own_use = 0.0
    soc_b = store(soc_b, own_charge + bess_bought, bess + own_use, home.eta_b, home.bess_min, home.bess_max)
    s.soc_b = soc_b
    s.market = min(clip0(s.market + home.eta_b * bess_bought * DT - bess * DT / home.eta_b), soc_b)
    s.below_since = since_when(home, soc_b, s.below_since, step.day)
    before = s.given_today
    s.given_today = before + bess * DT

    bought = car_bought + bess_bought
    extra = depth(soc_b, home.breach) - depth(baseline.bess_soc, home.breach)
    metered = step.sun_less_load - baseline.ev_kw
    sold = min(given, sell)
    return lib.Flow(
        sold=sold,
        called=given - sold,
        bought=bought,
        forced=car_forced,
        deferred=defer,
        battery=bess,
        v2g=v2g,
        beyond=clip0(given - inside) + (bought if black else 0.0),
        battery_bought=bess_bought,
        home_charge=own_charge,
        home_discharge=own_use,
        ev_charge=car,
        retail=metered - own_charge + own_use,
        retail_baseline=metered - baseline.bess_ch + baseline.bess_dis,
        depth=extra if extra > 1e-9 else 0.0,
        over=clip0(s.given_today - home.cycle_limit) - clip0(before - home.cycle_limit),
        blackout=float(black),
        market=given - bought - car_forced,
    )
