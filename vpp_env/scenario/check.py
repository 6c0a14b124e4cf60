"""The rules that a scenario must keep, checked once when it is built: each field alone, then what joins two of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vpp_env.errors import ScenarioError, did_you_mean, shortened
from vpp_env.scenario.calendar import Calendar
from vpp_env.scenario.specs import (
    BY_PRIORITY,
    BY_PROFILE,
    BY_SHARE,
    INF,
    RANGE,
    FleetSpec,
    MarketSpec,
    PreferenceSpec,
    SatisfactionSpec,
    TimeSpec,
)
from vpp_env.units import STEPS_PER_HOUR


def _numbers(value: object) -> Iterator[float]:
    """Every number in a value or nested tuple of values."""
    if isinstance(value, tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


MOST = 1e9
"""No parameter is larger than this in size, whatever its unit."""


def shown(value: object) -> str:
    """Return a value for a message, not longer than is read."""
    return shortened(repr(value))


def _flat(value: object, n: int) -> bool:
    """Whether it is n numbers beside each other."""
    return isinstance(value, tuple) and len(value) == n and all(len(list(_numbers(x))) == 1 for x in value)


def _is_range(value: object) -> bool:
    return isinstance(value, tuple) and _flat(value, 2) and not isinstance(value[0], tuple) and value[0] <= value[1]


def _three(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3


def _shares(value: object) -> bool:
    if not isinstance(value, tuple) or not all(
        isinstance(row, tuple) and len(row) == 2 and isinstance(row[0], str) and len(list(_numbers(row))) == 1
        for row in value
    ):
        return False
    return abs(sum(row[1] for row in value) - 1) < 1e-9


FORMS = {
    "": lambda value: True,
    RANGE: _is_range,
    BY_PROFILE: lambda value: _three(value) and all(_is_range(row) for row in value),
    BY_PRIORITY: lambda value: _flat(value, 3),
    BY_SHARE: _shares,
}
"""Form of a field that holds several numbers -> whether a value has it."""


def _require(ok: bool, path: str, got: object, allowed: str) -> None:
    if not ok:
        raise ScenarioError(f"scenario.{path}: got {shown(got)}; allowed: {allowed}")


def allowed(field: dataclasses.Field[Any]) -> str:
    """What a field may hold, in words; empty where anything of its type may be."""
    least, most = field.metadata["limits"]
    if field.metadata["choices"]:
        return ", ".join(map(str, field.metadata["choices"]))
    if least == -INF:
        return ""
    return f"{least} to {most}" if most < INF else f"{least} or more"


def check_section(name: str, spec: Any) -> None:
    """Raise `ScenarioError` at the first field of section `name` that is not what its declaration in `specs` allows."""
    for field in dataclasses.fields(spec):
        got, path = getattr(spec, field.name), f"{name}.{field.name}"
        choices, (least, most), form = (field.metadata[key] for key in ("choices", "limits", "form"))
        if choices and got not in choices:
            if isinstance(got, str):
                raise ScenarioError(did_you_mean(got, map(str, choices), f"value of scenario.{path}"))
            _require(False, path, got, allowed(field))
        # NaN is within no limits
        _require(all(abs(number) <= MOST for number in _numbers(got)), path, got, f"finite numbers up to {MOST:g}")
        _require(all(least <= number <= most for number in _numbers(got)), path, got, allowed(field))
        _require(FORMS[form](got), path, got, form)


def check_time(time: TimeSpec) -> None:
    """The start is a full local hour, and the time zone is known."""
    try:
        start = datetime.fromisoformat(time.start)
    except ValueError as error:
        raise ScenarioError(
            f"scenario.time.start: got {shown(time.start)}; allowed: a local ISO time such as 2023-08-01T16:00"
        ) from error
    _require(start.tzinfo is None, "time.start", time.start, "a local time without an offset")
    full = start.minute == 0 and start.second == 0 and start.microsecond == 0
    _require(full, "time.start", time.start, "a full hour")
    _require(1990 <= start.year <= 2100, "time.start", time.start, "a year between 1990 and 2100")
    try:
        zone = ZoneInfo(time.timezone)
    # a folder or a file that is no zone, a name of thousands of letters
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScenarioError(
            f"scenario.time.timezone: got {shown(time.timezone)}; allowed: an IANA name such as America/Los_Angeles"
        ) from error
    there = start.replace(tzinfo=zone)
    back = there.astimezone(UTC).astimezone(zone)
    exists = back.replace(tzinfo=None) == start
    _require(exists, "time.start", time.start, f"a time that the clock of {time.timezone} shows (it skips this one)")


DAYS_AROUND = range(-14, 11)
"""Local days that are made beside a run's own, from its first day and from its last."""
HOURS_A_DAY = range(1, 26)
"""Hours that a local day may have: a clock that changes by an hour leaves 23 or 25."""


def check_days(calendar: Calendar) -> None:
    """Every local day that is made has whole hours: an opportunity lies in one of them, and prices are hourly."""
    for day in range(DAYS_AROUND.start, calendar.n_days + DAYS_AROUND.stop):
        hours = calendar.steps_in_day(day) / STEPS_PER_HOUR
        if hours not in HOURS_A_DAY:
            date = calendar.first_day + timedelta(days=day)
            raise ScenarioError(
                f"scenario.time.timezone: got {calendar.timezone}, whose {date} has {hours:g} hours; allowed are whole "
                f"hours, up to {HOURS_A_DAY[-1]} a day, from {-DAYS_AROUND.start} days before the run to "
                f"{DAYS_AROUND[-1]} after it: choose another start, or a zone whose clock changes by an hour"
            )


def check_fleet(fleet: FleetSpec, preferences: PreferenceSpec) -> None:
    """Charges lie between their limits, and the shares of the device tables sum to 1."""
    least, begin, most = fleet.bess_soc_min, fleet.bess_soc_init, fleet.bess_soc_max
    _require(least[1] <= begin[0], "fleet.bess_soc_min", least, "at most the initial SoC")
    _require(begin[1] <= most[0], "fleet.bess_soc_max", most, "at least the initial SoC")
    low = preferences.ev_target[0]
    _require(fleet.ev_soc_min <= low, "fleet.ev_soc_min", fleet.ev_soc_min, f"at most the lowest car target, {low}")
    for name, width in (("bess_kwh_kw_weight", 3), ("ev_kwh_kw_weight", 3), ("pv_kwp_weight", 2)):
        rows = getattr(fleet, name)
        ok = len(rows) > 0 and all(_flat(r, width) and min(_numbers(r)) >= 0 for r in rows)
        _require(ok, f"fleet.{name}", rows, f"rows of {width} numbers, none negative")
        _require(abs(sum(r[-1] for r in rows) - 1) < 1e-9, f"fleet.{name}", rows, "weights that sum to 1")


def check_market(market: MarketSpec) -> None:
    """The day-ahead gate and the evening's hours are full hours, and the price floor lies below the cap."""
    hour, low = market.day_ahead_gate_hour, market.price_floor_usd_per_mwh
    full = "a full hour before the day-ahead prices are published at 13:00"
    _require(hour == int(hour), "market.day_ahead_gate_hour", hour, full)
    evening = market.capacity_hours
    whole = all(h == int(h) for h in evening) and evening[0] < evening[1]
    _require(whole, "market.capacity_hours", evening, "two full hours, the first before the second")
    less = "less than price_cap_usd_per_mwh"
    _require(low < market.price_cap_usd_per_mwh, "market.price_floor_usd_per_mwh", low, less)


def check_satisfaction(satisfaction: SatisfactionSpec) -> None:
    """Seven weights that sum to 1."""
    weights = satisfaction.weights
    ok = _flat(weights, 7) and abs(sum(_numbers(weights)) - 1) < 1e-9
    _require(ok, "satisfaction.weights", weights, "seven weights that sum to 1")
