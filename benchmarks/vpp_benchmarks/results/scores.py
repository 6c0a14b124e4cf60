"""What a policy is short of the ceilings of its month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def scores(kpis: Mapping[str, Any], ceilings: Mapping[str, Any]) -> dict[str, float | None]:
    """Put one policy's KPIs between the floor and the ceilings of its month.

    The floor is doing nothing, which is worth 0 by construction: every figure is a difference from the undispatched
    baseline. So (x - idle) / (U_pref - idle) is x / U_pref. A policy that disregards preferences can score above 1.

    Returns
    -------
    dict
        `regret` and `regret_free`: U_pref and U_free less the joint surplus, USD. `score` and `profit_score`: joint
        surplus and profit over their U_pref; None where U_pref is not above 0.
    """
    with_wishes, surplus = ceilings["preferences"], float(kpis["joint_surplus"])
    return {
        "regret": with_wishes["value"][1] - surplus,
        "regret_free": ceilings["free"]["value"][1] - surplus,
        "score": _share(surplus, with_wishes["value"][1]),
        "profit_score": _share(float(kpis["total_profit"]), with_wishes["profit"][1]),
    }


def price_of_preferences(ceilings: Mapping[str, Any], measure: str) -> float | None:
    """1 - U_pref / U_free; None where U_free is not above 0."""
    kept = _share(ceilings["preferences"][measure][1], ceilings["free"][measure][1])
    return None if kept is None else 1.0 - kept


def _share(x: float, ceiling: float) -> float | None:
    return x / ceiling if ceiling > 0.0 else None
