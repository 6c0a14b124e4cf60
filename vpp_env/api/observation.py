"""The observation of one home: a flat float32 vector in [-1, 1], the same length for every home.

| columns | what | scale |
|---|---|---|
| 0-3 | sin, cos of the hour of day; sin, cos of the day of week | 1 |
| 4 | minutes to the next publication of day-ahead prices (13:00) | 1440 |
| 5-9 | battery: SoC and floor share, capacity, power, discharge today / limit | -, -, 20 kWh, 10 kW, 1 |
| 10-16 | car: plugged, SoC, needed SoC, hours to ready, capacity, charger, V2G | 1, 1, 1, 24 h, 100 kWh, 11.5 kW |
| 17-20 | load now, forecast 1, 4, 16 steps ahead (persistence of the day before) | 10 kW |
| 21-24 | solar output now, forecast 1, 4, 16 steps ahead | 10 kW |
| 25-28 | net (solar - load) now, forecast 1, 4, 16 steps ahead | 10 kW |
| 29-33 | day-ahead price at the delivery that is bid for and 1-4 h later | asinh(USD/MWh / 100) / asinh(20) |
| 34 | last real-time price | the same |
| 35-37 | 10, 50, 90 % quantiles of the last day's real-time prices | the same |
| 38-41 | last prices of spin, non-spin, regulation up, down (0 where not on sale) | 50 USD/MW per h |
| 42-46 | own ask, reserve ask, willingness, blackout in this opportunity, blackout within 4 h | .5, .05 USD, -, -, - |
| 47-49 | last opportunity: awarded, metered kWh, payment | 20 kWh, 20 kWh, 5 USD |
| 50-53 | feasible now: sell and buy inside the envelope, sell and buy beyond it | device limits |
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.core.headroom import Headroom
from vpp_env.core.layout import Floats, Home, HomeState
from vpp_env.jit import kernel
from vpp_env.market.day_ahead import PUBLICATION_HOUR
from vpp_env.market.reserve import DOWN
from vpp_env.simulation.world import HISTORY, World
from vpp_env.units import KWH_PER_MWH

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
    da: np.ndarray,
    rt: np.ndarray,
    rho: np.ndarray,
    slot: np.ndarray,
    now: int,
    delivery: int,
    known: int,
) -> np.ndarray:
    """(E, N_PUBLIC) what every home of a month sees alike; reads `da` before `known`, `rt` and `rho` before `now`."""
    out = np.zeros((da.shape[0], N_PUBLIC))
    for e in range(da.shape[0]):
        out[e, 0], out[e, 1] = math.sin(math.tau * hour / 24), math.cos(math.tau * hour / 24)
        out[e, 2], out[e, 3] = math.sin(math.tau * weekday / 7), math.cos(math.tau * weekday / 7)
        out[e, 4] = ((PUBLICATION_HOUR - hour) % 24) / 24
        for h in range(5):
            out[e, 5 + h] = _price(da[e, min(delivery + 4 * h, known - 1)])
        # before the first real-time price there is only the day-ahead one
        recent = np.sort(rt[e, max(0, now - HISTORY) : now]) if now > 0 else da[e, :1].copy()
        out[e, 10] = _price(rt[e, now - 1] if now > 0 else da[e, 0])
        for j in range(3):
            out[e, 11 + j] = _price(recent[round(QUANTILES[j] * (len(recent) - 1))])
        for j in range(len(slot)):
            if now > 0:
                out[e, 14 + slot[j]] = min(1.0, rho[now - 1, e, j] * KWH_PER_MWH / 50.0)
    return out


@kernel
def _unit(x: float) -> float:
    return min(1.0, max(-1.0, x))


class _Facts(NamedTuple):
    """Of every home, (..., N): own and reserve ask, willingness; sell and buy limit; the last opportunity."""

    owners: np.ndarray
    limits: np.ndarray
    last: np.ndarray  # awarded, metered kWh, payment
    bess_kwh: np.ndarray


class _Past(NamedTuple):
    """The last day of the traces, (HISTORY, N), and the rows that are shown."""

    load: np.ndarray
    pv: np.ndarray
    rows: np.ndarray


@kernel
def _fill(
    home: Home[Floats],
    state: HomeState[Floats],
    bound: Headroom[Floats],
    facts: _Facts,
    past: _Past,
    public: np.ndarray,
    obs: np.ndarray,
) -> None:
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
    """Builds the observation matrix of a world; keeps what does not change."""

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self._world = world
        self._bess_kwh = np.concatenate([f.bess_kwh for f in fleets])
        self._willingness = np.concatenate([f.willingness for f in fleets])
        self._slot = np.array([PRODUCT_ORDER.index(name) for name in world.products], dtype=np.int64)
        self._limits = np.stack([world.sell_limit_kw, world.buy_limit_kw])

    def matrix(self) -> np.ndarray:
        """Return a fresh (E*N, N_OBS) float32 matrix."""
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
