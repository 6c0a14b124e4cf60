"""`agentic`: an aggregator and the owners' agents negotiate every opportunity, then the coalition is dispatched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View
from vpp_env.errors import PolicyError, UnknownNameError, did_you_mean
from vpp_policies.agentic.brains import BRAINS, Concession, make_brains
from vpp_policies.agentic.dispatch import CoalitionProblem
from vpp_policies.agentic.graph import build_graph
from vpp_policies.agentic.llm_session import LLM, LLM_PARTS, PARTS, LlmSession, PlayOptions
from vpp_policies.agentic.nodes import Nodes
from vpp_policies.agentic.transcript import TRANSCRIPTS, transcript_of
from vpp_policies.llm import ChatModel, LlmOptions

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

STEPS = 11
"""Steps of the graph outside its rounds, with room: a graph that runs longer is broken."""


class Agentic:
    """Negotiation in a LangGraph, dispatch in CVXPY, declared information only.

    Parameters
    ----------
    brain : str
        Who negotiates: `rules` (deterministic concession strategies), or `llm` (a language model reads the owners'
        statements and sets strategies; see docs/llm.md).
    max_rounds : int
        Rounds of counter-offers, 1 to 10.
    markup : float
        A home opens at (1 + markup) x its own ask; 0 to 1.
    home_beta, aggregator_beta : float
        Shape of the concessions: 1 linear, below 1 holds out, above 1 gives way early; .05 to 20.
    transcript : str
        `summary` (offers by round, answers counted, coalition as a table), `full` (every message) or `none`.
    without : str
        Parts left out, comma-separated (ablations): `negotiation`, `solver`; with `brain="llm"` also `cards` and
        `strategy` (rules instead of the model), and `memory`.
    llm, model, models, base_url, cassette, strict, budget_usd, max_calls, timeout_s, attempts :
        With `brain="llm"`: who is asked, and how; see `vpp_policies.llm.LlmOptions`.
    mode : str
        `cards` (one card per home, a strategy per hour); in sampled hours also the homes' openings: `batched` (`batch`
        homes per call) or `full` (a call per home).
    strategy_every : str
        `hour` or `day`.
    envelope : str
        `declared`: a card tightens the limits that a home's agent holds. `physical`: research; the card is all that is
        known of an owner's wishes.
    batch : int
        Homes per call, 20 to 50.
    sample_hours : float
        Hours of the month in which `batched` and `full` ask for the homes.

    Raises
    ------
    UnknownNameError
        When a name is unknown.
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
        without: str = "",
        llm: str | ChatModel = "replay",
        mode: str = "cards",
        strategy_every: str = "hour",
        envelope: str = "declared",
        batch: int = 25,
        sample_hours: float = 24.0,
        model: str = "",
        models: str = "",
        base_url: str = "",
        cassette: str = "",
        strict: bool = True,
        budget_usd: float | None = None,
        max_calls: int | None = None,
        timeout_s: float = 30.0,
        attempts: int = 4,
    ) -> None:
        _one_of("brain", brain, (*BRAINS, LLM))
        _one_of("transcript", transcript, TRANSCRIPTS)
        _within("max_rounds", max_rounds, 1, 10)
        _within("markup", markup, 0.0, 1.0)
        _within("home_beta", home_beta, 0.05, 20.0)
        _within("aggregator_beta", aggregator_beta, 0.05, 20.0)
        self._transcript = transcript
        self._concession = Concession(markup, home_beta, aggregator_beta)
        self._without = frozenset(part.strip() for part in without.split(",") if part.strip())
        for part in self._without:
            _one_of("part for without", part, PARTS + (LLM_PARTS if brain == LLM else ()))
        self._max_rounds = 0 if "negotiation" in self._without else int(max_rounds)
        self._session: LlmSession | None = None
        if brain == LLM:
            reach = LlmOptions(
                llm, model, models, base_url, cassette, strict, budget_usd, max_calls, timeout_s, attempts
            )
            play = PlayOptions(mode, strategy_every, envelope, batch, sample_hours, self._without)
            self._session = LlmSession(reach, play)
        elif llm != "replay" or mode != "cards" or budget_usd is not None or max_calls is not None:
            raise PolicyError("options of a language model were given with the rules brain; add brain='llm'")

    @property
    def session(self) -> LlmSession | None:
        """The language model's side of this policy: options, ledger, cards; None with rules."""
        return self._session

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Build the graph and the dispatch problem of this fleet, once."""
        if self._session is None:
            aggregator, prosumers = make_brains("rules", self._concession)
        else:
            aggregator, prosumers = self._session.begin(rules, self._concession)
        solver = None if "solver" in self._without else self._problem(rules)
        nodes = Nodes(rules, aggregator, prosumers, solver, self._max_rounds)
        self.graph = build_graph(nodes)

    def _problem(self, rules: MarketRules) -> CoalitionProblem:
        return CoalitionProblem(rules.sell_limit_kw > 0, guided=self._session is not None)

    def act(self, view: View) -> Bids:
        """Negotiate one opportunity."""
        config: RunnableConfig = {"recursion_limit": STEPS + 2 * self._max_rounds}
        channels: dict[str, Any] = {"homes": view.homes, "public": view.public}
        if self._session is not None:
            channels["words"] = view.statement
        final = self.graph.invoke(channels, config)
        bids: Bids = final["bids"]
        said: list[dict[str, Any]] = []
        if self._session is not None:
            notes, said = self._session.collect()
            bids = replace(bids, notes=bids.notes | notes)
        if self._transcript == "none":
            return bids
        talk = transcript_of(final["talk"], full=self._transcript == "full")
        return replace(bids, transcript=said + talk)


def _one_of(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UnknownNameError(did_you_mean(name, known, what))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise PolicyError(f"{name}: got {value}; allowed is {low} to {high}")
