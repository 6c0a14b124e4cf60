"""Write what policies did as data for offline learning and clones: `vpp-env dataset`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.plan import PlanError, add_scenario_flags, overridden, parse_seeds
from vpp_benchmarks.train.data import write
from vpp_env.scenario import load_scenario
from vpp_env.simulation.sources import scenario_of

EXAMPLES = (
    "--out truthful.npz --policies truthful --seeds training:6",
    "--out three.npz --policies truthful stochastic random --scenario week20 --seeds training:100",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Write observations, bids and rewards of policies, month by month, as one .npz file.", EXAMPLES)
    p.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where it is written")
    p.add_argument("--policies", nargs="+", required=True, metavar="NAME", help="who plays")
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    add_scenario_flags(p)
    p.add_argument("--seeds", nargs="+", default=["training:6"], metavar="SEED", help="default: training:6")
    args = p.parse_args(argv)
    if args.out.suffix != ".npz" or not args.out.parent.is_dir():
        raise PlanError(f"--out: got {args.out}; allowed is a file that ends in .npz, in a folder that exists")
    scenario = scenario_of(overridden(load_scenario(args.scenario), args.overrides), args.home_data)
    for line in write(args.out, scenario, args.policies, parse_seeds(args.seeds), args.home_data):
        print(line, file=sys.stderr, flush=True)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")
    return 0
