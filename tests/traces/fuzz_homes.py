"""Mutated folders of homes: each is a month of finite values, or one line that says what is wrong.

    python -m tests.traces.fuzz_homes 500 [first seed]

prints every mutation that ended otherwise, with its seed; `test_fuzz_homes.py` runs some in the suite.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import VppError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.export import export_homes

CELLS = (
    "", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e-320", "-0", "0", "1", "-5", "1e5", "9" * 20, "0x10", "1,5",
    "1_000", " 3 ", "abc", "None", "null", "True", "2023-08-01", "2023-08-01T07:00:00Z", "2023-13-45",
    "9999-12-31T00:00Z", "0001-01-01", "1677-01-01T00:00Z", "\u0660", "\u2212" "3", '"', "'", ";", "=1+1",
    "\u00e9\u4e2d", "a" * 5000, "\t", "home01", "home02", "0.5", "2", "10", "24",
)  # fmt: skip
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


def _bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes: flip, cut, repeat, insert."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at, length = int(rng.integers(len(made) + 1)), int(rng.integers(1, 30))
        kind = rng.integers(5)
        if kind == 0 and made:
            made[min(at, len(made) - 1)] = int(rng.integers(256))
        elif kind == 1:
            del made[at : at + length]
        elif kind == 2:
            made[at:at] = made[at : at + length]
        elif kind == 3:
            made[at:at] = bytes(rng.integers(256, size=length, dtype=np.uint8))
        else:
            del made[at:]
    return bytes(made)


def _cells(data: bytes, rng: np.random.Generator) -> bytes:
    """Change cells, rows and columns of a CSV file."""
    lines = [line.split(",") for line in data.decode("utf-8").splitlines()]
    for _ in range(int(rng.integers(1, 3))):
        i = int(rng.integers(len(lines)))
        kind, row = rng.integers(-4, 8), lines[i]
        j = int(rng.integers(len(row))) if row else 0
        if kind <= 2 and row:
            row[j] = CELLS[int(rng.integers(len(CELLS)))]
        elif kind == 3:
            lines.insert(i, list(row))
        elif kind == 4 and len(lines) > 1:
            del lines[i]
        elif kind == 5:
            other = int(rng.integers(len(lines)))
            lines[i], lines[other] = lines[other], lines[i]
        elif kind == 6:
            value = CELLS[int(rng.integers(len(CELLS)))]
            for line in lines[1:] if rng.random() < 0.8 else lines:
                if j < len(line):
                    line[j] = value
        else:
            for line in lines:
                if j < len(line):
                    del line[j]
    return "\n".join(",".join(line) for line in lines).encode()


def _text(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace numbers of XML and JSON by other texts."""
    words = data.decode("utf-8")
    numbers = list(re.finditer(r"\d+(\.\d+)?", words))
    for match in sorted(rng.choice(len(numbers), size=min(3, len(numbers)), replace=False), reverse=True):
        found = numbers[int(match)]
        words = words[: found.start()] + CELLS[int(rng.integers(len(CELLS)))] + words[found.end() :]
    return words.encode()


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
        table = table.rename(columns={name: CELLS[int(rng.integers(len(CELLS)))]})
    else:
        values = table[name].astype(object)
        values.iloc[int(rng.integers(len(values)))] = (np.nan, np.inf, None, -1.0, 1e300)[int(rng.integers(5))]
        table[name] = values
    table.to_parquet(file)


def mutate(folder: Path, rng: np.random.Generator) -> str:
    """Change one file of a folder in place; say which and how."""
    files = sorted(folder.iterdir())
    file = files[int(rng.integers(len(files)))]
    kinds: list[Callable[[bytes, np.random.Generator], bytes]] = [_bytes]
    if file.suffix == ".csv":
        kinds += [_cells] * 4
    elif file.suffix in (".xml", ".json"):
        kinds += [_text] * 2
    elif rng.random() < 0.7:
        try:
            _columns(file, rng)
        except (ValueError, TypeError, OSError, KeyError, OverflowError):  # not every table can be written
            return f"{file.name}: nothing"
        return f"{file.name}: _columns"
    change = kinds[int(rng.integers(len(kinds)))]
    file.write_bytes(change(file.read_bytes(), rng))
    return f"{file.name}: {change.__name__}"


def verdict(folder: Path) -> str:
    """`month` or `error`; anything else is a fault."""
    try:
        month = Month(scenario(), 0, home_data=folder)
    except VppError as error:
        text = str(error)
        return "error" if "\n" not in text and len(text) < 1500 else f"not one line: {text[:300]!r}"
    except BaseException:  # noqa: BLE001  whatever it is, it is the finding
        return traceback.format_exc()
    for f in dataclasses.fields(month.fleet):
        if not np.isfinite(getattr(month.fleet, f.name)).all():
            return f"fleet.{f.name} is not finite"
    for day in (-2, -1, 0, 1, 2):
        for name, values in vars(month.traces(day)).items():
            if not np.isfinite(values).all() or (name.endswith("kw") and (values < 0).any()):
                return f"day {day}: {name} is not finite, or negative"
    if not all(np.isfinite(values).all() for day in (0, 1) for values in month.day(day).baseline):
        return "the baseline is not finite"
    return "month"


def run(n: int, first: int) -> tuple[Counter[str], list[str]]:
    """Try n mutations; return how they ended, and the faults."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        valid = valid_folders(Path(base))
        for folder in valid:
            assert verdict(folder) == "month", (folder, verdict(folder))
        for seed in range(first, first + n):
            rng = np.random.default_rng(seed)
            folder = Path(base) / "mutated"
            shutil.copytree(valid[int(rng.integers(len(valid)))], folder)
            how = mutate(folder, rng)
            end = verdict(folder)
            shutil.rmtree(folder)
            ends[end if end in ("month", "error") else "fault"] += 1
            if end not in ("month", "error"):
                faults.append(f"seed {seed}, {how}: {end}")
    return ends, faults


if __name__ == "__main__":
    count, begin = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found, wrong = run(count, begin)
    print("\n".join(wrong))
    print(dict(found))
