"""The world: E months of N homes that share a clock. Every API drives this one, and only this one.

    world = World([Month(scenario, seed)])
    world.reset()
    while not world.done:
        view = world.view(Information.OWN)
        outcome = world.step(actions)

One step is one market opportunity: bids are decoded, every 15-min interval is cleared, delivered by the
devices and accounted, the twin beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vpp_env.bids import RESERVE_TICK, Offers, check_actions, decode
from vpp_env.core import layout
from vpp_env.core import ledger as led
from vpp_env.core.bounds import bounds
from vpp_env.core.kernels import deliver, prepare
from vpp_env.errors import VppError
from vpp_env.market.clearing import make_clearing
from vpp_env.market.payment import make_payment
from vpp_env.market.reserve import clear_reserve, products
from vpp_env.month import Month, join_days
from vpp_env.owners import OwnerPrices, Owners
from vpp_env.reward import rewards
from vpp_env.views import Information, View, build_view
from vpp_env.units import DT_H, KWH_PER_MWH, POWER_QUANTUM_KW, PRICE_TICK

HISTORY = 96
"""Steps of load and solar output that are kept for the persistence forecast (one day)."""

PUBLICATION_HOUR = 13.0
"""Local hour at which the next day's day-ahead prices are published. Source: CAISO."""


class Money(NamedTuple):
    """The VPP's ledger of one opportunity, each (E,) USD: market revenue = profit + payments + compute."""

    energy: np.ndarray
    reserve: np.ndarray
    nopay: np.ndarray
    deviation: np.ndarray
    payments: np.ndarray
    compute: np.ndarray

    @property
    def revenue(self) -> np.ndarray:
        """What the market pays."""
        return self.energy + self.reserve - self.nopay - self.deviation

    @property
    def profit(self) -> np.ndarray:
        """What is left to the VPP."""
        return self.revenue - self.payments - self.compute


@dataclass(frozen=True)
class Outcome:
    """What one opportunity brought; arrays are fresh, E months of N homes, S intervals."""

    opportunity: int  # index
    ledger: np.ndarray  # (N_LEDGER, E, N) see core.ledger
    money: Money  # (E,) each
    lmp: np.ndarray  # (S, E) USD/kWh
    award_kw: np.ndarray  # (S, E) net energy award
    market_kw: np.ndarray  # (S, E) metered
    reserve_kw: np.ndarray  # (S, E) reserve awarded
    rho: np.ndarray  # (S, E, K) USD/kW-h of each reserve product on sale
    void: np.ndarray  # (S, E) bool: there was an award, and it was below the minimum bid
    flow_kw: np.ndarray  # (S, N_OUT, E) sums of the step results over homes
    soc_kwh: np.ndarray  # (S, 2, E) batteries, and batteries of the twin, at the end of the interval
    departed: np.ndarray  # (E, N) departures in this opportunity
    short: np.ndarray  # (E, N) shortfall of the car at a departure, share of its capacity
    missed: np.ndarray  # (E, N) 1 where the trip's energy was not in the car, though the twin's had it
    offers: Offers  # decoded bids, (E, N)
    projected_kw: np.ndarray  # (E,) mean over intervals of the kW that were bid but cannot be delivered
    rewards: np.ndarray  # (E, N) USD


class World:
    """E months side by side.

    Parameters
    ----------
    months : sequence of Month
        Same scenario, different seeds.
    """

    def __init__(self, months: Sequence[Month]) -> None:
        first = months[0]
        self.months = list(months)
        self.scenario = first.scenario
        self.calendar = first.calendar
        self.n_months, self.n_homes = len(months), first.fleet.n
        self._constants = first.constants
        self.parameters = np.concatenate([m.parameters for m in months], axis=1)
        self.sell_limit_kw = np.concatenate([m.fleet.sell_limit_kw for m in months])
        self.buy_limit_kw = np.concatenate([m.fleet.buy_limit_kw for m in months])
        self._da = np.stack([m.series.da_usd_per_mwh for m in months]) / KWH_PER_MWH
        self._rt = np.stack([m.series.rt_usd_per_mwh for m in months]) / KWH_PER_MWH
        self.products = products(self.scenario.market)
        reserve = [[m.series.reserve_usd_per_mw[name] for name in self.products] for m in months]
        self._rho = np.asarray(reserve, dtype=np.float64).reshape(self.n_months, len(self.products), -1)
        self._rho = self._rho.transpose(2, 0, 1) / KWH_PER_MWH  # (S, E, K)
        self._called = np.stack([m.calls for m in months])
        self._owner_rules = Owners(self.scenario, [m.fleet for m in months])
        self._clearing = make_clearing(self.scenario.market)
        self._payment = make_payment(self.scenario.market.payment)
        self.steps = self.scenario.steps_per_opportunity
        self.opportunity = -1

    # -- the clock -------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the last opportunity has been played."""
        return self.opportunity >= self.scenario.n_opportunities

    @property
    def t(self) -> int:
        """Physics step at which the next opportunity starts."""
        return self.opportunity * self.steps

    def clock(self, t: int) -> tuple[int, int]:
        """(local day, step of day) of step t, also one step beyond the end."""
        calendar = self.calendar
        if t < calendar.n_steps:
            return int(calendar.day[t]), int(calendar.step_of_day[t])
        day, k = int(calendar.day[-1]), int(calendar.step_of_day[-1]) + 1
        return (day + 1, 0) if k == calendar.steps_in_day(day) else (day, k)

    def _open_day(self, day: int) -> None:
        self.day = day
        self.plan, self.twin = join_days([m.day(day) for m in self.months])
        first = int(np.searchsorted(self.calendar.day, day))
        self._day_prices = self._da[:, first : first + self.calendar.steps_in_day(day)]

    # -- reset -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Go to the start of the month."""
        n = self.n_months * self.n_homes
        self.state = np.concatenate([layout.initial_state(m.fleet) for m in self.months], axis=1)
        self._quote = np.zeros((layout.N_QUOTE, n))
        self._event = np.zeros((layout.N_EVENT, n))
        self._out = np.zeros((layout.N_OUT, n))
        self._bounds = np.zeros((layout.N_BOUND, n))
        self.last_ledger = np.zeros((led.N_LEDGER, n))
        self.opportunity = 0
        self._fill_history()
        day, k = self.clock(0)
        self._open_day(day)
        prepare(
            self._constants, self.parameters, self.state, self.plan, self.twin, k, self._quote, self._event
        )
        self._see()

    def _fill_history(self) -> None:
        before = [m.traces(-1) for m in self.months]
        load = np.concatenate([d.load_kw for d in before], axis=1)
        pv = np.concatenate([d.pv_kw for d in before], axis=1)
        offset = self.calendar.offset
        if offset:
            plan = join_days([m.day(0) for m in self.months])[0]
            load, pv = np.concatenate([load, plan.load[:offset]]), np.concatenate([pv, plan.pv[:offset]])
        # row t % HISTORY holds step t of the last day: the newest row is step -1
        self.load_past, self.pv_past = load[-HISTORY:].copy(), pv[-HISTORY:].copy()

    def _see(self) -> None:
        """Work out what each home can see of itself at the gate of the next opportunity."""
        k = self.clock(self.t)[1]
        bounds(
            self._constants, self.parameters, self.state, self.plan, self.twin, k, self.steps, self._bounds
        )
        hours_left = self._bounds[layout.HOURS_LEFT].reshape(self.n_months, -1)
        self._owners = self._owner_rules.prices(
            self.day_ahead(), self.past()[0], self._day_prices, hours_left
        )

    # -- what a view may be built from -----------------------------------------------------------------

    @property
    def bounds(self) -> np.ndarray:
        """(N_BOUND, E*N) what each home can offer; see core.layout."""
        return self._bounds

    @property
    def owners(self) -> OwnerPrices:
        """The owners' own prices for the next opportunity."""
        return self._owners

    def wall_clock(self) -> tuple[float, float]:
        """Local hour of day [0, 24) and weekday (Monday = 0, fractions of a day included) of the current step."""
        day, k = self.clock(self.t)
        week_step = int(self.plan.week_step[min(k, len(self.plan.week_step) - 1)])
        return (week_step % 96) / 4, week_step / 96

    def day_ahead(self) -> np.ndarray:
        """(E, H) published day-ahead prices from the current step on, USD/kWh.

        The prices of a delivery day are published at 13:00 local time of the day before.
        """
        now = self.t
        day, k = self.clock(now)
        n = self.calendar.steps_in_day(day)
        end = now + n - k
        if self.wall_clock()[0] >= PUBLICATION_HOUR:
            end += self.calendar.steps_in_day(day + 1)
        return self._da[:, now:end]

    def past(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Past day-ahead (E, t), real-time (E, t) and reserve prices (t, E, K), inside units."""
        return self._da[:, : self.t], self._rt[:, : self.t], self._rho[: self.t]

    def ev_deficit(self) -> np.ndarray:
        """(E*N,) kWh that each car holds less than its twin."""
        k = self.clock(self.t)[1]
        return np.maximum(self.twin.ev_soc[k] - self.state[layout.SOC_E], 0.0)

    def closing_value(self) -> np.ndarray:
        """(E, N) USD: what the homes hold more than their twins now, at the owners' own cost of replacing it.

        Added to the owners' net benefit at the end of a run, so that nobody gains by ending with empty batteries.
        """
        shape = (self.n_months, self.n_homes)
        eta_b, eta_e = self.scenario.fleet.bess_eta, self.scenario.fleet.ev_eta
        day, k = self.clock(self.t)
        twin = self.twin.bess_soc[k - 1] if k > 0 else self._twin_before(day)
        battery = (self.state[layout.SOC_B] - twin).reshape(shape) / eta_b * self._owners.refill
        return battery - self.ev_deficit().reshape(shape) / eta_e * self._owners.back

    def _twin_before(self, day: int) -> np.ndarray:
        return join_days([m.day(day - 1) for m in self.months])[1].bess_soc[-1]

    def required_kw(self) -> float:
        """Most that the VPP of the first month may sell in the next opportunity, kW."""
        return float(self._cap_q()[0]) * POWER_QUANTUM_KW

    def series_length(self) -> int:
        """Steps for which prices exist, the tail beyond the end included."""
        return self._rt.shape[1]

    def series_ahead(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first month's true real-time (H,), reserve (H, K) prices and calls (H,) from now on: for an oracle."""
        span = slice(self.t, self.t + steps)
        return self._rt[0, span], self._rho[span, 0], self._called[0, span]

    def view(self, information: Information) -> View:
        """What a policy with this information set sees now (worlds of one month)."""
        return build_view(self, information)

    # -- one opportunity -------------------------------------------------------------------------------

    def step(self, actions: np.ndarray) -> Outcome:
        """Play one opportunity.

        Parameters
        ----------
        actions : ndarray
            (E*N, 6) in [-1, 1], see `bids`.

        Raises
        ------
        BidError
            When the bids have the wrong shape or are not numbers; nothing has changed then.
        VppError
            When the month is over or was never reset.
        """
        if self.opportunity < 0 or self.done:
            raise VppError("the month has not begun or is over; call reset() first")
        e, n, steps = self.n_months, self.n_homes, self.steps
        flat = decode(check_actions(actions, e * n), self.sell_limit_kw, self.buy_limit_kw)
        offers = Offers(*(a.reshape(e, n) for a in vars(flat).values()))
        interval = _Intervals(steps, e, len(self.products))
        ledger = np.zeros((led.N_LEDGER, e * n))
        events = np.zeros((3, e, n))
        gate_up = np.floor(self._quote[layout.RESERVE_UP] / POWER_QUANTUM_KW).astype(np.int64).reshape(e, n)
        cap_q = self._cap_q()
        for j in range(steps):
            self._interval(self.t + j, j, offers, gate_up, cap_q, ledger, interval)
            # at most one departure a day: the sum is the value
            events += self._event[: layout.AWAY_KWH].reshape(3, e, n)
        money = self._settle(ledger, interval)
        self.opportunity += 1
        self.last_ledger = ledger
        own = self._owners.own
        self._see()
        shaped = ledger.reshape(-1, e, n)
        return Outcome(
            opportunity=self.opportunity - 1,
            ledger=shaped,
            money=money,
            lmp=interval.lmp,
            award_kw=interval.award_kw,
            market_kw=interval.market_kw,
            reserve_kw=interval.reserve_kw,
            rho=interval.rho,
            void=interval.void,
            flow_kw=interval.flow_kw,
            soc_kwh=interval.soc_kwh,
            departed=events[layout.DEPARTED],
            short=events[layout.SHORT],
            missed=events[layout.MISSED],
            offers=offers,
            projected_kw=interval.projected_kw.mean(axis=0),
            rewards=rewards(self.scenario, shaped, money.profit, self._floors(), own, events[layout.SHORT]),
        )

    def _floors(self) -> tuple[np.ndarray, np.ndarray]:
        """(E, N) reserve floor and car capacity, kWh."""
        shape = (self.n_months, self.n_homes)
        return self.parameters[layout.FLOOR].reshape(shape), self.parameters[layout.EV_KWH].reshape(shape)

    def _cap_q(self) -> np.ndarray:
        """(E,) most quanta the VPP may sell: its maximum, or its share of what is flexible at the gate."""
        market = self.scenario.market
        most = market.max_capacity_mw * KWH_PER_MWH / POWER_QUANTUM_KW
        flexible = self._quote[layout.SELL_HARD].reshape(self.n_months, -1).sum(axis=1) / POWER_QUANTUM_KW
        share = market.max_share_of_flexible
        cap = np.full(self.n_months, most) if share >= 1.0 else np.minimum(most, share * flexible)
        return np.floor(cap + 1e-9).astype(np.int64)

    def _interval(
        self,
        t: int,
        j: int,
        offers: Offers,
        gate_up: np.ndarray,
        cap_q: np.ndarray,
        ledger: np.ndarray,
        record: _Intervals,
    ) -> None:
        """Clear, deliver and account physics step t, then begin the next one."""
        e, n = self.n_months, self.n_homes
        market, k = self.scenario.market, self.clock(t)[1]
        lmp, rho = self._rt[:, t], self._rho[t]
        quote_q = np.floor(self._quote / POWER_QUANTUM_KW + 1e-9).astype(np.int64).reshape(-1, e, n)
        sell_q = np.minimum(offers.sell_q, quote_q[layout.SELL_HARD])
        buy_q = np.minimum(offers.buy_q, quote_q[layout.BUY_HARD])
        energy = self._clearing.clear(sell_q, offers.sell_tick, buy_q, offers.buy_tick, lmp, cap_q)
        order = np.zeros((led.N_ORDER, e, n))
        price = np.zeros((led.N_PRICE, e, n))
        order[led.O_SELL] = energy.sell_q * POWER_QUANTUM_KW
        order[led.O_BUY] = energy.buy_q * POWER_QUANTUM_KW
        ask = offers.sell_tick * PRICE_TICK
        marginal = np.minimum(energy.last_tick * PRICE_TICK, np.maximum(lmp, 0.0))[:, None]
        price[led.P_LMP] = lmp[:, None]
        price[led.P_MEMBER] = self._payment(ask, lmp[:, None], marginal, market.revenue_share)
        price[led.P_OWN], price[led.P_DEFER] = self._owners.own, self._owners.defer
        if self.products:
            idle = energy.buy_q == 0
            left = np.where(idle, np.minimum(gate_up, quote_q[layout.SELL_HARD]) - energy.sell_q, 0)
            down = np.where(energy.sell_q == 0, quote_q[layout.RESERVE_DOWN] - energy.buy_q, 0)
            room = np.maximum(cap_q - energy.sell_q.sum(axis=1), 0)
            reserve = clear_reserve(market, offers.reserve_q, offers.reserve_tick, left, down, rho, room)
            kw = reserve.award_q * POWER_QUANTUM_KW
            is_up = reserve.product < 3
            order[led.O_RESERVE] = kw
            now_up = self._quote[layout.RESERVE_UP].reshape(e, n) - order[led.O_SELL]
            now_down = self._quote[layout.RESERVE_DOWN].reshape(e, n) - order[led.O_BUY]
            order[led.O_AVAILABLE] = np.where(is_up, now_up, now_down)
            order[led.O_CALL] = np.where(self._called[:, t : t + 1] & (reserve.product < 2), kw, 0.0)
            standby = offers.reserve_tick * RESERVE_TICK
            top = reserve.last_tick * RESERVE_TICK
            price[led.P_RHO] = reserve.rho
            price[led.P_RESERVE] = self._payment(standby, reserve.rho, top, market.revenue_share)
        flat_order, flat_price = order.reshape(led.N_ORDER, -1), price.reshape(led.N_PRICE, -1)
        c, p = self._constants, self.parameters
        deliver(c, p, self.state, self.plan, self.twin, k, flat_order, self._out)
        led.account(c, p, self.plan, self.twin, k, flat_order, flat_price, self._out, ledger)
        bid = offers.sell_q - sell_q + offers.buy_q - buy_q
        record.add(
            j, lmp, rho, order, price, self._out.reshape(-1, e, n), energy.void & (bid.sum(axis=1) >= 0)
        )
        record.projected_kw[j] = bid.sum(axis=1) * POWER_QUANTUM_KW
        record.soc_kwh[j, 0] = self.state[layout.SOC_B].reshape(e, n).sum(axis=1)
        record.soc_kwh[j, 1] = self.twin.bess_soc[k].reshape(e, n).sum(axis=1)
        self._remember(t, k)
        self._begin(t + 1)
        led.account_events(c, self._event, ledger)

    def _remember(self, t: int, k: int) -> None:
        self.load_past[t % HISTORY], self.pv_past[t % HISTORY] = self.plan.load[k], self.plan.pv[k]

    def _begin(self, t: int) -> None:
        day, k = self.clock(t)
        if day != self.day:
            self._open_day(day)
        prepare(
            self._constants, self.parameters, self.state, self.plan, self.twin, k, self._quote, self._event
        )

    def _settle(self, ledger: np.ndarray, interval: _Intervals) -> Money:
        """Add up the VPP's side of the opportunity."""
        e, market = self.n_months, self.scenario.market
        rows = [led.L_PAY_SOLD, led.L_PAY_BOUGHT, led.L_PAY_FORCED, led.L_PAY_RESERVE]
        gap = np.abs(interval.market_kw - interval.due_kw)
        hours = self.steps * DT_H
        return Money(
            energy=DT_H * (interval.market_kw * interval.lmp).sum(axis=0),
            reserve=DT_H * interval.reserve_usd_per_h.sum(axis=0),
            nopay=ledger[led.L_NOPAY].reshape(e, -1).sum(axis=1),
            deviation=market.deviation_kappa * DT_H * (gap * np.maximum(interval.lmp, 0.0)).sum(axis=0),
            payments=ledger[rows].sum(axis=0).reshape(e, -1).sum(axis=1),
            compute=np.full(e, market.compute_usd_per_hour * hours),
        )


class _Intervals:
    """The interval tables of one opportunity while it is played."""

    def __init__(self, steps: int, e: int, k: int) -> None:
        self.lmp = np.zeros((steps, e))
        self.rho = np.zeros((steps, e, k))
        self.award_kw = np.zeros((steps, e))
        self.due_kw = np.zeros((steps, e))
        self.market_kw = np.zeros((steps, e))
        self.reserve_kw = np.zeros((steps, e))
        self.reserve_usd_per_h = np.zeros((steps, e))
        self.void = np.zeros((steps, e), dtype=bool)
        self.flow_kw = np.zeros((steps, layout.N_OUT, e))
        self.soc_kwh = np.zeros((steps, 2, e))
        self.projected_kw = np.zeros((steps, e))

    def add(
        self,
        j: int,
        lmp: np.ndarray,
        rho: np.ndarray,
        order: np.ndarray,
        price: np.ndarray,
        out: np.ndarray,
        void: np.ndarray,
    ) -> None:
        self.lmp[j], self.rho[j], self.void[j] = lmp, rho, void
        total = order.sum(axis=2)
        self.award_kw[j] = total[led.O_SELL] - total[led.O_BUY]
        self.due_kw[j] = self.award_kw[j] + total[led.O_CALL]
        self.reserve_kw[j] = total[led.O_RESERVE]
        self.reserve_usd_per_h[j] = (order[led.O_RESERVE] * price[led.P_RHO]).sum(axis=1)
        self.flow_kw[j] = out.sum(axis=2)
        self.market_kw[j] = self.flow_kw[j, layout.MARKET]
