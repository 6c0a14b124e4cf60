"""The one checker of measured time series: prices, meters and weather.

Zone, clock changes, order, doubled times, numbers, steps, gaps. Errors say what was got, what is allowed, what to do.
"""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError, needs, shortened
from vpp_env.units import Flags, Floats, Ints

MAX_GAP = pd.Timedelta(hours=2)
"""Longest gap that is filled by interpolation; a longer one is an error. Assumed."""
MOST_BYTES = 500_000_000
"""Most that a compressed file may unpack to: a year of raw five-minute prices of four areas has 300 MB [assumed]."""
MOST_CELLS = 500_000_000
"""Most cells of a parquet file, which may take no room in it: 4 GB of numbers [assumed]."""
_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_EMPTY = ("", "nan", "null", "none", "na", "n/a")


def shown(value: object) -> str:
    """Return a value of a file for a message: in one line, and not longer than is read."""
    return shortened(repr(value) if isinstance(value, str) else repr(str(value)))


def _unpacked(path: Path) -> Path | io.BytesIO:
    """Return what a compressed file holds, if it is not more than may be read; any other file as it is."""
    if not path.name.lower().endswith(".gz"):
        return path
    with gzip.open(path) as packed:
        content = packed.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(f"{path.name}: unpacks to more than {MOST_BYTES} bytes; allowed are {MOST_BYTES}, split it")
    return io.BytesIO(content)


def _parquet(path: Path) -> pd.DataFrame:
    from pyarrow.parquet import read_metadata

    said = read_metadata(path)
    if said.num_rows * said.num_columns > MOST_CELLS:
        size = f"{said.num_rows} rows of {said.num_columns} columns"
        raise DataError(f"{path.name}: has {size}; allowed are {MOST_CELLS} cells, split it")
    return pd.read_parquet(path)


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file (as text; `.csv.gz` too) or a parquet file.

    Raises
    ------
    DataError
        When the file is no such file, or damaged.
    """
    suffix = ".parquet" if path.name.lower().endswith(".parquet") else ".csv"
    try:
        with needs(f"reading {path.name}", "bench"):  # parquet: pyarrow
            table = _parquet(path) if suffix == ".parquet" else pd.read_csv(_unpacked(path), dtype=str)
    # pandas' and arrow's parser errors are ValueErrors or OSErrors; a cut or damaged gzip file raises the others
    except DataError:
        raise
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, MemoryError) as error:
        told = " ".join(str(error).split())[:300]
        raise DataError(f"{path.name}: not a readable {suffix} file ({told}); export it again") from error
    if suffix == ".csv" and len(table.columns) == 1:
        other = next((mark for mark in (";", "\t", "|") if mark in str(table.columns[0])), None)
        if other is not None:
            raise DataError(
                f"{path.name}: columns are separated by {other!r}; allowed are commas, and a point in numbers"
            )
    if suffix == ".csv" and not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path.name}: rows have more cells than the header; give every column a name")
    for column, values in table.items():
        if values.dtype == object and not values.map(lambda x: x is None or pd.api.types.is_scalar(x)).all():
            raise DataError(f"{path.name}: column {column} holds lists or tables; allowed are numbers, text and times")
        if values.dtype == object and values.map(lambda x: isinstance(x, bytes)).any():
            raise DataError(f"{path.name}: column {column} holds bytes; allowed are numbers, text and times")
    return table


def _row(rows: Ints | None, i: int) -> int:
    """1-based data row of element i, for messages."""
    return i + 1 if rows is None else int(rows[i])


def utc_instants(text: pd.Series, where: str, name: str, rows: Ints | None = None) -> pd.DatetimeIndex:
    """Read a time column as UTC; `rows` are the 1-based data rows of its elements, 1, 2, ... without.

    Raises
    ------
    DataError
        When a time is naive (no zone) or not readable; names the row.
    """
    if isinstance(text.dtype, pd.DatetimeTZDtype):
        if text.isna().any():
            raise DataError(f"{where}, row {_row(rows, int(np.argmax(text.isna())))}: {name} is empty; delete the row")
        return pd.DatetimeIndex(text).tz_convert("UTC")
    if pd.api.types.is_datetime64_any_dtype(text.dtype):
        raise DataError(
            f"{where}, row {_row(rows, 0)}: {name} has no time zone (got {shown(text.iloc[0])}); localise the column,"
            ' for example df["ts_utc"].dt.tz_localize("UTC") if it is UTC, .dt.tz_localize("America/Los_Angeles") if'
            " it is local"
        )
    words = text.astype(str).str.strip()
    stamps = pd.to_datetime(words, utc=True, errors="coerce", format="ISO8601")
    if stamps.isna().any():
        i = int(np.argmax(stamps.isna()))
        raise DataError(
            f"{where}, row {_row(rows, i)}: {name} holds {shown(words.iloc[i])}; allowed is ISO 8601 with Z or an"
            " offset, for example 2023-08-01T07:00:00Z"
        )
    zoned = words.str.contains(_ZONE)
    if not zoned.all():
        i = int(np.argmin(zoned))
        raise DataError(
            f"{where}, row {_row(rows, i)}: {name} holds {shown(words.iloc[i])} without a time zone; write it as UTC"
            " with Z or with its offset, for example 2023-08-01T00:00:00-07:00"
        )
    return pd.DatetimeIndex(stamps)


def instants(
    text: pd.Series,
    zone: str,
    where: str,
    name: str,
    of: pd.Series | None = None,
    rows: Ints | None = None,
    *,
    skipped: bool = False,
) -> pd.DatetimeIndex:
    """Read a time column as UTC; times without an offset are the wall clock of `zone`.

    An hour that the clock shows twice is the first one where a series has it first, and the second where it has it
    again.

    Parameters
    ----------
    text : pandas.Series
        (n,) times: with offsets, or none of them.
    zone : str
        IANA name.
    where, name : str
        File and column, for messages.
    of : pandas.Series, optional
        (n,) to which series (home) a time belongs; None: all to one.
    rows : ndarray, optional
        (n,) 1-based data rows, for messages; 1, 2, ... without.
    skipped : bool
        Whether a time that the clock skips is the first one after it, and no error.

    Raises
    ------
    DataError
        When a time cannot be read, or the wall clock never shows it; names the row.
    """
    if isinstance(text.dtype, pd.DatetimeTZDtype):
        return utc_instants(text, where, name, rows)
    if pd.api.types.is_datetime64_any_dtype(text.dtype):
        wall = text
    else:
        words = text.astype(str).str.strip()
        zoned = words.str.contains(_ZONE)
        if zoned.any():
            return utc_instants(text, where, name, rows)
        wall = pd.to_datetime(words, errors="coerce", format="ISO8601")
    if wall.isna().any():
        i = int(np.argmax(wall.isna()))
        raise DataError(
            f"{where}, row {_row(rows, i)}: {name} holds {shown(text.iloc[i])}; allowed is ISO 8601, for example"
            f" 2023-08-01T07:00:00Z, or 2023-08-01 00:00 for the wall clock of {zone}"
        )
    keys = [wall.to_numpy()] if of is None else [of.to_numpy(), wall.to_numpy()]
    again = wall.groupby(keys).cumcount().to_numpy() > 0
    local = pd.DatetimeIndex(wall).tz_localize(
        zone, ambiguous=~again, nonexistent="shift_forward" if skipped else "NaT"
    )
    if local.isna().any():
        i = int(np.argmax(local.isna()))
        raise DataError(
            f"{where}, row {_row(rows, i)}: {name} holds {shown(text.iloc[i])}, which the clock of {zone} skips;"
            " delete such rows, or write all times in UTC with Z (a meter that stays on standard time)"
        )
    return local.tz_convert("UTC")


def words(column: pd.Series) -> pd.Series:
    """Return a column as text without blanks around it; what is missing is empty."""
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()


def modal_step(ts: pd.DatetimeIndex) -> pd.Timedelta:
    """Most frequent distance of neighbouring instants; 0 where there is only one."""
    gaps = np.diff(np.unique(ts.asi8))
    if len(gaps) == 0:
        return pd.Timedelta(0)
    sizes, counts = np.unique(gaps, return_counts=True)
    return pd.Timedelta(int(sizes[np.argmax(counts)]), unit=ts.unit)


def is_empty(value: object) -> bool:
    """Whether a cell holds nothing: empty, NaN, null, n/a."""
    return bool(pd.isna(value)) or str(value).strip().lower() in _EMPTY  # type: ignore[call-overload]


def numbers(values: pd.Series, rows: Ints, where: str, name: str, remedy: str, *, gaps: bool = False) -> Floats:
    """(n,) float64, or an error that names the first bad row.

    Parameters
    ----------
    values : pandas.Series
        (n,) text or numbers.
    rows : ndarray
        (n,) 1-based data rows of the file.
    where, name, remedy : str
        File, column and what to do, for messages.
    gaps : bool
        Whether an empty cell is a gap (NaN), and no error.
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        values = values.astype(str)  # pandas would count nanoseconds, or flags
    made = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(made)
    if gaps and bad.any():
        at = np.flatnonzero(bad)
        bad[at] = [not is_empty(values.iloc[i]) for i in at]
    if bad.any():
        i = int(np.argmax(bad))
        got = values.iloc[i]
        what = "is empty (NaN)" if is_empty(got) else f"holds {shown(got)}, which is no finite number"
        raise DataError(f"{where}, row {rows[i]}: {name} {what} ({int(bad.sum())} such rows); {remedy}")
    return made


def no_duplicates(ts: pd.DatetimeIndex, rows: Ints, where: str) -> None:
    """Raise `DataError` where an interval is there more than once."""
    again = ts.duplicated()
    if again.any():
        i = int(np.argmax(again))
        raise DataError(
            f"{where}, row {rows[i]}: {ts[i].isoformat()} is there more than once (rows"
            f" {', '.join(map(str, rows[ts == ts[i]]))}); keep one row per interval. Local times labelled as UTC double"
            " the hour in which daylight saving ends"
        )


def check_step(step: pd.Timedelta, n: int, allowed: tuple[int, ...], where: str, hint: str = "") -> None:
    """Raise `DataError` where rows are not as far apart as is allowed, in minutes."""
    minutes = step / pd.Timedelta(minutes=1)
    if minutes not in allowed:
        raise DataError(
            f"{where}: rows are {minutes:g} min apart ({n} rows); allowed are"
            f" {' or '.join(map(str, sorted(allowed)))} min.{hint}"
        )


def check_grid(ts: pd.DatetimeIndex, rows: Ints, step: pd.Timedelta, where: str, name: str) -> None:
    """Raise `DataError` where a time is not on the grid of `step`."""
    off = ts.floor(step) != ts
    if off.any():
        i = int(np.argmax(off))
        raise DataError(
            f"{where}, row {rows[i]}: {ts[i].isoformat()} is not on the {step / pd.Timedelta(minutes=1):g}-min grid;"
            f" {name} must be the start of the interval"
        )


def runs(flags: Flags) -> Ints:
    """(k, 2) begin and end (not included) of every run of True."""
    return np.flatnonzero(np.diff(np.r_[0, flags.astype(np.int8), 0])).reshape(-1, 2)
