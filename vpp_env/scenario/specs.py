"""The parameters of a scenario by section: every field carries its unit and its source.

Where a source says `assumed`, the value is a default of ours.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

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

    load_kw_mean: float = _f(1.1, "kW per home, summer", "17 measured Fontana homes: 1.1 yearly, 1.36 in summer")
    load_peak_ratio: float = _f(1.23, "15-min peak / hourly peak of one home", "measured; data README")
    pv_residual_correlation: float = _f(0.8, "home-to-home correlation of the cloud residual", "assumed")
    pv_system_loss: float = _f(0.14, "share of DC", "NREL PVWatts default")


@dataclass(frozen=True)
class HomeSpec:
    """How a home behaves when it is not dispatched, and what its meter costs."""

    control: str = _f("backup", "backup | self_consumption", "most owners hold the battery for backup; assumed")
    restore_hour: float = _f(15.0, "local hour of the next day", "assumed")
    import_peak_usd_per_kwh: float = _f(0.55, "USD/kWh, peak hours", "assumed; shape of a California TOU tariff")
    import_offpeak_usd_per_kwh: float = _f(0.36, "USD/kWh, other hours", "assumed")
    peak_hours: tuple[float, float] = _f((16.0, 21.0), "local hours, from-to", "California TOU-D 4-9 pm")
    export_credit_usd_per_kwh: float = _f(0.06, "USD/kWh", "avoided-cost export credit (NBT), assumed")
    degradation_usd_per_kwh: float = _f(0.063, "USD per kWh discharged", "300/(6000 x .8), assumed")
    away_charging_usd_per_kwh: float = _f(0.45, "USD/kWh charged elsewhere", "assumed")


@dataclass(frozen=True)
class PreferenceSpec:
    """The private truth of the owners; rows are conservative, moderate, aggressive (a third each)."""

    model: str = _f("market", "market | reference", "reference: min_compensation as published, without our costs")
    critical_load_kw: float = _f(0.5, "kW", "assumed; the reference prices backup at 2 kW")
    backup_hours: tuple[tuple[float, float], ...] = _f(((6, 12), (3, 8), (1, 4)), "h, uniform", "reference system")
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
    reserve_ask_share: float = _f(0.02, "standby ask / min_compensation, per h", "assumed")
    defer_premium_usd_per_kwh: tuple[float, float, float] = _f(
        (0.01, 0.03, 0.06), "USD/kWh by ev_priority low, medium, high", "assumed"
    )
    ev_target: tuple[float, float] = _f((0.75, 0.90), "share of capacity, uniform", "reference system")
    ready_by_hour: tuple[float, float] = _f((6.0, 9.75), "local hour, quarters, uniform", "assumed")
    cycles_per_day: tuple[float, float] = _f((0.5, 1.5), "full cycles, uniform", "reference system")
    max_blackouts_per_week: int = _f(2, "windows; 0..max, uniform", "assumed; at most 2")
    blackout_hours: tuple[float, float] = _f((2.0, 5.0), "h, uniform", "assumed")
    buy_limit_usd_per_kwh: tuple[float, float] = _f((0.02, 0.10), "USD/kWh paid for charging, uniform", "assumed")
    floor_cap: float = _f(0.8, "reserve floor at most, share of capacity", "assumed")


@dataclass(frozen=True)
class PriceSpec:
    """The exogenous prices."""

    model: str = _f("caiso", "caiso | step", "step: the published reference's shape")
    season: str = _f("auto", "auto | spring | summer | autumn | winter", "auto: by month; calibration data")
    regime: str = _f(
        "drawn",
        "drawn | central | calm | stressed | dear_gas | deep_solar",
        "drawn: per seed, as years differ; docs/prices.md",
    )
    level: float = _f(1.0, "factor on the calibrated level", "assumed")
    heatwave_days: int = _f(0, "days of extreme heat and scarcity in the run", "August 2020 as pattern, assumed")
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
    max_share_of_flexible: float = _f(1.0, "of the fleet's flexible kW per opportunity", "reference scenario: .7")
    reserve: bool = _f(True, "spin and non-spin capacity are sold", "CAISO ancillary services")
    regulation: bool = _f(False, "regulation up and down too", "CAISO ancillary services")
    reserve_minutes: float = _f(30.0, "min of energy behind spin and non-spin", "CAISO")
    call_probability: float = _f(0.002, "per half hour", "assumed: contingency dispatch is rare")
    deviation_kappa: float = _f(0.0, "share of the real-time price on |M - R|", "0; .25 in stress, assumed")
    price_cap_usd_per_mwh: float = _f(2000.0, "USD/MWh", "CAISO hard cap")
    price_floor_usd_per_mwh: float = _f(-150.0, "USD/MWh", "CAISO bid floor")
    reserve_cap_usd_per_mw: float = _f(250.0, "USD/MW per h", "CAISO reserve bid cap")
    compute_usd_per_hour: float = _f(0.0, "USD per hour of the policy's computing", "0: a laptop, assumed")
    residual_slope_usd_per_mwh_per_mw: float = _f(0.5, "USD/MWh per MW; clearing = residual_supply only", "assumed")
    logit_scale_usd_per_mwh: float = _f(5.0, "USD/MWh; clearing = logit only", "assumed")
    gate_lead_minutes: int = _f(0, "min from the gate to delivery, rounded up to opportunities", "CAISO real time: 75")
    two_settlement: bool = _f(
        False, "a day-ahead schedule may be sold at the day-ahead price", "CAISO day-ahead market"
    )
    day_ahead_gate_hour: float = _f(10.0, "local hour, full; next day's schedule is due", "CAISO day-ahead market")
    programme: str = _f("none", "none | elrp: paid reductions on announced evenings", "shape of California's ELRP")
    programme_usd_per_kwh: float = _f(2.0, "USD/kWh of net metered delivery in an event", "ELRP: 2 USD/kWh")
    programme_hours: tuple[float, float] = _f((16.0, 21.0), "local hours of an event, from-to", "ELRP: 4-9 pm")
    programme_temp_c: float = _f(38.0, "deg C; days at least as hot have an event", "assumed; 100 F")
    programme_season_hours: float = _f(60.0, "h of events at most in the run", "ELRP: 60 h a season")


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
    discomfort_factor: float = _f(5.0, "x min_compensation per kWh for a whole-floor breach of one hour", "assumed")
