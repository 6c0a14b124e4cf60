"""Hourly base shapes of the seeded day-ahead prices, from the packaged months: `python -m vpp_env.traces.price_fit`.

A month's shape is its mean by local hour over its own night price (hours 0-4), days with a price above 3.5 night prices
left out (they are the scarcity premium's). Months of 2023 are first brought to the solar depth and the evening excess
of 2019, the depth and the excess being what a regime draws; then the years are averaged.
"""

from __future__ import annotations

import numpy as np

from vpp_env.traces import price_tables as tables
from vpp_env.traces.price_months import Measured, real_month
from vpp_env.units import Floats

HOT = 3.5
"""Days dearer than this many night prices are left out of the shape; assumed."""
EVENING, NOON, NIGHT = slice(18, 21), slice(10, 15), slice(0, 5)


def shape(month: Measured) -> Floats:
    """(24,) mean day-ahead price by local hour over the night price, hot days left out."""
    days = [month.da[month.day == d] for d in np.unique(month.day)]
    full = np.array([d for d in days if len(d) == 24])
    night = full[:, NIGHT].mean()
    return np.asarray(full[full.max(axis=1) <= HOT * night].mean(axis=0) / night)


def base_shapes() -> Floats:
    """(12, 24) base shapes at solar depth 0 and evening excess 1: those of DLAP_PGAE 2019 and of two DLAPs in 2023."""
    out = np.empty((12, 24))
    for m in range(12):
        here = shape(real_month(f"caiso:PGAE:2019-{m + 1:02d}"))
        others = [
            _as_2019(shape(real_month(f"caiso:{node}:2023-{m + 1:02d}")), here, m) for node in ("PGAE", "SCE") if m >= 5
        ]
        out[m] = 0.5 * here + 0.5 * np.mean(others, axis=0) if others else here
        out[m] /= out[m, NIGHT].mean()
    return out


def _as_2019(other: Floats, here: Floats, m: int) -> Floats:
    """`other` with the noon and the evening of `here`."""
    excess = (other[EVENING].mean() - 1.0) / (here[EVENING].mean() - 1.0)
    sun = tables.sun_shape(m)
    made = other + (here[NOON].mean() - other[NOON].mean()) * sun / sun[NOON].mean()
    scale = 1.0 + (1.0 / excess - 1.0) * np.asarray(tables.PEAK_SHARE)
    return np.where(made > 1.0, 1.0 + (made - 1.0) * scale, made)


if __name__ == "__main__":
    for row in base_shapes():
        print("    (" + ", ".join(f"{v:.2f}" for v in row) + "),")
