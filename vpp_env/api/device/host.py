"""What the CPU's own code works out between launches, of M months that are played on a GPU.

Firm capacity, in its evenings; a cap by what is flexible; what homes hold at the end. What it needs of the homes is
copied to the host, and what follows from it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.device.memory import (
    ABLE,
    EVENING_KWH,
    HEADROOM,
    LMP,
    PROFIT,
    QUOTE,
    REVENUE,
    STATE,
    TOLD_KW,
    TOLD_PRICES,
    TOTAL_LEDGER,
    TOTAL_WISHES,
    VIOLATIONS_OF,
    WELFARE,
    Own,
    Place,
)
from vpp_env.api.rewards import with_team
from vpp_env.api.session import HandedIn
from vpp_env.api.tally import READ, Tally
from vpp_env.contract.observation import HISTORY_STEPS, real_time_columns
from vpp_env.core.devices.battery import BatteryState
from vpp_env.core.devices.vehicle import VehicleState
from vpp_env.core.headroom import Headroom
from vpp_env.core.layout import Quote
from vpp_env.evaluation.welfare import private_values, restoring_cost_of
from vpp_env.market.day_ahead import DayAhead
from vpp_env.market.firm_book import FirmBook
from vpp_env.owners.asks import LOOK_HOURS, bought_back, buy_back_prices
from vpp_env.simulation.holdings import closing_value_of
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World
from vpp_env.units import Floats, Ints

HOURS_LEFT, SELL = Headroom._fields.index("hours_left"), Quote._fields.index("sell")
N_BATTERY = len(BatteryState._fields)
ROWS_HELD = (
    BatteryState._fields.index("soc_kwh"),
    BatteryState._fields.index("below_since"),
    N_BATTERY + VehicleState._fields.index("soc_kwh"),
)


class Rows(Protocol):
    """Where what the host needs of `Own.real` is copied from: `DeviceMonths`."""

    def rows(self, first: int, count: int) -> Floats:
        """(M, count, N) rows from `first` on."""

    def row(self, which: int) -> Floats:
        """(M, N) row; the next call overwrites it."""


class Host:
    """Books of M months.

    Parameters
    ----------
    world : World
        Of the distinct months.
    months : sequence of Month
        The distinct ones, D.
    which : ndarray
        (M,) which of them each month that is played is.
    own : Own
        Device memory.
    homes : Rows
        What lies in it of the homes.
    moves_prices : bool
        Whether the price falls with the VPP's own sales.
    """

    def __init__(
        self,
        world: World,
        months: Sequence[Month],
        which: Ints,
        own: Own,
        homes: Rows,
        moves_prices: bool,
    ) -> None:
        self._world, self._which, self._own, self._homes = world, which, own, homes
        scenario, conditions = world.scenario, [m.conditions for m in months]
        prices = [c.series.da_usd_per_mwh for c in conditions]
        self.firm = FirmBook(scenario, prices, [c.firm for c in conditions], which)
        # where nothing is scheduled that of the distinct months refuses for all
        self.day_ahead = world.exchange.day_ahead
        if scenario.market.two_settlement:
            limits = (np.array([getattr(c, f"{side}_limit_kw") for c in conditions])[which] for side in ("sell", "buy"))
            self.day_ahead = DayAhead(scenario, world.exchange.da[which], *limits)
        self._moves_prices = moves_prices
        self._held: dict[str, NDArray[np.generic]] = {}

    def reset(self, coming: slice) -> None:
        """Go to the start of the months; `coming` as `tell`."""
        self.firm.reset()
        self.day_ahead.reset()
        self._handed = HandedIn()
        months = len(self._which)
        self._put("cap_q", self._world.exchange.cap_q(np.zeros(self._world.n_months))[self._which])
        self._put("on_call_kw", np.zeros(months))
        self._rt: Floats = np.empty((months, 0))  # settled prices of the last day, where bids move them
        self.tell(coming)
        self._put("day_ahead_kw", np.zeros(self._own.day_ahead_kw.shape))

    def submit(self, t: int, given: HandedIn) -> None:
        """Keep what goes with the bids of the opportunity from step t on, or raise its error."""
        self._handed = given.checked(t, self.day_ahead, self.firm, len(self._which) * self._world.n_homes)

    def _put(self, name: str, values: NDArray[np.generic]) -> None:
        """Copy an array of `Own` to the device, unless it lies there already."""
        if not np.array_equal(self._held.get(name), values):  # type: ignore[arg-type]
            self._held[name] = values
            getattr(self._own, name).copy_to_device(values)

    def begin(self, now: Place) -> bool:
        """Before an opportunity is played: what may be sold, what firm capacity is called, and what was handed in.

        Returns whether `Own.override` holds whose gateway does not keep the envelope.
        """
        exchange, handed, self._handed = self._world.exchange, self._handed, HandedIn()
        self.firm.submit(now.t, handed.capacity)
        self.day_ahead.submit(now.t, handed.schedules)
        if handed.override is not None:
            self._own.override.copy_to_device(handed.override.reshape(self._own.override.shape))
        if self._world.scenario.market.two_settlement:
            self._put("day_ahead_kw", self.day_ahead.award_kw[:, now.t : now.t + self._world.steps, None].copy())
        self._put("on_call_kw", self.firm.on_call_kw(now.t))
        if exchange.capped_by_share:
            able = np.where(self._own.absent.copy_to_host()[:, 0], 0.0, self._homes.row(QUOTE + SELL))
            self._put("cap_q", exchange.cap_q(able.sum(axis=1)))
        return handed.override is not None

    def played(self, now: Place, then: Place) -> bool:
        """After it was played, before it is settled; return whether firm capacity brings something."""
        if self._moves_prices:
            lmp = self._own.sums.copy_to_host()[:, :, LMP, 0]
            self._rt = np.concatenate([self._rt, lmp], axis=1)[:, -HISTORY_STEPS:]
        if now.inside:
            self.firm.able(now.t, self._homes.row(ABLE).sum(axis=1))
        if now.evening >= 0 and then.evening != now.evening:
            self.firm.meter(now.t, self._homes.row(EVENING_KWH))
        if not self.firm.is_due(then.t):
            return False
        settled = self.firm.settle(then.t)
        if not settled.usd.any() and not settled.members_usd.any():
            return False
        self._own.capacity_usd.copy_to_device(settled.usd)
        self._own.members_usd.copy_to_device(settled.members_usd)
        return True

    def tell(self, coming: slice) -> None:
        """At a gate: what everybody is told that other months are not; prices of the steps `coming` are public."""
        # as `contract.observation.public_columns`
        steps, told = self._world.steps, np.zeros((len(self._which), len(TOLD_KW) + len(TOLD_PRICES)))
        if self._world.scenario.market.two_settlement:
            for kw in self.day_ahead.award_kw[:, coming][:, :steps].T:
                told[:, 0] += kw / steps
        told[:, 1] = self.firm.committed_in(coming)
        kw = told[:, : len(TOLD_KW)]
        kw[:] = np.clip(kw / self._world.n_homes / 10.0, -1.0, 1.0)
        if self._moves_prices:
            told[:, len(TOLD_KW) :] = real_time_columns(self._rt, self._world.exchange.da[self._which, coming.start])
        self._put("told", told)

    def close(self, team_share: float) -> dict[str, Floats]:
        """Add to the rewards of the last opportunity what the homes hold, and what is still broken.

        Returns what the months came to, see `Tally.kpis`.
        """
        world, own, n = self._world, self._own, self._world.n_homes
        state, hours_left = self._homes.rows(STATE, QUOTE - STATE), self._homes.row(HEADROOM + HOURS_LEFT)
        homes = own.rewards.copy_to_host()
        world.visit(world.scenario.n_opportunities)
        back = buy_back_prices(world.exchange.da, world.delivery, world.announced.until, LOOK_HOURS)
        soc, since, car_soc = (state[:, row] for row in ROWS_HELD)
        closing = closing_value_of(world, soc, car_soc, bought_back(back[self._which], hours_left), self._which)
        restoring = restoring_cost_of(world, soc, since, self._which)
        homes += closing - restoring
        joint = own.profit.copy_to_host() + homes.sum(axis=1)
        if team_share > 0.0:
            homes = with_team(homes, (joint / n)[:, None], team_share)
        own.rewards.copy_to_device(homes)
        own.joint.copy_to_device(joint)
        return self._tally(joint).kpis(closing, np.concatenate([self._wishes_usd(), restoring[None]]))

    def _tally(self, last: Floats) -> Tally:
        """What was summed in device memory; `last` (M,) is the welfare of the last opportunity."""
        found, run = Tally(len(self._which), self._world.n_homes), self._own.run.copy_to_host().T
        found.ledger[READ] = self._homes.rows(TOTAL_LEDGER, len(READ)).swapaxes(0, 1)
        found.profit[:], found.revenue[:], found.welfare[:] = run[PROFIT], run[REVENUE], run[WELFARE] + last
        found.violations[:] = run[VIOLATIONS_OF:]
        return found

    def _wishes_usd(self) -> Floats:
        """(6, M, N) USD: what was taken of wishes over the run, at the owners' private values."""
        values = private_values([m.fleet for m in self._world.months])[:, self._which]
        return self._homes.rows(TOTAL_WISHES, len(values)).swapaxes(0, 1) * values
