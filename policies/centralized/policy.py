"""`centralized`: one optimizer that knows everything and asks nobody.

Perfect information (every true state, load, sun, trip and price of the future) and full control down to the hard
limits; the owners' preferences are ignored on purpose, and every violation that this causes is counted by the same
evaluator as everybody else's. It maximises the market value of the fleet's flexibility (revenue less wear).
"""

from __future__ import annotations

import numpy as np

from policies.centralized.problem import SEGMENTS, Devices, DispatchProblem, Inputs, Physics, Plan
from policies.centralized.value import GRID, SHARES, buy_back_price, pieces, values
from vpp_env.bids import Bids, encode
from vpp_env.errors import PolicyError
from vpp_env.policy import Brief, Consent, PolicyInfo
from vpp_env.units import BUY_LIMIT_RANGE, DT_H, PRICE_TICK, SELL_ASK_RANGE
from vpp_env.views import Future, Information, View

MOST_KW = 1e-6
"""Power below this is the solver's rounding."""


class Centralized:
    """CVXPY dispatch with perfect information, ignoring preferences.

    Parameters
    ----------
    horizon_hours : float
        Length of the dispatch problem; at least one opportunity. Beyond it, stored energy is worth what each
        battery alone could still earn with it (`value`), so that one opportunity (0, the default) is enough unless
        the VPP's maximum binds.
    """

    info = PolicyInfo(
        name="centralized",
        information=Information.ORACLE,
        consent=Consent.NEVER,
        description="CVXPY with perfect information and control; ignores preferences and asks nobody",
    )

    def __init__(self, horizon_hours: float = 0.0) -> None:
        if not 0.0 <= horizon_hours <= 168.0:
            raise PolicyError(f"horizon_hours: got {horizon_hours}; allowed is 0 (one opportunity) to 168")
        self._horizon_hours = horizon_hours

    def reset(self, brief: Brief, rng: np.random.Generator) -> None:
        """Keep the rules; the problem is built at the first gate, when the devices are seen."""
        self._brief = brief
        self.problem: DispatchProblem | None = None
        self.failures = 0

    def _begin(self, view: View) -> None:
        """Build the problem, and work out what stored energy is worth in every opportunity to come."""
        homes, brief = view.homes, self._brief
        self._b = np.flatnonzero(homes.bess_kwh > 0)
        self._e = np.flatnonzero(homes.ev_kwh > 0)
        self._steps = round(brief.opportunity_hours / DT_H)
        self._physics = Physics(
            DT_H, brief.bess_eta, brief.ev_eta, brief.degradation_usd_per_kwh, brief.reserve_hours, self._steps
        )
        self._ahead = max(1, round(self._horizon_hours / brief.opportunity_hours))
        self._devices = Devices(
            power=homes.bess_kw[self._b],
            low=homes.bess_min_kwh[self._b],
            high=homes.bess_max_kwh[self._b],
            v2g=homes.v2g_kw[self._e],
        )
        self.problem = DispatchProblem(self._devices, self._physics, self._ahead, reserve=bool(brief.products))
        future = view.future(1e6)
        phys, dev = self._physics, self._devices
        self._value = values(
            dev.low,
            dev.high,
            dev.power,
            np.ascontiguousarray(_surplus(future)[:, self._b]),
            np.ascontiguousarray(future.rt_usd_per_kwh),
            _best_reserve(future),
            SHARES,
            (phys.dt, phys.eta_b, phys.wear, phys.reserve_h),
            self._steps,
            GRID,
        )
        self._first = view.public.opportunity

    def act(self, view: View) -> Bids:
        """Solve one gate and bid the plan of its first opportunity."""
        if self.problem is None:
            self._begin(view)
        assert self.problem is not None
        inputs = self.inputs(view)
        plan = self.problem.solve(inputs)
        notes = {"optimization_s": plan.seconds}
        if plan.status != "optimal":
            self.failures += 1
            notes["solver_failures"] = 1.0
        actions, expected = self._bid(plan, inputs.lmp[: self._steps], inputs.rho[:1])
        notes["coalition_size"] = float((actions.max(axis=1, where=_QUANTITIES, initial=-1.0) > -1.0).sum())
        return Bids(actions, accepted=None, expected_profit_usd=expected, notes=notes)

    def inputs(self, view: View) -> Inputs:
        """Write the gate down for the problem."""
        homes, steps, b, e = view.homes, self._steps, self._b, self._e
        k = self._ahead * steps
        future = view.future((k + 96) * DT_H)
        lmp = _pad(future.rt_usd_per_kwh, k)
        plugged = _pad(future.plugged, k)[:k, e].T
        p_twin = _pad(future.twin_ev_kw, k)[:k, e].T
        can = homes.v2g_kw[e] > 0
        held = homes.ev_soc_kwh[e] + homes.ev_deficit_kwh[e]
        gained = np.cumsum(p_twin, axis=1)[:, steps - 1 :: steps] * DT_H * self._physics.eta_e
        due = np.rint(homes.hours_to_ready[e] / DT_H).astype(np.int64)
        end = min(view.public.opportunity - self._first + self._ahead, len(self._value) - 1)
        dev, soc = self._devices, homes.soc_kwh[b]
        # what a battery can reach within the horizon
        reach = dev.power * k * DT_H / self._physics.eta_b
        low, high = np.maximum(dev.low, soc - reach), np.minimum(dev.high, soc + reach)
        width = (high - low) / SEGMENTS
        return Inputs(
            lmp=lmp[:k],
            rho=_pad(_best_reserve(future), k)[:k].reshape(-1, steps).mean(axis=1),
            soc=soc,
            surplus=_pad(_surplus(future), k)[:k, b].T,
            value_low=low,
            value_width=width,
            slopes=pieces(self._value[end], dev.low, dev.high, low, width, SEGMENTS),
            deficit=np.where(homes.plugged[e], homes.ev_deficit_kwh[e], 0.0),
            p_twin=p_twin,
            charge_room=np.where(plugged, np.maximum(homes.ev_kw[e, None] - p_twin, 0.0), 0.0),
            v2g_room=np.where(plugged[can], homes.v2g_kw[e][can, None], 0.0),
            # the car's hard minimum; its trips are not a limit here, they are a preference
            deficit_room=np.maximum(held - homes.ev_min_kwh[e], 0.0)[:, None] + gained,
            back=buy_back_price(lmp, due, k),
            capacity_kw=view.public.required_kw,
        )

    def _bid(self, plan: Plan, lmp: np.ndarray, rho: np.ndarray) -> tuple[np.ndarray, float]:
        """Turn the first opportunity of the plan into one bid per home."""
        brief, s = self._brief, self._steps
        n = brief.n_homes
        sell, buy, reserve = np.zeros((n, s)), np.zeros((n, s)), np.zeros(n)
        sell[self._b] += plan.sell_b[:, :s]
        sell[self._e] += plan.defer[:, :s] + plan.v2g[:, :s]
        buy[self._b] += plan.buy_b[:, :s]
        buy[self._e] += plan.back[:, :s]
        reserve[self._b] += plan.reserve_b[:, 0]
        reserve[self._e] += plan.reserve_e[:, 0]
        sell_kw, sell_k = spread(sell)
        buy_kw, buy_k = spread(buy)
        ask = sell_threshold(lmp, sell_k, brief.margin)
        limit = buy_threshold(lmp, buy_k)
        actions = encode(
            brief.sell_limit_kw,
            brief.buy_limit_kw,
            sell_kw=sell_kw,
            sell_ask=ask,
            buy_kw=buy_kw,
            buy_limit=limit,
            reserve_kw=reserve,
            reserve_ask=0.0,
        )
        pay = np.maximum(ask[:, None], brief.revenue_share * lmp)
        kept = (1.0 - brief.revenue_share) * reserve.sum() * max(float(rho[0]), 0.0) * s
        expected = float(DT_H * ((sell * (lmp - pay)).sum() + kept))
        return actions, expected


_QUANTITIES = np.array([True, False, True, False, True, False])


def _surplus(future: Future) -> np.ndarray:
    """(H, N) kW of own sun left over, which a home stores by itself."""
    return np.maximum(future.pv_kw - future.load_kw - future.twin_ev_kw, 0.0).astype(np.float64)


def _best_reserve(future: Future) -> np.ndarray:
    """(H,) best price of an upward reserve product, USD/kW-h; zeros where none is sold."""
    prices = [p for name, p in future.reserve_usd_per_kw_h.items() if name != "regdown"]
    return np.max(prices, axis=0) if prices else np.zeros(len(future.rt_usd_per_kwh))


def _pad(array: np.ndarray, length: int) -> np.ndarray:
    """Repeat the last row where the known future is shorter than the horizon."""
    missing = length - len(array)
    return array if missing <= 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def spread(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (N, S) planned kW into one quantity per home and the number of intervals in which it is meant.

    A bid holds one quantity for the whole opportunity; the plan's energy is spread over the intervals that carry
    at least half of its peak.
    """
    peak = power.max(axis=1)
    used = (power >= 0.5 * peak[:, None]) & (peak[:, None] > MOST_KW)
    count = used.sum(axis=1)
    kw = np.divide(power.sum(axis=1), count, out=np.zeros(len(power)), where=count > 0)
    return kw, count


def sell_threshold(lmp: np.ndarray, count: np.ndarray, margin: float) -> np.ndarray:
    """(N,) lowest ask that clears in the `count` dearest intervals only, USD/kWh.

    Low, because a member is paid at least its ask: nobody asked for more.
    """
    ordered = np.sort(lmp)[::-1]
    following = np.append(ordered, -np.inf)[np.clip(count, 0, len(lmp))]
    # the next interval clears up to this tick; one above it does not
    tick = np.floor(following / (1.0 + margin) / PRICE_TICK + 1e-9) + 1.0
    return np.clip(np.where(np.isfinite(following), tick * PRICE_TICK, 0.0), *SELL_ASK_RANGE)


def buy_threshold(lmp: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(N,) limit that clears in the `count` cheapest intervals, USD/kWh."""
    ordered = np.sort(lmp)
    last = ordered[np.clip(count - 1, 0, len(lmp) - 1)]
    limit = np.where(count > 0, np.ceil(last / PRICE_TICK - 1e-9) * PRICE_TICK, BUY_LIMIT_RANGE[0])
    return np.clip(limit, *BUY_LIMIT_RANGE)
