"""The two formats of market files: tidy tables, and raw CAISO OASIS `PRC_LMP` downloads (docs/market-data.md).

A tidy table has one row per interval, `ts_utc` and price columns. OASIS has unsorted rows, five LMP types and several
market runs.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import modal_step, utc_instants, words
from vpp_env.traces.readers.market_column import RawColumn
from vpp_env.traces.readers.names import MOST_NAME
from vpp_env.units import Ints

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
ACCEPTED = f"{', '.join(NAMES)}, {_ANY_LMP}, lmp_<node>_usd_mwh"

START = "INTERVALSTARTTIME_GMT"
VALUES = ("MW", "PRC", "VALUE")
"""Names under which OASIS reports the price, by report."""
RUNS = {"DAM": "da", "RTPD": "rt", "RTM": "rt", "HASP": "rt"}
"""Market run -> quantity."""
RT_ORDER = ("RTPD", "RTM", "HASP")
"""Real-time runs, best first: the 15-min market, the 5-min market (averaged), the hour-ahead one."""
_NEEDED = (START, "MARKET_RUN_ID", "LMP_TYPE")


class UnusableFileError(DataError):
    """A file that holds no price of any use; in a folder it is passed over, named alone it is an error."""


def is_price(name: str) -> bool:
    """Whether a column of this name is a price of a tidy table."""
    return name in NAMES or name == _ANY_LMP or _NODE.match(name) is not None


def read_tidy(table: pd.DataFrame, path: Path, *, ending: bool = False) -> list[RawColumn]:
    """Return the price columns of a tidy table.

    Parameters
    ----------
    table : pandas.DataFrame
        As read, with `ts_utc`.
    path : Path
        For messages.
    ending : bool
        Whether its times are the ends of intervals, which are as long as its rows are apart.

    Raises
    ------
    DataError
        When the times are no instants.
    UnusableFileError
        When no column is a known price.
    """
    if not any(is_price(str(name)) for name in table.columns):
        there = ", ".join(str(name)[:MOST_NAME] for name in table.columns[:20])
        raise UnusableFileError(f"{path.name}: no price column among {there}; accepted: {ACCEPTED}")
    ts = utc_instants(table["ts_utc"], path.name, "ts_utc")
    if ending:
        ts = ts - modal_step(ts)
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
    return found


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
        When it is another OASIS report, or holds no LMP rows of a known market run: `UnusableFileError` where it holds
        no price at all.
    """
    value = next((name for name in VALUES if name in table.columns), None)
    node = next((name for name in ("NODE", "NODE_ID", "PNODE_RESMRID") if name in table.columns), None)
    absent = [name for name in _NEEDED if name not in table.columns]
    if absent or value is None or node is None:
        raise UnusableFileError(
            f"{path.name}: an OASIS file without {', '.join(absent) or 'MW or NODE'} (columns:"
            f" {', '.join(map(str, table.columns))}); download the report PRC_LMP (or PRC_INTVL_LMP, PRC_RTPD_LMP)"
        )
    rows = np.arange(1, len(table) + 1)
    is_lmp = (words(table["LMP_TYPE"]) == "LMP").to_numpy()
    if not is_lmp.any():
        raise UnusableFileError(
            f"{path.name}: no row has LMP_TYPE = LMP (types: {', '.join(sorted(set(words(table['LMP_TYPE']))))});"
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
        ts = oasis_instants(part[START], at, path)
        found.append(RawColumn(RUNS[run], str(name), str(run), ts, part[value], at, path, f"{value} of {name} {run}"))
    return found


def oasis_instants(text: pd.Series, rows: Ints, path: Path) -> pd.DatetimeIndex:
    """Read the starts; OASIS writes UTC as 2019-04-01T07:00:00-00:00."""
    stamps = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    if stamps.isna().any():
        i = int(np.argmax(stamps.isna()))
        raise DataError(
            f"{path.name}, row {rows[i]}: {START} holds {text.iloc[i]!r}; allowed is ISO 8601 as OASIS writes it,"
            " 2019-04-01T07:00:00-00:00"
        )
    return utc_instants(text, path.name, START)
