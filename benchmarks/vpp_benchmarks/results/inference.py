"""Estimates from several units: intervals, tests, order. The unit is a month with its fleet, not an hour.

Hours of one month share weather, fleet and prices, so they are no sample; months x seeds are. Policies play the same
units (common random numbers), so differences are paired.

Sources: IQM, probability of improvement and stratified bootstrap as in Agarwal et al. 2021, "Deep reinforcement
learning at the edge of the statistical precipice" (`rliable`); Holm 1979 for several tests; Zitzler and Thiele 1999
for the hypervolume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 5_000
BATCH = 250
"""Resamples that are held at once."""
LEAST_UNITS = 5
"""Units below which no interval is given: a percentile bootstrap of fewer covers far less than it says (assumed)."""
TRIM = 0.25
"""Share cut at either end for the interquartile mean."""
Strata = Sequence[NDArray[np.float64]]
"""Values of one policy, an array of seeds for every case (rliable: runs of every task)."""


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap confidence interval; low and high are None with too few units."""

    value: float
    low: float | None
    high: float | None
    units: int


def mean_of_cases(*samples: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean over cases of the mean over seeds: every case counts alike."""
    return np.mean([np.mean(s, axis=axis) for s in samples], axis=0)


def iqm(*samples: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Interquartile mean of all units together (rliable's `aggregate_iqm`): the middle half, cases pooled."""
    return np.asarray(stats.trim_mean(np.concatenate(samples, axis=axis), TRIM, axis=axis))


def interval(samples: Strata, statistic: Callable[..., NDArray[np.float64]], seed: int = 0) -> Interval:
    """Bootstrap a statistic, seeds drawn anew inside every case (stratified, percentile method, as rliable).

    Parameters
    ----------
    samples : sequence of (seeds,) arrays
        One per case.
    statistic : callable
        Vectorised over the last axis, takes one array per case.
    seed : int
        Of the draws: the same figures give the same interval.
    """
    units = sum(len(s) for s in samples)
    value = float(statistic(*samples))
    if units < LEAST_UNITS:
        return Interval(value, None, None, units)
    if min(len(s) for s in samples) < 2:
        samples = [np.concatenate(samples)]  # months of one seed each: the months are what is drawn
    result = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),  # its name before SciPy 1.15, still accepted
        vectorized=True,
    )
    return Interval(value, float(result.confidence_interval.low), float(result.confidence_interval.high), units)


def improvement(x: Strata, y: Strata, seed: int = 0) -> Interval:
    """P(X > Y), ties counting half, mean over cases, with its bootstrap interval (rliable's definition).

    Any pair of units counts, not only those of one seed. X and Y are drawn anew independently inside each case. A draw
    is counts a, b of the units, and its value a W b / (n m) with W the table of all pairs: no pair is compared twice.

    Parameters
    ----------
    x, y : sequence of (seeds,) arrays
        Values of two policies, one array per case.
    seed : int
        Of the draws.
    """
    rng = np.random.default_rng(seed)
    units, values, draws = sum(map(len, x)), [], []
    for a, b in zip(x, y, strict=True):
        wins = (a[:, None] > b[None, :]) + 0.5 * (a[:, None] == b[None, :])
        values.append(wins.mean())
        n, m = wins.shape
        times_a = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)
        times_b = rng.multinomial(m, np.full(m, 1 / m), RESAMPLES)
        draws.append(((times_a @ wins) * times_b).sum(axis=1) / (n * m))
    value = float(np.mean(values))
    if units < LEAST_UNITS or min(map(len, x)) < 2:
        return Interval(value, None, None, units)
    tail = (1.0 - CONFIDENCE) / 2
    low, high = np.quantile(np.mean(draws, axis=0), [tail, 1.0 - tail])
    return Interval(value, float(low), float(high), units)


def wilcoxon(differences: NDArray[np.float64]) -> float | None:
    """Two-sided p of the signed-rank test; None with fewer than two units, 1 where nothing differs."""
    if len(differences) < 2:
        return None
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; None stays None and is no test."""
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    out: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (p, i) in enumerate(tested):
        worst = max(worst, min(1.0, (len(tested) - rank) * p))
        out[i] = worst
    return out


def least_units(tests: int, alpha: float = 1.0 - CONFIDENCE) -> int:
    """Units from which a signed-rank test with Holm's correction for `tests` tests can fall below `alpha` at all.

    The smallest two-sided p of n units is 2 / 2^n.
    """
    return math.ceil(1.0 + math.log2(max(tests, 1) / alpha))


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names that nobody beats in one coordinate without losing in the other; more is better in both."""
    return [
        name
        for name, (x, y) in points.items()
        if not any(a >= x and b >= y and (a > x or b > y) for other, (a, b) in points.items() if other != name)
    ]


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float] = (0.0, 0.0)) -> float:
    """Area that the points dominate above the reference: USD times score, reference 0 USD at satisfaction 0."""
    area, reached = 0.0, reference[1]
    for x, y in sorted(points, key=lambda p: (-p[0], -p[1])):
        if x > reference[0] and y > reached:
            area += (x - reference[0]) * (y - reached)
            reached = y
    return area
