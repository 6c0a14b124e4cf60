"""The observation of one home: a flat float32 vector in [-1, 1], the same length for every home.

The columns, with units and scales, are the table of `vpp_env.api.parallel.MarketMonth`; `_public` fills those that
every home of a month sees alike, `_fill` the others.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.core.headroom import Headroom
from vpp_env.core.layout import Home, HomeState
from vpp_env.jit import kernel
from vpp_env.market.day_ahead import PUBLICATION_HOUR
from vpp_env.market.reserve import DOWN
from vpp_env.simulation.world import HISTORY, World
from vpp_env.units import KWH_PER_MWH, Floats, Floats32, Ints

N_OBS = 54
N_PUBLIC = 18
"""Columns that are the same for every home of a month: 0-4 and 29-41."""
AHEAD = np.array([0, 1, 4, 16])
"""Forecast steps in the observation."""
PRICE_SCALE = math.asinh(20.0)
QUANTILES = (0.1, 0.5, 0.9)
PRODUCT_ORDER = ("spin", "nonspin", "regup", DOWN)


@kernel
def _price(usd_per_kwh: float) -> float:
    return min(1.0, max(-1.0, math.asinh(usd_per_kwh * KWH_PER_MWH / 100.0) / PRICE_SCALE))


@kernel
def _public(
    hour: float,
    weekday: float,
    da: Floats,
    rt: Floats,
    rho: Floats,
    slot: Ints,
    now: int,
    delivery: int,
    known: int,
) -> Floats:
    """(M, N_PUBLIC) what every home of a month sees alike; reads `da` before `known`, `rt` and `rho` before `now`."""
    out = np.zeros((da.shape[0], N_PUBLIC))
    for m in range(da.shape[0]):
        out[m, 0], out[m, 1] = math.sin(math.tau * hour / 24), math.cos(math.tau * hour / 24)
        out[m, 2], out[m, 3] = math.sin(math.tau * weekday / 7), math.cos(math.tau * weekday / 7)
        out[m, 4] = ((PUBLICATION_HOUR - hour) % 24) / 24
        for h in range(5):
            out[m, 5 + h] = _price(da[m, min(delivery + 4 * h, known - 1)])
        # before the first real-time price there is only the day-ahead one
        recent = np.sort(rt[m, max(0, now - HISTORY) : now]) if now > 0 else da[m, :1].copy()
        out[m, 10] = _price(rt[m, now - 1] if now > 0 else da[m, 0])
        for j in range(3):
            out[m, 11 + j] = _price(recent[round(QUANTILES[j] * (len(recent) - 1))])
        for j in range(len(slot)):
            if now > 0:
                out[m, 14 + slot[j]] = min(1.0, rho[now - 1, m, j] * KWH_PER_MWH / 50.0)
    return out


@kernel
def _unit(x: float) -> float:
    return min(1.0, max(-1.0, x))


class _Facts(NamedTuple):
    """Of every home of every month."""

    owners: Floats  # (3, M*N) own ask, USD/kWh; reserve ask, USD/kW-h; willingness
    limits: Floats  # (2, M*N) kW, sell and buy
    last: Floats  # (3, M*N) of the last opportunity: awarded, metered kWh, payment USD
    bess_kwh: Floats  # (M*N,)


class _Past(NamedTuple):
    """The last day of the traces, (HISTORY, M*N) kW, and the rows that are shown."""

    load: Floats32
    pv: Floats32
    rows: Ints  # (4,)


@kernel
def _fill(
    home: Home[Floats],
    state: HomeState[Floats],
    bound: Headroom[Floats],
    facts: _Facts,
    past: _Past,
    public: Floats,
    obs: Floats32,
) -> None:
    """Fill `obs` (M*N, N_OBS); `public` (M, N_PUBLIC) is repeated in every row of its month."""
    battery, vehicle = home.battery, home.vehicle
    owners, limits, last, bess_kwh = facts.owners, facts.limits, facts.last, facts.bess_kwh
    load, pv, rows = past.load, past.pv, past.rows
    n = obs.shape[0]
    per_month = n // public.shape[0]
    for i in range(n):
        m = i // per_month
        for j in range(5):
            obs[i, j] = public[m, j]
        for j in range(13):
            obs[i, 29 + j] = public[m, 5 + j]
        cap = bess_kwh[i]
        if cap > 0.0:
            obs[i, 5] = state.battery.soc_kwh[i] / cap
            obs[i, 6] = battery.floor_kwh[i] / cap
            obs[i, 9] = _unit(state.battery.discharged_kwh[i] / max(battery.cycle_limit_kwh[i], 1e-9))
        else:
            obs[i, 5] = obs[i, 6] = obs[i, 9] = 0.0
        obs[i, 7] = _unit(cap / 20.0)
        obs[i, 8] = _unit(battery.kw[i] / 10.0)
        ev = vehicle.kwh[i]
        plugged = bound.plugged[i]
        obs[i, 10] = plugged
        obs[i, 11] = state.vehicle.soc_kwh[i] / ev * plugged if ev > 0.0 else 0.0
        obs[i, 12] = vehicle.target_kwh[i] / ev if ev > 0.0 else 0.0
        obs[i, 13] = _unit(bound.hours_left[i] / 24.0)
        obs[i, 14] = _unit(ev / 100.0)
        obs[i, 15] = _unit(vehicle.kw[i] / 11.5)
        obs[i, 16] = _unit(vehicle.v2g_kw[i] / 11.5)
        for j in range(4):
            a, b = load[rows[j], i], pv[rows[j], i]
            obs[i, 17 + j] = _unit(a / 10.0)
            obs[i, 21 + j] = _unit(b / 10.0)
            obs[i, 25 + j] = _unit((b - a) / 10.0)
        obs[i, 42] = _unit(owners[0, i] / 0.5)
        obs[i, 43] = _unit(owners[1, i] / 0.05)
        obs[i, 44] = owners[2, i]
        obs[i, 45] = bound.blackout[i]
        obs[i, 46] = bound.blackout_soon[i]
        for j in range(2):
            obs[i, 47 + j] = _unit(last[j, i] / 20.0)
        obs[i, 49] = _unit(last[2, i] / 5.0)
        sell, buy = limits[0, i], limits[1, i]
        if sell > 0.0:
            obs[i, 50] = _unit((bound.defer_mean[i] + bound.storage[i]) / sell)
            obs[i, 52] = _unit((bound.baseline_kw[i] + bound.battery_hard[i] + bound.v2g_hard[i]) / sell)
        else:
            obs[i, 50] = obs[i, 52] = 0.0
        if buy > 0.0:
            both = (bound.buy_back[i] + bound.battery_buy[i]) / buy
            obs[i, 51] = obs[i, 53] = _unit(both)
        else:
            obs[i, 51] = obs[i, 53] = 0.0


class Observer:
    """Builds the observation matrix of a world; keeps what does not change.

    It stands above the world and reads of it: the homes (`parameters`, `state`, `headroom`, `load_past`, `pv_past`),
    the owners' asks (`owners`), the last opportunity (`last_ledger`), the clock (`t`, `delivery`, `wall_clock`) and
    prices (`exogenous`), of which the kernels read no further than what is public at the gate.
    """

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self._world = world
        self._bess_kwh = np.concatenate([f.bess_kwh for f in fleets])
        self._willingness = np.concatenate([f.willingness for f in fleets])
        self._slot = np.array([PRODUCT_ORDER.index(name) for name in world.products], dtype=np.int64)
        self._limits = np.stack([world.sell_limit_kw, world.buy_limit_kw])

    def matrix(self) -> Floats32:
        """Return a fresh (M*N, N_OBS) float32 matrix."""
        world = self._world
        obs = np.empty((world.n_months * world.n_homes, N_OBS), dtype=np.float32)
        own = world.owners
        owners = np.stack([own.own.ravel(), own.reserve.ravel(), self._willingness])
        ledger = world.last_ledger
        pay = led.member_pay(ledger)
        last = np.stack([ledger[led.L_AWARD], ledger[led.L_MARKET], pay])
        # row t % HISTORY holds step t - 96 until step t is over: a forecast is the day before's value
        rows = (world.t - 1 + AHEAD) % HISTORY
        hour, weekday = world.wall_clock()
        da, rt, rho, known = world.exogenous()
        public = _public(hour, weekday, da, rt, rho, self._slot, world.t, world.delivery, known)
        facts = _Facts(owners, self._limits, last, self._bess_kwh)
        past = _Past(world.load_past, world.pv_past, rows)
        _fill(world.parameters, world.state, world.headroom, facts, past, public, obs)
        return obs
