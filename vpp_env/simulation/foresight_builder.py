"""Builds `Foresight` from a world of one month: the month's own traces to the end, and the owners' own rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vpp_env.contract.foresight import Foresight
from vpp_env.core.devices.vehicle import is_plugged, steps_until_due
from vpp_env.core.home import in_window
from vpp_env.core.layout import Day, DayPlan, Rules
from vpp_env.core.ledger import retail_cost
from vpp_env.jit import kernel
from vpp_env.market.clearing import make_clearing
from vpp_env.market.day_ahead import published_until
from vpp_env.market.firm import called_evenings, capacity_bonus, evenings, strike_tick
from vpp_env.market.payment import make_payment
from vpp_env.market.reserve import DOWN, products
from vpp_env.owners.asks import OwnerPrices, Owners, cheap_price
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import HASSLE_KWH, PRIVATE_VALUES
from vpp_env.units import DT_H, KWH_PER_MWH, PRICE_TICK, Flags, Floats, Ints


@kernel
def _due(first: int, plan: DayPlan, has_ev: Flags, out: Ints) -> None:
    """Fill `out` (K, N) from step `first` on: steps until each car must be ready, 0 where none is at home."""
    n = len(plan.load)
    for row in range(len(out)):
        for i in range(out.shape[1]):
            if has_ev[i] and is_plugged(first + row, plan.dep[i], plan.arr[i], plan.out[i]):
                out[row, i] = steps_until_due(first + row, n, plan.dep[i], plan.out[i], plan.ready[i], plan.next_due[i])


@kernel
def _judge(first: int, steps: int, plan: DayPlan, out: Floats) -> None:
    """Write the shares of `Foresight.judged` of one day into `out`, the `steps` rows from step `first` on.

    A shortage counts at the end of a session, at its worst of then and of the ready-by time in it: at least half of
    each. A session that goes on past midnight is not judged on that day.
    """
    n = len(plan.load)
    for i in range(out.shape[1]):
        for begin, end in ((-1, plan.dep[i]), (plan.arr[i], plan.out[i])):
            last, ready = end - first, plan.ready[i] - first
            if 0 < end < n and 0 <= last < steps:
                out[last, i] = 1.0
                if begin < plan.ready[i] < end and ready >= 0:
                    out[last, i] = out[ready, i] = 0.5


@kernel
def _blackout(windows: Ints, week_step: Ints, out: Flags) -> None:
    """Fill `out` (K, N): the step lies in one of the home's two windows (N, 2, 2)."""
    for t in range(len(week_step)):
        for i in range(out.shape[1]):
            w = windows[i]
            out[t, i] = in_window(week_step[t], (w[0, 0], w[0, 1]), (w[1, 0], w[1, 1]))


@kernel
def _baseline_bill(first: int, stop: int, the_day: Day, rules: Rules, out: Floats) -> None:
    """Add to `out` (N,) what the baseline's battery saves on the retail bill, less wear, USD, over steps of one day."""
    plan, baseline, dt, export = the_day.plan, the_day.baseline, rules.dt_h, rules.export
    for k in range(first, stop):
        rate = rules.import_peak if plan.peak[k] else rules.import_offpeak
        for i in range(len(out)):
            net = plan.pv[k, i] - plan.load[k, i] - baseline.ev_kw[k, i]
            stored = net - baseline.bess_ch[k, i] + baseline.bess_dis[k, i]
            out[i] += retail_cost(net, rate, export, dt) - retail_cost(stored, rate, export, dt)
            out[i] -= rules.degradation * dt * baseline.bess_dis[k, i]


def _asks(
    month: Month, clock: Callable[[int], tuple[int, int]], gates: range, wait: int, due: Ints
) -> list[OwnerPrices]:
    """The owners' prices at every gate, for what is delivered `wait` steps later; `due` (T, N) begins at the first."""
    calendar, rules = month.calendar, Owners(month.scenario, [month.fleet])
    da = month.series.da_usd_per_mwh[None] / KWH_PER_MWH
    left = np.concatenate([due, _after(month, clock, calendar.n_steps)[None]])
    left = np.maximum(left - wait, 0) * DT_H
    made = []
    for t in gates:
        day, k = clock(t)
        first = max(t - k, 0)
        cheap = cheap_price(da[:, first : t - k + calendar.steps_in_day(day)])
        known = published_until(calendar, day, k, t)
        made.append(rules.prices(da, t + wait, known, cheap, left[None, t - gates[0]]))
    return made


def _after(month: Month, clock: Callable[[int], tuple[int, int]], t: int) -> Ints:
    """(N,) steps until each car must be ready at step t, the first one after the run."""
    day, k = clock(t)
    out = np.zeros((1, month.fleet.n), dtype=np.int64)
    _due(k, month.day(day)[0], month.fleet.has_ev, out)
    return out[0]


def _prices(month: Month, span: slice) -> dict[str, Any]:
    """Everything that the market pays and accepts over `span`, as in `Foresight`."""
    market, series, fleet = month.scenario.market, month.series, month.fleet
    lmp = series.rt_usd_per_mwh[span] / KWH_PER_MWH
    incentive = np.where(month.events[span], market.programme_usd_per_kwh, 0.0)
    terms = make_clearing(market).terms(lmp[:, None], incentive[:, None], month.acceptance[span, None])
    # what the VPP itself can do to the price, where it can, in an interval in which it buys or sells on balance
    raised, lowered = (terms.slope * float(limit.sum()) for limit in (fleet.buy_limit_kw, fleet.sell_limit_kw))
    none = np.zeros(len(lmp))
    found = evenings(month.scenario)
    called = called_evenings(market, found, series.da_usd_per_mwh, month.firm.test)
    bonus = capacity_bonus(market, found, called, month.calendar.n_steps)[span]
    # a call dispatches up to its own threshold, whatever the price
    highest = terms.highest_ask[:, 0]
    highest_ask = np.where(bonus > 0.0, np.maximum(highest, strike_tick(market)), highest)
    rho = {name: series.reserve_usd_per_mw[name][span] / KWH_PER_MWH for name in products(market)}
    up = [price for name, price in rho.items() if name != DOWN]
    spread = series.da_usd_per_mwh[span] / KWH_PER_MWH - lmp if market.two_settlement else none
    return {
        "lmp": lmp,
        "sale": lmp + incentive,
        "slope": float(terms.slope),
        "bonus": bonus,
        "bonus_share": 1.0 - market.revenue_share,
        "spread": spread,
        "highest_ask": highest_ask * PRICE_TICK + raised,
        "lowest_limit": terms.lowest_limit[:, 0] * PRICE_TICK - lowered,
        "raised": raised,
        "paid_share": make_payment(market).share,
        "reserve_up": np.max(up, axis=0) if up else none,
        "reserve_down": rho.get(DOWN, none),
    }


def build_foresight(world: World) -> Foresight:
    """Look along the month's own traces to the end of the run.

    Memory is about 55 bytes per home and step: 33 MB for the default month, 3 GB for 20,000 homes.
    """
    month, t0, scenario, calendar = world.months[0], world.t, world.scenario, world.calendar
    total = calendar.n_steps - t0
    n, fleet, home = world.n_homes, month.fleet, scenario.home
    shape = (total, n)
    surplus, shortage, ev_kw = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    ev_soc, due = np.zeros((total + 1, n)), np.zeros(shape, dtype=np.int64)
    blackout, arrives = np.zeros(shape, dtype=np.bool_), np.zeros((total + 1, n), dtype=np.bool_)
    rate, baseline_usd, baseline_bonus_usd = np.zeros(total), np.zeros(n), np.zeros(n)
    bess_soc, judged = np.zeros(shape), np.zeros(shape)
    prices = _prices(month, slice(t0, calendar.n_steps))
    day, k = world.clock(t0)
    row = 0
    while row < total:
        plan, baseline = month.day(day)
        span = slice(k, min(len(plan.load), k + total - row))
        rows = slice(row, row + span.stop - span.start)
        net = (plan.pv[span] - plan.load[span]) - baseline.ev_kw[span]  # in the kernels' own precision
        surplus[rows], shortage[rows] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        ev_kw[rows], ev_soc[rows] = baseline.ev_kw[span], baseline.ev_soc[span]
        arrives[rows] = np.arange(span.start, span.stop)[:, None] == plan.arr
        rate[rows] = np.where(plan.peak[span], home.import_peak_usd_per_kwh, home.import_offpeak_usd_per_kwh)
        _due(k, plan, fleet.has_ev, due[rows])
        _blackout(fleet.blackout, plan.week_step[span], blackout[rows])
        _baseline_bill(span.start, span.stop, month.day(day), month.rules, baseline_usd)
        baseline_bonus_usd += DT_H * prices["bonus"][rows] @ (baseline.bess_dis[span] - baseline.bess_ch[span])
        bess_soc[rows] = baseline.bess_soc[span]
        _judge(span.start, total - row, plan, judged[row:])
        row, day, k = rows.stop, day + 1, 0
    end_day, end_k = world.clock(calendar.n_steps)
    end_plan, end_baseline = month.day(end_day)
    ev_soc[total], arrives[total] = end_baseline.ev_soc[end_k], end_plan.arr == end_k
    # what is delivered before the first gate's own delivery was bid for earlier, or never: it counts at that gate
    asks = _asks(month, world.clock, range(t0, calendar.n_steps + 1, world.steps), world.lead * world.steps, due)
    end = asks.pop()
    asks = [asks[max(j - world.lead, 0)] for j in range(len(asks))]
    span = slice(t0, calendar.n_steps)
    values: dict[str, Any] = {name: np.array(getattr(fleet, name)) for name in PRIVATE_VALUES}
    parts = Foresight(
        steps=world.steps,
        called=np.array(month.calls[span]),
        **prices,
        import_usd_per_kwh=rate,
        least_import_usd_per_kwh=min(home.import_peak_usd_per_kwh, home.import_offpeak_usd_per_kwh),
        export_usd_per_kwh=home.export_credit_usd_per_kwh,
        away_usd_per_kwh=home.away_charging_usd_per_kwh,
        surplus_kw=surplus,
        shortage_kw=shortage,
        self_consumption=home.control == "self_consumption",
        baseline_usd=baseline_usd,
        baseline_bonus_usd=baseline_bonus_usd,
        baseline_bess_kwh=bess_soc,
        baseline_ev_kw=ev_kw,
        baseline_ev_soc_kwh=ev_soc,
        plugged=due > 0,
        arrives=arrives,
        due=due,
        judged=judged,
        blackout=blackout,
        own_ask=np.array([a.own[0] for a in asks]),
        defer_ask=np.array([a.defer[0] for a in asks]),
        reserve_ask=np.array([a.reserve[0] for a in asks]),
        refill_end=end.refill[0],
        back_end=end.back[0],
        **values,
        hassle_kwh=HASSLE_KWH,
        day=np.array(calendar.day[t0:]),
        hour=(np.arange(t0, calendar.n_steps) * DT_H).astype(np.int64) - int(t0 * DT_H),
    )
    for value in vars(parts).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return parts
