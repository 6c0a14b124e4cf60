"""How a policy is named, found and refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support import month
from vpp_policies.idle import Idle

from vpp_env.contract.policy import Policy, make_policy, parse_spec, policy_names
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation.simulate import simulate


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("idle", "idle", {}),
        (" idle ", "idle", {}),
        ("idle()", "idle", {}),
        ("centralized(horizon_hours=24)", "centralized", {"horizon_hours": 24}),
        ("a(x='b, (c)', y=-1.5, z=None, t=True)", "a", {"x": "b, (c)", "y": -1.5, "z": None, "t": True}),
        ("my.module:Class(n=[1, 2])", "my.module:Class", {"n": [1, 2]}),
        ("some folder/my-file.py:Class(n=1)", "some folder/my-file.py:Class", {"n": 1}),
        ("C:\\policies\\own.py:Class", "C:\\policies\\own.py:Class", {}),
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
    with pytest.raises(UnknownNameError, match=r"cannot be imported: vpp_policies.idle defines no 'Idel'.*mean 'Idle'"):
        make_policy("vpp_policies.idle:Idel")


def test_a_file_without_its_class_and_info_of_another_kind_are_said(tmp_path: Path) -> None:
    file = tmp_path / "night.py"
    file.write_text("class Night:\n    info = 'night'\n    reset = act = print\n", encoding="utf-8")
    with pytest.raises(UnknownNameError, match=r"is a file: name the class in it too, .*night\.py:ClassName"):
        make_policy(str(file))
    with pytest.raises(PolicyError, match=r"its `info` is a str; allowed is PolicyInfo"):
        make_policy(f"{file}:Night")


def test_a_file_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "night.py").touch()
    with pytest.raises(UnknownNameError, match=r"there is no file .*nigth\.py\. Did you mean 'night\.py'\? Write"):
        make_policy(f"{tmp_path / 'nigth.py'}:Night")


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


OWN = """
from vpp_env import Bids, Consent, Information, PolicyInfo, encode

class Mine:
    info = PolicyInfo("mine", Information.OWN, Consent.OWN_BIDS, "bids nothing")

    def __init__(self, level: int = 1) -> None:
        self.level = level

    def reset(self, rules, rng):
        self.rules = rules

    def act(self, view):
        return Bids(encode(self.rules.sell_limit_kw, self.rules.buy_limit_kw))
"""


def test_a_class_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's name may be that of a module that exists: it is imported under a name of its own."""
    (tmp_path / "random.py").write_text(OWN, encoding="utf-8")
    policy = make_policy(f"{tmp_path}/random.py:Mine(level=7)")
    assert policy.level == 7  # type: ignore[attr-defined]
    assert sys.modules["random"].__file__ != str(tmp_path / "random.py")
    assert simulate(month("quick"), policy).complete
    monkeypatch.chdir(tmp_path)
    assert type(make_policy("random.py:Mine")) is type(policy), "the same file is the same class"


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (OWN, "Yours", "defines no 'Yours'"),
        ("class :", "Mine", "invalid syntax"),
        ("import no_such_thing", "Mine", "no_such_thing"),
        (None, "Mine", "there is no file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, source: str | None, name: str, message: str) -> None:
    file = tmp_path / "own.py"
    if source is not None:
        file.write_text(source, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(UnknownNameError, match=message) as caught:
            make_policy(f"{file}:{name}")
        assert str(file) in str(caught.value)
    file.write_text(OWN, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"option of.*level"):
        make_policy(f"{file}:Mine(lvl=2)")


def test_every_registered_policy_declares_itself() -> None:
    assert {"idle", "random", "truthful", "centralized", "agentic"} <= set(policy_names())
    for name in policy_names():
        info = make_policy(name).info
        assert isinstance(make_policy(name), Policy)
        assert info.name == name
        assert isinstance(info.information, Information)
        assert info.description
    assert make_policy("centralized").info.asks_consent is False
