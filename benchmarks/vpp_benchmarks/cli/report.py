"""Write the report of an experiment again from its folder: `vpp-env report DIR`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.page import write_report
from vpp_benchmarks.report.pictures import write_pictures
from vpp_benchmarks.results import store


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(
        prog,
        "Write report.html of a results folder again.",
        ("results/august-20260101T120000", "results/mine --pictures docs/img"),
    )
    p.add_argument("folder", type=Path, metavar="DIR", help="folder that `vpp-env compare` has written")
    p.add_argument("--pictures", type=Path, metavar="FOLDER", help="write ladder, negotiation, day there instead")
    args = p.parse_args(argv)
    if args.pictures is None:
        write_report(args.folder)
        print(args.folder / store.HTML)
    else:
        print(*write_pictures(args.folder, args.pictures), sep="\n")
    return 0
