"""Files of market data: which a path stands for, and how each is read (docs/market-data.md)."""

from __future__ import annotations

import glob
import io
import re
import zipfile
import zlib
from pathlib import Path

import pandas as pd

from vpp_env.data.months import find_real_month, is_real_month
from vpp_env.errors import DataError
from vpp_env.traces.readers.check import MOST_BYTES, read_table, shown, words
from vpp_env.traces.readers.exports import is_gridstatus, is_reserves, plain_name, read_gridstatus, read_reserves
from vpp_env.traces.readers.formats import START, UnusableFileError, is_price, read_oasis, read_tidy
from vpp_env.traces.readers.market_column import RawColumn
from vpp_env.traces.readers.names import MOST_NAME, TIME_COLUMNS

KINDS = (".csv", ".csv.gz", ".parquet", ".zip")
"""Endings of the files that are read."""
ENDING = "ending:"
"""What stands before a path whose times are the ends of intervals: hour-ending labels."""
HOUR_ENDING = ("hour_ending", "he", "opr_hr", "interval_end", "interval_end_utc", "interval_end_local")
"""Columns, in lower case with underscores, that say when an interval ends."""
DATES = (
    "date",
    "day",
    "opr_dt",
    "opr_date",
    "trade_date",
    "delivery_date",
    "operating_day",
    "market_day",
    "market_date",
)
"""Columns, so written, that hold a local date."""
HOUR_OF_DAY = re.compile(r"hours?|hr|(hours?|hr)_?end(ing)?|he|opr_?(hr|hour)|(he|hr|hour|h)_?0?1")
"""Columns, so written, that hold the number of an hour, or one column for each, of which this is the first."""
CLOCK = r"[T ](?!00:00)\d\d:\d\d"
"""In what is no bare date: a time of day."""


def is_ending(path: str | Path) -> bool:
    """Whether a path is said to hold times that are the ends of intervals."""
    return str(path).startswith(ENDING)


def _plain(path: str | Path) -> str:
    return str(path).removeprefix(ENDING)


def resolve_paths(path: str | Path) -> list[Path]:
    """Return the files that a measured month, path, folder, glob pattern or comma-separated list stands for, sorted.

    Raises
    ------
    DataError
        When one of them stands for no file.
    UnknownNameError
        When it is the name of a measured month that the package has not.
    """
    if is_real_month(path):
        return list(find_real_month(str(path)).files)
    found: list[Path] = []
    text = _plain(path)
    whole = [text] if Path(text).exists() else text.split(",")
    for part in (Path(p.strip()) for p in whole):
        if part.is_dir():
            files = sorted(f for f in part.iterdir() if f.name.lower().endswith(KINDS) and not f.name.startswith("."))
        elif part.is_file():
            files = [part]
        else:
            files = sorted(Path(f) for f in glob.glob(str(part)))
        if not files:
            raise DataError(
                f"market data {shown(str(part))}: no such file, folder with .csv, .zip or .parquet files, or pattern; "
                "give an existing path (docs/market-data.md)"
            )
        found += files
    return list(dict.fromkeys(found))


def read_all(path: str | Path) -> tuple[list[RawColumn], list[str]]:
    """Read all files of a path; of a folder, those that hold no prices are passed over and named."""
    raw: list[RawColumn] = []
    skipped: list[str] = []
    folder = not is_real_month(path) and Path(_plain(path)).is_dir()
    for file in resolve_paths(path):
        try:
            raw += read_market_file(file, ending=is_ending(path))
        except UnusableFileError:
            if not folder:
                raise
            skipped.append(file.name)
    if not raw:
        raise DataError(f"market data {shown(str(path))}: none of its files holds prices ({', '.join(skipped)})")
    return raw, skipped


def _unzipped(path: Path, *, ending: bool) -> list[RawColumn]:
    """Read the CSV files of a zip archive, as OASIS sends them; what macOS leaves in one is passed over.

    One file for each of OASIS's LMP types is usual; those without a price of use are left out.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = [f for f in archive.infolist() if f.filename.lower().endswith(".csv")]
            files = [f for f in files if not (f.filename.startswith("__MACOSX") or Path(f.filename).name[0] == ".")]
            size = sum(f.file_size for f in files)
            if size > MOST_BYTES:
                raise DataError(f"{path.name}: unpacks to {size} bytes; allowed are {MOST_BYTES}, split it")
            tables = [
                _text_table(io.BytesIO(archive.read(f)), f"{path.name}: {f.filename}")
                for f in sorted(files, key=lambda f: f.filename)
            ]
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"{path.name}: not a readable .zip file ({told}); download it again") from error
    found: list[RawColumn] = []
    why = f"{path.name}: no .csv file in it; download the report as CSV (an archive of .xml says why OASIS sent none)"
    for table in tables:
        try:
            found += _columns_of(table, path, ending=ending)
        except UnusableFileError as error:
            why = str(error)
    if not found:
        raise UnusableFileError(why)
    return found


def _text_table(content: io.BytesIO, where: str) -> pd.DataFrame:
    """Read a CSV file as text."""
    if not content.getbuffer().nbytes:
        return pd.DataFrame()
    try:
        return pd.read_csv(content, dtype=str)
    except ValueError as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"{where} is not a readable .csv file ({told}); download it again") from error


def read_market_file(path: Path, *, ending: bool = False) -> list[RawColumn]:
    """Read one file into raw columns: tidy, OASIS or gridstatus; a zip archive of CSV files counts as one.

    Parameters
    ----------
    path : Path
        The file.
    ending : bool
        Whether the times of a tidy file are the ends of intervals.

    Raises
    ------
    DataError
        When the file is unreadable, or its prices cannot be used.
    UnusableFileError
        When it is empty or holds no prices.
    """
    suffix = next((kind for kind in KINDS if path.name.lower().endswith(kind)), "")
    if not suffix:
        got = path.suffix.lower() or "nameless"
        raise DataError(f"{path.name}: got a {got} file; allowed are .csv, .csv.gz, .parquet and .zip")
    if suffix == ".zip":
        return _unzipped(path, ending=ending)
    if path.stat().st_size == 0:
        raise UnusableFileError(f"{path.name}: is empty; export it again")
    return _columns_of(read_table(path), path, ending=ending)


def _columns_of(table: pd.DataFrame, path: Path, *, ending: bool) -> list[RawColumn]:
    """Tell the shape of a table and read it."""
    if table.empty:
        raise UnusableFileError(f"{path.name}: no data rows; export the period again")
    if START.lower() in map(str, table.columns):
        table = table.rename(columns=str.upper)
    _refuse_numbered_hours(table, path)
    table = _flat(table)
    known = is_reserves(table) or START in table.columns
    tidy = "ts_utc" in table.columns
    if ending and (known or not tidy):
        raise DataError(
            f"{path.name}: {ENDING} says that ts_utc is the end of an interval, but this file has"
            f" {START if known else 'no ts_utc'}; leave {ENDING} out, or name the column ts_utc"
        )
    if is_reserves(table):
        return read_reserves(table, path)
    if START in table.columns:
        return read_oasis(table, path)
    if tidy:
        return read_tidy(table, path, ending=ending)
    if is_gridstatus(table):
        return read_gridstatus(table, path)
    there = [str(name)[:MOST_NAME] for name in table.columns]
    ends = [name for name, low in zip(there, map(plain_name, there), strict=True) if low in HOUR_ENDING]
    remedy = "name the UTC start of each interval ts_utc"
    if ends:
        remedy = f"{ends[0]} is the end of an interval: write it in UTC as ts_utc, and put {ENDING} before the path"
    raise UnusableFileError(
        f"{path.name}: neither ts_utc (tidy) nor {START} (OASIS) nor Interval Start and LMP (gridstatus) among the"
        f" columns {', '.join(there[:20])}{' ...' if len(there) > 20 else ''}; {remedy}"
    )


def _refuse_numbered_hours(table: pd.DataFrame, path: Path) -> None:
    """Raise `UnusableFileError` where times are a local date and the number of an hour, of no zone."""
    if START in table.columns or isinstance(table.index, pd.DatetimeIndex) or is_gridstatus(table):
        return
    names = {plain_name(str(name)): str(name)[:MOST_NAME] for name in reversed(table.columns)}
    dates = [names[name] for name in DATES if name in names]
    hours = [name for low, name in names.items() if HOUR_OF_DAY.fullmatch(low)]
    clock = any(name in names for name in TIME_COLUMNS if name not in DATES)
    if dates and hours and not clock and not words(table[dates[0]]).str.contains(CLOCK).any():
        raise UnusableFileError(
            f"{path.name}: {dates[0]} and {hours[0]} are a date and the number of an hour of some local clock, without"
            " its zone; write the UTC start of each hour as ts_utc. Where hours are counted 1 to 24, and 1 to 23 or 25"
            f" when the clock changes: pandas.to_datetime(table[{dates[0]!r}]).dt.tz_localize('America/Los_Angeles')"
            f".dt.tz_convert('UTC') + pandas.to_timedelta(table[{hours[0]!r}] - 1, 'h')"
        )


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Make columns of an index that has names or times, and call the times of a tidy table ts_utc."""
    if isinstance(table.index, pd.DatetimeIndex) and "ts_utc" not in table.columns:
        table = table.rename_axis("ts_utc").reset_index()
    elif any(name is not None and name not in table.columns for name in table.index.names):
        table = table.reset_index()
    if "ts_utc" in table.columns or not any(is_price(str(name)) for name in table.columns):
        return table
    names = {plain_name(str(name)): name for name in reversed(table.columns)}
    # an index without a name is a first column without one
    found = next((names[name] for name in (*TIME_COLUMNS, "unnamed:_0") if name in names), None)
    return table if found is None else table.rename(columns={found: "ts_utc"})
