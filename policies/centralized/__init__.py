"""The central optimizer: CVXPY with perfect information and control, ignoring preferences."""

from policies.centralized.optimizer import CentralizedOptimizer, CentralizedResult
from policies.centralized.policy import Centralized

__all__ = ["Centralized", "CentralizedOptimizer", "CentralizedResult"]
