"""An experiment: scenarios x fleets x starts or measured months x policies x seeds.

It is plain data that a folder can be resumed from.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from vpp_benchmarks.run.plan import Checks, JobSpec, Plan, PlanError, file_name, make_plan, parse_override, parse_seeds
from vpp_env.contract.named import arguments
from vpp_env.contract.policy import is_outside
from vpp_env.data.months import PREFIX, is_real_month, month_names
from vpp_env.errors import VppError, did_you_mean
from vpp_env.scenario import Scenario, load_scenario, scenario_from_dict
from vpp_env.scenario.check import shown
from vpp_env.scenario.toml import read_toml
from vpp_env.traces.readers.digests import digests
from vpp_env.traces.readers.files import is_ending, resolve_paths
from vpp_env.traces.readers.homes import home_hashes

SCHEMA = "vpp_env.experiment/2"
BASELINES = ("idle", "random", "zero", "truthful", "constant")
"""Policies that every table that is published shows: nothing, noise, an untrained network, honesty, one good bid."""


@dataclass(frozen=True)
class Request:
    """What is asked for, as in an experiment file or on the command line; every field but `set` makes a product."""

    policies: tuple[str, ...] = ("agentic", "centralized")
    scenarios: tuple[str, ...] = ("august",)
    seeds: tuple[int, ...] = (0,)
    fleets: tuple[int, ...] = ()  # homes; empty: the scenario's
    starts: tuple[str, ...] = ()  # local ISO times, one a month; empty: the scenario's
    months: tuple[str, ...] = ()  # measured months, each with its own prices: caiso:PGAE:2019-01..12
    market_data: str | None = None
    node: str | None = None
    home_data: str | None = None  # a folder of one's own homes
    changes: Mapping[str, Any] = field(default_factory=dict)  # `set` in a file: dotted fields of every scenario


@dataclass(frozen=True)
class Experiment:
    """Cases that share policies and seeds; a case is one scenario with one fleet size and one month."""

    plans: tuple[Plan, ...]

    def jobs(self) -> tuple[JobSpec, ...]:
        """All runs: case by case, seed by seed, policy by policy."""
        return tuple(job for plan in self.plans for seed in plan.seeds for job in plan.jobs(seed))

    @property
    def units(self) -> int:
        """Months x seeds: what statistics count."""
        return sum(len(plan.seeds) for plan in self.plans)


def make_experiment(request: Request, checks: Checks | None = None) -> Experiment:
    """Check everything that can be checked without computing; `checks` are of all its runs.

    Raises
    ------
    VppError
        When a scenario, a policy or a value is not allowed, or two cases are the same.
    """
    plans: list[Plan] = []
    months = month_names(request.months)
    _check_months(request)
    _check_homes(request)
    for name, size, start, month in product(
        request.scenarios, request.fleets or (None,), request.starts or (None,), months or (None,)
    ):
        base = load_scenario(name)
        base = base if month is None else base.for_month(month)
        changes = dict(request.changes)
        given = {"fleet.size": size, "time.start": start}
        changes |= {key: value for key, value in given.items() if value is not None}
        scenario = base.override(changes) if changes else base
        parts = [scenario.name]
        parts += [f"n{size}"] if len(request.fleets) > 1 else []
        parts += [str(start)[:10]] if len(request.starts) > 1 else []
        if month is not None:
            # a world of its own: rankings keep scenarios of one name together
            tag = month.removeprefix(PREFIX).replace(":", "-")
            scenario, parts = scenario.override({"name": f"{scenario.name}-{tag}"}), [*parts, tag]
        case = file_name("-".join(parts))
        data = (request.market_data if month is None else month, request.node)
        plans.append(make_plan(scenario, request.policies, request.seeds, *data, case, checks, request.home_data))
    return checked(Experiment(tuple(plans)))


def _check_months(request: Request) -> None:
    """Raise `PlanError` where measured months are named together with what they say themselves."""
    said = {"market_data": request.market_data, "node": request.node, "starts": request.starts or None}
    said["time.start"] = request.changes.get("time.start")
    given = [name for name, value in said.items() if value is not None]
    if request.months and given:
        raise PlanError(f"months name prices, node and start themselves; leave out {', '.join(given)}, or months")


def _check_homes(request: Request) -> None:
    """Raise `PlanError` where a size is asked for of homes that were brought."""
    sizes = [f"fleets {request.fleets}"] if request.fleets else []
    sizes += [f"fleet.size = {request.changes['fleet.size']}"] if "fleet.size" in request.changes else []
    if request.home_data is not None and sizes:
        raise PlanError(f"{sizes[0]}: there are as many homes as in --home-data; leave it out, or delete homes there")


def checked(experiment: Experiment) -> Experiment:
    """Return the experiment, or raise `PlanError` where two cases or runs would share a folder or a world."""
    if not experiment.plans:
        raise PlanError("no scenario is named; give at least one, for example: --scenario august")
    cases = [plan.case for plan in experiment.plans]
    names = [job.name for job in experiment.jobs()]
    # two areas' prices may be played in one month: the same scenario, another world
    hashes = [
        " on ".join(filter(None, [plan.scenario.hash, plan.market_data, plan.home_data])) for plan in experiment.plans
    ]
    for what, values in (("case", cases), ("run", names), ("scenario hash", hashes)):
        twice = sorted({v for v in values if values.count(v) > 1}) if len(set(values)) < len(values) else []
        if twice:
            raise PlanError(f"{what} {twice[0]!r} is there more than once; every case must differ from the others")
    return experiment


KEYS = tuple("set" if f.name == "changes" else f.name for f in fields(Request))
"""Keys of an experiment file."""


def read_request(path: Path) -> Request:
    """Read an experiment file (TOML).

    Raises
    ------
    PlanError
        When it is not there, is not TOML, or holds a key that is not known.
    """
    data = read_toml(path, f"experiment file {shown(str(path))}")
    for key in data:
        if key not in KEYS:
            raise PlanError(f"{path.name}: {did_you_mean(key, KEYS, 'key of an experiment file')}")
    out: dict[str, Any] = {}
    for key, value in data.items():
        if key == "set":
            if not isinstance(value, dict):
                raise PlanError(f"{path.name}: set: got {value!r}; allowed is a table of scenario fields")
            out["changes"] = _dotted(value)
        elif key in ("market_data", "node", "home_data"):
            out[key] = str(value)
        elif key == "seeds":
            out[key] = parse_seeds([str(v) for v in (value if isinstance(value, list) else [value])])
        else:
            values = value if isinstance(value, list) else [value]
            kind: type = int if key == "fleets" else str
            # TOML has dates of its own
            values = [v.isoformat() if hasattr(v, "isoformat") else v for v in values]
            wrong = [v for v in values if not isinstance(v, kind) or isinstance(v, bool)]
            if wrong:
                raise PlanError(f"{path.name}: {key}: got {wrong[0]!r}; allowed is a list of {kind.__name__}")
            out[key] = tuple(values)
    return Request(**out)


def _dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as dotted keys: {"market": {"min_bid_mw": 0}} -> {"market.min_bid_mw": 0}."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        out |= _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return out


def with_overrides(request: Request, texts: Sequence[str], shortcuts: Mapping[str, tuple[str, Any]]) -> Request:
    """Return the request with `--set` texts and options that are short for one field.

    `shortcuts` is option -> (field, value).

    Raises
    ------
    PlanError
        When a field is given twice.
    """
    if not request.scenarios:
        raise PlanError("no scenario is named; give at least one, for example: --scenario august")
    changes: dict[str, Any] = dict(parse_override(text, load_scenario(request.scenarios[0])) for text in texts)
    for option, (name, value) in shortcuts.items():
        if value is not None:
            if name in changes:
                raise PlanError(f"{name} is given twice: by {option} and by --set")
            changes[name] = value
    return replace(request, changes={**request.changes, **changes})


def with_baselines(policies: Sequence[str]) -> tuple[str, ...]:
    """Return the policies, and after them the baselines that are not among them."""
    return (*policies, *(name for name in BASELINES if name not in policies))


# -- what a folder keeps of it -----------------------------------------------------------------------------------


def to_data(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as strict JSON data, scenarios spelled out in full."""
    first = experiment.plans[0]
    return {
        "schema": SCHEMA,
        "cases": [
            {
                "case": p.case,
                "hash": p.scenario.hash,
                "market_data": p.market_data,
                "node": p.node,
                "scenario": p.scenario.to_dict(),
            }
            | ({} if p.home_data is None else {"home_data": p.home_data})
            for p in experiment.plans
        ],
        "policies": [{"label": c.label, "spec": c.spec} for c in first.contenders],
        "seeds": list(first.seeds),
        "files_sha256": _all_hashes(experiment.plans),
        "salt_sha256": first.checks.salt_sha256,
        "verify_hours": first.checks.verify_hours,
        "verify_all_months": first.checks.verify_all_months,
        "runs": [job.name for job in experiment.jobs()],
    }


def from_data(data: Mapping[str, Any], named: Sequence[str] = (), checks: Checks | None = None) -> Experiment:
    """Return the experiment that `to_data` described.

    Parameters
    ----------
    data : mapping
        What a folder holds: text that anybody may have written.
    named : sequence of str
        Policies, and owners' brains, that the user names again. What comes from outside the registry, or names a graph
        or a speaker that does, is made, which executes its module, only if it is among them.
    checks : Checks, optional
        The salt, which no folder holds, and the time-out; how far policies are audited is the folder's.

    Raises
    ------
    PlanError
        When it is of another schema, the market data or the salt are not those it was begun with, or a policy from
        outside the registry is not named again: nothing has been imported then.
    """
    if data.get("schema") != SCHEMA:
        raise PlanError(f"the experiment's schema is {data.get('schema')!r:.80}; this version reads {SCHEMA!r}")
    try:
        return _from_data(data, named, checks)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, VppError):
            raise
        raise PlanError(f"experiment.json does not hold what an experiment's does ({error!r:.200})") from error


def _from_data(data: Mapping[str, Any], named: Sequence[str], checks: Checks | None) -> Experiment:
    specs = [p["spec"] for p in data["policies"]]
    brains = [spec for c in data["cases"] for spec, _ in c["scenario"].get("owners", {}).get("brains", ())]
    _check_named(specs, [spec for spec in brains if _names_module(spec) or _asks_elsewhere(spec)], named)
    hours = data.get("verify_hours", 0)
    # folders of before the months could be chosen audited all of them
    every = bool(hours) and data.get("verify_all_months", True)
    checks = replace(checks or Checks(), verify_hours=hours, verify_all_months=every)
    _check_salt(data.get("salt_sha256"), checks)
    plans = [
        make_plan(
            scenario_from_dict(c["scenario"]),
            specs,
            data["seeds"],
            c["market_data"],
            c["node"],
            c["case"],
            checks,
            c.get("home_data"),
        )
        for c in data["cases"]
    ]
    paths = [plan.case for plan in plans if plan.case != file_name(plan.case)]
    if paths:
        raise PlanError(
            f"experiment.json names the case {paths[0]!r:.80}; allowed is the name of a folder, and no path"
        )
    if list(_all_hashes(plans).values()) != list(data["files_sha256"].values()):
        paths = [c.get(key) for c in data["cases"] for key in ("market_data", "home_data")]
        where = ", ".join(dict.fromkeys(path for path in paths if path))
        raise PlanError(
            f"the data at {where!r} have changed since the experiment began; runs on different "
            "prices or homes cannot be put together: restore the files, or begin anew with another --out"
        )
    return checked(Experiment(tuple(plans)))


def _all_hashes(plans: Sequence[Plan]) -> dict[str, str]:
    """SHA-256 of every data file of an experiment, by path."""
    found: dict[str, str] = {}
    for plan in plans:
        found |= file_hashes(plan.market_data) | home_hashes(plan.home_data)
    return found


def _check_named(specs: Sequence[str], brains: Sequence[str], named: Sequence[str]) -> None:
    """Refuse policies and owners' brains that the user does not name again: code from outside, models elsewhere."""
    known, again = list(dict.fromkeys(spec.strip() for spec in (*specs, *brains))), {spec.strip() for spec in named}
    for spec in again:
        if spec not in known:
            raise PlanError(did_you_mean(spec, known, "policy of the folder"))
    reaching = [spec for spec in known if _names_module(spec) or _asks_elsewhere(spec) or is_outside(spec)]
    outside = [spec for spec in reaching if spec not in again]
    if outside:
        quoted = " ".join(f'"{spec}"' for spec in outside)
        raise PlanError(
            f"the folder names {quoted}, from outside the registry or with a language model's address; to make a "
            "policy, a graph or a speaker is to execute its module, to ask a model is to send it your key, and what a "
            f"folder says is not done by itself. If you trust it, name it again: --resume DIR --policies {quoted}"
        )


def _names_module(spec: str) -> bool:
    """Whether an option of a policy, or what a brain is given, may name code that is not ours.

    That is `module:name` or `path/to/file.py:name`, read as whoever makes the policy reads it: pieces put together.
    """
    try:
        tree = arguments(spec.partition("(")[2].strip().removesuffix(")"))
    except ValueError:
        return False  # nobody can read it, and it is refused
    return any(isinstance(node, ast.Constant) and _is_code(node.value) for node in ast.walk(tree))


WHERE_ASKED = ("base_url", "models")
"""Options that say where a language model is asked, and by which key: an address, a file of models."""


def _asks_elsewhere(spec: str) -> bool:
    """Whether a policy, or what a brain is given, says where a language model is asked."""
    try:
        tree = arguments(spec.partition("(")[2].strip().removesuffix(")"))
    except ValueError:
        return False  # nobody can read it, and it is refused
    return any(
        (isinstance(node, ast.keyword) and node.arg in WHERE_ASKED)
        or (isinstance(node, ast.Constant) and node.value in WHERE_ASKED)
        for node in ast.walk(tree)
    )


def _is_code(value: object) -> bool:
    where, colon, _ = str(value).rpartition(":")
    parts = where.split(".")
    is_module = all(part.isidentifier() for part in parts)
    return bool(colon) and (where.endswith(".py") or (is_module and parts[0] != "vpp_policies"))


def _check_salt(recorded: str | None, checks: Checks) -> None:
    given = checks.salt_sha256
    if given == recorded:
        return
    if recorded is None:
        raise PlanError("the experiment was begun without a salt; leave out --salt: its worlds would be others")
    got = "none is given" if given is None else f"the one given has {given[:12]}"
    raise PlanError(
        f"the experiment was begun with a salt whose SHA-256 begins with {recorded[:12]}, and {got}; give the same one "
        "(--salt): with another one the worlds would be others"
    )


def file_hashes(market_data: str | None) -> dict[str, str]:
    """SHA-256 of every data file of a run, by path."""
    if market_data is None:
        return {}
    return digests(resolve_paths(market_data))


def homes_content(home_data: str | None) -> list[list[str]]:
    """Name and SHA-256 of every file of homes that were brought: the name says what a file is."""
    return [[Path(path).name, digest] for path, digest in home_hashes(home_data).items()]


def job_hash(job: JobSpec) -> str:
    """First 16 hex digits of the SHA-256 of all that a run's result depends on, versions aside."""
    scenario: Scenario = job.scenario
    content = {
        "scenario": scenario.to_dict(),
        "seed": job.seed,
        "policy": job.contender.spec,
        "label": job.contender.label,
        "case": job.case,
        "node": job.node,
        "data": sorted(file_hashes(job.market_data).values()),
        "month": job.market_data if is_real_month(job.market_data) else None,  # DLAPs share a file
    }
    checks: dict[str, Any] = {"salt": job.checks.salt_sha256, "verify_hours": job.checks.verify_hours}
    checks |= {"ending": job.market_data is not None and is_ending(job.market_data)}
    checks |= {"homes": homes_content(job.home_data)}
    checks |= {"files": [sha for _, sha in job.contender.files]}
    content |= {key: value for key, value in checks.items() if value}  # without them as before there were any
    content |= {} if job.audit_seed in (None, job.seed) else {"audit_seed": job.audit_seed}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
