"""Small gates of the dispatch problem, written down by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from vpp_policies.gate.inputs import SEGMENTS, Devices, Inputs, Physics

PHYSICS = Physics(dt=0.25, eta_b=0.95, eta_e=0.92, wear=0.063, reserve_h=0.5, steps=4)
"""Four quarter hours."""
NONE = np.zeros(0)


def gate(lmp: np.ndarray, opportunities: int = 1, **changes: Any) -> Inputs:
    """A gate without devices, where nothing binds; `changes` are fields of `Inputs`."""
    k, o = len(lmp), opportunities
    fields: dict[str, Any] = {
        "lmp": lmp,
        "sale": lmp,
        "rho": np.zeros(o),
        "soc": NONE,
        "surplus": np.zeros((0, k)),
        "value_low": NONE,
        "value_width": NONE,
        "slopes": np.zeros((0, SEGMENTS)),
        "deficit": NONE,
        "p_baseline": np.zeros((0, k)),
        "charge_room": np.zeros((0, k)),
        "v2g_room": np.zeros((0, k)),
        "deficit_room": np.zeros((0, o)),
        "back_width": NONE,
        "back": np.zeros((0, SEGMENTS)),
        "capacity_kw": 1e6,
    }
    return Inputs(**(fields | changes))


def batteries(lmp: np.ndarray, powers: np.ndarray, worth: np.ndarray, **changes: Any) -> tuple[Devices, Inputs]:
    """Batteries of 10 kWh, half full, without cars; what they keep is worth `worth` (B,) USD/kWh."""
    n = len(powers)
    low, high = np.zeros(n), np.full(n, 10.0)
    fields: dict[str, Any] = {
        "soc": np.full(n, 5.0),
        "surplus": np.zeros((n, len(lmp))),
        "value_low": low,
        "value_width": (high - low) / SEGMENTS,
        "slopes": np.repeat(worth[:, None], SEGMENTS, axis=1),
    }
    return Devices(powers, low, high, NONE), gate(lmp, **(fields | changes))
