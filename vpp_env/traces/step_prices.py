"""The step-shaped prices of the published reference comparison."""

from __future__ import annotations

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.traces.price_clock import Clock, clip_lmp
from vpp_env.traces.series import RESERVE_PRODUCTS, MarketSeries

_STEP = 4
"""Purpose of the sub-stream, after those of prices.py."""

STEP_BASE_USD_PER_MWH = 50.0
"""Base of the reference's step prices; factors 1.8 (16-20 h), 1.4 (6-10 h), .7 (22-6 h), weekend .85."""
STEP_FLOOR_USD_PER_MWH = 10.0
STEP_SIGMA = 0.10


def step_prices(scenario: Scenario, seed: int, clock: Clock) -> MarketSeries:
    """Prices of the published reference: steps by hour, 10 % noise in real time, no reserves."""
    hour = clock.hour
    factor = np.select(
        [(hour >= 16) & (hour < 20), (hour >= 6) & (hour < 10), (hour >= 22) | (hour < 6)],
        [1.8, 1.4, 0.7],
        1.0,
    )
    base = STEP_BASE_USD_PER_MWH * factor * np.where(clock.weekday >= 5, 0.85, 1.0)
    noise = clock.draws(seed, _STEP)[clock.row, clock.k]
    level, floor = scenario.prices.level, STEP_FLOOR_USD_PER_MWH
    da = clock.to_steps(np.maximum(base, floor))
    rt = clock.to_steps(np.maximum(base * (1.0 + STEP_SIGMA * noise), floor))
    source = "seeded model step: the published reference's prices, docs/prices.md"
    return MarketSeries(
        da_usd_per_mwh=clip_lmp(scenario, level * da),
        rt_usd_per_mwh=clip_lmp(scenario, level * rt),
        reserve_usd_per_mw={p: np.zeros(len(da)) for p in RESERVE_PRODUCTS},
        source={"da": source, "rt": source, **dict.fromkeys(RESERVE_PRODUCTS, source)},
    )
