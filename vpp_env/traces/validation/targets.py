"""Measured price statistics that the validation table holds the seeded series against.

CAISO OASIS prices: day-ahead of DLAP_SCE (August 2023) and DLAP_PGAE (April 2019), real time of DLAP_PGAE (2019,
June-September and March-May), regulation of 2020 (the same months). `validate --data` computes the same numbers
from the files.
"""

from __future__ import annotations

TARGETS: dict[str, dict[str, float]] = {
    "August": {
        "DA mean": 76.975,
        "DA standard deviation": 94.6373,
        "DA share negative": 0.0,
        "DA autocorrelation, 1 h": 0.8557,
        "DA daily spread of 4 h (TB4)": 124.7141,
        "RT-DA mean": 1.4103,
        "RT-DA standard deviation": 41.2511,
        "RT-DA median": -1.7316,
        "share RT > DA": 0.3583,
        "share RT > DA + 100": 0.0096,
        "share RT > 200": 0.0082,
        "RT > DA + 100: episode": 2.1321,
        "RT share negative": 0.0091,
        "correlation DA, RegUp": 0.731,
        "correlation DA, RegDown": 0.0293,
    },
    "April": {
        "DA mean": 24.3301,
        "DA standard deviation": 16.5214,
        "DA share negative": 0.0708,
        "DA autocorrelation, 1 h": 0.857,
        "DA daily spread of 4 h (TB4)": 42.6731,
        "RT-DA mean": 5.0074,
        "RT-DA standard deviation": 53.0724,
        "RT-DA median": -3.6507,
        "share RT > DA": 0.3303,
        "share RT > DA + 100": 0.0194,
        "share RT > 200": 0.0169,
        "RT > DA + 100: episode": 1.5405,
        "RT share negative": 0.1146,
        "correlation DA, RegUp": 0.1227,
        "correlation DA, RegDown": -0.478,
    },
}
"""Scenario title -> statistic -> value; units as in `validate_prices.UNITS`."""

# fmt: off
HOURLY_TARGETS: dict[str, tuple[float, ...]] = {
    "August": (
        59.5, 56.7, 54.4, 52.7, 53.0, 57.6, 63.7, 51.2, 42.4, 40.6, 41.0, 43.7, 48.2, 55.3, 64.6,
        75.6, 86.4, 121.1, 183.2, 219.0, 136.8, 101.0, 73.7, 66.2
    ),
    "April": (
        23.7, 21.7, 20.1, 20.0, 22.8, 30.8, 38.6, 31.0, 18.9, 12.9, 10.3, 8.5, 7.7, 7.9, 8.3, 10.6,
        13.4, 22.5, 38.5, 60.4, 54.4, 42.9, 31.2, 26.8
    ),
}
# fmt: on
"""Scenario title -> mean day-ahead price of each local hour, USD/MWh."""
