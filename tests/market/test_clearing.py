"""Energy clearing: integers against brute force, thresholds at exact ticks, the cap, the minimum bid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from support import begin, month, scenario, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.errors import UnknownNameError
from vpp_env.jit import ALONE, kernel
from vpp_env.market.clearing import make_clearing
from vpp_env.market.energy import clear_side
from vpp_env.market.payment import make_payment
from vpp_env.units import PRICE_TICK, Ints

few = settings(deadline=None, max_examples=60, derandomize=True)
books = st.lists(st.tuples(st.integers(0, 40), st.integers(-6, 8)), min_size=1, max_size=25)


@kernel
def _clear(quanta: Ints, ticks: Ints, highest: int, cap: int, award: Ints) -> int:
    return clear_side(quanta, ticks, 1, highest, cap, award, ALONE)


def clear(quanta: list[int], ticks: list[int], highest: int, cap: int) -> tuple[list[int], int]:
    award = np.zeros(len(quanta), dtype=np.int64)
    last = _clear(np.array(quanta), np.array(ticks), highest, cap, award)
    return award.tolist(), last


def brute(quanta: list[int], ticks: list[int], highest: int, cap: int) -> list[int]:
    """Tick by tick up the curve; at the tick that does not fit, everybody gets the same share, rounded down."""
    award, left = [0] * len(quanta), cap
    for tick in sorted({t for t in ticks if t <= highest}):
        here = [i for i, t in enumerate(ticks) if t == tick]
        total = sum(quanta[i] for i in here)
        if total <= left:
            for i in here:
                award[i] = quanta[i]
            left -= total
            continue
        for i in here:
            award[i] = quanta[i] * left // total
        break
    return award


@few
@given(book=books, highest=st.integers(-8, 9), cap=st.integers(0, 400))
def test_clearing_is_the_brute_force_one(book: list[tuple[int, int]], highest: int, cap: int) -> None:
    quanta, ticks = [q for q, _ in book], [t for _, t in book]
    award, last = clear(quanta, ticks, highest, cap)
    assert award == brute(quanta, ticks, highest, cap)
    assert sum(award) <= cap
    accepted = [t for a, t in zip(award, ticks, strict=True) if a > 0]
    assert last == (max(accepted) if accepted else highest + 1)


@few
@given(book=books, cap=st.integers(0, 400), seed=st.integers(0, 99))
def test_the_order_of_homes_does_not_matter(book: list[tuple[int, int]], cap: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(book))
    plain, _ = clear([q for q, _ in book], [t for _, t in book], 5, cap)
    mixed, _ = clear([book[i][0] for i in order], [book[i][1] for i in order], 5, cap)
    assert [plain[i] for i in order] == mixed


@few
@given(st.data())
def test_merit_order_is_the_linear_programme(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    quanta = data.draw(st.lists(st.integers(1, 50), min_size=n, max_size=n))
    ticks = data.draw(st.lists(st.integers(0, 60), min_size=n, max_size=n, unique=True))
    lmp, cap = data.draw(st.integers(-5, 60)), data.draw(st.integers(0, 200))
    award, _ = clear(quanta, ticks, lmp, cap)
    surplus = np.array([lmp - t for t in ticks], dtype=float)
    best = linprog(-surplus, A_ub=np.ones((1, n)), b_ub=[cap], bounds=[(0, q) for q in quanta])
    assert float(surplus @ award) == pytest.approx(-best.fun, abs=1e-6)


@pytest.mark.parametrize("ask", [0, 1, 7, 100, 140, 333, 500])
def test_a_price_taker_clears_exactly_at_its_offer(ask: int) -> None:
    market = scenario().market
    price = ask * PRICE_TICK
    offer = price * (1 + market.margin)
    terms = make_clearing(market).terms(np.array([[offer, offer - 1e-7, offer + 1e-7]]))
    accepted = ask <= terms.highest_ask[0]
    assert accepted.tolist() == [True, False, True]
    limits = make_clearing(market).terms(np.array([[price, price + 1e-7, price - 1e-7]])).lowest_limit[0]
    assert (ask >= limits).tolist() == [True, False, True]


@pytest.mark.parametrize("ask", [11, 110, 440])
def test_pm10_clears_exactly_at_one_tenth_above(ask: int) -> None:
    market = scenario("reference").market
    price = ask * PRICE_TICK
    lmp = np.array([[price / 1.1, price / 1.1 - 1e-7]])
    assert (ask <= make_clearing(market).terms(lmp).highest_ask[0]).tolist() == [True, False]
    assert (ask <= make_clearing(scenario().market).terms(lmp).highest_ask[0]).tolist() == [False, False]


def test_no_ask_clears_at_a_negative_price() -> None:
    for name in ("week20", "reference"):
        terms = make_clearing(scenario(name).market).terms(np.array([[-0.001, -0.15]]))
        assert (terms.highest_ask < 0).all()
    # a purchase at a negative limit clears only when the price is as low
    assert make_clearing(scenario().market).terms(np.array([[-0.05]])).lowest_limit[0, 0] == -50


def test_unknown_rules_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="price_taker"):
        make_clearing(scenario(changes={"market.clearing": "price_takr"}).market)
    with pytest.raises(UnknownNameError, match="pay_as_bid"):
        make_payment(scenario(changes={"market.payment": "pay_as_bit"}).market)


HOUR = {"time.duration_hours": 1, "fleet.size": 60, "fleet.share_bess": 1.0, "market.min_bid_mw": 0.0}


def sale(changes: dict[str, float], rt: float = 300.0, **offer: np.ndarray | float):
    world = begin(with_prices(month("week20", HOUR | changes), rt=rt, calls=False))
    return world, world.step(encode(world.sell_limit_kw, world.buy_limit_kw, **offer))


def test_the_cap_binds_both_sides_and_reserve_with_energy() -> None:
    cap = 50.0
    _, o = sale({"market.max_capacity_mw": 0.05}, sell1_kw=99.0, sell1_ask=0.0, reserve_kw=99.0, reserve_ask=0.0)
    assert (o.award_kw[:, 0] <= cap + 1e-9).all()
    assert (o.award_kw[:, 0] > cap - 0.6).all(), "at most a quantum a home is lost to rounding"
    assert (o.award_kw[:, 0] + o.reserve_kw[:, 0] <= cap + 1e-9).all()
    _, free = sale({}, sell1_kw=99.0, sell1_ask=0.0)
    assert free.award_kw[0, 0] > 2 * cap
    _, b = sale({"market.max_capacity_mw": 0.05}, rt=10.0, buy_kw=99.0, buy_limit=0.35)
    assert (b.award_kw[:, 0] >= -cap - 1e-9).all()
    assert (b.award_kw[:, 0] < -cap + 0.6).all()


@pytest.mark.parametrize("minimum", ["offer", "award"])
def test_what_is_below_the_minimum_is_void_and_moves_nothing(minimum: str) -> None:
    world, o = sale({"market.min_bid_mw": 0.05, "market.minimum": minimum}, sell1_kw=0.5, sell1_ask=0.0)
    assert o.void.all()
    assert not o.award_kw.any()
    assert not o.ledger[[led.L_SOLD, led.L_PAY_SOLD, led.L_AWARD]].any()
    assert o.money.profit[0] == 0.0
    assert not o.taken.any()
    _, fits = sale({"market.min_bid_mw": 0.01, "market.minimum": minimum}, sell1_kw=0.5, sell1_ask=0.0)
    assert not fits.void.any()
    assert fits.taken.all()
    assert (fits.award_kw >= 10.0).all()
    assert world.n_homes * 0.5 == pytest.approx(float(fits.award_kw[0, 0]), abs=0.5)


def test_an_offer_of_the_minimum_clears_in_any_size() -> None:
    """Most of what is offered is too dear; the rest clears though it is too small an award."""
    ask = np.where(np.arange(HOUR["fleet.size"]) < 6, 0.05, 0.4)
    rules = {"market.min_bid_mw": 0.02}
    _, o = sale(rules, sell1_kw=0.5, sell1_ask=ask)
    assert o.taken.all()
    assert not o.void.any()
    assert (o.award_kw[:, 0] > 0.0).all()
    assert (o.award_kw[:, 0] <= 3.0 + 1e-9).all()
    _, a = sale(rules | {"market.minimum": "award"}, sell1_kw=0.5, sell1_ask=ask)
    assert a.void.all()
    assert not a.taken.any()
    assert not a.award_kw.any()
    _, dear = sale(rules, sell1_kw=0.5, sell1_ask=0.4)
    assert dear.taken.all(), "an offer that nobody buys is taken all the same"
    assert not dear.award_kw.any()


def test_sales_and_purchases_net_out_before_the_minimum() -> None:
    world = begin(
        with_prices(
            month("week20", HOUR | {"market.min_bid_mw": 0.02, "market.minimum": "award"}), rt=300.0, calls=False
        )
    )
    seller = np.arange(world.n_homes) % 2 == 0
    o = world.step(
        encode(
            world.sell_limit_kw,
            world.buy_limit_kw,
            sell1_kw=np.where(seller, 1.0, 0.0),
            sell1_ask=0.0,
            buy_kw=np.where(seller, 0.0, 1.0),
            buy_limit=0.35,
        )
    )
    assert o.void.all(), "30 kW each way is about 0 MW to the market"


def test_who_sells_and_buys_at_once_trades_the_difference() -> None:
    world, o = sale({}, sell1_kw=3.0, sell1_ask=0.0, buy_kw=1.0, buy_limit=0.35)
    flow = o.flow_kw[:, :, 0]
    assert o.ledger[led.L_BOUGHT].sum() == 0.0
    assert (flow[:, FLOW.sold] <= 2.0 * world.n_homes + 1e-9).all()
    assert flow[0, FLOW.sold] > world.n_homes


def test_the_dearer_half_is_left_out_by_the_cap() -> None:
    n = HOUR["fleet.size"]
    ask = np.where(np.arange(n) < n / 2, 0.05, 0.10)
    _, o = sale({"market.max_capacity_mw": 0.03}, sell1_kw=1.0, sell1_ask=ask)
    sold = o.ledger[led.L_SOLD, 0]
    assert sold[ask > 0.05].sum() < 0.05 * sold.sum()


@pytest.mark.parametrize(("rule", "pay"), [("floor_and_share", 0.21), ("pay_as_bid", 0.05), ("uniform", 0.09)])
def test_payment_rules(rule: str, pay: float) -> None:
    n = HOUR["fleet.size"]
    ask = np.where(np.arange(n) % 2 == 0, 0.05, 0.09)
    _, o = sale({"market.payment": rule}, sell1_kw=1.0, sell1_ask=ask)
    cheap = (ask == 0.05) & (o.ledger[led.L_SOLD, 0] > 0)
    per_kwh = o.ledger[led.L_PAY_SOLD, 0, cheap] / o.ledger[led.L_SOLD, 0, cheap]
    np.testing.assert_allclose(per_kwh, pay, atol=1e-9)
