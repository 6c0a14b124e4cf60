"""A model talks to owners: each in its own question, terms checked by code, tools budgeted, a floor under damage."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from support import month
from vpp_policies.agentic import agentic
from vpp_policies.agentic.conversation import Turn
from vpp_policies.agentic.messages import Said, parse
from vpp_policies.agentic.spoken_terms import SPOKEN
from vpp_policies.llm.chat import Blocked

from tests.policies.models import Fake, total
from vpp_env.errors import PolicyError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import Run, simulate

TALKERS = {"time.duration_hours": 3, "owners.brains": (("llm", 1.0),)}
OFFER = {"tool": "none", "message": "We meet you.", **{s.field: -1 for s in SPOKEN}}
CARDLESS = "cards,strategy"


def talked(model: Any, changes: dict[str, Any] | None = None, **options: Any) -> Run:
    given = {"talk": 4, "without": CARDLESS} | options
    return simulate(month("week20", TALKERS if changes is None else changes), agentic(brain="llm", llm=model, **given))


def said(run: Run) -> list[Said]:
    return [m for m in map(parse, run.record.transcripts) if isinstance(m, Said)]


@lru_cache
def calm() -> tuple[Run, Fake]:
    model = Fake()
    return talked(model), model


def asked(model: Fake) -> list[dict[str, Any]]:
    return [json.loads(user) for name, user in model.asked if name == "conversation"]


def test_both_sides_talk_and_the_terms_stand_beside_the_words() -> None:
    run, model = calm()
    lines = said(run)
    homes = {m.prosumer_id for m in lines}
    assert len(homes) == 4
    for line in lines:
        assert set(line.terms) == {s.term for s in SPOKEN}
        assert len(line.text) <= 600
        assert line.text.isprintable()
    # every round: who was spoken to answers in that round, in the owner's own words
    spoken = [(m.offer_id, m.prosumer_id) for m in lines if m.speaker == "aggregator"]
    answered = [(m.offer_id, m.prosumer_id) for m in lines if m.speaker == "owner"]
    assert sorted(spoken) == sorted(answered)
    assert {m.offer_id for m in lines} >= {"opp-00000-r1", "opp-00000-r2"}
    assert all(m.text for m in lines if m.speaker == "owner")
    # a counter-offer's terms are what the owner asks for, and the next question of the same owner shows words and deed
    countered = next(m for m in lines if m.answer == "countered")
    later = [q for q in asked(model) if q["before"] and q["before"][-1]["owner"] == countered.text]
    assert later
    assert later[0]["before"][-1]["answer"] == "countered"
    assert later[0]["before"][-1]["wants"]
    assert any(m.answer == "accepted" for m in lines)


def test_a_question_is_about_one_owner() -> None:
    run, model = calm()
    words = {m.prosumer_id: set() for m in said(run)}
    for m in said(run):
        words[m.prosumer_id] |= {m.text} if m.speaker == "owner" else set()
    for question in asked(model):
        for exchange in question["before"]:
            assert sum(exchange["owner"] in texts for texts in words.values()) >= 1
        statements = [t for t in run.record.transcripts if t.get("statement")]
        assert not statements  # nobody read cards here: the only words are this owner's own
        assert isinstance(question["statement"], str)
    assert len({q["statement"] for q in asked(model)}) == 4


def test_without_talk_nobody_is_spoken_to_and_talking_owners_answer_as_they_claim() -> None:
    run = talked(Fake(), talk=0)
    assert not said(run)
    from vpp_env.owners.brains import Strategic

    assert Strategic(0.2, 1.0).factor(1, 3) == pytest.approx(1.2 - 0.2 / 3)


def test_terms_outside_what_may_be_offered_are_refused_and_counted_never_clipped() -> None:
    for wild in ({"price_tenth_cents": 5000}, {"floor_wh": 0}, {"day_wh": 10**9}, {"car_on_reserve": 7}):
        run = talked(Fake(conversation=OFFER | wild), tools=0)
        assert total(run, "refused_terms") > 0
        assert total(run, "clipped") == 0
        assert not said(run)  # an offer that is not made is not spoken of: the draft stands
    rules = talked(Fake(conversation=Blocked("no")))
    np.testing.assert_allclose(run.record.totals, rules.record.totals, atol=1e-9)


def test_the_terms_of_a_message_are_what_is_signed() -> None:
    run = talked(Fake(conversation=OFFER | {"share_percent": 85}), tools=0)
    assert {m.terms["share"] for m in said(run)} == {0.85}
    assert any(m.answer == "accepted" for m in said(run))


def test_tools_are_read_and_budgeted() -> None:
    model = Fake(conversation=lambda q: OFFER | ({"tool": "solver"} if "solver" not in q["found"] else {}))
    run = talked(model, talk=1)
    first, second = asked(model)[:2]
    assert (first["tools_left"], second["tools_left"]) == (2, 1)
    assert second["found"]["solver"]["one_more_kw_hundredth_cents"] > 0
    assert total(run, "tool_calls") > 0
    for tool in ("forecast", "value", "history"):
        greedy = Fake(conversation=OFFER | {"tool": tool})
        run = talked(greedy, talk=1, tools=3)
        assert total(run, "refused_tools") == total(run, "by_fallback") > 0
        assert [q["tools_left"] for q in asked(greedy)[:4]] == [3, 2, 1, 0]
        assert tool in asked(greedy)[3]["found"]
        assert not said(run)


def test_homes_are_those_that_are_worth_most_or_those_that_are_given() -> None:
    some = tuple(sorted({m.prosumer_id for m in said(calm()[0])})[1:3])
    assert {m.prosumer_id for m in said(talked(Fake(), talk=0, talk_to=some))} == set(some)
    two = {m.prosumer_id for m in said(talked(Fake(), talk=2))}
    assert two < {m.prosumer_id for m in said(calm()[0])}
    for wrong in ({"talk": -1}, {"talk_to": (-1,)}, {"tools": 9}, {"floor_hours": 0}):
        with pytest.raises(PolicyError, match="allowed"):
            agentic(brain="llm", llm="scripted", **wrong)


def test_a_strategy_that_loses_against_the_rules_hands_back_and_is_counted() -> None:
    idle = {"cap_cents": 10, "ask_percent": 10, "opening_percent": 100, "risk_percent": 0, "margin_percent": 0,
            "reserve_percent": 100, "favour": "none", "reason": "a small model's"}  # fmt: skip
    run = {}
    for usd in (0.05, 1e9):
        options = {"without": "cards", "talk": 0, "floor_usd": usd, "floor_hours": 24}
        run[usd] = talked(Fake(strategy=idle), {"time.duration_hours": 36}, **options)
    assert total(run[1e9], "handed_back") == 0
    assert total(run[0.05], "handed_back") > 1
    profit = {usd: summarize(r).total_profit for usd, r in run.items()}
    assert profit[0.05] > profit[1e9]


def test_the_form_names_every_term_and_nothing_else() -> None:
    assert set(Turn.model_fields) == {"tool", "message", *(s.field for s in SPOKEN)}
