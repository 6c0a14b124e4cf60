"""The types that the trace modules make and the world reads, and the autoregression that they share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vpp_env.errors import DataError
from vpp_env.jit import kernel
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

    def __post_init__(self) -> None:
        """No value that is not finite enters a month, whoever made it."""
        named = {"da": self.da_usd_per_mwh, "rt": self.rt_usd_per_mwh} | self.reserve_usd_per_mw
        for name, values in named.items():
            bad = ~np.isfinite(values)
            if bad.any():
                raise DataError(
                    f"prices {name}: step {int(np.argmax(bad))} holds {values[int(np.argmax(bad))]}"
                    f" ({int(bad.sum())} such steps); allowed are finite numbers: fill or correct them"
                )


@dataclass(frozen=True)
class DayTraces:
    """The homes' exogenous series of one local day; n is 92, 96 or 100 steps."""

    load_kw: Floats32  # (n, N) float32
    pv_kw: Floats32  # (n, N) float32, AC output
    dep_step: Ints  # (N,) int64: step at which yesterday's session ends; 0 = there is none, n = it goes on all day
    arr_step: Ints  # (N,) int64: step at which the car is plugged in, dep < arr < n; n = it is not
    out_step: Ints  # (N,) int64: step at which today's session ends; n = it goes on
    trip_kwh: Floats  # (N,) float64: battery energy used before `arr_step`, kWh; 0 without a plug-in


def ar1(noise: Floats, phi: float) -> Floats:
    """Unit-variance AR(1) driven by standard normals (n,); forward only: a prefix does not see what follows."""
    return _ar1(np.ascontiguousarray(noise), phi, float(np.sqrt(1.0 - phi**2)))


@kernel
def _ar1(noise: Floats, phi: float, scale: float) -> Floats:
    made = np.empty_like(noise)
    made[0] = noise[0]  # starts in the stationary state
    for t in range(1, len(noise)):
        made[t] = phi * made[t - 1] + scale * noise[t]
    return made
