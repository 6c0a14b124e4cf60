"""How good forecasts are: scored at every gate of a month against the prices that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from vpp_policies.forecast import QUARTERS, Forecast, Forecaster

from vpp_env import N_ACTION, Information, Month, Public, World, build_view
from vpp_env.units import KWH_PER_MWH, Floats

SHARES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
"""Quantiles whose pinball loss is averaged."""
BINS = 10
"""Of the histogram of where prices fell in their forecast distribution."""


@dataclass(frozen=True)
class Scores:
    """Means over the hours of one month, USD/MWh and shares; less is better of the first two.

    Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction, and estimation", sections 6.1 (quantiles) and
    4.3 (energy score); Gneiting, Balabdaoui and Raftery 2007 for the histogram.
    """

    pinball: float  # mean of the loss of `SHARES`, over intervals
    energy: float  # energy score of the four intervals of an hour jointly
    error: float  # mean of |mean forecast - price|
    inside_half: float  # share of prices between the quarter quantiles; .5 where the forecast is calibrated
    inside_most: float  # between the .05 and .95 quantiles; .9
    ranks: tuple[float, ...]  # (BINS,) share of prices by the share of the forecast below them; 1 / BINS each


def energy_score(price: Floats, weight: Floats, came: Floats) -> float:
    """E|X - y| - E|X - X'| / 2 of weighted samples `price` (S, 4), `weight` (S,), and `came` (4,)."""
    apart = np.linalg.norm(price[:, None] - price[None], axis=2)
    return float(weight @ np.linalg.norm(price - came, axis=1) - 0.5 * weight @ apart @ weight)


def _hour(forecast: Forecast, h: int) -> Forecast:
    return Forecast(*(part[h : h + 1] for part in (forecast.price, forecast.weight, forecast.reserve)))


def _score(forecast: Forecast, came: Floats) -> tuple[Floats, Floats]:
    """(5,) figures and (BINS,) ranks of one hour; `came` (4,) USD/kWh."""
    quantiles = forecast.quantiles(SHARES)
    off = came[:, None] - quantiles
    pinball = np.maximum(SHARES * off, (SHARES - 1.0) * off).mean()
    half, most = ((quantiles[:, a] <= came) & (came <= quantiles[:, -1 - a]) for a in (2, 0))
    price, weight = forecast.price[0], forecast.weight[0]
    # where a price equals samples, half of their weight lies below it
    below = weight @ ((price < came) + 0.5 * (price == came))
    ranks = np.bincount(np.minimum((below * BINS).astype(int), BINS - 1), minlength=BINS) / QUARTERS
    error = np.abs(forecast.points - came).mean()
    figures = [pinball, energy_score(price, weight, came), error, half.mean(), most.mean()]
    return np.array(figures), ranks


def scored(month: Month, forecasters: Mapping[str, Forecaster], ahead: Sequence[int]) -> dict[tuple[str, int], Scores]:
    """Score forecasts of one month, made at every gate from what a policy sees there.

    Parameters
    ----------
    month : Month
        Whose prices; its homes play no part.
    forecasters : mapping
        By name.
    ahead : sequence of int
        Hours from delivery to the hour that is scored: 0 is the hour that is bid for.

    Returns
    -------
    dict
        Of (name, hours ahead).
    """
    rt = month.series.rt_usd_per_mwh[: month.scenario.n_steps] / KWH_PER_MWH
    kept: dict[tuple[str, int], list[tuple[Floats, Floats]]] = {(name, h): [] for h in ahead for name in forecasters}
    for first, public in _gates(month):
        for name, forecaster in forecasters.items():
            forecast = forecaster(public, max(ahead) + 1)
            for h in ahead:
                begin = first + QUARTERS * h
                if begin + QUARTERS <= len(rt):
                    kept[name, h].append(_score(_hour(forecast, h), rt[begin : begin + QUARTERS]))
    found = {}
    for key, hours in kept.items():
        figures, ranks = (np.mean([hour[part] for hour in hours], axis=0) for part in (0, 1))
        pinball, energy, error = (figures[:3] * KWH_PER_MWH).tolist()
        half, most = figures[3:].tolist()
        found[key] = Scores(pinball, energy, error, half, most, tuple(ranks.tolist()))
    return found


def _gates(month: Month) -> Iterator[tuple[int, Public]]:
    """First step of delivery and what is public, at every gate of a month in which nobody bids."""
    world = World([month])
    world.reset()
    nothing = np.full((world.n_homes, N_ACTION), -1.0)
    while not world.done:
        public = build_view(world, Information.OWN).public
        yield public.opportunity * public.steps, public
        world.step(nothing)
