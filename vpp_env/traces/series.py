"""The types that the trace modules make and the world reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from vpp_env.units import Floats, Floats32, Ints

RESERVE_PRODUCTS = ("spin", "nonspin", "regup", "regdown")


@dataclass(frozen=True)
class MarketSeries:
    """Prices of the whole run and its tail, by physics step.

    Arrays have S = n_steps + tail elements; the tail holds what is published ahead (the next day's day-ahead
    prices) and what an oracle looks at near the end. Step 0 is the run's first step.
    """

    da_usd_per_mwh: Floats  # (S,) day-ahead LMP, constant over each clock hour
    rt_usd_per_mwh: Floats  # (S,) real-time LMP, 15 min
    reserve_usd_per_mw: dict[str, Floats]  # product -> (S,) USD/MW per h, constant over each clock hour
    source: dict[str, str] = field(default_factory=dict)  # column -> where it is from, for the manifest


@dataclass(frozen=True)
class DayTraces:
    """The homes' exogenous series of one local day; n is 92, 96 or 100 steps."""

    load_kw: Floats32  # (n, N) float32
    pv_kw: Floats32  # (n, N) float32, AC output
    dep_step: Ints  # (N,) int64: step at which yesterday's session ends; 0 = there is none, n = it goes on all day
    arr_step: Ints  # (N,) int64: step at which the car is plugged in, dep < arr < n; n = it is not
    out_step: Ints  # (N,) int64: step at which today's session ends; n = it goes on
    trip_kwh: Floats  # (N,) float64: battery energy used before `arr_step`, kWh; 0 without a plug-in
