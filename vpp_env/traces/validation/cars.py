"""Cars' sessions beside measured ones.

Every statistic is computed by one function from one form of sessions, measured or made. The measured values are
embedded; given the data folder they are computed from the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.traces.fleet import Fleet, build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.validation.rows import Row
from vpp_env.units import DT_H, Flags, Floats

EV_FILE = "ev_norway_residential_sessions_2018_2021.parquet"
LEAST_DAYS, LEAST_SESSIONS = 30, 10
"""Users that were seen for longer, and more often, count."""
_EV = "258 users, Norway, 2018-21"
_NAN = float("nan")

STATS: dict[str, Row] = {
    "sessions": Row("cars", "plug-ins per car and day", "-", _NAN, 0.471, _EV),
    "rate p10": Row("cars", "plug-ins per day, 10 % of cars", "-", _NAN, 0.114, _EV),
    "rate p50": Row("cars", "plug-ins per day, median car", "-", _NAN, 0.379, _EV),
    "rate p90": Row("cars", "plug-ins per day, 90 % of cars", "-", _NAN, 0.910, _EV),
    "kwh mean": Row("cars", "energy per session, mean", "kWh", _NAN, 12.64, _EV),
    "kwh median": Row("cars", "energy per session, median", "kWh", _NAN, 9.03, _EV),
    "kwh p90": Row("cars", "energy per session, 90 %", "kWh", _NAN, 26.7, _EV),
    "hours mean": Row("cars", "length of a session, mean", "h", _NAN, 12.66, _EV),
    "hours median": Row("cars", "length of a session, median", "h", _NAN, 11.2, _EV),
    "overnight": Row("cars", "sessions that last over midnight", "-", _NAN, 0.598, _EV),
    "start 16-20": Row("cars", "plug-ins 16-20 h", "-", _NAN, 0.365, _EV),
    "start shape": Row("cars", "plug-ins by hour, total variation", "-", _NAN, 0.0, _EV),
    "midnight": Row("cars", "plugged in at midnight", "-", _NAN, 0.318, _EV),
    "evening": Row("cars", "plugged in, 17-21 h", "-", _NAN, 0.2195, _EV),
    "midday": Row("cars", "plugged in, 10-15 h", "-", _NAN, 0.163, _EV),
    "plugged": Row("cars", "plugged in by hour, mean deviation", "-", _NAN, 0.0, _EV),
    "plugged most": Row("cars", "plugged in by hour, largest deviation", "-", _NAN, 0.0, _EV),
}
"""Key -> statistic without its synthetic value; `real` as `measured` computes it from the file."""
PLUGGED = np.array(
    [0.3184, 0.3251, 0.3287, 0.3311, 0.3341, 0.3358, 0.3287, 0.2941, 0.2352, 0.2073, 0.1881, 0.1725,
     0.1580, 0.1508, 0.1457, 0.1511, 0.1714, 0.2009, 0.2133, 0.2221, 0.2416, 0.2650, 0.2860, 0.3062]
)  # fmt: skip
"""(24,) share of cars that are plugged in at the full local hour, measured (`_EV`)."""
START = np.array(
    [0.0203, 0.0110, 0.0074, 0.0087, 0.0097, 0.0036, 0.0039, 0.0080, 0.0139, 0.0150, 0.0204, 0.0281,
     0.0353, 0.0419, 0.0615, 0.0932, 0.1136, 0.0877, 0.0795, 0.0840, 0.0843, 0.0725, 0.0614, 0.0350]
)  # fmt: skip
"""(24,) share of plug-ins by local hour, measured (`_EV`)."""


@dataclass(frozen=True)
class SessionTable:
    """S sessions of some cars over some days."""

    start_h: Floats  # (S,) local hour of plugging in
    length_h: Floats  # (S,)
    kwh: Floats  # (S,) at the meter
    rate: Floats  # (C,) sessions per day of each car
    days: float  # car-days
    plugged: Floats  # (24,) share of car-days on which a car is plugged in at the full hour


def by_hour(table: SessionTable) -> Floats:
    """(24,) share of plug-ins by local hour."""
    return np.asarray(np.bincount(table.start_h.astype(np.int64), minlength=24) / len(table.start_h))


def values(table: SessionTable, plugged: Floats = PLUGGED, start: Floats = START) -> dict[str, float]:
    """Return the statistics of `STATS`; `plugged` and `start` are what shapes are held against, (24,) each."""
    shape = by_hour(table)
    off = np.abs(table.plugged - plugged)
    return {
        "sessions": len(table.kwh) / table.days,
        **{f"rate p{q}": float(np.quantile(table.rate, q / 100)) for q in (10, 50, 90)},
        "kwh mean": float(table.kwh.mean()),
        "kwh median": float(np.median(table.kwh)),
        "kwh p90": float(np.quantile(table.kwh, 0.9)),
        "hours mean": float(table.length_h.mean()),
        "hours median": float(np.median(table.length_h)),
        "overnight": float((table.start_h + table.length_h >= 24.0).mean()),
        "start 16-20": float(shape[16:20].sum()),
        "start shape": float(0.5 * np.abs(shape - start / start.sum()).sum()),
        "midnight": float(table.plugged[0]),
        "evening": float(table.plugged[17:21].mean()),
        "midday": float(table.plugged[10:15].mean()),
        "plugged": float(off.mean()),
        "plugged most": float(off.max()),
    }


def measured_sessions(data: Path) -> SessionTable:
    """Read the measured sessions from folder `data`.

    Raises
    ------
    DataError
        When the file is missing.
    """
    if not (data / EV_FILE).is_file():
        raise DataError(f"{data / EV_FILE} does not exist; give the folder that holds {EV_FILE}, or none")
    table = pd.read_parquet(data / EV_FILE).dropna()
    kept, rate, days, whole, plugged = [], [], 0.0, 0, np.zeros(24)
    for _, user in table.groupby("user_id"):
        begin, end = user["plugin_local"], user["plugout_local"]
        span = (begin.max() - begin.min()) / pd.Timedelta("1D") + 1.0
        if span <= LEAST_DAYS or len(user) <= LEAST_SESSIONS:
            continue
        kept.append(user)
        rate.append(len(user) / span)
        days += span
        # whole days between the first and the last session
        midnights = pd.date_range(
            begin.min().normalize() + pd.Timedelta("1D"), begin.max().normalize(), inclusive="left"
        )
        hours = (midnights.to_numpy()[:, None] + np.arange(24) * np.timedelta64(1, "h")).ravel()
        first, last = np.sort(begin.to_numpy()), np.sort(end.to_numpy())
        inside = np.searchsorted(first, hours, side="right") > np.searchsorted(last, hours, side="right")
        plugged += inside.reshape(-1, 24).sum(axis=0)
        whole += len(midnights)
    sessions = pd.concat(kept)
    clock = sessions["plugin_local"].dt
    seconds = (sessions["plugout_local"] - sessions["plugin_local"]).dt.total_seconds()
    return SessionTable(
        start_h=(clock.hour + clock.minute / 60.0).to_numpy(dtype=np.float64),
        length_h=np.asarray(seconds / 3600.0, dtype=np.float64),
        kwh=sessions["energy_kwh"].to_numpy(dtype=np.float64),
        rate=np.array(rate),
        days=days,
        plugged=plugged / whole,
    )


def made_sessions(traces: HomeTraces, scenario: Scenario, fleet: Fleet) -> SessionTable:
    """Put the generator's sessions of a run together; one that goes on at its end counts as far as the run goes."""
    days = [traces.vehicle_day(d) for d in range(scenario.calendar.n_days)]
    has, steps = fleet.has_ev, [scenario.calendar.steps_in_day(d) for d in range(scenario.calendar.n_days)]
    rows: list[Flags] = []
    for car, n in zip(days, steps, strict=True):
        k = np.arange(n)[:, None]
        rows.append(((k < car.dep) | ((k >= car.arr) & (k < car.out)))[:, has])
    on = np.concatenate([np.zeros((1, int(has.sum())), dtype=np.bool_), *rows, np.zeros((1, int(has.sum())), np.bool_)])
    arrived = np.concatenate([np.arange(n)[:, None] == car.arr[has] for car, n in zip(days, steps, strict=True)])
    ends = on[:-1] & ~on[1:]
    start, length = [], []
    for column in range(arrived.shape[1]):
        begins, stops = np.flatnonzero(arrived[:, column]), np.flatnonzero(ends[:, column])
        start.append(begins)
        length.append(stops[np.searchsorted(stops, begins, side="right")] - begins)
    energy = np.stack([car.trip[has] for car in days])
    goes = energy > 0.0
    at = np.concatenate(start)
    return SessionTable(
        start_h=scenario.calendar.hour[at].astype(np.float64),
        length_h=np.concatenate(length) * DT_H,
        kwh=energy[goes] / scenario.fleet.ev_eta,
        rate=goes.mean(axis=0),
        days=float(goes.size),
        plugged=np.stack([day[:96:4].mean(axis=1) for day in rows]).mean(axis=0),
    )


def car_rows(seeds: int, data: Path | None) -> list[Row]:
    """Return the validation table of cars: the statistics of `STATS`, means over seeds of scenario `august`.

    Parameters
    ----------
    seeds : int
        Seeds 0..seeds-1 whose statistics are averaged.
    data : pathlib.Path or None
        Folder of the measured file; None: the embedded values.
    """
    real: dict[str, float] = {}
    plugged, start = PLUGGED, START
    if data is not None:
        table = measured_sessions(data)
        plugged, start = table.plugged, by_hour(table)
        real = values(table, plugged, start)
    made = [values(table, plugged, start) for table in _august(seeds)]
    return [
        replace(row, synthetic=float(np.mean([m[key] for m in made])), real=real.get(key, row.real))
        for key, row in STATS.items()
    ]


def _august(seeds: int) -> list[SessionTable]:
    scenario, made = load_scenario("august"), []
    for seed in range(seeds):
        fleet = build_fleet(scenario, seed)
        made.append(made_sessions(HomeTraces(scenario, fleet, seed), scenario, fleet))
    return made


def hourly_table(seeds: int) -> str:
    """Markdown: share of cars plugged in, and of plug-ins, by local hour, made and measured."""
    made = _august(seeds)
    plugged = np.mean([t.plugged for t in made], axis=0)
    starts = np.mean([by_hour(t) for t in made], axis=0)
    lines = ["| hour | plugged in | measured | plug-ins | measured |", "|---:|---:|---:|---:|---:|"]
    lines += [f"| {h} | {plugged[h]:.3f} | {PLUGGED[h]:.3f} | {starts[h]:.3f} | {START[h]:.3f} |" for h in range(24)]
    return "\n".join(lines)
