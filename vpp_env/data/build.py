"""Make the price months that travel with the package from public CAISO prices: `python -m vpp_env.data.build FOLDER`.

FOLDER holds the tidy parquet files that docs/prices.md names. Prices are rounded to .01 USD/MWh, five-minute real-time
prices are averaged to the 15 min that the market clears in; nothing else is changed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
SOURCES = "sources.json"
"""File -> what it is, where it is from, licence, SHA-256 of its rows."""
DECIMALS = 2
LICENCE = "CAISO OASIS public prices; no licence stated by the collections they were taken from"
FILES = {
    "caiso_2019_pgae_da.csv.gz": (
        "caiso_da_lmp_dlap_pgae_2019_hourly.parquet",
        {"lmp_usd_mwh": "lmp_da_usd_mwh"},
        "1h",
        "day-ahead LMP of DLAP_PGAE, 2019; RyanCMann/PGE_JARP_GRC_Testimony_Workpapers (raw OASIS)",
    ),
    "caiso_2019_pgae_rt.csv.gz": (
        "caiso_rt5_lmp_dlap_pgae_2019_5min.parquet",
        {"lmp_usd_mwh": "lmp_rt_usd_mwh"},
        "15min",
        "real-time LMP of DLAP_PGAE, 2019, 5 min averaged to 15; RyanCMann/PGE_JARP_GRC_Testimony_Workpapers",
    ),
    "caiso_2023_da.csv.gz": (
        "caiso_da_lmp_dlap4_2023_06_12_hourly.parquet",
        {f"lmp_{node}_usd_mwh": f"lmp_{node}_usd_mwh" for node in ("pgae", "sce", "sdge", "vea")},
        "1h",
        "day-ahead LMP of four DLAPs, June to December 2023; nmadev/CAISO-EnergyStorage",
    ),
}
"""File in the package -> (file in FOLDER, columns and their names here, step, what it is and where it is from)."""


def rows_sha256(table: pd.DataFrame) -> str:
    """SHA-256 of a price table's rows: UTC seconds and hundredths of a USD/MWh, whatever the file's compression."""
    digest = hashlib.sha256(table["ts_utc"].dt.as_unit("s").astype("int64").to_numpy().tobytes())
    for name in table.columns[1:]:
        digest.update(name.encode() + (table[name] * 10**DECIMALS).round().astype("int64").to_numpy().tobytes())
    return digest.hexdigest()


def read_packaged(path: Path) -> pd.DataFrame:
    """Return a packaged file: `ts_utc` (UTC starts) and prices, USD/MWh."""
    return pd.read_csv(path, parse_dates=["ts_utc"])


def build(folder: Path, out: Path = HERE) -> list[str]:
    """Write every file of `FILES` to `out`; return a line about each."""
    lines: list[str] = []
    sources: dict[str, dict[str, str]] = {}
    for name, (source, columns, step, note) in FILES.items():
        raw = pd.read_parquet(folder / source)
        prices = raw.set_index("ts_utc")[list(columns)].rename(columns=columns)
        table = prices.resample(step).mean().round(DECIMALS).reset_index()
        table["ts_utc"] = table["ts_utc"].astype("datetime64[s, UTC]")
        if table.isna().any(axis=None):
            raise SystemExit(f"{source}: has gaps; nothing is filled here")
        text = table.to_csv(index=False, float_format=f"%.{DECIMALS}f", date_format="%Y-%m-%dT%H:%M:%SZ")
        # no time and no name in the header: the same rows are the same bytes
        (out / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
        sources[name] = {"source": note, "licence": LICENCE, "rows_sha256": rows_sha256(table)}
        size = (out / name).stat().st_size / 1e3
        lines.append(f"{name}: {len(table)} rows, {size:.0f} kB, {sources[name]['rows_sha256'][:12]}")
    (out / SOURCES).write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    return lines


if __name__ == "__main__":
    print("\n".join(build(Path(sys.argv[1]))))
