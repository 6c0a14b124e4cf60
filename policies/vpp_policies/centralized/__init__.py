"""The central optimizers: CVXPY with perfect information, without and with the owners' preferences."""

from vpp_policies.centralized.optimizer import CentralizedOptimizer, CentralizedResult
from vpp_policies.centralized.policy import Centralized, PreferenceAware

__all__ = ["Centralized", "CentralizedOptimizer", "CentralizedResult", "PreferenceAware"]
