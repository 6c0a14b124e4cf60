"""Observations of a world of M months; the columns are those of `vpp_env.contract.observation`."""

from __future__ import annotations

import numpy as np

from vpp_env.contract.observation import (
    AHEAD,
    CHANGING,
    HISTORY_STEPS,
    PRODUCTS,
    Fixed,
    MarketFacts,
    observe,
)
from vpp_env.core import ledger as led
from vpp_env.market.firm import rate_usd_per_kw_day
from vpp_env.scenario.calendar import PUBLICATION_HOUR
from vpp_env.simulation.holdings import ev_deficit
from vpp_env.simulation.month import HISTORY
from vpp_env.simulation.world import World
from vpp_env.units import DT_H, KWH_PER_MWH, Floats, Floats32


class Observer:
    """Builds the observation matrix of a world; keeps what does not change.

    It reads of the world what a view is built from, and no price or load that is not public or past at the gate.
    """

    def __init__(self, world: World) -> None:
        fleets = [m.fleet for m in world.months]
        self._world = world
        # of a fleet one name differs from that of a view
        names = ["day_discharge_kwh" if name == "day_limit_kwh" else name for name in Fixed._fields]
        self._fixed = np.stack([np.concatenate([getattr(f, name) for f in fleets]) for name in names])
        self._slot = [PRODUCTS.index(name) for name in world.products]
        self._now = np.empty((len(CHANGING), self._fixed.shape[1]))

    def matrix(self, into: Floats32 | None = None) -> Floats32:
        """Return a (M*N, N_OBS) float32 matrix: `into`, or a fresh one."""
        world = self._world
        # row t % HISTORY holds step t - 96 until step t is over: a forecast is the day before's value
        rows = (world.t - 1 + AHEAD) % HISTORY
        load, pv = world.load_past[rows], world.pv_past[rows]
        return observe(self._facts(), self._fixed, self._rows(), load, pv, into)

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

    def _rows(self) -> Floats:
        world, row, now = self._world, CHANGING, self._now
        headroom, ledger, owners = world.headroom, world.last_ledger, world.owners
        plugged = headroom.plugged
        now[row.soc_kwh] = world.state.battery.soc_kwh
        now[row.discharged_today_kwh] = world.state.battery.discharged_kwh
        now[row.ev_soc_kwh] = world.state.vehicle.soc_kwh * plugged
        now[row.ev_deficit_kwh] = ev_deficit(world) * plugged
        now[row.plugged] = plugged
        now[row.hours_to_ready] = headroom.hours_left
        now[row.own_ask] = owners.own.ravel()
        now[row.defer_ask] = owners.defer.ravel()
        now[row.reserve_ask] = owners.reserve.ravel()
        now[row.blackout_now] = headroom.blackout
        now[row.blackout_soon] = headroom.blackout_soon
        now[row.absent] = world.absent
        now[row.defer_kw] = headroom.defer
        now[row.defer_first_kw] = headroom.defer_first
        now[row.bess_sell_hard_kw] = headroom.battery_hard
        now[row.v2g_sell_hard_kw] = headroom.v2g_hard
        now[row.storage_sell_kw] = headroom.storage
        now[row.buy_back_kw] = headroom.buy_back
        now[row.bess_buy_kw] = headroom.battery_buy
        now[row.reserve_kw] = headroom.reserve
        now[row.reserve_hard_kw] = headroom.reserve_hard
        now[row.last_award_kwh] = ledger[led.L_AWARD]
        now[row.last_market_kwh] = ledger[led.L_MARKET]
        now[row.last_payment_usd] = led.member_pay(ledger)
        return now
