"""Seeded prices held against measured months: `python -m vpp_env.traces.price_months --seeds 60`.

For every statistic of every measured month of the package: where the measured figure lies among those of seeded months
of the same calendar month (their 5 to 95 % band), and what a battery earns under measured against seeded real time on
the same measured day-ahead prices.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from vpp_env.data.build import read_packaged
from vpp_env.data.months import find_real_month, real_month_names
from vpp_env.scenario import Scenario
from vpp_env.traces.price_regime import NAMED
from vpp_env.traces.prices import build_prices, real_time_given_da
from vpp_env.units import Floats, Ints

BAND = (0.05, 0.95)
MONTHS = tuple(n for n in real_month_names() if n.split(":")[1] in ("PGAE", "SCE"))
"""Months of the table: PGAE 2019, PGAE and SCE 2023."""
BATTERY_KW, BATTERY_KWH, ROUND_TRIP, WEAR_USD_PER_KWH = 1.0, 2.0, 0.90, 0.063
_STEP_H = 0.25


@dataclass(frozen=True)
class Measured:
    """A local month of prices, measured or seeded; T = 4 H quarter hours."""

    da: Floats  # (H,) day-ahead, USD/MWh
    rt: Floats | None  # (T,) real time, USD/MWh; None where it is not measured
    hour: Floats  # (H,) local hour
    day: Ints  # (H,) local day of the month


def real_month(name: str) -> Measured:
    """Read a measured month from the package."""
    month = find_real_month(name)
    start = pd.Timestamp(month.start, tz="America/Los_Angeles")
    end = start + pd.DateOffset(months=1)

    def read(k: int, column: str) -> pd.Series:
        table = read_packaged(month.files[k]).set_index("ts_utc")[column]
        return table[(table.index >= start) & (table.index < end)]

    da = read(0, "lmp_da_usd_mwh" if month.node is None else f"lmp_{month.node}_usd_mwh")
    rt = read(1, "lmp_rt_usd_mwh").to_numpy() if month.has_real_time else None
    local = pd.DatetimeIndex(da.index).tz_convert("America/Los_Angeles")
    return Measured(da.to_numpy(), rt, np.asarray(local.hour), np.asarray(local.day))


def seeded_month(scenario: Scenario, seed: int) -> Measured:
    """Make a seeded month of the scenario's calendar."""
    made = build_prices(scenario, seed, 0)
    calendar = scenario.calendar
    return Measured(
        made.da_usd_per_mwh[::4], made.rt_usd_per_mwh, calendar.hour[::4].astype(np.int64), calendar.day[::4] + 1
    )


def _daily_spread(m: Measured) -> float:
    """Mean of the four dearest less the four cheapest hours of each day (TB4)."""
    days = [np.sort(m.da[m.day == d]) for d in np.unique(m.day)]
    return float(np.mean([d[-4:].mean() - d[:4].mean() for d in days]))


def _between(m: Measured, first: int, last: int) -> float:
    return float(m.da[(m.hour >= first) & (m.hour < last)].mean())


def _spread(m: Measured) -> Floats:
    if m.rt is None:
        raise ValueError("this month has no measured real time")
    return np.asarray(m.rt - np.repeat(m.da, 4))


STATISTICS: dict[str, Callable[[Measured], float]] = {
    "DA mean": lambda m: float(m.da.mean()),
    "DA std": lambda m: float(m.da.std()),
    "DA negative": lambda m: float((m.da < 0.0).mean()),
    "DA 5 %": lambda m: float(np.quantile(m.da, 0.05)),
    "DA 95 %": lambda m: float(np.quantile(m.da, 0.95)),
    "DA TB4": _daily_spread,
    "DA noon": lambda m: _between(m, 10, 15),
    "DA evening": lambda m: _between(m, 18, 21),
    "DA lag 24 h": lambda m: float(np.corrcoef(m.da[24:], m.da[:-24])[0, 1]),
    "RT-DA mean": lambda m: float(_spread(m).mean()),
    "RT-DA median": lambda m: float(np.median(_spread(m))),
    "RT-DA std": lambda m: float(_spread(m).reshape(-1, 4).mean(axis=1).std()),
    "RT>DA+100": lambda m: float((_spread(m) > 100.0).mean()),
    "RT negative": lambda m: float((np.asarray(m.rt) < 0.0).mean()),
}
"""Statistic -> its function. Noon is 10-15 h, evening 18-21 h; TB4 is the mean daily spread of 4 h; `RT-DA std` is of
hourly means; shares are of hours (DA) or of 15 min (RT)."""


@dataclass(frozen=True)
class Place:
    """Where a measured figure lies in the seeds' band."""

    month: str
    statistic: str
    measured: float
    low: float
    middle: float
    high: float
    rank: float  # share of seeds below it, half of those equal

    @property
    def inside(self) -> bool:
        """Whether the measured figure lies in the 5 to 95 % band, its ends included."""
        return self.low - 1e-9 <= self.measured <= self.high + 1e-9


def _place(month: str, statistic: str, measured: float, seeded: Floats) -> Place:
    low, middle, high = np.quantile(seeded, (BAND[0], 0.5, BAND[1]))
    rank = 0.5 * float(np.mean(seeded < measured) + np.mean(seeded <= measured))
    return Place(month, statistic, measured, float(low), float(middle), float(high), rank)


@cache
def _seeded_statistics(month: str, seeds: int, first: int, regime: str) -> dict[str, Floats]:
    """Statistic -> (seeds,) values of seeded months; cached, because DLAPs share their calendar month."""
    scenario = Scenario().for_month(month).override({"prices.regime": regime})
    made = [seeded_month(scenario, first + k) for k in range(seeds)]
    return {name: np.array([f(m) for m in made]) for name, f in STATISTICS.items()}


def coverage(seeds: int, months: Sequence[str] = MONTHS, first_seed: int = 0, regime: str = "drawn") -> list[Place]:
    """Hold measured months against seeds `first_seed` .. `first_seed` + `seeds` - 1 of the same calendar month.

    Returns
    -------
    list of Place
        Months in order, statistics within; real-time ones only where real time is measured.
    """
    places = []
    for name in months:
        real, when = real_month(name), find_real_month(name).start
        made = _seeded_statistics(f"caiso:PGAE:{when:%Y-%m}", seeds, first_seed, regime)
        for statistic, f in STATISTICS.items():
            if statistic.startswith("RT") and real.rt is None:
                continue
            places.append(_place(name, statistic, f(real), made[statistic]))
    return places


def battery_value(price_usd_per_mwh: Floats) -> Floats:
    """What a battery earns with perfect foresight of 15-min prices, USD per run and kW.

    Parameters
    ----------
    price_usd_per_mwh : numpy.ndarray
        (..., T) prices.

    Returns
    -------
    numpy.ndarray
        (...) value of a 1 kW / 2 kWh battery that starts empty: backward induction over nine states of charge; a
        quarter hour charges or discharges .25 kWh, of which .90 is sold; wear .063 USD per kWh sold.
    """
    price = np.moveaxis(np.atleast_2d(price_usd_per_mwh) / 1000.0, -1, 0)  # (T, S), USD/kWh
    energy = BATTERY_KW * _STEP_H
    buy = (price * energy)[..., None]
    sell = ((price - WEAR_USD_PER_KWH) * energy * ROUND_TRIP)[..., None]
    value = np.zeros((price.shape[1], round(BATTERY_KWH / energy) + 1))
    for t in range(len(price) - 1, -1, -1):
        best = value.copy()
        np.maximum(best[:, :-1], value[:, 1:] - buy[t], out=best[:, :-1])
        np.maximum(best[:, 1:], value[:, :-1] + sell[t], out=best[:, 1:])
        value = best
    return np.asarray(value[:, 0].reshape(np.shape(price_usd_per_mwh)[:-1]))


def battery_ratios(seeds: int, months: Sequence[str], first_seed: int = 0, regime: str = "drawn") -> list[Place]:
    """Battery's value under measured real time, among those under seeded real time on the same day-ahead prices."""
    places = []
    for name in months:
        real, scenario = real_month(name), Scenario().for_month(name).override({"prices.regime": regime})
        da, level = np.repeat(real.da, 4), float(np.median(real.da))
        made = [real_time_given_da(scenario, first_seed + k, da, level) for k in range(seeds)]
        value = battery_value(np.stack(made))
        places.append(_place(name, "battery", float(battery_value(np.asarray(real.rt))), value))
    return places


def coverage_table(places: Sequence[Place]) -> str:
    """Markdown: a row per month, a column per statistic: measured [5 % .. 95 %], and `!` where it lies outside."""
    names = list(dict.fromkeys(p.statistic for p in places))
    lines = ["| month | " + " | ".join(names) + " | inside |", "|---|" + "---:|" * (len(names) + 1)]
    for month in dict.fromkeys(p.month for p in places):
        here = {p.statistic: p for p in places if p.month == month}
        cells = [_cell(here[n]) if n in here else "" for n in names]
        inside = sum(p.inside for p in here.values())
        lines.append(f"| {month.removeprefix('caiso:')} | " + " | ".join(cells) + f" | {inside} of {len(here)} |")
    shares = [np.mean([p.inside for p in places if p.statistic == n]) for n in names]
    lines.append("| inside | " + " | ".join(f"{s:.0%}" for s in shares) + f" | {share_inside(places):.1%} |")
    return "\n".join(lines)


def _cell(p: Place) -> str:
    digits = 3 if max(abs(p.measured), abs(p.high), abs(p.low)) < 1.0 else 0 if abs(p.high) >= 20 else 1
    return f"{'**!** ' if not p.inside else ''}{p.measured:.{digits}f} [{p.low:.{digits}f} .. {p.high:.{digits}f}]"


def share_inside(places: Sequence[Place]) -> float:
    """Share of measured figures inside the seeds' band."""
    return float(np.mean([p.inside for p in places]))


def share_in_middle(places: Sequence[Place]) -> float:
    """Share of measured figures in the middle half of the seeds: .5 where the spread is exact, more where wide."""
    return float(np.mean([0.25 <= p.rank <= 0.75 for p in places]))


def battery_table(places: Sequence[Place]) -> str:
    """Markdown: value in USD, and the ratio measured / seeded at the seeds' median and at the band's ends."""
    lines = [
        "| month | measured, USD | seeded median [5 .. 95 %], USD | measured / seeded median [95 .. 5 %] | inside |",
        "|---|---:|---:|---:|---|",
    ]
    for p in places:
        ratios = f"{p.measured / p.middle:.2f} [{p.measured / p.high:.2f} .. {p.measured / p.low:.2f}]"
        lines.append(
            f"| {p.month.removeprefix('caiso:')} | {p.measured:.2f} | {p.middle:.2f} [{p.low:.2f} .. {p.high:.2f}] |"
            f" {ratios} | {'yes' if p.inside else '**no**'} |"
        )
    return "\n".join(lines)


def _count(places: Sequence[Place]) -> str:
    return f"{sum(p.inside for p in places)} of {len(places)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m vpp_env.traces.price_months", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="seeds of the bands (default 60)")
    parser.add_argument("--first-seed", type=int, default=0, help="first of them (default 0)")
    parser.add_argument(
        "--regime", default="drawn", choices=("drawn", *NAMED), help="regime of the seeds (default drawn)"
    )
    args = parser.parse_args(argv)
    if args.seeds < 2:
        parser.error(f"--seeds: got {args.seeds}; allowed is 2 or more")
    places = coverage(args.seeds, MONTHS, args.first_seed, args.regime)
    print(f"Measured [5 % .. 95 % of {args.seeds} seeds]; **!** = outside.\n\n{coverage_table(places)}\n")
    measured_rt = [n for n in MONTHS if find_real_month(n).has_real_time]
    ratios = battery_ratios(args.seeds, measured_rt, args.first_seed, args.regime)
    print(f"Battery under measured and seeded real time, same day-ahead prices.\n\n{battery_table(ratios)}\n")
    print(
        f"inside the 5-95 % band: {share_inside(places):.1%} of {len(places)} figures, battery {_count(ratios)} months"
    )
    print(f"in the middle half of the seeds: {share_in_middle(places):.0%} of figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
