"""Ceilings of a month: `vpp-env bounds --scenario august`.

`U_pref` (every preference kept, nobody below the own ask), `U_cost` (kept, no asks), `U_welfare` (broken at the owners'
private values) and `U_free` (preferences cost nothing), `U_na` (as U_welfare, without foresight of real-time prices; it
bounds means over months), and what the VPP's profit can be; docs/proofs.md proves them. With --change they are
worked out again with a rule changed or switched off: how much of each hangs on it.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.pictures import standalone
from vpp_benchmarks.report.svg import Bar, bars
from vpp_benchmarks.run.ceilings import TITLES, ceilings, exact_optima, foresight_ladder
from vpp_benchmarks.run.plan import PlanError, add_month_flags, make_plan, overridden, parse_seeds
from vpp_env.evaluation.kpi_entry import LADDER, price_of_preferences, share_of
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

EXAMPLES = (
    "--scenario august",
    "--scenario week20 --exact",
    "--set market.max_capacity_mw=0.4 --json bounds.json",
    "--scenario week20 --seed 1000:1010 --foresight --figure foresight.svg",
    "--seed 1000:1003 --change market.reserve=false --change preferences.private_value_factor=2",
)
AS_IT_IS = "as it is"


def parser(prog: str = "vpp-env bounds") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Print proven ceilings of a market month.", EXAMPLES)
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument(
        "--seed", default="0", metavar="INT|A:B", help="several with --change or --foresight; default: %(default)s"
    )
    add_month_flags(p)
    p.add_argument("--exact", action="store_true", help="also solve the month's linear program (minutes)")
    p.add_argument(
        "--change", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="and under this rule; may repeat"
    )
    p.add_argument(
        "--foresight", action="store_true", help="instead: what knowing coming real-time prices is worth, mean of seeds"
    )
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    p.add_argument("--figure", type=Path, metavar="FILE.svg", help="with --foresight: draw it")
    return p


def months_of(args: argparse.Namespace, change: str | None = None) -> list[Month]:
    """Return the months that the command line asks for, one a seed, with one more change of the rules."""
    changes = [*args.overrides, *([change] if change else [])]
    scenario = overridden(load_scenario(args.scenario), changes)
    seeds = parse_seeds([args.seed])
    if len(seeds) != 1 and not (args.change or args.foresight):
        raise PlanError(f"--seed {args.seed!r}: allowed is one integer, several with --change or --foresight only")
    return make_plan(scenario, ("idle",), seeds, args.market_data, args.node, home_data=args.home_data).months()


def show(found: Mapping[str, Any], optima: Mapping[str, float] | None) -> str:
    """Return the table that is printed."""
    lines = [f"{'USD':24}{'plan':>12}{'ceiling':>12}{'gap':>9}" + (f"{'exact':>12}" if optima else "")]
    for name in TITLES:
        if found[name] is None:
            lines.append(f"{TITLES[name]:24}{'not defined: the law of these real-time prices is not known':>33}")
            continue
        low, high = found[name]
        line = f"{TITLES[name]:24}{low:12.2f}{high:12.2f}{(high - low) / max(abs(high), 1e-9):9.2%}"
        lines.append(line + (f"{optima[name]:12.2f}" if optima and name in optima else ""))
    for label, kept, free in (("joint surplus", "preferences", "free"), ("profit", "profit", "profit_free")):
        price = price_of_preferences(found[kept][1], found[free][1])
        lines.append(f"price of preferences, {label}: {'none' if price is None else f'{price:.1%}'}")
    lines.append(f"widest gap {found['gap']:.2%}, {found['seconds']:.1f} s")
    return "\n".join(lines)


def show_changes(means: Mapping[str, Mapping[str, float]], seeds: int) -> str:
    """Return the table of ceilings under changes, the rules as they are first: USD, and what hangs on the change."""
    first = means[AS_IT_IS]
    wide = max(len(label) for label in means) + 2
    lines = [f"{f'USD, mean of {seeds}':{wide}}" + "".join(f"{title:>20}" for title in LADDER.values())]
    for label, found in means.items():
        cells = [
            f"{found[name]:z.2f}" + ("" if found is first else f" ({_hangs(found[name], first[name])})")
            if name in found
            else "not defined"
            for name in LADDER
        ]
        lines.append(f"{label:{wide}}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join([*lines, "in brackets: what of the ceiling as it is hangs on the change"])


def _hangs(changed: float, as_it_is: float) -> str:
    share = share_of(as_it_is - changed, as_it_is)
    return "none" if share is None else f"{share:.1%}"


def _under_changes(args: argparse.Namespace) -> int:
    """Work the ceilings out under every change, and print and write their means over the seeds."""
    means: dict[str, dict[str, float]] = {}
    seeds = 0
    for label in (AS_IT_IS, *args.change):
        found = [ceilings(month) for month in months_of(args, None if label == AS_IT_IS else label)]
        seeds = len(found)
        known = [name for name in TITLES if all(one[name] is not None for one in found)]
        means[label] = {name: float(np.mean([one[name][1] for one in found])) for name in known}
    print(show_changes(means, seeds))
    if args.json is not None:
        args.json.write_text(json.dumps({"seeds": args.seed, "means": means}, indent=2) + "\n", encoding="utf-8")
    return 0


def show_foresight(rows: Sequence[tuple[str, float, float | None]], seeds: int) -> str:
    """Return the table of what knowing coming real-time prices is worth."""
    most = rows[-1][1]
    lines = [f"{f'welfare in USD, mean of {seeds}':44}{'mean':>12}{'+-':>10}{'of U_welfare':>14}"]
    for name, usd, error in rows:
        share = share_of(usd, most)
        written = "" if error is None else f"{error:.2f}"
        lines.append(f"{name:44}{usd:12.2f}{written:>10}" + ("" if share is None else f"{share:14.1%}"))
    return "\n".join(
        [
            *lines,
            "Plans of the relaxation (no minimum bid, no feeders, every interval for itself) that know so much of real",
            "time, the law of the rest and all else: lower ends. U_na bounds on the mean who knows the past",
            "and the interval's own price, +- is the standard error of a mean.",
        ]
    )


def foresight_svg(rows: Sequence[tuple[str, float, float | None]], seeds: int) -> str:
    """Return a drawing of the table, the most foresight above; whiskers are standard errors of a mean."""
    drawn = []
    for name, usd, error in reversed(rows):
        kind, said = name.split(": ") if ": " in name else (name, name)
        css, what = ("c1", said) if kind == "plan" else ("ceiling", name.removeprefix("ceiling "))
        drawn.append(Bar(what, usd, css, f"{usd:.2f}", None if error is None else (usd - error, usd + error)))
    title = f"What knowing coming real-time prices is worth, mean of {seeds}"
    return standalone(bars(drawn, title, "welfare, USD", left=200), ())


def _report(name: str, done: int, of: int) -> None:
    if sys.stderr.isatty() or done == of:
        print(f"\r{name}: {done} of {of} devices", end="\n" if done == of else "", file=sys.stderr, flush=True)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    args = parser(prog).parse_args(argv)
    if args.json is not None and not args.json.parent.is_dir():
        raise PlanError(f"--json {args.json}: its folder does not exist; make it first")
    if args.figure is not None:
        if not args.foresight:
            raise PlanError(f"--figure {args.figure}: what is drawn is what foresight is worth; add --foresight")
        if args.figure.suffix != ".svg" or not args.figure.parent.is_dir():
            raise PlanError(f"--figure {args.figure}: allowed is a file FILE.svg in a folder that exists")
    if args.foresight and (args.change or args.exact):
        raise PlanError("--foresight is a table of its own: leave --change and --exact out")
    if args.change:
        if args.exact:
            raise PlanError("--exact is for one month: leave --change out")
        return _under_changes(args)
    if args.foresight:
        months = months_of(args)
        rows = foresight_ladder(months)
        print(show_foresight(rows, len(months)))
        if args.json is not None:
            data = {
                "seeds": args.seed,
                "foresight": [dict(zip(("known", "usd", "error"), row, strict=True)) for row in rows],
            }
            args.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        if args.figure is not None:
            args.figure.write_text(foresight_svg(rows, len(months)), encoding="utf-8")
        return 0
    (month,) = months_of(args)
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
