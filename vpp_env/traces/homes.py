"""The homes' exogenous series, one local day at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import numpy as np

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario
from vpp_env.scenario.streams import stream
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.load import COOL_LAG_STEPS, day_load, lagged, load_homes
from vpp_env.traces.series import DayTraces
from vpp_env.traces.solar import day_pv, pv_homes, sun_of_days, unit_output
from vpp_env.traces.vehicles import CarDay, Sessions, cars
from vpp_env.traces.weather import DAY_KEY, build_day_weather
from vpp_env.units import Floats, Floats32

FIRST_DAY = -2
"""First day that is prepared: forecasts look back over it."""
DAYS_AFTER = 3
"""Days after the run's last that are prepared."""


class HomeSeries(Protocol):
    """The series of N homes, by local day: generated, measured, or of one's own making."""

    def day(self, day: int) -> DayTraces:
        """Return the series of local day `day`, 0 = the run's first; asked for from -2 to 3 days after the run."""
        ...

    def vehicle_day(self, day: int) -> CarDay:
        """Return only the car sessions of local day `day`."""
        ...


def check_day(made: DayTraces, day: int, n: int, homes: int) -> None:
    """Raise `DataError` where the series of a day that were brought are none.

    Parameters
    ----------
    made : DayTraces
        What was brought.
    day, n, homes : int
        The local day, its steps, and N.
    """
    for name in ("load_kw", "pv_kw"):
        values = getattr(made, name)
        if values.shape != (n, homes) or values.dtype != np.float32:
            raise DataError(
                f"traces, day {day}: {name} has shape {values.shape} and type {values.dtype}; allowed is {(n, homes)},"
                " float32"
            )
        if not np.isfinite(values).all() or (values < 0).any():
            raise DataError(
                f"traces, day {day}: {name} holds values that are negative or not finite; allowed is kW >= 0"
            )
    dep, arr, out, trip = made.dep_step, made.arr_step, made.out_step, made.trip_kwh
    steps_ok = all(x.shape == (homes,) and x.dtype == np.int64 for x in (dep, arr, out))
    if not steps_ok or trip.shape != (homes,) or not np.isfinite(trip).all() or (trip < 0).any():
        raise DataError(f"traces, day {day}: sessions must be (N,) int64 steps and finite kWh >= 0 for {homes} homes")
    ok = (dep >= 0) & (dep <= n) & ((arr == n) | ((arr > dep) & (arr < n) & (out > arr) & (out <= n)))
    if not ok.all():
        i = int(np.argmin(ok))
        raise DataError(
            f"traces, day {day}: home {i} leaves at step {dep[i]}, is plugged in from {arr[i]} to {out[i]}; allowed is"
            f" 0 <= dep < arr < out <= {n}, or arr = {n} (it is not plugged in)"
        )


class HomeTraces:
    """Load, PV and car sessions of every home, made by local day from the seed.

    A day depends on (scenario, fleet, seed, day) alone, never on which days were asked for before.

    Parameters
    ----------
    scenario : Scenario
        Site, calendar and trace parameters.
    fleet : Fleet
        The homes.
    seed : int
        Seed of the world.
    weather : callable, optional
        Local day -> what `weather_day` returns, where it was measured.
    """

    def __init__(
        self,
        scenario: Scenario,
        fleet: Fleet,
        seed: int,
        weather: Callable[[int], tuple[Floats, Floats]] | None = None,
    ) -> None:
        self._measured = weather
        self._scenario, self._fleet, self._seed = scenario, fleet, seed
        self._load = load_homes(fleet, seed, scenario.traces.load_kw_mean)
        self._pv = pv_homes(fleet, seed)
        self._sessions = Sessions(cars(fleet, seed, scenario.fleet.ev_eta), scenario.calendar, seed)
        self._weather: dict[int, tuple[Floats, Floats]] = {}
        self._unit: dict[int, Floats32] = {}
        self._vehicles: dict[int, CarDay] = {}

    def day(self, day: int) -> DayTraces:
        """Make the series of local day `day` (0 = the run's first; -2 up to some days after the run).

        Returns
        -------
        DayTraces
            Fresh read-only arrays; load and PV (n, N) float32 kW, n = 92, 96 or 100.
        """
        spec, calendar, key = self._scenario.traces, self._scenario.calendar, DAY_KEY + day
        temp, clearness = self.weather_day(day)
        warm = lagged(np.concatenate([self.weather_day(day - 1)[0][1 - COOL_LAG_STEPS :], temp]))
        load = day_load(
            self._load,
            calendar.first_day + timedelta(days=day),
            calendar.day_hours(day),
            warm,
            spec.load_peak_ratio,
            stream(self._seed, "load", key),
        )
        pv = day_pv(
            self._pv,
            self._fleet.n,
            self._unit_day(day),
            clearness,
            spec.pv_residual_correlation,
            stream(self._seed, "solar", key),
        )
        made = self.vehicle_day(day)
        car = CarDay(made.dep.copy(), made.arr.copy(), made.out.copy(), made.trip.copy())
        for array in (load, pv, *car):
            array.setflags(write=False)
        return DayTraces(load, pv, car.dep, car.arr, car.out, car.trip)

    def vehicle_day(self, day: int) -> CarDay:
        """Make only the car sessions of local day `day`."""
        # asked for twice: as tomorrow's sessions, and as today's
        if day not in self._vehicles:
            made = self._sessions.day(day)
            for array in made:
                array.setflags(write=False)
            self._vehicles = {d: v for d, v in self._vehicles.items() if abs(d - day) <= 1} | {day: made}
        return self._vehicles[day]

    def weather_day(self, day: int) -> tuple[Floats, Floats]:
        """Return temperature, deg C, and clearness, 0-1, of local day `day`, (n,) float64 each."""
        if day not in self._weather:
            if self._measured is None:
                self._weather[day] = build_day_weather(self._scenario, self._seed, day)
            else:
                self._weather[day] = self._measured(day)
        return self._weather[day]

    def _unit_day(self, day: int) -> Floats32:
        """(n, N_ORIENTATIONS) kW per kWp; the run's days are made together, once, as pvlib is slow to call."""
        if day not in self._unit:
            run, calendar = range(FIRST_DAY, self._scenario.calendar.n_days + DAYS_AFTER + 1), self._scenario.calendar
            days = run if day in run else range(day, day + 1)
            weather = [self.weather_day(d) for d in days]
            made = unit_output(
                sun_of_days(self._scenario.site, calendar, days),
                np.concatenate([w[0] for w in weather]),
                np.concatenate([w[1] for w in weather]),
                self._scenario.traces.pv_system_loss,
            )
            ends = np.cumsum([calendar.steps_in_day(d) for d in days])[:-1]
            self._unit.update(zip(days, np.split(made, ends), strict=True))
        return self._unit[day]
