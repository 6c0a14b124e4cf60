"""Measured load and solar output of homes: tables (long or wide), Green Button XML -> kW by quarter hour.

Formats and rules are described in docs/home-data.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import check_grid, check_step, instants, modal_step, numbers, shown
from vpp_env.traces.readers.names import HOME_COLUMNS, home_name, lower, time_column
from vpp_env.units import STEP_MINUTES, Flags, Floats, Floats32, Ints

QUARTER = pd.Timedelta(minutes=STEP_MINUTES)
STEPS_ALLOWED = (1, 5, 15, 30, 60)
"""Minutes between rows; finer ones are averaged, coarser ones held (their energy is kept)."""
_UNIT = re.compile(r"^(?P<name>.*?)_?(?P<unit>kwh|kw|wh|w|w_per_kw|w_per_kwp|kw_per_kwp)$", re.IGNORECASE)
_WHAT = re.compile(r"^(?P<name>.*?)_?(?P<what>load|pv)$", re.IGNORECASE)
TO_KW = {"kw": 1.0, "kwh": 1.0, "w": 1e-3, "wh": 1e-3, "w_per_kw": 1e-3, "w_per_kwp": 1e-3, "kw_per_kwp": 1.0}
"""Unit -> factor to kW (an energy is divided by the hours of its interval besides)."""
UNITS = "kwh, kw, wh, w, and of pv w_per_kw or kw_per_kwp"
SAME_KW = 1e-4
"""Two values of one home and time agree within this."""
MOST_KW, LEAST_KW = 1000.0, -0.05
"""A home's power that is believed; what lies a little below 0 (a meter's or an inverter's own) counts as 0. Assumed."""


@dataclass(frozen=True)
class Odd:
    """What was not taken as it stands."""

    below: int = 0  # values a little below 0, set to 0
    doubled: int = 0  # times with two values that disagree, taken for gaps

    def __add__(self, other: Odd) -> Odd:
        return Odd(self.below + other.below, self.doubled + other.doubled)


@dataclass(frozen=True)
class Meter:
    """What was measured of some homes, kW by quarter hour; NaN where a value is missing."""

    homes: tuple[str, ...]  # (H,)
    first: pd.Timestamp  # UTC start of the first quarter
    kw: Floats32  # (n, H) float32, mean of the quarter; of `per_kwp` homes kW per kWp
    per_kwp: Flags  # (H,) bool
    minutes: tuple[int, ...]  # steps of the files
    files: tuple[str, ...]  # their names
    odd: Odd

    @property
    def end(self) -> pd.Timestamp:
        """End of the last quarter, UTC."""
        return self.first + len(self.kw) * QUARTER

    @property
    def named(self) -> str:
        """File names, for messages."""
        return ", ".join(self.files[:3]) + (f" and {len(self.files) - 3} more" if len(self.files) > 3 else "")


@dataclass(frozen=True)
class Part:
    """One home's column of one file, checked: unique, finite or missing, on the grid."""

    home: str
    ts: pd.DatetimeIndex  # (n,) UTC starts, ascending
    kw: Floats  # (n,)
    step: pd.Timedelta
    per_kwp: bool
    file: str


def part_of(
    home: str, ts: pd.DatetimeIndex, values: pd.Series, rows: Ints, unit: str, file: str, column: str
) -> tuple[Part, Odd]:
    """Check one home's column; return it in kW.

    Parameters
    ----------
    home : str
        Its name.
    ts : pandas.DatetimeIndex
        (n,) UTC starts, any order.
    values : pandas.Series
        (n,) text or numbers in `unit`.
    rows : ndarray
        (n,) 1-based data rows.
    unit : str
        One of `TO_KW`.
    file, column : str
        For messages.

    Raises
    ------
    DataError
        Off-grid times, a step that is not allowed, values that are none, or no home's.
    """
    step = modal_step(ts)
    check_step(step, len(ts), STEPS_ALLOWED, f"{file}, {column}")
    check_grid(ts, rows, min(step, QUARTER), file, "the time")
    order = np.argsort(ts.asi8, kind="stable")
    ts, rows, values = ts[order], rows[order], values.iloc[order]
    remedy = "give a number, or leave the cell empty: gaps up to 2 h are interpolated"
    kw = numbers(values, rows, file, column, remedy, gaps=True) * TO_KW[unit]
    if unit in ("kwh", "wh"):
        kw = kw / (step / pd.Timedelta(hours=1))
    bad = (kw < LEAST_KW) | (kw > MOST_KW)
    if bad.any():
        i = int(np.argmax(bad))
        low = kw[i] < LEAST_KW
        why = (
            "load and pv are gross, each by itself: a net meter's column must be split"
            if low
            else f"a home has less: {column} is read in {unit}; if that is not its unit, name the column after its unit"
        )
        raise DataError(
            f"{file}, row {rows[i]}: {column} is {shown(values.iloc[i])} {unit}, that is {kw[i]:g} kW"
            f" ({int(bad.sum())} such rows); allowed is 0 to {MOST_KW:g} kW: {why}"
        )
    made, ts, doubled = once(kw, ts)
    odd = Odd(below=int((kw < 0.0).sum()), doubled=doubled)
    return Part(home, ts, np.maximum(made, 0.0), step, "per" in unit, file), odd


def once(values: Floats, ts: pd.DatetimeIndex) -> tuple[Floats, pd.DatetimeIndex, int]:
    """Return each time once; one with two values that disagree is a gap, for which of them is right is not known.

    The last element is how many those are.
    """
    if not ts.has_duplicates:
        return values, ts, 0
    grouped = pd.Series(values, index=ts).groupby(level=0)
    differ = grouped.max() - grouped.min() > SAME_KW
    return np.asarray(grouped.first().mask(differ), dtype=np.float64), ts.unique(), int(differ.sum())


def join(parts: Sequence[Part], odd: Odd) -> Meter:
    """Lay the parts side by side on quarter hours.

    Raises
    ------
    DataError
        When two files disagree about the same home and time, or give it in different kinds of unit.
    """
    homes = tuple(dict.fromkeys(part.home for part in parts))
    at = {home: i for i, home in enumerate(homes)}
    first = min(part.ts[0] for part in parts).floor(QUARTER)
    last = max(part.ts[-1] + part.step for part in parts).ceil(QUARTER)
    n = round((last - first) / QUARTER)
    if n * len(homes) > MOST_CELLS:
        raise DataError(
            f"{parts[0].file}: {len(homes)} homes from {first.isoformat()} to {last.isoformat()} are {n} quarter hours"
            f" each; allowed are {MOST_CELLS:.0e} values: keep the rows of the months that are run"
        )
    kw = np.full((n, len(homes)), np.nan, dtype=np.float32)
    kinds: dict[str, bool] = {}
    for part in parts:
        if kinds.setdefault(part.home, part.per_kwp) != part.per_kwp:
            raise DataError(f"{part.file}: {part.home} is given in kW and per kWp; keep one of them")
        index, values = _quarters(part, first)
        column = kw[:, at[part.home]]
        there = ~np.isnan(column[index]) & ~np.isnan(values)
        differ = there & (np.abs(column[index] - values) > SAME_KW)
        if differ.any():
            when = first + int(index[int(np.argmax(differ))]) * QUARTER
            raise DataError(
                f"{part.file}: {part.home} is there twice at {when.isoformat()}, and the values disagree; give one file"
                " per home and period"
            )
        column[index] = np.where(np.isnan(values), column[index], values)
    minutes = tuple(sorted({int(part.step / pd.Timedelta(minutes=1)) for part in parts}))
    files = tuple(dict.fromkeys(part.file for part in parts))
    return Meter(homes, first, kw, np.array([kinds[home] for home in homes]), minutes, files, odd)


MOST_CELLS = 5e8
"""Most values of a series that are taken into memory (2 GB)."""


def _quarters(part: Part, first: pd.Timestamp) -> tuple[Ints, Floats32]:
    """Quarter hours since `first` that a part covers, and its mean kW in them: its energy is kept."""
    start = ((part.ts - first) // QUARTER).to_numpy().astype(np.int64)
    if part.step >= QUARTER:
        times = int(part.step / QUARTER)
        index = (start[:, None] + np.arange(times)).ravel()
        return index, np.repeat(part.kw, times).astype(np.float32)
    known = ~np.isnan(part.kw)
    index, inverse = np.unique(start, return_inverse=True)
    count = np.bincount(inverse, weights=known)
    total = np.bincount(inverse, weights=np.where(known, part.kw, 0.0))
    return index, np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def table_parts(table: pd.DataFrame, path: Path, role: str, zone: str) -> tuple[list[Part], Odd]:
    """Read a table of load or pv: long (home, time, value), wide (a column a home), or one home's own.

    Parameters
    ----------
    table : pandas.DataFrame
        As read.
    path : Path
        Its name says the unit where columns do not (`load_kwh.csv`), and the home of a file of one home.
    role : str
        `load` or `pv`.
    zone : str
        Whose wall clock times without an offset are.

    Returns
    -------
    tuple
        The parts of this role (none where a wide table holds the other role's columns alone), and what was odd.

    Raises
    ------
    DataError
        When it is none of these, or a column cannot be used.
    """
    if table.empty:
        raise DataError(f"{path.name}: no data rows; export the period again")
    when = time_column(table, path.name)
    names = lower(table)
    home = next((names[name] for name in HOME_COLUMNS if name in names), None)
    rows = np.arange(1, len(table) + 1)
    found: list[Part] = []
    odd = Odd()
    if home is not None:
        column, unit = _value_column(table, (when, home), path, role)
        of = table[home].astype(str).str.strip()
        ts = instants(table[when], zone, path.name, when, of)
        for name, at in of.groupby(of, sort=False).indices.items():
            part, more = part_of(
                home_name(str(name), path.name), ts[at], table[column].iloc[at], rows[at], unit, path.name, column
            )
            found.append(part)
            odd += more
        return found, odd
    ts = instants(table[when], zone, path.name, when)
    for column in map(str, table.columns):
        if column == when or is_clock(column):
            continue
        name, what, unit = split_column(column, path, role)
        if what != role:
            continue
        part, more = part_of(home_name(name, path.name), ts, table[column], rows, unit, path.name, column)
        found.append(part)
        odd += more
    return found, odd


def is_clock(column: str) -> bool:
    """Whether a column is another time of the same row (the end, or the local time): passed over."""
    name = column.strip().lower()
    return name.startswith(("ts_", "interval_end", "end_time", "local_time")) or name in ("end", "ts_local", "date")


def split_column(column: str, path: Path, role: str) -> tuple[str, str, str]:
    """Return home, role and unit that a column of a wide table names; what it does not say, the file's name does.

    Raises
    ------
    DataError
        When neither names a unit.
    """
    name, unit, what = column.strip(), "", role
    if (match := _UNIT.match(name)) is not None:
        name, unit = match["name"], match["unit"].lower()
    if (match := _WHAT.match(name)) is not None:
        name, what = match["name"], match["what"].lower()
    stem = path.name.split(".")[0]
    if not unit and (match := _UNIT.match(stem)) is not None and match["name"]:
        unit = match["unit"].lower()
    if not unit:
        raise DataError(
            f"{path.name}: column {shown(column)} has no unit; write it at the end of the column's or the file's name"
            f" ({column}_kwh, {role}_kwh.csv): allowed are {UNITS}. Delete columns that are no home's"
        )
    if "per" in unit and what != "pv":
        raise DataError(
            f"{path.name}: column {shown(column)}: {unit} is a unit of pv; allowed for load are kwh, kw, wh, w"
        )
    # one home's own file: `home07_load.csv` or `load_home07.csv` with a column `kwh`
    own = re.sub(rf"^{role}_?|_?{role}$", "", _UNIT.sub(r"\g<name>", stem), flags=re.IGNORECASE)
    return name or own or "home", what, unit


def _value_column(table: pd.DataFrame, others: tuple[str, ...], path: Path, role: str) -> tuple[str, str]:
    """Return the value column of a long table and its unit."""
    columns = [str(c) for c in table.columns if str(c) not in others and not is_clock(str(c))]
    with_unit = [c for c in columns if _UNIT.match(c.strip())]
    mine = [c for c in with_unit if role in c.lower()] or with_unit or [c for c in columns if c.lower() == "value"]
    if len(mine) != 1:
        raise DataError(
            f"{path.name}: columns {shown(', '.join(map(str, table.columns)))}; a long table has a home, a time and one"
            f" value, named {role}_kw or {role}_kwh ({'several' if mine else 'none'} found); allowed units are {UNITS}"
        )
    return mine[0], split_column(mine[0], path, role)[2]
