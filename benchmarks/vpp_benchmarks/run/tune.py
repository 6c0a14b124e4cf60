"""The best constant bid of a scenario: seeded random search, then one option at a time (`vpp-env tune-constant`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from vpp_policies.constant import SPANS, Constant

from vpp_env.evaluation.kpi import summarize, table
from vpp_env.evaluation.kpi_entry import Better
from vpp_env.evaluation.simulate import simulate
from vpp_env.simulation.month import Month

FIRST_STEP = 0.16
"""Share of a span by which an option is moved first; halved whenever no move is better (assumed)."""
DIGITS = {"sell_share": 2, "sell_ask": 3, "buy_share": 2, "buy_limit": 3, "reserve_share": 2, "reserve_ask": 4}
"""Digits to which options are tried: prices to a tick."""

Bid = Mapping[str, float]
Value = Callable[[Bid], float]


def aims() -> list[str]:
    """Return the KPIs that may be an aim: higher is better, and known without ceilings; everybody's money first."""
    names = [kpi.name for kpi in table() if kpi.better is Better.HIGHER and kpi.of_ceilings is None]
    first = [name for name in ("welfare", "joint_surplus") if name in names]
    return [*first, *(name for name in names if name not in first)]


@dataclass(frozen=True)
class Tried:
    """A bid and what it came to."""

    bid: Bid
    value: float


def decoded(point: Sequence[float]) -> dict[str, float]:
    """Return the bid at a point of the unit cube, rounded to what is tried."""
    return {
        name: round(low + min(1.0, max(0.0, u)) * (high - low), DIGITS[name])
        for (name, (low, high)), u in zip(SPANS.items(), point, strict=True)
    }


def search(value: Value, random: int, refined: int, seed: int, report: Callable[[int, Tried], None]) -> Tried:
    """Return the best bid that was found.

    Parameters
    ----------
    value : callable
        What a bid is worth; more is better. The same bid is never asked for twice.
    random, refined : int
        Bids that are drawn (the middle of all spans is the first), and bids that are then tried around the best:
        one option a step up and down; where neither is better for any option, the step is halved.
    seed : int
        Of the draws.
    report : callable
        Told every bid's number and what it came to.
    """
    known: dict[tuple[float, ...], float] = {}

    def tried(point: Sequence[float]) -> Tried:
        bid = decoded(point)
        key = tuple(bid.values())
        if key not in known:
            known[key] = value(bid)
            report(len(known), Tried(bid, known[key]))
        return Tried(bid, known[key])

    rng = np.random.default_rng(seed)
    points = [[0.5] * len(SPANS), *rng.random((max(0, random - 1), len(SPANS))).tolist()]
    ended = [(tried(point), point) for point in points]
    best, at = max(ended, key=lambda pair: pair[0].value)
    step, most = FIRST_STEP, len(known) + refined
    while len(known) < most and step > 0.004:
        moved = False
        for k in range(len(SPANS)):
            for sign in (1.0, -1.0):
                if len(known) >= most:
                    break
                point = [*at]
                point[k] = min(1.0, max(0.0, point[k] + sign * step))
                found = tried(point)
                if found.value > best.value:
                    best, at, moved = found, point, True
                    break
        if not moved:
            step /= 2.0
    return best


def mean_over(months: Sequence[Month], kpi: str) -> Value:
    """Return the mean of a KPI over months as a function of the bid."""

    def value(bid: Bid) -> float:
        figures = [summarize(simulate(month, Constant(**bid))).number(kpi) for month in months]
        return float(np.mean([-np.inf if v is None else v for v in figures]))

    return value


def spec(bid: Bid) -> str:
    """Return the bid as a policy is named on the command line."""
    return f"constant({', '.join(f'{name}={value:g}' for name, value in bid.items())})"
