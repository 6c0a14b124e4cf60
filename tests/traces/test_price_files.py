"""Prices as they come: every shape of file gives the same month, and what cannot be read says what to do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vpp_benchmarks.run.experiment import job_hash
from vpp_benchmarks.run.plan import make_plan

from tests.fuzz.harness import one_line
from vpp_env.errors import DataError
from vpp_env.scenario import load_scenario
from vpp_env.traces.readers.caiso import load_market_data
from vpp_env.traces.readers.files import MOST_BYTES, read_all

DAY = load_scenario("quick").override({"time.start": "2023-08-01T00:00", "time.duration_hours": 24})
HOURS = pd.date_range("2023-08-01T07:00Z", periods=30, freq="h")
PRICES = np.round(np.random.default_rng(0).uniform(20.0, 90.0, len(HOURS)), 3)
TYPES = {"LMP": "LMP_PRC", "MCC": "LMP_CONG_PRC", "MCE": "LMP_ENE_PRC", "MCL": "LMP_LOSS_PRC", "MGHG": "LMP_GHG_PRC"}


def stamps(hours: pd.DatetimeIndex = HOURS) -> list[str]:
    return [f"{hour:%Y-%m-%dT%H:%M:%SZ}" for hour in hours]


def tidy(prices: np.ndarray = PRICES) -> pd.DataFrame:
    return pd.DataFrame({"ts_utc": stamps(), "lmp_da_usd_mwh": prices})


def oasis(kind: str = "LMP", value: str = "MW", run: str = "DAM", each: int = 1) -> pd.DataFrame:
    """A report as OASIS sends it: one LMP type, unsorted; `each` rows an hour with the hour's price."""
    hours = pd.date_range(HOURS[0], periods=len(HOURS) * each, freq=pd.Timedelta(hours=1) / each)
    prices = np.repeat(PRICES, each) if kind == "LMP" else np.full(len(hours), 1.5)
    rows = {"INTERVALSTARTTIME_GMT": [f"{h:%Y-%m-%dT%H:%M:%S}-00:00" for h in hours], "OPR_HR": 1}
    rows |= {"NODE_ID": "DLAP_SCE-APND", "NODE": "DLAP_SCE-APND", "MARKET_RUN_ID": run, "LMP_TYPE": kind}
    return pd.DataFrame({**rows, "XML_DATA_ITEM": TYPES[kind], value: prices}).sample(frac=1, random_state=1)


def gridstatus(start: str = "Interval Start", **other: str) -> pd.DataFrame:
    names = {"Market": "Market", "Location": "Location", "LMP": "LMP"} | other
    local = HOURS.tz_convert("America/Los_Angeles")
    made = {"Market": "DAY_AHEAD_HOURLY", "Location": "DLAP_SCE-APND", "LMP": PRICES}
    return pd.DataFrame({start: local, **{names[key]: value for key, value in made.items()}})


def archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


def write(shape: str, folder: Path) -> str:
    """Write the prices in a shape; return the path to give."""
    file, text = folder / "prices.csv", tidy().to_csv(index=False)
    if shape == "csv.gz":
        tidy().to_csv(folder / "prices.csv.gz", index=False)
        return str(folder / "prices.csv.gz")
    if shape == "zip":
        return str(archive(folder / "p.zip", {"a.csv": text, "__MACOSX/._a.csv": "\0\5", ".DS_Store": "x"}))
    if shape == "a zip of one LMP type a file":
        return str(archive(folder / "p.zip", {f"{k}_v3.csv": oasis(k, "VALUE").to_csv(index=False) for k in TYPES}))
    if shape == "a folder of one LMP type a file":
        for kind in TYPES:
            oasis(kind, "PRC").to_csv(folder / f"20230801_PRC_LMP_DAM_{kind}.csv", index=False)
        return str(folder)
    if shape == "a folder with other files":
        (folder / "._prices.csv").write_bytes(b"\0\5\x16\7")
        for name, content in OTHERS.items():
            (folder / name).write_text(content, encoding="utf-8")
        file.write_text(text, encoding="utf-8")
        return str(folder)
    frames = {
        "OASIS in lower case": oasis().rename(columns=str.lower),
        "gridstatus": gridstatus(),
        "gridstatus.io": gridstatus("interval_start_utc", Market="market", Location="location", LMP="lmp"),
        "gridstatus.io, local": gridstatus("interval_start_local", Market="market", Location="location", LMP="lmp"),
        "another name of the time": tidy().rename(columns={"ts_utc": "timestamp"}),
        "an index without a name": tidy().rename(columns={"ts_utc": ""}),
        "ends of intervals": tidy().assign(ts_utc=stamps(HOURS + pd.Timedelta(hours=1))),
        "with a mark of its order": tidy(),
    }
    frames[shape].to_csv(file, index=False, encoding="utf-8-sig" if shape == "with a mark of its order" else None)
    return f"ending:{file}" if shape == "ends of intervals" else str(file)


OTHERS = {
    "README.txt": "hello",
    "notes.csv": "a,b\n1,2\n",
    "empty.csv": "",
    "weather.csv": "ts_utc,temp\n2023-08-01T07:00Z,3\n",
    "demand.csv": "INTERVALSTARTTIME_GMT,MARKET_RUN_ID,MW\n2023-08-01T07:00:00-00:00,DAM,3\n",
    "head.csv": "ts_utc,lmp_usd_mwh\n",
}
SHAPES = (
    "csv.gz", "zip", "a zip of one LMP type a file", "a folder of one LMP type a file", "a folder with other files",
    "OASIS in lower case", "gridstatus", "gridstatus.io", "gridstatus.io, local", "another name of the time",
    "an index without a name", "ends of intervals", "with a mark of its order",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_same_month(shape: str, tmp_path: Path) -> None:
    made = load_market_data(write(shape, tmp_path), DAY, 0, 0)
    np.testing.assert_array_equal(made.da_usd_per_mwh, np.repeat(PRICES[:24], 4))
    assert made.source["da"].startswith("measured")
    skipped = "passed over in the folder: demand.csv, empty.csv, head.csv, notes.csv, weather.csv"
    assert (skipped in made.source["da"]) == (shape == "a folder with other files")


@pytest.mark.parametrize(("run", "each", "value"), [("RTPD", 4, "PRC"), ("RTPD", 4, "VALUE"), ("RTM", 12, "VALUE")])
def test_real_time_reports_beside_day_ahead_ones(run: str, each: int, value: str, tmp_path: Path) -> None:
    for kind in TYPES:
        oasis(kind, value, run, each).to_csv(tmp_path / f"rt_{kind}.csv", index=False)
    oasis().to_csv(tmp_path / "da.csv", index=False)
    made = load_market_data(tmp_path, DAY, 0, 0)
    np.testing.assert_allclose(made.rt_usd_per_mwh, made.da_usd_per_mwh)
    assert made.source["rt"].startswith("measured")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_year_of_monthly_reports_loads(zipped: bool, tmp_path: Path) -> None:
    """The twelve files of a year, local months, as they are downloaded."""
    year = load_scenario("quick").for_month("caiso:PGAE:2019-01")
    months = [year.for_month(f"caiso:PGAE:2019-{m:02d}") for m in range(1, 13)]
    for m, month in enumerate(months, 1):
        prices = load_market_data(f"caiso:PGAE:2019-{m:02d}", month, 0, 0).da_usd_per_mwh[::4]
        hours = month.calendar.utc[::4]
        table = pd.DataFrame(
            {"INTERVALSTARTTIME_GMT": hours.strftime("%Y-%m-%dT%H:%M:%S-00:00"), "NODE": "DLAP_PGAE-APND"}
        ).assign(MARKET_RUN_ID="DAM", LMP_TYPE="LMP", MW=prices)
        text, name = table.sample(frac=1, random_state=m).to_csv(index=False), f"2019{m:02d}01_PRC_LMP_DAM_v1"
        if zipped:
            archive(tmp_path / f"{name}.zip", {f"{name}.csv": text})
        else:
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    whole = months[0].override({"time.duration_hours": 8760})
    made = load_market_data(tmp_path, whole, 0, 0)
    assert "interpolated" not in made.source["da"]
    for at in (months[1], months[10]):
        first = int((at.calendar.utc[0] - whole.calendar.utc[0]) / pd.Timedelta(minutes=15))
        expected = load_market_data(f"caiso:PGAE:2019-{at.start.month:02d}", at, 0, 0).da_usd_per_mwh
        np.testing.assert_array_equal(made.da_usd_per_mwh[first : first + len(expected)], expected)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (tidy().to_csv(index=False, sep=";"), "separated by ';'; allowed are commas"),
        (tidy(PRICES / 1000).to_csv(index=False), "looks like USD/kWh"),
        (tidy(np.full(30, 1e308)).to_csv(index=False), r"allowed are prices up to 1e\+06"),
        (tidy(np.full(30, np.inf)).to_csv(index=False), "which is no finite number"),
        (tidy().rename(columns={"ts_utc": "Hour Ending"}).to_csv(index=False), "put ending: before the path"),
        (pd.concat([gridstatus().assign(Location=n) for n in ("TH_NP15", "TH_SP15")]).to_csv(), "TH_SP15; say which"),
        (tidy().assign(regup_usd_mw_h=-1.0).to_csv(index=False), "allowed is 0 or more .*are not negative"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        load_market_data(file, DAY, 0, 0)
    assert "\n" not in str(caught.value)


def test_a_quarter_hour_day_ahead_market_says_what_is_needed(tmp_path: Path) -> None:
    quarters = pd.date_range(HOURS[0], periods=120, freq="15min")
    table = pd.DataFrame({"ts_utc": stamps(quarters), "lmp_da_usd_mwh": np.linspace(20.0, 90.0, 120)})
    table.to_csv(tmp_path / "eu.csv", index=False)
    with pytest.raises(DataError, match=r"15-min day-ahead market .* is not modelled: give the mean of each hour"):
        load_market_data(tmp_path / "eu.csv", DAY, 0, 0)


def test_cents_are_warned_of(tmp_path: Path) -> None:
    tidy(PRICES / 10).to_csv(tmp_path / "cents.csv", index=False)
    assert "warning: half of the day-ahead prices are below" in load_market_data(tmp_path, DAY, 0, 0).source["da"]


def test_ends_of_intervals_are_another_run_and_of_tidy_files_only(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    tidy().to_csv(file, index=False)
    one, other = (make_plan(DAY, ["idle"], (0,), path).jobs(0)[0] for path in (str(file), f"ending:{file}"))
    assert job_hash(one) != job_hash(other)
    oasis().to_csv(file, index=False)
    with pytest.raises(DataError, match="leave ending: out"):
        load_market_data(f"ending:{file}", DAY, 0, 0)


@pytest.mark.parametrize("name", ["prices.csv.gz", "prices.parquet"])
def test_nor_is_a_small_file_of_very_many_rows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, rows = tmp_path / name, pd.DataFrame({"ts_utc": ["2023-08-01T00:00Z"] * 200_000, "lmp": 1.0})
    rows.to_parquet(file) if name.endswith("parquet") else rows.to_csv(file, index=False)
    assert file.stat().st_size < 50_000
    monkeypatch.setattr("vpp_env.traces.readers.check.MOST_BYTES", 1_000_000)
    monkeypatch.setattr("vpp_env.traces.readers.check.MOST_CELLS", 100_000)
    with pytest.raises(DataError, match=r"unpacks to more than 1000000 bytes|200000 rows of 2 columns"):
        load_market_data(file, DAY, 0, 0)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vpp_env.traces.readers.files.MOST_BYTES", 100_000)
    file = archive(tmp_path / "bomb.zip", {"a.csv": "0" * 1_000_000})
    with pytest.raises(DataError, match="unpacks to 1000000 bytes; allowed are 100000"):
        load_market_data(file, DAY, 0, 0)
    assert MOST_BYTES > 100_000


@pytest.mark.parametrize("dates", ["Date", "OPR_DT", "Trade Date", "Delivery Date"])
@pytest.mark.parametrize("hours", ["Hour Ending", "HE", "OPR_HR", "HourEnding", "Hour", "hr_end"])
@pytest.mark.parametrize("price", ["LMP", "lmp_da_usd_mwh"])
def test_a_date_and_the_number_of_an_hour_are_refused_with_what_makes_them_instants(
    dates: str, hours: str, price: str, tmp_path: Path
) -> None:
    file, before = tmp_path / "p.csv", "ending:" if hours == "HE" else ""
    days = {"2023-03-11": 24, "2023-03-12": 23, "2023-11-04": 24, "2023-11-05": 25}
    table = pd.DataFrame(
        [(day, hour, 40.0 + hour) for day, n in days.items() for hour in range(1, n + 1)],
        columns=[dates, hours, price],
    )
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match=f"{dates} and {hours} are a date and the number of an hour") as caught:
        read_all(f"{before}{file}")
    said = str(caught.value)
    assert one_line(said)
    line = said[said.index("pandas.to_datetime") :]
    instants = eval(line, {"pandas": pd, "table": table})
    assert len(set(instants)) == len(table)
    for day in days:
        steps = instants[table[dates] == day].diff().dropna()
        assert set(steps) == {pd.Timedelta(hours=1)}
    assert instants.iloc[-1] == pd.Timestamp("2023-11-06 07:00", tz="UTC")


def test_a_column_for_each_hour_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    pd.DataFrame([["2023-08-01", *range(24)]], columns=["Date", *(f"HE{h:02d}" for h in range(1, 25))]).to_csv(file)
    with pytest.raises(DataError, match="Date and HE01 are a date and the number of an hour"):
        read_all(file)


def test_an_hour_beside_a_time_is_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    for name in ("timestamp", "date"):
        tidy().rename(columns={"ts_utc": name}).assign(hour=range(1, len(HOURS) + 1)).to_csv(file, index=False)
        assert len(read_all(file)[0]) == 1
