"""Firm evening capacity of a policy that knows the month: what its devices plan to give is promised."""

from __future__ import annotations

import numpy as np

from vpp_env import DT_H, Homes, MarketRules, View
from vpp_env.units import Floats
from vpp_policies.optimal.month_value import MonthValue

BOLDNESS = 1.3
"""Most that is promised, as a share of what is planned on the mean of the evening: half of a promise must be kept, and
hourly bids give a quarter less than the plan [assumed]."""


def commitment(view: View, rules: MarketRules, value: MonthValue, now: int) -> float | None:
    """KW for tomorrow's evening where its gate is open.

    A call dispatches up to the commitment in every interval, and what is given on the mean of the evening is paid: the
    most that is planned of any interval is promised, as far as half of it is surely kept. An evening that is not called
    is paid as demonstrated on the others, so whoever knows which are called promises the most on it.

    Parameters
    ----------
    now : int
        The interval of `value.foresight` that begins at the gate.
    """
    if not view.public.capacity_gate:
        return None
    f = value.foresight
    evening = np.flatnonzero((f.bonus > 0.0) & (f.day == f.day[now] + 1))
    if not len(evening):
        return rules.max_capacity_kw
    kw = planned_kw(view.homes, value, now, int(evening[-1]) + 1)[evening - now]
    return float(np.clip(min(kw.max(), BOLDNESS * kw.mean()), 0.0, rules.max_capacity_kw))


def planned_kw(homes: Homes, value: MonthValue, now: int, stop: int) -> Floats:
    """(K,) kW that the devices of all who take part plan to give net of what they take in, from `now` to `stop`."""
    steps = value.walk(homes, now, stop)
    kwh = np.zeros(stop - now)
    for device, took, gave in zip(value.solution.devices, steps.took, steps.gave, strict=True):
        if not homes.absent[device.home]:
            kwh += gave @ device.grid_kwh - took.sum(axis=1) / device.eta
    return kwh / DT_H
