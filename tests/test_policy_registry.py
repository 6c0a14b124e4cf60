"""How a policy is named, found and refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from vpp_policies.idle import Idle

from vpp_env.contract.policy import Policy, make_policy, parse_spec, policy_names
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError, UnknownNameError


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("idle", "idle", {}),
        (" idle ", "idle", {}),
        ("idle()", "idle", {}),
        ("centralized(horizon_hours=24)", "centralized", {"horizon_hours": 24}),
        ("a(x='b, (c)', y=-1.5, z=None, t=True)", "a", {"x": "b, (c)", "y": -1.5, "z": None, "t": True}),
        ("my.module:Class(n=[1, 2])", "my.module:Class", {"n": [1, 2]}),
    ],
)
def test_specs_are_read(spec: str, name: str, options: dict[str, object]) -> None:
    assert parse_spec(spec) == (name, options)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "idle(",
        "idle)",
        "idle(3)",
        "idle(*[1])",
        "idle(**{'a': 1})",
        "idle(x=open('/etc/passwd'))",
        "idle(x=__import__('os').getcwd())",
        "idle(x=1 + y)",
        "idle(x=(lambda: 1)())",
        "idle(x=1) + f(y=2)",
        "idle; import os",
        "idle x",
    ],
)
def test_code_is_not_a_spec(spec: str) -> None:
    with pytest.raises(PolicyError, match="allowed is a name"):
        parse_spec(spec)


def test_no_option_is_dropped_silently() -> None:
    with pytest.raises(PolicyError):
        parse_spec("idle(x=1)(y=2)")


def test_unknown_names_and_options_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"truthful.*Known"):
        make_policy("truthfull")
    with pytest.raises(PolicyError, match="no options"):
        make_policy("idle(speed=3)")
    with pytest.raises(PolicyError, match="horizon_hours"):
        make_policy("centralized(horizon_hour=3)")
    with pytest.raises(UnknownNameError, match="cannot be imported"):
        make_policy("no_such_module:Policy")
    with pytest.raises(UnknownNameError, match="cannot be imported"):
        make_policy("vpp_policies.idle:Idel")


@pytest.fixture
def own_module() -> Iterator[None]:
    module = ModuleType("own_policy")

    class Lazy(Idle):
        def __init__(self, level: int = 1) -> None:
            if level < 0:
                raise ValueError("level must not be negative")
            self.level = level

    module.Lazy, module.NoPolicy, module.BUILTIN = Lazy, type("NoPolicy", (), {}), dict  # type: ignore[attr-defined]
    sys.modules["own_policy"] = module
    yield
    del sys.modules["own_policy"]


@pytest.mark.usefixtures("own_module")
def test_a_class_of_ones_own() -> None:
    assert make_policy("own_policy:Lazy(level=4)").level == 4  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="level must not be negative"):
        make_policy("own_policy:Lazy(level=-4)")
    with pytest.raises(PolicyError, match="is no policy"):
        make_policy("own_policy:NoPolicy()")


@pytest.mark.usefixtures("own_module")
def test_what_has_no_signature_is_no_policy() -> None:
    with pytest.raises(PolicyError):
        make_policy("own_policy:BUILTIN")


def test_every_registered_policy_declares_itself() -> None:
    assert {"idle", "random", "truthful", "centralized", "agentic"} <= set(policy_names())
    for name in policy_names():
        info = make_policy(name).info
        assert isinstance(make_policy(name), Policy)
        assert info.name == name
        assert isinstance(info.information, Information)
        assert info.description
    assert make_policy("centralized").info.asks_consent is False
