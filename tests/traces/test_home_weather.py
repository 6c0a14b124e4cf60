"""Weather that was brought: EPW, NSRDB and tidy tables drive the generated load and solar output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.traces.shared_data import DATA, needs_data
from tests.traces.test_home_data import run_kw, save
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.readers.homes import read_homes
from vpp_env.traces.solar import clear_ghi

STANDARD = pd.Timedelta(hours=-8)
DEVICES = "home,pv_kwp,bess_kwh\n" + "".join(f"h{i},6,0\n" for i in range(6))


@pytest.fixture(scope="module")
def two_days() -> Scenario:
    return load_scenario("quick").override({"time.start": "2023-08-01T00:00", "time.duration_hours": 48})


def sky(scenario: Scenario, share: float, year: int = 2023, temp: float = 20.0) -> pd.DataFrame:
    """A year of hourly weather in UTC: a share of a clear sky."""
    ts = pd.date_range(f"{year}-01-01", f"{year}-12-31 23:00", freq="h", tz="UTC") - STANDARD
    quarters = pd.date_range(ts[0], periods=4 * len(ts), freq="15min")
    ghi = clear_ghi(scenario.site, quarters)[0].reshape(-1, 4).mean(axis=1)
    return pd.DataFrame({"ts": ts, "temp_c": temp, "ghi": share * ghi})


def tidy(made: pd.DataFrame) -> pd.DataFrame:
    return made.assign(ts_utc=made["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).drop(columns="ts")


def nsrdb(made: pd.DataFrame, years: bool = False) -> str:
    local = made["ts"] + STANDARD
    table = pd.DataFrame(
        {
            "Year": [1998 + m % 5 for m in local.dt.month] if years else local.dt.year,
            "Month": local.dt.month,
            "Day": local.dt.day,
            "Hour": local.dt.hour,
            "Minute": 30,
            "GHI": made["ghi"],
            "Temperature": made["temp_c"],
        }
    )
    head = "Source,Location ID,Time Zone,Local Time Zone\nNSRDB,1,-8,-8\n"
    return head + table.to_csv(index=False)


def epw(made: pd.DataFrame) -> str:
    local = made["ts"] + STANDARD
    head = "LOCATION,Fontana,CA,USA,TMY3,722886,34.1,-117.4,-8.0,380.0\n" + "DESIGN CONDITIONS,0\n" * 7
    rows = [
        f"{1998 + t.month % 5},{t.month},{t.day},{t.hour + 1},60,?,{temp},9,50,100000,0,0,300,{ghi!r},9999,9999,0,0,0,0"
        for t, temp, ghi in zip(local, made["temp_c"], made["ghi"], strict=True)
    ]
    return head + "\n".join(rows) + "\n"


def test_irradiance_and_heat_drive_what_is_generated(tmp_path: Path, two_days: Scenario) -> None:
    months = {}
    for name, share, temp in (("clear", 1.0, 20.0), ("half", 0.5, 20.0), ("hot", 1.0, 40.0)):
        folder = save(tmp_path / name, devices__csv=DEVICES, weather__csv=tidy(sky(two_days, share, temp=temp)))
        months[name] = Month(two_days, 0, home_data=folder)
    energy = {name: run_kw(month, "pv").sum() for name, month in months.items()}
    # diffuse light keeps a little more than half
    assert 0.4 < energy["half"] / energy["clear"] < 0.65
    assert energy["hot"] < 0.97 * energy["clear"]  # hot modules give less
    load = {name: run_kw(month).sum() for name, month in months.items()}
    assert load["half"] == load["clear"]
    assert load["hot"] > 1.5 * load["clear"]  # cooling
    assert months["clear"].home_source["weather"].startswith("measured: temp_c, ghi, 2023-08-01..2023-08-02, 60 min")
    assert months["clear"].home_source["pv"] == "generated: docs/traces.md, from the weather given"
    assert (run_kw(months["half"], "pv") <= 6).all()


def test_epw_nsrdb_and_tidy_are_the_same_sky(tmp_path: Path, two_days: Scenario) -> None:
    made = sky(two_days, 0.7)
    folders = [
        save(tmp_path / "tidy", devices__csv=DEVICES, weather__csv=tidy(made)),
        save(tmp_path / "nsrdb", devices__csv=DEVICES, nsrdb_2023__csv=nsrdb(made)),
    ]
    first, other = (run_kw(Month(two_days, 0, home_data=folder), "pv") for folder in folders)
    np.testing.assert_allclose(first, other, rtol=1e-5, atol=1e-6)
    # a typical year stands for every year: a few days beside in the sun's path, no gap at its edges
    typical = [
        save(tmp_path / "epw", devices__csv=DEVICES, fontana__epw=epw(made)),
        save(tmp_path / "tmy", devices__csv=DEVICES, nsrdb_tmy__csv=nsrdb(made, years=True)),
    ]
    a, b = (run_kw(Month(two_days, 0, home_data=folder), "pv") for folder in typical)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert a.sum() == pytest.approx(first.sum(), rel=0.02)
    new_year = two_days.override({"time.start": "2024-12-31T00:00"})
    assert np.isfinite(run_kw(Month(new_year, 0, home_data=typical[0]), "pv")).all()


def test_direct_and_diffuse_make_global(tmp_path: Path, two_days: Scenario) -> None:
    made = sky(two_days, 1.0)
    quarters = pd.date_range(made["ts"].iloc[0], periods=4 * len(made), freq="15min")
    cosine = clear_ghi(two_days.site, quarters)[1].reshape(-1, 4).mean(axis=1)
    split = made.assign(dhi=0.2 * made["ghi"], dni=0.8 * made["ghi"] / np.maximum(cosine, 0.1)).drop(columns="ghi")
    folders = [
        save(tmp_path / "split", devices__csv=DEVICES, weather__csv=tidy(split)),
        save(tmp_path / "whole", devices__csv=DEVICES, weather__csv=tidy(made)),
    ]
    a, b = (run_kw(Month(two_days, 0, home_data=folder), "pv").sum() for folder in folders)
    assert a == pytest.approx(b, rel=0.02)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "weather__csv",
            "ts_utc,temp_c\n2023-08-01T07:00Z,20\n",
            "weather needs temp_c and ghi, or temp_c, dni and dhi",
        ),
        (
            "weather__csv",
            "ts_utc,temp_c,ghi\n2023-08-01T07:00Z,900,0\n2023-08-01T08:00Z,20,0\n",
            "allowed is -60 to 60",
        ),
        ("weather__csv", "a,b\n1,2\n", "nor an NSRDB file"),
        ("weather__csv", "Time Zone,x\n", "nor an NSRDB file"),
        ("weather__csv", "Time Zone\n77\nYear,Month,Day,Hour,Minute,GHI,Temperature\n2023,1,1,0,30,0,9\n", "-14 to 14"),
        (
            "weather__csv",
            "Time Zone\n-8\nYear,Month,Day,Hour,Minute,GHI,Temperature\n2023,13,1,0,30,0,9\n",
            "is no time",
        ),
        ("x__epw", "LOCATION\n", "no EPW file"),
        ("x__epw", "LOCATION,a,b,c,d,e,f,g,-8\n" + "x\n" * 7 + "1,2\n", "row 1: 2 fields"),
    ],
)
def test_weather_that_is_none(tmp_path: Path, name: str, text: str, words: str) -> None:
    folder = save(tmp_path, devices__csv=DEVICES, **{name: text})
    with pytest.raises(DataError) as caught:
        read_homes(folder, "America/Los_Angeles")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weather_alone_is_no_home(tmp_path: Path, two_days: Scenario) -> None:
    folder = save(tmp_path, weather__csv=tidy(sky(two_days, 1.0)))
    with pytest.raises(DataError, match="weather alone names no home"):
        read_homes(folder, "America/Los_Angeles")


@needs_data
def test_measured_weather_gives_the_measured_homes_output(tmp_path: Path) -> None:
    """August of the weather file gives about what the homes beside it had (it is a typical year, not theirs).

    What the file calls diffuse is global irradiance: with the direct one it is half as much again as a clear sky.
    """
    weather = pd.read_parquet(DATA / "weather_fontana_ca_2016_2017_hourly.parquet")
    weather.to_parquet(tmp_path / "weather.parquet")
    save(tmp_path, devices__csv=DEVICES)
    with pytest.raises(DataError, match="if dhi holds global irradiance, name it ghi and leave dni out"):
        Month(load_scenario("august"), 1000, home_data=tmp_path)
    weather.rename(columns={"dhi_w_m2": "ghi"}).drop(columns="dni_w_m2").to_parquet(tmp_path / "weather.parquet")
    month = Month(load_scenario("august"), 1000, home_data=tmp_path)
    factor = run_kw(month, "pv").mean() / 6.0
    homes = pd.read_parquet(DATA / "load_pv_fontana_ca_17homes_2016_2017_hourly.parquet")
    august = homes[(homes["ts_utc"] >= "2016-08-02T07:00Z") & (homes["ts_utc"] < "2016-09-02T07:00Z")]
    measured = august[[c for c in homes.columns if "_pv_" in c]].mean()
    measured = measured[measured > 0].mean() / 1000
    assert factor == pytest.approx(measured, rel=0.2), (factor, measured)
    assert "365 weeks earlier" in month.home_source["weather"]
