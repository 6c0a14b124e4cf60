"""Learn what called evenings deliver, for the policy `fleet`: `vpp-env fit-evenings`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.fit_evenings import fit_evenings, save_evenings
from vpp_benchmarks.run.plan import PlanError, parse_seeds
from vpp_env.scenario import load_scenario
from vpp_env.scenario.splits import split_of

EXAMPLES = ("--out my_evenings.json --seeds 10100:10110",)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Play training seeds with all capacity committed; compare delivered to declared.", EXAMPLES)
    p.add_argument("--out", required=True, type=Path, metavar="FILE.json", help="where the evenings are written")
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="default: %(default)s")
    # not those that the price model was learned on: it refuses them
    p.add_argument("--seeds", nargs="+", default=["10100:10106"], metavar="SEEDS", help="default: 10100:10106")
    args = p.parse_args(argv)
    seeds, scenario = parse_seeds(args.seeds), load_scenario(args.scenario)
    if any(split_of(seed) != "training" for seed in seeds):
        raise PlanError("--seeds: evenings are learned on training seeds, 10000 and up, such as 10100:10106")
    if list(seeds) != list(range(seeds[0], seeds[-1] + 1)):
        raise PlanError("--seeds: give one range, such as 10100:10106")
    if not scenario.market.firm_capacity:
        raise PlanError(f"--scenario {scenario.name}: it sells no firm capacity (market.firm_capacity)")
    evenings = fit_evenings(scenario, seeds)
    save_evenings(evenings, args.out)
    print(f"{args.out}: {len(evenings.ratio)} evenings of {evenings.source}")
    return 0
