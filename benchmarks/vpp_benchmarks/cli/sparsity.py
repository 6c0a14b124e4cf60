"""How sparse a learner's reward is: `vpp-env sparsity`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown, percent
from vpp_benchmarks.run.plan import add_scenario_flags, asked_scenario, parse_seeds
from vpp_benchmarks.train.sparsity import earned, sparsity

EXAMPLES = ("", "week20 august", "quick --policy constant --seeds training:10")
HEADER = (
    "scenario",
    "home-steps of reward 0",
    "money of homes in 1 % of home-steps",
    "welfare in 1 % of opportunities",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(
        prog,
        "How many home-steps earn nothing, and how much of the money lies in few of them: sums of amounts, gains and "
        "losses alike, of what a policy plays; each home is paid its own part of welfare.",
        EXAMPLES,
    )
    p.add_argument("scenarios", nargs="*", default=["week20"], metavar="NAME|FILE.toml", help="default: week20")
    p.add_argument("--policy", default="truthful", metavar="SPEC", help="who plays; default: %(default)s")
    p.add_argument("--seeds", nargs="+", default=["training:3"], metavar="SEEDS", help="default: training:3")
    add_scenario_flags(p)
    args = p.parse_args(argv)
    seeds = parse_seeds(args.seeds)
    worlds = {name: asked_scenario(name, args) for name in args.scenarios}
    rows = []
    for name, world in worlds.items():
        months = []
        for seed in seeds:
            months.append(earned(world, args.policy, seed, args.home_data))
            print(f"{name}, seed {seed}: welfare {months[-1][0].sum():.2f} USD", file=sys.stderr, flush=True)
        rows.append([name, *(percent(share, 0) for share in sparsity(months))])
    print(markdown(HEADER, rows, text_columns=1))
    return 0
