"""Ceilings of a month: `vpp-env bounds --scenario august`.

What nobody can exceed, whatever it knows (`free`), and what nobody can exceed who keeps to every owner's preferences
(`preferences`), in joint surplus (`value`) and in the VPP's profit; docs/optimizers.md proves them.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.ceilings import INSIDE_PREFERENCES, MEASURES, ceilings, exact_optima
from vpp_benchmarks.run.plan import PlanError, add_month_flags, make_plan, parse_override, parse_seeds
from vpp_env.evaluation.kpi_entry import price_of_preferences
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

EXAMPLES = ("--scenario august", "--scenario week20 --exact", "--set market.max_capacity_mw=0.4 --json bounds.json")


def parser(prog: str = "vpp-env bounds") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Print proven ceilings of a market month.", EXAMPLES)
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seed", default="0", metavar="INT", help="default: %(default)s")
    add_month_flags(p)
    p.add_argument("--exact", action="store_true", help="also solve the month's linear program (minutes)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    return p


def month_of(args: argparse.Namespace) -> Month:
    """Return the month that the command line asks for."""
    base = load_scenario(args.scenario)
    changes = dict(parse_override(text, base) for text in args.overrides)
    seeds = parse_seeds([args.seed])
    if len(seeds) != 1:
        raise PlanError(f"--seed {args.seed!r}: allowed is one integer; ceilings are those of one month")
    plan = make_plan(base.override(changes) if changes else base, ("idle",), seeds, args.market_data, args.node)
    return Month(plan.scenario, seeds[0], plan.market_data, plan.node)


def show(found: Mapping[str, Any], optima: Mapping[str, Mapping[str, float]] | None) -> str:
    """Return the table that is printed."""
    lines = [f"{'USD':24}{'plan':>12}{'ceiling':>12}{'gap':>9}" + (f"{'exact':>12}" if optima else "")]
    for name in INSIDE_PREFERENCES:
        for label in MEASURES:
            low, high = found[name][label]
            line = f"{label + ', ' + name:24}{low:12.2f}{high:12.2f}{(high - low) / max(abs(high), 1e-9):9.2%}"
            lines.append(line + (f"{optima[name][label]:12.2f}" if optima else ""))
    for label in MEASURES:
        price = price_of_preferences(found["preferences"][label][1], found["free"][label][1])
        lines.append(f"price of preferences, {label}: {'none' if price is None else f'{price:.1%}'}")
    lines.append(f"widest gap {found['gap']:.2%}, {found['seconds']:.1f} s")
    return "\n".join(lines)


def _report(name: str, done: int, of: int) -> None:
    if sys.stderr.isatty() or done == of:
        print(f"\r{name}: {done} of {of} devices", end="\n" if done == of else "", file=sys.stderr, flush=True)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    args = parser(prog).parse_args(argv)
    if args.json is not None and not args.json.parent.is_dir():
        raise PlanError(f"--json {args.json}: its folder does not exist; make it first")
    month = month_of(args)
    found = ceilings(month)
    optima = None
    if args.exact:
        print(show(found, None), flush=True)  # what is computed is not lost if the rest is too slow
        optima = exact_optima(month, _report)
    print(show(found, optima))
    if args.json is not None:
        scenario = {"name": month.scenario.name, "hash": month.scenario.hash, "seed": month.seed}
        data = {"scenario": scenario, **found, **({"exact": optima} if optima else {})}
        args.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0
