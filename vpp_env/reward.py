"""The learner's reward, USD per home and opportunity."""

from __future__ import annotations

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.scenario import Scenario


def net_benefit(ledger: np.ndarray) -> np.ndarray:
    """Return (E, N) USD: payments - (bill - twin's bill) - wear - charging elsewhere, from (N_LEDGER, E, N)."""
    pay = (
        ledger[led.L_PAY_SOLD]
        + ledger[led.L_PAY_BOUGHT]
        + ledger[led.L_PAY_FORCED]
        + ledger[led.L_PAY_RESERVE]
    )
    bill = ledger[led.L_BILL] - ledger[led.L_BILL_TWIN]
    return pay - bill - ledger[led.L_WEAR] - ledger[led.L_AWAY]


def rewards(
    scenario: Scenario,
    ledger: np.ndarray,
    profit: np.ndarray,
    sizes: tuple[np.ndarray, np.ndarray],
    own: np.ndarray,
    short: np.ndarray,
) -> np.ndarray:
    """Return (E, N) USD: net benefit less discomfort, with `team_share` of the team's mean mixed in.

    Discomfort is `discomfort_factor` x the owner's compensation per kWh x (floor x depth x hours + kWh that the
    car is short of its target): breaching the whole floor for an hour costs 5 x min_compensation per kWh.

    Parameters
    ----------
    scenario : Scenario
        Gives `reward`.
    ledger : ndarray
        (N_LEDGER, E, N) of the opportunity.
    profit : ndarray
        (E,) USD, the VPP's.
    sizes : tuple of ndarray
        (E, N) reserve floor and car capacity, kWh.
    own, short : ndarray
        (E, N) owner's compensation, USD/kWh, and shortfall of a departing car, share of capacity.
    """
    floor_kwh, ev_kwh = sizes
    spec = scenario.reward
    kwh = floor_kwh * ledger[led.L_DEPTH_H] + ev_kwh * short
    mine = net_benefit(ledger) - spec.discomfort_factor * own * kwh
    if spec.team_share == 0.0:
        return mine
    team = (profit[:, None] + mine.sum(axis=1, keepdims=True)) / mine.shape[1]
    return (1.0 - spec.team_share) * mine + spec.team_share * team
