"""What real-time and reserve prices an hour may bring, given what is published: samples learned from other months.

A row is one hour: its day-ahead price relative to the level of the last week (r), its clock hour, the four 15-min
differences of real time from day ahead relative to that level, and the best contingency reserve price. A `PriceModel`
holds, for a grid of r and clock hour, weighted samples of the nearest rows: dear rows are kept one by one, the others
in groups of equal size that are stood for by one row. `samples` lays them over the day-ahead price of an hour to come.

The month that is played adds two things, both public: how far real time was off at the last quarter known, which dies
away (`carry`), and how many hours so far were dear beyond what the model expects (`spike_factor`).

A model knows the days that it was learned on by their day-ahead prices, and refuses to forecast one of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpp_env import KWH_PER_MWH, PolicyError, Public
from vpp_env.units import Floats, Ints
from vpp_policies.arrays import numbers, read_arrays
from vpp_policies.forecast.forecast import DAY, QUARTERS, Forecast, LocalClock, clock_of, past_clock
from vpp_policies.forecast.past import day_ahead_prices

DEFAULT_MODEL = Path(__file__).parent / "models" / "default.npz"
WEEK_HOURS = 168
RATIOS = np.array([-0.5, 0.0, 0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.45, 1.7, 2.1, 2.7, 4.0])
"""Grid of r = day-ahead price / level of the last week."""
CLOCK = np.arange(0, 24, 3)
"""Grid of the clock hour."""
NEAREST = 1500
"""Rows that stand behind a point of the grid."""
BODY, TAIL = 24, 12
"""Samples of a point: of its ordinary rows, and of its dearest ones."""
TAIL_SHARE = 0.04
"""Share of a point's rows that is called dear."""
LEAST_LEVEL = 0.005
"""Level below which a month is measured in absolute terms, USD/kWh [assumed]."""
PRIOR_DEAR_HOURS = 4.0
"""Dear hours of experience that the model's own frequency is worth against the month's [assumed]."""
NOON = DAY // 2
MARK_BYTES = 6
"""Of a day's mark: of 4,000 training days and 31 played ones two agree by chance once in 2 billion months."""
FORMAT = 2


@dataclass(frozen=True)
class Rows:
    """R hours of months that were observed."""

    ratio: Floats  # (R,) day-ahead price / level
    clock: Floats  # (R,) clock hour
    off: Floats  # (R, 4) (real time - day ahead) / level
    before: Floats  # (R,) the same at the last quarter known at the gate
    reserve: Floats  # (R,) USD/kW-h


def levels(da_hourly: Floats, least: int = 24) -> Floats:
    """(H,) mean day-ahead price of the week up to and including each hour, USD/kWh.

    Parameters
    ----------
    da_hourly : ndarray
        (H,) prices, USD/kWh.
    least : int
        The first hours are measured against the mean of so many, 1 or more.
    """
    total = np.concatenate([[0.0], np.cumsum(da_hourly)])
    end = np.maximum(np.arange(1, len(da_hourly) + 1), min(least, len(da_hourly)))
    begin = np.maximum(end - WEEK_HOURS, 0)
    return np.maximum((total[end] - total[begin]) / (end - begin), LEAST_LEVEL)


def rows_of(da: Floats, rt: Floats, reserve: Floats, first_hour: int, lag: int) -> Rows:
    """Cut a month into rows.

    Parameters
    ----------
    da, rt, reserve : ndarray
        (T,) by 15-min step, USD/kWh (reserve USD/kW-h), from a full hour on.
    first_hour : int
        Clock hour of the first one.
    lag : int
        Quarters between the last real-time price known at the gate and the hour that is bid for, 1 or more.
    """
    hours = len(da) // QUARTERS
    hourly = da[: hours * QUARTERS].reshape(hours, QUARTERS).mean(axis=1)
    level = levels(hourly)
    off = (rt - da)[: hours * QUARTERS].reshape(hours, QUARTERS) / level[:, None]
    index = np.arange(hours) * QUARTERS - lag
    before = np.where(index >= 0, off.ravel()[np.maximum(index, 0)], 0.0)
    clock = (first_hour + np.arange(hours)) % 24.0
    return Rows(
        hourly / level, np.asarray(clock, dtype=np.float64), off, before, reserve[: hours * QUARTERS : QUARTERS]
    )


def joined(parts: list[Rows]) -> Rows:
    """Put the rows of several months into one."""
    return Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in Rows.__dataclass_fields__))


def day_marks(da: Floats, clock: LocalClock) -> Ints:
    """(D,) marks of the days in a series of day-ahead prices by 15-min step, USD/kWh: a day is known by them.

    A mark is of the twelve hours from noon on, which the first gate of a day sees whole; a day without all of them has
    none. Prices are told apart to .001 USD/MWh.
    """
    exact = np.round(da * KWH_PER_MWH * 1000.0).astype("<i8")
    noons = np.flatnonzero(clock.quarter == NOON)
    halves = (exact[noon : noon + NOON] for noon in noons if noon + NOON <= len(da))
    digests = (hashlib.sha256(half.tobytes()).digest() for half in halves)
    return np.array([int.from_bytes(digest[:MARK_BYTES], "big") for digest in digests], dtype=np.int64)


@dataclass(frozen=True)
class PriceModel:
    """Weighted samples of an hour for each point of the grid (`RATIOS`, `CLOCK`); S = `BODY` + `TAIL`."""

    off: Floats  # (G, C, S, 4) (real time - day ahead) / level
    weight: Floats  # (G, C, S) sums to 1 over S
    reserve: Floats  # (G, C, S) USD/kW-h
    dear: float  # (real time - day ahead) / level above which the mean of an hour is called dear
    dear_share: Floats  # (24,) share of dear hours by clock hour
    carry: float  # share of a difference from day ahead that is left an hour later
    days: Ints  # (D,) marks of the days that it was fitted on, see `day_marks`
    rows: str  # SHA-256 of the rows that it was fitted on, 16 digits
    source: str  # what they are of
    command: str  # what makes it again

    @property
    def hash(self) -> str:
        """Of everything that it holds."""
        digest = hashlib.sha256(f"{self.source}\n{self.command}\n{self.rows}".encode() + self.days.tobytes())
        for array in (self.off, self.weight, self.reserve, self.dear_share, np.array([self.dear, self.carry])):
            digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        return digest.hexdigest()[:16]


def fit(rows: Rows, days: Ints, source: str, command: str) -> PriceModel:
    """Fit a model.

    Parameters
    ----------
    rows : Rows
        `NEAREST` or more.
    days : ndarray
        (D,) marks of the days that they are of.
    source, command : str
        What they are of, and what was typed to fit the model; kept in it.

    Raises
    ------
    PolicyError
        When there are too few rows.
    """
    if len(rows.ratio) < NEAREST:
        raise PolicyError(f"a price model needs {NEAREST} hours of prices or more, got {len(rows.ratio)}")
    shape = (len(RATIOS), len(CLOCK), BODY + TAIL)
    off, weight, reserve = np.empty((*shape, QUARTERS)), np.empty(shape), np.empty(shape)
    mean = rows.off.mean(axis=1)
    for g, ratio in enumerate(RATIOS):
        for c, clock in enumerate(CLOCK):
            apart = np.abs(rows.clock - clock - 1.0)
            # three hours weigh as much as a fifth in the price
            far = np.abs(rows.ratio - ratio) / (0.2 * max(abs(ratio), 0.3)) + np.minimum(apart, 24.0 - apart) / 3.0
            near = np.argpartition(far, NEAREST - 1)[:NEAREST]
            near = near[np.argsort(mean[near], kind="stable")]
            body = near[: round(NEAREST * (1.0 - TAIL_SHARE))]
            tail = near[len(body) :]
            chosen = []
            for part, count in ((body, BODY), (tail, TAIL)):
                for group in np.array_split(part, count):
                    chosen.append((group[len(group) // 2], len(group) / NEAREST))
            pick = np.array([i for i, _ in chosen])
            off[g, c], reserve[g, c] = rows.off[pick], rows.reserve[pick]
            weight[g, c] = [w for _, w in chosen]
    dear = float(np.quantile(mean, 1.0 - TAIL_SHARE / 2))
    hits = np.bincount(rows.clock.astype(int), mean > dear, minlength=24)
    share = hits / np.maximum(np.bincount(rows.clock.astype(int), minlength=24), 1)
    # ordinary rows only: a spike says little about the next hour's body
    calm = (np.abs(rows.before) < dear) & (np.abs(mean) < dear)
    x, y = rows.before[calm], mean[calm]
    carry = float(np.clip((x @ y) / max(float(x @ x), 1e-12), 0.0, 1.0))
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in vars(rows).values()))
    return PriceModel(
        off, weight, reserve, dear, share, carry, np.unique(days), digest.hexdigest()[:16], source, command
    )


def save(model: PriceModel, path: Path) -> None:
    """Write a model as arrays, half precision for the samples; no code is in the file."""
    about = json.dumps(
        {"format": FORMAT, "source": model.source, "rows": model.rows, "command": model.command}, sort_keys=True
    )
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            off=model.off.astype(np.float16),
            weight=model.weight.astype(np.float32),
            reserve=model.reserve.astype(np.float16),
            dear_share=model.dear_share.astype(np.float32),
            numbers=np.array([model.dear, model.carry]),
            days=model.days,
            about=np.frombuffer(about.encode(), dtype=np.uint8),
        )


def load(path: Path) -> PriceModel:
    """Read a model.

    Raises
    ------
    PolicyError
        When the file is none, or of another format.
    """
    shape = (len(RATIOS), len(CLOCK), BODY + TAIL)
    try:
        parts = read_arrays(path)
        about = json.loads(parts["about"].tobytes()) if "about" in parts else {}
        about = about if isinstance(about, dict) else {}
        if about.get("format") != FORMAT:
            raise ValueError(f"it is of format {about.get('format')!r:.40}; allowed is {FORMAT}")
        rows, source, command = (str(about.get(key, "")) for key in ("rows", "source", "command"))
        arrays = {"off": numbers(parts, "off", (*shape, QUARTERS)), "dear_share": numbers(parts, "dear_share", (24,))}
        arrays |= {name: numbers(parts, name, shape) for name in ("weight", "reserve")}
        dear, carry = map(float, numbers(parts, "numbers", (2,)))
        if (arrays["weight"] < 0.0).any() or (arrays["weight"].sum(axis=2) <= 0.0).any():
            raise ValueError("'weight' holds samples that weigh less than nothing, or nothing together")
        if "days" not in parts or not parts["days"].size:
            raise ValueError("it does not say on which days it was fitted")
        days = numbers(parts, "days", (None,), 2.0**53).astype(np.int64)
    except ValueError as error:
        raise PolicyError(f"{path} is no price model: {error}. `vpp-env fit-prices` makes one.") from error
    return PriceModel(**arrays, dear=dear, carry=carry, days=days, rows=rows, source=source, command=command)


def samples(
    model: PriceModel, da: Floats, level: Floats, clock: Ints, off_now: float, spikes: float
) -> tuple[Floats, Floats, Floats]:
    """What H hours to come may bring.

    Parameters
    ----------
    model : PriceModel
        The model.
    da, level, clock : ndarray
        (H,) day-ahead price and level, USD/kWh, and clock hour.
    off_now : float
        (real time - day ahead) / level expected to be left in the first hour; it dies away by `model.carry` an hour.
    spikes : float
        How much more often than the model says hours are dear this month.

    Returns
    -------
    ndarray, ndarray, ndarray
        (H, S, 4) real-time prices USD/kWh, (H, S) weights that sum to 1, (H, S) reserve prices USD/kW-h.
    """
    ratio = np.clip(da / level, RATIOS[0], RATIOS[-1])
    g = np.clip(np.searchsorted(RATIOS, ratio), 1, len(RATIOS) - 1)
    g = np.where(ratio - RATIOS[g - 1] < RATIOS[g] - ratio, g - 1, g)
    c = (clock // 3) % len(CLOCK)
    left = off_now * model.carry ** np.arange(len(da))
    price = da[:, None, None] + level[:, None, None] * (model.off[g, c] + left[:, None, None])
    weight = model.weight[g, c].copy()
    weight[:, BODY:] *= spikes
    return price, weight / weight.sum(axis=1, keepdims=True), model.reserve[g, c]


def spike_factor(model: PriceModel, public: Public) -> float:
    """How much more often hours of the month so far were dear than the model expects of them; 1 at its start.

    Every hour is measured against the level as it was known when it was over.
    """
    hours = len(public.past_da_usd_per_kwh) // QUARTERS
    past = public.past_da_usd_per_kwh, public.past_rt_usd_per_kwh
    da, rt = (price[: hours * QUARTERS].reshape(-1, QUARTERS) for price in past)
    off = (rt - da).mean(axis=1) / levels(da.mean(axis=1), least=1)
    clock = past_clock(public, len(public.past_da_usd_per_kwh)).quarter[: hours * QUARTERS : QUARTERS] // QUARTERS
    seen = PRIOR_DEAR_HOURS + np.count_nonzero(off > model.dear)
    return float(seen / np.cumsum(np.concatenate([[PRIOR_DEAR_HOURS], model.dear_share[clock]]))[-1])


@dataclass(frozen=True, eq=False)
class LearnedForecast:
    """Samples of other months, laid over the published prices of this one."""

    model: PriceModel

    def __call__(self, public: Public, hours: int) -> Forecast:
        """See `Forecaster`.

        Raises
        ------
        PolicyError
            When a published day is one that the model was fitted on.
        """
        model = self.model
        self._refuse_training_days(public)
        past = public.past_da_usd_per_kwh
        ahead = day_ahead_prices(public, hours * QUARTERS)
        # hours that lie between the gate and delivery belong to neither; the level hardly moves by them
        known = np.concatenate([past[len(past) % QUARTERS :], ahead])
        hourly = known.reshape(-1, QUARTERS).mean(axis=1)
        level = levels(hourly)[-hours:]
        da = hourly[-hours:]
        clock = np.asarray((public.start.hour + np.arange(hours)) % 24, dtype=np.int64)
        off = 0.0
        if len(past):
            off = float(public.past_rt_usd_per_kwh[-1] - past[-1]) / float(level[0])
            off = 0.0 if abs(off) > model.dear else off * model.carry ** (1 + public.lead)
        return Forecast(*samples(model, da, level, clock, off, spike_factor(model, public)))

    def _refuse_training_days(self, public: Public) -> None:
        if public.opportunity > public.lead and (public.start.hour, public.start.minute) != (12, 0):
            return  # what the first gates do not see of a day is looked at at noon
        da = public.da_usd_per_kwh
        known = np.isin(day_marks(da, clock_of(public.start, len(da))), self.model.days)
        if known.any():
            raise PolicyError(
                f"the price model was fitted on the month that is played ({self.model.source}): play other seeds or "
                "months, or fit another one (`vpp-env fit-prices`)"
            )
