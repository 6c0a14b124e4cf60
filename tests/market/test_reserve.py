"""Reserve clearing against brute force, and what qualifies for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import begin, month, scenario, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led
from vpp_env.jit import ALONE, kernel
from vpp_env.market.reserve import (
    ReserveAwards,
    ReserveBench,
    ReserveOffers,
    ReserveTerms,
    clear_reserve,
    new_reserve_bench,
    products,
)


def one(values: list[int] | np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.int64)[None, :]


def brute(
    offers: list[tuple[int, int]],
    up: list[int],
    down: list[int],
    rho: list[float],
    high: list[int],
    room: int,
    low: int,
    on_offers: bool,
) -> tuple[list[int], list[int]]:
    """Each home picks the product that pays it most; each product fills in merit order, the best-paid list first."""
    n, kinds = len(offers), len(rho)
    can = [[min(offers[i][0], max(0, down[i] if j == kinds - 1 else up[i])) for j in range(kinds)] for i in range(n)]
    worth = [[can[i][j] * rho[j] for j in range(kinds)] for i in range(n)]
    pick = [int(np.argmax(w)) if max(w) > 0 else -1 for w in worth]
    award = [0] * n
    for j in range(kinds):
        mine = [i for i in range(n) if pick[i] == j and offers[i][1] <= high[j]]
        if on_offers and sum(can[i][j] for i in range(n) if pick[i] == j) < low:
            continue
        got, left = dict.fromkeys(mine, 0), room
        for tick in sorted({offers[i][1] for i in mine}):
            here = [i for i in mine if offers[i][1] == tick]
            total = sum(can[i][j] for i in here)
            for i in here:
                got[i] = can[i][j] if total <= left else can[i][j] * left // total
            if total > left:
                break
            left -= total
        if on_offers or sum(got.values()) >= low:
            room -= sum(got.values())
            for i in mine:
                award[i] = got[i]
    return award, pick


@kernel
def _clear(offers: ReserveOffers, terms: ReserveTerms, room: int, bench: ReserveBench, awards: ReserveAwards) -> bool:
    return clear_reserve(0, offers, terms, room, bench, awards, ALONE)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    offers=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=12),
    seed=st.integers(0, 999),
    room=st.integers(0, 200),
    low=st.integers(0, 25),
    on_offers=st.booleans(),
)
def test_reserve_clears_as_brute_force_does(
    offers: list[tuple[int, int]], seed: int, room: int, low: int, on_offers: bool
) -> None:
    rng, n = np.random.default_rng(seed), len(offers)
    up, down = rng.integers(-5, 30, n), rng.integers(-5, 30, n)
    rho, high = rng.integers(0, 8, 3).astype(float), rng.integers(-1, 10, 3)
    award, product = np.zeros((1, n), dtype=np.int64), np.zeros((1, n), dtype=np.int64)
    last = np.zeros((1, 3), dtype=np.int64)
    was_taken = _clear(
        ReserveOffers(one([q for q, _ in offers]), one([t for _, t in offers]), one(up), one(down)),
        ReserveTerms(rho[None, :], one(high), np.array([False, False, True]), low, on_offers),
        room,
        new_reserve_bench(n),
        ReserveAwards(award, product, last),
    )
    expected, pick = brute(offers, up.tolist(), down.tolist(), rho.tolist(), high.tolist(), room, low, on_offers)
    assert award[0].tolist() == expected
    assert product[0].tolist() == pick
    assert sum(expected) <= room
    if not on_offers:
        assert was_taken == (sum(expected) > 0)


HOUR = {"time.duration_hours": 1, "fleet.size": 60, "fleet.share_bess": 1.0, "fleet.share_ev": 0.0}
PRICES = {"spin": 20.0, "nonspin": 5.0, "regup": 30.0, "regdown": 12.0}


def on_reserve(changes: dict[str, float], prices: dict[str, float], **offer: float):
    made = with_prices(month("week20", HOUR | changes), rt=100.0, reserve=prices, calls=False)
    world = begin(made)
    return world, world.step(encode(world.sell_limit_kw, world.buy_limit_kw, **offer))


@pytest.mark.parametrize("minimum", ["offer", "award"])
def test_a_product_below_the_minimum_bid_is_void(minimum: str) -> None:
    _, o = on_reserve({"market.min_bid_mw": 1.0, "market.minimum": minimum}, PRICES, reserve_kw=9.0, reserve_ask=0.0)
    assert o.reserve_kw.sum() == 0.0
    assert o.money.reserve[0] == 0.0
    _, o = on_reserve({"market.min_bid_mw": 0.05, "market.minimum": minimum}, PRICES, reserve_kw=9.0, reserve_ask=0.0)
    assert (o.reserve_kw > 50.0).all()


def test_reserve_needs_its_margin_exactly() -> None:
    fair = PRICES["spin"] / 1.05 / 1000
    tick = np.floor(fair / 1e-4 + 1e-9) * 1e-4
    _, o = on_reserve({}, PRICES, reserve_kw=9.0, reserve_ask=tick)
    assert (o.reserve_kw > 0).all()
    _, o = on_reserve({}, PRICES, reserve_kw=9.0, reserve_ask=tick + 1e-4)
    assert o.reserve_kw.sum() == 0.0


def test_capacity_has_half_an_hour_of_energy_behind_it() -> None:
    world, o = on_reserve({}, PRICES, reserve_kw=99.0, reserve_ask=0.0)
    f = world.months[0].fleet
    can = np.minimum(f.bess_kw, (f.bess_init_kwh - f.bess_min_kwh) * 0.95 / 0.5)
    got = o.ledger[led.L_RESERVE, 0]
    assert (got <= can + 1e-9).all()
    np.testing.assert_allclose(got, can, atol=0.01)
    assert (can < f.bess_kw - 0.01).any(), "the half hour binds for some"


def test_regulation_down_is_room_to_charge_and_pays_the_home_that_has_it() -> None:
    dear_down = PRICES | {"spin": 1.0, "nonspin": 1.0, "regup": 1.0, "regdown": 40.0}
    world, o = on_reserve({"market.regulation": True}, dear_down, reserve_kw=2.0, reserve_ask=0.0)
    assert world.products == ("spin", "nonspin", "regup", "regdown")
    served = o.ledger[led.L_RESERVE, 0]
    assert o.money.reserve[0] == pytest.approx(0.04 * float(served.sum()), rel=0.05)
    assert products(scenario(changes={"market.reserve": False}).market) == ()


def test_energy_and_reserve_are_not_the_same_kilowatt() -> None:
    world, o = on_reserve({}, PRICES, sell1_kw=99.0, sell1_ask=0.0, reserve_kw=99.0, reserve_ask=0.0)
    f = world.months[0].fleet
    both = o.award_kw[0, 0] + o.reserve_kw[0, 0]
    assert both <= f.bess_kw.sum() + 1e-9
