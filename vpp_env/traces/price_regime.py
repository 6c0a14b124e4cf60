"""The regime of a seed: what moves between years, and stays through a run.

Gas sets the level, solar and wires the depth of noon, storage the height of evenings; scarcity and real time have calm
and stressed years. A regime is nine percentiles, each mapped to a factor by the ranges of price_tables.py. They are
drawn once per seed from a sub-stream of their own, independent of each other, or pinned by `prices.regime`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.scenario.streams import stream
from vpp_env.traces import price_tables as tables

REGIME_PURPOSE = 5
"""Sub-stream of "prices": 0 to 3 are the series', 4 the step model's."""


@dataclass(frozen=True)
class Percentiles:
    """Where a regime lies in each range, 0..1; the drawn ones are uniform, .5 is the median."""

    gas: float = 0.5
    restless: float = 0.5
    solar: float = 0.5
    evening: float = 0.5
    scarcity: float = 0.5
    spikes: float = 0.5
    width: float = 0.5
    bias: float = 0.5
    reserve: float = 0.5


NAMED = {
    "central": Percentiles(),
    "calm": Percentiles(restless=0.2, evening=0.25, scarcity=0.15, spikes=0.1, width=0.15, bias=0.35, reserve=0.25),
    "stressed": Percentiles(restless=0.8, evening=0.8, scarcity=0.93, spikes=0.93, width=0.85, reserve=0.85),
    "dear_gas": Percentiles(gas=0.93, restless=0.8, reserve=0.7),
    "deep_solar": Percentiles(gas=0.4, solar=0.93, evening=0.2, scarcity=0.2, reserve=0.15),
}
"""Regimes that `prices.regime` names beside `drawn`; the percentiles are assumed."""


@dataclass(frozen=True)
class Regime:
    """Factors on the tables of price_tables.py."""

    gas: float  # on the month's night price
    restless: float  # on the spread of the days' levels
    solar: float  # depth of noon in night prices at full solar weight; 0 = DLAP_PGAE 2019
    evening: float  # on what peaks have above the night price; 1 = DLAP_PGAE 2019
    scarcity: float  # on the scarcity premium of hot days
    spikes: float  # on the frequency of real-time spikes
    width: float  # on the width of the real-time spread
    bias: float  # added to the median of the real-time spread, in ordinary prices
    reserve: float  # on reserve prices


def regime_of(scenario: Scenario, seed: int) -> Regime:
    """Return the regime of a world: drawn from the seed, or the one that `scenario.prices.regime` pins."""
    from scipy.special import ndtri  # .2 s of imports that only a month that is made needs

    name = scenario.prices.regime
    u = (
        stream(seed, "prices", REGIME_PURPOSE).random(len(fields(Percentiles)))
        if name == "drawn"
        else np.array(astuple(NAMED[name]))
    )
    gas, restless, solar, evening, scarcity, spikes, width, bias, reserve = np.clip(u, 1e-6, 1.0 - 1e-6)
    return Regime(
        gas=_lognormal(gas, *tables.REGIME_GAS),
        restless=_lognormal(restless, *tables.REGIME_RESTLESS),
        solar=_solar(solar),
        evening=_lognormal(evening, *tables.REGIME_EVENING),
        scarcity=min(_lognormal(scarcity, *tables.REGIME_SCARCITY), tables.REGIME_SCARCITY_MAX),
        spikes=_lognormal(spikes, *tables.REGIME_SPIKES),
        width=_lognormal(width, *tables.REGIME_WIDTH),
        bias=float(tables.REGIME_BIAS[0] + tables.REGIME_BIAS[1] * ndtri(bias)),
        reserve=_lognormal(reserve, *tables.REGIME_RESERVE),
    )


def _lognormal(u: float, median: float, sigma: float, sigma_above: float | None = None) -> float:
    """Quantile `u` of a lognormal, whose upper half may be wider."""
    from scipy.special import ndtri

    above = sigma_above is not None and u > 0.5
    return float(median * np.exp((sigma_above if above else sigma) * ndtri(u)))


def _solar(u: float) -> float:
    low, high, power = tables.REGIME_SOLAR
    return float(low + (high - low) * u**power)
