"""The audit: what a policy's set hides is altered, and its bids must not move.

    audit(month, "my_module:MyPolicy").verdict       # verified, claimed or refuted

The policy plays the month once. Then fresh copies, with the same random stream, replay it against the same bids:

- **the future**: worlds that are the same up to a gate and others after it; every bid up to that gate must be the same.
  With the future, what no view ever shows is altered too (calls of reserve, the market's draws);
- **other rows** (OWN): views in which the rows of some homes are other homes' at every gate; the bids of the rest must
  be the same at every gate, so that what is kept from one gate to the next counts as well. The groups separate every
  ordered pair of homes: no row can follow another unseen, as long as the altered row makes a difference;
- **nothing**: one copy replays the very same month; a policy whose bids differ then cannot be audited.

Copies of a policy from outside the registry play in a process of their own. An ORACLE may know everything: nothing is
hidden from it, and it is verified without a replay.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.views import Homes, Information, View
from vpp_env.errors import VppError
from vpp_env.evaluation.isolation import player
from vpp_env.evaluation.simulate import market_rules
from vpp_env.evaluation.verdict import Audit, Finding, Verdict
from vpp_env.market.day_ahead import published_until
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.units import Flags

SHOWN = 5
"""Findings that are kept as evidence."""
NOT_COMPARED = ("notes", "transcript", "expected_profit_usd")
"""Parts of bids that are recorded and never used: they hold seconds, which differ."""
FUTURE, ROWS, NOTHING = "the future", "other rows", "nothing"
Alter = Callable[[View, int], View]


def separating_groups(n: int, rng: np.random.Generator) -> list[Flags]:
    """Return the fewest groups (n,) bool such that for every ordered pair (i, j) one holds i and not j.

    Home i is in the groups of the i-th of the subsets of half the size (Sperner, 1928): none contains another.
    """
    if n == 1:
        return []
    k = next(k for k in itertools.count(2) if math.comb(k, k // 2) >= n)
    subsets = list(itertools.islice(itertools.combinations(range(k), k // 2), n))
    groups = np.zeros((k, n), dtype=np.bool_)
    for i, subset in zip(rng.permutation(n), subsets, strict=True):
        groups[list(subset), i] = True
    return [group for group in groups if group.any() and not group.all()]


def other_rows(homes: Homes, kept: Flags, rng: np.random.Generator) -> Homes:
    """Return the rows with those not `kept` drawn anew: values of any home, scaled, so that sums and means move too."""
    n, altered = len(kept), np.flatnonzero(~kept)
    donor, scale = rng.integers(0, n, len(altered)), rng.uniform(0.3, 0.9, len(altered))
    rows = {}
    for field in dataclasses.fields(homes):
        value = np.array(getattr(homes, field.name))
        drawn = value[..., donor]
        if value.dtype.kind == "b":
            drawn = drawn ^ (rng.random(len(altered)) < 0.5)
        elif value.dtype.kind == "f":
            drawn = drawn * scale.astype(value.dtype) + value.dtype.type(1e-3)
        value[..., altered] = drawn
        value.setflags(write=False)
        rows[field.name] = value
    return dataclasses.replace(homes, **rows)


def altered_after(month: Month, gate: int, rng: np.random.Generator) -> Month:
    """Return the same month with other prices, calls and draws of the market from opportunity `gate` on.

    What is published at that gate stays: day-ahead prices and announced events of the days that are known.
    """
    made, t = copy.copy(month), gate * month.scenario.steps_per_opportunity
    known = published_until(month.calendar, *month.calendar.clock(t), t)
    old = month.series

    def drawn(values: Any, first: int) -> Any:
        out = np.array(values)
        # a permutation and a shift: each value is another one
        out[first:] = rng.permutation(out[first:]) * rng.uniform(0.5, 2.0) + rng.uniform(1.0, 50.0)
        return out

    made.series = dataclasses.replace(
        old,
        da_usd_per_mwh=drawn(old.da_usd_per_mwh, known),
        rt_usd_per_mwh=drawn(old.rt_usd_per_mwh, t),
        reserve_usd_per_mw={name: drawn(values, t) for name, values in old.reserve_usd_per_mw.items()},
    )
    made.calls = np.concatenate([month.calls[:t], ~month.calls[t:]])
    made.events = np.concatenate([month.events[:known], ~month.events[known:]])
    made.acceptance = np.concatenate([month.acceptance[:t], -month.acceptance[t:]])
    return made


def _play(
    month: Month, spec: str, original: Month, against: list[Bids], alter: Alter | None = None, last: int | None = None
) -> tuple[Information, list[Bids]]:
    """Play a fresh copy on `month` up to gate `last`: by its own bids, or by those of `against` where there are any."""
    made: list[Bids] = []
    with player(spec) as policy:
        world, information = World([month]), policy.info.information
        world.reset()
        policy.reset(market_rules(world), original.policy_rng())
        while not world.done and (last is None or world.opportunity <= last):
            gate = world.opportunity
            view = build_view(world, information)
            # a copy through bytes: what it writes into its view stays its own
            bids = policy.act(pickle.loads(pickle.dumps(view if alter is None else alter(view, gate))))
            made.append(bids)
            played = against[gate] if against else bids
            world.step(played.actions, (played.day_ahead,), None, (played.capacity,))
    return information, made


def compare(reference: list[Bids], bids: list[Bids], kept: Flags | None, altered: str) -> list[Finding]:
    """Return where bids differ from the reference's: in the rows `kept`, or everywhere where that is `None`."""
    found = []
    for gate, (a, b) in enumerate(zip(reference, bids, strict=False)):
        for field in dataclasses.fields(Bids):
            one, other = getattr(a, field.name), getattr(b, field.name)
            by_row = isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape
            rows_of = isinstance(one, np.ndarray) or isinstance(other, np.ndarray)
            if field.name in NOT_COMPARED or (kept is not None and not rows_of):
                continue  # an output of the whole fleet may follow from all of its rows
            if not by_row:
                same = pickle.dumps(one) == pickle.dumps(other)
                found += [] if same else [Finding(gate, -1, field.name, altered)]
                continue
            moved = (one != other).reshape(len(one), -1).any(axis=1)
            rows = np.flatnonzero(moved if kept is None else moved & kept)
            found += [Finding(gate, int(i), field.name, altered) for i in rows[:SHOWN]]
        if len(found) >= SHOWN:
            break
    return found[:SHOWN]


def audit(month: Month, spec: str, gates: int = 3, seed: int = 0) -> Audit:
    """Audit the information of a policy on a month.

    Parameters
    ----------
    month : Month
        What is played; a few days with spikes and calls are better than a calm month.
    spec : str
        The policy, as on the command line: copies of it are made.
    gates : int
        Gates, drawn at random, after which the future is altered; each costs a replay up to it.
    seed : int
        Of the audit's own draws; keep it from whoever wrote the policy.

    Returns
    -------
    Audit
        `verified`; `refuted` with the gate and the row of bids that moved; or `claimed` with the reason why it could
        not be looked at (bids that are not deterministic, a copy that fails on altered rows).

    Raises
    ------
    VppError
        When the policy fails on the month as it is.
    """
    if gates < 1:
        raise VppError(f"audit: got gates={gates}; allowed is 1 or more")
    rng = np.random.default_rng(seed)
    with player(spec) as declared:
        information = declared.info.information
    if information is Information.ORACLE:
        return Audit(Verdict.VERIFIED, information, seed, (), (), reason="nothing is hidden from an ORACLE")
    _, reference = _play(month, spec, month, [])
    n, total = month.fleet.n, month.scenario.n_opportunities
    sampled = tuple(sorted(int(g) for g in rng.choice(total, min(gates, total), replace=False)))

    def ended(verdict: Verdict, checked: tuple[str, ...], found: list[Finding], reason: str = "") -> Audit:
        return Audit(verdict, information, seed, sampled, checked, tuple(found), reason)

    if found := compare(reference, _play(month, spec, month, reference)[1], None, NOTHING):
        return ended(Verdict.CLAIMED, (), found, "its bids differ where nothing was altered: it is not deterministic")
    for gate in sampled:
        other = altered_after(month, gate, rng)
        if found := compare(reference, _play(other, spec, month, reference, None, gate)[1], None, FUTURE):
            return ended(Verdict.REFUTED, (FUTURE,), found)
    if information is not Information.OWN:
        return ended(Verdict.VERIFIED, (FUTURE,), [])
    for kept in separating_groups(n, rng):

        def alter(view: View, gate: int, kept: Flags = kept) -> View:
            return dataclasses.replace(view, homes=other_rows(view.homes, kept, rng))

        try:
            replayed = _play(month, spec, month, reference, alter)[1]
        except (VppError, ValueError, ArithmeticError) as error:
            return ended(Verdict.CLAIMED, (FUTURE,), [], f"a copy failed where rows were altered: {error}")
        if found := compare(reference, replayed, kept, ROWS):
            return ended(Verdict.REFUTED, (FUTURE, ROWS), found)
    return ended(Verdict.VERIFIED, (FUTURE, ROWS), [])
