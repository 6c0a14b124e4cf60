"""One home through one 15-min step: begin, quote, deliver; `core.ledger.account` is the fourth phase.

The functions are of one home, given and returned as NamedTuples of numbers; `core.loops` calls them over all homes.
"""

from __future__ import annotations

from vpp_env.core.devices.battery import (
    Battery,
    BatteryState,
    OwnUse,
    battery_range,
    battery_step,
    inside_envelope,
    own_use,
    relative_depth,
    reserve_inside,
    restores,
)
from vpp_env.core.devices.vehicle import (
    Vehicle,
    VehicleEvents,
    VehicleState,
    VehicleStep,
    reserve_kept,
    vehicle_begin,
    vehicle_limits,
    vehicle_range,
    vehicle_step,
)
from vpp_env.core.layout import Day, Flow, Home, HomeState, Order, Price, Quote, Rules, Step
from vpp_env.jit import at, either, inlined, is_set
from vpp_env.units import Floats

# -- one home, gathered and put back -----------------------------------------------------------------------


@inlined
def home_at(h: Home[Floats], i: int) -> Home[float]:
    """Home i."""
    b, v, first, second = h.battery, h.vehicle, h.blackout_1, h.blackout_2
    return Home(
        Battery(
            b.kw[i], b.min_kwh[i], b.max_kwh[i], b.floor_kwh[i], b.day_limit_kwh[i], b.cycle_limit_kwh[i],
            at(b.breach_kwh, i),
        ),
        Vehicle(
            v.kwh[i], v.kw[i], v.v2g_kw[i], v.min_kwh[i], v.target_kwh[i], at(v.ready_kwh, i), at(v.lack_kwh, i),
            at(v.on_reserve, i),
        ),
        h.buy_limit[i],
        (first[0][i], first[1][i]),
        (second[0][i], second[1][i]),
        at(h.waived, i),
        at(h.most_kw, i),
    )  # fmt: skip


@inlined
def state_at(s: HomeState[Floats], i: int) -> HomeState[float]:
    """State of home i."""
    b, v = s.battery, s.vehicle
    return HomeState(
        BatteryState(b.soc_kwh[i], b.discharged_kwh[i], b.below_since[i], b.market_kwh[i]),
        VehicleState(v.soc_kwh[i], v.shortfall[i], v.lacks[i]),
    )


@inlined
def put_state(s: HomeState[Floats], i: int, new: HomeState[float]) -> None:
    """Write the state of home i."""
    s.battery.soc_kwh[i] = new.battery.soc_kwh
    s.battery.discharged_kwh[i] = new.battery.discharged_kwh
    s.battery.below_since[i] = new.battery.below_since
    s.battery.market_kwh[i] = new.battery.market_kwh
    s.vehicle.soc_kwh[i] = new.vehicle.soc_kwh
    s.vehicle.shortfall[i] = new.vehicle.shortfall
    s.vehicle.lacks[i] = new.vehicle.lacks


@inlined
def order_at(orders: Order[Floats], i: int) -> Order[float]:
    """The order of home i."""
    return Order(
        orders.sell[i], orders.dear[i], orders.call[i], orders.buy[i],
        orders.reserve[i], orders.available[i], orders.free[i], orders.down[i],
    )  # fmt: skip


@inlined
def price_at(prices: Price[Floats], i: int) -> Price[float]:
    """The prices of home i."""
    return Price(
        prices.lmp[i],
        prices.sold[i],
        prices.dear[i],
        prices.bought[i],
        prices.reserve[i],
        prices.rho[i],
        prices.own[i],
        prices.defer[i],
        at(prices.agreed, i),
    )


@inlined
def flow_at(f: Floats, i: int) -> Flow[float]:
    """Column i of (N_FLOW, N)."""
    return Flow(
        f[0, i], f[1, i], f[2, i], f[3, i], f[4, i], f[5, i], f[6, i], f[7, i], f[8, i],
        f[9, i], f[10, i], f[11, i], f[12, i], f[13, i], f[14, i], f[15, i], f[16, i], f[17, i],
    )  # fmt: skip


@inlined
def put_quote(q: Quote[Floats], i: int, now: Quote[float]) -> None:
    """Write the quote of home i."""
    q.sell[i], q.buy[i], q.reserve_up[i], q.reserve_down[i] = now.sell, now.buy, now.reserve_up, now.reserve_down
    q.reserve_kept[i] = now.reserve_kept


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
            out=p.out[i],
            trip_kwh=p.trip[i],
            ready=p.ready[i],
            next_due=p.next_due[i],
            baseline_kw=ev_kw,
            baseline_kwh=b.ev_soc[k, i],
            baseline_before_kwh=b.ev_soc[max(k - 1, 0), i],
            late_kwh=b.ev_late[k, i],
        ),
    )


@inlined
def in_window(week_step: int, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether a quarter hour of the week lies in one of two windows [from, to) (-1 = no window)."""
    return (first[0] <= week_step < first[1]) or (second[0] <= week_step < second[1])


@inlined
def is_black(home: Home[float], week_step: int) -> bool:
    """Whether a blackout window has to be kept in a quarter hour of the week."""
    return not is_set(home.waived) and in_window(week_step, home.blackout_1, home.blackout_2)


# -- the phases --------------------------------------------------------------------------------------------


@inlined
def begin(home: Home[float], state: HomeState[float], step: Step) -> tuple[HomeState[float], VehicleEvents]:
    """Begin a step: the day's counters start at midnight, the car's sessions end and begin."""
    b = state.battery
    discharged = 0.0 if step.k == 0 else b.discharged_kwh
    vehicle, events = vehicle_begin(home.vehicle, state.vehicle, step.vehicle)
    return HomeState(BatteryState(b.soc_kwh, discharged, b.below_since, b.market_kwh), vehicle), events


@inlined
def quote(home: Home[float], state: HomeState[float], step: Step, rules: Rules) -> Quote[float]:
    """What the home could deliver in this step."""
    car = vehicle_range(home.vehicle, state.vehicle, step.vehicle, rules.vehicle)
    own = _own_use(home, state, step, rules)
    battery = battery_range(home.battery, state.battery, own, rules.battery)
    take = car.take + battery.take
    kept = 0.0
    if not is_black(home, step.week_step):
        defer = vehicle_limits(home.vehicle, state.vehicle, step.vehicle, False, rules.vehicle).defer
        kept = defer + reserve_inside(home.battery, state.battery, rules.battery)
        kept += reserve_kept(home.vehicle, state.vehicle, step.vehicle, rules.vehicle)
    up = car.give_reserve + battery.give_reserve
    return Quote(car.give + battery.give, take, up, take, min(kept, up))


@inlined
def _own_use(home: Home[float], state: HomeState[float], step: Step, rules: Rules) -> OwnUse:
    """What the home itself wants of its battery; its meter sees the baseline's car."""
    restore = restores(state.battery.below_since, step.day, step.k, step.restore_step)
    return own_use(home.battery, state.battery, step.net_kw, restore, rules.battery)


@inlined
def deliver(
    home: Home[float],
    state: HomeState[float],
    step: Step,
    order: Order[float],
    rules: Rules,
    spends: bool = True,
    force: float = 1.0,
) -> tuple[HomeState[float], Flow[float]]:
    """Run the devices through the step under an order.

    A home delivers cheapest first - deferred charging, battery, V2G, all inside the owner's envelope - and what is
    still owed then comes from beyond it, in the same order, down to the hard limits. Unless the owner's envelope is
    overridden (`order.free`) the home's gateway keeps it: nothing comes from beyond it, nothing is bought in a blackout
    window, and the battery does not charge at a price above the owner's limit (`spends` False). Of the charging that is
    forced beyond the baseline's a share `force` is done: the rest has to wait where a feeder is full.
    """
    b, before = home.battery, state.battery
    black = is_black(home, step.week_step)
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
    buy = order.buy
    if order.free > 0.0:
        x += min(max(0.0, owed - kept), car.defer_hard - x)
        y += min(max(0.0, owed - x - y - z), hard - y)
        z += min(max(0.0, owed - x - y - z), car.v2g_hard - z)
    elif black:
        buy = 0.0
    given = x + y + z
    forced = car.forced - (1.0 - force) * max(0.0, car.forced - step.vehicle.baseline_kw)
    vehicle, ev = vehicle_step(
        home.vehicle, state.vehicle, step.vehicle, forced, (x, z), buy, rules.vehicle
    )  # fmt: skip
    for_battery = buy - ev.bought if spends or order.free > 0.0 else 0.0
    battery, bess = battery_step(b, before, own, y, for_battery, step.day, rules.battery)
    # the record
    bought = ev.bought + bess.bought
    sold = min(given, order.sell)
    beyond = max(0.0, given - kept) + (bought if black else 0.0)
    floor = either(b.breach_kwh, b.floor_kwh)
    depth = relative_depth(battery.soc_kwh, floor) - relative_depth(step.bess_soc, floor)
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
