"""What one opportunity brought: the record that the world hands out after every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env.contract.bids import Offers
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW, Day, Homes
from vpp_env.core.ledger import DEPARTED, LACKS, MISSED, SHORT
from vpp_env.core.loops import Gate
from vpp_env.market.firm_book import Settled
from vpp_env.market.opportunity import Money, settle
from vpp_env.market.state import IntervalResults, MarketState, Submission
from vpp_env.owners.violations import violated_homes
from vpp_env.scenario import Scenario
from vpp_env.simulation.contract_keeper import Kept
from vpp_env.units import Flags, Floats


@dataclass(frozen=True)
class Outcome:
    """What one opportunity brought; arrays are fresh, M months of N homes, S intervals, R reserve products."""

    opportunity: int  # index
    ledger: Floats  # (N_LEDGER, M, N) see core.ledger
    money: Money  # (M,) each
    lmp: Floats  # (S, M) USD/kWh, as settled
    award_kw: Floats  # (S, M) net energy award
    market_kw: Floats  # (S, M) metered
    reserve_kw: Floats  # (S, M) reserve awarded
    rho: Floats  # (S, M, R) USD/kW-h of each reserve product on sale
    void: NDArray[np.bool_]  # (S, M) an energy offer (`market.minimum = "award"`: an award) was below the minimum bid
    taken: NDArray[np.bool_]  # (S, M) the market took an offer of energy or reserve
    flow_kw: Floats  # (S, N_FLOW, M) sums of the step results over homes, rows as in core.layout.FLOW
    soc_kwh: Floats  # (S, 2, M) batteries, and batteries of the baseline, at the end of the interval
    departed: Floats  # (M, N) departures in this opportunity
    short: Floats  # (M, N) shortfall of the car at a departure, share of its capacity
    lacks: Floats  # (M, N) of it what no contract has bought
    missed: Floats  # (M, N) 1 where the trip's energy was not in the car, though the baseline's had it
    offers: Offers  # decoded bids, (M, N)
    own_ask: Floats  # (M, N) USD/kWh that each owner asked at the bids' gate for what its storage gives
    defer_ask: Floats  # (M, N) the same for charging that waits
    projected_kw: Floats  # (M,) mean over intervals of the kW that were bid but cannot be delivered
    incentive: Floats  # (S, M) USD/kWh that a programme pays for net delivery
    day_ahead_kw: Floats  # (S, M) day-ahead award
    soc_home_kwh: Floats  # (S, 2, M, N) each battery and its baseline, at the end of the interval
    feeders: Floats  # (S, 2, M) feeders that the baseline overloads, and feeders at whose limit something was cut
    clawback_usd: Floats  # (M,) USD of firm capacity taken back for a large shortfall; it is in `money.capacity`
    absent: Flags  # (M, N) took no bid in this opportunity: opted out, or not in on a called evening
    left: Flags  # (M, N) of them owners who have left for good
    wishes: Floats  # (6, M, N) what was taken of the owners' own wishes, see `owners.wishes`
    contracts: Kept  # who was under contract, what concessions earned, whose contract was broken

    @cached_property
    def violated(self) -> Flags:
        """(5, M, N) whose preferences were violated how, order `owners.violations.VIOLATIONS`."""
        return violated_homes(self.ledger, self.lacks, self.missed)

    @cached_property
    def profit(self) -> Floats:
        """(M,) USD that is left to each VPP."""
        return self.money.profit

    @property
    def storage_kwh(self) -> Floats:
        """(M, N) kWh that batteries and cars' batteries gave: what an owner notices, unlike charging that waits."""
        return self.ledger[led.L_BESS] + self.ledger[led.L_V2G]


class Snapshot(NamedTuple):
    """Copies of what the compiled opportunity takes, for measuring it alone; see `market.opportunity.play`."""

    homes: Homes
    day: Day
    first: int
    asks: tuple[Floats, Floats]  # (M, N) the owners' asks, see `Submission`
    market: MarketState
    gate: Gate


def outcome_of(
    scenario: Scenario,
    opportunity: int,
    taken: Submission,
    market: MarketState,
    results: IntervalResults,
    firm: Settled,
    absent: Flags,
    left: Flags,
    wishes: Floats,
    contracts: Kept,
) -> Outcome:
    """Settle one opportunity that has been played.

    Parameters
    ----------
    scenario, opportunity : Scenario, int
        The rules, and the index of the opportunity.
    taken, market, results :
        What `play` was given, and has filled.
    firm : Settled
        What firm capacity brings; the members' share is in the ledger already.
    absent, left : ndarray
        (M, N) homes whose bids were not taken, and those whose owner has left for good.
    wishes, contracts : ndarray, Kept
        What was taken of the owners' wishes, and what contracts did; their pay is in the ledger already.
    """
    steps, (_, months, n), books = len(market.lmp), taken.offers.shape, results.books
    ledger, events = books.ledger.reshape(-1, months, n), books.events.reshape(4, months, n)
    money = settle(scenario.market, market, results, firm.usd)
    return Outcome(
        opportunity=opportunity,
        ledger=ledger,
        money=money,
        lmp=results.lmp,
        award_kw=results.award_kw,
        market_kw=books.flow[:, FLOW.market],
        reserve_kw=results.reserve_kw,
        rho=market.rho,
        void=results.void,
        taken=results.taken,
        flow_kw=books.flow,
        soc_kwh=books.soc_kwh,
        departed=events[DEPARTED],
        short=events[SHORT],
        lacks=events[LACKS],
        missed=events[MISSED],
        offers=Offers(*taken.offers),
        own_ask=taken.own,
        defer_ask=taken.defer,
        projected_kw=results.projected_kw.sum(axis=0) / steps,
        incentive=market.incentive,
        day_ahead_kw=market.day_ahead_kw,
        soc_home_kwh=books.soc_home_kwh.reshape(steps, 2, months, n),
        feeders=books.feeders,
        clawback_usd=firm.clawback_usd,
        absent=absent,
        left=left,
        wishes=wishes,
        contracts=contracts,
    )


def net_benefit(ledger: Floats) -> Floats:
    """Return (M, N) USD: payments - (bill - baseline's bill) - wear - charging elsewhere, from (N_LEDGER, M, N)."""
    return benefit_after(led.member_pay(ledger), ledger)


def benefit_after(pay: Floats, ledger: Floats) -> Floats:
    """Net benefit of homes that are paid `pay`; of rows (N_LEDGER, ...), or of one home's (N_LEDGER,) on a GPU."""
    bill = ledger[led.L_BILL] - ledger[led.L_BILL_BASELINE]
    return pay - bill - ledger[led.L_WEAR] - ledger[led.L_AWAY]
