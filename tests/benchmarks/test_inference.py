"""Statistics against definitions worked out by hand or by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from vpp_benchmarks.cli.coverage import main as print_coverage
from vpp_benchmarks.results.coverage import coverage
from vpp_benchmarks.results.inference import (
    holm,
    hypervolume,
    least_units,
    observations,
    pareto_front,
    wilcoxon,
)
from vpp_benchmarks.results.intervals import (
    LEAST_UNITS,
    Sampling,
    Statistic,
    estimate,
    improvement,
    interval,
    padded,
    sampling,
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


def test_its_interval_is_where_the_share_is_two_errors_off() -> None:
    x, y = RNG.normal(0.5, 1, 12), RNG.normal(0, 1, 12)
    found = improvement([x], [y])
    n, z = 12, stats.norm.ppf(0.975)
    for end in (found.low, found.high):
        assert end is not None
        error2 = end * (1 - end) * (1 + (n - 1) * ((1 - end) / (2 - end) + end / (1 + end))) / n**2
        assert abs(end - found.value) == pytest.approx(z * np.sqrt(error2), abs=1e-9)
    # of two cases: the distances of both, put together
    both = improvement([x, x], [y, y])
    assert both.high is not None
    assert found.high is not None
    assert both.high - both.value == pytest.approx((found.high - found.value) / np.sqrt(2.0))


@pytest.mark.parametrize("cases", [1, 3, 12])
def test_ten_wins_of_ten_are_no_certainty(cases: int) -> None:
    x, y = [np.arange(10.0) + 100.0] * cases, [np.arange(10.0)] * cases
    found = improvement(x, y)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low is not None
    assert 0.6 < found.low < 0.95
    assert improvement(y, x).high == pytest.approx(1.0 - found.low)


def test_iqm_is_the_mean_of_the_middle_half_of_all_units() -> None:
    cases = [np.array([1.0, 100.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, -100.0])]
    assert interval(cases, Statistic.IQM).value == pytest.approx(np.mean([2.0, 3.0, 4.0, 5.0]))
    assert interval(cases).value == pytest.approx((26.5 - 21.25) / 2)
    odd = RNG.normal(size=11)
    assert interval([odd], Statistic.IQM).value == pytest.approx(stats.trim_mean(odd, 0.25))
    assert interval([odd[:3]], Statistic.IQM).value == pytest.approx(stats.trim_mean(odd[:3], 0.25))


def errors(samples: list[np.ndarray], statistic: Statistic) -> tuple[float, float]:
    values, sizes = padded(samples)
    there = np.arange(values.shape[1]) < sizes[:, None]
    grouped = sampling([len(s) for s in samples]) is Sampling.CASES
    found = estimate(values[None], there[None], statistic, grouped)
    return float(found.error[0]), float(found.freedom[0])


def test_standard_errors_by_hand() -> None:
    x = RNG.exponential(size=12)
    assert errors([x], Statistic.MEAN) == pytest.approx((stats.sem(x), 11.0))
    # Tukey and McLaughlin: the winsorised spread over the middle half
    wins = np.sort(x)
    wins[:3], wins[-3:] = wins[3], wins[-4]
    by_hand = np.std(wins, ddof=1) * np.sqrt(12) / 6
    assert errors([x], Statistic.IQM) == pytest.approx((by_hand, 5.0))
    # two cases that are not drawn: Welch
    y = RNG.normal(size=7)
    a, b = np.var(x, ddof=1) / 12, np.var(y, ddof=1) / 7
    freedom = (a + b) ** 2 / (a**2 / 11 + b**2 / 6)
    assert errors([x, y], Statistic.MEAN) == pytest.approx((np.sqrt(a + b) / 2, freedom))
    # cases that are drawn: one observation each, however many seeds it has
    cases = [RNG.normal(k, 1.0, 3 + k % 3) for k in range(6)]
    assert errors(cases, Statistic.MEAN) == pytest.approx((stats.sem([c.mean() for c in cases]), 5.0))


def test_what_is_drawn() -> None:
    assert sampling([10]) is Sampling.SEEDS
    assert sampling([1] * 12) is Sampling.CASES_ALONE
    assert sampling([3] * 12) is Sampling.CASES
    assert sampling([10, 10]) is Sampling.WITHIN


def test_intervals_cover() -> None:
    """Nominal 95 %: at ten units and skewed figures too; t and percentile of the pooled seeds do not."""
    rows = {(row.figure, row.sample): row for row in coverage(units=10, repetitions=150, seed=3)}
    noise = 0.036  # two standard errors of a share of .95 in 150 samples
    hard = ("mean, lognormal(1)", "mean, months")
    for (figure, sample), row in rows.items():
        assert row.covered > (0.90 if figure in hard else 0.93) - noise, (figure, sample)
    skewed = rows["mean, gamma(.5)", "10 seeds"]
    assert skewed.percentile is not None
    assert skewed.percentile + 0.05 < skewed.covered
    months = rows["mean, months", "10 months x 10 seeds"]
    assert months.t is not None
    assert months.t < 0.6
    assert months.width > 3.0


def test_the_table_of_coverage_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_coverage(["--repetitions", "2", "--units", "5"]) == 0
    out = capsys.readouterr().out
    assert "| mean, exponential | 5 seeds |" in out
    assert print_coverage(["--units", "4"]) == 2
    assert "no interval is given" in capsys.readouterr().err


def test_the_same_figures_give_the_same_interval() -> None:
    sample = [RNG.normal(size=10)]
    assert interval(sample, Statistic.IQM) == interval(sample, Statistic.IQM)


def test_figures_that_do_not_differ_have_no_width() -> None:
    found = interval([np.full(8, 0.3)])
    assert (found.low, found.high) == (found.value, found.value)
    # one that differs is enough for a width, though most draws leave it out
    found = interval([np.array([1.0] * 9 + [2.0])])
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.0 < 1.1 < found.high


def test_months_of_one_seed_are_drawn_among_themselves() -> None:
    found = interval([np.array([float(k)]) for k in range(12)])
    assert found == interval([np.arange(12.0)])
    assert found.low is not None
    assert found.high is not None
    assert found.low < 5.5 < found.high


def test_too_few_units_have_no_interval() -> None:
    for samples in ([np.arange(LEAST_UNITS - 1.0)], [np.arange(8.0), np.array([1.0])]):
        found = interval(samples)
        assert (found.low, found.high) == (None, None)


def test_tests_count_a_month_once() -> None:
    months = [np.full(5, float(k + 1)) for k in range(6)]
    assert list(observations(months)) == [1, 2, 3, 4, 5, 6]
    assert len(observations(months[:4])) == 20
    # thirty units of six months: no more can be shown than by six
    profits = RNG.normal(1000, 300, 6)
    units = {
        str(k): [{"one": run(p, 0.9), "two": run(p + 5, 0.9)} for p in profit + RNG.normal(size=5)]
        for k, profit in enumerate(profits)
    }
    found = statistics(units, ["one", "two"])
    assert found.sampling is Sampling.CASES
    assert found.differences[0].wilcoxon_p == pytest.approx(2 / 2**6)
    assert any("draw the 6 cases" in line for line in found.verdict)
    two = statistics({k: units[k] for k in ("0", "1")}, ["one", "two"])
    assert any("nothing about other months" in line for line in two.verdict)


def test_one_family_of_tests() -> None:
    """Policies and figures are corrected together: a p of one of six tests is six times as hard to reach."""
    shift = 5 + RNG.normal(size=12)
    units = {
        "a": [
            {"one": run(m, 0.5), "two": run(m + d, 0.5 + RNG.normal()), "three": run(m + RNG.normal(), 0.5)}
            for m, d in zip(RNG.normal(1000, 500, 12), shift, strict=True)
        ]
    }
    found = statistics(units, ["one", "two", "three"])
    raw = [row.wilcoxon_p for row in found.differences]
    assert found.tests == len(raw) >= 6
    assert [row.holm_p for row in found.differences] == pytest.approx(holm(raw))
    best = min(found.differences, key=lambda row: row.wilcoxon_p or 1.0)
    assert best.wilcoxon_p is not None
    assert best.holm_p == pytest.approx(best.wilcoxon_p * len(raw))
    assert any(f"for all {len(raw)} tests" in line for line in found.verdict)


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
        "welfare": 2 * profit,
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


def test_the_front_of_welfare_is_its_own() -> None:
    costly = run(9, 0.5) | {"welfare": 1.0}  # what it earns is taken from the owners
    found = statistics(
        {"a": [{"kind": run(5, 0.9), "costly": costly, "idle": run(0, 1.0)}] * 2}, ["kind", "costly", "idle"]
    )
    assert found.pareto_front == ("kind", "costly", "idle")
    assert found.welfare_front == ("kind", "idle")
    assert found.to_json()["welfare_front"] == ["kind", "idle"]


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
