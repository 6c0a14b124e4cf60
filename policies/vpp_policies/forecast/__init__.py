"""Forecasts of prices from public data only: what a policy that does not know the future may believe.

    forecast = make_forecaster("seasonal")(view.public, hours=24)
    forecast.points                  (96,) mean real-time price by interval, USD/kWh
    forecast.quantiles([0.1, 0.9])   (96, 2)
    forecast.price, forecast.weight  (24, S, 4), (24, S) samples of an hour's four intervals
    forecast.reserve                 (24, S) reserve price of the same sample, USD/kW-h

A forecaster is a frozen value: all it knows is in its parameters and in the `Public` that it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from vpp_env import UnknownNameError, did_you_mean
from vpp_policies.forecast.forecast import QUARTERS, Forecast, Forecaster
from vpp_policies.forecast.learned import DEFAULT_MODEL, LearnedForecast, load
from vpp_policies.forecast.past import DayAheadForecast, Persistence, Seasonal, day_ahead_prices

__all__ = [
    "DEFAULT_MODEL",
    "FORECASTERS",
    "QUARTERS",
    "DayAheadForecast",
    "Forecast",
    "Forecaster",
    "LearnedForecast",
    "Persistence",
    "Seasonal",
    "day_ahead_prices",
    "make_forecaster",
]


@cache
def _shipped() -> Forecaster:
    return LearnedForecast(load(DEFAULT_MODEL))


FORECASTERS: dict[str, Callable[[], Forecaster]] = {
    "day_ahead": DayAheadForecast,
    "persistence": Persistence,
    "seasonal": Seasonal,
    "learned": _shipped,
}
"""Name -> what makes the forecaster; a model of one's own is named by its file."""


def make_forecaster(name: str) -> Forecaster:
    """Return the forecaster of that name, or the learned one of a model file (`FILE.npz`).

    Raises
    ------
    UnknownNameError
        When it is not registered; the message offers the nearest.
    PolicyError
        When the file is no price model.
    """
    if name.endswith(".npz"):
        return LearnedForecast(load(Path(name).expanduser()))
    if name not in FORECASTERS:
        remedy = "Or name the file of a price model, FILE.npz; `vpp-env fit-prices` makes one."
        raise UnknownNameError(did_you_mean(name, FORECASTERS, "forecaster", remedy))
    return FORECASTERS[name]()
