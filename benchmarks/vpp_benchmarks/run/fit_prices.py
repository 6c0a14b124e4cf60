"""Fit the price model of the policy `stochastic` on seeded months."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vpp_policies.stochastic.prices import PriceModel, fit, joined, rows_of

from vpp_env import Scenario
from vpp_env.traces.prices import build_prices
from vpp_env.units import KWH_PER_MWH

LAG = 5
"""Quarters between the last price known and delivery, of which `carry` is learned: a gate lead of about an hour."""


def fit_seeded(scenario: Scenario, months: Sequence[int], seeds: Sequence[int]) -> PriceModel:
    """Fit on the prices that `scenario` has in these months of its year and on these seeds; homes are not built.

    Parameters
    ----------
    scenario : Scenario
        Whose price model.
    months : sequence of int
        1 to 12.
    seeds : sequence of int
        Training seeds.
    """
    year = scenario.calendar.local[0].year
    parts = []
    for month in months:
        whole = scenario.override({"time.start": f"{year}-{month:02d}-01T00:00", "time.duration_hours": 0})
        for seed in seeds:
            series = build_prices(whole, seed, 0)
            reserve = np.maximum(series.reserve_usd_per_mw["spin"], series.reserve_usd_per_mw["nonspin"])
            da, rt = series.da_usd_per_mwh / KWH_PER_MWH, series.rt_usd_per_mwh / KWH_PER_MWH
            parts.append(rows_of(da, rt, reserve / KWH_PER_MWH, 0, LAG))
    named = ", ".join(map(str, months))
    return fit(
        joined(parts), f"seeded prices of {scenario.name}, months {named} of {year}, seeds {seeds[0]}-{seeds[-1]}"
    )
