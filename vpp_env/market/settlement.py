"""What the VPP earns: from what an opportunity left behind to its money."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW, Floats
from vpp_env.jit import kernel
from vpp_env.market.state import IntervalResults, MarketState
from vpp_env.scenario.specs import MarketSpec
from vpp_env.units import DT_H


class Money(NamedTuple):
    """The VPP's ledger of one opportunity, each (M,) USD: market revenue = profit + payments + compute."""

    energy: Floats
    reserve: Floats
    nopay: Floats
    deviation: Floats
    payments: Floats
    compute: Floats
    programme: Floats  # what a programme pays for the net metered delivery
    day_ahead: Floats  # what the day-ahead award earned over the real-time price

    @property
    def revenue(self) -> Floats:
        """What the market pays."""
        return self.energy + self.reserve - self.nopay - self.deviation + self.programme + self.day_ahead

    @property
    def profit(self) -> Floats:
        """What is left to the VPP."""
        return self.revenue - self.payments - self.compute


def settle(market: MarketSpec, state: MarketState, results: IntervalResults) -> Money:
    """Settle an opportunity with the market and the members."""
    steps, months = state.lmp.shape
    paid = _settle(state, results, DT_H, market.deviation_kappa)
    energy, reserve, nopay, deviation, payments, programme, day_ahead = paid
    compute = np.full(months, market.compute_usd_per_hour * steps * DT_H)
    return Money(energy, reserve, nopay, deviation, payments, compute, programme, day_ahead)


@kernel
def _settle(market: MarketState, results: IntervalResults, dt: float, kappa: float) -> Floats:
    """Return (7, M) USD: energy, reserve, no-pay, deviation, payments, programme, day-ahead.

    With a day-ahead award D and metered energy M the last row is dt D (lmp_da - lmp), so that energy and day-ahead
    together are dt [D lmp_da + (M - D) lmp].
    """
    steps, months = market.lmp.shape
    ledger, flow = results.books.ledger, results.books.flow
    n = ledger.shape[1] // months
    out = np.zeros((7, months))
    for m in range(months):
        for j in range(steps):
            metered, lmp = flow[j, FLOW.market, m], results.lmp[j, m]
            gap = abs(metered - results.award_kw[j, m] - results.called_kw[j, m])
            out[0, m] += dt * metered * lmp
            out[1, m] += dt * results.reserve_usd_per_h[j, m]
            out[3, m] += kappa * dt * gap * max(lmp, 0.0)
            out[5, m] += market.incentive[j, m] * dt * max(metered, 0.0)
            out[6, m] += dt * market.day_ahead_kw[j, m] * (market.da[j, m] - lmp)
        for i in range(m * n, (m + 1) * n):
            out[2, m] += ledger[led.L_NOPAY, i]
            out[4, m] += ledger[led.L_PAY_SOLD, i] + ledger[led.L_PAY_BOUGHT, i]
            out[4, m] += ledger[led.L_PAY_FORCED, i] + ledger[led.L_PAY_RESERVE, i]
    return out
