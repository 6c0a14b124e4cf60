"""A graph of your own: `agentic(graph="own_graph:build")`, in the folder of this file.

It is `agentic`'s with a node more: after the dispatch an `editor` strikes out whoever asks more than the price could
reach nine times in ten. It is compiled with a checkpointer: an `act` that failed goes on, when it is called again,
where it stopped.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph
from vpp_policies.agentic.policy import DeclaredInput, Nodes, plan


def editor(state: DeclaredInput) -> dict[str, Any]:
    """Strike out offers above the outlook's ninth decile."""
    n = state["negotiation"]
    assert n.dispatch is not None  # the node before this one made it
    top = n.notice.price[np.searchsorted(np.cumsum(n.notice.weight), 0.9).clip(max=len(n.notice.price) - 1)]
    kept = n.dispatch.sell2_kw * (n.dispatch.sell2_ask <= top)
    return {"negotiation": replace(n, dispatch=replace(n.dispatch, sell2_kw=kept))}


def build(nodes: Nodes) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Put the editor between dispatch and bid."""
    graph = plan(nodes)
    graph.add_node("editor", editor, input_schema=DeclaredInput)
    graph.edges.remove(("dispatch", "bid"))
    graph.add_edge("dispatch", "editor")
    graph.add_edge("editor", "bid")
    return graph.compile(checkpointer=InMemorySaver())
