"""A small sample of tests/traces/fuzz_homes.py, which is run with thousands by hand (docs/reliability.md)."""

from __future__ import annotations

from tests.traces.fuzz_homes import run


def test_mutated_homes_are_a_month_or_one_line() -> None:
    ends, faults = run(40, 0)
    assert faults == []
    assert sum(ends.values()) == 40
    assert ends["error"] >= 10
    assert ends["month"] >= 2
