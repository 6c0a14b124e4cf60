"""Eight homes at a time do what each of them does alone, to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import run
from support import month
from test_reference import some_contracts, some_order, some_state

from vpp_env.core.devices.battery import Battery
from vpp_env.core.devices.vehicle import Vehicle
from vpp_env.core.headroom import LOOK_AHEAD, N_HEADROOM, Delivery, blackouts
from vpp_env.core.home import flow_at, home_at, order_at, price_at, step_at
from vpp_env.core.lanes import Lot, new_lot
from vpp_env.core.layout import Day, Home, Homes, Order, Price, copied
from vpp_env.core.ledger import BOOKED, N_LEDGER, account, book
from vpp_env.core.loops import Gate, book_month, fill_headroom, look
from vpp_env.jit import kernel
from vpp_env.units import Floats

RICH = {"fleet.share_bess": 0.8, "fleet.share_ev": 0.8, "fleet.share_pv": 0.7, "fleet.v2g_share": 0.5}


def bits(arrays: object) -> Floats:
    """The numbers of a struct of arrays, one array after the other."""
    if isinstance(arrays, np.ndarray):
        return arrays.ravel()
    assert isinstance(arrays, tuple)
    return np.concatenate([bits(x) for x in arrays if x is not None])


def same_bits(a: Floats, b: Floats) -> bool:
    """Whether two arrays hold the same bits."""
    return np.array_equal(np.ascontiguousarray(a).view(np.int64), np.ascontiguousarray(b).view(np.int64))


@pytest.mark.parametrize("control", ["backup", "self_consumption"])
@pytest.mark.parametrize("size", [8, 19])
def test_a_step_of_a_month_is_that_of_its_homes(size: int, control: str) -> None:
    changes = {**RICH, "fleet.size": size, "time.duration_hours": 96, "home.control": control}
    m, rng = month("week20", changes), np.random.default_rng(size)
    moved = 0
    for _ in range(40):
        day, k = m.day(int(rng.integers(0, 3))), int(rng.integers(0, 96))
        homes, order = run.homes_of(m, some_state(rng, m, day, k)), some_order(rng, size)
        homes = homes._replace(rules=homes.rules._replace(feeder_kw=math.inf))
        reserve = rng.uniform(0.0, 3.0, size) * (rng.random(size) < 0.5)
        alone = [run.cut(homes._replace(state=copied(homes.state)), day, slice(i, i + 1)) for i in range(size)]
        booked, each = run.begin(homes, day, k), [run.begin(*one, k) for one in alone]
        assert same_bits(booked, np.concatenate(each, axis=1))
        for i, (one, _) in enumerate(alone):
            assert same_bits(bits(homes.quote)[i::size], bits(one.quote))
        books = run.deliver_feeders(homes, day, k, order, reserve)
        flow = np.zeros(len(books.flow[0]))
        for i, (one, its_day) in enumerate(alone):
            own = run.deliver_feeders(one, its_day, k, order[:, i : i + 1], reserve[i : i + 1])
            assert same_bits(books.ledger[:, i], own.ledger[:, 0])
            assert same_bits(bits(homes.state)[i::size], bits(one.state))
            assert same_bits(books.soc_home_kwh[0, :, i], own.soc_home_kwh[0, :, 0])
            flow += own.flow[0, :, 0]  # in the order of the homes
        assert same_bits(books.flow[0, :, 0], flow)
        moved += int((books.ledger != 0.0).sum())
    assert moved > 100 * size  # it was no still life


@kernel
def at_once(homes: Homes, gate: Gate) -> None:
    fill_headroom(homes, gate, 0, len(homes.home.buy_limit))


@pytest.mark.parametrize("control", ["backup", "self_consumption"])
@pytest.mark.parametrize("under_contract", [False, True])
def test_what_homes_can_offer_is_what_each_of_them_can(control: str, under_contract: bool) -> None:
    size = 43
    changes = {**RICH, "fleet.size": size, "time.duration_hours": 96, "home.control": control}
    m, rng = month("week20", changes), np.random.default_rng(7)
    some = np.zeros(N_HEADROOM, dtype=np.int64)
    for steps, wait in ((1, 0), (4, 0), (4, 4), (4, 20), (20, 0)) * 12:
        day, k = m.day(int(rng.integers(0, 3))), int(rng.integers(0, 96))
        homes = run.homes_of(m, some_state(rng, m, day, k))
        if under_contract:
            homes = homes._replace(home=some_contracts(rng, homes.home))
        delivery, pending = Delivery(steps, wait, int(rng.integers(0, 672))), rng.choice([0.0, 2.0], size)
        gate = Gate(day, k, delivery, pending, np.full((N_HEADROOM, size), np.nan))
        at_once(homes, gate)
        alone = gate._replace(headroom=np.full((N_HEADROOM, size), np.nan))
        look(homes, alone)
        assert same_bits(gate.headroom, alone.headroom)
        some += (gate.headroom > 0.0).sum(axis=1)
    assert (some > 10).all(), some  # of everything there was something


def test_a_window_is_met_where_one_of_its_quarter_hours_is() -> None:
    rng, seen = np.random.default_rng(3), set()
    for _ in range(3000):
        pairs = np.sort(rng.integers(0, 673, (2, 2)), axis=1) if rng.random() < 0.7 else np.full((2, 2), -1)
        near = rng.integers(0, 12, (2, 1)) if rng.random() < 0.5 else 0
        windows = np.where(pairs < 0, -1, np.clip(pairs - 660 * (near > 6), 0, 672)).astype(float)
        windows[windows[:, 0] >= windows[:, 1]] = -1.0
        first, steps, waived = int(rng.integers(0, 672)), int(rng.integers(1, 24)), float(rng.random() < 0.3)
        one, two = ((float(w[0]), float(w[1])) for w in windows)
        ahead = [(first + j) % 672 for j in range(LOOK_AHEAD)]
        inside = [any(w[0] <= x < w[1] for w in (one, two)) for x in ahead]
        expected = any(inside[:steps]) and not waived, any(inside)
        assert blackouts_of(one, two, waived, Delivery(steps, 0, first)) == expected
        seen.add(expected)
    assert seen == {(False, False), (False, True), (True, True)}


@kernel
def blackouts_of(
    one: tuple[float, float], two: tuple[float, float], waived: float, delivery: Delivery
) -> tuple[bool, bool]:
    none = Vehicle(0.0, 0.0, 0.0, 0.0, 0.0, None, None, None)
    return blackouts(Home(Battery(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None), none, 0.0, one, two, waived, None), delivery)


@kernel
def booked(
    homes: Homes, day: Day, k: int, steps: int, orders: Order, prices: Price, lot: Lot, ledger: Floats, alone: Floats
) -> None:
    n = lot.state.shape[1]
    book_month(homes, day, k, steps, orders, prices, lot, 0, ledger)
    for j in range(steps):
        for i in range(n):
            c = j * n + i
            home, step, flow = home_at(homes.home, i), step_at(day, k + j, i), flow_at(lot.flow, c)
            book(account(home, step, order_at(orders, c), price_at(prices, c), flow, homes.rules), alone, i)


@pytest.mark.parametrize("under_contract", [False, True])
def test_what_is_booked_at_once_is_what_each_step_adds(under_contract: bool) -> None:
    size, steps = 19, 4
    changes = {**RICH, "fleet.size": size, "time.duration_hours": 96, "home.control": "self_consumption"}
    m, rng = month("week20", changes), np.random.default_rng(11)
    for _ in range(20):
        day, k = m.day(int(rng.integers(0, 3))), int(rng.integers(0, 96 - steps))
        homes = run.homes_of(m, some_state(rng, m, day, k))
        agreed = None
        if under_contract:
            homes = homes._replace(home=some_contracts(rng, homes.home))
            agreed = rng.choice([0.0, 1.0], steps * size)
        orders, lot = Order(*rng.uniform(0.0, 9.0, (8, steps * size))), new_lot(steps, size)
        prices = Price(*rng.uniform(-0.1, 0.9, (8, steps * size)), agreed)
        lot.flow[:] = rng.uniform(0.0, 9.0, lot.flow.shape) * (rng.random(lot.flow.shape) < 0.6)
        ledger, alone = np.full((N_LEDGER, size), np.nan), np.zeros((N_LEDGER, size))
        booked(homes, day, k, steps, orders, prices, lot, ledger, alone)
        rows = list(BOOKED)
        assert same_bits(ledger[rows], alone[rows])
        assert np.isnan(np.delete(ledger, rows, axis=0)).all()  # those are not its own
        assert not np.delete(alone, rows, axis=0).any()
