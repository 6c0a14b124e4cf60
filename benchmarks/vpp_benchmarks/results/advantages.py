"""What a summary holds flat, one number a field: figures of every policy, and of two the first against the second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

NOTHING = 1e-9
"""USD, score or MWh below which a figure is the rounding of a sum, and no base for a ratio."""


@dataclass(frozen=True)
class Advantages:
    """Figures of a comparison of two, first against second; see docs/files.md."""

    profit_advantage_percent: float | None  # None where it has no meaning
    satisfaction_advantage_percent: float | None
    efficiency_ratio: float | None  # capacity delivered, first / second
    advantage_of: str | None
    advantage_over: str | None
    advantage_notes: Mapping[str, str]  # why one of them is None


NOT_COMPARED = Advantages(None, None, None, None, None, {"all": "defined for two policies only"})
"""Where there are not two policies."""
FLAT = ("total_profit", "avg_satisfaction", "success_rate", "total_violations", "welfare")
"""KPIs that a summary holds flat too, as `<policy>_<kpi>`: one number each, null where there is none."""


def flat(label: str, values: Mapping[str, float | None]) -> dict[str, float | int | None]:
    """Return the flat fields of a policy; a whole number of violations is an integer."""
    out: dict[str, float | int | None] = {f"{label}_{name}": values[name] for name in FLAT}
    count = values["total_violations"]
    if count is not None and count == int(count):
        out[f"{label}_total_violations"] = int(count)
    return out


def compare_figures(
    first: str, second: str, figure: Callable[[str, str], float | None], broken: Sequence[str]
) -> Advantages:
    """Compare two policies by `figure` of label and KPI; `broken` says why they cannot be compared."""
    notes: dict[str, str] = {}

    def compared(name: str, kpi: str, percent: bool) -> float | None:
        a, b = figure(first, kpi), figure(second, kpi)
        if broken or a is None or b is None:
            notes[name] = f"not comparable: {', '.join(broken) or f'{kpi} is not defined'}"
        elif abs(b) < NOTHING:
            notes[name] = f"not defined: {kpi} of {second} is 0"
        else:
            return 100.0 * (a - b) / abs(b) if percent else a / b
        return None

    return Advantages(
        compared("profit_advantage_percent", "total_profit", True),
        compared("satisfaction_advantage_percent", "avg_satisfaction", True),
        compared("efficiency_ratio", "total_capacity_mwh", False),
        first,
        second,
        notes,
    )
