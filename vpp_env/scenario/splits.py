"""Which seeds are for what, frozen: figures are reported on test seeds, chosen on validation seeds, learned on others.

| split | seeds | for |
|---|---|---|
| test | 0-29 | figures that are reported |
| validation | 1,000-1,099 | choosing between policies, options, checkpoints |
| training | 10,000 and up | learning; an environment that is reset without a seed draws from there |

Seeds in between belong to no split. Names stand for seeds wherever seeds are given: `test` is all of them, `test:5` the
first five; of training, which has no end, a number must be named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vpp_env.errors import ScenarioError, UnknownNameError, did_you_mean


@dataclass(frozen=True)
class Split:
    """Seeds of one purpose."""

    name: str
    first: int
    count: int | None  # None: without end
    purpose: str

    def __contains__(self, seed: object) -> bool:
        return isinstance(seed, int) and seed >= self.first and (self.count is None or seed < self.first + self.count)

    def seeds(self, count: int | None = None) -> range:
        """Return its first `count` seeds; all of them without one.

        Raises
        ------
        ScenarioError
            When it has not so many, or has no end and `count` is not given.
        """
        if count is None and self.count is None:
            raise ScenarioError(f"seeds {self.name!r} have no end: say how many, for example {self.name}:20")
        many = self.count if count is None else count
        assert many is not None
        if many < 1 or (self.count is not None and many > self.count):
            most = f"1 to {self.count}" if self.count is not None else "1 or more"
            raise ScenarioError(f"seeds {self.name}:{many}: allowed is {most}")
        return range(self.first, self.first + many)


MOST_SEEDS = 100_000
"""Most seeds of an experiment [assumed]: more is a slip of the keyboard."""

SPLITS: dict[str, Split] = {
    split.name: split
    for split in (
        Split("test", 0, 30, "figures that are reported"),
        Split("validation", 1_000, 100, "choosing between policies, options, checkpoints"),
        Split("training", 10_000, None, "learning"),
    )
}


def split_of(seed: int) -> str | None:
    """Return the name of the split that a seed belongs to; None where it is of none."""
    return next((name for name, split in SPLITS.items() if seed in split), None)


def named_seeds(text: str) -> tuple[int, ...]:
    """Read `test`, `validation:10`, `training:100`: the first so many seeds of a split.

    Raises
    ------
    UnknownNameError, ScenarioError
        When there is no such split, or not so many seeds in it.
    """
    name, colon, many = text.strip().partition(":")
    if name not in SPLITS:
        raise UnknownNameError(did_you_mean(name, SPLITS, "split of seeds"))
    if colon and not (many.isdecimal() and len(many) < 19 and int(many) <= MOST_SEEDS):
        raise ScenarioError(
            f"seeds {text[:80]!r}: allowed is {name}, or {name}:N for the first N, of at most {MOST_SEEDS}"
        )
    return tuple(SPLITS[name].seeds(int(many) if colon else None))


def not_of_test(seeds: Iterable[int]) -> str:
    """Return a sentence where seeds are not all of the test split; empty where they are."""
    found: dict[str, list[int]] = {}
    for seed in dict.fromkeys(seeds):
        found.setdefault(split_of(seed) or "no split", []).append(seed)
    if set(found) <= {"test"}:
        return ""
    listed = ", ".join(f"{name} {_written(some)}" for name, some in found.items())
    if len(found) > 1:
        return f"Seeds of different splits are mixed ({listed}): figures that are reported are of test seeds alone."
    return f"These are seeds of {listed}, not of test: for tuning, not for figures that are reported."


def _written(seeds: list[int]) -> str:
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return " ".join(map(str, seeds[:5])) + (f" and {len(seeds) - 5} more" if len(seeds) > 5 else "")
