"""Measured or typical weather: EPW, NSRDB CSV, or a tidy table -> temperature and global irradiance by quarter hour.

Formats and rules are described in docs/home-data.md.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import check_grid, check_step, instants, modal_step, numbers, shown
from vpp_env.traces.readers.meters import QUARTER, STEPS_ALLOWED, Meter, Odd, Part, join, once
from vpp_env.traces.readers.names import TIME_COLUMNS, lower, time_column
from vpp_env.units import Ints

COLUMNS = {
    "temp_c": ("temp_c", "temperature", "temp_air", "air_temperature", "dry_bulb"),
    "ghi": ("ghi", "ghi_w_m2", "shortwave_radiation"),
    "dni": ("dni", "dni_w_m2"),
    "dhi": ("dhi", "dhi_w_m2"),
}
"""Quantity -> names of its column, in lower case with underscores."""
LIMITS = {"temp_c": (-60.0, 60.0), "ghi": (0.0, 1600.0), "dni": (0.0, 1600.0), "dhi": (0.0, 1600.0)}
"""Least and most that is believed, deg C and W/m2. Assumed: irradiance beyond the air is 1,361 W/m2."""
EPW_HEADER, EPW_FIELDS = 8, {"temp_c": 6, "ghi": 13, "dni": 14, "dhi": 15}
"""Lines before the data of an EPW file, and where a row holds what. Source: EnergyPlus auxiliary programs, EPW."""
TYPICAL_YEAR = 2001
"""Year that stands for a typical one, whose months are of several years."""


def read_weather(path: Path, table: pd.DataFrame | None, zone: str) -> Meter:
    """Read weather; the columns of the result are `temp_c`, and `ghi` or `dni` and `dhi`.

    Parameters
    ----------
    path : Path
        An EPW or CSV file.
    table : pandas.DataFrame, optional
        What it holds, where it is a plain table.
    zone : str
        Whose wall clock times without an offset are.

    Raises
    ------
    DataError
        When it is none of these, or a value is none.
    """
    where = path.name
    if where.lower().endswith(".epw"):
        ts, made, rows, typical = _epw(path)
    elif table is not None and any(name in lower(table) for name in TIME_COLUMNS):
        when = time_column(table, where)
        names = lower(table)
        found = {q: next((names[n] for n in known if n in names), None) for q, known in COLUMNS.items()}
        made = pd.DataFrame({q: table[column] for q, column in found.items() if column is not None})
        ts, rows, typical = instants(table[when], zone, where, when), np.arange(1, len(table) + 1), False
    else:
        ts, made, rows, typical = _nsrdb(path)
    if "temp_c" not in made or not ("ghi" in made or {"dni", "dhi"} <= set(made.columns)):
        raise DataError(
            f"{where}: columns {shown(', '.join(map(str, made.columns)))}; weather needs temp_c and ghi, or temp_c, dni"
            " and dhi (deg C, W/m2)"
        )
    step = modal_step(ts)
    check_step(step, len(ts), STEPS_ALLOWED, where)
    check_grid(ts, rows, min(step, QUARTER), where, "the time")
    wanted = ["temp_c", "ghi"] if "ghi" in made else ["temp_c", "dni", "dhi"]
    parts = [_part(quantity, ts, made[quantity], rows, step, where) for quantity in wanted]
    if typical:  # a year that repeats has no edge
        year = pd.Timedelta(days=365)
        parts = [Part(p.home, _thrice(p.ts, year), np.tile(p.kw, 3), step, False, where) for p in parts]
    return join(parts, Odd())


def _thrice(ts: pd.DatetimeIndex, year: pd.Timedelta) -> pd.DatetimeIndex:
    """The year before, the year itself, and the year after."""
    return pd.DatetimeIndex(
        np.concatenate([(ts + n * year).tz_localize(None).to_numpy() for n in (-1, 0, 1)]), tz="UTC"
    )


def _part(quantity: str, ts: pd.DatetimeIndex, values: pd.Series, rows: Ints, step: pd.Timedelta, where: str) -> Part:
    made = numbers(values, rows, where, quantity, "give a number, or leave the cell empty", gaps=True)
    low, high = LIMITS[quantity]
    bad = (made < low) | (made > high)
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(f"{where}, row {rows[i]}: {quantity} is {made[i]:g}; allowed is {low:g} to {high:g}")
    order = np.argsort(ts.asi8, kind="stable")
    kw, times, _ = once(made[order], ts[order])
    return Part(quantity, times, kw, step, False, where)


def _lines(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(path.read_text(encoding="utf-8-sig", errors="strict").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path.name}: not readable as text ({error}); download it again") from error


def _offset(text: str, where: str) -> pd.Timedelta:
    hours = pd.to_numeric(text, errors="coerce")
    if not -14 <= hours <= 14:
        raise DataError(f"{where}: the time zone is {shown(text)}; allowed are hours from UTC, -14 to 14")
    return pd.Timedelta(hours=float(hours))


def _times(parts: Sequence[pd.Series], offset: pd.Timedelta, rows: Ints, where: str) -> pd.DatetimeIndex:
    """UTC of year, month, day, hour and minute in a zone that is `offset` from UTC."""
    names = ("year", "month", "day", "hour", "minute")
    whole = pd.DataFrame(
        {n: numbers(p, rows, where, n, "download it again") for n, p in zip(names, parts, strict=True)}
    )
    stamps = pd.to_datetime(whole.clip(-1, 9999).astype(np.int64), errors="coerce")
    if stamps.isna().any():
        i = int(np.argmax(stamps.isna()))
        raise DataError(f"{where}, row {rows[i]}: {whole.iloc[i].tolist()} is no time (year, month, day, hour, minute)")
    return pd.DatetimeIndex(stamps - offset).tz_localize("UTC")


def _epw(path: Path) -> tuple[pd.DatetimeIndex, pd.DataFrame, Ints, bool]:
    """EPW: a typical year in standard time; hour 1 is the first of the day."""
    lines, where = _lines(path), path.name
    data = [line for line in lines[EPW_HEADER:] if line]
    if len(lines) <= EPW_HEADER or lines[0][:1] != ["LOCATION"] or len(lines[0]) < 9 or not data:
        raise DataError(f"{where}: no EPW file: it begins with LOCATION and has eight lines before its data")
    short = next((i for i, line in enumerate(data) if len(line) <= max(EPW_FIELDS.values())), None)
    if short is not None:
        raise DataError(
            f"{where}, row {short + 1}: {len(data[short])} fields; allowed are 35, as EnergyPlus writes them"
        )
    rows = np.arange(1, len(data) + 1)
    table = pd.DataFrame([line[: max(EPW_FIELDS.values()) + 1] for line in data])
    hour = pd.Series(numbers(table[3], rows, where, "hour", "download it again") - 1.0)
    leap = (table[1].str.strip() == "2") & (table[2].str.strip() == "29")
    year, zero = pd.Series(np.full(len(table), TYPICAL_YEAR)), pd.Series(np.zeros(len(table)))
    keep = ~leap.to_numpy()
    picked = [part[keep].reset_index(drop=True) for part in (year, table[1], table[2], hour, zero)]
    ts = _times(picked, _offset(lines[0][8], where), rows[keep], where)
    made = pd.DataFrame({q: table[i] for q, i in EPW_FIELDS.items()})[keep].reset_index(drop=True)
    # 9999 is EPW's word for a missing value
    return ts, made.mask(made.apply(lambda c: c.str.strip().isin(["9999", "99.9"])), ""), rows[keep], True


def _nsrdb(path: Path) -> tuple[pd.DatetimeIndex, pd.DataFrame, Ints, bool]:
    """NSRDB CSV: two lines about the place, the names of the columns, then rows; a typical year has several years."""
    lines, where = _lines(path), path.name
    lines = [line for line in lines if line]
    names = [name.strip().lower().replace(" ", "_") for name in lines[2]] if len(lines) > 3 else []
    needed = ["year", "month", "day", "hour", "minute"]
    head = [name.strip() for name in lines[0]] if lines else []
    if not set(needed) <= set(names) or "Time Zone" not in head or len(lines[1]) <= head.index("Time Zone"):
        raise DataError(
            f"{where}: neither a table with a time and temp_c, nor an NSRDB file (Time Zone in its first line, Year,"
            " Month, Day, Hour, Minute in its third), nor EPW"
        )
    data = [line for line in lines[3:] if len(line) >= len(names)]
    rows = np.arange(1, len(data) + 1)
    table = pd.DataFrame([line[: len(names)] for line in data], columns=names)
    table = table.loc[:, ~table.columns.duplicated()]
    typical = table["year"].nunique() > 2
    if typical:
        keep = ~((table["month"].str.strip() == "2") & (table["day"].str.strip() == "29")).to_numpy()
        table, rows = table[keep].reset_index(drop=True).assign(year=str(TYPICAL_YEAR)), rows[keep]
    offset = _offset(lines[1][head.index("Time Zone")], where)
    ts = _times([table[name] for name in needed], offset, rows, where)
    step = modal_step(ts)
    if step > pd.Timedelta(0):
        ts = ts.floor(step)  # rows of an hour are stamped at its middle
    found = {q: next((n for n in known if n in table.columns), None) for q, known in COLUMNS.items()}
    return ts, pd.DataFrame({q: table[n] for q, n in found.items() if n is not None}), rows, typical
