"""Importing the package is light, and imports point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = ("cvxpy", "langgraph", "matplotlib", "pvlib", "google.genai", "google.generativeai", "torch", "ray")
PACKAGES = {"vpp_env": "", "vpp_policies": "policies", "vpp_benchmarks": "benchmarks"}
"""Import package -> folder of the repository that holds it."""
WORLDLY = {"Month", "World", "Run", "simulate", "summarize", "build_view", "MarketMonth", "parallel_env", "env"}
"""Names of the public face that are for whoever runs a policy, not for the policy."""


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


def imports_of(source: str, module: str, is_package: bool, known: set[str]) -> set[str]:
    """Modules of `known` that a module imports at its top level, also behind TYPE_CHECKING.

    An import inside a function is none: it runs when both modules are whole, and says beside it why it is there.
    """
    found: set[str] = set()
    todo: list[ast.stmt] = list(ast.parse(source).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                cut = len(parents) - node.level + is_package
                base = ".".join([*parents[:cut], *([base] if base else [])])
            # `from package import module` is an import of the module, `from module import name` of the module named
            found |= {m if (m := f"{base}.{alias.name}") in known else base for alias in node.names}
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            todo += [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]
    return (found & known) - {module}


def graph(folders: Iterable[Path]) -> dict[str, set[str]]:
    """Module -> modules that it imports, of the packages that lie in `folders`."""
    files: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            parts = [folder.name, *file.relative_to(folder).with_suffix("").parts]
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    known = set(files)
    return {
        name: imports_of(file.read_text(encoding="utf-8"), name, file.name == "__init__.py", known)
        for name, file in files.items()
    }


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One circle of every knot of modules that import each other."""
    order = TopologicalSorter(edges)
    found: list[list[str]] = []
    while True:
        try:
            order.prepare()
        except CycleError as error:
            circle = list(error.args[1])
            found.append(circle)
            edges = {name: seen - set(circle) if name in circle else seen for name, seen in edges.items()}
            order = TopologicalSorter(edges)
        else:
            return found


def test_there_is_no_import_circle() -> None:
    edges = graph(ROOT / folder / package for package, folder in PACKAGES.items())
    assert len(edges) > 100
    assert edges["vpp_env.simulation.world"] >= {"vpp_env.simulation.month", "vpp_env.core.layout"}
    assert circles(edges) == []


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("import pack.two", "import pack.one"),
        ("from pack.two import x", "from pack import one"),
        ("from .two import x", "from . import one"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.two import x", "from pack.one import y"),
        ("try:\n    import pack.two\nexcept ImportError:\n    pass", "class A:\n    from pack.one import y"),
        ("from pack import x", "import pack.one"),
    ],
)
def test_a_circle_is_found(tmp_path: Path, one: str, two: str) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    for name, text in {
        "__init__": "from pack.two import x\n",
        "one": one,
        "two": two,
        "three": "import pack.one",
    }.items():
        (pack / f"{name}.py").write_text(text, encoding="utf-8")
    found = circles(graph([pack]))
    assert len(found) == 1
    assert {"pack.one", "pack.two"} <= set(found[0])


def test_no_circle_is_seen_where_there_is_none(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("from pack.one import x\n", encoding="utf-8")
    (pack / "one.py").write_text("from pack.two import y\n", encoding="utf-8")
    (pack / "two.py").write_text("def late():\n    import pack.one\n", encoding="utf-8")
    assert circles(graph([pack])) == []


def test_none_of_our_modules_is_imported_behind_type_checking() -> None:
    for package, folder in PACKAGES.items():
        for file in (ROOT / folder / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                    hidden = [line for part in node.body if (line := ast.unparse(part)).startswith(("from", "import"))]
                    assert not [line for line in hidden if line.split()[1].startswith(tuple(PACKAGES))], file


def policy_files() -> list[Path]:
    files = list((ROOT / "policies").rglob("*.py"))
    assert len(files) > 5
    return files


def test_policies_see_neither_world_nor_core() -> None:
    hidden = ("vpp_env.simulation", "vpp_env.core", "vpp_env.traces", "vpp_env.evaluation", "vpp_env.api")
    for file in policy_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module, names = node.module or "", {alias.name for alias in node.names}
                assert not module.startswith(hidden), f"{file.name} imports {module}"
                assert module != "vpp_env" or not names & WORLDLY, f"{file.name} imports {sorted(names & WORLDLY)}"
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names if alias.name.startswith(hidden)}
                assert not names, f"{file.name} imports {sorted(names)}"


def test_the_environment_needs_neither_policies_nor_benchmarks() -> None:
    for file in (ROOT / "vpp_env").rglob("*.py"):
        lines = [x.strip() for x in file.read_text(encoding="utf-8").splitlines()]
        bad = [x for x in lines if x.startswith(("from vpp_p", "import vpp_p", "from vpp_b", "import vpp_b"))]
        assert not bad, f"{file}: {bad}"


def test_scripts_find_the_standard_library_beside_them() -> None:
    """A script finds modules in its own folder first: none there may have the name of a standard one."""
    folder = ROOT / "benchmarks"
    names = {f.stem for f in folder.glob("*.py")} | {f.name for f in folder.iterdir() if f.is_dir()}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("script", ["compare", "speed"])
def test_a_script_runs_from_the_checkout(script: str) -> None:
    command = [sys.executable, f"benchmarks/{script}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_the_command_line_loads_only_what_every_run_needs() -> None:
    assert not set(HEAVY) & imported("import vpp_benchmarks.cli.compare")
