"""What stored energy is worth to somebody who knows every price: dynamic programming of each battery alone.

One backward pass over the month on a grid of states of charge gives the value function V_t(s) of every battery
against the known real-time and reserve prices. It is the terminal value of the dispatch problem: without it, a
short horizon would sell the last kWh at any price.
"""

from __future__ import annotations

import numpy as np

from vpp_env.jit import kernel

GRID = 17
"""States of charge per battery, equally spaced between its hard limits."""
SHARES = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
"""Share of power bought (negative) or sold in one interval that the pass tries."""


@kernel
def _interpolate(v: np.ndarray, low: float, step: float, s: float) -> float:
    x = (s - low) / step
    j = min(max(int(x), 0), len(v) - 2)
    return v[j] + (v[j + 1] - v[j]) * (x - j)


@kernel
def values(
    low: np.ndarray,
    high: np.ndarray,
    power: np.ndarray,
    surplus: np.ndarray,
    lmp: np.ndarray,
    rho: np.ndarray,
    shares: np.ndarray,
    physics: tuple[float, float, float, float],
    every: int,
    grid: int,
) -> np.ndarray:
    """Return V (H // every + 1, B, grid), USD: value of energy at the start of every `every`-th interval.

    Parameters
    ----------
    low, high, power : ndarray
        (B,) hard limits kWh and power kW.
    surplus : ndarray
        (H, B) kW of own sun that the home stores when it is not discharging.
    lmp, rho : ndarray
        (H,) USD/kWh, and the best reserve price USD/kW-h.
    shares : ndarray
        Powers tried, as shares.
    physics : tuple
        (dt h, one-way efficiency, wear USD/kWh discharged, reserve period h).
    every, grid : int
        Intervals between stored values; states on the grid.
    """
    dt, eta, wear, res_h = physics
    hours, n = surplus.shape
    out = np.zeros((hours // every + 1, n, grid))
    v = np.zeros(grid)
    new = np.zeros(grid)
    for b in range(n):
        v[:] = 0.0
        step = (high[b] - low[b]) / (grid - 1)
        for t in range(hours - 1, -1, -1):
            for j in range(grid):
                s = low[b] + j * step
                best = -1e18
                for share in shares:
                    sell = max(0.0, min(share * power[b], (s - low[b]) * eta / dt))
                    own = 0.0 if sell > 0.0 else min(surplus[t, b], power[b], (high[b] - s) / (eta * dt))
                    buy = max(0.0, min(-share * power[b], power[b] - own, (high[b] - s) / (eta * dt) - own))
                    spare = 0.0 if buy > 0.0 else max(0.0, min(power[b], (s - low[b]) * eta / res_h) - sell)
                    gain = dt * (lmp[t] * (sell - buy) - wear * sell + rho[t] * spare)
                    after = s + eta * (own + buy) * dt - sell * dt / eta
                    best = max(best, gain + _interpolate(v, low[b], step, after))
                new[j] = best
            v[:] = new
            if t % every == 0:
                out[t // every, b] = v
    return out


def pieces(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, window_low: np.ndarray, width: np.ndarray, count: int
) -> np.ndarray:
    """Return (B, count) mean slopes USD/kWh of V over `count` pieces from `window_low`, non-increasing (concave).

    Parameters
    ----------
    value : ndarray
        (B, G) V on the grid from `low` to `high`, USD.
    low, high, window_low, width : ndarray
        (B,) kWh; `width` of one piece.
    count : int
        Number of pieces.
    """
    n, grid = value.shape
    step = (high - low) / (grid - 1)
    points = window_low[:, None] + width[:, None] * np.arange(count + 1)
    x = np.clip((points - low[:, None]) / step[:, None], 0.0, grid - 1.0)
    j = np.minimum(x.astype(np.int64), grid - 2)
    rows = np.arange(n)[:, None]
    v = value[rows, j] + (value[rows, j + 1] - value[rows, j]) * (x - j)
    slope = np.divide(np.diff(v, axis=1), width[:, None], out=np.zeros((n, count)), where=width[:, None] > 0)
    return -np.sort(-slope, axis=1)


def buy_back_price(lmp: np.ndarray, due: np.ndarray, first: int, intervals: int = 6) -> np.ndarray:
    """Price of returning what a car deferred: mean of its cheapest intervals between `first` and when it is due.

    Parameters
    ----------
    lmp : ndarray
        (H,) future prices, USD/kWh.
    due : ndarray
        (C,) intervals until each car is due; a car that is due too soon returns it within the next day.
    first : int
        First interval after the horizon.
    intervals : int
        How many cheap intervals are averaged: 1.5 h of charging.
    """
    ahead = lmp[first : first + 96]
    if len(ahead) == 0:
        return np.full(len(due), lmp[-1])
    window = np.where(due - first >= 2, due - first, 96)
    price = np.empty(len(due))
    for w in np.unique(window):
        price[window == w] = np.sort(ahead[:w])[:intervals].mean()
    return price
