"""A virtual power plant's market month: an environment and benchmark for coordinating homes.

>>> import gymnasium, pettingzoo, vpp_env
>>> month = pettingzoo.make("parallel", "vpp/market_month_v0", scenario="quick")
>>> central = gymnasium.make("vpp/MarketMonth-v0", scenario="quick")

The names below are imported when they are first used, so that importing the package stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

import gymnasium
import pettingzoo

__version__ = "0.1.0"

_LAZY = {
    "parallel_env": "vpp_env.api.parallel",
    "env": "vpp_env.api.parallel",
    "MarketMonth": "vpp_env.api.parallel",
    "CentralMarketMonth": "vpp_env.api.gym",
    "VectorMarketMonth": "vpp_env.api.gym",
    "Scenario": "vpp_env.scenario",
    "load_scenario": "vpp_env.scenario",
    "scenario_names": "vpp_env.scenario",
    "Month": "vpp_env.simulation.month",
    "World": "vpp_env.simulation.world",
    "simulate": "vpp_env.evaluation.simulate",
    "summarize": "vpp_env.evaluation.kpi",
    "make_policy": "vpp_env.contract.policy",
    "policy_names": "vpp_env.contract.policy",
    "Information": "vpp_env.contract.views",
    "Bids": "vpp_env.contract.bids",
}

__all__ = ["__version__", *sorted(_LAZY)]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'vpp_env' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_LAZY[name]), name)


if "vpp/MarketMonth-v0" not in gymnasium.registry:
    gymnasium.register(
        "vpp/MarketMonth-v0",
        entry_point="vpp_env.api.gym:CentralMarketMonth",
        vector_entry_point="vpp_env.api.gym:VectorMarketMonth",
        # spaces are exact float32 boxes and every value is clipped: the checker is for tests
        disable_env_checker=True,
    )
if "vpp/market_month_v0" not in pettingzoo.parallel_registry:
    pettingzoo.register("parallel", "vpp/market_month_v0", "vpp_env.api.parallel:parallel_env")
    pettingzoo.register("aec", "vpp/market_month_v0", "vpp_env.api.parallel:env")
