"""The auction's clearing: hand solutions, and brute force over every price."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpp_policies.auction import clear


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_three_sellers_and_two_buyers() -> None:
    # merit order: 3 kW at 40, 2 at 60, 4 at 90; buyers: 4 kW at 100, 3 at 70. Five kW trade; the buyer at 70 gets 1 kW
    # of its 3: it is the last one in and the first one out, so that no other price than its own clears
    got = clear(array(60, 40, 90), array(2, 3, 4), array(70, 100), array(3, 4))
    assert got.volume == 5.0
    assert got.price == 70.0
    np.testing.assert_array_equal(got.sold, [2, 3, 0])
    np.testing.assert_array_equal(got.bought, [1, 4])


def test_the_price_is_the_middle_of_those_that_clear() -> None:
    # both sides end at 5 kW: any price from 60 (last seller) to 70 (last buyer) clears; 90 and 50 are left out
    got = clear(array(60, 40, 90), array(2, 3, 4), array(70, 100, 50), array(1, 4, 1))
    assert (got.volume, got.price) == (5.0, 65.0)
    # the left-out buyer at 66 would buy below it, the left-out seller at 68 would sell above
    assert clear(array(60, 40, 68), array(2, 3, 4), array(70, 100, 66), array(1, 4, 1)).price == 67.0


def test_who_asks_too_much_does_not_trade() -> None:
    got = clear(array(80, 90), array(2, 3), array(70, 60), array(1, 4))
    assert (got.volume, got.price) == (0.0, 75.0)
    assert not got.sold.any()
    assert not got.bought.any()
    for supply, demand in ((array(0, 0), array(1, 4)), (array(2, 3), array(0, 0))):
        nobody = clear(array(80, 90), supply, array(70, 60), demand)
        assert np.isnan(nobody.price)
        assert nobody.volume == 0.0


def test_equals_at_the_margin_share_alike() -> None:
    got = clear(array(50, 50, 10), array(2, 6, 1), array(80), array(5))
    np.testing.assert_allclose(got.sold, [1, 3, 1])
    assert got.price == 50.0
    # the unlimited seller at 50 stands for a wholesale market: it fills what is left
    assert clear(array(10, 50), array(1, 1e6), array(80), array(5)).price == 50.0


offers_of = st.lists(st.tuples(st.integers(-20, 60), st.integers(0, 9)), min_size=1, max_size=8)


@given(offers_of, offers_of)
@settings(max_examples=300, deadline=None)
def test_against_every_price(sellers: list[tuple[int, int]], buyers: list[tuple[int, int]]) -> None:
    """The volume is the best of all prices tried one by one, it balances, and nobody regrets the price."""
    (ask, supply), (limit, demand) = (np.array(x, dtype=np.float64).T for x in (sellers, buyers))
    got = clear(ask, supply, limit, demand)
    best = max(min(supply[ask <= p].sum(), demand[limit >= p].sum()) for p in range(-21, 62))
    assert got.volume == best
    assert got.sold.sum() == pytest.approx(got.volume, abs=1e-9)
    assert got.bought.sum() == pytest.approx(got.volume, abs=1e-9)
    assert (got.sold <= supply + 1e-12).all()
    assert (got.bought <= demand + 1e-12).all()
    if np.isnan(got.price):
        return
    assert (ask[got.sold > 0] <= got.price).all()
    assert (limit[got.bought > 0] >= got.price).all()
    # an offer that is better than the price is taken whole
    np.testing.assert_allclose(got.sold[ask < got.price], supply[ask < got.price], atol=1e-9)
    np.testing.assert_allclose(got.bought[limit > got.price], demand[limit > got.price], atol=1e-9)
    # rows in another order: the same result
    back = clear(ask[::-1], supply[::-1], limit[::-1], demand[::-1])
    assert back.price == got.price
    np.testing.assert_allclose(back.sold[::-1], got.sold, atol=1e-12)


@given(offers_of, offers_of, st.integers(0, 7), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_only_the_margin_moves_the_price(
    sellers: list[tuple[int, int]], buyers: list[tuple[int, int]], who: int, lie: int
) -> None:
    (ask, supply), (limit, demand) = (np.array(x, dtype=np.float64).T for x in (sellers, buyers))
    true, i = clear(ask, supply, limit, demand), who % len(ask)
    if true.volume == 0.0:
        return
    last = ask[true.sold > 0].max()
    told = ask.copy()
    told[i] += lie
    lied = clear(told, supply, limit, demand)
    if told[i] < last:
        # still inside the margin: nothing changes for anybody
        assert lied.price == true.price
        np.testing.assert_allclose(lied.sold, true.sold, atol=1e-9)
    elif true.sold[i] == 0.0 and ask[i] > true.price and lied.sold[i] > 0.0:
        raise AssertionError("who did not trade cannot trade by asking for more")


def test_the_home_at_the_margin_can_move_the_price() -> None:
    """What this auction is not: truth is no dominant strategy at the margin."""
    args = array(2, 3), array(100), array(5)
    assert clear(array(40, 60), *args).price == 80.0
    assert clear(array(40, 80), *args).price == 90.0
