"""Months that have been made, kept for the next episode that asks for the same seed, or made ahead of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from vpp_env.api.workers import Workers
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
        self._ahead: dict[int, Future[Month]] = {}
        self._workers = Workers(1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what its thread is at behind: a copy makes its months itself."""
        return vars(self) | {"_ahead": {}}

    def __len__(self) -> int:
        return len(self._months)

    def get(self, seed: int) -> Month:
        """Return the month of a seed: the one that was made before, or ahead, or a new one."""
        coming = self._coming().pop(seed, None)
        made = self._months.pop(seed, None)
        if made is None:
            made = self._make(seed) if coming is None else coming.result()
        self._months[seed] = made
        while len(self._months) > self._keep:
            self._months.popitem(last=False)
        return made

    def prepare(self, seeds: Iterable[int]) -> None:
        """Begin to make the months of these seeds in a thread, for episodes to come; drop what nobody has asked for.

        A month is a function of its seed, whoever makes it: what is prepared changes no result.
        """
        ahead = self._coming()
        wanted = [seed for seed in dict.fromkeys(seeds) if seed not in self._months]
        for seed in [seed for seed in ahead if seed not in wanted]:
            ahead.pop(seed).cancel()
        for seed in wanted:
            if seed not in ahead:
                ahead[seed] = self._workers.submit(self._make, seed)

    def _coming(self) -> dict[int, Future[Month]]:
        """What is being made; nothing of it in a process that was forked, which has no thread."""
        if self._workers.forked():
            self._ahead, self._workers = {}, Workers(1)
        return self._ahead

    def _make(self, seed: int) -> Month:
        """Make a month, and what an episode begins with."""
        made = Month(self._scenario, seed, *self._data, home_data=self._home_data)
        made.begin()
        return made
