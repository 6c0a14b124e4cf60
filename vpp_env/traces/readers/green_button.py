"""Green Button downloads (ESPI): the load of one home from `IntervalBlock`s, as utilities hand it out."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from vpp_env.errors import DataError
from vpp_env.traces.readers.check import numbers, shown
from vpp_env.traces.readers.meters import Odd, Part, part_of

WATT_HOURS, WATTS = "72", "38"
"""ESPI's codes of units of measure that are read: real energy, real power."""
DELIVERED = ("1", "0", "")
"""ESPI's flow directions of what the home takes; 19 is what it gives back."""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    found = next((e for e in element.iter() if _name(e) == name), None)
    return "" if found is None or found.text is None else found.text.strip()


def read_green_button(path: Path, home: str) -> tuple[Part, Odd]:
    """Read one home's load from an ESPI file.

    Returns
    -------
    tuple
        The home's part, and what was odd.

    Raises
    ------
    DataError
        When the file is no such XML, names several or unknown units, or holds no readings.
    """
    where = path.name
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text[:4096] or b"<!ENTITY" in text:
            raise DataError(
                f"{where}: it declares a document type, which a Green Button file does not; export it again"
            )
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: not readable as XML ({error}); export it again as Green Button (ESPI)") from error
    types = {
        (_text(e, "uom"), _text(e, "powerOfTenMultiplier") or "0", _text(e, "flowDirection"))
        for e in root.iter()
        if _name(e) == "ReadingType"
    }
    if len(types) != 1:
        raise DataError(
            f"{where}: {len(types)} kinds of reading (uom, multiplier, direction: {shown(sorted(types))}); allowed is"
            " one: export the electricity that the home takes by itself"
        )
    ((uom, power, flow),) = types
    if uom not in (WATT_HOURS, WATTS) or flow not in DELIVERED or power.lstrip("-") not in ("0", "1", "2", "3", "6"):
        raise DataError(
            f"{where}: uom {shown(uom)}, powerOfTenMultiplier {shown(power)}, flowDirection {shown(flow)}; allowed"
            f" are uom {WATT_HOURS} (Wh) or {WATTS} (W), multipliers -6 to 6, direction 1 (delivered to the home)"
        )
    readings = [
        (_text(e, "start"), _text(e, "duration"), _text(e, "value"))
        for e in root.iter()
        if _name(e) == "IntervalReading"
    ]
    if not readings:
        raise DataError(f"{where}: no IntervalReading in it; export interval data, not bills")
    table = pd.DataFrame(readings, columns=["start", "duration", "value"])
    rows = np.arange(1, len(table) + 1)
    whole = table["start"].str.fullmatch(r"-?\d{1,11}") & table["duration"].str.fullmatch(r"\d{1,9}")
    if not whole.all():
        i = int(np.argmin(whole))
        raise DataError(
            f"{where}, reading {i + 1}: start {shown(table['start'][i])}, duration {shown(table['duration'][i])};"
            " allowed are seconds"
        )
    ts = pd.DatetimeIndex(pd.to_datetime(table["start"].astype(np.int64), unit="s", utc=True))
    seconds = sorted(set(table["duration"]))
    if len(seconds) != 1:
        raise DataError(f"{where}: intervals of {', '.join(seconds[:4])} s; allowed is one length a file")
    scale = 10.0 ** int(power)
    unit = "wh" if uom == WATT_HOURS else "w"
    remedy = "export it again"
    values = pd.Series(numbers(table["value"], rows, where, "value", remedy) * scale)
    return part_of(home, ts, values, rows, unit, where, "value")
