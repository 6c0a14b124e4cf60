"""Whoever reads the API page learns what to give and what to expect: parameters and returns of all that is public."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Protocol

import pytest

import vpp_env

validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is of the extra [dev]").validate

HELD = {
    "GL08": "no docstring",
    "SS01": "no summary",
    "PR01": "a parameter is not documented",
    "PR02": "what is documented is no parameter",
    "PR07": "a parameter has no description",
    "RT01": "returns are not documented",
    "RT03": "a return has no description",
}
"""numpydoc's checks that are held to; the others are of style, or ask for sections that we do not use."""


def functions() -> Iterator[str]:
    """Names of public functions, and of the public methods and properties of public classes, of `import vpp_env`."""
    for name in vpp_env.__all__:
        thing = getattr(vpp_env, name)
        if inspect.isfunction(thing):
            yield f"vpp_env.{name}"
        elif inspect.isclass(thing):
            made = property, cached_property, classmethod, staticmethod
            own = (k for k, v in vars(thing).items() if k[0] != "_" and (inspect.isfunction(v) or isinstance(v, made)))
            yield from (f"vpp_env.{name}.{part}" for part in own)


def made_by_hand(cls: type[Any]) -> bool:
    """Whether a class has a constructor that is written out; fields of the others are tabled (tests/test_site.py)."""
    plain = dataclasses.is_dataclass(cls) or issubclass(cls, enum.Enum | Exception) or Protocol in cls.__bases__
    return not plain


def classes() -> Iterator[str]:
    found = {name: getattr(vpp_env, name) for name in vpp_env.__all__}
    yield from (f"vpp_env.{name}" for name, cls in found.items() if inspect.isclass(cls) and made_by_hand(cls))


def policies() -> Iterator[str]:
    """The policies that ship; options of `agentic` are fields, documented where they are defined."""
    for entry in entry_points(group="vpp_env.policies"):
        if entry.value.startswith("vpp_policies.") and entry.name != "agentic":
            yield entry.value.replace(":", ".")


def wrong(name: str) -> list[str]:
    return [f"{code}: {said}" for code, said in validate(name)["errors"] if code in HELD]


@pytest.mark.parametrize("names", [functions, classes, policies])
def test_what_is_public_says_what_it_takes_and_returns(names: Callable[[], Iterator[str]]) -> None:
    found = {name: wrong(name) for name in names()}
    assert len(found) >= 5
    assert {name: said for name, said in found.items() if said} == {}


def test_classes_say_what_they_are() -> None:
    found = [getattr(vpp_env, name) for name in vpp_env.__all__]
    assert [cls.__name__ for cls in found if inspect.isclass(cls) and not cls.__doc__] == []


def silent(kw: float) -> float:
    """Return something."""
    return kw


def test_these_tests_can_fail() -> None:
    said = wrong(f"{__name__}.silent")
    assert [text[:4] for text in said] == ["PR01", "RT01"]
    assert "vpp_env.World.step" in set(functions())
    assert {"vpp_env.Month", "vpp_env.VectorMarketMonth"} <= set(classes())
