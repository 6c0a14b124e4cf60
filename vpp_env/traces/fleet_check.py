"""What a fleet that was brought must be: a value a home, finite, and limits that do not contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from vpp_env.errors import DataError
from vpp_env.traces.fleet import EV_PRIORITIES, N_ORIENTATIONS, PRIVATE_VALUES, PROFILES, Fleet
from vpp_env.units import Flags, Floats

MOST_KWH, MOST_KW = 10_000.0, 10_000.0
"""Largest battery and power of a home that is believed. Assumed; a value beyond is of another unit."""


def check_fleet(fleet: Fleet, names: Sequence[str] = ()) -> None:
    """Raise `DataError` where a fleet that was brought is none: shapes, finite values, limits that contradict.

    Parameters
    ----------
    fleet : Fleet
        What was brought.
    names : sequence of str, optional
        (N,) names of the homes, for messages; their row otherwise.
    """
    n = fleet.n
    for f in fields(fleet):
        values, shape = getattr(fleet, f.name), (n, 2, 2) if f.name == "blackout" else (n,)
        if not isinstance(values, np.ndarray) or values.shape != shape:
            got = getattr(values, "shape", type(values).__name__)
            raise DataError(f"fleet.{f.name}: got {got}; allowed is an array of shape {shape}, one value a home")
    quarter = fleet.ready_minutes
    windows = fleet.blackout
    none, ordered = windows == -1, (windows[:, :, 0] >= 0) & (windows[:, :, 0] < windows[:, :, 1])
    rules = [
        ("bess_kwh", (fleet.bess_kwh >= 0) & (fleet.bess_kwh <= MOST_KWH), f"0 (none) to {MOST_KWH:g} kWh"),
        ("ev_kwh", (fleet.ev_kwh >= 0) & (fleet.ev_kwh <= MOST_KWH), f"0 (none) to {MOST_KWH:g} kWh"),
        ("pv_kwp", (fleet.pv_kwp >= 0) & (fleet.pv_kwp <= MOST_KW), f"0 (none) to {MOST_KW:g} kWp"),
        ("bess_kw", _power(fleet.bess_kw, fleet.bess_kwh), f"above 0 to {MOST_KW:g} kW with a battery, 0 without"),
        ("ev_kw", _power(fleet.ev_kw, fleet.ev_kwh), f"above 0 to {MOST_KW:g} kW with a car, 0 without"),
        (
            "v2g_kw",
            (fleet.v2g_kw >= 0) & (fleet.v2g_kw <= np.where(fleet.has_ev, MOST_KW, 0.0)),
            "0, or more with a car",
        ),
        ("bess_min_kwh", (fleet.bess_min_kwh >= 0) & (fleet.bess_min_kwh <= fleet.bess_init_kwh), "0 to bess_init_kwh"),
        ("bess_init_kwh", fleet.bess_init_kwh <= fleet.bess_max_kwh, "at most bess_max_kwh"),
        ("bess_max_kwh", fleet.bess_max_kwh <= fleet.bess_kwh, "at most bess_kwh"),
        ("ev_min_kwh", (fleet.ev_min_kwh >= 0) & (fleet.ev_min_kwh <= fleet.ev_kwh), "0 to ev_kwh"),
        ("ev_target_kwh", (fleet.ev_target_kwh >= 0) & (fleet.ev_target_kwh <= fleet.ev_kwh), "0 to ev_kwh"),
        ("floor_kwh", (fleet.floor_kwh >= 0) & (fleet.floor_kwh <= fleet.bess_kwh), "0 to bess_kwh"),
        ("orientation", (fleet.orientation >= 0) & (fleet.orientation < N_ORIENTATIONS), f"0 to {N_ORIENTATIONS - 1}"),
        ("load_kw", (fleet.load_kw >= 0) & (fleet.load_kw <= MOST_KW), f"0 to {MOST_KW:g} kW"),
        ("profile", (fleet.profile >= 0) & (fleet.profile < len(PROFILES)), ", ".join(PROFILES)),
        ("ev_priority", (fleet.ev_priority >= 0) & (fleet.ev_priority < len(EV_PRIORITIES)), ", ".join(EV_PRIORITIES)),
        (
            "ready_minutes",
            (quarter >= 0) & (quarter < 1440) & (quarter % 15 == 0),
            "quarters of the day, 0 to 1425 min",
        ),
        (
            "blackout",
            (none.all(axis=2) | (ordered & (windows[:, :, 1] <= 672))).all(axis=1),
            "from < to, 0 to 672, or -1",
        ),
        *((name, _share(getattr(fleet, name)), "0 to 1") for name in ("willingness", "max_discharge")),
        *(
            (name, getattr(fleet, name) >= 0, "0 or more")
            for name in (*PRIVATE_VALUES, "backup_hours", "expected_gain")
        ),
        *((name, getattr(fleet, name) > 0, "above 0") for name in ("cycles_per_day", "tolerance")),
    ]
    for f in fields(fleet):
        values = getattr(fleet, f.name).reshape(n, -1)
        rules.append((f.name, (np.isfinite(values) & (np.abs(values) < 1e9)).all(axis=1), "finite numbers below 1e9"))
    for name, ok, allowed in rules:
        if not ok.all():
            i = int(np.argmin(ok))
            home = names[i] if len(names) else f"row {i}"
            got = getattr(fleet, name)[i].tolist()
            raise DataError(
                f"home {home}: {name} is {got}; allowed is {allowed}; correct it, or leave it empty: then it is drawn"
            )


def _power(kw: Floats, kwh: Floats) -> Flags:
    return np.where(kwh > 0, (kw > 0) & (kw <= MOST_KW), kw == 0)


def _share(values: Floats) -> Flags:
    return (values >= 0) & (values <= 1)
