"""The market's side of a world: prices of M months, the gate, and the state of an opportunity."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.contract.bids import N_ACTION, RESERVE_KW, RESERVE_TICK, SELL1_KW, SELL2_KW
from vpp_env.jit import inlined, kernel
from vpp_env.market.clearing import make_clearing
from vpp_env.market.day_ahead import DayAhead
from vpp_env.market.firm import Draws, strike_tick
from vpp_env.market.firm_book import FirmBook
from vpp_env.market.payment import make_payment
from vpp_env.market.reserve import CONTINGENCY, DOWN, products
from vpp_env.market.state import SELL1_Q, SELL1_TICK, SELL2_Q, SELL2_TICK, MarketState, Submission
from vpp_env.scenario import Scenario
from vpp_env.traces.series import MarketSeries
from vpp_env.units import DT_H, KWH_PER_MWH, POWER_QUANTUM_KW, Flags, Floats, Ints


class Conditions(NamedTuple):
    """What one month brings to the market; S steps, the tail beyond the end included."""

    series: MarketSeries
    calls: Flags  # (S,) reserve is called
    events: Flags  # (S,) a programme's event
    acceptance: Floats  # (S,) standard logistic draws, for the clearing `logit`
    firm: Draws  # of its evenings
    sell_limit_kw: float  # of all devices of the fleet
    buy_limit_kw: float


class Waiting:
    """Bids that wait for delivery: as many as opportunities between gate and delivery; the first ones are empty.

    Parameters
    ----------
    lead : int
        Opportunities between gate and delivery; 0: what goes in comes out.
    own, defer : ndarray
        (M, N) the owners' asks at the start, see `Submission`.
    hours : float
        Length of an opportunity.
    limit_kw : ndarray
        (M*N,) device limits on sales: lines and reserve may be the same kW, and none gives more than these.
    """

    def __init__(self, lead: int, own: Floats, defer: Floats, hours: float, limit_kw: Floats) -> None:
        nothing = Submission(
            np.zeros((N_ACTION, *own.shape), dtype=np.int64), own, defer, np.zeros(own.shape, dtype=np.bool_)
        )
        self._queue = deque(nothing for _ in range(lead))
        self._hours, self._limit_kw = hours, limit_kw

    def swap(self, submission: Submission) -> Submission:
        """Put in what was taken now; take out what is to be played."""
        self._queue.append(submission)
        return self._queue.popleft()

    def pending_kwh(self) -> Floats:
        """(M*N,) kWh that the waiting bids may take from each home at most."""
        pending = np.zeros(len(self._limit_kw))
        for waiting in self._queue:
            offers = waiting.offers
            kw = (offers[SELL1_KW] + offers[SELL2_KW] + offers[RESERVE_KW]).ravel() * POWER_QUANTUM_KW
            pending += np.minimum(kw, self._limit_kw) * self._hours
        return pending


class Exchange:
    """Prices and rules of M months side by side.

    Parameters
    ----------
    scenario : Scenario
        The market's rules.
    months : sequence of Conditions
        One for each month.
    """

    def __init__(self, scenario: Scenario, months: Sequence[Conditions]) -> None:
        self._months = list(months)
        self._scenario = scenario
        market = scenario.market
        self.da = np.stack([m.series.da_usd_per_mwh for m in months]) / KWH_PER_MWH
        self.products = products(market)
        self.rho = np.zeros((self.da.shape[1], len(months), len(self.products)))  # (S, M, R)
        for m, month in enumerate(months):
            for r, name in enumerate(self.products):
                self.rho[:, m, r] = month.series.reserve_usd_per_mw[name] / KWH_PER_MWH
        self.called = np.ascontiguousarray(np.stack([m.calls for m in months]).T)
        events = np.stack([m.events for m in months])
        self.incentive = np.where(events, market.programme_usd_per_kwh, 0.0)  # (M, S) USD/kWh
        self._shift = np.stack([m.acceptance for m in months])
        self._clearing = make_clearing(market)
        self._payment = make_payment(market)
        # the offer of reserve is ask x (1 + margin), as for energy
        self._reserve_ticks = np.floor(self.rho / (1.0 + market.margin) / RESERVE_TICK + 1e-9).astype(np.int64)
        self._is_down = np.array([name == DOWN for name in self.products], dtype=np.bool_)
        self._callable = np.array([name in CONTINGENCY for name in self.products], dtype=np.bool_)
        per_mw = KWH_PER_MWH / POWER_QUANTUM_KW
        self._min_q = int(np.ceil(market.min_bid_mw * per_mw - 1e-9))
        self._max_q = np.full(len(months), int(market.max_capacity_mw * per_mw + 1e-9), dtype=np.int64)
        sell, buy = (np.array(kw) for kw in zip(*((m.sell_limit_kw, m.buy_limit_kw) for m in months), strict=True))
        self.day_ahead = DayAhead(scenario, self.da, sell, buy)
        self.firm = FirmBook(scenario, [m.series.da_usd_per_mwh for m in months], [m.firm for m in months])
        self.dispatch_tick = strike_tick(market)
        self.reset()

    def reset(self) -> None:
        """Go back to the prices without the VPP, and forget its schedules and commitments."""
        self.rt = np.stack([m.series.rt_usd_per_mwh for m in self._months]) / KWH_PER_MWH
        self._event_kwh = np.zeros(len(self._months))
        self.day_ahead.reset()
        self.firm.reset()

    @property
    def capped_by_share(self) -> bool:
        """Whether what is flexible limits what the VPP may sell."""
        return self._scenario.market.max_share_of_flexible < 1.0

    def cap_q(self, flexible_kw: Floats) -> Ints:
        """(M,) most quanta the VPP may sell: its maximum, or its share of what is flexible (M,) kW at the gate."""
        if not self.capped_by_share:
            return self._max_q
        share = self._scenario.market.max_share_of_flexible
        return np.minimum(self._max_q[0], np.floor(share * flexible_kw / POWER_QUANTUM_KW + 1e-9).astype(np.int64))

    def able_kw(self, taken: Submission, lasting_kw: Floats) -> Floats:
        """(M,) kW that the homes could deliver in an opportunity as part of an evening of firm capacity.

        Of each home what it offers at an ask at which a call dispatches, at most `lasting_kw` (M*N,): the charging that
        it can defer now, and what its battery and V2G could sustain from the evening's beginning to its end, inside the
        owner's envelope. For the built-in aggregator.
        """
        return _able(taken.offers, self.dispatch_tick, lasting_kw).sum(axis=1)

    def state(self, t: int, steps: int, cap_q: Ints) -> MarketState:
        """State the market of the opportunity of `steps` steps from step t on."""
        span = slice(t, t + steps)
        lmp, incentive = (np.ascontiguousarray(x[:, span].T) for x in (self.rt, self.incentive))
        terms = self._clearing.terms(lmp, incentive, self._shift[:, span].T)
        return MarketState(
            highest_ask=np.ascontiguousarray(terms.highest_ask, dtype=np.int64),
            lowest_limit=np.ascontiguousarray(terms.lowest_limit, dtype=np.int64),
            lmp=lmp,
            rho=self.rho[span],
            reserve_highest=self._reserve_ticks[span],
            called=self.called[span],
            is_down=self._is_down,
            callable=self._callable,
            cap_q=cap_q,
            min_q=self._min_q,
            on_offers=self._scenario.market.minimum == "offer",
            incentive=incentive,
            event_kwh=self._event_kwh.copy(),
            slope=float(terms.slope * POWER_QUANTUM_KW),
            offer_factor=1.0 + self._scenario.market.margin,
            da=np.ascontiguousarray(self.da[:, span].T),
            day_ahead_kw=np.ascontiguousarray(self.day_ahead.award_kw[:, span].T),
            dispatch_q=self.firm.dispatch_q(t),
            dispatch_tick=self.dispatch_tick,
            payment=self._payment,
        )

    def meter(self, t: int, metered_kw: Floats) -> None:
        """Add (S, M) kW metered from step t on to what the programme's event has delivered so far."""
        if not np.count_nonzero(self.incentive[:, t : t + len(metered_kw)]):
            if np.count_nonzero(self._event_kwh):
                self._event_kwh = np.zeros(len(self._months))
            return
        for j, row in enumerate(metered_kw):
            event = self.incentive[:, t + j] > 0.0
            self._event_kwh = np.where(event, self._event_kwh + DT_H * row, 0.0)

    def publish(self, t: int, lmp: Floats) -> None:
        """Take the settled prices (S, M) of the opportunity from step t on as the ones that the market publishes."""
        self.rt[:, t : t + len(lmp)] = lmp.T


@inlined
def able_home(offers: Ints, m: int, i: int, dispatch_tick: int, lasting_kw: float) -> float:
    """KW that home i of month m could deliver, see `Exchange.able_kw`."""
    one = offers[SELL1_Q, m, i] if offers[SELL1_TICK, m, i] <= dispatch_tick else 0
    two = offers[SELL2_Q, m, i] if offers[SELL2_TICK, m, i] <= dispatch_tick else 0
    return min((one + two) * POWER_QUANTUM_KW, lasting_kw)


@kernel
def _able(offers: Ints, dispatch_tick: int, lasting_kw: Floats) -> Floats:
    """(M, N) kW; see `able_home`."""
    _, months, n = offers.shape
    out = np.empty((months, n))
    for m in range(months):
        for i in range(n):
            out[m, i] = able_home(offers, m, i, dispatch_tick, lasting_kw[m * n + i])
    return out
