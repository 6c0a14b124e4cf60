"""Learning curves of training runs, against `truthful`: `vpp-env curves`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.run.plan import PlanError, add_scenario_flags, asked_scenario
from vpp_benchmarks.train.curves import curve, draw, months_of, read
from vpp_env import Month, make_policy, simulate, summarize
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import SPLITS

EXAMPLES = (
    "evolution=weights.csv",
    "--set market.safeguard=true --figure curves.svg evolution=e0.csv,e1.csv IPPO=i0.csv,i1.csv",
)
HEADER = ("method", "training seeds", "months", "CPU s", "IQM above `truthful`", "mean")
FIGURES = (".svg", ".png", ".pdf")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(
        prog,
        "Welfare on validation months by CPU seconds of training, less that of truthful: interquartile means over "
        "training seeds and months with 95 % stratified bootstrap intervals, at the first look and the last.",
        EXAMPLES,
    )
    p.add_argument(
        "runs", nargs="+", metavar="LABEL=FILE.csv,...", help="what `vpp-env train` wrote, one file a training seed"
    )
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="trained in; default: %(default)s")
    add_scenario_flags(p)
    p.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw the curves; .png and .pdf will do too")
    args = p.parse_args(argv)
    if args.figure is not None and not (args.figure.suffix in FIGURES and args.figure.parent.is_dir()):
        raise PlanError(f"--figure {args.figure}: allowed is {', '.join(FIGURES)}, in a folder that exists")
    runs = _runs(args.runs)
    world = asked_scenario(args.scenario, args)
    most = max(len(months_of(looks[0])) for looks in runs.values())
    truthful = _truthful(world, most, args.home_data)
    rng, curves, rows = np.random.default_rng(0), {}, []
    for label, looks in runs.items():
        months = len(months_of(looks[0]))
        curves[label] = curve(looks, truthful[:months], rng)
        for row in (curves[label].iloc[0], curves[label].iloc[-1]):
            middle = f"{row.iqm:.2f} [{row.low:.2f}, {row.high:.2f}]"
            rows.append([label, str(len(looks)), str(months), f"{row.seconds:.0f}", middle, f"{row['mean']:.2f}"])
    print(markdown(HEADER, rows, text_columns=1))
    if args.figure is not None:
        draw(curves, args.figure)
        print(f"\n{args.figure}")
    return 0


def _runs(texts: Sequence[str]) -> dict[str, list[pd.DataFrame]]:
    """Looks of every training seed, by label; all of a label at as many months."""
    found: dict[str, list[pd.DataFrame]] = {}
    for text in texts:
        label, equals, files = text.partition("=")
        if not (label and equals and files) or label in found:
            raise PlanError(f"{text}: allowed is LABEL=FILE.csv or LABEL=FILE.csv,FILE.csv, every label once")
        found[label] = [read(Path(file)) for file in files.split(",")]
        counts = sorted({len(months_of(looks)) for looks in found[label]})
        if len(counts) > 1:
            raise PlanError(f"{label}: got looks at {counts} months; allowed is one number for all its files")
    return found


def _truthful(world: Scenario, months: int, home_data: str | None) -> np.ndarray:
    """(months,) welfare of `truthful` in the first validation months, USD."""
    found = []
    for seed in SPLITS["validation"].seeds(months):
        month = Month(world, seed, home_data=home_data)
        found.append(float(summarize(simulate(month, make_policy("truthful")))["welfare"]))
        print(f"truthful, seed {seed}: {found[-1]:.2f} USD", file=sys.stderr, flush=True)
    return np.array(found)
