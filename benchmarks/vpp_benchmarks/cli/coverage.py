"""How often the benchmark's intervals hold the truth: `vpp-env coverage`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown
from vpp_benchmarks.results.coverage import HEADER, coverage, markdown_rows
from vpp_benchmarks.results.intervals import CONFIDENCE, LEAST_UNITS
from vpp_benchmarks.run.plan import PlanError

EXAMPLES = ("", "--units 30 --repetitions 2000")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Measure by simulation how often intervals hold the truth.", EXAMPLES)
    p.add_argument("--units", type=int, default=10, metavar="N", help="units of a sample; default: %(default)s")
    p.add_argument("--repetitions", type=int, default=600, metavar="N", help="samples a row; default: %(default)s")
    p.add_argument("--seed", type=int, default=0, metavar="INT", help="default: %(default)s")
    args = p.parse_args(argv)
    if args.units < LEAST_UNITS:
        raise PlanError(f"--units {args.units}: with fewer than {LEAST_UNITS} units no interval is given")
    if args.repetitions < 1 or args.seed < 0:
        raise PlanError("--repetitions: allowed is 1 or more; --seed: allowed is 0 or more")
    rows = coverage(args.units, args.repetitions, args.seed)
    print(f"Share of samples whose {CONFIDENCE:.0%} interval holds the truth; {args.repetitions} samples a row.\n")
    print(markdown(HEADER, markdown_rows(rows), text_columns=2))
    return 0
