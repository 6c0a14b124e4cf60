"""Profit and satisfaction at once: who is not beaten in both, and the area that is dominated.

Source of the hypervolume: Zitzler and Thiele 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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
