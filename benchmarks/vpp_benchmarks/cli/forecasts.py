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
    width, height, most, gap = 210, 150, 0.4, 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(table)} {height + 46}" '
        'font-family="sans-serif" font-size="12" fill="#777" role="img">',
        "<title>Share of prices by the share of the forecast below them</title>",
    ]
    for k, (name, months) in enumerate(table.items()):
        left, bar = width * k + gap, (width - 2 * gap) / BINS
        parts.append(f'<text x="{left}" y="16">{name}</text>')
        for j, share in enumerate(_ranks(months)):
            tall = height * min(share, most) / most
            box = f'x="{left + j * bar:.1f}" y="{24 + height - tall:.1f}" width="{bar - 1:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect {box} fill="#4a7fb5"><title>{share:.1%}</title></rect>')
        level = 24 + height * (1.0 - 1.0 / BINS / most)
        parts.append(f'<path d="M{left} {level:.1f} h{bar * BINS:.1f}" stroke="#c44" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{left}" y="{height + 40}">0</text>')
        parts.append(f'<text x="{left + bar * BINS:.1f}" y="{height + 40}" text-anchor="end">1</text>')
    return "\n".join([*parts, "</svg>\n"])
