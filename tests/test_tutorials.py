"""The tutorials run from top to bottom, and come out as pages with their figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import run_tutorials

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("train", "own_data")
"""Those that `pytest` runs; all are run by the build of the site, which `.ci/run` makes strict, and by `-m slow`."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in run_tutorials.ORDER]
)
def test_a_tutorial_runs(name: str) -> None:
    page = run_tutorials.run(name)
    assert page.markdown.startswith("# ")
    assert "```text" in page.markdown
    assert all(figure in page.markdown and content.startswith(b"<?xml") for figure, content in page.figures.items())
    assert len(page.figures) == page.markdown.count("![Figure") == (0 if name == "headline" else 1)


def test_all_tutorials_are_in_the_navigation_and_hold_no_output() -> None:
    assert {path.stem for path in run_tutorials.SOURCES.iterdir()} == set(run_tutorials.ORDER)
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.findall(r"tutorials/(\w+)\.md", nav) == list(run_tutorials.ORDER)


def test_every_cell_is_text_or_code() -> None:
    assert run_tutorials.cells("# %% [markdown]\n# # A\n#\n# b\n# %%\nx = 1\n") == [
        (True, "# A\n\nb"),
        (False, "x = 1"),
    ]


def test_what_a_cell_raises_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text("# %%\nraise KeyError('no such home')\n", encoding="utf-8")
    monkeypatch.setattr(run_tutorials, "SOURCES", tmp_path)
    with pytest.raises(KeyError, match="no such home"):
        run_tutorials.run("bad")
