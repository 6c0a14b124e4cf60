"""The learner's reward, USD per home and opportunity."""

from __future__ import annotations

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.jit import kernel


def net_benefit(ledger: np.ndarray) -> np.ndarray:
    """Return (E, N) USD: payments - (bill - baseline's bill) - wear - charging elsewhere, from (N_LEDGER, E, N)."""
    bill = ledger[led.L_BILL] - ledger[led.L_BILL_BASELINE]
    return led.member_pay(ledger) - bill - ledger[led.L_WEAR] - ledger[led.L_AWAY]


@kernel
def rewards(
    benefit: np.ndarray,
    depth_h: np.ndarray,
    profit: np.ndarray,
    floor_kwh: np.ndarray,
    ev_kwh: np.ndarray,
    own: np.ndarray,
    short: np.ndarray,
    discomfort_factor: float,
    team_share: float,
) -> np.ndarray:
    """Return (E, N) USD: net benefit less discomfort, with `team_share` of the team's mean mixed in.

    Discomfort is `discomfort_factor` x the owner's compensation per kWh x (floor x depth x hours + kWh that the
    car is short of its target): breaching the whole floor for an hour costs 5 x min_compensation per kWh.

    Parameters
    ----------
    benefit, depth_h : ndarray
        (E, N) `net_benefit` of the opportunity, USD, and its row L_DEPTH_H, share of the floor x h.
    profit : ndarray
        (E,) USD, the VPP's.
    floor_kwh, ev_kwh : ndarray
        (E, N) reserve floor and car capacity, kWh.
    own, short : ndarray
        (E, N) owner's compensation, USD/kWh, and shortfall of a departing car, share of capacity.
    discomfort_factor, team_share : float
        See `scenario.RewardSpec`.
    """
    e_all, n = own.shape
    out = np.empty((e_all, n))
    for e in range(e_all):
        team = profit[e]
        for i in range(n):
            kwh = floor_kwh[e, i] * depth_h[e, i] + ev_kwh[e, i] * max(0.0, short[e, i])
            out[e, i] = benefit[e, i] - discomfort_factor * own[e, i] * kwh
            team += out[e, i]
        for i in range(n):
            out[e, i] = (1.0 - team_share) * out[e, i] + team_share * team / n
    return out
