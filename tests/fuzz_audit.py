"""A fuzzer of illegal reads: random policies that mix honest bids with something that their set does not hold.

    python tests/fuzz_audit.py --cheats 1000 --seed 0

Every cheat draws what it reads (another home's row, a statistic over all rows, prices, calls, load, sun or trips to
come, private values, the world's seed), how it finds it (its view, or the frames of its callers: they all play in the
evaluator's own process), whether it uses it at once or keeps it for a later gate, in which bids and by how much, and
when (always, at one hour, at every other gate, where a home's own state says so). It exits with 1 if one is verified.

A cheat counts where its bids differ from those of a twin that reads a 0 in place of what it must not know, and its own
row's figure in place of one of all rows. (Whether any car is plugged in is no secret to a home whose own car is:
at such gates its bids follow from its own row.) The others are `idle`: they have read nothing illegal.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cheats
import numpy as np
from support import month

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import MarketRules, Policy
from vpp_env.contract.views import View
from vpp_env.evaluation import audit as audit_module
from vpp_env.evaluation.audit import audit
from vpp_env.evaluation.verdict import Verdict

WORLD = {
    "fleet.size": 8,
    "time.duration_hours": 6,
    "time.start": "2023-08-01T15:00",
    "fleet.share_bess": 1.0,
    "fleet.share_ev": 0.5,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.3,
}
FIELDS = ("soc_kwh", "own_ask", "floor_kwh", "day_left_kwh", "storage_sell_kw", "load_kw", "willingness", "plugged")


def _world() -> Any:
    """The world, by the frames of the callers."""
    frame = sys._getframe()
    while frame is not None and "world" not in frame.f_locals:
        frame = frame.f_back  # type: ignore[assignment]
    return frame.f_locals["world"]


def _prices(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    ahead = int(rng.integers(1, 9))
    return lambda view: float(_world().exchange.rt[:, _world().delivery :][:, :ahead].mean())


def _reserve(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    return lambda view: float(_world().exchange.rho[_world().t :].max())


def _calls(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    ahead = int(rng.integers(4, 40))
    return lambda view: float(_world().months[0].calls[_world().t :][:ahead].mean())


def _unpublished(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    return lambda view: float(_world().months[0].series.da_usd_per_mwh[_world().announced.until :][:4].mean()) / 1000.0


def _load(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    name, ahead = str(rng.choice(["load", "pv"])), int(rng.integers(1, 12))

    def read(view: View) -> float:
        plan = _world().day.plan
        return float(getattr(plan, name)[_world().clock(_world().t)[1] + ahead].sum())

    return read


def _tomorrow(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    name = str(rng.choice(["load_kw", "pv_kw", "trip_kwh"]))
    return lambda view: float(getattr(_world().months[0].traces(1), name).sum())


def _private(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    name = str(rng.choice(["floor_value", "car_value", "hassle_value", "expected_gain", "premium"]))
    return lambda view: float(getattr(_world().months[0].fleet, name)[i])


def _seed(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    return lambda view: float(np.random.default_rng(_world().months[0].world_seed).random())


def _row(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    j = int(rng.choice([j for j in range(8) if j != i]))
    name = str(rng.choice(FIELDS[:-2]))
    return lambda view: float(getattr(view.homes, name)[j])


def _statistic(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    name, take = str(rng.choice(FIELDS)), rng.choice([np.mean, np.std, np.max, np.sum])
    return lambda view: float(take(getattr(view.homes, name)))


def _rank(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    name = str(rng.choice(FIELDS[:4]))
    return lambda view: float((getattr(view.homes, name) < getattr(view.homes, name)[i]).sum())


def _threshold(rng: np.random.Generator, i: int) -> Callable[[View], float]:
    j = int(rng.choice([j for j in range(8) if j != i]))
    return lambda view: float(view.homes.soc_kwh[j] > 0.5 * view.homes.bess_kwh[j] + 1e-6)


READS = (
    _prices,
    _reserve,
    _calls,
    _unpublished,
    _load,
    _tomorrow,
    _private,
    _seed,
    _row,
    _statistic,
    _rank,
    _threshold,
)


OF_ALL = (_statistic, _rank)
"""Those that read all rows together, its own among them."""


def _own_rows(view: View, i: int) -> View:
    """Return the view as if every home were home i."""
    homes = view.homes
    rows = {f.name: np.repeat(getattr(homes, f.name)[..., [i]], 8, axis=-1) for f in dataclasses.fields(homes)}
    return dataclasses.replace(view, homes=dataclasses.replace(homes, **rows))


class Cheat(cheats.Honest):
    """Bids that move with one illegal read; everything follows from `seed`. `honest`: it reads what it may instead."""

    def __init__(self, seed: int, honest: bool = False) -> None:
        rng = np.random.default_rng([seed, 7])
        self._honest, self._row = honest, int(rng.integers(8))
        # most cheats read something of the homes
        self.kind = READS[int(rng.integers(len(READS)))]
        self._read = self.kind(rng, self._row)
        self._part = str(rng.choice(["sell1_ask", "sell1_kw", "buy_limit"]))
        self._size, self._shift = float(rng.uniform(0.05, 0.3)), float(rng.uniform(1.0, 9.0))
        self._when, self._gate = str(rng.choice(["always", "hour", "odd", "home"])), int(rng.integers(1, 6))
        self._past: deque[float] = deque([0.0] * int(rng.integers(0, 3)))

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        super().reset(rules, rng)
        self._past = deque([0.0] * len(self._past))

    def _acts(self, view: View) -> bool:
        gate = view.public.opportunity
        if self._when == "home":
            return bool(view.homes.soc_kwh[self._row] > view.homes.floor_kwh[self._row])
        return {"always": True, "hour": gate == self._gate, "odd": gate % 2 == self._gate % 2}[self._when]

    def act(self, view: View) -> Bids:
        homes, rules = view.homes, self.rules
        n = len(homes.own_ask)
        parts: dict[str, Any] = {
            "sell1_kw": np.full(n, 2.0),
            "sell1_ask": np.clip(homes.own_ask, 0.0, 0.5),
            "buy_kw": np.full(n, 1.0),
            "buy_limit": np.clip(homes.buy_limit, 0.0, 0.1),
        }
        if not self._honest:
            self._past.append(self._read(view))
        else:
            self._past.append(self._read(_own_rows(view, self._row)) if self.kind in OF_ALL else 0.0)
        known = self._past.popleft()
        if self._acts(view):
            # any change of what was read changes these, by many ticks: a chance of 1 in some thousands that it does not
            digest = hashlib.sha256(f"{self._shift} {known!r}".encode()).digest()
            for name, byte, most in ((self._part, digest[0], self._size), ("sell1_ask", digest[1], 0.2)):
                parts[name] = parts[name].copy()
                parts[name][self._row] += most * byte / 255
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, **parts))


@contextmanager
def here(spec: str, timeout_s: float = 0.0) -> Iterator[Policy]:
    """The cheat of a number, in this process; `honest:` its twin."""
    kind, _, seed = spec.partition(":")
    yield Cheat(int(seed), honest=kind == "honest")


def one(seed: int) -> tuple[str, str]:
    """Audit one cheat; return what it reads and what becomes of it, `idle` where its read made no difference."""
    m = month("week20", WORLD, seed % 3)
    bench = audit_module._Bench(m, f"cheat:{seed}", cheats.Honest.info.information, 6, 0.0, lambda: None)
    honest = audit_module._Bench(m, f"honest:{seed}", cheats.Honest.info.information, 6, 0.0, lambda: None)
    cheat, base = bench.play().bids, honest.play().bids
    name = Cheat(seed).kind.__name__.strip("_")
    if not any((a.actions != b.actions).any() for a, b in zip(cheat, base, strict=True)):
        return name, "idle"
    return name, audit(m, f"cheat:{seed}", seed=seed + 1, rounds=4).verdict.value


def fuzz(seeds: range, say: Callable[[str], None] | None = None) -> Counter[tuple[str, str]]:
    """Audit many cheats, and count what becomes of them; `say` is told of every one that is not refuted."""
    real, audit_module.player = audit_module.player, here  # type: ignore[assignment]
    counts: Counter[tuple[str, str]] = Counter()
    try:
        for seed in seeds:
            read, became = one(seed)
            counts[read, became] += 1
            if say is not None and became in (Verdict.VERIFIED.value, Verdict.CLAIMED.value):
                say(f"cheat {seed} ({read}): {became}")
    finally:
        audit_module.player = real
    return counts


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--cheats", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0, help="of the first one")
    args = p.parse_args()
    begin = time.perf_counter()
    found = fuzz(range(args.seed, args.seed + args.cheats), print)
    kinds = sorted({kind for kind, _ in found})
    states = ("refuted", "claimed", "verified", "idle")
    print(f"{'read':<12} " + " ".join(f"{s:>9}" for s in states))
    for kind in kinds:
        print(f"{kind:<12} " + " ".join(f"{found[kind, s]:>9}" for s in states))
    totals = {s: sum(found[kind, s] for kind in kinds) for s in states}
    print(f"{'all':<12} " + " ".join(f"{totals[s]:>9}" for s in states))
    print(f"{args.cheats} cheats in {time.perf_counter() - begin:.0f} s")
    return int(totals[Verdict.VERIFIED.value] > 0)


if __name__ == "__main__":
    sys.exit(main())
