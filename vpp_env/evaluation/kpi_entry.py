"""What an entry of the table of KPIs says, and the ceilings that some KPIs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Protocol

from vpp_env.evaluation.measures import Evidence


class Place(Enum):
    """Where a KPI is shown; every run's JSON and `tables/kpis.csv` hold all of them."""

    TERMINAL = "what compare prints"
    HEADLINE = "tables/headline.* and the result of report.html"
    REPORT = "the first table of simulation_report.md"
    ENERGY = "its table of energy"
    FAIRNESS = "its table of who bears it"
    CEILINGS = "the tables of ceilings"
    MEANS = "means over seeds"
    INTERVALS = "means with intervals over units"
    DIFFERENCES = "paired differences and their tests"
    LEADERBOARD = "columns of the leaderboard"
    RANK = "what the leaderboard may rank by"
    DASHBOARD = "the dashboard's comparison"


class Format(Enum):
    """How a value is written."""

    COUNT = "no digit behind the point"
    TWO = "two digits: money, means of counts"
    THREE = "three digits: energy"
    FOUR = "four digits: ratios, seconds"
    SCORE = "four digits, 1 for exactly 1 only"
    PERCENT = "a share as per cent, one digit"


class Better(Enum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


Bracket = tuple[float, float]
"""Bounds of the best month, USD: no policy exceeds the upper one, a plan of the relaxation attains the lower one."""


@dataclass(frozen=True)
class Ceilings:
    """What no policy can exceed in a month, and what doing nothing is worth."""

    preferences: Bracket  # U_pref, welfare: every preference kept, nobody gives for less than the own ask
    cost: Bracket  # U_cost, welfare: every preference kept, nobody asks a price
    welfare: Bracket  # U_welfare, welfare: preferences broken at their owners' private values
    free: Bracket  # U_free, joint surplus: preferences cost nothing
    profit: Bracket  # the VPP's profit, every preference kept and every ask paid
    profit_free: Bracket  # the VPP's profit, preferences ignored
    idle: float  # welfare of a month in which nobody does anything
    gap: float  # widest of the brackets, relative to its upper end
    seconds: float  # wall clock of working them out
    # U_na, welfare: its mean over months bounds who has no foresight; None where the law of prices is not known
    no_foresight: Bracket | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ceilings:
        """Read what a summary holds; older ones know no U_na."""
        made: dict[str, Any] = {f.name: data.get(f.name) for f in fields(cls)}
        return cls(**{name: tuple(x) if isinstance(x, list) else x for name, x in made.items()})  # type: ignore[arg-type]

    def share(self, usd: float, ceiling: float) -> float | None:
        """What is earned above doing nothing, as a share of what could be up to `ceiling`; None where that is none."""
        return share_of(usd - self.idle, ceiling - self.idle)

    def ladder(self, welfare: Mapping[str, float]) -> list[tuple[str, float]]:
        """Return (rung, USD) upwards: doing nothing, policies by their `welfare`, and the ceilings."""
        rungs = [("idle", self.idle), *((name, usd) for name, usd in welfare.items() if name != "idle")]
        rungs += [(title, usd[1]) for name, title in LADDER.items() if (usd := self.bracket(name)) is not None]
        return sorted(rungs, key=lambda rung: rung[1])

    def bracket(self, name: str) -> Bracket | None:
        """Return one of `LADDER`; None where it is not defined."""
        found: Bracket | None = getattr(self, name)
        return found

    @property
    def room(self) -> float | None:
        """U_na above doing nothing, USD; None where it is not defined."""
        return None if self.no_foresight is None else self.no_foresight[1] - self.idle


LADDER = {
    "preferences": "U_pref",
    "cost": "U_cost",
    "no_foresight": "U_na",
    "welfare": "U_welfare",
    "free": "U_free",
}
"""Ceiling -> its name for people."""


NOTHING = 1e-9
"""USD below which a ceiling is the rounding of a sum."""


def share_of(x: float, ceiling: float) -> float | None:
    """`x` as a share of a ceiling; None where the ceiling is not above 0."""
    return x / ceiling if ceiling > NOTHING else None


def price_of_preferences(kept: float, free: float) -> float | None:
    """1 - ceiling inside preferences / free ceiling; None where the free one is not above 0."""
    share = share_of(kept, free)
    return None if share is None else 1.0 - share


class Earned(Protocol):
    """What is compared with ceilings, USD."""

    @property
    def welfare(self) -> float:
        """Of everybody together, less what broken wishes are worth to their owners."""
        ...

    @property
    def joint_surplus(self) -> float:
        """Of everybody together."""
        ...

    @property
    def total_profit(self) -> float:
        """Of the VPP."""
        ...


@dataclass(frozen=True)
class Kpi:
    """An entry of the table. Exactly one of `of_run` and `of_ceilings` computes it."""

    short: str  # heading of a column
    unit: str  # empty for scores and counts
    better: Better
    form: Format
    description: str
    of_run: Callable[[Evidence], Any] | None = None
    of_ceilings: Callable[[Earned, Ceilings], float | None] | None = None
    shown: Collection[Place] = ()
    title: str = ""  # name in sentences and in statistics; empty: `short`
    column: str = ""  # column of tables; empty: `name`
    name: str = ""  # key of JSON; of a field of `Kpis` its name
    weighed_by: str = ""  # KPI by which a mean over months is weighted, so that it is a ratio of sums

    @property
    def heading(self) -> str:
        """Heading of a column, with the unit."""
        return f"{self.short}, {self.unit}" if self.unit else self.short

    @property
    def label(self) -> str:
        """Title with the unit."""
        title = self.title or self.short
        return f"{title}, {self.unit}" if self.unit else title

    @property
    def is_time(self) -> bool:
        """Whether it is a measured time, which differs between two plays of the same run."""
        return self.unit == "s"

    @property
    def comes_out_again(self) -> bool:
        """Whether two plays of a run have the same: no time, and nothing of ceilings, which are worked out apart."""
        return self.of_ceilings is None and not self.is_time
