"""Compare policies over a market month: `vpp-env compare`, or `python benchmarks/compare.py` in a checkout.

Exit status: 0 all runs complete; 1 a policy failed (its row says why, the others are there); 2 something that was
asked for is not possible; 130 interrupted (what was done is written).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from vpp_benchmarks.cli import check_flags, llm_flags
from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.terminal import show_comparison
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.run_result import FAILED, INTERRUPTED
from vpp_benchmarks.run.executors import AUTO, executor_names
from vpp_benchmarks.run.experiment import (
    BASELINES,
    Experiment,
    Request,
    make_experiment,
    read_request,
    with_baselines,
    with_overrides,
)
from vpp_benchmarks.run.job import month_of
from vpp_benchmarks.run.live import live
from vpp_benchmarks.run.log import console, log_to_terminal
from vpp_benchmarks.run.loggers import LOGGERS, make_loggers
from vpp_benchmarks.run.plan import PlanError, add_month_flags, parse_seeds
from vpp_benchmarks.run.progress import FileProgress, LogProgress, Several, stop_on_interrupt
from vpp_benchmarks.run.runner import resumed, run_experiment
from vpp_env.data.months import month_names

SHORTCUTS = {
    "fleet_size": "fleet.size",
    "duration_hours": "time.duration_hours",
    "opportunity_minutes": "time.opportunity_minutes",
    "start": "time.start",
}
"""Options that are short for one field of the scenario."""


EXAMPLES = (
    "--policies agentic centralized",
    '--policies truthful "centralized(horizon_hours=24)" my_module:MyPolicy --scenario week20',
    "--policies agentic centralized --seeds test:10 --set market.min_bid_mw=0",
    "--policies agentic centralized --market-data prices.parquet",
    "--policies agentic truthful --months caiso:PGAE:2019-01..12 --with-baselines",
    "--policies agentic centralized --home-data my_homes/",
    "--resume results/august-20260101T120000",
    "--list",
)


def parser(prog: str = "vpp-env compare") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Compare policies over a market month and write tables, summary and report.", EXAMPLES)
    default = Request()
    # all options in a row say nothing
    p.usage = f"{prog} [--policies SPEC ...] [--scenario NAME] [--seeds SPLIT:N] [options]"
    p.add_argument(
        "--policies",
        nargs="+",
        metavar="SPEC",
        help="a name of --list, my_module:MyPolicy or my_file.py:MyPolicy, each with options as in"
        f' "agentic(max_rounds=2)"; default: {" ".join(default.policies)}',
    )
    # None, not False: a folder that is resumed has its policies already
    p.add_argument(
        "--with-baselines", action="store_true", default=None, help=f"add {', '.join(BASELINES)} to the policies"
    )
    scenarios = p.add_mutually_exclusive_group()
    scenarios.add_argument(
        "--scenario", metavar="NAME|FILE.toml", help=f"one of --list, or a file; default: {default.scenarios[0]}"
    )
    scenarios.add_argument("--scenarios", nargs="+", metavar="NAME|FILE.toml", help="several; a folder each")
    p.add_argument("--fleets", nargs="+", type=int, metavar="N", help="several sizes of the fleet; a folder each")
    p.add_argument("--starts", nargs="+", metavar="TIME", help="several starts (months); a folder each")
    p.add_argument(
        "--months",
        nargs="+",
        metavar="NAME|RANGE",
        help="measured months of the package, each with its own prices: caiso:PGAE:2019-01..12; a folder each",
    )
    p.add_argument("--experiment", type=Path, metavar="FILE.toml", help="all this from a file; options win")
    p.add_argument("--resume", type=Path, metavar="DIR", help="continue: only what is missing is run")
    p.add_argument("--fleet-size", type=int, metavar="N", help="homes")
    p.add_argument("--duration-hours", type=int, metavar="H", help="length of the run")
    p.add_argument("--opportunity-minutes", type=int, metavar="MIN", help="60, 30 or 15")
    p.add_argument("--start", metavar="TIME", help="local time, for example 2023-08-01T00:00")
    seeds = p.add_mutually_exclusive_group()
    seeds.add_argument("--seed", metavar="INT", help="default: 0")
    seeds.add_argument(
        "--seeds", nargs="+", metavar="INT|A:B|SPLIT", help="several: 0:10, test, validation:5; a folder each"
    )
    add_month_flags(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="default: results/<scenario>-<time>")
    p.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        default=os.cpu_count() or 1,
        help="runs played at the same time; default: the cores (%(default)s)",
    )
    p.add_argument("--executor", choices=executor_names(), default=AUTO, help="where runs are played: %(default)s")
    p.add_argument("--address", metavar="HOST", help="of a Ray cluster; default: one is started here")
    p.add_argument("--log", nargs="+", choices=sorted(LOGGERS), default=[], help="loggers, beside the files")
    check_flags.add_flags(p)
    llm_flags.add_flags(p)
    p.add_argument("--no-figures", action="store_true", help="do not draw overview.png")
    p.add_argument("--no-ceilings", action="store_true", help="do not work out what no policy can exceed")
    p.add_argument("--list", action="store_true", help="show scenarios, policies and market rules, and end")
    p.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


PLANNED = ("with_baselines", "scenario", "scenarios", "fleets", "starts", "months", "experiment", "seed", "seeds")
DATA = ("market_data", "node", "home_data")
"""Options that say what is run; a folder that is resumed has them already."""


def experiment_of(args: argparse.Namespace) -> Experiment:
    """Return the experiment that the command line asks for."""
    if args.resume is not None:
        given = [name for name in (*PLANNED, *DATA, *SHORTCUTS) if getattr(args, name) is not None]
        given += ["set"] if args.overrides else []
        given += ["out"] if args.out is not None else []
        given += [name for name in ("verify", "verify_months") if getattr(args, name)]
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise PlanError(f"--resume takes what is run, and where, from the folder; leave out {names}")
        return resumed(args.resume, args.policies or (), check_flags.checks(args))
    request = Request() if args.experiment is None else read_request(args.experiment)
    asked = {
        "policies": args.policies and tuple(args.policies),
        "scenarios": (args.scenarios and tuple(args.scenarios)) or (args.scenario and (args.scenario,)),
        "fleets": args.fleets and tuple(args.fleets),
        "starts": args.starts and tuple(args.starts),
        "months": args.months and month_names(args.months),
        "seeds": parse_seeds(args.seeds or [args.seed]) if args.seeds or args.seed else None,
        "market_data": args.market_data,
        "node": args.node,
        "home_data": args.home_data,
    }
    request = replace(request, **{key: value for key, value in asked.items() if value is not None})
    if args.with_baselines:
        request = replace(request, policies=with_baselines(request.policies))
    request = replace(request, policies=tuple(llm_flags.with_flags(request.policies, args)))
    if args.duration_hours is not None and args.duration_hours < 1:
        raise PlanError(
            f"--duration-hours: got {args.duration_hours}; allowed is 1 or more; leave it out for the scenario's length"
        )
    shortcuts = {f"--{option.replace('_', '-')}": (name, getattr(args, option)) for option, name in SHORTCUTS.items()}
    return make_experiment(with_overrides(request, args.overrides, shortcuts), check_flags.checks(args))


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    args = parser(prog).parse_args(argv)
    out, err = console(), Console(stderr=True)
    if args.list:
        from vpp_benchmarks.cli.catalog import show

        show(out)
        return 0
    try:
        experiment = experiment_of(args)
        if llm_flags.asks_models([c.spec for c in experiment.plans[0].contenders]):
            check_models(experiment, out, args.quiet)
        if not args.quiet:
            for line in home_lines(experiment):
                out.print(line, highlight=False, soft_wrap=True, markup=False)
        folder = args.resume or args.out or store.default_folder(experiment.plans[0].scenario.name)
        found = run(experiment, folder, err, args)
    except KeyboardInterrupt:
        print("stopped at once; runs that had finished are in the output folder", file=sys.stderr)
        return 130
    if not args.quiet:
        show_comparison(out, found)
    return {INTERRUPTED: 130, FAILED: 1}.get(found.status, 0)


def home_lines(experiment: Experiment) -> list[str]:
    """Return what of homes that were brought is measured, filled and generated, case by case."""
    lines: list[str] = []
    for plan in (plan for plan in experiment.plans if plan.home_data is not None):
        said = month_of(plan.jobs(plan.seeds[0])[0]).home_source
        lines += [f"homes {plan.home_data} in {plan.case}:", *(f"  {name}: {text}" for name, text in said.items())]
    return lines


def check_models(experiment: Experiment, out: Console, quiet: bool) -> None:
    """See that every language model can be reached, and say what it will cost."""
    from vpp_benchmarks.llm import estimate as llm  # loads the negotiation, which takes a second

    for plan in experiment.plans:
        llm.check(plan)
        for line in () if quiet else llm.estimate_lines(plan):
            out.print(line, highlight=False, soft_wrap=True)


def run(experiment: Experiment, folder: Path, err: Console, args: argparse.Namespace) -> Comparison:
    """Run an experiment with what should be seen of it."""
    moving = err.is_terminal and not args.quiet
    runs = len(experiment.jobs())
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_interrupt(err.print if moving else None))
        watched = FileProgress(folder / store.LIVE)
        stack.callback(watched.close)
        listeners: list[Any] = [LogProgress(runs), watched]
        listeners += stack.enter_context(make_loggers(args.log, folder, experiment))
        if moving:
            listeners.append(stack.enter_context(live(err, runs)))
        else:
            stack.enter_context(log_to_terminal(logging.ERROR if args.quiet else logging.INFO))
        return run_experiment(
            experiment,
            folder,
            Several(listeners, stop),
            figures=not args.no_figures,
            bounded=not args.no_ceilings,
            workers=args.jobs,
            executor=args.executor,
            address=args.address,
            resume=args.resume is not None,
        )
