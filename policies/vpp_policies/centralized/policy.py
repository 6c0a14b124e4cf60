"""`centralized` and `preference_aware`: one optimizer that knows everything and asks nobody.

Perfect information (every true state, load, sun, trip and price of the future). `centralized` takes full control down
to the hard limits; the owners' preferences are ignored on purpose, and every violation that this causes is counted by
the same evaluator as everybody else's. `preference_aware` solves the same problem inside every owner's envelope and
at no less than every owner's ask. Both maximise the joint surplus of the VPP and its members.
"""

from __future__ import annotations

import logging

import numpy as np

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View
from vpp_env.errors import PolicyError
from vpp_env.units import DT_H
from vpp_policies.centralized.gate import Gates
from vpp_policies.centralized.inputs import Inputs, Physics, Plan
from vpp_policies.centralized.merit import dispatch
from vpp_policies.centralized.offers import GatePrices, bids_of
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.optimal.month_value import MonthValue

log = logging.getLogger(__name__)

_QUANTITIES = np.array([True, False, True, False, True, False])
LATE_KWH = 1e-3
"""A car that lacks less than this of being ready is ready."""


class Centralized:
    """CVXPY dispatch with perfect information, ignoring preferences.

    Parameters
    ----------
    horizon_hours : float
        Length of the dispatch problem; at least one opportunity. Beyond it, stored energy is worth what each
        device alone could still earn with it (`optimal.month_value`), so that one opportunity (0, the default) is
        enough unless the VPP's maximum binds.
    minimum : bool
        Whether the market's minimum bid is decided on (on/off) where the linear program stays below it.
    """

    info = PolicyInfo(
        name="centralized",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information and control; ignores preferences and asks nobody",
    )
    wishes = False

    def __init__(self, horizon_hours: float = 0.0, minimum: bool = True) -> None:
        if not 0.0 <= horizon_hours <= 168.0:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 0 (one opportunity) to 168")
        self._horizon_hours, self._minimum = horizon_hours, minimum

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._rules = rules
        self.problem: DispatchProblem | None = None
        self.gates: Gates | None = None
        self.failures = 0

    def _begin(self, view: View) -> Gates:
        """Build the problem, and work out what stored energy is worth at every gate to come."""
        homes, rules, foresight = view.homes, self._rules, view.foresight()
        ahead = max(1, round(self._horizon_hours / rules.opportunity_hours))
        value = MonthValue(homes, foresight, rules, self.wishes)
        gates = Gates(homes, rules, value, ahead, self.wishes)
        physics = Physics(
            DT_H,
            rules.bess_eta,
            rules.ev_eta,
            rules.degradation_usd_per_kwh,
            rules.reserve_hours,
            foresight.steps,
            foresight.export_usd_per_kwh,
        )
        self.problem = DispatchProblem(gates.devices, physics, ahead, reserve=bool(rules.products))
        self._first, self._end = view.public.opportunity - view.public.lead, view.public.n_opportunities
        return gates

    def act(self, view: View) -> Bids:
        """Solve one gate and bid the plan of its first opportunity."""
        rules = self._rules
        if self.gates is None:
            self.gates = self._begin(view)
        assert self.problem is not None
        if view.public.opportunity >= self._end:
            return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw))  # delivery would be beyond the end
        inputs, steps = self.inputs(view), view.public.steps
        plan, notes = planned(self.problem, inputs, self.gates.e, view.public.opportunity)
        self.failures += "solver_failures" in notes
        notes["commitments"] = float(plan.committed)
        prices = GatePrices(inputs.lmp[:steps], inputs.sale[:steps], float(inputs.rho[0]))
        actions, expected = bids_of(plan, prices, self.gates.who, rules, view.homes if self.wishes else None)
        notes["coalition_size"] = float((actions.max(axis=1, where=_QUANTITIES, initial=-1.0) > -1.0).sum())
        return Bids(actions, accepted=None, expected_profit_usd=expected, notes=notes)

    def inputs(self, view: View) -> Inputs:
        """Write the gate down for the problem."""
        assert self.gates is not None
        least = self._rules.min_bid_kw if self._minimum else 0.0
        return self.gates.inputs(view.homes, view.public.opportunity - self._first, view.public.required_kw, least)


class PreferenceAware(Centralized):
    """CVXPY dispatch with perfect information inside every owner's envelope and at no less than every ask.

    Parameters
    ----------
    horizon_hours, minimum :
        See `Centralized`.
    """

    info = PolicyInfo(
        name="preference_aware",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information, inside every owner's preferences; asks nobody",
    )
    wishes = True


def planned(problem: DispatchProblem, inputs: Inputs, e: np.ndarray, opportunity: int) -> tuple[Plan, dict[str, float]]:
    """Solve a gate; without an optimum dispatch it in merit order. Returns the plan and what is to be noted of it.

    Parameters
    ----------
    e : ndarray
        (C,) homes of the plan's cars: those that cannot be ready in time whatever is done are named.
    opportunity : int
        The gate, for the log.
    """
    plan = problem.solve(inputs)
    notes = {"optimization_s": plan.seconds}
    if plan.status != "optimal":
        notes["solver_failures"] = 1.0
        log.warning("gate %d: the solver ended as %s; merit order instead", opportunity, plan.status)
        plan = dispatch(inputs, problem.devices, problem.physics, plan)
    late = np.flatnonzero(plan.late_kwh > LATE_KWH)
    if len(late):
        notes["cars_late"] = float(len(late))
        names = ", ".join(f"prosumer_{e[j]}" for j in late)
        log.info("gate %d: cannot be ready in time whatever is done: %s", opportunity, names)
    return plan, notes
