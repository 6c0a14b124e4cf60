import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.traces.shared_data import DATA, needs_data
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.traces.readers.caiso import load_market_data
from vpp_env.traces.readers.files import resolve_paths
from vpp_env.traces.series import RESERVE_PRODUCTS, MarketSeries
from vpp_env.traces.validation.prices import HOURLY_TARGETS, SEASONS, TARGETS, measured

START = "2023-08-01T00:00"
FIRST = pd.Timestamp(START, tz="America/Los_Angeles").tz_convert("UTC")


@pytest.fixture(scope="module")
def two_days() -> Scenario:
    return load_scenario("august").override({"time.start": START, "time.duration_hours": 48})


def hourly(n: int = 72, first: pd.Timestamp = FIRST, **columns: np.ndarray) -> pd.DataFrame:
    ts = pd.date_range(first, periods=n, freq="h")
    return pd.DataFrame({"ts_utc": ts, **(columns or {"lmp_da_usd_mwh": 40.0 + np.arange(n)})})


def quarter_hours(n: int = 288, minutes: int = 15) -> pd.DataFrame:
    ts = pd.date_range(FIRST, periods=n, freq=f"{minutes}min")
    return pd.DataFrame({"ts_utc": ts, "lmp_rt_usd_mwh": 30.0 + np.arange(n, dtype=np.float64) % 7})


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        out = table.copy()
        if isinstance(out["ts_utc"].dtype, pd.DatetimeTZDtype):
            out["ts_utc"] = out["ts_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        out.to_csv(path, index=False)
    return path


# ---- what is read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prices.csv", "prices.parquet"])
def test_hourly_day_ahead_is_held_over_its_hour_and_the_rest_is_modelled(
    tmp_path: Path, two_days: Scenario, name: str
) -> None:
    table = hourly()
    path = write(table.sample(frac=1.0, random_state=0), tmp_path / name)  # order does not matter
    series = load_market_data(path, two_days, 0, 96)
    np.testing.assert_allclose(series.da_usd_per_mwh, np.repeat(table["lmp_da_usd_mwh"], 4))
    assert series.rt_usd_per_mwh.shape == (288,)
    assert set(series.source) == {"da", "rt", *RESERVE_PRODUCTS}
    assert f"file {name} sha256:" in series.source["da"]
    assert "seeded model on the file's day-ahead prices" in series.source["rt"]
    again = load_market_data(path, two_days, 0, 96)
    np.testing.assert_array_equal(series.rt_usd_per_mwh, again.rt_usd_per_mwh)
    assert not np.array_equal(series.rt_usd_per_mwh, load_market_data(path, two_days, 1, 96).rt_usd_per_mwh)


def test_tail_behind_the_file_repeats_the_last_day(tmp_path: Path, two_days: Scenario) -> None:
    series = load_market_data(write(hourly(48), tmp_path / "p.csv"), two_days, 0, 192)
    np.testing.assert_array_equal(series.da_usd_per_mwh[192:288], series.da_usd_per_mwh[96:192])
    np.testing.assert_array_equal(series.da_usd_per_mwh[288:], series.da_usd_per_mwh[96:192])
    assert "repeat the day before" in series.source["da"]


def test_five_minute_real_time_is_averaged(tmp_path: Path, two_days: Scenario) -> None:
    table = quarter_hours(72 * 12, minutes=5)
    da, rt = write(hourly(), tmp_path / "da.csv"), write(table, tmp_path / "rt.parquet")
    series = load_market_data(f"{da},{rt}", two_days, 0, 0)
    expected = table["lmp_rt_usd_mwh"].to_numpy()[: 192 * 3].reshape(-1, 3).mean(axis=1)
    np.testing.assert_allclose(series.rt_usd_per_mwh, expected)
    assert series.source["rt"].startswith("measured: file rt.parquet")


def test_plain_lmp_is_day_ahead_when_hourly_and_real_time_when_finer(tmp_path: Path, two_days: Scenario) -> None:
    coarse = hourly().rename(columns={"lmp_da_usd_mwh": "lmp_usd_mwh"})
    fine = quarter_hours().rename(columns={"lmp_rt_usd_mwh": "lmp_usd_mwh"})
    assert "lmp_usd_mwh" in load_market_data(write(coarse, tmp_path / "a.csv"), two_days, 0, 0).source["da"]
    series = load_market_data(write(fine, tmp_path / "b.csv"), two_days, 0, 0)
    assert series.source["rt"].startswith("measured: file b.csv")
    assert "forecast from the file's real-time prices" in series.source["da"]


def test_day_ahead_made_from_real_time_never_looks_ahead(tmp_path: Path, two_days: Scenario) -> None:
    n = 12 * 96
    ts = pd.date_range(FIRST - pd.Timedelta(days=9), periods=n, freq="15min")
    table = pd.DataFrame({"ts_utc": ts, "lmp_rt_usd_mwh": np.random.default_rng(0).uniform(20, 60, n)})
    changed = table.copy()
    changed.loc[ts >= FIRST - pd.Timedelta(days=1), "lmp_rt_usd_mwh"] = 500.0  # d-1 is not over at publication
    one, two = (
        load_market_data(write(t, tmp_path / f"{i}.parquet"), two_days, 0, 0) for i, t in enumerate((table, changed))
    )
    np.testing.assert_array_equal(one.da_usd_per_mwh[:96], two.da_usd_per_mwh[:96])
    assert "100% of steps" in one.source["da"]


def test_node_columns(tmp_path: Path, two_days: Scenario) -> None:
    n = 72
    table = hourly(n, lmp_pgae_usd_mwh=np.full(n, 50.0), lmp_sce_usd_mwh=np.full(n, 60.0))
    path = write(table, tmp_path / "nodes.parquet")
    assert load_market_data(path, two_days, 0, 0).da_usd_per_mwh[0] == 60.0
    assert load_market_data(path, two_days, 0, 0, node="PGAE").da_usd_per_mwh[0] == 50.0
    with pytest.raises(DataError, match="'np15' is not among pgae, sce"):
        load_market_data(path, two_days, 0, 0, node="np15")
    path = write(table.rename(columns={"lmp_sce_usd_mwh": "lmp_vea_usd_mwh"}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="several nodes, pgae, vea; say which with --node"):
        load_market_data(path, two_days, 0, 0)
    with pytest.raises(DataError, match="no column names a node; leave node out"):
        load_market_data(write(hourly(), tmp_path / "plain.csv"), two_days, 0, 0, node="sce")


def test_measured_reserves_are_kept_and_modelled_ones_stay_in_order(tmp_path: Path, two_days: Scenario) -> None:
    n = 72
    up = np.where(np.arange(n) % 2, 0.5, 400.0)
    table = hourly(n, lmp_da_usd_mwh=np.full(n, 60.0), regup_usd_mw_h=up)
    series = load_market_data(write(table, tmp_path / "r.csv"), two_days, 0, 0)
    made = series.reserve_usd_per_mw
    np.testing.assert_allclose(made["regup"], np.repeat(up[:48], 4))
    assert np.all(made["spin"] <= made["regup"])
    assert np.all(made["nonspin"] <= made["spin"])
    assert "24 hours above the bid cap kept as measured" in series.source["regup"]


def test_short_gaps_are_interpolated_and_said(tmp_path: Path, two_days: Scenario) -> None:
    series = load_market_data(write(hourly().drop(index=[10, 11]), tmp_path / "g.csv"), two_days, 0, 0)
    np.testing.assert_allclose(series.da_usd_per_mwh, np.repeat(40.0 + np.arange(48), 4))
    assert "2 missing intervals interpolated, first 2023-08-01T17:00" in series.source["da"]


def test_run_that_starts_inside_a_day(tmp_path: Path) -> None:
    scenario = load_scenario("august").override({"time.start": "2023-08-01T16:00", "time.duration_hours": 6})
    series = load_market_data(write(hourly(), tmp_path / "p.csv"), scenario, 0, 0)
    np.testing.assert_array_equal(series.da_usd_per_mwh[:5], [56, 56, 56, 56, 57])


def test_folder_glob_and_list(tmp_path: Path) -> None:
    a, b = write(hourly(), tmp_path / "a.csv"), write(quarter_hours(), tmp_path / "b.parquet")
    (tmp_path / "notes.txt").write_text("x")
    assert resolve_paths(tmp_path) == [a, b]
    assert resolve_paths(tmp_path / "*.csv") == [a]
    assert resolve_paths(f"{b}, {a}, {a}") == [b, a]
    with pytest.raises(DataError, match="no such file, folder"):
        resolve_paths(tmp_path / "absent.csv")


# ---- bad files: file, row, remedy -------------------------------------------------------------------


def _with(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    out = table.astype({column: object})
    out.loc[row - 1, column] = value
    return out


BAD = {
    "naive": (hourly().assign(ts_utc=lambda t: t["ts_utc"].dt.tz_localize(None)), r"row 1.*no time zone.*tz_localize"),
    "naive_text": (
        hourly().assign(ts_utc=lambda t: t["ts_utc"].dt.strftime("%Y-%m-%dT%H:%M")),
        r"row 1.*without a time zone.*with Z",
    ),
    "unreadable_time": (
        _with(hourly().assign(ts_utc=lambda t: t["ts_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")), 5, "ts_utc", "soon"),
        r"row 5.*'soon'.*ISO 8601",
    ),
    "not_a_number": (_with(hourly(), 7, "lmp_da_usd_mwh", "n/c"), r"row 7.*'n/c'.*no finite number.*give a number"),
    "empty": (_with(hourly(), 9, "lmp_da_usd_mwh", None), r"row 9.*is empty \(NaN\).*delete the row"),
    "infinite": (_with(hourly(), 4, "lmp_da_usd_mwh", float("inf")), r"row 4.*no finite number"),
    "duplicate": (
        pd.concat([hourly(), hourly().iloc[[3]]], ignore_index=True),
        r"row 73.*more than once \(rows 4, 73\).*daylight saving",
    ),
    "gap": (hourly().drop(index=range(10, 14)).reset_index(drop=True), r"row 10.*no values for 4 h.*2023-08-01T17:00"),
    "kwh": (
        hourly(72, lmp_da_usd_mwh=np.full(72, 0.05)),
        r"half of the values are below 0.05.*USD/kWh.*multiply.*1000",
    ),
    "above_cap": (_with(hourly(), 20, "lmp_da_usd_mwh", 2500.0), r"row 20.*2500.*-150 to 2000.*widen"),
    "below_floor": (_with(hourly(), 21, "lmp_da_usd_mwh", -200.0), r"row 21.*-200.*price_floor"),
    "negative_reserve": (
        _with(hourly(72, lmp_da_usd_mwh=np.full(72, 50.0), spin_usd_mw_h=np.full(72, 3.0)), 2, "spin_usd_mw_h", -1.0),
        r"row 2.*spin_usd_mw_h is -1",
    ),
    "half_hourly": (
        hourly().assign(ts_utc=pd.date_range(FIRST, periods=72, freq="30min")),
        r"30 min apart.*allowed are 5 or 15 or 60",
    ),
    "hourly_real_time": (
        hourly().rename(columns={"lmp_da_usd_mwh": "lmp_rt_usd_mwh"}),
        r"60 min apart.*name it lmp_da_usd_mwh",
    ),
    "off_grid": (
        hourly().assign(ts_utc=lambda t: t["ts_utc"] + pd.Timedelta(minutes=10)),
        r"row 1.*not on the 60-min grid.*start of the interval",
    ),
    "changes_in_hour": (
        quarter_hours().rename(columns={"lmp_rt_usd_mwh": "lmp_da_usd_mwh"}),
        r"changes inside the hour.*lmp_rt_usd_mwh",
    ),
    "no_price": (
        hourly().rename(columns={"lmp_da_usd_mwh": "lmp_da_usd_kwh"}),
        r"no price column among ts_utc, lmp_da_usd_kwh; accepted: lmp_da_usd_mwh",
    ),
    "no_time": (hourly().rename(columns={"ts_utc": "when"}), r"neither ts_utc .* name the UTC start"),
    "no_rows": (hourly().iloc[:0], r"no data rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(tmp_path: Path, two_days: Scenario, name: str) -> None:
    table, message = BAD[name]
    path = tmp_path / f"{name}.csv"
    if name == "no_time":
        table.to_csv(path, index=False)
    elif name in ("naive", "infinite"):
        path = tmp_path / f"{name}.parquet"
        table.astype({"lmp_da_usd_mwh": float}).to_parquet(path)
    else:
        write(table, path)
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        load_market_data(path, two_days, 0, 0)
    assert name in str(caught.value)


def test_unreadable_files(tmp_path: Path, two_days: Scenario) -> None:
    for name, message in (
        ("a.parquet", "not a readable .parquet"),
        ("a.xlsx", "allowed are .csv, .csv.gz, .parquet and .zip"),
    ):
        (tmp_path / name).write_text("no such format")
        with pytest.raises(DataError, match=message):
            load_market_data(tmp_path / name, two_days, 0, 0)


def test_other_dates_name_the_span_and_a_start_that_fits(tmp_path: Path, two_days: Scenario) -> None:
    local = pd.Timestamp("2019-04-20T00:00", tz="America/Los_Angeles").tz_convert("UTC")
    path = write(hourly(24 * 45, first=local), tmp_path / "old.parquet")
    with pytest.raises(DataError, match=r"2019-04-20T00:00 to 2019-06-04T00:00.*--start 2019-05-01T00:00.*744 h"):
        load_market_data(path, two_days, 0, 0)
    path = write(hourly(24 * 5, first=local), tmp_path / "short.parquet")
    with pytest.raises(DataError, match=r"no full month.*--start 2019-04-20T00:00 with time.duration_hours = 120"):
        load_market_data(path, two_days, 0, 0)
    path = write(hourly(47), tmp_path / "hour_short.parquet")
    with pytest.raises(DataError, match="hour_short"):
        load_market_data(path, two_days, 0, 0)


def test_overlapping_files_must_agree(tmp_path: Path, two_days: Scenario) -> None:
    table = hourly()
    a, b = write(table.iloc[:50], tmp_path / "a.csv"), write(table.iloc[40:], tmp_path / "b.csv")
    series = load_market_data(f"{a},{b}", two_days, 0, 96)
    np.testing.assert_allclose(series.da_usd_per_mwh, np.repeat(table["lmp_da_usd_mwh"], 4))
    write(_with(table.iloc[40:].reset_index(drop=True), 3, "lmp_da_usd_mwh", 7.0), b)
    with pytest.raises(DataError, match="files disagree at 2023-08-03T01:00"):
        load_market_data(f"{a},{b}", two_days, 0, 96)


# ---- raw OASIS --------------------------------------------------------------------------------------


def oasis(first: str, n: int, run: str = "DAM", minutes: int = 60, node: str = "DLAP_SCE-APND", base: float = 20.0):  # type: ignore[no-untyped-def]
    """Make a download: five LMP types, rows shuffled; LMP of row i is `base` + i."""
    ts = pd.date_range(pd.Timestamp(first, tz="America/Los_Angeles").tz_convert("UTC"), periods=n, freq=f"{minutes}min")
    parts = []
    for offset, kind in enumerate(("LMP", "MCE", "MCC", "MCL", "MGHG")):
        parts.append(
            pd.DataFrame(
                {
                    "INTERVALSTARTTIME_GMT": ts.strftime("%Y-%m-%dT%H:%M:%S-00:00"),
                    "NODE": node,
                    "MARKET_RUN_ID": run,
                    "LMP_TYPE": kind,
                    "MW": base + np.arange(n) + 1000.0 * offset,
                }
            )
        )
    return pd.concat(parts).sample(frac=1.0, random_state=1)


@pytest.mark.parametrize(("start", "hours"), [("2019-03-10T00:00", 23), ("2019-11-03T00:00", 25)])
def test_oasis_day_with_a_clock_change(tmp_path: Path, start: str, hours: int) -> None:
    scenario = load_scenario("august").override({"time.start": start, "time.duration_hours": hours})
    assert scenario.calendar.steps_in_day(0) == 4 * hours
    path = tmp_path / "PRC_LMP_DAM.csv"
    oasis(start, hours).to_csv(path, index=False)
    series = load_market_data(path, scenario, 0, 0)
    np.testing.assert_allclose(series.da_usd_per_mwh, np.repeat(20.0 + np.arange(hours), 4))
    assert "MW of DLAP_SCE-APND DAM" in series.source["da"]


def test_oasis_market_runs_and_nodes(tmp_path: Path, two_days: Scenario) -> None:
    oasis(START, 48).to_csv(tmp_path / "da.csv", index=False)
    oasis(START, 48, node="DLAP_PGAE-APND", base=50.0).to_csv(tmp_path / "da_pgae.csv", index=False)
    five = oasis(START, 48 * 12, "RTM", 5)
    five.to_csv(tmp_path / "rt5.csv", index=False)
    series = load_market_data(tmp_path, two_days, 0, 0)
    assert series.da_usd_per_mwh[0] == 20.0
    np.testing.assert_allclose(series.rt_usd_per_mwh, 21.0 + 3 * np.arange(192))
    fmm = oasis(START, 48 * 4, "RTPD", 15, base=7.0).rename(columns={"MW": "PRC"})
    fmm.to_csv(tmp_path / "rt15.csv", index=False)
    np.testing.assert_allclose(load_market_data(tmp_path, two_days, 0, 0).rt_usd_per_mwh, 7.0 + np.arange(192))
    pgae = load_market_data(f"{tmp_path / 'da.csv'},{tmp_path / 'da_pgae.csv'}", two_days, 0, 0, node="pgae")
    assert pgae.da_usd_per_mwh[0] == 50.0


def test_oasis_errors(tmp_path: Path, two_days: Scenario) -> None:
    path = tmp_path / "raw.csv"
    table = oasis(START, 48)
    cases = [
        (table[table["LMP_TYPE"] != "LMP"], "no row has LMP_TYPE = LMP"),
        (table.assign(MARKET_RUN_ID="RUC"), r"row \d+: MARKET_RUN_ID 'RUC'; allowed: DAM"),
        (table.drop(columns="LMP_TYPE"), "without LMP_TYPE"),
        (table.drop(columns="MW"), "without MW or NODE"),
        (table.assign(INTERVALSTARTTIME_GMT="1 August"), r"row \d+: INTERVALSTARTTIME_GMT holds '1 August'"),
        (pd.concat([table, table]), "more than once"),
    ]
    for bad, message in cases:
        bad.to_csv(path, index=False)
        with pytest.raises(DataError, match=message):
            load_market_data(path, two_days, 0, 0)


# ---- measured files ---------------------------------------------------------------------------------


@needs_data
def test_measured_august_2023() -> None:
    path = DATA / "caiso_da_lmp_dlap4_2023_06_12_hourly.parquet"
    scenario = load_scenario("august")
    series = load_market_data(path, scenario, 0, 192)
    assert series.da_usd_per_mwh[: scenario.n_steps].mean() == pytest.approx(76.98, abs=0.01)
    assert load_market_data(path, scenario, 0, 0, node="pgae").da_usd_per_mwh.mean() == pytest.approx(69.49, abs=0.01)


@needs_data
def test_measured_raw_oasis_equals_the_tidy_file() -> None:
    april = load_scenario("april").override({"time.start": "2019-04-01T00:00"})
    tidy = load_market_data(DATA / "caiso_da_lmp_dlap_pgae_2019_hourly.parquet", april, 0, 0)
    raw = load_market_data(DATA / "oasis_raw", april, 0, 0)
    np.testing.assert_allclose(raw.da_usd_per_mwh, tidy.da_usd_per_mwh, atol=1e-4)
    with pytest.raises(DataError, match="--start 2019-04-01T00:00"):
        load_market_data(DATA / "oasis_raw", load_scenario("august"), 0, 0)


@needs_data
@pytest.mark.parametrize(("start", "hours"), [("2019-03-01T00:00", 743), ("2019-11-01T00:00", 721)])
def test_measured_months_with_clock_changes(start: str, hours: int) -> None:
    scenario = load_scenario("august").override({"time.start": start})
    assert scenario.hours == hours
    files = ("caiso_da_lmp_dlap_pgae_2019_hourly.parquet", "caiso_rt5_lmp_dlap_pgae_2019_5min.parquet")
    series = load_market_data(",".join(str(DATA / f) for f in files), scenario, 0, 96)
    assert np.isfinite(series.da_usd_per_mwh).all()
    assert np.isfinite(series.rt_usd_per_mwh).all()


@needs_data
@pytest.mark.parametrize("season", SEASONS, ids=lambda s: s.title)
def test_embedded_targets_are_those_of_the_files(season) -> None:  # type: ignore[no-untyped-def]
    found, shape = measured(season, DATA)
    assert found == pytest.approx(TARGETS[season.title], abs=6e-5)
    np.testing.assert_allclose(shape, HOURLY_TARGETS[season.title], atol=0.051)


# ---- prices as they come: the kinds of shared/cases ---------------------------------------------------


def download(run: str, node: str, price: str, minutes: int = 60, n: int = 60) -> pd.DataFrame:
    ts = pd.date_range(FIRST, periods=n * 60 // minutes, freq=f"{minutes}min").strftime("%Y-%m-%dT%H:%M:%S-00:00")
    table = pd.DataFrame({"INTERVALSTARTTIME_GMT": ts, "NODE": node, "MARKET_RUN_ID": run, "LMP_TYPE": "LMP"})
    return table.assign(**{price: 40.0 + np.arange(len(table)) % 9}).sample(frac=1.0, random_state=0)


def reserves(**kinds: float) -> pd.DataFrame:
    ts = pd.date_range(FIRST, periods=60, freq="h").strftime("%Y-%m-%dT%H:%M:%S-00:00")
    parts = [
        pd.DataFrame(
            {"INTERVALSTARTTIME_GMT": ts, "ANC_TYPE": kind, "ANC_REGION": region, "MARKET_RUN_ID": "DAM"}
        ).assign(XML_DATA_ITEM=f"{kind}_CLR_PRC", MW=price * factor)
        for kind, price in kinds.items()
        for region, factor in (("AS_CAISO_EXP", 1.0), ("AS_SP26", 2.0))
    ]
    return pd.concat(parts)


def test_the_median_tells_the_unit(tmp_path: Path, two_days: Scenario) -> None:
    """One hour at the cap of 2 USD/kWh does not make a file one of USD/MWh."""
    price = 0.05 + 0.01 * np.sin(np.arange(72))
    price[19] = 2.0
    with pytest.raises(DataError, match=r"half of the values.*largest 2\).*USD/kWh"):
        load_market_data(write(hourly(lmp_da_usd_mwh=price), tmp_path / "a.csv"), two_days, 0, 96)


def test_two_nodes_are_not_settled_against_each_other(tmp_path: Path, two_days: Scenario) -> None:
    download("DAM", "DLAP_SCE-APND", "MW").to_csv(tmp_path / "dam.csv", index=False)
    download("RTM", "DLAP_PGAE-APND", "VALUE", 5).to_csv(tmp_path / "rtm.csv", index=False)
    with pytest.raises(DataError, match=r"DLAP_SCE-APND.*DLAP_PGAE-APND.*--node"):
        load_market_data(tmp_path, two_days, 0, 96)
    download("RTM", "DLAP_SCE-APND", "VALUE", 5).to_csv(tmp_path / "rtm.csv", index=False)
    made = load_market_data(tmp_path, two_days, 0, 96)
    assert made.source["da"].startswith("measured")
    assert made.source["rt"].startswith("measured")


@pytest.mark.parametrize("alone", [True, False])
def test_oasis_reserves(tmp_path: Path, two_days: Scenario, alone: bool) -> None:
    reserves(RU=9.0, SR=6.0, RMU=1.0).to_csv(tmp_path / "prc_as.csv", index=False)
    if not alone:
        download("DAM", "DLAP_SCE-APND", "MW").to_csv(tmp_path / "dam.csv", index=False)
    made = load_market_data(tmp_path, two_days, 0, 96)
    run = slice(0, two_days.n_steps)
    assert (made.reserve_usd_per_mw["regup"][run] == 9.0).all()
    assert (made.reserve_usd_per_mw["spin"][run] == 6.0).all()
    assert (made.reserve_usd_per_mw["nonspin"][run] <= 6.0).all()
    begins = {name: text.split()[0].strip(":") for name, text in made.source.items()}
    energy = "seeded" if alone else "measured"
    assert begins == {"da": energy, "rt": "seeded", "spin": "measured", "nonspin": "seeded", "regup": "measured",
                      "regdown": "seeded"}  # fmt: skip


@pytest.mark.parametrize("utc", [True, False])
def test_gridstatus(tmp_path: Path, two_days: Scenario, utc: bool) -> None:
    hours = pd.date_range(START, periods=60, freq="h", tz="America/Los_Angeles")
    names = (
        ("interval_start_utc", "location", "market", "lmp") if utc else ("Interval Start", "Location", "Market", "LMP")
    )
    start = hours.tz_convert("UTC") if utc else hours
    table = pd.DataFrame(
        dict(zip(names, (start, "DLAP_SCE-APND", "DAY_AHEAD_HOURLY", 40.0 + np.arange(60)), strict=True))
    )
    table.to_csv(tmp_path / "lmp.csv", index=False)
    pd.DataFrame(
        {"Interval Start": hours, "Region": "AS_CAISO_EXP", "Spinning Reserves": 5.0, "Non-Spinning Reserves": 0.5}
    ).to_parquet(tmp_path / "as.parquet")
    made = load_market_data(tmp_path, two_days, 0, 96)
    np.testing.assert_array_equal(made.da_usd_per_mwh[:192:4], 40.0 + np.arange(48))
    assert (made.reserve_usd_per_mw["spin"][:192] == 5.0).all()
    assert (made.reserve_usd_per_mw["nonspin"][:192] == 0.5).all()


def test_times_in_the_index(tmp_path: Path, two_days: Scenario) -> None:
    hourly().set_index("ts_utc").to_parquet(tmp_path / "a.parquet")
    made = load_market_data(tmp_path / "a.parquet", two_days, 0, 96)
    np.testing.assert_array_equal(made.da_usd_per_mwh[:192:4], 40.0 + np.arange(48))


def test_the_first_hour_of_a_run_is_filled_from_around_it_or_refused(tmp_path: Path, two_days: Scenario) -> None:
    table = hourly(80, FIRST - pd.Timedelta(hours=4))
    lacks = table.drop(index=4).reset_index(drop=True)
    made = load_market_data(write(lacks, tmp_path / "a.csv"), two_days, 0, 96)
    assert (made.da_usd_per_mwh[:4] == 44.0).all()  # between its neighbours 43 and 45
    assert "1 missing intervals interpolated" in made.source["da"]
    with pytest.raises(DataError, match=r"no values for 3 h"):
        load_market_data(write(table.drop(index=[3, 4, 5]), tmp_path / "b.csv"), two_days, 0, 96)


def test_no_price_that_is_not_finite_enters_a_month() -> None:
    fine = np.ones(8)
    with pytest.raises(DataError, match=r"prices spin: step 3 holds nan \(1 such steps\)"):
        MarketSeries(fine, fine, {"spin": np.array([1, 1, 1, np.nan, 1, 1, 1, 1])})


def test_zips_and_folders_with_other_files(tmp_path: Path, two_days: Scenario) -> None:
    text = download("DAM", "DLAP_SCE-APND", "MW").to_csv(index=False)
    with zipfile.ZipFile(tmp_path / "20230801_PRC_LMP.zip", "w") as archive:
        archive.writestr("20230801_PRC_LMP_DAM.csv", text)
        archive.writestr("__MACOSX/._20230801_PRC_LMP_DAM.csv", "rubbish")
    (tmp_path / "._leftover.csv").write_bytes(b"\x00\x05\x16")
    (tmp_path / "notes.csv").write_text("who,what\nme,this\n")
    (tmp_path / "README.txt").write_text("mine")
    part = download("DAM", "DLAP_SCE-APND", "MW").assign(LMP_TYPE="MCC")
    part.to_csv(tmp_path / "congestion.csv", index=False)
    made = load_market_data(tmp_path, two_days, 0, 96)
    assert made.source["da"].startswith("measured: file 20230801_PRC_LMP.zip")
    assert "passed over in the folder: congestion.csv, notes.csv" in made.source["da"]
    with pytest.raises(DataError, match="neither ts_utc"):
        load_market_data(tmp_path / "notes.csv", two_days, 0, 96)
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"bad.zip: not a readable .zip"):
        load_market_data(tmp_path / "bad.zip", two_days, 0, 96)


def test_a_day_of_the_better_run_does_not_hide_a_month_of_the_other(tmp_path: Path, two_days: Scenario) -> None:
    download("RTPD", "DLAP_SCE-APND", "PRC", 15, 6).to_csv(tmp_path / "rtpd.csv", index=False)
    download("RTM", "DLAP_SCE-APND", "VALUE", 5).to_csv(tmp_path / "rtm.csv", index=False)
    assert "RTM" in load_market_data(tmp_path, two_days, 0, 96).source["rt"]
