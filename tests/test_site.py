"""The site's own pages hold: tables are the code's, snippets and commands run, the API page is complete."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from vpp_benchmarks.cli.main import main

import vpp_env
from docs import site_hooks as hooks
from docs.field_table import PAGES, filled, rows

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write the snippets that name a file into it; return the others."""
    others: list[str] = []
    for block in blocks(page, "python"):
        named = re.match(r"# (\w+\.py)(, continued)?\n", block)
        if named is None:
            others.append(block)
        else:
            with open(folder / named[1], "a" if named[2] else "w", encoding="utf-8") as file:
                file.write(block)
    return others


def commands(page: str) -> list[list[str]]:
    lines = "".join(blocks(page, "bash")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("vpp-env ")]


def test_the_tables_are_the_code_s() -> None:
    for name, classes in PAGES.items():
        page = (DOCS / name).read_text(encoding="utf-8")
        assert page == filled(page, name), "run `python docs/field_table.py`"
        for cls in classes:
            assert [field for field, _, _, text in rows(cls) if not text] == []


def test_a_table_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for View"):
        filled("nothing", "fields.md")


def test_snippets_of_the_start_run(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = blocks("index.md", "python")
    exec(compile(snippet, "index.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) == 3


def test_install_commands_of_the_start_are_the_readme_s() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    installs = [block.strip().splitlines() for block in blocks("index.md", "bash") if "pip install" in block]
    assert len(installs) == 2
    assert [" && ".join(lines) in readme.splitlines() for lines in installs] == [True, True]


def test_examples_of_the_policy_page_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, object] = {}
    snippets = write_files("policies.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for snippet in snippets:
        exec(compile(snippet, "policies.md", "exec"), scope)
    results = scope["results"]
    assert isinstance(results, dict)
    assert list(results) == ["memory", "forecast", "evening", "contracts", "truthful"]
    assert all(kpis["sold_mwh"] > 0 for kpis in results.values())
    assert results["evening"]["capacity_committed_kw"] > 0
    contracts = scope["Contracts"]
    assert isinstance(contracts, type)
    without = vpp_env.summarize(vpp_env.simulate(scope["month"], contracts(most_usd_per_kwh=0.0)))  # type: ignore[arg-type]
    said = [f"{k[name]:.2f}" for name in ("total_profit", "welfare") for k in (without, results["contracts"])]
    assert "earns {} USD instead of {}, with a welfare of {} instead of {} USD".format(*said) in (
        DOCS / "policies.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "command"),
    [
        pytest.param(page, command, marks=[pytest.mark.slow] if "--verify" in command else [], id=f"{page}-{i}")
        for page in ("index.md", "policies.md")
        for i, command in enumerate(commands(page))
    ],
)
def test_commands_run(page: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(command) == 0
    if "--out" in command:
        assert (tmp_path / command[command.index("--out") + 1] / "simulation_summary.json").is_file()


def test_every_command_of_the_pages_is_run() -> None:
    assert [len(commands(page)) for page in ("index.md", "policies.md")] == [3, 2]


def test_the_api_page_names_the_whole_public_face() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^::: vpp_env\.(\w+)$", page, flags=re.MULTILINE)) | set(re.findall(r"`(\w+)`", page))
    assert set(vpp_env.__all__) - named == set()


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1].split("\nnot_in_nav")[0]
    assert {page.name for page in DOCS.glob("*.md")} <= set(re.findall(r"[\w-]+\.md", nav))


def test_the_extra_builds_the_site() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {re.split(r"[>=\[]", need)[0] for need in extras["docs"]} == {
        "vpp-env",
        "mkdocs-material",
        "mkdocstrings",
        "ruff",
    }


def test_links_to_code_lead_to_pages_of_the_site() -> None:
    text = "[`encode`](../vpp_env/contract/bids.py#x) [model](model.md#5) [out](https://a.b/c.py) [none](gone.py)"
    assert hooks.relinked(text, DOCS, "api.md") == (
        "[`encode`](source/vpp_env/contract/bids.py.md#x) [model](model.md#5) [out](https://a.b/c.py) [none](gone.py)"
    )
    assert hooks.outside(text, DOCS) == {ROOT / "vpp_env" / "contract" / "bids.py"}
    assert hooks.page_of(ROOT / "CONTRIBUTING.md") == "source/CONTRIBUTING.md"
    assert hooks.pipes("| `a\\|b` | c \\| d |\n`a\\|b`") == "| `a|b` | c \\| d |\n`a\\|b`"
