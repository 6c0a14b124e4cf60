"""Train a linear policy by evolution strategies: `vpp-env train`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted: the best weights so far are kept.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vpp_policies.learned import load, save

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.plan import PlanError, overridden
from vpp_benchmarks.train.evolution import Settings, layer, start, train
from vpp_env.scenario import load_scenario

EXAMPLES = (
    "--out weights.npz",
    "--out more.npz --from weights.npz --minutes 20 --seed 1",
    "--out august.npz --scenario august --minutes 60 --set fleet.size=50",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Train one linear policy that all homes share; the best on validation seeds is kept.", EXAMPLES)
    p.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where the weights are written")
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="of the scenario")
    p.add_argument("--minutes", type=float, default=5.0, metavar="CPU", help="CPU minutes; default: %(default)s")
    p.add_argument("--from", dest="begin", type=Path, metavar="FILE.npz", help="linear weights to go on from")
    p.add_argument("--seed", type=int, default=0, metavar="INT", help="of the search; default: %(default)s")
    args = p.parse_args(argv)
    if not (math.isfinite(args.minutes) and args.minutes > 0):
        raise PlanError(f"--minutes: got {args.minutes}; allowed is more than 0")
    if args.seed < 0:
        raise PlanError(f"--seed: got {args.seed}; allowed is 0 or more")
    if args.out.suffix != ".npz" or not args.out.parent.is_dir():
        raise PlanError(f"--out: got {args.out}; allowed is a file that ends in .npz, in a folder that exists")
    scenario = overridden(load_scenario(args.scenario), args.overrides)
    if args.begin is None:
        weights = start(scenario)
    else:
        layers = load(args.begin)
        if len(layers) != 1:
            raise PlanError(f"--from: {args.begin} has {len(layers)} layers; allowed is a linear policy, of one")
        weights = np.vstack([layers[0][0], layers[0][1]])
    print(f"{scenario.name}: {args.minutes:g} CPU minutes; welfare, USD, mean of months", file=sys.stderr, flush=True)
    print(
        f"{'CPU s':>8} {'generation':>10} {'training':>9} {'validation':>10} {'best':>9}", file=sys.stderr, flush=True
    )
    for best, now in train(scenario, weights, args.minutes, Settings(seed=args.seed)):
        save(args.out, [layer(best)])
        line = f"{now.seconds:8.0f} {now.generation:10d} {now.training:9.2f} {now.validation:10.2f} {now.best:9.2f}"
        print(line, file=sys.stderr, flush=True)
    print(
        f"{args.out}: {now.best:.2f} USD on validation months, {now.generation} generations in {now.seconds:.0f} CPU s"
    )
    print(f"score it: vpp-env compare --verify --scenario {args.scenario} --seeds validation:10 \\")
    print(f"    --policies \"learned(path='{args.out}')\" truthful constant")
    return 0
