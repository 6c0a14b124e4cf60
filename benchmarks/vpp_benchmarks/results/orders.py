"""Orders of policies under changed assumptions: what `vpp-env sensitivity` found, as data and as a file of a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpp_benchmarks.results import store
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.run.plan import PlanError

FILE = "sensitivity.json"
SCHEMA = "vpp_env.sensitivity/1"
DEFAULT = "as it is"


@dataclass(frozen=True)
class Order:
    """What policies came to under one change."""

    change: str
    units: int  # seeds that every policy completed
    means: Mapping[str, Mapping[str, float]]  # KPI -> label -> mean over these seeds
    distance: Mapping[str, float]  # KPI -> Kendall distance from the order as it is


@dataclass(frozen=True)
class Sensitivity:
    """All orders, the one as it is first."""

    orders: tuple[Order, ...]
    skipped: tuple[str, ...]  # changes that could not be made, with the reason
    failures: tuple[str, ...]
    pairs: int  # of policies: the largest distance there is

    def moved(self, kpi: str) -> list[Order]:
        """Return the changes that move the order by a KPI."""
        return [order for order in self.orders if order.distance[kpi] > 0]


@dataclass(frozen=True)
class Study:
    """Orders with where they are from."""

    scenario: str
    hash: str
    market: str
    seeds: tuple[int, ...]
    command: str
    code: str
    found: Sensitivity

    def to_json(self) -> dict[str, Any]:
        """Return it as data of `sensitivity.json`."""
        return {"schema": SCHEMA, **plain(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Study:
        """Read what `to_json` made.

        Raises
        ------
        PlanError
            When it is of another form.
        """
        try:
            if data["schema"] != SCHEMA:
                raise PlanError(f"{FILE} is of schema {data['schema']!r:.60}; this version reads {SCHEMA!r}")
            found = data["found"]
            orders = tuple(_order(one) for one in found["orders"])
            told = [tuple(str(text) for text in found[name]) for name in ("skipped", "failures")]
            texts = [str(data[name]) for name in ("scenario", "hash", "market")]
            seeds = tuple(int(seed) for seed in data["seeds"])
            made = cls(
                texts[0],
                texts[1],
                texts[2],
                seeds,
                str(data["command"]),
                str(data["code"]),
                Sensitivity(orders, told[0], told[1], int(found["pairs"])),
            )
            kpis = set(orders[0].means)
            whole = bool(kpis) and all(set(order.means) == set(order.distance) == kpis for order in orders)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(
                f"{FILE} does not hold what `vpp-env sensitivity` writes ({error!r:.200}); remove it, or run that again"
            ) from error
        if not whole:
            raise PlanError(f"{FILE}: its orders are not by the same figures; remove it, or run `vpp-env sensitivity`")
        return made


def _order(data: Mapping[str, Any]) -> Order:
    def known(value: Any) -> float:
        return math.nan if value is None else float(value)

    means = {str(k): {str(label): known(v) for label, v in some.items()} for k, some in data["means"].items()}
    distance = {str(kpi): known(v) for kpi, v in data["distance"].items()}
    return Order(str(data["change"]), int(data["units"]), means, distance)


def read_study(folder: Path) -> Study | None:
    """Return the study that a results folder holds; None where it holds none."""
    path = folder / FILE
    return Study.from_json(store.read_json(path)) if path.is_file() else None


def write_study(folder: Path, study: Study) -> None:
    """Keep a study in a results folder; a later one takes its place."""
    store.write_json(folder / FILE, study.to_json())


def seeds_text(seeds: Sequence[int]) -> str:
    """Return `seeds 0 to 9`, or every seed where they do not follow each other."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
