"""The public face: every name, twice, in any order, as a user imports it, with its real type."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import vpp_env

ROOT = Path(__file__).parents[2]
HEAVY = {"cvxpy", "langgraph", "matplotlib", "pvlib", "highspy", "rainflow", "scipy.special"}
TWICE = """
import json, sys
import vpp_env
first = {name: getattr(vpp_env, name) for name in ORDER}
again = {name: getattr(vpp_env, name) for name in reversed(ORDER)}
exec("from vpp_env import " + ", ".join(ORDER), scope := {})
run = vpp_env.simulate(vpp_env.Month(vpp_env.load_scenario("quick"), 0), vpp_env.make_policy("idle"))
run = vpp_env.simulate(run.world.months[0], run.policy)
changed = [n for n in ORDER if not first[n] is again[n] is scope[n] is getattr(vpp_env, n)]
print(json.dumps({"changed": changed, "modules": [n for n in ORDER if type(first[n]).__name__ == "module"],
                  "complete": run.complete, "names": sorted(n for n in ORDER if n in dir(vpp_env))}))
"""


def fresh(code: str) -> str:
    """What `code` prints in an interpreter of its own, away from the checkout."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", [sorted(vpp_env.__all__), sorted(vpp_env.__all__, reverse=True)], ids=["a-z", "z-a"])
def test_every_name_twice_in_a_fresh_interpreter(order: list[str]) -> None:
    """It once held a function at the first use and a module at the second."""
    found = json.loads(fresh(f"ORDER = {order!r}{TWICE}"))
    assert found == {"changed": [], "modules": [], "complete": True, "names": sorted(order)}


@pytest.mark.parametrize("name", sorted(vpp_env.__all__))
def test_every_name_alone(name: str) -> None:
    assert getattr(vpp_env, name) is getattr(vpp_env, name)
    kind = getattr(vpp_env, name)
    if isinstance(kind, type) or callable(kind):
        assert kind.__doc__, f"{name} says nothing about itself"


def test_what_a_policy_or_a_learner_needs_is_there() -> None:
    needed = """
    Policy PolicyInfo Consent Information View Public Homes Bids DayAheadSchedule MarketRules encode Scenario
    load_scenario scenario_names Month World build_view market_rules simulate summarize make_policy policy_names
    MarketMonth CentralMarketMonth VectorMarketMonth parallel_env env VppError BidError PolicyError InformationError
    ScenarioError DataError UnknownNameError SELL_ASK_RANGE BUY_LIMIT_RANGE RESERVE_ASK_RANGE"""
    assert set(needed.split()) <= set(vpp_env.__all__)
    assert len(set(vpp_env.__all__)) == len(vpp_env.__all__)


def test_the_face_is_light() -> None:
    loaded = fresh("import vpp_env, sys; print('\\n'.join(sys.modules))").split()
    assert not HEAVY & set(loaded)


def test_a_name_that_is_not_there() -> None:
    done = subprocess.run([sys.executable, "-c", "import vpp_env; vpp_env.Wrold"], capture_output=True, text=True)
    assert "Did you mean: 'World'?" in done.stderr


def test_type_checkers_see_the_classes(tmp_path: Path) -> None:
    """`mypy --strict` on the examples, with nothing of our configuration, against what is installed."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: pip install -e '.[dev]'")
    for example in ("my_policy.py", "environments.py"):
        (tmp_path / example).write_text((ROOT / "examples" / example).read_text(encoding="utf-8"), encoding="utf-8")
    shown = (
        "World",
        "Bids",
        "View",
        "Homes",
        "Month",
        "Policy",
        "MarketMonth",
        "simulate",
        "make_policy",
        "build_view",
    )
    lines = "\n".join(f"reveal_type(vpp_env.{name})" for name in shown)
    (tmp_path / "shown.py").write_text(f"import vpp_env\n{lines}\n", encoding="utf-8")
    (tmp_path / "empty.ini").write_text("[mypy]\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "empty.ini"]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "strict")]  # the second run takes two seconds
    done = subprocess.run(
        [*command, "my_policy.py", "environments.py", "shown.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    revealed = [line.partition("Revealed type is ")[2] for line in done.stdout.splitlines() if "Revealed" in line]
    assert len(revealed) == len(shown)
    for name, text in zip(shown, revealed, strict=True):
        assert text != '"Any"'
        assert "vpp_env." in text, f"{name}: {text}"


@pytest.mark.parametrize("example", ["my_policy", "environments"])
def test_the_examples_run(example: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{example}.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "USD" in done.stdout


def test_the_example_policy_by_its_file() -> None:
    policy = vpp_env.make_policy(f"{ROOT}/examples/my_policy.py:EveningPeak(markup_usd_per_kwh=0.01)")
    assert policy.info.information is vpp_env.Information.OWN
