"""The two sell lines of a bid: slices of their own in the merit order, one home behind both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import begin, month, with_prices

from vpp_env.contract.bids import encode
from vpp_env.core import ledger as led
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World

DT = 0.25
QUARTER: dict[str, Any] = {
    "fleet.size": 20,
    "fleet.share_bess": 1.0,
    "fleet.share_ev": 0.0,
    "market.min_bid_mw": 0.0,
    "time.opportunity_minutes": 15,
    "time.duration_hours": 2,
}
LMP = 0.200


def bid(changes: dict[str, Any], rt: float = 1000 * LMP, calls: bool = False, **offer: Any) -> tuple[World, Outcome]:
    made = with_prices(month("week20", QUARTER | changes), rt=rt, reserve={"spin": 20.0, "nonspin": 1.0}, calls=calls)
    world = begin(made)
    return world, world.step(encode(world.sell_limit_kw, world.buy_limit_kw, **offer))


def sold_kw(o: Outcome) -> np.ndarray:
    return o.ledger[led.L_AWARD, 0] / DT


def test_each_line_clears_at_its_own_ask() -> None:
    lines = {"sell1_kw": 1.0, "sell1_ask": 0.05, "sell2_kw": 1.5, "sell2_ask": 0.19}
    for rt, kw in ((40.0, 0.0), (100.0, 1.0), (199.0, 1.0), (199.5, 2.5)):
        _, o = bid({}, rt=rt, **lines)
        np.testing.assert_allclose(sold_kw(o), kw, atol=1e-9)
    swapped = {"sell1_kw": 1.5, "sell1_ask": 0.19, "sell2_kw": 1.0, "sell2_ask": 0.05}
    _, a = bid({}, rt=199.5, **lines)
    _, b = bid({}, rt=199.5, **swapped)
    np.testing.assert_allclose(a.ledger, b.ledger, atol=1e-12)


def test_each_line_is_paid_its_own_ask_or_the_share() -> None:
    _, o = bid({}, sell1_kw=1.0, sell1_ask=0.05, sell2_kw=1.5, sell2_ask=0.19)
    pay = DT * (1.0 * 0.7 * LMP + 1.5 * 0.19)
    np.testing.assert_allclose(o.ledger[led.L_PAY_SOLD, 0], pay, atol=1e-12)
    assert o.money.energy[0] == pytest.approx(20 * 2.5 * DT * LMP, abs=1e-9)


def test_what_a_home_can_deliver_caps_the_sum_and_the_dearer_line_gives_way() -> None:
    world, o = bid({}, sell1_kw=99.0, sell1_ask=0.19, sell2_kw=2.0, sell2_ask=0.05)
    can = begin(world.months[0]).snapshot().homes.quote.sell
    np.testing.assert_allclose(sold_kw(o), np.floor(can / 0.01 + 1e-9) * 0.01, atol=1e-9)
    np.testing.assert_allclose(o.ledger[led.L_PAY_SOLD, 0], DT * (2.0 * 0.14 + (sold_kw(o) - 2.0) * 0.19), atol=1e-9)
    # what was bid beyond it is on record
    assert o.projected_kw[0] == pytest.approx(float((world.sell_limit_kw + 2.0 - sold_kw(o)).sum()), abs=0.2)


def test_the_minimum_counts_both_lines_as_they_can_be_delivered() -> None:
    lines = {"sell1_kw": 1.0, "sell1_ask": 0.05, "sell2_kw": 1.0, "sell2_ask": 0.9}
    _, enough = bid({"market.min_bid_mw": 0.04}, **lines)
    assert not enough.void.any()
    np.testing.assert_allclose(sold_kw(enough), 1.0, atol=1e-9)
    _, short = bid({"market.min_bid_mw": 0.041}, **lines)
    assert short.void.all()
    assert not sold_kw(short).any()
    limit = float(begin(month("week20", QUARTER)).sell_limit_kw.sum()) / 1000
    twice = {"sell1_kw": 99.0, "sell1_ask": 0.05, "sell2_kw": 99.0, "sell2_ask": 0.06}
    _, double = bid({"market.min_bid_mw": limit + 0.001}, **twice)
    assert double.void.all(), "the same kW on both lines is offered once"


def test_a_home_s_own_purchase_takes_the_dearer_line_s_place() -> None:
    _, o = bid({}, sell1_kw=1.0, sell1_ask=0.05, sell2_kw=1.0, sell2_ask=0.10, buy_kw=1.0, buy_limit=0.35)
    bought = o.ledger[led.L_BOUGHT, 0]
    assert not bought.any()
    room = np.isclose(sold_kw(o), 1.0)
    assert room.any()
    np.testing.assert_allclose(o.ledger[led.L_PAY_SOLD, 0, room], DT * 0.7 * LMP, atol=1e-9)


def test_the_cap_takes_slices_in_merit_order() -> None:
    n = int(QUARTER["fleet.size"])
    lines = {"sell1_kw": 1.0, "sell1_ask": 0.05, "sell2_kw": 1.0, "sell2_ask": np.where(np.arange(n) < 10, 0.06, 0.07)}
    _, o = bid({"market.max_capacity_mw": 0.025}, **lines)
    np.testing.assert_allclose(sold_kw(o), np.where(np.arange(n) < 10, 1.5, 1.0), atol=1e-9)


def test_a_call_is_paid_like_the_dearer_line() -> None:
    offer = {"sell1_kw": 1.0, "sell1_ask": 0.05, "sell2_ask": 0.30, "reserve_kw": 1.0, "reserve_ask": 0.0}
    _, o = bid({}, calls=True, **offer)
    np.testing.assert_allclose(o.ledger[led.L_CALLED, 0], DT, atol=1e-9)
    np.testing.assert_allclose(o.ledger[led.L_PAY_SOLD, 0], DT * (0.7 * LMP + 0.30), atol=1e-9)


def test_the_same_kilowatt_is_for_sale_and_on_reserve() -> None:
    """Energy takes what clears, and the rest of the same kW stands by; none is awarded twice."""
    lines = {"sell1_kw": 1.0, "sell1_ask": 0.05, "sell2_kw": 1.0, "sell2_ask": 0.30}
    can = begin(month("week20", QUARTER)).snapshot().homes.quote
    up = np.floor(np.minimum(can.reserve_up, can.sell) / 0.01 + 1e-9) * 0.01
    _, o = bid({}, **lines, reserve_kw=2.0, reserve_ask=0.0)
    np.testing.assert_allclose(sold_kw(o), 1.0, atol=1e-9)
    np.testing.assert_allclose(o.ledger[led.L_RESERVE, 0] / DT, np.clip(up - 1.0, 0.0, 2.0), atol=1e-9)
    _, full = bid({}, sell1_kw=99.0, sell1_ask=0.05, reserve_kw=99.0, reserve_ask=0.0)
    assert not full.ledger[led.L_RESERVE, 0].any()
    _, none = bid({}, sell1_kw=99.0, sell1_ask=0.5, reserve_kw=99.0, reserve_ask=0.0)
    np.testing.assert_allclose(none.ledger[led.L_RESERVE, 0] / DT, up, atol=1e-9)
