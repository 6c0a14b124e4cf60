"""What an entry of the table of KPIs says, and the ceilings that some KPIs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Brackets:
    """Bounds (lower, upper) of the best month, USD: no policy exceeds the upper, a relaxed plan attains the lower."""

    value: tuple[float, float]  # joint surplus
    profit: tuple[float, float]  # of the VPP


@dataclass(frozen=True)
class Ceilings:
    """What no policy can exceed in a month."""

    free: Brackets  # whatever a policy knows and does
    preferences: Brackets  # inside every owner's preferences
    gap: float  # widest of the four brackets, relative to its upper end
    seconds: float  # wall clock of working them out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ceilings:
        """Read what a summary holds."""
        free, preferences = (
            Brackets(tuple(data[name]["value"]), tuple(data[name]["profit"])) for name in ("free", "preferences")
        )
        return cls(free, preferences, data["gap"], data["seconds"])


def share_of(x: float, ceiling: float) -> float | None:
    """`x` as a share of a ceiling; None where the ceiling is not above 0."""
    return x / ceiling if ceiling > 0.0 else None


def price_of_preferences(kept: float, free: float) -> float | None:
    """1 - ceiling inside preferences / free ceiling; None where the free one is not above 0."""
    share = share_of(kept, free)
    return None if share is None else 1.0 - share


class Earned(Protocol):
    """What is compared with ceilings, USD."""

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
