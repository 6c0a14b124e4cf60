"""Bids: what is encoded is decoded, to the quantum and the tick, and never for more or less than was meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import month

from vpp_env.contract.bids import RESERVE_TICK, Offers, check_actions, decode, encode
from vpp_env.errors import BidError
from vpp_env.units import BUY_LIMIT_RANGE, POWER_QUANTUM_KW, PRICE_TICK, RESERVE_ASK_RANGE, SELL_ASK_RANGE

FLEET = month(
    "week20", {"fleet.size": 40, "fleet.share_bess": 0.8, "fleet.share_ev": 0.8, "fleet.v2g_share": 0.5}
).fleet
SELL, BUY = FLEET.sell_limit_kw, FLEET.buy_limit_kw
SELL1_Q, SELL1_TICK, SELL2_Q, SELL2_TICK, BUY_Q, BUY_TICK, RESERVE_Q, RESERVE_TICKS = range(8)


def there_and_back(**offer: np.ndarray | float) -> np.ndarray:
    return decode(check_actions(encode(SELL, BUY, **offer), FLEET.n), SELL, BUY)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_quanta_and_ticks_come_back_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = {limit: np.floor(kw / POWER_QUANTUM_KW + 1e-9).astype(np.int64) for limit, kw in (("s", SELL), ("b", BUY))}
    q_sell, q_dear, q_buy, q_reserve = (
        rng.integers(0, whole["s"] + 1),
        rng.integers(0, whole["s"] + 1),
        rng.integers(0, whole["b"] + 1),
        rng.integers(0, whole["s"] + 1),
    )
    ask, dear, reserve_ask = (
        rng.integers(0, 1001, FLEET.n),
        rng.integers(0, 1001, FLEET.n),
        rng.integers(0, 501, FLEET.n),
    )
    limit = rng.integers(-150, 351, FLEET.n)
    offers = there_and_back(
        sell1_kw=q_sell * POWER_QUANTUM_KW,
        sell1_ask=ask * PRICE_TICK,
        sell2_kw=q_dear * POWER_QUANTUM_KW,
        sell2_ask=dear * PRICE_TICK,
        buy_kw=q_buy * POWER_QUANTUM_KW,
        buy_limit=limit * PRICE_TICK,
        reserve_kw=q_reserve * POWER_QUANTUM_KW,
        reserve_ask=reserve_ask * RESERVE_TICK,
    )
    for row, expected in enumerate((q_sell, ask, q_dear, dear, q_buy, limit, q_reserve, reserve_ask)):
        np.testing.assert_array_equal(offers[row], expected)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_nothing_is_promised_beyond_what_was_meant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kw = [rng.uniform(0, 1, FLEET.n) * x for x in (SELL, BUY, SELL, SELL)]
    dear = rng.uniform(*SELL_ASK_RANGE, FLEET.n)
    ask, limit, reserve = (rng.uniform(*span, FLEET.n) for span in (SELL_ASK_RANGE, BUY_LIMIT_RANGE, RESERVE_ASK_RANGE))
    o = there_and_back(
        sell1_kw=kw[0],
        sell1_ask=ask,
        sell2_kw=kw[3],
        sell2_ask=dear,
        buy_kw=kw[1],
        buy_limit=limit,
        reserve_kw=kw[2],
        reserve_ask=reserve,
    )
    for row, most in ((SELL1_Q, kw[0]), (SELL2_Q, kw[3]), (BUY_Q, kw[1]), (RESERVE_Q, kw[2])):
        assert (o[row] * POWER_QUANTUM_KW <= most + 1e-7).all()
        assert (o[row] * POWER_QUANTUM_KW > most - POWER_QUANTUM_KW - 1e-7).all()
    assert (o[SELL1_TICK] * PRICE_TICK >= ask - 1e-8).all()
    assert (o[SELL2_TICK] * PRICE_TICK >= dear - 1e-8).all()
    assert (o[BUY_TICK] * PRICE_TICK <= limit + 1e-8).all()
    assert (o[RESERVE_TICKS] * RESERVE_TICK >= reserve - 1e-8).all()


def test_the_ends_of_the_box() -> None:
    low, high = (decode(np.full((FLEET.n, 8), x), SELL, BUY) for x in (-1.0, 1.0))
    assert not low[[SELL1_Q, SELL2_Q, BUY_Q, RESERVE_Q]].any()
    for row in (SELL1_Q, SELL2_Q):
        np.testing.assert_allclose(high[row] * POWER_QUANTUM_KW, SELL, atol=POWER_QUANTUM_KW)
    np.testing.assert_allclose(high[BUY_Q] * POWER_QUANTUM_KW, BUY, atol=POWER_QUANTUM_KW)
    assert (low[[SELL1_TICK, SELL2_TICK]] == 0).all()
    assert (high[[SELL1_TICK, SELL2_TICK]] == 1000).all()
    assert (low[BUY_TICK] == -150).all()
    assert (high[BUY_TICK] == 350).all()
    assert (high[RESERVE_TICKS] == 500).all()
    none = encode(np.zeros(2), np.zeros(2), sell1_kw=5.0, sell2_kw=5.0, buy_kw=5.0, reserve_kw=5.0)
    assert np.isfinite(none).all()
    assert not decode(none.astype(float), np.zeros(2), np.zeros(2))[[SELL1_Q, SELL2_Q, BUY_Q, RESERVE_Q]].any()


def test_encoded_bids_lie_in_the_box() -> None:
    a = encode(SELL, BUY, sell1_kw=1e9, sell1_ask=-3.0, buy_kw=-5.0, buy_limit=9.0, reserve_kw=1e9, reserve_ask=1.0)
    assert a.dtype == np.float32
    assert a.min() >= -1.0
    assert a.max() <= 1.0


def test_an_ask_above_the_span_is_not_offered_below_it() -> None:
    o = there_and_back(
        sell1_kw=1.0, sell1_ask=1.2, sell2_kw=1.0, reserve_kw=1.0, reserve_ask=0.09, buy_kw=1.0, buy_limit=-0.4
    )
    assert not o[[SELL1_Q, SELL2_Q, BUY_Q, RESERVE_Q]].any()


@pytest.mark.parametrize("bad", [np.zeros((3, 8)), np.zeros((40, 5)), np.zeros(240), np.full((40, 8), np.inf)])
def test_bids_of_the_wrong_kind_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(BidError, match="allowed"):
        check_actions(bad, 40)


def test_the_second_line_asks_what_the_first_asks_unless_said() -> None:
    o = there_and_back(sell1_kw=1.0, sell1_ask=0.2, sell2_kw=2.0)
    assert (o[SELL2_TICK] == 200).all()
    assert (o[SELL2_Q] == np.minimum(200, np.floor(SELL / POWER_QUANTUM_KW + 1e-6))).all()


def test_the_mean_ask_of_a_bid_is_weighted_by_quantity() -> None:
    zero, one = np.zeros(3, dtype=np.int64), np.ones(3, dtype=np.int64)
    o = Offers(np.array([10, 0, 0]), 100 * one, np.array([30, 5, 0]), 300 * one, zero, zero, zero, zero)
    assert o.sell_q.tolist() == [40, 5, 0]
    assert o.mean_tick.tolist() == [250.0, 300.0, 100.0]
    cheap, dear = o.asked_ticks
    assert dear.tolist() == [300, 300, 300]
    assert cheap.tolist() == [100, 300, 100]
