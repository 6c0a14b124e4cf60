"""The day-ahead market: one schedule of hourly quantities, cleared as a price taker."""

from __future__ import annotations

import numpy as np


def clear_day_ahead(
    kw: np.ndarray,
    limit: np.ndarray,
    price: np.ndarray,
    most_sold: float,
    most_bought: float,
    least: float,
) -> np.ndarray:
    """Award each hour of a schedule.

    Parameters
    ----------
    kw, limit : ndarray
        (H,) scheduled kW, plus = sale, and limit prices, USD/kWh.
    price : ndarray
        (H,) day-ahead prices, USD/kWh.
    most_sold, most_bought, least : float
        kW: a schedule is cut to what the devices and the VPP's maximum allow; an hour below the minimum bid is void.

    Returns
    -------
    ndarray
        (H,) kW: the whole hour where its limit is met (sales at the limit or above, purchases at it or below), else 0.
    """
    cut = np.clip(kw, -most_bought, most_sold)
    met = np.where(cut >= 0.0, price >= limit - 1e-12, price <= limit + 1e-12)
    return np.where(met & (np.abs(cut) >= least - 1e-9), cut, 0.0)
