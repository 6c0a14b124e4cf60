"""The contracts that owners have signed: who is under which terms in which opportunity. The world keeps them.

A contract holds from the opportunity that is bid for when it is signed; with a gate lead time that is later than the
one that is played then, so the book keeps the terms by the opportunity of delivery. A newer contract replaces an older
one for good, whatever their windows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp_env.contract.terms import TERMS, Terms
from vpp_env.errors import VppError
from vpp_env.scenario import Scenario
from vpp_env.units import Flags, Floats, Ints

FOR_GOOD = np.iinfo(np.int64).max


class Standing(NamedTuple):
    """Who is under contract in one opportunity, and on which terms; read-only."""

    on: Flags  # (M, N)
    terms: Floats  # (15, M, N) rows as `TERMS`; 0 where there is no contract


class _Layer(NamedTuple):
    """All contracts as they stand from one opportunity on."""

    on: Flags  # (M, N)
    stop: Ints  # (M, N) the opportunity after the last one
    terms: Floats  # (15, M, N) of no meaning where there is no contract


class ContractBook:
    """The contracts of M months of N homes.

    Parameters
    ----------
    scenario : Scenario
        The run's clock, and the hours of its evenings (`market.capacity_hours`).
    months, homes : int
        M, N.
    """

    def __init__(self, scenario: Scenario, months: int, homes: int) -> None:
        self._shape = (months, homes)
        self._evening_ends = evening_ends(scenario)
        self.reset()

    def reset(self) -> None:
        """Forget all contracts."""
        self._layers: dict[int, _Layer] = {}
        self._known: dict[int, Standing | None] = {}
        self.version = 0  # rises with every change: what was looked up before may be old
        self.ever = False  # a contract was signed since the start
        # what aggregators have offered: (M, N) offers to each home, (M,) rounds
        self.offered: Ints = np.zeros(self._shape, dtype=np.int64)
        self.rounds: Ints = np.zeros(self._shape[0], dtype=np.int64)
        self.signed: Ints = np.zeros(self._shape, dtype=np.int64)  # (M, N) contracts signed so far
        # (M, N) whose contract the aggregator broke in the opportunity that was played last, and how often so far
        self.breached: Flags = np.zeros(self._shape, dtype=np.bool_)
        self.breaches: Ints = np.zeros(self._shape, dtype=np.int64)

    # -- what owners and aggregators do ----------------------------------------------------------------

    def asked(self, month: int, to: Flags) -> None:
        """Note a round of offers to the homes `to` (N,) of a month; whoever hears the owners calls it."""
        self.offered[month] += to
        self.rounds[month] += 1

    def sign(self, month: int, first: int, accepted: Flags, window: Ints, terms: Terms) -> None:
        """Bind the homes `accepted` (N,) of a month by `terms` from opportunity `first` on.

        Parameters
        ----------
        month, first : int
            Index of the month, and of the opportunity that is bid for at the gate.
        accepted : ndarray
            (N,) bool; other rows of `window` and `terms` are ignored.
        window : ndarray
            (N,) values of `Window`: how long each contract runs.
        terms : Terms
            What was agreed.

        Raises
        ------
        VppError
            When a later opportunity has been signed for already: contracts are made at one gate after another.
        """
        if not accepted.any():
            return
        self.ever = True
        layer = self._at(first)
        stops = np.array([first + 1, self.evening_stop(first), FOR_GOOD])  # by `Window`
        layer.stop[month] = np.where(accepted, stops[np.where(accepted, window, 0)], layer.stop[month])
        layer.on[month] |= accepted
        for row, name in enumerate(TERMS):
            np.copyto(layer.terms[row, month], getattr(terms, name), where=accepted)
        self.signed[month] += accepted

    def end(self, month: int, first: int, rows: Flags) -> None:
        """End the contracts of the homes `rows` (N,) of a month before opportunity `first`, by its aggregator."""
        if rows.any() and self._layers:
            layer = self._at(first)
            layer.on[month, rows] = False

    def leave(self, owners: Flags) -> None:
        """End at once the contracts of the owners (M, N) who have opted out: nobody is bound who takes no bid."""
        if self._layers and owners.any():
            for layer in self._layers.values():
                layer.on[owners] = False
            self._changed()

    def note(self, breached: Flags) -> None:
        """Note (M, N) whose contract the aggregator broke in the opportunity that was played."""
        self.breached = breached
        self.breaches = self.breaches + breached

    # -- what holds ------------------------------------------------------------------------------------

    def standing(self, opportunity: int) -> Standing | None:
        """Who is under contract in an opportunity, as far as it is known now; None where nobody is."""
        if not self._layers:
            return None
        if opportunity not in self._known:
            self._known[opportunity] = self._find(opportunity)
        return self._known[opportunity]

    def in_force(self, month: int, opportunity: int) -> tuple[Flags, Terms]:
        """(N,) bool: homes of a month under contract in an opportunity, and their terms (0 for the others)."""
        found = self.standing(opportunity)
        n = self._shape[1]
        if found is None:
            return np.zeros(n, dtype=np.bool_), Terms(*np.zeros((len(TERMS), n)))
        return found.on[month].copy(), Terms(*found.terms[:, month])

    def evening_stop(self, first: int) -> int:
        """The opportunity after the one in which the first evening that is not over when `first` begins ends."""
        at = int(np.searchsorted(self._evening_ends, first, side="right"))
        return int(self._evening_ends[at]) if at < len(self._evening_ends) else FOR_GOOD

    def forget(self, before: int) -> None:
        """Drop what only opportunities earlier than `before` could need."""
        older = [first for first in self._layers if first <= before]
        for first in older[:-1]:
            del self._layers[first]
        for opportunity in [o for o in self._known if o < before]:
            del self._known[opportunity]

    # -- inside ----------------------------------------------------------------------------------------

    def _at(self, first: int) -> _Layer:
        """The layer that begins with opportunity `first`, made from the one before it; it is about to change."""
        self._changed()
        if first in self._layers:
            return self._layers[first]
        last = max(self._layers, default=-1)
        if first < last:
            raise VppError(
                f"a contract for opportunity {first} came after one for opportunity {last}; contracts are made at one "
                "gate after another, for the opportunity that is bid for there"
            )
        if last < 0:
            made = _Layer(
                np.zeros(self._shape, dtype=np.bool_),
                np.zeros(self._shape, dtype=np.int64),
                np.zeros((len(TERMS), *self._shape)),
            )
        else:
            old = self._layers[last]
            made = _Layer(old.on.copy(), old.stop.copy(), old.terms.copy())
        self._layers[first] = made
        return made

    def _changed(self) -> None:
        self._known.clear()
        self.version += 1

    def _find(self, opportunity: int) -> Standing | None:
        begun = [first for first in self._layers if first <= opportunity]
        if not begun:
            return None
        layer = self._layers[max(begun)]
        on = layer.on & (opportunity < layer.stop)
        if not on.any():
            return None
        terms = np.where(on, layer.terms, 0.0)
        for array in (on, terms):
            array.setflags(write=False)
        return Standing(on, terms)


def evening_ends(scenario: Scenario) -> Ints:
    """(E,) the opportunity with which each evening of the run is over, rising; the run's end is not one."""
    hour, (begins, ends) = scenario.calendar.hour, scenario.market.capacity_hours
    inside = np.append((hour >= begins) & (hour < ends), False)
    stops = np.flatnonzero(inside[:-1] & ~inside[1:]) + 1
    return np.asarray(-(-stops // scenario.steps_per_opportunity), dtype=np.int64)
