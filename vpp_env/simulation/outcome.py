"""What one opportunity brought: the record that the world hands out after every step, with the learners' rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env.contract.bids import Offers
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW, Day, Homes
from vpp_env.core.loops import DEPARTED, MISSED, SHORT, Gate
from vpp_env.jit import kernel
from vpp_env.market.opportunity import Money, settle
from vpp_env.market.state import IntervalResults, MarketState, Submission
from vpp_env.scenario import Scenario
from vpp_env.units import Floats


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
    missed: Floats  # (M, N) 1 where the trip's energy was not in the car, though the baseline's had it
    offers: Offers  # decoded bids, (M, N)
    own_ask: Floats  # (M, N) USD/kWh that each owner asked at the bids' gate for what its storage gives
    defer_ask: Floats  # (M, N) the same for charging that waits
    projected_kw: Floats  # (M,) mean over intervals of the kW that were bid but cannot be delivered
    rewards: Floats  # (M, N) USD
    incentive: Floats  # (S, M) USD/kWh that a programme pays for net delivery
    day_ahead_kw: Floats  # (S, M) day-ahead award
    soc_home_kwh: Floats  # (S, 2, M, N) each battery and its baseline, at the end of the interval


class Snapshot(NamedTuple):
    """Copies of what the compiled opportunity takes, for measuring it alone; see `market.opportunity.play`."""

    homes: Homes
    day: Day
    first: int
    asks: tuple[Floats, Floats]  # (M, N) the owners' asks, see `Submission`
    market: MarketState
    gate: Gate


def outcome_of(
    scenario: Scenario, opportunity: int, taken: Submission, market: MarketState, results: IntervalResults, homes: Homes
) -> Outcome:
    """Settle one opportunity that has been played.

    Parameters
    ----------
    scenario, opportunity : Scenario, int
        The rules, and the index of the opportunity.
    taken, market, results, homes :
        What `play` was given, and has filled.
    """
    steps, (_, months, n), books, spec = len(market.lmp), taken.offers.shape, results.books, scenario.reward
    ledger, events = books.ledger.reshape(-1, months, n), books.events.reshape(3, months, n)
    money = settle(scenario.market, market, results)
    harm = Harm(
        depth_h=ledger[led.L_DEPTH_H],
        short=events[SHORT],
        floor_kwh=homes.home.battery.floor_kwh.reshape(months, n),
        ev_kwh=homes.home.vehicle.kwh.reshape(months, n),
    )
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
        missed=events[MISSED],
        offers=Offers(*taken.offers),
        own_ask=taken.own,
        defer_ask=taken.defer,
        projected_kw=results.projected_kw.mean(axis=0),
        rewards=rewards(net_benefit(ledger), money.profit, harm, taken.own, spec.discomfort_factor, spec.team_share),
        incentive=market.incentive,
        day_ahead_kw=market.day_ahead_kw,
        soc_home_kwh=books.soc_home_kwh.reshape(steps, 2, months, n),
    )


def net_benefit(ledger: Floats) -> Floats:
    """Return (M, N) USD: payments - (bill - baseline's bill) - wear - charging elsewhere, from (N_LEDGER, M, N)."""
    bill = ledger[led.L_BILL] - ledger[led.L_BILL_BASELINE]
    return led.member_pay(ledger) - bill - ledger[led.L_WEAR] - ledger[led.L_AWAY]


class Harm(NamedTuple):
    """What an opportunity did to comfort and backup, (M, N) each."""

    depth_h: Floats  # share of the floor x h
    short: Floats  # shortfall of a departing car, share of capacity
    floor_kwh: Floats  # reserve floor
    ev_kwh: Floats  # car capacity


@kernel
def rewards(
    benefit: Floats, profit: Floats, harm: Harm, own: Floats, discomfort_factor: float, team_share: float
) -> Floats:
    """Return (M, N) USD: net benefit less discomfort, with `team_share` of the team's mean mixed in.

    Discomfort is `discomfort_factor` x the owner's compensation per kWh x (floor x depth x hours + kWh that the
    car is short of its target): breaching the whole floor for an hour costs 5 x min_compensation per kWh.

    Parameters
    ----------
    benefit : ndarray
        (M, N) `net_benefit` of the opportunity, USD.
    profit : ndarray
        (M,) USD, the VPP's.
    harm : Harm
        Floors that were breached, cars that were not ready.
    own : ndarray
        (M, N) owner's compensation, USD/kWh.
    discomfort_factor, team_share : float
        See `scenario.RewardSpec`.
    """
    months, n = own.shape
    out = np.empty((months, n))
    for m in range(months):
        team = profit[m]
        for i in range(n):
            kwh = harm.floor_kwh[m, i] * harm.depth_h[m, i] + harm.ev_kwh[m, i] * max(0.0, harm.short[m, i])
            out[m, i] = benefit[m, i] - discomfort_factor * own[m, i] * kwh
            team += out[m, i]
        for i in range(n):
            out[m, i] = (1.0 - team_share) * out[m, i] + team_share * team / n
    return out
