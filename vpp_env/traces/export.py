"""The homes of a month as a folder of data, to be edited and brought back (docs/home-data.md)."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError, needs
from vpp_env.scenario.calendar import Calendar
from vpp_env.traces.fleet import BLACKOUT_FIELDS, EV_PRIORITIES, PROFILES, Fleet
from vpp_env.traces.homes import DAYS_AFTER, FIRST_DAY, HomeSeries
from vpp_env.traces.lay import laid_quarters
from vpp_env.traces.readers.meters import QUARTER
from vpp_env.traces.vehicles import LONGEST_DAYS

FORMATS = ("csv", "parquet")


def device_table(fleet: Fleet, names: list[str]) -> pd.DataFrame:
    """Return the table of devices and preferences: every field of the fleet, words where there are some."""
    columns = {f.name: getattr(fleet, f.name) for f in fields(fleet) if f.name != "blackout"}
    columns["profile"] = np.array(PROFILES)[fleet.profile]
    columns["ev_priority"] = np.array(EV_PRIORITIES)[fleet.ev_priority]
    columns |= dict(zip(BLACKOUT_FIELDS, fleet.blackout.reshape(fleet.n, 4).T, strict=True))
    return pd.DataFrame({"home": names, **columns})


def meter_tables(calendar: Calendar, traces: HomeSeries, names: list[str]) -> dict[str, pd.DataFrame]:
    """Return load and pv, kW by quarter hour, a column a home, with the days around the run that forecasts look at."""
    days = range(FIRST_DAY, calendar.n_days + DAYS_AFTER + 1)
    made = [traces.day(day) for day in days]
    ts = laid_quarters(calendar)
    return {
        role: pd.DataFrame(np.concatenate([getattr(day, f"{role}_kw") for day in made]), columns=names).assign(
            ts_utc=ts
        )[["ts_utc", *names]]
        for role in ("load", "pv")
    }


def session_table(calendar: Calendar, traces: HomeSeries, names: list[str], fleet: Fleet) -> pd.DataFrame:
    """Return the cars' sessions: home, arrival, departure (UTC), and the battery energy used before each, kWh."""
    first = FIRST_DAY - LONGEST_DAYS - 1
    zero = calendar.day_start_utc(first)
    open_since = np.full(fleet.n, -1, dtype=np.int64)
    used = np.zeros(fleet.n)
    cars = [int(home) for home in np.flatnonzero(fleet.has_ev)]
    found: list[tuple[int, int, int, float]] = []  # home, arrival, departure, kWh
    at = 0
    for day in range(first, calendar.n_days + DAYS_AFTER + LONGEST_DAYS + 2):
        made, n = traces.vehicle_day(day), calendar.steps_in_day(day)
        for home in cars:
            if open_since[home] >= 0 and made.dep[home] < n:
                found.append((home, int(open_since[home]), at + int(made.dep[home]), float(used[home])))
                open_since[home] = -1
            if made.arr[home] < n:
                open_since[home], used[home] = at + int(made.arr[home]), made.trip[home]
                if made.out[home] < n:
                    found.append((home, int(open_since[home]), at + int(made.out[home]), float(used[home])))
                    open_since[home] = -1
        at += n
    found.sort()
    rows = np.array([row[0] for row in found], dtype=np.int64)
    times = [zero + QUARTER * np.array([row[i] for row in found], dtype=np.int64) for i in (1, 2)]
    table = pd.DataFrame(
        {
            "home": np.array(names, dtype=object)[rows],
            "arrival": pd.DatetimeIndex(times[0]),
            "departure": pd.DatetimeIndex(times[1]),
            "trip_kwh": np.array([row[3] for row in found], dtype=np.float64),
        }
    )
    # a car that is never plugged in has a row of its own: without one its sessions would be generated
    never = pd.DataFrame({"home": [names[home] for home in cars if home not in set(rows.tolist())]})
    return pd.concat([table, never], ignore_index=True) if len(never) else table


def export_homes(
    folder: Path, calendar: Calendar, fleet: Fleet, traces: HomeSeries, kind: str = "csv"
) -> dict[str, Path]:
    """Write the homes of a month to a folder that `Month(home_data=...)` reads back bit for bit.

    Parameters
    ----------
    folder : Path
        Made where it is not there; no file in it is overwritten.
    calendar, fleet, traces :
        Of the month.
    kind : str
        `csv` or `parquet`.

    Returns
    -------
    dict
        Role -> file.

    Raises
    ------
    DataError
        When there is such a file already, or the format is not known.
    """
    if kind not in FORMATS:
        raise DataError(f"format {kind!r}; allowed are {', '.join(FORMATS)}")
    names = [f"home{i:0{len(str(fleet.n))}d}" for i in range(1, fleet.n + 1)]
    meters = meter_tables(calendar, traces, names)
    tables = {"devices": device_table(fleet, names), "load_kw": meters["load"]}
    if fleet.has_pv.any():
        with_pv = [name for name, has in zip(names, fleet.has_pv, strict=True) if has]
        tables["pv_kw"] = meters["pv"][["ts_utc", *with_pv]]
    sessions = session_table(calendar, traces, names, fleet)
    if len(sessions):
        tables["vehicles"] = sessions
    files = {name: folder / f"{name}.{'csv' if name == 'devices' else kind}" for name in tables}
    taken = [str(file) for file in files.values() if file.exists()]
    if taken:
        raise DataError(f"{taken[0]} is there already; give another folder with --out, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        _write(table, files[name])
    return files


def _write(table: pd.DataFrame, file: Path) -> None:
    if file.suffix == ".parquet":
        with needs(f"writing {file.name}", "bench"):
            table.to_parquet(file, index=False)
        return
    out = table.copy()
    for column in out.columns:
        if isinstance(out[column].dtype, pd.DatetimeTZDtype):
            out[column] = out[column].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    # numbers are written with as many digits as tell them apart: they come back bit for bit
    out.to_csv(file, index=False, lineterminator="\n")
