"""The homes' side of the `llm` brain: cards from words, then the rules under the card.

In sampled hours (modes `batched` and `full`) the homes' agents also ask the model for their opening asks, from numbers
only. No limit is left to what a model says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vpp_env import RESERVE_ASK_RANGE, SELL_ASK_RANGE, Homes, Information, MarketRules, Public, Terms, View
from vpp_policies.agentic.card import (
    EMPTY,
    CardTable,
    Compiled,
    card_read,
    card_table,
    compile_cards,
    tighten,
    undeclared,
)
from vpp_policies.agentic.messages import Message, OpeningAsksMade
from vpp_policies.agentic.negotiation import CAR, FULL, Declared, Standing
from vpp_policies.agentic.rules import RulesProsumer, own_lines, up
from vpp_policies.llm.chat import ChatModel, Question, clip, whole
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.prompts import prompt
from vpp_policies.stochastic.policy import ValueBids

MODES = ("cards", "batched", "full")
ENVELOPES = ("declared", "physical")
"""What a card is applied to: the limits that a home's own agent holds (default), or physics alone (research: what is
known of an owner is then what was understood)."""
SPANS = np.array([SELL_ASK_RANGE[1], SELL_ASK_RANGE[1], RESERVE_ASK_RANGE[1]])[:, None]
"""Highest ask that a bid can hold, (3, 1)."""
TOKENS_PER_HOME, TOKENS_BASE = 40, 60
"""Of one opening ask, and of the object around all of them."""


class OpeningAsk(BaseModel):
    """How one home opens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: int = whole(0, 10**9, "number of the row's home")
    sells: int = whole(0, 1, "1: takes part in this hour")
    markup_percent: int = whole(0, 100, "opening ask above its own ask, percent")
    concession_percent: int = whole(0, 100, "how readily it gives way: 50 normal, 100 at once")


class OpeningAsks(BaseModel):
    """One answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    openings: tuple[OpeningAsk, ...] = Field(description="one per row")


@dataclass(frozen=True)
class Openings:
    """(N,) arrays; NaN markup where rules decide."""

    sells: NDArray[np.bool_]
    markup: NDArray[np.float64]


def sampled_hours(n_opportunities: int, hours_each: float, sample_hours: float) -> NDArray[np.bool_]:
    """(n,): opportunities in which the model plays.

    Whole days, evenly spread over the month; less than a day is one block that ends at 22:00 of the first day.
    """
    per_day = round(24.0 / hours_each)
    wanted = min(round(sample_hours / hours_each), n_opportunities)
    out = np.zeros(n_opportunities, dtype=bool)
    if wanted < per_day:
        end = min(max(wanted, round(22.0 / hours_each)), n_opportunities)
        out[end - wanted : end] = True
        return out
    days = wanted // per_day
    for day in np.linspace(0, max(n_opportunities // per_day - 1, 0), days).round().astype(np.int64):
        out[day * per_day : (day + 1) * per_day] = True
    return out


def batches(who: Sequence[int], size: int) -> Iterator[list[int]]:
    """Split homes into batches of at most `size`."""
    for first in range(0, len(who), size):
        yield list(who[first : first + size])


def ask_openings(
    model: ChatModel, decider: Decider, homes: Homes, public: Public, rules: MarketRules, size: int
) -> tuple[Openings, dict[str, int]]:
    """Ask how the homes that could sell open, `size` homes per call; returns decisions by source beside it.

    A home that an answer leaves out, or an answer that fails, leaves the rules in place. An opening of a home
    that is not in the batch, or its second one, is dropped and counted.
    """
    kw, ask, _ = own_lines(View(public, Information.DECLARED, homes), rules)
    n = rules.n_homes
    sells, markup = np.ones(n, dtype=bool), np.full(n, np.nan)
    sources: dict[str, int] = {}
    able = np.flatnonzero((kw > 0).any(axis=0) & ~homes.blackout_now).tolist()
    groups = list(batches(able, size))
    questions = []
    for batch in groups:
        shown = {
            "hour": public.start.strftime("%a %H:%M"),
            "price_tenth_cents": round(1000 * public.expected_lmp),
            "rows": [_row(i, kw, ask, homes) for i in batch],
        }
        text, limit = json.dumps(shown, separators=(",", ":")), TOKENS_BASE + TOKENS_PER_HOME * len(batch)
        questions.append(Question(prompt("openings"), text, OpeningAsks, limit))
    for batch, answer in zip(groups, decider.ask_all(model, questions, 0), strict=True):
        taken: set[int] = set()
        if answer is not None:
            assert isinstance(answer.value, OpeningAsks)
            valid, outside = clip(answer.value)
            decider.ledger.event("clipped", outside)
            for opening in valid.openings:
                if opening.home not in batch or opening.home in taken:
                    decider.ledger.event("unsupported")
                    continue
                taken.add(opening.home)
                sells[opening.home] = opening.sells > 0
                # giving way readily is opening lower; nobody opens below the own ask
                markup[opening.home] = opening.markup_percent / 100.0 * (1.0 - opening.concession_percent / 200.0)
        for home in batch:
            source = answer.source if answer is not None and home in taken else "fallback"
            decider.ledger.decided(source)
            sources[source] = sources.get(source, 0) + 1
    return Openings(sells, markup), sources


def _row(i: int, kw: NDArray[np.float64], ask: NDArray[np.float64], homes: Homes) -> dict[str, int]:
    bess = homes.bess_kwh[i]
    return {
        "home": i,
        "car_w": round(1000 * float(kw[CAR, i])),
        "all_w": round(1000 * float(kw[FULL, i])),
        "car_ask_tenth_cents": round(1000 * float(ask[CAR, i])),
        "all_ask_tenth_cents": round(1000 * float(ask[FULL, i])),
        "battery_percent": round(100 * float(homes.soc_kwh[i] / bess)) if bess > 0 else 0,
        "car_due_hours": round(float(homes.hours_to_ready[i])),
    }


def within(declared: Declared, limit: Declared) -> Declared:
    """The envelope, enforced on what is declared: never more, for less, or later than `limit`, whatever a card says."""
    return replace(
        declared,
        available=declared.available & limit.available,
        kw=np.minimum(declared.kw, limit.kw),
        energy_kwh=np.minimum(declared.energy_kwh, limit.energy_kwh),
        buy_kw=np.minimum(declared.buy_kw, limit.buy_kw),
        buy_limit=np.minimum(declared.buy_limit, limit.buy_limit),
        evening_kw=np.minimum(declared.evening_kw, limit.evening_kw),
    )


@dataclass
class LlmProsumer:
    """The homes' side: one card per home, read once a month; then the rules under the card.

    Parameters
    ----------
    model, decider :
        Who is asked, and how.
    values : ValueBids or None
        What the homes' energy is worth, under their cards.
    envelope : str
        One of `ENVELOPES`.
    reads : bool
        Whether statements are read; otherwise every card is empty (an ablation).
    batch : int
        Homes per call in sampled hours.
    sampled : NDArray[np.bool_]
        (n_opportunities,): hours in which the model opens for the homes.
    """

    model: ChatModel
    decider: Decider
    values: ValueBids | None
    envelope: str
    reads: bool
    batch: int
    sampled: NDArray[np.bool_]
    said: list[Message] = field(default_factory=list)
    compiled: tuple[Compiled, ...] = ()
    _cards: CardTable | None = None

    def hear(self, statements: Callable[[int], str], n: int) -> None:
        """Read every owner's statement, one question each, once; an owner's words are in that owner's question only."""
        if self._cards is not None:
            return
        if self.reads:
            texts = [statements(i) for i in range(n)]
            cards = compile_cards(self.model, self.decider, texts)
            self.said += [card_read(i, *pair) for i, pair in enumerate(zip(texts, cards, strict=True))]
        else:
            cards = [Compiled(EMPTY, "rules")] * n
            for _ in cards:
                self.decider.ledger.decided("rules")
        self.compiled = tuple(cards)
        self._cards = card_table(cards)

    def _rows(self, homes: Homes, public: Public, rules: MarketRules) -> Homes:
        cards = self._cards
        if cards is None:
            raise AssertionError("the owners are heard before they bid: the graph sees to it")
        known = homes if self.envelope == "declared" else undeclared(homes, public, cards)
        return tighten(known, cards, public, rules)

    def standing(self, homes: Homes, public: Public, rules: MarketRules) -> Standing:
        """Say what the owners ask and wish, under their cards: what they told their agents is not for sale."""
        own = RulesProsumer().standing(homes, public, rules)
        if self.envelope == "physical":
            return own
        carded = RulesProsumer().standing(self._rows(homes, public, rules), public, rules)
        wishes = {name: getattr(carded.terms, name) for name in ("price", "reserve_price", "floor_kwh", "day_kwh")}
        return replace(own, terms=replace(own.terms, **wishes))

    def bid(
        self, homes: Homes, public: Public, rules: MarketRules, contracted: NDArray[np.bool_], terms: Terms
    ) -> Declared:
        """Bid under the card and the contract, and in sampled hours with the model's opening."""
        true, rules = rules, _carded(rules)
        rows = self._rows(homes, public, rules)
        declared = RulesProsumer(self.values).bid(rows, public, rules, contracted, terms)
        # the last gates of a month with a lead are for hours beyond its end
        if public.opportunity < len(self.sampled) and self.sampled[public.opportunity]:
            opening = self._opening(rows, public, rules)
            markup = np.nan_to_num(opening.markup)
            ask = up(np.minimum(declared.ask * (1.0 + markup), np.maximum(declared.ask, SPANS)))
            declared = replace(declared, kw=declared.kw * opening.sells, ask=ask)
        if self.envelope == "physical":
            return declared
        return within(declared, RulesProsumer().bid(homes, public, true, contracted, terms))

    def _opening(self, rows: Homes, public: Public, rules: MarketRules) -> Openings:
        opening, sources = ask_openings(self.model, self.decider, rows, public, rules, self.batch)
        known = ~np.isnan(opening.markup)
        self.said.append(
            OpeningAsksMade(
                homes=int(known.sum()),
                withheld=int((~opening.sells).sum()),
                mean_markup=round(float(opening.markup[known].mean()), 4) if known.any() else None,
                sources=sources,
            )
        )
        return opening


def _carded(rules: MarketRules) -> MarketRules:
    """Rules for homes whose quantities are their cards': the gateway keeps the owner's true envelope, no card."""
    return replace(rules, safeguard=False)
