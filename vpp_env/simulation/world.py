"""The world: M months of N homes that share a clock. Every API drives this one, and only this one.

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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env.contract.bids import N_ACTION, DayAheadSchedule, check_actions, check_override, decode
from vpp_env.contract.terms import Answers, Offers, check_offers, check_rows
from vpp_env.core import ledger as led
from vpp_env.core.headroom import LIMITS, N_HEADROOM, Delivery, Headroom, limit_to
from vpp_env.core.layout import FLOW, Day, Home, Homes, HomeState, Quote, copied, initial_state, no_quote, side_by_side
from vpp_env.core.ledger import N_LEDGER, SHORT
from vpp_env.core.loops import Gate, begin_gate, look, new_books, quote_again
from vpp_env.errors import BidError, VppError
from vpp_env.jit import steady
from vpp_env.market.day_ahead import published_until
from vpp_env.market.exchange import Exchange, Waiting
from vpp_env.market.opportunity import Room, new_results, new_room, play
from vpp_env.market.payment import make_payment
from vpp_env.market.state import Agreed, IntervalResults, MarketState, Submission
from vpp_env.owners.asks import OwnerPrices, Owners, cheap_price
from vpp_env.owners.contracts import ContractBook
from vpp_env.owners.patience import Patience
from vpp_env.owners.table import Gate as OwnersGate
from vpp_env.owners.table import OwnersTable
from vpp_env.owners.wishes import WishMeter
from vpp_env.simulation.announced import Announced
from vpp_env.simulation.contract_keeper import ContractKeeper, in_only
from vpp_env.simulation.month import HISTORY, Month, check_one_scenario, join_days, lock
from vpp_env.simulation.outcome import Outcome, Snapshot, outcome_of
from vpp_env.traces.vehicles import CarDay
from vpp_env.units import DT_H, POWER_QUANTUM_KW, Flags, Floats

_ROWS_OF_LIMITS = np.array(LIMITS)[:, None]


class World:
    """M months side by side.

    Parameters
    ----------
    months : sequence of Month
        Same scenario, different seeds. What belongs to a home is (M*N,), month after month.
    contracts_expected : bool
        Whether the kernels for contracts are used before one is signed: who may sign one needs no others then.

    Raises
    ------
    ScenarioError
        When the months are not of one scenario: all are played under the same rules and clock.
    """

    def __init__(self, months: Sequence[Month], contracts_expected: bool = False) -> None:
        if isinstance(months, Month):
            raise VppError("World: got a month; allowed is a list of them: World([month])")
        if not months:
            raise VppError("World([]): got no month; allowed is one or more, of one scenario")
        first = months[0]
        check_one_scenario(months)
        self.months = list(months)
        self.scenario = first.scenario
        self.calendar = first.calendar
        self.n_months, self.n_homes = len(months), first.fleet.n
        self._rules = first.rules
        self._parameters = side_by_side([m.parameters for m in months])
        self.sell_limit_kw = np.concatenate([m.fleet.sell_limit_kw for m in months])
        self.buy_limit_kw = np.concatenate([m.fleet.buy_limit_kw for m in months])
        self.exchange = Exchange(first.scenario, [m.conditions for m in months])
        self.products = self.exchange.products
        self.contracts = ContractBook(self.scenario, len(months), first.fleet.n)
        self._keeper = ContractKeeper(self.months, self._parameters, self.contracts, contracts_expected)
        self._owner_rules = Owners(self.scenario, [m.fleet for m in months])
        tolerance = np.stack([m.fleet.tolerance for m in months])
        seeds = [m.world_seed for m in months]
        self.patience = Patience(self.scenario.owners, seeds, tolerance)
        share = make_payment(self.scenario.market).share
        self.table = OwnersTable(self.scenario, seeds, self.n_homes, share, self.contracts)
        self.steps = self.scenario.steps_per_opportunity
        self.lead = self.scenario.lead_opportunities
        self._play_compiled = steady(play)
        self._rooms: dict[bool, Room] = {}
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
        """(local day, step of day) of step t, also beyond the end.

        Parameters
        ----------
        t : int
            Physics step of 15 min, from the start of the run.

        Returns
        -------
        day, step : int
            Local day of the run, and step of it.
        """
        return self.calendar.clock(t)

    def wall_clock(self) -> tuple[float, float]:
        """Local hour of day [0, 24) and weekday (Monday = 0, fractions of a day included) of the current step.

        Returns
        -------
        hour, weekday : float
            Of the current step.
        """
        week_steps, k = self.day.plan.week_step, self.clock(self.t)[1]
        week_step = int(week_steps[min(k, len(week_steps) - 1)])
        return (week_step % 96) / 4, week_step / 96

    # -- reset -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Go to the start of the month."""
        n = self.n_months * self.n_homes
        state = side_by_side([initial_state(m.fleet) for m in self.months])
        self._homes = Homes(self._rules, self._keeper.own, state, no_quote(n))
        self._headroom = np.zeros((N_HEADROOM, n))
        self._bounds: Headroom[Floats] = Headroom(*self._headroom)
        self._seen = 0  # version of the contracts that the headroom was looked up under
        self._lasting: Headroom[Floats] = Headroom(*np.zeros((N_HEADROOM, n)))  # sustained over the evening that is on
        self._over: Day | None = None  # the last day but one
        self.opportunity = 0
        self.exchange.reset()
        self.patience.reset()
        self.contracts.reset()
        self._keeper.reset()
        fleets = [m.fleet for m in self.months]
        self._wishes = WishMeter(fleets, self.calendar, self.steps)
        self.table.reset()
        self._fill_history()
        self._open_day(self.clock(0)[0])
        # the first gate, after an opportunity of no interval: nobody has bid yet
        nothing = np.zeros((self.n_months, self.n_homes))
        self._waiting = Waiting(0, nothing, nothing, 0.0, self.sell_limit_kw)
        gate = self._gate()
        begin_gate(self._homes, gate, new_books(0, self.n_months, self.n_homes))
        look(self._homes, gate)
        self._publish()
        self.last_ledger = np.zeros((N_LEDGER, n))
        self._waiting = Waiting(self.lead, self._owners.own, self._owners.defer, self.steps * DT_H, self.sell_limit_kw)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the copy of another world: pickled, or deep-copied."""
        self.__dict__.update(state)
        if "_headroom" in state:  # its rows are views, which copying cuts loose
            self._bounds = Headroom(*self._headroom)
            lock(self.day)

    def visit(self, opportunity: int) -> None:
        """Go to the gate of an opportunity without playing those before it: the homes stay as they are.

        Clock, prices, what is published and the owners' prices are that gate's then. For months that are played
        elsewhere; bids change nothing of that where the market takes its prices as given.

        Parameters
        ----------
        opportunity : int
            Its number; the run's number of opportunities is the end.
        """
        self.opportunity = opportunity
        day = self.clock(self.t)[0]
        if day != self._day_number:
            self._open_day(day)
        self._publish()

    def _open_day(self, day: int) -> None:
        self._day_number = day
        self.day = join_days([m.day(day) for m in self.months], self._over)
        self._over = None
        first = int(np.searchsorted(self.calendar.day, day))
        gone = self.calendar.offset if day == 0 else 0
        self._cheap = cheap_price(self.exchange.da[:, first : first + self.calendar.steps_in_day(day) - gone])

    def _fill_history(self) -> None:
        days = self.months[0].history()
        load, pv = (
            np.concatenate(
                [np.concatenate([getattr(m.traces(day), name) for m in self.months], axis=1) for day in days]
            )
            for name in ("load_kw", "pv_kw")
        )
        offset = self.calendar.offset
        if offset:
            plan = join_days([m.day(0) for m in self.months]).plan
            load, pv = np.concatenate([load, plan.load[:offset]]), np.concatenate([pv, plan.pv[:offset]])
        # row t % HISTORY holds step t of the last day: the newest row is step -1
        self.load_past, self.pv_past = load[-HISTORY:], pv[-HISTORY:]

    def _gate(self) -> Gate:
        """The next opportunity's gate."""
        k, (then, k_then) = self.clock(self.t)[1], self.clock(self.delivery)
        week_step = int(self.calendar.day_week_steps(then)[k_then])
        delivery = Delivery(self.steps, self.lead * self.steps, week_step)
        # what waiting bids may take is left out of the envelope, unless gateways keep it: they cut at delivery
        pending = np.zeros(len(self.sell_limit_kw))
        if not self.scenario.market.safeguard:
            pending = self._waiting.pending_kwh()
        return Gate(self.day, k, delivery, pending, self._headroom)

    # -- what a view may be built from -----------------------------------------------------------------

    @property
    def parameters(self) -> Home[Floats]:
        """Devices of the homes and their owners' own limits, whatever contracts say, (M*N,) each."""
        return self._parameters

    @property
    def limits(self) -> Home[Floats]:
        """The same as contracts have moved them in the opportunity that was played last."""
        return self._keeper.home

    @property
    def headroom(self) -> Headroom[Floats]:
        """What each home can offer for the opportunity that is bid for, under the contracts for it, (M*N,) each."""
        if self._seen != self.contracts.version:
            self._look_again()
        return self._bounds

    @property
    def state(self) -> HomeState[Floats]:
        """State of the homes now, (M*N,) each."""
        return self._homes.state

    @property
    def quote(self) -> Quote[Floats]:
        """What the market may count on now, (M*N,) each."""
        return self._homes.quote

    @property
    def defer_premium(self) -> Floats:
        """(M, N) USD/kWh that owners ask for charging that waits, beyond what buying back costs."""
        return self._owner_rules.defer_premium

    @property
    def owners(self) -> OwnerPrices:
        """The owners' own prices for the next opportunity."""
        return self._owners

    @property
    def announced(self) -> Announced:
        """What everybody is told at the gate: past prices, and what is published of coming ones."""
        return self._announced

    @property
    def absent(self) -> Flags:
        """(M*N,) owners who have opted out of the opportunity that is bid for, as far as they have said at its gate."""
        return self.patience.absent(self.clock(self.delivery)[0] - self.clock(self.t)[0])

    def required_kw(self) -> Floats:
        """(M,) kW: most that each VPP may sell in the next opportunity.

        Returns
        -------
        ndarray
            (M,) kW.
        """
        return self._cap_q().astype(np.float64) * POWER_QUANTUM_KW

    # -- the owners' table -----------------------------------------------------------------------------

    def propose(self, offers: Sequence[Offers | None]) -> list[Answers | None]:
        """Make offers for the opportunity that is bid for, one for each month or None, and hear the owners.

        What they accept binds from that opportunity on. `owners.max_rounds` times at one gate.

        Parameters
        ----------
        offers : sequence of Offers or None
            One for each month; None: nobody is asked there.

        Returns
        -------
        list of Answers or None
            One for each month that made offers.

        Raises
        ------
        BidError
            When offers are malformed or no round is left; nobody has heard of any offer then.
        VppError
            When the month is over or was never reset.
        """
        self._playing()
        if len(offers) != self.n_months:
            raise BidError(
                f"propose() got {len(offers)} offers; allowed is one, or None, for each of {self.n_months} months"
            )
        heard = [None if offer is None else check_offers(offer, self.n_homes) for offer in offers]
        if not self.table.is_open(self.opportunity):
            self.table.open(self._owners_gate())
        answers, refused = self.table.propose(heard, self.patience.strained())
        for month, offer in enumerate(heard):
            if offer is not None:
                self.contracts.asked(month, offer.to)
        self.patience.turn_down(refused)
        return answers

    def end_contracts(self, month: int, rows: Flags) -> None:
        """End the contracts of the homes `rows` (N,) of a month before the opportunity that is bid for.

        Parameters
        ----------
        month : int
            Which of the M months.
        rows : ndarray
            (N,) bool: homes whose contract ends.
        """
        self._playing()
        self.contracts.end(month, self.opportunity + self.lead, check_rows(rows, self.n_homes, "rows"))

    def _owners_gate(self) -> OwnersGate:
        day, (then, k_then) = self.clock(self.t)[0], self.clock(self.delivery)
        days = [m.cars(day - 1) for m in self.months]
        return OwnersGate(
            fleets=[m.fleet for m in self.months],
            opportunity=self.opportunity,
            first=self.opportunity + self.lead,
            t=self.t,
            delivery=self.delivery,
            clock=k_then,
            known=self._announced.until,
            da=self.exchange.da,
            rt=self.exchange.rt,
            state=self.state,
            headroom=self._own_headroom(),
            prices=self._owners,
            yesterday=CarDay(*(np.concatenate(rows) for rows in zip(*days, strict=True))),
            absent=self.patience.absent(then - day),
            day=day,
        )

    def _own_headroom(self) -> Headroom[Floats]:
        """What each home could offer there without a contract: an owner compares with that, (M*N,) each."""
        if not self.contracts.ever:
            return self.headroom
        bounds = np.zeros_like(self._headroom)
        look(self._homes._replace(home=self._keeper.own), self._gate()._replace(headroom=bounds))
        return Headroom(*bounds)

    def _playing(self) -> None:
        if self.opportunity < 0 or self.done:
            raise VppError("the month has not begun or is over; call reset() first")

    # -- one opportunity -------------------------------------------------------------------------------

    def step(
        self,
        actions: NDArray[Any],
        day_ahead: Sequence[DayAheadSchedule | None] = (),
        override: NDArray[np.bool_] | None = None,
        capacity: Sequence[float | None] = (),
    ) -> Outcome:
        """Take bids, and play one opportunity: with `market.gate_lead_minutes` with bids that were taken before.

        Parameters
        ----------
        actions : ndarray
            (M*N, 8) in [-1, 1], see `bids`; for the opportunity `lead` after the one that is played.
        day_ahead : sequence of DayAheadSchedule or None, optional
            One for each month, at the gate of the day-ahead market.
        override : ndarray, optional
            (M*N,) bool: homes whose gateway does not keep the owner's envelope in that opportunity; None: all keep it.
            Without `market.safeguard` none does.
        capacity : sequence of float or None, optional
            KW of firm capacity for the next evening, one for each month, at its gate; None: the built-in aggregator's.

        Returns
        -------
        Outcome
            The settled record of the opportunity: awards and flows (kW, kWh), prices, money (USD) by home.

        Raises
        ------
        BidError
            When the bids have the wrong shape, are not numbers or lie outside [-1, 1]; nothing has changed then.
        VppError
            When the month is over or was never reset.
        """
        self._playing()
        months, n, t, firm = self.n_months, self.n_homes, self.t, self.exchange.firm
        offers = decode(check_actions(actions, months * n), self.sell_limit_kw, self.buy_limit_kw)
        free = check_override(override, months * n) | (not self.scenario.market.safeguard)
        self.exchange.day_ahead.check(t, day_ahead)
        firm.check(t, capacity)
        self.exchange.day_ahead.submit(t, day_ahead)
        firm.submit(t, capacity)
        submission = Submission(
            offers.reshape(N_ACTION, months, n), self._owners.own, self._owners.defer, free.reshape(months, n)
        )
        # who is out today takes no bid, however long ago it was placed: its home is at its baseline, and a car whose
        # charging was deferred before is charged in time as always
        absent, left = (x.reshape(months, n) for x in (self.patience.absent(), self.patience.lost()))
        taken = self._waiting.swap(submission)
        if firm.begins(t):
            hours = self.scenario.market.capacity_hours[1] - self.scenario.market.capacity_hours[0]
            self._lasting = self._sustained(hours)
        if firm.is_evening(t):
            # now, and from the evening's beginning to its end; a car that comes home in the evening counts from then on
            now = self._sustained(self.steps * DT_H)
            firm.able(t, self.exchange.able_kw(taken.without(absent), now.defer_mean + self._lasting.storage))
        absent = absent | firm.absent(t)
        day, k = self.clock(t)
        contracts = in_only(self.contracts.standing(self.opportunity), absent)
        self._keeper.begin(contracts, day, k, self.state)
        if self.contracts.ever:
            self._homes = self._homes._replace(home=self._keeper.home)
            quote_again(self._homes, self.day, k)
        taken = self._keeper.cut(taken.without(absent), contracts)
        market = self._market()
        results = self._play(taken, self._keeper.agreed(contracts), market, k, self.steps)
        self.last_ledger = results.books.ledger
        self.exchange.meter(t, results.books.flow[:, FLOW.market])
        if market.slope > 0.0:
            self.exchange.publish(t, results.lmp)
        firm.meter(t, results.books.ledger[led.L_REDUCED].reshape(months, n))
        settled = firm.settle(t + self.steps)
        results.books.ledger[led.L_PAY_CAPACITY] += settled.members_usd.ravel()
        books, o = results.books, self.opportunity - 1
        wishes = self._wishes.add(o, books.soc_home_kwh, books.ledger, books.events[SHORT])
        kept = self._keeper.settle(contracts, books, wishes, self.state)
        outcome = outcome_of(self.scenario, o, taken, market, results, settled, absent, left, wishes, kept)
        self._live(outcome, day)
        return outcome

    def _sustained(self, hours: float) -> Headroom[Floats]:
        """What the homes could give from now on in every interval of so many hours, (M*N,) each."""
        (day, k), n = self.clock(self.t), self.n_months * self.n_homes
        homes = self._homes._replace(home=self._keeper.limits(self.contracts.standing(self.opportunity), day, k))
        delivery = Delivery(round(hours / DT_H), 0, int(self.day.plan.week_step[k]))
        found = np.zeros((N_HEADROOM, n))
        look(homes, Gate(self.day, k, delivery, np.zeros(n), found))
        return Headroom(*found)

    def _live(self, outcome: Outcome, day: int) -> None:
        """Let the owners live through an opportunity of local day `day`; who is out has nothing on offer."""
        self.patience.add(outcome.storage_kwh, outcome.violated)
        self.table.end_opportunity(day)
        if self.done or self._day_number != day:
            self.patience.end_day(day)
            self.contracts.leave(self.patience.absent().reshape(self.n_months, -1))
        if self.contracts.ever:
            self.contracts.forget(self.opportunity)
            self._seen = -1
        self._nothing_of_absent()

    def _nothing_of_absent(self) -> None:
        absent = self.absent
        if np.count_nonzero(absent):
            self._headroom[_ROWS_OF_LIMITS, np.flatnonzero(absent)] = 0.0

    def _look_again(self) -> None:
        """Look at what homes can offer for the opportunity that is bid for, under the contracts for it."""
        self._seen = self.contracts.version
        found = self.contracts.standing(self.opportunity + self.lead)
        home = self._keeper.limits(found, *self.clock(self.delivery))
        look(self._homes._replace(home=home), self._gate())
        if home.most_kw is not None:
            limit_to(home.most_kw, self._headroom)
        self._nothing_of_absent()

    def _play(
        self, taken: Submission, agreed: Agreed | None, market: MarketState, k: int, steps: int
    ) -> IntervalResults:
        """Play `steps` intervals from step k of the day, and go on to the gate after them."""
        played, results = self.day, new_results(steps, self.n_months, self.n_homes)
        self._remember(self.t, k)
        self.opportunity += 1
        day = self.clock(self.t)[0]
        if day != self._day_number:
            self._open_day(day)
        contracts = agreed is not None
        if contracts not in self._rooms:
            shape = steps, self.n_months, self.n_homes, market.rho.shape[2]
            self._rooms[contracts] = new_room(*shape, self._rules.feeder_homes, contracts)
        room = self._rooms[contracts]
        self._play_compiled(self._homes, played, k, taken, agreed, market, self._gate(), room, results)
        if self.day is not played:
            self._over = played
        self._publish()
        return results

    def _publish(self) -> None:
        """Work out what is known at the next gate: published prices, and the owners' own for the next opportunity."""
        until = published_until(self.calendar, *self.clock(self.t), self.t)
        self._announced = Announced(self.exchange, self.t, self.delivery, until)
        hours_left = self._bounds.hours_left.reshape(self.n_months, -1)
        self._owners = self._owner_rules.prices(self.exchange.da, self.delivery, until, self._cheap, hours_left)

    def _remember(self, t: int, k: int) -> None:
        """Keep the load and solar output of the opportunity from step t, which is step k of the day."""
        plan = self.day.plan
        for j in range(self.steps):
            row = (t + j) % HISTORY
            self.load_past[row], self.pv_past[row] = plan.load[k + j], plan.pv[k + j]

    def snapshot(self) -> Snapshot:
        """Return copies of what the next opportunity would be played with; the world stays as it is.

        Returns
        -------
        Snapshot
            Shares no memory with the world.
        """
        homes = self._homes._replace(state=copied(self._homes.state), quote=copied(self._homes.quote))
        asks = (self._owners.own, self._owners.defer)
        gate = self._gate()._replace(headroom=self._headroom.copy())
        day = join_days([m.day(self._day_number) for m in self.months])
        return Snapshot(homes, day, self.clock(self.t)[1], asks, self._market(), gate._replace(day=day))

    def _market(self) -> MarketState:
        return self.exchange.state(self.t, self.steps, self._cap_q())

    def _cap_q(self) -> NDArray[np.int64]:
        """(M,) most quanta each VPP may sell; see `Exchange.cap_q`."""
        if not self.exchange.capped_by_share:
            return self.exchange.cap_q(np.zeros(self.n_months))
        able = np.where(self.patience.absent(), 0.0, self._homes.quote.sell)
        return self.exchange.cap_q(able.reshape(self.n_months, -1).sum(axis=1))
