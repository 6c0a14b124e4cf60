"""Charging sessions at home: tables and ACN-Data JSON -> who plugged in when, until when, and how much energy.

Formats and rules are described in docs/home-data.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import instants, is_empty, numbers
from vpp_env.traces.readers.names import ARRIVAL, CAR_COLUMNS, DEPARTURE, ENERGY, home_name, lower, pick
from vpp_env.units import Flags, Floats

MOST_KWH = 1000.0
"""Most energy of a session that is believed."""
MOST_DAYS = 31.0
"""Longest session that is believed."""


@dataclass(frozen=True)
class CarSessions:
    """Sessions of one file or several, by user and arrival."""

    user: tuple[str, ...]  # (S,) whose
    arrival: pd.DatetimeIndex  # (S,) UTC
    departure: pd.DatetimeIndex  # (S,) UTC, after the arrival
    kwh: Floats  # (S,) energy at the meter; of `of_trip` sessions at the battery
    of_trip: Flags  # (S,) bool: the energy is what was used since the car was plugged in last
    never: tuple[str, ...]  # users whose car is never plugged in
    open: int  # sessions without an end, left out
    files: tuple[str, ...]

    @property
    def users(self) -> list[str]:
        """Names, each once."""
        return list(dict.fromkeys((*self.user, *self.never)))


def acn_table(path: Path) -> pd.DataFrame:
    """Read ACN-Data JSON: a list of sessions, or what its site sends, with the list in `_items`.

    Raises
    ------
    DataError
        When it is no such JSON.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path.name}: not readable as JSON ({error}); download it again") from error
    items = data.get("_items") if isinstance(data, dict) else data
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path.name}: no list of sessions (_items) in it; allowed is JSON as ACN-Data sends it")
    wanted = ("connectionTime", "disconnectTime", "kWhDelivered")
    for i, item in enumerate(items):
        absent = [key for key in wanted if key not in item]
        if absent:
            raise DataError(
                f"{path.name}, session {i + 1}: no {', '.join(absent)}; allowed is JSON as ACN-Data sends it"
            )
    table = pd.DataFrame(
        {
            "home": [str(item.get("userID") or item.get("stationID") or item.get("spaceID") or "") for item in items],
            "energy_kwh": [item["kWhDelivered"] for item in items],
        },
        dtype=object,
    )
    for name, key in (("arrival", wanted[0]), ("departure", wanted[1])):
        text = pd.Series([item[key] for item in items], dtype=object)
        there = text.notna()
        # Wed, 25 Apr 2018 11:08:04 GMT
        stamps = pd.to_datetime(text[there].astype(str), format="%a, %d %b %Y %H:%M:%S GMT", utc=True, errors="coerce")
        iso = stamps.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        table[name] = text.where(~there, iso.where(stamps.notna(), text[there].astype(str)))
    return table


def read_sessions(table: pd.DataFrame, path: Path, zone: str) -> CarSessions:
    """Read a table of sessions: home (or user), arrival, departure, energy.

    A row with neither arrival nor departure says that this car is never plugged in.

    Parameters
    ----------
    table : pandas.DataFrame
        As read.
    path : Path
        For messages.
    zone : str
        Whose wall clock times without an offset are.

    Raises
    ------
    DataError
        When a column is missing, a time cannot be read, or a value is none.
    """
    where = path.name
    if table.empty:
        raise DataError(f"{where}: no data rows; leave the file out where no car is plugged in")
    user, arrives, leaves, energy = (
        pick(table, names, what, where)
        for names, what in (
            (CAR_COLUMNS, "the home of each session"),
            (ARRIVAL, "the time of plugging in"),
            (DEPARTURE, "the time of plugging out"),
            (ENERGY, "the energy of each session"),
        )
    )
    rows = np.arange(1, len(table) + 1)
    begun, ended = (~table[name].map(is_empty).to_numpy(dtype=np.bool_) for name in (arrives, leaves))
    named = np.array([home_name(str(name), where) for name in table[user]], dtype=object)
    never = tuple(sorted(set(named[~begun & ~ended]) - set(named[begun | ended])))
    if (begun & ~ended).any() and not ended.any():
        raise DataError(f"{where}: no session has an end ({leaves}); give the time of plugging out")
    used, rows, named = table[ended].reset_index(drop=True), rows[ended], named[ended]
    # wall clocks of sessions do not come in order: an hour that is shown twice is the first one
    number = pd.Series(np.arange(len(used)))
    arrival = instants(used[arrives], zone, where, arrives, number, rows, skipped=True)
    departure = instants(used[leaves], zone, where, leaves, number, rows, skipped=True)
    kwh = numbers(used[energy], rows, where, energy, "give the kWh of the session, or delete the row")
    days = (departure - arrival) / pd.Timedelta(days=1)
    for bad, told in (
        (np.asarray(departure < arrival), "it ends before it begins"),
        (np.asarray(days > MOST_DAYS), f"it lasts more than {MOST_DAYS:g} days"),
        ((kwh < 0) | (kwh > MOST_KWH), f"{energy} is not 0 to {MOST_KWH:g} kWh"),
    ):
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{where}, row {rows[i]}: {arrival[i]} to {departure[i]}, {kwh[i]:g} kWh: {told}"
                f" ({int(bad.sum())} such rows); correct or delete them"
            )
    of_trip = np.full(len(used), lower(table).get("trip_kwh") == energy)
    unfinished = int((begun & ~ended).sum())
    return CarSessions(tuple(named), arrival, departure, kwh, of_trip, never, unfinished, (where,))


def join_sessions(parts: list[CarSessions]) -> CarSessions:
    """Put several files' sessions together."""
    arrival, departure = (
        pd.DatetimeIndex(
            np.concatenate([getattr(p, name).tz_localize(None).as_unit("us").to_numpy() for p in parts]), tz="UTC"
        )
        for name in ("arrival", "departure")
    )
    return CarSessions(
        tuple(name for part in parts for name in part.user),
        arrival,
        departure,
        np.concatenate([part.kwh for part in parts]),
        np.concatenate([part.of_trip for part in parts]),
        tuple(name for part in parts for name in part.never),
        sum(part.open for part in parts),
        tuple(name for part in parts for name in part.files),
    )
