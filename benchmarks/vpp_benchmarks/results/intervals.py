"""Confidence intervals that cover: what is drawn, how far an estimate may be off. `results.coverage` measures them.

A percentile bootstrap of ten units covers 86-89 % where it says 95 (docs/benchmark.md). Here an interval is the wider
envelope of two: Student's t, which fails on skewed figures, and the studentised bootstrap (bootstrap-t), which takes
the skew from the figures and is short where they are few. Sources: Efron and Tibshirani 1993, "An introduction to the
bootstrap", section 12.5, for the studentised bootstrap; Davison and Hinkley 1997, section 3.8, for draws of groups,
then of members; Tukey and McLaughlin 1963 for the standard error of a trimmed mean; Satterthwaite 1946 for the degrees
of freedom of several variances.

Units are months x seeds. A month is a group: what it brings is shared by its seeds, so an interval over months draws
months first, then seeds inside each; drawing the pooled seeds would take a month's luck for a sample of many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vpp_env.units import Flags, Floats, Ints

CONFIDENCE = 0.95
RESAMPLES = 1_999
LEAST_UNITS = 5
"""Units (months, where months are what is drawn) below which no interval is given: assumed."""
TRIM = 0.25
"""Share cut at either end for the interquartile mean."""
CELLS = 2_000_000
"""Numbers that are held at once."""
FLAT = 1e-12
"""Standard error, relative to the largest figure, below which the figures do not differ."""
Strata = Sequence[NDArray[np.float64]]
"""Values of one policy, an array of seeds for every case."""


class Sampling(Enum):
    """What an interval takes for drawn at random."""

    SEEDS = "seeds"
    CASES = "cases, then seeds inside each"
    WITHIN = "seeds inside each case; the cases are these and no others"
    CASES_ALONE = "cases of one seed each"


class Statistic(Enum):
    """What is estimated: the mean over cases of the mean over seeds, or the middle half of all units (rliable)."""

    MEAN = "mean"
    IQM = "interquartile mean"


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval; low and high are None with too few units."""

    value: float
    low: float | None
    high: float | None
    units: int


@dataclass(frozen=True)
class Estimate:
    """Estimates of B samples, with the standard error of each."""

    value: Floats  # (B,)
    error: Floats  # (B,)
    freedom: Floats  # (B,) degrees of freedom of the error


def sampling(sizes: Sequence[int]) -> Sampling:
    """Return what is drawn, from the number of seeds of every case."""
    if len(sizes) == 1:
        return Sampling.SEEDS
    if max(sizes) == 1:
        return Sampling.CASES_ALONE
    return Sampling.CASES if len(sizes) >= LEAST_UNITS else Sampling.WITHIN


def drawn(sizes: Sequence[int]) -> int:
    """Return how many things are drawn: cases where cases are drawn, else units; 0 where no error can be told."""
    how = sampling(sizes)
    if how in (Sampling.CASES, Sampling.CASES_ALONE):
        return len(sizes)
    return sum(sizes) if how is Sampling.SEEDS or min(sizes) >= 2 else 0


def padded(samples: Strata) -> tuple[Floats, Ints]:
    """Return (cases, most seeds) values, padded with zeros, and (cases,) sizes; cases of one seed are one sample."""
    if sampling([len(s) for s in samples]) is Sampling.CASES_ALONE:
        samples = [np.concatenate(samples)]
    sizes = np.array([len(s) for s in samples], dtype=np.int64)
    values = np.zeros((len(samples), int(sizes.max())))
    for row, sample in zip(values, samples, strict=True):
        row[: len(sample)] = sample
    return values, sizes


def estimate(values: Floats, there: Flags, statistic: Statistic, grouped: bool) -> Estimate:
    """Estimate B samples at once.

    Parameters
    ----------
    values, there : ndarray
        (B, cases, seeds) figures, and which of them there are.
    statistic : Statistic
        What of them.
    grouped : bool
        Whether cases are drawn: then a case is one observation, else every seed is one.
    """
    n = there.sum(axis=2)  # (B, cases)
    flat, mask = values.reshape(len(values), -1), there.reshape(len(values), -1)
    if statistic is Statistic.MEAN:
        value = (np.where(there, values, 0.0).sum(axis=2) / n).mean(axis=1)
        # what each unit adds to the estimate's distance from the truth
        parts = np.where(there, (values - value[:, None, None]) / (n[..., None] * n.shape[1]), 0.0)
        used = mask.sum(axis=1)
    else:
        total = mask.sum(axis=1)
        cut = (TRIM * total).astype(np.int64)
        ordered = np.sort(np.where(mask, flat, np.inf), axis=1)
        place = np.arange(flat.shape[1])
        middle = (place >= cut[:, None]) & (place < (total - cut)[:, None])
        used = total - 2 * cut
        value = np.where(middle, ordered, 0.0).sum(axis=1) / used
        row = np.arange(len(flat))
        low, high = ordered[row, cut], ordered[row, total - cut - 1]
        wins = np.clip(flat, low[:, None], high[:, None])  # winsorised
        centre = np.where(mask, wins, 0.0).sum(axis=1) / total
        parts = np.where(mask, (wins - centre[:, None]) / used[:, None], 0.0).reshape(values.shape)
    if grouped:
        cases = n.shape[1]
        variance = cases / (cases - 1) * (parts.sum(axis=2) ** 2).sum(axis=1)
        freedom = np.full(len(values), cases - 1.0)
    else:
        inside = parts - np.where(there, parts.sum(axis=2, keepdims=True) / n[..., None], 0.0)
        each = n / (n - 1) * (inside**2).sum(axis=2)
        variance = each.sum(axis=1)
        least = (each**2 / (n - 1)).sum(axis=1)
        freedom = np.divide(variance**2, least, out=np.full(len(values), 1.0), where=least > 0)
        freedom = freedom * (used - 1) / (mask.sum(axis=1) - 1)
    return Estimate(value, np.sqrt(variance), freedom)


def draw(values: Floats, sizes: Ints, rng: np.random.Generator, count: int, grouped: bool) -> tuple[Floats, Flags]:
    """Draw samples anew: cases first where they are drawn, then as many seeds as the case has, with replacement."""
    cases, seeds = values.shape
    case = rng.integers(cases, size=(count, cases)) if grouped else np.broadcast_to(np.arange(cases), (count, cases))
    n = sizes[case][..., None]
    seed = np.minimum((rng.random((count, cases, seeds)) * n).astype(np.int64), n - 1)
    return values[case[..., None], seed], np.arange(seeds) < n


def interval(samples: Strata, statistic: Statistic = Statistic.MEAN, seed: int = 0) -> Interval:
    """Return a figure with the wider envelope of Student's t and the studentised bootstrap.

    Parameters
    ----------
    samples : sequence of (seeds,) arrays
        One per case; see `Sampling` for what is drawn.
    statistic : Statistic
        What of them.
    seed : int
        Of the draws: the same figures give the same interval.
    """
    sizes = [len(s) for s in samples]
    values, n = padded(samples)
    grouped = sampling(sizes) is Sampling.CASES
    there = np.arange(values.shape[1]) < n[:, None]
    if drawn(sizes) < LEAST_UNITS:
        return Interval(_value(values, there, statistic), None, None, sum(sizes))
    found = estimate(values[None], there[None], statistic, grouped)
    value, error, freedom = float(found.value[0]), float(found.error[0]), float(found.freedom[0])
    flat = FLAT * float(np.abs(values).max())
    if error <= flat:
        return Interval(value, value, value, sum(sizes))
    from scipy import stats  # .5 s of imports that one seed alone does not need

    tail = (1.0 - CONFIDENCE) / 2
    most = float(stats.t.ppf(1.0 - tail, freedom))
    low, high = -most, most
    rng, ratios = np.random.default_rng(seed), []
    for begin in range(0, RESAMPLES, batch := max(1, CELLS // values.size)):
        again = estimate(
            *draw(values, n, rng, min(batch, RESAMPLES - begin), grouped), statistic=statistic, grouped=grouped
        )
        told = again.error > flat  # a draw of equal figures says nothing of their spread
        ratios.append((again.value[told] - value) / again.error[told])
    ratio = np.concatenate(ratios)
    if 2 * len(ratio) > RESAMPLES:
        drawn_low, drawn_high = np.quantile(ratio, [tail, 1.0 - tail])
        low, high = min(low, float(drawn_low)), max(high, float(drawn_high))
    return Interval(value, value - high * error, value - low * error, sum(sizes))


def _value(values: Floats, there: Flags, statistic: Statistic) -> float:
    """Return the figure alone, of however few units."""
    if statistic is Statistic.MEAN:
        return float((np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)).mean())
    from scipy import stats

    return float(stats.trim_mean(values[there], TRIM))


def improvement(x: Strata, y: Strata) -> Interval:
    """P(X > Y), ties counting half, mean over cases (rliable's definition), with its interval.

    Any pair of units counts, not only those of one seed. Inside a case the interval is Newcombe's (2006, "Confidence
    intervals for an effect size measure based on the Mann-Whitney statistic", method 5), which never shrinks to a
    point at 0 or 1; several cases that are not drawn are put together as Zou and Donner 2008 do. Where cases are drawn
    each is one observation of a share, and the interval is Wilson's (1927), wider than need be.

    Parameters
    ----------
    x, y : sequence of (seeds,) arrays
        Values of two policies, one array per case.
    """
    sizes = [len(s) for s in x]
    pairs = zip(x, y, strict=True)
    each = [float(((a[:, None] > b[None, :]) + 0.5 * (a[:, None] == b[None, :])).mean()) for a, b in pairs]
    value = float(np.mean(each))
    if drawn(sizes) < LEAST_UNITS:
        return Interval(value, None, None, sum(sizes))
    if sampling(sizes) in (Sampling.CASES, Sampling.CASES_ALONE):
        low, high = _wilson(value, len(each))
    else:
        ends = np.array([_newcombe(share, len(a)) for share, a in zip(each, x, strict=True)])
        low, high = value + np.sqrt(((ends - np.array(each)[:, None]) ** 2).sum(axis=0)) / len(each) * (-1.0, 1.0)
    return Interval(value, max(0.0, float(low)), min(1.0, float(high)), sum(sizes))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Interval of a share of n observations."""
    from scipy import stats

    z2 = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) ** 2
    centre, half = share + z2 / (2 * n), np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)


def _newcombe(share: float, n: int) -> tuple[float, float]:
    """Interval of P(X > Y) of two samples of n: where the observed share is z standard errors off."""
    from scipy import optimize, stats

    z2 = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) ** 2

    def off(p: float) -> float:
        error2 = p * (1 - p) * (1 + (n - 1) * ((1 - p) / (2 - p) + p / (1 + p))) / (n * n)
        return (p - share) ** 2 - z2 * error2

    edge = 1e-9  # where the share is 0 or 1 the error is 0 there as well: the root that is meant lies inside
    low = 0.0 if share <= edge else float(optimize.brentq(off, 0.0, min(share, 1.0 - edge)))
    high = 1.0 if share >= 1.0 - edge else float(optimize.brentq(off, max(share, edge), 1.0))
    return low, high
