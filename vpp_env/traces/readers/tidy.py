"""Read tidy market files: one row per interval, `ts_utc` and price columns (docs/market-data.md)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.market_column import RawColumn, modal_step

NAMES = {
    "lmp_da_usd_mwh": "da",
    "lmp_rt_usd_mwh": "rt",
    "spin_usd_mw_h": "spin",
    "nonspin_usd_mw_h": "nonspin",
    "regup_usd_mw_h": "regup",
    "regdown_usd_mw_h": "regdown",
}
"""Column name -> quantity."""
_ANY_LMP = "lmp_usd_mwh"
_NODE = re.compile(r"^lmp_(?P<node>\w+)_usd_mwh$")
_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
ACCEPTED = f"{', '.join(NAMES)}, {_ANY_LMP}, lmp_<node>_usd_mwh"


def utc_instants(text: pd.Series, path: Path, name: str) -> pd.DatetimeIndex:
    """Read a time column as UTC.

    Raises
    ------
    DataError
        When a time is naive (no zone) or not readable; names the row.
    """
    if isinstance(text.dtype, pd.DatetimeTZDtype):
        if text.isna().any():
            raise DataError(f"{path.name}, row {int(np.argmax(text.isna())) + 1}: {name} is empty; delete the row")
        return pd.DatetimeIndex(text).tz_convert("UTC")
    if pd.api.types.is_datetime64_any_dtype(text.dtype):
        raise DataError(
            f"{path.name}, row 1: {name} has no time zone (got {text.iloc[0]}); localise the column, for example"
            ' df["ts_utc"].dt.tz_localize("UTC") if it is UTC, .dt.tz_localize("America/Los_Angeles") if it is local'
        )
    words = text.astype(str).str.strip()
    stamps = pd.to_datetime(words, utc=True, errors="coerce", format="ISO8601")
    if stamps.isna().any():
        i = int(np.argmax(stamps.isna()))
        raise DataError(
            f"{path.name}, row {i + 1}: {name} holds {words.iloc[i]!r}; allowed is ISO 8601 with Z or an offset,"
            " for example 2023-08-01T07:00:00Z"
        )
    zoned = words.str.contains(_ZONE)
    if not zoned.all():
        i = int(np.argmin(zoned))
        raise DataError(
            f"{path.name}, row {i + 1}: {name} holds {words.iloc[i]!r} without a time zone; write it as UTC with Z"
            " or with its offset, for example 2023-08-01T00:00:00-07:00"
        )
    return pd.DatetimeIndex(stamps)


def read_tidy(table: pd.DataFrame, path: Path) -> list[RawColumn]:
    """Return the price columns of a tidy table.

    Parameters
    ----------
    table : pandas.DataFrame
        As read, with `ts_utc`.
    path : Path
        For messages.

    Raises
    ------
    DataError
        When the times are no instants or no column is a known price.
    """
    ts = utc_instants(table["ts_utc"], path, "ts_utc")
    rows = np.arange(1, len(table) + 1)
    found = []
    for name in map(str, table.columns):
        node: str | None = None
        if name in NAMES:
            quantity = NAMES[name]
        elif name == _ANY_LMP:
            quantity = "da" if modal_step(ts) == pd.Timedelta(hours=1) else "rt"
        elif match := _NODE.match(name):
            quantity, node = "da", match["node"].lower()
        else:
            continue
        found.append(RawColumn(quantity, node, "", ts, table[name], rows, path, name))
    if not found:
        raise DataError(
            f"{path.name}: no price column among {', '.join(map(str, table.columns))}; accepted: {ACCEPTED}"
        )
    return found
