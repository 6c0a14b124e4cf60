"""What awards make of the homes eight at a time is what they make of each, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_env.core.layout import Order, Price, Quote
from vpp_env.jit import kernel
from vpp_env.market.opportunity import new_room, order_home, order_month, price_home, served
from vpp_env.market.payment import PaymentRule
from vpp_env.market.state import Agreed, Awards, MarketState, Submission
from vpp_env.units import Floats

STEPS, MONTHS, N, PRODUCTS = 2, 3, 21, 4


@kernel
def _month(
    m: int,
    j: int,
    taken: Submission,
    able: Quote,
    agreed: Agreed | None,
    market: MarketState,
    awards: Awards,
    orders: Order,
    prices: Price,
) -> None:
    order_month(m, taken, able, agreed, market, j, awards, market.lmp[j, m], orders, prices)


@kernel
def _each(
    m: int,
    j: int,
    taken: Submission,
    able: Quote,
    agreed: Agreed | None,
    market: MarketState,
    awards: Awards,
    out: Floats,
) -> None:
    for i in range(out.shape[1]):
        serves = served(awards.product[m, i], m, market, j, awards)
        o = order_home(m, i, out.shape[1], taken.offers, able, awards, serves, 1.0 if taken.override[m, i] else 0.0)
        own, defer = taken.own[m, i], taken.defer[m, i]
        p = price_home(m, i, taken.offers, agreed, market, j, awards, market.lmp[j, m], serves, own, defer)
        out[0, i], out[1, i], out[2, i], out[3, i] = o.sell, o.dear, o.call, o.buy
        out[4, i], out[5, i], out[6, i], out[7, i] = o.reserve, o.available, o.free, o.down
        out[8, i], out[9, i], out[10, i], out[11, i] = p.lmp, p.sold, p.dear, p.bought
        out[12, i], out[13, i], out[14, i], out[15, i] = p.reserve, p.rho, p.own, p.defer


def some_market(rng: np.random.Generator) -> MarketState:
    """A market with all four products, one of them headroom to charge."""
    shape, whole = (STEPS, MONTHS), np.zeros((STEPS, MONTHS), dtype=np.int64)
    return MarketState(
        highest_ask=whole,
        lowest_limit=whole,
        lmp=rng.uniform(-0.05, 0.9, shape),
        rho=rng.uniform(0.0, 0.05, (*shape, PRODUCTS)),
        reserve_highest=np.zeros((*shape, PRODUCTS), dtype=np.int64),
        called=rng.random(shape) < 0.5,
        is_down=np.array([False, False, False, True]),
        callable=np.array([True, True, False, False]),
        cap_q=np.full(MONTHS, 1000),
        min_q=0,
        on_offers=True,
        incentive=rng.choice([0.0, 2.0], shape),
        event_kwh=np.zeros(MONTHS),
        slope=0.0,
        offer_factor=1.0,
        da=np.zeros(shape),
        day_ahead_kw=np.zeros(shape),
        dispatch_q=np.zeros(MONTHS, dtype=np.int64),
        dispatch_tick=0,
        payment=PaymentRule(0.7, 0.2),
    )


@pytest.mark.parametrize("under_contract", [False, True])
def test_orders_and_prices_are_those_of_each_home(under_contract: bool) -> None:
    rng, home = np.random.default_rng(5), (MONTHS, N)
    called = 0
    for _ in range(20):
        market = some_market(rng)
        product = rng.integers(-1, PRODUCTS, home)
        lines = rng.integers(0, 60, (MONTHS, 2 * N)) * (rng.random((MONTHS, 2 * N)) < 0.6)
        awards = Awards(
            lines,
            lines[:, :N] + lines[:, N:],
            rng.integers(0, 60, home) * (rng.random(home) < 0.4),
            rng.integers(0, 60, home) * ((product >= 0) & (rng.random(home) < 0.8)),
            product,
            rng.integers(0, 500, MONTHS),
            rng.integers(0, 100, (MONTHS, PRODUCTS)),
            np.ones(MONTHS, dtype=np.bool_),
        )
        taken = Submission(
            rng.integers(-20, 400, (8, *home)), rng.random(home), rng.random(home), rng.random(home) < 0.5
        )
        able = Quote(*rng.uniform(0.0, 12.0, (5, MONTHS * N)))
        agreed = Agreed(rng.random(home) < 0.5, rng.random((4, *home))) if under_contract else None
        room = new_room(STEPS, MONTHS, N, PRODUCTS, 10, under_contract)
        for m in range(MONTHS):
            for j in range(STEPS):
                _month(m, j, taken, able, agreed, market, awards, room.orders, room.prices)
                alone = np.full((16, N), np.nan)
                _each(m, j, taken, able, agreed, market, awards, alone)
                mine = slice(j * N, (j + 1) * N)
                got = np.array([*(x[mine] for x in room.orders), *(x[mine] for x in room.prices[:8])])
                assert np.array_equal(got.view(np.int64), alone.view(np.int64))
                if agreed is not None:
                    assert np.array_equal(room.prices.agreed[mine], agreed.on[m].astype(float))
                called += int((room.orders.call[mine] > 0.0).sum())
    assert called > 100
