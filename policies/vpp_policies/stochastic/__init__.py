"""`stochastic`: every home bids from the value of its own storage, computed against prices that are not known yet."""

from __future__ import annotations

from vpp_policies.stochastic.policy import Stochastic

__all__ = ["Stochastic"]
