"""Owners who talk: words bind nobody, terms are checked, hard limits hold, and one owner's words stay its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support import begin, month

from vpp_env.contract.speech import MOST_PRICE, MOST_WORDS, Heard, Speaker, Speech
from vpp_env.contract.terms import Answers, Offers, Reason, Terms, Window
from vpp_env.contract.views import Information, View
from vpp_env.errors import ScenarioError, UnknownNameError
from vpp_env.owners.personas import HELD_OUT, PERSONAS
from vpp_env.owners.talk import tidy_words
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

HERE = "tests.owners.test_talk"


class Reckless:
    """Accepts everything, in words with everything in them."""

    def answer(self, heard: Sequence[Heard]) -> list[Speech]:
        return [Speech("accept", "yes\x00\x1b[2J\u202e" + "y" * 5000) for _ in heard]


class Says:
    """Says the same to everybody, and keeps what it was told."""

    def __init__(self, answer: str = "counter", text: str = "hm", **prices: Any) -> None:
        self.speech, self.heard = Speech(answer, text, prices), list[Heard]()  # type: ignore[arg-type]

    def answer(self, heard: Sequence[Heard]) -> list[Speech | None]:
        self.heard += heard
        return [self.speech for _ in heard]


def silent() -> Speaker:
    """Say nothing usable."""

    class Silent:
        def answer(self, heard: Sequence[Heard]) -> list[None]:
            return [None for _ in heard]

    return Silent()


def untold() -> Any:
    """Nothing says that this makes a speaker."""
    raise AssertionError("called")


def at_table(brain: str) -> tuple[World, View]:
    world = begin(month("week20", {"owners.brains": ((brain, 1.0),)}, 1000))
    return world, build_view(world, Information.DECLARED)


def offers(view: View, message: str | None = "What about this?", **changed: float) -> Offers:
    homes = view.homes
    n = len(homes.own_ask)
    zero, kw = np.zeros(n), homes.bess_kw.copy()
    terms = Terms(
        price=0.9 * homes.own_ask, defer_price=homes.defer_ask, share=np.full(n, 0.7), reserve_price=homes.reserve_ask,
        availability=zero, kw=kw, floor_kwh=homes.floor_kwh, floor_price=zero, target_kwh=homes.ev_target_kwh,
        car_price=zero, day_kwh=homes.day_limit_kwh, overuse_price=zero, blackout=zero, blackout_price=zero,
        v2g_reserve=zero,
    )  # fmt: skip
    terms = replace(terms, **{name: np.full(n, value) for name, value in changed.items()})
    to = homes.bess_kwh > 0
    messages = None if message is None else dict.fromkeys(np.flatnonzero(to).tolist(), message)
    return Offers(to, np.full(n, Window.NOTICE), terms, messages)


def same(a: Answers, b: Answers) -> bool:
    parts = ("accepted", "countered", "reason")
    return all(np.array_equal(getattr(a, p), getattr(b, p)) for p in parts) and a.terms == b.terms


def test_who_is_not_spoken_to_answers_by_its_claims_and_says_nothing() -> None:
    _, view = at_table(f"llm('{HERE}:Reckless', markup=0.3)")
    _, plain = at_table("strategic(0.3, 1)")
    for _ in range(3):
        a, b = view.owners.propose(offers(view, None)), plain.owners.propose(offers(plain, None))
        assert a.messages is None
        for part in ("accepted", "countered", "reason"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
        np.testing.assert_array_equal(a.terms.price, b.terms.price)


def test_no_words_cross_a_hard_limit() -> None:
    _, view = at_table(f"llm('{HERE}:Reckless')")
    beyond = offers(view, "Accept this.", kw=1e4)
    answers = view.owners.propose(beyond)
    assert (answers.reason[beyond.to] == Reason.LIMIT).all()
    assert not answers.accepted.any()
    assert not answers.messages
    below = offers(view, "Accept this.", floor_kwh=0.0)
    answers = view.owners.propose(below)
    hard = view.homes.bess_min_kwh > 1e-6
    assert (hard & below.to).any()
    assert not (answers.accepted & hard).any()


def test_a_reckless_owner_signs_at_a_loss_and_it_is_counted_as_regret() -> None:
    world, view = at_table(f"llm('{HERE}:Reckless')")
    poor = offers(view, "Take it.", price=0.0, share=0.0)
    answers = view.owners.propose(poor)
    assert answers.accepted[poor.to].all()
    assert world.table.talk.regret_usd > 0
    assert answers.messages is not None
    for text in answers.messages.values():
        assert len(text) == MOST_WORDS
        assert text.isprintable()


@pytest.mark.parametrize(
    "prices",
    ["price=-0.1", "price=9.0", "price='0.1'", "kw=5.0", "price=True", "share=1.5", "", "price=1e999"],
)
def test_a_counter_offer_outside_its_range_is_refused_and_counted(prices: str) -> None:
    world, view = at_table(f"llm('{HERE}:Says', {prices})" if prices else f"llm('{HERE}:Says')")
    _, plain = at_table("truthful")
    answers, as_claimed = view.owners.propose(offers(view)), plain.owners.propose(offers(plain))
    spoken = world.table.talk.counts
    assert spoken["refused_terms"] == spoken["spoken"] > 0
    np.testing.assert_array_equal(answers.accepted, as_claimed.accepted)
    np.testing.assert_array_equal(answers.terms.price, as_claimed.terms.price)
    # the words are heard all the same: they bind nobody
    assert answers.messages


def test_a_counter_offer_moves_prices_alone() -> None:
    _, view = at_table(f"llm('{HERE}:Says', price={MOST_PRICE})")
    made = offers(view)
    answers = view.owners.propose(made)
    assert (answers.terms.price[answers.countered] == MOST_PRICE).all()
    np.testing.assert_array_equal(answers.terms.kw, made.terms.kw)
    assert answers.countered[made.to & (answers.reason == Reason.PRICE)].all()


def test_silence_is_the_owners_own_claim() -> None:
    world, view = at_table(f"llm('{HERE}:silent')")
    _, plain = at_table("truthful")
    a, b = view.owners.propose(offers(view)), plain.owners.propose(offers(plain))
    np.testing.assert_array_equal(a.accepted, b.accepted)
    assert a.messages is None
    assert world.table.talk.counts["silent"] == world.table.talk.counts["spoken"] > 0


def test_an_owner_is_told_its_own_past_and_nobody_elses() -> None:
    world, view = at_table(f"llm('{HERE}:Says', answer='decline', text='no')")
    speaker = world.table.mixture.brains[0].speaker  # type: ignore[attr-defined]
    for words in ("first", "second"):
        made = offers(view, words)
        view.owners.propose(replace(made, messages={i: f"{words} to {i}" for i in made.messages or {}}))
    assert speaker.heard
    for h in speaker.heard:
        assert h.message.endswith(f"to {h.home}")
        assert [line.text for line in h.past] == (["first to " + str(h.home), "no"] if h.round == 2 else [])
        assert h.truth.accepts == (h.gain_usd > 0 and h.truth.accepts)


@pytest.mark.parametrize("name", [*PERSONAS, *HELD_OUT])
def test_a_persona_signs_nothing_that_it_would_lose_by_and_gives_in_at_last(name: str) -> None:
    world, view = at_table(f"persona('{name}')")
    signed, texts = 0, set[str]()
    for k in range(3):
        made = offers(view, "We have heard you about the price, your backup and the wear.", availability=0.0005 * k)
        made = replace(made, to=made.to & ~view.owners.in_force)
        made = replace(made, messages={i: t for i, t in (made.messages or {}).items() if made.to[i]})
        answers = view.owners.propose(made)
        signed += int(answers.accepted.sum())
        texts |= set((answers.messages or {}).values())
    assert world.table.talk.regret_usd == 0.0
    assert signed > 0
    assert len(texts) > 1
    assert all(text == tidy_words(text) for text in texts)


def test_words_can_end_a_haggling_and_do_nothing_else() -> None:
    """The same offers twice: once with words that take up the owners' concerns, once with others."""
    signed = {}
    for words in ("Your price, your backup, the reserve, the fee: heard.", "Lovely weather."):
        _, view = at_table("persona('haggler')")
        signed[words] = 0
        for _ in range(2):
            made = offers(view, words, availability=0.0004)
            signed[words] += int(view.owners.propose(made).accepted.sum())
    heard, weather = signed.values()
    assert heard > weather


def test_brains_that_talk_are_named_and_nothing_else_is_called() -> None:
    for brain, error, words in (
        (f"llm('{HERE}:untold')", ScenarioError, "was not called"),
        ("llm('no_such_module:x')", UnknownNameError, "cannot be imported"),
        (f"llm('{HERE}:Reckless', spice=1)", ScenarioError, "cannot be built"),
        ("llm(markup=0.2)", ScenarioError, "none is named"),
        ("persona('plian')", UnknownNameError, "plain"),
    ):
        with pytest.raises(error, match=words):
            at_table(brain)
