"""The market's side of a world: prices of E months, what of them is public when, and the board of an opportunity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.contract.bids import RESERVE_TICK
from vpp_env.market.clearing import make_clearing
from vpp_env.market.payment import make_payment
from vpp_env.market.reserve import CONTINGENCY, DOWN, products
from vpp_env.market.schedules import DayAhead
from vpp_env.market.state import Board
from vpp_env.scenario import Scenario
from vpp_env.traces.series import MarketSeries
from vpp_env.units import KWH_PER_MWH, POWER_QUANTUM_KW


class Conditions(NamedTuple):
    """What one month brings to the market; S steps, the tail beyond the end included."""

    series: MarketSeries
    calls: np.ndarray  # (S,) bool: reserve is called
    events: np.ndarray  # (S,) bool: a programme's event
    acceptance: np.ndarray  # (S,) standard logistic draws, for the clearing `logit`
    sell_limit_kw: float  # of all devices of the fleet
    buy_limit_kw: float


class Exchange:
    """Prices and rules of E months side by side.

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
        self.rho = np.zeros((self.da.shape[1], len(months), len(self.products)))  # (S, E, K)
        for e, month in enumerate(months):
            for j, name in enumerate(self.products):
                self.rho[:, e, j] = month.series.reserve_usd_per_mw[name] / KWH_PER_MWH
        self.called = np.ascontiguousarray(np.stack([m.calls for m in months]).T)
        events = np.stack([m.events for m in months])
        self.incentive = np.where(events, market.programme_usd_per_kwh, 0.0)  # (E, S) USD/kWh
        self._shift = np.stack([m.acceptance for m in months])
        self._clearing = make_clearing(market)
        self.payment = make_payment(market)
        # the offer of reserve is ask x (1 + margin), as for energy
        self._reserve_ticks = np.floor(self.rho / (1.0 + market.margin) / RESERVE_TICK + 1e-9).astype(np.int64)
        self._is_down = np.array([name == DOWN for name in self.products], dtype=np.bool_)
        self._callable = np.array([name in CONTINGENCY for name in self.products], dtype=np.bool_)
        per_mw = KWH_PER_MWH / POWER_QUANTUM_KW
        self._min_q = int(np.ceil(market.min_bid_mw * per_mw - 1e-9))
        self._max_q = np.full(len(months), int(market.max_capacity_mw * per_mw + 1e-9), dtype=np.int64)
        sell, buy = (np.array(kw) for kw in zip(*((m.sell_limit_kw, m.buy_limit_kw) for m in months), strict=True))
        self.day_ahead = DayAhead(scenario, self.da, sell, buy)
        self.reset()

    def reset(self) -> None:
        """Go back to the prices without the VPP, and forget its schedules."""
        self.rt = np.stack([m.series.rt_usd_per_mwh for m in self._months]) / KWH_PER_MWH
        self.day_ahead.reset()

    def cap_q(self, flexible_kw: np.ndarray) -> np.ndarray:
        """(E,) most quanta the VPP may sell: its maximum, or its share of what is flexible (E,) kW at the gate."""
        share = self._scenario.market.max_share_of_flexible
        if share >= 1.0:
            return self._max_q
        return np.minimum(self._max_q, np.floor(share * flexible_kw / POWER_QUANTUM_KW + 1e-9).astype(np.int64))

    def board(self, t: int, steps: int, cap_q: np.ndarray) -> Board:
        """State the market of the opportunity of `steps` steps from step t on."""
        span = slice(t, t + steps)
        lmp, incentive = (np.ascontiguousarray(x[:, span].T) for x in (self.rt, self.incentive))
        terms = self._clearing.terms(lmp, incentive, self._shift[:, span].T)
        return Board(
            highest_ask=terms.highest_ask,
            lowest_limit=terms.lowest_limit,
            lmp=lmp,
            rho=self.rho[span],
            reserve_highest=self._reserve_ticks[span],
            called=self.called[span],
            is_down=self._is_down,
            callable=self._callable,
            cap_q=cap_q,
            min_q=self._min_q,
            incentive=incentive,
            slope=float(terms.slope * POWER_QUANTUM_KW),
            offer_factor=1.0 + self._scenario.market.margin,
            da=np.ascontiguousarray(self.da[:, span].T),
            day_ahead_kw=np.ascontiguousarray(self.day_ahead.award_kw[:, span].T),
        )

    def publish(self, t: int, lmp: np.ndarray) -> None:
        """Take the settled prices (S, E) of the opportunity from step t on as the ones that the market publishes."""
        self.rt[:, t : t + len(lmp)] = lmp.T
