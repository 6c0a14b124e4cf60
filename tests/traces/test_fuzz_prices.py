"""A sample of the mutated price files; `python -m tests.traces.fuzz_prices 1000` tries more."""

from __future__ import annotations

from tests.traces.fuzz_prices import run


def test_mutated_prices_are_a_month_or_one_line() -> None:
    ends, faults = run(40)
    assert faults == []
    assert sum(ends.values()) == 40
    assert ends["month"] > 0
    assert ends["error"] > 20
    assert run(1, 92)[1] == []  # an empty cell among the types of prices
