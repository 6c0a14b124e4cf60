"""Tables of what a policy reads and returns, made from the code; tests/test_site.py compares them with the pages.

`python docs/field_table.py` writes them into docs/fields.md and docs/api.md again.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from vpp_env import (
    Bids,
    DayAheadSchedule,
    Foresight,
    Future,
    Homes,
    MarketRules,
    PolicyInfo,
    PriceLaw,
    Public,
    Run,
    Terms,
    View,
)

PAGES = {
    "fields.md": (View, Public, Homes, Future, Bids, DayAheadSchedule, MarketRules, PolicyInfo),
    "api.md": (Foresight, PriceLaw, Terms, Run),
}
"""Page -> classes whose fields it tables."""
BEGIN, END = "<!-- {0}: begin (made by `docs/field_table.py`) -->\n\n", "\n<!-- {0}: end -->"

ENDINGS = {
    "usd_per_kw_month": "USD/kW-month",
    "usd_per_kw_h": "USD/kW-h",
    "usd_per_kwh": "USD/kWh",
    "usd_per_kw": "USD/kW",
    "kwh": "kWh",
    "kw": "kW",
    "usd": "USD",
    "hours": "h",
}
"""Unit by the end of a name, the longest first."""
UNITS = {
    "hours_to_ready": "h",
    "day_ahead_hours": "clock hours",
    "capacity_hours": "clock hours",
    "expected_lmp": "USD/kWh",
    "expected_sale_price": "USD/kWh",
    "buy_limit": "USD/kWh",
    "own_ask": "USD/kWh",
    "own_cost": "USD/kWh",
    "defer_ask": "USD/kWh",
    "reserve_ask": "USD/kW-h",
    "actions": "-1 to 1",
    "capacity": "kW",
    "lead": "opportunities",
    "margin": "share",
    "revenue_share": "share",
    "willingness": "share",
    "bess_eta": "share",
    "ev_eta": "share",
    "steps": "of 15 min",
}
"""Unit of names that do not end in it; what is in neither has none."""
ARRAYS = {"Floats": "float", "Floats32": "float32", "Ints": "int", "Flags": "bool"}


def unit(name: str) -> str:
    """Return the unit of a field; empty: it has none."""
    if name in UNITS:
        return UNITS[name]
    return next((u for end, u in ENDINGS.items() if name == end or name.endswith("_" + end)), "")


def comments(cls: type) -> dict[str, str]:
    """Return what the comments behind the fields of a dataclass say."""
    source = re.sub(r"(\n\s*\S*: tuple\[)\s*int, \.\.\.\s*\]", r"\1int, ...]", inspect.getsource(cls))
    return dict(re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", source, flags=re.MULTILINE))


def parameters(cls: type) -> dict[str, str]:
    """Return what the numpy docstring of a class says about its parameters."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", inspect.getdoc(cls) or "", re.DOTALL | re.MULTILINE)
    if section is None:
        return {}
    found = re.findall(r"^(\w+) : [^\n]*\n((?:    [^\n]*\n?)+)", section[1], flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def shaped(text: str, otherwise: str = "") -> tuple[str, str]:
    """Split a text into the shape that it begins with, and the rest as a sentence begins."""
    found = re.match(
        r"(\((?:[NHtTOBA]|\d+)(?: \+ 1)?(?:, ?\w+)*,?\)) ?(?:or a number: |bool: |float32(?: |: ))?(.*)", text
    )
    shape, text = (found[1], found[2]) if found else (otherwise, text)
    text = text if text.endswith("..") else text.removesuffix(".")
    return shape, text[:1].upper() + text[1:]


def kind(annotation: str, shape: str) -> str:
    """Return type and shape as a reader wants them: `(N,) float`."""
    for array, number in ARRAYS.items():
        annotation = re.sub(rf"\b{array}\b", f"{shape} {number}".strip(), annotation)
    return annotation.replace("NDArray[np.floating]", f"{shape} float").replace("NDArray[np.float64]", f"{shape} float")


def rows(cls: type) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, kind, unit and meaning of each field, then of each property and method."""
    said = comments(cls) | parameters(cls)
    for field in dataclasses.fields(cls):
        shape, text = shaped(said.get(field.name, ""), "(N,)" if cls is Homes else "")
        yield f"`{field.name}`", kind(str(field.type), shape), unit(field.name), text
    for name, part in vars(cls).items():
        function = part.fget if isinstance(part, property) else part
        if name.startswith("_") or not inspect.isfunction(function) or not inspect.getdoc(part):
            continue
        arguments = ", ".join(list(inspect.signature(function).parameters)[1:])
        call = name if isinstance(part, property) else f"{name}({arguments})"
        shape, text = shaped(" ".join((inspect.getdoc(part) or "").split("\n\n")[0].split()).removeprefix("Return "))
        yield f"`{call}`", kind(str(inspect.signature(function).return_annotation), shape), unit(name), text


def table(cls: type) -> str:
    """Return the table of a class as Markdown."""
    escaped = ((part.replace("|", "\\|").strip() for part in row) for row in rows(cls))
    lines = [f"| {name} | {kind_} | {unit_} | {text} |" for name, kind_, unit_, text in escaped]
    return "\n".join(["| field | type | unit | what |", "|---|---|---|---|", *lines]) + "\n"


def filled(page: str, name: str) -> str:
    """Return the text of the page `name` with every table made again.

    Raises
    ------
    ValueError
        When the page has no place for one of the tables.
    """
    for cls in PAGES[name]:
        begin, end = BEGIN.format(cls.__name__), END.format(cls.__name__)
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"docs/{name} has no place for {cls.__name__}: write {begin.strip()}, {end.strip()}")
        head, rest = page.split(begin)
        page = head + begin + table(cls) + end + rest.split(end)[1]
    return page


if __name__ == "__main__":
    for name in PAGES:
        path = Path(__file__).with_name(name)
        path.write_text(filled(path.read_text(encoding="utf-8"), name), encoding="utf-8")
