"""The rules that a scenario must keep, checked once when it is built."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vpp_env.errors import ScenarioError, did_you_mean

if TYPE_CHECKING:
    from vpp_env.scenario import Scenario

CHOICES = {
    "home.control": ("backup", "self_consumption"),
    "preferences.model": ("market", "reference"),
    "prices.model": ("caiso", "step"),
    "prices.regime": ("drawn", "central", "calm", "stressed", "dear_gas", "deep_solar"),
    "prices.season": ("auto", "spring", "summer", "autumn", "winter"),
    "market.rules": ("caiso2023",),
    "market.programme": ("none", "elrp"),
    "time.opportunity_minutes": (15, 30, 60),
}

INF = math.inf
LIMITS: dict[str, tuple[float, float]] = {
    "time.duration_hours": (0, 24 * 366),
    "site.latitude": (-90, 90),
    "site.longitude": (-180, 180),
    "site.altitude_m": (-500, 9000),
    "fleet.size": (1, 10_000_000),
    "fleet.share_bess": (0, 1),
    "fleet.share_ev": (0, 1),
    "fleet.share_pv": (0, 1),
    "fleet.v2g_share": (0, 1),
    "fleet.bess_eta": (0.1, 1),
    "fleet.ev_eta": (0.1, 1),
    "fleet.bess_soc_min": (0, 1),
    "fleet.bess_soc_max": (0, 1),
    "fleet.bess_soc_init": (0, 1),
    "fleet.ev_soc_min": (0, 1),
    "traces.load_kw_mean": (0.01, 1000),
    "traces.load_peak_ratio": (1, 10),
    "traces.pv_residual_correlation": (0, 1),
    "traces.pv_system_loss": (0, 1),
    "home.restore_hour": (0, 23.75),
    "home.import_peak_usd_per_kwh": (0, INF),
    "home.import_offpeak_usd_per_kwh": (0, INF),
    "home.peak_hours": (0, 24),
    "home.export_credit_usd_per_kwh": (0, INF),
    "home.degradation_usd_per_kwh": (0, INF),
    "home.away_charging_usd_per_kwh": (0, INF),
    "preferences.critical_load_kw": (0, INF),
    "preferences.backup_hours": (0, INF),
    "preferences.willingness": (0, 1),
    "preferences.premium_usd_per_kwh": (-1, INF),
    "preferences.max_discharge": (0, 1),
    "preferences.reference_min_compensation": (0, INF),
    "preferences.reserve_ask_share": (0, INF),
    "preferences.defer_premium_usd_per_kwh": (-1, INF),
    "preferences.ev_target": (0, 1),
    "preferences.ready_by_hour": (0, 23.75),
    "preferences.cycles_per_day": (0.01, INF),
    "preferences.max_blackouts_per_week": (0, 2),
    "preferences.blackout_hours": (0.25, 24),
    "preferences.buy_limit_usd_per_kwh": (-1, INF),
    "preferences.floor_cap": (0, 1),
    "prices.level": (0.001, 1000),
    "prices.heatwave_days": (0, 366),
    "prices.spike_factor": (0, 1000),
    "market.margin": (0, 10),
    "market.revenue_share": (0, 1),
    "market.min_bid_mw": (0, INF),
    "market.max_capacity_mw": (0.001, INF),
    "market.max_share_of_flexible": (0, 1),
    "market.reserve_minutes": (15, 240),
    "market.call_probability": (0, 1),
    "market.deviation_kappa": (0, INF),
    "market.reserve_cap_usd_per_mw": (0, INF),
    "market.compute_usd_per_hour": (0, INF),
    "market.residual_slope_usd_per_mwh_per_mw": (0.01, 1e6),
    "market.logit_scale_usd_per_mwh": (1e-6, 1e6),
    "market.gate_lead_minutes": (0, 480),
    "market.day_ahead_gate_hour": (3, 12),
    "market.programme_usd_per_kwh": (0, INF),
    "market.programme_hours": (0, 24),
    "market.programme_temp_c": (-50, 60),
    "market.programme_season_hours": (0, INF),
    "satisfaction.weights": (0, 1),
    "satisfaction.component_floor": (1e-9, 1),
    "satisfaction.reserve_scale_h": (1e-6, INF),
    "satisfaction.ev_scale": (1e-6, INF),
    "satisfaction.sensitivity_draws": (0, 1_000_000),
    "reward.team_share": (0, 1),
    "reward.discomfort_factor": (0, INF),
}
"""Least and most of every number in a field (of each number, where it holds several)."""

RANGES = (
    "fleet.bess_soc_min",
    "fleet.bess_soc_max",
    "fleet.bess_soc_init",
    "home.peak_hours",
    "market.programme_hours",
    "preferences.ev_target",
    "preferences.ready_by_hour",
    "preferences.cycles_per_day",
    "preferences.blackout_hours",
    "preferences.buy_limit_usd_per_kwh",
)
"""Fields that are (low, high)."""

BY_PROFILE = (
    "preferences.backup_hours",
    "preferences.willingness",
    "preferences.premium_usd_per_kwh",
    "preferences.max_discharge",
    "preferences.reference_min_compensation",
)
"""Fields that are three (low, high), one by profile."""


def _get(scenario: Scenario, path: str) -> object:
    section, name = path.split(".")
    return getattr(getattr(scenario, section), name)


def _numbers(value: object) -> Iterator[float]:
    """Every number in a value or nested tuple of values."""
    if isinstance(value, tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _is_range(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and len(list(_numbers(value))) == 2 and value[0] <= value[1]


def _require(ok: bool, path: str, got: object, allowed: str) -> None:
    if not ok:
        raise ScenarioError(f"scenario.{path}: got {got!r}; allowed: {allowed}")


def check_scenario(scenario: Scenario) -> None:
    """Raise `ScenarioError` at the first field that is out of range or inconsistent."""
    for path, allowed in CHOICES.items():
        got = _get(scenario, path)
        if got not in allowed:
            if isinstance(got, str):
                raise ScenarioError(did_you_mean(got, [str(a) for a in allowed], f"value of scenario.{path}"))
            _require(False, path, got, ", ".join(map(str, allowed)))
    for section in dataclasses.fields(scenario):
        spec = getattr(scenario, section.name)
        for item in dataclasses.fields(spec) if dataclasses.is_dataclass(spec) else ():
            got = getattr(spec, item.name)
            finite = all(math.isfinite(number) for number in _numbers(got))
            _require(finite, f"{section.name}.{item.name}", got, "finite numbers")
    for path, (low, high) in LIMITS.items():
        got = _get(scenario, path)
        ok = all(low <= number <= high for number in _numbers(got))
        _require(ok, path, got, f"{low} to {high}" if high < INF else f"{low} or more")
    for path in RANGES:
        _require(_is_range(_get(scenario, path)), path, _get(scenario, path), "(low, high) with low <= high")
    for path in BY_PROFILE:
        rows = _get(scenario, path)
        ok = isinstance(rows, tuple) and len(rows) == 3 and all(_is_range(row) for row in rows)
        _require(ok, path, rows, "three (low, high) rows: conservative, moderate, aggressive")
    premium = scenario.preferences.defer_premium_usd_per_kwh
    ok = len(premium) == 3 and len(list(_numbers(premium))) == 3
    _require(ok, "preferences.defer_premium_usd_per_kwh", premium, "three numbers: low, medium, high priority")
    _check_time(scenario)
    _check_fleet(scenario)
    _check_sums(scenario)


def _check_time(scenario: Scenario) -> None:
    time = scenario.time
    try:
        start = datetime.fromisoformat(time.start)
    except ValueError as error:
        raise ScenarioError(
            f"scenario.time.start: got {time.start!r}; allowed: a local ISO time such as 2023-08-01T16:00"
        ) from error
    _require(start.tzinfo is None, "time.start", time.start, "a local time without an offset")
    _require(
        start.minute == 0 and start.second == 0 and start.microsecond == 0,
        "time.start",
        time.start,
        "a full hour",
    )
    _require(1990 <= start.year <= 2100, "time.start", time.start, "a year between 1990 and 2100")
    try:
        ZoneInfo(time.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ScenarioError(
            f"scenario.time.timezone: got {time.timezone!r}; allowed: an IANA name such as America/Los_Angeles"
        ) from error


def _check_fleet(scenario: Scenario) -> None:
    fleet = scenario.fleet
    _require(
        fleet.bess_soc_min[1] <= fleet.bess_soc_init[0],
        "fleet.bess_soc_min",
        fleet.bess_soc_min,
        "at most the initial SoC",
    )
    _require(
        fleet.bess_soc_init[1] <= fleet.bess_soc_max[0],
        "fleet.bess_soc_max",
        fleet.bess_soc_max,
        "at least the initial SoC",
    )
    low = scenario.preferences.ev_target[0]
    _require(fleet.ev_soc_min <= low, "fleet.ev_soc_min", fleet.ev_soc_min, f"at most the lowest car target, {low}")
    for name in ("bess_kwh_kw_weight", "ev_kwh_kw_weight", "pv_kwp_weight"):
        rows = getattr(fleet, name)
        width = 2 if name == "pv_kwp_weight" else 3
        ok = len(rows) > 0 and all(len(r) == width and min(r) >= 0 for r in rows)
        _require(ok, f"fleet.{name}", rows, f"rows of {width} numbers, none negative")
        _require(abs(sum(r[-1] for r in rows) - 1) < 1e-9, f"fleet.{name}", rows, "weights that sum to 1")


def _check_sums(scenario: Scenario) -> None:
    weights = scenario.satisfaction.weights
    _require(
        len(weights) == 5 and abs(sum(weights) - 1) < 1e-9,
        "satisfaction.weights",
        weights,
        "five weights that sum to 1",
    )
    market = scenario.market
    _require(
        market.day_ahead_gate_hour == int(market.day_ahead_gate_hour),
        "market.day_ahead_gate_hour",
        market.day_ahead_gate_hour,
        "a full hour before the day-ahead prices are published at 13:00",
    )
    _require(
        market.price_floor_usd_per_mwh < market.price_cap_usd_per_mwh,
        "market.price_floor_usd_per_mwh",
        market.price_floor_usd_per_mwh,
        "less than price_cap_usd_per_mwh",
    )
