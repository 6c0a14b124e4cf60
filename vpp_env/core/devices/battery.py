"""The stationary battery: it serves the market above its owner's floor, and the home itself.

What it has bought at the market is the market's: it is sold first, it lies above the rest, and it never serves the
home's own load, which is what the retail tariff is for.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from vpp_env.core.devices.storage import charge_limit, discharge_limit, storage_next
from vpp_env.jit import inlined

T = TypeVar("T")


class Battery(NamedTuple, Generic[T]):
    """Parameters; a home without a battery has zeros."""

    kw: T  # kW, charging and discharging
    min_kwh: T  # kWh, hard
    max_kwh: T  # kWh, hard
    floor_kwh: T  # kWh, the owner's reserve floor
    day_limit_kwh: T  # kWh that it may give the market per day inside the owner's envelope
    cycle_limit_kwh: T  # kWh per day before it is over-cycling
    breach_kwh: (
        T | None
    )  # kWh below which the floor is breached, if a contract let it down for a while; None: the floor


class BatteryState(NamedTuple, Generic[T]):
    """State at the start of a step."""

    soc_kwh: T  # kWh
    discharged_kwh: T  # kWh given to the market since local midnight
    below_since: T  # local day on which the SoC fell below the floor; -1 = it is not below
    market_kwh: T  # kWh of the SoC that were bought at the market


class BatteryRules(NamedTuple):
    """What all batteries share."""

    dt_h: float  # h, length of a step
    eta: float  # one-way efficiency
    reserve_h: float  # h that reserve must last
    serves_home: bool  # home control `self_consumption`: it discharges into the home's own load


class OwnUse(NamedTuple):
    """What the home itself wants of its battery, kW."""

    charge: float  # own solar surplus, or restoring the floor
    discharge: float  # into the home's own load


class BatteryRange(NamedTuple):
    """What it could do for the market now, kW, down to the hard limits."""

    give: float  # for one step
    give_reserve: float  # for as long as reserve must last
    take: float  # for one step, besides what the home itself charges


class BatteryFlow(NamedTuple):
    """What it did in one step, kW."""

    bought: float
    home_charge: float
    home_discharge: float


class BatteryHeadroom(NamedTuple):
    """What it can promise for a whole opportunity, kW."""

    inside: float  # sustained, inside the owner's envelope
    hard: float  # sustained, down to the hard minimum
    buy: float  # sustained charging
    reserve: float  # inside the envelope, for as long as reserve must last
    reserve_hard: float


@inlined
def restores(since: float, day: int, k: int, restore_step: int) -> bool:
    """Whether a floor that was breached on an earlier day is restored from the grid now."""
    return since >= 0.0 and (day > since + 1.0 or (day > since and k >= restore_step))


@inlined
def own_use(b: Battery[float], s: BatteryState[float], surplus_kw: float, restore: bool, rules: BatteryRules) -> OwnUse:
    """What the home wants of its battery when its meter shows `surplus_kw` (minus = it lacks)."""
    charge = min(max(0.0, surplus_kw), charge_limit(s.soc_kwh, b.max_kwh, b.kw, rules.eta, rules.dt_h))
    if restore:
        charge = max(charge, charge_limit(s.soc_kwh, b.floor_kwh, b.kw, rules.eta, rules.dt_h))
    discharge = 0.0
    if rules.serves_home and charge == 0.0:
        keep = max(b.floor_kwh, b.min_kwh)
        own_kwh = s.soc_kwh - s.market_kwh
        discharge = min(max(0.0, -surplus_kw), discharge_limit(own_kwh, keep, b.kw, rules.eta, rules.dt_h))
    return OwnUse(charge, discharge)


@inlined
def below_since(soc: float, floor: float, since: float, day: int) -> float:
    """Local day on which the SoC fell below the floor, -1 when it is not below."""
    if soc < floor - 1e-9:
        return since if since >= 0.0 else float(day)
    return -1.0


@inlined
def relative_depth(soc: float, floor: float) -> float:
    """Share of the reserve floor that is missing."""
    return max(0.0, floor - soc) / floor if floor > 0.0 else 0.0


@inlined
def baseline_next(
    b: Battery[float], s: BatteryState[float], own: OwnUse, day: int, rules: BatteryRules
) -> BatteryState[float]:
    """State after a step with no market."""
    soc = storage_next(s.soc_kwh, own.charge, own.discharge, rules.eta, rules.dt_h, b.min_kwh, b.max_kwh)
    return BatteryState(soc, s.discharged_kwh, below_since(soc, b.floor_kwh, s.below_since, day), s.market_kwh)


@inlined
def battery_range(b: Battery[float], s: BatteryState[float], own: OwnUse, rules: BatteryRules) -> BatteryRange:
    """What the market may count on; the home's own charging comes first."""
    return BatteryRange(
        discharge_limit(s.soc_kwh, b.min_kwh, b.kw, rules.eta, rules.dt_h),
        discharge_limit(s.soc_kwh, b.min_kwh, b.kw, rules.eta, rules.reserve_h),
        max(0.0, charge_limit(s.soc_kwh, b.max_kwh, b.kw, rules.eta, rules.dt_h) - own.charge),
    )


@inlined
def inside_envelope(b: Battery[float], s: BatteryState[float], rules: BatteryRules) -> float:
    """Power that it may give in one step: above the floor, within the day's discharge."""
    above = discharge_limit(s.soc_kwh, max(b.floor_kwh, b.min_kwh), b.kw, rules.eta, rules.dt_h)
    return max(0.0, min(above, (b.day_limit_kwh - s.discharged_kwh) * (1.0 / rules.dt_h)))


@inlined
def reserve_inside(b: Battery[float], s: BatteryState[float], rules: BatteryRules) -> float:
    """Power that it may hold on reserve inside the owner's envelope, for as long as reserve must last."""
    above = discharge_limit(s.soc_kwh, max(b.floor_kwh, b.min_kwh), b.kw, rules.eta, rules.reserve_h)
    return max(0.0, min(above, (b.day_limit_kwh - s.discharged_kwh) * (1.0 / rules.reserve_h)))


@inlined
def market_next(market_kwh: float, soc: float, bought: float, given: float, rules: BatteryRules) -> float:
    """Energy of the market's after a step: bought energy comes in, what the market is given takes it first."""
    after = market_kwh + rules.eta * bought * rules.dt_h - given * rules.dt_h / rules.eta
    return min(max(0.0, after), soc)


@inlined
def battery_step(
    b: Battery[float], s: BatteryState[float], own: OwnUse, given: float, buy: float, day: int, rules: BatteryRules
) -> tuple[BatteryState[float], BatteryFlow]:
    """Give `given` kW to the market, or take up to `buy`; what the home would do by itself waits while it gives."""
    charge, discharge, bought = own.charge, own.discharge, 0.0
    if given > 0.0:
        charge = discharge = 0.0
    if given == 0.0:
        room = charge_limit(s.soc_kwh, b.max_kwh, b.kw, rules.eta, rules.dt_h) - charge
        bought = max(0.0, min(buy, room))
        if bought > 0.0:
            discharge = 0.0
    soc = storage_next(
        s.soc_kwh, charge + bought, given + discharge, rules.eta, rules.dt_h, b.min_kwh, b.max_kwh
    )  # fmt: skip
    # what the home discharges for itself, its baseline discharges too: only the market's part counts
    after = BatteryState(
        soc,
        s.discharged_kwh + given * rules.dt_h,
        below_since(soc, b.floor_kwh, s.below_since, day),
        market_next(s.market_kwh, soc, bought, given, rules),
    )
    return after, BatteryFlow(bought, charge, discharge)


@inlined
def battery_headroom(
    b: Battery[float], s: BatteryState[float], span_h: float, pending_kwh: float, rules: BatteryRules
) -> BatteryHeadroom:
    """What it can promise for `span_h`; what earlier bids may still take, `pending_kwh`, is outside the envelope."""
    eta, floor = rules.eta, max(b.floor_kwh, b.min_kwh)
    left = max(0.0, b.day_limit_kwh - s.discharged_kwh - pending_kwh)
    soc = s.soc_kwh - pending_kwh / eta
    inside = min(discharge_limit(soc, floor, b.kw, eta, span_h), left * (1.0 / span_h))
    if rules.serves_home:
        # in the intervals that do not clear, the home may use the battery for itself, at full power at worst
        spare = (soc - floor) * eta - b.kw * (span_h - rules.dt_h)
        inside = min(inside, max(0.0, spare * (1.0 / rules.dt_h)))
    return BatteryHeadroom(
        inside=inside,
        hard=discharge_limit(s.soc_kwh, b.min_kwh, b.kw, eta, span_h),
        buy=charge_limit(s.soc_kwh, b.max_kwh, b.kw, eta, span_h),
        reserve=min(discharge_limit(soc, floor, b.kw, eta, rules.reserve_h), left * (1.0 / rules.reserve_h)),
        reserve_hard=discharge_limit(s.soc_kwh, b.min_kwh, b.kw, eta, rules.reserve_h),
    )
