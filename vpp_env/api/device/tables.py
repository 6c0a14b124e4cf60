"""What the host prepares of an episode: the tables of distinct months that nobody's bids change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.device.memory import (
    ASKS,
    HEADROOM,
    N_REAL,
    QUOTE,
    STATE,
    Place,
    Shared,
)
from vpp_env.api.observation import Observer
from vpp_env.contract.observation import AHEAD, N_PUBLIC
from vpp_env.core.layout import Day
from vpp_env.evaluation.welfare import private_values
from vpp_env.market.state import MarketState
from vpp_env.owners.asks import LOOK_HOURS, buy_back_prices
from vpp_env.owners.patience import bears_of, patience_draws
from vpp_env.owners.wishes import wish_limits
from vpp_env.simulation.month import HISTORY
from vpp_env.simulation.world import World
from vpp_env.units import Floats, Floats32


class Gates(NamedTuple):
    """What is met on the way through all gates of the run, D months."""

    days: list[Day]  # local days in order
    market: MarketState  # of the whole run
    own: Floats  # (A, D, N) USD/kWh asked per kWh discharged
    reserve: Floats  # (A, D, N) USD/kW-h
    back: Floats  # (G, D, LOOK_HOURS) USD/kWh
    public: Floats  # (G, D, N_PUBLIC)
    coming: list[slice]  # G, steps from the delivery that is bid for on, as far as prices are published


def gates_of(world: World, observer: Observer) -> Gates:
    """Go through the gates of a world that was reset; it is left at the last one."""
    scenario = world.scenario
    count, months = scenario.n_opportunities + 1, world.n_months
    back, public = np.empty((count, months, LOOK_HOURS)), np.empty((count, months, N_PUBLIC))
    days: list[Day] = []
    own, reserve, coming = [], [], []
    for o in range(count):
        world.visit(o)
        if world.clock(world.t)[0] == len(days):
            days.append(world.day)
            own.append(world.owners.own)
            reserve.append(world.owners.reserve)
        back[o] = buy_back_prices(world.exchange.da, world.delivery, world.announced.until, LOOK_HOURS)
        public[o] = observer.public()
        coming.append(slice(world.delivery, world.announced.until))
    market = world.exchange.state(0, world.calendar.n_steps, world.exchange.cap_q(np.zeros(months)))
    return Gates(days, market, np.stack(own), np.stack(reserve), back, public, coming)


def places_of(world: World) -> list[Place]:
    """Return the place of every gate."""
    out: list[Place] = []
    firm = world.exchange.firm
    for gate in range(world.scenario.n_opportunities + 1):
        t = gate * world.steps
        day, k = world.calendar.clock(t)
        row = sum(world.calendar.steps_in_day(d) for d in range(day))
        then, k_then = world.calendar.clock(t + world.lead * world.steps)
        week_step = int(world.calendar.day_week_steps(then)[k_then])
        inside = t < world.calendar.n_steps and firm.is_evening(t)
        evening = firm.evening_of(t) if inside else -1
        fresh = evening >= 0 and (not out or out[-1].evening != evening)
        steps = world.calendar.steps_in_day(day)
        opens = inside and firm.begins(t)
        out.append(Place(day, row, steps, k, week_step, then - day, t, gate, inside, opens, evening, fresh))
    return out


def first_rows(world: World) -> Floats:
    """(D, N_REAL, N) rows of `Own.real` at the start of a world that was just reset."""
    out = np.zeros((world.n_months, N_REAL, world.n_homes))

    def put(row: int, arrays: tuple[Floats, ...]) -> None:
        for at, array in enumerate(arrays):
            out[:, row + at] = array.reshape(world.n_months, -1)

    put(STATE, (*world.state.battery, *world.state.vehicle))
    put(QUOTE, tuple(world.quote))
    put(HEADROOM, tuple(world.headroom))
    put(ASKS, (world.owners.own, world.owners.defer, world.owners.reserve))
    return out


def shared_of(world: World, observer: Observer, gates: Gates, steps: int) -> Shared:
    """Return the read-only tables, in the host's memory.

    Parameters
    ----------
    world : World
        Of the distinct months, just reset before `gates_of`: it still holds the load of the day before the run.
    observer, gates : Observer, Gates
        Of it.
    steps : int
        15-min steps of an opportunity.
    """
    d, n, market = world.n_months, world.n_homes, gates.market
    load, pv = (
        np.concatenate([getattr(day.plan, name) for day in gates.days]).reshape(-1, d, n).swapaxes(0, 1)
        for name in ("load", "pv")
    )
    baseline = np.stack(
        [
            np.concatenate([getattr(day.baseline, name) for day in gates.days]).reshape(-1, d, n).swapaxes(0, 1)
            for name in gates.days[0].baseline._fields
        ],
        axis=1,
    )

    def by_day(name: str) -> NDArray[np.float64]:
        return np.stack([getattr(day.plan, name).reshape(d, n) for day in gates.days], axis=1)

    p, fleets = world.parameters, [m.fleet for m in world.months]
    battery, vehicle = p.battery[:6], p.vehicle[:5]
    limits = (world.sell_limit_kw, world.buy_limit_kw)
    rows = (*battery, *vehicle, p.buy_limit, *p.blackout_1, *p.blackout_2, world.defer_premium, *limits)
    homes = np.concatenate(
        [
            np.stack([row.reshape(d, n) for row in rows], axis=1),
            wish_limits(fleets).reshape(3, d, n).swapaxes(0, 1),
            private_values(fleets).swapaxes(0, 1),
        ],
        axis=1,
    )
    offset = world.calendar.offset
    shown = np.stack(
        [
            _shown(x, past, offset, steps, len(gates.back), d)
            for x, past in ((load, world.load_past), (pv, world.pv_past))
        ],
        axis=2,
    )
    clock = np.stack([np.concatenate([getattr(x.plan, name) for x in gates.days]) for name in ("week_step", "peak")])
    series = (market.lmp, market.incentive, market.da)
    # one row at least: device memory of no byte is not to be had
    stays = np.stack([np.concatenate([m.conditions.firm.stays, np.ones((1, n), np.bool_)]) for m in world.months])
    spec, days = world.scenario.owners, range(len(gates.days))
    decided = [[bears_of(patience_draws(m.world_seed, day, n), spec) for day in days] for m in world.months]
    return Shared(
        homes=homes,
        fixed=observer.fixed.reshape(-1, d, n).swapaxes(0, 1),
        load=load,
        pv=pv,
        baseline=baseline,
        cars=np.stack([by_day(name) for name in ("dep", "arr", "out", "ready", "next_due")], axis=1).astype(np.int64),
        trip=by_day("trip"),
        clock=clock.astype(np.int64),
        restore=np.array([day.plan.restore_step for day in gates.days], dtype=np.int64),
        asks=np.stack([gates.own, gates.reserve], axis=1).transpose(2, 1, 0, 3),
        back=gates.back.swapaxes(0, 1),
        shown=shown,
        public=gates.public.swapaxes(0, 1),
        ticks=np.stack([market.highest_ask.T, market.lowest_limit.T], axis=1)[..., None],
        prices=np.stack([x.T for x in series], axis=1)[..., None],
        rho=market.rho.swapaxes(0, 1)[:, :, None],
        reserve_ticks=market.reserve_highest.swapaxes(0, 1)[:, :, None],
        called=market.called.T[..., None],
        products=np.stack([market.is_down, market.callable]),
        stays=stays,
        tolerance=spec.tolerance_factor * np.stack([fleet.tolerance for fleet in fleets]),
        bears=np.array([[bears for bears, _ in month] for month in decided]),
        extra=np.array([[extra for _, extra in month] for month in decided]),
    )


def _shown(x: Floats32, past: Floats32, offset: int, steps: int, gates: int, months: int) -> Floats32:
    """(D, G, 4, N) load or solar output that the observation shows at each gate.

    `x` (D, T, N) by local days, whose row `offset` is step 0 of the run; `past` (HISTORY, D*N) the day before it, row
    t % HISTORY step t. Steps ahead of the last metered one are forecast by their values a day before.
    """
    whole = np.concatenate([past.reshape(HISTORY, months, -1).swapaxes(0, 1), x[:, offset:]], axis=1)
    first = HISTORY + steps * np.arange(gates)[:, None] - 1
    return whole[:, first + np.where(AHEAD > 0, AHEAD - HISTORY, 0)]
