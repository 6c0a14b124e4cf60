"""A folder of one's own homes: which files there are, and what they hold (docs/home-data.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import read_table
from vpp_env.traces.readers.devices import read_devices
from vpp_env.traces.readers.digests import digests
from vpp_env.traces.readers.green_button import read_green_button
from vpp_env.traces.readers.meters import Meter, Odd, Part, join, table_parts
from vpp_env.traces.readers.names import home_name
from vpp_env.traces.readers.sessions import CarSessions, acn_table, join_sessions, read_sessions
from vpp_env.traces.readers.weather import read_weather
from vpp_env.units import Floats

ROLES = {
    "devices": ("devices",),
    "load": ("load",),
    "pv": ("pv", "solar"),
    "vehicles": ("vehicles", "sessions", "ev_", "ev.", "acn"),
    "weather": ("weather", "nsrdb"),
}
"""What a file is by the beginning of its name, in either case."""
TABLES, XML, JSON, EPW = (".csv", ".csv.gz", ".parquet"), ".xml", ".json", ".epw"
KWP_OF_PEAK = 1.15
"""Panels of a home whose output alone is known, kWp per kW of its largest output. Source: the largest hourly output of
the 17 measured homes is .75 to .98 kW/kWp; docs/traces.md."""


@dataclass(frozen=True)
class HomeData:
    """What a folder holds of N homes."""

    path: str
    names: tuple[str, ...]  # (N,)
    known: Mapping[str, Floats]  # field of the fleet -> (N,), NaN where it is to be drawn
    given: Mapping[str, int]  # column of devices -> homes that have a value in it
    load: Meter | None
    pv: Meter | None
    sessions: CarSessions | None
    weather: Meter | None  # columns temp_c, and ghi or dni and dhi
    users: Mapping[str, str]  # home -> its name among the sessions, where there is one
    notes: tuple[str, ...]  # what was passed over or concluded
    files: tuple[Path, ...]

    @property
    def n(self) -> int:
        """Number of homes."""
        return len(self.names)


def home_files(folder: str | Path) -> dict[str, list[Path]]:
    """Return role -> the files of a folder that have it, sorted; hidden files are not looked at.

    Raises
    ------
    DataError
        When there is no such folder, or no file in it has a role.
    """
    path = Path(folder)
    allowed = (
        "files named load*, pv*, vehicles*, devices* (.csv, .csv.gz, .parquet; sessions .json) or Green Button .xml"
    )
    if not path.is_dir():
        what = "is a file" if path.is_file() else "does not exist"
        raise DataError(f"home data {str(folder)!r} {what}; give a folder with {allowed}")
    found: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        name = file.name.lower()
        if name.startswith(".") or not file.is_file():
            continue
        if name.endswith(XML):
            found.setdefault("load", []).append(file)
            continue
        if name.endswith(EPW):
            found.setdefault("weather", []).append(file)
            continue
        role = next((role for role, begins in ROLES.items() if name.startswith(begins)), None)
        if role is not None and name.endswith((*TABLES, *((JSON,) if role == "vehicles" else ()))):
            found.setdefault(role, []).append(file)
    if not found:
        raise DataError(f"home data {str(folder)!r}: no file in it that is known by its name; allowed are {allowed}")
    several = [role for role in ("devices", "weather") if len(found.get(role, [])) > 1]
    if several:
        raise DataError(f"home data {str(folder)!r}: several files of {several[0]}; keep one")
    return found


def read_homes(folder: str | Path, zone: str) -> HomeData:
    """Read a folder; the last ones are kept, as long as their files do not change.

    Parameters
    ----------
    folder : str or Path
        With the files of docs/home-data.md.
    zone : str
        IANA name of the scenario's clock: whose wall clock times without an offset are.

    Raises
    ------
    DataError
        When a file cannot be used, or the files name different homes.
    """
    stamps = tuple(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size)
        for files in home_files(folder).values()
        for file in files
    )
    return _read(str(folder), zone, stamps)


def home_hashes(folder: str | Path | None) -> dict[str, str]:
    """SHA-256 of every file of a folder that is read, by path; empty without a folder."""
    if folder is None:
        return {}
    found = [file for files in home_files(folder).values() for file in files]
    return digests(sorted(found, key=lambda file: file.name))


@lru_cache(maxsize=2)
def _read(folder: str, zone: str, stamps: tuple[tuple[str, int, int], ...]) -> HomeData:
    files = home_files(folder)
    order: list[str] = []
    known: dict[str, Floats] = {}
    given: dict[str, str] = {}
    if "devices" in files:
        (file,) = files["devices"]
        order, known, given = read_devices(_table(file), file)
    load, more = _meter(files.get("load", []), "load", zone)
    # a wide table may hold both: `home01_load_kwh` and `home01_pv_kwh` beside each other
    pv, _ = _meter([*files.get("pv", []), *more], "pv", zone)
    sessions = _sessions(files.get("vehicles", []), zone)
    weather = _weather(files["weather"][0], zone) if "weather" in files else None
    notes: list[str] = []
    meters = {role: meter for role, meter in (("load", load), ("pv", pv)) if meter is not None}
    if not order and sessions is None and not meters:
        raise DataError(
            f"home data {folder!r}: weather alone names no home; add devices, load, pv or vehicles (a devices file"
            " with a column home is enough)"
        )
    if not order:
        order = list(dict.fromkeys(home for meter in meters.values() for home in meter.homes))
        order = order or ([] if sessions is None else sessions.users)
    for role, meter in meters.items():
        strange = [home for home in meter.homes if home not in set(order)]
        if strange:
            raise DataError(
                f"{meter.named}: {role} of {strange[0]!r} ({len(strange)} such homes), which devices does not name; add"
                " a row to devices (only `home` is needed), or delete its values"
            )
    users = _users(order, given, sessions, notes)
    table = {name: values.copy() for name, values in known.items()}
    counts = {name: int((~np.isnan(values)).sum()) for name, values in known.items()}
    _conclude(order, table, load, pv, users, notes)
    paths = tuple(Path(stamp[0]) for stamp in stamps)
    return HomeData(folder, tuple(order), table, counts, load, pv, sessions, weather, users, tuple(notes), paths)


def _table(file: Path) -> pd.DataFrame:
    """Read a table with one kind of columns: named, each once; times may be a parquet file's index."""
    table = read_table(file)
    if isinstance(table.index, pd.DatetimeIndex):
        table = table.rename_axis(str(table.index.name or "timestamp")).reset_index()
    table.columns = pd.Index([str(column) for column in table.columns])
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f"{file.name}: column {twice[0]!r} is there more than once; keep one")
    return table.reset_index(drop=True)


def _meter(files: list[Path], role: str, zone: str) -> tuple[Meter | None, list[Path]]:
    """Read the files of load or pv; of load also name those that hold pv too."""
    parts: list[Part] = []
    both: list[Path] = []
    odd = Odd()
    for file in files:
        if file.name.lower().endswith(XML):
            part, more = read_green_button(file, home_name(file.name[: -len(XML)], file.name))
            parts.append(part)
            odd += more
            continue
        table = _table(file)
        made, more = table_parts(table, file, role, zone)
        parts += made
        odd += more
        if role == "load" and any("_pv" in column.lower() for column in table.columns):
            both.append(file)
        if not made and role == "load":
            raise DataError(f"{file.name}: no column of load in it; name columns <home>_load_kwh or <home>_kwh")
    return (join(parts, odd) if parts else None), both


def _weather(file: Path, zone: str) -> Meter:
    """Read weather; NSRDB files have two lines before their names and are no plain tables."""
    if file.name.lower().endswith((EPW, ".csv.gz")):
        return read_weather(file, None, zone)
    if file.name.lower().endswith(".csv"):
        try:
            with file.open(encoding="utf-8-sig") as stream:
                plain = "Time Zone" not in stream.readline()
        except (OSError, ValueError) as error:
            raise DataError(f"{file.name}: not readable as text ({error}); download it again") from error
        return read_weather(file, _table(file) if plain else None, zone)
    return read_weather(file, _table(file), zone)


def _sessions(files: list[Path], zone: str) -> CarSessions | None:
    parts = []
    for file in files:
        table = acn_table(file) if file.name.lower().endswith(JSON) else _table(file)
        parts.append(read_sessions(table, file, zone))
    return join_sessions(parts) if parts else None


def _users(
    order: list[str], given: Mapping[str, str], sessions: CarSessions | None, notes: list[str]
) -> dict[str, str]:
    """Return home -> its user among the sessions; note whose are left out."""
    if sessions is None:
        return {}
    there = set(sessions.users)
    files = ", ".join(sessions.files)
    absent = [user for user in given.values() if user not in there]
    if absent:
        raise DataError(f"{files}: no session of {absent[0]!r}, whom devices names in sessions_of; correct the name")
    users = {home: given.get(home, home) for home in order if given.get(home, home) in there}
    if not users:
        raise DataError(
            f"{files}: its {len(there)} users ({sessions.users[0]!r}, ...) are none of the homes ({order[0]!r}, ...);"
            " name them alike, or give devices a column sessions_of that holds each home's user"
        )
    left = len(there) - len(set(users.values()))
    if left:
        notes.append(f"vehicles: {left} of {len(there)} users are of no home and left out")
    return users


def _conclude(
    order: list[str],
    known: dict[str, Floats],
    load: Meter | None,
    pv: Meter | None,
    users: Mapping[str, str],
    notes: list[str],
) -> None:
    """Add to what is known what follows from the series: panels, a car, the mean load."""
    at = {home: i for i, home in enumerate(order)}

    def column(name: str) -> Floats:
        return known.setdefault(name, np.full(len(order), np.nan))

    if pv is not None:
        kwp, guessed = column("pv_kwp"), 0
        peak = np.nanmax(np.where(np.isnan(pv.kw), 0.0, pv.kw), axis=0)
        for j, home in enumerate(pv.homes):
            i = at[home]
            if pv.per_kwp[j] or peak[j] == 0.0:
                continue
            if kwp[i] == 0.0:
                raise DataError(f"{pv.named}: {home} has pv, and devices says pv_kwp 0; correct one of them")
            if np.isnan(kwp[i]):
                kwp[i], guessed = KWP_OF_PEAK * float(peak[j]), guessed + 1
        if guessed:
            notes.append(f"pv: kWp of {guessed} homes taken as {KWP_OF_PEAK:g} x their largest output")
        # who has panels per kWp has panels, of a size that is drawn where it is not known
        has = column("has_pv")
        for j, home in enumerate(pv.homes):
            if pv.per_kwp[j] and np.isnan(kwp[at[home]]) and peak[j] > 0.0:
                has[at[home]] = 1.0
    if users:
        has = column("has_ev")
        for home in users:
            if known.get("ev_kwh", has)[at[home]] == 0.0:
                raise DataError(f"vehicles: {home} has sessions, and devices says it has no car; correct one of them")
            has[at[home]] = 1.0
    if load is not None:
        mean = column("load_kw")
        measured = np.nanmean(np.where(np.isnan(load.kw).all(axis=0), 0.0, load.kw), axis=0)
        for j, home in enumerate(load.homes):
            if np.isnan(mean[at[home]]):
                mean[at[home]] = float(measured[j])
