"""One month with a language model: its options, its wrappers, its two sides, and what is reported of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vpp_env.contract.policy import MarketRules
from vpp_env.errors import PolicyError, UnknownNameError, did_you_mean
from vpp_policies.agentic.brains import AggregatorBrain, Concession, ProsumerBrain
from vpp_policies.agentic.llm_brain import ENVELOPES, LlmAggregator, LlmProsumer
from vpp_policies.agentic.moves import MODES, sampled_hours
from vpp_policies.llm.decide import Decider
from vpp_policies.llm.ledger import Ledger
from vpp_policies.llm.stack import LlmOptions, Stack, open_stack

LLM = "llm"
PARTS = ("negotiation", "solver")
"""What any brain can be played without."""
LLM_PARTS = ("cards", "strategy", "memory")
EVERY = ("hour", "day")


@dataclass(frozen=True)
class PlayOptions:
    """What the model is asked for; see `Agentic`."""

    mode: str = "cards"
    strategy_every: str = "hour"
    envelope: str = "declared"
    batch: int = 25
    sample_hours: float = 24.0
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for what, name, known in (
            ("mode", self.mode, MODES),
            ("strategy_every", self.strategy_every, EVERY),
            ("envelope", self.envelope, ENVELOPES),
        ):
            if name not in known:
                raise UnknownNameError(did_you_mean(name, known, what))
        if not 20 <= self.batch <= 50:
            raise PolicyError(f"batch: got {self.batch}; allowed is 20 to 50")
        if not self.sample_hours >= 0:
            raise PolicyError(f"sample_hours: got {self.sample_hours}; allowed is 0 or more")

    @property
    def homes_per_call(self) -> int:
        """Homes in one question for moves."""
        return 1 if self.mode == "full" else self.batch

    def sampled(self, n_opportunities: int, hours_each: float) -> np.ndarray:
        """(n,) bool: opportunities in which the homes' agents ask."""
        hours = 0.0 if self.mode == "cards" else self.sample_hours
        return sampled_hours(n_opportunities, hours_each, hours)


class LlmSession:
    """The language model's part of one policy object; `begin` starts a month anew."""

    def __init__(self, reach: LlmOptions, play: PlayOptions) -> None:
        self.reach, self.play = reach, play
        self._stack: Stack | None = None
        self._before: dict[str, float] = {}

    def begin(self, rules: MarketRules, concession: Concession) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Open the model and return the two sides."""
        self.close()
        self._stack = stack = open_stack(self.reach)
        self._before = stack.ledger.totals()
        decider, play = Decider(stack.ledger, self.reach.timeout_s), self.play
        sampled = play.sampled(rules.n_opportunities, rules.opportunity_hours)
        self.prosumers = LlmProsumer(
            model=stack.model,
            decider=decider,
            concession=concession,
            envelope=play.envelope,
            reads="cards" not in play.without,
            batch=play.homes_per_call,
            sampled=sampled,
        )
        self.aggregator = LlmAggregator(
            model=stack.model,
            decider=decider,
            beta=concession.aggregator_beta,
            daily=play.strategy_every == "day",
            asks="strategy" not in play.without,
            remembers="memory" not in play.without,
        )
        return self.aggregator, self.prosumers

    @property
    def ledger(self) -> Ledger:
        """Totals of the month so far."""
        if self._stack is None:
            raise AssertionError("no month has begun")
        return self._stack.ledger

    def close(self) -> None:
        """Close the cassette."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Return what was counted and said since the last call."""
        totals = self.ledger.totals()
        notes = {name: value - self._before[name] for name, value in totals.items()}
        self._before = totals
        said = [m.model_dump(mode="json") for m in (*self.prosumers.said, *self.aggregator.said)]
        self.prosumers.said.clear()
        self.aggregator.said.clear()
        return notes, said
