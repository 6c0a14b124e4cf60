"""Price files: tidy, OASIS and gridstatus, as CSV, gzip, zip and parquet, changed at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.fuzz.harness import Attempt, Target, check_finite
from tests.fuzz.mutations import CELLS, changed_bytes, pick
from tests.traces.test_price_files import DAY, PRICES, archive, gridstatus, oasis, tidy
from vpp_env.errors import VppError
from vpp_env.traces.readers.caiso import load_market_data

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
    table = table_of(pick(rng, SHAPES)).astype(str)
    for _ in range(int(rng.integers(1, 4))):
        kind, column = int(rng.integers(9)), str(table.columns[int(rng.integers(table.shape[1]))])
        row = int(rng.integers(max(len(table), 1)))
        cell = pick(rng, CELLS)
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
    data = content.encode(errors="replace")
    if rng.random() < 0.3:
        data = changed_bytes(data, rng)
    ending = pick(rng, (".csv", ".csv", ".csv", ".csv.gz", ".zip", ".parquet"))
    path = folder / f"prices{ending}"
    if ending == ".zip":
        return archive(path, {"a.csv": data.decode(errors="replace"), "b.csv": tidy().to_csv(index=False)[:200]})
    if ending == ".parquet" and len(table):
        table.to_parquet(path)
        return path
    path.write_bytes(data)
    return path


def _prices(valid: Path) -> Attempt:
    def attempt(rng: np.random.Generator, folder: Path) -> None:
        path = mutated(rng, folder)
        named = str(path if rng.random() < 0.8 else folder)
        named = f"ending:{named}" if rng.random() < 0.1 else named
        try:
            made = load_market_data(named, DAY, 0, 96)
        except VppError as error:
            # the name of the folder is longer here than anywhere
            raise type(error)(str(error).replace(str(folder), "FOLDER")) from error
        check_finite("prices", [made.da_usd_per_mwh, made.rt_usd_per_mwh])
        for name, values in made.reserve_usd_per_mw.items():
            check_finite(name, values)

    return attempt


PRICE_FILES = Target("price files", "cells, columns, rows, bytes; CSV, gzip, zip, parquet", _prices, weight=20)
