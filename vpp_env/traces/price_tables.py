"""Calibration tables of the seeded CAISO-like prices, each with its public source.

All prices are USD/MWh, all hours local wall-clock hours 0..23. The tables are statistics (means, loadings,
standard deviations) of public CAISO OASIS prices, not copies of series. How they were made and how well the
seeded series meet them: docs/prices.md.
"""

from __future__ import annotations

from dataclasses import dataclass

Table = tuple[float, ...]


@dataclass(frozen=True)
class Season:
    """One season of the price model; every `Table` has 24 local hours."""

    source: str
    mean: Table  # day-ahead mean by hour, all days, scarcity included, USD/MWh
    weekend: Table  # weekend minus weekday by hour (moving average over 5 h), USD/MWh
    day_load: Table  # USD/MWh per standard deviation of the day factor
    hour_std: Table  # standard deviation of what the day factor leaves, USD/MWh
    day_phi: float  # lag-1 autocorrelation of the day factor
    hour_rho: float  # lag-1 autocorrelation of the hourly residual
    scarcity: float  # share of the scarcity premium of summer that ordinary hot days get
    level: float  # median day-ahead price: the unit of the real-time and reserve tables, USD/MWh
    rt: str  # which of RT_BODY applies
    spike_share: float  # share of 15-min intervals with real time more than 100 USD/MWh above day-ahead
    regup_scale: float  # factor on REGUP that meets the season's mean
    regdown_scale: float  # factor on REGDOWN that meets the season's mean
    spin_share: float  # spin / regulation up in calm hours, meets the season's mean of spin
    nonspin_from: float  # tightness from which non-spin leaves its floor, meets the season's mean of non-spin


# fmt: off
SUMMER = Season(
    source="CAISO OASIS day-ahead, DLAP_SCE, August 2023; real time DLAP_PGAE, June-September 2019",
    mean=(
        59.5, 56.7, 54.4, 52.7, 53.0, 57.6, 63.7, 51.2, 42.4, 40.6, 41.0, 43.7, 48.2, 55.3, 64.6, 75.6,
        86.4, 121.1, 183.2, 219.0, 136.8, 101.0, 73.7, 66.2
    ),
    weekend=(
        -0.8, -0.8, -1.0, -1.8, -4.0, -5.7, -7.9, -9.7, -10.6, -10.0, -9.3, -7.8, -6.1, -5.0, -3.9, -3.2,
        -3.0, -3.7, -4.0, -4.1, -4.0, -4.0, -3.5, -2.8
    ),
    day_load=(
        7.2, 7.0, 6.3, 6.0, 6.2, 6.1, 7.5, 4.6, 5.8, 7.1, 8.9, 9.8, 11.2, 13.8, 15.0, 16.6, 18.1, 18.5,
        25.3, 38.8, 28.4, 18.6, 14.2, 11.0
    ),
    hour_std=(
        2.3, 2.3, 2.1, 1.6, 2.2, 1.7, 4.4, 3.1, 6.1, 7.0, 6.7, 5.9, 4.3, 3.9, 3.1, 3.5, 3.3, 5.1, 7.5,
        15.9, 6.7, 5.6, 3.2, 2.3
    ),
    day_phi=0.80, hour_rho=0.68, scarcity=1.0, level=57.2, rt="dry", spike_share=0.0096,
    regup_scale=0.598, regdown_scale=0.618, spin_share=0.457, nonspin_from=2.995,
)
SPRING = Season(
    source="CAISO OASIS day-ahead, DLAP_PGAE, April 2019; real time DLAP_PGAE, March-May 2019",
    mean=(
        23.7, 21.7, 20.1, 20.0, 22.8, 30.8, 38.6, 31.0, 18.9, 12.9, 10.3, 8.5, 7.7, 7.9, 8.3, 10.6, 13.4,
        22.5, 38.5, 60.4, 54.4, 42.9, 31.2, 26.8
    ),
    weekend=(
        0.2, -0.1, -0.4, -2.3, -6.1, -9.9, -13.2, -16.4, -17.8, -17.1, -16.1, -15.4, -15.0, -14.8, -14.9,
        -14.4, -13.5, -13.4, -11.5, -9.3, -7.5, -6.1, -3.9, -3.1
    ),
    day_load=(
        3.8, 3.6, 3.5, 3.5, 3.6, 4.4, 4.7, 6.6, 4.9, 4.9, 5.7, 5.8, 5.7, 5.6, 5.7, 5.8, 6.8, 7.1, 6.3,
        5.1, 1.2, 2.1, 3.2, 3.1
    ),
    hour_std=(
        2.8, 2.4, 2.1, 2.3, 3.3, 3.7, 5.5, 6.1, 4.0, 4.2, 4.0, 4.1, 3.7, 4.4, 5.0, 4.9, 4.8, 4.1, 4.1,
        8.6, 4.0, 3.7, 3.9, 3.0
    ),
    day_phi=0.80, hour_rho=0.72, scarcity=0.05, level=22.4, rt="wet", spike_share=0.0194,
    regup_scale=0.407, regdown_scale=0.647, spin_share=0.461, nonspin_from=1.559,
)
AUTUMN = Season(
    source="CAISO OASIS day-ahead, DLAP_SCE, October-November 2023; real time DLAP_PGAE, same months 2019",
    mean=(
        61.1, 58.5, 57.0, 56.3, 57.9, 63.4, 70.2, 60.4, 35.8, 24.5, 22.0, 21.7, 23.0, 25.1, 31.6, 47.4,
        65.0, 87.9, 98.7, 86.9, 81.3, 78.5, 70.6, 65.2
    ),
    weekend=(
        -2.4, -2.6, -3.0, -4.5, -7.9, -11.4, -14.5, -16.4, -17.6, -17.4, -17.1, -17.1, -17.7, -17.8,
        -17.4, -17.9, -18.1, -17.5, -16.5, -15.5, -12.9, -10.1, -9.1, -8.1
    ),
    day_load=(
        8.0, 6.9, 6.7, 6.5, 6.3, 6.6, 10.1, 10.6, 10.9, 10.1, 10.6, 11.1, 12.6, 14.1, 16.3, 14.3, 15.5,
        26.6, 40.0, 21.9, 14.9, 13.0, 9.2, 7.4
    ),
    hour_std=(
        6.1, 5.4, 5.5, 5.4, 6.6, 7.2, 7.0, 9.9, 10.1, 12.0, 9.5, 9.2, 8.8, 8.6, 10.7, 14.1, 14.9, 15.9,
        27.2, 12.9, 7.3, 5.9, 5.7, 5.5
    ),
    day_phi=0.79, hour_rho=0.78, scarcity=0.10, level=58.3, rt="dry", spike_share=0.0043,
    regup_scale=0.765, regdown_scale=0.777, spin_share=0.441, nonspin_from=1.039,
)
WINTER = Season(
    source="CAISO OASIS day-ahead, DLAP_SCE, December 2023; real time DLAP_PGAE, December-February 2019",
    mean=(
        50.2, 48.5, 47.9, 47.4, 48.6, 53.7, 59.0, 52.9, 36.9, 26.2, 25.3, 24.3, 23.2, 23.5, 26.3, 48.5,
        62.0, 63.5, 61.9, 61.7, 61.3, 60.9, 57.9, 54.9
    ),
    weekend=(
        -2.8, -2.9, -3.1, -4.3, -6.4, -8.6, -10.2, -12.5, -13.8, -14.2, -14.8, -15.7, -15.6, -14.0, -12.5,
        -11.0, -9.2, -7.6, -7.5, -7.2, -6.3, -5.4, -5.0, -4.4
    ),
    day_load=(
        5.1, 5.1, 5.2, 5.3, 5.5, 6.5, 6.8, 8.0, 7.6, 7.9, 8.1, 8.0, 8.3, 8.7, 8.9, 7.7, 6.9, 6.6, 6.6,
        6.4, 6.2, 6.1, 5.7, 4.8
    ),
    hour_std=(
        3.5, 3.6, 3.6, 3.5, 4.1, 5.2, 7.6, 3.7, 8.1, 11.1, 11.4, 10.9, 10.6, 10.6, 10.1, 5.1, 5.6, 5.8,
        5.6, 5.5, 5.7, 6.0, 5.8, 5.2
    ),
    day_phi=0.72, hour_rho=0.79, scarcity=0.05, level=49.5, rt="wet", spike_share=0.0093,
    regup_scale=0.659, regdown_scale=0.882, spin_share=0.434, nonspin_from=0.93,
)
# fmt: on
SEASONS = {"spring": SPRING, "summer": SUMMER, "autumn": AUTUMN, "winter": WINTER}
SEASON_OF_MONTH = (
    "winter", "winter", "spring", "spring", "spring", "summer",
    "summer", "summer", "summer", "autumn", "autumn", "winter",
)  # fmt: skip
"""Season of each month, January first."""

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
SCARCITY_MEAN = 94.4
"""Mean premium over the weather's heat index outside heat waves, USD/MWh (measured August 2023: 104)."""

RT_RATIO: Table = (-0.2, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.35, 1.75, 2.5, 4.0, 25.0)
"""Knots of day-ahead price / season's median for `RT_BODY`."""
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
"""Median and standard deviation of (real time - day-ahead) / season's median at each knot, spikes left out.

Binned from DLAP_PGAE 2019, 15-min, with two choices of ours: the discount of dear hours of "dry" (ratio 2.5 and 4) is
10-35 % smaller than in 2019 (-.88, -2.1), because evenings at 4 medians were rare then and are daily in August 2023;
the last knot (25 medians) is extrapolated.
"""
RT_SLOW_PHI, RT_FAST_PHI, RT_SLOW_SHARE = 0.90, 0.35, 0.65
"""AR(1) parts of the 15-min noise: lags 1-4 of the clipped spread of 2019 are .72, .55, .53, .57."""
RT_TAIL = 1.0
"""Noise is sinh(RT_TAIL z), unit variance: std / (IQR/1.349) is 1.7 (2019 without spikes: 1.9)."""

SPIKE_HOURS: Table = (
    0.62, 0.18, 0.05, 0.06, 0.19, 0.43, 0.43, 1.30, 1.73, 0.62, 0.19, 0.25, 0.80, 1.54, 0.49, 0.86,
    0.80, 2.71, 4.01, 2.47, 1.30, 0.99, 1.54, 0.49,
)  # fmt: skip
"""Relative frequency of spikes by hour, mean 1, DLAP_PGAE 2019."""
SPIKE_SIZE: Table = (100.7, 132.6, 173.6, 248.2, 320.3, 346.5, 397.3, 618.8, 670.5, 950.2, 1055.8)
"""Deciles (0 to 100 %) of real time - day-ahead in spike intervals, USD/MWh, DLAP_PGAE 2019."""
SPIKE_STAY = 0.41
"""Chance that a spike lasts one more interval; with chance neighbours, episodes last 1.7 intervals (2019)."""
SPIKE_SAME_SIZE = 0.35
"""Chance that the next interval of an episode repeats its size: correlation .3 of neighbours in 2019."""
SPIKE_DAY_SHAPE = 0.8
"""Gamma shape of a day's spike intensity: 61 % of the days of 2019 had none."""

RESERVE_RATIO: Table = (-0.1, 0.125, 0.375, 0.62, 0.87, 1.1, 1.4, 1.75, 2.5, 4.0, 6.5, 12.0, 20.0)
"""Knots of day-ahead price / season's median for the regulation tables."""
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
