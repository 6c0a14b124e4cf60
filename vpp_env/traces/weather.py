"""The region's weather by local day, from the seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.streams import stream

DAY_KEY = 100
"""Added to a day index so that days before the run have a valid (non-negative) spawn key."""


@lru_cache(maxsize=4096)
def _day_noise(seed: int, day: int) -> float:
    return float(stream(seed, "weather", 0, DAY_KEY + day).standard_normal())


def heatwave_range(scenario: Scenario, seed: int) -> range:
    """Days of the run that are in the heat wave: one block of `prices.heatwave_days`, placed by the seed."""
    length = min(scenario.prices.heatwave_days, scenario.calendar.n_days)
    if length == 0:
        return range(0)
    first = int(stream(seed, "weather", 1).integers(0, scenario.calendar.n_days - length + 1))
    return range(first, first + length)


def day_heat(scenario: Scenario, seed: int, day: int) -> float:
    """Heat of a day, 0 = normal .. 1 = extreme: 1 inside the heat wave, else a smooth seeded index below .6.

    The index is a logistic of a moving average of daily normals (lag-1 correlation about .75), so hot days
    come in runs; load and scarcity prices both read it.
    """
    if day in heatwave_range(scenario, seed):
        return 1.0
    weights = 0.75 ** np.arange(8)
    weights /= np.sqrt(np.sum(weights**2))
    index = float(weights @ [_day_noise(seed, day - lag) for lag in range(8)])
    return 0.6 / (1.0 + np.exp(-1.5 * (index - 0.8)))
