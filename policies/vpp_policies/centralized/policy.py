"""`centralized` and `preference_aware`: one optimizer that knows everything and asks nobody.

Perfect information (every true state, load, sun, trip and price of the future). `centralized` takes full control down
to the hard limits; the owners' preferences are ignored on purpose, and every violation that this causes is counted by
the same evaluator as everybody else's. `preference_aware` solves the same problem inside every owner's envelope and
at no less than every owner's ask. Both maximise the joint surplus of the VPP and its members.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    DT_H,
    N_ACTION,
    Bids,
    Consent,
    Homes,
    Information,
    MarketRules,
    PolicyError,
    PolicyInfo,
    View,
    encode,
)
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.gate.commitment import commitment
from vpp_policies.gate.inputs import MUCH, SEGMENTS, Devices, GatePlan, Inputs, Limits, Physics
from vpp_policies.gate.merit import dispatch
from vpp_policies.gate.offers import Who, bids_of, known_prices
from vpp_policies.optimal.devices import Wishes, most_ready
from vpp_policies.optimal.month_value import MonthValue

log = logging.getLogger(__name__)

_QUANTITIES = np.arange(N_ACTION) % 2 == 0
LATE_KWH = 1e-3
"""A car that lacks less than this of being ready is ready."""


class Gates:
    """The gates of a month that is known.

    Parameters
    ----------
    homes, rules : Homes, MarketRules
        At the first gate.
    value : MonthValue
        What stored energy is worth.
    opportunities : int
        Length of the dispatch problem.
    preferences : bool
        Whether the owners' preferences and least payments bind.
    """

    def __init__(
        self, homes: Homes, rules: MarketRules, value: MonthValue, opportunities: int, preferences: bool
    ) -> None:
        self.b, self.e = self.who = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        self._rules, self.value, self._o, self._preferences = rules, value, opportunities, preferences
        self.devices = Devices(
            power=homes.bess_kw[self.b],
            low=homes.bess_min_kwh[self.b],
            high=homes.bess_max_kwh[self.b],
            v2g=homes.v2g_kw[self.e],
        )
        f = value.foresight
        ready = [most_ready(int(i), homes, f, rules.ev_eta) for i in self.e]
        self._ready = np.array(ready).reshape(len(self.e), f.n_steps + 1)

    def inputs(self, homes: Homes, gate: int, lead: int, capacity_kw: float) -> Inputs:
        """Write down delivery `gate` (counted from the first gate on); beyond the end the last step repeats.

        With a gate lead the bids of the `lead` opportunities before it are waiting: what they leave of every device is
        what it would do by its own value (`MonthValue.walk`).
        """
        f, b, e, rules = self.value.foresight, self.b, self.e, self._rules
        steps, dev = f.steps, self.devices
        k = self._o * steps
        rows = np.minimum(np.arange(gate * steps, gate * steps + k), f.n_steps - 1)
        ends = np.minimum(rows[steps - 1 :: steps] + 1, f.n_steps)
        at_home, p_baseline = f.plugged[rows][:, e].T, f.baseline_ev_kw[rows][:, e].T
        soc, deficit, left = self._ahead(homes, gate, lead)
        reach = dev.power * k * DT_H / rules.bess_eta
        low, high = np.maximum(dev.low, soc - reach), np.minimum(dev.high, soc + reach)
        can = dev.v2g > 0.0
        end = gate + self._o
        # what a car may lack at most by the end of the problem, in kWh of deficit
        gained = np.cumsum(p_baseline, axis=1)[:, steps - 1 :: steps] * DT_H * rules.ev_eta
        held = f.baseline_ev_soc_kwh[rows[0], e]
        physical = np.maximum(held - homes.ev_min_kwh[e], 0.0)[:, None] + gained
        room = np.minimum(physical, self._ready[:, ends]) if self._preferences else physical
        span = np.maximum(np.maximum(room[:, -1], deficit), 1e-6)
        cars = self.value.slopes(slice(len(b), None), end, -span, np.zeros(len(e)), SEGMENTS)
        limits = self._limits(homes, rows, left) if self._preferences else None
        ask = self._asks(f.defer_ask, rows)[e] if self._preferences else None
        black = f.blackout[rows].T
        return Inputs(
            # net energy of a called evening is paid as capacity too
            lmp=f.lmp[rows] + f.bonus[rows],
            sale=f.sale[rows] + f.bonus[rows],
            rho=f.reserve_up[rows].reshape(-1, steps).mean(axis=1),
            soc=soc,
            surplus=f.surplus_kw[rows][:, b].T,
            value_low=low,
            value_width=(high - low) / SEGMENTS,
            slopes=self.value.slopes(slice(0, len(b)), end, low, high, SEGMENTS),
            deficit=deficit,
            p_baseline=p_baseline if ask is None else p_baseline * ((ask <= f.highest_ask[rows] + 1e-9) & ~black[e]),
            charge_room=np.where(
                at_home & ~(black[e] & self._preferences), np.maximum(homes.ev_kw[e, None] - p_baseline, 0.0), 0.0
            ),
            v2g_room=dev.v2g[can, None] * at_home[can] * self._gives(rows, e[can]),
            deficit_room=room,
            back_width=span / SEGMENTS,
            # the price of a deficit rises with it: the store's value falls with what it holds
            back=cars[:, ::-1],
            capacity_kw=capacity_kw,
            limits=limits,
        )

    def _ahead(
        self, homes: Homes, gate: int, lead: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """At delivery: (B,) kWh of the batteries, (C,) kWh that cars lack, (B,) kWh that may be discharged that day."""
        f, b, e = self.value.foresight, self.b, self.e
        first = gate * f.steps
        soc, deficit = homes.soc_kwh[b], np.where(homes.plugged[e], homes.ev_deficit_kwh[e], 0.0)
        left = np.maximum(homes.day_left_kwh[b], 0.0)
        if lead == 0:
            return soc, deficit, left
        now = first - lead * f.steps
        steps = self.value.walk(homes, now, first)
        day = f.day[min(first, f.n_steps - 1)]
        today = f.day[now:first] == day
        given = steps.gave[: len(b), today, 0].sum(axis=1) * self._rules.bess_eta
        whole = homes.day_limit_kwh[b] if day != f.day[now] else left
        return steps.held[: len(b), -1], -steps.held[len(b) :, -1], np.maximum(whole - given, 0.0)

    def _asks(self, asks: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, K) asks by interval of (O, N) asks by opportunity."""
        return asks[rows // self.value.foresight.steps].T

    def _gives(self, rows: NDArray[np.int64], who: NDArray[np.int64]) -> NDArray[np.float64]:
        """(W, K) whether a discharge at the owner's ask would clear, outside blackout windows."""
        f = self.value.foresight
        if not self._preferences:
            return np.ones((len(who), len(rows)))
        own = self._asks(f.own_ask, rows)[who]
        return ((own <= f.highest_ask[rows] + 1e-9) & ~f.blackout[rows].T[who]).astype(np.float64)

    def _limits(self, homes: Homes, rows: NDArray[np.int64], left: NDArray[np.float64]) -> Limits:
        f, b, e, rules = self.value.foresight, self.b, self.e, self._rules
        power, steps = self.devices.power, f.steps
        black = f.blackout[rows].T
        today = f.day[rows[::steps]] == f.day[rows[0]]
        reserve_ask = self._asks(f.reserve_ask, rows)[:, ::steps] * (1.0 + rules.margin)
        may = (reserve_ask <= f.reserve_up[rows].reshape(-1, steps).min(axis=1) + 1e-12) & ~black.reshape(
            len(black), -1, steps
        ).any(axis=2)
        return Limits(
            sell=power[:, None] * self._gives(rows, b),
            buy=power[:, None] * ((f.lmp[rows] <= homes.buy_limit[b, None] + 1e-12) & ~black[b]),
            floor=np.maximum(homes.floor_kwh[b], homes.bess_min_kwh[b]),
            reserve_b=may[b] * np.minimum(power, left / rules.reserve_hours)[:, None],
            reserve_e=np.where(may[e], MUCH, 0.0),
            day_kwh=np.stack([left, homes.day_limit_kwh[b] * max(1, int(f.day[rows[-1]] - f.day[rows[0]]))]),
            today=today.astype(np.float64),
        )


class Centralized:
    """CVXPY dispatch with perfect information, ignoring preferences.

    Parameters
    ----------
    horizon_hours : float
        Length of the dispatch problem; at least one opportunity. Beyond it, stored energy is worth what each
        device alone could still earn with it (`optimal.month_value`), so that one opportunity (0, the default) is
        enough unless the VPP's maximum binds.
    """

    info = PolicyInfo(
        name="centralized",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information and control; ignores preferences and asks nobody",
    )
    preferences = False

    def __init__(self, horizon_hours: float = 0.0) -> None:
        if not 0.0 <= horizon_hours <= 168.0:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 0 (one opportunity) to 168")
        self._horizon_hours = horizon_hours

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._rules = rules
        self.problem: DispatchProblem | None = None
        self.gates: Gates | None = None
        self.failures = 0

    def _begin(self, view: View) -> Gates:
        """Build the problem, and work out what stored energy is worth at every gate to come."""
        homes, rules, foresight = view.homes, self._rules, view.foresight()
        opportunities = max(1, round(self._horizon_hours / rules.opportunity_hours))
        value = MonthValue(homes, foresight, rules, Wishes.ASKS if self.preferences else Wishes.FREE)
        gates = Gates(homes, rules, value, opportunities, self.preferences)
        physics = Physics(
            DT_H,
            rules.bess_eta,
            rules.ev_eta,
            rules.degradation_usd_per_kwh,
            rules.reserve_hours,
            foresight.steps,
            foresight.export_usd_per_kwh,
        )
        self.problem = DispatchProblem(gates.devices, physics, opportunities, reserve=bool(rules.products))
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
        first = (view.public.opportunity - self._first) * steps
        prices = known_prices(self.gates.value.foresight, slice(first, first + steps))
        homes, kept = view.homes, self.preferences
        who = Who(*self.gates.who, homes, homes.reserve_ask if kept else np.zeros(rules.n_homes), kept, kept, kept)
        actions, expected = bids_of(plan, prices, who, rules)
        notes["coalition_size"] = float((actions.max(axis=1, where=_QUANTITIES, initial=-1.0) > -1.0).sum())
        override = None if self.preferences else np.ones(rules.n_homes, dtype=np.bool_)
        firm = commitment(view, rules, self.gates.value, first - view.public.lead * steps)
        return Bids(actions, expected_profit_usd=expected, notes=notes, override=override, capacity=firm)

    def inputs(self, view: View) -> Inputs:
        """Write the gate down for the problem."""
        assert self.gates is not None
        public = view.public
        return self.gates.inputs(view.homes, public.opportunity - self._first, public.lead, public.required_kw)


class PreferenceAware(Centralized):
    """CVXPY dispatch with perfect information inside every owner's envelope and at no less than every ask.

    Parameters
    ----------
    horizon_hours :
        See `Centralized`.
    """

    info = replace(
        Centralized.info,
        name="preference_aware",
        description="CVXPY with perfect information, inside every owner's preferences; asks nobody",
    )
    preferences = True


def planned(
    problem: DispatchProblem, inputs: Inputs, e: NDArray[np.int64], opportunity: int
) -> tuple[GatePlan, dict[str, float]]:
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
