"""Feeders: the homes behind one transformer, whose meters together never pass its rating because of the market.

Feeder f serves the homes f H .. f H + H - 1 of a month. With N the sum of its homes' meters in a step (kW, plus is
export) and B what that sum would be had the market ordered nothing in this step, its limits are

    export max(K, B),  draw max(K, -B)        K: rating of the transformer

so that what the homes do by themselves is nobody's fault. Where N is beyond a limit, what the market causes in that
direction is cut by one factor for all homes of the feeder, the largest with which the limit holds:

- export: sales and calls;
- draw: purchases; where their end is not enough, charging bought back by force (it too is the market's doing: the
  baseline never needs it), which then is late; and last the sales for which a home stops serving its own load.

The factor is of what each home would have delivered, not of what it was awarded: an award that cannot be delivered
wins no share. Reserve is available as far as the feeder would let it through.

What homes do is stated once, in `core.home`. So a factor is found by running the feeder's homes again with less:
`again` reads what the last run brought to the meters, and says whether there has to be another, and with what.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.devices.battery import BatteryState
from vpp_env.core.devices.vehicle import VehicleState
from vpp_env.core.layout import FLOW, N_FLOW, Flow, HomeState, Order
from vpp_env.jit import inlined, internal
from vpp_env.units import Floats

N_STATE = 7
SELL, CALL, BUY, FORCE = range(4)
"""Rows of `Feeder.share` and `Feeder.whole`."""
FULL, ALONE, SEARCH, SETTLED, STANDING, FINAL = range(6)
"""What a run was: without limits; without a market; in search of a share; with all shares found; with reserve that is
on call in search of what would pass; the last one."""
STAGE, NET, EXPORT, DRAW, CUT, ROW, SIGN, LIMIT, LOW, HIGH, AT_LOW, AT_HIGH, TRIED, TURN, ROOM, OVER = range(16)
"""Entries of `Feeder.at`; the search keeps a share that fits (`LOW`) and one that does not, and what each is above;
`OVER` is 1 where the baseline is beyond the rating."""
N_AT = 16
FINE_KW = 1e-10
"""A limit counts as met within this."""
TRIES = 120
"""Bound on the search of a share: a straight line needs two runs, a kink or a step up to a hundred."""


class Feeder(NamedTuple):
    """What the H homes of one feeder do in one step; used again for the next one."""

    flow: Floats  # (N_FLOW, H) kW
    state: Floats  # (N_STATE, H) after the step
    whole: Floats  # (4, H) kW sold, called, bought, forced without a limit
    share: Floats  # (4, H) of it that the feeder lets through
    ask: Floats  # (4, H) kW that the next run asks for; of forced charging the share
    kept: Floats  # (H,) share of the reserve that it would let through
    retail: Floats  # (H,) kW at the meter without the market
    saved: Floats  # (8, H) `whole` and `share` while reserve is tried
    at: Floats  # (N_AT,) where the search is


def new_feeder(homes: int) -> Feeder:
    """Return room for a feeder of so many homes."""
    return Feeder(
        np.empty((N_FLOW, homes)),
        np.empty((N_STATE, homes)),
        np.empty((4, homes)),
        np.empty((4, homes)),
        np.empty((4, homes)),
        np.empty(homes),
        np.empty(homes),
        np.empty((8, homes)),
        np.zeros(N_AT),
    )


@inlined
def put(flows: Floats, states: Floats, h: int, state: HomeState[float], flow: Flow[float]) -> None:
    """Write what a home does into column h of (N_FLOW, H) and (N_STATE, H); a loop over the flows takes longer."""
    flows[FLOW.sold, h] = flow.sold
    flows[FLOW.called, h] = flow.called
    flows[FLOW.bought, h] = flow.bought
    flows[FLOW.forced, h] = flow.forced
    flows[FLOW.deferred, h] = flow.deferred
    flows[FLOW.battery, h] = flow.battery
    flows[FLOW.v2g, h] = flow.v2g
    flows[FLOW.beyond, h] = flow.beyond
    flows[FLOW.battery_bought, h] = flow.battery_bought
    flows[FLOW.home_charge, h] = flow.home_charge
    flows[FLOW.home_discharge, h] = flow.home_discharge
    flows[FLOW.ev_charge, h] = flow.ev_charge
    flows[FLOW.retail, h] = flow.retail
    flows[FLOW.retail_baseline, h] = flow.retail_baseline
    flows[FLOW.depth, h] = flow.depth
    flows[FLOW.over, h] = flow.over
    flows[FLOW.blackout, h] = flow.blackout
    flows[FLOW.market, h] = flow.market
    states[0, h] = state.battery.soc_kwh
    states[1, h] = state.battery.discharged_kwh
    states[2, h] = state.battery.below_since
    states[3, h] = state.battery.market_kwh
    states[4, h] = state.vehicle.soc_kwh
    states[5, h] = state.vehicle.shortfall
    states[6, h] = state.vehicle.lacks


@inlined
def state_of(states: Floats, h: int) -> HomeState[float]:
    """The state in column h of (N_STATE, H)."""
    s = states
    return HomeState(BatteryState(s[0, h], s[1, h], s[2, h], s[3, h]), VehicleState(s[4, h], s[5, h], s[6, h]))


@inlined
def begin_feeder(feeder: Feeder) -> None:
    """Begin a step: nothing has been cut."""
    feeder.at[STAGE], feeder.at[CUT] = FULL, 0.0


@inlined
def ask_for_all(feeder: Feeder, h: int, order: Order[float]) -> None:
    """Ask of home h of the feeder for all that the market awarded."""
    feeder.ask[SELL, h], feeder.ask[CALL, h] = order.sell, order.call
    feeder.ask[BUY, h], feeder.ask[FORCE, h] = order.buy, 1.0


@internal
def again(feeder: Feeder, orders: Order[Floats], kw: float, first: int, last: int, net: float) -> bool:
    """Whether the homes of a feeder have to be run again, with what is asked for now.

    Parameters
    ----------
    feeder : Feeder
        `flow` holds what the last run brought, `at[STAGE]` what it was: `FULL` at first. In the end `share` and `kept`
        are what is let through of `whole` and of the reserve, and `at[CUT]` is 1 where energy was cut.
    orders : Order
        What the market awarded.
    kw : float
        Rating.
    first, last : int
        Those of the feeder's homes are `first` to `last` - 1.
    net : float
        kW, sum of the meters in the last run.
    """
    another = _next(feeder, orders, kw, first, last, net)
    for h in range(last - first):
        for row in range(FORCE):
            feeder.ask[row, h] = feeder.share[row, h] * feeder.whole[row, h]
        feeder.ask[FORCE, h] = feeder.share[FORCE, h]
    return another


@inlined
def _next(feeder: Feeder, orders: Order[Floats], kw: float, first: int, last: int, net: float) -> bool:
    """Take one step of `again`: from what the last run was to the shares of the next one."""
    at, share, count = feeder.at, feeder.share, last - first
    stage = at[STAGE]
    if stage == FULL:
        for h in range(count):
            feeder.whole[SELL, h], feeder.whole[CALL, h] = feeder.flow[FLOW.sold, h], feeder.flow[FLOW.called, h]
            feeder.whole[BUY, h], feeder.whole[FORCE, h] = feeder.flow[FLOW.bought, h], feeder.flow[FLOW.forced, h]
        at[NET] = net
        _let(feeder, 0.0)
        at[STAGE] = ALONE
        return True
    if stage == ALONE:
        for h in range(count):
            feeder.retail[h] = feeder.flow[FLOW.retail, h]
        at[EXPORT], at[DRAW], at[CUT] = max(kw, net), max(kw, -net), 1.0
        _let(feeder, 1.0)
        if at[NET] > at[EXPORT] + FINE_KW:
            _search(feeder, SELL, at[NET] - at[EXPORT])
        elif -at[NET] > at[DRAW] + FINE_KW:
            _search(feeder, BUY, -at[NET] - at[DRAW])
        else:
            at[CUT] = 0.0
            at[STAGE] = SETTLED
        return True
    if stage == SEARCH:
        if _narrow(feeder, net):
            return True
        drawn = -(at[AT_LOW] + at[EXPORT]) - at[DRAW]
        if at[ROW] == SELL and drawn > FINE_KW:
            # a car that no longer gives charges again, by force
            _search(feeder, BUY, drawn)
            return True
        if at[AT_LOW] > FINE_KW and at[ROW] == BUY:
            for h in range(count):
                feeder.whole[FORCE, h] = max(feeder.whole[FORCE, h], feeder.flow[FLOW.forced, h])
            _search(feeder, FORCE, at[AT_LOW])
            return True
        if at[AT_LOW] > FINE_KW and at[ROW] == FORCE:
            for h in range(count):
                if feeder.flow[FLOW.retail, h] + feeder.flow[FLOW.market, h] < feeder.retail[h]:
                    share[SELL, h] = 0.0
                    share[CALL, h] = 0.0
        at[STAGE] = SETTLED
        return True
    if stage == SETTLED:
        return _try_reserve(feeder, orders, first, last, net)
    if stage == STANDING:
        if _narrow(feeder, net):
            return True
        passed = share[CALL, 0]
        for h in range(count):
            for row in range(4):
                feeder.whole[row, h], share[row, h] = feeder.saved[row, h], feeder.saved[4 + row, h]
        _keep(feeder, orders, first, last, passed)
        at[STAGE] = FINAL
        return True
    return False


@inlined
def _let(feeder: Feeder, share: float) -> None:
    """Let through the same share of everything."""
    for h in range(feeder.share.shape[1]):
        for row in range(4):
            feeder.share[row, h] = share


@inlined
def _set(feeder: Feeder, tried: float) -> None:
    """Try a share of the row that is searched; sales and calls have one share."""
    row = int(feeder.at[ROW])
    feeder.at[TRIED] = tried
    for h in range(feeder.share.shape[1]):
        feeder.share[row, h] = tried
        if row == SELL:
            feeder.share[CALL, h] = tried


@inlined
def _search(feeder: Feeder, row: int, excess: float) -> None:
    """Begin the search of the largest share of a row that fits, where all of it is `excess` kW too much."""
    at = feeder.at
    at[STAGE], at[ROW], at[TURN] = SEARCH, row, 0.0
    at[SIGN] = 1.0 if row == SELL else -1.0
    at[LIMIT] = at[EXPORT] if row == SELL else at[DRAW]
    at[LOW], at[HIGH], at[AT_HIGH] = 0.0, 1.0, excess
    _set(feeder, 0.0)


@inlined
def _narrow(feeder: Feeder, net: float) -> bool:
    """Take in what the share that was tried brought; whether to try another. If not, the largest that fits is set.

    The excess rises with the share by straight lines and steps: in turns the line between its ends is followed, and
    the span halved. Where not even 0 fits, the share is 0 and `at[AT_LOW]` what it is above.
    """
    at = feeder.at
    excess = at[SIGN] * net - at[LIMIT]
    if excess <= FINE_KW or at[TRIED] == 0.0:
        at[LOW], at[AT_LOW] = at[TRIED], excess
    else:
        at[HIGH], at[AT_HIGH] = at[TRIED], excess
    low, high = at[LOW], at[HIGH]
    if at[AT_LOW] >= -FINE_KW or high - low < 1e-15 or at[TURN] >= TRIES:
        _set(feeder, low)
        return False
    straight = low + (high - low) * at[AT_LOW] / (at[AT_LOW] - at[AT_HIGH])
    _set(feeder, straight if at[TURN] % 2.0 == 0.0 else 0.5 * (low + high))
    at[TURN] += 1.0
    return True


@inlined
def _try_reserve(feeder: Feeder, orders: Order[Floats], first: int, last: int, net: float) -> bool:
    """Call all reserve that is not being called, on top of what is delivered, to see what of it would pass."""
    at, whole, share = feeder.at, feeder.whole, feeder.share
    up = stored = down = 0.0
    for i in range(first, last):
        able = min(orders.reserve[i], orders.available[i])
        stored += feeder.flow[FLOW.home_charge, i - first]
        if orders.down[i] > 0.0:
            down += able
        elif orders.call[i] == 0.0:
            up += able
    at[ROOM] = min(1.0, max(0.0, at[DRAW] + net) / down) if down > 0.0 else 1.0
    if up == 0.0 or net + up + stored <= at[EXPORT]:
        _keep(feeder, orders, first, last, 1.0)
        return False
    for i in range(first, last):
        h = i - first
        for row in range(4):
            feeder.saved[row, h], feeder.saved[4 + row, h] = whole[row, h], share[row, h]
        idle = orders.down[i] == 0.0 and orders.call[i] == 0.0
        whole[SELL, h] = share[SELL, h] * whole[SELL, h] + share[CALL, h] * whole[CALL, h]
        whole[CALL, h] = min(orders.reserve[i], orders.available[i]) if idle else 0.0
        share[SELL, h] = 1.0
    at[STAGE], at[ROW], at[TURN], at[SIGN], at[LIMIT] = STANDING, CALL, 0.0, 1.0, at[EXPORT]
    at[LOW], at[HIGH], at[AT_LOW] = 0.0, 1.0, net - at[EXPORT]
    _set(feeder, 1.0)
    return True


@inlined
def _keep(feeder: Feeder, orders: Order[Floats], first: int, last: int, passed: float) -> None:
    """Fill `feeder.kept`: `passed` of the reserve to give, the room for reserve to charge, what passes of a call."""
    for i in range(first, last):
        h = i - first
        called = feeder.share[CALL, h] if orders.call[i] > 0.0 else passed
        feeder.kept[h] = feeder.at[ROOM] if orders.down[i] > 0.0 else called
