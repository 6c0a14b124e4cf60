"""Fit the price model of the learned forecaster on seeded or measured months."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from vpp_policies.forecast.forecast import clock_of
from vpp_policies.forecast.learned import PriceModel, day_marks, fit, joined, rows_of

from vpp_env import Scenario
from vpp_env.data.months import find_real_month
from vpp_env.errors import DataError
from vpp_env.traces.prices import build_prices
from vpp_env.traces.readers.caiso import load_market_data
from vpp_env.traces.series import MarketSeries
from vpp_env.units import KWH_PER_MWH

LAG = 5
"""Quarters between the last price known and delivery, of which `carry` is learned: a gate lead of about an hour."""
Made = tuple[Scenario, MarketSeries]
"""A whole month and its prices."""


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

    def made() -> Iterable[Made]:
        for month in months:
            whole = scenario.override({"time.start": f"{year}-{month:02d}-01T00:00", "time.duration_hours": 0})
            for seed in seeds:
                yield whole, build_prices(whole, seed, 0)

    named = ", ".join(map(str, months))
    span = range(min(seeds), max(seeds) + 1)
    typed = f"{span.start}:{span.stop}" if list(seeds) == list(span) else " ".join(map(str, seeds))
    return _fit(
        made(),
        f"seeded prices of {scenario.name}, months {named} of {year}, seeds {seeds[0]}-{seeds[-1]}",
        f"vpp-env fit-prices --scenario {scenario.name} --seeds {typed} --months {' '.join(map(str, months))}",
    )


def fit_measured(scenario: Scenario, names: Sequence[str], seed: int) -> PriceModel:
    """Fit on measured months; their reserve prices, which nobody has measured, are seeded.

    Parameters
    ----------
    scenario : Scenario
        Whose caps and reserve prices.
    names : sequence of str
        Measured months whose real time is measured too, `caiso:PGAE:2019-01`.
    seed : int
        A training seed.

    Raises
    ------
    DataError
        When a month's real time is seeded: the model would learn the generator.
    """
    seeded = [name for name in names if not find_real_month(name).has_real_time]
    if seeded:
        raise DataError(
            f"months: real time of {seeded[0]} is seeded; allowed are those of 2019, caiso:PGAE:2019-01..12"
        )
    whole = [scenario.for_month(name) for name in names]
    made = ((at, load_market_data(name, at, seed, 0)) for name, at in zip(names, whole, strict=True))
    return _fit(
        made,
        f"measured months {', '.join(names)}, reserve prices of {scenario.name}, seed {seed}",
        f"vpp-env fit-prices --scenario {scenario.name} --seeds {seed} --measured {','.join(names)}",
    )


def _fit(months: Iterable[Made], source: str, command: str) -> PriceModel:
    parts, days = [], []
    for scenario, series in months:
        reserve = np.maximum(series.reserve_usd_per_mw["spin"], series.reserve_usd_per_mw["nonspin"])
        da, rt = series.da_usd_per_mwh / KWH_PER_MWH, series.rt_usd_per_mwh / KWH_PER_MWH
        parts.append(rows_of(da, rt, reserve / KWH_PER_MWH, 0, LAG))
        days.append(day_marks(da, clock_of(pd.Timestamp(scenario.calendar.local[0]), len(da))))
    return fit(joined(parts), np.concatenate(days), source, command)
