"""`agentic`: an aggregator and the owners' agents negotiate every opportunity, then the coalition is dispatched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from policies.agentic.brains import BRAINS, Concession, make_brains
from policies.agentic.dispatch import CoalitionProblem
from policies.agentic.graph import build_graph
from policies.agentic.nodes import Nodes
from policies.agentic.transcript import TRANSCRIPTS, transcript_of
from vpp_env.bids import Bids
from vpp_env.errors import PolicyError, UnknownNameError, did_you_mean
from vpp_env.policy import Brief, Consent, PolicyInfo
from vpp_env.views import Information, View

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

STEPS = 10
"""Steps of the graph outside its rounds, with room: a graph that runs longer is broken."""


class Agentic:
    """Negotiation in a LangGraph, dispatch in CVXPY, declared information only.

    Parameters
    ----------
    brain : str
        Who negotiates: `rules` (deterministic concession strategies).
    max_rounds : int
        Rounds of counter-offers, 1 to 10.
    markup : float
        A home opens at (1 + markup) x its own ask; 0 to 1.
    home_beta, aggregator_beta : float
        Shape of the concessions: 1 linear, below 1 holds out, above 1 gives way early; .05 to 20.
    transcript : str
        `summary` (offers by round, answers counted, coalition as a table), `full` (every message) or `none`.

    Raises
    ------
    UnknownNameError
        When the brain or the kind of transcript is unknown.
    PolicyError
        When a number is out of range.
    """

    info = PolicyInfo(
        name="agentic",
        information=Information.DECLARED,
        consent=Consent.ACCEPTED,
        description="an aggregator and the owners' agents negotiate; the coalition is dispatched by CVXPY",
        reference="time-dependent concession tactics: Faratin, Sierra & Jennings 1998",
    )

    def __init__(
        self,
        brain: str = "rules",
        max_rounds: int = 3,
        markup: float = 0.15,
        home_beta: float = 1.0,
        aggregator_beta: float = 0.15,
        transcript: str = "summary",
    ) -> None:
        if brain not in BRAINS:
            raise UnknownNameError(did_you_mean(brain, BRAINS, "brain"))
        if transcript not in TRANSCRIPTS:
            raise UnknownNameError(did_you_mean(transcript, TRANSCRIPTS, "transcript"))
        _within("max_rounds", max_rounds, 1, 10)
        _within("markup", markup, 0.0, 1.0)
        _within("home_beta", home_beta, 0.05, 20.0)
        _within("aggregator_beta", aggregator_beta, 0.05, 20.0)
        self._brain, self._max_rounds, self._transcript = brain, int(max_rounds), transcript
        self._concession = Concession(markup, home_beta, aggregator_beta)

    def reset(self, brief: Brief, rng: np.random.Generator) -> None:
        """Build the graph and the dispatch problem of this fleet, once."""
        aggregator, prosumers = make_brains(self._brain, self._concession)
        nodes = Nodes(brief, aggregator, prosumers, CoalitionProblem(brief.sell_limit_kw > 0), self._max_rounds)
        self.graph = build_graph(nodes)

    def act(self, view: View) -> Bids:
        """Negotiate one opportunity."""
        config: RunnableConfig = {"recursion_limit": STEPS + 2 * self._max_rounds}
        final = self.graph.invoke({"homes": view.homes, "public": view.public}, config)
        bids: Bids = final["bids"]
        if self._transcript == "none":
            return bids
        return replace(bids, transcript=transcript_of(final["talk"], full=self._transcript == "full"))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise PolicyError(f"{name}: got {value}; allowed is {low} to {high}")
