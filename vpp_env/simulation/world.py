"""The world: E months of N homes that share a clock. Every API drives this one, and only this one.

    world = World([Month(scenario, seed)])
    world.reset()
    while not world.done:
        view = build_view(world, Information.OWN)
        outcome = world.step(actions)

One step is one market opportunity: bids are decoded, every 15-min interval is cleared, delivered by the
devices and accounted, the baseline beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp_env.contract.bids import DayAheadSchedule, check_actions, decode
from vpp_env.core import layout
from vpp_env.core import ledger as led
from vpp_env.core.headroom import Delivery, bounds
from vpp_env.core.loops import prepare
from vpp_env.errors import VppError
from vpp_env.market.exchange import Exchange
from vpp_env.market.opportunity import begin, play
from vpp_env.market.pending import Waiting
from vpp_env.market.publication import published_until
from vpp_env.market.state import Board, new_sheet
from vpp_env.owners.asks import OwnerPrices, Owners, cheap_price
from vpp_env.simulation.month import Month, join_days
from vpp_env.simulation.outcome import Outcome, Snapshot
from vpp_env.simulation.settlement import outcome_of
from vpp_env.units import DT_H, POWER_QUANTUM_KW

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
        self.exchange = Exchange(first.scenario, [m.conditions for m in months])
        self.products = self.exchange.products
        self._owner_rules = Owners(self.scenario, [m.fleet for m in months])
        shape = (self.n_months, self.n_homes)
        self._sizes = (self.parameters[layout.FLOOR].reshape(shape), self.parameters[layout.EV_KWH].reshape(shape))
        self.steps = self.scenario.steps_per_opportunity
        self.lead = self.scenario.lead_opportunities
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

    @property
    def delivery(self) -> int:
        """Physics step at which the opportunity that is bid for now begins: `lead` opportunities after step t."""
        return self.t + self.lead * self.steps

    def clock(self, t: int) -> tuple[int, int]:
        """(local day, step of day) of step t, also beyond the end."""
        return self.calendar.clock(t)

    def _open_day(self, day: int) -> None:
        self.day = day
        self.plan, self.baseline = join_days([m.day(day) for m in self.months])
        first = int(np.searchsorted(self.calendar.day, day))
        gone = self.calendar.offset if day == 0 else 0
        self._cheap = cheap_price(self.exchange.da[:, first : first + self.calendar.steps_in_day(day) - gone])

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
        self.exchange.reset()
        self._fill_history()
        day, k = self.clock(0)
        self._open_day(day)
        prepare(self._constants, self.parameters, self.state, self.plan, self.baseline, k, self._quote, self._event)
        self._waiting = Waiting(0, np.zeros((2, self.n_months, self.n_homes)), 0.0)
        self._see()
        self._waiting = Waiting(self.lead, self._own_asks(), self.steps * DT_H)

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
        """Work out what each home can see of itself at the gate, for the opportunity that is bid for."""
        k, (then, k_then) = self.clock(self.t)[1], self.clock(self.delivery)
        week_step = self.calendar.day_weekday(then) * 96 + round(4 * float(self.calendar.day_hours(then)[k_then]))
        bounds(
            self._constants,
            self.parameters,
            self.state,
            self.plan,
            self.baseline,
            k,
            self.steps,
            Delivery(self.lead * self.steps, week_step),
            self._waiting.pending_kwh(),
            self._bounds,
        )
        hours_left = self._bounds[layout.HOURS_LEFT].reshape(self.n_months, -1)
        self._owners = self._owner_rules.prices(self.exchange.da, self.delivery, self._known(), self._cheap, hours_left)

    def _own_asks(self) -> np.ndarray:
        return np.stack([self._owners.own, self._owners.defer])

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
        """(E, H) published day-ahead prices from the delivery that is bid for on, USD/kWh.

        The prices of a delivery day are published at 13:00 local time of the day before.
        """
        return self.exchange.da[:, self.delivery : self._known()]

    def _known(self) -> int:
        """First step whose day-ahead price is not published yet."""
        return published_until(self.calendar, *self.clock(self.t), self.t)

    def announced(self) -> tuple[np.ndarray, np.ndarray]:
        """(E, H) programme incentive, USD/kWh, and day-ahead award, kW, of the steps of `day_ahead()`: both public."""
        span = slice(self.delivery, self._known())
        return self.exchange.incentive[:, span], self.exchange.day_ahead.award_kw[:, span]

    def past(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Past day-ahead (E, t), real-time (E, t) and reserve prices (t, E, K), inside units."""
        exchange, t = self.exchange, self.t
        return exchange.da[:, :t], exchange.rt[:, :t], exchange.rho[:t]

    def ev_deficit(self) -> np.ndarray:
        """(E*N,) kWh that each car holds less than its baseline."""
        k = self.clock(self.t)[1]
        return np.maximum(self.baseline.ev_soc[k] - self.state[layout.SOC_E], 0.0)

    def closing_value(self) -> np.ndarray:
        """(E, N) USD: what the homes hold more than their baselines now, at the owners' own cost of replacing it.

        Added to the owners' net benefit at the end of a run, so that nobody gains by ending with empty batteries.
        """
        shape = (self.n_months, self.n_homes)
        eta_b, eta_e = self.scenario.fleet.bess_eta, self.scenario.fleet.ev_eta
        day, k = self.clock(self.t)
        baseline = self.baseline.bess_soc[k - 1] if k > 0 else self._baseline_before(day)
        battery = (self.state[layout.SOC_B] - baseline).reshape(shape) / eta_b * self._owners.refill
        return battery - self.ev_deficit().reshape(shape) / eta_e * self._owners.back

    def _baseline_before(self, day: int) -> np.ndarray:
        return join_days([m.day(day - 1) for m in self.months])[1].bess_soc[-1]

    def required_kw(self) -> float:
        """Most that the VPP of the first month may sell in the next opportunity, kW."""
        return float(self._cap_q()[0]) * POWER_QUANTUM_KW

    def series_length(self) -> int:
        """Steps for which prices exist, the tail beyond the end included."""
        return self.exchange.rt.shape[1]

    def series_ahead(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first month's true real-time (H,), reserve (H, K) prices and calls (H,), for an oracle.

        From the delivery that is bid for on; without the VPP's own influence on the price.
        """
        span, exchange = slice(self.delivery, self.delivery + steps), self.exchange
        return exchange.rt[0, span], exchange.rho[span, 0], exchange.called[span, 0]

    def exogenous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """All of day-ahead (E, S), real-time (E, S), reserve (S, E, K), and the first unpublished day-ahead step.

        For the observation kernel only, which reads no further than what is public; tests hold it to that.
        """
        return self.exchange.da, self.exchange.rt, self.exchange.rho, self._known()

    # -- one opportunity -------------------------------------------------------------------------------

    def step(self, actions: np.ndarray, day_ahead: Sequence[DayAheadSchedule | None] = ()) -> Outcome:
        """Take bids, and play one opportunity: with `market.gate_lead_minutes` with bids that were taken before.

        Parameters
        ----------
        actions : ndarray
            (E*N, 6) in [-1, 1], see `bids`; for the opportunity `lead` after the one that is played.
        day_ahead : sequence of DayAheadSchedule or None, optional
            One for each month, at the gate of the day-ahead market.

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
        self.exchange.day_ahead.check(t, day_ahead)
        self.exchange.day_ahead.submit(t, day_ahead)
        offers, own = self._waiting.swap(offers, self._own_asks())
        board, sheet = self._board(), new_sheet(steps, e, n)
        k, c, p, state = self.clock(t)[1], self._constants, self.parameters, self.state
        plan, baseline, quote, event = self.plan, self.baseline, self._quote, self._event
        play(c, p, state, plan, baseline, k, offers, board, self.exchange.payment, own, quote, event, self._out, sheet)
        for j in range(steps):
            row = (t + j) % HISTORY
            self.load_past[row], self.pv_past[row] = plan.load[k + j], plan.pv[k + j]
        day, k = self.clock(t + steps)
        if day != self.day:
            self._open_day(day)
        begin(c, p, state, self.plan, self.baseline, k, quote, event, sheet)
        if board.slope > 0.0:
            self.exchange.publish(t, sheet.lmp)
        self.opportunity += 1
        self.last_ledger = sheet.ledger
        self._see()
        return outcome_of(self.scenario, self.opportunity - 1, board, sheet, offers, own[0], self._sizes)

    def snapshot(self) -> Snapshot:
        """Return copies of what the next opportunity would be played with; the world stays as it is."""
        return Snapshot(
            (self._constants, self.parameters, self.state.copy(), self.plan, self.baseline),
            self._board(),
            self.exchange.payment,
            self._own_asks(),
            (self._quote.copy(), self._event.copy(), self._out.copy()),
        )

    def _board(self) -> Board:
        return self.exchange.board(self.t, self.steps, self._cap_q())

    def _cap_q(self) -> np.ndarray:
        """(E,) most quanta the VPP may sell; see `Exchange.cap_q`."""
        return self.exchange.cap_q(self._quote[layout.SELL_HARD].reshape(self.n_months, -1).sum(axis=1))
