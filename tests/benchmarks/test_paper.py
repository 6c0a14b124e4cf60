"""The paper kit says what the run folder says, and its LaTeX is whole."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from vpp_benchmarks.cli.main import main
from vpp_benchmarks.report.overview import overview
from vpp_benchmarks.report.paper import command_line
from vpp_benchmarks.report.style import LIGHT, light_colors
from vpp_benchmarks.report.tables import Table
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.summary import SeedResult

FILES = {
    "REPRODUCE.md",
    "benchmark_card.md",
    "datasheet.md",
    "main.tex",
    *(f"figures/{name}.{suffix}" for name in ("differences", "pareto", "welfare") for suffix in ("pdf", "svg")),
    *(f"tables/{name}.tex" for name in ("differences", "headline", "headline_2", "headline_3", "ladder")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two policies on two seeds and measured prices, and the kit of them."""
    out = tmp_path_factory.mktemp("paper") / "run_1"
    call = ["compare", "--policies", "truthful", "idle", "--scenario", "quick", "--seeds", "0:2", "--no-figures"]
    call += ["--market-data", "caiso:PGAE:2019-08", "--start", "2019-08-05T16:00", "--quiet", "--out", str(out)]
    assert main(call) == 0
    assert main(["paper", str(out)]) == 0
    return out


def test_every_file_is_there_and_the_same_again(folder: Path) -> None:
    paper = folder / "paper"
    before = {p.relative_to(paper).as_posix(): p.read_bytes() for p in paper.rglob("*") if p.is_file()}
    assert set(before) == FILES
    assert main(["paper", str(folder)]) == 0
    assert before == {name: (paper / name).read_bytes() for name in before}


def test_latex_is_whole(folder: Path) -> None:
    paper = folder / "paper"
    body = (paper / "main.tex").read_text(encoding="utf-8")
    named = re.findall(r"\\fit\{([^}]+)\}", body) + re.findall(r"\\includegraphics\{([^}]+)\}", body)
    assert all((paper / name).is_file() or (paper / f"{name}.tex").is_file() for name in named)
    assert len(named) == 3 + 1 + 1 + 3
    for path in paper.rglob("*.tex"):
        text = path.read_text(encoding="utf-8")
        assert text.isascii(), path
        assert sorted(re.findall(r"\\begin\{(\w+)\}", text)) == sorted(re.findall(r"\\end\{(\w+)\}", text))
    for path in (paper / "tables").iterdir():
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", path.read_text(encoding="utf-8"))
        assert columns is not None
        rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns[1]) - 1}
        bare = [left_bare(row.removesuffix(r"\\")) for row in rows]
        assert bare == [""] * len(rows)


def left_bare(row: str) -> str:
    """Return the characters of a row of a table that LaTeX takes for commands, and that none of ours is."""
    known = r"\\[&%$#_{}]|\\text(asciitilde|asciicircum|backslash)\{\}|\$\\pm\$"
    return re.sub(r"[^\\%$#_^~{}]", "", re.sub(known, "", row))


@pytest.mark.parametrize(
    ("row", "bare"), [(r"a\_b \& 5 \% & 3 $\pm$ 1", ""), ("a_b & 5 % & {x", "_%{"), (r"\input", "\\")]
)
def test_what_latex_would_stumble_over_is_found(row: str, bare: str) -> None:
    assert left_bare(row) == bare


def test_a_wide_table_is_several_that_a_page_holds() -> None:
    header = ["policy", "sees", *(f"kpi {k}" for k in range(13))]
    rows = [[f"p{j}", "OWN", *(f"{j}.{k}" for k in range(13))] for j in range(2)]
    made = Table("headline", [], header, rows, 2).parts(4)
    assert [one.name for one in made] == ["headline", "headline_2", "headline_3"]
    assert [len(one.header) - one.text_columns for one in made] == [4, 5, 4]
    assert [one.header[: one.text_columns] for one in made] == [["policy", "sees"], ["policy"], ["policy"]]
    assert [cell for one in made for cell in one.rows[1][one.text_columns :]] == rows[1][2:]
    (alone,) = Table("ladder", [], ["rung", "USD"], [["idle", "0"]]).parts(4)
    assert (alone.name, alone.rows) == ("ladder", [["idle", "0"]])


def test_a_name_of_special_letters_is_text_in_latex() -> None:
    row = Table("t", [], ["a_b"], [["x & y_1 \u00b1 50 % #$ {}~^\\"]]).latex().splitlines()[4]
    assert row.startswith(r"x \& y\_1 $\pm$ 50 \% \#\$ \{\}\textasciitilde{}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(folder: Path, tmp_path: Path) -> None:
    """Nothing is wider than its page, and a table of any character is text too."""
    paper = tmp_path / "paper"
    shutil.copytree(folder / "paper", paper)
    hostile = Table("ladder", [], ["a_b", "%"], [[r"\input{x} & y_1 ± 50 % #$ {}~^", "<|>"]])
    (paper / "tables" / "ladder.tex").write_text(hostile.latex(), encoding="utf-8")
    call = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(call, cwd=paper, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.search(r"Overfull|Warning", (paper / "main.log").read_text(encoding="utf-8", errors="replace"))


def test_figures_are_vectors_with_what_they_show(folder: Path) -> None:
    for path in (folder / "paper" / "figures").iterdir():
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF-")
            assert b"CreationDate" not in content
        else:
            root = ElementTree.fromstring(content)
            assert root.tag.endswith("svg")
            assert b"<image" not in content


def test_the_kit_says_where_all_is_from(folder: Path) -> None:
    made = {p.name: p.read_text(encoding="utf-8") for p in (folder / "paper").glob("*.md")}
    again = made["REPRODUCE.md"]
    assert hashlib.sha256((folder / store.EXPERIMENT).read_bytes()).hexdigest() in again
    assert store.read_json(folder / store.MANIFEST)["scenario"]["hash"] in again
    assert "vpp-env paper run_1" in again
    assert "4 runs, 4 of them complete; 2 policies, 1 case(s), 2 seed(s)" in made["datasheet.md"]
    assert "| idle | idle | OWN |" in made["benchmark_card.md"]
    for name in ("datasheet.md", "benchmark_card.md"):
        assert "CAISO OASIS public prices; no licence stated" in made[name]
        assert "test: seeds 0-1 (" in made[name]
    assert not any("$" in text.replace(r"\$", "") for text in made.values())


def test_a_command_has_no_path_of_its_machine() -> None:
    typed = ["/home/me/venv/bin/vpp-env", "compare", "--out", "/tmp/a b", "--policies", "agentic(rounds=2)"]
    assert command_line(typed) == "vpp-env compare --out 'a b' --policies 'agentic(rounds=2)'"
    assert command_line(["/x/benchmarks/compare.py", "--seed", "1"]) == "python benchmarks/compare.py --seed 1"


def test_a_folder_without_runs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err


def test_a_policy_has_one_colour_in_the_figures_and_in_the_report(folder: Path) -> None:
    color = light_colors(["truthful", "idle"])
    assert color == {"truthful": "#0072b2", "idle": "#777"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"--c0:{color['truthful']};" in page
    assert len(LIGHT) == len(set(LIGHT.values())), "no two classes look the same"
    drawn = (folder / "paper" / "figures" / "welfare.svg").read_text(encoding="utf-8")
    assert all(f"fill: {shown}" in drawn for shown in ("#0072b2", "#777777"))


def test_the_picture_of_a_day_uses_them_too(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    runs = [RunResult.read(path.parent) for path in sorted(folder.glob("runs/quick-s0-*/manifest.json"))]
    seen: list[str] = []
    scatter = Axes.scatter

    def spy(axis: Axes, *args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["edgecolor"])
        return scatter(axis, *args, **kwargs)

    monkeypatch.setattr(Axes, "scatter", spy)
    assert overview(SeedResult.of(runs, None), runs).startswith(b"\x89PNG")
    assert seen == [light_colors(["idle", "truthful"])[run.label] for run in runs]
