"""Write what a paper needs from a results folder: `vpp-env paper DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.paper import write_paper


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    text = "Write LaTeX tables, vector figures, how to reproduce, a datasheet and a benchmark card to DIR/paper."
    p = Parser(prog, text, ("results/august-20260101T120000",))
    p.add_argument("folder", type=Path, metavar="DIR", help="folder that `vpp-env compare` has written")
    folder = p.parse_args(argv).folder
    print(f"{prog}: tables and figures of {folder}", file=sys.stderr, flush=True)
    out = write_paper(folder)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            print(path)
    return 0
