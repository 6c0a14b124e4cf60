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

import numpy as np

from vpp_env.bids import RESERVE_TICK, Offers, check_actions, decode
from vpp_env.core import layout
from vpp_env.core import ledger as led
from vpp_env.core.bounds import bounds
from vpp_env.core.kernels import prepare
from vpp_env.errors import VppError
from vpp_env.market.clearing import make_clearing
from vpp_env.market.opportunity import Board, Sheet, begin, new_sheet, play, settle
from vpp_env.market.payment import make_payment
from vpp_env.market.publication import published_until
from vpp_env.market.reserve import CONTINGENCY, DOWN, products
from vpp_env.month import Month, join_days
from vpp_env.outcome import Money, Outcome, Snapshot
from vpp_env.owners import OwnerPrices, Owners, cheap_price
from vpp_env.reward import net_benefit, rewards
from vpp_env.units import DT_H, KWH_PER_MWH, POWER_QUANTUM_KW
from vpp_env.view_builder import build_view
from vpp_env.views import Information, View

HISTORY = 96
"""Steps of load and solar output that are kept for the persistence forecast (one day)."""


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
        self._rho = np.zeros((self._rt.shape[1], self.n_months, len(self.products)))  # (S, E, K)
        for e, month in enumerate(months):
            for j, name in enumerate(self.products):
                self._rho[:, e, j] = month.series.reserve_usd_per_mw[name] / KWH_PER_MWH
        self._called = np.ascontiguousarray(np.stack([m.calls for m in months]).T)
        self._owner_rules = Owners(self.scenario, [m.fleet for m in months])
        self._clearing = make_clearing(self.scenario.market)
        market = self.scenario.market
        self._payment = make_payment(market)
        # the offer of reserve is ask x (1 + margin), as for energy
        self._reserve_ticks = np.floor(self._rho / (1.0 + market.margin) / RESERVE_TICK + 1e-9).astype(np.int64)
        self._is_down = np.array([name == DOWN for name in self.products], dtype=np.bool_)
        self._callable = np.array([name in CONTINGENCY for name in self.products], dtype=np.bool_)
        per_mw = KWH_PER_MWH / POWER_QUANTUM_KW
        self._min_q = int(np.ceil(market.min_bid_mw * per_mw - 1e-9))
        self._max_q = np.full(self.n_months, int(market.max_capacity_mw * per_mw + 1e-9), dtype=np.int64)
        shape = (self.n_months, self.n_homes)
        self._sizes = (self.parameters[layout.FLOOR].reshape(shape), self.parameters[layout.EV_KWH].reshape(shape))
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
        gone = self.calendar.offset if day == 0 else 0
        self._cheap = cheap_price(self._da[:, first : first + self.calendar.steps_in_day(day) - gone])

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
        prepare(self._constants, self.parameters, self.state, self.plan, self.twin, k, self._quote, self._event)
        self._see()

    def _fill_history(self) -> None:
        # the day before, and the one before that where the clock change left it short
        days = (-1,) if self.calendar.steps_in_day(-1) >= HISTORY else (-2, -1)
        load, pv = (
            np.concatenate(
                [np.concatenate([getattr(m.traces(day), name) for m in self.months], axis=1) for day in days]
            )
            for name in ("load_kw", "pv_kw")
        )
        offset = self.calendar.offset
        if offset:
            plan = join_days([m.day(0) for m in self.months])[0]
            load, pv = np.concatenate([load, plan.load[:offset]]), np.concatenate([pv, plan.pv[:offset]])
        # row t % HISTORY holds step t of the last day: the newest row is step -1
        self.load_past, self.pv_past = load[-HISTORY:].copy(), pv[-HISTORY:].copy()

    def _see(self) -> None:
        """Work out what each home can see of itself at the gate of the next opportunity."""
        k = self.clock(self.t)[1]
        bounds(self._constants, self.parameters, self.state, self.plan, self.twin, k, self.steps, self._bounds)
        hours_left = self._bounds[layout.HOURS_LEFT].reshape(self.n_months, -1)
        self._owners = self._owner_rules.prices(self._da, self.t, self._known(), self._cheap, hours_left)

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
        _, k = self.clock(self.t)
        week_step = int(self.plan.week_step[min(k, len(self.plan.week_step) - 1)])
        return (week_step % 96) / 4, week_step / 96

    def day_ahead(self) -> np.ndarray:
        """(E, H) published day-ahead prices from the current step on, USD/kWh.

        The prices of a delivery day are published at 13:00 local time of the day before.
        """
        return self._da[:, self.t : self._known()]

    def _known(self) -> int:
        """First step whose day-ahead price is not published yet."""
        return published_until(self.calendar, *self.clock(self.t), self.t)

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
        return self._rt[0, span], self._rho[span, 0], self._called[span, 0]

    def view(self, information: Information) -> View:
        """What a policy with this information set sees now (worlds of one month)."""
        return build_view(self, information)

    def exogenous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """All of day-ahead (E, S), real-time (E, S), reserve (S, E, K), and the first unpublished day-ahead step.

        For the observation kernel only, which reads no further than what is public; tests hold it to that.
        """
        return self._da, self._rt, self._rho, self._known()

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
        e, n, steps, t = self.n_months, self.n_homes, self.steps, self.t
        offers = decode(check_actions(actions, e * n), self.sell_limit_kw, self.buy_limit_kw).reshape(6, e, n)
        board, sheet = self._board(t), new_sheet(steps, e, n)
        own = np.stack([self._owners.own, self._owners.defer])
        k, c, p, state = self.clock(t)[1], self._constants, self.parameters, self.state
        plan, twin, quote, event = self.plan, self.twin, self._quote, self._event
        play(c, p, state, plan, twin, k, offers, board, self._payment, own, quote, event, self._out, sheet)
        for j in range(steps):
            row = (t + j) % HISTORY
            self.load_past[row], self.pv_past[row] = plan.load[k + j], plan.pv[k + j]
        day, k = self.clock(t + steps)
        if day != self.day:
            self._open_day(day)
        begin(c, p, state, self.plan, self.twin, k, quote, event, sheet)
        self.opportunity += 1
        self.last_ledger = sheet.ledger
        self._see()
        return self._outcome(board, sheet, offers, own[0])

    def snapshot(self) -> Snapshot:
        """Return copies of what the next opportunity would be played with; the world stays as it is."""
        return Snapshot(
            (self._constants, self.parameters, self.state.copy(), self.plan, self.twin),
            self._board(self.t),
            self._payment,
            np.stack([self._owners.own, self._owners.defer]),
            (self._quote.copy(), self._event.copy(), self._out.copy()),
        )

    def _board(self, t: int) -> Board:
        span = slice(t, t + self.steps)
        lmp = np.ascontiguousarray(self._rt[:, span].T)
        terms = self._clearing.terms(lmp)
        return Board(
            highest_ask=terms.highest_ask,
            lowest_limit=terms.lowest_limit,
            lmp=lmp,
            rho=self._rho[span],
            reserve_highest=self._reserve_ticks[span],
            called=self._called[span],
            is_down=self._is_down,
            callable=self._callable,
            cap_q=self._cap_q(),
            min_q=self._min_q,
        )

    def _cap_q(self) -> np.ndarray:
        """(E,) most quanta the VPP may sell: its maximum, or its share of what is flexible at the gate."""
        share = self.scenario.market.max_share_of_flexible
        if share >= 1.0:
            return self._max_q
        flexible = self._quote[layout.SELL_HARD].reshape(self.n_months, -1).sum(axis=1) / POWER_QUANTUM_KW
        return np.minimum(self._max_q, np.floor(share * flexible + 1e-9).astype(np.int64))

    def _outcome(self, board: Board, sheet: Sheet, offers: np.ndarray, own: np.ndarray) -> Outcome:
        e, n = self.n_months, self.n_homes
        ledger = sheet.ledger.reshape(-1, e, n)
        market = self.scenario.market
        compute = np.full(e, market.compute_usd_per_hour * self.steps * DT_H)
        energy, reserve, nopay, deviation, payments = settle(board, sheet, DT_H, market.deviation_kappa)
        money = Money(energy, reserve, nopay, deviation, payments, compute)
        spec = self.scenario.reward
        events = sheet.events.reshape(3, e, n)
        return Outcome(
            opportunity=self.opportunity - 1,
            ledger=ledger,
            money=money,
            lmp=board.lmp,
            award_kw=sheet.award_kw,
            market_kw=sheet.flow[:, layout.MARKET],
            reserve_kw=sheet.reserve_kw,
            rho=board.rho,
            void=sheet.void,
            flow_kw=sheet.flow,
            soc_kwh=sheet.soc_kwh,
            departed=events[layout.DEPARTED],
            short=events[layout.SHORT],
            missed=events[layout.MISSED],
            offers=Offers(*offers),
            projected_kw=sheet.projected_kw.mean(axis=0),
            rewards=rewards(
                net_benefit(ledger),
                ledger[led.L_DEPTH_H],
                money.profit,
                *self._sizes,
                own,
                events[layout.SHORT],
                spec.discomfort_factor,
                spec.team_share,
            ),
        )
