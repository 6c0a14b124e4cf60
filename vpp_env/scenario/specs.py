"""The parameters of a scenario by section: one table of fields, each with unit, default, source and what is allowed.

Where a source says `assumed`, the value is a default of ours. Rules that join two fields are in `check`.
It is longer than other modules because it is one table.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

Triple = tuple[float, float, float]
INF = math.inf
RANGE = "(low, high) with low <= high"
BY_PROFILE = "three (low, high) rows: conservative, moderate, aggressive"
BY_PRIORITY = "three numbers: low, medium, high priority"
BY_SHARE = "rows of (brain, share of the homes), shares that sum to 1"


def _f(
    default: Any,
    unit: str,
    source: str,
    least: float = -INF,
    most: float = INF,
    *,
    choices: tuple[Any, ...] = (),
    form: str = "",
) -> Any:
    """Declare a field: unit, source, least and most of every number in it, its only values, or its form."""
    metadata = {"unit": unit, "source": source, "limits": (least, most), "choices": choices, "form": form}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TimeSpec:
    """When the run happens."""

    start: str = _f("2023-08-01T00:00", "local ISO time", "the month of the real August 2023 prices")
    duration_hours: int = _f(0, "h; 0 = to the end of the start's calendar month", "744 h in August", 0, 8784)
    opportunity_minutes: int = _f(60, "min; 15, 30 or 60", "CAISO hourly bids; FMM is 15 min", choices=(15, 30, 60))
    timezone: str = _f("America/Los_Angeles", "IANA name", "CAISO")


@dataclass(frozen=True)
class SiteSpec:
    """Where the homes are (for the sun)."""

    latitude: float = _f(34.1, "degrees north", "Fontana, CA: the measured homes of the calibration", -90, 90)
    longitude: float = _f(-117.4, "degrees east", "as latitude", -180, 180)
    altitude_m: float = _f(380.0, "m", "as latitude", -500, 9000)


@dataclass(frozen=True)
class FleetSpec:
    """Who the homes are."""

    size: int = _f(200, "homes", "the published comparison's fleet", 1, 10_000_000)
    share_bess: float = _f(0.35, "share of homes", "California mix, assumed", 0, 1)
    share_ev: float = _f(0.45, "share of homes", "California mix, assumed", 0, 1)
    share_pv: float = _f(0.55, "share of homes", "California mix, assumed", 0, 1)
    v2g_share: float = _f(0.2, "share of EVs", "assumed", 0, 1)
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
    bess_eta: float = _f(0.95, "one-way efficiency", "published reference system", 0.1, 1)
    bess_soc_min: tuple[float, float] = _f(
        (0.05, 0.15), "share of capacity, uniform", "reference system", 0, 1, form=RANGE
    )
    bess_soc_max: tuple[float, float] = _f(
        (0.90, 0.98), "share of capacity, uniform", "reference system", 0, 1, form=RANGE
    )
    bess_soc_init: tuple[float, float] = _f(
        (0.40, 0.80), "share of capacity, uniform", "reference system", 0, 1, form=RANGE
    )
    ev_eta: float = _f(0.92, "one-way efficiency", "published reference system", 0.1, 1)
    ev_soc_min: float = _f(0.10, "share of capacity, hard", "assumed", 0, 1)


@dataclass(frozen=True)
class TraceSpec:
    """The exogenous series of the homes."""

    load_kw_mean: float = _f(
        1.1, "kW per home, summer", "17 measured Fontana homes: 1.1 yearly, 1.36 in summer", 0.01, 1000
    )
    load_peak_ratio: float = _f(1.23, "15-min peak / hourly peak of one home", "measured; data README", 1, 10)
    pv_residual_correlation: float = _f(0.8, "home-to-home correlation of the cloud residual", "assumed", 0, 1)
    pv_system_loss: float = _f(0.14, "share of DC", "NREL PVWatts default", 0, 1)


@dataclass(frozen=True)
class HomeSpec:
    """How a home behaves when it is not dispatched, and what its meter costs."""

    control: str = _f(
        "backup",
        "backup | self_consumption",
        "most owners hold the battery for backup; assumed",
        choices=("backup", "self_consumption"),
    )
    restore_hour: float = _f(15.0, "local hour of the next day", "assumed", 0, 23.75)
    import_peak_usd_per_kwh: float = _f(0.55, "USD/kWh, peak hours", "assumed; shape of a California TOU tariff", 0)
    import_offpeak_usd_per_kwh: float = _f(0.36, "USD/kWh, other hours", "assumed", 0)
    peak_hours: tuple[float, float] = _f(
        (16.0, 21.0), "local hours, from-to", "California TOU-D 4-9 pm", 0, 24, form=RANGE
    )
    export_credit_usd_per_kwh: float = _f(0.06, "USD/kWh", "avoided-cost export credit (NBT), assumed", 0)
    degradation_usd_per_kwh: float = _f(0.063, "USD per kWh discharged", "300/(6000 x .8), assumed", 0)
    away_charging_usd_per_kwh: float = _f(0.45, "USD/kWh charged elsewhere", "assumed", 0)


@dataclass(frozen=True)
class PreferenceSpec:
    """The private truth of the owners; rows are conservative, moderate, aggressive (a third each)."""

    model: str = _f(
        "market",
        "market | reference",
        "reference: min_compensation as published, without our costs",
        choices=("market", "reference"),
    )
    critical_load_kw: float = _f(0.5, "kW", "assumed; the reference prices backup at 2 kW", 0)
    backup_hours: tuple[tuple[float, float], ...] = _f(
        ((6, 12), (3, 8), (1, 4)), "h, uniform", "reference system", 0, form=BY_PROFILE
    )
    willingness: tuple[tuple[float, float], ...] = _f(
        ((0.3, 0.6), (0.6, 0.8), (0.8, 0.95)),
        "how surely an owner stays in on an evening of firm capacity",
        "reference system",
        0,
        1,
        form=BY_PROFILE,
    )
    premium_usd_per_kwh: tuple[tuple[float, float], ...] = _f(
        ((0.05, 0.15), (0.02, 0.08), (0.0, 0.03)), "USD per kWh above own cost, uniform", "assumed", -1, form=BY_PROFILE
    )
    max_discharge: tuple[tuple[float, float], ...] = _f(
        ((0.3, 0.5), (0.5, 0.7), (0.7, 0.85)),
        "share of capacity per day, uniform",
        "reference system",
        0,
        1,
        form=BY_PROFILE,
    )
    reference_min_compensation: tuple[tuple[float, float], ...] = _f(
        ((0.20, 0.35), (0.12, 0.25), (0.08, 0.18)),
        "USD/kWh, uniform; model = reference only",
        "reference system",
        0,
        form=BY_PROFILE,
    )
    reserve_ask_share: float = _f(0.02, "reserve ask / min_compensation, per h, of the model reference", "assumed", 0)
    defer_premium_usd_per_kwh: tuple[float, float, float] = _f(
        (0.01, 0.03, 0.06), "USD/kWh by ev_priority low, medium, high", "assumed", -1, form=BY_PRIORITY
    )
    ev_target: tuple[float, float] = _f(
        (0.75, 0.90), "share of capacity, uniform", "reference system", 0, 1, form=RANGE
    )
    ready_by_hour: tuple[float, float] = _f(
        (6.0, 9.75), "local hour, quarters, uniform", "assumed", 0, 23.75, form=RANGE
    )
    cycles_per_day: tuple[float, float] = _f((0.5, 1.5), "full cycles, uniform", "reference system", 0.01, form=RANGE)
    max_blackouts_per_week: int = _f(2, "windows; 0..max, uniform", "assumed; at most 2", 0, 2)
    blackout_hours: tuple[float, float] = _f((2.0, 5.0), "h, uniform", "assumed", 0.25, 24, form=RANGE)
    buy_limit_usd_per_kwh: tuple[float, float] = _f(
        (0.02, 0.10), "USD/kWh paid for charging, uniform", "assumed", -1, form=RANGE
    )
    floor_cap: float = _f(0.8, "reserve floor at most, share of capacity", "assumed", 0, 1)
    # what a wish is worth to its owner: private values, known to nobody else
    floor_value: tuple[tuple[float, float], ...] = _f(
        ((0.02, 0.08), (0.008, 0.04), (0.002, 0.016)),
        "phi, USD per kWh and hour below the reserve floor, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    car_value: tuple[tuple[float, float], ...] = _f(
        ((1.0, 3.0), (0.6, 2.0), (0.4, 1.0)),
        "epsilon, USD per kWh that the car is short when it must be ready, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    hassle_value: tuple[tuple[float, float], ...] = _f(
        ((0.02, 0.10), (0.01, 0.05), (0.0, 0.02)),
        "alpha, USD per clock hour in which storage gives, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    blackout_value: tuple[tuple[float, float], ...] = _f(
        ((0.5, 1.5), (0.3, 1.0), (0.1, 0.5)),
        "beta, USD per kWh sold, called or bought in a blackout window, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    overuse_value: tuple[tuple[float, float], ...] = _f(
        ((0.10, 0.20), (0.06, 0.15), (0.03, 0.10)),
        "delta, USD per kWh discharged beyond the owner's daily limit, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    standby_value: tuple[tuple[float, float], ...] = _f(
        ((0.001, 0.004), (0.0005, 0.002), (0.0, 0.001)),
        "sigma, USD per kW and hour on reserve, uniform",
        "assumed",
        0,
        form=BY_PROFILE,
    )
    private_value_factor: float = _f(1.0, "factor on the six private values above", "assumed; sensitivity x .5, x 2", 0)
    gain_usd_per_kw_month: float = _f(
        2.9,
        "USD a month per battery kW that owners joined for",
        "Modo Energy: CAISO batteries, 2024; as a wish assumed",
        0,
    )
    gain_usd_per_car_month: float = _f(1.0, "USD a month for a car that owners joined for", "assumed", 0)
    gain_spread: tuple[float, float] = _f(
        (0.5, 1.5), "factor on what each joined for, uniform", "assumed", 0, form=RANGE
    )
    tolerance: tuple[tuple[float, float], ...] = _f(
        ((4, 8), (8, 16), (16, 32)),
        "annoyance that the owner bears, points, uniform",
        "assumed",
        0.001,
        form=BY_PROFILE,
    )


@dataclass(frozen=True)
class OwnersSpec:
    """How the owners bear what is asked of them: who is called often, or whose wishes are broken, stays away."""

    patience: str = _f(
        "finite",
        "finite | endless: an owner may opt out, or bears everything",
        "assumed; endless: the published reference, and version 1",
        choices=("finite", "endless"),
    )
    tolerance_factor: float = _f(1.0, "factor on every owner's tolerance", "assumed; sensitivity x .5, x 2", 1e-06)
    half_life_days: float = _f(7.0, "days after which half of an annoyance is forgotten", "assumed", 0.01)
    called_points: float = _f(0.5, "annoyance of a day on which the home's storage is called", "assumed", 0)
    violation_points: float = _f(2.0, "annoyance of a day with a violation", "assumed", 0)
    called_risk: float = _f(0.002, "rate of opting out after a day with a call, whatever the annoyance", "assumed", 0)
    return_share: float = _f(
        1 / 3, "chance of coming back after each day out; the first is certain", "assumed", 0.01, 1
    )
    times_to_leave: int = _f(3, "opting out for the n-th time is for good", "assumed", 1)
    refusal_points: float = _f(0.1, "annoyance of an offer that is turned down", "assumed", 0)
    max_rounds: int = _f(3, "rounds of offers at one gate, at most", "assumed", 1, 100)
    trust_days: int = _f(3, "days without any deal after the VPP broke a contract", "assumed", 0)
    brains: tuple[tuple[str, float], ...] = _f(
        (("truthful", 1.0),),
        "who answers offers: registered brain, share of the homes",
        "assumed; docs/owners.md",
        0,
        1,
        form=BY_SHARE,
    )


@dataclass(frozen=True)
class PriceSpec:
    """The exogenous prices."""

    model: str = _f("caiso", "caiso | step", "step: the published reference's shape", choices=("caiso", "step"))
    season: str = _f(
        "auto",
        "auto | spring | summer | autumn | winter",
        "auto: by month; calibration data",
        choices=("auto", "spring", "summer", "autumn", "winter"),
    )
    regime: str = _f(
        "drawn",
        "drawn | central | calm | stressed | dear_gas | deep_solar",
        "drawn: per seed, as years differ; docs/prices.md",
        choices=("drawn", "central", "calm", "stressed", "dear_gas", "deep_solar"),
    )
    level: float = _f(1.0, "factor on the calibrated level", "assumed", 0.001, 1000)
    heatwave_days: int = _f(
        0, "days of extreme heat and scarcity in the run", "August 2020 as pattern, assumed", 0, 366
    )
    spike_factor: float = _f(1.0, "factor on the frequency of real-time spikes", "assumed", 0, 1000)


@dataclass(frozen=True)
class MarketSpec:
    """The rules of the market and of the members' pay."""

    version: str = _f(
        "caiso2023.2",
        "version of the rules; results of different versions are not compared",
        "CAISO tariff as of 2023, simplified",
        choices=("caiso2023.2",),
    )
    clearing: str = _f("price_taker", "registered clearing", "docs/market.md")
    payment: str = _f("floor_and_share", "floor_and_share | uniform | pay_as_bid", "docs/model.md")
    margin: float = _f(0.05, "added to each ask in the offer", "assumed", 0, 10)
    revenue_share: float = _f(0.70, "of the real-time price, to the member", "assumed", 0, 1)
    min_bid_mw: float = _f(0.1, "MW; see minimum", "DERA minimum, FERC Order 2222", 0)
    minimum: str = _f(
        "offer",
        "offer | award: a smaller offer is not taken, or a smaller award is void",
        "offer: DERA minimum size of a resource's offer; award: the published reference",
        choices=("offer", "award"),
    )
    safeguard: bool = _f(
        False,
        "a home's gateway keeps its owner's envelope at delivery unless a policy overrides it",
        "backup reserve of an inverter, assumed",
    )
    feeder_homes: int = _f(
        0,
        "homes behind one transformer, row by row; 0 = no feeders",
        "assumed: 5-15 homes share a distribution transformer",
        0,
    )
    feeder_kw: float = _f(
        50.0, "kW that these homes may draw or export together because of the market", "assumed: 25-75 kVA", 0.001
    )
    max_capacity_mw: float = _f(5.0, "MW, cap of the VPP", "assumed", 0.001)
    max_share_of_flexible: float = _f(1.0, "of the fleet's flexible kW per opportunity", "reference scenario: .7", 0, 1)
    reserve: bool = _f(True, "spin and non-spin capacity are sold", "CAISO ancillary services")
    regulation: bool = _f(False, "regulation up and down too", "CAISO ancillary services")
    reserve_minutes: float = _f(30.0, "min of energy behind spin and non-spin", "CAISO", 15, 240)
    call_probability: float = _f(0.002, "per half hour", "assumed: contingency dispatch is rare", 0, 1)
    deviation_kappa: float = _f(0.0, "share of the real-time price on |M - R|", "0; .25 in stress, assumed", 0)
    price_cap_usd_per_mwh: float = _f(2000.0, "USD/MWh", "CAISO hard cap")
    price_floor_usd_per_mwh: float = _f(-150.0, "USD/MWh", "CAISO bid floor")
    reserve_cap_usd_per_mw: float = _f(250.0, "USD/MW per h", "CAISO reserve bid cap", 0)
    compute_usd_per_hour: float = _f(0.0, "USD per hour of the policy's computing", "0: a laptop, assumed", 0)
    residual_slope_usd_per_mwh_per_mw: float = _f(
        0.5, "USD/MWh per MW; clearing = residual_supply only", "assumed", 0.01, 1_000_000
    )
    logit_scale_usd_per_mwh: float = _f(5.0, "USD/MWh; clearing = logit only", "assumed", 1e-06, 1_000_000)
    gate_lead_minutes: int = _f(
        0, "min from the gate to delivery, rounded up to opportunities", "CAISO real time: 75", 0, 480
    )
    two_settlement: bool = _f(
        False, "a day-ahead schedule may be sold at the day-ahead price", "CAISO day-ahead market"
    )
    day_ahead_gate_hour: float = _f(
        10.0, "local hour, full; next day's schedule is due", "CAISO day-ahead market", 3, 12
    )
    programme: str = _f(
        "none",
        "none | elrp: paid reductions on announced evenings",
        "shape of California's ELRP",
        choices=("none", "elrp"),
    )
    programme_usd_per_kwh: float = _f(2.0, "USD/kWh of net metered delivery in an event", "ELRP: 2 USD/kWh", 0)
    programme_hours: tuple[float, float] = _f(
        (16.0, 21.0), "local hours of an event, from-to", "ELRP: 4-9 pm", 0, 24, form=RANGE
    )
    programme_temp_c: float = _f(38.0, "deg C; days at least as hot have an event", "assumed; 100 F", -50, 60)
    programme_season_hours: float = _f(60.0, "h of events at most in the run", "ELRP: 60 h a season", 0)
    firm_capacity: bool = _f(
        False, "kW may be committed for the evenings, the day before", "shape of California's DSGS option 4"
    )
    capacity_usd_per_kw_month: float = _f(8.0, "USD per kW and month of 30 evenings", "assumed", 0, 1000)
    capacity_call_usd_per_mwh: float = _f(
        200.0,
        "USD/MWh; an evening is called when a day-ahead price in its hours is above it",
        "after DSGS, assumed",
        0,
    )
    capacity_hours: tuple[float, float] = _f(
        (17.0, 21.0), "local hours of an evening, full, from-to", "resource adequacy hours: 4-9 pm; assumed", 13, 24,
        form=RANGE,
    )  # fmt: skip
    capacity_season_hours: float = _f(60.0, "h that may be called in the run", "DSGS: 60 h a season", 0)
    capacity_least_performance: float = _f(
        0.5, "delivered share of a commitment below which the day's pay is clawed back", "assumed", 0, 1
    )
    capacity_clawback: float = _f(2.0, "times the day's pay of what was committed", "assumed", 0, 100)


@dataclass(frozen=True)
class SatisfactionSpec:
    """The evaluator's weights; order: reserve, ev, pay, gain, calls, consent, use."""

    weights: tuple[float, float, float, float, float, float, float] = _f(
        (0.22, 0.18, 0.15, 0.20, 0.10, 0.10, 0.05), "sum 1", "assumed", 0, 1
    )
    component_floor: float = _f(0.01, "smallest component", "assumed", 1e-09, 1)
    reserve_scale_h: float = _f(2.0, "h of full breach per e-fold", "assumed", 1e-06)
    ev_scale: float = _f(0.10, "SoC share short per e-fold", "assumed", 1e-06)
    sensitivity_draws: int = _f(200, "Dirichlet draws of the weights", "assumed", 0, 1_000_000)


@dataclass(frozen=True)
class RewardSpec:
    """The learner's reward."""

    team_share: float = _f(0.0, "alpha in [0, 1]: share of the team's mean in every home's reward", "assumed", 0, 1)
