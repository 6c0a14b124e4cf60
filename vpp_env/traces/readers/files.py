"""Files of market data: which a path stands for, and how each is read (docs/market-data.md)."""

from __future__ import annotations

import glob
import io
import zipfile
from pathlib import Path

import pandas as pd

from vpp_env.data.months import find_real_month, is_real_month
from vpp_env.errors import DataError
from vpp_env.traces.readers.check import read_table
from vpp_env.traces.readers.exports import is_gridstatus, is_reserves, read_gridstatus, read_reserves
from vpp_env.traces.readers.formats import START, UnusableFileError, read_oasis, read_tidy
from vpp_env.traces.readers.market_column import RawColumn

KINDS = (".csv", ".csv.gz", ".parquet", ".zip")
"""Endings of the files that are read."""


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
    whole = [str(path)] if Path(path).exists() else str(path).split(",")
    for part in (Path(p.strip()) for p in whole):
        if part.is_dir():
            files = sorted(f for f in part.iterdir() if f.name.lower().endswith(KINDS) and not f.name.startswith("."))
        elif part.is_file():
            files = [part]
        else:
            files = sorted(Path(f) for f in glob.glob(str(part)))
        if not files:
            raise DataError(
                f"market data {str(part)!r}: no such file, folder with .csv, .zip or .parquet files, or pattern; "
                "give an existing path (docs/market-data.md)"
            )
        found += files
    return list(dict.fromkeys(found))


def read_all(path: str | Path) -> tuple[list[RawColumn], list[str]]:
    """Read all files of a path; of a folder, those that hold no prices are passed over and named."""
    raw: list[RawColumn] = []
    skipped: list[str] = []
    folder = not is_real_month(path) and Path(path).is_dir()
    for file in resolve_paths(path):
        try:
            raw += read_market_file(file)
        except UnusableFileError:
            if not folder:
                raise
            skipped.append(file.name)
    if not raw:
        raise DataError(f"market data {str(path)!r}: none of its files holds prices ({', '.join(skipped)})")
    return raw, skipped


def _unzipped(path: Path) -> list[RawColumn]:
    """Read the CSV files of a zip archive, as OASIS sends them; what macOS leaves in one is passed over."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in sorted(archive.namelist()) if n.lower().endswith(".csv")]
            names = [n for n in names if not (n.startswith("__MACOSX") or Path(n).name.startswith("."))]
            tables = [pd.read_csv(io.BytesIO(archive.read(n)), dtype=str) for n in names]
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path.name}: not a readable .zip file ({error}); download it again") from error
    if not tables:
        raise UnusableFileError(f"{path.name}: no .csv file in it; download the report as CSV")
    return [column for table in tables for column in _columns_of(table, path)]


def read_market_file(path: Path) -> list[RawColumn]:
    """Read one file into raw columns: tidy, OASIS or gridstatus; a zip archive of CSV files counts as one.

    Raises
    ------
    DataError
        When the file is unreadable, empty or of no known shape.
    """
    suffix = next((kind for kind in KINDS if path.name.lower().endswith(kind)), "")
    if not suffix:
        got = path.suffix.lower() or "nameless"
        raise DataError(f"{path.name}: got a {got} file; allowed are .csv, .csv.gz, .parquet and .zip")
    if suffix == ".zip":
        return _unzipped(path)
    return _columns_of(read_table(path), path)


def _columns_of(table: pd.DataFrame, path: Path) -> list[RawColumn]:
    """Tell the shape of a table and read it."""
    if table.empty:
        raise DataError(f"{path.name}: no data rows; export the period again")
    if isinstance(table.index, pd.DatetimeIndex) and "ts_utc" not in table.columns:
        # times as the index, whatever it is called
        table = table.rename_axis("ts_utc").reset_index()
    elif table.index.name == "ts_utc":
        table = table.reset_index()
    if is_reserves(table):
        return read_reserves(table, path)
    if START in table.columns:
        return read_oasis(table, path)
    if "ts_utc" in table.columns:
        return read_tidy(table, path)
    if is_gridstatus(table):
        return read_gridstatus(table, path)
    raise UnusableFileError(
        f"{path.name}: neither ts_utc (tidy) nor {START} (OASIS) nor Interval Start and LMP (gridstatus) among the"
        f" columns {', '.join(map(str, table.columns))}; name the UTC start of each interval ts_utc"
    )
