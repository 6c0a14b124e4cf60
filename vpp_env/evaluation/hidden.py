"""What no policy but an ORACLE may know of a world, altered where it stands, for as long as a policy is asked.

Everything ahead of a gate is altered in place, in the world and in its month, so that it does not matter by which way a
policy comes at it: prices, reserve calls, events and the market's draws beyond what is published, load, sun and trips
to come, what the owners keep to themselves, and the seed that all of it could be made from again.

One alteration is not enough: a mean of flags of which half are set is the same when all of them are turned, and a
question that is answered yes or no (is a price above ...?) may be answered alike. So there are three, `HIDDEN_WAYS`.
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
from vpp_env.market.firm import Draws
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World
from vpp_env.traces.fleet import PRIVATE_VALUES, Fleet
from vpp_env.traces.homes import HomeSeries
from vpp_env.traces.series import DayTraces
from vpp_env.traces.vehicles import CarDay
from vpp_env.units import Floats

MIXED, LOW, HIGH = HIDDEN_WAYS = (0, 1, 2)
"""How what is hidden is altered: every value by itself; all below all of it, no flag set; all above, every flag set."""
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


def _drawn(values: Any, rng: np.random.Generator, way: int) -> Any:
    """Other values of the same kind.

    `MIXED`: flags are turned, numbers are mixed, scaled and shifted, so that each differs. `LOW`, `HIGH`: no flag is
    set, or every one; numbers lie below, or above, all that there were, and below, or above, 0.
    """
    if values.dtype.kind == "b":
        return ~values if way == MIXED else np.full_like(values, way == HIGH)
    most = 1.0 + np.abs(values).max()
    if way == MIXED:
        made = rng.permutation(values) * rng.uniform(0.5, 2.0) + rng.uniform(0.01, 1.0) * most
    else:
        made = (1.0 if way == HIGH else -1.0) * most * rng.uniform(1.1, 3.0, values.shape)
    return made.astype(values.dtype)


def other_owners(fleet: Fleet, rng: np.random.Generator, way: int = MIXED) -> Fleet:
    """Return the fleet with other owners as far as no view shows them; its devices and asks are the same.

    `MIXED`: other owners' values; numbers are scaled, `LOW`: to nearly nothing, `HIGH`: beyond all that there are.
    """
    turned = np.roll(np.arange(fleet.n), int(rng.integers(1, max(fleet.n, 2))))
    changed = {}
    for name in KEPT_FROM_VIEWS:
        value = getattr(fleet, name)[turned]
        if value.dtype.kind == "f":
            value = value * _factors(rng, way, fleet.n) + (1.0 + value.max()) * (way == HIGH)
        changed[name] = value
        changed[name].setflags(write=False)
    return dataclasses.replace(fleet, **changed)


def _factors(rng: np.random.Generator, way: int, n: int) -> Floats:
    """(n,) what values that are 0 or more are multiplied with, one each: so that statistics over them differ too."""
    low, high = ((0.5, 2.0), (0.0, 0.01), (1.1, 3.0))[way]
    return rng.uniform(low, high, n)


class _OtherDays:
    """The traces of a month's homes: as they are up to step `k` of local day `today`, others from there on."""

    def __init__(self, traces: HomeSeries, today: int, k: int, rng: np.random.Generator, way: int) -> None:
        self._traces, self._today, self._k, self._rng, self._way = traces, today, k, rng, way

    def day(self, day: int) -> DayTraces:
        real = self._traces.day(day)
        if day < self._today:
            return real
        first = self._k if day == self._today else 0
        load, pv, n = real.load_kw.copy(), real.pv_kw.copy(), real.load_kw.shape[1]
        for rows in (load[first:], pv[first:]):
            rows *= np.asarray(_factors(self._rng, self._way, n), dtype=rows.dtype)
            rows += (0.01, 0.0, 20.0)[self._way]
        # sessions that have not begun begin later, or not at all; of one that has begun its owner has said when it ends
        car = CarDay(real.dep_step, real.arr_step.copy(), real.out_step, real.trip_kwh.copy())
        coming = (car.arr < len(load)) & ((car.arr > first) | (day > self._today))
        car.arr[coming] = np.minimum(car.arr + (3, 100, 1)[self._way], car.out)[coming]
        trips = car.trip * _factors(self._rng, self._way, n) + (0.1, 0.0, 100.0)[self._way]
        car.trip[coming] = trips[coming]
        for array in (load, pv, *car):
            array.setflags(write=False)
        return DayTraces(load, pv, *car)

    def vehicle_day(self, day: int) -> CarDay:
        made = self.day(day)
        return CarDay(made.dep_step, made.arr_step, made.out_step, made.trip_kwh)


def _rest_of_day(day: Day, other: DayTraces, k: int, rng: np.random.Generator, way: int) -> Day:
    """Return a day with another rest: its traces are `other`'s, and its baseline differs after step k."""
    plan = day.plan._replace(
        load=other.load_kw, pv=other.pv_kw, dep=other.dep_step, arr=other.arr_step, out=other.out_step
    )
    parts = []
    for value in day.baseline:
        rest = value.copy()
        rest[k + 1 :] = rest[k + 1 :] * _factors(rng, way, rest.shape[1]) + (0.01, 0.0, 20.0)[way]
        rest.setflags(write=False)
        parts.append(rest)
    return Day(plan._replace(trip=other.trip_kwh), type(day.baseline)(*parts))


@contextmanager
def altered_ahead(world: World, rng: np.random.Generator, way: int = MIXED) -> Iterator[None]:
    """Alter all that is hidden at the world's gate, and put it back: for a world of one month, its `own_copy`."""
    (month,), exchange, t = world.months, world.exchange, world.t
    today, k = world.clock(t)
    known = published_until(month.calendar, today, k, t)
    firm, patience = exchange.firm, world.patience
    coming = sum(evening.first < known for evening in firm.evenings)
    spans = [
        (exchange.da[0], known),
        (exchange.rt[0], t),
        (exchange.rho, t),
        (exchange._reserve_ticks, t),
        (exchange.called, t),
        (exchange._shift[0], t),
        (exchange.incentive[0], known),
        (firm.called[0], coming),
        # who stays in on an evening is known when it is over
        (firm._stays[0], sum(evening.stop <= t for evening in firm.evenings)),
        (month.series.da_usd_per_mwh, known),
        (month.series.rt_usd_per_mwh, t),
        *((values, t) for values in month.series.reserve_usd_per_mw.values()),
        (month.calls, t),
        (month.events, known),
        (month.acceptance, t),
    ]
    kept = [array[first:].copy() for array, first in spans]
    names = ("fleet", "seed", "world_seed", "firm", "_salt", "_homes", "_days")
    held: list[tuple[Any, str, Any]] = [(month, name, getattr(month, name)) for name in names]
    held += [(patience, name, getattr(patience, name)) for name in ("_state", "_annoyance", "_tolerance", "_seeds")]
    table = world.table
    held += [(table, "_trusts_from", table._trusts_from), (table.mixture, "of_home", table.mixture.of_home)]
    starts, day, homes = month._baseline_start, world.day, month._homes
    try:
        for array, first in spans:
            if array[first:].size:
                array[first:] = _drawn(array[first:], rng, way)
        month.fleet = other_owners(month.fleet, rng, way)
        month.seed = month.world_seed = int(rng.integers(1 << 62))
        month._salt = None
        month.firm = Draws(float((month.firm.test + 0.5) % 1.0), firm._stays[0].copy())
        annoyance = patience._state.annoyance
        patience._state = patience._state._replace(annoyance=np.abs(_drawn(annoyance, rng, way)) + 1e-3)
        patience._annoyance = np.abs(_drawn(patience._annoyance, rng, way)) + 1e-3
        patience._tolerance = month.fleet.tolerance * world.scenario.owners.tolerance_factor
        patience._seeds = (month.world_seed,)
        # what owners answer is replayed: these are what somebody would read who went past their answers
        table._trusts_from = table._trusts_from + (rng.integers(1, 400, table._trusts_from.shape), 0, 400)[way]
        table.mixture.of_home = (table.mixture.of_home + 1) % len(table.mixture.brains)
        days = _OtherDays(homes, today, k, rng, way)
        month._homes = days
        world.day = _rest_of_day(day, days.day(today), k, rng, way)
        month._days, month._baseline_start = OrderedDict({today: world.day}), {0: starts[0]}
        yield
    finally:
        for (array, first), values in zip(spans, kept, strict=True):
            array[first:] = values
        world.day, month._baseline_start = day, starts
        for owner, name, value in held:
            setattr(owner, name, value)
