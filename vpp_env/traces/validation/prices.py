"""Price statistics, synthetic beside real, for the validation table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.traces.price_tables import reserve_target
from vpp_env.traces.prices import build_prices, real_time_given_da
from vpp_env.traces.series import RESERVE_PRODUCTS
from vpp_env.traces.validation.rows import Row
from vpp_env.traces.validation.targets import HOURLY_TARGETS, TARGETS

ZONE = "America/Los_Angeles"
FILES = {
    "SCE 2023": "caiso_da_lmp_dlap4_2023_06_12_hourly.parquet",
    "PGAE 2019": "caiso_da_lmp_dlap_pgae_2019_hourly.parquet",
    "PGAE 2019 RT": "caiso_rt5_lmp_dlap_pgae_2019_5min.parquet",
    "CAISO 2020": "caiso_da_lmp_regup_regdown_2020_hourly.parquet",
}
"""Files that `--data` recomputes the targets from."""
UNITS = {
    "DA mean": "USD/MWh",
    "DA standard deviation": "USD/MWh",
    "DA share negative": "of hours",
    "DA autocorrelation, 1 h": "",
    "DA daily spread of 4 h (TB4)": "USD/MWh",
    "RT-DA mean": "USD/MWh",
    "RT-DA standard deviation": "USD/MWh",
    "RT-DA median": "USD/MWh",
    "share RT > DA": "of hours",
    "share RT > DA + 100": "of 15 min",
    "share RT > 200": "of 15 min",
    "RT > DA + 100: episode": "15 min",
    "RT share negative": "of 15 min",
    "correlation DA, RegUp": "",
    "correlation DA, RegDown": "",
}


@dataclass(frozen=True)
class Season:
    """A scenario of the table and the measured month or season it is held against."""

    scenario: str
    title: str
    season: str
    da_file: str  # key of FILES
    da_column: str
    da_month: str  # YYYY-MM
    rt_months: tuple[int, ...]  # months of 2019
    as_months: tuple[int, ...]  # months of 2020


SEASONS = (
    Season("august", "August", "summer", "SCE 2023", "lmp_sce_usd_mwh", "2023-08", (6, 7, 8, 9), (6, 7, 8, 9)),
    Season("april", "April", "spring", "PGAE 2019", "lmp_usd_mwh", "2019-04", (3, 4, 5), (3, 4, 5)),
)


def da_statistics(da: np.ndarray, day: np.ndarray) -> dict[str, float]:
    """Statistics of hourly day-ahead prices (H,) with the local day of each."""
    frame = pd.DataFrame({"day": day, "v": da}).sort_values(["day", "v"])
    groups = [g.to_numpy() for _, g in frame.groupby("day")["v"] if len(g) >= 23]
    return {
        "DA mean": float(da.mean()),
        "DA standard deviation": float(da.std()),
        "DA share negative": float((da < 0).mean()),
        "DA autocorrelation, 1 h": float(np.corrcoef(da[1:], da[:-1])[0, 1]),
        "DA daily spread of 4 h (TB4)": float(np.mean([g[-4:].mean() - g[:4].mean() for g in groups])),
    }


def hourly_shape(da: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """(24,) mean day-ahead price by local hour."""
    return np.array([da[hour == h].mean() for h in range(24)])


def rt_statistics(da: np.ndarray, rt: np.ndarray) -> dict[str, float]:
    """Statistics of 15-min real time and day-ahead prices, both (S,), S a multiple of 4."""
    spread = rt - da
    hourly = spread.reshape(-1, 4).mean(axis=1)
    high = spread > 100.0
    episodes = int(np.sum(high[1:] & ~high[:-1]) + high[0])
    return {
        "RT-DA mean": float(hourly.mean()),
        "RT-DA standard deviation": float(hourly.std()),
        "RT-DA median": float(np.median(hourly)),
        "share RT > DA": float((hourly > 0).mean()),
        "share RT > DA + 100": float(high.mean()),
        "share RT > 200": float((rt > 200.0).mean()),
        "RT > DA + 100: episode": float(high.sum() / episodes) if episodes else float("nan"),
        "RT share negative": float((rt < 0).mean()),
    }


def reserve_statistics(da: np.ndarray, regup: np.ndarray, regdown: np.ndarray) -> dict[str, float]:
    """Correlations of regulation with the day-ahead price."""
    return {
        "correlation DA, RegUp": float(np.corrcoef(da, regup)[0, 1]),
        "correlation DA, RegDown": float(np.corrcoef(da, regdown)[0, 1]),
    }


def price_rows(seeds: int, data: Path | None = None) -> list[Row]:
    """Rows of the seeded prices against the measured ones.

    Parameters
    ----------
    seeds : int
        Synthetic values are means over seeds 0 .. `seeds` - 1.
    data : Path, optional
        Folder with the files of `FILES`: targets are recomputed from them, and rows are added in which the
        seeded spread runs on the measured day-ahead prices.

    Raises
    ------
    DataError
        When a file of `FILES` is not in `data`.
    """
    rows: list[Row] = []
    for season in SEASONS:
        scenario = load_scenario(season.scenario)
        made, shape = _synthetic(scenario, seeds)
        targets, hours = (
            measured(season, data) if data else (TARGETS[season.title], np.array(HOURLY_TARGETS[season.title]))
        )
        series = f"prices, {season.title}"
        for name, unit in UNITS.items():
            rows.append(Row(series, name, unit, made[name], targets[name], _source(season, name)))
        worst = int(np.argmax(np.abs(shape - hours)))
        title = f"DA hourly shape, worst hour ({worst} h)"
        rows.append(Row(series, title, "USD/MWh", shape[worst], hours[worst], _source(season, "DA mean")))
        for product in RESERVE_PRODUCTS:
            goal = reserve_target(season.season, product)
            source = "CAISO system mean 2023 x seasonal ratio of regulation 2020"
            rows.append(Row(series, f"{product} mean", "USD/MW-h", made[product], goal, source))
        name = "RegUp >= spin >= non-spin"
        rows.append(Row(series, name, "of hours", made[name], 1.0, "CAISO, hours of two days of 2020"))
        if data:
            rows += _conditional(season, data, seeds)
    return rows


def measured(season: Season, data: Path) -> tuple[dict[str, float], np.ndarray]:
    """Compute a season's targets and its (24,) hourly day-ahead means from the files in `data`."""
    da = _read(data, season.da_file)[season.da_column]
    local = pd.DatetimeIndex(da.index)
    here = np.asarray(local.strftime("%Y-%m") == season.da_month)
    price, hour, day = da.to_numpy()[here], np.asarray(local.hour)[here], np.asarray(local.day)[here]
    regulation = _read(data, "CAISO 2020")
    months = regulation[np.isin(pd.DatetimeIndex(regulation.index).month, season.as_months)]
    found = {
        **da_statistics(price, day),
        **rt_statistics(*_measured_spread(season, data)),
        **reserve_statistics(*(months[c].to_numpy() for c in ("lmp_da_usd_mwh", "regup_usd_mw_h", "regdown_usd_mw_h"))),
    }
    return found, hourly_shape(price, hour)


def _measured_spread(season: Season, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """(S,) day-ahead and real-time prices of the season in 2019, 15 min."""
    rt = _read(data, "PGAE 2019 RT")["lmp_usd_mwh"].resample("15min").mean()
    da = _read(data, "PGAE 2019")["lmp_usd_mwh"].reindex(rt.index, method="ffill")
    here = np.isin(pd.DatetimeIndex(rt.index).month, season.rt_months)
    return da.to_numpy()[here], rt.to_numpy()[here]


def _read(data: Path, key: str) -> pd.DataFrame:
    path = data / FILES[key]
    if not path.is_file():
        raise DataError(f"{path}: not there; --data must name the folder with {', '.join(FILES.values())}")
    return pd.read_parquet(path).set_index("ts_utc").tz_convert(ZONE)


def _synthetic(scenario: Scenario, seeds: int) -> tuple[dict[str, float], np.ndarray]:
    """Means over seeds of all statistics, and the (24,) hourly shape."""
    calendar = scenario.calendar
    hour, day = calendar.hour[::4].astype(np.int64), calendar.day[::4]
    found: list[Mapping[str, float]] = []
    shapes = []
    for seed in range(seeds):
        made = build_prices(scenario, seed, 0)
        da, reserve = made.da_usd_per_mwh[::4], {p: v[::4] for p, v in made.reserve_usd_per_mw.items()}
        ordered = (reserve["regup"] >= reserve["spin"]) & (reserve["spin"] >= reserve["nonspin"])
        found.append(
            {
                **da_statistics(da, day),
                **rt_statistics(made.da_usd_per_mwh, made.rt_usd_per_mwh),
                **reserve_statistics(da, reserve["regup"], reserve["regdown"]),
                **{p: float(v.mean()) for p, v in reserve.items()},
                "RegUp >= spin >= non-spin": float(ordered.mean()),
            }
        )
        shapes.append(hourly_shape(da, hour))
    return _mean(found), np.mean(shapes, axis=0)


def _conditional(season: Season, data: Path, seeds: int) -> list[Row]:
    """Rows of the seeded spread on the measured day-ahead prices of 2019: like for like."""
    da, rt = _measured_spread(season, data)
    first = pd.Timestamp(f"2019-{season.rt_months[0]:02d}-01", tz=ZONE)
    scenario = load_scenario(season.scenario).override({"time.start": first.strftime("%Y-%m-%dT%H:%M")})
    level = float(np.median(da))
    found = [rt_statistics(da, real_time_given_da(scenario, seed, da, level)) for seed in range(seeds)]
    real, made = rt_statistics(da, rt), _mean(found)
    source = f"DLAP_PGAE 2019, months {season.rt_months[0]}-{season.rt_months[-1]}"
    series = f"spread on real DA, {season.season} 2019"
    return [Row(series, name, UNITS[name], made[name], real[name], source) for name in real]


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.nanmean([f[name] for f in found])) for name in found[0]}


def _source(season: Season, name: str) -> str:
    if name.startswith("DA "):
        return f"CAISO day-ahead, DLAP_{season.da_file[:4].strip()}, {season.da_month}"
    if name.startswith("correlation"):
        return f"CAISO 2020, months {season.as_months[0]}-{season.as_months[-1]}"
    return f"CAISO, DLAP_PGAE 2019, months {season.rt_months[0]}-{season.rt_months[-1]}"
