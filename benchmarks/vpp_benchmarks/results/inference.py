"""Tests and order from several units; intervals are in `results.intervals`. The unit is a month with its fleet.

Hours of one month share weather, fleet and prices, so they are no sample; months x seeds are. Policies play the same
units (common random numbers), so differences are paired.

Sources: Wilcoxon 1945 and Holm 1979 for several tests; Zitzler and Thiele 1999 for the hypervolume.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vpp_benchmarks.results.intervals import CONFIDENCE, Sampling, Strata, sampling


def observations(samples: Strata) -> NDArray[np.float64]:
    """Return what a test counts: a figure per case where cases are drawn (its mean), else one per unit.

    Seeds of one month share its prices: counted one by one they would make a month's luck significant.
    """
    if sampling([len(s) for s in samples]) is Sampling.CASES:
        return np.array([s.mean() for s in samples])
    return np.concatenate(samples)


def wilcoxon(differences: NDArray[np.float64]) -> float | None:
    """Two-sided p of the signed-rank test; None with fewer than two units, 1 where nothing differs."""
    if len(differences) < 2:
        return None
    if not np.any(differences):
        return 1.0
    from scipy import stats  # .5 s of imports that one seed alone does not need

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
