"""Compare policies over a market month: `python benchmarks/compare.py --policies agentic centralized`.

Exit status: 0 all runs complete; 1 a policy failed (its row says why, the others are there); 2 something that was
asked for is not possible; 130 interrupted (what was done is written).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import llm, store
from benchmarks.job import FAILED, INTERRUPTED
from benchmarks.llm_kpis import bill_lines
from benchmarks.log import log_to_terminal
from benchmarks.plan import Plan, PlanError, make_plan, parse_override, parse_seeds
from benchmarks.progress import LogProgress, Several, live, stop_on_interrupt
from benchmarks.report.tables import number, score
from benchmarks.runner import Outcome, run_plan
from vpp_env.errors import VppError
from vpp_env.scenario import Scenario, load_scenario

DEFAULT_POLICIES = ("agentic", "centralized")
SHORTCUTS = {
    "fleet_size": "fleet.size",
    "duration_hours": "time.duration_hours",
    "opportunity_minutes": "time.opportunity_minutes",
    "start": "time.start",
}
"""Options that are short for one field of the scenario."""
PLAIN_WIDTH = 120
"""Characters per line where standard output is no terminal."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog="compare.py",
        description="Compare policies over a market month and write tables, summary and report.",
        epilog='Options of a policy: --policies "centralized(horizon_hours=24)" my_module:MyPolicy',
        allow_abbrev=False,
    )
    p.add_argument("--policies", nargs="+", metavar="SPEC", default=list(DEFAULT_POLICIES), help="default: %(default)s")
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--fleet-size", type=int, metavar="N", help="homes")
    p.add_argument("--duration-hours", type=int, metavar="H", help="length of the run")
    p.add_argument("--opportunity-minutes", type=int, metavar="MIN", help="60, 30 or 15")
    p.add_argument("--start", metavar="TIME", help="local time, for example 2023-08-01T00:00")
    seeds = p.add_mutually_exclusive_group()
    seeds.add_argument("--seed", metavar="INT", help="default: 0")
    seeds.add_argument("--seeds", nargs="+", metavar="INT|A:B", help="several; 0:10 is ten. A folder each, and means")
    p.add_argument("--market-data", metavar="PATH", help="measured prices; see docs/market-data.md")
    p.add_argument("--node", help="price node, where the data holds several")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="SECTION.FIELD=VALUE",
        help="change any field of the scenario; may be repeated",
    )
    p.add_argument("--out", type=Path, metavar="DIR", help="default: results/<scenario>-<time>")
    p.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        default=os.cpu_count() or 1,
        help="policies played at the same time, a process each; default: the cores (%(default)s)",
    )
    llm.add_flags(p)
    p.add_argument("--no-figures", action="store_true", help="do not draw overview.png")
    p.add_argument("--list", action="store_true", help="show scenarios, policies and market rules, and end")
    p.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def scenario_of(args: argparse.Namespace) -> Scenario:
    """Return the scenario with everything that the command line changes."""
    base = load_scenario(args.scenario)
    changes: dict[str, Any] = dict(parse_override(text, base) for text in args.overrides)
    for option, field in SHORTCUTS.items():
        value = getattr(args, option)
        if value is not None:
            if field in changes:
                raise PlanError(f"{field} is given twice: by --{option.replace('_', '-')} and by --set")
            changes[field] = value
    return base.override(changes) if changes else base


def plan_of(args: argparse.Namespace) -> Plan:
    """Return the plan that the command line asks for."""
    seeds = parse_seeds(args.seeds or [args.seed or "0"])
    return make_plan(scenario_of(args), llm.with_flags(args.policies, args), seeds, args.market_data, args.node)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = parser().parse_args(argv)
    out, err = _console(), Console(stderr=True)
    try:
        if args.list:
            from benchmarks.catalog import show

            show(out)
            return 0
        plan = plan_of(args)
        llm.check(plan)
        if not args.quiet:
            for line in llm.estimate_lines(plan):
                out.print(line, highlight=False, soft_wrap=True)
        folder = args.out or store.default_folder(plan.scenario.name)
        outcome = run(plan, folder, err, quiet=args.quiet, figures=not args.no_figures, workers=args.jobs)
    except VppError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped at once; policies that had finished are in the output folder", file=sys.stderr)
        return 130
    if not args.quiet:
        show_outcome(out, plan, outcome)
    return {INTERRUPTED: 130, FAILED: 1}.get(outcome.status, 0)


def run(plan: Plan, folder: Path, err: Console, quiet: bool, figures: bool, workers: int = 1) -> Outcome:
    """Run a plan with what should be seen of it."""
    moving = err.is_terminal and not quiet
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_interrupt(err.print if moving else None))
        listeners: list[Any] = [LogProgress()]
        if moving:
            listeners.append(stack.enter_context(live(err)))
        else:
            stack.enter_context(log_to_terminal(logging.ERROR if quiet else logging.INFO))
        return run_plan(plan, folder, Several(listeners, stop), figures, workers)


def show_outcome(console: Console, plan: Plan, outcome: Outcome) -> None:
    """Print the headline figures and where everything is."""
    several = len(plan.seeds) > 1
    title = f"{plan.scenario.name}, {f'means of {len(outcome.seeds)} seeds' if several else f'seed {plan.seeds[0]}'}"
    table = Table(title=f"{title}: {outcome.status}", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for name in ("policy", "sees", "asks"):
        table.add_column(name, overflow="fold")
    for name in ("profit\nUSD", "members\nUSD", "satis-\nfaction", "con-\nsented", "viola-\ntions"):
        table.add_column(name, justify="right", no_wrap=True)
    policies = outcome.summary["policies"]
    for label, p in policies.items():
        table.add_row(label, p["information_set"], "yes" if p["asks_consent"] else "no", *_figures(p))
    console.print(table)
    silent = [label for label, p in policies.items() if not p["asks_consent"]]
    if silent:
        console.print(f"consented is 0 by construction where nobody is asked: {', '.join(silent)}", highlight=False)
    if outcome.status == INTERRUPTED:
        console.print("Interrupted: what was played is written, the rest is not.")
    for seed in outcome.seeds:
        for label, p in seed["policies"].items():
            if p["reason"]:
                text = f"{label}, seed {seed['seed']}: {p['status']}: {p['reason']}"
                console.print(text, markup=False, highlight=False, style="red")
    for seed in outcome.seeds:
        for line in bill_lines(seed["policies"]):
            console.print(line, highlight=False, soft_wrap=True)
    console.print(f"Results: {outcome.folder}", soft_wrap=True, highlight=False)


def _figures(p: Mapping[str, Any]) -> list[str]:
    keys = ("total_profit", "member_net_benefit", "avg_satisfaction", "satisfaction_consented")
    profit, members, satisfaction, consented = (_mean(p.get(key)) for key in keys)
    violations = p.get("total_violations") or {}
    count = violations.get("mean", violations.get("total"))
    return [number(profit), number(members), score(satisfaction), score(consented), number(count, 0)]


def _mean(value: Any) -> Any:
    """Read a figure of one seed, or the mean of several."""
    return value["mean"] if isinstance(value, Mapping) else value


if __name__ == "__main__":
    if not __package__:
        # a script finds modules beside itself first; a policy `my_module:MyPolicy` is in the working directory
        sys.path[0] = os.getcwd()
    sys.exit(main())
