"""What compare prints: the ladder, policies by welfare, and whether it fits."""

from __future__ import annotations

import io
from functools import cache

import pytest
from rich.console import Console
from vpp_benchmarks.report.tables import number, percent, score
from vpp_benchmarks.report.terminal import nothing_earned, show_comparison
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.run.experiment import Request, make_experiment
from vpp_benchmarks.run.plan import make_plan, told_apart
from vpp_benchmarks.run.progress import LogProgress
from vpp_benchmarks.run.runner import run_experiment

from vpp_env.scenario import load_scenario

POLICIES = ("idle", "agentic", "truthful", "random", "agentic(max_rounds=2)")


@cache
def played(seeds: tuple[int, ...], fleets: tuple[int, ...] = ()) -> Comparison:
    request = Request(policies=POLICIES, scenarios=("quick",), seeds=seeds, fleets=fleets)
    return run_experiment(make_experiment(request), None, LogProgress(), figures=False, bounded=True)


def shown(found: Comparison, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show_comparison(console, found)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


CASES = [((0,), ()), ((0, 1), ()), ((0, 1), (4, 5))]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(("seeds", "fleets"), CASES)
def test_it_fits_and_has_no_minus_nothing(seeds: tuple[int, ...], fleets: tuple[int, ...], width: int) -> None:
    lines = shown(played(seeds, fleets), width)
    assert max(map(len, lines)) <= width
    assert not any("-0.00 " in f"{line} " or "…" in line for line in lines)
    heads = " ".join(lines)
    for word in ("profit", "welfare", "score", "worst", "opt-out", "lost", "success", "(claimed)", "asks its owners"):
        assert word in heads or (width == 120 and word[0] in "(a")


def rows(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Policies of the last table of policies in which every one has a score: (name, cells)."""
    start = max(k for k, line in enumerate(lines) if line.endswith("success") or "success" in line)
    table = []
    for line in lines[start + 2 :]:
        if not line or line.startswith("sees"):
            break
        table.append((line[:26].split("  ")[0].strip(), line.split()))
    return table


def test_policies_stand_by_welfare_and_two_of_a_name_by_their_options() -> None:
    found = played((0,))
    lines = shown(found, 120)
    welfare = {run.label: run.number("welfare") or 0.0 for run in found.seeds[0].runs}
    names = [name for name, _ in rows(lines)]
    labels = [name.split(" ")[0] for name in names]
    assert sorted(labels) == sorted(welfare)
    assert [welfare[label] for label in labels] == sorted(welfare.values(), reverse=True)
    assert {"agentic (defaults)", "agentic_2 (max_rounds=2)"} <= set(names)


def test_the_ladder_goes_up_from_idle_to_the_ceilings() -> None:
    for found in (played((0,)), played((0, 1))):
        lines = shown(found, 80)
        begin = next(k for k, line in enumerate(lines) if line.startswith("ladder"))
        end = next(k for k, line in enumerate(lines) if "ceilings proven" in line)
        text = " ".join(line.strip() for line in lines[begin + 1 : end])
        rungs = [step.rsplit(" ", 1) for step in text.split(" < ")]
        usd = [float(value.replace(",", "")) for _, value in rungs]
        assert usd == sorted(usd)
        assert {"idle", "truthful", "U_pref", "U_welfare"} <= {name for name, _ in rungs}
    means = [sum(s.ceilings.welfare[1] for s in found.seeds if s.ceilings) / 2]
    assert f"U_welfare {number(means[0])}" in text


def test_names_show_what_differs_and_nothing_else() -> None:
    specs = ["agentic(max_rounds=2, share=0.8)", "agentic(max_rounds=3, share=0.8)", "agentic", "idle"]
    plan = make_plan(load_scenario("quick"), specs)
    assert told_apart(plan.contenders) == {
        "agentic": "agentic (max_rounds=2, share=0.8)",
        "agentic_2": "agentic_2 (max_rounds=3, share=0.8)",
        "agentic_3": "agentic_3 (defaults)",
        "idle": "idle",
    }
    two = make_plan(load_scenario("quick"), specs[:2])
    assert list(told_apart(two.contenders).values()) == ["agentic (max_rounds=2)", "agentic_2 (max_rounds=3)"]


def test_figures_have_no_minus_nothing() -> None:
    assert [number(-0.001), number(-1e-9, 4), number(-0.006)] == ["0.00", "0.0000", "-0.01"]
    assert [score(-0.00001), score(-0.5)] == ["0.0000", "-0.5000"]
    assert percent(-0.0001) == "0.0 %"


def test_where_nobody_earns_it_says_how_much_there_was() -> None:
    (line, _) = nothing_earned(nobody_earns().seeds)
    assert line.startswith("No policy earned a cent: in 6 h with 5 homes at most 0.")
    assert nothing_earned(played((0,)).seeds) == []  # `random` loses


@cache
def nobody_earns() -> Comparison:
    request = Request(policies=("idle", "truthful"), scenarios=("quick",), seeds=(0,))
    return run_experiment(make_experiment(request), None, LogProgress(), figures=False, bounded=True)
