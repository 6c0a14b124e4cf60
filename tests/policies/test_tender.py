"""The auction for contracts: its prices against brute force, and misreports, which gain nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import begin, month
from vpp_policies.agentic.rules import WORTH
from vpp_policies.posted import FEE
from vpp_policies.tender import Tender, best_price

from vpp_env import Answers, Information, Offers, PolicyError, Terms, build_view
from vpp_env.evaluation.simulate import market_rules, policy_rng

WORLD = (("fleet.size", 30), ("fleet.share_bess", 0.8), ("owners.brains", (("truthful", 0.999), ("liar(1)", 0.001))))
"""Two brains, of which a test replaces the second and says who has it."""

bids_of = st.lists(st.one_of(st.just(float("nan")), st.floats(0.0, 0.05)), min_size=1, max_size=12)


@given(bids_of)
@settings(max_examples=200, deadline=None)
def test_the_price_is_the_best_of_all_for_the_others(given_bids: list[float]) -> None:
    bids, worth = np.array(given_bids), 0.04
    found = best_price(bids, worth)
    for i in range(len(bids)):
        others = np.delete(bids, i)
        others = others[others < worth]
        gains = [sum((worth - r) ** 2 - (x - r) ** 2 for r in others if r <= x) for x in others]
        if not gains or max(gains) <= 1e-15:
            continue
        x = found[i]
        assert x in others
        assert sum((worth - r) ** 2 - (x - r) ** 2 for r in others if r <= x) == pytest.approx(max(gains), abs=1e-15)


@given(bids_of, st.integers(0, 11), st.floats(0.0, 0.1))
@settings(max_examples=200, deadline=None)
def test_nobody_moves_its_own_price(given_bids: list[float], who: int, told: float) -> None:
    bids = np.array(given_bids)
    i = who % len(bids)
    other = bids.copy()
    other[i] = told
    before, after = best_price(bids, 0.04)[i], best_price(other, 0.04)[i]
    assert before == pytest.approx(after, abs=1e-12, nan_ok=True)


class Claims:
    """A brain that claims what it is told to, round by round."""

    def __init__(self, factors: tuple[float, float, float]) -> None:
        self.factors = factors

    def factor(self, round: int, of_rounds: int) -> float:
        return self.factors[round - 1]


def auction(home: int, factors: tuple[float, float, float]) -> tuple[Any, list[tuple[Offers, Answers]], Terms]:
    """Hold the auction at the first gate, one owner claiming `factors` times its values; its rounds and contracts."""
    world = begin(month("week20", dict(WORLD), 3))
    world.table.mixture.of_home[:] = 0
    world.table.mixture.of_home[0, home] = 1
    world.table.mixture.brains = (world.table.mixture.brains[0], Claims(factors))
    view = build_view(world, Information.DECLARED)
    heard: list[tuple[Offers, Answers]] = []

    class Listening:
        """The table, written down."""

        in_force = property(lambda self: view.owners.in_force)
        rounds_left = property(lambda self: view.owners.rounds_left)

        def propose(self, offers: Offers) -> Answers:
            heard.append((offers, view.owners.propose(offers)))
            return heard[-1][1]

    policy = Tender()
    policy.reset(market_rules(world), policy_rng(0))
    policy.deal(Listening(), world.sell_limit_kw > 0, view.homes)  # type: ignore[arg-type]
    return world, heard, view.owners.terms


def values(world: Any, home: int) -> dict[str, float]:
    fleet = world.months[0].fleet
    return {"floor_price": float(fleet.floor_value[home]), "overuse_price": float(fleet.overuse_value[home])}


def sold(terms: Terms, own: Terms, home: int) -> dict[str, float]:
    """What a contract pays for each concession that it holds."""
    held = {
        "floor_price": terms.floor_kwh[home] < own.floor_kwh[home] - 1e-9,
        "overuse_price": terms.day_kwh[home] > own.day_kwh[home] + 1e-9,
    }
    return {name: float(getattr(terms, name)[home]) for name, there in held.items() if there}


def own_of(world: Any) -> Terms:
    from vpp_policies.stochastic.contracted import own_terms

    view = build_view(begin(month("week20", dict(WORLD), 3)), Information.DECLARED)
    return own_terms(view.homes, market_rules(world), 0.7)


LIES = [(1.5, 1.5, 1.5), (3.0, 3.0, 3.0), (0.5, 0.5, 0.5), (2.0, 2.0, 1.0), (3.0, 1.0, 1.0), (1.0, 1.0, 2.0)]


def test_misreports_gain_nothing() -> None:
    """Whatever an owner claims, it is offered the same prices, and sells no more at a profit than by the truth."""
    truth: dict[int, dict[str, float]] = {}
    lost = same = 0
    for home in (0, 3, 7, 11, 15, 21):
        world, heard, terms = auction(home, (1.0, 1.0, 1.0))
        own, value = own_of(world), values(world, home)
        truth[home] = sold(terms, own, home)
        assert all(price >= value[name] - 1e-9 for name, price in truth[home].items())
        asked = Terms(*(getattr(heard[1][0].terms, f) for f in Terms.__dataclass_fields__))
        for lie in LIES:
            _, told, after = auction(home, lie)
            for offers, _ in told[1:]:
                if not offers.to[home]:
                    continue
                assert offers.terms.price[home] == asked.price[home], "its word moves no price that it is offered"
                for name in WORTH:
                    prices = {float(getattr(offers.terms, name)[home]), float(getattr(asked, name)[home])} - {0.0}
                    assert len(prices) <= 1
            gained = {k: v - value[k] for k, v in sold(after, own, home).items()}
            best = {k: v - value[k] for k, v in truth[home].items()}
            assert sum(gained.values()) <= sum(best.values()) + 1e-9
            lost += sum(gained.values()) < sum(best.values()) - 1e-9
            same += sum(gained.values()) > sum(best.values()) - 1e-9
    assert any(truth.values()), "somebody sells something"
    assert lost > 0
    assert same > 0


def test_the_auction_keeps_to_its_rounds_and_prices_to_what_things_are_worth() -> None:
    world, heard, terms = auction(0, (1.0, 1.0, 1.0))
    assert 2 <= len(heard) <= world.scenario.owners.max_rounds
    call, award = heard[0][0].terms, heard[1][0].terms
    assert call.price.max() == 0.0
    assert call.availability.max() == FEE
    for name, worth in WORTH.items():
        assert getattr(call, name).max() == 0.0
        assert 0.0 < getattr(award, name).max() < worth
        # one concession of one price, but for what an owner's own bid leaves out of the others'
        assert len(np.unique(getattr(award, name))) <= 4
    assert heard[-1][1].accepted.any()
    signed = np.flatnonzero(terms.kw > 0)
    assert len(signed) > 10
    # an integrative trade: who minds one thing less sells that, and another owner sells another thing
    kinds = {frozenset(sold(terms, own_of(world), i)) for i in signed}
    assert len(kinds) >= 3, f"kinds of contracts: {kinds}"
    with pytest.raises(PolicyError, match="share is 2"):
        Tender(share=2.0)
