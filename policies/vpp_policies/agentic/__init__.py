"""The `agentic` policy: a negotiation in a graph, a dispatch in CVXPY, declared information only.

`Agentic` takes two frozen dataclasses of options. `agentic` takes the same options as flat names, as a command line
writes them: `agentic(brain="llm", llm="replay", max_rounds=2)`.
"""

from __future__ import annotations

import inspect
from typing import Any

from vpp_policies.agentic.brains import BRAINS, BrainEntry, flat_signature, split_options
from vpp_policies.agentic.llm_brain import ModelOptions
from vpp_policies.agentic.negotiation import NegotiationOptions
from vpp_policies.agentic.policy import Agentic

__all__ = ["BRAINS", "Agentic", "BrainEntry", "ModelOptions", "NegotiationOptions", "agentic"]


class _Flat:
    """A callable with the signature of all brains that are registered when it is asked for."""

    @property
    def __signature__(self) -> inspect.Signature:
        return flat_signature()

    def __call__(self, **options: Any) -> Agentic:
        return Agentic(*split_options(options))


agentic = _Flat()
"""Make `Agentic` from flat options; see `NegotiationOptions` and, for `brain="llm"`, `ModelOptions`."""
