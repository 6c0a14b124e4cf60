"""`agentic`: an aggregator and the owners' agents negotiate every opportunity, then the coalition is dispatched.

The negotiation is a LangGraph state graph, compiled once per month; no checkpointer.

    (hear ->) announce -> collect_bids -> rank -> counter_offer -> respond -> (counter_offer | form_coalition)
             -> (dispatch ->) bid

The information barrier is in the graph: every node has an input schema, and LangGraph hands it those channels only.
The homes' rows are a channel that no node of the aggregator is given, and the owners' statements are given to `hear`
alone, which is there only where somebody listens to words. The aggregator's nodes (`rank`, `counter_offer`,
`form_coalition`, `dispatch`, `bid`) are given the negotiation: declared and public content. The prosumers' nodes
(`collect_bids`, `respond`) are given the homes' own rows and are row-wise. No node loops over homes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from vpp_env import Bids, Consent, Homes, Information, MarketRules, PolicyInfo, Public, View, encode
from vpp_policies.agentic.brains import make_brain
from vpp_policies.agentic.dispatch import CoalitionProblem, dispatch
from vpp_policies.agentic.negotiation import (
    RESERVE,
    AggregatorBrain,
    Brain,
    Listener,
    Negotiation,
    NegotiationOptions,
    NegotiationRound,
    Notice,
    ProsumerBrain,
)
from vpp_policies.agentic.outlook import notice
from vpp_policies.agentic.transcript import transcript_of
from vpp_policies.evening import Promise
from vpp_policies.forecast import Forecaster, make_forecaster

STEPS = 11
"""Steps of the graph outside its rounds, with room: a graph that runs longer is broken."""


class StatementsInput(TypedDict):
    """What `hear` is given: a reader of the owners' statements by home. No other node has it."""

    statements: Callable[[int], str]


class PublicInput(TypedDict):
    """What `announce` is given."""

    public: Public


class OpeningInput(TypedDict):
    """What `collect_bids` is given: there is no negotiation yet."""

    homes: Homes
    public: Public
    notice: Notice


class DeclaredInput(TypedDict):
    """What the aggregator's nodes are given: LangGraph hands them no other channel."""

    negotiation: Negotiation


class BidInput(TypedDict):
    """What `bid` is given: as all nodes of the aggregator, and what is public."""

    public: Public
    negotiation: Negotiation


class PrivateInput(TypedDict):
    """What `respond` is given; its function is row-wise."""

    homes: Homes
    public: Public
    negotiation: Negotiation


class Channels(TypedDict):
    """All channels of the graph."""

    statements: Callable[[int], str]
    homes: Homes
    public: Public
    notice: Notice
    negotiation: Negotiation
    bids: Bids


@dataclass(frozen=True)
class Nodes:
    """The nodes of one month's graph, each a function of what its input schema names.

    Parameters
    ----------
    rules : MarketRules
        The market's rules and device limits (public).
    aggregator, prosumers : AggregatorBrain, ProsumerBrain
        The two sides.
    problem : CoalitionProblem or None
        Compiled once; None scales everybody's line alike (an ablation: no solver).
    max_rounds : int
        Rounds at most; 0 takes the opening asks as limits (an ablation: no negotiation).
    forecaster : Forecaster
        The aggregator's own, of prices.
    promise : Promise
        The month's commitments of firm evening capacity.
    """

    rules: MarketRules
    aggregator: AggregatorBrain
    prosumers: ProsumerBrain
    problem: CoalitionProblem | None
    max_rounds: int
    forecaster: Forecaster
    promise: Promise

    def hear(self, state: StatementsInput) -> dict[str, Any]:
        """Let the homes' agents hear their owners, each its own; only where they listen to words (`Listener`)."""
        if isinstance(self.prosumers, Listener):
            self.prosumers.hear(state["statements"], self.rules.n_homes)
        return {}

    def announce(self, state: PublicInput) -> dict[str, Any]:
        """Say what is for sale."""
        return {"notice": notice(state["public"], self.rules, self.forecaster, self.max_rounds)}

    def collect_bids(self, state: OpeningInput) -> dict[str, Any]:
        """Every home bids for itself."""
        declared = self.prosumers.declare(state["homes"], state["public"], self.rules)
        return {"negotiation": Negotiation.begin(state["notice"], declared)}

    def rank(self, state: DeclaredInput) -> dict[str, Any]:
        """Order the bids and set the aggregator's terms."""
        n = state["negotiation"]
        return {"negotiation": replace(n, terms=self.aggregator.opening(n.notice, n.declared))}

    def counter_offer(self, state: DeclaredInput) -> dict[str, Any]:
        """Make the offers of the next round to all lines without agreement."""
        n = state["negotiation"]
        assert n.terms is not None
        now = NegotiationRound(n.rounds + 1, n.asks(), n.asks(1), n.open_lines())
        offer = self.aggregator.counter_offer(n.notice, n.declared, n.terms, now)
        return {"negotiation": replace(n, offers=(*n.offers, offer))}

    def respond(self, state: PrivateInput) -> dict[str, Any]:
        """Every home answers what it was offered."""
        n = state["negotiation"]
        offer = n.offers[-1]
        response = self.prosumers.respond(
            state["homes"], state["public"], self.rules, offer, self.max_rounds, n.declared
        )
        agreed = np.where(response.accepted, offer.price, n.agreed)
        return {"negotiation": replace(n, responses=(*n.responses, response), agreed=agreed)}

    def form_coalition(self, state: DeclaredInput) -> dict[str, Any]:
        """Take the agreements, and the final asks of the others as limits; check the market's minimum."""
        n = state["negotiation"]
        assert n.terms is not None
        asks = n.asks()
        taken = n.open_lines() & self.aggregator.accepts(n.notice, n.terms, asks)
        agreed = np.where(taken, asks, n.agreed)
        coalition = (~np.isnan(agreed)).any(axis=0) | (n.declared.available & (n.declared.buy_kw > 0))
        # whether the market's minimum can be met by anything that was agreed
        kw = np.where(np.isnan(agreed), 0.0, n.declared.kw)
        most = max(float(kw[:RESERVE].max(axis=0).sum()), float(n.declared.buy_kw.sum()))
        status = "bid" if most >= n.notice.min_bid_kw else "below the minimum bid"
        status = status if most > 0.0 else "nothing offered"
        return {"negotiation": replace(n, agreed=agreed, coalition=coalition, status=status)}

    def dispatch(self, state: DeclaredInput) -> dict[str, Any]:
        """Decide what each member is called for."""
        n = state["negotiation"]
        return {"negotiation": replace(n, dispatch=dispatch(n, self.problem))}

    def bid(self, state: BidInput) -> dict[str, Any]:
        """Encode the dispatch, without one an empty bid; promise what the homes can give tomorrow evening."""
        n, rules = state["negotiation"], self.rules
        notes = {"negotiation_rounds": float(n.rounds), "coalition_size": 0.0, "optimization_s": 0.0, "fallbacks": 0.0}
        called = n.dispatch
        capacity = self.promise.commit(state["public"], n.declared.evening_kw)
        if called is None:
            actions = encode(rules.sell_limit_kw, rules.buy_limit_kw)
            nobody = np.zeros(rules.n_homes, dtype=bool)
            return {"bids": Bids(actions, accepted=nobody, expected_profit_usd=0.0, notes=notes, capacity=capacity)}
        actions = encode(
            rules.sell_limit_kw,
            rules.buy_limit_kw,
            sell1_kw=called.sell1_kw,
            sell1_ask=called.sell1_ask,
            sell2_kw=called.sell2_kw,
            sell2_ask=called.sell2_ask,
            buy_kw=called.buy_kw,
            buy_limit=called.buy_limit,
            reserve_kw=called.reserve_kw,
            reserve_ask=np.nan_to_num(n.agreed[RESERVE]),
        )
        notes |= {
            "coalition_size": float(n.coalition.sum()),
            "optimization_s": called.seconds,
            "fallbacks": float(called.fallback),
        }
        expected = called.expected_usd
        return {
            "bids": Bids(actions, accepted=n.coalition, expected_profit_usd=expected, notes=notes, capacity=capacity)
        }


def next_round(state: DeclaredInput) -> str:
    """A round, or another one, while somebody is without agreement and rounds are left."""
    n = state["negotiation"]
    more = n.rounds < n.notice.max_rounds and bool(n.open_lines().any())
    return "counter_offer" if more else "form_coalition"


def worth(state: DeclaredInput) -> str:
    """Pass the dispatch by when the coalition cannot meet the market's minimum."""
    return "dispatch" if state["negotiation"].status == "bid" else "bid"


def build_graph(nodes: Nodes) -> CompiledStateGraph:
    """Compile the graph around one month's nodes."""
    graph = StateGraph(Channels)
    listens = isinstance(nodes.prosumers, Listener)
    graph.add_node("announce", nodes.announce, input_schema=PublicInput)
    graph.add_node("collect_bids", nodes.collect_bids, input_schema=OpeningInput)
    graph.add_node("rank", nodes.rank, input_schema=DeclaredInput)
    graph.add_node("counter_offer", nodes.counter_offer, input_schema=DeclaredInput)
    graph.add_node("respond", nodes.respond, input_schema=PrivateInput)
    graph.add_node("form_coalition", nodes.form_coalition, input_schema=DeclaredInput)
    graph.add_node("dispatch", nodes.dispatch, input_schema=DeclaredInput)
    graph.add_node("bid", nodes.bid, input_schema=BidInput)
    if listens:
        graph.add_node("hear", nodes.hear, input_schema=StatementsInput)
        graph.add_edge("hear", "announce")
    graph.add_edge(START, "hear" if listens else "announce")
    graph.add_edge("announce", "collect_bids")
    graph.add_edge("collect_bids", "rank")
    graph.add_conditional_edges("rank", next_round, ["counter_offer", "form_coalition"])
    graph.add_edge("counter_offer", "respond")
    graph.add_conditional_edges("respond", next_round, ["counter_offer", "form_coalition"])
    graph.add_conditional_edges("form_coalition", worth, ["dispatch", "bid"])
    graph.add_edge("dispatch", "bid")
    graph.add_edge("bid", END)
    return graph.compile()


class Agentic:
    """Negotiation in a LangGraph, dispatch in CVXPY, declared information only.

    Parameters
    ----------
    brain : str
        Who negotiates, an entry of `brains.BRAINS`: `rules` (deterministic concession strategies), or `llm` (a language
        model reads the owners' statements and sets strategies; see docs/llm.md).
    negotiation : NegotiationOptions
        Rounds, concessions, transcript, ablations.
    options : dataclass, optional
        The brain's own options, of the class that its entry names (`ModelOptions` of `llm`); None: the defaults.

    Raises
    ------
    UnknownNameError
        When a name is unknown.
    PolicyError
        When a number is out of range, or an option does not apply to the brain.
    """

    info = PolicyInfo(
        name="agentic",
        information=Information.DECLARED,
        consent=Consent.ACCEPTED,
        description="an aggregator and the owners' agents negotiate; the coalition is dispatched by CVXPY",
        reference="time-dependent concession tactics: Faratin, Sierra & Jennings 1998",
    )

    def __init__(
        self, brain: str = "rules", negotiation: NegotiationOptions | None = None, options: Any = None
    ) -> None:
        self._options = negotiation or NegotiationOptions()
        self.brain: Brain = make_brain(brain, self._options, options)
        self._max_rounds = 0 if "negotiation" in self._options.left_out else int(self._options.max_rounds)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Build the graph and the dispatch problem of this fleet, once."""
        aggregator, prosumers = self.brain.begin(rules)
        self._listens = isinstance(prosumers, Listener)
        solver = None
        if "solver" not in self._options.left_out:
            solver = CoalitionProblem(rules.sell_limit_kw > 0, guided=self.brain.guided)
        self.graph = build_graph(
            Nodes(rules, aggregator, prosumers, solver, self._max_rounds, make_forecaster("learned"), Promise(rules))
        )

    def act(self, view: View) -> Bids:
        """Negotiate one opportunity."""
        channels: dict[str, Any] = {"homes": view.homes, "public": view.public}
        if self._listens:
            channels["statements"] = view.statement
        final = self.graph.invoke(channels, {"recursion_limit": STEPS + 2 * self._max_rounds})
        bids: Bids = final["bids"]
        notes, said = self.brain.collect()
        if notes:
            bids = replace(bids, notes=bids.notes | notes)
        if self._options.transcript == "none":
            return bids
        records = transcript_of(final["negotiation"], full=self._options.transcript == "full")
        return replace(bids, transcript=said + records)
