"""The tables of one seed, its policies beside each other (wide, CSV) or below each other (long, parquet)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.results.run_result import RunResult, is_time
from vpp_env.units import KWH_PER_MWH

LONG = ("opportunities", "intervals", "prosumers")
"""Tables that are put together for a seed."""
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


def wide_table(runs: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row per opportunity that any policy has played.

    A policy that stopped early (failed, interrupted) has empty cells from there on.
    """
    rows = max((run.played for run in runs), default=0)
    prices = next((run.table("prices") for run in runs if "prices" in run.tables), pd.DataFrame())
    parts = [_shared(prices, rows, len(prices) // runs[0].origin.scenario.planned_timesteps)]
    for run in runs:
        played = run.table("opportunities").reindex(columns=list(PER_POLICY))
        if len(played) < rows:
            played = played.reindex(range(rows))
        parts.append(played.add_prefix(f"{run.label}_").reset_index(drop=True))
    table = pd.concat(parts, axis=1)
    if len(runs) == 2:
        first, second = runs[0].label, runs[1].label
        for name, column in DIFFERENCES.items():
            left, right = (pd.to_numeric(table[f"{label}_{column}"]) for label in (first, second))
            table[name] = left - right
    return table


def _shared(prices: pd.DataFrame, rows: int, steps: int) -> pd.DataFrame:
    """Columns that all policies share: local start with offset, USD/MWh, USD/MW per h.

    They come from the market's prices, so that they are there even if every policy fails; `steps` is the number of
    15-min intervals in an opportunity.
    """

    def mean(column: str) -> NDArray[np.float64]:
        """(rows,) through USD/kWh and back, as the record has it: the same bits."""
        if column not in prices:
            return np.full(rows, np.nan)
        values = prices[column].to_numpy(dtype=np.float64)[: rows * steps] / KWH_PER_MWH
        return values.reshape(rows, steps).mean(axis=1) * KWH_PER_MWH

    stamps = prices["timestamp"].iloc[: rows * steps : steps] if rows else ()
    return pd.DataFrame(
        {
            "timestamp": [stamp.isoformat() for stamp in stamps],
            "lmp_price": mean("rt_usd_per_mwh"),
            "spin_price": mean("spin_usd_per_mw"),
            "nonspin_price": mean("nonspin_usd_per_mw"),
        }
    )


def long_tables(runs: Sequence[RunResult]) -> dict[str, pd.DataFrame]:
    """Return the long tables by name, with a column `policy`; times stand in a table of their own."""
    out: dict[str, pd.DataFrame] = {}
    for name in LONG:
        tables = [(run.label, run.table(name)) for run in runs]
        out[name] = _long([(label, t.drop(columns=[c for c in t.columns if is_time(c)])) for label, t in tables])
    times = []
    for run in runs:
        t = run.table("opportunities")
        times.append((run.label, t[[c for c in t.columns if is_time(c) or c in ("opportunity", "timestamp")]]))
    return out | {"timing": _long(times)}


def _long(parts: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    frames = [frame.assign(policy=label) for label, frame in parts if len(frame)]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"policy": pd.Series(dtype="str")})
    table.insert(0, "policy", table.pop("policy"))
    return table


def message_lines(runs: Sequence[RunResult]) -> list[str]:
    """Return the messages of the policies that negotiate, each a line of JSON, the policy first."""
    return [
        f'{{"policy": {json.dumps(run.label)}, {text[1:]}'
        for run in runs
        if "transcripts" in run.tables
        for text in run.table("transcripts")["message"]
    ]


def to_csv(table: pd.DataFrame) -> str:
    """Write the table: ten significant digits, nothing below 1e-9, empty cells where there is no value."""
    # rounding noise such as -5.6e-17 USD is no figure; + 0.0 turns -0 into 0
    numbers = table.select_dtypes("float").round(9) + 0.0
    return table.assign(**numbers).to_csv(index=False, float_format="%.10g", lineterminator="\n")
