"""What everybody is told at a gate of a world of M months: past prices, and what is published of coming ones."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_env.market.exchange import Exchange
from vpp_env.units import Flags, Floats


@dataclass(frozen=True)
class Announced:
    """Public at the gate of step `t`; S steps of 15 min, H of them from the delivery that is bid for to `until`.

    The prices of a delivery day are published at 13:00 local time of the day before. Arrays are views of the market's
    own: who hands them on copies them.

    Parameters
    ----------
    exchange : Exchange
        The market.
    t, delivery, until : int
        Steps: the gate's, the first one of the delivery that is bid for, the first one without a published price.
    """

    exchange: Exchange
    t: int
    delivery: int
    until: int

    @property
    def _coming(self) -> slice:
        return slice(self.delivery, self.until)

    @property
    def day_ahead(self) -> Floats:
        """(M, H) day-ahead prices, USD/kWh."""
        return self.exchange.da[:, self._coming]

    @property
    def incentive(self) -> Floats:
        """(M, H) what a programme pays on top, USD/kWh."""
        return self.exchange.incentive[:, self._coming]

    @property
    def schedule_kw(self) -> Floats:
        """(M, H) day-ahead award, kW."""
        return self.exchange.day_ahead.award_kw[:, self._coming]

    def capacity(self) -> tuple[Flags, Floats]:
        """(M, H) whether an evening is called, and kW committed for it.

        Returns
        -------
        called, committed : ndarray
            (M, H) bool, and kW.
        """
        return self.exchange.firm.announced(self._coming)

    @property
    def past_da(self) -> Floats:
        """(M, t) day-ahead prices, USD/kWh."""
        return self.exchange.da[:, : self.t]

    @property
    def past_rt(self) -> Floats:
        """(M, t) real-time prices, USD/kWh."""
        return self.exchange.rt[:, : self.t]

    @property
    def past_reserve(self) -> Floats:
        """(t, M, R) reserve prices, USD/kW-h."""
        return self.exchange.rho[: self.t]
