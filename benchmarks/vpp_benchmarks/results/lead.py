"""Who leads, and whether the lead is more than chance: the policy of most welfare against every other.

The leader is found in the same months that test it, so that p values are corrected (Holm) over all pairs of policies,
and not over the pairs of the leader alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vpp_benchmarks.results.inference import holm, observations, wilcoxon
from vpp_benchmarks.results.intervals import CONFIDENCE, Interval, interval
from vpp_benchmarks.results.summary import SeedResult

RANKED_BY = "welfare"
"""KPI by which policies are ranked."""


@dataclass(frozen=True)
class Behind:
    """A policy less the leader, on the same units."""

    policy: str
    difference: Interval  # USD, at most 0
    p: float | None  # of the signed-rank test, corrected over all pairs; None where there is no test
    worse: int  # units in which it is below the leader

    @property
    def told_apart(self) -> bool:
        """Whether the difference is more than chance, by test and interval."""
        high = self.difference.high
        return self.p is not None and self.p < 1 - CONFIDENCE and high is not None and high < 0.0


@dataclass(frozen=True)
class Lead:
    """The leader, and everybody behind it from the nearest on."""

    policy: str
    units: int  # units that every policy completed
    behind: tuple[Behind, ...]

    def of(self, policy: str) -> Behind | None:
        """Return the row of a policy; None of the leader, and of who completed nothing."""
        return next((row for row in self.behind if row.policy == policy), None)


def lead(seeds: Sequence[SeedResult]) -> Lead | None:
    """Return who leads in welfare over the units that all policies which completed any have completed; None: nobody."""
    labels = [run.label for run in seeds[0].runs] if seeds else []
    found = [{run.label: run.number(RANKED_BY) for run in seed.done} for seed in seeds]
    labels = [label for label in labels if any(one.get(label) is not None for one in found)]
    cases: dict[str, list[list[float]]] = {}
    for seed, one in zip(seeds, found, strict=True):
        row = [value for label in labels if (value := one.get(label)) is not None]
        if labels and len(row) == len(labels):
            cases.setdefault(seed.case, []).append(row)
    if not cases:
        return None
    strata = [np.array(rows, dtype=np.float64) for rows in cases.values()]  # (units, policies) each
    means = np.concatenate(strata).mean(axis=0)
    best = int(np.argmax(means))

    def less(j: int, k: int) -> list[NDArray[np.float64]]:
        return [rows[:, j] - rows[:, k] for rows in strata]

    pairs = list(combinations(range(len(labels)), 2))
    corrected = dict(zip(pairs, holm([wilcoxon(observations(less(j, k))) for j, k in pairs]), strict=True))
    behind = [
        Behind(
            labels[j],
            interval(less(j, best)),
            corrected[min(j, best), max(j, best)],
            int(sum((d < 0.0).sum() for d in less(j, best))),
        )
        for j in np.argsort(-means, kind="stable").tolist()
        if j != best
    ]
    return Lead(labels[best], sum(map(len, strata)), tuple(behind))
