"""`mpc`: model predictive control. It plans a day ahead on forecasts, bids the first opportunity, and plans again.

The program is `centralized.problem` with one block per opportunity, inside every owner's envelope and at no less than
every ask. It knows all homes' states and preferences (FULL) and no future: prices come from a `forecast.Forecaster`,
load and sun from the day before (persistence), a car is expected to stay until it must be ready. What is stored at
the end of the horizon is worth its owner's ask less wear. What the plan does not sell is still offered as a limit
order above the dearest price that is expected: a spike nobody foresaw is worth more than the plan.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp_env import Bids, Consent, Homes, Information, MarketRules, PolicyError, PolicyInfo, View, encode
from vpp_policies.centralized.policy import planned
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.evening import Promise
from vpp_policies.forecast import QUARTERS, make_forecaster
from vpp_policies.gate.inputs import MUCH, SEGMENTS, Devices, GatePlan, Inputs, Limits, Physics
from vpp_policies.gate.offers import MOST_KW, Who, purchases, reserve_of
from vpp_policies.truthful import own_offers


class Mpc:
    """Rolling optimization on forecasts, inside the owners' preferences.

    Parameters
    ----------
    forecaster : str
        A name of `vpp_policies.forecast.FORECASTERS`, or the file of a price model (`vpp-env fit-prices`).
    horizon_hours : float
        How far each plan looks.
    """

    info = PolicyInfo(
        name="mpc",
        information=Information.FULL,
        consent=Consent.NEVER,
        description="plans a day ahead on forecasts, inside every owner's preferences; asks nobody",
    )

    def __init__(self, forecaster: str = "day_ahead", horizon_hours: float = 24.0) -> None:
        if not 1.0 <= horizon_hours <= 72.0:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 1 to 72")
        self._forecaster, self._horizon_hours = make_forecaster(forecaster), horizon_hours

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._rules = rules
        self._promise = Promise(rules)
        self.problem: DispatchProblem | None = None
        self.failures = 0

    def _begin(self, homes: Homes) -> DispatchProblem:
        rules = self._rules
        self._blocks = max(1, round(self._horizon_hours / rules.opportunity_hours))
        self._who = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        b, e = self._who
        devices = Devices(homes.bess_kw[b], homes.bess_min_kwh[b], homes.bess_max_kwh[b], homes.v2g_kw[e])
        physics = Physics(
            rules.opportunity_hours, rules.bess_eta, rules.ev_eta, rules.degradation_usd_per_kwh, rules.reserve_hours, 1
        )
        return DispatchProblem(devices, physics, self._blocks, reserve=bool(rules.products))

    def act(self, view: View) -> Bids:
        """GatePlan, and bid the plan's first opportunity."""
        homes, rules, public = view.homes, self._rules, view.public
        if self.problem is None:
            self.problem = self._begin(homes)
        inputs = self.inputs(view)
        plan, notes = planned(self.problem, inputs, self._who[1], public.opportunity)
        self.failures += "solver_failures" in notes
        # the first block's quarter hours are all forecast alike
        now, lmp = _first(plan, public.steps), np.repeat(inputs.lmp[:1], public.steps)
        who = Who(*self._who, homes, homes.reserve_ask, asked=True, spared=True, kept=True)
        planned_kw, planned_limit = purchases(now, lmp, who, rules.n_homes)
        own = own_offers(homes, public, rules)
        best = float(inputs.sale.max()) / (1.0 + rules.margin)
        # deferred charging is bought back soon, and offered at its ask; what storage sells it cannot sell at the
        # dearest hour to come, and it waits for that unless the plan sells it now
        (b, e), sold = self._who, np.zeros(rules.n_homes)
        sold[b] += plan.sell_b[:, 0]
        sold[e] += plan.v2g[:, 0]
        # a promise of firm capacity is kept at the owners' own asks
        promised = self._promise.bonus(view, 1)[0] > 0.0
        waits = np.where(promised | (sold > MOST_KW), own["sell2_ask"], np.maximum(own["sell2_ask"], best))
        buys = planned_kw > 0.0
        buy, limit = planned_kw, np.where(buys, planned_limit, own["buy_limit"])
        if rules.safeguard:
            # cars buy back what they have deferred by then; batteries what the plan buys, as much as they can take
            buy = np.where(buys | (homes.bess_kwh == 0), own["buy_kw"], 0.0)
        else:
            # what is on reserve must be there for a call, which is paid at the second line's ask
            on_reserve = np.minimum(reserve_of(now, who, rules.n_homes) * ~homes.blackout_now, homes.reserve_kw)
            own["reserve_kw"] = on_reserve
            own["sell2_kw"] = np.maximum(own["sell2_kw"] - on_reserve, 0.0)
        offers = own | {"sell2_ask": waits, "buy_kw": buy, "buy_limit": limit}
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **offers)
        return Bids(actions, notes=notes, capacity=self._promise.kw(view))

    def inputs(self, view: View) -> Inputs:
        """Write what is known and forecast down for the problem, one block per opportunity."""
        homes, rules, public = view.homes, self._rules, view.public
        (b, e), o, steps, dt = self._who, self._blocks, public.steps, rules.opportunity_hours
        forecast = self._forecaster(public, -(-o * steps // QUARTERS))
        lmp = forecast.points[: o * steps].reshape(o, steps).mean(axis=1)
        known = public.incentive_usd_per_kwh[: o * steps]
        incentive = np.concatenate([known, np.zeros(o * steps - len(known))]).reshape(o, steps).mean(axis=1)
        rho = np.repeat(forecast.reserve_points, QUARTERS)[: o * steps].reshape(o, steps).mean(axis=1)
        best = rho if rules.products else np.zeros(o)
        p_baseline, at_home, room = _cars(homes, e, o, dt, rules.ev_eta)
        sun = np.resize(homes.pv_forecast_kw[:, b] - homes.load_forecast_kw[:, b], (o * steps, len(b)))
        soc, low, high = homes.soc_kwh[b], homes.bess_min_kwh[b], homes.bess_max_kwh[b]
        worth = np.maximum(homes.own_ask[b] - rules.degradation_usd_per_kwh, 0.0) * rules.bess_eta
        can = homes.v2g_kw[e] > 0
        margin = 1.0 + rules.margin
        sells = homes.own_ask[:, None] * margin <= lmp + incentive
        waits = homes.defer_ask[:, None] * margin <= lmp + incentive
        now = np.arange(o) == 0
        free = ~(homes.blackout_now[:, None] & now)
        hour = public.start.hour + public.start.minute / 60.0 + dt * np.arange(o)
        left = np.maximum(homes.day_left_kwh[b], 0.0)
        return Inputs(
            lmp=lmp,
            sale=lmp + incentive,
            rho=best,
            soc=soc,
            surplus=np.maximum(sun.reshape(o, steps, len(b)).mean(axis=1), 0.0).T,
            value_low=np.minimum(low, soc),
            value_width=(high - np.minimum(low, soc)) / SEGMENTS + 1e-9,
            slopes=np.repeat(worth[:, None], SEGMENTS, axis=1),
            deficit=np.where(homes.plugged[e], homes.ev_deficit_kwh[e], 0.0),
            p_baseline=p_baseline * (waits & free)[e],
            charge_room=np.maximum(homes.ev_kw[e, None] - p_baseline, 0.0) * at_home * free[e],
            v2g_room=homes.v2g_kw[e][can, None] * at_home[can] * (sells & free)[e[can]],
            deficit_room=room,
            back_width=np.ones(len(e)),
            # beyond the horizon a kWh is bought back at what the owner expects to pay for it
            back=np.repeat(homes.defer_ask[e][:, None] / rules.ev_eta, SEGMENTS, axis=1),
            capacity_kw=public.required_kw,
            limits=Limits(
                sell=homes.bess_kw[b, None] * (sells & free)[b],
                buy=homes.bess_kw[b, None] * ((lmp <= homes.buy_limit[b, None]) & free[b]),
                floor=np.maximum(homes.floor_kwh[b], low),
                reserve_b=homes.bess_kw[b, None] * ((homes.reserve_ask[b, None] * margin <= best) & free[b]),
                reserve_e=MUCH * ((homes.reserve_ask[e, None] * margin <= best) & free[e]),
                day_kwh=np.stack([left, homes.day_limit_kwh[b] * max(1.0, np.ceil(self._horizon_hours / 24.0))]),
                today=(hour < 24.0).astype(np.float64),
            ),
        )


def _first(plan: GatePlan, steps: int) -> GatePlan:
    """The plan's first block as intervals of one opportunity."""

    def wide(kw: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.repeat(kw[:, :1], steps, axis=1)

    return replace(
        plan,
        sell_b=wide(plan.sell_b),
        buy_b=wide(plan.buy_b),
        defer=wide(plan.defer),
        back=wide(plan.back),
        v2g=wide(plan.v2g),
    )


def _cars(
    homes: Homes, e: NDArray[np.int64], blocks: int, dt: float, eta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What cars (C,) that are plugged in now would charge by themselves until they are due, by block.

    Returns
    -------
    tuple of ndarray
        (C, O) mean kW of the undispatched car; (C, O) share of the block at home; (C, O) kWh that it may lack at the
        end of the block and still be ready in time. Where a car goes afterwards, and when it is back, nobody knows.
    """
    power, target = homes.ev_kw[e], homes.ev_target_kwh[e]
    soc = homes.ev_soc_kwh[e] + homes.ev_deficit_kwh[e] * homes.plugged[e]
    shape = (len(e), blocks)
    p_baseline, at_home, room = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    due = homes.hours_to_ready[e]
    goal = np.maximum(soc, np.minimum(target, soc + eta * power * due))
    for o in range(blocks):
        here = np.clip(due - o * dt, 0.0, dt) / dt * homes.plugged[e]
        p_baseline[:, o] = np.minimum(power, np.maximum(target - soc, 0.0) / (eta * dt)) * (here >= 1.0)
        at_home[:, o] = here >= 1.0
        soc = soc + eta * dt * p_baseline[:, o]
        left = np.maximum(due - (o + 1) * dt, 0.0)
        room[:, o] = np.maximum(soc - goal + eta * power * left, 0.0)
    return p_baseline, at_home, room
