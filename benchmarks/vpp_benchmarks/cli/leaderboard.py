"""Rank the runs below some folders: `vpp-env leaderboard results/`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.report.terminal import heading
from vpp_benchmarks.results import store
from vpp_benchmarks.results.leaderboard import TEXT, Leaderboard, collect, leaderboard, rankable, ranked_by
from vpp_benchmarks.run.log import console
from vpp_benchmarks.run.plan import PlanError


def to_markdown(board: Leaderboard) -> str:
    """Return every table as Markdown."""
    parts = ["# Leaderboard"]
    for one in board.tables:
        parts += [f"## {one.title}", markdown(one.header, one.rows(), text_columns=len(TEXT))]
        parts += one.notes()
    return "\n\n".join(parts) + "\n"


FOLDED = ("code",)
"""Columns that go over several lines where the terminal is narrow: figures are never broken."""
EXAMPLES = ("results/", "results/ other/ --by joint_surplus --markdown board.md --json board.json")


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
    args = p.parse_args(argv)
    runs = [run for run in collect(args.folders) if run.origin.scenario.hash.startswith(args.hash or "")]
    if not runs:
        raise PlanError(f"no run has a scenario whose hash begins with {args.hash!r}")
    versions = {run.origin.scenario.market_version for run in runs}
    if args.market is not None:
        runs = [run for run in runs if run.origin.scenario.market_version == args.market]
        if not runs:
            raise PlanError(f"no run is under market version {args.market!r}; there are: {', '.join(sorted(versions))}")
    board = leaderboard(runs, args.by)
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
    return 0
