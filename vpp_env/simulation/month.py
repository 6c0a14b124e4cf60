"""A month as nobody can change it: the fleet, the prices, every home's traces and what the baseline does with them.

All of it follows from scenario, seed and (optionally) real prices. Policies that are compared share one `Month`:
common random numbers by construction. Days are made when first needed; of large fleets only the last few are kept.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env.core.layout import (
    BaselineDay,
    Day,
    DayPlan,
    Homes,
    copied,
    initial_state,
    no_quote,
    parameters_of,
    rules_of,
)
from vpp_env.core.loops import find_late, run_baseline
from vpp_env.errors import ScenarioError, shortened
from vpp_env.market.exchange import Conditions
from vpp_env.market.firm import Draws, evenings
from vpp_env.scenario import Scenario
from vpp_env.scenario.streams import check_salt, policy_stream, salt_hash, stream, world_seed
from vpp_env.simulation.sources import TAIL_STEPS, homes_of, load_series
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.homes import HomeSeries, check_day
from vpp_env.traces.price_law import PriceLaw, seeded_law
from vpp_env.traces.programme import event_steps
from vpp_env.traces.series import DayTraces
from vpp_env.traces.vehicles import CarDay
from vpp_env.units import KWH_PER_MWH

CACHE_BYTES = 1 << 29
"""Days of a month are all kept where they fit in this (512 MB); otherwise the newest three."""
BYTES_PER_STEP = 2 * 4 + 8 * len(BaselineDay._fields)
"""Of a home in a day that is kept: two float32 traces and the float64 rows of its baseline."""

DROP_OUT = 0.25
"""How often an owner of no willingness at all does not stay in on the day of a call [assumed]."""

HISTORY = 96
"""Steps of load and solar output that are kept for the persistence forecast (one day)."""


class Month:
    """Fleet, prices, traces and baseline of one seed.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    seed : int
        Seed of the world.
    market_data : path, optional
        Real prices; see docs/market-data.md.
    node : str, optional
        Price node, where the file holds several.
    salt : str, optional
        A secret that is hashed into all streams, so that who knows the seed alone cannot make this month beforehand;
        only `salt_hash` is ever recorded. Without one a month is what its seed says.
    home_data : path, optional
        A folder of one's own homes, see docs/home-data.md: the month has as many homes as the data have.
    fleet : Fleet, optional
        Homes of one's own making instead; the month has as many.
    traces : HomeSeries, optional
        Their load, solar output and car sessions; generated where there are none.
    keep_bytes : int, optional
        Days are drawn when they are first needed, and all kept where they fit in this; otherwise the newest three.

    Attributes
    ----------
    kept_bytes : int
        What the days that are kept come to.
    home_source : dict
        Of homes that were brought: series -> `measured`, `measured in part`, `given` or `generated`, with how.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        market_data: str | Path | None = None,
        node: str | None = None,
        *,
        salt: str | None = None,
        home_data: str | Path | None = None,
        fleet: Fleet | None = None,
        traces: HomeSeries | None = None,
        keep_bytes: int = CACHE_BYTES,
    ) -> None:
        _check_what(scenario, seed)
        self.seed = seed
        self._salt = check_salt(salt)
        self.salt_hash = salt_hash(salt)
        # what the streams are drawn from: the seed, or a hash of it and the salt
        self.world_seed = seed = world_seed(seed, salt)
        scenario, self.fleet, self._homes, self.home_source = homes_of(scenario, seed, home_data, fleet, traces)
        self._check_days = traces is not None
        self.scenario = scenario
        self.calendar = scenario.calendar
        self.series = load_series(scenario, seed, market_data, node)
        self._seeded = market_data is None
        self.rules = rules_of(scenario)
        self.parameters = parameters_of(self.fleet)
        self.calls = self._calls()
        self.events = event_steps(scenario, seed, len(self.calls))
        # what of the market's will no policy sees: standard logistic draws, used by the clearing `logit` only
        self.acceptance = stream(seed, "market", 1).logistic(size=len(self.calls))
        self.firm = self._firm()
        self._before: dict[int, DayTraces] = {}
        self._days: OrderedDict[int, Day] = OrderedDict()
        self._baseline_start = {0: initial_state(self.fleet)}
        days, day_bytes = self.calendar.n_days, 96 * self.fleet.n * BYTES_PER_STEP
        self._keep = days if days * day_bytes <= keep_bytes else min(3, days)
        self.kept_bytes = self._keep * day_bytes

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the copy of another month: pickled, or deep-copied, after which its days could be written to."""
        self.__dict__.update(state)
        for day in self._days.values():
            lock(day)

    @property
    def homes(self) -> HomeSeries:
        """Load, solar output and car sessions of the homes, by local day."""
        return self._homes

    @property
    def conditions(self) -> Conditions:
        """What this month brings to the market."""
        fleet = self.fleet
        limits = float(fleet.sell_limit_kw.sum()), float(fleet.buy_limit_kw.sum())
        return Conditions(self.series, self.calls, self.events, self.acceptance, self.firm, *limits)

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """What each owner says of its preferences in words."""
        from vpp_env.owners.statements import statement  # text is needed by few policies

        return tuple(statement(self.scenario, self.fleet, self.world_seed, i) for i in range(self.fleet.n))

    @property
    def price_law(self) -> PriceLaw | None:
        """Law of each real-time price given those before it; None where it is not known, as of measured prices."""
        law = seeded_law(self.scenario, self.world_seed) if self._seeded else None
        played = self.series.rt_usd_per_mwh[: self.scenario.n_steps] / KWH_PER_MWH
        # a copy of a month may have been given other prices
        return law if law is not None and np.array_equal(law.lmp, played) else None

    def policy_rng(self) -> np.random.Generator:
        """The policies' own stream of this month, from its start: the same for every policy.

        Returns
        -------
        Generator
            Fresh at every call.
        """
        return policy_stream(self.seed, self._salt)

    def _calls(self) -> NDArray[np.bool_]:
        """(S,) bool: reserve is called in this step; a call is drawn per half hour and lasts 30 minutes."""
        steps = self.calendar.n_steps + TAIL_STEPS
        draws = stream(self.world_seed, "market").random((steps + 3) // 2)
        # half hours are aligned to the clock: a run always starts on a full hour
        return np.repeat(draws < self.scenario.market.call_probability, 2)[:steps]

    def _firm(self) -> Draws:
        """Which evening is the test, and who stays in on an evening: with probability 1 - (1 - willingness) / 4."""
        found, seed = evenings(self.scenario), self.world_seed
        draws = stream(seed, "owners", 1).random((len(found), self.fleet.n))
        stays = draws < 1.0 - (1.0 - self.fleet.willingness) * DROP_OUT
        return Draws(float(stream(seed, "market", 2).random()), stays)

    def traces(self, day: int) -> DayTraces:
        """Load, solar output and car use of local day `day` (-1 is the day before the run).

        Parameters
        ----------
        day : int
            Local day of the run, from 0 on; -1 is the day before it.

        Returns
        -------
        DayTraces
            (n, N) kW by step of 15 min, and (N,) steps and kWh of the cars.
        """
        if day >= 0:
            return self._drawn(day)
        if day not in self._before:  # every episode begins with it
            self._before[day] = self._drawn(day)
        return self._before[day]

    def _drawn(self, day: int) -> DayTraces:
        made = self._homes.day(day)
        if self._check_days:
            check_day(made, day, self.calendar.steps_in_day(day), self.fleet.n)
        return made

    def cars(self, day: int) -> CarDay:
        """Car sessions of local day `day` (-1 is the day before the run), also some days after the run.

        Parameters
        ----------
        day : int
            Local day of the run, from 0 on; -1 is the day before it.

        Returns
        -------
        CarDay
            (N,) steps of 15 min at which each car comes and goes, and kWh that its trips take.
        """
        return self._homes.vehicle_day(day)

    def history(self) -> tuple[int, ...]:
        """Days before the run that hold the last 24 hours of it: two where a clock change left the last one short.

        Returns
        -------
        tuple of int
            Negative days, the oldest first.
        """
        return (-1,) if self.calendar.steps_in_day(-1) >= HISTORY else (-2, -1)

    def begin(self) -> None:
        """Make what an episode begins with: the day before, and the first one."""
        for day in self.history():
            self.traces(day)
        self.day(0)

    def day(self, day: int) -> Day:
        """Return local day `day` >= 0 with its baseline.

        Parameters
        ----------
        day : int
            Local day of the run, from 0 on.

        Returns
        -------
        Day
            Its series and what the homes do in it without a market.
        """
        if day in self._days:
            return self._days[day]
        known = max(d for d in self._baseline_start if d <= day)
        for d in range(known, day + 1):
            made = self._make_day(d)
        self._days[day] = made
        while len(self._days) > self._keep:
            self._days.popitem(last=False)
        return made

    def _make_day(self, day: int) -> Day:
        calendar, fleet, home = self.calendar, self.fleet, self.scenario.home
        traces = self.traces(day)
        next_dep = self._homes.vehicle_day(day + 1).dep
        next_ready = calendar.wall_to_step(day + 1, fleet.ready_minutes)
        hours = calendar.day_hours(day)
        plan = DayPlan(
            load=traces.load_kw,
            pv=traces.pv_kw,
            dep=traces.dep_step,
            arr=traces.arr_step,
            out=traces.out_step,
            trip=traces.trip_kwh,
            ready=calendar.wall_to_step(day, fleet.ready_minutes),
            next_due=np.where(next_dep > 0, np.minimum(next_dep, next_ready), next_ready),
            week_step=calendar.day_week_steps(day),
            peak=(hours >= home.peak_hours[0]) & (hours < home.peak_hours[1]),
            restore_step=int(calendar.wall_to_step(day, np.array([int(home.restore_hour * 60)]))[0]),
            day=day,
        )
        first = calendar.offset if day == 0 else 0
        state = copied(self._baseline_start[day])
        shape = plan.load.shape
        # what a feeder keeps from a car is written only where it does
        empty = (np.zeros(shape) if name == "ev_late" else np.empty(shape) for name in BaselineDay._fields)
        baseline = BaselineDay(*empty)
        for rows in baseline:
            rows[:first] = 0.0
        baseline.ev_soc[:first] = state.vehicle.soc_kwh
        baseline.bess_soc[:first] = state.battery.soc_kwh
        made = Day(plan, baseline)
        homes = Homes(self.rules, self.parameters, state, no_quote(fleet.n))
        run_baseline(homes, made, first)
        if self.scenario.market.feeder_homes:
            find_late(homes, made, first)
        self._baseline_start[day + 1] = state
        lock(made)
        return made


def _check_what(scenario: Any, seed: Any) -> None:
    if not isinstance(scenario, Scenario):
        got = shortened(repr(scenario))
        raise ScenarioError(f"Month: got {got} as scenario; allowed is a Scenario, such as load_scenario('week20')")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ScenarioError(f"Month: got seed {shortened(repr(seed))}; allowed is a whole number, 0 or more")


def lock(day: Day) -> None:
    """Nobody changes a day; the compiled loops know such arrays as another type, so that all days must be alike."""
    for array in (*day.baseline, *(a for a in day.plan if isinstance(a, np.ndarray))):
        array.setflags(write=False)


OF_HOMES = ("load", "pv", "dep", "arr", "out", "trip", "ready", "next_due")
"""What of a plan belongs to a home; the clock is the same for all."""


def join_days(days: Sequence[Day], over: Day | None = None) -> Day:
    """Put the same local day of several months side by side, as one fleet.

    Parameters
    ----------
    days : sequence of Day
        One for each month; the day of a single month is returned as it is.
    over : Day, optional
        A day that was joined before and that nobody needs any more: its memory is used again where it fits.
    """
    if len(days) == 1:
        return days[0]
    again = over is not None and len(over.plan.load) == len(days[0].plan.load)

    def joined(rows: Sequence[Any]) -> Any:
        """Put together what each month's day has; the last one is the room for it."""
        *parts, room = rows
        if not again or not room.flags.owndata:  # of a world that was pickled it is the pickle's
            return np.concatenate(parts, axis=-1)
        room.setflags(write=True)
        return np.concatenate(parts, axis=-1, out=room)

    every = [*days, days[0] if over is None else over]
    plan = {name: joined([getattr(d.plan, name) for d in every]) for name in OF_HOMES}
    baseline = map(joined, zip(*(d.baseline for d in every), strict=True))
    made = Day(days[0].plan._replace(**plan), BaselineDay(*baseline))
    lock(made)
    return made


def check_one_scenario(months: Sequence[Month]) -> None:
    """Raise `ScenarioError` where one differs from the first one's scenario in more than its name."""
    first = months[0].scenario
    for m, month in enumerate(months):
        other = month.scenario
        if other is first or other.hash == first.hash:
            continue
        pairs = [(s.name, getattr(first, s.name), getattr(other, s.name)) for s in dataclasses.fields(first)]
        found = [
            f"{section}.{f.name} is {getattr(a, f.name)!r} in month 0 and {getattr(b, f.name)!r} in month {m}"
            for section, a, b in pairs
            if dataclasses.is_dataclass(a)
            for f in dataclasses.fields(a)
            if getattr(a, f.name) != getattr(b, f.name)
        ]
        raise ScenarioError(
            "World: got months of different scenarios (" + "; ".join(found[:3]) + "); allowed are months of one "
            "scenario with different seeds: make a world for each scenario"
        )
