"""What an episode is: the world that an environment was made with, changed for one episode by options of its reset.

| option | what |
|---|---|
| `scenario` | a scenario, its name or a TOML file, of as many homes: spaces keep their shapes |
| `set` | fields of it, `{"fleet.share_bess": 0.3}` |
| `month` | a measured month, `caiso:PGAE:2019-08`: its prices, from its first day to its last |
| `start` | local time at which the episode begins, `2023-08-05T00:00`; within `month`, where one is named |
| `days` | its length, of 24 hours each |

They are taken in this order, so that `month` with `start` and `days` is a piece of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vpp_env.data.months import find_real_month
from vpp_env.errors import VppError, did_you_mean
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.calendar import month_hours
from vpp_env.simulation.sources import scenario_of

OPTIONS = ("scenario", "set", "month", "start", "days")
"""Options of a reset that every environment takes."""

Draw = Callable[[int, np.random.Generator], Mapping[str, Any]]
"""(number of the episode, from 0; a generator that follows from its seed) -> options of its reset."""


class Setting(NamedTuple):
    """The world of an episode, but for its seeds."""

    scenario: Scenario
    market_data: str | Path | None = None
    node: str | None = None
    home_data: str | Path | None = None

    @property
    def month(self) -> str:
        """Name of the month: that of the prices, or the calendar's."""
        return f"{self.scenario.start:%Y-%m}" if self.market_data is None else str(self.market_data)


def check_options(options: Mapping[str, Any], also: Sequence[str] = ()) -> None:
    """Refuse what is no option of a reset; `also` are those that this environment takes beside them.

    Raises
    ------
    VppError
        When there is no such option; the message names the nearest.
    """
    for name in options:
        if name not in OPTIONS and name not in also:
            raise VppError(did_you_mean(str(name), (*OPTIONS, *also), "option of reset()"))


def changed(base: Setting, options: Mapping[str, Any]) -> Setting:
    """Return the world of an episode with these options; see the table of this module.

    Raises
    ------
    VppError
        When there is no such option, or it has a value that cannot be played.
    """
    check_options(options)
    scenario, made = base.scenario, base
    if "scenario" in options:
        given = options["scenario"]
        scenario = given if isinstance(given, Scenario) else load_scenario(given)
        scenario = scenario_of(scenario, base.home_data)
    changes: Any = options.get("set", {})
    if not isinstance(changes, Mapping):
        raise VppError(f"reset: got set {changes!r}; allowed are fields and values, {{'fleet.share_bess': 0.3}}")
    changes = dict(changes)
    if "month" in options:
        scenario = scenario.for_month(options["month"])
        made = base._replace(market_data=options["month"], node=None)
    if "start" in options:
        changes["time.start"] = options["start"]
    if "days" in options:
        days = options["days"]
        if isinstance(days, bool) or not isinstance(days, int | np.integer) or days < 1:
            raise VppError(f"reset: got days {days!r}; allowed is a whole number, 1 or more")
        changes["time.duration_hours"] = 24 * int(days)
    scenario = scenario.override(changes) if changes else scenario
    if "month" in options:
        _check_piece(scenario, options["month"])
    if scenario.fleet.size != base.scenario.fleet.size:
        raise VppError(
            f"reset: got {scenario.fleet.size} homes; allowed is {base.scenario.fleet.size}, as the environment's "
            "spaces have. Make an environment of the other size: a policy that homes share plays both"
        )
    return made._replace(scenario=scenario)


def _check_piece(scenario: Scenario, month: str) -> None:
    """Refuse an episode that is not all of it in the measured month."""
    first = find_real_month(month).start
    at = (scenario.start.year, scenario.start.month)
    if at != (first.year, first.month) or scenario.hours > month_hours(scenario.start, scenario.time.timezone):
        raise VppError(
            f"reset: got {scenario.hours} hours from {scenario.time.start}; allowed is a piece of the measured month "
            f"{month}. Choose start and days that lie in it"
        )


class Episodes:
    """The worlds of one episode after another.

    Parameters
    ----------
    base : Setting
        What the environment was made with.
    draw : Draw or None
        Says the options of an episode whose reset got none; None: there are none then.

    Raises
    ------
    VppError
        When a stage of a curriculum cannot be played in that world.
    """

    def __init__(self, base: Setting, draw: Draw | None) -> None:
        self._base, self._draw = base, draw
        self._drawn = 0
        for stage in draw.stages if isinstance(draw, Curriculum) else ():
            changed(base, stage)  # a stage that cannot be played is told now, and not when training comes to it

    def of(self, seeds: Sequence[int], options: Mapping[str, Any] | None) -> tuple[Setting, dict[str, Any]]:
        """Return the world of the next episode and its options: those that were given, or else drawn."""
        found = self._options(seeds) if options is None else dict(options)
        made = changed(self._base, found)
        self._drawn += self._draw is not None and options is None
        return made, found

    def ahead(self, seeds: Sequence[int]) -> Setting:
        """Return the world that an episode of these seeds has, if it is the next one and gets no options."""
        return changed(self._base, self._options(seeds))

    def _options(self, seeds: Sequence[int]) -> dict[str, Any]:
        if self._draw is None:
            return {}
        return dict(self._draw(self._drawn, np.random.default_rng([*seeds])))


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """Draws stage after stage: `episodes=Curriculum(({"days": 1}, {"days": 3}, {}), episodes=50)`.

    Attributes
    ----------
    stages : sequence of mappings
        Options of each stage; the last one is for good.
    episodes : int
        Episodes of a stage.
    """

    stages: Sequence[Mapping[str, Any]]
    episodes: int

    def __post_init__(self) -> None:
        if not self.stages or self.episodes < 1:
            raise VppError(
                f"Curriculum: got {len(self.stages)} stages of {self.episodes} episodes; allowed is 1 or more"
            )

    def __call__(self, episode: int, rng: np.random.Generator) -> Mapping[str, Any]:
        """Return the options of the stage that this episode is in."""
        return self.stages[min(episode // self.episodes, len(self.stages) - 1)]


@dataclasses.dataclass(frozen=True)
class Randomised:
    """Draws worlds: one of the choices of every option, and fields of the scenario uniformly between two values.

    `Randomised({"month": month_names(["caiso:PGAE:2019-06..09"])}, {"fleet.share_bess": (0.2, 0.8)}, {"days": 7})`

    Attributes
    ----------
    choices : mapping
        Option -> the values that it is drawn from, with equal chances.
    ranges : mapping
        Field of the scenario -> the least and the greatest value, numbers that need not be whole.
    always : mapping
        Options of every episode.
    """

    choices: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    always: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.choices.items():
            if not len(values):
                raise VppError(f"Randomised: got no value of {name!r} to choose from; allowed is one or more")
        for name, (least, greatest) in self.ranges.items():
            if not -np.inf < least <= greatest < np.inf:
                raise VppError(f"Randomised: got {name!r} from {least} to {greatest}; allowed is from less to more")

    def __call__(self, episode: int, rng: np.random.Generator) -> Mapping[str, Any]:
        """Return the options of an episode; they follow from its seed alone."""
        made = dict(self.always)
        made |= {name: values[int(rng.integers(len(values)))] for name, values in self.choices.items()}
        drawn = {field: float(rng.uniform(*between)) for field, between in self.ranges.items()}
        return made | ({"set": {**made.get("set", {}), **drawn}} if drawn else {})
