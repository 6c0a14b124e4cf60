"""The `agentic` policy: a negotiation in a graph, a dispatch in CVXPY, declared information only."""

from vpp_policies.agentic.policy import Agentic

__all__ = ["Agentic"]
