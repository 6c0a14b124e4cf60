"""The wide table of a comparison: one row per opportunity, the policies side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vpp_benchmarks.run.job import JobResult
from vpp_env.simulation.month import Month
from vpp_env.units import KWH_PER_MWH

PER_POLICY = (
    "success",
    "bid_capacity_mw",
    "bid_price_mwh",
    "expected_profit",
    "actual_profit",
    "prosumer_satisfaction",
    "preference_violations",
    "negotiation_rounds",
    "coalition_size",
    "optimization_time",
    "capacity_utilization",
)
"""Columns of each policy, written `<label>_<column>`."""
DIFFERENCES = {
    "profit_difference": "actual_profit",
    "satisfaction_difference": "prosumer_satisfaction",
    "capacity_difference_mw": "bid_capacity_mw",
    "price_difference_mwh": "bid_price_mwh",
}
"""First policy minus second, of a comparison of two."""
TIMING = ("optimization_time",)
"""The only columns that differ between two runs of the same seed."""


def results_table(month: Month, results: Sequence[JobResult]) -> pd.DataFrame:
    """Return one row per opportunity that any policy has played.

    A policy that stopped early (failed, interrupted) has empty cells from there on.
    """
    rows = max((len(r.opportunities) for r in results), default=0)
    parts = [_shared(month, rows)]
    for result in results:
        played = result.opportunities.reindex(columns=list(PER_POLICY))
        if len(played) < rows:
            played = played.reindex(range(rows))
        parts.append(played.add_prefix(f"{result.label}_").reset_index(drop=True))
    table = pd.concat(parts, axis=1)
    if len(results) == 2:
        first, second = results[0].label, results[1].label
        for name, column in DIFFERENCES.items():
            left, right = (pd.to_numeric(table[f"{label}_{column}"]) for label in (first, second))
            table[name] = left - right
    return table


def _shared(month: Month, rows: int) -> pd.DataFrame:
    """Columns that all policies share: local start with offset, USD/MWh, USD/MW per h.

    They come from the month, so that they are there even if every policy fails.
    """
    steps = month.scenario.steps_per_opportunity
    series, local = month.series, month.calendar.local

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(values[: rows * steps], dtype=np.float64).reshape(rows, steps).mean(axis=1)

    reserve = series.reserve_usd_per_mw if month.scenario.market.reserve else {}
    none = np.full(rows, np.nan)
    return pd.DataFrame(
        {
            "timestamp": [stamp.isoformat() for stamp in local[: rows * steps : steps]],
            # through USD/kWh and back, as the record has it: the same bits
            "lmp_price": mean(series.rt_usd_per_mwh / KWH_PER_MWH) * KWH_PER_MWH,
            "spin_price": mean(reserve["spin"] / KWH_PER_MWH) * KWH_PER_MWH if "spin" in reserve else none,
            "nonspin_price": mean(reserve["nonspin"] / KWH_PER_MWH) * KWH_PER_MWH if "nonspin" in reserve else none,
        }
    )


def to_csv(table: pd.DataFrame) -> str:
    """Write the table: ten significant digits, nothing below 1e-9, empty cells where there is no value."""
    # rounding noise such as -5.6e-17 USD is no figure; + 0.0 turns -0 into 0
    numbers = table.select_dtypes("float").round(9) + 0.0
    return table.assign(**numbers).to_csv(index=False, float_format="%.10g", lineterminator="\n")
