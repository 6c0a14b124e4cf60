"""Options of the command line for policies that ask a language model; light, since most runs ask none."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vpp_benchmarks.run.plan import PlanError
from vpp_env.contract.policy import parse_spec

FLAGS = {
    "llm_budget_usd": "budget_usd",
    "llm_max_calls": "max_calls",
    "llm_sample_hours": "sample_hours",
    "llm_concurrency": "concurrency",
    "llm_fallback": "fallback",
}
"""Options of the command line, and the option of the policy that each one sets."""


def asks_models(specs: Sequence[str]) -> bool:
    """Whether any policy has `brain='llm'`."""
    return any(parse_spec(spec)[1].get("brain") == "llm" for spec in specs)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command line."""
    group = parser.add_argument_group("language models (policies with brain='llm')")
    group.add_argument("--llm-budget-usd", type=float, metavar="USD", help="most that one month may spend; then rules")
    group.add_argument("--llm-max-calls", type=int, metavar="N", help="most calls of one month; then rules")
    group.add_argument("--llm-sample-hours", type=float, metavar="H", help="hours in which batched and full ask")
    group.add_argument("--llm-concurrency", type=int, metavar="N", help="calls of one hour side by side; same results")
    group.add_argument(
        "--llm-fallback", choices=("stop", "rules"), help="when the server refuses to be asked: end the run, or rules"
    )


def with_flags(specs: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Return the policies with the command line's options put into those with `brain='llm'`.

    Raises
    ------
    PlanError
        When there is no such policy, or one sets the option itself.
    """
    given = {option: getattr(args, flag) for flag, option in FLAGS.items() if getattr(args, flag) is not None}
    if not given:
        return list(specs)
    out, found = [], False
    samples = given.pop("sample_hours", None)
    sampled = False
    for spec in specs:
        name, options = parse_spec(spec)
        if options.get("brain") != "llm":
            out.append(spec)
            continue
        found = True
        mine = dict(given)
        if samples is not None and options.get("mode", "cards") != "cards":
            mine["sample_hours"], sampled = samples, True
        if twice := mine.keys() & options.keys():
            raise PlanError(
                f"{spec!r}: {', '.join(sorted(twice))} is given twice, by an --llm- option and in the policy"
            )
        text = ", ".join(f"{key}={value!r}" for key, value in (options | mine).items())
        out.append(f"{name}({text})")
    if not found:
        raise PlanError("an --llm- option is given, and no policy has brain='llm'")
    if samples is not None and not sampled:
        raise PlanError("--llm-sample-hours is given, and no policy has mode='batched' or mode='full'")
    return out
