"""Find the best constant bid of a scenario on validation seeds: `vpp-env tune-constant`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.plan import PlanError, add_month_flags, make_plan, overridden, parse_seeds
from vpp_benchmarks.run.tune import Tried, aims, mean_over, search, spec
from vpp_env.errors import did_you_mean
from vpp_env.scenario import load_scenario
from vpp_env.scenario.splits import not_of_test, split_of

EXAMPLES = ("--scenario week20", "--scenario august --seeds validation:3 --random 20 --refined 20")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Find the best constant bid by random search, then one option at a time.", EXAMPLES)
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seeds", nargs="+", default=["validation:10"], metavar="SEEDS", help="default: validation:10")
    p.add_argument("--by", default=aims()[0], metavar="KPI", help="mean of what; default: %(default)s")
    p.add_argument("--random", type=int, default=60, metavar="N", help="bids drawn; default: %(default)s")
    p.add_argument("--refined", type=int, default=80, metavar="N", help="bids around the best; default: %(default)s")
    p.add_argument("--seed", type=int, default=0, metavar="INT", help="of the search; default: %(default)s")
    add_month_flags(p)
    args = p.parse_args(argv)
    if args.by not in aims():
        raise PlanError(did_you_mean(args.by, aims(), "aim"))
    if args.random < 1 or args.refined < 0 or args.seed < 0:
        raise PlanError("--random: allowed is 1 or more; --refined and --seed: 0 or more")
    scenario = overridden(load_scenario(args.scenario), args.overrides)
    seeds = parse_seeds(args.seeds)
    if any(split_of(seed) == "test" for seed in seeds):
        raise PlanError("--seeds: test seeds are for figures that are reported; tune on others, such as validation:10")
    plan = make_plan(scenario, ("constant",), seeds, args.market_data, args.node, home_data=args.home_data)
    months = plan.months()

    def report(number: int, tried: Tried) -> None:
        print(f"{number:4d} {tried.value:12.2f}  {spec(tried.bid)}", file=sys.stderr, flush=True)

    value = mean_over(months, args.by)
    usual = value({})
    best = search(value, args.random, args.refined, args.seed, report)
    print(f"{args.by}, mean of {len(months)} seeds of {plan.scenario.name} ({plan.scenario.hash})")
    print(f"{'defaults':>10} {usual:12.2f}  constant")
    print(f"{'best':>10} {best.value:12.2f}  {spec(best.bid)}")
    if split_of(plan.seeds[0]) != "validation":
        print(not_of_test(plan.seeds))
    return 0
