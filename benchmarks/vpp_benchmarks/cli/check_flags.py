"""Options of the command line that check policies: audits, salted worlds, a limit to how long an answer takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vpp_benchmarks.run.plan import VERIFY_HOURS, Checks, PlanError, Salt
from vpp_env.evaluation.isolation import TIMEOUT_S
from vpp_env.scenario.check import shown
from vpp_env.scenario.streams import SALT_VARIABLE, salt_of_environment

ALL_HOURS = 10**6
"""More hours than any scenario has."""
STDIN = "-"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command line."""
    group = parser.add_argument_group("checks (docs/information.md)")
    group.add_argument(
        "--verify",
        nargs="?",
        const=str(VERIFY_HOURS),
        metavar="HOURS|all",
        help=f"audit what every policy sees, at the gates of a month's first hours; default: {VERIFY_HOURS}",
    )
    group.add_argument(
        "--verify-months",
        choices=("one", "all"),
        help="with --verify: audit a policy on one of a case's months, drawn by a hash (the default), or on each",
    )
    add_salt(group)
    group.add_argument(
        "--policy-timeout",
        type=float,
        default=TIMEOUT_S,
        metavar="S",
        help="longest that one answer of a policy from outside the registry may take; default: %(default)g",
    )


def add_salt(parser: argparse._ActionsContainer) -> None:
    """Add the option that says where the secret of the worlds is."""
    parser.add_argument(
        "--salt",
        nargs="?",
        const="",
        metavar="FILE|-",
        help=f"hash a secret into every world: that of the variable {SALT_VARIABLE}, a file, or standard input (-)",
    )


def checks(args: argparse.Namespace) -> Checks:
    """Return the checks that the command line asks for.

    Raises
    ------
    VppError
        When a value is not allowed, or there is no salt where one is said to be.
    """
    hours = _hours(args.verify)
    if args.verify_months and not hours:
        raise PlanError("--verify-months says on which months policies are audited; give --verify too")
    return Checks(salt_of(args), hours, args.verify_months == "all", args.policy_timeout)


def _hours(text: str | None) -> int:
    if text is None:
        return 0
    if text == "all":
        return ALL_HOURS
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise PlanError(f"--verify: got {shown(text)}; allowed is a number of hours, 1 or more, or all")
    return int(text)


def salt_of(args: argparse.Namespace) -> Salt | None:
    """Return the salt that the command line names; its text is on none, since everybody on a machine sees those."""
    where: str | None = args.salt
    if where is None:
        return None
    if not where:
        return Salt(salt_of_environment())
    try:
        text = sys.stdin.readline() if where == STDIN else Path(where).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        # a salt that was given itself is not repeated
        raise PlanError(
            "--salt: the file cannot be read; allowed is a file that holds the salt, - for standard input, or nothing "
            f"for the variable {SALT_VARIABLE}. The salt itself is no argument: everybody on a machine sees those"
        ) from error
    return Salt(text.strip())
