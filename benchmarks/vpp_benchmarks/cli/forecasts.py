"""Score forecasts of prices against what came: `vpp-env forecasts`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vpp_policies.forecast import FORECASTERS, make_forecaster

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.pictures import standalone
from vpp_benchmarks.report.svg import Plot
from vpp_benchmarks.report.tables import bracketed, markdown, percent
from vpp_benchmarks.results.intervals import CONFIDENCE, interval
from vpp_benchmarks.run.forecasts import BINS, Scores, scored
from vpp_benchmarks.run.plan import PlanError, parse_seeds
from vpp_env import Month
from vpp_env.data.months import month_names
from vpp_env.scenario import load_scenario

EXAMPLES = ("", "--seeds validation:20 --ahead 0 12", "--measured caiso:PGAE:2019-01..12 --svg ranks.svg")
HEADER = (
    "forecaster",
    "pinball, USD/MWh",
    "less `{first}`",
    "energy score, USD/MWh",
    "less `{first}`",
    "error of the mean",
    "in 50 %",
    "in 90 %",
    "ranks, % a tenth",
)
Table = dict[str, list[Scores]]
"""Scores of every month, by forecaster."""


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Score forecasts of real-time prices at every gate of months against what came.", EXAMPLES)
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seeds", nargs="+", metavar="SEEDS", help="default: validation:10; with --measured: 0")
    p.add_argument("--measured", nargs="+", metavar="MONTHS", help="measured months instead: caiso:PGAE:2019-01..12")
    p.add_argument(
        "--forecasters", nargs="+", default=list(FORECASTERS), metavar="NAME|FILE.npz", help="default: all there are"
    )
    p.add_argument("--ahead", nargs="+", type=int, default=[0], metavar="HOURS", help="behind delivery; default: 0")
    p.add_argument("--svg", type=Path, metavar="FILE.svg", help="draw the ranks of the first hours ahead")
    args = p.parse_args(argv)
    if min(args.ahead) < 0 or len(set(args.ahead)) < len(args.ahead):
        raise PlanError(f"--ahead: got {args.ahead}; allowed are different hours, 0 or more")
    forecasters = {name: make_forecaster(name) for name in args.forecasters}
    base = load_scenario(args.scenario).override({"fleet.size": 1})
    seeds = parse_seeds(args.seeds or ["0" if args.measured else "validation:10"])
    if args.measured:
        if len(seeds) > 1:
            raise PlanError("--seeds: prices of measured months do not hang on the seed; leave it out")
        named = [(name, Month(base.for_month(name), seeds[0], name)) for name in month_names(args.measured)]
    else:
        named = [(str(seed), Month(base, seed)) for seed in seeds]
    by_hour: dict[int, Table] = {h: {name: [] for name in forecasters} for h in args.ahead}
    for label, month in named:
        print(label, file=sys.stderr, flush=True)
        for (name, h), scores in scored(month, forecasters, args.ahead).items():
            by_hour[h][name].append(scores)
    first = next(iter(forecasters))
    header = [text.format(first=first) for text in HEADER]
    print(
        f"Means over {len(named)} months of {base.name} ({named[0][0]} .. {named[-1][0]}), {CONFIDENCE:.0%} intervals"
    )
    for h, table in by_hour.items():
        print(f"\n{h} h behind delivery\n")
        print(markdown(header, rows(table), text_columns=1))
    if args.svg:
        args.svg.write_text(ranks_svg(by_hour[args.ahead[0]]), encoding="utf-8")
        print(f"\n{args.svg}")
    return 0


def rows(table: Table) -> list[list[str]]:
    """One row a forecaster; differences from the first one are paired by month."""
    first = next(iter(table.values()))
    lines = []
    for name, months in table.items():
        line = [f"`{name}`"]
        for of in ("pinball", "energy"):
            values, others = (np.array([getattr(s, of) for s in scores]) for scores in (months, first))
            line.append(bracketed(interval([values]), 2))
            line.append("" if months is first else bracketed(interval([values - others]), 2))
        line.append(f"{np.mean([s.error for s in months]):.2f}")
        line += [percent(float(np.mean([getattr(s, of) for s in months])), 0) for of in ("inside_half", "inside_most")]
        line.append(" ".join(f"{100 * share:.0f}" for share in _ranks(months)))
        lines.append(line)
    return lines


def _ranks(months: Sequence[Scores]) -> list[float]:
    return [float(x) for x in np.mean([s.ranks for s in months], axis=0)]


def ranks_svg(table: Table) -> str:
    """Draw where prices fell in each forecast: bars that a calibrated forecast brings to the line."""
    most, each = 0.4, BINS + 2  # a gap of two bars
    title = "Share of prices by the share of the forecast below them"
    plot = Plot((0.0, each * len(table) - 2.0), (0.0, most), title)
    ends = [float(each * k + end) for k in range(len(table)) for end in (0, BINS)]
    plot.axes("share of the forecast below the price", "share of prices", ends, write=lambda x: f"{x % each / BINS:g}")
    for k, (name, months) in enumerate(table.items()):
        left = each * k
        for j, share in enumerate(_ranks(months)):
            plot.box((left + j + 0.05, left + j + 0.95), (0.0, min(share, most)), "c0 cell", tip=f"{share:.1%}")
        plot.segment((left, 1 / BINS), (left + BINS, 1 / BINS), "c4 dash")
        plot.text(plot.px(left + BINS / 2), plot.top + 8, name, "mid strong")
    return standalone(plot.svg(), ())
