"""How a run went by day and by price: a few sums that are kept of every run, so that thousands fit into a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.results.run_result import RunResult
from vpp_env.units import DT_H, KWH_PER_MWH

SHARES = np.linspace(0.0, 1.0, 101)
"""Shares of all opportunities, the dearest first, at which market revenue is added up."""
DAILY = ("actual_profit", "net_benefit")
"""Columns of opportunities that are added up by day, USD: the VPP's, and the members' together."""
OWNERS = ("owners_out", "owners_lost")
"""Columns of which a day has the largest: owners."""
PAID = ("energy", "reserve", "programme", "day_ahead")
TAKEN = ("nopay", "deviation")
"""Lines of the ledger that make hourly market revenue, and that lessen it. Firm capacity is paid for evenings and
months: what falls on the hour in which it is booked says nothing of that hour's price."""


@dataclass(frozen=True)
class Course:
    """One run, or the mean of several."""

    days: pd.DataFrame  # a row per day of the run, from the first: `DAILY` and `OWNERS`
    dearest_usd: NDArray[np.float64]  # (101,) hourly market revenue (`PAID`) in the dearest `SHARES` of opportunities
    sold_kwh: float
    sold_usd: float  # at the real-time price
    bought_kwh: float
    bought_usd: float
    mean_price: float  # USD/MWh, of the real-time market over the run
    peak_kw: float  # most that was sold over 15 min


def local_days(table: pd.DataFrame) -> pd.Series:
    """(n,) local day of every row of a table with time stamps, without a zone: a clock may skip its own midnight."""
    days: pd.Series = table["timestamp"].dt.tz_localize(None).dt.normalize()
    return days


def course_of(run: RunResult) -> Course | None:
    """Return the course of a run; None where it left no tables."""
    played, intervals = run.table("opportunities"), run.table("intervals")
    if not len(played) or not len(intervals):
        return None
    days = played.groupby(local_days(played))
    sums, most = days[[c for c in DAILY if c in played]].sum(), days[[c for c in OWNERS if c in played]].max()
    revenue = sum(played[f"money_{name}"] for name in PAID) - sum(played[f"money_{name}"] for name in TAKEN)
    dearest = np.argsort(-played["lmp_price"].to_numpy(dtype=np.float64), kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(np.asarray(revenue, dtype=np.float64)[dearest])])
    price = intervals["lmp_usd_per_mwh"].to_numpy(dtype=np.float64)
    sold, bought = (
        intervals[list(columns)].sum(axis=1).to_numpy(dtype=np.float64)
        for columns in (("defer_kw", "bess_kw", "v2g_kw"), ("bought_kw", "forced_kw"))
    )
    return Course(
        pd.concat([sums, most], axis=1).reset_index(drop=True),
        np.interp(SHARES * (len(summed) - 1), np.arange(len(summed)), summed),
        float(sold.sum() * DT_H),
        float((sold * price).sum() * DT_H / KWH_PER_MWH),
        float(bought.sum() * DT_H),
        float((bought * price).sum() * DT_H / KWH_PER_MWH),
        float(price.mean()),
        float(sold.max()),
    )


def mean_course(courses: Sequence[Course]) -> Course | None:
    """Return the mean of several runs, day by day as far as the shortest goes; None without any."""
    if not courses:
        return None
    days = min(len(c.days) for c in courses)
    table = sum((c.days.iloc[:days].astype(np.float64) for c in courses[1:]), courses[0].days.iloc[:days].astype(float))

    def mean(name: str) -> float:
        return float(np.mean([getattr(c, name) for c in courses]))

    return Course(
        table / len(courses),
        np.mean([c.dearest_usd for c in courses], axis=0),
        mean("sold_kwh"),
        mean("sold_usd"),
        mean("bought_kwh"),
        mean("bought_usd"),
        mean("mean_price"),
        mean("peak_kw"),
    )
