"""Observations of a world of M months; the columns are those of `vpp_env.contract.observation`."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpp_env.contract.observation import (
    AHEAD,
    HISTORY_STEPS,
    N_OBS,
    PRODUCTS,
    Changing,
    Fixed,
    MarketFacts,
    new_rows,
    observe_home,
    public_columns,
    show_public,
    show_rows,
)
from vpp_env.core import ledger as led
from vpp_env.core.headroom import Headroom, headroom_at
from vpp_env.core.home import state_at
from vpp_env.core.layout import HomeState
from vpp_env.jit import LANES, inlined, kernel, steady, unsigned
from vpp_env.market.firm import rate_usd_per_kw_day
from vpp_env.scenario.calendar import PUBLICATION_HOUR
from vpp_env.simulation.month import HISTORY
from vpp_env.simulation.world import World
from vpp_env.units import DT_H, KWH_PER_MWH, Flags, Floats, Floats32


class Observer:
    """Builds the observation matrix of a world; keeps what does not change.

    It reads of the world what a view is built from, and no price or load that is not public or past at the gate.
    """

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self._world = world
        # of a fleet one name differs from that of a view
        names = ["day_discharge_kwh" if name == "day_limit_kwh" else name for name in Fixed._fields]
        self.fixed = np.stack([np.concatenate([getattr(f, name) for f in fleets]) for name in names])
        self._slot = [PRODUCTS.index(name) for name in world.products]
        self._fill = steady(_fill)

    def matrix(self, into: Floats32 | None = None) -> Floats32:
        """Return a (M*N, N_OBS) float32 matrix: `into`, or a fresh one."""
        world = self._world
        # row t % HISTORY holds step t - 96 until step t is over: a forecast is the day before's value
        rows = (world.t - 1 + AHEAD) % HISTORY
        load, pv = world.load_past[rows], world.pv_past[rows]
        obs = np.empty((self.fixed.shape[1], N_OBS), dtype=np.float32) if into is None else into
        owners, baseline = world.owners, world.day.baseline.ev_soc[world.clock(world.t)[1]]
        asks = (owners.own.ravel(), owners.defer.ravel(), owners.reserve.ravel())
        homes = (world.state, world.headroom, baseline, asks, world.absent, world.last_ledger)
        self._fill(self.public(), self.fixed, *homes, load, pv, obs)
        return obs

    def public(self) -> Floats:
        """(M, N_PUBLIC) what every home of a month sees alike."""
        return public_columns(self._facts(), self.fixed.shape[1] // self._world.n_months)

    def _facts(self) -> MarketFacts:
        world = self._world
        hour, weekday = world.wall_clock()
        told = world.announced
        rho, (called, committed_kw) = told.past_reserve, told.capacity()
        reserve = np.zeros((world.n_months, len(PRODUCTS)))
        if len(rho):
            reserve[:, self._slot] = rho[-1]
        return MarketFacts(
            hour=hour,
            weekday=weekday,
            to_publication_h=(PUBLICATION_HOUR - hour) % 24,
            lead_h=world.lead * world.steps * DT_H,
            steps=world.steps,
            da=np.ascontiguousarray(told.day_ahead),
            incentive=np.ascontiguousarray(told.incentive),
            schedule_kw=np.ascontiguousarray(told.schedule_kw),
            rt=np.ascontiguousarray(told.past_rt[:, -HISTORY_STEPS:]),
            reserve=reserve,
            schedule_gate=float(bool(world.exchange.day_ahead.hours(world.t))),
            minimum_kw=world.scenario.market.min_bid_mw * KWH_PER_MWH,
            capacity_gate=float(world.exchange.firm.is_gate(world.t)),
            called=called.astype(np.float64, order="C"),
            committed_kw=np.ascontiguousarray(committed_kw),
            capacity_rate=rate_usd_per_kw_day(world.scenario.market) * world.scenario.market.firm_capacity,
        )


@inlined
def changing_of(
    state: HomeState[float],
    headroom: Headroom[float],
    deficit_kwh: float,
    asks: tuple[float, float, float],
    absent: bool,
    last: tuple[float, float, float],
) -> Changing[float]:
    """What changes of one home.

    Parameters
    ----------
    state, headroom : HomeState, Headroom
        Of the home, now.
    deficit_kwh : float
        What its car holds less than its baseline.
    asks, last : tuple of float
        Asks per kWh discharged, deferred and on reserve; of the last opportunity kWh awarded and metered, USD paid.
    absent : bool
        Whether its owner takes no bid.
    """
    plugged, out = headroom.plugged, 1.0 if absent else 0.0
    return Changing(
        soc_kwh=state.battery.soc_kwh,
        discharged_today_kwh=state.battery.discharged_kwh,
        ev_soc_kwh=state.vehicle.soc_kwh * plugged,
        ev_deficit_kwh=deficit_kwh * plugged,
        plugged=plugged,
        hours_to_ready=headroom.hours_left,
        own_ask=asks[0],
        defer_ask=asks[1],
        reserve_ask=asks[2],
        blackout_now=headroom.blackout,
        blackout_soon=headroom.blackout_soon,
        absent=out,
        defer_kw=headroom.defer,
        defer_first_kw=headroom.defer_first,
        bess_sell_hard_kw=headroom.battery_hard,
        v2g_sell_hard_kw=headroom.v2g_hard,
        storage_sell_kw=headroom.storage,
        buy_back_kw=headroom.buy_back,
        bess_buy_kw=headroom.battery_buy,
        reserve_kw=headroom.reserve,
        reserve_hard_kw=headroom.reserve_hard,
        last_award_kwh=last[0],
        last_market_kwh=last[1],
        last_payment_usd=last[2],
    )


_member_pay: Any = inlined(led.member_pay)


@inlined
def _now_of(
    i: int,
    state: HomeState[Floats],
    headroom: Headroom[Floats],
    baseline_kwh: Floats,
    asks: tuple[Floats, Floats, Floats],
    absent: Flags,
    ledger: Floats,
) -> Changing[float]:
    home, mine = state_at(state, i), ledger[:, i]
    deficit = max(baseline_kwh[i] - home.vehicle.soc_kwh, 0.0)
    last = (mine[led.L_AWARD], mine[led.L_MARKET], _member_pay(mine))
    return changing_of(home, headroom_at(headroom, i), deficit, (asks[0][i], asks[1][i], asks[2][i]), absent[i], last)


@kernel
def _fill(
    public: Floats,
    fixed: Floats,
    state: HomeState[Floats],
    headroom: Headroom[Floats],
    baseline_kwh: Floats,
    asks: tuple[Floats, Floats, Floats],
    absent: Flags,
    ledger: Floats,
    load: Floats32,
    pv: Floats32,
    obs: Floats32,
) -> None:
    """Fill `obs` (M*N, N_OBS), with `baseline_kwh` (M*N,) in the baseline's cars; see `changing_of`."""
    room, n = new_rows(), len(obs)
    show_public(public, obs)
    for f in range(0, n, LANES):
        count = min(LANES, n - f)
        if count == LANES:
            for h in range(LANES):
                i = unsigned(f + h)
                now = _now_of(i, state, headroom, baseline_kwh, asks, absent, ledger)
                observe_home(i, h, fixed, now, load, pv, room)
        else:
            for h in range(count):
                i = unsigned(f + h)
                now = _now_of(i, state, headroom, baseline_kwh, asks, absent, ledger)
                observe_home(i, h, fixed, now, load, pv, room)
        show_rows(room, f, count, obs)
