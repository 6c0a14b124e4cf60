"""The audit: what a policy's set hides is altered, and its bids must not move.

    audit(month, "my_module:MyPolicy").verdict       # verified, claimed or refuted

The policy plays the first gates of the month once. Then fresh copies, with the same random stream, replay them against
the same bids:

- **nothing**: one copy sees the very same; a policy whose bids differ then cannot be audited;
- **what is hidden** (`evaluation.hidden`): three copies are asked while, at every gate, all that is to come, what
  owners keep to themselves and the seed are others, wherever they may look for them; no bid may move;
- **other rows** (OWN): copies see views in which the rows of some homes are other homes' at every gate; the bids of the
  rest must be the same at every gate, so that what is kept from one gate to the next counts as well. The groups
  separate every ordered pair of homes: no row can follow another unseen, as long as the altered row makes a difference.
  Some homes are also left alone: the rows of all others are the least there can be, then more than there is, so that
  what one home reads off all rows together (is any car plugged in?) is another answer.

What a policy asks the owners counts as a part of its bids. Copies hear at each gate what the original heard, whatever
they ask: answers are all that it may know of the owners, so they stay while all else is altered, and a copy that asks
for something else has moved.

What belongs to the fleet as a whole (a day-ahead schedule, a capacity commitment) is an aggregator's own decision: it
may follow from all rows, and is held against what is hidden only.

Copies of a policy from outside the registry play in a process of their own. An ORACLE may know everything: nothing is
hidden from it, and it is verified without a replay.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.views import Homes, Information, View
from vpp_env.errors import VppError
from vpp_env.evaluation.heard import Ask, ask_again, heard_table, same_asked
from vpp_env.evaluation.hidden import HIDDEN_WAYS, altered_ahead, own_copy
from vpp_env.evaluation.isolation import TIMEOUT_S, player
from vpp_env.evaluation.simulate import market_rules, take
from vpp_env.evaluation.verdict import Audit, Finding, Verdict
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.units import Flags

SHOWN = 5
"""Findings that are kept as evidence."""
NOT_COMPARED = ("notes", "transcript", "expected_profit_usd")
"""Parts of bids that are recorded and never used: they hold seconds, which differ."""
HIDDEN, ROWS, NOTHING = "what is hidden", "other rows", "nothing"
PRICES = ("buy_limit", "own_ask", "own_cost", "defer_ask", "reserve_ask")
"""Rows that a home without devices has as well."""
WAYS = 4
"""Ways in which the rows of groups are altered, see `other_rows`."""
LEAST, MOST = 4, 5
"""Two further ways, for the rows of all homes but one."""
ALONE = 8
"""Homes that are left alone; all of them where there are no more [assumed]. Two plays each."""
ROUNDS = 2
"""Times that every pair of homes is looked at: on two days that is once each way at every hour."""
Alter = Callable[[View], View]
Around = Callable[[World], AbstractContextManager[None]]
OnGate = Callable[[int, int], object]
"""Told after every gate of every copy: gates played so far, and in all if nothing is found."""


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


def plays(information: Information, n: int, rounds: int = ROUNDS) -> int:
    """Return how often the gates are played at most, for a policy of this set on n homes."""
    if information is Information.ORACLE:
        return 0
    rows = rounds * len(separating_groups(n, np.random.default_rng())) + 2 * min(ALONE, n) * (n > 1)
    return 2 + len(HIDDEN_WAYS) + (rows if information is Information.OWN else 0)


def other_rows(homes: Homes, kept: Flags, rng: np.random.Generator, way: int) -> Homes:
    """Return the rows with those not `kept` altered, in one of the ways.

    Field by field as values of other homes, made smaller (0) or larger (1); as homes without devices (2); as other
    homes whole (3); as nothing at all (`LEAST`); or each more than any home has (`MOST`). What is asked of a row (is it
    more than ...?) is thus answered otherwise at some gate.
    """
    n, altered = len(kept), np.flatnonzero(~kept)
    # never its own values
    donor = (altered + rng.integers(1, max(n, 2), len(altered))) % n
    low, high = (0.3, 0.9) if way == 0 else (1.1, 3.0)
    rows = {}
    for field in dataclasses.fields(homes):
        value = np.array(getattr(homes, field.name))
        drawn, kind = value[..., donor], value.dtype.kind
        if way == LEAST or (way == 2 and field.name not in PRICES):
            drawn = np.zeros_like(drawn)
        elif way == MOST:
            drawn = np.full_like(drawn, value.max(initial=0))
            if kind == "b":
                drawn[...] = True
            elif kind == "f":
                drawn = drawn * rng.uniform(1.1, 3.0, len(altered)).astype(value.dtype) + value.dtype.type(1e-3)
        elif way != 3 and kind == "f":
            drawn = drawn * rng.uniform(low, high, len(altered)).astype(value.dtype) + value.dtype.type(1e-3)
        elif way != 3 and kind == "b":
            drawn = ~value[..., altered]
        elif way != 3:  # a class: another one of those there are
            most = max(int(value.max(initial=0)), 2)
            drawn = (value[..., altered] + rng.integers(1, most + 1, len(altered))) % (most + 1)
        value[..., altered] = drawn
        value.setflags(write=False)
        rows[field.name] = value
    return dataclasses.replace(homes, **rows)


def _unaltered(view: View) -> View:
    return view


def _nothing_around(world: World) -> AbstractContextManager[None]:
    return nullcontext()


@dataclasses.dataclass(frozen=True)
class _Play:
    """What a copy did, gate by gate."""

    bids: list[Bids] = dataclasses.field(default_factory=list)
    asked: list[list[Ask]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What every play of an audit shares."""

    month: Month
    spec: str
    information: Information
    gates: int
    timeout_s: float
    gate_over: Callable[[], object]

    def play(self, against: _Play | None = None, alter: Alter = _unaltered, around: Around = _nothing_around) -> _Play:
        """Let a fresh copy bid at the first gates; the world is played by what `against` did, or by its own bids."""
        made = _Play()
        with player(self.spec, self.timeout_s) as policy:
            world = World([own_copy(self.month)], contracts_expected=True)
            world.reset()
            policy.reset(market_rules(world), self.month.policy_rng())
            for gate in range(self.gates):
                with around(world):
                    view = alter(build_view(world, self.information))
                    # a copy through bytes: what it writes into its view stays its own
                    copied = pickle.loads(pickle.dumps(view))
                    table = heard_table(view.table, None if against is None else against.asked[gate])
                    bids = policy.act(dataclasses.replace(copied, table=table))
                made.bids.append(bids)
                made.asked.append([] if table is None else table.asked)
                if against is not None and view.table is not None:
                    ask_again(view.table, against.asked[gate])
                take(world, bids if against is None else against.bids[gate])
                self.gate_over()
        return made


def compare(reference: _Play, play: _Play, kept: Flags | None, altered: str) -> list[Finding]:
    """Return where bids differ from the reference's: in the rows `kept`, or everywhere where that is `None`."""
    found = []
    for gate, (a, b) in enumerate(zip(reference.bids, play.bids, strict=True)):
        # only policies of one mind may ask: rows do not matter
        found += [] if same_asked(reference.asked[gate], play.asked[gate]) else [Finding(gate, -1, "offers", altered)]
        n = len(a.actions)
        for field in dataclasses.fields(Bids):
            one, other = getattr(a, field.name), getattr(b, field.name)
            if field.name in NOT_COMPARED:
                continue
            of_homes = [isinstance(x, np.ndarray) and x.shape[:1] == (n,) for x in (one, other)]
            if kept is not None and not any(of_homes):
                continue  # an output of the whole fleet may follow from all of its rows
            if not all(of_homes) or one.shape != other.shape:
                same = pickle.dumps(one) == pickle.dumps(other)
                found += [] if same else [Finding(gate, -1, field.name, altered)]
                continue
            moved = (one != other).reshape(n, -1).any(axis=1)
            rows = np.flatnonzero(moved if kept is None else moved & kept)
            found += [Finding(gate, int(i), field.name, altered) for i in rows[:SHOWN]]
        if len(found) >= SHOWN:
            break
    return found[:SHOWN]


def audit(
    month: Month,
    spec: str,
    gates: int | None = None,
    seed: int = 0,
    timeout_s: float = TIMEOUT_S,
    rounds: int = ROUNDS,
    on_gate: OnGate | None = None,
) -> Audit:
    """Audit the information of a policy on a month.

    Parameters
    ----------
    month : Month
        What is played; days with spikes and calls are better than calm ones.
    spec : str
        The policy, as on the command line: copies of it are made.
    gates : int, optional
        How many gates of the month are looked at, from its start; all of them when None. What a policy does later is
        not looked at. A policy of OWN plays them 41 times (200 homes), any other one five times.
    seed : int
        Of the audit's own draws; keep it from whoever wrote the policy.
    timeout_s : float
        Longest that one answer of a policy in a process of its own is waited for.
    rounds : int
        Times that every ordered pair of homes is looked at, each with other ways of altering rows.
    on_gate : OnGate, optional
        Told how far the audit is.

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
    if gates is not None and gates < 1:
        raise VppError(f"audit: got gates={gates}; allowed is 1 or more, or None for all")
    if not 1 <= rounds <= WAYS:
        raise VppError(f"audit: got rounds={rounds}; allowed is 1 to {WAYS}")
    rng = np.random.default_rng(seed)
    with player(spec, timeout_s) as declared:
        information = declared.info.information
    total = month.scenario.n_opportunities
    gates = total if gates is None else min(gates, total)
    n = month.fleet.n
    over, most = itertools.count(1), gates * plays(information, n, rounds)

    def gate_over() -> None:
        if on_gate is not None:
            on_gate(next(over), most)

    bench = _Bench(month, spec, information, gates, timeout_s, gate_over)

    def ended(verdict: Verdict, checked: tuple[str, ...], found: list[Finding], reason: str = "") -> Audit:
        return Audit(verdict, information, seed, bench.gates, checked, tuple(found), reason)

    if information is Information.ORACLE:
        return ended(Verdict.VERIFIED, (), [], "nothing is hidden from an ORACLE")
    reference = bench.play()
    if found := compare(reference, bench.play(reference), None, NOTHING):
        return ended(Verdict.CLAIMED, (), found, "its bids differ where nothing was altered: it is not deterministic")
    for way in HIDDEN_WAYS:
        replayed = bench.play(reference, around=lambda world, way=way: altered_ahead(world, rng, way))  # type: ignore[misc]
        if found := compare(reference, replayed, None, HIDDEN):
            return ended(Verdict.REFUTED, (HIDDEN,), found)
    if information is not Information.OWN:
        return ended(Verdict.VERIFIED, (HIDDEN,), [])
    a_day = 24 * 60 // month.scenario.time.opportunity_minutes
    groups = [(range(WAYS), first, kept) for first in (0, 2, 1, 3)[:rounds] for kept in separating_groups(n, rng)]
    alone = rng.permutation(n)[: ALONE if n > 1 else 0]
    groups += [(range(way, way + 1), 0, np.arange(n) == i) for i in alone for way in (LEAST, MOST)]
    for ways, first, kept in groups:

        def alter(view: View, ways: range = ways, first: int = first, kept: Flags = kept) -> View:
            gate = view.public.opportunity - view.public.lead
            way = ways[(first + gate + gate // a_day) % len(ways)]
            return dataclasses.replace(view, homes=other_rows(view.homes, kept, rng, way))

        try:
            replayed = bench.play(reference, alter)
        except (VppError, ValueError, ArithmeticError) as error:
            return ended(Verdict.CLAIMED, (HIDDEN,), [], f"a copy failed where rows were altered: {error}")
        if found := compare(reference, replayed, kept, ROWS):
            return ended(Verdict.REFUTED, (HIDDEN, ROWS), found)
    return ended(Verdict.VERIFIED, (HIDDEN, ROWS), [])
