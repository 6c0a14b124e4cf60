"""The negotiation as a LangGraph state graph, compiled once per month; no checkpointer.

    (hear ->) announce -> collect_bids -> rank -> counter_offer -> respond -> (counter_offer | form_coalition)
             -> (dispatch ->) bid

The information barrier is in the graph: every node has an input schema, and LangGraph hands it those channels only.
The homes' rows are a channel that no node of the aggregator is given, and the owners' words are given to `hear` alone,
which is there only where somebody listens to words.
"""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from vpp_policies.agentic.brains import Listener
from vpp_policies.agentic.nodes import Nodes, open_lines
from vpp_policies.agentic.state import DeclaredInput, OpeningInput, PrivateInput, PublicInput, State, WordsInput


def again(state: DeclaredInput) -> str:
    """Another round while somebody is without agreement and rounds are left."""
    talk = state["talk"]
    more = talk.rounds < talk.notice.max_rounds and bool(open_lines(talk).any())
    return "counter_offer" if more else "form_coalition"


def talks(state: DeclaredInput) -> str:
    """Skip the rounds when nobody has offered anything to sell, or when there are none."""
    talk = state["talk"]
    return "counter_offer" if talk.notice.max_rounds > 0 and open_lines(talk).any() else "form_coalition"


def worth(state: DeclaredInput) -> str:
    """Pass the dispatch by when the coalition cannot meet the market's minimum."""
    return "dispatch" if state["talk"].status == "bid" else "bid"


def build_graph(nodes: Nodes) -> CompiledStateGraph:
    """Compile the graph around one month's nodes."""
    graph = StateGraph(State)
    listens = isinstance(nodes.prosumers, Listener)
    graph.add_node("announce", nodes.announce, input_schema=PublicInput)
    graph.add_node("collect_bids", nodes.collect_bids, input_schema=OpeningInput)
    graph.add_node("rank", nodes.rank, input_schema=DeclaredInput)
    graph.add_node("counter_offer", nodes.counter_offer, input_schema=DeclaredInput)
    graph.add_node("respond", nodes.respond, input_schema=PrivateInput)
    graph.add_node("form_coalition", nodes.form_coalition, input_schema=DeclaredInput)
    graph.add_node("dispatch", nodes.dispatch, input_schema=DeclaredInput)
    graph.add_node("bid", nodes.bid, input_schema=DeclaredInput)
    if listens:
        graph.add_node("hear", nodes.hear, input_schema=WordsInput)
        graph.add_edge("hear", "announce")
    graph.add_edge(START, "hear" if listens else "announce")
    graph.add_edge("announce", "collect_bids")
    graph.add_edge("collect_bids", "rank")
    graph.add_conditional_edges("rank", talks, ["counter_offer", "form_coalition"])
    graph.add_edge("counter_offer", "respond")
    graph.add_conditional_edges("respond", again, ["counter_offer", "form_coalition"])
    graph.add_conditional_edges("form_coalition", worth, ["dispatch", "bid"])
    graph.add_edge("dispatch", "bid")
    graph.add_edge("bid", END)
    return graph.compile()
