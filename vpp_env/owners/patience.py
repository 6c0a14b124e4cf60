"""Patience: whose storage is called often, or whose preferences are broken, is annoyed, and stays away for a while.

    a'   = a / 2 ** (1 / half-life) + .5 on a day on which the home's storage is called + 2 on a day with a violation
           + .1 for every offer that it turns down
    P(out tomorrow) = 1 - exp(-max(a' / tolerance - 1, 0) - .002 called), for 1 + Geometric(1/3) days

An owner opts out where a uniform draw u is below P: where the sum in the exponent, the day's hazard, is above
-log(1 - u), what it bears that day. So draws alone are taken the logarithm of, ahead, and no exponential is compared.
The third time is for good. The numbers are fields of `OwnersSpec`, all [assumed]. An owner who opts out says for how
long; what it will do after that, its annoyance and its tolerance are its own secrets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vpp_env.jit import borrowing, inlined, kernel
from vpp_env.scenario.specs import OwnersSpec
from vpp_env.scenario.streams import stream
from vpp_env.units import Flags, Floats, Ints

NOTICED_KWH = 0.05
"""Storage that gives no more than this in a day is not noticed, kWh [assumed]."""


class PatienceState(NamedTuple):
    """Of every owner at the end of a local day, (N,) each."""

    annoyance: Floats  # points
    days_out: Ints  # days that the owner stays out from tomorrow on
    times: Ints  # how often the owner has opted out


class PatienceRules(NamedTuple):
    """The rule's numbers."""

    fade: float  # share of the annoyance that is left a day later
    called_points: float
    violation_points: float
    refusal_points: float
    called_risk: float
    times_to_leave: int


def rules_of(spec: OwnersSpec) -> PatienceRules:
    """Return the numbers of a specification."""
    points = float(spec.called_points), float(spec.violation_points), float(spec.refusal_points)
    return PatienceRules(0.5 ** (1.0 / spec.half_life_days), *points, float(spec.called_risk), int(spec.times_to_leave))


def begin_patience(n: int) -> PatienceState:
    """Return the state of owners whom nobody has called yet."""
    return PatienceState(np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64))


def patience_draws(seed: int, day: int, n: int) -> Floats:
    """(2, N) uniform draws of local day `day`: who opts out, and for how long; policies share them."""
    return stream(seed, "owners", 1, day).random((2, n))


def bears_of(draws: Floats, spec: OwnersSpec) -> tuple[Floats, Ints]:
    """What (2, ...) uniform draws come to: the hazard up to which an owner stays, and days out beyond the first.

    With endless patience an owner bears everything; annoyance grows all the same.
    """
    bears = np.full(draws[0].shape, np.inf) if spec.patience == "endless" else -np.log1p(-draws[0])
    return bears, extra_days(draws[1], spec.return_share)


def out_then(days_out: Any, times: Any, ahead: int, times_to_leave: int) -> Any:
    """Who takes no bid tomorrow, or `ahead` days after it as far as the owners have said: of one home or an array."""
    return (days_out > ahead) | (times >= times_to_leave)


def is_out(state: PatienceState, spec: OwnersSpec, ahead: int = 0) -> Flags:
    """(N,) who takes no bid tomorrow, or `ahead` days after it; see `out_then`."""
    return np.asarray(out_then(state.days_out, state.times, ahead, spec.times_to_leave))


@inlined
def day_of_owner(
    annoyance: float,
    days_out: int,
    times: int,
    called: bool,
    violated: bool,
    refused: int,
    tolerance: float,
    bears: float,
    extra: int,
    rules: PatienceRules,
) -> tuple[float, int, int]:
    """Annoyance, days out from tomorrow on and times opted out of one owner after one more day.

    Parameters
    ----------
    annoyance, days_out, times : float, int, int
        At the end of the day before, annoyance as it has faded since.
    called, violated : bool
        Whether the home's storage was called on the day, and its preferences were violated.
    refused : int
        Offers that the owner has turned down on the day.
    tolerance : float
        Points that the owner bears.
    bears, extra : float, int
        See `bears_of`.
    rules : PatienceRules
        Numbers.
    """
    hazard = 0.0
    if called:
        annoyance += rules.called_points
        hazard = rules.called_risk
    if violated:
        annoyance += rules.violation_points
    annoyance += rules.refusal_points * refused
    hazard += max(annoyance / tolerance - 1.0, 0.0)
    still = max(days_out - 1, 0)
    if still == 0 and times < rules.times_to_leave and hazard > bears:
        return annoyance, 1 + extra, times + 1
    return annoyance, still, times


@borrowing
def _live(
    state: PatienceState,
    called: Flags,
    violated: Flags,
    refused: Ints,
    tolerance: Floats,
    bears: Floats,
    extra: Ints,
    rules: PatienceRules,
    after: PatienceState,
) -> None:
    """Let (N,) owners live through a day, each as `day_of_owner`."""
    for i in range(len(called)):
        left, on, off = state.annoyance[i] * rules.fade, called[i], violated[i]
        after.annoyance[i], after.days_out[i], after.times[i] = day_of_owner(
            left, state.days_out[i], state.times[i], on, off, refused[i], tolerance[i], bears[i], extra[i], rules
        )


def after_day(
    state: PatienceState,
    called: Flags,
    violated: Flags,
    tolerance: Floats,
    draws: Floats,
    spec: OwnersSpec,
    refused: Ints | None = None,
) -> PatienceState:
    """Return the state after one more day.

    Parameters
    ----------
    state : PatienceState
        At the end of the day before.
    called, violated : ndarray
        (N,) whose storage was called on the day, and whose preferences were violated.
    tolerance : ndarray
        (N,) points that an owner bears.
    draws : ndarray
        (2, N) uniform in [0, 1); see `patience_draws`.
    spec : OwnersSpec
        With endless patience nobody opts out; annoyance grows all the same.
    refused : ndarray, optional
        (N,) offers that the owner has turned down on the day; None: none.
    """
    after = begin_patience(len(called))
    turned_down = np.zeros(len(called), dtype=np.int64) if refused is None else refused
    _live(state, called, violated, turned_down, tolerance, *bears_of(draws, spec), rules_of(spec), after)
    return after


def extra_days(draws: Floats, return_share: float) -> Ints:
    """Days out beyond the first from uniform draws: geometric on 0, 1, 2, ..., P(G >= g) = (1 - return_share)^g."""
    if return_share >= 1.0:
        return np.zeros(draws.shape, dtype=np.int64)
    return np.floor(np.log1p(-draws) / math.log1p(-return_share)).astype(np.int64)


@kernel
def _note(storage_kwh: Floats, violated: Flags, kwh: Floats, any_of_them: Flags) -> None:
    """Add (n,) kWh of an opportunity to `kwh`, and who was violated, (5, n), to `any_of_them`."""
    for i in range(len(kwh)):
        kwh[i] += storage_kwh[i]
        for kind in range(len(violated)):
            any_of_them[i] |= violated[kind, i]


class Patience:
    """The owners of M fleets of N homes, day by day.

    Parameters
    ----------
    spec : OwnersSpec
        The rule's numbers.
    seeds : sequence of int
        Of the M worlds.
    tolerance : ndarray
        (M, N) points that each owner bears, before `spec.tolerance_factor`.
    """

    def __init__(self, spec: OwnersSpec, seeds: Sequence[int], tolerance: Floats) -> None:
        self._spec, self._seeds, self._n = spec, tuple(seeds), tolerance.shape[1]
        self._tolerance = spec.tolerance_factor * tolerance.ravel()
        self.reset()

    def reset(self) -> None:
        """Go back to owners whom nobody has called yet."""
        count = len(self._tolerance)
        self._state = begin_patience(count)
        self._storage_kwh, self._violated = (np.zeros(count), np.zeros(count, dtype=np.bool_))
        self._refused = np.zeros(count, dtype=np.int64)
        self._annoyance, self._days = np.zeros(count), 0
        self._out: tuple[PatienceState, dict[int, Flags]] = (self._state, {})

    def add(self, storage_kwh: Floats, violated: Flags) -> None:
        """Add an opportunity: (M, N) kWh that storage gave, and (5, M, N) who was violated how."""
        _note(storage_kwh.ravel(), violated.reshape(len(violated), -1), self._storage_kwh, self._violated)

    def turn_down(self, offers: Flags) -> None:
        """Add the offers of a round that (M*N,) owners have turned down."""
        self._refused += offers

    def strained(self) -> Flags:
        """(M*N,) who is annoyed beyond its tolerance, today's refusals included; nobody with endless patience."""
        if self._spec.patience == "endless":
            return np.zeros(len(self._tolerance), dtype=np.bool_)
        return self._state.annoyance + self._spec.refusal_points * self._refused > self._tolerance

    def end_day(self, day: int) -> None:
        """End local day `day`: annoyance grows and fades, and owners decide on the days after."""
        drawn = {seed: patience_draws(seed, day, self._n) for seed in dict.fromkeys(self._seeds)}
        draws = np.concatenate([drawn[seed] for seed in self._seeds], axis=1)
        called = self._storage_kwh > NOTICED_KWH
        violated, bears, spec = self._violated, self._tolerance, self._spec
        self._state = after_day(self._state, called, violated, bears, draws, spec, self._refused)
        self._annoyance += self._state.annoyance
        self._days += 1
        self._storage_kwh[:], self._violated[:], self._refused[:] = 0.0, False, 0

    def absent(self, ahead: int = 0) -> Flags:
        """(M*N,) who takes no bid today, or `ahead` days later as far as the owners have said today."""
        if self._out[0] is not self._state:  # it changes once a day, and is asked for at every gate
            self._out = (self._state, {})
        if ahead not in self._out[1]:
            self._out[1][ahead] = is_out(self._state, self._spec, ahead)
        return self._out[1][ahead].copy()

    def lost(self) -> Flags:
        """(M*N,) who has left for good."""
        return self._state.times >= self._spec.times_to_leave

    def strain(self) -> Floats:
        """(M*N,) mean annoyance at the end of the days so far / tolerance; 0 before the first day has ended."""
        return self._annoyance / max(self._days, 1) / self._tolerance
