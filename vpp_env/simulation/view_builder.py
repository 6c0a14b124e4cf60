"""The only builder of views: it reads the world and hands out read-only copies, and only what the set grants."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env.contract.foresight import Foresight
from vpp_env.contract.terms import Answers, LeftTable, Offers, Terms
from vpp_env.contract.views import Future, Homes, Information, KnownFuture, Public, View
from vpp_env.core import ledger as led
from vpp_env.errors import InformationError, VppError
from vpp_env.market.firm import rate_usd_per_kw_day
from vpp_env.simulation.foresight_builder import build_foresight
from vpp_env.simulation.holdings import ev_deficit
from vpp_env.simulation.world import World
from vpp_env.units import KWH_PER_MWH, Flags


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def _length(world: World) -> pd.Timedelta:
    return pd.Timedelta(minutes=world.scenario.time.opportunity_minutes)


def build_view(world: World, information: Information) -> View:
    """Build the view of a world of one month at the gate of its next opportunity.

    Parameters
    ----------
    world : World
        Of one month.
    information : Information
        What the view may hold.

    Returns
    -------
    View
        Copies and read-only arrays: nothing in it leads back to the world.

    Raises
    ------
    VppError
        When the world has several months, as a view is of one; before its reset.
    """
    if world.n_months != 1:
        raise VppError(
            f"build_view: got a world of {world.n_months} months; allowed is a world of one. Make a World([month]) for "
            "each month, or read all of them by the vector interface's observations"
        )
    if world.opportunity < 0:
        raise VppError("build_view() before World.reset(): call world.reset() first")
    t, calendar, scenario = world.t, world.calendar, world.scenario
    told = world.announced
    past_reserve, (called, capacity_kw) = told.past_reserve, told.capacity()
    now = calendar.local[t]
    public = Public(
        opportunity=world.opportunity + world.lead,
        n_opportunities=scenario.n_opportunities,
        # added in UTC: a delivery may lie beyond a clock change, or beyond the end
        start=now if world.lead == 0 else (calendar.utc[t] + world.lead * _length(world)).tz_convert(calendar.timezone),
        hours=scenario.time.opportunity_minutes / 60,
        steps=world.steps,
        da_usd_per_kwh=_locked(told.day_ahead[0]),
        past_da_usd_per_kwh=_locked(told.past_da[0]),
        past_rt_usd_per_kwh=_locked(told.past_rt[0]),
        past_reserve_usd_per_kw_h={p: _locked(past_reserve[:, 0, j]) for j, p in enumerate(world.products)},
        required_kw=float(world.required_kw()[0]),
        now=now,
        lead=world.lead,
        incentive_usd_per_kwh=_locked(told.incentive[0]),
        day_ahead_hours=world.exchange.day_ahead.hours(t),
        day_ahead_kw=_locked(told.schedule_kw[0]),
        minimum_kw=scenario.market.min_bid_mw * KWH_PER_MWH,
        capacity_gate=world.exchange.firm.is_gate(t),
        capacity_called=_locked(called[0]),
        capacity_kw=_locked(capacity_kw[0]),
        capacity_usd_per_kw=rate_usd_per_kw_day(scenario.market) * scenario.market.firm_capacity,
    )
    return View(
        public,
        information,
        _homes(world),
        world.months[0].statements if information >= Information.DECLARED else None,
        WorldOracle(world, world.opportunity) if information >= Information.ORACLE else None,
        WorldTable(world, world.opportunity) if information >= Information.DECLARED else None,
    )


def _at_gate(world: World, gate: int, ask: str) -> World:
    if world.opportunity != gate:
        raise InformationError(
            f"this view is of opportunity {gate}, and the world has gone on to {world.opportunity}; {ask} before the "
            "bids are played, or keep what was answered"
        )
    return world


@dataclass(frozen=True, eq=False)
class WorldTable:
    """The owners of a world of one month at one gate: the one road from a view of DECLARED or FULL to its world."""

    _world: World
    _gate: int  # the opportunity whose view this is

    @property
    def round(self) -> int:
        """Rounds of offers that were made at this gate."""
        return self._now().table.rounds(0, self._gate)[0]

    @property
    def rounds_left(self) -> int:
        """Rounds that may still be made at this gate."""
        return self._now().table.rounds(0, self._gate)[1]

    @property
    def in_force(self) -> Flags:
        """(N,) bool: homes whose contract holds in the opportunity that is bid for."""
        return self._standing()[0]

    @property
    def terms(self) -> Terms:
        """The terms of these contracts; 0 for the other homes."""
        return self._standing()[1]

    def propose(self, offers: Offers) -> Answers:
        """Make offers and hear the answers; see `vpp_env.contract.terms.Table`."""
        (answers,) = self._now().propose([offers])
        assert answers is not None
        return answers

    def end(self, rows: Flags) -> None:
        """End the contracts of the homes `rows` (N,) bool before the opportunity that is bid for."""
        self._now().end_contracts(0, rows)

    def _now(self) -> World:
        return _at_gate(self._world, self._gate, "ask the owners")

    def _standing(self) -> tuple[Flags, Terms]:
        world = self._now()
        return world.contracts.in_force(0, self._gate + world.lead)

    def __reduce__(self) -> tuple[type[LeftTable], tuple[int, int, Flags, Terms]]:
        """Pickle as plain data: another process has no world, and nobody to ask."""
        return LeftTable, (self.round, self.rounds_left, *self._standing())


@dataclass(frozen=True, eq=False)
class WorldOracle:
    """Answers for the future from the world itself, when it is asked: for the set ORACLE, which may know everything."""

    world: World
    gate: int  # the opportunity whose view this is

    def _at_gate(self) -> World:
        return _at_gate(self.world, self.gate, "ask for the future")

    def future(self, steps: int) -> Future:
        """The next `steps` 15-min steps from delivery on."""
        return _future(self._at_gate(), steps)

    def foresight(self) -> Foresight:
        """Everything to the end of the run."""
        return build_foresight(self._at_gate())

    def __reduce__(self) -> tuple[type[KnownFuture], tuple[Future, Foresight]]:
        """Pickle as plain data (tens of MB): another process has no world."""
        world = self._at_gate()
        return KnownFuture, (self.future(_priced_steps(world)), self.foresight())


def _homes(world: World) -> Homes:
    fleet, state, headroom = world.months[0].fleet, world.state, world.headroom
    ledger, owners = world.last_ledger, world.owners
    plugged = headroom.plugged > 0
    # a forecast row h is step t + h - 96: all of it has happened
    order = (world.t + np.arange(len(world.load_past))) % len(world.load_past)
    pay = led.member_pay(ledger)
    load, pv = world.load_past[order], world.pv_past[order]
    rows = {
        "bess_kwh": fleet.bess_kwh,
        "bess_kw": fleet.bess_kw,
        "bess_min_kwh": fleet.bess_min_kwh,
        "bess_max_kwh": fleet.bess_max_kwh,
        "soc_kwh": state.battery.soc_kwh,
        "discharged_today_kwh": state.battery.discharged_kwh,
        "ev_kwh": fleet.ev_kwh,
        "ev_kw": fleet.ev_kw,
        "v2g_kw": fleet.v2g_kw,
        "ev_soc_kwh": state.vehicle.soc_kwh * plugged,
        "ev_deficit_kwh": ev_deficit(world) * plugged,
        "ev_min_kwh": fleet.ev_min_kwh,
        "ev_target_kwh": fleet.ev_target_kwh,
        "plugged": plugged,
        "hours_to_ready": headroom.hours_left,
        "load_kw": load[-1],
        "pv_kw": pv[-1],
        "load_forecast_kw": load,
        "pv_forecast_kw": pv,
        "floor_kwh": fleet.floor_kwh,
        "willingness": fleet.willingness,
        "day_limit_kwh": fleet.day_discharge_kwh,
        "day_left_kwh": np.maximum(fleet.day_discharge_kwh - state.battery.discharged_kwh, 0.0),
        "buy_limit": fleet.buy_limit,
        "own_ask": owners.own[0],
        "own_cost": world.scenario.home.degradation_usd_per_kwh + owners.refill[0] / world.scenario.fleet.bess_eta**2,
        "defer_ask": owners.defer[0],
        "reserve_ask": owners.reserve[0],
        "ev_priority": fleet.ev_priority,
        "blackout_now": headroom.blackout > 0,
        "blackout_soon": headroom.blackout_soon > 0,
        "absent": world.absent,
        "defer_kw": headroom.defer,
        "defer_first_kw": headroom.defer_first,
        "defer_mean_kw": headroom.defer_mean,
        "bess_sell_kw": headroom.battery,
        "bess_sell_hard_kw": headroom.battery_hard,
        "v2g_sell_kw": headroom.v2g,
        "v2g_sell_hard_kw": headroom.v2g_hard,
        "storage_sell_kw": headroom.storage,
        "buy_back_kw": headroom.buy_back,
        "bess_buy_kw": headroom.battery_buy,
        "reserve_kw": headroom.reserve,
        "reserve_hard_kw": headroom.reserve_hard,
        "last_award_kwh": ledger[led.L_AWARD],
        "last_market_kwh": ledger[led.L_MARKET],
        "last_payment_usd": pay,
    }
    return Homes(**{f.name: _locked(rows[f.name]) for f in fields(Homes)})


def _priced_steps(world: World) -> int:
    """Steps for which prices exist, the tail beyond the end included."""
    return world.exchange.rt.shape[1]


def _future(world: World, steps: int) -> Future:
    """Look along the month's own traces, from the delivery that is bid for; prices are without the VPP's own influence.

    Days beyond the run exist as far as prices do.
    """
    month, t = world.months[0], world.delivery
    steps = min(steps, _priced_steps(world) - t)
    day, k = world.clock(t)
    parts: list[dict[str, NDArray[Any]]] = []
    need = steps
    while need > 0:
        plan, baseline = month.day(day)
        span = slice(k, min(len(plan.load), k + need))
        ks = np.arange(span.start, span.stop)[:, None]
        plugged = (ks < plan.dep) | ((ks >= plan.arr) & (ks < plan.out))
        leaves = ((ks == plan.dep) & (ks > 0)) | (ks == plan.out)
        parts.append(
            {
                "load_kw": plan.load[span],
                "pv_kw": plan.pv[span],
                "plugged": plugged,
                "baseline_ev_kw": baseline.ev_kw[span],
                "departs": leaves,
                "trip_kwh": np.where(ks == plan.arr, plan.trip, 0.0),
            }
        )
        need -= span.stop - span.start
        day, k = day + 1, 0
    exchange, ahead = world.exchange, slice(t, t + steps)
    return Future(
        rt_usd_per_kwh=_locked(exchange.rt[0, ahead]),
        reserve_usd_per_kw_h={p: _locked(exchange.rho[ahead, 0, j]) for j, p in enumerate(world.products)},
        called=_locked(exchange.called[ahead, 0]),
        **{name: _locked(np.concatenate([part[name] for part in parts])) for name in parts[0]},
    )
