"""A virtual power plant's market month: an environment and benchmark for coordinating homes.

>>> import gymnasium, pettingzoo, vpp_env
>>> month = pettingzoo.make("parallel", "vpp/market_month_v0", scenario="quick")
>>> central = gymnasium.make("vpp/MarketMonth-v0", scenario="quick")

This is the public face: everything that a policy or a learner needs, by plain imports, so that type checkers and
editors see the classes themselves. What only some runs need (solar geometry, drawing) is imported where it is used.
"""

import gymnasium
import pettingzoo

from vpp_env.api.gym import CentralMarketMonth, VectorMarketMonth
from vpp_env.api.parallel import MarketMonth, env, parallel_env
from vpp_env.contract.bids import (
    BUY_KW,
    BUY_LIMIT,
    N_ACTION,
    RESERVE_ASK,
    RESERVE_KW,
    RESERVE_TICK,
    SELL1_ASK,
    SELL1_KW,
    SELL2_ASK,
    SELL2_KW,
    Bids,
    DayAheadSchedule,
    encode,
)
from vpp_env.contract.foresight import Foresight
from vpp_env.contract.observation import COLUMNS as OBSERVATION_COLUMNS
from vpp_env.contract.observation import N_OBS, OBSERVATION_VERSION
from vpp_env.contract.policy import Consent, MarketRules, Policy, PolicyInfo, make_policy, policy_names
from vpp_env.contract.terms import Answers, Offers, Reason, Table, Terms, Window
from vpp_env.contract.views import Future, Homes, Information, Public, View
from vpp_env.data.months import real_month_names
from vpp_env.errors import (
    BidError,
    DataError,
    InformationError,
    PolicyError,
    ScenarioError,
    UnknownNameError,
    VppError,
    did_you_mean,
)
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import Run, market_rules, simulate
from vpp_env.jit import kernel
from vpp_env.scenario import Scenario, load_scenario, scenario_from_dict, scenario_names
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.traces.price_law import PriceLaw
from vpp_env.units import (
    BUY_LIMIT_RANGE,
    DT_H,
    KWH_PER_MWH,
    POWER_QUANTUM_KW,
    PRICE_TICK,
    RESERVE_ASK_RANGE,
    SELL_ASK_RANGE,
    STEP_MINUTES,
)

__version__ = "0.2.0.dev0"

__all__ = [
    "BUY_KW",
    "BUY_LIMIT",
    "BUY_LIMIT_RANGE",
    "DT_H",
    "KWH_PER_MWH",
    "N_ACTION",
    "N_OBS",
    "OBSERVATION_COLUMNS",
    "OBSERVATION_VERSION",
    "POWER_QUANTUM_KW",
    "PRICE_TICK",
    "RESERVE_ASK",
    "RESERVE_ASK_RANGE",
    "RESERVE_KW",
    "RESERVE_TICK",
    "SELL1_ASK",
    "SELL1_KW",
    "SELL2_ASK",
    "SELL2_KW",
    "SELL_ASK_RANGE",
    "STEP_MINUTES",
    "Answers",
    "BidError",
    "Bids",
    "CentralMarketMonth",
    "Consent",
    "DataError",
    "DayAheadSchedule",
    "Foresight",
    "Future",
    "Homes",
    "Information",
    "InformationError",
    "MarketMonth",
    "MarketRules",
    "Month",
    "Offers",
    "Policy",
    "PolicyError",
    "PolicyInfo",
    "PriceLaw",
    "Public",
    "Reason",
    "Run",
    "Scenario",
    "ScenarioError",
    "Table",
    "Terms",
    "UnknownNameError",
    "VectorMarketMonth",
    "View",
    "VppError",
    "Window",
    "World",
    "__version__",
    "build_view",
    "did_you_mean",
    "encode",
    "env",
    "kernel",
    "load_scenario",
    "make_policy",
    "market_rules",
    "parallel_env",
    "policy_names",
    "real_month_names",
    "scenario_from_dict",
    "scenario_names",
    "simulate",
    "summarize",
]


def _register() -> None:
    """Make the environments known to both libraries, once."""
    if "vpp/MarketMonth-v0" not in gymnasium.registry:
        gymnasium.register(
            "vpp/MarketMonth-v0",
            entry_point="vpp_env.api.gym:CentralMarketMonth",
            vector_entry_point="vpp_env.api.gym:VectorMarketMonth",
            # spaces are exact float32 boxes and every value is clipped: the checker is for tests
            disable_env_checker=True,
        )
    # PettingZoo has a registry since 1.27; AgileRL 2.58 takes none newer than 1.26
    if "vpp/market_month_v0" not in getattr(pettingzoo, "parallel_registry", ("vpp/market_month_v0",)):
        pettingzoo.register("parallel", "vpp/market_month_v0", "vpp_env.api.parallel:parallel_env")
        pettingzoo.register("aec", "vpp/market_month_v0", "vpp_env.api.parallel:env")


_register()
