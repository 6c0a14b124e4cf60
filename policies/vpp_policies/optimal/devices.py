"""Batteries and cars of a month as stores (`storage.Store`), from perfect foresight.

A battery holds its state of charge. A car holds minus what it lacks of its undispatched baseline: deferred charging
and V2G give out, buying back takes in. Costs, prices and limits are those that the simulator charges;
`docs/optimizers.md` derives every line and says where a store is a relaxation of what the simulator does.

What is measured is a `Measure`: the joint surplus of the VPP and its members, or the VPP's own profit. Whether the
owners' preferences bind is `preferences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes, MarketRules
from vpp_policies.optimal.storage import Store


class Measure(Enum):
    """What a dispatch is worth, and to whom."""

    VALUE = "joint surplus: the market's money, less wear, retail cost and charging elsewhere"
    PROFIT = "the VPP's profit: the market's money, less what the members are paid"


class Device(NamedTuple):
    """A store and what it may earn beside energy; K intervals."""

    home: int
    store: Store
    most_out: NDArray[np.float64]  # (K,) kWh of the store given out in a step along both segments together
    rho: NDArray[np.float64]  # (K,) USD per kW-h of reserve, 0 where it may hold none
    power: NDArray[np.float64]  # (K,) kW that may be on reserve or sold
    empty: NDArray[np.float64]  # (K,) kWh of the store at the end of the step at which no energy is behind reserve
    eta: float  # reserve kWh per kWh of the store
    shares: NDArray[np.bool_]  # (2,): the segment given out uses the power that could be on reserve
    busy: NDArray[np.bool_]  # (K,): what is sold and what is on reserve are two things (not so while reserve is called)
    grid_kwh: NDArray[np.float64]  # (2,) kWh at the grid per kWh given out, 0 where it stays in the home
    day: NDArray[np.int64]  # (K,)
    day_kwh: float  # most kWh at the grid per day along segment 0
    constant: float  # USD that it earns in any case


@dataclass(frozen=True)
class Goal:
    """What the stores of a fleet are made from."""

    measure: Measure
    preferences: bool  # the owners' preferences and least payments bind
    rules: MarketRules


def _sale(f: Foresight, ask: NDArray[np.float64], goal: Goal) -> NDArray[np.float64]:
    """USD/kWh that a sale leaves, before wear: all of it in joint surplus, else what the member is not paid.

    What the VPP raises the price by when it buys is lost in joint surplus (net x (lmp - slope net) <= net x lmp);
    between the VPP and its members it moves money.
    """
    if goal.measure is Measure.VALUE:
        return f.sale + _bonus(f, goal)
    price = f.sale + f.raised
    least = ask if goal.preferences else np.zeros_like(ask)
    return price - np.maximum(least, f.paid_share * price) + _bonus(f, goal)


def _bonus(f: Foresight, goal: Goal) -> NDArray[np.float64]:
    """USD/kWh that what a device gives brings as firm capacity, and what it takes in costs, whatever it is for."""
    return f.bonus if goal.measure is Measure.VALUE else f.bonus_share * f.bonus


def _offers_reserve(
    rho: NDArray[np.float64], ask: NDArray[np.float64], black: NDArray[np.bool_], goal: Goal
) -> NDArray[np.bool_]:
    """Whether the owner offers reserve at price `rho`."""
    if not goal.preferences:
        return np.ones(len(rho), dtype=bool)
    return (ask * (1.0 + goal.rules.margin) <= rho + 1e-12) & ~black


def _reserve_left(
    f: Foresight, rho: NDArray[np.float64], ask: NDArray[np.float64], black: NDArray[np.bool_], goal: Goal
) -> NDArray[np.float64]:
    """USD/kW-h that reserve leaves, 0 where none may be offered."""
    least = ask if goal.preferences else np.zeros_like(ask)
    left = rho if goal.measure is Measure.VALUE else rho - np.maximum(least, f.paid_share * rho)
    return np.where(_offers_reserve(rho, ask, black, goal), np.maximum(left, 0.0), 0.0)


class _Reserve(NamedTuple):
    """What reserve is worth to a device, USD/kW-h."""

    up: NDArray[np.float64]  # (K,) what a kW of headroom to give earns above `down`
    down: NDArray[np.float64]  # (K,) what every kW of the device earns in any case
    asked: NDArray[np.bool_]  # (K,): it may be called to deliver


def _reserve(f: Foresight, ask: NDArray[np.float64], black: NDArray[np.bool_], goal: Goal) -> _Reserve:
    """Price both directions of reserve.

    A home serves one product, so it earns max(up U, down D) with U and D kW of headroom, both at most the device's
    power P: that is at most down P + max(up - down, 0) U.
    """
    up, down = (_reserve_left(f, rho, ask, black, goal) for rho in (f.reserve_up, f.reserve_down))
    may = _offers_reserve(f.reserve_up, ask, black, goal) & (f.reserve_up > 0.0)
    return _Reserve(np.maximum(up - down, 0.0), down, f.called & may)


def _by_step(f: Foresight, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(rows, f.steps)[: f.n_steps]


def battery(i: int, homes: Homes, f: Foresight, goal: Goal) -> Device:
    """The battery of home i.

    Take in: own sun (its export credit is lost), and the market. Give out: the market, and with the home control
    `self_consumption` the home's own shortage.
    """
    rules, value = goal.rules, goal.measure is Measure.VALUE
    n, eta, wear = f.n_steps, rules.bess_eta, rules.degradation_usd_per_kwh if goal.measure is Measure.VALUE else 0.0
    p, soc, low, high = homes.bess_kw[i], homes.soc_kwh[i], homes.bess_min_kwh[i], homes.bess_max_kwh[i]
    own, black = _by_step(f, f.own_ask[:, i]), f.blackout[:, i]
    cost = np.minimum(f.lmp, f.import_usd_per_kwh)  # below its floor the home itself may refill from the grid
    sells, buys = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    lo = np.full(n + 1, min(low, soc))
    reserve = _reserve(f, _by_step(f, f.reserve_ask[:, i]), black, goal)
    if goal.preferences:
        # a call is delivered at any price
        sells = ((own <= f.highest_ask + 1e-9) | reserve.asked) & ~black
        buys = (f.lowest_limit <= homes.buy_limit[i] + 1e-9) & ~black
        floor = max(homes.floor_kwh[i], low)
        lo[:] = min(floor, soc)
        if soc < floor:
            cost = np.where(buys, cost, f.import_usd_per_kwh)
            buys[:] = True
            # from the second day after the breach on it is refilled at full power, whatever the hour
            late = np.cumsum(f.day > f.day[0] + 1)
            lo[1:] = np.minimum(soc + late * (DT_H * eta * p), floor)
    short = np.minimum(f.shortage_kw[:, i], p) if f.self_consumption else np.zeros(n)
    sun = np.minimum(f.surplus_kw[:, i], p)
    sale = _sale(f, own, goal) - wear
    bonus = _bonus(f, goal)
    home = bonus + (f.import_usd_per_kwh - wear if value else 0.0)
    sun_cost = bonus + (f.export_usd_per_kwh if value else 0.0)
    cost = bonus + (cost if value else 0.0)
    from_sun = np.where(sun_cost <= cost, sun, np.where(buys, 0.0, sun))
    from_market = (p - from_sun) * buys
    store = Store(
        lo=lo,
        hi=np.full(n + 1, max(high, soc)),
        ext=np.zeros(n + 1),
        ext_price=0.0,
        in_w=np.stack([from_sun, from_market], axis=1) * (DT_H * eta),
        in_m=np.stack([sun_cost, cost], axis=1) / eta,
        out_w=np.stack([p * sells, short], axis=1) * (DT_H / eta),
        out_m=np.stack([sale, home], axis=1) * eta,
        hold=np.zeros(n),
        end=f.refill_end[i] / eta if value else 0.0,
        start=soc,
    )
    before = np.maximum(np.where(f.called, p, 0.0), short)
    kept = -f.baseline_usd[i] - f.baseline_bess_kwh[i] * f.refill_end[i] / eta if value else 0.0
    kept -= f.baseline_bonus_usd[i] * (1.0 if value else f.bonus_share)
    return Device(
        home=i,
        store=store,
        most_out=np.full(n, p * DT_H / eta),
        rho=reserve.up,
        power=np.full(n, p),
        # Reserve counts on the energy at the start of the step: what the home takes for itself, or a call for the
        # market, was there. Never above what the store may fall to: no energy must not count against reserve.
        empty=np.minimum((max(homes.floor_kwh[i], low) if goal.preferences else low) - before * (DT_H / eta), lo[1:]),
        eta=eta,
        shares=np.array([True, False]),  # serving the home does not keep the battery from being on reserve
        busy=~f.called,
        grid_kwh=np.array([eta, 0.0]),
        day=f.day,
        day_kwh=float(homes.day_limit_kwh[i]) if goal.preferences else np.inf,
        constant=kept + DT_H * p * float(reserve.down.sum()),
    )


def most_ready(i: int, homes: Homes, f: Foresight, eta: float) -> NDArray[np.float64]:
    """(K + 1,) kWh that car i may lack of its baseline at the start of each step and still be ready in time.

    What full power in the time left returns; away, what it left with. The first entry is what it lacks now.
    """
    p, due, at_home = homes.ev_kw[i], f.due[:, i], f.plugged[:, i]
    before = f.baseline_ev_soc_kwh[:-1, i]
    goal = np.maximum(before, np.minimum(homes.ev_target_kwh[i], before + eta * p * DT_H * due))
    after = before + eta * DT_H * f.baseline_ev_kw[:, i]
    ready = np.maximum(after - goal + eta * p * DT_H * (due - 1), 0.0)
    # the last value at home is carried through the trip
    last = np.maximum.accumulate(np.where(at_home, np.arange(f.n_steps), -1))
    now = max(float(homes.ev_deficit_kwh[i]), 0.0)
    return np.concatenate([[now], np.where(last >= 0, ready[last], now)])


def most_deficit(i: int, homes: Homes, f: Foresight, goal: Goal) -> NDArray[np.float64]:
    """(K + 1,) kWh that car i may lack of its baseline at the start of each step, before it comes home.

    With its owner's preferences, `most_ready`. Without, a car that still has charging to defer may lack anything; from
    there on the home's own forced charging brings it back, unless V2G keeps it from that.
    """
    eta = goal.rules.ev_eta
    ready = most_ready(i, homes, f, eta)
    if goal.preferences:
        return ready
    baseline, p_baseline = f.baseline_ev_soc_kwh[:, i], f.baseline_ev_kw[:, i]
    after = baseline[:-1] + eta * DT_H * p_baseline
    anything = (p_baseline > 0.0) | (homes.v2g_kw[i] > 0.0)
    most, held = ready.copy(), ready[0]
    for k in np.flatnonzero(f.plugged[:, i]):
        held = after[k] if anything[k] else max(ready[k + 1], min(held, baseline[k]) - eta * homes.ev_kw[i] * DT_H)
        most[k + 1] = held
    away = np.flatnonzero(~f.plugged[:, i])
    for k in away:
        most[k + 1] = most[k]
    return most


def car(i: int, homes: Homes, f: Foresight, goal: Goal) -> Device:
    """The car of home i.

    Take in: buying back. Give out: deferred charging, and V2G.
    """
    rules, value = goal.rules, goal.measure is Measure.VALUE
    n, eta = f.n_steps, rules.ev_eta
    wear = rules.degradation_usd_per_kwh if value else 0.0
    v2g, at_home, p_baseline = homes.v2g_kw[i], f.plugged[:, i], f.baseline_ev_kw[:, i]
    own, defer, black = _by_step(f, f.own_ask[:, i]), _by_step(f, f.defer_ask[:, i]), f.blackout[:, i]
    puts_off, gives = at_home.copy(), at_home.copy()
    reserve = _reserve(f, _by_step(f, f.reserve_ask[:, i]), black, goal)
    if goal.preferences:
        puts_off &= ((defer <= f.highest_ask + 1e-9) | reserve.asked) & ~black
        gives &= ((own <= f.highest_ask + 1e-9) | reserve.asked) & ~black
    held = reserve.up * at_home
    # charging on reserve cannot be deferred as well; it needs no energy behind it
    waits = _sale(f, defer, goal) - held * ~f.called
    most = most_deficit(i, homes, f, goal)
    now = np.where(f.arrives[:, i], np.minimum(most, f.baseline_ev_soc_kwh[:, i]), most)
    room = np.maximum(homes.ev_kw[i] - p_baseline, 0.0) * at_home
    store = Store(
        lo=-now,
        hi=np.zeros(n + 1),
        ext=np.maximum(most - now, 0.0),
        ext_price=f.away_usd_per_kwh if value else 0.0,
        in_w=np.stack([room, np.zeros(n)], axis=1) * (DT_H * eta),
        in_m=np.stack([_bonus(f, goal) + (f.lmp if value else 0.0), np.zeros(n)], axis=1) / eta,
        out_w=np.stack([p_baseline * puts_off * (DT_H * eta), v2g * gives * (DT_H / eta)], axis=1),
        out_m=np.stack([waits / eta, (_sale(f, own, goal) - wear) * eta], axis=1),
        hold=np.zeros(n),
        end=f.back_end[i] / eta if value else 0.0,
        start=-float(max(homes.ev_deficit_kwh[i], 0.0)),
    )
    return Device(
        home=i,
        store=store,
        most_out=np.full(n, np.inf),
        # inside its envelope V2G offers no reserve
        rho=np.zeros(n) if goal.preferences else held * (v2g > 0.0),
        power=np.where(at_home, v2g, 0.0),
        empty=np.minimum(homes.ev_min_kwh[i] - f.baseline_ev_soc_kwh[1:, i] - f.called * (v2g * DT_H / eta), -most[1:]),
        eta=eta,
        shares=np.array([False, True]),
        busy=~f.called,
        grid_kwh=np.array([1.0 / eta, eta]),
        day=f.day,
        day_kwh=np.inf,
        # downward headroom is at most the charger's power, and never less than what may be on reserve upward
        constant=DT_H * float((held * p_baseline + reserve.down * at_home * (homes.ev_kw[i] + v2g)).sum()),
    )


def devices(homes: Homes, f: Foresight, goal: Goal) -> list[Device]:
    """All batteries, then all cars."""
    made = [battery(int(i), homes, f, goal) for i in np.flatnonzero(homes.bess_kwh > 0)]
    made += [car(int(i), homes, f, goal) for i in np.flatnonzero(homes.ev_kwh > 0)]
    # foresight's arrays are read-only, which is a type of its own to Numba: kernels would compile once for each mix
    return [_writable(device) for device in made]


def _writable(device: Device) -> Device:
    copies: dict[str, Any] = {name: np.array(v) for name, v in device._asdict().items() if isinstance(v, np.ndarray)}
    return device._replace(**copies)
