"""The README's examples run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_policy_of_the_readme_plays_a_month(tmp_path: Path) -> None:
    source = next(b for b in blocks("python") if "class EveningSeller" in b)
    (tmp_path / "my_policy.py").write_text(source, encoding="utf-8")
    policy = make_policy(f"{tmp_path}/my_policy.py:EveningSeller")
    run = simulate(Month(load_scenario("quick"), 0), policy)
    assert run.complete
    assert len(run.record.rows) == 6


def test_the_environment_example_runs() -> None:
    source = next(b for b in blocks("python") if "pettingzoo.make" in b)
    scope: dict[str, object] = {}
    exec(compile(source, "README", "exec"), scope)
    assert set(scope["rewards"]) == {f"prosumer_{i}" for i in range(5)}  # type: ignore[call-overload]


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
