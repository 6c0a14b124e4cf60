"""Mutated price files: each is a month of finite prices, or one line that says what is wrong.

python -m tests.traces.fuzz_prices 1000 [first seed]
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from tests.traces.test_price_files import DAY, HOURS, PRICES, archive, gridstatus, oasis, tidy
from vpp_env.errors import VppError
from vpp_env.traces.readers.caiso import load_market_data

CELLS = (
    "", "x", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "9" * 400, "1,5", "1.5 USD", "\0", "-150", "0", "ä",
    "2023-08-01", "2023-08-01T07:00:00", "2023-03-12T02:30:00-08:00", "9999-12-31T23:00:00Z", "0001-01-01T00:00:00Z",
    "True", "None", "{}",
)  # fmt: skip
SHAPES = ("tidy", "oasis", "real time", "reserves", "gridstatus")


def table_of(shape: str) -> pd.DataFrame:
    """A valid table of a shape."""
    if shape == "reserves":
        columns = {"INTERVALSTARTTIME_GMT": oasis()["INTERVALSTARTTIME_GMT"], "ANC_REGION": "AS_CAISO_EXP"}
        return pd.DataFrame({**columns, "ANC_TYPE": "RU", "XML_DATA_ITEM": "RU_CLR_PRC", "MW": PRICES / 20})
    if shape == "real time":
        return oasis("LMP", "VALUE", "RTPD", 4)
    return {"tidy": tidy, "oasis": oasis, "gridstatus": gridstatus}[shape]()


def mutated(rng: np.random.Generator, folder: Path) -> Path:
    """Write a price file of which something was changed."""
    table = table_of(SHAPES[int(rng.integers(len(SHAPES)))]).astype(str)
    for _ in range(int(rng.integers(1, 4))):
        kind, column = int(rng.integers(9)), str(table.columns[int(rng.integers(table.shape[1]))])
        row = int(rng.integers(max(len(table), 1)))
        cell = CELLS[int(rng.integers(len(CELLS)))]
        if kind <= 2 and len(table):
            table.iloc[row, table.columns.get_loc(column)] = cell  # type: ignore[index]
        elif kind == 3:
            table[column] = cell
        elif kind == 4 and table.shape[1] > 1:
            table = table.drop(columns=column)
        elif kind == 5:
            table = table.drop(index=table.index[row : row + int(rng.integers(1, 12))])
        elif kind == 6:
            table = pd.concat([table, table.iloc[row : row + 3]], ignore_index=True)
        elif kind == 7:
            table = table.rename(columns={column: cell or "y"})
            table = table.loc[:, ~table.columns.duplicated()]
        else:
            table = table.sample(frac=1, random_state=int(rng.integers(1000))).reset_index(drop=True)
    mark = ",,,,,,;\t"[int(rng.integers(8))]
    content = table.to_csv(index=bool(rng.integers(2)), sep=mark)
    data = bytearray(content.encode())
    for at in rng.integers(len(data), size=int(rng.integers(0, 3)) if rng.random() < 0.3 else 0):
        data[at] = rng.integers(256)
    if rng.random() < 0.1:
        data = data[: int(rng.integers(len(data)))]
    ending = (".csv", ".csv", ".csv", ".csv.gz", ".zip", ".parquet")[int(rng.integers(6))]
    path = folder / f"prices{ending}"
    if ending == ".zip":
        return archive(path, {"a.csv": bytes(data).decode(errors="replace"), "b.csv": tidy().to_csv(index=False)[:200]})
    if ending == ".parquet" and len(table):
        table.to_parquet(path)
        return path
    path.write_bytes(bytes(data))
    return path


def run(n: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Try n mutations; return how they ended, and the faults."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    assert len(HOURS) == len(PRICES)
    for seed in range(first, first + n):
        with tempfile.TemporaryDirectory() as base:
            try:
                path = mutated(np.random.default_rng(seed), Path(base))
                made = load_market_data(path if seed % 5 else Path(base), DAY, 0, 96)
                series = (made.da_usd_per_mwh, made.rt_usd_per_mwh, *made.reserve_usd_per_mw.values())
                if not all(np.isfinite(values).all() for values in series):
                    faults.append(f"seed {seed}: a value that is not finite")
                ends["month"] += 1
            except VppError as error:
                told = str(error)
                if "\n" in told or len(told) > 1500:
                    faults.append(f"seed {seed}: not one line: {told[:300]!r}")
                ends["error"] += 1
            except BaseException:  # noqa: BLE001  whatever it is, it is the finding
                faults.append(f"seed {seed}: {traceback.format_exc()}")
                ends["fault"] += 1
    return ends, faults


if __name__ == "__main__":
    found, wrong = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print("\n".join(wrong))
    print(dict(found))
