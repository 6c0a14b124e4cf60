"""The pages lead where they say: every link exists, and what is named beside a link to a module is defined there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def links(page: Path) -> list[tuple[str, Path]]:
    return [(text, (page.parent / target).resolve()) for text, target in LINK.findall(page.read_text(encoding="utf-8"))]


def defined(module: Path) -> set[str]:
    """Names of a module's functions, classes, methods (`World.step`) and constants."""
    names: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [str(target) for _, target in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_beside_a_link_to_a_module_is_defined_there(page: Path) -> None:
    named = [(text.strip("`"), target) for text, target in links(page) if target.suffix == ".py" and "`" in text]
    wrong = [
        f"{name} in {target.name}" for name, target in named if name != target.name and name not in defined(target)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("question", "name", "module"),
    [
        ("where is a bid cleared?", "clear_energy", "vpp_env/market/energy.py"),
        ("where is an owner paid?", "account", "vpp_env/core/ledger.py"),
        ("where is a figure of the report computed?", "Kpis", "vpp_env/evaluation/kpi.py"),
    ],
)
def test_a_stranger_finds(question: str, name: str, module: str) -> None:
    page = ROOT / "docs" / "architecture.md"
    row = next(line for line in page.read_text(encoding="utf-8").splitlines() if question in line)
    found = [(text.strip("`"), (page.parent / target).resolve()) for text, target in LINK.findall(row)]
    assert (name, ROOT / module) in found
    assert name in defined(ROOT / module)


def test_these_tests_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[`nothing`](module.py) and [gone](gone.md)", encoding="utf-8")
    (tmp_path / "module.py").write_text("def something() -> None: ...\nLIMIT: int = 3\n", encoding="utf-8")
    assert [target.exists() for _, target in links(page)] == [True, False]
    assert defined(tmp_path / "module.py") == {"something", "LIMIT"}
