"""Write what policies did as data for offline learning and clones: `vpp-env dataset`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vpp_benchmarks.cli.common import Parser, check_npz, command
from vpp_benchmarks.run.plan import add_scenario_flags, asked_scenario, parse_seeds
from vpp_benchmarks.train.data import Episode, played, write, write_minari
from vpp_env import OBSERVATION_VERSION
from vpp_env.scenario import Scenario

EXAMPLES = (
    "--out truthful.npz --policies truthful --seeds training:6",
    "--minari vpp/week20-v0 --policies truthful stochastic random --seeds 10100:10200",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Write observations, bids and rewards of policies, month by month, as a data set.", EXAMPLES)
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="FILE.npz", help="one compressed file, without pickle")
    where.add_argument("--minari", metavar="NAME-v0", help="a data set of Minari, in the folder that it keeps them in")
    p.add_argument("--policies", nargs="+", required=True, metavar="NAME", help="who plays")
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    add_scenario_flags(p)
    p.add_argument("--seeds", nargs="+", default=["training:6"], metavar="SEED", help="default: training:6")
    args = p.parse_args(argv)
    if args.out is not None:
        check_npz(args.out)
    scenario = asked_scenario(args.scenario, args)
    seeds = parse_seeds(args.seeds)
    episodes = _played(scenario, args.policies, seeds, args.home_data)
    if args.out is not None:
        write(args.out, episodes)
        print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")
        return 0
    plain = args.home_data is None and not args.overrides
    about = (
        f"{', '.join(args.policies)} on seeds {' '.join(args.seeds)} of {scenario.name} ({scenario.hash}); version "
        f"{OBSERVATION_VERSION} of the observation; welfare in USD"
    )
    folder = write_minari(args.minari, episodes, scenario.fleet.size, args.scenario if plain else None, about)
    print(f"{folder}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB")
    return 0


def _played(
    scenario: Scenario, policies: Sequence[str], seeds: Sequence[int], home_data: str | None
) -> Iterator[Episode]:
    """Play every policy on every seed, and say what it earned."""
    for policy in policies:
        for seed in seeds:
            episode = played(scenario, policy, seed, home_data)
            welfare = episode.rewards.sum(dtype=np.float64)
            print(f"{policy}, seed {seed}: welfare {welfare:.2f} USD", file=sys.stderr, flush=True)
            yield episode
