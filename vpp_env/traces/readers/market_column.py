"""One measured price column: read raw, checked once, laid on the run's steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import (
    MAX_GAP,
    check_grid,
    check_step,
    modal_step,
    no_duplicates,
    numbers,
    runs,
    shown,
)
from vpp_env.units import STEP_MINUTES, Flags, Floats, Ints

KWH_LIMIT = 2.0
"""A price column whose median absolute value is below this looks like USD/kWh: CAISO's mean is 30 to 80 USD/MWh. The
median, because one hour at the cap is 2 USD/kWh."""
MOST_USD = 1e6
"""No price is larger than this in size, whatever the caps of the scenario [assumed]."""
STEPS_ALLOWED = {"da": (60, 15, 5), "rt": (5, 15)}
"""Minutes between rows; finer day-ahead and reserve rows must repeat the hour's value."""


@dataclass(frozen=True)
class RawColumn:
    """A column as a file holds it: instants are checked, values are not."""

    quantity: str  # da, rt, spin, nonspin, regup or regdown
    node: str | None  # pricing node, None where the file names none
    run: str  # market run of a real-time price (RTPD, RTM, HASP), else ""
    ts: pd.DatetimeIndex  # (n,) UTC starts, in file order
    values: pd.Series  # (n,) text or numbers
    rows: Ints  # (n,) 1-based data rows of the file
    path: Path
    name: str  # of the column, for messages


@dataclass(frozen=True)
class Column:
    """A checked column: sorted, numeric, unique, one step."""

    quantity: str
    values: pd.Series  # float64 by UTC start
    rows: pd.Series  # 1-based data row by UTC start
    step: pd.Timedelta
    name: str
    paths: tuple[Path, ...]

    @property
    def files(self) -> str:
        """File names, for messages."""
        return ", ".join(p.name for p in self.paths)

    @property
    def end(self) -> pd.Timestamp:
        """End of the last interval, UTC."""
        return self.values.index[-1] + self.step


def check_column(parts: Sequence[RawColumn]) -> Column:
    """Check the parts of one quantity (one per file) and join them.

    Raises
    ------
    DataError
        Non-numeric, empty or infinite values, doubled or off-grid times, a step that is not allowed, values
        that look like USD/kWh.
    """
    series, rows = [], []
    for part in parts:
        no_duplicates(part.ts, part.rows, part.path.name)
        series.append(pd.Series(_numbers(part), index=part.ts))
        rows.append(pd.Series(part.rows, index=part.ts))
    values, row = pd.concat(series), pd.concat(rows)
    first = parts[0]
    where = f"{', '.join(p.path.name for p in parts)}, column {first.name}"
    twice = values.index.duplicated(keep=False)
    if twice.any():  # monthly downloads may overlap; they must then agree
        spread = values[twice].groupby(level=0).agg(np.ptp)
        if (spread > 1e-6).any():
            at = pd.Timestamp(spread.index[int(np.argmax(spread))])
            raise DataError(
                f"{where}: the files disagree at {at.isoformat()} (rows {sorted(row[at].tolist())} of theirs);"
                " give one file per period"
            )
    keep = ~values.index.duplicated()
    values, row = values[keep].sort_index(), row[keep].sort_index()
    step = modal_step(pd.DatetimeIndex(values.index))
    _check_grid(values, row, step, first.quantity, where)
    column = Column(first.quantity, values, row, step, first.name, tuple(p.path for p in parts))
    middle = float(values.abs().median())
    if first.quantity in ("da", "rt") and middle < KWH_LIMIT and float(values.abs().max()) > 0.0:
        raise DataError(
            f"{where}: half of the values are below {middle:g} (largest {float(values.abs().max()):g}), which looks"
            " like USD/kWh; prices must be USD/MWh: multiply the column by 1000"
        )
    return column if first.quantity == "rt" else _hourly(column, where)


def _numbers(part: RawColumn) -> Floats:
    """(n,) float64, or an error that names the first bad row."""
    hours = MAX_GAP / pd.Timedelta(hours=1)
    remedy = f"give a number, or delete the row: gaps up to {hours:g} h are interpolated"
    made = numbers(part.values, part.rows, part.path.name, part.name, remedy)
    large = np.abs(made) > MOST_USD
    if large.any():
        i = int(np.argmax(large))
        raise DataError(
            f"{part.path.name}, row {part.rows[i]}: {part.name} holds {shown(part.values.iloc[i])}"
            f" ({int(large.sum())} such rows); allowed are prices up to {MOST_USD:g} in size; correct the file"
        )
    return made


def _check_grid(values: pd.Series, row: pd.Series, step: pd.Timedelta, quantity: str, where: str) -> None:
    allowed = STEPS_ALLOWED.get(quantity, STEPS_ALLOWED["da"])
    hourly = quantity == "rt" and step == pd.Timedelta(hours=1)
    hint = " An hourly price is day-ahead: name it lmp_da_usd_mwh." if hourly else ""
    check_step(step, len(values), allowed, where, hint)
    check_grid(pd.DatetimeIndex(values.index), row.to_numpy(), step, where, "ts_utc")


def _hourly(column: Column, where: str) -> Column:
    """Take hourly values from finer rows, which must repeat them."""
    hour = pd.Timedelta(hours=1)
    if column.step == hour:
        return column
    group = column.values.groupby(pd.DatetimeIndex(column.values.index).floor("h"))
    spread = group.max() - group.min()
    if (spread > 1e-6).any():
        at = pd.Timestamp(spread.index[int(np.argmax(spread))])
        raise DataError(
            f"{where}, row {column.rows[at:].iloc[0]}: the price changes inside the hour from {at.isoformat()}, but"
            " day-ahead and reserve prices are hourly here. A real-time price is named lmp_rt_usd_mwh; a 15-min"
            " day-ahead market (as in the EU) is not modelled: give the mean of each hour"
        )
    rows = column.rows.groupby(pd.DatetimeIndex(column.rows.index).floor("h")).first()
    return Column(column.quantity, group.first(), rows, hour, column.name, column.paths)


def lay_on_steps(column: Column, first: pd.Timestamp, n_run: int, n_all: int) -> tuple[Floats, list[str]]:
    """Lay a column that covers the run on its 15-min steps.

    Parameters
    ----------
    column : Column
        Covers `first` .. `first` + `n_run` steps (the caller has checked).
    first : pandas.Timestamp
        UTC start of the run.
    n_run, n_all : int
        Steps of the run; steps of run and tail. What the file lacks of the tail repeats the day before.

    Returns
    -------
    tuple
        (n_all,) float64 values and notes on what was filled.

    Raises
    ------
    DataError
        When the file has a gap of more than 2 h inside the run.
    """
    step = pd.Timedelta(minutes=STEP_MINUTES)
    # what lies before the run tells what its first intervals lack
    begin = (first - MAX_GAP - column.step).floor(column.step)
    grid = pd.date_range(begin, first + n_all * step, freq=column.step, inclusive="left")
    known = column.values.reindex(grid)
    missing = known.isna().to_numpy()
    start = max(column.values.index[0], begin)
    inside = missing & np.asarray((grid < min(column.end, first + n_run * step)) & (grid > start))
    _no_long_gap(column, grid, inside)
    notes = []
    in_run = inside & np.asarray(grid > first - column.step)
    if in_run.any():
        at = grid[in_run]
        notes.append(f"{len(at)} missing intervals interpolated, first {at[0].isoformat()}")
    filled = known.interpolate(method="linear", limit_area="inside")
    steps = pd.date_range(first, periods=n_all, freq=step)
    if column.step < step:
        values = filled.groupby(grid.floor(step)).mean().reindex(steps).to_numpy(dtype=np.float64, copy=True)
    else:
        values = filled.reindex(steps.floor(column.step)).to_numpy(dtype=np.float64, copy=True)
    lacking = int(np.isnan(values).sum())
    if np.isnan(values[:n_run]).any():
        at = steps[int(np.argmax(np.isnan(values)))]
        raise DataError(
            f"{column.files}: {column.name} has no value at {at.isoformat()}, which the run needs, nor around it; add"
            " the rows, or choose a run without them"
        )
    for i in np.flatnonzero(np.isnan(values)):
        values[i] = values[i - 96] if i >= 96 else values[i - 1]
    if lacking:
        notes.append(f"last {lacking} steps behind the run repeat the day before")
    return values, notes


def _no_long_gap(column: Column, grid: pd.DatetimeIndex, missing: Flags) -> None:
    for begin, end in runs(missing):
        if (end - begin) * column.step > MAX_GAP:
            row = column.rows[: grid[begin]].iloc[-1]
            last = grid[end - 1] + column.step
            hours = (last - grid[begin]) / pd.Timedelta(hours=1)
            raise DataError(
                f"{column.files}, row {row}: after this row {column.name} has no values for {hours:g} h, from"
                f" {grid[begin].isoformat()} to {last.isoformat()}; gaps up to"
                f" {MAX_GAP / pd.Timedelta(hours=1):g} h are interpolated. Add the rows, or choose a run without them"
            )
