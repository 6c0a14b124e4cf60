"""What may be said from several seeds; intervals are those of `results.intervals`, tests those of `inference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.results.inference import holm, hypervolume, least_units, observations, pareto_front, wilcoxon
from vpp_benchmarks.results.intervals import (
    CONFIDENCE,
    LEAST_UNITS,
    RESAMPLES,
    Interval,
    Sampling,
    Statistic,
    drawn,
    improvement,
    interval,
    sampling,
)
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Kpi, Place

METHOD = "wider of Student's t and the studentised bootstrap"
Figures = Mapping[str, float | None]
"""KPIs of one run as numbers, by name."""


@dataclass(frozen=True)
class MetricIntervals:
    """One KPI of one policy over all units."""

    mean: Interval
    iqm: Interval


@dataclass(frozen=True)
class Difference:
    """A policy less the first in one KPI, on the same units."""

    policy: str
    minus: str
    metric: str
    difference: Interval
    better: int  # units in which it is above
    probability_of_improvement: Interval
    wilcoxon_p: float | None
    holm_p: float | None = None  # corrected over all tests of the table: every policy in every KPI


@dataclass(frozen=True)
class Hypervolume:
    """USD x score above 0 USD and satisfaction 0."""

    all: float
    alone: Mapping[str, float]  # by policy
    contribution: Mapping[str, float]


@dataclass(frozen=True)
class Statistics:
    """Everything that several units say; `policies` and what follows are empty where nothing can be compared."""

    units: int  # that every policy completed
    left_out: int
    cases: Mapping[str, int]  # case -> units
    metrics: Mapping[str, str]  # KPI -> its name for people
    policies: Mapping[str, Mapping[str, MetricIntervals]]  # label -> KPI
    differences: tuple[Difference, ...]
    pareto_front: tuple[str, ...]  # of profit and satisfaction
    welfare_front: tuple[str, ...]  # of welfare and satisfaction
    hypervolume: Hypervolume | None
    verdict: tuple[str, ...] = ()

    @property
    def sampling(self) -> Sampling | None:
        """What the intervals take for drawn at random; None without units."""
        return sampling(list(self.cases.values())) if self.cases else None

    @property
    def drawn(self) -> int:
        """How many things are drawn: units, or cases where cases are drawn."""
        return drawn(list(self.cases.values())) if self.cases else 0

    @property
    def tests(self) -> int:
        """Tests that are corrected together."""
        return sum(row.wilcoxon_p is not None for row in self.differences)

    def to_json(self) -> dict[str, Any]:
        """Return what `statistics.json` holds: strict JSON data."""
        head = {"schema": "vpp_env.statistics/1", "unit": "one month of one seed", "units": self.units}
        head |= {"left_out": self.left_out, "cases": self.cases, "confidence": CONFIDENCE, "resamples": RESAMPLES}
        head |= {"interval": METHOD, "drawn": self.sampling and self.sampling.value, "tests": self.tests}
        if not self.policies:
            return plain(head | {"policies": {}, "verdict": self.verdict})
        names = ("metrics", "policies", "differences", "pareto_front", "welfare_front", "hypervolume", "verdict")
        return plain(head | {name: getattr(self, name) for name in names})


def statistics(units: Mapping[str, Sequence[Mapping[str, Figures | None]]], labels: Sequence[str]) -> Statistics:
    """Return everything that several units say.

    Parameters
    ----------
    units : mapping
        Case -> for every seed label -> KPIs of a run; None where it is not complete.
    labels : sequence of str
        Policies; differences are from the first.
    """
    absent = [label for label in labels if all(seed.get(label) is None for seeds in units.values() for seed in seeds)]
    labels = [label for label in labels if label not in absent] or list(labels)
    whole = {case: [_whole(seed, labels) for seed in seeds] for case, seeds in units.items()}
    shared = {case: [s for s in seeds if s is not None] for case, seeds in whole.items()}
    shared = {case: seeds for case, seeds in shared.items() if seeds}
    total, count = sum(map(len, units.values())), sum(map(len, shared.values()))
    cases = {case: len(seeds) for case, seeds in shared.items()}
    if not shared:
        said = ("No unit was completed by every policy: nothing can be compared.",)
        return Statistics(count, total - count, cases, {}, {}, (), (), (), None, said)

    def strata(label: str, metric: str) -> list[NDArray[np.float64]]:
        return [np.array([s[label][metric] for s in seeds], dtype=np.float64) for seeds in shared.values()]

    def there(kpi: Kpi) -> bool:
        return all(s[label].get(kpi.name) is not None for label in labels for seeds in shared.values() for s in seeds)

    metrics = {kpi.name: kpi.label for kpi in table(Place.INTERVALS) if there(kpi)}
    paired = [kpi.name for kpi in table(Place.DIFFERENCES) if there(kpi)]
    policies = {
        label: {m: MetricIntervals(interval(strata(label, m)), interval(strata(label, m), Statistic.IQM))
                for m in metrics}
        for label in labels
    }  # fmt: skip
    points, welfare = (
        {label: (p[usd].mean.value, p["avg_satisfaction"].mean.value) for label, p in policies.items()}
        for usd in ("total_profit", "welfare")
    )
    area = hypervolume(list(points.values()))
    volume = Hypervolume(
        area,
        {label: hypervolume([p]) for label, p in points.items()},
        {label: area - hypervolume([p for other, p in points.items() if other != label]) for label in labels},
    )
    differences = tuple(_differences(labels, paired, strata))
    fronts = tuple(pareto_front(points)), tuple(pareto_front(welfare))
    found = Statistics(count, total - count, cases, metrics, policies, differences, *fronts, volume)
    gone = [f"{label} completed no unit and is left out." for label in absent]
    return replace(found, verdict=(*gone, *verdict(found, labels[0])))


def _whole(seed: Mapping[str, Figures | None], labels: Sequence[str]) -> dict[str, Figures] | None:
    """Return the figures of every policy; None where one did not complete."""
    figures = {label: f for label in labels if (f := seed.get(label)) is not None}
    return figures if len(figures) == len(labels) else None


def _differences(
    labels: Sequence[str], metrics: Sequence[str], strata: Callable[[str, str], list[NDArray[np.float64]]]
) -> list[Difference]:
    """Every other policy less the first, on the same units; one family of tests, corrected together (Holm)."""
    first, *others = labels
    rows: list[Difference] = []
    for metric in metrics:
        for label in others:
            x, y = strata(label, metric), strata(first, metric)
            paired = [a - b for a, b in zip(x, y, strict=True)]
            better = int(sum((d > 0).sum() for d in paired))
            p = wilcoxon(observations(paired))
            rows.append(Difference(label, first, metric, interval(paired), better, improvement(x, y), p))
    corrected = holm([row.wilcoxon_p for row in rows])
    return [replace(row, holm_p=p) for row, p in zip(rows, corrected, strict=True)]


def verdict(found: Statistics, first: str) -> list[str]:
    """Return sentences on what the figures allow to say."""
    lines = []
    if found.left_out:
        lines.append(f"{found.left_out} units are left out: not every policy completed them.")
    lines += _about_intervals(found)
    need = least_units(found.tests)
    cases = found.sampling in (Sampling.CASES, Sampling.CASES_ALONE)
    counted = len(found.cases) if cases else found.units
    if counted < need and found.tests:
        lines.append(
            f"With {counted} {'cases' if cases else 'units'} and {found.tests} tests corrected together no signed-rank "
            f"test can fall below {1 - CONFIDENCE:.2g}, whatever the figures: {need} are the least."
        )
        return lines
    if found.tests:
        lines.append(f"p values are corrected together (Holm) for all {found.tests} tests: every policy in every KPI.")
    titles = {kpi.name: kpi.title or kpi.short for kpi in table()}
    for row in found.differences:
        if row.holm_p is None:
            continue
        sure = row.holm_p < 1 - CONFIDENCE
        more = "more" if row.difference.value > 0 else "less"
        what = titles[row.metric]
        text = f"{row.policy} has {more} {what} than {first} (Holm p {row.holm_p:.3g})"
        if row.difference.value == 0 and not sure:
            text = f"{row.policy} and {first} do not differ in {what}"
        elif not sure:
            text = f"Whether {row.policy} has more or less {what} than {first} cannot be told"
            text += f" (Holm p {row.holm_p:.3g})"
        lines.append(text + ".")
    return lines


def _about_intervals(found: Statistics) -> list[str]:
    """Say what the intervals are about, or why there are none."""
    units, many = found.units, len(found.cases)
    if found.drawn < LEAST_UNITS:
        why = f"{units} {'unit' if units == 1 else 'units'}" + (f" of {many} cases" if many > 1 else "")
        few = f"{why} {'is' if units == 1 else 'are'} too few to say anything about chance: no interval is given. "
        return [few + f"Run at least {LEAST_UNITS} seeds, better 10 (--seeds test:10)."]
    if found.sampling is Sampling.WITHIN:
        return [
            f"Intervals and tests are about seeds of these {many} cases; they say nothing about other months "
            f"(from {LEAST_UNITS} cases on, cases are what is drawn)."
        ]
    if found.sampling is Sampling.CASES:
        return [f"Intervals and tests draw the {many} cases, then seeds inside each: a case counts once."]
    return []
