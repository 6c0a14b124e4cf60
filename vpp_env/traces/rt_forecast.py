"""A day-ahead price where a file has only real time: made from what was known, never from the day itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vpp_env.scenario.calendar import Calendar

FIRST_LAG, LAST_LAG = 2, 8
"""Days back that are used. Day-ahead prices of day d are published on d-1, when d-2 is the last whole day."""


def day_ahead_from_real_time(real_time: pd.Series, calendar: Calendar, model: np.ndarray) -> tuple[np.ndarray, str]:
    """Forecast day-ahead prices from past real-time ones.

    Parameters
    ----------
    real_time : pandas.Series
        Measured prices by UTC start, also from before the run where the file has them, USD/MWh.
    calendar : Calendar
        Of the run.
    model : numpy.ndarray
        (S,) seeded day-ahead prices; taken for hours without any history in the file.

    Returns
    -------
    tuple
        (S,) USD/MWh: the median of the same local hour of the days d-8 .. d-2, and a note for the source.
    """
    steps = pd.date_range(calendar.utc[0], periods=len(model), freq="15min").tz_convert(calendar.timezone)
    local = pd.DatetimeIndex(real_time.index).tz_convert(calendar.timezone)
    table = (
        pd.DataFrame({"day": local.tz_localize(None).normalize(), "hour": local.hour, "v": real_time.to_numpy()})
        .groupby(["day", "hour"])["v"]
        .mean()
        .unstack("hour")
        .reindex(columns=range(24))
    )
    day = steps.tz_localize(None).normalize()
    days = pd.date_range(day[0], day[-1], freq="D")
    past = np.stack([table.reindex(days - pd.Timedelta(days=lag)).to_numpy() for lag in range(FIRST_LAG, LAST_LAG + 1)])
    known = np.isfinite(past).any(axis=0)
    past[:, ~known] = 0.0  # replaced below; keeps nanmedian from warning about empty slices
    forecast = np.nanmedian(past, axis=0)
    row, hour = np.asarray((day - days[0]).days), np.asarray(steps.hour)
    from_file = known[row, hour]
    made = np.where(from_file, forecast[row, hour], model)
    share = float(np.mean(from_file))
    note = (
        f"forecast from the file's real-time prices: median of the same hour {FIRST_LAG} to {LAST_LAG} days before"
        f" ({share:.0%} of steps; seeded model for the others)"
    )
    return made, note
