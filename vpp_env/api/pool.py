"""Months that have been made, kept for the next episode that asks for the same one; and what is made ahead of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

from vpp_env.api.episode import Setting
from vpp_env.api.workers import Workers
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World

POOL_BYTES = 1 << 28
"""Months are kept while their days fit in this (256 MB), and never fewer than an episode has.

Where an episode's months do not fit with all their days, each keeps three of them: a day is then drawn again when its
month is played again, and memory is used again instead of growing through the episode.
"""

Key = tuple[int, str, str, str]
"""Seed, scenario's hash, prices and their node."""


def _key(seed: int, setting: Setting) -> Key:
    return seed, setting.scenario.hash, str(setting.market_data), str(setting.node)


class MonthPool:
    """Months by seed and world; the least recently used one is dropped first.

    Parameters
    ----------
    least : int
        Months that are kept in any case: those of an episode.
    worlds : bool
        Whether the world of an episode to come is made ahead too, and not only its months.
    """

    def __init__(self, least: int, worlds: bool = False) -> None:
        self._least, self._worlds = least, worlds
        self._held = 0  # bytes of the months that are kept
        self._months: OrderedDict[Key, Month] = OrderedDict()
        self._ahead: dict[Key, Future[Month]] = {}
        self._opening: tuple[list[Key], Future[World]] | None = None
        self._workers = Workers(1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what its thread is at behind: a copy makes its months itself."""
        return vars(self) | {"_ahead": {}, "_opening": None}

    def __len__(self) -> int:
        return len(self._months)

    def get(self, seed: int, setting: Setting) -> Month:
        """Return the month of a seed: the one that was made before, or ahead, or a new one."""
        key = _key(seed, setting)
        coming = self._coming().pop(key, None)
        if key not in self._months:
            self._months[key] = _made(seed, setting, self._room()) if coming is None else coming.result()
            self._held += self._months[key].kept_bytes
        self._months.move_to_end(key)
        made = self._months[key]
        while len(self._months) > self._least and self._held > POOL_BYTES:
            self._held -= self._months.popitem(last=False)[1].kept_bytes
        return made

    def world(self, seeds: Sequence[int], setting: Setting) -> World:
        """Return the world of these seeds at its start: the one that was made ahead, or a new one."""
        months = [self.get(seed, setting) for seed in seeds]
        opening = self._opening
        if opening is None or opening[0] != [_key(seed, setting) for seed in seeds]:
            self._leave_opening()
            return _opened(months)
        self._opening = None
        return opening[1].result()

    def _leave_opening(self) -> None:
        """Let nobody have the world that is being made; when this returns, nobody is at its months."""
        opening, self._opening = self._opening, None
        if opening is not None and not opening[1].cancel():
            wait([opening[1]])

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """Begin to make the months of these seeds in a thread, for an episode to come; drop what nobody has asked for.

        A month is a function of its seed, and a world one of its months: what is prepared changes no result.
        """
        ahead = self._coming()
        wanted = {key: seed for seed in seeds if (key := _key(seed, setting)) not in self._months}
        for key in [key for key in ahead if key not in wanted]:
            ahead.pop(key).cancel()
        for key, seed in wanted.items():
            if key not in ahead:
                ahead[key] = self._workers.submit(_made, seed, setting, self._room())
        keys = [_key(seed, setting) for seed in seeds]
        if self._opening is not None and self._opening[0] != keys:
            self._leave_opening()
        # the thread comes to it when it has made the months; a month that is kept may be played meanwhile
        if self._worlds and self._opening is None and all(key in ahead for key in keys):
            self._opening = keys, self._workers.submit(_opened, [ahead[key] for key in keys])

    def _room(self) -> int:
        """Bytes for the days of one month of an episode."""
        return POOL_BYTES // self._least

    def _coming(self) -> dict[Key, Future[Month]]:
        """What is being made; nothing of it in a process that was forked, which has no thread."""
        if self._workers.forked():
            self._ahead, self._opening, self._workers = {}, None, Workers(1)
        return self._ahead


def _made(seed: int, setting: Setting, room: int) -> Month:
    """Make a month that keeps its days where they fit in `room` bytes, and what an episode begins with."""
    data = setting.market_data, setting.node
    made = Month(setting.scenario, seed, *data, home_data=setting.home_data, keep_bytes=room)
    made.begin()
    return made


def _opened(parts: Sequence[Month | Future[Month]]) -> World:
    """Make the world of months, some of which may still be made, and go to its start."""
    made = World([part.result() if isinstance(part, Future) else part for part in parts])
    made.reset()
    return made
