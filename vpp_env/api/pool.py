"""Months that have been made, kept for the next episode that asks for the same seed."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from vpp_env.scenario import Scenario
from vpp_env.simulation.month import Month

POOL_BYTES = 1 << 28
"""Months are kept while their days fit in this (256 MB), and never fewer than an episode has."""
BYTES_PER_STEP = 48
"""Of a home in a day that is kept: two float32 traces and five float64 rows of its baseline."""


class MonthPool:
    """The months of one scenario by seed; the least recently used one is dropped first.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    least : int
        Months that are kept in any case: those of an episode.
    market_data, node, home_data :
        Real prices and homes, see `Month`.
    """

    def __init__(
        self,
        scenario: Scenario,
        least: int,
        market_data: str | Path | None,
        node: str | None,
        home_data: str | Path | None = None,
    ) -> None:
        self._scenario, self._data, self._home_data = scenario, (market_data, node), home_data
        month_bytes = scenario.calendar.n_days * 96 * scenario.fleet.size * BYTES_PER_STEP
        self._keep = max(least, POOL_BYTES // month_bytes)
        self._months: OrderedDict[int, Month] = OrderedDict()

    def __len__(self) -> int:
        return len(self._months)

    def _made(self, seed: int) -> Month:
        return Month(self._scenario, seed, *self._data, home_data=self._home_data)

    def get(self, seed: int) -> Month:
        """Return the month of a seed: the one that was made before, or a new one."""
        made = self._months.pop(seed, None) or self._made(seed)
        self._months[seed] = made
        while len(self._months) > self._keep:
            self._months.popitem(last=False)
        return made
