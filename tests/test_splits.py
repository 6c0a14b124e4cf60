"""The frozen splits of seeds."""

from __future__ import annotations

import pytest

from vpp_env.errors import ScenarioError, UnknownNameError
from vpp_env.scenario.splits import SPLITS, named_seeds, not_of_test, split_of


def test_the_splits_are_frozen() -> None:
    assert {name: (s.first, s.count) for name, s in SPLITS.items()} == {
        "test": (0, 30),
        "validation": (1_000, 100),
        "training": (10_000, None),
    }


def test_every_seed_is_of_one_split_or_none() -> None:
    assert [split_of(s) for s in (0, 29, 30, 999, 1_000, 1_099, 1_100, 9_999, 10_000, 10**9)] == [
        "test", "test", None, None, "validation", "validation", None, None, "training", "training",
    ]  # fmt: skip


def test_names_stand_for_seeds() -> None:
    assert named_seeds("test") == tuple(range(30))
    assert named_seeds(" validation:3 ") == (1_000, 1_001, 1_002)
    assert named_seeds("training:2") == (10_000, 10_001)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("tests", UnknownNameError, "Did you mean 'test'"),
        ("test:31", ScenarioError, "allowed is 1 to 30"),
        ("test:0", ScenarioError, "allowed is 1 to 30"),
        ("training", ScenarioError, "say how many"),
        ("test:", ScenarioError, "for the first N"),
        ("test:-1", ScenarioError, "for the first N"),
    ],
)
def test_what_is_no_name_is_told(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        named_seeds(text)


def test_what_is_said_of_seeds() -> None:
    assert not_of_test(range(30)) == ""
    assert "seeds of validation 1000-1004, not of test" in not_of_test(range(1_000, 1_005))
    assert "mixed (test 0, no split 31 40)" in not_of_test([0, 31, 40])
