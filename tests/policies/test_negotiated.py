"""Contracts from the aggregator's side: beliefs against sums by hand, offers that follow them, bids under contract."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import month, terms_of
from vpp_policies.agentic.memory import DOUBT, KEPT, Memory
from vpp_policies.agentic.negotiation import NegotiationOptions
from vpp_policies.agentic.rules import LEAST, RulesAggregator, RulesProsumer
from vpp_policies.forecast import Forecast
from vpp_policies.posted import Posted
from vpp_policies.stochastic.contracted import own_terms, under_contract
from vpp_policies.stochastic.value import Battery, odds_of, solve_all

from tests.policies.gates import real_gate
from vpp_env import Answers, Information, Offers, PolicyError, Reason, View, Window
from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.units import Floats

NAME = "floor_price"


def gate() -> tuple[Homes, Public, MarketRules]:
    """The evening of the second day."""
    return real_gate(42)


def heard(memory: Memory, price: float, said: float | None) -> None:
    """Let the one owner of `memory` accept `price` for its floor, or counter with `said`."""
    one = np.ones(1, dtype=np.bool_)
    offers = Offers(one, np.full(1, Window.NOTICE), terms_of(1, floor_price=np.full(1, price)))
    wants = offers.terms if said is None else terms_of(1, floor_price=np.full(1, said))
    agreed, reason = one & (said is None), np.full(1, Reason.AGREED if said is None else Reason.PRICE)
    answers = Answers(agreed, one & ~agreed, reason, wants, 1, 3)
    memory.learn(np.zeros(1), offers, answers, {NAME: one})


def test_answers_move_beliefs_as_bayes_rule_says() -> None:
    memory = Memory(1)
    grid, prior = memory.grid[NAME], memory.belief[NAME][0].copy()
    assert prior.sum() == pytest.approx(1.0)
    heard(memory, 0.03, None)
    likely = np.where(grid <= 0.03 + 1e-9, 1.0, DOUBT) * prior
    np.testing.assert_allclose(memory.belief[NAME][0], likely / likely.sum())
    heard(memory, 0.01, 0.02)
    likely *= np.where((grid > 0.01 + 1e-9) & (grid <= 0.02 + 1e-9), 1.0, DOUBT)
    np.testing.assert_allclose(memory.belief[NAME][0], likely / likely.sum())
    assert memory.asked[NAME][0] == 0.02
    memory.forget()
    np.testing.assert_array_equal(memory.belief[NAME][0], prior)
    assert memory.asked[NAME][0] == np.inf


@given(st.floats(0.005, 0.2), st.floats(0.0, 0.95))
def test_the_best_price_is_the_best_of_all_tried(worth: float, sure: float) -> None:
    memory = Memory(1)
    grid, belief = memory.grid[NAME], memory.belief[NAME][0]
    gains = []
    for x in grid:
        chance = belief[grid <= x].sum()
        parts = [p * ((worth - r) ** 2 - (x - r) ** 2) for r, p in zip(grid, belief, strict=True) if r <= x]
        gains.append(sum(parts) if x < worth and chance >= sure else 0.0)
    price, found = memory.best(NAME, np.zeros(1), np.full(1, worth), sure)
    assert found[0] == (max(gains) > 0.0)
    if found[0]:
        at = int(np.flatnonzero(np.isclose(grid, price[0]))[0])
        assert gains[at] == pytest.approx(max(gains), rel=1e-9)


def test_who_asks_for_more_gets_it_where_it_is_worth_that() -> None:
    memory = Memory(1)
    heard(memory, 0.0, 0.015)
    price, found = memory.best(NAME, np.zeros(1), np.full(1, 0.1), 0.9)
    assert found[0]
    assert KEPT >= 0.9
    assert price[0] == 0.015
    assert not memory.best(NAME, np.zeros(1), np.full(1, 0.014), 0.9)[1][0]


def test_offers_stay_within_what_owners_ask_and_concessions_come_and_go() -> None:
    homes, public, rules = gate()
    standing = RulesProsumer().standing(homes, public, rules)
    aggregator = RulesAggregator(rules, NegotiationOptions())
    assert aggregator.opens(0, 1.0)
    assert not aggregator.opens(1, 1.0)
    assert aggregator.opens(168, 1.0)
    first, last = (aggregator.terms(standing, last) for last in (False, True))
    own = standing.terms
    for made in (first, last):
        assert (made.price <= own.price + 1e-12).all()
        assert (made.price >= np.minimum(own.price, LEAST) - 1e-12).all()
    asked = first.floor_kwh < own.floor_kwh
    assert asked.any()
    assert (first.floor_price[asked] > 0.0).all()
    assert not (last.floor_kwh < own.floor_kwh).any(), "nobody has said what a floor costs: too unsure for a last offer"
    plain = RulesAggregator(rules, NegotiationOptions(without="concessions")).terms(standing, False)
    for name in ("floor_kwh", "day_kwh", "blackout", "v2g_reserve", "target_kwh"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(own, name))
    assert not RulesAggregator(rules, NegotiationOptions(without="negotiation")).opens(0, 1.0)


def test_a_row_under_contract_is_the_owners_but_for_its_terms() -> None:
    homes, public, rules = gate()
    view = View(public, Information.DECLARED, homes)
    same, bought = under_contract(view, rules, np.zeros(rules.n_homes, dtype=np.bool_), own_terms(homes, rules, 0.7))
    assert same is view
    assert all((x == 0.0).all() for x in bought)
    everybody = np.ones(rules.n_homes, dtype=np.bool_)
    known, bought = under_contract(view, rules, everybody, own_terms(homes, rules, 0.7))
    for f in fields(Homes):
        np.testing.assert_array_equal(getattr(known.homes, f.name), getattr(homes, f.name), f.name)
    lower = replace(
        own_terms(homes, rules, 0.7),
        price=homes.own_ask / 2,
        floor_kwh=np.zeros(rules.n_homes),
        floor_price=np.full(rules.n_homes, 0.01),
        day_kwh=2 * homes.bess_kwh,
    )
    known, bought = under_contract(view, rules, everybody, lower)
    stores = homes.bess_kwh > 0
    np.testing.assert_allclose(known.homes.floor_kwh[stores], homes.bess_min_kwh[stores])
    np.testing.assert_allclose(bought.floor_kwh[stores], (homes.floor_kwh - homes.bess_min_kwh)[stores])
    np.testing.assert_allclose(known.homes.day_left_kwh - homes.day_left_kwh, bought.day_kwh)
    np.testing.assert_allclose(known.homes.own_ask, homes.own_ask / 2)


def fleet(**given: float) -> Battery[Floats]:
    whole: dict[str, float] = {
        "kw": 4.0, "room": 8.0, "day": 8.0, "eta": 1.0, "wear": 0.0, "ask": 0.01, "limit": -1.0, "standby": 1.0,
        "sun_price": 0.0, "refill": 0.0, "below": 0.0, "floor_price": 0.0, "spare": 0.0, "overuse_price": 0.0,
    }  # fmt: skip
    return Battery(**{name: np.full(1, value) for name, value in (whole | given).items()})


def test_values_price_what_contracts_have_bought() -> None:
    """One hour at .10, then four at .01: 4 kWh are sold at .10; what lies below the floor is paid for hour by hour."""
    price = np.repeat(np.array([0.1, 0.01, 0.01, 0.01, 0.01])[:, None, None], 4, axis=2)
    odds = odds_of(Forecast(price, np.ones((5, 1)), np.zeros((5, 1))), 0.0)

    def worth(**given: float) -> float:
        return float(solve_all(odds, np.arange(5), np.zeros((5, 1)), fleet(**given))[0, 0, -1, -1])

    assert worth() == pytest.approx(0.4)  # asks begin at .05: the rest is not sold
    # full, 8 kWh: after the sale 4 are left, 2 below a floor of 6, for the four hours that begin then
    assert worth(below=6.0, floor_price=0.001) == pytest.approx(0.4 - 4 * 2 * 0.001)
    # a price at which it is not worth it: an hour is sold whole or not at all, so it is kept and nothing is paid
    assert worth(below=6.0, floor_price=1.0) == pytest.approx(0.0)
    # of 8 kWh a day 6 lie beyond the owner's limit of 2: 2 of the 4 sold are paid for
    assert worth(spare=6.0, overuse_price=0.02) == pytest.approx(0.4 - 2 * 0.02)
    assert worth(spare=6.0, overuse_price=1.0) == pytest.approx(0.0)


def test_posted_asks_once_a_week_and_takes_no_counter() -> None:
    changes = {"fleet.size": 60, "time.duration_hours": 192, "market.min_bid_mw": 0.03}
    run = simulate(month("august", changes, 1000), Posted())
    kpi = summarize(run)
    assert kpi.contracts_signed > 20
    assert kpi.offer_rounds <= 2
    assert kpi.total_violations.total == kpi.contracts_broken == 0
    low = summarize(simulate(month("august", changes, 1000), Posted(price=0.02, share=0.0, day_price=0.01)))
    assert low.contracts_signed < kpi.contracts_signed
    with pytest.raises(PolicyError, match="share is 2"):
        Posted(share=2.0)
