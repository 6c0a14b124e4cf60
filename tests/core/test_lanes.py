"""Eight homes at a time do what each of them does alone, to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import run
from support import month
from test_reference import some_order, some_state

from vpp_env.core.layout import copied
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
