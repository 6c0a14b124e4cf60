"""Measured CAISO prices for a run: read, check, lay on the steps, fill what a file lacks from the seeded model.

The formats, checks and remedies are described in docs/market-data.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from vpp_env.data.months import find_real_month, is_real_month
from vpp_env.errors import DataError
from vpp_env.scenario import Scenario
from vpp_env.scenario.calendar import Calendar, month_hours
from vpp_env.traces.prices import build_prices, real_time_given_da, reserves_given_da
from vpp_env.traces.readers.digests import digest
from vpp_env.traces.readers.files import read_all
from vpp_env.traces.readers.formats import RT_ORDER
from vpp_env.traces.readers.market_column import Column, RawColumn, check_column, lay_on_steps
from vpp_env.traces.series import RESERVE_PRODUCTS, MarketSeries
from vpp_env.units import STEP_MINUTES, Floats

DEFAULT_NODE = "sce"
"""Node that is taken where a file has several and none is asked for: the scenarios' homes are in its area."""
MIN_LEVEL_USD_PER_MWH = 5.0
"""Least level for the spread and reserve model: a median near 0 would leave no spread at all. Assumed."""
LOW_USD_PER_MWH = 12.0
"""A median below this is warned of: cents/kWh are a tenth of USD/MWh. The least of a
measured month is 16.6 (real time, May 2019)."""
WARNING = "warning:"
"""What a part of a source begins with that is shown beside the headline of every report, as is `PASSED_OVER`."""
PASSED_OVER = "passed over in the folder:"
FIRST_LAG, LAST_LAG = 2, 8
"""Days back that are used. Day-ahead prices of day d are published on d-1, when d-2 is the last whole day."""
_TITLES = {"da": "day-ahead prices", "rt": "real-time prices"}


def load_market_data(
    path: str | Path, scenario: Scenario, seed: int, tail_steps: int, node: str | None = None
) -> MarketSeries:
    """Read measured prices for a run.

    Parameters
    ----------
    path : str or Path
        A measured month of the package, `caiso:<DLAP>:<YYYY-MM>`; or a tidy parquet or CSV file, a raw OASIS CSV file,
        a folder of them, a glob pattern, or several of these with commas between.
    scenario : Scenario
        The run that the data must cover, and the caps.
    seed : int
        Seeds what the files lack (real time, reserves).
    tail_steps : int
        Steps wanted behind the run; what the files lack of them repeats the last day.
    node : str, optional
        Pricing node, for example "pgae"; matters where a file has several. Default "sce" when present. A measured month
        names its own.

    Returns
    -------
    MarketSeries
        (n_steps + tail_steps) values per column; `source` says for each where it is from and what was filled, and
        starts with `measured` or `seeded`.

    Raises
    ------
    DataError
        When a file cannot be used; names file, row and remedy.
    """
    if is_real_month(path):
        node = _node_of_month(str(path), scenario, node)
    raw, skipped = read_all(path)
    columns = {quantity: check_column(parts) for quantity, parts in _choose(raw, node, str(path)).items()}
    values: dict[str, Floats] = {}
    source: dict[str, str] = {}
    for quantity, column in columns.items():
        values[quantity], source[quantity] = _on_run(column, scenario, tail_steps)
    if not {"da", "rt"} & values.keys():
        model = build_prices(scenario, seed, tail_steps)
        values |= {"da": model.da_usd_per_mwh, "rt": model.rt_usd_per_mwh}
        source |= dict.fromkeys(("da", "rt"), "seeded: the data hold reserve prices only, docs/prices.md")
    if "da" not in values:
        da = build_prices(scenario, seed, tail_steps).da_usd_per_mwh
        values["da"], note = day_ahead_from_real_time(columns["rt"].values, scenario.calendar, da)
        source["da"] = f"seeded: {note} ({source['rt']})"
    level = max(float(np.median(values["da"][: scenario.n_steps])), MIN_LEVEL_USD_PER_MWH)
    if "rt" not in values:
        values["rt"] = real_time_given_da(scenario, seed, values["da"], level)
        source["rt"] = f"seeded model on the file's day-ahead prices (median {level:.2f} USD/MWh), docs/prices.md"
    reserves = _reserves(scenario, seed, values, level, source)
    if skipped:
        source["da"] += f"; {PASSED_OVER} {', '.join(skipped)}"
    return MarketSeries(
        da_usd_per_mwh=values["da"],
        rt_usd_per_mwh=values["rt"],
        reserve_usd_per_mw=reserves,
        source={key: source[key] for key in ("da", "rt", *RESERVE_PRODUCTS)},
    )


def _node_of_month(name: str, scenario: Scenario, node: str | None) -> str | None:
    """Check that the run lies in the named month and the node is the month's; return the node to pick."""
    month = find_real_month(name)
    if (scenario.start.year, scenario.start.month) != (month.start.year, month.start.month):
        raise DataError(
            f"market data {name}: the scenario starts at {scenario.start:%Y-%m-%dT%H:%M}, outside this month; use"
            f" --start {month.start:%Y-%m-%dT%H:%M} (time.start), or scenario.for_month({name!r})"
        )
    if node is not None and node.upper() != month.dlap:
        raise DataError(
            f"market data {name}: node {node!r} was asked for, but the month is {month.dlap}'s; leave it out"
        )
    return month.node


def _choose(raw: Sequence[RawColumn], node: str | None, path: str) -> dict[str, list[RawColumn]]:
    """Pick node and market run: quantity -> its parts, one per file."""
    chosen: dict[str, list[RawColumn]] = {}
    for quantity in dict.fromkeys(c.quantity for c in raw):
        parts = [c for c in raw if c.quantity == quantity]
        runs = {run: _hours(c for c in parts if c.run == run) for run in RT_ORDER if any(c.run == run for c in parts)}
        if runs:
            # the best run, unless another one covers more: a day of RTPD beside a month of RTM
            best = max(runs, key=lambda run: (runs[run], -RT_ORDER.index(run)))
            parts = [c for c in parts if c.run in ("", best)]
        named = sorted({c.node for c in parts if c.node is not None})
        wanted = _node(named, node, path) if named else None
        chosen[quantity] = [c for c in parts if c.node is None or c.node == wanted]
        if wanted is not None and any(c.node is None for c in chosen[quantity]):
            chosen[quantity] = [c for c in chosen[quantity] if c.node is None]
    if node is not None and not any(c.node is not None for c in raw):
        raise DataError(f"market data {path}: node {node!r} was asked for, but no column names a node; leave node out")
    of = {q: {c.node for c in chosen[q] if c.node is not None} for q in ("da", "rt") if q in chosen}
    if len(set().union(*of.values())) > 1 and all(of.values()):
        places = ", ".join(f"{_TITLES[q]} of {', '.join(map(str, sorted(map(str, nodes))))}" for q, nodes in of.items())
        raise DataError(
            f"market data {path}: {places}: one is settled against the other, so both must be of one node; give"
            " files of one node, or name it with --node (node) where they hold several"
        )
    return chosen


def _hours(parts: Iterable[RawColumn]) -> int:
    """Hours that some columns cover."""
    return len(set().union(*(set(part.ts.floor("h")) for part in parts)))


def _node(named: list[str], node: str | None, path: str) -> str:
    """Return the one of `named` that is meant."""
    if node is None and len(named) == 1:
        return named[0]
    want = (node or DEFAULT_NODE).lower()
    hits = [n for n in named if n.lower() == want] or [n for n in named if want in n.lower()]
    if len(hits) != 1 and node is None:
        raise DataError(
            f"market data {path}: prices of several nodes, {', '.join(named)}; say which with --node (node)"
        )
    if len(hits) != 1:
        raise DataError(
            f"market data {path}: node {want!r} is {'not' if not hits else 'more than once'} among"
            f" {', '.join(named)}; give node as one of them"
        )
    return hits[0]


def _on_run(column: Column, scenario: Scenario, tail_steps: int) -> tuple[Floats, str]:
    """Check coverage and caps; return (S,) values and the source."""
    calendar, spec = scenario.calendar, scenario.market
    first, n = calendar.utc[0], scenario.n_steps
    last = first + n * pd.Timedelta(minutes=STEP_MINUTES)
    begin = column.values.index[0]
    what = _TITLES.get(column.quantity, f"{column.quantity} prices")
    if begin > first or column.end < last:
        zone = calendar.timezone
        raise DataError(
            f"{column.files}: {what} ({column.name}) run from {_local(begin, zone)} to {_local(column.end, zone)}, the"
            f" scenario from {_local(first, zone)} to {_local(last, zone)}; {_fitting(begin, column.end, zone)}"
        )
    used = column.values[(column.values.index > first - column.step) & (column.values.index < last)]
    low, high = (
        (spec.price_floor_usd_per_mwh, spec.price_cap_usd_per_mwh) if column.quantity in _TITLES else (0.0, np.inf)
    )
    outside = (used < low) | (used > high)
    if outside.any():
        at = used.index[int(np.argmax(outside))]
        to = "or more" if np.isinf(high) else f"to {high:g}"
        raise DataError(
            f"{column.files}, row {column.rows[at]}: {column.name} is {used[at]:g} at {at.isoformat()}; allowed is"
            f" {low:g} {to} ({int(outside.sum())} such rows). Correct the file"
            + (
                ", or widen market.price_floor_usd_per_mwh / market.price_cap_usd_per_mwh in the scenario"
                if column.quantity in _TITLES
                else ": capacity prices are not negative; a price for energy belongs into another column"
            )
        )
    values, notes = lay_on_steps(column, first, n, n + tail_steps)
    above = int((used > spec.reserve_cap_usd_per_mw).sum())
    if column.quantity not in _TITLES and above:
        notes.append(f"{above} hours above the bid cap kept as measured")
    middle = float(np.median(np.abs(used)))
    if column.quantity in _TITLES and 0.0 < middle < LOW_USD_PER_MWH:
        notes.append(
            f"{WARNING} half of the {what} are below {middle:.3g} USD/MWh, which is little: if they are in cents/kWh,"
            " multiply them by 10"
        )
    files = ", ".join(f"{p.name} sha256:{digest(p)[:12]}" for p in column.paths)
    return values, "; ".join([f"measured: file {files} column {column.name}", *notes])


def day_ahead_from_real_time(real_time: pd.Series, calendar: Calendar, model: Floats) -> tuple[Floats, str]:
    """Forecast day-ahead prices from past real-time ones.

    Parameters
    ----------
    real_time : pandas.Series
        Measured prices by UTC start, also from before the run where the file has them, USD/MWh.
    calendar : Calendar
        Of the run.
    model : numpy.ndarray
        (S,) seeded day-ahead prices; taken for hours without any history in the file.

    Returns
    -------
    tuple
        (S,) USD/MWh: the median of the same local hour of the days d-8 .. d-2, and a note for the source.
    """
    steps = pd.date_range(calendar.utc[0], periods=len(model), freq="15min").tz_convert(calendar.timezone)
    local = pd.DatetimeIndex(real_time.index).tz_convert(calendar.timezone)
    table = (
        pd.DataFrame({"day": local.tz_localize(None).normalize(), "hour": local.hour, "v": real_time.to_numpy()})
        .groupby(["day", "hour"])["v"]
        .mean()
        .unstack("hour")
        .reindex(columns=range(24))
    )
    day = steps.tz_localize(None).normalize()
    days = pd.date_range(day[0], day[-1], freq="D")
    past = np.stack([table.reindex(days - pd.Timedelta(days=lag)).to_numpy() for lag in range(FIRST_LAG, LAST_LAG + 1)])
    known = np.isfinite(past).any(axis=0)
    past[:, ~known] = 0.0  # replaced below; keeps nanmedian from warning about empty slices
    forecast = np.nanmedian(past, axis=0)
    row, hour = np.asarray((day - days[0]).days), np.asarray(steps.hour)
    from_file = known[row, hour]
    made = np.where(from_file, forecast[row, hour], model)
    share = float(np.mean(from_file))
    note = (
        f"forecast from the file's real-time prices: median of the same hour {FIRST_LAG} to {LAST_LAG} days before"
        f" ({share:.0%} of steps; seeded model for the others)"
    )
    return made, note


def _reserves(
    scenario: Scenario, seed: int, values: dict[str, Floats], level: float, source: dict[str, str]
) -> dict[str, Floats]:
    """Measured reserve prices, the missing ones from the model and kept in order with them."""
    model = reserves_given_da(scenario, seed, values["da"], level)
    for product in RESERVE_PRODUCTS:
        if product not in values:
            source[product] = "seeded model on the file's day-ahead prices, docs/prices.md"
    made = {product: values.get(product, model[product]) for product in RESERVE_PRODUCTS}
    chain = ("regup", "spin", "nonspin")  # dear to cheap; only modelled prices move
    for better, worse in pairwise(chain):
        if worse not in values:
            made[worse] = np.minimum(made[worse], made[better])
    for better, worse in ((chain[1], chain[2]), (chain[0], chain[1])):
        if better not in values:
            made[better] = np.maximum(made[better], made[worse])
    return made


def _local(instant: pd.Timestamp, zone: str) -> str:
    return instant.tz_convert(zone).strftime("%Y-%m-%dT%H:%M")


def _midnight(day: datetime, zone: str) -> pd.Timestamp:
    """Start of a local day, also where the clock skips midnight or shows it twice."""
    return pd.Timestamp(day.replace(tzinfo=ZoneInfo(zone))).tz_convert("UTC")


def _fitting(begin: pd.Timestamp, end: pd.Timestamp, zone: str) -> str:
    """Say which start would fit: the first full local month, else the first full day."""
    here = begin.tz_convert(zone)
    day = datetime.combine(here.date() + timedelta(days=int(here.time() > time())), time())
    month = day if day.day == 1 else (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    hours = month_hours(month, zone)
    if _midnight(month, zone) + pd.Timedelta(hours=hours) <= end:
        return f"use --start {month:%Y-%m-%dT%H:%M} (time.start), the first full month of the file ({hours} h)"
    left = int((end - _midnight(day, zone)) / pd.Timedelta(hours=1))
    if left < 1:
        return "no full local day is in the file; give a file for the run's dates"
    return f"no full month is in the file: use --start {day:%Y-%m-%dT%H:%M} with time.duration_hours = {left} or less"
