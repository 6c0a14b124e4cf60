"""What is to be run: scenario x policies x seeds, checked before anything is computed."""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, time
from pathlib import Path
from typing import Any

from vpp_benchmarks.run.named_files import NamedFiles, named_files
from vpp_env.contract.policy import PolicyInfo, parse_spec
from vpp_env.data.months import find_real_month, is_real_month
from vpp_env.errors import VppError, did_you_mean
from vpp_env.evaluation.isolation import TIMEOUT_S, player
from vpp_env.evaluation.verdict import Audit
from vpp_env.market.clearing import make_clearing
from vpp_env.market.payment import make_payment
from vpp_env.owners.brains import known_brain
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.scenario.check import shown
from vpp_env.scenario.splits import MOST_SEEDS, SPLITS, named_seeds
from vpp_env.scenario.streams import check_salt, salt_hash
from vpp_env.simulation.month import Month
from vpp_env.simulation.sources import scenario_of
from vpp_env.traces.readers.files import resolve_paths


class PlanError(VppError, ValueError):
    """A benchmark cannot be planned from what was given."""


@dataclass(frozen=True)
class Contender:
    """One policy of a comparison."""

    label: str  # unique; prefix of its columns in simulation_results.csv
    spec: str  # as on the command line
    info: PolicyInfo
    files: NamedFiles = ()  # what it names, as it was when the comparison was planned


@dataclass(frozen=True)
class Salt:
    """The secret of an experiment's worlds; it travels with its jobs and is written nowhere but as its hash."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        check_salt(self.text)

    @property
    def sha256(self) -> str:
        """The only thing of it that may be recorded."""
        return str(salt_hash(self.text))


VERIFY_HOURS = 48
"""Hours of a month whose gates an audit looks at unless another number is given [assumed]: two days hold every hour of
the day twice, and cost a policy of OWN about as much as it takes to play four weeks."""


@dataclass(frozen=True)
class Checks:
    """What is done against policies that know, or do, more than they say."""

    salt: Salt | None = None  # of the worlds
    verify_hours: int = 0  # hours of a month whose gates every policy is audited on; 0: none is
    verify_all_months: bool = False  # audited on every month that it plays; else on one, see `Plan.audit_seed`
    policy_timeout_s: float = TIMEOUT_S  # longest that one answer of a policy is waited for; no part of a result

    def __post_init__(self) -> None:
        if self.verify_hours < 0:
            raise PlanError(f"--verify: got {self.verify_hours} hours; allowed is 1 or more")
        if self.verify_all_months and not self.verify_hours:
            raise PlanError("--verify-months says on which months policies are audited; give --verify too")
        if not 0.0 < self.policy_timeout_s < math.inf:
            raise PlanError(f"--policy-timeout: got {self.policy_timeout_s:g} s; allowed is a number above 0")

    @property
    def salt_sha256(self) -> str | None:
        """What is recorded of the salt."""
        return None if self.salt is None else self.salt.sha256


@dataclass(frozen=True)
class JobSpec:
    """One run: one policy plays one seed of one case. All that its result depends on is here."""

    contender: Contender
    seed: int
    scenario: Scenario
    case: str
    market_data: str | None = None
    node: str | None = None
    checks: Checks = field(default_factory=Checks)
    home_data: str | None = None
    audit_seed: int | None = None  # of the case's month on which its policy is audited; None: none is
    audited: Audit | None = None  # what that has found, where it is another run's month

    @property
    def name(self) -> str:
        """Name of its run folder, unique within an experiment."""
        return f"{self.case}-s{self.seed}-{self.contender.label}"

    @property
    def audit_run(self) -> str | None:
        """Name of the other run that its policy is audited in; None where it is this one, or none."""
        return None if self.audit_seed in (None, self.seed) else replace(self, seed=self.audit_seed).name


@dataclass(frozen=True)
class Plan:
    """A comparison: every contender plays the same month of every seed."""

    scenario: Scenario
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    market_data: str | None = None
    node: str | None = None
    case: str = ""  # name among the cases of an experiment
    checks: Checks = field(default_factory=Checks)
    home_data: str | None = None

    def jobs(self, seed: int) -> tuple[JobSpec, ...]:
        """Runs of one seed, in the order in which the policies were named."""
        case = self.case or file_name(self.scenario.name)
        rest = (seed, self.scenario, case, self.market_data, self.node, self.checks, self.home_data)
        return tuple(JobSpec(one, *rest, audit_seed=self.audit_seed(one, seed)) for one in self.contenders)

    def months(self) -> list[Month]:
        """Build the months, one a seed."""
        salt = None if self.checks.salt is None else self.checks.salt.text
        rest = self.market_data, self.node
        return [Month(self.scenario, seed, *rest, salt=salt, home_data=self.home_data) for seed in self.seeds]

    def audit_seed(self, contender: Contender, seed: int) -> int | None:
        """Return the seed of the month on which a policy that plays `seed` is audited; None: no audit is asked for.

        One of the plan's months for all runs of the policy, by a hash of case, policy and salt: who does not know the
        salt cannot tell which one. With `Checks.verify_all_months` the month that it plays.
        """
        checks = self.checks
        if not checks.verify_hours or checks.verify_all_months:
            return seed if checks.verify_hours else None
        text = f"{self.case} {contender.spec} {checks.salt.text if checks.salt else ''}"
        return sorted(self.seeds)[int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % len(self.seeds)]


def make_plan(
    scenario: Scenario,
    specs: Sequence[str],
    seeds: Sequence[int] = (0,),
    market_data: str | Path | None = None,
    node: str | None = None,
    case: str = "",
    checks: Checks | None = None,
    home_data: str | Path | None = None,
) -> Plan:
    """Check everything that can be checked without computing, and return the plan.

    With `home_data` the scenario has as many homes as the data.

    Raises
    ------
    VppError
        When a policy cannot be built, a rule of the market is unknown, a data file does not exist, ...
    """
    if not specs:
        raise PlanError("no policy is named; give at least one, for example: agentic centralized")
    if not seeds or min(seeds) < 0:
        raise PlanError(f"seeds: got {list(seeds)}; allowed is one or more integers that are zero or more")
    make_clearing(scenario.market)
    make_payment(scenario.market)
    for spec, _ in scenario.owners.brains:
        known_brain(spec)
    if market_data is not None:
        resolve_paths(market_data)
    elif node is not None:
        raise PlanError(f"node {shown(node)} picks a price node of a data file; give the file too (--market-data PATH)")
    scenario = scenario_of(scenario, home_data)
    labels = unique_labels([label_of(spec) for spec in specs])
    contenders = [
        Contender(label, spec.strip(), declared(spec), named_files(spec))
        for label, spec in zip(labels, specs, strict=True)
    ]
    data = None if market_data is None else str(market_data)
    if data is not None and is_real_month(data) and node is None:
        node = find_real_month(data).dlap.lower()  # areas share files: a result says whose prices it was played on
    checks = checks or Checks()
    return Plan(
        scenario,
        tuple(contenders),
        tuple(dict.fromkeys(seeds)),
        data,
        node,
        case or file_name(scenario.name),
        checks,
        None if home_data is None else str(home_data),
    )


def declared(spec: str) -> PolicyInfo:
    """Return what a policy declares; one from outside the registry is not even imported by this process."""
    with player(spec) as policy:
        return policy.info


def file_name(text: str) -> str:
    """Return `text` as a name of a file: letters, digits, dash, dot and underscore."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).strip(".") or "_"


def label_of(spec: str) -> str:
    """Short name of a policy: `centralized(horizon_hours=24)` is `centralized`, `my.module:MyPolicy` is `mypolicy`."""
    name = parse_spec(spec)[0].rpartition(":")[2]
    return re.sub(r"\W+", "_", name).strip("_").lower() or "policy"


def unique_labels(labels: Sequence[str]) -> list[str]:
    """Number the labels that are there more than once: a, a -> a, a_2."""
    out: list[str] = []
    for label in labels:
        unique, number = label, 1
        while unique in out or (number > 1 and unique in labels):
            number += 1
            unique = f"{label}_{number}"
        out.append(unique)
    return out


def told_apart(contenders: Sequence[Contender]) -> dict[str, str]:
    """Return label -> a name for people: where one policy is there more than once, with the options that differ."""
    known = [(contender, *parse_spec(contender.spec)) for contender in contenders]
    names: dict[str, str] = {}
    for contender, policy, options in known:
        alike = [other for _, name, other in known if name == policy]
        if len(alike) == 1:
            names[contender.label] = contender.label
            continue
        differ = [k for k in options if any(k not in other or other[k] != options[k] for other in alike)]
        text = ", ".join(f"{k}={options[k]}" for k in differ) or "defaults"
        names[contender.label] = f"{contender.label} ({text})"
    return names


def parse_seeds(texts: Sequence[str]) -> tuple[int, ...]:
    """Read seeds: integers, ranges such as `0:10` (the end not included), or names of splits such as `test:10`.

    Raises
    ------
    VppError
        When a text is none of them; see `vpp_env.scenario.splits` for the names.
    """
    seeds: list[int] = []
    for text in texts:
        if text.strip().partition(":")[0] in SPLITS:
            seeds += named_seeds(text)
            continue
        match = re.fullmatch(r"([0-9]{1,18})(?::([0-9]{1,18}))?", text.strip())
        if match is None or (match[2] is not None and int(match[2]) <= int(match[1])):
            raise PlanError(
                f"seed {shown(text)}: allowed is an integer such as 7, a range such as 0:10 (0 to 9), "
                f"or one of {', '.join(SPLITS)}, as in test:10"
            )
        wanted = range(int(match[1]), int(match[2]) if match[2] is not None else int(match[1]) + 1)
        if len(seeds) + len(wanted) > MOST_SEEDS:
            raise PlanError(f"seeds {text!r}: {len(wanted)} seeds; allowed are {MOST_SEEDS} in one experiment")
        seeds += wanted
    return tuple(seeds)


def add_month_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which prices a month has and what of its scenario is changed."""
    parser.add_argument(
        "--market-data", metavar="PATH", help="measured prices; ending:PATH where times are the ends of intervals"
    )
    parser.add_argument("--node", help="price node, where the data holds several")
    add_scenario_flags(parser)


def add_scenario_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whose homes a month has and what of its scenario is changed."""
    parser.add_argument("--home-data", metavar="FOLDER", help="homes of your own; see docs/home-data.md")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="SECTION.FIELD=VALUE",
        help="change any field of the scenario; may be repeated",
    )


def asked_scenario(name: str, args: argparse.Namespace) -> Scenario:
    """Return the scenario of that name, or file, as the options of `add_scenario_flags` want it.

    Raises
    ------
    VppError
        When there is no such scenario, a change is not allowed, or the homes cannot be used.
    """
    return scenario_of(overridden(load_scenario(name), args.overrides), args.home_data)


def parse_override(text: str, scenario: Scenario) -> tuple[str, Any]:
    """Read `section.field=value`; the value is written as in TOML, text needs no quotes.

    Raises
    ------
    PlanError
        When it is not of that form, or there is no such section.
    """
    path, equals, raw = (part.strip() for part in text.partition("="))
    section, dot, leaf = path.partition(".")
    if not (equals and dot and leaf and raw):
        raise PlanError(f"--set {shown(text)}: allowed is section.field=value, for example market.min_bid_mw=0")
    sections = {key for key, value in scenario.to_dict().items() if isinstance(value, dict)}
    if section not in sections:
        raise PlanError(f"--set {shown(text)}: {did_you_mean(section, sections, 'section of scenario')}")
    return path, _toml_value(raw)


def overridden(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    """Return the scenario with every text `section.field=value` applied; itself where there is none.

    Raises
    ------
    VppError
        When a text is not of that form, a field is unknown or a value is not allowed.
    """
    changes = dict(parse_override(text, scenario) for text in texts)
    return scenario.override(changes) if changes else scenario


def _toml_value(raw: str) -> Any:
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except (ValueError, RecursionError):
        return raw  # bare text, such as market.clearing=pm10
    # a scenario keeps times as text
    return raw if isinstance(value, date | time) else value
