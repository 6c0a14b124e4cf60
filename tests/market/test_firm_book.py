"""The book of firm capacity for many months side by side: to the bit what each month's own book comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vpp_env import load_scenario
from vpp_env.market.firm import Draws, settle_evenings
from vpp_env.market.firm_book import FirmBook
from vpp_env.scenario import Scenario
from vpp_env.units import DT_H, Flags, Floats

MONTHS, DISTINCT = 12, 5
LATE = ("usd", "clawback_usd", "members_usd")


def august(hours: int) -> Scenario:
    """August with hourly opportunities, of so many hours: the evenings of 29 days can be committed."""
    return load_scenario("august").override({"time.duration_hours": hours})


def draws_of(scenario: Scenario, homes: int, rng: np.random.Generator) -> tuple[list[Floats], list[Draws]]:
    """Prices and draws of the distinct months: none, few and more than half of their evenings are called."""
    count = len(FirmBook(scenario, [np.zeros(scenario.n_steps)], [Draws(0.5, np.ones((0, homes), bool))]).evenings)
    prices = [rng.uniform(0.0, most, scenario.n_steps) for most in (100.0, 201.0, 210.0, 220.0, 400.0)]
    return prices, [Draws(float(rng.random()), rng.random((count, homes)) < 0.7) for _ in range(DISTINCT)]


def one_month(book: FirmBook, m: int, home_kwh: Floats, paid: Floats, stop: int) -> tuple[float, float, Floats]:
    """What is due of month m where step `stop` follows, from (E, N) kWh, evening by evening; noted in `paid` (E,)."""
    market, called, committed = book._market, book.called[m], book.committed_kw[m]
    hours = np.array([(e.stop - e.first) * DT_H for e in book.evenings])
    said = settle_evenings(market, committed, home_kwh.sum(axis=-1) / hours, called)
    usd = clawback = 0.0
    members = np.zeros(home_kwh.shape[1])

    def share(due: float, kwh: Floats) -> Any:
        given = np.maximum(kwh, 0.0)
        if due <= 0.0 or given.sum() <= 0.0:
            return 0.0
        return market.revenue_share * due * given / given.sum()

    for e, evening in enumerate(book.evenings):
        if evening.stop == stop and called[e] and committed[e] > 0.0:
            paid[e] = said.usd[e]
            usd, clawback = usd + said.usd[e], clawback + said.clawback_usd[e]
            members += share(said.usd[e], home_kwh[e])
    if stop == book._last:
        rest = said.usd - paid
        paid[:] = said.usd
        usd += rest.sum()
        members += share(float(rest.sum()), home_kwh[called].sum(axis=0))
    return usd, clawback, members


@pytest.mark.parametrize(("hours", "homes"), [(744, 3), (741, 40), (744, 1)])
def test_months_side_by_side_are_settled_as_each_alone(hours: int, homes: int) -> None:
    rng, scenario = np.random.default_rng(hours + homes), august(hours)
    prices, draws = draws_of(scenario, homes, rng)
    which = rng.integers(0, DISTINCT, MONTHS)
    book = FirmBook(scenario, prices, draws, which)
    alone = [FirmBook(scenario, [prices[d]], [draws[d]]) for d in which]
    kwh = np.zeros((MONTHS, len(book.evenings), homes))
    paid = np.zeros(kwh.shape[:2])
    level = rng.uniform(-0.2, 1.5, (MONTHS, 1))
    seen: list[Floats] = []
    counts = book.called.sum(axis=1)
    assert set(counts) >= {1, 15}, "the test alone, and the whole season"
    for t in range(0, scenario.n_steps, 4):
        if book.is_gate(t):
            # one leaves it to the aggregator, one takes no part, the others commit something or nothing
            kw = [None, 0.0, *(float(x) for x in rng.choice([0.0, 130.0, 300.0, 5000.0], MONTHS - 2))]
            book.submit(t, kw)
            for m, own in enumerate(alone):
                own.submit(t, kw[m : m + 1])
        if book.is_evening(t):
            able = 200.0 * rng.random(MONTHS)
            book.able(t, able)
            for m, own in enumerate(alone):
                own.able(t, able[m : m + 1])
        net = 300.0 / homes * (level + rng.uniform(-1.0, 1.0, (MONTHS, homes)))
        book.meter(t, net)
        if (e := book.evening_of(t)) >= 0:
            kwh[:, e] += net
        got = book.settle(t + 4)
        assert got.usd.any() <= book.is_due(t + 4)
        for m, own in enumerate(alone):
            own.meter(t, net[m : m + 1])
            same = own.settle(t + 4)
            want = one_month(book, m, kwh[m], paid[m], t + 4)
            for name, value in zip(LATE, want, strict=True):
                assert np.array_equal(getattr(got, name)[m], value), (t, m, name)
                assert np.array_equal(getattr(got, name)[m], getattr(same, name)[0]), (t, m, name)
            assert np.array_equal(book.absent(t)[m], own.absent(t)[0])
        seen.append(got.usd)
    assert np.array_equal(book.paid_usd, paid)
    hours_of = np.array([(e.stop - e.first) * DT_H for e in book.evenings])
    assert np.array_equal(book.delivered_kw, kwh.sum(axis=2) / hours_of)
    for m, own in enumerate(alone):
        for name in ("called", "committed_kw", "able_kw", "delivered_kw", "paid_usd", "clawback_usd"):
            assert np.array_equal(getattr(book, name)[m], getattr(own, name)[0]), (m, name)
    total = np.array(seen)
    assert not total[:, 1].any()
    assert (total[:-1] > 0.0).any()
    assert (total[:-1] < 0.0).any()
    assert total[-1].any()
    assert book.clawback_usd.any()


def test_means_of_chosen_evenings_have_the_bits_of_each_row_alone() -> None:
    rng = np.random.default_rng(0)
    rules = august(744).market
    kw, called = rng.uniform(100.0, 900.0, (2, 64, 29)), rng.random((64, 29)) < rng.random((64, 1))
    together = settle_evenings(rules, kw[0], kw[1], called)
    for m in range(64):
        firm: Flags | Floats = np.minimum(kw[0, m], kw[1, m])[called[m]]
        assert together.demonstrated_kw[m] == (firm.mean() if len(firm) else 0.0)
