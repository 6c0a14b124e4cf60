"""Two more shapes of market files: OASIS `PRC_AS` (reserve prices), and exports of gridstatus (docs/market-data.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import modal_step, utc_instants, words
from vpp_env.traces.readers.formats import START, oasis_instants
from vpp_env.traces.readers.market_column import RawColumn

ANC = {"RU": "regup", "RD": "regdown", "SR": "spin", "NR": "nonspin"}
"""OASIS ANC_TYPE -> product; mileage (RMU, RMD) is not used."""
REGIONS = ("AS_CAISO_EXP", "AS_CAISO")
"""Regions whose price the whole system pays, best first; a file of one region needs none of them."""
GRIDSTATUS_START = ("interval_start_utc", "interval_start", "interval_start_local", "time")
"""Names of the start of an interval, best first, in lower case with underscores: gridstatus.io, gridstatus."""
MARKETS = {
    "DAY_AHEAD_HOURLY": ("da", ""),
    "REAL_TIME_15_MIN": ("rt", "RTPD"),
    "REAL_TIME_5_MIN": ("rt", "RTM"),
    "REAL_TIME_HOURLY": ("rt", "HASP"),
}
"""gridstatus market -> quantity and OASIS run."""
RESERVES = {
    "spinning_reserves": "spin",
    "non_spinning_reserves": "nonspin",
    "regulation_up": "regup",
    "regulation_down": "regdown",
}


def is_reserves(table: pd.DataFrame) -> bool:
    """Whether a table is an OASIS report of reserve prices."""
    return {START, "ANC_TYPE"} <= set(table.columns)


def read_reserves(table: pd.DataFrame, path: Path) -> list[RawColumn]:
    """Return a column per product of an OASIS `PRC_AS` file, of the system's region.

    Raises
    ------
    DataError
        When it names no known product or price, or regions of which none is the system's.
    """
    value = next((name for name in ("MW", "PRC", "VALUE") if name in table.columns), None)
    known = words(table["ANC_TYPE"]).isin(ANC)
    if "XML_DATA_ITEM" in table.columns:  # a price, not the quantity that was bought
        known &= words(table["XML_DATA_ITEM"]).str.endswith("_PRC")
    if value is None or not known.any():
        raise DataError(
            f"{path.name}: an OASIS file of reserves without prices of {', '.join(ANC)} (ANC_TYPE) in MW, PRC or VALUE;"
            " download the report PRC_AS"
        )
    rows, used = np.flatnonzero(known) + 1, table[known].reset_index(drop=True)
    if "ANC_REGION" in used.columns:
        regions = words(used["ANC_REGION"])
        region = _region(sorted(set(regions)), path)
        at = (regions == region).to_numpy()
        rows, used = rows[at], used[at].reset_index(drop=True)
    found = []
    for kind, part in used.groupby(words(used["ANC_TYPE"]), sort=True):
        at = rows[part.index.to_numpy()]
        ts = oasis_instants(part[START], at, path)
        found.append(RawColumn(ANC[str(kind)], None, "", ts, part[value], at, path, f"{value} of {kind}"))
    return found


def _region(there: list[str], path: Path) -> str:
    for region in REGIONS:
        if region in there:
            return region
    if len(there) == 1:
        return there[0]
    raise DataError(
        f"{path.name}: regions {', '.join(there)}, none of which is the system's ({', '.join(REGIONS)}); keep the rows"
        " of one region"
    )


def plain_name(name: str) -> str:
    """Return a name in lower case with underscores."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _names(table: pd.DataFrame) -> dict[str, str]:
    """Lower case with underscores -> name of the column."""
    return {plain_name(str(c)): str(c) for c in table.columns}


def is_gridstatus(table: pd.DataFrame) -> bool:
    """Whether a table looks like a frame or an export of gridstatus."""
    names = _names(table)
    return any(s in names for s in GRIDSTATUS_START) and ("lmp" in names or any(r in names for r in RESERVES))


def read_gridstatus(table: pd.DataFrame, path: Path) -> list[RawColumn]:
    """Return the price columns of a gridstatus table: LMP by location and market, or reserves by region.

    Raises
    ------
    DataError
        When the times are no instants, a market is not known, or regions are several without the system's.
    """
    names = _names(table)
    start = names[next(s for s in GRIDSTATUS_START if s in names)]
    ts, rows = utc_instants(table[start], path.name, start), np.arange(1, len(table) + 1)
    if "lmp" not in names:
        at = np.ones(len(table), dtype=np.bool_)
        if "region" in names:
            regions = words(table[names["region"]])
            at = (regions == _region(sorted(set(regions)), path)).to_numpy()
        return [
            RawColumn(product, None, "", ts[at], table[names[key]][at], rows[at], path, names[key])
            for key, product in RESERVES.items()
            if key in names
        ]
    step = modal_step(ts)
    guess = "DAY_AHEAD_HOURLY" if step == pd.Timedelta(hours=1) else "REAL_TIME_15_MIN"
    guess = "REAL_TIME_5_MIN" if step == pd.Timedelta(minutes=5) else guess
    market = words(table[names["market"]]) if "market" in names else pd.Series(guess, index=table.index)
    place = words(table[names["location"]]) if "location" in names else pd.Series("", index=table.index)
    unknown = sorted(set(market) - MARKETS.keys())
    if unknown:
        raise DataError(f"{path.name}: market {unknown[0]!r}; allowed are {', '.join(MARKETS)}")
    found = []
    for (where, kind), part in table.groupby([place, market], sort=True):
        mine = table.index.get_indexer(part.index)
        quantity, run = MARKETS[str(kind)]
        name = f"{names['lmp']} of {where} {kind}"
        found.append(RawColumn(quantity, str(where) or None, run, ts[mine], part[names["lmp"]], rows[mine], path, name))
    return found
