"""Rank the runs below some folders: `vpp-env leaderboard results/`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.results import store
from vpp_benchmarks.results.leaderboard import Leaderboard, collect, leaderboard, rankable
from vpp_benchmarks.run.log import console
from vpp_benchmarks.run.plan import PlanError


def to_markdown(board: Leaderboard) -> str:
    """Return every table as Markdown."""
    parts = ["# Leaderboard", "Satisfaction of doing nothing is 1: read profit and satisfaction together."]
    for one in board.tables:
        parts += [f"## {one.title}", markdown(one.header, one.rows(), text_columns=4)]
    return "\n\n".join(parts) + "\n"


EXAMPLES = ("results/", "results/ other/ --by joint_surplus --markdown board.md --json board.json")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Rank the runs below some folders, per scenario and information set.", EXAMPLES)
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    p.add_argument(
        "--by", default="total_profit", metavar="FIGURE", help=f"{', '.join(rankable())}; default: %(default)s"
    )
    p.add_argument("--hash", metavar="HEX", help="only scenarios whose hash begins so")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    args = p.parse_args(argv)
    runs = [run for run in collect(args.folders) if run.origin.scenario.hash.startswith(args.hash or "")]
    if not runs:
        raise PlanError(f"no run has a scenario whose hash begins with {args.hash!r}")
    board = leaderboard(runs, args.by)
    if args.json:
        store.write_json(args.json, board.to_json())
    if args.markdown:
        store.write_text(args.markdown, to_markdown(board))
    out = console()
    for one in board.tables:
        shown = Table(*one.header, title=one.title, title_justify="left", box=box.SIMPLE_HEAD)
        for row in one.rows():
            shown.add_row(*row)
        out.print(shown)
    return 0
