"""Measured price months by name: `caiso:<DLAP>:<YYYY-MM>`, from the files of this folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from vpp_env.errors import DataError, UnknownNameError, did_you_mean

PREFIX = "caiso:"
_HERE = Path(__file__).parent
_YEARS = {
    2019: (("PGAE",), range(1, 13), ("caiso_2019_pgae_da.csv.gz", "caiso_2019_pgae_rt.csv.gz")),
    2023: (("PGAE", "SCE", "SDGE", "VEA"), range(6, 13), ("caiso_2023_da.csv.gz",)),
}
"""Year -> its DLAPs, months and files."""


@dataclass(frozen=True)
class RealMonth:
    """A measured month; real time is measured in 2019 and seeded in 2023 (no public series was at hand)."""

    name: str  # caiso:PGAE:2019-08
    dlap: str  # PGAE, SCE, SDGE or VEA
    start: datetime  # naive local, the first of the month
    files: tuple[Path, ...]

    @property
    def node(self) -> str | None:
        """Node to pick from the files; None where they hold one only."""
        return self.dlap.lower() if self.start.year == 2023 else None

    @property
    def has_real_time(self) -> bool:
        """Whether real time is measured too."""
        return len(self.files) == 2


@cache
def _months() -> dict[str, RealMonth]:
    found = {}
    for year, (dlaps, months, files) in _YEARS.items():
        for dlap in dlaps:
            for m in months:
                name = f"{PREFIX}{dlap}:{year}-{m:02d}"
                found[name] = RealMonth(name, dlap, datetime(year, m, 1), tuple(_HERE / f for f in files))
    return found


def real_month_names() -> list[str]:
    """Names of the measured months: `caiso:PGAE:2019-01` .. `caiso:VEA:2023-12`.

    Returns
    -------
    list of str
        What `Scenario.for_month` and `--months` take.
    """
    return list(_months())


def is_real_month(name: object) -> bool:
    """Whether `name` is meant as the name of a measured month, existing or not."""
    return str(name).lower().startswith(PREFIX)


def month_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Read names of measured months, each a name, a range `caiso:PGAE:2019-01..12`, or several with commas between.

    Raises
    ------
    UnknownNameError
        When the package has not one of them.
    DataError
        When a range runs backwards, or a month is named twice.
    """
    names: list[str] = []
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        match = re.fullmatch(r"(.+-)(\d\d)\.\.(\d\d)", text)
        if match is None:
            names.append(find_real_month(text).name)
            continue
        first, last = int(match[2]), int(match[3])
        if last < first:
            raise DataError(f"months {text!r}: the range runs from {first:02d} to {last:02d}; give the earlier first")
        names += [find_real_month(f"{match[1]}{month:02d}").name for month in range(first, last + 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"months: {twice[0]} is named {names.count(twice[0])} times; name every month once")
    return tuple(names)


def find_real_month(name: str) -> RealMonth:
    """Return the measured month of that name (letters in either case).

    Raises
    ------
    UnknownNameError
        When there is none; the message names the nearest and lists all.
    """
    months = _months()
    dlap, _, when = str(name)[len(PREFIX) :].partition(":")
    key = f"{PREFIX}{dlap.upper()}:{when}"
    if not is_real_month(name) or key not in months:
        remedy = "Months of 2019 have measured real time, those of 2023 seeded real time; other months: give files."
        raise UnknownNameError(did_you_mean(str(name), months, "measured month", remedy))
    return months[key]
