"""Battery wear after the fact: rainflow cycles of the true charge paths, beside the linear cost that decisions use.

A cycle of depth d takes 5.24e-4 x d^2.03 of a battery's life (NMC cells; half cycles count half). Source: Xu, Oudalov,
Ulbig, Andersson, Kirschen, IEEE Trans. Smart Grid 2018. A life costs what the linear cost per kWh implies: .063 USD
per kWh discharged is 300 USD/kWh over 6,000 cycles at 80 %, so a kWh of capacity costs linear x 6,000 x .8.

Memory: of a path only its turning points are kept, 8 bytes each, and only of homes with a battery. Most batteries turn
2 to 6 times a day; the most there can be is one a step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env.jit import kernel
from vpp_env.units import Floats

LIFE_SHARE, DEPTH_EXPONENT = 5.24e-4, 2.03
"""Share of a life that a full cycle of depth 1 takes, and how it grows with depth. Source: see above."""
LIFE_CYCLES, CYCLE_DEPTH = 6000.0, 0.8
"""Cycles and depth from which the linear cost was made: 300 / (6000 x .8) = .063 USD/kWh (`HomeSpec`)."""
STILL_KWH = 1e-9
"""A change of charge below it is rounding."""


@kernel
def _turns(soc: Floats, last: Floats, rising: NDArray[np.int8], found: Floats, home: NDArray[np.int32]) -> int:
    """Follow (S, B) charges; write the charge and the home of every turn into `found`, `home`; return how many."""
    count = 0
    for j in range(soc.shape[0]):
        for i in range(soc.shape[1]):
            step = soc[j, i] - last[i]
            if abs(step) <= STILL_KWH:
                continue
            way = 1 if step > 0.0 else -1
            if rising[i] == -way:
                found[count], home[count] = last[i], i
                count += 1
            rising[i] = way
            last[i] = soc[j, i]
    return count


class ChargePaths:
    """Turning points of B charge paths, added to as a month goes on.

    Parameters
    ----------
    start_kwh : ndarray
        (B,) charge at the start.
    """

    def __init__(self, start_kwh: Floats) -> None:
        self._start = np.array(start_kwh, dtype=np.float64)
        self._last = self._start.copy()
        self._rising = np.zeros(len(self._start), dtype=np.int8)
        self._points: list[tuple[Floats, NDArray[np.int32]]] = []

    def add(self, soc_kwh: Floats) -> None:
        """Follow the paths through the next (S, B) charges, kWh."""
        found, home = np.empty(soc_kwh.size), np.empty(soc_kwh.size, dtype=np.int32)
        count = _turns(np.ascontiguousarray(soc_kwh), self._last, self._rising, found, home)
        if count:
            self._points.append((found[:count].copy(), home[:count].copy()))

    def series(self) -> list[Floats]:
        """Start, turning points and latest charge of each path, kWh."""
        if not len(self._start):
            return []  # no battery; a split has one part at least
        values = np.concatenate([v for v, _ in self._points]) if self._points else np.zeros(0)
        homes = np.concatenate([h for _, h in self._points]) if self._points else np.zeros(0, dtype=np.int32)
        order = np.argsort(homes, kind="stable")
        cut = np.searchsorted(homes[order], np.arange(1, len(self._start)))
        parts = np.split(values[order], cut)[: len(self._start)]  # a fleet without batteries has no path
        return [np.concatenate([[a], part, [b]]) for a, part, b in zip(self._start, parts, self._last, strict=True)]


def life_lost(path_kwh: Floats, capacity_kwh: float) -> float:
    """Share of its life that a battery of `capacity_kwh` loses on a path of charges, kWh."""
    import rainflow  # only who asks for wear needs it

    # the last point twice: the package takes a path of two points for one that never turns
    cycles = rainflow.extract_cycles(np.append(path_kwh, path_kwh[-1]))
    return sum(n * LIFE_SHARE * (depth / capacity_kwh) ** DEPTH_EXPONENT for depth, _, n, _, _ in cycles)


def rainflow_usd(paths: ChargePaths, capacity_kwh: Floats, linear_usd_per_kwh: float) -> Floats:
    """(B,) cost of the wear of each path, USD, at the replacement cost behind the linear cost per kWh discharged."""
    life_usd = linear_usd_per_kwh * LIFE_CYCLES * CYCLE_DEPTH * capacity_kwh
    return life_usd * [life_lost(path, kwh) for path, kwh in zip(paths.series(), capacity_kwh, strict=True)]
