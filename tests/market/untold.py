"""What it is worth to tell the month's test from a call: months whose only called evening is the test.

    python tests/market/untold.py 1000 1020

A test is announced like a call, and who looks at day-ahead prices can tell it from one. Here the same months are played
once more with nothing said of that evening, before or while it goes on; everything else is the same. USD of welfare a
month.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.market.firm import called_evenings, evenings
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.announced import Announced
from vpp_env.simulation.month import Month
from vpp_env.units import Flags, Floats

POLICIES = ("truthful", "stochastic", "learned(path='evening_august')", "agentic")


def test_of(month: Month) -> slice | None:
    """Steps of the month's test, where nothing else is called in it."""
    market, found = month.scenario.market, evenings(month.scenario)
    called = np.flatnonzero(called_evenings(market, found, month.series.da_usd_per_mwh, month.firm.test))
    if len(called) != 1:
        return None
    evening = found[called[0]]
    dear = month.series.da_usd_per_mwh[evening.first : evening.stop].max() > market.capacity_call_usd_per_mwh
    return None if dear else slice(evening.first, evening.stop)


@contextmanager
def untold(evening: slice) -> Iterator[None]:
    """Say nothing of the evening of these steps for as long as the block runs."""
    told = Announced.capacity

    def capacity(self: Announced) -> tuple[Flags, Floats]:
        called, kw = told(self)
        steps = np.arange(self.delivery, self.until)
        return called & ((steps < evening.start) | (steps >= evening.stop)), kw

    with patch.object(Announced, "capacity", capacity):
        yield


def worth(scenario: Scenario, seed: int, policies: tuple[str, ...] = POLICIES) -> dict[str, tuple[float, float]] | None:
    """Policy -> USD of welfare with the test told and untold; None where more, or something else, is called."""
    month = Month(scenario, seed)
    evening = test_of(month)
    if evening is None:
        return None
    found = {}
    for spec in policies:
        with_it = summarize(simulate(month, make_policy(spec))).welfare
        with untold(evening):
            found[spec] = with_it, summarize(simulate(month, make_policy(spec))).welfare
    return found


def main(first: int, stop: int) -> None:
    """Play the months of these seeds and print means, and leads over `truthful` and `stochastic` by month."""
    scenario, rows = load_scenario("august"), []
    for seed in range(first, stop):
        found = worth(scenario, seed)
        if found is not None:
            rows.append(list(found.values()))
            print(seed, *(f"{a:9.1f}{b:9.1f}" for a, b in found.values()), flush=True)
    usd = np.array(rows)  # (months, policies, told or not)
    for p, spec in enumerate(POLICIES):
        leads = [
            f"less {other} {d.mean():7.1f} (ahead {np.count_nonzero(d > 0.0)})"
            for q, other in enumerate(POLICIES[:2])
            for d in (usd[:, p, 0] - usd[:, q, 0], usd[:, p, 1] - usd[:, q, 1])
        ]
        print(f"{spec:32}", *(f"{x:9.1f}" for x in usd[:, p].mean(axis=0)), "; ".join(leads))
    print(len(rows), "months")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
