"""Conversation: a language model talks to some owners in words and typed terms; the rules talk to all others.

The owners of a gate with whom talking is worth most - what the rules expect to gain from their contracts - are each
asked about in a question of their own: that owner's statement, what was said and done so far, what became of its
contract, and the rules' draft. The model calls read-only tools, a few at most, then writes a message and terms.
What binds are the terms, and code checks them (`spoken_terms`). Where no usable answer comes the draft stands, unsaid.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vpp_env import Answers, Offers
from vpp_env.contract.speech import MOST_WORDS
from vpp_policies.agentic.floor import Floor
from vpp_policies.agentic.memory import Memory
from vpp_policies.agentic.messages import Message, Said
from vpp_policies.agentic.negotiation import Notice, Settled, Standing
from vpp_policies.agentic.rules import ROOM, WORTH
from vpp_policies.agentic.spoken_terms import SPOKEN, Allowed, allowed, asked_otherwise, changed, shown_terms, taken
from vpp_policies.agentic.tools import TOOLS, Desk
from vpp_policies.llm.chat import ChatModel, Question, whole
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.prompts import prompt
from vpp_policies.llm.received import tidy

MAX_TOKENS = 500
"""Of one turn."""
SHOWN, REMEMBERED = 2, 6
"""Exchanges that a question shows, and that the tool `history` has."""
MOST_STATEMENT = 2000
"""Characters of a statement that are shown [assumed]; of a message, `MOST_WORDS`."""


class Turn(BaseModel):
    """A call of a tool, or a message with terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: Literal["none", "forecast", "value", "history", "solver"] = Field(description="none: this is the offer")
    message: str = Field(description="to the owner, one to three sentences; empty with a tool")
    price_tenth_cents: int = whole(-1, 1000, "least pay per kWh that storage gives, tenths of a cent")
    share_percent: int = whole(-1, 100, "of the real-time price, paid at least")
    fee_thousandth_cents: int = whole(-1, 1000, "for being there, per kW and hour, thousandths of a cent")
    waiting_tenth_cents: int = whole(-1, 1000, "least pay per kWh of charging that waits, tenths of a cent")
    reserve_hundredth_cents: int = whole(-1, 10_000, "least pay per kW and hour on reserve, hundredths of a cent")
    floor_wh: int = whole(-1, 100_000, "the battery's reserve floor while the contract runs, Wh")
    floor_price_hundredth_cents: int = whole(-1, 10_000, "per kWh and hour below the own floor, hundredths of a cent")
    day_wh: int = whole(-1, 100_000, "most that the battery gives in a day, Wh")
    day_price_tenth_cents: int = whole(-1, 1000, "per kWh beyond the owner's own daily limit, tenths of a cent")
    car_on_reserve: int = whole(-1, 1, "1: the car's battery may stand on reserve")


AS_DRAFTED = Turn(
    tool="none", message="Shall we agree on this?", price_tenth_cents=-1, share_percent=-1, fee_thousandth_cents=-1,
    waiting_tenth_cents=-1, reserve_hundredth_cents=-1, floor_wh=-1, floor_price_hundredth_cents=-1, day_wh=-1,
    day_price_tenth_cents=-1, car_on_reserve=-1,
)  # fmt: skip
"""A turn that offers what the rules have drafted."""


@dataclass
class File:
    """What is remembered of one owner: its words, what it did, and what talking to it has cost."""

    floor: Floor
    statement: str = ""
    said: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    signed: int = 0


def expected_gain(memory: Memory, standing: Standing, offers: Offers) -> NDArray[np.float64]:
    """(N,) USD a day that the rules expect VPP and owner to gain together from the contracts that they would offer.

    For the price, and for what the day's limit is raised by: P(the owner's reservation price is at most what is
    offered) x (worth - its mean then) x kWh.
    """
    own, terms = standing.terms, offers.terms
    none = np.zeros(own.n)

    def part(name: str, base: Any, offered: Any, worth: Any, kwh: Any) -> Any:
        r = base[:, None] + memory.grid[name]
        p = memory.belief[name] * (r <= offered[:, None] + 1e-9)
        return np.maximum((p * (worth[:, None] - r)).sum(axis=1), 0.0) * kwh

    more = np.maximum(terms.day_kwh - own.day_kwh, 0.0)
    gain = part("price", standing.cost, terms.price, own.price + ROOM, _usable(standing))
    gain = gain + part("overuse_price", none, terms.overuse_price, np.full(own.n, WORTH["overuse_price"]), more)
    return np.asarray(np.where(offers.to, gain, 0.0))


def _usable(standing: Standing) -> NDArray[np.float64]:
    """(N,) kWh a day that a battery can give inside its own limits."""
    return np.asarray(np.minimum(standing.terms.day_kwh, np.maximum(standing.most_kwh - standing.least_kwh, 0.0)))


def takes(standing: Standing, offers: Offers) -> NDArray[np.float64]:
    """(N,) USD a day that a contract leaves the VPP of what its energy is worth, fee paid [a rough measure]."""
    own, terms = standing.terms, offers.terms
    return np.asarray((own.price + ROOM - terms.price) * _usable(standing) - 24.0 * terms.availability * terms.kw)


@dataclass
class Conversation:
    """Talks to the owners of one month.

    Parameters
    ----------
    model, decider :
        Who is asked, and how.
    talk : int
        Owners a gate that are talked to.
    talk_to : tuple of int
        Homes that are talked to instead, whatever it is worth.
    tools : int
        Calls of tools, at most, before one message.
    desk : Desk
        What the tools read.
    floor_last, floor_usd : int, float
        Of each owner's own `Floor`: when the rules take over with this owner, whatever others have cost.
    """

    model: ChatModel
    decider: Decider
    talk: int
    talk_to: tuple[int, ...]
    tools: int
    desk: Desk
    floor_last: int
    floor_usd: float
    said: list[Message] = field(default_factory=list)
    _files: dict[int, File] = field(default_factory=dict)
    _statements: Callable[[int], str] | None = None
    _round: int = 0
    _who: NDArray[np.bool_] | None = None
    _open: dict[int, str] = field(default_factory=dict)  # home -> message of the round under way
    _hoped: NDArray[np.float64] | None = None  # (N,) USD a day that the draft's contracts would bring

    def hear(self, statements: Callable[[int], str]) -> None:
        """Keep the owners' statements at hand; each is read in a question about that owner alone."""
        self._statements = statements

    def settle(self, settled: Settled) -> None:
        """Remember what the last opportunity brought."""
        self.desk.settle(settled)

    def opens(self) -> None:
        """Begin a gate."""
        self._round, self._who = 0, None

    def speak(self, notice: Notice, standing: Standing, draft: Offers, memory: Memory, rounds_left: int) -> Offers:
        """Return the draft with the terms and messages of those who are talked to."""
        self._round += 1
        self._open = {}
        gain = expected_gain(memory, standing, draft)
        if self._who is None:
            self._who = self._chosen(draft.to, gain)
            self._hoped = np.where(self._who, np.minimum(gain, np.maximum(takes(standing, draft), 0.0)), 0.0)
        homes = [i for i in np.flatnonzero(self._who & draft.to).tolist() if not self._handed_back(i)]
        self.desk.look(notice, standing, draft)
        within = allowed(standing)
        offer_id = f"{notice.opportunity_id}-r{self._round}"
        named: dict[int, dict[str, float]] = {}
        for i, (turn, source) in self._turns(notice, draft, within, homes, rounds_left).items():
            terms = taken(turn, i, within)
            if terms is None:
                self.decider.ledger.event("refused_terms")
                continue
            named[i] = terms
            if text := tidy(turn.message, MOST_WORDS).strip():
                self._open[i] = text
                self.said.append(_said(i, "aggregator", text, offer_id, changed(draft.terms, {i: terms}), source))
        made = replace(draft, terms=changed(draft.terms, named)) if named else draft
        return replace(made, messages=dict(self._open)) if self._open else made

    def _handed_back(self, i: int) -> bool:
        broken = self._file(i).floor.broken
        self.decider.ledger.event("handed_back", int(broken))
        return broken

    def _chosen(self, to: NDArray[np.bool_], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
        who = np.zeros(len(to), dtype=np.bool_)
        if self.talk_to:
            who[[i for i in self.talk_to if i < len(to)]] = True
            return who
        order = np.argsort(-gain, kind="stable")[: self.talk]
        who[order[gain[order] > 0.0]] = True
        return who

    def _turns(
        self, notice: Notice, draft: Offers, within: Allowed, homes: Sequence[int], rounds_left: int
    ) -> dict[int, tuple[Turn, str]]:
        """Ask about every home, side by side, until it has an offer or has used up its calls of tools."""
        out: dict[int, tuple[Turn, str]] = {}
        found: dict[int, dict[str, Any]] = {i: {} for i in homes}
        for left in range(self.tools, -1, -1):
            ask = [i for i in homes if i in found and i not in out]
            texts = [self._question(notice, draft, within, i, rounds_left, left, found[i]) for i in ask]
            questions = [Question(prompt("conversation"), text, Turn, MAX_TOKENS) for text in texts]
            for i, answer in zip(ask, self.decider.ask_all(self.model, questions, 0), strict=True):
                turn = None if answer is None else answer.value
                if turn is None or answer is None:
                    self.decider.ledger.decided("fallback")
                    del found[i]
                    continue
                assert isinstance(turn, Turn)
                if turn.tool == "none":
                    self.decider.ledger.decided(answer.source)
                    out[i] = (turn, answer.source)
                elif left:
                    self.decider.ledger.event("tool_calls")
                    found[i][turn.tool] = self._look_up(turn.tool, i)
                else:
                    self.decider.ledger.event("refused_tools")
                    self.decider.ledger.decided("fallback")
                    del found[i]
        return out

    def _look_up(self, tool: str, i: int) -> Any:
        return list(self._file(i).said) if tool == "history" else TOOLS[tool](self.desk, i)

    def _question(
        self,
        notice: Notice,
        draft: Offers,
        within: Allowed,
        i: int,
        rounds_left: int,
        tools_left: int,
        found: dict[str, Any],
    ) -> str:
        file = self._file(i)
        shown = {
            "now": notice.start[:16],
            "round": self._round,
            "rounds_left": rounds_left - 1,
            "statement": file.statement,
            "before": list(file.said)[-SHOWN:],
            "contract_so_far": self.desk.outcome(i) | {"signed": file.signed},
            "draft": shown_terms(draft.terms, i),
            "allowed": within.shown(i),
            "tools_left": tools_left,
            "found": found,
        }
        return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)

    def _file(self, i: int) -> File:
        if i not in self._files:
            text = self._statements(i) if self._statements is not None else ""
            self._files[i] = File(Floor(self.floor_last, self.floor_usd), tidy(text, MOST_STATEMENT))
        return self._files[i]

    def learn(self, notice_id: str, standing: Standing, offers: Offers, answers: Answers) -> None:
        """Hear what owners answered, each into its own file."""
        words = answers.messages or {}
        offer_id = f"{notice_id}-r{answers.round}"
        for i, message in self._open.items():
            answer = "accepted" if answers.accepted[i] else "countered" if answers.countered[i] else "refused"
            wants = asked_otherwise(offers.terms, answers.terms, i) if answers.countered[i] else {}
            text, file = tidy(words.get(i, ""), MOST_WORDS), self._file(i)
            offered = shown_terms(offers.terms, i)
            exchange = {"you": message, "offered": offered, "answer": answer, "wants": wants, "owner": text}
            file.said.append(exchange)
            file.signed += answer == "accepted"
            self.said.append(_said(i, "owner", text, offer_id, answers.terms, "world", answer))
        last = answers.round == answers.of_rounds or not (offers.to & ~answers.accepted & answers.countered).any()
        if self._who is None or self._hoped is None:
            return
        signed = self._who & answers.accepted
        got = np.where(signed, takes(standing, offers), 0.0)
        # what was hoped for is lost where it was not signed when the gate closes, or was signed at less
        settled = signed | (self._who & last & offers.to)
        for i in np.flatnonzero(settled).tolist():
            self._file(i).floor.add(float(self._hoped[i] - got[i]))
            self._who[i] = False


def _said(
    i: int, speaker: Literal["aggregator", "owner"], text: str, offer_id: str, terms: Any, source: str, answer: str = ""
) -> Said:
    spoken = {s.term: round(float(getattr(terms, s.term)[i]), 6) for s in SPOKEN}
    return Said(
        prosumer_id=i, speaker=speaker, text=text, offer_id=offer_id, terms=spoken, source=source, answer=answer
    )
