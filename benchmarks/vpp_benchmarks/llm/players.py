"""Parts of the evaluation: a policy that hears other words, a reader that knows the truth, two policies at a gate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel
from vpp_policies.agentic import Agentic
from vpp_policies.agentic.card import PreferenceCard
from vpp_policies.llm.chat import Permanent, Reply, Usage, read

from vpp_env.contract.bids import BUY_KW, RESERVE_KW, SELL1_KW, SELL2_KW, Bids, check_actions, decode
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import View


class Oracle:
    """A reader that is given the true card of every text: the ceiling of any reader. Known to the evaluator only."""

    provider, model = "oracle", "true cards"

    def __init__(self, cards: Mapping[str, PreferenceCard]) -> None:
        self._cards = cards

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Answer with the truth."""
        if schema is not PreferenceCard:
            raise Permanent("the oracle reads statements only")
        text = self._cards[json.loads(user)["statement"]].model_dump_json()
        return read(schema, text, Usage(), self.model)


class Hears:
    """A policy whose homes' owners say `texts` instead of what the month has them say."""

    def __init__(self, policy: Agentic, texts: Sequence[str]) -> None:
        self.info, self.policy, self._texts = policy.info, policy, tuple(texts)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self.rules = rules
        self.policy.reset(rules, rng)

    def act(self, view: View) -> Bids:
        """Bid on the same view with other words."""
        return self.policy.act(replace(view, statements=self._texts))


class Beside:
    """Play `policy`; ask `other` at the same gates what it would bid, and count how often a home's bid is the same."""

    def __init__(self, policy: Hears, other: Hears) -> None:
        self.info, self._policy, self._other = policy.info, policy, other
        self.decisions = self.same = 0

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month with both."""
        self._rules = rules
        self._policy.reset(rules, rng)
        self._other.reset(rules, rng)

    def act(self, view: View) -> Bids:
        """Bid as `policy` does."""
        rules = self._rules
        made, theirs = self._policy.act(view), self._other.act(view)
        a, b = (
            decode(check_actions(x.actions, rules.n_homes), rules.sell_limit_kw, rules.buy_limit_kw)
            for x in (made, theirs)
        )
        quantities = [SELL1_KW, SELL2_KW, BUY_KW, RESERVE_KW]
        # a price without a quantity is no part of a decision
        for bids in (a, b):
            for kw in quantities:
                bids[kw + 1] *= bids[kw] > 0
        any_bid = (a[quantities] > 0).any(axis=0) | (b[quantities] > 0).any(axis=0)
        self.decisions += int(any_bid.sum())
        self.same += int(((a == b).all(axis=0) & any_bid).sum())
        return made

    @property
    def agreement(self) -> float | None:
        """Share of (home, opportunity) pairs, of those in which either bids, in which both bid the same."""
        return self.same / self.decisions if self.decisions else None
