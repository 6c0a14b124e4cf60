"""What a policy asked the owners and heard: noted by an audit, and said again to its copies."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vpp_env.contract.terms import TERMS, Answers, Offers, Table, Terms, check_offers, check_rows
from vpp_env.errors import BidError, VppError
from vpp_env.units import Flags


class Ask(NamedTuple):
    """One thing that was asked at a table, and what stood after it."""

    what: Offers | Flags  # offers, or whose contracts are to end
    answers: Answers | None  # None: contracts were ended
    in_force: Flags
    terms: Terms


@dataclass(eq=False)
class HeardTable:
    """A table at which everything that is asked is noted: a real one behind it, or what was heard before."""

    real: Table | None
    heard: list[Ask]
    round: int
    rounds_left: int
    in_force: Flags
    terms: Terms
    asked: list[Ask] = field(default_factory=list)

    def propose(self, offers: Offers) -> Answers:
        """Pass the offers on, or say what was heard before: whatever is offered, answers are all that may be known."""
        offers = check_offers(offers, len(self.in_force))
        if self.real is not None:
            answers = self.real.propose(offers)
        elif self.rounds_left < 1:
            raise BidError("no round of offers is left at this gate")
        else:
            before = self._before()
            answers = self._silence(offers) if before is None or before.answers is None else before.answers
        self.round, self.rounds_left = answers.round, answers.of_rounds - answers.round
        self._note(offers, answers)
        return pickle.loads(pickle.dumps(answers))

    def end(self, rows: Flags) -> None:
        """Pass it on, or nothing."""
        rows = check_rows(rows, len(self.in_force), "rows")
        if self.real is not None:
            self.real.end(rows)
        self._note(rows, None)

    def _before(self) -> Ask | None:
        """What the original asked at this point."""
        return self.heard[len(self.asked)] if len(self.asked) < len(self.heard) else None

    def _note(self, what: Offers | Flags, answers: Answers | None) -> None:
        before = self._before()
        if self.real is not None:
            self.in_force, self.terms = self.real.in_force, self.real.terms
        elif before is not None:
            self.in_force, self.terms = before.in_force, before.terms
        self.asked.append(Ask(what, answers, self.in_force, self.terms))

    def _silence(self, offers: Offers) -> Answers:
        """What a copy hears that asks otherwise than the original: nobody answers. It has moved already."""
        nobody, reason = np.zeros(len(offers.to), dtype=np.bool_), np.zeros(len(offers.to), dtype=np.int64)
        return Answers(nobody, nobody, reason, offers.terms, self.round + 1, self.round + self.rounds_left)


def heard_table(real: Table | None, heard: list[Ask] | None) -> HeardTable | None:
    """Return the table that a copy is given at a gate with the `real` one: with nothing `heard` it asks that one."""
    if real is None:
        return None
    left = real.round, real.rounds_left, real.in_force, real.terms
    return HeardTable(real if heard is None else None, heard or [], *left)


def ask_again(table: Table, asked: list[Ask]) -> None:
    """Let a replayed world sign and end the contracts of the original."""
    for ask in asked:
        if isinstance(ask.what, Offers):
            if pickle.dumps(table.propose(ask.what)) != pickle.dumps(ask.answers):
                raise VppError("audit: the owners answered otherwise when they were asked the same again")
        else:
            table.end(ask.what)


def same_asked(one: list[Ask], other: list[Ask]) -> bool:
    """Whether the same was asked, in the same order."""
    return len(one) == len(other) and all(_same(a.what, b.what) for a, b in zip(one, other, strict=True))


def _same(a: Offers | Flags, b: Offers | Flags) -> bool:
    if not (isinstance(a, Offers) and isinstance(b, Offers)):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    if not (np.array_equal(a.to, b.to) and np.array_equal(a.window[a.to], b.window[b.to])):
        return False
    same = all(np.array_equal(getattr(a.terms, row)[a.to], getattr(b.terms, row)[b.to]) for row in TERMS)
    return same and a.messages == b.messages
