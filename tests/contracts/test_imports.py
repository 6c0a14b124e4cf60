"""Importing the package is light, and imports point one way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("cvxpy", "langgraph", "matplotlib", "pvlib", "google.genai", "google.generativeai", "torch", "ray")


def imported(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import vpp_env",
        "import vpp_env; vpp_env.World; vpp_env.simulate; vpp_env.make_policy; vpp_env.parallel_env",
        "from vpp_env.contract.policy import make_policy; [make_policy(n) for n in ('idle', 'random', 'truthful')]",
    ],
)
def test_what_is_not_needed_is_not_imported(code: str) -> None:
    assert not imported(code) & set(HEAVY)


def test_policies_see_neither_world_nor_core() -> None:
    root = Path(__file__).parents[2]
    hidden = (
        "vpp_env.simulation.world",
        "vpp_env.core",
        "vpp_env.traces",
        "vpp_env.traces.fleet",
        "vpp_env.simulation.month",
        "vpp_env.simulation.view_builder",
    )
    files = [f for f in (root / "policies").rglob("*.py")]
    assert len(files) > 5
    for file in files:
        text = file.read_text(encoding="utf-8")
        for name in hidden:
            assert f"from {name}" not in text, f"{file.name} imports {name}"
            assert f"import {name}" not in text, f"{file.name} imports {name}"


def test_the_environment_needs_neither_policies_nor_benchmarks() -> None:
    root = Path(__file__).parents[2]
    for file in (root / "vpp_env").rglob("*.py"):
        lines = [x.strip() for x in file.read_text(encoding="utf-8").splitlines()]
        bad = [x for x in lines if x.startswith(("from vpp_p", "import vpp_p", "from vpp_b", "import vpp_b"))]
        assert not bad, f"{file}: {bad}"


def test_every_public_name_can_be_had() -> None:
    import vpp_env

    for name in vpp_env.__all__:
        assert getattr(vpp_env, name) is not None
    with pytest.raises(AttributeError, match="World"):
        vpp_env.Wrold  # noqa: B018


def test_scripts_find_the_standard_library_beside_them() -> None:
    """A script finds modules in its own folder first: none there may have the name of a standard one."""
    folder = Path(__file__).parents[2] / "benchmarks"
    names = {f.stem for f in folder.glob("*.py")} | {f.name for f in folder.iterdir() if f.is_dir()}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("script", ["compare", "speed"])
def test_a_script_runs_from_the_checkout(script: str) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, f"benchmarks/{script}.py", "--help"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_the_command_line_loads_only_what_every_run_needs() -> None:
    assert not set(HEAVY) & imported("import vpp_benchmarks.cli.compare")
