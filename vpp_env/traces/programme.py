"""Events of a demand-response programme: announced the day before, on evenings of days that are forecast to be hot.

The shape is that of California's Emergency Load Reduction Program: 2 USD per kWh delivered, 16-21 h, at most 60 h a
season. A day counts as hot by its own maximum temperature, which the seeded weather knows: the forecast of the day
before is taken to be right [assumed]. No policy has a part in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env.scenario import Scenario
from vpp_env.traces.weather import build_day_weather
from vpp_env.units import DT_H


def event_steps(scenario: Scenario, seed: int, n_steps: int) -> NDArray[np.bool_]:
    """(S,) bool: whether the programme has an event in each of the `n_steps` steps from the run's first one on.

    Events are called day by day until the season's hours are used up; the last one may be cut short.
    """
    market, calendar = scenario.market, scenario.calendar
    events = np.zeros(n_steps, dtype=np.bool_)
    if market.programme == "none":
        return events
    first, last = market.programme_hours
    left = int(market.programme_season_hours / DT_H + 1e-9)
    day, t = 0, -calendar.offset
    while t < n_steps and left > 0:
        hours = calendar.day_hours(day)
        temperature, _ = build_day_weather(scenario, seed, day)
        steps = t + np.flatnonzero((hours >= first) & (hours < last))
        steps = steps[(steps >= 0) & (steps < n_steps)]
        if temperature.max() >= market.programme_temp_c:
            events[steps[:left]] = True
            left -= len(steps[:left])
        day, t = day + 1, t + len(hours)
    return events
