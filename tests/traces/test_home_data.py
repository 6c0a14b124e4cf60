"""Homes of one's own: what a folder holds becomes a month, a month becomes a folder, and what is wrong is said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.traces.shared_data import DATA, needs_data
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces.export import export_homes
from vpp_env.traces.fleet import build_fleet
from vpp_env.traces.homes import HomeTraces
from vpp_env.traces.readers.homes import home_hashes, read_homes
from vpp_env.traces.series import DayTraces

ZONE = "America/Los_Angeles"
FIRST = pd.Timestamp("2023-08-01", tz=ZONE).tz_convert("UTC")


@pytest.fixture(scope="module")
def two_days() -> Scenario:
    return load_scenario("quick").override({"time.start": "2023-08-01T00:00", "time.duration_hours": 48})


def table(hours: int = 48, minutes: int = 60, first: pd.Timestamp = FIRST, **columns: object) -> pd.DataFrame:
    ts = pd.date_range(first, periods=hours * 60 // minutes, freq=f"{minutes}min")
    columns = columns or {"a_kwh": 1.0 + np.arange(len(ts)) % 3, "b_kwh": 0.5 + 0.0 * np.arange(len(ts))}
    return pd.DataFrame({"timestamp": ts.strftime("%Y-%m-%dT%H:%M:%SZ"), **columns})


def save(folder: Path, **tables: pd.DataFrame | str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in tables.items():
        file = folder / name.replace("__", ".")
        if isinstance(made, str):
            file.write_text(made, encoding="utf-8")
        else:
            made.to_csv(file, index=False)
    return folder


def run_kw(month: Month, role: str = "load") -> np.ndarray:
    """(T, N) kW of the run's steps."""
    days = np.concatenate([getattr(month.traces(day), f"{role}_kw") for day in range(month.calendar.n_days)])
    return days[month.calendar.offset :][: month.calendar.n_steps]


def same_homes(a: Month, b: Month) -> None:
    for f in dataclasses.fields(a.fleet):
        x, y = getattr(a.fleet, f.name), getattr(b.fleet, f.name)
        assert (x.dtype, x.tolist()) == (y.dtype, y.tolist()), f.name
    for day in range(-2, a.calendar.n_days + 4):
        for f in dataclasses.fields(DayTraces):
            x, y = getattr(a.traces(day), f.name), getattr(b.traces(day), f.name)
            assert x.dtype == y.dtype, f.name
            np.testing.assert_array_equal(x, y, err_msg=f"day {day}: {f.name}")


# ---- what is read -----------------------------------------------------------------------------------


def test_hourly_kwh_is_spread_over_quarters_and_keeps_its_energy(tmp_path: Path, two_days: Scenario) -> None:
    month = Month(two_days, 0, home_data=save(tmp_path, load__csv=table()))
    assert month.fleet.n == month.scenario.fleet.size == 2  # N follows the data
    kw = run_kw(month)
    np.testing.assert_array_equal(kw[:, 0], np.repeat(1.0 + np.arange(48) % 3, 4).astype(np.float32))
    np.testing.assert_allclose(kw.sum(axis=0) * 0.25, [48 * 2.0, 24.0])
    assert month.home_source["load"].startswith("measured: 2 homes measured, 2023-08-01..2023-08-02, 60 min, no gaps")
    assert month.home_source["pv"].startswith("generated")
    assert month.home_source["devices"].startswith("generated")


@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60])
@pytest.mark.parametrize("unit", ["kw", "kwh", "w", "wh"])
def test_every_step_and_unit_is_the_same_load(tmp_path: Path, two_days: Scenario, minutes: int, unit: str) -> None:
    kw = np.full(48 * 60 // minutes, 1.2)
    values = kw * (1000 if unit.startswith("w") else 1) * (minutes / 60 if unit.endswith("h") else 1)
    month = Month(two_days, 0, home_data=save(tmp_path, load__csv=table(minutes=minutes, **{f"x_{unit}": values})))
    np.testing.assert_allclose(run_kw(month), 1.2, rtol=1e-6)


def test_long_and_wide_parquet_and_the_wall_clock_are_the_same(tmp_path: Path, two_days: Scenario) -> None:
    wide = table()
    long = wide.melt("timestamp", var_name="home", value_name="kwh").assign(home=lambda t: t["home"].str[:1])
    local = wide.assign(timestamp=pd.to_datetime(wide["timestamp"]).dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d %H:%M"))
    indexed = wide.assign(timestamp=pd.to_datetime(wide["timestamp"])).set_index("timestamp")
    plain = wide.rename(columns={"a_kwh": "a", "b_kwh": "b"})
    folders = [
        save(tmp_path / "wide", load__csv=wide),
        save(tmp_path / "long", load__csv=long.sample(frac=1.0, random_state=0)),  # order does not matter
        save(tmp_path / "local", load__csv=local),
        save(tmp_path / "unit_in_name", load_kwh__csv=plain),
        save(tmp_path / "months", load_1__csv=wide[:20], load_2__csv=wide[18:]),  # which overlap and agree
        save(tmp_path / "per_home", load_a__csv=wide[["timestamp", "a_kwh"]].set_axis(["time", "kwh"], axis=1),
             load_b__csv=wide[["timestamp", "b_kwh"]].set_axis(["time", "kwh"], axis=1)),
    ]  # fmt: skip
    (tmp_path / "parquet").mkdir()
    indexed.to_parquet(tmp_path / "parquet" / "load.parquet")
    first, *others = [Month(two_days, 0, home_data=folder) for folder in [*folders, tmp_path / "parquet"]]
    for other in others:
        np.testing.assert_array_equal(run_kw(first), run_kw(other))


def test_a_clock_that_changes(tmp_path: Path) -> None:
    """The wall clock of November shows an hour twice: the first is the first."""
    scenario = load_scenario("quick").override({"time.start": "2023-11-05T00:00", "time.duration_hours": 25})
    ts = pd.date_range(pd.Timestamp("2023-11-05", tz=ZONE), periods=25, freq="h")
    made = pd.DataFrame({"time": ts.strftime("%Y-%m-%d %H:%M"), "a_kw": np.arange(25.0)})
    month = Month(scenario, 0, home_data=save(tmp_path / "a", load__csv=made))
    np.testing.assert_array_equal(run_kw(month)[:, 0], np.repeat(np.arange(25.0), 4))
    made = pd.DataFrame({"time": [f"2023-03-12 0{h}:00" for h in range(9)], "a_kw": 1.0})
    save(tmp_path / "b", load__csv=made)
    with pytest.raises(DataError, match=r"row 3: time holds '2023-03-12 02:00', which the clock .* skips; .*UTC"):
        read_homes(tmp_path / "b", ZONE)


def test_another_year_is_taken_by_weeks_so_that_weekdays_stay(tmp_path: Path, two_days: Scenario) -> None:
    ts = pd.date_range(pd.Timestamp("2016-01-01", tz=ZONE), pd.Timestamp("2016-12-31", tz=ZONE), freq="h")
    made = pd.DataFrame({"time": ts.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ"), "a_kw": 0.01 * ts.day_of_year})
    month = Month(two_days, 0, home_data=save(tmp_path, load__csv=made))
    # Tuesday 1 August 2023 is Tuesday 2 August 2016, the 215th day
    np.testing.assert_allclose(run_kw(month)[:, 0], np.repeat([2.15, 2.16], 96), rtol=1e-6)
    assert "2016-08-02..2016-08-03 (365 weeks earlier; weekdays kept)" in month.home_source["load"]
    with pytest.raises(DataError, match="no other year of the data holds these weeks"):
        Month(two_days, 0, home_data=save(tmp_path / "b", load__csv=made[: 24 * 90]))


def test_short_gaps_are_filled_and_long_ones_are_errors(tmp_path: Path, two_days: Scenario) -> None:
    made = table(a_kwh=1.0 + 0.1 * np.arange(48), b_kwh=np.ones(48))
    made.loc[[5, 6], "a_kwh"] = np.nan
    month = Month(two_days, 0, home_data=save(tmp_path / "a", load__csv=made.drop(index=[20])))
    kw = run_kw(month)
    assert np.isfinite(kw).all()
    assert np.all(np.diff(kw[19:29, 0]) != 0)  # a line from the last quarter before to the first after
    assert "3 gaps of <= 2 h filled (16 quarter hours), 0 longer" in month.home_source["load"]
    made.loc[[5, 6, 7], "a_kwh"] = np.nan
    with pytest.raises(DataError, match="load of a has no values for 3 h of the run, from its 2023-08-01T12:00"):
        Month(two_days, 0, home_data=save(tmp_path / "b", load__csv=made))


def test_what_the_days_beside_the_run_lack_is_borrowed(tmp_path: Path) -> None:
    week = load_scenario("quick").override({"time.start": "2023-08-01T00:00", "time.duration_hours": 14 * 24})
    made = table(hours=14 * 24, a_kw=np.arange(14 * 24) * 0.1)
    month = Month(week, 0, home_data=save(tmp_path, load__csv=made))
    np.testing.assert_array_equal(month.traces(-1).load_kw, month.traces(6).load_kw)
    np.testing.assert_array_equal(month.traces(15).load_kw, month.traces(8).load_kw)


def test_pv_in_kw_gives_panels_and_per_kwp_is_scaled_by_them(tmp_path: Path, two_days: Scenario) -> None:
    sun = np.maximum(np.sin(np.arange(48) / 24 * 2 * np.pi), 0.0)
    load = table(a_load_kwh=np.ones(48), b_load_kwh=np.ones(48), a_pv_kw=4 * sun, b_pv_w_per_kw=500 * sun)
    folder = save(tmp_path, load__csv=load, devices__csv="home,pv_kwp\nb,6\na,\n")
    month = Month(two_days, 0, home_data=folder)
    assert read_homes(folder, ZONE).names == ("b", "a")  # the order of devices
    pv = run_kw(month, "pv")
    np.testing.assert_allclose(pv[:, 0], np.repeat(3.0 * sun, 4), rtol=1e-6)
    np.testing.assert_allclose(pv[:, 1], np.repeat(4.0 * sun, 4), rtol=1e-6)
    np.testing.assert_allclose(month.fleet.pv_kwp, [6.0, 1.15 * 4.0])
    assert "kWp of 1 homes" in month.home_source["notes"]


GREEN = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><content>
<ReadingType xmlns="http://naesb.org/espi"><flowDirection>1</flowDirection><powerOfTenMultiplier>-3</powerOfTenMultiplier>
<uom>72</uom></ReadingType></content></entry><entry><content><IntervalBlock xmlns="http://naesb.org/espi">{}
</IntervalBlock></content></entry></feed>"""
READING = (
    "<IntervalReading><timePeriod><duration>900</duration><start>{}</start></timePeriod><value>{}</value>"
    "</IntervalReading>"
)


def test_green_button(tmp_path: Path, two_days: Scenario) -> None:
    start = int(FIRST.timestamp())
    readings = "".join(READING.format(start + 900 * i, 250_000 + i) for i in range(192))
    month = Month(two_days, 0, home_data=save(tmp_path, house7__xml=GREEN.format(readings)))
    np.testing.assert_allclose(run_kw(month)[:, 0], 1.0 + np.arange(192) * 4e-6, rtol=1e-6)
    save(tmp_path, house7__xml="<!DOCTYPE x [<!ENTITY a 'b'>]>" + GREEN.format(readings))
    with pytest.raises(DataError, match="document type"):
        Month(two_days, 0, home_data=tmp_path)


def test_sessions_alone_are_a_fleet_of_cars(tmp_path: Path, two_days: Scenario) -> None:
    rows = "home,plugin_local,plugout_local,energy_kwh\n"
    rows += "x,2023-08-01 18:07,2023-08-02 07:31,9.2\ny,2023-08-01 10:00,2023-08-01 12:00,5\n"
    rows += "y,2023-08-01 20:00,2023-08-02 06:00,4\ny,2023-08-02 19:00,,4\n"
    month = Month(two_days, 0, home_data=save(tmp_path, vehicles__csv=rows, devices__csv="home,bess_kwh\nx,0\ny,0\n"))
    fleet, (today, tomorrow) = month.fleet, (month.traces(day) for day in (0, 1))
    assert fleet.has_ev.all()
    assert not fleet.has_bess.any()
    assert (today.arr_step[0], today.out_step[0]) == (18 * 4, 96)
    assert tomorrow.dep_step[0] == 7 * 4 + 3  # the quarter in which the plug is pulled is over
    eta = two_days.fleet.ev_eta
    assert today.trip_kwh[0] == pytest.approx(9.2 * eta)
    # the second session of the day is the longer one and takes the energy of both
    assert (today.arr_step[1], today.trip_kwh[1]) == (20 * 4, pytest.approx(9.0 * eta))
    assert "1 further sessions of a day joined" in month.home_source["vehicles"]
    assert "1 without an end left out" in month.home_source["vehicles"]
    # what is charged in the baseline is what was charged
    charged = eta * month.day(0).baseline.ev_kw.sum(axis=0) * 0.25
    charged += eta * month.day(1).baseline.ev_kw.sum(axis=0) * 0.25
    np.testing.assert_allclose(charged, [9.2 * eta, 9.0 * eta], rtol=1e-9)


def test_acn_json_and_sessions_of_another_year(tmp_path: Path, two_days: Scenario) -> None:
    def stamp(day: int, hour: int) -> str:
        when = pd.Timestamp("2019-06-01T00:00Z") + pd.Timedelta(days=day, hours=hour)
        return when.strftime("%a, %d %b %Y %H:%M:%S GMT")

    items = [
        {"connectionTime": stamp(d, 1), "disconnectTime": stamp(d, 14), "kWhDelivered": 6.0, "userID": "u1"}
        for d in range(150)
    ]
    folder = save(
        tmp_path,
        vehicles__json=json.dumps({"_items": items}),
        devices__csv="home,sessions_of\nhouse,u1\nother,\n",
    )
    month = Month(two_days, 0, home_data=folder)
    assert month.fleet.n == 2
    # 18:00 by the wall clock of the home, on every day
    assert [int(month.traces(day).arr_step[0]) for day in range(3)] == [72, 72, 72]
    assert "1 cars moved by whole weeks" in month.home_source["vehicles"]
    items[0]["disconnectTime"] = "soon"
    with pytest.raises(DataError, match=r"row 1: departure holds 'soon'"):
        read_homes(save(tmp_path, vehicles__json=json.dumps(items)), ZONE)


def test_what_devices_leave_out_is_drawn_with_the_seed(tmp_path: Path, two_days: Scenario) -> None:
    rows = "home,battery_kwh,car_kwh,profile,has_pv\n" + "".join(
        f"h{i},{13.5 if i < 9 else ''},0,,\n" for i in range(20)
    )
    folder = save(tmp_path, devices__csv=rows.replace("h0,13.5,0,,", "h0,10,0,conservative,yes"))
    a, b = (Month(two_days, seed, home_data=folder) for seed in (0, 1))
    drawn = build_fleet(two_days.override({"fleet.size": 20}), 0)
    assert a.fleet.bess_kwh.tolist()[:9] == [10.0] + [13.5] * 8
    assert (a.fleet.bess_kw[0], a.fleet.bess_kw[1]) == (5.0, 7.0)  # of the table's nearest size
    np.testing.assert_array_equal(a.fleet.bess_kwh[9:], drawn.bess_kwh[9:])
    np.testing.assert_array_equal(a.fleet.willingness[a.fleet.profile == drawn.profile],
                                  drawn.willingness[a.fleet.profile == drawn.profile])  # fmt: skip
    assert not a.fleet.has_ev.any()
    assert a.fleet.profile[0] == 0
    assert a.fleet.has_pv[0]
    assert not np.array_equal(a.fleet.premium, b.fleet.premium)
    assert (a.fleet.bess_min_kwh[:9] > 0).all()


# ---- there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("start", ["2023-08-01T00:00", "2023-03-10T05:00", "2023-11-03T00:00"])
def test_exported_homes_come_back_bit_for_bit(tmp_path: Path, start: str, kind: str) -> None:
    scenario = load_scenario("week20").override({"time.start": start})
    month = Month(scenario, 3)
    export_homes(tmp_path, month.calendar, month.fleet, month.homes, kind)
    # whatever the seed: nothing is left to be drawn
    back = Month(scenario, 77, home_data=tmp_path)
    same_homes(month, back)
    assert all(text.startswith("measured: ") for text in back.home_source.values())
    with pytest.raises(DataError, match="is there already"):
        export_homes(tmp_path, month.calendar, month.fleet, month.homes, kind)


def test_an_edited_home_changes_and_the_others_stay(tmp_path: Path, two_days: Scenario) -> None:
    month = Month(two_days, 3)
    export_homes(tmp_path, month.calendar, month.fleet, month.homes)
    devices = pd.read_csv(tmp_path / "devices.csv")
    row = int(np.flatnonzero(month.fleet.has_bess)[0])
    devices.loc[row, ["bess_kwh", "bess_max_kwh"]] *= 2
    before = home_hashes(tmp_path)
    devices.to_csv(tmp_path / "devices.csv", index=False)
    back = Month(two_days, 3, home_data=tmp_path)
    changed = back.fleet.bess_kwh != month.fleet.bess_kwh
    assert np.flatnonzero(changed).tolist() == [row]
    after = home_hashes(tmp_path)
    assert {Path(p).name for p in before if before[p] != after[p]} == {"devices.csv"}


def test_fleet_and_traces_of_ones_own_making(two_days: Scenario) -> None:
    other = two_days.override({"fleet.size": 7, "fleet.share_bess": 1.0})
    fleet = build_fleet(other, 5)
    month = Month(two_days, 0, fleet=fleet, traces=HomeTraces(other, fleet, 5))
    assert month.scenario.fleet.size == 7
    np.testing.assert_array_equal(month.traces(0).load_kw, Month(other, 5).traces(0).load_kw)
    assert month.home_source["devices"] == "given: fleet="
    broken = dataclasses.replace(fleet, bess_init_kwh=fleet.bess_kwh * 2)
    with pytest.raises(DataError, match=r"home row 0: bess_init_kwh is .* allowed is at most bess_max_kwh"):
        Month(two_days, 0, fleet=broken)

    class Nan(HomeTraces):
        def day(self, day: int) -> DayTraces:
            made = super().day(day)
            return dataclasses.replace(made, load_kw=made.load_kw * np.float32(np.nan))

    with pytest.raises(DataError, match="day 0: load_kw holds values that are negative or not finite"):
        Month(two_days, 0, fleet=fleet, traces=Nan(other, fleet, 5)).day(0)
    with pytest.raises(DataError, match="leave out fleet and traces"):
        Month(two_days, 0, home_data="x", fleet=fleet)


# ---- what is wrong is said in one line ------------------------------------------------------------------


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing known": (lambda p: save(p, notes__csv="a,b\n1,2\n"), "no file in it that is known by its name"),
    "no unit": (lambda p: save(p, load__csv="time,a\n2023-08-01T07:00Z,1\n"), "has no unit; write it at the end"),
    "no time": (lambda p: save(p, load__csv="a_kwh\n1\n"), "no column with the start of each interval"),
    "text": (lambda p: save(p, load__csv=table(a_kwh=["x"] * 48)), "row 1: a_kwh holds 'x', which is no finite number"),
    "infinite": (lambda p: save(p, load__csv=table(a_kwh=["inf"] * 48)), "which is no finite number"),
    "huge": (lambda p: save(p, load__csv=table(a_kwh=["1e308"] * 48)), "allowed is 0 to 1000 kW"),
    "net": (lambda p: save(p, load__csv=table(a_kwh=[-1.0] * 48)), "load and pv are gross"),
    "two hours apart": (lambda p: save(p, load__csv=table(minutes=120, a_kw=[1.0] * 24)), "120 min apart"),
    "off the grid": (
        lambda p: save(p, load__csv=table(first=FIRST + pd.Timedelta("7min"), a_kw=[1.0] * 48)),
        "is not on the 15-min grid",
    ),
    "empty": (lambda p: save(p, load__csv="time,a_kwh\n"), "no data rows"),
    "not CSV": (lambda p: save(p, load__csv="\0\0\0"), "load.csv"),
    "no parquet": (lambda p: save(p, load__parquet="PAR1"), "not a readable .parquet file"),
    "no XML": (lambda p: save(p, a__xml="<a>"), "not readable as XML"),
    "no JSON": (lambda p: save(p, vehicles__json="[" * 100_000), "not readable as JSON"),
    "strange home": (
        lambda p: save(p, load__csv=table(), devices__csv="home\na\n"),
        "load of 'b' (1 such homes), which devices does not name",
    ),
    "unknown column": (lambda p: save(p, devices__csv="home,bess_kwhs\na,1\n"), "Did you mean 'bess_kwh'"),
    "twice": (lambda p: save(p, devices__csv="home\na\na\n"), "home 'a' is there 2 times"),
    "profile": (lambda p: save(p, devices__csv="home,profile\na,moderat\n"), "Did you mean 'moderate'"),
    "contradiction": (lambda p: save(p, devices__csv="home,v2g_kw,has_ev\na,5,no\n"), "home a: v2g_kw is 5.0; allowed"),
    "no car": (
        lambda p: save(
            p, devices__csv="home,ev_kwh\na,0\n", vehicles__csv="home,start,end,kwh\na,2023-08-01,2023-08-02,3\n"
        ),
        "a has sessions, and devices says it has no car",
    ),
    "nobody": (
        lambda p: save(p, devices__csv="home\na\n", vehicles__csv="home,start,end,kwh\nb,2023-08-01,2023-08-02,3\n"),
        "are none of the homes",
    ),
    "backwards": (
        lambda p: save(p, vehicles__csv="home,start,end,kwh\nb,2023-08-03,2023-08-02,3\n"),
        "3 kWh: it ends before it begins",
    ),
    "two opinions": (
        lambda p: save(p, load_1__csv=table(), load_2__csv=table(a_kwh=[9.0] * 48)),
        "a is there twice at 2023-08-01T07:00:00+00:00, and the values disagree",
    ),
    "kWh per kWp": (lambda p: save(p, load__csv=table(a_w_per_kw=[1.0] * 48)), "is a unit of pv"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, two_days: Scenario, case: str) -> None:
    make, words = WRONG[case]
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        Month(two_days, 0, home_data=tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- measured ---------------------------------------------------------------------------------------------


@needs_data
def test_the_seventeen_homes_and_measured_sessions(tmp_path: Path) -> None:
    for name in ("load_pv_fontana_ca_17homes_2016_2017_hourly", "ev_norway_residential_sessions_2018_2021"):
        (tmp_path / f"{name}.parquet").symlink_to((DATA / f"{name}.parquet").resolve())
    sessions = pd.read_parquet(tmp_path / "ev_norway_residential_sessions_2018_2021.parquet")
    seen = sessions.groupby("user_id")["plugin_local"].agg(lambda t: t.max() - t.min()).sort_values()
    users = seen.index[-5:].tolist()
    rows = "".join(f"home{i:02d},{users[i - 1] if i <= 5 else ''}\n" for i in range(1, 18))
    save(tmp_path, devices__csv="home,sessions_of\n" + rows)
    month = Month(load_scenario("august"), 1000, home_data=tmp_path)
    assert month.fleet.n == 17
    measured = pd.read_parquet(tmp_path / "load_pv_fontana_ca_17homes_2016_2017_hourly.parquet")
    august = measured[(measured["ts_utc"] >= "2016-08-02T07:00Z") & (measured["ts_utc"] < "2016-09-02T07:00Z")]
    energy = august[[f"home{i:02d}_load_kwh" for i in range(1, 18)]].sum().to_numpy()
    np.testing.assert_allclose(run_kw(month).astype(np.float64).sum(axis=0) * 0.25, energy, rtol=1e-5, atol=1e-5)
    kinds = {name: text.partition(":")[0] for name, text in month.home_source.items()}
    assert kinds["load"] == kinds["pv"] == "measured"
    assert kinds["vehicles"] in ("measured", "measured in part")
    assert "5 cars measured" in month.home_source["vehicles"]
