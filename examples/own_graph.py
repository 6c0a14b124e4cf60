"""`agentic(graph="own_graph:build")`, in this folder: owners are first offered a tenth less than `agentic` would."""

from dataclasses import replace
from typing import Any

from langgraph.graph import StateGraph
from vpp_policies.agentic.policy import Nodes, TableInput, plan


def build(nodes: Nodes) -> StateGraph[Any]:
    """Put a node of our own in the place of `offers`."""

    def offers(state: TableInput) -> dict[str, Any]:
        n = nodes.offers(state)["negotiation"]
        if n.done or n.rounds > 0:
            return {"negotiation": n}
        terms = replace(n.offers[0].terms, price=0.9 * n.offers[0].terms.price)
        return {"negotiation": replace(n, offers=(replace(n.offers[0], terms=terms),))}

    return plan(nodes, offers=offers)
