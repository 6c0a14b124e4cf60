"""Write the homes of a month to a folder, to be edited and brought back: `vpp-env export-homes`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.plan import PlanError, add_month_flags, make_plan, overridden, parse_seeds
from vpp_env.scenario import load_scenario
from vpp_env.traces.export import FORMATS, export_homes

EXAMPLES = ("week20 --seed 3 --out my_homes/", "august --seed 0 --set fleet.share_bess=1 --out homes/ --format parquet")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Write a month's homes as files that --home-data reads back bit for bit.", EXAMPLES)
    p.add_argument("scenario", nargs="?", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seed", default="0", metavar="INT", help="default: %(default)s")
    p.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where; no file in it is overwritten")
    p.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the series; default: %(default)s")
    add_month_flags(p)
    args = p.parse_args(argv)
    scenario = overridden(load_scenario(args.scenario), args.overrides)
    seeds = parse_seeds([args.seed])
    if len(seeds) != 1:
        raise PlanError(f"--seed {args.seed!r}: allowed is one integer: a folder holds the homes of one seed")
    plan = make_plan(scenario, ("idle",), seeds, args.market_data, args.node, home_data=args.home_data)
    (month,) = plan.months()
    files = export_homes(args.out, month.calendar, month.fleet, month.homes, args.format)
    print(f"{month.fleet.n} homes of {plan.scenario.name}, seed {plan.seeds[0]}:")
    for file in files.values():
        print(f"  {file}")
    start, hours = plan.scenario.time.start, plan.scenario.hours
    print(f"bring them back with: vpp-env compare --home-data {args.out} --start {start} --duration-hours {hours}")
    return 0
