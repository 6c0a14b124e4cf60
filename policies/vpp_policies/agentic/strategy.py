"""The aggregator of the `llm` brain: a strategy from numbers, in the rules' arithmetic.

Numbers in, bounded integers out, and what they mean in the rounds and in the dispatch. No limit is left to what a model
says; without an answer the rules' strategy stands and is counted.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pandas import Timedelta, Timestamp
from pydantic import BaseModel, ConfigDict, Field

from vpp_env import DT_H, Answers, Offers, Public
from vpp_policies.agentic.conversation import Conversation
from vpp_policies.agentic.dispatch import realized
from vpp_policies.agentic.floor import Floor
from vpp_policies.agentic.messages import Message, StrategyChosen
from vpp_policies.agentic.negotiation import (
    CAR,
    FULL,
    RESERVE,
    CoalitionDispatch,
    Declared,
    Guidance,
    Notice,
    Settled,
    Standing,
)
from vpp_policies.agentic.rules import RulesAggregator
from vpp_policies.llm.chat import ChatModel, clip, whole
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.prompts import prompt

MAX_TOKENS = 300
MEMORY = 3
"""Negotiations that are remembered."""


class Strategy(BaseModel):
    """One hour's (or day's) strategy. The defaults of `RULES` are what the rules do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening_percent: int = whole(50, 100, "contracts offered at most at this share of a home's ask, percent")
    cap_cents: int = whole(0, 100, "highest ask that is called and highest price that is offered, cents per kWh")
    ask_percent: int = whole(10, 100, "share of the homes that are called, cheapest first, percent")
    risk_percent: int = whole(0, 100, "0: count on the mean of the prices; 100: on their lower half")
    margin_percent: int = whole(0, 25, "added to asks, beside the market's own margin, percent")
    reserve_percent: int = whole(0, 100, "most of the maximum kept for reserves, percent")
    favour: Literal["none", "cars", "batteries"] = Field(description="whom to prefer where it is close")
    reason: str = Field(description="one short sentence")

    def guidance(self) -> Guidance:
        """Return the part that enters the dispatch."""
        return Guidance(
            risk=self.risk_percent / 100.0,
            margin=self.margin_percent / 100.0,
            reserve=self.reserve_percent / 100.0,
            favour=self.favour,
            cap=self.cap_cents / 100.0,
            asked=self.ask_percent / 100.0,
        )


RULES = Strategy(
    opening_percent=100, cap_cents=100, ask_percent=100, risk_percent=0, margin_percent=0, reserve_percent=100,
    favour="none", reason="the rules' own strategy",
)  # fmt: skip


@dataclass
class StrategyMemory:
    """What the aggregator has seen of its last negotiations: its own and public content."""

    past: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def remember(self, numbers: dict[str, Any], strategy: Strategy) -> None:
        """Remember one negotiation."""
        kept = {name: numbers[name] for name in ("start", "expected_tenth_cents")}
        self.past.append(kept | {"cap_cents": strategy.cap_cents, "ask_percent": strategy.ask_percent})


def numbers(notice: Notice, declared: Declared) -> dict[str, Any]:
    """What the strategist is shown: integers from public and declared data. No word of anybody is among them."""

    def tenths(usd_per_kwh: float) -> int:
        return round(1000.0 * float(usd_per_kwh))

    def quartiles(line: int, scale: float) -> list[int]:
        asks = declared.ask[line][(declared.kw[line] > 0) & declared.available]
        return [round(scale * float(q)) for q in np.quantile(asks, [0.25, 0.5, 0.75])] if len(asks) else []

    half = int(np.searchsorted(np.cumsum(notice.weight), 0.5))
    kw = declared.kw * declared.available
    return {
        "start": notice.start[:16],
        "expected_tenth_cents": tenths(float(notice.price @ notice.weight)),
        "median_tenth_cents": tenths(notice.price[half]),
        "top_hundredth_tenth_cents": tenths(notice.price[-1]),
        "dearest_hours_left_tenth_cents": [tenths(p) for p in notice.later[:3]],
        "reserve_usd_per_mw": round(1000.0 * float(notice.rho @ notice.rho_weight)),
        "members_share_percent": round(100.0 * notice.revenue_share),
        "least_kw": round(notice.min_bid_kw),
        "most_kw": round(notice.required_kw),
        "homes_selling": int((kw[:RESERVE] > 0).any(axis=0).sum()),
        "car_kw": round(float(kw[CAR].sum()), -1),
        "all_devices_kw": round(float(kw[FULL].sum()), -1),
        "car_asks_tenth_cents": quartiles(CAR, 1000.0),
        "all_devices_asks_tenth_cents": quartiles(FULL, 1000.0),
    }


def question(shown: dict[str, Any], memory: StrategyMemory | None) -> str:
    """Return the data of one question."""
    return json.dumps(shown if memory is None else shown | {"before": list(memory.past)}, separators=(",", ":"))


@dataclass
class LlmAggregator:
    """The VPP's side: a strategy per hour or day, from numbers only; the rules negotiate within it.

    Parameters
    ----------
    model, decider :
        Who is asked, and how.
    rules : RulesAggregator
        Who negotiates within the strategy.
    daily : bool
        One strategy per local day instead of one per opportunity.
    asks : bool
        Whether the model is asked; otherwise the rules' strategy stands (an ablation).
    remembers : bool
        Whether the last negotiations are shown (otherwise an ablation).
    floor : Floor
        When the rules take over from the strategy.
    talk : Conversation, optional
        Who talks to owners in words; None: nobody does.
    """

    model: ChatModel
    decider: Decider
    rules: RulesAggregator
    daily: bool
    asks: bool
    remembers: bool
    floor: Floor = field(default_factory=lambda: Floor(1, np.inf))
    talk: Conversation | None = None
    said: list[Message] = field(default_factory=list)
    _memory: StrategyMemory = field(default_factory=StrategyMemory)
    _day: str = ""
    _last: Strategy = RULES
    _notice: str = ""
    _weighed: deque[tuple[Notice, CoalitionDispatch, CoalitionDispatch]] = field(default_factory=deque)

    def hear(self, statements: Callable[[int], str], n: int) -> None:
        """Hand the owners' words to who talks to them; the strategy reads none."""
        if self.talk is not None:
            self.talk.hear(statements)

    def settle(self, public: Public, settled: Settled) -> None:
        """See what the strategy has lost against the rules at the prices that came."""
        if self.talk is not None:
            self.talk.settle(settled)
        now = public.start if public.now is None else public.now
        while self._weighed:
            notice, made, plain = self._weighed[0]
            first = len(public.past_rt_usd_per_kwh) - round((now - Timestamp(notice.start)) / Timedelta(hours=DT_H))
            last = first + round(notice.hours / DT_H)
            if last > len(public.past_rt_usd_per_kwh):
                return
            self._weighed.popleft()
            if first >= 0:  # what is past may be cut off
                prices = public.past_rt_usd_per_kwh[first:last]
                self.floor.add(realized(plain, notice, prices) - realized(made, notice, prices))

    def weigh(self, notice: Notice, made: CoalitionDispatch, plain: CoalitionDispatch) -> None:
        """Keep both until their prices are known."""
        self._weighed.append((notice, made, plain))

    def opens(self, opportunity: int, hours: float) -> bool:
        """As the rules do."""
        opens = self.rules.opens(opportunity, hours)
        if opens and self.talk is not None:
            self.talk.opens()
        return opens

    def propose(
        self, notice: Notice, standing: Standing, contracted: NDArray[np.bool_], rounds_left: int
    ) -> Offers | None:
        """Offer what the rules would, within the latest strategy's prices: it was chosen an opportunity ago."""
        made = self.rules.propose(notice, standing, contracted, rounds_left)
        if made is None:
            return None
        if self._last is not RULES:
            most = np.minimum(standing.terms.price * self._last.opening_percent / 100.0, self._last.cap_cents / 100.0)
            made = replace(made, terms=replace(made.terms, price=np.minimum(made.terms.price, most)))
        if self.talk is None:
            return made
        self._notice = notice.opportunity_id
        return self.talk.speak(notice, standing, made, self.rules.memory, rounds_left)

    def learn(self, standing: Standing, offers: Offers, answers: Answers) -> None:
        """As the rules do; words go to who talks."""
        self.rules.learn(standing, offers, answers)
        if self.talk is not None:
            self.talk.learn(self._notice, standing, offers, answers)

    def guide(self, notice: Notice, declared: Declared) -> Guidance | None:
        """Choose the strategy of this hour for the dispatch, from numbers."""
        strategy = self._strategy(notice, declared)
        return None if strategy is RULES else strategy.guidance()

    def _strategy(self, notice: Notice, declared: Declared) -> Strategy:
        day = notice.start[:10]
        if self.daily and day == self._day:
            return self._last
        self._day = day
        if self.floor.broken:
            self.decider.ledger.event("handed_back")
            self._last = RULES
        if self.floor.broken or not self.asks:
            self.decider.ledger.decided("rules")
            return RULES
        shown = numbers(notice, declared)
        text = question(shown, self._memory if self.remembers else None)
        answer = self.decider.ask(self.model, prompt("strategy"), text, Strategy, MAX_TOKENS)
        if answer is None:
            self._last, source, model = RULES, "fallback", ""
        else:
            assert isinstance(answer.value, Strategy)
            self._last, outside = clip(answer.value)
            self.decider.ledger.event("clipped", outside)
            source, model = answer.source, answer.model
        self._memory.remember(shown, self._last)
        self.said.append(
            StrategyChosen(
                opportunity_id=notice.opportunity_id,
                source=source,
                model=model,
                strategy=self._last.model_dump(mode="json"),
            )
        )
        return self._last
