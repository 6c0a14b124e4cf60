"""How often intervals hold the truth, by simulation: `vpp-env coverage` prints the table of docs/benchmark.md.

Figures are drawn from distributions whose mean is known, symmetric and skewed; an interval is worked out from each
sample, and counted where it holds the truth. Beside what is used stand the methods that are not: Student's t and the
percentile bootstrap of the pooled units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate, stats

from vpp_benchmarks.results.intervals import CONFIDENCE, TRIM, Interval, Statistic, Strata, improvement, interval
from vpp_env.units import Floats

DISTRIBUTIONS: dict[str, Any] = {
    "normal": stats.norm(),
    "exponential": stats.expon(),
    "lognormal(.6)": stats.lognorm(0.6),
    "gamma(.5)": stats.gamma(0.5),
    "lognormal(1)": stats.lognorm(1.0),
}
"""What a figure may look like over seeds, from symmetric to very skewed (skewness 0, 2, 2.3, 2.8, 6.2)."""
MONTH_EFFECT = stats.lognorm(0.6)
SEED_NOISE = 0.3
"""Standard deviation of seeds inside a month, against .8 of the months themselves: strong month effects."""
PERCENTILE_DRAWS = 499


@dataclass(frozen=True)
class Covered:
    """How often the intervals of one kind of figure held the truth."""

    figure: str
    sample: str  # what one sample was
    covered: float  # share of samples whose interval holds the truth
    t: float | None  # the same of Student's t on the pooled units
    percentile: float | None  # of the percentile bootstrap of the pooled units
    width: float  # mean width over that of Student's t; 1 where there is none to compare with


def coverage(units: int = 10, repetitions: int = 600, seed: int = 0) -> list[Covered]:
    """Measure means, interquartile means, probabilities of improvement, and means over months of several seeds.

    Parameters
    ----------
    units : int
        Units of a sample; of the rows over months that is the number of months.
    repetitions : int
        Samples of a row; the standard error of a share of .95 is .009 at 600.
    seed : int
        Of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for name, one in DISTRIBUTIONS.items():

        def pooled(one: Any = one) -> Strata:
            return [one.rvs(units, random_state=rng)]

        middle = integrate.quad(one.ppf, TRIM, 1.0 - TRIM)[0] / (1.0 - 2.0 * TRIM)
        many = f"{units} seeds"
        rows.append(_measured(f"mean, {name}", many, pooled, one.mean(), interval, repetitions, rng))
        rows.append(_measured(f"IQM, {name}", many, pooled, middle, _iqm, repetitions, None))
    for shift in (0.0, 0.7, 1.5):
        truth = float(stats.norm.cdf(shift / np.sqrt(2.0)))

        def two(shift: float = shift) -> Strata:
            return [rng.normal(shift, 1.0, units), rng.normal(0.0, 1.0, units)]

        figure = f"P(better) = {truth:.2f}"
        rows.append(_measured(figure, f"2 x {units} seeds", two, truth, _better, repetitions, None))
    for seeds in (3, 10):

        def months(seeds: int = seeds) -> Strata:
            effect = MONTH_EFFECT.rvs(units, random_state=rng)
            return list(effect[:, None] + SEED_NOISE * rng.normal(size=(units, seeds)))

        sample = f"{units} months x {seeds} seeds"
        rows.append(_measured("mean, months", sample, months, MONTH_EFFECT.mean(), interval, repetitions, rng))
    return rows


def _iqm(samples: Strata) -> Interval:
    return interval(samples, Statistic.IQM)


def _better(samples: Strata) -> Interval:
    return improvement([samples[0]], [samples[1]])


def _measured(
    figure: str,
    sample: str,
    draw: Callable[[], Strata],
    truth: float,
    method: Callable[[Strata], Interval],
    repetitions: int,
    compared: np.random.Generator | None,
) -> Covered:
    """Count how often the truth is held; `compared` draws for the methods beside it, None leaves them out."""
    hits = np.zeros(3)
    widths = np.zeros(2)
    for _ in range(repetitions):
        samples = draw()
        found = method(samples)
        if found.low is None or found.high is None:
            raise ValueError(f"{sample} are too few for an interval; give more units")
        hits[0] += found.low <= truth <= found.high
        if compared is not None:
            values = np.concatenate(samples)
            low, high = stats.t.interval(CONFIDENCE, len(values) - 1, values.mean(), stats.sem(values))
            hits[1] += low <= truth <= high
            widths += found.high - found.low, high - low
            low, high = _percentile(values, compared)
            hits[2] += low <= truth <= high
    share = hits / repetitions
    if compared is None:
        return Covered(figure, sample, float(share[0]), None, None, 1.0)
    covered, t, percentile = map(float, share)
    return Covered(figure, sample, covered, t, percentile, float(widths[0] / widths[1]))


def _percentile(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    means = values[rng.integers(len(values), size=(PERCENTILE_DRAWS, len(values)))].mean(axis=1)
    tail = (1.0 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def markdown_rows(rows: list[Covered]) -> list[list[str]]:
    """Return the rows as text."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    return [
        [r.figure, r.sample, share(r.covered), share(r.t), share(r.percentile), "" if r.t is None else f"{r.width:.2f}"]
        for r in rows
    ]


HEADER = ("figure", "sample", "interval used", "t, pooled", "percentile, pooled", "width / t")
