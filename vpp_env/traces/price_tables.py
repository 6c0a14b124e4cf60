"""Calibration tables of the seeded CAISO-like prices, each with its public source.

All prices are USD/MWh, all hours local wall-clock hours 0..23, all months January first. A *night price* is the mean
day-ahead price of hours 0-4 of a month: the unit of the hourly shapes, since it follows the price of gas and little
else. The tables are statistics (means, loadings, standard deviations) of public CAISO OASIS prices, not copies of
series; the ranges of the regimes reach beyond the fitted months where that is said. How they were made and how well
the seeded series meet measured months: docs/prices.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.units import Floats

Table = tuple[float, ...]


# ---- regimes: (median, log standard deviation) unless said otherwise; fitted on how 2019, 2020 and 2023 differ -----

REGIME_GAS = (1.0, 0.35, 0.55)
"""Factor on `NIGHT_PRICE`; log standard deviation below and above the median: gas is dear for a while more often than
it is cheap. From .56 to 2.5 in nine of ten seeds; measured months of 2019, 2020 and 2023 are .69 to 1.84, the rest is
assumed."""
REGIME_RESTLESS = (0.12, 0.60)
"""Log standard deviation of the days' level: .05 (August 2019) to .47 (February 2019, a gas spike inside the month)."""
REGIME_SOLAR = (-0.15, 1.60, 1.7)
"""Depth of noon in night prices, low + (high - low) u^power: 0 is DLAP_PGAE 2019, .5-.7 DLAP_SCE 2023. The upper
third, up to 1.6, is beyond them: solar and congestion of later years, assumed (1.25 is DLAP_SCE in the spring of
2024)."""
REGIME_EVENING = (0.65, 0.50)
"""Factor on what peaks have above the night price: 1 is 2019, .45-.8 is 2023; below, storage flattens them, assumed."""
REGIME_SCARCITY = (0.15, 1.3)
"""Factor on the scarcity premium: .05 in 2019, .9 at DLAP_SCE in 2023, above 1 in August 2020."""
REGIME_SCARCITY_MAX = 1.3
REGIME_SPIKES = (1.0, 0.9)
"""Factor on `SPIKE_SHARE`. Months of one season of 2019 differ by factors of 6 (summer) and 15 (winter)."""
REGIME_WIDTH = (1.0, 0.25)
"""Factor on the width of the real-time spread; months of 2019 lie within .9 and 1.4 of the tables, calmer years are
assumed."""
REGIME_BIAS = (0.0, 0.05)
"""Mean and standard deviation of the shift of the real-time spread's median, in ordinary prices; 2019: -.06 to .04."""
REGIME_RESERVE = (1.0, 0.45)
"""Factor on reserve prices; system means of 2020 are 1.9, of 2024 .6, of 2025 .3 to .7 of those of 2023."""

# ---- day-ahead ----------------------------------------------------------------------------------------------------

# fmt: off
NIGHT_PRICE: Table = (40.0, 38.0, 33.0, 27.0, 24.0, 27.0, 33.0, 37.0, 37.0, 41.0, 44.0, 43.0)
"""Central night price by month: geometric middle of 2019, 2020 and 2023, smoothed and rounded."""
SOLAR_WEIGHT: Table = (0.65, 0.85, 1.0, 1.0, 1.0, 0.8, 0.45, 0.45, 0.7, 0.75, 0.75, 0.65)
"""Share of the regime's solar depth that a month gets: 2019 against DLAP_SCE 2023 (June-December), else assumed."""
SUN_HOURS = (
    (7.0, 9.5, 14.0, 16.0), (7.0, 9.0, 14.5, 17.0), (6.75, 8.25, 16.25, 18.5), (6.25, 7.75, 16.75, 18.75),
    (5.75, 7.75, 16.75, 19.25), (6.0, 8.5, 15.5, 19.0), (6.5, 8.5, 15.0, 18.5), (6.5, 9.0, 15.0, 18.5),
    (6.5, 8.5, 15.0, 17.5), (7.0, 9.0, 14.5, 17.0), (6.5, 9.0, 13.5, 16.0), (7.0, 9.0, 14.0, 15.5),
)
"""Local hours at which the solar depth of a month begins, is full, starts to fade and ends; DLAP_PGAE less DLAP_SCE
2023."""
PEAK_SHARE: Table = (
    0, 0, 0, 0, 0, 0.6, 0.6, 0.6, 0.3, 0, 0, 0, 0, 0, 0, 0.3, 0.8, 1, 1, 1, 1, 1, 0.9, 0.7,
)
"""Share of the regime's evening factor that an hour's excess over the night price gets; assumed."""
BASE = (
    (
        1.03, 1.00, 0.97, 0.98, 1.03, 1.13, 1.35, 1.34, 1.09, 0.99, 0.91, 0.85, 0.80, 0.83, 0.87, 1.05,
        1.30, 1.74, 1.72, 1.53, 1.38, 1.24, 1.14, 1.06,
    ),
    (
        1.05, 1.00, 0.96, 0.96, 1.03, 1.23, 1.51, 1.32, 1.04, 0.90, 0.81, 0.77, 0.72, 0.72, 0.74, 0.85,
        1.12, 1.49, 1.74, 1.57, 1.49, 1.37, 1.20, 1.10,
    ),
    (
        1.06, 1.00, 0.96, 0.95, 1.02, 1.27, 1.60, 1.44, 1.05, 0.78, 0.64, 0.56, 0.48, 0.45, 0.46, 0.54,
        0.64, 1.17, 1.74, 2.12, 1.79, 1.57, 1.30, 1.15,
    ),
    (
        1.09, 1.01, 0.93, 0.92, 1.05, 1.40, 1.76, 1.40, 0.84, 0.56, 0.41, 0.33, 0.28, 0.28, 0.29, 0.40,
        0.51, 0.96, 1.71, 2.68, 2.52, 2.00, 1.46, 1.25,
    ),
    (
        1.15, 1.01, 0.88, 0.87, 1.09, 1.56, 1.62, 1.19, 0.77, 0.56, 0.41, 0.35, 0.31, 0.34, 0.37, 0.47,
        0.47, 0.91, 1.69, 2.61, 3.04, 2.26, 1.60, 1.31,
    ),
    (
        1.08, 1.01, 0.97, 0.94, 1.00, 1.19, 1.14, 0.81, 0.66, 0.62, 0.61, 0.62, 0.66, 0.72, 0.79, 0.88,
        0.91, 1.09, 1.58, 2.21, 2.23, 1.75, 1.35, 1.18,
    ),
    (
        1.07, 1.01, 0.98, 0.96, 0.98, 1.07, 1.05, 0.92, 0.85, 0.86, 0.91, 0.95, 1.04, 1.11, 1.18, 1.24,
        1.27, 1.38, 1.70, 2.49, 2.00, 1.62, 1.28, 1.15,
    ),
    (
        1.06, 1.02, 0.99, 0.96, 0.97, 1.06, 1.15, 1.02, 0.86, 0.87, 0.90, 0.96, 1.03, 1.10, 1.19, 1.28,
        1.37, 1.58, 1.99, 2.41, 1.79, 1.54, 1.27, 1.13,
    ),
    (
        1.05, 1.02, 0.98, 0.97, 0.99, 1.09, 1.23, 1.13, 0.91, 0.83, 0.82, 0.85, 0.89, 0.94, 1.00, 1.06,
        1.07, 1.39, 1.90, 1.93, 1.54, 1.37, 1.23, 1.10,
    ),
    (
        1.05, 1.01, 0.98, 0.97, 1.00, 1.13, 1.35, 1.28, 1.02, 0.90, 0.83, 0.81, 0.82, 0.86, 0.91, 0.96,
        1.07, 1.60, 2.16, 1.80, 1.55, 1.42, 1.27, 1.13,
    ),
    (
        1.04, 0.99, 0.97, 0.98, 1.02, 1.16, 1.31, 1.22, 1.03, 0.93, 0.88, 0.86, 0.86, 0.89, 0.91, 1.11,
        1.47, 1.97, 1.62, 1.50, 1.42, 1.34, 1.21, 1.10,
    ),
    (
        1.03, 1.00, 0.98, 0.98, 1.01, 1.13, 1.30, 1.26, 1.10, 1.01, 0.96, 0.91, 0.89, 0.91, 0.93, 1.09,
        1.40, 1.64, 1.52, 1.47, 1.40, 1.33, 1.23, 1.13,
    ),
)
"""(12, 24) hourly shapes in night prices at solar depth 0 and evening factor 1: `python -m
vpp_env.traces.price_fit`."""
WEEKEND: Table = (
    0, 0, 0, -.03, -.07, -.15, -.22, -.28, -.32, -.33, -.33, -.33, -.33, -.33, -.33, -.33, -.30, -.27, -.25, -.22,
    -.20, -.15, -.10, -.05,
)
"""Weekend minus weekday in night prices: middle of all months of 2019, 2020 and 2023."""
WEEKEND_WEIGHT: Table = (0.9, 1.0, 1.0, 1.6, 1.6, 1.4, 0.6, 0.8, 0.7, 0.9, 0.8, 0.7)
"""Factor on `WEEKEND` by month."""
NOON_SIGMA: Table = (0.20, 0.25, 0.33, 0.35, 0.38, 0.33, 0.20, 0.18, 0.20, 0.18, 0.20, 0.18)
"""Standard deviation of a day's noon, night prices, at solar depth 0."""
# fmt: on
NOON_SIGMA_SOLAR = 0.5
"""Relative growth of `NOON_SIGMA` per unit of solar depth: DLAP_SCE against DLAP_PGAE 2023 (.32/.19 at a depth of
.6)."""
PEAK_SIGMA = 0.38
"""Log standard deviation of a day's peak excess."""
DAY_PHI, NOON_PHI, PEAK_PHI = 0.78, 0.55, 0.60
"""Lag-1 autocorrelations over days: level, noon and peak; middles of 37 measured months."""
NOON_PEAK = 0.6
"""Correlation of a day's noon and its peak."""
HOUR_SIGMA_NIGHT, HOUR_SIGMA_DAY, HOUR_RHO = 0.03, 0.08, 0.72
"""Hourly residual in night prices (hours 0-4; others) and its lag-1 autocorrelation."""
RESTLESS_POWER = 0.4
"""Noon, peak and hourly residual move with (restless / its median) to this power: quiet months repeat their days."""
BELOW_ZERO = (0.4, 0.45)
"""Prices below zero are multiplied by min(1, a + b x solar depth): bids of curtailed solar bunch near zero (2019: 5 %
of spring hours within -6 and 0), while congested nodes fall to -1.5 night prices (DLAP_SCE, spring 2024)."""

SCARCITY_MONTH: Table = (0.05, 0.05, 0.05, 0.05, 0.05, 0.35, 0.85, 1.0, 0.8, 0.35, 0.1, 0.05)
"""Share of August's scarcity premium that ordinary hot days of a month get: maxima of 2019, 2020 and 2023."""
SCARCITY_SHAPE: Table = (
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.06, 0.08, 0.10, 0.13, 0.19, 0.38, 0.85, 1.0, 0.42,
    0.17, 0.06, 0.05,
)  # fmt: skip
"""Scarcity premium by hour, peak 1: hot days of August 2023 (maximum above 250) minus the others, DLAP_SCE."""
SCARCITY_MAX = 1050.0
"""Premium of the peak hour at full heat, USD/MWh: median of the daily maxima of 14-20 August 2020 (SP15)."""
SCARCITY_HALF_HEAT = 0.445
"""Heat at which half of it is reached; with the exponent, fits the ranked evening premia of August 2023."""
SCARCITY_EXPONENT = 5.4
SCARCITY_SIGMA = 0.45
"""Log standard deviation of a day's premium at given heat: spread of the seven days of August 2020."""

SEASON_OF_MONTH = (
    "winter", "winter", "spring", "spring", "spring", "summer",
    "summer", "summer", "summer", "autumn", "autumn", "winter",
)  # fmt: skip
"""Season of each month, January first."""
MONTH_OF_SEASON = {"spring": 4, "summer": 8, "autumn": 10, "winter": 1}
"""The month that `prices.season` pins."""


@dataclass(frozen=True)
class Season:
    """What real time and reserves have by season."""

    rt: str  # which of RT_BODY applies
    regup_scale: float  # factor on REGUP that meets the season's mean
    regdown_scale: float  # factor on REGDOWN that meets the season's mean
    spin_share: float  # spin / regulation up in calm hours, meets the season's mean of spin
    nonspin_from: float  # tightness from which non-spin leaves its floor, meets the season's mean of non-spin


SEASONS = {
    "spring": Season("wet", 0.407, 0.530, 0.461, 1.559),
    "summer": Season("dry", 0.598, 0.618, 0.457, 2.3),
    "autumn": Season("dry", 0.765, 0.777, 0.441, 1.039),
    "winter": Season("wet", 0.659, 0.882, 0.434, 0.93),
}
RT_WIDTH: Table = (0.72, 0.82, 0.93, 1.1, 1.35, 1.25, 1.05, 1.0, 1.05, 1.1, 1.15, 0.72)
"""Factor on the width of `RT_BODY` by month: interquartile ranges of DLAP_PGAE 2019, half way to the season's."""
SPIKE_SHARE: Table = (0.006, 0.007, 0.014, 0.016, 0.014, 0.010, 0.005, 0.005, 0.005, 0.004, 0.004, 0.003)
"""Central share of 15-min intervals with real time more than 100 USD/MWh above day-ahead, by month: DLAP_PGAE 2019,
drawn towards the neighbouring months (the many of June, .026, are a stressed regime)."""
MEDIAN_OVER_NIGHT = 1.03
"""Median day-ahead price over the night price, .9 to 1.1 in the measured months: the ordinary price of the tables
below."""

RT_RATIO: Table = (-0.2, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.35, 1.75, 2.5, 4.0, 25.0)
"""Knots of day-ahead price / ordinary price for `RT_BODY`."""
RT_BODY: dict[str, tuple[Table, Table]] = {
    "dry": (
        (0.0, 0.03, 0.07, 0.03, -0.05, -0.03, -0.06, -0.17, -0.42, -0.78, -1.4, -9.0),
        (0.16, 0.25, 0.25, 0.19, 0.20, 0.22, 0.26, 0.38, 0.39, 0.47, 0.93, 4.0),
    ),
    "wet": (
        (0.0, 0.0, 0.15, 0.0, -0.09, -0.12, -0.16, -0.24, -0.39, -0.57, -1.0, -8.0),
        (0.38, 0.45, 0.44, 0.44, 0.41, 0.43, 0.47, 0.52, 0.62, 0.68, 0.78, 4.0),
    ),
}
"""Median and standard deviation of (real time - day-ahead) / ordinary price at each knot, spikes left out.

Binned from DLAP_PGAE 2019, 15-min, with two choices of ours: the discount of dear hours of "dry" (ratio 2.5 and 4) is
10-35 % smaller than in 2019 (-.88, -2.1), because evenings at 4 medians were rare then and are daily in August 2023;
the last knot (25 medians) is extrapolated.
"""
RT_SLOW_PHI, RT_FAST_PHI, RT_SLOW_SHARE = 0.90, 0.35, 0.65
"""AR(1) parts of the 15-min noise: lags 1-4 of the clipped spread of 2019 are .72, .55, .53, .57."""
RT_ROOM = (0.15, 0.3)
"""Room below the spread's median, in ordinary prices and as a share of a median below zero: a downward deviation x of
room r becomes r (1 - exp(-x/r)). Real time seldom falls below zero from an ordinary price (2019, winter: .4 % of 15
min)."""
RT_TAIL = 1.0
"""Noise is sinh(RT_TAIL z), unit variance: std / (IQR/1.349) is 1.7 (2019 without spikes: 1.9)."""

SPIKE_HOURS: Table = (
    0.62, 0.18, 0.05, 0.06, 0.19, 0.43, 0.43, 1.30, 1.73, 0.62, 0.19, 0.25, 0.80, 1.54, 0.49, 0.86,
    0.80, 2.71, 4.01, 2.47, 1.30, 0.99, 1.54, 0.49,
)  # fmt: skip
"""Relative frequency of spikes by hour, mean 1, DLAP_PGAE 2019."""
SPIKE_SIZE: Table = (100.7, 132.6, 173.6, 248.2, 320.3, 346.5, 397.3, 618.8, 670.5, 950.2, 1055.8)
"""Deciles (0 to 100 %) of real time - day-ahead in spike intervals, USD/MWh, DLAP_PGAE 2019."""
SPIKE_STAY = (0.36, 0.87)
"""Chance that a spike lasts one more interval, in short and in long episodes."""
SPIKE_LONG, SPIKE_LONG_MAX = 0.04, 0.25
"""Share of long episodes, times the square root of the regime's spike factor, at most: those of 11 and 19 intervals in
June 2019; episodes of the year last 1.7 on average."""
SPIKE_SAME_SIZE = 0.35
"""Chance that the next interval of an episode repeats its size: correlation .3 of neighbours in 2019."""
SPIKE_DAY_SHAPE = 0.8
"""Gamma shape of a day's spike intensity: 61 % of the days of 2019 had none."""

RESERVE_RATIO: Table = (-0.1, 0.125, 0.375, 0.62, 0.87, 1.1, 1.4, 1.75, 2.5, 4.0, 6.5, 12.0, 20.0)
"""Knots of day-ahead price / ordinary price for the regulation tables."""
REGUP: Table = (13.0, 7.1, 7.0, 5.2, 5.4, 6.7, 8.4, 11.2, 18.8, 36.0, 76.0, 166.0, 400.0)
"""Mean regulation-up price at each knot, USD/MW-h, CAISO 2020, all year."""
REGDOWN: Table = (29.0, 22.8, 20.2, 11.5, 7.5, 7.4, 7.2, 7.0, 5.5, 5.5, 7.5, 10.6, 12.4)
"""Mean regulation-down price at each knot, USD/MW-h, CAISO 2020, all year."""
REGUP_SIGMA, REGUP_RHO = 0.60, 0.60
"""Log standard deviation and lag-1 autocorrelation of regulation up at a given ratio, CAISO 2020."""
REGDOWN_SIGMA, REGDOWN_RHO = 0.65, 0.55
"""As above for regulation down."""
SPIN_SPREAD = 0.15
"""Standard deviation of the calm share of spin in regulation up, assumed."""
NONSPIN_FLOOR = 0.1
"""Non-spin price when nothing is scarce, USD/MW-h: CAISO, 18 August 2020, hours 1-12."""
NONSPIN_WIDTH = 1.0
"""Width of the band of tightness in which non-spin rises from its floor to spin, assumed."""
TIGHTNESS_SIGMA = 0.4
"""Tightness = price ratio x exp(this x regulation-up noise): reserves also get scarce at ordinary prices."""

RESERVE_MEAN_2023 = {"spin": 3.458, "nonspin": 1.976, "regup": 5.172, "regdown": 6.946}
"""System means of 2023, USD/MW-h, CAISO ancillary-service prices."""
REGULATION_SEASON_2020 = {
    "spring": (6.99 / 9.812, 9.465 / 9.447),
    "summer": (12.389 / 9.812, 6.879 / 9.447),
    "autumn": (10.831 / 9.812, 11.152 / 9.447),
    "winter": (8.526 / 9.812, 11.729 / 9.447),
}
"""Seasonal over annual mean of regulation up and down, CAISO 2020; spin and non-spin follow up (assumed)."""


def reserve_target(season: str, product: str) -> float:
    """Mean price a season is calibrated to, USD/MW-h: the 2023 system mean times the 2020 seasonal ratio."""
    up, down = REGULATION_SEASON_2020[season]
    return RESERVE_MEAN_2023[product] * (down if product == "regdown" else up)


def sun_shape(m: int) -> Floats:
    """(24,) share of the solar depth by local hour in month index `m` (0..11), 0 at night, 1 at noon."""
    return np.interp(np.arange(24) + 0.5, SUN_HOURS[m], (0.0, 1.0, 1.0, 0.0))
