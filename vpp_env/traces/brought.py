"""The homes' series where some of them were measured: a folder's data laid on a run, the rest generated from the seed.

What a folder lacks (a home's load, its panels' output, its car's sessions) is generated, home by home, and said.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet, build_fleet
from vpp_env.traces.fleet_check import check_fleet
from vpp_env.traces.homes import FIRST_DAY, HomeTraces
from vpp_env.traces.lay import WEEK, Laid, laid_quarters, lay_meter
from vpp_env.traces.plugins import laid_sessions
from vpp_env.traces.readers.devices import COLUMNS, FLAGS
from vpp_env.traces.readers.homes import HomeData
from vpp_env.traces.readers.meters import Meter
from vpp_env.traces.series import DayTraces
from vpp_env.traces.solar import clear_ghi
from vpp_env.traces.vehicles import CarDay
from vpp_env.units import Floats, Floats32, Ints


def sized(scenario: Scenario, data: HomeData) -> Scenario:
    """Return the scenario with as many homes as the data have."""
    return scenario if scenario.fleet.size == data.n else scenario.override({"fleet.size": data.n})


MOST_CLEARNESS = 1.3
"""Most by which measured irradiance exceeds a clear sky's: the edges of clouds reflect [assumed]."""
LEAST_CLEAR = 20.0
"""W/m2 of a clear sky below which its share means nothing: what is measured then counts as clear."""


FULL_CLEAR, MOST_MEDIAN = 200.0, 1.15
"""W/m2 of a clear sky in daylight, and the most that the median share of it is believed to be [assumed]."""


class LaidWeather:
    """Measured weather on the days of a run: temperature, and irradiance as a share of a clear sky's.

    Parameters
    ----------
    scenario : Scenario
        Site and clock.
    meter : Meter
        Columns temp_c, and ghi or dni and dhi.
    """

    def __init__(self, scenario: Scenario, meter: Meter) -> None:
        laid = lay_meter(meter, scenario.calendar, "weather")
        calendar = self._calendar = scenario.calendar
        index = laid_quarters(calendar)
        clear, cosine = clear_ghi(scenario.site, index)
        column = {name: laid.kw[:, i].astype(np.float64) for i, name in enumerate(meter.homes)}
        ghi = column["ghi"] if "ghi" in column else column["dhi"] + column["dni"] * cosine
        # coarse rows hold the mean of their interval: so is the clear sky's
        whole = index.floor(f"{max(meter.minutes)}min")
        means = pd.DataFrame({"clear": clear, "ghi": ghi}).groupby(whole).transform("mean").to_numpy()
        share = np.where(means[:, 0] > LEAST_CLEAR, means[:, 1] / np.maximum(means[:, 0], LEAST_CLEAR), 1.0)
        day = means[:, 0] > FULL_CLEAR
        middle = float(np.median(share[day])) if day.any() else 1.0
        if middle > MOST_MEDIAN:
            remedy = "; if dhi holds global irradiance, name it ghi and leave dni out" if "dhi" in column else ""
            raise DataError(
                f"{meter.named}: half of its daylight is above {middle:.2f} of a clear sky's irradiance at"
                f" {scenario.site.latitude:g}, {scenario.site.longitude:g}; allowed is up to {MOST_MEDIAN:g}: see to"
                f" site.latitude and site.longitude, the times and units{remedy}"
            )
        self._share, self._temp_c = np.clip(share, 0.0, MOST_CLEARNESS), column["temp_c"]
        self._begins = laid.begins
        self.said = laid.said.replace(f"{len(meter.homes)} homes measured", ", ".join(meter.homes))

    def day(self, day: int) -> tuple[Floats, Floats]:
        """(n,) temperature, deg C, and clearness of a local day; one before or after those laid is the nearest one."""
        d = min(max(day - FIRST_DAY, 0), len(self._begins) - 2)
        first, last = int(self._begins[d]), int(self._begins[d + 1]) - 1
        rows = np.minimum(first + np.arange(self._calendar.steps_in_day(day)), last)
        return self._temp_c[rows], self._share[rows]


class BroughtTraces:
    """The series of homes of which some are measured; where none is, `HomeTraces`' own.

    Parameters
    ----------
    scenario : Scenario
        Of as many homes as the data have.
    fleet : Fleet
        The homes.
    seed : int
        Seed of the world.
    data : HomeData
        What was measured.
    """

    def __init__(self, scenario: Scenario, fleet: Fleet, seed: int, data: HomeData) -> None:
        weather = None if data.weather is None else LaidWeather(scenario, data.weather)
        self._made = HomeTraces(scenario, fleet, seed, None if weather is None else weather.day)
        at = {home: i for i, home in enumerate(data.names)}
        n, calendar = data.n, scenario.calendar
        self._meters: dict[str, tuple[Laid, Ints]] = {}
        self.source: dict[str, str] = {}
        for role, meter in (("load", data.load), ("pv", data.pv)):
            if meter is None:
                self.source[role] = "generated: docs/traces.md" + (", from the weather given" if weather else "")
                continue
            laid = lay_meter(meter, calendar, role)
            columns = np.array([at[home] for home in meter.homes])
            if meter.per_kwp.any():
                scale = np.where(meter.per_kwp, fleet.pv_kwp[columns], 1.0).astype(np.float32)
                laid = dataclasses.replace(laid, kw=laid.kw * scale)
            self._meters[role] = laid, columns
            self.source[role] = _said(laid.said, n if role == "load" else int(fleet.has_pv.sum()), len(columns))
        self._cars: list[CarDay] = []
        self._with_sessions = np.zeros(0, dtype=np.int64)
        self.source["vehicles"] = "generated: docs/traces.md"
        if data.sessions is not None:
            rows = {user: at[home] for home, user in data.users.items()}
            laid_cars = laid_sessions(data.sessions, rows, calendar, fleet, scenario.fleet.ev_eta)
            self._cars, self._with_sessions = laid_cars.days, laid_cars.homes
            cars = int(fleet.has_ev.sum())
            self.source["vehicles"] = _said(laid_cars.said, cars, len(laid_cars.homes))
        if weather is not None:
            self.source["weather"] = f"measured: {weather.said}"
        self.source["devices"] = _devices_said(data)

    def day(self, day: int) -> DayTraces:
        """Make the series of local day `day`; see `HomeTraces.day`."""
        made = self._made.day(day)
        series = {"load": made.load_kw, "pv": made.pv_kw}
        for role, (laid, columns) in self._meters.items():
            values = series[role].copy()
            values[:, columns] = _day_of(laid, day, len(values))
            values.setflags(write=False)
            series[role] = values
        car = self.vehicle_day(day)
        return DayTraces(series["load"], series["pv"], car.dep, car.arr, car.out, car.trip)

    def vehicle_day(self, day: int) -> CarDay:
        """Make only the car sessions of local day `day`; see `HomeTraces.vehicle_day`."""
        made = self._made.vehicle_day(day)
        if not self._cars:
            return made
        laid = self._cars[min(max(day - FIRST_DAY, 0), len(self._cars) - 1)]
        day_of = CarDay(made.dep.copy(), made.arr.copy(), made.out.copy(), made.trip.copy())
        for ours, theirs in zip(day_of, laid, strict=True):
            ours[self._with_sessions] = theirs
            ours.setflags(write=False)
        return day_of


def _day_of(laid: Laid, day: int, n: int) -> Floats32:
    """(n, H) of a local day; one that was not laid is that of another week."""
    count = len(laid.begins) - 1
    d = day - FIRST_DAY
    if not 0 <= d < count:
        d = d % WEEK if count >= WEEK else min(max(d, 0), count - 1)
    rows = laid.begins[d] + np.minimum(np.arange(n), laid.begins[d + 1] - laid.begins[d] - 1)
    return laid.kw[rows]


def _said(text: str, wanted: int, there: int) -> str:
    """Say how a series came about; of some homes both."""
    rest = wanted - there
    return f"measured: {text}" if rest <= 0 else f"measured in part: {text}; {rest} homes generated"


def _devices_said(data: HomeData) -> str:
    """Say what of devices and preferences is known."""
    wanted = set(COLUMNS) - set(FLAGS)
    whole = [name for name, count in data.given.items() if count == data.n]
    parts = [f"{name} of {count}" for name, count in data.given.items() if 0 < count < data.n]
    if not whole and not parts:
        return "generated: drawn with the seed"
    if set(whole) >= wanted:
        return "measured: every column is given"
    told = [*whole[:6], *([f"{len(whole) - 6} more"] if len(whole) > 6 else []), *parts]
    return f"measured in part: {', '.join(told)} given; what is missing is drawn with the seed"


def brought_fleet(scenario: Scenario, seed: int, data: HomeData) -> Fleet:
    """Draw what is not known of the homes.

    Raises
    ------
    DataError
        When what is known contradicts itself or what is drawn beside it.
    """
    fleet = build_fleet(scenario, seed, data.known)
    check_fleet(fleet, data.names)
    return fleet
