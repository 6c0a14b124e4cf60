"""The orders of docs/sensitivity.md as data, which every report shows that has no study of its own.

`python docs/published_sensitivity.py` writes them again from the page; tests/benchmarks/test_sensitivity.py compares.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vpp_benchmarks.report.sensitivity import PUBLISHED
from vpp_benchmarks.results import store
from vpp_benchmarks.results.orders import DEFAULT, Order, Sensitivity, Study

PAGE = Path(__file__).with_name("sensitivity.md")
KPIS = {"welfare": "welfare", "satisfaction": "avg_satisfaction"}
HEADER = "| change | order, best first | Kendall distance |"


def studies(page: str) -> dict[str, Any]:
    """Return the studies of the page: its sections with a hash, a command and tables of orders."""
    found = [_study(section) for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:] if HEADER in section]
    return {"studies": [study.to_json() for study in found]}


def _study(section: str) -> Study:
    flat = " ".join(section.split())
    tables = {
        KPIS[name]: [line.strip("| \n").split(" | ") for line in rows.splitlines()]
        for name, rows in re.findall(
            rf"By (\w+)[^\n|]*\n\n(?:[^|]*?\n\n)?{re.escape(HEADER)}\n\|[-:| ]+\|\n((?:\|.*\|\n)+)", section
        )
    }
    first, last = map(int, _one(r"[Ss]eeds (\d+) to (\d+)", flat))
    by_kpi = {kpi: {change: _means(order) for change, order, _ in rows} for kpi, rows in tables.items()}
    away = {
        kpi: {change: 0.0 if change == DEFAULT else float(far) for change, _, far in rows}
        for kpi, rows in tables.items()
    }
    changes = list(next(iter(by_kpi.values())))
    orders = tuple(
        Order(c, last - first + 1, {k: by_kpi[k][c] for k in tables}, {k: away[k][c] for k in tables}) for c in changes
    )
    policies = len(next(iter(by_kpi.values()))[DEFAULT])
    return Study(
        _one(r"^[^`]*`(\w+)`", flat)[0],
        *_one(r"Hash (\w+), market ([\w.]+\w)", flat),
        tuple(range(first, last + 1)),
        *_one(r"Written by `([^`]+)` at (\w+)", flat),
        Sensitivity(orders, (), (), policies * (policies - 1) // 2),
    )


def _one(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"docs/sensitivity.md: no {pattern!r} in a section with orders")
    return found.groups()


def _means(order: str) -> dict[str, float]:
    """Read `a 3.10 > b 2.00 = c 2.00`."""
    pairs = (part.rsplit(" ", 1) for part in re.split(r" [>=] ", order))
    return {label: float(value.replace(",", "")) for label, value in pairs}


if __name__ == "__main__":
    store.write_json(Path(str(PUBLISHED)), studies(PAGE.read_text(encoding="utf-8")))
