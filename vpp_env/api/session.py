"""One episode after another over the world: what the PettingZoo, Gymnasium and vector environments share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.episode import Draw, Episodes, Setting
from vpp_env.api.observation import Observer
from vpp_env.api.pool import MonthPool
from vpp_env.api.rewards import Reward, Rewards
from vpp_env.api.tally import Tally
from vpp_env.contract.bids import DayAheadSchedule, check_override
from vpp_env.contract.terms import Answers, Offers
from vpp_env.errors import VppError
from vpp_env.market.day_ahead import DayAhead
from vpp_env.market.firm_book import FirmBook
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.splits import SPLITS, split_of
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.sources import scenario_of
from vpp_env.simulation.world import World
from vpp_env.units import Flags, Floats

STATE_COMPANION = ("profit_usd", "revenue_usd", "payments_usd", "award_kw", "market_kw", "reserve_kw")
"""Last elements of `state()`: the VPP's side of the last opportunity, scaled by 100 USD and 1,000 kW."""


class WorldOptions(TypedDict, total=False):
    """Keyword arguments that every environment takes beside its scenario, and hands on to `Session`."""

    seed: int | None  # of the first episode that is reset without a seed; the next ones follow from it
    market_data: str | Path | None  # real prices, see docs/market-data.md
    node: str | None  # their price node, where the file holds several
    home_data: str | Path | None  # a folder of one's own homes, see docs/home-data.md
    episodes: Draw | None  # says the options of every episode whose reset gets none: a curriculum, random worlds


Seed = int | Sequence[int | None] | None


def _check_seed(seed: Any) -> None:
    """Raise `VppError` where this is no seed of one month."""
    if seed is not None and not (isinstance(seed, int | np.integer) and seed >= 0):
        raise VppError(f"got seed {seed!r}; allowed is a whole number, 0 or more, or None: one is drawn")


class Seeds:
    """Seeds of one episode after another: as given, and what is not given drawn from the training seeds.

    Parameters
    ----------
    seed : int or None
        Of the first episode that is asked for without one.
    count : int
        Months of an episode, M.
    """

    def __init__(self, seed: int | None, count: int) -> None:
        _check_seed(seed)
        self._first, self._count = seed, count
        self._draws = np.random.default_rng(seed)
        self._drew = self._twice = False

    def of(self, seed: Seed) -> tuple[int, ...]:
        """(M,) seeds of the next episode; see `Session.reset`."""
        asked: list[Any] = list(seed) if np.iterable(seed) else [seed]
        for one in asked:
            _check_seed(one)
        drawn = seed is None and self._first is None
        self._twice, self._drew = drawn and self._drew, drawn
        seed, self._first = self._first if seed is None else seed, None
        if seed is None:
            given: Sequence[int | None] = [None] * self._count
        elif isinstance(seed, int | np.integer):
            given = [int(seed) + m for m in range(self._count)]
            self._draws = np.random.default_rng(int(seed))
        else:
            given = asked
            if len(given) != self._count:
                raise VppError(
                    f"reset: got {len(given)} seeds for {self._count} months; allowed is one seed for each, or one "
                    "number for all (month m then has that number + m)"
                )
            if None not in given:
                self._draws = np.random.default_rng([int(s) for s in given if s is not None])
        return tuple(self._drawn() if s is None else int(s) for s in given)

    def ahead(self) -> tuple[int, ...]:
        """Return what the next episode draws, where the last two were drawn (a training loop); else nothing."""
        if not self._twice:
            return ()
        state = self._draws.bit_generator.state
        seeds = tuple(self._drawn() for _ in range(self._count))
        self._draws.bit_generator.state = state
        return seeds

    def _drawn(self) -> int:
        return int(self._draws.integers(SPLITS["training"].first, 2**31))


class HandedIn(NamedTuple):
    """What goes with the bids of a step of M months of N homes and is no home's own."""

    schedules: Sequence[DayAheadSchedule | None] = ()  # one for each month at the day-ahead gate; (): nobody schedules
    capacity: Sequence[
        float | None
    ] = ()  # kW of firm capacity for each month at its gate; (): the built-in aggregator's
    override: Flags | None = None  # (M*N,) homes whose gateway does not keep the envelope; None: all keep it

    def checked(self, t: int, day_ahead: DayAhead, firm: FirmBook, homes: int) -> HandedIn:
        """Return a copy of what may be handed in at step t for so many `homes`, M*N.

        Raises
        ------
        BidError
            When it may not be handed in now, or has the wrong shape.
        """
        schedules, capacity = tuple(self.schedules), tuple(self.capacity)
        day_ahead.check(t, schedules)
        firm.check(t, capacity)
        return HandedIn(schedules, capacity, None if self.override is None else check_override(self.override, homes))


class Played(NamedTuple):
    """What `Session.step` returns."""

    observations: NDArray[np.float32]  # (M*N, N_OBS)
    reward: Reward
    outcome: Outcome
    over: bool  # whether the month is
    costs: Floats  # (M, 5) homes whose preferences were violated, by kind as `owners.violations.VIOLATIONS`


def _mean(values: Floats) -> float:
    """Mean of a few values, in a quarter of the time that NumPy takes."""
    return float(sum(values.tolist()) / len(values))


class Session:
    """Worlds of M months, one episode after another.

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    n_months : int
        Months side by side, M.
    seed, market_data, node, home_data, episodes :
        See `WorldOptions`.

    Raises
    ------
    VppError
        When there is no such scenario, or `n_months` is less than 1.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        n_months: int = 1,
        *,
        seed: int | None = None,
        market_data: str | Path | None = None,
        node: str | None = None,
        home_data: str | Path | None = None,
        episodes: Draw | None = None,
    ) -> None:
        found = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        self.setting = Setting(scenario_of(found, home_data), market_data, node, home_data)
        self.options: dict[str, Any] = {}
        self.episodes = Episodes(self.setting, episodes)
        if n_months < 1:
            raise VppError(f"n_months: got {n_months}; allowed is 1 or more")
        self.n_months = n_months
        self._pool = MonthPool(n_months, worlds=True)
        self._seeds = Seeds(seed, n_months)
        self._handed = HandedIn()
        self.world: World | None = None
        self.outcome: Outcome | None = None
        self.history: list[tuple[float, float, float, float]] = []

    @property
    def scenario(self) -> Scenario:
        """The scenario of the episode."""
        return self.setting.scenario

    def reset(self, seed: Seed, options: Mapping[str, Any] | None = None) -> NDArray[np.float32]:
        """Begin an episode; return (M*N, N_OBS) observations.

        Parameters
        ----------
        seed : int, sequence or None
            A number: month m has seed + m. One for each month: those; None among them is drawn. None: each is drawn
            from the training seeds (see `scenario.splits`), or the constructor's seed at the first reset.
        options : mapping or None
            Of this episode, see `api.episode`; None: what `episodes` draws, if it was given.
        """
        seeds = self._seeds.of(seed)
        made = self.begin(seeds, *self.episodes.of(seeds, options))
        if ahead := self._seeds.ahead():
            self.prepare(ahead, self.episodes.ahead(ahead))
        return made

    def begin(
        self,
        seeds: Sequence[int],
        setting: Setting,
        options: Mapping[str, Any],
        into: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Begin the episode of these seeds, one for each month, in a world; return (M*N, N_OBS) observations.

        They are written `into` an array, or a fresh one.
        """
        world = self._pool.world(seeds, setting)
        self.seeds, self.setting, self.options, self.world = tuple(seeds), setting, dict(options), world
        self.outcome = None
        self.history = []
        self._handed = HandedIn()
        self._observer, self._rewards = Observer(self.world), Rewards(self.world)
        self._tally = Tally(world.n_months, world.n_homes)
        return self._observer.matrix(into)

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """Begin to make the months of these seeds, for an episode to come."""
        self._pool.prepare(seeds, setting)

    @property
    def months(self) -> list[dict[str, Any]]:
        """Which month each is: `seed`, `split` (None: of none), `month` and the `options` of the episode."""
        month, options = self.setting.month, self.options
        return [{"seed": s, "split": split_of(s), "month": month, "options": dict(options)} for s in self.seeds]

    def _playing(self) -> World:
        if self.world is None:
            raise VppError("step() before reset(): call reset() first")
        return self.world

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """Local clock hours of the day that may be scheduled day ahead now; empty: the gate is shut."""
        world = self._playing()
        return world.exchange.day_ahead.hours(world.t)

    @property
    def capacity_gate(self) -> bool:
        """Whether firm capacity for the next day's evening may be committed now."""
        world = self._playing()
        return bool(world.exchange.firm.is_gate(world.t))

    def submit(self, given: HandedIn) -> None:
        """Keep what goes with the next step's bids, instead of what was kept before; nothing changes on an error.

        Raises
        ------
        BidError
            See `HandedIn.checked`.
        """
        self._handed = self.checked(given)

    def checked(self, given: HandedIn) -> HandedIn:
        """Return what `submit` keeps, or raise its error; nothing is kept."""
        world = self._playing()
        exchange = world.exchange
        return given.checked(world.t, exchange.day_ahead, exchange.firm, world.n_months * world.n_homes)

    def propose(self, offers: Sequence[Offers | None]) -> list[Answers | None]:
        """Make offers to the owners, one for each month or None, for the opportunity of the next step's bids."""
        return self._playing().propose(offers)

    def end_contracts(self, month: int, rows: Flags) -> None:
        """End the contracts of the homes `rows` (N,) of a month before that opportunity."""
        self._playing().end_contracts(month, rows)

    def step(self, actions: NDArray[Any], into: NDArray[np.float32] | None = None) -> Played:
        """Play one opportunity with (M*N, N_ACTION) actions, and with what was submitted since the last step.

        Observations are written `into` an array, or a fresh one.
        """
        world = self._playing()
        handed = self._handed
        outcome = world.step(actions, handed.schedules, handed.override, handed.capacity)
        self._handed = HandedIn()
        self.outcome = outcome
        self.history.append(
            (
                _mean(outcome.lmp[:, 0]),
                _mean(outcome.market_kw[:, 0]),
                float(outcome.soc_kwh[-1, 0, 0]),
                float(outcome.profit[0]),
            )
        )
        reward = self._rewards.of(outcome)
        costs = self._tally.add(outcome, reward)
        return Played(self._observer.matrix(into), reward, outcome, world.done, costs)

    def kpis(self) -> dict[str, Floats]:
        """(M,) each: what the episode came to, as the evaluator names it."""
        return self._tally.kpis(closing_value(self._playing()), self._rewards.private_cost())

    def companion(self) -> NDArray[np.float32]:
        """(6,) float32 the VPP's side of the last opportunity; see `STATE_COMPANION`."""
        if self.outcome is None:
            return np.zeros(len(STATE_COMPANION), dtype=np.float32)
        o = self.outcome
        money = np.array([o.money.profit[0], o.money.revenue[0], o.money.payments[0]]) / 100.0
        power = np.array([o.award_kw[:, 0].mean(), o.market_kw[:, 0].mean(), o.reserve_kw[:, 0].mean()]) / 1000.0
        return np.clip(np.concatenate([money, power]), -1.0, 1.0).astype(np.float32)

    def line(self) -> str:
        """One line on the month so far."""
        if self.world is None:
            return "not reset yet"
        done, total = self.world.opportunity, self.scenario.n_opportunities
        profit = sum(h[3] for h in self.history)
        at = self.world.calendar.local[min(self.world.t, self.world.calendar.n_steps - 1)]
        last = f", last lmp {1000 * self.history[-1][0]:.0f} USD/MWh, {self.history[-1][1]:+.0f} kW" if done else ""
        return f"{self.scenario.name} {at:%Y-%m-%d %H:%M} {done}/{total}: profit {profit:.2f} USD{last}"


class Gates:
    """What every face says of what may be handed in beside bids; a face keeps its `Session` as `_session`."""

    _session: Session

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """Local clock hours of the day that may be scheduled day ahead now; empty: the gate is shut."""
        return self._session.schedule_hours

    @property
    def capacity_gate(self) -> bool:
        """Whether firm capacity for the next day's evening may be committed now."""
        return self._session.capacity_gate


class OneVpp(Gates):
    """A face of one month: one VPP, which hands in what goes with the homes' bids."""

    def submit(
        self,
        *,
        schedule: DayAheadSchedule | None = None,
        capacity: float | None = None,
        override: Flags | None = None,
    ) -> None:
        """Hand in what goes with the next step's bids and is no home's own, instead of what was handed in before.

        Parameters
        ----------
        schedule : DayAheadSchedule, optional
            The next local day's schedule, while `schedule_hours` is not empty; None: the VPP schedules nothing.
        capacity : float, optional
            Firm capacity, kW, for the next day's evening, while `capacity_gate`; None: the built-in aggregator's.
        override : ndarray, optional
            (N,) bool: homes whose gateway does not keep the owner's envelope; None: it is kept everywhere.

        Raises
        ------
        BidError
            When it may not be handed in now, or has the wrong shape; nothing has changed then.
        """
        self._session.submit(
            HandedIn(() if schedule is None else (schedule,), () if capacity is None else (capacity,), override)
        )

    def propose(self, offers: Offers) -> Answers:
        """Make offers to the owners for the opportunity of the next step's bids, and hear what they answer.

        Parameters
        ----------
        offers : Offers
            Who gets an offer, for how long, on which terms; `owners.max_rounds` times at one gate.

        Returns
        -------
        Answers
            Who accepted, and the counter-offers of the others, (N,) each.

        Raises
        ------
        BidError
            When they are malformed, or no round is left at this gate; nobody has heard of them then.
        """
        (answers,) = self._session.propose([offers])
        assert answers is not None
        return answers

    def end_contracts(self, rows: Flags) -> None:
        """End contracts before the opportunity of the next step's bids.

        Parameters
        ----------
        rows : ndarray
            (N,) bool: the homes whose contracts end.
        """
        self._session.end_contracts(0, rows)
