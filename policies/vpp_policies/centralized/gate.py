"""Writes a gate down for the dispatch problem, from perfect foresight and the value of what is stored."""

from __future__ import annotations

import numpy as np

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes
from vpp_env.units import DT_H
from vpp_policies.centralized.inputs import MUCH, SEGMENTS, Devices, Inputs, Limits
from vpp_policies.optimal.devices import most_ready
from vpp_policies.optimal.month_value import MonthValue


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
    wishes : bool
        Whether the owners' preferences and least payments bind.
    """

    def __init__(self, homes: Homes, rules: MarketRules, value: MonthValue, opportunities: int, wishes: bool) -> None:
        self.b, self.e = self.who = np.flatnonzero(homes.bess_kwh > 0), np.flatnonzero(homes.ev_kwh > 0)
        self._rules, self._value, self._o, self._wishes = rules, value, opportunities, wishes
        self.devices = Devices(
            power=homes.bess_kw[self.b],
            low=homes.bess_min_kwh[self.b],
            high=homes.bess_max_kwh[self.b],
            v2g=homes.v2g_kw[self.e],
        )
        f = value.foresight
        ready = [most_ready(int(i), homes, f, rules.ev_eta) for i in self.e]
        self._ready = np.array(ready).reshape(len(self.e), f.n_steps + 1)

    def inputs(self, homes: Homes, gate: int, capacity_kw: float, least_kw: float) -> Inputs:
        """Write down gate `gate` (counted from the first one); beyond the end the last step repeats."""
        f, b, e, rules = self._value.foresight, self.b, self.e, self._rules
        steps, dev = f.steps, self.devices
        k = self._o * steps
        rows = np.minimum(np.arange(gate * steps, gate * steps + k), f.n_steps - 1)
        ends = np.minimum(rows[steps - 1 :: steps] + 1, f.n_steps)
        at_home, p_baseline = f.plugged[rows][:, e].T, f.baseline_ev_kw[rows][:, e].T
        soc = homes.soc_kwh[b]
        reach = dev.power * k * DT_H / rules.bess_eta
        low, high = np.maximum(dev.low, soc - reach), np.minimum(dev.high, soc + reach)
        deficit = np.where(homes.plugged[e], homes.ev_deficit_kwh[e], 0.0)
        can = dev.v2g > 0.0
        end = gate + self._o
        # what a car may lack at most by the end of the problem, in kWh of deficit
        gained = np.cumsum(p_baseline, axis=1)[:, steps - 1 :: steps] * DT_H * rules.ev_eta
        held = homes.ev_soc_kwh[e] + homes.ev_deficit_kwh[e]
        physical = np.maximum(held - homes.ev_min_kwh[e], 0.0)[:, None] + gained
        room = np.minimum(physical, self._ready[:, ends]) if self._wishes else physical
        span = np.maximum(np.maximum(room[:, -1], deficit), 1e-6)
        cars = self._value.slopes(slice(len(b), None), end, -span, np.zeros(len(e)), SEGMENTS)
        limits = self._limits(homes, rows, k) if self._wishes else None
        ask = self._asks(f.defer_ask, rows)[e] if self._wishes else None
        black = f.blackout[rows].T
        return Inputs(
            lmp=f.lmp[rows],
            sale=f.sale[rows],
            rho=f.reserve_up[rows].reshape(-1, steps).mean(axis=1),
            soc=soc,
            surplus=f.surplus_kw[rows][:, b].T,
            value_low=low,
            value_width=(high - low) / SEGMENTS,
            slopes=self._value.slopes(slice(0, len(b)), end, low, high, SEGMENTS),
            deficit=deficit,
            p_baseline=p_baseline if ask is None else p_baseline * ((ask <= f.highest_ask[rows] + 1e-9) & ~black[e]),
            charge_room=np.where(
                at_home & ~(black[e] & self._wishes), np.maximum(homes.ev_kw[e, None] - p_baseline, 0.0), 0.0
            ),
            v2g_room=dev.v2g[can, None] * at_home[can] * self._gives(rows, e[can]),
            deficit_room=room,
            back_width=span / SEGMENTS,
            # the price of a deficit rises with it: the store's value falls with what it holds
            back=cars[:, ::-1],
            capacity_kw=capacity_kw,
            least_kw=least_kw,
            limits=limits,
        )

    def _asks(self, asks: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(N, K) asks by interval of (O, N) asks by opportunity."""
        return asks[rows // self._value.foresight.steps].T

    def _gives(self, rows: np.ndarray, who: np.ndarray) -> np.ndarray:
        """(W, K) whether a discharge at the owner's ask would clear, outside blackout windows."""
        f = self._value.foresight
        if not self._wishes:
            return np.ones((len(who), len(rows)))
        own = self._asks(f.own_ask, rows)[who]
        return ((own <= f.highest_ask[rows] + 1e-9) & ~f.blackout[rows].T[who]).astype(np.float64)

    def _limits(self, homes: Homes, rows: np.ndarray, k: int) -> Limits:
        f, b, e, rules = self._value.foresight, self.b, self.e, self._rules
        power, steps = self.devices.power, f.steps
        black = f.blackout[rows].T
        today = f.day[rows[::steps]] == f.day[rows[0]]
        standby = self._asks(f.reserve_ask, rows)[:, ::steps] * (1.0 + rules.margin)
        may = (standby <= f.reserve_up[rows].reshape(-1, steps).min(axis=1) + 1e-12) & ~black.reshape(
            len(black), -1, steps
        ).any(axis=2)
        left = np.maximum(homes.day_left_kwh[b], 0.0)
        return Limits(
            sell=power[:, None] * self._gives(rows, b),
            buy=power[:, None] * ((f.lmp[rows] <= homes.buy_limit[b, None] + 1e-12) & ~black[b]),
            floor=np.maximum(homes.floor_kwh[b], homes.bess_min_kwh[b]),
            reserve_b=may[b] * np.minimum(power, left / rules.reserve_hours)[:, None],
            reserve_e=np.where(may[e], MUCH, 0.0),
            day_kwh=np.stack([left, homes.day_limit_kwh[b] * max(1, int(f.day[rows[-1]] - f.day[rows[0]]))]),
            today=today.astype(np.float64),
        )
