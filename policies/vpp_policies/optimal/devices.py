"""Batteries and cars of a month as stores (`storage.Store`), from perfect foresight.

A battery holds its state of charge. A car holds minus what it lacks of its undispatched baseline: deferred charging
and V2G give out, buying back takes in. Costs, prices and limits are those that the simulator charges;
`docs/proofs.md` derives every line and says where a store is a relaxation of what the simulator does.

What is measured is a `Measure`: what the VPP and the owners get together, or the VPP's own profit. What becomes of
the owners' preferences is a `Wishes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes, MarketRules, PolicyError
from vpp_policies.optimal.storage import Store


class Measure(Enum):
    """What a dispatch is worth, and to whom."""

    VALUE = (
        "what it is worth to everybody: the market's money, less wear, retail cost, charging elsewhere, private cost"
    )
    PROFIT = "the VPP's profit: the market's money, less what the members are paid"


class Wishes(Enum):
    """What becomes of the owners' preferences."""

    ASKS = "kept, and nobody gives for less than the own ask"
    LIMITS = "kept, but nobody asks a price for giving: what a gateway that is never overridden allows"
    PRICED = "broken where that is worth more than it is to the owner, who is charged the private value"
    FREE = "cost nothing"


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
    meter_kwh: NDArray[np.float64]  # (2,) kWh by which the meter rises per kWh given out; taken in, it falls by 1 / eta
    day: NDArray[np.int64]  # (K,)
    day_kwh: float  # most kWh at the grid per day along segment 0 at no cost
    day_usd: float  # USD per kWh beyond it, inf: not allowed
    hour: NDArray[np.int64]  # (K,) clock hour
    hour_kwh: float  # kWh at the grid in an hour along segment `storage` that are not noticed
    hour_usd: float  # USD per kWh beyond it
    storage: int  # the segment that is the device's own energy given to the market
    constant: float  # USD that it earns in any case


@dataclass(frozen=True)
class Goal:
    """What the stores of a fleet are made from."""

    measure: Measure
    wishes: Wishes
    rules: MarketRules
    paid: bool = False  # nobody gives for less than the own ask, whatever becomes of the other preferences

    def __post_init__(self) -> None:
        """Check the pair."""
        if self.measure is Measure.PROFIT and self.wishes is Wishes.PRICED:
            raise PolicyError("a VPP's profit at private prices is no measure: what a broken wish costs is the owner's")

    @property
    def asked(self) -> bool:
        """Whether nobody gives for less than the own ask."""
        return self.paid or self.wishes is Wishes.ASKS

    @property
    def kept(self) -> bool:
        """Whether every limit of the owners holds."""
        return self.wishes in (Wishes.ASKS, Wishes.LIMITS)

    def price(self, values: NDArray[np.float64], i: int) -> float:
        """Private value of home i of what is given inside its limits too: hassle, standing by."""
        return float(values[i]) if self.measure is Measure.VALUE and self.wishes is not Wishes.FREE else 0.0

    def fine(self, values: NDArray[np.float64], i: int) -> float:
        """Private value of home i of a limit that is broken, where that is charged."""
        return float(values[i]) if self.wishes is Wishes.PRICED else 0.0


def _sale(f: Foresight, ask: NDArray[np.float64], goal: Goal) -> NDArray[np.float64]:
    """USD/kWh that a sale leaves, before wear: all of it to everybody together, else what the member is not paid.

    What the VPP raises the price by when it buys is lost to everybody together (net x (lmp - slope net) <= net x lmp);
    between the VPP and its members it moves money.
    """
    if goal.measure is Measure.VALUE:
        return f.sale + _bonus(f, goal)
    price = f.sale + f.raised
    least = ask if goal.asked else np.zeros_like(ask)
    return price - np.maximum(least, f.paid_share * price) + _bonus(f, goal)


def _bonus(f: Foresight, goal: Goal) -> NDArray[np.float64]:
    """USD/kWh that what a device gives brings as firm capacity, and what it takes in costs, whatever it is for."""
    return f.bonus if goal.measure is Measure.VALUE else f.bonus_share * f.bonus


def _offers_reserve(
    rho: NDArray[np.float64], ask: NDArray[np.float64], black: NDArray[np.bool_], goal: Goal
) -> NDArray[np.bool_]:
    """Whether the owner offers reserve at price `rho`."""
    if not goal.kept:
        return np.ones(len(rho), dtype=bool)
    asked = ask * (1.0 + goal.rules.margin) <= rho + 1e-12
    return asked & ~black if goal.asked else ~black


def _reserve_left(
    f: Foresight, rho: NDArray[np.float64], ask: NDArray[np.float64], black: NDArray[np.bool_], goal: Goal, sigma: float
) -> NDArray[np.float64]:
    """USD/kW-h that reserve leaves, 0 where none may be offered; `sigma` is what standing by costs the owner."""
    least = ask if goal.asked else np.zeros_like(ask)
    left = rho - sigma if goal.measure is Measure.VALUE else rho - np.maximum(least, f.paid_share * rho)
    return np.where(_offers_reserve(rho, ask, black, goal), np.maximum(left, 0.0), 0.0)


class _Reserve(NamedTuple):
    """What reserve is worth to a device, USD/kW-h."""

    up: NDArray[np.float64]  # (K,) what a kW of headroom to give earns above `down`
    down: NDArray[np.float64]  # (K,) what every kW of the device earns in any case
    asked: NDArray[np.bool_]  # (K,): it may be called to deliver


def _reserve(i: int, f: Foresight, goal: Goal) -> _Reserve:
    """Price both directions of reserve.

    A home serves one product, so it earns max(up U, down D) with U and D kW of headroom, both at most the device's
    power P: that is at most down P + max(up - down, 0) U.
    """
    ask, black, sigma = _by_step(f, f.reserve_ask[:, i]), f.blackout[:, i], goal.price(f.standby_value, i)
    up, down = (_reserve_left(f, rho, ask, black, goal, sigma) for rho in (f.reserve_up, f.reserve_down))
    may = _offers_reserve(f.reserve_up, ask, black, goal) & (f.reserve_up > 0.0)
    return _Reserve(np.maximum(up - down, 0.0), down, f.called & may)


def _by_step(f: Foresight, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(rows, f.steps)[: f.n_steps]


def _hassle(i: int, homes: Homes, f: Foresight, goal: Goal) -> float:
    """USD per kWh that home i's storage gives in a clock hour beyond what is not noticed: at full power all of it.

    The owner is charged a for the hour as a whole once it gives x > x0 kWh. With X the most that battery and car can
    give in an hour, a (x - x0) / (X - x0) is never more than that, and neither is it where it is told apart by
    device, a ([x_battery - x0]+ + [x_car - x0]+) / (X - x0).
    """
    most = homes.bess_kw[i] + homes.v2g_kw[i]
    free = f.hassle_kwh
    return goal.price(f.hassle_value, i) / (most - free) if most > free else 0.0


def battery(i: int, homes: Homes, f: Foresight, goal: Goal) -> Device:
    """The battery of home i.

    Take in: own sun (its export credit is lost), and the market. Give out: the market, and with the home control
    `self_consumption` the home's own shortage.
    """
    rules, value = goal.rules, goal.measure is Measure.VALUE
    n, eta, wear = f.n_steps, rules.bess_eta, rules.degradation_usd_per_kwh if goal.measure is Measure.VALUE else 0.0
    p, soc, low, high = homes.bess_kw[i], homes.soc_kwh[i], homes.bess_min_kwh[i], homes.bess_max_kwh[i]
    own, black = _by_step(f, f.own_ask[:, i]), f.blackout[:, i]
    floor, disturbed = max(homes.floor_kwh[i], low), black * goal.fine(f.blackout_value, i)
    # below its floor the home itself may refill from the grid
    cost = np.minimum(f.lmp + disturbed, f.import_usd_per_kwh)
    sells, buys = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    lo = np.full(n + 1, min(low, soc))
    reserve = _reserve(i, f, goal)
    if goal.asked:
        sells = (own <= f.highest_ask + 1e-9) | reserve.asked  # a call is delivered at any price
    if goal.kept:
        sells &= ~black
        buys = (f.lowest_limit <= homes.buy_limit[i] + 1e-9) & ~black
        lo[:] = min(floor, soc)
        if soc < floor:
            cost = np.where(buys, cost, f.import_usd_per_kwh)
            buys[:] = True
            # from the second day after the breach on it is refilled at full power, whatever the hour
            late = np.cumsum(f.day > f.day[0] + 1)
            lo[1:] = np.minimum(soc + late * (DT_H * eta * p), floor)
    lacks = np.minimum(f.shortage_kw[:, i], p) if f.self_consumption else np.zeros(n)
    sun = np.minimum(f.surplus_kw[:, i], p)
    sale = _sale(f, own, goal) - wear - disturbed
    bonus = _bonus(f, goal)
    home = bonus + (f.import_usd_per_kwh - wear if value else 0.0)
    sun_cost = bonus + (f.export_usd_per_kwh if value else 0.0)
    cost = bonus + (cost if value else 0.0)
    from_sun = np.where(sun_cost <= cost, sun, np.where(buys, 0.0, sun))
    from_market = (p - from_sun) * buys
    wanted = np.minimum(floor, f.baseline_bess_kwh[:, i])
    short = np.full(n, DT_H * goal.fine(f.floor_value, i))
    dearer = 0.0
    if goal.wishes is Wishes.PRICED:
        # what is missing at the end is restored at the tariff, at its cheapest, instead of at the refill price
        dearer = (f.least_import_usd_per_kwh - float(f.refill_end[i])) / eta
        short[-1] += max(dearer, 0.0)
    store = Store(
        lo=lo,
        hi=np.full(n + 1, max(high, soc)),
        ext=np.zeros(n + 1),
        ext_price=0.0,
        in_w=np.stack([from_sun, from_market], axis=1) * (DT_H * eta),
        in_m=np.stack([sun_cost, cost], axis=1) / eta,
        out_w=np.stack([p * sells, lacks], axis=1) * (DT_H / eta),
        out_m=np.stack([sale, home], axis=1) * eta,
        hold=np.zeros(n),
        wanted=wanted,
        short=short,
        end=f.refill_end[i] / eta if value else 0.0,
        start=soc,
    )
    before = np.maximum(np.where(f.called, p, 0.0), lacks)
    kept = -f.baseline_usd[i] - f.baseline_bess_kwh[-1, i] * f.refill_end[i] / eta if value else 0.0
    kept -= f.baseline_bonus_usd[i] * (1.0 if value else f.bonus_share)
    # a tariff below the refill price would make it cheaper to be short
    kept += max(-dearer, 0.0) * max(float(wanted[-1]) - lo[-1], 0.0)
    return Device(
        home=i,
        store=store,
        most_out=np.full(n, p * DT_H / eta),
        rho=reserve.up,
        power=np.full(n, p),
        # Reserve counts on the energy at the start of the step: what the home takes for itself, or a call for the
        # market, was there. Never above what the store may fall to: no energy must not count against reserve.
        empty=np.minimum((floor if goal.kept else low) - before * (DT_H / eta), lo[1:]),
        eta=eta,
        shares=np.array([True, False]),  # serving the home does not keep the battery from being on reserve
        busy=~f.called,
        grid_kwh=np.array([eta, 0.0]),
        meter_kwh=np.array([eta, eta]),
        day=f.day,
        day_kwh=np.inf if goal.wishes is Wishes.FREE else float(homes.day_limit_kwh[i]),
        day_usd=goal.fine(f.overuse_value, i) if goal.wishes is Wishes.PRICED else np.inf,
        hour=f.hour,
        hour_kwh=f.hassle_kwh,
        hour_usd=_hassle(i, homes, f, goal),
        storage=0,
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

    Where its owner's limits are kept, `most_ready`. Else, a car that still has charging to defer may lack anything;
    from there on the home's own forced charging brings it back, unless V2G keeps it from that.
    """
    eta = goal.rules.ev_eta
    ready = most_ready(i, homes, f, eta)
    if goal.kept:
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
    reserve, disturbed = _reserve(i, f, goal), black * goal.fine(f.blackout_value, i)
    if goal.asked:
        puts_off &= (defer <= f.highest_ask + 1e-9) | reserve.asked
        gives &= (own <= f.highest_ask + 1e-9) | reserve.asked
    if goal.kept:
        puts_off &= ~black
        gives &= ~black
    held = reserve.up * at_home
    # charging on reserve cannot be deferred as well; it needs no energy behind it
    waits = _sale(f, defer, goal) - held * ~f.called - disturbed
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
        out_m=np.stack([waits / eta, (_sale(f, own, goal) - wear - disturbed) * eta], axis=1),
        hold=np.zeros(n),
        # it is judged at the start of a step, so at the end of the one before; as it is now nobody can help
        wanted=-np.maximum(f.baseline_ev_soc_kwh[1:, i] - homes.ev_target_kwh[i], 0.0),
        short=np.append(f.judged[1:, i], 0.0) * goal.fine(f.car_value, i),
        end=f.back_end[i] / eta if value else 0.0,
        start=-float(max(homes.ev_deficit_kwh[i], 0.0)),
    )
    return Device(
        home=i,
        store=store,
        most_out=np.full(n, np.inf),
        # inside its envelope V2G offers no reserve
        rho=np.zeros(n) if goal.kept else held * (v2g > 0.0),
        power=np.where(at_home, v2g, 0.0),
        empty=np.minimum(homes.ev_min_kwh[i] - f.baseline_ev_soc_kwh[1:, i] - f.called * (v2g * DT_H / eta), -most[1:]),
        eta=eta,
        shares=np.array([False, True]),
        busy=~f.called,
        grid_kwh=np.array([1.0 / eta, eta]),
        meter_kwh=np.array([1.0 / eta, eta]),
        day=f.day,
        day_kwh=np.inf,
        day_usd=np.inf,
        hour=f.hour,
        hour_kwh=f.hassle_kwh,
        hour_usd=_hassle(i, homes, f, goal),
        storage=1,
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
