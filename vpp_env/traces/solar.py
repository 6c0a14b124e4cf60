"""Rooftop PV: AC output per kWp of six roof classes from pvlib, and each home's own cloud residual."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from vpp_env.jit import kernel
from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.specs import SiteSpec
from vpp_env.scenario.streams import stream
from vpp_env.traces.fleet import N_ORIENTATIONS, Fleet
from vpp_env.units import Floats, Floats32, Ints

ROOFS = ((25.0, 180.0), (22.0, 225.0), (22.0, 135.0), (20.0, 270.0), (20.0, 90.0), (15.0, 190.0))
"""(tilt, azimuth) in degrees of each roof class: S, SW, SE, W, E, low slope. Assumed: pitches of 4:12 to 5:12
are usual in California; the shares are uniform over the classes."""
LINKE_TURBIDITY = np.array([2.6, 2.7, 2.9, 3.0, 3.2, 3.4, 3.7, 3.8, 3.6, 3.1, 2.8, 2.6])
"""(12,) Linke turbidity of the Ineichen clear-sky model by month; fixed, so that no look-up file is read.
Assumed: clean winters and hazy summers, as in the clear-day output of the measured homes."""
SOILING = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.99, 0.97, 0.95, 0.95, 0.98, 1.0, 1.0])
"""(12,) output factor of the dry season's dust by month. Assumed; without it and the turbidity the model's
August is 20 % better against its April than the measured homes'."""
ALBEDO = 0.2
"""Ground reflectance; pvlib's default for urban ground."""
GAMMA_PER_K = -0.0037
"""Power temperature coefficient of a standard module, 1/K. Source: NREL PVWatts v5 (-.0047 standard, -.0035
premium); a value between."""
DC_AC_RATIO = 1.1
"""kWp of panels per kW of inverter. Source: the largest hourly output of the measured homes is .75-.98 kW/kWp;
PVWatts uses 1.2."""
WIND_M_S = 1.5
"""Wind at the module, m/s, constant. Assumed."""
HOME_SIGMA = 0.07
"""Log standard deviation of a home's constant factor (shade, soiling, age). Source: capacity factors of 13
measured homes spread by 11 %, of which orientation makes the larger part."""
HOME_MEAN = 1.03
"""Mean of that factor. Calibrated: capacity factor of 14 measured homes (PVWatts' 14 % loss is more than theirs)."""
RESIDUAL_STEPS = 3
"""Physics steps between nodes of a home's cloud residual. Assumed."""
RESIDUAL_GAIN = 0.80
"""Log standard deviation of a home's own residual under full cloud, at a correlation of .5. Calibrated: the
hourly cloud correlation of homes comes out at the scenario's value."""
RESIDUAL_POWER = 0.75
"""Exponent of the cloud share in that standard deviation. Calibrated: alike in August and April."""


@dataclass(frozen=True)
class PvHomes:
    """Constants of the homes with panels; P of the N homes."""

    column: Ints  # (P,) int64: home index
    roof: Ints  # (P,) int64: roof class
    kwp: Floats32  # (P,) float32
    factor: Floats32  # (P,) float32, constant factor of the home


def pv_homes(fleet: Fleet, seed: int) -> PvHomes:
    """Return the constants of the homes that have panels."""
    noise = stream(seed, "solar", 0).standard_normal(fleet.n)
    factor = HOME_MEAN * np.exp(HOME_SIGMA * noise - HOME_SIGMA**2 / 2)
    column = np.flatnonzero(fleet.has_pv)
    return PvHomes(
        column,
        fleet.orientation[column],
        fleet.pv_kwp[column].astype(np.float32),
        factor[column].astype(np.float32),
    )


def clear_ghi(site: SiteSpec, utc: pd.DatetimeIndex) -> tuple[Floats, Floats]:
    """(S,) global irradiance of a clear sky, W/m2, as `unit_output` has it, and cosine of the sun's zenith, 0 at night.

    `utc` are the starts of 15-min steps; the sun is taken at their middle.
    """
    from pvlib import atmosphere, clearsky, solarposition

    middle = utc + pd.Timedelta(minutes=7.5)
    zenith = solarposition.get_solarposition(middle, site.latitude, site.longitude, site.altitude_m)["apparent_zenith"]
    up = np.flatnonzero(zenith.to_numpy() < 90.0)
    angle, month = zenith.to_numpy()[up], middle.month.to_numpy()[up] - 1
    airmass = atmosphere.get_relative_airmass(angle)
    airmass = atmosphere.get_absolute_airmass(airmass, atmosphere.alt2pres(site.altitude_m))
    clear = clearsky.ineichen(angle, airmass, LINKE_TURBIDITY[month], site.altitude_m)
    ghi, cosine = np.zeros(len(utc)), np.zeros(len(utc))
    ghi[up], cosine[up] = np.nan_to_num(clear["ghi"]), np.cos(np.radians(angle))
    return ghi, cosine


class Sun(NamedTuple):
    """What of S steps does not depend on the weather; in U of them the sun is up."""

    steps: int  # S
    up: Ints  # (U,) which these are
    zenith: Floats  # (U,) degrees, apparent
    azimuth: Floats  # (U,) degrees
    month: Ints  # (U,) 0..11
    day_of_year: Ints  # (U,)
    clear_ghi: Floats  # (U,) W/m2, global irradiance of a clear sky (Ineichen, fixed turbidity)
    extra: Floats  # (U,) W/m2, outside the atmosphere


def sun_of(site: SiteSpec, utc: pd.DatetimeIndex) -> Sun:
    """Return where the sun is, and what a clear sky lets through.

    Parameters
    ----------
    site : SiteSpec
        Latitude, longitude, altitude.
    utc : pandas.DatetimeIndex
        (S,) start of each 15-min step; the sun is taken at its middle.
    """
    from pvlib import atmosphere, clearsky, irradiance, solarposition

    middle = utc + pd.Timedelta(minutes=7.5)
    sun = solarposition.get_solarposition(middle, site.latitude, site.longitude, site.altitude_m)
    up = np.flatnonzero(sun["apparent_zenith"].to_numpy() < 90.0)
    middle, zenith = middle[up], sun["apparent_zenith"].to_numpy()[up]
    month, day_of_year = middle.month.to_numpy() - 1, middle.day_of_year.to_numpy()
    pressure = atmosphere.alt2pres(site.altitude_m)
    airmass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(zenith), pressure)
    clear = clearsky.ineichen(zenith, airmass, LINKE_TURBIDITY[month], site.altitude_m)
    return Sun(
        steps=len(utc),
        up=up,
        zenith=zenith,
        azimuth=sun["azimuth"].to_numpy()[up],
        month=month,
        day_of_year=day_of_year,
        clear_ghi=np.nan_to_num(clear["ghi"]),
        extra=irradiance.get_extra_radiation(day_of_year),
    )


@lru_cache(maxsize=8)
def sun_of_days(site: SiteSpec, calendar: Calendar, days: range) -> Sun:
    """Return `sun_of` of whole local days: the same for all months of a scenario, and pvlib is slow to call."""
    utc = [calendar.day_index_utc(day).tz_localize(None).to_numpy() for day in days]
    made = sun_of(site, pd.DatetimeIndex(np.concatenate(utc), tz="UTC"))
    for array in made[1:]:
        array.setflags(write=False)
    return made


def unit_output(sun: Sun, temp_c: Floats, clearness: Floats, system_loss: float) -> Floats32:
    """AC output per kWp of every roof class.

    Clear-sky global irradiance times clearness is split by Erbs, transposed by Hay-Davies, and put through the SAPM
    cell temperature and the PVWatts module and inverter.

    Parameters
    ----------
    sun : Sun
        Of S steps.
    temp_c, clearness : numpy.ndarray
        (S,) air temperature, deg C, and factor on clear-sky global irradiance.
    system_loss : float
        Share of DC lost (soiling, wiring, mismatch).

    Returns
    -------
    numpy.ndarray
        (S, N_ORIENTATIONS) float32, kW per kWp; exactly 0 while the sun is down.
    """
    from pvlib import inverter, irradiance, pvsystem, temperature

    temp_c, ghi = temp_c[sun.up], sun.clear_ghi * clearness[sun.up]
    split = irradiance.erbs(ghi, sun.zenith, sun.day_of_year)
    cell_params = temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["close_mount_glass_glass"]
    out = np.zeros((sun.steps, N_ORIENTATIONS), dtype=np.float32)
    for c, (tilt, facing) in enumerate(ROOFS):
        poa = irradiance.get_total_irradiance(
            tilt, facing, sun.zenith, sun.azimuth, split["dni"], ghi, split["dhi"],
            dni_extra=sun.extra, albedo=ALBEDO, model="haydavies",
        )  # fmt: skip
        poa_global = np.nan_to_num(np.asarray(poa["poa_global"], dtype=np.float64))
        cell = temperature.sapm_cell(poa_global, temp_c, WIND_M_S, **cell_params)
        dc = pvsystem.pvwatts_dc(poa_global, cell, 1.0, GAMMA_PER_K) * (1.0 - system_loss) * SOILING[sun.month]
        # pvlib's inverter limit is given as the DC power at which it clips
        ac = inverter.pvwatts(dc, pdc0=1.0 / (DC_AC_RATIO * 0.96))
        out[sun.up, c] = np.clip(np.nan_to_num(ac), 0.0, 1.0)
    return out


@lru_cache(maxsize=32)
def interpolation(n: int, spacing: int) -> Floats32:
    """(n, m) float32 weights from m nodes `spacing` steps apart to n steps; rows have unit norm.

    Independent standard normal nodes thus give a standard normal at every step, correlated over `spacing`.
    """
    position = (np.arange(n) + 0.5) / spacing
    nodes = np.arange(int(np.ceil(n / spacing)) + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(position[:, None] - nodes[None, :]))
    made = (weights / np.sqrt(np.sum(weights**2, axis=1, keepdims=True))).astype(np.float32)
    made.setflags(write=False)
    return made


def day_pv(
    homes: PvHomes,
    n_homes: int,
    unit: Floats32,
    clearness: Floats,
    correlation: float,
    rng: np.random.Generator,
) -> Floats32:
    """AC output of every home on one day.

    Parameters
    ----------
    homes : PvHomes
        The homes with panels.
    n_homes : int
        N, all homes.
    unit : numpy.ndarray
        (n, N_ORIENTATIONS) kW per kWp under the region's sky.
    clearness : numpy.ndarray
        (n,) the region's clearness.
    correlation : float
        Wanted correlation of two homes' cloud-driven deviation, 0-1.
    rng : numpy.random.Generator
        The day's stream.

    Returns
    -------
    numpy.ndarray
        (n, N) float32, kW; 0 <= pv <= kWp.
    """
    out = np.zeros((len(unit), n_homes), dtype=np.float32)
    if len(homes.column) == 0:
        return out
    own = interpolation(len(unit), RESIDUAL_STEPS)
    normals = own @ rng.standard_normal((own.shape[1], len(homes.column)), dtype=np.float32)
    # two homes share the region's deviation of log output; their own part has (1 - r) / r of its variance and
    # grows with the cloud, so a clear day is smooth everywhere
    gain = RESIDUAL_GAIN * np.sqrt((1.0 - correlation) / max(correlation, 0.05))
    sigma = (gain * np.minimum(np.maximum(1.0 - clearness, 0.0), 1.0) ** RESIDUAL_POWER).astype(np.float32)
    deviation = _log_deviation(normals, sigma, unit)
    np.exp(deviation, out=deviation)
    _put_output(deviation, unit, homes.roof, homes.factor, homes.kwp, homes.column, out)
    return out


@kernel
def _is_up(unit: Floats32, k: int) -> bool:
    """Whether the sun shines on a roof in step k."""
    return bool(unit[k].max() > 0.0)


@kernel
def _log_deviation(normals: Floats32, sigma: Floats32, unit: Floats32) -> Floats32:
    """(steps that the sun is up in, P) log of what multiplies each home's output; float32 arithmetic."""
    out, row = np.empty_like(normals), 0
    for k in range(len(normals)):
        if _is_up(unit, k):
            off = sigma[k] * sigma[k] / np.float32(2.0)
            for p in range(normals.shape[1]):
                out[row, p] = normals[k, p] * sigma[k] - off
            row += 1
    return out[:row]


@kernel
def _put_output(
    deviation: Floats32,
    unit: Floats32,
    roof: Ints,
    factor: Floats32,
    kwp: Floats32,
    column: Ints,
    out: Floats32,
) -> None:
    """Fill `out` (n, N), kW, where the sun is up and the home has panels; float32 arithmetic.

    `deviation` is what multiplies each home's output in the steps that the sun is up in; see `_log_deviation`.
    """
    one, zero, row = np.float32(1.0), np.float32(0.0), 0
    for k in range(len(unit)):
        if _is_up(unit, k):
            for p, i in enumerate(column):
                share = deviation[row, p] * unit[k, roof[p]] * factor[p]
                out[k, i] = min(max(share, zero), one) * kwp[p]
            row += 1
