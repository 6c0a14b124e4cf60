"""Scenarios: frozen nested dataclasses, validated once, TOML in and out, with a content hash.

Every parameter is a field that carries its unit and source in its metadata; `python -m vpp_env.scenario NAME`
prints a scenario as a table. Where a source says `assumed`, the value is a default of ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from vpp_env.calendar import Calendar, month_hours
from vpp_env.errors import ScenarioError, did_you_mean
from vpp_env.scenario_check import check_scenario
from vpp_env.units import STEP_MINUTES

Triple = tuple[float, float, float]


def _f(default: Any, unit: str, source: str) -> Any:
    """Declare a dataclass field with its unit and source."""
    return dataclasses.field(default=default, metadata={"unit": unit, "source": source})


@dataclass(frozen=True)
class TimeSpec:
    """When the run happens."""

    start: str = _f("2023-08-01T00:00", "local ISO time", "the month of the real August 2023 prices")
    duration_hours: int = _f(0, "h; 0 = to the end of the start's calendar month", "744 h in August")
    opportunity_minutes: int = _f(60, "min; 15, 30 or 60", "CAISO hourly bids; FMM is 15 min")
    timezone: str = _f("America/Los_Angeles", "IANA name", "CAISO")


@dataclass(frozen=True)
class SiteSpec:
    """Where the homes are (for the sun)."""

    latitude: float = _f(34.1, "degrees north", "Fontana, CA: the measured homes of the calibration")
    longitude: float = _f(-117.4, "degrees east", "as latitude")
    altitude_m: float = _f(380.0, "m", "as latitude")


@dataclass(frozen=True)
class FleetSpec:
    """Who the homes are."""

    size: int = _f(200, "homes", "the published comparison's fleet")
    share_bess: float = _f(0.35, "share of homes", "California mix, assumed")
    share_ev: float = _f(0.45, "share of homes", "California mix, assumed")
    share_pv: float = _f(0.55, "share of homes", "California mix, assumed")
    v2g_share: float = _f(0.2, "share of EVs", "assumed")
    bess_kwh_kw_weight: tuple[Triple, ...] = _f(
        ((5, 3, 0.15), (10, 5, 0.35), (13.5, 7, 0.25), (16, 8, 0.15), (20, 10, 0.10)),
        "kWh, kW, weight",
        "published reference system",
    )
    ev_kwh_kw_weight: tuple[Triple, ...] = _f(
        ((40, 7.2, 0.25), (64, 11, 0.20), (75, 11.5, 0.30), (82, 11.5, 0.15), (100, 11.5, 0.10)),
        "kWh, kW, weight",
        "published reference system",
    )
    pv_kwp_weight: tuple[tuple[float, float], ...] = _f(
        ((4, 0.20), (6, 0.30), (8, 0.25), (10, 0.15), (12, 0.10)), "kWp, weight", "published reference system"
    )
    bess_eta: float = _f(0.95, "one-way efficiency", "published reference system")
    bess_soc_min: tuple[float, float] = _f((0.05, 0.15), "share of capacity, uniform", "reference system")
    bess_soc_max: tuple[float, float] = _f((0.90, 0.98), "share of capacity, uniform", "reference system")
    bess_soc_init: tuple[float, float] = _f((0.40, 0.80), "share of capacity, uniform", "reference system")
    ev_eta: float = _f(0.92, "one-way efficiency", "published reference system")
    ev_soc_min: float = _f(0.10, "share of capacity, hard", "assumed")


@dataclass(frozen=True)
class TraceSpec:
    """The exogenous series of the homes."""

    load_kw_mean: float = _f(
        1.1, "kW per home, summer", "17 measured Fontana homes: 1.1 yearly, 1.36 in summer"
    )
    load_peak_ratio: float = _f(1.23, "15-min peak / hourly peak of one home", "measured; data README")
    pv_residual_correlation: float = _f(0.8, "home-to-home correlation of the cloud residual", "assumed")
    pv_system_loss: float = _f(0.14, "share of DC", "NREL PVWatts default")


@dataclass(frozen=True)
class HomeSpec:
    """How a home behaves when it is not dispatched, and what its meter costs."""

    control: str = _f(
        "backup", "backup | self_consumption", "most owners hold the battery for backup; assumed"
    )
    restore_hour: float = _f(15.0, "local hour of the next day", "assumed")
    import_peak_usd_per_kwh: float = _f(
        0.55, "USD/kWh, peak hours", "assumed; shape of a California TOU tariff"
    )
    import_offpeak_usd_per_kwh: float = _f(0.36, "USD/kWh, other hours", "assumed")
    peak_hours: tuple[float, float] = _f((16.0, 21.0), "local hours, from-to", "California TOU-D 4-9 pm")
    export_credit_usd_per_kwh: float = _f(0.06, "USD/kWh", "avoided-cost export credit (NBT), assumed")
    degradation_usd_per_kwh: float = _f(0.063, "USD per kWh discharged", "300/(6000 x .8), assumed")
    away_charging_usd_per_kwh: float = _f(0.45, "USD/kWh charged elsewhere", "assumed")


@dataclass(frozen=True)
class PreferenceSpec:
    """The private truth of the owners; rows are conservative, moderate, aggressive (a third each)."""

    model: str = _f(
        "market", "market | reference", "reference: min_compensation as published, without our costs"
    )
    critical_load_kw: float = _f(0.5, "kW", "assumed; the reference prices backup at 2 kW")
    backup_hours: tuple[tuple[float, float], ...] = _f(
        ((6, 12), (3, 8), (1, 4)), "h, uniform", "reference system"
    )
    willingness: tuple[tuple[float, float], ...] = _f(
        ((0.3, 0.6), (0.6, 0.8), (0.8, 0.95)),
        "share of the feasible power that is offered",
        "reference system",
    )
    premium_usd_per_kwh: tuple[tuple[float, float], ...] = _f(
        ((0.05, 0.15), (0.02, 0.08), (0.0, 0.03)), "USD per kWh above own cost, uniform", "assumed"
    )
    max_discharge: tuple[tuple[float, float], ...] = _f(
        ((0.3, 0.5), (0.5, 0.7), (0.7, 0.85)), "share of capacity per day, uniform", "reference system"
    )
    reference_min_compensation: tuple[tuple[float, float], ...] = _f(
        ((0.20, 0.35), (0.12, 0.25), (0.08, 0.18)),
        "USD/kWh, uniform; model = reference only",
        "reference system",
    )
    standby_share: float = _f(0.02, "standby ask / min_compensation, per h", "assumed")
    defer_premium_usd_per_kwh: tuple[float, float, float] = _f(
        (0.01, 0.03, 0.06), "USD/kWh by ev_priority low, medium, high", "assumed"
    )
    ev_target: tuple[float, float] = _f((0.75, 0.90), "share of capacity, uniform", "reference system")
    ready_by_hour: tuple[float, float] = _f((6.0, 9.75), "local hour, quarters, uniform", "assumed")
    cycles_per_day: tuple[float, float] = _f((0.5, 1.5), "full cycles, uniform", "reference system")
    max_blackouts_per_week: int = _f(2, "windows; 0..max, uniform", "assumed; at most 2")
    blackout_hours: tuple[float, float] = _f((2.0, 5.0), "h, uniform", "assumed")
    buy_limit_usd_per_kwh: tuple[float, float] = _f(
        (0.02, 0.10), "USD/kWh paid for charging, uniform", "assumed"
    )
    floor_cap: float = _f(0.8, "reserve floor at most, share of capacity", "assumed")


@dataclass(frozen=True)
class PriceSpec:
    """The exogenous prices."""

    model: str = _f("caiso", "caiso | step", "step: the published reference's shape")
    season: str = _f("auto", "auto | spring | summer | autumn | winter", "auto: by month; calibration data")
    level: float = _f(1.0, "factor on the calibrated level", "assumed")
    heatwave_days: int = _f(
        0, "days of extreme heat and scarcity in the run", "August 2020 as pattern, assumed"
    )
    spike_factor: float = _f(1.0, "factor on the frequency of real-time spikes", "assumed")


@dataclass(frozen=True)
class MarketSpec:
    """The rules of the market and of the members' pay."""

    rules: str = _f("caiso2023", "version of the rules", "CAISO tariff as of 2023, simplified")
    clearing: str = _f("price_taker", "registered clearing", "docs/model.md")
    payment: str = _f("floor_and_share", "floor_and_share | uniform | pay_as_bid", "docs/model.md")
    margin: float = _f(0.05, "added to each ask in the offer", "assumed")
    revenue_share: float = _f(0.70, "of the real-time price, to the member", "assumed")
    min_bid_mw: float = _f(0.1, "MW; a smaller award is void", "DERA minimum, FERC Order 2222")
    max_capacity_mw: float = _f(5.0, "MW, cap of the VPP", "assumed")
    max_share_of_flexible: float = _f(
        1.0, "of the fleet's flexible kW per opportunity", "reference scenario: .7"
    )
    reserve: bool = _f(True, "spin and non-spin capacity are sold", "CAISO ancillary services")
    regulation: bool = _f(False, "regulation up and down too", "CAISO ancillary services")
    reserve_minutes: float = _f(30.0, "min of energy behind spin and non-spin", "CAISO")
    call_probability: float = _f(0.002, "per half hour", "assumed: contingency dispatch is rare")
    deviation_kappa: float = _f(0.0, "share of the real-time price on |M - R|", "0; .25 in stress, assumed")
    price_cap_usd_per_mwh: float = _f(2000.0, "USD/MWh", "CAISO hard cap")
    price_floor_usd_per_mwh: float = _f(-150.0, "USD/MWh", "CAISO bid floor")
    reserve_cap_usd_per_mw: float = _f(250.0, "USD/MW per h", "CAISO reserve bid cap")
    compute_usd_per_hour: float = _f(0.0, "USD per hour of the policy's computing", "0: a laptop, assumed")


@dataclass(frozen=True)
class SatisfactionSpec:
    """The evaluator's weights; order: reserve, ev, pay, consent, use."""

    weights: tuple[float, float, float, float, float] = _f((0.30, 0.25, 0.20, 0.15, 0.10), "sum 1", "assumed")
    component_floor: float = _f(0.01, "smallest component", "assumed")
    reserve_scale_h: float = _f(2.0, "h of full breach per e-fold", "assumed")
    ev_scale: float = _f(0.10, "SoC share short per e-fold", "assumed")
    sensitivity_draws: int = _f(200, "Dirichlet draws of the weights", "assumed")


@dataclass(frozen=True)
class RewardSpec:
    """The learner's reward."""

    team_share: float = _f(0.0, "alpha in [0, 1]", "assumed")
    discomfort_factor: float = _f(
        5.0, "x min_compensation per kWh for a whole-floor breach of one hour", "assumed"
    )


@dataclass(frozen=True)
class Scenario:
    """A market month: everything but the seed and the data files."""

    name: str = "august"
    description: str = "200 Californian homes in August"
    time: TimeSpec = TimeSpec()
    site: SiteSpec = SiteSpec()
    fleet: FleetSpec = FleetSpec()
    traces: TraceSpec = TraceSpec()
    home: HomeSpec = HomeSpec()
    preferences: PreferenceSpec = PreferenceSpec()
    prices: PriceSpec = PriceSpec()
    market: MarketSpec = MarketSpec()
    satisfaction: SatisfactionSpec = SatisfactionSpec()
    reward: RewardSpec = RewardSpec()

    def __post_init__(self) -> None:
        check_scenario(self)

    @cached_property
    def start(self) -> datetime:
        """Naive local start."""
        return datetime.fromisoformat(self.time.start)

    @cached_property
    def hours(self) -> int:
        """Length of the run, hours."""
        return self.time.duration_hours or month_hours(self.start, self.time.timezone)

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

    @cached_property
    def calendar(self) -> Calendar:
        """The run's clock."""
        return Calendar(self.start, self.n_steps, self.time.timezone)

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested data (tuples as lists)."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def to_toml(self) -> str:
        """Return the scenario as TOML, all fields spelled out."""
        return tomli_w.dumps(self.to_dict())

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the content (without name and description)."""
        content = {k: v for k, v in self.to_dict().items() if k not in ("name", "description")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def override(self, changes: Mapping[str, Any]) -> Scenario:
        """Return a copy with dotted fields changed, for example `{"fleet.size": 20}`.

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
            node[leaf] = value
        return scenario_from_dict(data)


def _build(cls: type, data: Mapping[str, Any], where: str) -> Any:
    """Build dataclass `cls` from plain data, checking names and types."""
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    kwargs: dict[str, Any] = {}
    for key, value in data.items():
        if key not in fields:
            raise ScenarioError(did_you_mean(key, fields, f"field of {where}"))
        hint = hints[key]
        path = f"{where}.{key}"
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ScenarioError(f"{path}: got {value!r}; allowed is a table of fields")
            kwargs[key] = _build(hint, value, path)  # type: ignore[arg-type]
        else:
            kwargs[key] = _coerce(value, fields[key].default, path)
    return cls(**kwargs)


def _coerce(value: Any, default: Any, path: str) -> Any:
    """Return `value` as the type of the field's default, or raise."""
    if isinstance(default, bool):
        ok = isinstance(value, bool)
    elif isinstance(default, int):
        ok = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        ok = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if ok else value
    elif isinstance(default, str):
        ok = isinstance(value, str)
    else:
        ok = isinstance(value, list | tuple)
        value = _tuples(value) if ok else value
    if not ok:
        raise ScenarioError(
            f"{path}: got {value!r} ({type(value).__name__}); allowed is a value like {default!r}"
        )
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def scenario_from_dict(data: Mapping[str, Any]) -> Scenario:
    """Build a scenario from nested plain data; missing fields take their defaults.

    Raises
    ------
    ScenarioError
        When a field is unknown, of the wrong type or out of range.
    """
    return _build(Scenario, data, "scenario")


def scenario_names() -> list[str]:
    """Names of the scenarios that ship with the package."""
    folder = resources.files("vpp_env") / "scenarios"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Load a shipped scenario by name, or a TOML file by path.

    Raises
    ------
    ScenarioError
        When there is no such scenario, or the file is not a valid one.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise ScenarioError(f"scenario file {text!r} does not exist; give a shipped name or a TOML file")
        content = path.read_text(encoding="utf-8")
    elif text in scenario_names():
        content = (resources.files("vpp_env") / "scenarios" / f"{text}.toml").read_text(encoding="utf-8")
    else:
        raise ScenarioError(did_you_mean(text, scenario_names(), "scenario", "A path must end in .toml."))
    try:
        data = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario {text!r} is not valid TOML: {error}") from error
    return scenario_from_dict(data)


def describe(scenario: Scenario) -> list[tuple[str, str, str, str]]:
    """Return (field, value, unit, source) rows of every parameter."""
    rows = []
    for section in dataclasses.fields(scenario):
        spec = getattr(scenario, section.name)
        if dataclasses.is_dataclass(spec):
            rows += [
                (
                    f"{section.name}.{f.name}",
                    str(getattr(spec, f.name)),
                    f.metadata["unit"],
                    f.metadata["source"],
                )
                for f in dataclasses.fields(spec)
            ]
    return rows


if __name__ == "__main__":
    import sys

    chosen = load_scenario(sys.argv[1] if len(sys.argv) > 1 else "august")
    print(f"# {chosen.name}: {chosen.description} (hash {chosen.hash})\n")
    print("| field | value | unit | source |\n|---|---|---|---|")
    for row in describe(chosen):
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
