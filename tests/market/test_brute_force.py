"""Each clearing against the naive one, written independently: awards to the quantum, prices to 1e-12."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market.naive import TICK, Awards, Home, Rules, net, pm10, price_taker, residual
from support import scenario

from vpp_env.core.layout import Quote
from vpp_env.jit import ALONE, kernel
from vpp_env.market.clearing import Clearing, Logit, Pm10, PriceTaker, ResidualSupply, make_clearing
from vpp_env.market.day_ahead import clear_day_ahead
from vpp_env.market.energy import Bench, clear_energy, new_bench
from vpp_env.market.opportunity import new_results
from vpp_env.market.payment import PaymentRule
from vpp_env.market.state import Awards as MarketAwards
from vpp_env.market.state import IntervalResults, MarketState
from vpp_env.units import POWER_QUANTUM_KW, Floats, Ints

few = settings(deadline=None, max_examples=150, derandomize=True)


@kernel
def _clear(
    offers: Ints, able: Quote[Floats], market: MarketState, bench: Bench, awards: MarketAwards, results: IntervalResults
) -> None:
    clear_energy(0, offers, able, market, 0, bench, awards, results, ALONE)


MARGIN = Fraction(1, 20)
homes_st = st.lists(
    st.builds(
        Home,
        sell=st.integers(0, 40),
        ask=st.integers(0, 60),
        sell2=st.integers(0, 40),
        ask2=st.integers(0, 60),
        buy=st.integers(0, 40),
        limit=st.integers(-20, 60),
        can_sell=st.integers(0, 40),
        can_buy=st.integers(0, 40),
    ),
    min_size=1,
    max_size=12,
)
prices = st.integers(-300, 700).map(lambda x: Fraction(x, 10_000))
rules_st = st.builds(
    Rules,
    lmp=prices,
    margin=st.just(MARGIN),
    cap=st.integers(0, 250),
    least=st.integers(0, 30),
    incentive=st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 100), Fraction(2)]),
    on_offers=st.booleans(),
    dispatch=st.sampled_from([0, 0, 5, 60, 200]),
    strike=st.sampled_from([0, 20, 45]),
)


def clear(homes: list[Home], r: Rules, clearing: Clearing, shift: float = 0.0) -> tuple[Awards, float]:
    """The market room's own answer: awards of either line and purchases, and price."""
    lmp, incentive = np.array([[float(r.lmp)]]), np.array([[float(r.incentive)]])
    terms = clearing.terms(lmp, incentive, np.array([[shift]]))
    none, nobody = np.zeros((1, 1, 0)), np.zeros(0, dtype=np.bool_)
    market = MarketState(
        highest_ask=terms.highest_ask,
        lowest_limit=terms.lowest_limit,
        lmp=lmp,
        rho=none,
        reserve_highest=none.astype(np.int64),
        called=np.zeros((1, 1), dtype=np.bool_),
        is_down=nobody,
        callable=nobody,
        cap_q=np.array([r.cap]),
        min_q=r.least,
        on_offers=r.on_offers,
        incentive=incentive,
        event_kwh=np.zeros(1),
        slope=terms.slope * POWER_QUANTUM_KW,
        offer_factor=1.0 + float(r.margin),
        da=lmp,
        day_ahead_kw=np.zeros((1, 1)),
        dispatch_q=np.array([r.dispatch]),
        dispatch_tick=r.strike,
        payment=PaymentRule(0.0, 0.0),
    )
    n = len(homes)
    zero = [0] * n
    rows = [[getattr(h, name) for h in homes] for name in ("sell", "ask", "sell2", "ask2", "buy", "limit")]
    offers = np.array([*rows, zero, zero], dtype=np.int64)[:, None, :]
    sell, buy, reserve, product = (np.zeros((1, n), dtype=np.int64) for _ in range(4))
    lines = np.zeros((1, 2 * n), dtype=np.int64)
    awards = MarketAwards(
        lines,
        sell,
        buy,
        reserve,
        product,
        np.zeros(1, dtype=np.int64),
        np.zeros((1, 0), dtype=np.int64),
        np.zeros(1, dtype=np.bool_),
    )
    results = new_results(1, 1, n)
    can = [np.array([getattr(h, k) for h in homes]) * POWER_QUANTUM_KW for k in ("can_sell", "can_buy")]
    _clear(offers, Quote(*can, *can, can[0]), market, new_bench(awards.sell.shape[1]), awards, results)
    assert np.array_equal(sell[0], lines[0, :n] + lines[0, n:])
    got = list(zip(lines[0, :n].tolist(), lines[0, n:].tolist(), buy[0].tolist(), strict=True))
    return got, float(results.lmp[0, 0])


@few
@given(homes=homes_st, r=rules_st)
def test_price_taker(homes: list[Home], r: Rules) -> None:
    assert clear(homes, r, PriceTaker(float(MARGIN))) == (price_taker(homes, r), float(r.lmp))


@few
@given(homes=homes_st, r=rules_st)
def test_pm10(homes: list[Home], r: Rules) -> None:
    assert clear(homes, r, Pm10()) == (pm10(homes, r), float(r.lmp))


@few
@given(homes=homes_st, r=rules_st, shift=st.integers(-40, 40), scale=st.sampled_from([1, 5, 20]))
def test_logit_moves_the_threshold_and_not_the_price(homes: list[Home], r: Rules, shift: int, scale: int) -> None:
    moved = replace(r, threshold=r.lmp + Fraction(scale, 1000) * Fraction(shift, 10))
    got = clear(homes, r, Logit(float(MARGIN), scale / 1000), shift / 10)
    assert got == (price_taker(homes, moved), float(r.lmp))


@few
@given(homes=homes_st, r=rules_st, slope=st.sampled_from([1, 10, 100, 1_000, 10_000]))
def test_residual_supply(homes: list[Home], r: Rules, slope: int) -> None:
    per_quantum = Fraction(slope, 10_000_000)
    got, price = clear(homes, r, ResidualSupply(float(MARGIN), float(per_quantum) / POWER_QUANTUM_KW))
    expected, expected_price = residual(homes, r, per_quantum)
    assert got == expected
    assert price == pytest.approx(float(expected_price), abs=1e-12)


@few
@given(homes=homes_st, r=rules_st)
def test_residual_supply_is_a_fixed_point(homes: list[Home], r: Rules) -> None:
    """Who trades wants to at the price that the trade makes; who wants to by more than rounding is served or capped."""
    slope, r = 1e-6, replace(r, dispatch=0)  # a call dispatches whatever the price
    got, price = clear(homes, r, ResidualSupply(float(MARGIN), slope / POWER_QUANTUM_KW))
    assert price == pytest.approx(float(r.lmp) - slope * net(got), abs=1e-12)
    rounding = slope * (2 * len(homes) + 1)

    def offer(ask: int) -> float:
        return ask * float(TICK * (1 + MARGIN)) - float(r.incentive)

    for h, (first, second, bought) in zip(homes, got, strict=True):
        assert first == 0 or offer(h.ask) <= price + rounding
        assert second == 0 or offer(h.ask2) <= price + rounding
        assert bought == 0 or h.limit * float(TICK) - float(r.incentive) >= price - rounding
    if 0 < net(got) < r.cap - 2 * len(homes) and not any(bought for _, _, bought in got):
        for h, q in zip(homes, got, strict=True):
            if h.buy == 0:
                for _, line, quanta in h.lines:
                    if offer((h.ask, h.ask2)[line]) < price - rounding:
                        assert q[line] == quanta


def test_a_flat_curve_is_a_price_taker() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        homes = [Home(*(int(x) for x in rng.integers(0, 40, 8))) for _ in range(8)]
        r = Rules(Fraction(int(rng.integers(0, 400)) * 10 + 5, 100_000), MARGIN, 200, 3)
        flat = clear(homes, r, ResidualSupply(float(MARGIN), 1e-12))
        assert flat[0] == clear(homes, r, PriceTaker(float(MARGIN)))[0]


def test_logit_accepts_with_its_stated_probability() -> None:
    market = scenario(changes={"market.clearing": "logit", "market.logit_scale_usd_per_mwh": 10.0}).market
    draws = np.random.default_rng(1).logistic(size=(40_000, 1))
    lmp = np.full_like(draws, 0.060)
    terms = make_clearing(market).terms(lmp, 0.0, draws)
    for ask in (20, 50, 57, 70, 100):
        offer = ask * 1e-3 * (1 + market.margin)
        assert (ask <= terms.highest_ask).mean() == pytest.approx(1 / (1 + np.exp((offer - 0.06) / 0.01)), abs=0.01)
        assert (ask >= terms.lowest_limit).mean() == pytest.approx(
            1 / (1 + np.exp((0.06 - ask * 1e-3) / 0.01)), abs=0.01
        )


@few
@given(
    rows=st.lists(st.tuples(*[st.integers(-60, 60)] * 3), min_size=1, max_size=25),
    most=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    least=st.integers(0, 20),
)
def test_day_ahead_hours_clear_one_by_one(rows: list[tuple[int, int, int]], most: tuple[int, int], least: int) -> None:
    expected = []
    for kw, limit, price in rows:
        clears = price >= limit if kw > 0 else price <= limit
        q = max(-most[1], min(kw, most[0])) if clears else 0
        expected.append(q if abs(q) >= least else 0)
    kw, limit, price = (np.array(x, dtype=float) for x in zip(*rows, strict=True))
    got = clear_day_ahead(kw, limit / 1000, price / 1000, *map(float, most), float(least))
    assert got.tolist() == expected
