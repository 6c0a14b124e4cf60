"""Learning curves of several training seeds (`vpp-env curves`).

Reads what `vpp-env train` writes beside its weights. At every time a curve is the interquartile mean over training
seeds and validation months of the welfare of the policy that is judged then, less the welfare of `truthful` in the same
month; its interval is the 95 % percentile bootstrap of Agarwal et al. 2021 ("Deep reinforcement learning at the edge of
the statistical precipice"), stratified by months: the training seeds of every month are drawn again, months stay. Their
library, rliable 1.2, needs arch 7, which does not import beside pandas 3; the statistics are these few lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from vpp_env.errors import DataError, needs
from vpp_env.units import Floats

RESAMPLES = 2000
POINTS = 12
"""Times at which a curve is worked out, from the first look to the shortest run's last."""


def iqm(values: Floats) -> float:
    """Interquartile mean of all values."""
    return float(trim_mean(values, 0.25, axis=None))


def interval(values: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """95 % stratified bootstrap interval of `iqm` of (S, K) values: S seeds are drawn again in each of K months."""
    seeds, months = values.shape
    drawn = rng.integers(seeds, size=(RESAMPLES, seeds, months))
    means = trim_mean(values[drawn, np.arange(months)].reshape(RESAMPLES, -1), 0.25, axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def read(file: Path) -> pd.DataFrame:
    """Looks of a training run, `seconds` and `month_0` to `month_K` in each.

    Raises
    ------
    DataError
        When it is not what `vpp-env train` writes.
    """
    try:
        looks = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}); allowed is a .csv that `vpp-env train` wrote") from error
    if not {"seconds", "month_0"} <= set(looks.columns):
        raise DataError(f"{file} has columns {list(looks.columns)}; allowed is a .csv that `vpp-env train` wrote")
    numbers = looks[["seconds", *months_of(looks)]]
    if (
        looks.empty
        or not all(map(pd.api.types.is_numeric_dtype, numbers.dtypes))
        or not np.isfinite(numbers.to_numpy()).all()
    ):
        raise DataError(f"{file} holds no numbers in some look; allowed is a .csv that `vpp-env train` wrote")
    return looks


def months_of(looks: pd.DataFrame) -> list[str]:
    """Columns with the welfare of a validation month each."""
    return list(looks.filter(regex=r"^month_[0-9]+$").columns)


def curve(runs: Sequence[pd.DataFrame], reference: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """One row for each time: `seconds`, `iqm`, `low`, `high`, `mean`, USD above `reference` (K,)."""
    last = min(float(looks.seconds.iloc[-1]) for looks in runs)
    first = max(float(looks.seconds.iloc[0]) for looks in runs)
    rows = []
    for now in np.linspace(first, last, POINTS):
        # of every run the last look until now
        at = [looks[looks.seconds <= now].iloc[-1][months_of(looks)].to_numpy(dtype=np.float64) for looks in runs]
        above = np.stack(at) - reference
        rows.append((now, iqm(above), *interval(above, rng), float(above.mean())))
    return pd.DataFrame(rows, columns=["seconds", "iqm", "low", "high", "mean"])


def draw(curves: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw curves with their intervals into a file."""
    with needs("a figure"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for label, rows in curves.items():
        axes.plot(rows.seconds, rows.iqm, label=label)
        axes.fill_between(rows.seconds, rows.low, rows.high, alpha=0.2)
    axes.axhline(0.0, color="black", linewidth=0.8, label="truthful")
    axes.set(xlabel="CPU seconds of training, looks included", ylabel="welfare above truthful, USD (IQM)")
    axes.legend()
    figure.savefig(path, dpi=120)
