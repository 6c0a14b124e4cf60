"""Scenarios: frozen nested dataclasses, validated once, TOML in and out, with a content hash.

Every parameter is a field of `specs` that carries its unit, source and limits; `vpp-env scenario NAME` prints them as a
table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from vpp_env.data.months import find_real_month
from vpp_env.errors import ScenarioError, did_you_mean
from vpp_env.scenario.calendar import Calendar, month_hours
from vpp_env.scenario.check import (
    allowed,
    check_days,
    check_fleet,
    check_market,
    check_satisfaction,
    check_section,
    check_time,
    shown,
)
from vpp_env.scenario.specs import (
    FleetSpec,
    HomeSpec,
    MarketSpec,
    OwnersSpec,
    PreferenceSpec,
    PriceSpec,
    RewardSpec,
    SatisfactionSpec,
    SiteSpec,
    TimeSpec,
    TraceSpec,
)
from vpp_env.scenario.toml import parse_toml, read_toml
from vpp_env.units import STEP_MINUTES


@dataclass(frozen=True)
class Scenario:
    """A market month: everything but the seed and the data files."""

    name: str = "august"
    description: str = "200 Californian homes in August"
    time: TimeSpec = field(default_factory=TimeSpec)
    site: SiteSpec = field(default_factory=SiteSpec)
    fleet: FleetSpec = field(default_factory=FleetSpec)
    traces: TraceSpec = field(default_factory=TraceSpec)
    home: HomeSpec = field(default_factory=HomeSpec)
    preferences: PreferenceSpec = field(default_factory=PreferenceSpec)
    owners: OwnersSpec = field(default_factory=OwnersSpec)
    prices: PriceSpec = field(default_factory=PriceSpec)
    market: MarketSpec = field(default_factory=MarketSpec)
    satisfaction: SatisfactionSpec = field(default_factory=SatisfactionSpec)
    reward: RewardSpec = field(default_factory=RewardSpec)

    def __post_init__(self) -> None:
        for section in dataclasses.fields(self):
            spec = getattr(self, section.name)
            if dataclasses.is_dataclass(spec):
                check_section(section.name, spec)
        check_time(self.time)
        check_days(self.calendar)
        check_fleet(self.fleet, self.preferences)
        check_market(self.market)
        check_satisfaction(self.satisfaction)

    @cached_property
    def start(self) -> datetime:
        """Naive local start."""
        return datetime.fromisoformat(self.time.start)

    @cached_property
    def hours(self) -> int:
        """Length of the run, hours."""
        return self.time.duration_hours or month_hours(self.start, self.time.timezone)

    @cached_property
    def month_hours(self) -> int:
        """Hours of the calendar month in which the run starts."""
        return month_hours(self.start.replace(day=1, hour=0, minute=0), self.time.timezone)

    @property
    def steps_per_opportunity(self) -> int:
        """Physics steps in one market opportunity."""
        return self.time.opportunity_minutes // STEP_MINUTES

    @property
    def n_opportunities(self) -> int:
        """Market opportunities in the run."""
        return self.hours * 60 // self.time.opportunity_minutes

    @property
    def n_steps(self) -> int:
        """Physics steps in the run."""
        return self.n_opportunities * self.steps_per_opportunity

    @property
    def lead_opportunities(self) -> int:
        """Opportunities between the gate at which bids are taken and their delivery."""
        return -(-self.market.gate_lead_minutes // self.time.opportunity_minutes)

    @cached_property
    def calendar(self) -> Calendar:
        """The run's clock."""
        return Calendar(self.start, self.n_steps, self.time.timezone)

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested data (tuples as lists).

        Returns
        -------
        dict
            Section -> field -> value.
        """
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def to_toml(self) -> str:
        """Return the scenario as TOML, all fields spelled out.

        Returns
        -------
        str
            What `load_scenario` reads.
        """
        return tomli_w.dumps(self.to_dict())

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the content (without name and description)."""
        content = {k: v for k, v in self.to_dict().items() if k not in ("name", "description")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def for_month(self, name: str) -> Scenario:
        """Return a copy that runs through a measured month, `caiso:<DLAP>:<YYYY-MM>`, from its first day to its last.

        Parameters
        ----------
        name : str
            One of `real_month_names()`.

        Returns
        -------
        Scenario
            With its start and length; `Month(scenario, seed, market_data=name)` takes its prices too.

        Raises
        ------
        UnknownNameError
            When the package has no such month.
        """
        start = find_real_month(name).start
        return self.override({"time.start": start.strftime("%Y-%m-%dT%H:%M"), "time.duration_hours": 0})

    def override(self, changes: Mapping[str, Any]) -> Scenario:
        """Return a copy with dotted fields changed, for example `{"fleet.size": 20}`.

        Parameters
        ----------
        changes : mapping
            `section.field` -> value.

        Returns
        -------
        Scenario
            Checked; this one stays as it is.

        Raises
        ------
        ScenarioError
            When a field is unknown or a value not allowed.
        """
        data = self.to_dict()
        for path, value in changes.items():
            *parents, leaf = path.split(".")
            node = data
            for part in parents:
                node = node.setdefault(part, {})
                if not isinstance(node, dict):
                    raise ScenarioError(f"{path!r} is no field: {part!r} holds no further fields")
            node[leaf] = value
        return scenario_from_dict(data)


def _build(cls: type, data: Mapping[str, Any], where: str) -> Any:
    """Build dataclass `cls` from plain data, checking names and types."""
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    kwargs: dict[str, Any] = {}
    for key, value in data.items():
        if key not in fields:
            raise ScenarioError(did_you_mean(str(key), fields, f"field of {where}"))
        hint = hints[key]
        path = f"{where}.{key}"
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ScenarioError(f"{path}: got {shown(value)}; allowed is a table of fields")
            kwargs[key] = _build(hint, value, path)  # type: ignore[arg-type]
        else:
            kwargs[key] = _coerce(value, fields[key].default, path)
    return cls(**kwargs)


def _coerce(value: Any, default: Any, path: str) -> Any:
    """Return `value` as the type of the field's default, or raise."""
    if isinstance(default, bool):
        kind, ok = "true or false", isinstance(value, bool)
    elif isinstance(default, int):
        kind, ok = f"a whole number such as {default}", isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        kind, ok = f"a number such as {default}", isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if ok else value
    elif isinstance(default, str):
        kind, ok = f'text such as "{default}"', isinstance(value, str)
    else:
        kind, ok = f"a list such as {json.dumps(default)}", isinstance(value, list | tuple)
        value = _tuples(value) if ok else value
    if not ok:
        raise ScenarioError(f"{path}: got {shown(value)} ({type(value).__name__}); allowed is {kind}")
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def scenario_from_dict(data: Mapping[str, Any]) -> Scenario:
    """Build a scenario from nested plain data; missing fields take their defaults.

    Parameters
    ----------
    data : mapping
        Section -> field -> value, as `Scenario.to_dict` returns.

    Returns
    -------
    Scenario
        Checked.

    Raises
    ------
    ScenarioError
        When a field is unknown, of the wrong type or out of range.
    """
    return _build(Scenario, data, "scenario")


def scenario_names() -> list[str]:
    """Names of the scenarios that ship with the package.

    Returns
    -------
    list of str
        What `load_scenario` takes.
    """
    folder = resources.files("vpp_env.scenario")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Load a shipped scenario by name, or a TOML file by path.

    Parameters
    ----------
    name_or_path : str or Path
        One of `scenario_names()`, or a path that ends in `.toml`.

    Returns
    -------
    Scenario
        Checked, with defaults where the file says nothing.

    Raises
    ------
    ScenarioError
        When there is no such scenario, or the file is not a valid one.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            wrong = "is a folder" if path.is_dir() else "does not exist"
            raise ScenarioError(f"scenario file {text!r} {wrong}; give a shipped name or a TOML file")
        return scenario_from_dict(read_toml(path, f"scenario {text!r}"))
    if text in scenario_names():
        content = (resources.files("vpp_env.scenario") / f"{text}.toml").read_text(encoding="utf-8")
        return scenario_from_dict(parse_toml(content, f"scenario {text!r}"))
    raise ScenarioError(did_you_mean(text, scenario_names(), "scenario", "A path must end in .toml."))


def describe(scenario: Scenario) -> list[tuple[str, str, str, str, str]]:
    """Return (field, value, unit, allowed, source) rows of every parameter; the value as `--set` takes it."""
    rows = []
    for section in dataclasses.fields(scenario):
        spec = getattr(scenario, section.name)
        if dataclasses.is_dataclass(spec):
            for f in dataclasses.fields(spec):
                got = getattr(spec, f.name)
                value = got if isinstance(got, str) else json.dumps(got, ensure_ascii=False)  # TOML spells these alike
                rows.append((f"{section.name}.{f.name}", value, f.metadata["unit"], allowed(f), f.metadata["source"]))
    return rows
