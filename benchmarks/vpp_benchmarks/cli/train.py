"""Train a policy by evolution strategies or PPO, or clone one from data: `vpp-env train`.

Exit status: 0 done; 2 something that was asked for is not possible; 130 interrupted: the best weights so far are kept.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
from vpp_policies.learned import Layer, load, save

from vpp_benchmarks.cli.common import Parser, check_npz, command
from vpp_benchmarks.run.plan import PlanError, add_scenario_flags, asked_scenario
from vpp_benchmarks.train.data import clone, read
from vpp_benchmarks.train.evolution import Progress, settings_of, train
from vpp_benchmarks.train.form import Form, form_of
from vpp_env.scenario import Scenario

EXAMPLES = (
    "--out weights.npz",
    "--out more.npz --from weights.npz --minutes 20 --seed 1",
    "--out august.npz --scenario august --minutes 60 --set fleet.size=50",
    "--out mine.npz --home-data my_homes/",
    "--out ippo.npz --method ippo --seed 1",
    "--out clone.npz --method clone --data truthful.npz",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Train one policy that all homes share; the best on validation seeds is kept.", EXAMPLES)
    p.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE.npz",
        help="where the weights are written; FILE.csv beside it: what every look at validation months found",
    )
    p.add_argument(
        "--method",
        choices=("evolution", "ippo", "mappo", "clone"),
        default="evolution",
        help="evolution and clone (of --data) learn one layer, ippo and mappo need torch; default: %(default)s",
    )
    p.add_argument("--data", type=Path, metavar="FILE.npz", help="what is cloned: of `vpp-env dataset`")
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    add_scenario_flags(p)
    p.add_argument("--minutes", type=float, default=5.0, metavar="CPU", help="CPU minutes; default: %(default)s")
    p.add_argument(
        "--from", dest="begin", type=Path, metavar="FILE.npz", help="weights to go on from, linear or of this command"
    )
    p.add_argument("--seed", type=int, default=0, metavar="INT", help="of the search; default: %(default)s")
    args = p.parse_args(argv)
    if not (math.isfinite(args.minutes) and args.minutes > 0):
        raise PlanError(f"--minutes: got {args.minutes}; allowed is more than 0")
    if args.seed < 0:
        raise PlanError(f"--seed: got {args.seed}; allowed is 0 or more")
    check_npz(args.out)
    if (args.data is not None) != (args.method == "clone"):
        raise PlanError(
            f"--data: got {args.data} with --method {args.method}; it goes with --method clone, and only there"
        )
    if args.begin is not None and args.method != "evolution":
        raise PlanError(f"--from: got it with --method {args.method}; allowed is --method evolution")
    if args.home_data is not None and args.method == "clone":
        raise PlanError("--home-data: got it with --method clone; give it to `vpp-env dataset`, which writes --data")
    scenario = asked_scenario(args.scenario, args)
    if args.method == "clone":
        layers, explained = clone(*read(args.data))
        save(args.out, layers)
        print(f"{args.out}: explains {' '.join(f'{x:.2f}' for x in explained)} of the columns of the bids")
    else:
        _train(args, scenario)
    words = [word for text in args.overrides for word in ("--set", text)]
    words += ["--home-data", str(args.home_data)] if args.home_data else []
    world = shlex.join(["--scenario", args.scenario, *words])
    print(f"score it: vpp-env compare --verify {world} --seeds validation:10 \\")
    print(f"    --policies \"learned(path='{args.out}')\" truthful constant")
    return 0


def _begin(args: argparse.Namespace, scenario: Scenario) -> Form:
    """Return what evolution begins with, or what `--from` names in its place."""
    form = form_of(scenario, args.home_data)
    if args.begin is None:
        return form
    layers = load(args.begin)
    for one in (form, Form(form.weights)):
        weights = one.of(layers)
        if weights is not None:
            return replace(one, weights=weights)
    raise PlanError(
        f"--from: {args.begin} has {len(layers)} layers; allowed is a linear policy, of one, or what this command made "
        "of a scenario with market.safeguard, for another such"
    )


def _looks(args: argparse.Namespace, scenario: Scenario) -> Iterator[tuple[list[Layer], Progress]]:
    """Train by the method that was chosen; the best layers at every look."""
    if args.method != "evolution":
        from vpp_benchmarks.train import ppo

        looks_at = settings_of(scenario, args.seed).validation
        how = ppo.Settings(seed=args.seed, central=args.method == "mappo", validation=looks_at)
        return ppo.train(scenario, args.minutes, how, home_data=args.home_data)
    form = _begin(args, scenario)
    looks = train(scenario, form, args.minutes, settings_of(scenario, args.seed), home_data=args.home_data)
    return ((form.layers(best), now) for best, now in looks)


def _train(args: argparse.Namespace, scenario: Scenario) -> None:
    """Train, say how it goes and keep the best; beside it, as CSV, what every look found."""
    looks = _looks(args, scenario)
    print(f"{scenario.name}: {args.minutes:g} CPU minutes; welfare, USD, mean of months", file=sys.stderr, flush=True)
    print(
        f"{'CPU s':>8} {'generation':>10} {'training':>9} {'validation':>10} {'best':>9}", file=sys.stderr, flush=True
    )
    found = []
    for best, now in looks:
        save(args.out, best)
        months = {f"month_{j}": welfare for j, welfare in enumerate(now.months)}
        found.append(asdict(now) | months)
        pd.DataFrame(found).drop(columns="months").to_csv(args.out.with_suffix(".csv"), index=False)
        line = f"{now.seconds:8.0f} {now.generation:10d} {now.training:9.2f} {now.validation:10.2f} {now.best:9.2f}"
        print(line, file=sys.stderr, flush=True)
    print(
        f"{args.out}: {now.best:.2f} USD on validation months, {now.generation} generations in {now.seconds:.0f} CPU s"
    )
