"""Which day is shown: the choice that the picture and the HTML report share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

SOLD_KW = ("defer_kw", "bess_kw", "v2g_kw")
"""What is sold, by device: columns of the interval table."""
INTERVALS_PER_DAY = 96


def busiest_day(tables: Sequence[pd.DataFrame]) -> pd.Timestamp:
    """Local day, of those that all have played (whole days where there is one), on which every panel shows most.

    That is where the policy that sells least sells most.
    """
    sold, whole = [], []
    for table in tables:
        days = table["timestamp"].dt.normalize()
        sold.append(table[list(SOLD_KW)].sum(axis=1).groupby(days).sum())
        whole.append(days.value_counts() >= INTERVALS_PER_DAY - 4)  # the clock may be set forward
    together = pd.concat(sold, axis=1, join="inner")
    full = pd.concat(whole, axis=1, join="inner").all(axis=1).reindex(together.index)
    together = together[full] if full.any() else together
    # where one policy sells nothing on any day, the other decides
    busiest: Any = (together.min(axis=1) + 1e-6 * together.sum(axis=1)).idxmax()
    return pd.Timestamp(busiest)
