"""The homes' series beside measured ones: load, PV, weather, and the cars of `validation.cars`.

The measured values are embedded, with their sources; given the data folder they are computed from the files.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.scenario import load_scenario
from vpp_env.traces.fleet import build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.validation.cars import car_rows
from vpp_env.traces.validation.rows import Row
from vpp_env.units import Floats, Ints

LOAD_FILE = "load_pv_fontana_ca_17homes_2016_2017_hourly.parquet"
WEATHER_FILE = "weather_fontana_ca_2016_2017_hourly.parquet"
BAD_PV = ("home07", "home14", "home15")
"""Homes whose PV column is broken: a fault in August, a fifth of the others' output, none."""
QUARTER_PEAK = 1.23
"""15-min peak over hourly peak of one home, measured elsewhere; the files are hourly."""
_FONTANA = "17 homes, Fontana CA, 2016-17"
_PV = "14 homes, Fontana CA, 2016-17"


NAN = float("nan")

STATS: dict[str, Row] = {
    "aug mean": Row("load, August", "mean", "kW/home", NAN, 1.411, _FONTANA),
    "apr mean": Row("load, April", "mean", "kW/home", NAN, 0.858, _FONTANA),
    "aug shape": Row("load, August", "mean abs. deviation of the hourly shape", "of mean", NAN, 0.0, _FONTANA),
    "apr shape": Row("load, April", "mean abs. deviation of the hourly shape", "of mean", NAN, 0.0, _FONTANA),
    "aug evening": Row("load, August", "16-20 h over the mean", "-", NAN, 1.512, _FONTANA),
    "aug night": Row("load, August", "2-6 h over the mean", "-", NAN, 0.507, _FONTANA),
    "aug peak": Row("load, August", "15-min peak of one home, mean", "kW", NAN, 6.32, _FONTANA + ", x 1.23"),
    "apr peak": Row("load, April", "15-min peak of one home, mean", "kW", NAN, 6.02, _FONTANA + ", x 1.23"),
    "aug c200": Row("load, August", "coincidence, 200 homes, 15 min", "-", NAN, 0.433, _FONTANA + ", extrapolated"),
    "apr c200": Row("load, April", "coincidence, 200 homes, 15 min", "-", NAN, 0.313, _FONTANA + ", extrapolated"),
    "aug c17": Row("load, August", "coincidence, 17 homes, hourly", "-", NAN, 0.619, _FONTANA),
    "aug lag1": Row("load, August", "correlation over 1 h, one home", "-", NAN, 0.662, _FONTANA),
    "aug lag24": Row("load, August", "correlation over 24 h, one home", "-", NAN, 0.538, _FONTANA),
    "aug pair": Row("load, August", "correlation of two homes, hourly", "-", NAN, 0.252, _FONTANA),
    "aug cf": Row("PV, August", "capacity factor", "kW/kWp", NAN, 0.196, _PV),
    "apr cf": Row("PV, April", "capacity factor", "kW/kWp", NAN, 0.218, _PV),
    "aug noon": Row("PV, August", "12-14 h", "kW/kWp", NAN, 0.616, _PV),
    "aug late": Row("PV, August", "share of energy after 15 h", "-", NAN, 0.280, _PV),
    "aug cloud": Row("PV, August", "cloud correlation of two homes", "-", NAN, 0.938, _PV + ", one neighbourhood"),
    "apr cloud": Row("PV, April", "cloud correlation of two homes", "-", NAN, 0.973, _PV + ", one neighbourhood"),
    "aug temp": Row("weather, August", "mean temperature", "deg C", NAN, 20.05, "the data's weather file (coastal)"),
    "aug clear": Row("weather, August", "mean daily clearness", "-", NAN, 0.893, "the data's weather file"),
}
"""Key -> statistic without its synthetic value; `real` as `measured_values` computes it from the files."""


def _by_hour(values: Floats, hour: Ints) -> Floats:
    """(24,) mean of `values` by local hour."""
    return np.bincount(hour, weights=values, minlength=24) / np.bincount(hour, minlength=24)


def coincidence(load_kw: Floats) -> float:
    """Peak of the sum over the sum of the peaks of (T, N) loads."""
    return float(load_kw.sum(axis=1).max() / load_kw.max(axis=0).sum())


def _lag(load_kw: Floats, lag: int) -> float:
    return float(np.mean([np.corrcoef(x[lag:], x[:-lag])[0, 1] for x in load_kw.T]))


def pair_correlation(values: Floats) -> float:
    """Mean correlation of two different columns."""
    c = np.atleast_2d(np.corrcoef(values.T))
    return float((c.sum() - len(c)) / (len(c) * (len(c) - 1)))


def cloud_correlation(pv: Floats, hour: Ints) -> float:
    """Mean correlation of two homes' hourly PV, 9-17 h, each over its own 95 % of that hour, less its mean."""
    parts = []
    for h in range(9, 17):
        x = pv[hour == h] / np.quantile(pv[hour == h], 0.95, axis=0)
        parts.append(x - x.mean(axis=0))
    return pair_correlation(np.concatenate(parts))


def _load_values(month: str, hourly: Floats, hour: Ints) -> dict[str, float]:
    shape = _by_hour(hourly.mean(axis=1), hour) / hourly.mean()
    return {
        f"{month} mean": float(hourly.mean()),
        f"{month} evening": float(shape[16:20].mean()),
        f"{month} night": float(shape[2:6].mean()),
        f"{month} lag1": _lag(hourly, 1),
        f"{month} lag24": _lag(hourly, 24),
        f"{month} pair": pair_correlation(hourly),
    }


def _pv_values(month: str, hourly: Floats, hour: Ints) -> dict[str, float]:
    mean = _by_hour(hourly.mean(axis=1), hour)
    return {
        f"{month} cf": float(hourly.mean()),
        f"{month} noon": float(mean[12:14].mean()),
        f"{month} late": float(mean[15:].sum() / mean.sum()),
        f"{month} cloud": cloud_correlation(hourly, hour),
    }


def _read(data: Path, name: str) -> pd.DataFrame:
    if not (data / name).is_file():
        raise DataError(f"{data / name} does not exist; give the folder that holds {name}, or none")
    return pd.read_parquet(data / name)


def measured_values(data: Path) -> tuple[dict[str, float], dict[str, Floats]]:
    """Compute the measured statistics and the (24,) hourly load shapes from the files in folder `data`.

    Raises
    ------
    DataError
        When a file is missing.
    """
    table = _read(data, LOAD_FILE).set_index("ts_utc")
    local = pd.DatetimeIndex(table.index).tz_convert("America/Los_Angeles")
    weather = _read(data, WEATHER_FILE)["temp_c"].to_numpy()
    loads = table.filter(like="load").to_numpy(dtype=np.float64)
    keep = [c for c in table.columns if "_pv_" in c and not c.startswith(BAD_PV)]
    pv = table[keep].to_numpy(dtype=np.float64) / 1000.0
    hour, month = np.asarray(local.hour), np.asarray(local.month)
    values: dict[str, float] = {}
    shapes: dict[str, Floats] = {}
    for name, m in (("aug", 8), ("apr", 4)):
        at = month == m
        values |= _load_values(name, loads[at], hour[at]) | _pv_values(name, pv[at], hour[at])
        shapes[name] = _by_hour(loads[at].mean(axis=1), hour[at]) / loads[at].mean()
        c17, root = coincidence(loads[at]), 17**-0.5
        # diversity falls with 1/sqrt(n) to a limit that the 17 homes give; 15-min peaks are 1.23 x higher
        limit = (c17 - root) / (1.0 - root)
        values |= {f"{name} c17": c17, f"{name} c200": (limit + (1.0 - limit) * 200**-0.5) / QUARTER_PEAK}
        values[f"{name} peak"] = QUARTER_PEAK * float(loads[at].max(axis=0).mean())
        values[f"{name} temp"] = float(weather[at].mean())
    return values, shapes


SHAPES = {
    "aug": np.array(
        [0.829, 0.661, 0.554, 0.504, 0.486, 0.487, 0.515, 0.590, 0.688, 0.849, 1.005, 1.070,
         1.150, 1.190, 1.304, 1.340, 1.525, 1.531, 1.552, 1.438, 1.347, 1.260, 1.127, 0.998]
    ),
    "apr": np.array(
        [0.742, 0.587, 0.540, 0.556, 0.582, 0.640, 0.735, 0.872, 1.122, 1.478, 1.544, 1.354,
         1.398, 1.377, 1.317, 1.232, 1.176, 1.052, 0.895, 1.002, 1.178, 0.990, 0.830, 0.808]
    ),
}  # fmt: skip
"""(24,) load by local hour over the mean, measured (`_FONTANA`)."""


def _hourly(series: Floats) -> Floats:
    """(T, N) quarter hours to (T / 4, N) hours."""
    return series.reshape(-1, 4, series.shape[1]).mean(axis=1, dtype=np.float64)


def synthetic_values(seed: int, shapes: dict[str, Floats] | None = None) -> dict[str, float]:
    """Compute the statistics of the seeded series: scenarios `august` and `april`, their default fleets."""
    values: dict[str, float] = {}
    for name, scenario in (("aug", load_scenario("august")), ("apr", load_scenario("april"))):
        fleet = build_fleet(scenario, seed)
        traces = HomeTraces(scenario, fleet, seed)
        days = [traces.day(d) for d in range(scenario.calendar.n_days)]
        load = np.concatenate([d.load_kw for d in days])
        pv = np.concatenate([d.pv_kw for d in days])[:, fleet.has_pv] / fleet.pv_kwp[fleet.has_pv]
        hour = scenario.calendar.hour[::4].astype(np.int64)
        hourly = _hourly(load)
        values |= _load_values(name, hourly, hour) | _pv_values(name, _hourly(pv), hour)
        shape = _by_hour(hourly.mean(axis=1), hour) / hourly.mean()
        values[f"{name} shape"] = float(np.abs(shape - (shapes or SHAPES)[name]).mean())
        values[f"{name} peak"] = float(load.max(axis=0).mean())
        values[f"{name} c200"] = coincidence(load)
        groups = [slice(k, k + 17) for k in range(0, fleet.n - 16, 17)]
        values[f"{name} c17"] = float(np.mean([coincidence(hourly[:, g]) for g in groups]))
        if name == "aug":
            weather = [traces.weather_day(d) for d in range(scenario.calendar.n_days)]
            values["aug temp"] = float(np.mean([w[0].mean() for w in weather]))
            values["aug clear"] = float(np.mean([w[1][32:68].mean() for w in weather]))
    return values


def home_rows(seeds: int, data: Path | None) -> list[Row]:
    """Return the homes' validation table.

    Parameters
    ----------
    seeds : int
        Seeds 0..seeds-1 whose statistics are averaged.
    data : pathlib.Path or None
        Folder of the measured files; None: the embedded values.

    Returns
    -------
    list of Row
        One row per statistic of `STATS`, then those of the cars (`validation.cars`).

    Raises
    ------
    DataError
        When a file is missing in `data`.
    """
    real, shapes = measured_values(data) if data is not None else ({}, SHAPES)
    made = [synthetic_values(seed, shapes) for seed in range(seeds)]
    rows = [
        replace(row, synthetic=float(np.mean([m[key] for m in made])), real=real.get(key, row.real))
        for key, row in STATS.items()
    ]
    return [*rows, *car_rows(seeds, data)]
