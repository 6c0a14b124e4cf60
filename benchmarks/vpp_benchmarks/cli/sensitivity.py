"""Does the order of policies depend on what is assumed: `vpp-env sensitivity`, the command of docs/sensitivity.md.

Exit status: 0 done; 1 a policy failed somewhere (said below the table); 2 something that was asked for is not possible;
130 interrupted.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.page import write_report
from vpp_benchmarks.report.tables import DIGITS, markdown, number
from vpp_benchmarks.results import store
from vpp_benchmarks.results.advantages import NOTHING
from vpp_benchmarks.results.orders import DEFAULT, Order, Study, write_study
from vpp_benchmarks.results.software import software
from vpp_benchmarks.run.executors import AUTO, executor_names
from vpp_benchmarks.run.experiment import BASELINES
from vpp_benchmarks.run.live import watched
from vpp_benchmarks.run.plan import PlanError, add_month_flags, overridden, parse_seeds
from vpp_benchmarks.run.sensitivity import changed, sensitivity
from vpp_benchmarks.run.tune import aims
from vpp_env.errors import did_you_mean
from vpp_env.evaluation.kpi import table
from vpp_env.scenario import load_scenario
from vpp_env.scenario.splits import not_of_test
from vpp_env.simulation.sources import scenario_of

EXAMPLES = (
    "--markdown docs/sensitivity.md",
    "--policies truthful my_module:MyPolicy --scenario week20 --seeds test:10",
    "--change market.margin=0.3 --change fleet.v2g_share=0.5 --only-given",
)
SATISFACTION = "avg_satisfaction"


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    default = (*BASELINES, "greedy", "agentic")
    p = Parser(prog, "Change one parameter at a time and see whether the order of policies changes.", EXAMPLES)
    p.add_argument("--policies", nargs="+", default=default, metavar="SPEC", help=f"default: {' '.join(default)}")
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seeds", nargs="+", default=["test:10"], metavar="INT|A:B|SPLIT", help="default: test:10")
    p.add_argument(
        "--by", nargs="+", default=[aims()[0], SATISFACTION], metavar="KPI", help=f"default: {aims()[0]} {SATISFACTION}"
    )
    p.add_argument("--change", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="one more; may repeat")
    p.add_argument("--only-given", action="store_true", help="make the changes of --change alone")
    add_month_flags(p)
    p.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), metavar="N", help="at the same time")
    p.add_argument("--executor", default=AUTO, metavar="NAME", help=", ".join(executor_names()))
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there too")
    p.add_argument("--into", type=Path, metavar="DIR", help="keep it in this results folder; its report shows it")
    args = p.parse_args(argv)
    for kpi in args.by:
        if kpi not in aims():
            raise PlanError(did_you_mean(kpi, aims(), "KPI to order by"))
    if len(args.policies) < 2:
        raise PlanError("--policies: an order has two policies or more")
    if args.markdown is not None and not args.markdown.parent.is_dir():
        raise PlanError(f"--markdown {args.markdown}: its folder does not exist; make it first")
    if args.into is not None and not (args.into / store.EXPERIMENT).is_file():
        raise PlanError(f"--into {args.into}: holds no {store.EXPERIMENT}; give a folder that `vpp-env compare` wrote")
    scenario = overridden(load_scenario(args.scenario), args.overrides)
    base, seeds = scenario_of(scenario, args.home_data), parse_seeds(args.seeds)
    scenarios, skipped = changed(base, args.change, args.only_given)
    data = args.market_data, args.node, args.home_data
    runs = len(scenarios) * len(seeds) * len(args.policies)
    with watched(Console(stderr=True), runs) as listeners:
        found = sensitivity(
            scenarios, skipped, args.policies, seeds, args.by, listeners, args.jobs, args.executor, data
        )
    words = [*prog.split(), "--policies", *args.policies, "--scenario", args.scenario, "--seeds", *args.seeds]
    words += [word for text in args.change for word in ("--change", text)]
    given = {"--market-data": args.market_data, "--node": args.node, "--home-data": args.home_data}
    words += [word for option, value in given.items() if value is not None for word in (option, value)]
    words += [word for text in args.overrides for word in ("--set", text)]
    called = shlex.join([*words, *(["--only-given"] if args.only_given else [])])
    study = Study(base.name, base.hash, base.market.version, tuple(seeds), called, software().code, found)
    text = page(study, args.by)
    if args.markdown is not None:
        store.write_text(args.markdown, text)
    if args.into is not None:
        write_study(args.into, study)
        write_report(args.into)
    print(text, end="")
    return 1 if found.failures else 0


def page(study: Study, kpis: Sequence[str]) -> str:
    """Return the page as Markdown."""
    entries = {kpi.name: kpi for kpi in table()}
    found, seeds = study.found, study.seeds
    parts = [
        "# Sensitivity of the order of policies",
        f"One parameter of `{study.scenario}` (hash {study.hash}, market {study.market}) is changed at a time; every "
        f"policy plays the same {len(seeds)} seeds again. Written by `{study.command}` at {study.code}.",
        *(text for text in [not_of_test(seeds)] if text),
        "Kendall distance: pairs of policies that stand the other way round than in the order as it is (half where "
        f"one is a tie), of {found.pairs}. Figures are means over the seeds that every policy completed; whether two "
        "differ by more than chance is not said here.",
    ]
    for name in kpis:
        kpi = entries[name]
        moved = found.moved(name)
        total = len(found.orders) - 1
        digits = DIGITS[kpi.form]
        rows = [
            [o.change, ordered(o.means[name], digits), "-" if o.change == DEFAULT else distance(o.distance[name])]
            for o in found.orders
        ]
        parts += [
            f"## By {kpi.label}",
            f"{len(moved)} of {total} changes move the order"
            + (f", at most by {distance(max(o.distance[name] for o in moved))} of {found.pairs}." if moved else "."),
            markdown(["change", "order, best first", "Kendall distance"], rows, text_columns=2),
        ]
    parts += [f"Not changed: {'; '.join(found.skipped)}."] if found.skipped else []
    few = [o for o in found.orders if o.units < len(seeds)]
    parts += [_incomplete(few, len(seeds), found.failures)] if few else []
    return "\n\n".join(parts) + "\n"


def ordered(means: Mapping[str, float], digits: int) -> str:
    """Return `a 3.10 > b 2.00 = c 2.00`."""
    if not means:
        return "no seed was completed by every policy"
    ranked = sorted(means.items(), key=lambda item: -item[1])
    text = f"{ranked[0][0]} {number(ranked[0][1], digits)}"
    for (_, before), (label, value) in pairwise(ranked):
        text += f" {'=' if before - value <= NOTHING else '>'} {label} {number(value, digits)}"
    return text


def distance(value: float) -> str:
    """Return a Kendall distance, which is whole or half."""
    return "not defined" if math.isnan(value) else f"{value:g}"


def _incomplete(few: Sequence[Order], seeds: int, failures: Sequence[str]) -> str:
    counts = "; ".join(f"{o.change}: {o.units} of {seeds} seeds" for o in few)
    return f"**Not every seed was completed by every policy.** {counts}. {'; '.join(failures)}."
