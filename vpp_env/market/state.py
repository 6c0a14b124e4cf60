"""The types of the market on one screen: what it takes in, what it knows, and what an opportunity leaves behind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core.loops import Books
from vpp_env.market.payment import PaymentRule
from vpp_env.units import Flags, Floats, Ints

# rows of the offers, (8, M, N) int64, in the order of `bids.Offers`
SELL1_Q, SELL1_TICK, SELL2_Q, SELL2_TICK, BUY_Q, BUY_TICK, RESERVE_Q, RESERVE_TICKS = range(8)
LINES = 2
"""Sell lines of a home; line l has the rows 2 l and 2 l + 1."""


class Submission(NamedTuple):
    """What was taken at the gate, for one opportunity of M months of N homes."""

    offers: Ints  # (8, M, N) decoded bids
    own: Floats  # (M, N) the owners' asks per kWh discharged that held at the gate, USD/kWh
    defer: Floats  # (M, N) the same per kWh of deferred charging
    override: Flags  # (M, N) the owner's envelope is not kept at delivery

    def without(self, absent: Flags) -> Submission:
        """Return the submission with nothing of the homes `absent` (M, N), who take no bid."""
        if not np.count_nonzero(absent):
            return self
        return self._replace(offers=np.where(absent, 0, self.offers), override=self.override & ~absent)


class Agreed(NamedTuple):
    """What the contracts in force pay, for one opportunity of M months of N homes."""

    on: Flags  # (M, N) bool: paid by contract, whatever the bid asks
    pay: Floats  # (4, M, N) rows below; 0 where there is no contract


PAY_STORAGE, PAY_DEFER, PAY_SHARE, PAY_RESERVE = range(4)
"""Rows of `Agreed.pay`: USD per kWh from storage and of charging that waits, share of the price, USD/kW-h."""


class MarketState(NamedTuple):
    """What the market knows of one opportunity: S intervals, M months, R reserve products."""

    highest_ask: Ints  # (S, M) ticks
    lowest_limit: Ints  # (S, M) ticks
    lmp: Floats  # (S, M) USD/kWh, before the VPP's own influence
    rho: Floats  # (S, M, R) USD/kW-h
    reserve_highest: Ints  # (S, M, R) reserve ticks
    called: Flags  # (S, M)
    is_down: Flags  # (R,) headroom to charge
    callable: Flags  # (R,) may be called to deliver
    cap_q: Ints  # (M,) most quanta the VPP may sell, and buy
    min_q: int  # quanta of the minimum bid
    on_offers: bool  # a side whose offer is below `min_q` is not taken; else a smaller award is void
    incentive: Floats  # (S, M) USD/kWh that a programme pays for the net delivery of an event
    event_kwh: Floats  # (M,) net delivery of the event so far; 0 where none has begun
    slope: float  # USD/kWh by which the price falls per quantum of net sales
    offer_factor: float  # offer / ask
    da: Floats  # (S, M) day-ahead price, USD/kWh
    day_ahead_kw: Floats  # (S, M) day-ahead award, plus = sale
    dispatch_q: Ints  # (M,) firm capacity on call: sales are taken up to so many quanta at asks up to `dispatch_tick`
    dispatch_tick: int
    payment: PaymentRule


class Awards(NamedTuple):
    """What one interval awards; used again for the next one."""

    lines: Ints  # (M, 2 N) quanta of each sell line, the first lines of all homes, then the second
    sell: Ints  # (M, N) quanta, both lines
    buy: Ints  # (M, N) quanta
    reserve: Ints  # (M, N) quanta
    product: Ints  # (M, N) reserve product that each home serves, -1 = none
    last_sale: Ints  # (M,) highest ask accepted, ticks; 0 where none is
    last_reserve: Ints  # (M, R) highest ask accepted, reserve ticks
    taken: Flags  # (M,) the market took an offer


class IntervalResults(NamedTuple):
    """What an opportunity leaves behind, filled by `opportunity.play`."""

    books: Books
    lmp: Floats  # (S, M) price that is settled at, USD/kWh
    award_kw: Floats  # (S, M) net energy award
    called_kw: Floats  # (S, M)
    reserve_kw: Floats  # (S, M)
    reserve_usd_per_h: Floats  # (S, M)
    projected_kw: Floats  # (S, M) bid, and cannot be delivered
    void: Flags  # (S, M) an energy offer (or award, see `MarketState.on_offers`) was below the minimum bid
    taken: Flags  # (S, M) the market took an offer of energy or reserve
