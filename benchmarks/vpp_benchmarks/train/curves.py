"""Learning curves of several training seeds.

python -m vpp_benchmarks.train.curves --out curves.png evolution=first.csv,second.csv

Reads what `vpp-env train` writes beside its weights. At every time a curve is the interquartile mean over training
seeds and validation months of the welfare of the policy that is judged then, less the welfare of `truthful` in the same
month; its interval is the 95 % percentile bootstrap of Agarwal et al. 2021 ("Deep reinforcement learning at the edge of
the statistical precipice"), stratified by months: the training seeds of every month are drawn again, months stay. Their
library, rliable 1.2, needs arch 7, which does not import beside pandas 3; the statistics are these few lines.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from vpp_benchmarks.run.plan import overridden
from vpp_env import Month, VppError, load_scenario, make_policy, simulate, summarize
from vpp_env.errors import needs
from vpp_env.scenario.splits import SPLITS
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


def read(files: Sequence[str]) -> list[pd.DataFrame]:
    """Looks of some training runs, `seconds` and `month_0` to `month_K` in each.

    Raises
    ------
    VppError
        When a file is not what `vpp-env train` writes, or the runs looked at different numbers of months.
    """
    found = [pd.read_csv(file) for file in files]
    for file, looks in zip(files, found, strict=True):
        if not {"seconds", "month_0"} <= set(looks.columns):
            raise VppError(f"{file} has columns {list(looks.columns)}; allowed is a .csv that `vpp-env train` wrote")
    counts = {len(looks.filter(like="month_").columns) for looks in found}
    if len(counts) != 1:
        raise VppError(f"{', '.join(files)}: got looks at {sorted(counts)} months; allowed is one number for all")
    return found


def curve(runs: Sequence[pd.DataFrame], reference: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """One row for each time: `seconds`, `iqm`, `low`, `high`, `mean`, USD above `reference` (K,)."""
    last = min(float(looks.seconds.iloc[-1]) for looks in runs)
    first = max(float(looks.seconds.iloc[0]) for looks in runs)
    rows = []
    for now in np.linspace(first, last, POINTS):
        # of every run the last look until now
        at = [looks[looks.seconds <= now].iloc[-1].filter(like="month_").to_numpy(dtype=np.float64) for looks in runs]
        above = np.stack(at) - reference
        rows.append((now, iqm(above), *interval(above, rng), float(above.mean())))
    return pd.DataFrame(rows, columns=["seconds", "iqm", "low", "high", "mean"])


def draw(curves: dict[str, pd.DataFrame], path: Path) -> None:
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


def main(argv: Sequence[str] | None = None) -> None:
    """Print the last row of every curve, and draw all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="LABEL=FILE.csv,FILE.csv", help="training seeds of a method")
    parser.add_argument("--scenario", default="week20", help="what they were trained in")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--out", type=Path, required=True, metavar="FIGURE")
    asked = parser.parse_args(argv)
    runs = {label: read(files.split(",")) for label, _, files in (text.partition("=") for text in asked.runs)}
    world = overridden(load_scenario(asked.scenario), asked.overrides)
    most = max(len(looks[0].filter(like="month_").columns) for looks in runs.values())
    truthful = np.array(
        [
            summarize(simulate(Month(world, seed), make_policy("truthful")))["welfare"]
            for seed in SPLITS["validation"].seeds(most)
        ]
    )
    rng, curves = np.random.default_rng(0), {}
    print("| method | training seeds | months | CPU s | IQM above `truthful` | mean |\n|---|---:|---:|---:|---:|---:|")
    for label, looks in runs.items():
        months = len(looks[0].filter(like="month_").columns)
        curves[label] = curve(looks, truthful[:months], rng)
        for row in (curves[label].iloc[0], curves[label].iloc[-1]):
            figures = f"{row.iqm:.2f} [{row.low:.2f}, {row.high:.2f}] | {row['mean']:.2f}"
            print(f"| {label} | {len(looks)} | {months} | {row.seconds:.0f} | {figures} |")
    draw(curves, asked.out)


if __name__ == "__main__":
    main()
