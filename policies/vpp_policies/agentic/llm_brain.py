"""The `llm` brain: cards from words, strategies from numbers, and the rules' arithmetic in between.

Both sides ask through a `Decider`: an answer, or the rules and a count. No limit is left to what a model says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_env.units import RESERVE_ASK_RANGE, SELL_ASK_RANGE
from vpp_policies.agentic.brains import Concession
from vpp_policies.agentic.card import EMPTY, Compiled, compile_card
from vpp_policies.agentic.messages import CardRead, Message, MovesMade, StrategyChosen
from vpp_policies.agentic.moves import Openings, ask_moves
from vpp_policies.agentic.rules import RulesAggregator, RulesProsumer
from vpp_policies.agentic.state import Declared, Notice, Offer, Response, Terms
from vpp_policies.agentic.strategy import MAX_TOKENS, RULES, Memory, Strategy, numbers, question
from vpp_policies.agentic.tighten import CardTable, card_table, tighten, untold, within
from vpp_policies.llm.chat import ChatModel, clip
from vpp_policies.llm.decide import Decider
from vpp_policies.llm.prompts import prompt

ENVELOPES = ("declared", "physical")
"""What a card is applied to: the limits that a home's own agent holds (default), or physics alone (research: what is
known of an owner is then what was understood)."""


@dataclass
class LlmProsumer:
    """The homes' side: one card per home, read once a month; then the rules under the card.

    Parameters
    ----------
    model, decider :
        Who is asked, and how.
    concession : Concession
        The rules' own.
    envelope : str
        One of `ENVELOPES`.
    reads : bool
        Whether statements are read; otherwise every card is empty (an ablation).
    batch : int
        Homes per call in sampled hours.
    sampled : ndarray
        (n_opportunities,) bool: hours in which the model opens for the homes.
    """

    model: ChatModel
    decider: Decider
    concession: Concession
    envelope: str
    reads: bool
    batch: int
    sampled: np.ndarray
    said: list[Message] = field(default_factory=list)
    compiled: tuple[Compiled, ...] = ()
    _cards: CardTable | None = None
    _markup: np.ndarray | None = None

    def hear(self, words: Callable[[int], str], n: int) -> None:
        """Read every owner's statement, one question each, once; an owner's words are in that owner's question only."""
        if self._cards is not None:
            return
        cards = []
        for i in range(n):
            if not self.reads:
                self.decider.ledger.decided("rules")
                cards.append(Compiled(EMPTY, "rules"))
                continue
            statement = words(i)
            read = compile_card(self.model, self.decider, statement)
            cards.append(read)
            self.said.append(CardRead.of(i, statement, read))
        self.compiled = tuple(cards)
        self._cards = card_table(cards)

    def _rows(self, homes: Homes, public: Public, rules: MarketRules) -> Homes:
        cards = self._cards
        if cards is None:
            raise AssertionError("the owners are heard before they bid: the graph sees to it")
        known = homes if self.envelope == "declared" else untold(homes, public, cards)
        return tighten(known, cards, public, rules)

    def _markups(self, n: int) -> np.ndarray:
        """(N,) opening markups: the rules' own; less for who gives way readily, up to twice as much for others."""
        assert self._cards is not None
        given = np.where(np.isnan(self._cards.concession), 0.5, self._cards.concession)
        return np.full(n, self.concession.markup) * 2.0 * (1.0 - given)

    def declare(self, homes: Homes, public: Public, rules: MarketRules) -> Declared:
        """Bid under the card, and in sampled hours with the model's opening."""
        rows = self._rows(homes, public, rules)
        markup = self._markups(rules.n_homes)
        sells = np.ones(rules.n_homes, dtype=bool)
        if self.sampled[public.opportunity]:
            opening = self._opening(rows, public, rules)
            markup = np.where(np.isnan(opening.markup), markup, opening.markup)
            sells = opening.sells
        self._markup = markup
        told = RulesProsumer(markup, self.concession.home_beta).declare(rows, public, rules)
        told = replace(told, kw=told.kw * sells)
        if self.envelope == "physical":
            return told
        own = RulesProsumer(self.concession.markup, self.concession.home_beta).declare(homes, public, rules)
        return within(told, own)

    def _opening(self, rows: Homes, public: Public, rules: MarketRules) -> Openings:
        opening, sources = ask_moves(self.model, self.decider, rows, public, rules, self.batch)
        known = ~np.isnan(opening.markup)
        self.said.append(
            MovesMade(
                homes=int(known.sum()),
                withheld=int((~opening.sells).sum()),
                mean_markup=round(float(opening.markup[known].mean()), 4) if known.any() else None,
                sources=sources,
            )
        )
        return opening

    def respond(
        self, homes: Homes, public: Public, rules: MarketRules, offer: Offer, of_rounds: int, declared: Declared
    ) -> Response:
        """Answer as the rules do, at the card's prices."""
        assert self._markup is not None
        side = RulesProsumer(self._markup, self.concession.home_beta)
        return side.respond(self._rows(homes, public, rules), public, rules, offer, of_rounds, declared)


@dataclass
class LlmAggregator:
    """The VPP's side: a strategy per hour or day, from numbers only, in the rules' arithmetic.

    Parameters
    ----------
    model, decider :
        Who is asked, and how.
    beta : float
        The rules' own concession.
    daily : bool
        One strategy per local day instead of one per opportunity.
    asks : bool
        Whether the model is asked; otherwise the rules' strategy stands (an ablation).
    remembers : bool
        Whether the last negotiations are shown (otherwise an ablation).
    """

    model: ChatModel
    decider: Decider
    beta: float
    daily: bool
    asks: bool
    remembers: bool
    said: list[Message] = field(default_factory=list)
    _memory: Memory = field(default_factory=Memory)
    _day: str = ""
    _last: Strategy = RULES

    def opening(self, notice: Notice, declared: Declared) -> Terms:
        """Rank the bids under the strategy of this hour."""
        strategy = self._strategy(notice, declared)
        base = RulesAggregator(self.beta).opening(notice, declared)
        if strategy is RULES:
            return base
        top = np.array([SELL_ASK_RANGE[1], SELL_ASK_RANGE[1], RESERVE_ASK_RANGE[1]])
        # the cap is named for energy; standing by keeps the market's own
        cap = np.minimum(base.cap, [strategy.cap_cents / 100.0, strategy.cap_cents / 100.0, np.inf])
        share = strategy.ask_percent / 100.0
        able = int((declared.available & (declared.kw > 0).any(axis=0)).sum())
        asked = np.zeros(len(declared.available), dtype=bool)
        asked[base.order[: int(np.ceil(share * able))]] = True
        return replace(
            base,
            target=np.clip(base.target * strategy.target_percent / 100.0, 0.0, top),
            cap=cap,
            beta=strategy.concession_percent / 100.0,
            first_step=(100 - strategy.opening_percent) / 100.0,
            asked=None if share >= 1.0 else asked,
            guidance=strategy.guidance(),
        )

    def _strategy(self, notice: Notice, declared: Declared) -> Strategy:
        day = notice.start[:10]
        if self.daily and day == self._day:
            return self._last
        self._day = day
        if not self.asks:
            self.decider.ledger.decided("rules")
            return RULES
        told = numbers(notice, declared)
        text = question(told, self._memory if self.remembers else None)
        answer = self.decider.ask(self.model, prompt("strategy"), text, Strategy, MAX_TOKENS)
        if answer is None:
            self._last, source, model = RULES, "fallback", ""
        else:
            assert isinstance(answer.value, Strategy)
            self._last, outside = clip(answer.value)
            self.decider.ledger.event("clipped", outside)
            source, model = answer.source, answer.model
        self._memory.keep(told, self._last)
        self.said.append(StrategyChosen.of(notice.opportunity_id, self._last, source, model))
        return self._last

    def counter_offer(
        self,
        notice: Notice,
        declared: Declared,
        terms: Terms,
        round_number: int,
        asks: np.ndarray,
        earlier: np.ndarray,
        is_open: np.ndarray,
    ) -> Offer:
        """Make the offers of a round under the strategy's terms."""
        rules = RulesAggregator(self.beta)
        return rules.counter_offer(notice, declared, terms, round_number, asks, earlier, is_open)

    def accepts(self, notice: Notice, terms: Terms, asks: np.ndarray) -> np.ndarray:
        """Take every final ask up to the cap, of those who were asked."""
        return RulesAggregator(self.beta).accepts(notice, terms, asks)


__all__ = ["ENVELOPES", "LlmAggregator", "LlmProsumer"]
