"""Statistics against definitions worked out by hand or by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from vpp_benchmarks.results.inference import (
    LEAST_UNITS,
    holm,
    hypervolume,
    improvement,
    interval,
    iqm,
    least_units,
    mean_of_cases,
    pareto_front,
    wilcoxon,
)
from vpp_benchmarks.results.statistics import statistics

RNG = np.random.default_rng(7)


def test_probability_of_improvement_is_the_share_of_pairs() -> None:
    x, y = (
        [RNG.integers(0, 5, 7).astype(float), RNG.normal(size=6)],
        [RNG.integers(0, 5, 7).astype(float), RNG.normal(size=6)],
    )
    by_case = [
        np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(p, q)]) for p, q in zip(x, y, strict=True)
    ]
    found = improvement(x, y)
    assert found.value == pytest.approx(np.mean(by_case))
    # rliable: Mann-Whitney U of X over n m
    u = [stats.mannwhitneyu(p, q).statistic / (len(p) * len(q)) for p, q in zip(x, y, strict=True)]
    assert found.value == pytest.approx(np.mean(u))
    assert found.units == 13
    assert found.low is not None
    assert found.low < found.value < found.high


def test_its_interval_is_that_of_drawn_pairs() -> None:
    x, y = RNG.normal(0.5, 1, 12), RNG.normal(0, 1, 12)
    draws = []
    for _ in range(3000):
        a, b = RNG.choice(x, 12)[:, None], RNG.choice(y, 12)[None, :]
        draws.append(((a > b) + 0.5 * (a == b)).mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    found = improvement([x], [y])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)


def test_iqm_is_the_mean_of_the_middle_half_of_all_units() -> None:
    cases = [np.array([1.0, 100.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, -100.0])]
    assert iqm(*cases) == pytest.approx(np.mean([2.0, 3.0, 4.0, 5.0]))
    assert mean_of_cases(*cases) == pytest.approx((26.5 - 21.25) / 2)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for k in range(60):
        sample = np.random.default_rng(k).normal(3.0, 1.0, 25)
        found = interval([sample], mean_of_cases)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 3.0 <= found.high
    assert 51 <= hits <= 60


def test_the_same_figures_give_the_same_interval() -> None:
    sample = [RNG.normal(size=10)]
    assert interval(sample, iqm) == interval(sample, iqm)


def test_months_of_one_seed_are_drawn_among_themselves() -> None:
    found = interval([np.array([float(k)]) for k in range(12)], mean_of_cases)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 5.5 < found.high


def test_too_few_units_have_no_interval() -> None:
    found = interval([np.arange(LEAST_UNITS - 1.0)], mean_of_cases)
    assert (found.low, found.high) == (None, None)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06], nan_ok=True)
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilcoxon() -> None:
    assert wilcoxon(np.zeros(6)) == 1.0
    assert wilcoxon(np.array([1.0])) is None
    # all six differences of one sign: two of 64 signs are as extreme
    assert wilcoxon(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)
    assert least_units(1) == 6
    assert 3 * 2 / 2 ** least_units(3) < 0.05 <= 3 * 2 / 2 ** (least_units(3) - 1)


def test_pareto_front_and_hypervolume() -> None:
    points = {"idle": (0.0, 1.0), "good": (2.0, 0.9), "worse": (1.0, 0.9), "greedy": (5.0, 0.4), "baseline": (2.0, 0.9)}
    assert pareto_front(points) == ["idle", "good", "greedy", "baseline"]
    assert hypervolume(list(points.values())) == pytest.approx(2 * 0.9 + 3 * 0.4)
    # against counting cells of a grid
    cloud = RNG.uniform(0, 1, (12, 2))
    xs = (np.arange(400) + 0.5) / 400
    inside = ((cloud[:, 0, None, None] >= xs[:, None]) & (cloud[:, 1, None, None] >= xs[None, :])).any(axis=0)
    assert hypervolume([tuple(p) for p in cloud]) == pytest.approx(inside.mean(), abs=0.01)
    assert hypervolume([(-3.0, 1.0)]) == 0.0


def run(profit: float, satisfaction: float) -> dict[str, float | None]:
    return {
        "total_profit": profit,
        "member_net_benefit": profit,
        "joint_surplus": 2 * profit,
        "avg_satisfaction": satisfaction,
        "worst_decile_satisfaction": satisfaction,
    }


def test_differences_are_paired() -> None:
    """A difference that every unit shows is found, however much the units differ among themselves."""
    months = RNG.normal(1000, 500, 12)
    units = {"a": [{"one": run(m, 0.9), "two": run(m + 5 + 0.1 * k, 0.9)} for k, m in enumerate(months)]}
    found = statistics(units, ["one", "two"])
    profit = found.differences[0]
    assert (profit.policy, profit.minus, profit.better) == ("two", "one", 12)
    assert profit.difference.low is not None
    assert profit.difference.high is not None
    assert profit.holm_p is not None
    assert 5.0 < profit.difference.low < profit.difference.high < 6.2
    assert profit.holm_p < 0.01
    # pairs of any units: hardly better
    assert 0.4 < profit.probability_of_improvement.value < 0.6
    assert any("two has more VPP profit" in line for line in found.verdict)
    assert any("do not differ in satisfaction" in line for line in found.verdict)


def test_units_that_a_policy_did_not_complete_are_left_out() -> None:
    units = {"a": [{"one": run(1, 1), "two": run(2, 1)}, {"one": run(1, 1), "two": None}]}
    found = statistics(units, ["one", "two"])
    assert (found.units, found.left_out) == (1, 1)
    assert any("left out" in line for line in found.verdict)
    assert any("too few" in line for line in found.verdict)
    assert statistics({"a": [{"one": None}]}, ["one"]).policies == {}


def test_what_cannot_be_told_is_said() -> None:
    units = {
        "a": [{"one": run(m, 0.9), "two": run(m + d, 0.9)} for m, d in zip(range(8), RNG.normal(size=8), strict=True)]
    }
    assert any("cannot be told" in line for line in statistics(units, ["one", "two"]).verdict)


def test_ceilings_are_part_where_every_run_has_them() -> None:
    units = {
        "a": [{"one": run(1, 1) | {"score": 0.5, "regret": 3.0}, "two": run(2, 1) | {"score": 0.6, "regret": 2.0}}] * 6
    }
    assert set(statistics(units, ["one", "two"]).metrics) >= {"score", "regret"}
    assert "score" not in statistics({"a": [{"one": run(1, 1)}] * 6}, ["one"]).metrics
