"""The coalition's program against hand solutions, the price outlook behind it, and the policy's options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vpp_policies.agentic import agentic
from vpp_policies.agentic import dispatch as module
from vpp_policies.agentic.dispatch import CoalitionProblem, Lines, proportional
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, Guidance, Notice
from vpp_policies.agentic.outlook import expected, least_price, notice
from vpp_policies.forecast import make_forecaster

from tests.policies.gates import real_gate
from vpp_env.contract.policy import make_policy
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError, UnknownNameError


def announced() -> Notice:
    """An opportunity of one hour at a certain price of .10 USD/kWh."""
    return Notice(
        opportunity_id="opp-00000",
        start="2023-08-01T18:00:00-07:00",
        hours=1.0,
        day_ahead=0.10,
        weight=np.full(4, 0.25),
        price=np.full(4, 0.10),
        rho_weight=np.ones(1),
        rho=np.zeros(1),
        later=np.zeros(0),
        required_kw=100.0,
        min_bid_kw=0.0,
        margin=0.05,
        revenue_share=0.7,
        products=("spin",),
    )


def small_lines() -> Lines:
    kw = np.array([[4.0, 0.0, 3.0], [6.0, 5.0, 3.0], [6.0, 5.0, 0.0]])
    ask = np.array([[0.05, 1.0, 0.06], [0.15, 0.20, 0.06], [0.003, 0.004, 1.0]])
    return Lines(kw, ask, np.array([True, True, True]))


@pytest.fixture(scope="module")
def problem() -> CoalitionProblem:
    return CoalitionProblem(np.ones(3, dtype=bool))


def test_each_home_does_what_it_is_worth_most_for(problem: CoalitionProblem) -> None:
    # .10 pays for cars only; a battery is offered all the same, at its ask: it costs nothing where it does not clear
    share = problem.solve(small_lines(), announced()).share
    np.testing.assert_allclose(share, [[1, 0, 0], [0, 1, 1], [0, 0, 0]], atol=1e-7)
    # home 2 is a car only: its two lines are the same, and the tie goes to `full`
    assert share[CAR, 2] == pytest.approx(0.0)


def test_the_maximum_goes_to_the_cheapest(problem: CoalitionProblem) -> None:
    spike = replace(announced(), price=np.full(4, 0.5), required_kw=9.0)
    share = problem.solve(small_lines(), spike).share
    kw = share * small_lines().kw
    assert kw[:, 2].sum() == pytest.approx(3.0, abs=1e-6)
    # 6 kW are left: 4 kW of car at .05 and 2 kW at .20 (2.40 USD) beat 6 kW of everything at .15 (2.10 USD)
    assert kw[CAR, 0] == pytest.approx(4.0, abs=1e-6)
    assert kw[FULL, 1] == pytest.approx(2.0, abs=1e-6)


def test_reserve_is_enough_for_the_market_or_none(problem: CoalitionProblem) -> None:
    scarce = replace(announced(), rho=np.full(1, 0.10))
    share = problem.solve(small_lines(), scarce).share
    np.testing.assert_allclose(share[RESERVE, :2], 1.0, atol=1e-7)
    assert problem.solve(small_lines(), replace(scarce, min_bid_kw=12.0)).share[RESERVE].max() == pytest.approx(0.0)
    # 8 kW are wanted, the best plan would leave 5: the program is solved again with the minimum, and without
    mixed = replace(scarce, price=np.full(4, 0.27), rho=np.full(1, 0.09), min_bid_kw=8.0)
    reserve = float(problem.solve(small_lines(), mixed).share[RESERVE] @ small_lines().kw[FULL])
    assert reserve == pytest.approx(0.0, abs=1e-6) or reserve >= 8.0 - 1e-6


def test_nobody_outside_the_coalition_is_called(problem: CoalitionProblem) -> None:
    lines = replace(small_lines(), member=np.array([True, False, True]))
    assert problem.solve(lines, announced()).share[:, 1].max() == pytest.approx(0.0)


@pytest.mark.parametrize("guided", [False, True])
def test_home_by_home_is_the_program_where_no_sum_binds(guided: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    n, plain, solved = (
        12,
        CoalitionProblem(np.ones(12, dtype=bool), guided),
        CoalitionProblem(np.ones(12, bool), guided),
    )
    asked = Guidance(favour="cars", risk=0.5) if guided else None
    for _ in range(12):
        kw = rng.uniform(0.0, 8.0, (3, n)) * (rng.random((3, n)) < 0.8)
        kw[RESERVE] = np.minimum(kw[RESERVE], kw[FULL])
        lines = Lines(kw, rng.uniform(0.0, 0.3, (3, n)) * np.array([[1.0], [1.0], [0.1]]), rng.random(n) < 0.8)
        said = replace(announced(), price=np.sort(rng.uniform(-0.1, 0.4, 4)), rho=rng.uniform(0.0, 0.1, 1))
        found = plain.solve(lines, said, asked).share
        with monkeypatch.context() as patched:
            patched.setattr(module, "apart", lambda gain, member, able: np.full_like(gain, 1e9))  # within no limit
            program = solved.solve(lines, said, asked)
        assert not program.fallback
        np.testing.assert_allclose(found * kw, program.share * kw, atol=1e-7)
    assert plain._program is None
    assert solved._program is not None


def test_least_price_is_where_the_minimum_is_reached() -> None:
    kw, ask = np.array([4.0, 5.0, 3.0]), np.array([0.20, 0.10, 0.05])
    assert least_price(kw, ask, 0.05, 8.0) == pytest.approx(0.105)
    assert least_price(kw, ask, 0.05, 12.0) == pytest.approx(0.21)
    assert least_price(kw, ask, 0.05, 13.0) == np.inf
    assert least_price(kw, ask, 0.05, 0.0) == -np.inf


def test_fallback_keeps_within_the_maximum() -> None:
    little = replace(announced(), required_kw=7.0)
    assert (proportional(small_lines(), little) * small_lines().kw).sum() == pytest.approx(7.0)


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=200), st.floats(0, 0.5))
def test_a_limit_is_worth_what_clears_above_it(sample: list[float], ask: float) -> None:
    price, weight = np.sort(sample), np.full(len(sample), 1.0 / len(sample))
    direct = sum(w * (p - ask) for p, w in zip(price, weight, strict=True) if p >= ask * 1.05)
    assert expected(price, weight, np.array([ask]), 0.05)[0] == pytest.approx(direct, abs=1e-9)


def test_the_announcement_holds_the_price_models_hour() -> None:
    _, public, rules = real_gate(42)
    forecast = make_forecaster("learned")(public, 1)
    weight, reserve = forecast.weight[0], forecast.reserve_points[0]
    made = notice(public, rules, make_forecaster("learned"))
    assert made.weight.sum() == pytest.approx(1.0)
    assert (np.diff(made.price) >= 0.0).all()
    assert made.price @ made.weight == pytest.approx(float(forecast.price[0].mean(axis=1) @ weight))
    assert made.rho @ made.rho_weight == pytest.approx(float(reserve) if rules.products else 0.0)
    added = replace(public, incentive_usd_per_kwh=np.full(len(public.da_usd_per_kwh), 2.0))
    assert notice(added, rules, make_forecaster("learned")).price == pytest.approx(made.price + 2.0)


def test_wrong_options_name_the_remedy() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rules'"):
        agentic(brain="rule")
    with pytest.raises(UnknownNameError, match="summary"):
        agentic(transcript="all")
    with pytest.raises(PolicyError, match="max_rounds: got 0"):
        agentic(max_rounds=0)
    assert make_policy("agentic(max_rounds=1)").info.information is Information.DECLARED
