"""`mpc`: model predictive control. It plans the next hours on a forecast, bids the first opportunity, and plans again.

The program is `centralized.problem` with one block per opportunity, inside every owner's envelope and at no less than
every ask. It knows all homes' states and preferences (FULL) and no future: prices are the means of a `Forecaster`'s
samples, load and sun as the day before (persistence), a car is expected to stay until it must be ready. Behind its
horizon stands what a battery is worth when prices are not known (`stochastic.storage`), behind a car's what waiting is.

A plan on means sells nothing in a spike that is rare. So a battery's ask is not the plan's price but what the plan says
a kWh is worth: the dual of its energy balance, for the energy that an hour would take.
"""

from __future__ import annotations

import numpy as np

from vpp_env import (
    BUY_LIMIT_RANGE,
    SELL_ASK_RANGE,
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
from vpp_env.units import Floats, Ints
from vpp_policies.centralized.policy import planned
from vpp_policies.centralized.problem import DispatchProblem
from vpp_policies.evening import Promise
from vpp_policies.forecast import QUARTERS, Forecast, make_forecaster
from vpp_policies.gate.inputs import MUCH, SEGMENTS, Devices, Inputs, Limits, Physics
from vpp_policies.gate.offers import Who, reserve_of
from vpp_policies.stochastic.storage import BEYOND_HOURS, StorageValues
from vpp_policies.stochastic.value import values_at
from vpp_policies.truthful import own_offers


class Mpc:
    """Rolling optimization on forecasts, inside the owners' preferences, with values of storage behind the horizon.

    Parameters
    ----------
    forecaster : str
        A name of `vpp_policies.forecast.FORECASTERS`, or the file of a price model (`vpp-env fit-prices`).
    horizon_hours : float
        How far each plan looks before the values take over. Of 1, 3 and 4 the longer ones earned more on validation
        seeds 1000-1004, 3 in less time (docs/stochastic.md).
    """

    info = PolicyInfo(
        name="mpc",
        information=Information.FULL,
        consent=Consent.NEVER,
        description="plans on forecasts before values of storage, inside every owner's preferences; asks nobody",
    )

    def __init__(self, forecaster: str = "learned", horizon_hours: float = 3.0) -> None:
        if not 1.0 <= horizon_hours <= BEYOND_HOURS:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 1 to {BEYOND_HOURS}")
        self._forecaster, self._horizon_hours = make_forecaster(forecaster), horizon_hours

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._rules = rules
        self._promise = Promise(rules)
        self._storage = StorageValues(rules, self._forecaster, self._promise)
        self.problem: DispatchProblem | None = None
        self.failures = 0

    def _begin(self, homes: Homes) -> DispatchProblem:
        rules = self._rules
        self._blocks = max(1, round(self._horizon_hours / rules.opportunity_hours))
        self._hours = -(-self._blocks * round(rules.opportunity_hours * QUARTERS) // QUARTERS)
        self._who = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        b, e = self._who
        devices = Devices(homes.bess_kw[b], homes.bess_min_kwh[b], homes.bess_max_kwh[b], homes.v2g_kw[e])
        physics = Physics(
            rules.opportunity_hours, rules.bess_eta, rules.ev_eta, rules.degradation_usd_per_kwh, rules.reserve_hours, 1
        )
        # with a gateway the market lets stand by what a sale leaves, and the values count it; without one the plan
        # must hold it back
        return DispatchProblem(devices, physics, self._blocks, reserve=bool(rules.products) and not rules.safeguard)

    def act(self, view: View) -> Bids:
        """Plan, and bid the plan's first opportunity."""
        homes, rules, public = view.homes, self._rules, view.public
        if self.problem is None:
            self.problem = self._begin(homes)
        forecast = self._storage.look(view, self._hours)
        patience = self._storage.patience(view)
        inputs = self.inputs(view, forecast, patience)
        plan, notes = planned(self.problem, inputs, self._who[1], public.opportunity)
        self.failures += "solver_failures" in notes
        ask, limit = self._prices(view, plan.worth_b, forecast)
        own = self._storage.put_into(own_offers(homes, public, rules), view, ask, limit, patience)
        if not rules.safeguard:
            # what is on reserve must be there for a call, which is paid at the second line's ask
            who = Who(*self._who, homes, homes.reserve_ask, asked=True, spared=True, kept=True)
            on_reserve = np.minimum(reserve_of(plan, who, rules.n_homes) * ~homes.blackout_now, homes.reserve_kw)
            own["reserve_kw"] = on_reserve
            own["sell2_kw"] = np.maximum(own["sell2_kw"] - on_reserve, 0.0)
        actions = encode(rules.sell_limit_kw, rules.buy_limit_kw, **own)
        return Bids(actions, notes=notes, capacity=self._promise.kw(view))

    def inputs(self, view: View, forecast: Forecast, patience: Floats) -> Inputs:
        """Write what is known and forecast down for the problem, one block per opportunity.

        `patience` (N,) USD/kWh is what a kWh that a car lacks at the end of the horizon is expected to cost.
        """
        homes, rules, public = view.homes, self._rules, view.public
        (b, e), o, steps, dt = self._who, self._blocks, public.steps, rules.opportunity_hours
        lmp = forecast.points[: o * steps].reshape(o, steps).mean(axis=1)
        known = public.incentive_usd_per_kwh[: o * steps]
        incentive = np.concatenate([known, np.zeros(o * steps - len(known))]).reshape(o, steps).mean(axis=1)
        rho = np.repeat(forecast.reserve_points, QUARTERS)[: o * steps].reshape(o, steps).mean(axis=1)
        best = rho if rules.products else np.zeros(o)
        p_baseline, at_home, room = _cars(homes, e, o, dt, rules.ev_eta)
        sun = np.resize(homes.pv_forecast_kw[:, b] - homes.load_forecast_kw[:, b], (o * steps, len(b)))
        x, left = (of[b] for of in self._storage.state(view))
        high, kept = homes.bess_max_kwh[b], np.maximum(homes.floor_kwh, homes.bess_min_kwh)[b]
        # who starts below what the owner keeps stays there
        soc = np.where(homes.soc_kwh[b] < kept, homes.soc_kwh[b], kept + x)
        low = np.minimum(kept, soc)
        can = homes.v2g_kw[e] > 0
        margin = 1.0 + rules.margin
        sells = homes.own_ask[:, None] * margin <= lmp + incentive
        waits = homes.defer_ask[:, None] * margin <= lmp + incentive
        now = np.arange(o) == 0
        free = ~(homes.blackout_now[:, None] & now)
        hour = public.start.hour + public.start.minute / 60.0 + dt * np.arange(o)
        return Inputs(
            lmp=lmp,
            sale=lmp + incentive,
            rho=best,
            soc=soc,
            surplus=np.maximum(sun.reshape(o, steps, len(b)).mean(axis=1), 0.0).T,
            value_low=low,
            value_width=(high - low) / SEGMENTS + 1e-9,
            slopes=self._slopes(view, low, high),
            deficit=np.where(homes.plugged[e], homes.ev_deficit_kwh[e], 0.0),
            p_baseline=p_baseline * (waits & free)[e],
            charge_room=np.maximum(homes.ev_kw[e, None] * at_home - p_baseline, 0.0) * free[e],
            v2g_room=homes.v2g_kw[e][can, None] * at_home[can] * (sells & free)[e[can]],
            deficit_room=room,
            back_width=np.ones(len(e)),
            back=np.repeat(patience[e][:, None] / rules.ev_eta, SEGMENTS, axis=1),
            capacity_kw=public.required_kw,
            limits=Limits(
                sell=homes.bess_kw[b, None] * (sells & free)[b],
                buy=homes.bess_kw[b, None] * ((lmp <= homes.buy_limit[b, None]) & free[b]),
                floor=kept,
                reserve_b=homes.bess_kw[b, None] * ((homes.reserve_ask[b, None] * margin <= best) & free[b]),
                reserve_e=MUCH * ((homes.reserve_ask[e, None] * margin <= best) & free[e]),
                day_kwh=np.stack([left, homes.day_limit_kwh[b] * max(1.0, np.ceil(self._horizon_hours / 24.0))]),
                today=(hour < 24.0).astype(np.float64),
            ),
        )

    def _prices(self, view: View, worth: Floats, forecast: Forecast) -> tuple[Floats, Floats]:
        """(N,) ask and limit of the batteries, USD/kWh, from what a kWh is worth to the plan, `worth` (B,)."""
        rules, storage, (b, _) = self._rules, self._storage, self._who
        batteries, (x, d), hours = storage.batteries(view), storage.state(view), rules.opportunity_hours
        gives = np.minimum(np.minimum(batteries.kw * hours, x * batteries.eta), d)
        takes = np.minimum(batteries.kw * hours * batteries.eta, batteries.room - x)
        little = 0.02 * batteries.room
        used = gives / batteries.eta
        states = np.stack([x, x - used, x + takes, np.maximum(x - little, 0.0)], axis=1)
        left = np.stack([d, d - gives, d, d], axis=1)
        now, sold, bought, less = values_at(storage.after(view), states, left, batteries).T
        # the plan against the values alone moves both; where it fills a battery it says nothing of a kWh less
        shift = np.zeros(rules.n_homes)
        shift[b] = np.where(worth > 0.0, worth - _ratio(now - less, np.minimum(x, little))[b], 0.0)
        ask = rules.degradation_usd_per_kwh + _ratio(now - sold, gives) + shift / batteries.eta
        limit = (_ratio(bought - now, takes) + shift) * batteries.eta
        ask = np.where(gives > 0.0, np.clip(ask, *SELL_ASK_RANGE), SELL_ASK_RANGE[1])
        limit = np.clip(np.minimum(limit, batteries.limit), *BUY_LIMIT_RANGE)
        if rules.lead:
            asked = np.maximum(ask, batteries.ask) * (1.0 + rules.margin)
            price, weight = forecast.price[0][:, :, None], forecast.weight[0]
            n_sold, n_bought = (weight @ clears.sum(axis=1) for clears in (price >= asked, price <= limit))
            share = hours / QUARTERS
            storage.expect(
                np.minimum(n_sold * batteries.kw * share, gives),
                np.minimum(n_bought * batteries.kw * share * batteries.eta, takes),
            )
        return ask, limit

    def _slopes(self, view: View, low: Floats, high: Floats) -> Floats:
        """(B, SEGMENTS) USD/kWh: what a kWh held at the end of the horizon is worth, non-increasing."""
        storage, (b, _) = self._storage, self._who
        batteries, (x, d) = storage.batteries(view), storage.state(view)
        kept = np.maximum(view.homes.floor_kwh, view.homes.bess_min_kwh)
        levels = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, SEGMENTS + 1)
        above = np.zeros((self._rules.n_homes, SEGMENTS + 1))
        above[b] = levels - kept[b, None]
        end = view.public.start.hour + self._horizon_hours
        # what is given until then is allowed today, and the day's allowance is whole again after midnight
        less = np.maximum(x[:, None] - above, 0.0) * batteries.eta[:, None]
        left = np.maximum(d[:, None] - less, 0.0) if end < 24.0 else np.repeat(batteries.day[:, None], SEGMENTS + 1, 1)
        value = values_at(storage.after(view, self._hours), above, left, batteries)[b]
        return np.minimum.accumulate(np.diff(value, axis=1) / ((high - low) / SEGMENTS + 1e-9)[:, None], axis=1)


def _ratio(usd: Floats, kwh: Floats) -> Floats:
    """USD/kWh; 0 where there is no energy."""
    return np.divide(usd, kwh, out=np.zeros_like(usd), where=kwh > 1e-9)


def _cars(homes: Homes, e: Ints, blocks: int, dt: float, eta: float) -> tuple[Floats, Floats, Floats]:
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
        # a car that is due within the block charges until then
        at_home[:, o] = np.clip(due - o * dt, 0.0, dt) / dt * homes.plugged[e]
        p_baseline[:, o] = np.minimum(power * at_home[:, o], np.maximum(target - soc, 0.0) / (eta * dt))
        soc = soc + eta * dt * p_baseline[:, o]
        room[:, o] = np.maximum(soc - goal + eta * power * np.maximum(due - (o + 1) * dt, 0.0), 0.0)
    return p_baseline, at_home, room
