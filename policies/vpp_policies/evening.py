"""Firm evening capacity: how much to promise for tomorrow, from what past evenings could have given."""

from __future__ import annotations

import numpy as np

from vpp_env import Homes, MarketRules, Public, View
from vpp_env.units import Floats
from vpp_policies.truthful import envelope_kwh

QUANTILE = 0.2
"""Of past evenings: four of five could have given as much."""
BOLDNESS = 2.2
"""What is promised, as a share of that: a promise is paid for what was given of it, and costs nothing while half of it
is. Of 1.5, 2, 2.5 and 3 the best were 2.5 and 2 on validation seeds 1000-1002; 3 was clawed back twice."""
WAITING = 0.5
"""Share of the charging that could wait in the evening's first hour which can do so on the mean of the evening
[assumed]."""
CALLED_BONUS = 5.0
"""What a kWh given on a called evening is taken to bring, in days of pay per kW and hour: a called evening is paid for
itself, and shows what uncalled ones are paid for [assumed]."""


def able_kw(homes: Homes, rules: MarketRules) -> Floats:
    """(N,) kW that each home can give throughout an evening at an ask at which a call dispatches."""
    first, last = rules.capacity_hours
    strike = rules.capacity_call_usd_per_kwh / (1.0 + rules.margin)
    battery = np.minimum(homes.bess_kw, envelope_kwh(homes, rules) / (last - first)) * (homes.own_ask <= strike)
    return battery + WAITING * homes.defer_mean_kw * (homes.defer_ask <= strike)


def evening_bonus(public: Public, rules: MarketRules, hours: int) -> Floats:
    """(hours,) USD/kWh that energy of a called evening is worth beside its price, from delivery on."""
    steps = 4 * hours
    first, last = rules.capacity_hours
    usd = CALLED_BONUS * rules.capacity_usd_per_kw_month / 30.0 / (last - first)
    called = np.zeros(steps)
    promised = (public.capacity_called & (public.capacity_kw > 0.0))[:steps]
    called[: len(promised)] = promised
    return usd * called.reshape(hours, 4).mean(axis=1)


class Promise:
    """The commitment of a fleet whose homes say what they could give."""

    def __init__(self, rules: MarketRules) -> None:
        self._rules = rules
        self._past: list[float] = []

    def bonus(self, view: View, hours: int) -> Floats:
        """(hours,) USD/kWh that energy of a called evening is worth beside its price, from delivery on."""
        return evening_bonus(view.public, self._rules, hours)

    def kw(self, view: View) -> float | None:
        """Commit what the homes of a view can give; see `commit`."""
        return self.commit(view.public, able_kw(view.homes, self._rules))

    def commit(self, public: Public, able: Floats) -> float | None:
        """Take note of the evening that begins; kW for tomorrow's where its gate is open. Call it at every gate.

        Parameters
        ----------
        public : Public
            Of the gate.
        able : ndarray
            (N,) kW that each home could give throughout an evening from delivery on (`able_kw`).
        """
        rules = self._rules
        if rules.capacity_usd_per_kw_month <= 0.0:
            return None
        if public.start.hour == int(rules.capacity_hours[0]) and public.start.minute == 0:
            self._past.append(float(able.sum()))
        if not public.capacity_gate or not self._past:
            return None
        kw = BOLDNESS * float(np.quantile(self._past, QUANTILE))
        return min(kw, rules.max_capacity_kw) if kw >= rules.min_bid_kw else 0.0
