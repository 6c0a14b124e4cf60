"""Names that columns of other people's files have for the same thing."""

from __future__ import annotations

import pandas as pd

from vpp_env.errors import DataError

HOME_COLUMNS = ("home", "home_id", "house", "house_id", "meter", "meter_id", "dataid", "lclid", "user_id", "userid")
"""Names of the column that says whose a row is, best first."""
TIME_COLUMNS = (
    "ts_utc", "time_utc", "timestamp_utc", "utc", "timestamp", "datetime", "date_time", "time", "ts", "interval_start",
    "start_time", "start", "ts_local", "local_time", "local_15min", "date",
)  # fmt: skip
"""Names of the start of an interval, best first."""
ARRIVAL = ("arrival", "arrival_utc", "plugin_local", "plug_in", "start_time", "start", "connectiontime")
DEPARTURE = ("departure", "departure_utc", "plugout_local", "plug_out", "end_time", "end", "disconnecttime")
ENERGY = ("energy_kwh", "kwh", "kwhdelivered", "trip_kwh")
CAR_COLUMNS = (*HOME_COLUMNS, "user", "vehicle", "stationid")
"""Names in tables of charging sessions, best first; ACN-Data's and those of published data sets."""
MOST_NAME = 64
"""Longest name of a home."""


def lower(table: pd.DataFrame) -> dict[str, str]:
    """Lower case with underscores -> name of the column; of two alike the first."""
    names: dict[str, str] = {}
    for column in table.columns:
        names.setdefault(str(column).strip().lower().replace(" ", "_").replace("-", "_"), column)
    return names


def pick(table: pd.DataFrame, wanted: tuple[str, ...], what: str, where: str) -> str:
    """Return the column that has one of the names.

    Raises
    ------
    DataError
        When there is none.
    """
    names = lower(table)
    found = next((names[name] for name in wanted if name in names), None)
    if found is None:
        there = ", ".join(str(column)[:MOST_NAME] for column in table.columns[:8])
        there = " ".join(f"{there}{' ...' if len(table.columns) > 8 else ''}".split())
        raise DataError(
            f"{where}: no column with {what} among {there}; name it {wanted[0]} (also: {', '.join(wanted[1:])})"
        )
    return found


def time_column(table: pd.DataFrame, where: str) -> str:
    """Return the column of the intervals' starts."""
    return pick(table, TIME_COLUMNS, "the start of each interval", where)


def home_name(text: str, where: str) -> str:
    """Return the name of a home.

    Raises
    ------
    DataError
        When it is empty or too long, or holds what is no letter, digit, dash, dot, blank or underscore.
    """
    name = text.strip()
    if (
        not name
        or len(name) > MOST_NAME
        or name.lower() == "nan"
        or not all(c.isalnum() or c in "-_. :#/" for c in name)
    ):
        raise DataError(
            f"{where}: got {name[:80]!r} as the name of a home; allowed are 1 to {MOST_NAME} letters, digits,"
            " dashes, dots, blanks and underscores"
        )
    return name
