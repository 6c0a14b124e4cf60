"""Small worlds for tests: cached months, played runs, patched prices."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from vpp_policies.learned import Layer, Learned

from vpp_env import simulate, summarize
from vpp_env.contract.terms import TERMS, Terms
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World


def scenario(name: str = "week20", changes: Mapping[str, Any] | None = None) -> Scenario:
    """A shipped scenario with changes."""
    return load_scenario(name).override(changes or {})


@lru_cache(maxsize=256)
def _month(name: str, changes: tuple[tuple[str, Any], ...], seed: int) -> Month:
    return Month(scenario(name, dict(changes)), seed)


def month(name: str = "week20", changes: Mapping[str, Any] | None = None, seed: int = 0) -> Month:
    """A cached month: never change it."""
    return _month(name, tuple(sorted((changes or {}).items())), seed)


def score(months: Iterable[Month], layers: Sequence[Layer]) -> float:
    """Mean welfare of learned layers on some months, USD, by the benchmark's own evaluator."""
    return float(np.mean([summarize(simulate(month, Learned.of(layers)))["welfare"] for month in months]))


def begin(*months: Month) -> World:
    """A world at the start of its months."""
    world = World(months)
    world.reset()
    return world


def with_prices(
    base: Month,
    rt: float | np.ndarray | None = None,
    da: float | np.ndarray | None = None,
    reserve: Mapping[str, float] | None = None,
    calls: bool | None = None,
) -> Month:
    """A copy of a month with other prices, USD/MWh; a number stands for every step."""
    made = copy.copy(base)
    old = base.series
    steps = len(old.rt_usd_per_mwh)
    full = {k: np.full(steps, v) for k, v in (reserve or {}).items()}
    made.series = dataclasses.replace(
        old,
        rt_usd_per_mwh=old.rt_usd_per_mwh if rt is None else np.broadcast_to(np.asarray(rt, float), steps).copy(),
        da_usd_per_mwh=old.da_usd_per_mwh if da is None else np.broadcast_to(np.asarray(da, float), steps).copy(),
        reserve_usd_per_mw={**old.reserve_usd_per_mw, **full},
    )
    if calls is not None:
        made.calls = np.full(len(base.calls), calls)
    return made


def terms_of(n: int, **rows: float | np.ndarray) -> Terms:
    """Terms of n homes: the same for all, or a value each; what is not said is 0."""
    return Terms(**{name: np.full(n, rows.get(name, 0.0), dtype=np.float64) for name in TERMS})


def leaves(tree: Any) -> list[np.ndarray]:
    """All arrays of a nested tuple; a number is an array of it, None is none."""
    if tree is None:
        return []
    return [a for x in tree for a in leaves(x)] if isinstance(tree, tuple) else [np.asarray(tree)]


def random_actions(rng: np.random.Generator, rows: int, style: str = "any", lines: int = 2) -> np.ndarray:
    """(rows, 8) float32 bids: anything, a fire sale, a spending spree, or the very edges of the box.

    With one line the second sells nothing, and asks what the first one asks: the draws of figures that were recorded
    when a bid had one.
    """
    buy, reserve = 2 * lines, 2 * lines + 2
    a = rng.uniform(-1.0, 1.0, (rows, 2 * lines + 4))
    if style == "sell":
        a[:, 0:buy:2], a[:, 1:buy:2], a[:, buy] = np.abs(a[:, 0:buy:2]), -1.0, -1.0
    elif style == "buy":
        a[:, 0:buy:2], a[:, buy], a[:, buy + 1] = -1.0, np.abs(a[:, buy]), 1.0
    elif style == "edge":
        a = rng.choice([-1.0, 1.0], (rows, 2 * lines + 4))
    elif style == "reserve":
        a[:, reserve], a[:, reserve + 1], a[:, 1:buy:2] = 1.0, -1.0, -1.0
    if lines == 1:
        a = np.insert(a, [2, 2], np.stack([np.full(rows, -1.0), a[:, 1]], axis=1), axis=1)
    return a.astype(np.float32)


STYLES = ("any", "sell", "buy", "edge", "reserve")


def play(world: World, seed: int, style: str = "any", limit: int = 10_000) -> list[Outcome]:
    """Play random bids to the end (or `limit` opportunities)."""
    rng = np.random.default_rng(seed)
    rows = world.n_months * world.n_homes
    out = []
    while not world.done and len(out) < limit:
        out.append(world.step(random_actions(rng, rows, style)))
    return out


def same(a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes are the same bit for bit (the money, the ledger, every flow)."""
    pairs = [(a.ledger, b.ledger), (a.flow_kw, b.flow_kw), (a.lmp, b.lmp)]
    pairs += [(a.soc_kwh, b.soc_kwh), (a.award_kw, b.award_kw), (a.reserve_kw, b.reserve_kw), (a.short, b.short)]
    pairs += list(zip(a.money, b.money, strict=True))
    return all(np.array_equal(x, y) for x, y in pairs)
