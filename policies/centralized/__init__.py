"""The central optimizers: CVXPY with perfect information, without and with the owners' preferences."""

from policies.centralized.optimizer import CentralizedOptimizer, CentralizedResult
from policies.centralized.policy import Centralized, PreferenceAware

__all__ = ["Centralized", "CentralizedOptimizer", "CentralizedResult", "PreferenceAware"]
