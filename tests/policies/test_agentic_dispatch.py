"""The coalition's program against hand solutions, and the price outlook behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.agentic.dispatch import CoalitionProblem, Lines, expected, least_price, proportional
from policies.agentic.outlook import WEIGHT, bins
from policies.agentic.state import CAR, FULL, STANDBY, Notice


def told() -> Notice:
    """An opportunity of one hour at a certain price of .10 USD/kWh."""
    flat = np.full(len(WEIGHT), 0.10)
    return Notice(
        opportunity_id="opp-00000",
        start="2023-08-01T18:00:00-07:00",
        hours=1.0,
        day_ahead=0.10,
        weight=WEIGHT,
        price=flat,
        rho=flat * 0.0,
        later=np.zeros((0, len(WEIGHT))),
        cheap=np.zeros(0),
        required_kw=100.0,
        min_bid_kw=0.0,
        margin=0.05,
        revenue_share=0.7,
        products=("spin",),
        max_rounds=3,
    )


def small_lines() -> Lines:
    kw = np.array([[4.0, 0.0, 3.0], [6.0, 5.0, 3.0], [6.0, 5.0, 0.0]])
    ask = np.array([[0.05, 1.0, 0.06], [0.15, 0.20, 0.06], [0.003, 0.004, 1.0]])
    return Lines(kw, ask, np.array([True, True, True]))


def test_dispatch_against_hand_solutions() -> None:
    flat = np.full(len(WEIGHT), 0.10)
    cheap = replace(told(), price=flat, rho=flat * 0.0, min_bid_kw=0.0, required_kw=100.0)
    problem = CoalitionProblem(3)
    # .10 pays for cars only; a battery is offered all the same, at its ask
    share = problem.solve(small_lines(), cheap).share
    np.testing.assert_allclose(share, [[1, 0, 0], [0, 1, 1], [0, 0, 0]], atol=1e-7)
    # a spike pays for everything, and the VPP's maximum goes to the cheapest asks
    share = problem.solve(small_lines(), replace(cheap, price=flat * 5, required_kw=9.0)).share
    assert (share * small_lines().kw)[:, 2].sum() == pytest.approx(3.0, abs=1e-6)
    assert (share[:2] * small_lines().kw[:2]).sum() == pytest.approx(9.0, abs=1e-6)
    # reserve pays more than energy: storage stands by, unless it is too little for the market
    scarce = replace(cheap, rho=flat)
    share = problem.solve(small_lines(), scarce).share
    np.testing.assert_allclose(share[STANDBY, :2], 1.0, atol=1e-7)
    assert problem.solve(small_lines(), replace(scarce, min_bid_kw=12.0)).share[STANDBY].sum() == pytest.approx(0.0)


def test_fallback_keeps_within_the_maximum() -> None:
    little = replace(told(), required_kw=7.0)
    assert (proportional(small_lines(), little) * small_lines().kw).sum() == pytest.approx(7.0)


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=200), st.floats(0, 0.5))
def test_outlook_keeps_the_mean_and_values_a_limit(sample: list[float], ask: float) -> None:
    price = bins(np.asarray(sample))
    assert price @ WEIGHT == pytest.approx(np.mean(sample), abs=1e-9)
    assert (np.diff(price) >= -1e-12).all()
    direct = sum(w * (p - ask) for p, w in zip(price, WEIGHT, strict=True) if p >= ask * 1.05)
    assert expected(price, WEIGHT, np.array([ask]), 0.05)[0] == pytest.approx(direct, abs=1e-9)


