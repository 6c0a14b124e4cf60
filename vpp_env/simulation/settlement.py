"""From what an opportunity left behind to its record: money, ledger, rewards."""

from __future__ import annotations

import numpy as np

from vpp_env.contract.bids import Offers
from vpp_env.core import layout
from vpp_env.core import ledger as led
from vpp_env.market.opportunity import settle
from vpp_env.market.state import Board, Sheet
from vpp_env.scenario import Scenario
from vpp_env.simulation.outcome import Money, Outcome
from vpp_env.simulation.reward import net_benefit, rewards
from vpp_env.units import DT_H


def outcome_of(
    scenario: Scenario,
    opportunity: int,
    board: Board,
    sheet: Sheet,
    offers: np.ndarray,
    own: np.ndarray,
    sizes: tuple[np.ndarray, np.ndarray],
) -> Outcome:
    """Settle one opportunity.

    Parameters
    ----------
    scenario, opportunity : Scenario, int
        The rules, and the index of the opportunity.
    board, sheet : Board, Sheet
        The market, and what `play` has filled.
    offers, own : ndarray
        (6, E, N) decoded bids, (E, N) the owners' compensation, USD/kWh.
    sizes : tuple of ndarray
        (E, N) reserve floors and car capacities, kWh.
    """
    _, e, n = offers.shape
    steps, market, spec = len(board.lmp), scenario.market, scenario.reward
    ledger, events = sheet.ledger.reshape(-1, e, n), sheet.events.reshape(3, e, n)
    paid = settle(board, sheet, DT_H, market.deviation_kappa)
    energy, reserve, nopay, deviation, payments, programme, day_ahead = paid
    compute = np.full(e, market.compute_usd_per_hour * steps * DT_H)
    money = Money(energy, reserve, nopay, deviation, payments, compute, programme, day_ahead)
    return Outcome(
        opportunity=opportunity,
        ledger=ledger,
        money=money,
        lmp=sheet.lmp,
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
            *sizes,
            own,
            events[layout.SHORT],
            spec.discomfort_factor,
            spec.team_share,
        ),
        incentive=board.incentive,
        day_ahead_kw=board.day_ahead_kw,
        soc_home_kwh=sheet.soc_home_kwh.reshape(steps, 2, e, n),
    )
