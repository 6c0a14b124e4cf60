"""Read raw CAISO OASIS `PRC_LMP` downloads: unsorted rows, five LMP types, several market runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.market_column import RawColumn
from vpp_env.traces.readers.tidy import utc_instants

START = "INTERVALSTARTTIME_GMT"
VALUES = ("MW", "PRC", "VALUE")
"""Names under which OASIS reports the price, by report."""
RUNS = {"DAM": "da", "RTPD": "rt", "RTM": "rt", "HASP": "rt"}
"""Market run -> quantity."""
RT_ORDER = ("RTPD", "RTM", "HASP")
"""Real-time runs, best first: the 15-min market, the 5-min market (averaged), the hour-ahead one."""
_NEEDED = (START, "MARKET_RUN_ID", "LMP_TYPE")


def read_oasis(table: pd.DataFrame, path: Path) -> list[RawColumn]:
    """Return a column per node and market run; of the five LMP types only `LMP` itself is used.

    Parameters
    ----------
    table : pandas.DataFrame
        Text as downloaded.
    path : Path
        For messages.

    Raises
    ------
    DataError
        When it is another OASIS report, or holds no LMP rows of a known market run.
    """
    value = next((name for name in VALUES if name in table.columns), None)
    node = next((name for name in ("NODE", "NODE_ID", "PNODE_RESMRID") if name in table.columns), None)
    absent = [name for name in _NEEDED if name not in table.columns]
    if absent or value is None or node is None:
        raise DataError(
            f"{path.name}: an OASIS file without {', '.join(absent) or 'MW or NODE'} (columns:"
            f" {', '.join(map(str, table.columns))}); download the report PRC_LMP (or PRC_INTVL_LMP, PRC_RTPD_LMP)"
        )
    rows = np.arange(1, len(table) + 1)
    is_lmp = (table["LMP_TYPE"].astype(str).str.strip() == "LMP").to_numpy()
    if not is_lmp.any():
        raise DataError(
            f"{path.name}: no row has LMP_TYPE = LMP (types: {', '.join(sorted(set(table['LMP_TYPE'].astype(str))))});"
            " download all types or LMP"
        )
    used, rows = table[is_lmp].reset_index(drop=True), rows[is_lmp]
    found = []
    for (run, name), part in used.groupby(["MARKET_RUN_ID", node], sort=True):
        if run not in RUNS:
            raise DataError(
                f"{path.name}, row {rows[part.index[0]]}: MARKET_RUN_ID {run!r}; allowed: {', '.join(RUNS)}"
            )
        at = rows[part.index.to_numpy()]
        ts = _instants(part[START], at, path)
        found.append(RawColumn(RUNS[run], str(name), str(run), ts, part[value], at, path, f"{value} of {name} {run}"))
    return found


def _instants(text: pd.Series, rows: np.ndarray, path: Path) -> pd.DatetimeIndex:
    """Read the starts; OASIS writes UTC as 2019-04-01T07:00:00-00:00."""
    stamps = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    if stamps.isna().any():
        i = int(np.argmax(stamps.isna()))
        raise DataError(
            f"{path.name}, row {rows[i]}: {START} holds {text.iloc[i]!r}; allowed is ISO 8601 as OASIS writes it,"
            " 2019-04-01T07:00:00-00:00"
        )
    return utc_instants(text, path, START)
