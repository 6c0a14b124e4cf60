"""The fleet: one row per prosumer, a struct of arrays built from a seed.

Devices are public to the prosumer and the aggregator's metering; preferences are the private truth of each owner.
A device that a home lacks has capacity and power 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.scenario.specs import PreferenceSpec, Triple
from vpp_env.scenario.streams import stream
from vpp_env.units import Flags, Floats, Ints

PROFILES = ("conservative", "moderate", "aggressive")
EV_PRIORITIES = ("low", "medium", "high")
_PRIORITY_BY_PROFILE = ((2, 1), (1, 1, 0), (0, 1))
"""EV priority drawn uniformly from the row of the profile (0 low, 1 medium, 2 high)."""
PRIVATE_VALUES = ("floor_value", "car_value", "hassle_value", "blackout_value", "overuse_value", "standby_value")
"""Fields of the fleet and of `PreferenceSpec`, in the order in which they are drawn: append only."""
HASSLE_KWH = 0.05
"""Storage that gives no more than this in a clock hour is not noticed by the owner, kWh [assumed]."""
N_ORIENTATIONS = 6
"""Roof orientation classes; solar.py says which tilt and azimuth each one has."""


@dataclass(frozen=True)
class Fleet:
    """N homes; every array is (N,), unless said, and read-only."""

    # devices
    bess_kwh: Floats  # battery capacity, kWh; 0 = none
    bess_kw: Floats  # battery power, kW
    bess_min_kwh: Floats  # hard minimum, kWh
    bess_max_kwh: Floats  # hard maximum, kWh
    bess_init_kwh: Floats  # energy at the start, kWh
    ev_kwh: Floats  # car battery capacity, kWh; 0 = none
    ev_kw: Floats  # charger power, kW
    v2g_kw: Floats  # discharge power of the car, kW; 0 = cannot
    ev_min_kwh: Floats  # hard minimum of the car, kWh
    pv_kwp: Floats  # panels, kWp; 0 = none
    orientation: Ints  # roof class, 0..N_ORIENTATIONS-1
    load_kw: Floats  # yearly mean load relative to the scenario's mean, kW
    # preferences (private)
    profile: Ints  # index into PROFILES
    backup_hours: Floats  # h at the critical load
    willingness: Floats  # how surely the owner stays in on an evening of firm capacity, 0-1
    premium: Floats  # USD/kWh above own cost
    max_discharge: Floats  # share of battery capacity per day
    cycles_per_day: Floats  # full cycles of the battery per day
    ev_priority: Ints  # index into EV_PRIORITIES
    ev_target_kwh: Floats  # energy wanted when the car must be ready, kWh
    ready_minutes: Ints  # wall-clock minutes after midnight, quarters
    buy_limit: Floats  # highest price paid for charging, USD/kWh
    reference_compensation: Floats  # USD/kWh, used by preferences.model = "reference"
    floor_kwh: Floats  # reserve floor of the battery, kWh
    # private values: what keeping a wish is worth to its owner, known to nobody else
    floor_value: Floats  # phi, USD per kWh and hour below the reserve floor
    car_value: Floats  # epsilon, USD per kWh that the car is short when it must be ready
    hassle_value: Floats  # alpha, USD per clock hour in which the home's storage gives
    blackout_value: Floats  # beta, USD per kWh sold, called or bought in a blackout window
    overuse_value: Floats  # delta, USD per kWh discharged beyond `day_discharge_kwh` a day
    standby_value: Floats  # sigma, USD per kW and hour on reserve
    expected_gain: Floats  # USD a month, what the owner joined for; 0 without battery and car
    tolerance: Floats  # annoyance that the owner bears before opting out, points
    blackout: Ints  # (N, 2, 2) int64: windows [from, to) in quarter hours of the week; -1 = none

    @property
    def n(self) -> int:
        """Number of homes."""
        return len(self.bess_kwh)

    @property
    def has_bess(self) -> Flags:
        """(N,) bool."""
        return self.bess_kwh > 0

    @property
    def has_ev(self) -> Flags:
        """(N,) bool."""
        return self.ev_kwh > 0

    @property
    def has_pv(self) -> Flags:
        """(N,) bool."""
        return self.pv_kwp > 0

    @property
    def can_offer(self) -> Flags:
        """(N,) bool: a battery or a car, something that a market could use."""
        return self.has_bess | self.has_ev

    @property
    def cycle_limit_kwh(self) -> Floats:
        """(N,) kWh that the battery may discharge per day before the owner calls it over-cycling."""
        return self.cycles_per_day * self.bess_kwh

    @property
    def day_discharge_kwh(self) -> Floats:
        """(N,) kWh of discharge per day inside the owner's envelope."""
        return np.minimum(self.max_discharge, self.cycles_per_day) * self.bess_kwh

    @property
    def sell_limit_kw(self) -> Floats:
        """(N,) kW: device limit that a sell (or reserve) bid of 1 stands for."""
        return self.bess_kw + self.ev_kw + self.v2g_kw

    @property
    def buy_limit_kw(self) -> Floats:
        """(N,) kW: device limit that a buy bid of 1 stands for."""
        return self.bess_kw + self.ev_kw


def _uniform_by_profile(rng: np.random.Generator, rows: tuple[tuple[float, float], ...], profile: Ints) -> Floats:
    low, high = np.asarray(rows, dtype=np.float64).T
    return rng.uniform(low[profile], high[profile])


def _choice(rng: np.random.Generator, rows: tuple[tuple[float, ...], ...], n: int) -> Floats:
    table = np.asarray(rows, dtype=np.float64)
    return table[rng.choice(len(table), size=n, p=table[:, -1])]


Known = Mapping[str, Floats]
"""What is known of a fleet before it is drawn: field of the fleet, or `has_bess`, `has_ev`, `has_pv` -> (N,) float64,
NaN where it is to be drawn."""
NOTHING_KNOWN: Known = {}


def _given(known: Known, name: str, drawn: Floats | Ints) -> Floats:
    """(N,) what is known of a field, and what was drawn where nothing is."""
    values = np.asarray(drawn, dtype=np.float64)
    return values if name not in known else np.where(np.isnan(known[name]), values, known[name])


def _device(known: Known, names: tuple[str, str], rows: Sequence[Triple], drawn: Floats, has: Flags) -> Floats:
    """(N, 2) kWh and kW of a device: known or drawn; where kWh alone is known, the power of the nearest size."""
    kwh = _given(known, names[0], drawn[:, 0] * has)
    table = np.asarray(rows, dtype=np.float64)
    nearest = table[np.argmin(np.abs(table[:, 0] - kwh[:, None]), axis=1), 1]
    kw = np.where(kwh == drawn[:, 0] * has, drawn[:, 1] * has, nearest)
    return np.stack([kwh, np.where(kwh > 0.0, _given(known, names[1], kw), 0.0)], axis=1)


def private_values(
    prefs: PreferenceSpec, seed: int, profile: Ints, bess_kw: Floats, has_ev: Flags, known: Known = NOTHING_KNOWN
) -> dict[str, Floats]:
    """Draw what the owners' wishes are worth to them, from a stream of their own.

    Parameters
    ----------
    prefs : PreferenceSpec
        Ranges by profile; `private_value_factor` scales the six values, neither the gain nor the tolerance.
    seed : int
        Seed of the world.
    profile, bess_kw, has_ev : ndarray
        (N,) index into `PROFILES`, battery power in kW, whether there is a car.
    known : Known
        What is not to be drawn.

    Returns
    -------
    dict
        (N,) each, by the name of the fleet's field; units as there.
    """
    rng = stream(seed, "owners")
    values = {
        name: prefs.private_value_factor * _uniform_by_profile(rng, getattr(prefs, name), profile)
        for name in PRIVATE_VALUES
    }
    wish = prefs.gain_usd_per_kw_month * bess_kw + prefs.gain_usd_per_car_month * has_ev
    values["expected_gain"] = rng.uniform(*prefs.gain_spread, len(profile)) * wish
    values["tolerance"] = _uniform_by_profile(rng, prefs.tolerance, profile)
    return {name: _given(known, name, drawn) for name, drawn in values.items()}


def _blackouts(rng: np.random.Generator, scenario: Scenario, n: int) -> Ints:
    """Draw 0..max windows a week per home, each on a random day and hour, not across Sunday midnight."""
    prefs = scenario.preferences
    windows = min(prefs.max_blackouts_per_week, 2)
    count = rng.integers(0, windows + 1, size=n)
    length = np.round(rng.uniform(*prefs.blackout_hours, size=(n, 2)) * 4).astype(np.int64)
    first = rng.integers(0, 7 * 96 - length)
    span = np.stack([first, first + length], axis=2)
    span[np.arange(2)[None, :] >= count[:, None]] = -1
    return span


def build_fleet(scenario: Scenario, seed: int, known: Known = NOTHING_KNOWN) -> Fleet:
    """Draw the fleet of `seed`: the same for every policy.

    Parameters
    ----------
    scenario : Scenario
        Shares, device tables and preference ranges.
    seed : int
        Seed of the world.
    known : Known
        What is not to be drawn; the draws of everything else do not depend on it.

    Returns
    -------
    Fleet
        `scenario.fleet.size` homes.
    """
    spec, prefs, n = scenario.fleet, scenario.preferences, scenario.fleet.size
    rng = stream(seed, "fleet")

    def given(name: str, drawn: Floats | Ints) -> Floats:
        return _given(known, name, drawn)

    def has(name: str, share: float) -> Flags:
        return given(name, (rng.random(n) < share).astype(np.float64)) > 0.0

    drawn = _choice(rng, spec.bess_kwh_kw_weight, n)
    bess = _device(known, ("bess_kwh", "bess_kw"), spec.bess_kwh_kw_weight, drawn, has("has_bess", spec.share_bess))
    drawn = _choice(rng, spec.ev_kwh_kw_weight, n)
    ev = _device(known, ("ev_kwh", "ev_kw"), spec.ev_kwh_kw_weight, drawn, has("has_ev", spec.share_ev))
    v2g = rng.random(n) < spec.v2g_share
    drawn = _choice(rng, spec.pv_kwp_weight, n)
    pv_kwp = given("pv_kwp", drawn[:, 0] * has("has_pv", spec.share_pv))
    bess_min = given("bess_min_kwh", rng.uniform(*spec.bess_soc_min, n) * bess[:, 0])
    bess_max = given("bess_max_kwh", rng.uniform(*spec.bess_soc_max, n) * bess[:, 0])
    bess_init = given("bess_init_kwh", rng.uniform(*spec.bess_soc_init, n) * bess[:, 0])
    profile = given("profile", rng.permutation(np.arange(n) % 3)).astype(np.int64)
    backup = given("backup_hours", _uniform_by_profile(rng, prefs.backup_hours, profile))
    priority = np.array([_PRIORITY_BY_PROFILE[p][rng.integers(len(_PRIORITY_BY_PROFILE[p]))] for p in profile])
    # lognormal spread of home size; sigma .35 gives the spread of the 17 measured homes (.74-1.68 kW around 1.14)
    size = rng.lognormal(-0.5 * 0.35**2, 0.35, n)
    low, high = (round(h * 4) for h in prefs.ready_by_hour)
    floor = np.minimum(np.maximum(bess_min, backup * prefs.critical_load_kw), prefs.floor_cap * bess[:, 0])
    fleet = Fleet(
        bess_kwh=bess[:, 0],
        bess_kw=bess[:, 1],
        bess_min_kwh=bess_min,
        bess_max_kwh=bess_max,
        bess_init_kwh=bess_init,
        ev_kwh=ev[:, 0],
        ev_kw=ev[:, 1],
        v2g_kw=given("v2g_kw", ev[:, 1] * v2g),
        ev_min_kwh=given("ev_min_kwh", spec.ev_soc_min * ev[:, 0]),
        pv_kwp=pv_kwp,
        orientation=given("orientation", rng.integers(0, N_ORIENTATIONS, n)).astype(np.int64),
        load_kw=given("load_kw", scenario.traces.load_kw_mean * size),
        profile=profile,
        backup_hours=backup,
        willingness=given("willingness", _uniform_by_profile(rng, prefs.willingness, profile)),
        premium=given("premium", _uniform_by_profile(rng, prefs.premium_usd_per_kwh, profile)),
        max_discharge=given("max_discharge", _uniform_by_profile(rng, prefs.max_discharge, profile)),
        cycles_per_day=given("cycles_per_day", rng.uniform(*prefs.cycles_per_day, n)),
        ev_priority=given("ev_priority", priority).astype(np.int64),
        ev_target_kwh=given("ev_target_kwh", rng.uniform(*prefs.ev_target, n) * ev[:, 0]),
        ready_minutes=given("ready_minutes", rng.integers(low, high + 1, n) * 15).astype(np.int64),
        buy_limit=given("buy_limit", rng.uniform(*prefs.buy_limit_usd_per_kwh, n)),
        reference_compensation=given(
            "reference_compensation", _uniform_by_profile(rng, prefs.reference_min_compensation, profile)
        ),
        floor_kwh=given("floor_kwh", floor),
        blackout=_known_blackouts(known, _blackouts(rng, scenario, n)),
        **private_values(prefs, seed, profile, bess[:, 1], ev[:, 0] > 0, known),
    )
    for f in fields(fleet):
        getattr(fleet, f.name).setflags(write=False)
    return fleet


BLACKOUT_FIELDS = tuple(f"blackout{window}_{edge}" for window in (1, 2) for edge in ("from", "to"))
"""What is known of the blackout windows, quarter hours of the week, Monday 00:00 = 0; -1 = there is none."""


def _known_blackouts(known: Known, drawn: Ints) -> Ints:
    rows = drawn.reshape(len(drawn), 4)
    made = np.stack([_given(known, name, rows[:, i]) for i, name in enumerate(BLACKOUT_FIELDS)], axis=1)
    return made.astype(np.int64).reshape(drawn.shape)
