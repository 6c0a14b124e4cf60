"""The `llm` brain: cards from words, strategies from numbers, and the rules' arithmetic in between.

Its options, the month's model in its wrappers, its two sides, and what is reported of it. Both sides ask through a
`Decider`: an answer, or the rules and a count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import MarketRules, PolicyError, UnknownNameError, did_you_mean
from vpp_policies.agentic.conversation import Conversation
from vpp_policies.agentic.floor import Floor
from vpp_policies.agentic.negotiation import AggregatorBrain, NegotiationOptions, ProsumerBrain
from vpp_policies.agentic.openings import ENVELOPES, MODES, LlmProsumer, sampled_hours
from vpp_policies.agentic.rules import RulesAggregator, values_of
from vpp_policies.agentic.strategy import LlmAggregator
from vpp_policies.agentic.tools import Desk
from vpp_policies.llm.ledger import Decider, Ledger
from vpp_policies.llm.stack import LlmOptions, Stack, open_stack

LLM_PARTS = ("cards", "strategy")
"""What it can be played without, by rules instead of the model; without `memory` it is not shown its last ones."""
EVERY = ("hour", "day")


@dataclass(frozen=True)
class PlayOptions:
    """What the model is asked for.

    Parameters
    ----------
    mode : str
        `cards` (one card per home, a strategy per hour); in sampled hours also the homes' opening asks: `batched`
        (`batch` homes per call) or `full` (a call per home).
    strategy_every : str
        `hour` or `day`.
    envelope : str
        `declared`: a card tightens the limits that a home's agent holds. `physical`: research; the card is all that is
        known of an owner's preferences.
    batch : int
        Homes per call, 20 to 50.
    sample_hours : float
        Hours of the month in which `batched` and `full` ask for the homes.
    talk : int
        Owners at a gate that are talked to in words and terms, those from whose contracts the rules expect most.
    talk_to : tuple of int
        Homes that are talked to instead of those.
    tools : int
        Calls of tools, at most, before one message to an owner. 0 to 8.
    floor_hours, floor_usd : int, float
        A strategy that loses more than so many USD against the rules on its last so many opportunities hands back to
        them for the rest of the month; so does the conversation with one owner, on the last so many contracts.
    """

    mode: str = "cards"
    strategy_every: str = "hour"
    envelope: str = "declared"
    batch: int = 25
    sample_hours: float = 24.0
    talk: int = 0
    talk_to: tuple[int, ...] = ()
    tools: int = 2
    floor_hours: int = 48
    floor_usd: float = 2.0

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
        for name, low, high in (
            ("talk", 0, 10_000),
            ("tools", 0, 8),
            ("floor_hours", 1, 8784),
            ("floor_usd", 0.0, 1e9),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not low <= value <= high:
                raise PolicyError(f"{name}: got {value!r}; allowed is {low} to {high}")
        if any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in self.talk_to):
            raise PolicyError(f"talk_to: got {self.talk_to!r}; allowed are homes by number, such as (0, 5)")
        # what means nothing to this mode is refused, not ignored
        for name, modes in (("batch", ("batched",)), ("sample_hours", ("batched", "full"))):
            if getattr(self, name) != getattr(type(self), name) and self.mode not in modes:
                raise PolicyError(f"mode={self.mode!r}: got {name}, which applies to mode {' or '.join(modes)} only")

    @property
    def homes_per_call(self) -> int:
        """Homes in one question for opening asks."""
        return 1 if self.mode == "full" else self.batch

    def sampled(self, n_opportunities: int, hours_each: float) -> NDArray[np.bool_]:
        """(n,): opportunities in which the homes' agents ask."""
        hours = 0.0 if self.mode == "cards" else self.sample_hours
        return sampled_hours(n_opportunities, hours_each, hours)


@dataclass(frozen=True)
class ModelOptions:
    """The `llm` brain's own options: how a model is reached, and what it is asked for."""

    reach: LlmOptions = field(default_factory=LlmOptions)
    play: PlayOptions = field(default_factory=PlayOptions)


class LlmBrain:
    """The language model's part of one policy object; `begin` starts a month anew."""

    guided = True

    def __init__(self, negotiation: NegotiationOptions, options: ModelOptions) -> None:
        self.negotiation, self.options = negotiation, options
        self._stack: Stack | None = None
        self._before: dict[str, float] = {}

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Open the model and return the two sides."""
        self.close()
        reach, play, without = self.options.reach, self.options.play, self.negotiation.left_out
        self._stack = stack = open_stack(reach)
        self._before = stack.ledger.totals()
        decider = Decider(stack.ledger, reach.timeout_s)
        self.prosumers = LlmProsumer(
            model=stack.model,
            decider=decider,
            values=values_of(rules, self.negotiation),
            envelope=play.envelope,
            reads="cards" not in without,
            batch=play.homes_per_call,
            sampled=play.sampled(rules.n_opportunities, rules.opportunity_hours),
        )
        self.aggregator = LlmAggregator(
            model=stack.model,
            decider=decider,
            rules=RulesAggregator(rules, self.negotiation),
            daily=play.strategy_every == "day",
            asks="strategy" not in without,
            remembers="memory" not in without,
            floor=Floor(play.floor_hours, play.floor_usd),
            talk=self._talk(rules, stack, decider) if play.talk or play.talk_to else None,
        )
        return self.aggregator, self.prosumers

    def _talk(self, rules: MarketRules, stack: Stack, decider: Decider) -> Conversation:
        play = self.options.play
        floor = (play.floor_hours, play.floor_usd)
        desk = Desk(rules.sell_limit_kw > 0)
        return Conversation(stack.model, decider, play.talk, tuple(play.talk_to), play.tools, desk, *floor)

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
        heard = (self.prosumers.said, self.aggregator.said, *([talk.said] if (talk := self.aggregator.talk) else []))
        said = [message.model_dump(mode="json") for messages in heard for message in messages]
        for messages in heard:
            messages.clear()
        return notes, said
