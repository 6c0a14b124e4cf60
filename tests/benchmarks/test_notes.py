"""What is said beside every headline: seeds that failed, splits, kinds of prices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.results.notes import prices_text
from vpp_benchmarks.results.run_result import PriceSource

SOMETIMES, NEVER = "tests.benchmarks.broken:Sometimes", "tests.benchmarks.broken:Broken"
SEEDS = 6


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("notes") / "out"
    args = ["--scenario", "quick", "--policies", "truthful", SOMETIMES, NEVER, "--seeds", f"test:{SEEDS}"]
    assert main([*args, "--no-figures", "--no-ceilings", "--out", str(out)]) == 1
    return out


def done_of(out: Path, label: str) -> list[int]:
    states = {k: json.loads((out / "runs" / f"quick-s{k}-{label}" / "manifest.json").read_text()) for k in range(SEEDS)}
    return [k for k, manifest in states.items() if manifest["status"] == "complete"]


def test_failed_seeds_are_in_every_headline(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = done_of(out, "sometimes")
    assert 0 < len(done) < SEEDS  # the fixture is one of both kinds
    failed = next(k for k in range(SEEDS) if k not in done)
    line = (
        f"sometimes: {len(done)} of {SEEDS} runs complete (seed {failed} failed: RuntimeError: this fleet is too much"
    )
    name = f"sometimes ({len(done)} of {SEEDS} complete)"
    report = (out / "simulation_report.md").read_text("utf-8")
    assert line in report
    assert f"| sometimes | OWN | claimed | {len(done)} of {SEEDS} |" in report
    page = (out / "report.html").read_text("utf-8")
    result = page[page.index('id="answer"') : page.index('id="pareto"')]
    assert line in result
    assert name in result
    assert name in (out / "tables" / "headline.md").read_text("utf-8")
    assert (
        main(["--resume", str(out), "--policies", "truthful", SOMETIMES, NEVER, "--no-ceilings", "--no-figures"]) == 1
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert line in shown
    assert f"broken: 0 of {SEEDS} runs complete" in shown


def test_who_completed_nothing_takes_nobody_with_it(out: Path) -> None:
    found = json.loads((out / "statistics.json").read_text("utf-8"))
    assert set(found["policies"]) == {"truthful", "sometimes"}
    assert found["units"] == len(done_of(out, "sometimes"))
    assert "broken completed no unit and is left out." in found["verdict"]
    assert f"broken (0 of {SEEDS} complete)" in (out / "tables" / "headline.md").read_text("utf-8")


def test_seeds_that_are_not_of_test_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--scenario", "quick", "--policies", "idle", "--no-figures", "--no-ceilings"]
    assert main([*args, "--seeds", "validation:2", "--out", str(tmp_path / "a")]) == 0
    said = "These are seeds of validation 1000 1001, not of test"
    assert said in " ".join(capsys.readouterr().out.split())
    for file in ("simulation_report.md", "report.html", "seed_1000/simulation_report.md"):
        assert "not of test" in (tmp_path / "a" / file).read_text("utf-8")
    assert main([*args, "--seeds", "0", "training:1", "--out", str(tmp_path / "b")]) == 0
    assert "Seeds of different splits are mixed (test 0, training 10000)" in " ".join(capsys.readouterr().out.split())
    assert main([*args, "--seeds", "test:2", "--out", str(tmp_path / "c")]) == 0
    shown = capsys.readouterr().out
    assert "not of test" not in shown
    assert "prices: da seeded, rt seeded, reserves seeded" in shown


def test_kinds_of_prices() -> None:
    series = {"da": "measured: file x.csv", "rt": "seeded model on the file's day-ahead prices", "spin": "seeded model"}
    assert PriceSource(series, {}, None).kinds == {"da": "measured", "rt": "seeded", "spin": "seeded"}
    assert prices_text({"rt": "seeded", "da": "measured", "spin": "seeded", "nonspin": "seeded"}) == (
        "da measured, rt seeded, reserves seeded"
    )
    assert prices_text({"da": "measured", "spin": "measured", "nonspin": "seeded"}) == (
        "da measured, spin measured, nonspin seeded"
    )
