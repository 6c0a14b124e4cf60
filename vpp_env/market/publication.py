"""When the market makes day-ahead prices public."""

from __future__ import annotations

from vpp_env.scenario.calendar import Calendar

PUBLICATION_HOUR = 13.0
"""Local hour at which the next day-ahead prices (and programme events) are published. Source: CAISO."""


def published_until(calendar: Calendar, day: int, k: int, t: int) -> int:
    """First step whose day-ahead price is not public yet at step t of the run, which is step k of local day `day`."""
    hours = calendar.day_hours(day)
    end = t - k + calendar.steps_in_day(day)
    return end + calendar.steps_in_day(day + 1) if hours[min(k, len(hours) - 1)] >= PUBLICATION_HOUR else end
