"""Aggregators against populations of owners, and who gains from lying: `vpp-env crossplay`.

Exit status: 0 done; 1 a policy failed somewhere (said below the tables); 2 something that was asked for is not
possible; 130 interrupted.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import DIGITS, markdown, number
from vpp_benchmarks.results import store
from vpp_benchmarks.results.intervals import Interval
from vpp_benchmarks.results.software import software
from vpp_benchmarks.run.crossplay import MADE_WITH, POPULATIONS, TRUTHFUL, Above, CrossPlay, Shares, cross_play
from vpp_benchmarks.run.executors import AUTO, executor_names
from vpp_benchmarks.run.live import watched
from vpp_benchmarks.run.plan import PlanError, add_scenario_flags, asked_scenario, parse_seeds
from vpp_env.errors import did_you_mean
from vpp_env.evaluation.kpi import table
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import not_of_test

EXAMPLES = (
    "--scenario august --seeds validation:10 --markdown page.md --figure page.svg",
    "--policies agentic posted my_module:MyPolicy --populations truthful liars",
)
TALKS = "agentic(brain='llm', llm='scripted', talk=20, without='cards,strategy')"
AGGREGATORS = ("stochastic", "posted", "tender", "agentic", TALKS)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Play aggregators with populations of owners who tell the truth, hold out, or lie.", EXAMPLES)
    p.add_argument(
        "--policies", nargs="+", default=AGGREGATORS, metavar="SPEC", help="default: " + " ".join(AGGREGATORS)
    )
    p.add_argument(
        "--populations", nargs="+", default=list(POPULATIONS), metavar="NAME", help=f"of {', '.join(POPULATIONS)}"
    )
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seeds", nargs="+", default=["validation:10"], metavar="SEEDS", help="default: validation:10")
    add_scenario_flags(p)
    p.add_argument("--out", type=Path, metavar="FOLDER", help="keep the runs there; default: nowhere")
    p.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), metavar="N", help="at the same time")
    p.add_argument("--executor", default=AUTO, metavar="NAME", help=", ".join(executor_names()))
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there too")
    p.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw what each policy is above the first")
    args = p.parse_args(argv)
    for name in args.populations:
        if name not in POPULATIONS:
            raise PlanError(did_you_mean(name, POPULATIONS, "population of owners"))
    for option in ("markdown", "figure"):
        file = getattr(args, option)
        if file is not None and not file.parent.is_dir():
            raise PlanError(f"--{option} {file}: its folder does not exist; make it first")
    if args.figure is not None and args.figure.suffix != ".svg":
        raise PlanError(f"--figure {args.figure}: got a file of type {args.figure.suffix!r}; allowed is .svg")
    base = asked_scenario(args.scenario, args)
    seeds = parse_seeds(args.seeds)
    populations = {name: POPULATIONS[name] for name in dict.fromkeys([TRUTHFUL, *args.populations])}
    runs = len(populations) * len(seeds) * len(args.policies)
    with ExitStack() as stack:
        out = args.out or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "crossplay"
        listeners = stack.enter_context(watched(Console(stderr=True), runs))
        found = cross_play(
            base, args.policies, populations, seeds, out, listeners, args.jobs, args.executor, args.home_data
        )
    words = [*prog.split(), "--policies", *args.policies, "--populations", *args.populations]
    words += ["--scenario", args.scenario, "--seeds", *args.seeds]
    words += ["--home-data", args.home_data] if args.home_data is not None else []
    called = shlex.join([*words, *(word for text in args.overrides for word in ("--set", text))])
    picture = ""
    if args.figure is not None and found.above:
        from vpp_benchmarks.report.matrix import matrix_figure  # matplotlib takes long to import

        store.write_bytes(args.figure, matrix_figure(found))
        picture = os.path.relpath(args.figure, args.markdown.parent if args.markdown else None)
    text = page(found, base, populations, seeds, called, picture)
    if args.markdown is not None:
        store.write_text(args.markdown, text)
    print(text, end="")
    return 1 if found.failures else 0


def page(
    found: CrossPlay,
    base: Scenario,
    populations: Mapping[str, Shares],
    seeds: Sequence[int],
    called: str,
    picture: str = "",
) -> str:
    """Return the page as Markdown, with the file `picture` where there is one."""
    entries = {kpi.name: kpi for kpi in table()}
    version = base.to_dict()["market"]["version"]
    parts = [
        "# Cross-play: aggregators and populations of owners",
        f"`{base.name}` (hash {base.hash}, market {version}), {len(seeds)} seeds, the same months and homes in every "
        f"cell; mean and 95 % interval. Written by `{called}` at {software().code}.",
        *(text for text in [not_of_test(seeds)] if text),
        markdown(
            ["population", "brains of its owners"],
            [[name, ", ".join(f"{share:.0%} {brain}" for brain, share in some)] for name, some in populations.items()],
            2,
        ),
    ]
    if found.above:
        labels, first = list(found.names), next(iter(found.names.values()))
        head = ["aggregator", *populations, "cross-play"]
        above = {(one.policy, one.than): _above(one, populations) for one in found.above}
        parts += [
            f"## Welfare above {first}",
            f"USD, seed by seed. With the owners of {' and '.join(MADE_WITH)} these policies were made: their columns "
            "are self-play; cross-play is the mean of all others.",
            markdown(head, [[found.names[one], *above[one, labels[0]]] for one in labels[1:]]),
        ]
        parts += [f"![Welfare above {first}, by population]({picture})"] if picture else []
        pairs = [pair for pair in above if pair[1] != labels[0]]
        if pairs:
            parts += [
                "## One aggregator above another",
                "Welfare, USD, seed by seed.",
                markdown(head, [[f"{found.names[a]} above {found.names[b]}", *above[a, b]] for a, b in pairs]),
            ]
    for kpi, cells in found.cells.items():
        if not cells:
            continue
        entry, digits = entries[kpi], DIGITS[entries[kpi].form]
        labels = list(dict.fromkeys(label for label, _ in cells))
        rows = [
            [
                found.names[label],
                *(said(cells[label, name], digits) if (label, name) in cells else "-" for name in populations),
            ]
            for label in labels
        ]
        parts += [f"## {entry.heading}", markdown(["aggregator", *populations], rows)]
    if found.lying:
        rows = [
            [
                one.population,
                found.names[one.policy],
                f"{one.share:.0%}",
                said(one.liars, 2),
                said(one.others, 2) if one.others is not None else "-",
                said(one.welfare, 2),
            ]
            for one in found.lying
        ]
        parts += [
            "## Who gains from lying",
            "USD a home and month, net benefit less private cost, against the same homes in the population that tells "
            "the truth: of those who lie or hold out, and of the others; and what it costs everybody, USD of welfare.",
            markdown(["population", "aggregator", "they are", "they gain", "others gain", "welfare"], rows, 2),
        ]
    if not found.cells:
        parts += ["**No seed was completed by every policy with every population.**"]
    parts += [f"**Failed:** {'; '.join(found.failures)}."] if found.failures else []
    return "\n\n".join(parts) + "\n"


def _above(one: Above, populations: Iterable[str]) -> list[str]:
    """Return the cells of a row: a population each, and their mean without those that policies were made with."""
    cells = [said(one.by_population[name], 2) for name in populations]
    return [*cells, "-" if one.others is None else said(one.others, 2)]


def said(one: Interval, digits: int) -> str:
    """Return `12.3 [10.1, 14.6]`; the mean alone with too few units."""
    ends = "" if one.low is None or one.high is None else f" [{number(one.low, digits)}, {number(one.high, digits)}]"
    return number(one.value, digits) + ends
