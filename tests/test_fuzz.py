"""A small sample of tests/fuzz_audit.py, which is run with 1,000 cheats by hand (docs/information.md has its table)."""

from __future__ import annotations

from fuzz_audit import fuzz


def test_no_cheat_of_a_sample_is_verified() -> None:
    found = fuzz(range(24))
    assert sum(found.values()) == 24
    assert not {read for read, became in found if became == "verified"}
    assert sum(n for (_, became), n in found.items() if became == "refuted") >= 18
