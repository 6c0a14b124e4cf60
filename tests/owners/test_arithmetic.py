"""The owner's arithmetic: against plain Python, and what no offer can make an owner do."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_owner import Owner

from vpp_env.contract.terms import TERMS, Reason
from vpp_env.owners.arithmetic import (
    AVAILABILITY,
    BLACKOUT_PRICE,
    CAR_PRICE,
    DEFER_PRICE,
    FLOOR_PRICE,
    OVERUSE_PRICE,
    PRICE,
    RESERVE_PRICE,
    SHARE,
    Judgement,
    judge,
)
from vpp_env.owners.situation import Belief, OwnerRules, Situation, belief, surprises

ROWS = list(TERMS)
RULES = OwnerRules(eta=0.95, margin=0.05, share=0.7, call_hours=0.002, reserve=True)


def homes(rng: np.random.Generator, n: int, cells: int) -> Situation:
    """Owners of every kind: without devices, with a full or an empty battery, in a blackout window."""
    bess = rng.choice([0.0, 5.0, 13.5], n)
    ev = rng.choice([0.0, 64.0], n)
    low, high = 0.1 * bess, 0.95 * bess
    v2g = np.where((ev > 0) & (rng.random(n) < 0.4), 7.0, 0.0)
    kw = np.where(bess > 0, 5.0, 0.0)
    cost = rng.uniform(0.09, 0.14, n)
    made = {
        "device_kw": kw + np.where(ev > 0, 11.0, 0.0) + v2g,
        "bess_kw": kw,
        "min_kwh": low,
        "max_kwh": high,
        "ev_min_kwh": 0.1 * ev,
        "ev_kwh": ev,
        "soc_kwh": rng.uniform(low, high),
        "discharged_kwh": rng.uniform(0, 0.3, n) * bess,
        "v2g_kw": v2g,
        "waits_kw": np.where(rng.random((n, cells)) < 0.4, 11.0, 0.0) * (ev > 0)[:, None],
        "floor_kwh": rng.uniform(low, 0.7 * bess),
        "target_kwh": rng.uniform(0.7, 0.9, n) * ev,
        "day_kwh": rng.uniform(0.3, 0.8, n) * bess,
        "blackout": rng.random(n) < 0.2,
        "windows": rng.random(n) < 0.5,
        "floor_value": rng.uniform(0.002, 0.08, n),
        "car_value": rng.uniform(0.4, 3, n),
        "hassle_value": rng.uniform(0, 0.1, n),
        "blackout_value": rng.uniform(0.1, 1.5, n),
        "overuse_value": rng.uniform(0.03, 0.2, n),
        "standby_value": rng.uniform(0, 0.004, n),
        "cost": cost,
        "back": rng.uniform(0.02, 0.06, n),
        "own_ask": cost + rng.uniform(0, 0.15, n),
        "defer_ask": rng.uniform(0.05, 0.12, n),
    }
    return Situation(**made)


def expects(rng: np.random.Generator, months: int, cells: int = 6, evening: int = 3) -> Belief:
    da, past = rng.uniform(0.02, 0.25, (months, cells)), rng.standard_t(2, (months, 300)) * 0.05
    surprise, weight = (
        surprises(past, np.zeros_like(past)) if rng.random() < 0.8 else surprises(past[:, :9], past[:, :9])
    )
    return belief(da, surprise, weight, np.array([1, evening, cells]), 1.0)


def offers(rng: np.random.Generator, own: Situation) -> np.ndarray:
    """(15, H) terms near what owners would take, and some that are absurd."""
    n = len(own.device_kw)

    def some(share: float, other: Any, usual: Any) -> np.ndarray:
        return np.where(rng.random(n) < share, other, usual)

    rows = {
        "price": some(0.8, own.cost + rng.uniform(-0.05, 0.2, n), 0.0),
        "defer_price": rng.uniform(0, 0.15, n),
        "share": rng.choice([0.0, 0.5, 0.7, 0.9], n),
        "reserve_price": rng.uniform(0, 0.01, n),
        "availability": rng.choice([0.0, 0.0, 0.002, 0.02], n),
        "kw": some(0.6, rng.uniform(0, 1.02, n) * own.device_kw, own.device_kw),
        "floor_kwh": some(0.5, rng.uniform(0.9, 2.5, n) * own.min_kwh, own.floor_kwh),
        "floor_price": rng.uniform(0, 0.1, n),
        "target_kwh": some(0.3, rng.uniform(0.05, 1.02, n) * own.ev_kwh, own.target_kwh),
        "car_price": rng.uniform(0, 4, n),
        "day_kwh": some(0.3, 1.5 * own.day_kwh, own.day_kwh),
        "overuse_price": rng.uniform(0, 0.3, n),
        "blackout": some(0.3, 1.0, 0.0),
        "blackout_price": rng.uniform(0, 2, n),
        "v2g_reserve": some(0.5, 1.0, 0.0),
    }
    return np.stack([rows[name] for name in ROWS])


def plain(own: Situation, know: Belief, i: int, n: int) -> Owner:
    facts = {name: value[i].tolist() for name, value in own._asdict().items()}
    m = i // n
    return Owner(
        facts,
        know.da[m].tolist(),
        know.surprise[m].tolist(),
        know.weight.tolist(),
        dict(enumerate(know.cells.tolist())),
        know.hours,
        RULES.eta,
        RULES.margin,
        RULES.share,
        RULES.call_hours,
        RULES.reserve,
    )


def case(seed: int, months: int = 2, n: int = 6) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    own, know = homes(rng, months * n, 6), expects(rng, months)
    window, terms = rng.integers(0, 3, months * n), offers(rng, own)
    factor = rng.choice([1.0, 1.0, 1.3, 2.0, 0.5], months * n)
    return own, know, window, terms, factor


def answers(own: Situation, know: Belief, window: Any, terms: Any, factor: Any, to: Any = None) -> Judgement:
    everybody = np.ones(len(window), dtype=np.bool_)
    return judge(everybody if to is None else to, window, terms, factor, own, know, RULES)


@pytest.mark.parametrize("seed", range(60))
def test_answers_are_those_of_plain_arithmetic(seed: int) -> None:
    own, know, window, terms, factor = case(seed)
    found = answers(own, know, window, terms, factor)
    for i, w in enumerate(window.tolist()):
        owner, offered = plain(own, know, i, 6), dict(zip(ROWS, terms[:, i].tolist(), strict=True))
        if owner.impossible(offered):
            assert found.reason[i] == Reason.LIMIT
            assert not found.accepted[i]
            assert not found.countered[i]
            continue
        gain, claimed = owner.gain(w, offered), owner.gain(w, offered, factor[i])
        assert found.gain_usd[i] == pytest.approx(gain, abs=1e-9)
        needs = owner.values(offered) | {
            k: max(v, owner.values(offered)[k]) for k, v in owner.values(offered, factor[i]).items()
        }
        if min(abs(gain), abs(claimed)) > 1e-9:  # not on the edge
            takes = gain > 0 and claimed > 0 and all(offered[k] >= v for k, v in needs.items())
            assert found.accepted[i] == takes
        assert found.reason[i] == (Reason.AGREED if found.accepted[i] else Reason.PRICE)


@pytest.mark.parametrize("seed", range(60))
def test_a_counter_is_what_the_owner_would_take_and_no_cent_more(seed: int) -> None:
    own, know, window, terms, factor = case(1000 + seed)
    found = answers(own, know, window, terms, factor)
    truthful = found.countered & (factor >= 1.0)
    again = answers(own, know, window, found.terms, factor, truthful)
    assert again.accepted[truthful].all(), "what it asked for it takes"
    for i in np.flatnonzero(truthful):
        owner, w, f = plain(own, know, int(i), 6), int(window[i]), float(factor[i])
        said, offered = (dict(zip(ROWS, t[:, i].tolist(), strict=True)) for t in (found.terms, terms))
        assert {k: said[k] for k in ("kw", "floor_kwh", "target_kwh", "day_kwh", "blackout", "v2g_reserve")} == {
            k: offered[k] for k in ("kw", "floor_kwh", "target_kwh", "day_kwh", "blackout", "v2g_reserve")
        }, "it names prices and leaves quantities as they were offered"
        for name, value in owner.values(offered, f).items():
            assert said[name] == pytest.approx(max(offered[name], value))
        assert owner.gain(w, said, f) > -1e-9
        if said["availability"] > offered["availability"]:
            assert owner.gain(w, said, f) < 1e-5, "a fee for what is missing"
        elif said["price"] != offered["price"]:
            # below it, as long as anything would be sold, the owner would lose
            dearest = owner.slots(w)[0][0] / (1 + RULES.margin)
            for price in np.linspace(0.0, min(said["price"], dearest), 300, endpoint=False):
                assert said["price"] == 0.0 or owner.gain(w, said | {"price": float(price)}, f) < 1e-9


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6), st.lists(st.floats(0, 3, allow_subnormal=False), min_size=15, max_size=15), st.integers(0, 2)
)
def test_no_offer_makes_an_owner_take_what_it_expects_to_lose_by(seed: int, row: list[float], window: int) -> None:
    own, know, _, _, factor = case(seed, 1, 8)
    terms = np.repeat(np.array(row)[:, None], 8, axis=1)
    terms[[12, 14]] = terms[[12, 14]] > 1.0
    if seed % 2:  # near its devices, so that it is not turned down for the limits alone
        terms[5], terms[6] = own.device_kw, np.maximum(own.min_kwh, np.minimum(terms[6], own.max_kwh))
        terms[8] = np.maximum(own.ev_min_kwh, np.minimum(own.target_kwh, own.ev_kwh))
    for _ in range(4):  # what it says is offered next, and so on
        found = answers(own, know, np.full(8, window), terms, factor)
        for i in np.flatnonzero(found.accepted):
            owner, offered = plain(own, know, int(i), 8), dict(zip(ROWS, terms[:, i].tolist(), strict=True))
            assert owner.gain(window, offered) > -1e-9
            assert all(offered[k] >= v for k, v in owner.values(offered).items())
            assert not owner.impossible(offered)
        terms = found.terms


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_follows_from_the_owners_own_row(seed: int) -> None:
    own, know, window, terms, factor = case(seed)
    found = answers(own, know, window, terms, factor)
    one = np.zeros(len(window), dtype=np.bool_)
    one[seed % len(window)] = True
    other = Situation(*(np.where(one.reshape(-1, *[1] * (x.ndim - 1)), x, np.roll(x, 1, axis=0)) for x in own))
    offered = np.where(one, terms, 2.0 * terms)
    moved = answers(other, know, window, offered, np.where(one, factor, 3.0))
    for a, b in zip(found, moved, strict=True):
        assert np.array_equal(a[..., one], b[..., one])


def test_who_is_not_asked_says_nothing() -> None:
    own, know, window, terms, factor = case(3)
    found = answers(own, know, window, terms, factor, np.zeros(12, dtype=np.bool_))
    assert not found.accepted.any()
    assert not found.countered.any()
    assert not found.reason.any()
    assert np.array_equal(found.terms, terms)


@pytest.mark.parametrize("seed", range(30))
def test_who_claims_more_asks_more(seed: int) -> None:
    own, know, window, terms, _ = case(seed)
    claims = [answers(own, know, window, terms, np.full(12, f)) for f in (1.0, 1.1, 1.5)]
    for less, more in itertools.pairwise(claims):
        assert not (more.accepted & ~less.accepted).any()
        both = less.countered & more.countered
        for row in (RESERVE_PRICE, FLOOR_PRICE, CAR_PRICE, OVERUSE_PRICE, BLACKOUT_PRICE):
            assert (more.terms[row, both] >= less.terms[row, both]).all()
        for row in (SHARE, AVAILABILITY, DEFER_PRICE):  # by the price of storage alone
            both &= (less.terms[row] == terms[row]) & (more.terms[row] == terms[row])
        both &= less.terms[PRICE] != terms[PRICE]
        assert (more.terms[PRICE, both] >= less.terms[PRICE, both] - 1e-9).all()


def test_beliefs_know_the_past_alone_and_keep_its_mean() -> None:
    rng = np.random.default_rng(0)
    rt, da = rng.standard_t(3, (2, 2, 500)) * 0.04
    surprise, weight = surprises(rt, da)
    assert np.allclose((surprise * weight).sum(axis=1), (rt - da).mean(axis=1))
    assert np.isclose(weight.sum(), 1.0)
    assert (np.diff(surprise, axis=1) >= 0).all()
    few, sure = surprises(rt[:, :95], da[:, :95])
    assert not few.any()
    assert sure.tolist() == [1.0]
