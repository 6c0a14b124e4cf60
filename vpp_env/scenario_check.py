"""The rules that a scenario must keep, checked once when it is built."""

from __future__ import annotations

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
    "prices.season": ("auto", "spring", "summer", "autumn", "winter"),
    "market.rules": ("caiso2023",),
    "time.opportunity_minutes": (15, 30, 60),
}

SHARES = (
    "fleet.share_bess",
    "fleet.share_ev",
    "fleet.share_pv",
    "fleet.v2g_share",
    "fleet.ev_soc_min",
    "market.revenue_share",
    "market.max_share_of_flexible",
    "market.call_probability",
    "reward.team_share",
    "traces.pv_residual_correlation",
    "traces.pv_system_loss",
    "preferences.floor_cap",
)

NOT_NEGATIVE = (
    "time.duration_hours",
    "market.margin",
    "market.min_bid_mw",
    "market.deviation_kappa",
    "market.compute_usd_per_hour",
    "home.degradation_usd_per_kwh",
    "home.export_credit_usd_per_kwh",
    "preferences.critical_load_kw",
    "preferences.max_blackouts_per_week",
    "prices.heatwave_days",
    "prices.spike_factor",
    "reward.discomfort_factor",
    "satisfaction.sensitivity_draws",
)

POSITIVE = (
    "fleet.size",
    "fleet.bess_eta",
    "fleet.ev_eta",
    "market.max_capacity_mw",
    "market.reserve_minutes",
    "prices.level",
    "traces.load_kw_mean",
    "satisfaction.component_floor",
    "satisfaction.reserve_scale_h",
    "satisfaction.ev_scale",
)

RANGES = (
    "fleet.bess_soc_min",
    "fleet.bess_soc_max",
    "fleet.bess_soc_init",
    "preferences.ev_target",
    "preferences.ready_by_hour",
    "preferences.cycles_per_day",
    "preferences.blackout_hours",
    "preferences.buy_limit_usd_per_kwh",
    "home.peak_hours",
)


def _get(scenario: Scenario, path: str) -> object:
    section, name = path.split(".")
    return getattr(getattr(scenario, section), name)


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
    for path in SHARES:
        got = _get(scenario, path)
        _require(0.0 <= got <= 1.0, path, got, "a share between 0 and 1")  # type: ignore[operator]
    for path in NOT_NEGATIVE:
        got = _get(scenario, path)
        _require(got >= 0, path, got, "zero or more")  # type: ignore[operator]
    for path in POSITIVE:
        got = _get(scenario, path)
        _require(got > 0, path, got, "more than zero")  # type: ignore[operator]
    for path in RANGES:
        got = _get(scenario, path)
        _require(len(got) == 2 and got[0] <= got[1], path, got, "(low, high) with low <= high")  # type: ignore
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
    _require(time.duration_hours <= 24 * 366, "time.duration_hours", time.duration_hours, "at most one year")
    try:
        ZoneInfo(time.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ScenarioError(
            f"scenario.time.timezone: got {time.timezone!r}; allowed: an IANA name such as America/Los_Angeles"
        ) from error


def _check_fleet(scenario: Scenario) -> None:
    fleet = scenario.fleet
    _require(fleet.bess_eta <= 1, "fleet.bess_eta", fleet.bess_eta, "at most 1")
    _require(fleet.ev_eta <= 1, "fleet.ev_eta", fleet.ev_eta, "at most 1")
    _require(
        fleet.bess_soc_min[0] >= 0 and fleet.bess_soc_min[1] <= fleet.bess_soc_init[0],
        "fleet.bess_soc_min",
        fleet.bess_soc_min,
        "0 <= min <= initial SoC",
    )
    _require(
        fleet.bess_soc_init[1] <= fleet.bess_soc_max[0] and fleet.bess_soc_max[1] <= 1,
        "fleet.bess_soc_max",
        fleet.bess_soc_max,
        "initial SoC <= max <= 1",
    )
    for name in ("bess_kwh_kw_weight", "ev_kwh_kw_weight", "pv_kwp_weight"):
        rows = getattr(fleet, name)
        width = 2 if name == "pv_kwp_weight" else 3
        ok = len(rows) > 0 and all(len(r) == width and min(r) >= 0 for r in rows)
        _require(ok, f"fleet.{name}", rows, f"rows of {width} numbers, none negative")
        _require(abs(sum(r[-1] for r in rows) - 1) < 1e-9, f"fleet.{name}", rows, "weights that sum to 1")


def _check_sums(scenario: Scenario) -> None:
    weights = scenario.satisfaction.weights
    _require(
        len(weights) == 5 and min(weights) >= 0 and abs(sum(weights) - 1) < 1e-9,
        "satisfaction.weights",
        weights,
        "five weights, none negative, that sum to 1",
    )
    market = scenario.market
    _require(
        market.price_floor_usd_per_mwh < market.price_cap_usd_per_mwh,
        "market.price_floor_usd_per_mwh",
        market.price_floor_usd_per_mwh,
        "less than price_cap_usd_per_mwh",
    )
    for name in ("backup_hours", "willingness", "premium_usd_per_kwh", "max_discharge"):
        rows = getattr(scenario.preferences, name)
        ok = len(rows) == 3 and all(len(r) == 2 and r[0] <= r[1] for r in rows)
        _require(ok, f"preferences.{name}", rows, "three (low, high) rows")
