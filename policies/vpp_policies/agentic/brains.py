"""The two minds of a negotiation, as interfaces: what each may know is in the types.

An `AggregatorBrain` is given declared and public content only. A `ProsumerBrain` is given the homes' own rows; its
functions are row-wise: entry i of what it returns depends on row i, on public data and on what was said to home i.
Both work on all homes at once. A brain that talks to a language model implements the same two protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_policies.agentic.rules import RulesAggregator, RulesProsumer
from vpp_policies.agentic.state import Declared, Notice, Offer, Response, Terms


class AggregatorBrain(Protocol):
    """The VPP's negotiator. None of its methods can see a private value."""

    def opening(self, notice: Notice, declared: Declared) -> Terms:
        """Rank the bids; say where the offers start and where they end."""
        ...

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
        """Make the offers of a round; `asks` and `earlier` (3, N) are the last and last but one asks of the homes."""
        ...

    def accepts(self, notice: Notice, terms: Terms, asks: np.ndarray) -> np.ndarray:
        """(3, N) bool: which final asks it takes as limits."""
        ...


class ProsumerBrain(Protocol):
    """The homes' own agents, row by row."""

    def declare(self, homes: Homes, public: Public, rules: MarketRules) -> Declared:
        """Bid: availability, capacity, opening asks, constraints."""
        ...

    def respond(
        self, homes: Homes, public: Public, rules: MarketRules, offer: Offer, of_rounds: int, declared: Declared
    ) -> Response:
        """Answer the offers: accept, or counter."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A prosumer side that reads what owners say in words."""

    def hear(self, words: Callable[[int], str], n: int) -> None:
        """Hear every owner once a month; `words(i)` is the statement of home i."""
        ...


@dataclass(frozen=True)
class Concession:
    """How both sides give way (Faratin, Sierra & Jennings 1998, time-dependent tactics).

    Parameters
    ----------
    markup : float
        A home opens at (1 + markup) x its own ask.
    home_beta, aggregator_beta : float
        Shape of the concession over the rounds, (r / R) ** (1 / beta): 1 is linear, below 1 holds out (Boulware),
        above 1 gives way early (Conceder).
    """

    markup: float = 0.15
    home_beta: float = 1.0
    aggregator_beta: float = 0.15


BRAINS: dict[str, Callable[[Concession], tuple[AggregatorBrain, ProsumerBrain]]] = {
    "rules": lambda c: (RulesAggregator(c.aggregator_beta), RulesProsumer(c.markup, c.home_beta)),
}
"""Brains by name. More are registered here; each is a maker of the two sides."""


def make_brains(name: str, concession: Concession) -> tuple[AggregatorBrain, ProsumerBrain]:
    """Return the two sides of the brain `name`.

    Raises
    ------
    UnknownNameError
        When there is no such brain; the message offers the nearest.
    """
    if name not in BRAINS:
        raise UnknownNameError(did_you_mean(name, BRAINS, "brain"))
    return BRAINS[name](concession)
