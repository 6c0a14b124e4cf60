"""Learn the price model of the forecaster `learned` from other months: `vpp-env fit-prices`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_policies.forecast.learned import save

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.run.fit_prices import fit_measured, fit_seeded
from vpp_benchmarks.run.plan import PlanError, parse_seeds
from vpp_env.data.months import month_names
from vpp_env.scenario import load_scenario
from vpp_env.scenario.splits import split_of

EXAMPLES = (
    "--out my_prices.npz",
    "--out april.npz --scenario april --months 3 4 5 --seeds 10000:10030",
    "--out measured.npz --measured caiso:PGAE:2019-01..11 --seeds 10000",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Learn from other months what real-time prices follow on day-ahead prices.", EXAMPLES)
    p.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where the model is written")
    p.add_argument("--scenario", default="august", metavar="NAME|FILE.toml", help="whose prices; default: %(default)s")
    p.add_argument(
        "--seeds",
        nargs="+",
        metavar="SEEDS",
        help="default: training:12; with --measured one, of reserve prices: training:1",
    )
    p.add_argument("--months", nargs="+", type=int, metavar="1-12", help="of its year; default: all")
    p.add_argument("--measured", nargs="+", metavar="MONTHS", help="measured months instead: caiso:PGAE:2019-01..11")
    args = p.parse_args(argv)
    seeds = parse_seeds(args.seeds or ["training:1" if args.measured else "training:12"])
    if any(split_of(seed) != "training" for seed in seeds):
        raise PlanError("--seeds: a model is learned on training seeds, 10000 and up, such as training:12")
    scenario = load_scenario(args.scenario)
    if args.measured:
        if args.months or len(seeds) > 1:
            raise PlanError("--measured: name the months there, without --months, and one seed of their reserve prices")
        model = fit_measured(scenario, month_names(args.measured), seeds[0])
    else:
        months = args.months or list(range(1, 13))
        if not all(1 <= month <= 12 for month in months):
            raise PlanError(f"--months: got {months}; allowed is 1 to 12")
        model = fit_seeded(scenario, months, seeds)
    save(model, args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {model.hash}, learned on {model.source} (rows {model.rows})")
    return 0
