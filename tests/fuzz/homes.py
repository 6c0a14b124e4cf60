"""Folders of homes: CSV, parquet, Green Button, ACN-Data, weather; one of the files is changed at random."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.fuzz.harness import Attempt, NotFiniteError, Target, check_finite
from tests.fuzz.mutations import CELLS, changed_bytes, changed_cells, changed_numbers, pick
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.export import export_homes

GREEN = (
    "<feed><ReadingType><flowDirection>1</flowDirection><powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>"
    "</ReadingType><IntervalBlock>{}</IntervalBlock></feed>"
)
READING = (
    "<IntervalReading><timePeriod><duration>3600</duration><start>{}</start></timePeriod><value>{}</value>"
    "</IntervalReading>"
)


def scenario() -> Scenario:
    return load_scenario("quick").override({"time.start": "2023-08-01T00:00", "time.duration_hours": 48})


def valid_folders(base: Path) -> list[Path]:
    """Folders of every kind of file, all of them valid."""
    month = Month(scenario(), 3)
    csv, parquet, green, acn, long = (base / name for name in ("csv", "parquet", "green", "acn", "long"))
    export_homes(csv, month.calendar, month.fleet, month.homes)
    export_homes(parquet, month.calendar, month.fleet, month.homes, "parquet")
    for folder in (green, acn, long):
        folder.mkdir()
    first = int(pd.Timestamp("2023-08-01T07:00Z").timestamp())
    readings = "".join(READING.format(first + 3600 * i, 700 + 10 * i) for i in range(48))
    (green / "oak.xml").write_text(GREEN.format(readings), encoding="utf-8")
    items = ",".join(
        f'{{"connectionTime": "Tue, 0{d} Aug 2023 18:00:00 GMT",'
        f' "disconnectTime": "Tue, 0{d + 1} Aug 2023 06:30:00 GMT", "kWhDelivered": {d}.5, "userID": "u"}}'
        for d in range(1, 6)
    )
    (acn / "acn.json").write_text(f'{{"_items": [{items}]}}', encoding="utf-8")
    rows = "".join(
        f"2023-08-0{1 + i // 24} {i % 24:02d}:00,{home},{0.4 + 0.01 * i:.2f}\n" for home in "ab" for i in range(48)
    )
    (long / "load.csv").write_text("time,home,kwh\n" + rows, encoding="utf-8")
    (long / "devices.csv").write_text(
        "home,bess_kwh,ev_kwh,profile,has_pv\na,10,,moderate,yes\nb,0,60,,no\n", encoding="utf-8"
    )
    tidy, nsrdb = base / "tidy", base / "nsrdb"
    hours = [(day, hour, 600 if 8 <= hour < 17 else 0) for day in range(1, 5) for hour in range(24)]
    rows = "".join(f"2023-08-0{d} {h:02d}:00,{15 + h},{ghi}\n" for d, h, ghi in hours)
    whole = "".join(f"2023,8,{d},{h},30,{ghi},{15 + h}\n" for d, h, ghi in hours)
    head = "Source,Time Zone\nNSRDB,-7\nYear,Month,Day,Hour,Minute,GHI,Temperature\n"
    for folder, name, text in ((tidy, "weather", "time,temp_c,ghi\n" + rows), (nsrdb, "nsrdb", head + whole)):
        folder.mkdir()
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        (folder / "devices.csv").write_text("home,pv_kwp\na,5\nb,\n", encoding="utf-8")
    return [csv, parquet, green, acn, long, tidy, nsrdb]


def _columns(file: Path, rng: np.random.Generator) -> None:
    """Change a parquet file's columns: types, values, names."""
    table = pd.read_parquet(file)
    name = table.columns[int(rng.integers(len(table.columns)))]
    kind = rng.integers(8)
    if kind == 0:
        table[name] = table[name].astype(str)
    elif kind == 1:
        table[name] = [[1, 2]] * len(table)
    elif kind == 2:
        table[name] = rng.random(len(table)) < 0.5
    elif kind == 3:
        table = table.drop(columns=name)
    elif kind == 4:
        table[name] = pd.Timestamp("2023-08-01") + pd.to_timedelta(np.arange(len(table)), unit="h")
    elif kind == 5:
        table[name] = b"\xff\x00"
    elif kind == 6:
        table = table.rename(columns={name: pick(rng, CELLS)})
    else:
        values = table[name].astype(object)
        values.iloc[int(rng.integers(len(values)))] = (np.nan, np.inf, None, -1.0, 1e300)[int(rng.integers(5))]
        table[name] = values
    table.to_parquet(file)


def mutate(folder: Path, rng: np.random.Generator) -> None:
    """Change one file of a folder in place."""
    files = sorted(folder.iterdir())
    file = files[int(rng.integers(len(files)))]
    kinds: list[Callable[[bytes, np.random.Generator], bytes]] = [changed_bytes]
    if file.suffix == ".csv":
        kinds += [changed_cells] * 4
    elif file.suffix in (".xml", ".json"):
        kinds += [changed_numbers] * 2
    elif rng.random() < 0.7:
        try:
            _columns(file, rng)
        except (ValueError, TypeError, OSError, KeyError, OverflowError):  # not every table can be written
            return
        return
    change = kinds[int(rng.integers(len(kinds)))]
    file.write_bytes(change(file.read_bytes(), rng))


def use(folder: Path) -> None:
    """Make a month of the homes; all that is in it is finite."""
    month = Month(scenario(), 0, home_data=folder)
    for f in dataclasses.fields(month.fleet):
        check_finite(f"fleet.{f.name}", getattr(month.fleet, f.name))
    for day in (-2, -1, 0, 1, 2):
        for name, values in vars(month.traces(day)).items():
            check_finite(name, values)
            if name.endswith("kw") and (values < 0).any():
                raise NotFiniteError(f"day {day}: {name} is negative")
    for day in (0, 1):
        for values in month.day(day).baseline:
            check_finite("the baseline", values)


def _homes(valid: Path) -> Attempt:
    folders = valid_folders(valid)
    for folder in folders:
        use(folder)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        homes = Path(shutil.copytree(pick(rng, folders), folder / "homes"))
        mutate(homes, rng)
        use(homes)

    return attempt


HOMES = Target("folders of homes", "cells, columns, rows, bytes, types of one file", _homes, quick=12, weight=20)
