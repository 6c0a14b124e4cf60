"""Rank the runs below some folders: `vpp-env leaderboard results/`.

With --replay runs are played again first: what does not come out again is refuted, and not ranked.

Exit status: 0 done; 1 a run was played again and is another; 2 something that was asked for is not possible; 130
interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from vpp_benchmarks.cli.check_flags import add_salt, salt_of
from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.report.terminal import heading
from vpp_benchmarks.results import store
from vpp_benchmarks.results.leaderboard import TEXT, Leaderboard, found, leaderboard, rankable, ranked_by
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.log import console
from vpp_benchmarks.run.plan import Checks, PlanError
from vpp_benchmarks.run.replay import chosen, difference, refuted


def to_markdown(board: Leaderboard) -> str:
    """Return every table as Markdown."""
    parts = ["# Leaderboard"]
    for one in board.tables:
        parts += [f"## {one.title}", markdown(one.header, one.rows(), text_columns=len(TEXT))]
        parts += one.notes()
    return "\n\n".join(parts) + "\n"


FOLDED = ("code",)
"""Columns that go over several lines where the terminal is narrow: figures are never broken."""
EXAMPLES = (
    "results/",
    "results/ other/ --by joint_surplus --markdown board.md --json board.json",
    "theirs/ --replay 3 --policies their_policy.py:Policy",
)
REPLAYS = 1
"""Runs of every entry that are played again unless another number is given."""


def played_again(
    runs: Sequence[tuple[Path, RunResult]], count: int, named: Sequence[str], checks: Checks
) -> list[tuple[Path, RunResult]]:
    """Play some runs of every entry again, say what came of it, and return all runs, refuted where it was another."""
    of = dict(runs)
    for folder, run in chosen(runs, count):
        reason = difference(folder, run, named, checks)
        console().print(
            f"{folder}: {reason or 'played again, the same'}", markup=False, highlight=False, soft_wrap=True
        )
        of[folder] = refuted(run, reason) if reason else run
    return list(of.items())


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Rank the runs below some folders, per scenario and information set.", EXAMPLES)
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    p.add_argument("--by", default=ranked_by(), metavar="FIGURE", help=f"{', '.join(rankable())}; default: %(default)s")
    p.add_argument("--hash", metavar="HEX", help="only scenarios whose hash begins so")
    p.add_argument("--market", metavar="VERSION", help="only runs under this version of the market")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    p.add_argument(
        "--replay",
        nargs="?",
        type=int,
        const=REPLAYS,
        default=0,
        metavar="N",
        help="play N runs of every entry again, drawn by chance: whose figures do not come out is refuted; "
        f"default: {REPLAYS}",
    )
    p.add_argument(
        "--policies", nargs="+", default=[], metavar="SPEC", help="with --replay: policies from outside, named again"
    )
    add_salt(p)
    args = p.parse_args(argv)
    held = [(f, run) for f, run in found(args.folders) if run.origin.scenario.hash.startswith(args.hash or "")]
    if not held:
        raise PlanError(f"no run has a scenario whose hash begins with {args.hash!r}")
    versions = {run.origin.scenario.market_version for _, run in held}
    if args.market is not None:
        held = [(f, run) for f, run in held if run.origin.scenario.market_version == args.market]
        if not held:
            raise PlanError(f"no run is under market version {args.market!r}; there are: {', '.join(sorted(versions))}")
    again = played_again(held, args.replay, args.policies, Checks(salt=salt_of(args)))
    board = leaderboard([run for _, run in again], args.by)
    if args.json:
        store.write_json(args.json, board.to_json())
    if args.markdown:
        store.write_text(args.markdown, to_markdown(board))
    out = console()
    for one in board.tables:
        shown = Table(title=one.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name in TEXT:
            shown.add_column(name, overflow="fold", no_wrap=name not in FOLDED)
        for kpi in one.kpis:
            shown.add_column(heading(kpi), justify="right", no_wrap=True)
        for row in one.rows():
            shown.add_row(*map(escape, row))
        out.print(shown)
        for line in one.notes():
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    return int(again != held)
