"""`agentic`: an aggregator negotiates contracts with the owners; the homes' agents bid under them; CVXPY dispatches.

One LangGraph state graph, compiled once per month, without a checkpointer; `own_graph` plays others, and theirs.

    (hear ->) announce -> collect_bids -> offers -> answers -> (offers | form_coalition) -> (dispatch ->) bid

`answers` is the world's: it hands the offers to the owners' table and writes down what they said. At a gate at which
nobody is asked `collect_bids` leads straight to `form_coalition`, where the homes' agents bid under their contracts.

The information barrier is in the graph: every node has an input schema, and LangGraph hands it those channels only.
The homes' rows are a channel that no node of the aggregator is given, and the owners' statements are given to `hear`
alone, which is there only where somebody listens to words. The aggregator's
nodes (`offers`, `dispatch`, `bid`) are given the negotiation: declared and public content, and answers. The homes'
nodes (`collect_bids`, `form_coalition`) are given the homes' own rows and are row-wise. No node loops over homes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from vpp_env import (
    Bids,
    Consent,
    Homes,
    Information,
    MarketRules,
    PolicyError,
    PolicyInfo,
    Public,
    Table,
    UnknownNameError,
    View,
    did_you_mean,
    encode,
)
from vpp_env.contract.bids import COLUMNS
from vpp_policies.agentic.brains import make_brain
from vpp_policies.agentic.dispatch import CoalitionProblem, dispatch
from vpp_policies.agentic.negotiation import (
    FULL,
    RESERVE,
    AggregatorBrain,
    Brain,
    Listener,
    Negotiation,
    NegotiationOptions,
    ProsumerBrain,
    Settled,
    Witness,
)
from vpp_policies.agentic.outlook import notice
from vpp_policies.agentic.own_graph import LIVE, Serde, attach, load_graph
from vpp_policies.agentic.transcript import transcript_of
from vpp_policies.evening import Promise
from vpp_policies.forecast import Forecaster, make_forecaster

STEPS = 11
"""Steps of the graph outside its rounds, with room: a graph that runs longer is broken."""


class StatementsInput(TypedDict):
    """What `hear` is given: a reader of the owners' statements by home. No other node has it."""

    statements: Callable[[int], str]


class PublicInput(TypedDict):
    """What `announce` is given: what is public, and what the VPP itself metered and paid."""

    public: Public
    settled: Settled


class StandingInput(TypedDict):
    """What `collect_bids` is given; its function is row-wise."""

    homes: Homes
    public: Public
    negotiation: Negotiation


class PrivateInput(TypedDict):
    """What `form_coalition` is given: as `collect_bids`, and the contracts; its function is row-wise."""

    homes: Homes
    public: Public
    table: Table
    negotiation: Negotiation


class DeclaredInput(TypedDict):
    """What the aggregator's nodes are given: LangGraph hands them no other channel."""

    negotiation: Negotiation


class TableInput(TypedDict):
    """What `offers` and `answers` are given: the owners, as far as they speak for themselves."""

    table: Table
    negotiation: Negotiation


class BidInput(TypedDict):
    """What `bid` is given: as all nodes of the aggregator, and what is public."""

    public: Public
    negotiation: Negotiation


class Channels(TypedDict):
    """All channels of the graph."""

    statements: Callable[[int], str]
    homes: Homes
    public: Public
    settled: Settled
    table: Table
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
        Rounds of offers at one gate, at most.
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
        """Let those who listen to words hear the owners (`Listener`): a home's agent its own, who talks all."""
        for side in (self.prosumers, self.aggregator):
            if isinstance(side, Listener):
                side.hear(state["statements"], self.rules.n_homes)
        return {}

    def announce(self, state: PublicInput) -> dict[str, Any]:
        """Look at what the last opportunity brought, and say what is for sale."""
        if isinstance(self.aggregator, Witness) and "settled" in state:
            self.aggregator.settle(state["public"], state["settled"])
        return {"negotiation": Negotiation(notice(state["public"], self.rules, self.forecaster))}

    def collect_bids(self, state: StandingInput) -> dict[str, Any]:
        """Every home says what its owner asks and wishes, where contracts are to be made."""
        public, n = state["public"], state["negotiation"]
        beyond = public.opportunity >= public.n_opportunities  # the last gates of a month with a lead
        if beyond or not self.aggregator.opens(public.opportunity, public.hours):
            return {"negotiation": replace(n, done=True)}
        return {"negotiation": replace(n, standing=self.prosumers.standing(state["homes"], public, self.rules))}

    def offers(self, state: TableInput) -> dict[str, Any]:
        """Make the offers of the next round."""
        n, table = state["negotiation"], state["table"]
        assert n.standing is not None
        left = min(table.rounds_left, self.max_rounds - n.rounds)
        made = self.aggregator.propose(n.notice, n.standing, table.in_force, left) if left > 0 else None
        return {"negotiation": replace(n, done=True) if made is None else replace(n, offers=(*n.offers, made))}

    def answers(self, state: TableInput) -> dict[str, Any]:
        """Let the owners of the world answer, and the aggregator hear it."""
        n = state["negotiation"]
        assert n.standing is not None
        answered = state["table"].propose(n.offers[-1])
        self.aggregator.learn(n.standing, n.offers[-1], answered)
        return {"negotiation": replace(n, answers=(*n.answers, answered))}

    def form_coalition(self, state: PrivateInput) -> dict[str, Any]:
        """Every home bids under its contract; check the market's minimum."""
        n, table = state["negotiation"], state["table"]
        contracted = table.in_force
        declared = self.prosumers.bid(state["homes"], state["public"], self.rules, contracted, table.terms)
        offers = declared.available & ((declared.kw > 0).any(axis=0) | (declared.buy_kw > 0))
        # whether the market's minimum can be met by anything that is offered
        most = max(float(declared.kw[:RESERVE].max(axis=0).sum()), float(declared.buy_kw.sum()))
        short = "below the minimum bid" if most > 0.0 else "nothing offered"
        status = "bid" if most >= n.notice.min_bid_kw and most > 0.0 else short
        made = replace(n, contracted=contracted, declared=declared, coalition=offers, status=status)
        return {"negotiation": made}

    def dispatch(self, state: DeclaredInput) -> dict[str, Any]:
        """Decide what each member is called for."""
        n = state["negotiation"]
        assert n.declared is not None
        assert n.coalition is not None
        guidance, unguided = self.aggregator.guide(n.notice, n.declared), n
        if guidance is not None:
            order = np.lexsort((n.declared.ask[FULL], ~n.coalition))
            taken = np.zeros(self.rules.n_homes, dtype=bool)
            taken[order[: int(np.ceil(np.clip(guidance.asked, 0.0, 1.0) * n.coalition.sum()))]] = True
            within = n.declared.ask <= guidance.cap + 1e-9
            within[RESERVE] = True  # the cap is named for energy
            n = replace(
                n,
                coalition=n.coalition & taken,
                declared=replace(n.declared, kw=n.declared.kw * within),
                guidance=guidance,
            )
        made = dispatch(n, self.problem)
        if guidance is not None and isinstance(self.aggregator, Witness):
            self.aggregator.weigh(n.notice, made, dispatch(unguided, self.problem))
        return {"negotiation": replace(n, dispatch=made)}

    def bid(self, state: BidInput) -> dict[str, Any]:
        """Encode the dispatch, without one an empty bid; promise what the homes can give tomorrow evening."""
        n, rules, called = state["negotiation"], self.rules, state["negotiation"].dispatch
        assert n.declared is not None
        notes = {"negotiation_rounds": float(n.rounds), "coalition_size": 0.0, "optimization_s": 0.0, "fallbacks": 0.0}
        lines: dict[str, Any] = {}
        if called is not None:
            assert n.coalition is not None
            lines = {name: getattr(called, name) for name in COLUMNS}
            notes |= {
                "coalition_size": float(n.coalition.sum()),
                "optimization_s": called.seconds,
                "fallbacks": float(called.fallback),
            }
        bids = Bids(
            encode(rules.sell_limit_kw, rules.buy_limit_kw, **lines),
            accepted=n.contracted,
            expected_profit_usd=0.0 if called is None else called.expected_usd,
            notes=notes,
            capacity=self.promise.commit(state["public"], n.declared.evening_kw),
        )
        return {"bids": bids}


def build_graph(nodes: Nodes) -> CompiledStateGraph:
    """Compile the graph around one month's nodes."""
    return plan(nodes).compile()


INPUTS: dict[str, type[Any]] = {
    "hear": StatementsInput,
    "announce": PublicInput,
    "collect_bids": StandingInput,
    "offers": TableInput,
    "answers": TableInput,
    "form_coalition": PrivateInput,
    "dispatch": DeclaredInput,
    "bid": BidInput,
}
"""What each node is given."""


def plan(nodes: Nodes, **own: Callable[[Any], dict[str, Any]]) -> StateGraph[Channels]:
    """Return the graph around one month's nodes, to be compiled.

    Parameters
    ----------
    nodes : Nodes
        The month's.
    own : callable
        Functions in the place of the nodes that they are named after; each is given what that node is given.

    Raises
    ------
    UnknownNameError
        When there is no node of such a name.
    """
    for name in own:
        if name not in INPUTS:
            raise UnknownNameError(did_you_mean(name, INPUTS, "node"))
    graph = StateGraph(Channels)
    listens = isinstance(nodes.prosumers, Listener)
    for name, given in INPUTS.items():
        if listens or name != "hear":
            graph.add_node(name, own.get(name, getattr(nodes, name)), input_schema=given)
    if listens:
        graph.add_edge("hear", "announce")
    graph.add_edge(START, "hear" if listens else "announce")
    graph.add_edge("announce", "collect_bids")
    _fork(
        graph,
        "collect_bids",
        lambda n: not n.done,
        ("contracts are to be made", "offers"),
        ("nobody is asked", "form_coalition"),
    )
    _fork(
        graph,
        "offers",
        lambda n: not n.done,
        ("offers were made", "answers"),
        ("nothing is left to offer", "form_coalition"),
    )
    graph.add_edge("answers", "offers")
    _fork(
        graph,
        "form_coalition",
        lambda n: n.status == "bid",
        ("at least the minimum bid", "dispatch"),
        ("below the minimum bid", "bid"),
    )
    graph.add_edge("dispatch", "bid")
    graph.add_edge("bid", END)
    return graph


def _fork(
    graph: StateGraph[Channels],
    node: str,
    when: Callable[[Negotiation], bool],
    then: tuple[str, str],
    otherwise: tuple[str, str],
) -> None:
    """Lead from a node to one of two others; of each the words that a drawing says, and its name."""

    def path(state: DeclaredInput) -> str:
        return (then if when(state["negotiation"]) else otherwise)[0]

    graph.add_conditional_edges(node, path, dict([then, otherwise]))


class Agentic:
    """Contracts negotiated in a LangGraph, dispatch in CVXPY, declared information only.

    Parameters
    ----------
    brain : str
        Who negotiates, an entry of `brains.BRAINS`: `rules` (Bayesian, deterministic), or `llm` (a language model reads
        the owners' statements and sets strategies; see docs/llm.md).
    negotiation : NegotiationOptions
        Rounds, days between gates, transcript, ablations.
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
        description="an aggregator negotiates contracts with the owners; homes bid values under them; CVXPY dispatches",
        reference="Bayesian learning in negotiation: Zeng & Sycara 1998",
    )

    def __init__(
        self, brain: str = "rules", negotiation: NegotiationOptions | None = None, options: Any = None
    ) -> None:
        self._options = negotiation or NegotiationOptions()
        self.brain: Brain = make_brain(brain, self._options, options)
        self._max_rounds = 1 if "rounds" in self._options.left_out else int(self._options.max_rounds)
        self._month = 0

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Build the graph and the dispatch problem of this fleet, once."""
        aggregator, prosumers = self.brain.begin(rules)
        self._listens = isinstance(prosumers, Listener)
        solver = None
        if "solver" not in self._options.left_out:
            solver = CoalitionProblem(rules.sell_limit_kw > 0, guided=self.brain.guided)
        forecaster = make_forecaster("learned")
        nodes = Nodes(rules, aggregator, prosumers, solver, self._max_rounds, forecaster, Promise(rules))
        self.graph = load_graph(self._options.graph, nodes) if self._options.graph else build_graph(nodes)
        self._steps = STEPS + 2 * self._max_rounds
        if self._options.graph:
            self._steps += 2 * len(self.graph.nodes)  # it may have nodes of its own
        self._serde = Serde()
        self._stopped = self.graph.get_state if attach(self.graph, self._serde) else None
        self._month += 1

    def _run(self, channels: dict[str, Any], public: Public) -> dict[str, Any]:
        """Run the graph, or what is left of it where this gate's stopped in the middle."""
        config: RunnableConfig = {"recursion_limit": self._steps}
        given: dict[str, Any] | None = channels
        if self._stopped is not None:
            self._serde.live = {name: channels[name] for name in LIVE if name in channels}
            config["configurable"] = {"thread_id": f"month {self._month}, opportunity {public.opportunity}"}
            given = None if self._stopped(config).next else channels
        final: dict[str, Any] = self.graph.invoke(given, config)
        if "bids" not in final:
            raise PolicyError(
                "the graph stopped before it wrote `bids`; act() at the same gate goes on where it stopped"
            )
        return final

    def act(self, view: View) -> Bids:
        """Negotiate and bid for one opportunity."""
        homes = view.homes
        settled = Settled(homes.last_market_kwh, homes.last_payment_usd, homes.absent)
        channels: dict[str, Any] = {
            "homes": homes, "public": view.public, "settled": settled, "table": view.owners,
        }  # fmt: skip
        if self._listens:
            channels["statements"] = view.statement
        final = self._run(channels, view.public)
        bids: Bids = final["bids"]
        notes, said = self.brain.collect()
        if notes:
            bids = replace(bids, notes=bids.notes | notes)
        if self._options.transcript == "none":
            return bids
        records = transcript_of(final["negotiation"], full=self._options.transcript == "full")
        return replace(bids, transcript=said + records)
