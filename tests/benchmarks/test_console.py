"""The console command: help, typos, versions, and what a missing package answers."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from vpp_benchmarks.cli.main import COMMANDS, LOADING, main

import vpp_env
from vpp_env.errors import EXTRA_OF, MissingExtraError, needs

ROOT = Path(__file__).resolve().parents[2]
NAMES = [command.name for command in COMMANDS]
BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
{code}
"""


def without(blocked: set[str], code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python in which some packages are not installed."""
    command = [sys.executable, "-c", BLOCK.format(blocked=blocked, code=code), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_shows_every_command_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command.name} " in text
        assert f"{command.group}:" in text
    assert "vpp-env compare --policies agentic centralized" in text
    assert max(map(len, text.splitlines())) <= 100
    assert main([]) == 2
    assert "usage: vpp-env" in capsys.readouterr().err


def test_help_and_version_load_nothing_heavy() -> None:
    code = "from vpp_benchmarks.cli.main import main; main(['--help']); main(['--version']); print(len(sys.modules))"
    done = without({"numpy", "pandas", "gymnasium", "numba", "rich"}, code)
    assert done.returncode == 0, done.stderr
    assert f"vpp-env {version('vpp-env')}" in done.stdout


def test_the_version_is_written_once() -> None:
    assert version("vpp-env") == vpp_env.__version__


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_has_its_name_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: vpp-env {name} ")
    assert name == "demo" or f"\nexamples:\n  vpp-env {name}" in text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["comapre"], "Did you mean 'compare' or 'paper'?"),
        (["leaderbord", "results/"], "Did you mean 'leaderboard'"),
        (["scenario", "agust"], "Did you mean 'august'"),
        (["traces", "--seeds", "0"], "allowed is 1 or more"),
        (["compare", "--scenrio", "quick"], "Did you mean '--scenario'"),
        (["report", "nowhere"], "nowhere"),
        (["transcript", "nowhere"], "no transcripts"),
        (["leaderboard", "nowhere"], "is no folder"),
        (["dashboard", "nowhere"], "'nowhere' is no folder; allowed is what"),
    ],
)
def test_what_is_not_possible_ends_with_2(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(args)
    except SystemExit as end:
        status = end.code
    assert status == 2
    err = "".join(line for line in capsys.readouterr().err.splitlines(keepends=True) if LOADING not in line)
    assert err.startswith("error: ")
    assert says in err


def test_a_scenario_is_printed_as_a_table_and_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "quick"]) == 0
    said = capsys.readouterr().out
    assert "| field | value | unit | allowed | source |\n|---|---|---|---|---|\n" in said
    assert "| fleet.size | 5 | homes | 1 to 10000000 |" in said
    assert main(["scenario", "quick", "--toml"]) == 0
    file = tmp_path / "mine.toml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert vpp_env.load_scenario(str(file)).hash == vpp_env.load_scenario("quick").hash


@pytest.mark.parametrize(
    ("blocked", "args", "lacks"),
    [
        ("rich", ["compare", "--policies", "idle"], "rich"),
        ("rich", ["leaderboard", "results/"], "rich"),
        ("cvxpy", ["compare", "--policies", "mpc", "--scenario", "quick"], "cvxpy"),
        ("langgraph", ["compare", "--policies", "agentic", "--scenario", "quick"], "langgraph"),
        ("ray", ["compare", "--policies", "idle", "--scenario", "quick", "--executor", "ray"], "ray"),
    ],
)
def test_a_command_names_the_package_that_it_lacks(blocked: str, args: list[str], lacks: str, tmp_path: Path) -> None:
    code = "from vpp_benchmarks.cli.main import main; sys.exit(main(sys.argv[1:]))"
    out = ["--out", str(tmp_path / "out")] if args[0] == "compare" else []
    done = without({blocked}, code, *args, *out)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if LOADING not in line]  # a busy machine is slow to import
    assert len(said) == 1
    assert lacks in done.stderr
    assert f'pip install "vpp-env[{EXTRA_OF[blocked]}]"' in done.stderr


BASE = """
import vpp_env
from vpp_env.errors import MissingExtraError
for name in ("idle", "random", "truthful"):
    month = vpp_env.Month(vpp_env.load_scenario("quick"), 0)
    assert vpp_env.make_policy(name).info.name
env = vpp_env.parallel_env(scenario="quick", render_mode="rgb_array")
env.reset(seed=0)
for call in (lambda: vpp_env.make_policy("centralized"), env.render):
    try:
        call()
    except MissingExtraError as error:
        print(error)
"""


def test_the_environment_works_without_what_the_benchmark_needs() -> None:
    done = without({name for name, extra in EXTRA_OF.items() if extra != ""}, BASE)
    assert done.returncode == 0, done.stderr
    policy, render = done.stdout.splitlines()
    assert policy.startswith("policy 'centralized' needs ")
    assert render.startswith('render_mode="rgb_array" needs matplotlib')
    for line in (policy, render):
        assert line.endswith('pip install "vpp-env[bench]"')


def test_only_packages_of_an_extra_are_answered() -> None:
    with pytest.raises(ModuleNotFoundError, match="my_own_module"), needs("policy 'mine'"):
        import my_own_module  # type: ignore[import-not-found]
    with (
        pytest.raises(MissingExtraError, match=r'mine needs my_own_module.*"vpp-env\[bench\]"'),
        needs("mine", "bench"),
    ):
        import my_own_module  # noqa: F401


def test_the_extras_of_the_errors_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: " ".join(lines).lower() for name, lines in project["optional-dependencies"].items()}
    base = " ".join(project["dependencies"])
    for module, extra in EXTRA_OF.items():
        assert module.lower().replace("_", "-") in extras[extra]
        assert f"{module}>" not in base


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_the_solver_writes_nothing_into_the_output(executor: str, tmp_path: Path) -> None:
    """HiGHS greets every process on file descriptor 1."""
    args = ["compare", "--scenario", "quick", "--policies", "centralized", "agentic", "--executor", executor]
    args += [
        "--set",
        "time.duration_hours=4",
        "--no-figures",
        "--no-ceilings",
        "--quiet",
        "--out",
        str(tmp_path / "out"),
    ]
    code = f"from vpp_benchmarks.cli.main import main; main({args!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert (tmp_path / "out" / "runs" / "quick-s0-centralized" / "summary.json").is_file()
