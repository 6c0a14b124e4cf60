"""One home's month told from its run: when it was dispatched, why, and what it earned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vpp_benchmarks.results.run_folder import Stored

PAY = ("pay_sold_usd", "pay_bought_usd", "pay_forced_usd", "pay_reserve_usd")
SEEN = 0.005
"""kWh, kW-h or USD below which nothing is told."""
WRONG = {
    "reserve": "the battery fell below the owner's reserve",
    "ev_not_ready": "the car was not ready",
    "underpaid": "paid less than the owner's own asks",
    "blackout": "dispatched in a window in which the owner wants to be left alone",
    "over_cycling": "the battery was cycled more than the owner wants",
}


def month_of_home(run: Stored, home: int) -> pd.DataFrame:
    """Return the opportunities in which a home was dispatched or violated.

    Columns: timestamp, what happened (`why`), kWh sold and bought, what it earned (`earned_usd`), its own asks for it.
    """
    dispatch, events, prices = run.table("dispatch"), run.table("events"), run.table("prices")
    mine = dispatch[dispatch["prosumer"] == home] if len(dispatch) else dispatch
    wrong = events[(events["prosumer"] == home)] if len(events) else events
    asks = bool(run.manifest["policy"]["asks_consent"])
    by_hour = {int(str(k)): part["kind"].tolist() for k, part in wrong.groupby("opportunity")} if len(wrong) else {}
    steps = _steps(run, prices)
    rows = []
    records: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in mine.to_dict("records")]
    for row in records:
        k = int(row["opportunity"])
        paid = prices["rt_usd_per_mwh"].iloc[k * steps : (k + 1) * steps] / 1000
        rows.append(
            {
                "timestamp": row["timestamp"],
                "why": why(row, float(paid.min()), float(paid.max()), asks, by_hour.pop(k, [])),
                "sold_kwh": row["sold_kwh"] + row["called_kwh"],
                "bought_kwh": row["bought_kwh"] + row["forced_kwh"],
                "earned_usd": sum(row[name] for name in PAY),
                "own_asks_usd": row["owed_usd"],
            }
        )
    # harm that came later: the car that leaves short, the reserve that stays low
    stamps = wrong.groupby("opportunity")["timestamp"].first() if len(wrong) else pd.Series(dtype=object)
    for k, kinds in by_hour.items():
        text = f"not dispatched; {', '.join(WRONG.get(kind, kind) for kind in kinds)}"
        rows.append({"timestamp": stamps[k], "why": text, "sold_kwh": 0.0, "bought_kwh": 0.0, "earned_usd": 0.0,
                     "own_asks_usd": 0.0})  # fmt: skip
    columns = ["timestamp", "why", "sold_kwh", "bought_kwh", "earned_usd", "own_asks_usd"]
    return pd.DataFrame(rows, columns=columns).sort_values("timestamp", ignore_index=True)


def _steps(run: Stored, prices: pd.DataFrame) -> int:
    """Return the 15-min intervals in one opportunity."""
    return max(1, len(prices) // int(run.manifest["scenario"]["planned_timesteps"]))


def why(row: Mapping[str, Any], low: float, high: float, asks: bool, wrong: list[str]) -> str:
    """Say why a home was dispatched in one opportunity.

    Parameters
    ----------
    row : mapping
        A row of the dispatch table.
    low, high : float
        Range of the real-time price, USD/kWh.
    asks : bool
        Whether the policy asks owners at all.
    wrong : list of str
        Kinds of violation in this opportunity.
    """
    parts = []
    market = f"{low:.3f} to {high:.3f} USD/kWh" if high - low >= 0.0005 else f"{low:.3f} USD/kWh"
    if row["sold_kwh"] > SEEN:
        sources = {"putting off charging": "deferred_kwh", "the battery": "bess_kwh", "the car's battery": "v2g_kwh"}
        by = " and ".join(name for name, column in sources.items() if row[column] > SEEN) or "its devices"
        bid = f"bid at {row['ask_usd_per_kwh']:.3f}" if row["ask_usd_per_kwh"] > 0 else "bid at no least price"
        parts.append(f"sold {row['sold_kwh']:.2f} kWh by {by}: {bid}, the market paid {market}")
    if row["called_kwh"] > SEEN:
        parts.append(f"its reserve was called: {row['called_kwh']:.2f} kWh")
    if row["bought_kwh"] > SEEN:
        parts.append(f"bought {row['bought_kwh']:.2f} kWh: the market asked {market}")
    if row["forced_kwh"] > SEEN:
        parts.append(f"bought back {row['forced_kwh']:.2f} kWh, so that the car is ready")
    if row["reserve_kw_h"] > SEEN:
        parts.append(f"stood by with {row['reserve_kw_h']:.2f} kW-h of reserve")
    told = "; ".join(parts) or "a trace of energy"
    agreed = "the home agreed" if row["accepted"] else ("the home did not agree" if asks else "nobody asked the owner")
    beyond = f"; {row['beyond_kwh']:.2f} kWh beyond what the owner allows" if row["beyond_kwh"] > SEEN else ""
    harm = f"; {', '.join(WRONG.get(kind, kind) for kind in wrong)}" if wrong else ""
    return f"{told} ({agreed}){beyond}{harm}"
