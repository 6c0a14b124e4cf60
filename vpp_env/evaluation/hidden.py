"""What no policy but an ORACLE may know of a world, altered where it stands, for as long as a policy is asked.

Everything ahead of a gate is altered in place, in the world and in its month, so that it does not matter by which way a
policy comes at it: prices, reserve calls, events and the market's draws beyond what is published, load, sun and trips
to come, what the owners keep to themselves, and the seed that all of it could be made from again.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from vpp_env.core.layout import Day
from vpp_env.market.day_ahead import published_until
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import PRIVATE_VALUES, Fleet
from vpp_env.traces.homes import HomeSeries
from vpp_env.traces.series import DayTraces
from vpp_env.traces.vehicles import CarDay

KEPT_FROM_VIEWS = (
    *PRIVATE_VALUES,
    "expected_gain",
    "tolerance",
    "profile",
    "premium",
    "backup_hours",
    "ready_minutes",
    "blackout",
    "reference_compensation",
    "load_kw",
    "pv_kwp",
)
"""Fields of the fleet that no view shows: only what follows from them at a gate (an ask, a floor, `blackout_now`)."""


def own_copy(month: Month) -> Month:
    """Return the same month with series, draws and days of its own, which may be altered."""
    made, old = copy.copy(month), month.series
    reserve = {name: np.array(values) for name, values in old.reserve_usd_per_mw.items()}
    da, rt = np.array(old.da_usd_per_mwh), np.array(old.rt_usd_per_mwh)
    made.series = dataclasses.replace(old, da_usd_per_mwh=da, rt_usd_per_mwh=rt, reserve_usd_per_mw=reserve)
    made.calls, made.events, made.acceptance = month.calls.copy(), month.events.copy(), month.acceptance.copy()
    made._days, made._baseline_start = OrderedDict(), {0: month._baseline_start[0]}
    return made


def _drawn(values: Any, rng: np.random.Generator) -> Any:
    """Other values of the same kind: flags are turned, numbers are mixed, scaled and shifted, so that each differs."""
    if values.dtype.kind == "b":
        return ~values
    mixed = rng.permutation(values) * rng.uniform(0.5, 2.0) + rng.uniform(0.01, 1.0) * (1.0 + np.abs(values).max())
    return mixed.astype(values.dtype)


def other_owners(fleet: Fleet, rng: np.random.Generator) -> Fleet:
    """Return the fleet with other owners as far as no view shows them; its devices and asks are the same."""
    turned = np.roll(np.arange(fleet.n), int(rng.integers(1, max(fleet.n, 2))))
    changed = {}
    for name in KEPT_FROM_VIEWS:
        value = getattr(fleet, name)[turned]
        changed[name] = value * rng.uniform(0.5, 2.0) if value.dtype.kind == "f" else value
        changed[name].setflags(write=False)
    return dataclasses.replace(fleet, **changed)


class _OtherDays:
    """The traces of a month's homes: as they are up to step `k` of local day `today`, others from there on."""

    def __init__(self, traces: HomeSeries, today: int, k: int, rng: np.random.Generator) -> None:
        self._traces, self._today, self._k, self._rng = traces, today, k, rng

    def day(self, day: int) -> DayTraces:
        real = self._traces.day(day)
        if day < self._today:
            return real
        first = self._k if day == self._today else 0
        load, pv = real.load_kw.copy(), real.pv_kw.copy()
        for rows in (load[first:], pv[first:]):
            rows *= np.asarray(self._rng.uniform(0.3, 3.0, rows.shape[1]), dtype=rows.dtype)
            rows += 0.01
        # sessions that have not begun begin later; of one that has begun its owner has said when it ends
        car = CarDay(real.dep_step, real.arr_step.copy(), real.out_step, real.trip_kwh.copy())
        coming = (car.arr < len(load)) & ((car.arr > first) | (day > self._today))
        car.arr[coming & (car.arr < car.out - 4)] += 3
        car.trip[coming] = car.trip[coming] * self._rng.uniform(0.3, 0.9) + 0.1
        for array in (load, pv, *car):
            array.setflags(write=False)
        return DayTraces(load, pv, *car)

    def vehicle_day(self, day: int) -> CarDay:
        made = self.day(day)
        return CarDay(made.dep_step, made.arr_step, made.out_step, made.trip_kwh)


def _rest_of_day(day: Day, other: DayTraces, k: int, rng: np.random.Generator) -> Day:
    """Return a day with another rest: its traces are `other`'s, and its baseline differs after step k."""
    plan = day.plan._replace(
        load=other.load_kw, pv=other.pv_kw, dep=other.dep_step, arr=other.arr_step, out=other.out_step
    )
    parts = []
    for value in day.baseline:
        rest = value.copy()
        rest[k + 1 :] = rest[k + 1 :] * rng.uniform(0.3, 0.9) + 0.01
        rest.setflags(write=False)
        parts.append(rest)
    return Day(plan._replace(trip=other.trip_kwh), type(day.baseline)(*parts))


@contextmanager
def altered_ahead(world: World, rng: np.random.Generator) -> Iterator[None]:
    """Alter all that is hidden at the world's gate, and put it back: for a world of one month, its `own_copy`."""
    (month,), exchange, t = world.months, world.exchange, world.t
    today, k = world.clock(t)
    known = published_until(month.calendar, today, k, t)
    spans = [
        (exchange.da[0], known),
        (exchange.rt[0], t),
        (exchange.rho, t),
        (exchange.called, t),
        (exchange.incentive[0], known),
        (month.series.da_usd_per_mwh, known),
        (month.series.rt_usd_per_mwh, t),
        *((values, t) for values in month.series.reserve_usd_per_mw.values()),
        (month.calls, t),
        (month.events, known),
        (month.acceptance, t),
    ]
    kept = [array[first:].copy() for array, first in spans]
    held = {name: getattr(month, name) for name in ("fleet", "seed", "world_seed", "_salt", "_homes", "_days")}
    starts, day = month._baseline_start, world.day
    try:
        for array, first in spans:
            if array[first:].size:
                array[first:] = _drawn(array[first:], rng)
        month.fleet = other_owners(month.fleet, rng)
        month.seed = month.world_seed = int(rng.integers(1 << 62))
        month._salt = None
        days = _OtherDays(held["_homes"], today, k, rng)
        month._homes = days
        world.day = _rest_of_day(day, days.day(today), k, rng)
        month._days, month._baseline_start = OrderedDict({today: world.day}), {0: starts[0]}
        yield
    finally:
        for (array, first), values in zip(spans, kept, strict=True):
            array[first:] = values
        world.day, month._baseline_start = day, starts
        for name, value in held.items():
            setattr(month, name, value)
