"""Commands and snippets of the pages that are not run elsewhere: options exist, and Python runs."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from vpp_benchmarks.cli.common import Parser
from vpp_benchmarks.cli.main import main
from vpp_policies.learned import WEIGHTS

import vpp_env

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
ENDS = {"&&", "||", "|", ";", ">", "2>"}


class ParsedError(Exception):
    """The command line was understood; nothing is to be played."""


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `vpp-env ...` and `compare.py ...` in blocks, indented code and code spans."""
    code = [line for _, block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    prose = FENCE.sub("", text)
    code += re.findall(r"^    (?=\S)(.*)", prose, flags=re.MULTILINE)
    code += [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"(?m)^    .*", "", prose))]
    for line in code:
        found = re.match(
            r"(?:.*&& *|\$ *)?(?:python )?(?:vpp-env (?=[a-z])|(?:benchmarks/)?compare\.py (?=--))(.*)", line
        )
        if found is None:
            continue
        words = shlex.split(re.sub(r"\[(-[^\]]*)\]", r"\1", found[1]), comments=True)
        words = words[: next((j for j, word in enumerate(words) if word in ENDS), None)]
        for j in [j for j, word in enumerate(words) if word == "..."][::-1]:  # `--set ...` leaves its value out
            del words[j - words[j - 1].startswith("-") : j + 1]
        yield ["compare", *words] if "compare.py " in found[0] else words


@pytest.fixture
def only_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command end once its own parser has understood its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def stop(self: Parser, *args: Any) -> NoReturn:
        parse(self, *args)
        raise ParsedError

    monkeypatch.setattr(Parser, "parse_args", stop)


@pytest.mark.usefixtures("only_parsed")
def test_every_option_of_every_command_of_the_pages_exists(capsys: pytest.CaptureFixture[str]) -> None:
    wrong, seen = [], 0
    for page in PAGES:
        for words in commands(page.read_text(encoding="utf-8")):
            seen += 1
            try:
                status: object = main(words)
            except ParsedError:
                continue
            except SystemExit as end:
                status = end.code
            said = capsys.readouterr()
            if status != 0:
                wrong.append(f"{page.name}: vpp-env {shlex.join(words)}: {said.err.splitlines()[:1]}")
    assert wrong == []
    assert seen > 100


@pytest.mark.usefixtures("only_parsed")
def test_a_wrong_option_is_found() -> None:
    text = (
        "```bash\na && vpp-env compare --polices x  # what\n```\n"
        "and `python benchmarks/compare.py --seeds\n0:3 --set ...` or `vpp-env`"
    )
    (wrong, right) = commands(text)
    assert (wrong, right) == (["compare", "--polices", "x"], ["compare", "--seeds", "0:3"])
    with pytest.raises(SystemExit):
        main(wrong)
    with pytest.raises(ParsedError):
        main(right)


def snippet(page: str, part: str = "") -> str:
    """Return the Python block of a page that holds `part`."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if part in block]
    return block


def run(source: str, page: str, **scope: object) -> dict[str, Any]:
    exec(compile(source, page, "exec"), scope)
    return scope


def test_every_page_with_python_is_run_somewhere() -> None:
    pages = {page.name for page in DOCS.glob("*.md") if "```python" in page.read_text("utf-8")}
    here = {"market-data.md", "home-data.md", "learners.md", "benchmark.md", "agentic.md", "llm.md", "contracts.md"}
    assert pages == here | {"index.md", "policies.md"}  # tests/test_site.py


def test_the_month_of_measured_prices_is_built() -> None:
    month = run(snippet("market-data.md"), "market-data.md")["month"]
    assert "measured" in str(month.series.source)


def test_homes_are_brought_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export-homes", "quick", "--out", "my_homes"]) == 0
    made = vpp_env.Month(vpp_env.load_scenario("quick"), 0)
    scope = {"scenario": made.scenario, "my_fleet": made.fleet, "my_traces": made.homes}
    source = snippet("home-data.md").replace('"august"', '"quick"')
    month = run(source, "home-data.md", **scope)["month"]
    assert month.fleet is made.fleet


def test_a_training_script_asks_for_the_benchmark_s_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(WEIGHTS / "evolved_week20.npz", "weights.npz")
    source = (
        snippet("learners.md", "weights.npz").replace('"validation:5"', '"validation:2"').replace('"week20"', '"quick"')
    )
    table = run(source, "learners.md")["table"]
    assert set(table[table.kpi == "welfare"].policy) == {"mine", "truthful", "truthful - mine"}


def test_the_baselines_of_the_page_are_evaluated() -> None:
    source = (
        snippet("learners.md", "others =").replace('"validation:10"', '"validation:2"').replace('"week20"', '"quick"')
    )
    table = run(source, "learners.md")["table"]
    assert {"evolved_week20", "ippo_week20", "agentic"} <= set(table.policy)


def test_an_environment_draws_its_worlds_as_the_page_says() -> None:
    source = snippet("learners.md", "Curriculum(").replace("VectorMarketMonth(8", "VectorMarketMonth(2")
    infos = run(source, "learners.md")["infos"]
    assert infos["options"][0]["days"] == 7


def test_the_orchestrator_of_the_page_runs() -> None:
    source = snippet("benchmark.md").replace("fleet_size=20, duration_hours=168", "fleet_size=4, duration_hours=3")
    assert run(source, "benchmark.md")["summary"].results is not None


@pytest.mark.parametrize(("page", "name"), [("agentic.md", "own_graph.py"), ("llm.md", "langchain_model.py")])
def test_an_example_of_a_page_is_the_file_s_and_has_twenty_lines(page: str, name: str) -> None:
    """They are played from a stranger's folder by tests/policies/test_own_graph.py and tests/llm/test_adapters.py."""
    source = (ROOT / "examples" / name).read_text("utf-8")
    documentation, code = source.split('"""\n\n', 1)
    assert documentation.startswith('"""')
    assert snippet(page, f"# {name}") == f"# {name}\n{code}"
    assert len(source.splitlines()) <= 20


def test_what_the_page_says_of_asking_exists() -> None:
    """The offers are a sketch that leaves terms out; a whole one is played in docs/policies.md."""
    named = set(re.findall(r"view\.owners\.(\w+)", snippet("contracts.md")))
    assert named == {name for name in vars(vpp_env.Table) if not name.startswith("_")} - {"round"}
