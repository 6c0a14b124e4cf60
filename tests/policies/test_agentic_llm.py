"""The `llm` brain: strategies steer within bounds, words stay with their home, sources are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from support import begin, month
from vpp_policies.agentic import agentic
from vpp_policies.agentic.card import (
    FIELDS,
    PreferenceCard,
)
from vpp_policies.agentic.dispatch import MARGIN, CoalitionProblem, Lines, with_margin
from vpp_policies.agentic.messages import CardRead, OpeningAsksMade, StrategyChosen, parse
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, Guidance
from vpp_policies.agentic.openings import sampled_hours
from vpp_policies.agentic.outlook import cautious, notice
from vpp_policies.agentic.strategy import RULES, Strategy
from vpp_policies.forecast import make_forecaster
from vpp_policies.llm.chat import Blocked, CassetteMiss, Permanent, Transient

from tests.policies.gates import real_gate
from tests.policies.models import SHORT, Fake, played, total
from vpp_env.contract.policy import MarketRules, make_policy
from vpp_env.contract.views import Homes, Information, Public
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.simulation.view_builder import build_view


def gate(hour: int = 18) -> tuple[Homes, Public, MarketRules]:
    """A gate of the second day."""
    return real_gate(24 + hour)


@lru_cache
def calm_run() -> tuple[Run, Fake]:
    model = Fake()
    return played(model), model


def test_one_owner_per_question_and_numbers_for_the_aggregator() -> None:
    run, model = calm_run()
    world = begin(month("week20", SHORT))
    view = build_view(world, Information.DECLARED)
    said = [view.statement(i) for i in range(20)]
    cards = [user for name, user in model.asked if name == "card"]
    assert [json.loads(user)["statement"] for user in cards] == said
    strategies = [user for name, user in model.asked if name == "strategy"]
    assert len(strategies) == 24
    for user in strategies:
        # numbers, and the time of day
        shown = json.loads(user)
        words = [v for v in shown.values() if isinstance(v, str)]
        assert words == [shown["start"]]
        assert not any(len(piece) > 20 and piece in user for text in said for piece in text.split(". "))
    # at most one call per home and one per hour
    assert total(run, "calls") == 20 + 24


def test_the_aggregators_nodes_are_not_given_words() -> None:
    policy = agentic(brain="llm", llm="scripted")
    policy.reset(gate()[2], np.random.default_rng(0))
    channels = {n: set(node.input_schema.__annotations__) for n, node in policy.graph.builder.nodes.items()}
    assert {n for n, names in channels.items() if "statements" in names} == {"hear"}
    assert {n for n, names in channels.items() if "homes" in names} == {"collect_bids", "form_coalition"}
    assert channels["hear"] == {"statements"}
    rules = agentic()
    rules.reset(gate()[2], np.random.default_rng(0))
    assert "hear" not in rules.graph.builder.nodes


def test_every_source_is_named() -> None:
    run, _ = calm_run()
    assert (total(run, "by_model"), total(run, "by_fallback"), total(run, "by_rules")) == (44, 0, 0)
    said = [parse(r) for r in run.record.transcripts]
    cards = [m for m in said if isinstance(m, CardRead)]
    plans = [m for m in said if isinstance(m, StrategyChosen)]
    assert len(cards) == 20
    assert len(plans) == 24
    assert {m.source for m in (*cards, *plans)} == {"model"}
    part = played(Fake(card=Blocked("no")), strategy_every="day")
    assert (total(part, "by_model"), total(part, "by_fallback"), total(part, "calls")) == (1, 20, 21)
    assert {parse(r).source for r in part.record.transcripts if r["kind"] == "card_read"} == {"fallback"}  # type: ignore[attr-defined]
    none = played(Fake(), without="cards, strategy")
    assert (total(none, "by_rules"), total(none, "calls")) == (44, 0)


def test_without_a_model_the_month_is_that_of_the_rules() -> None:
    plain = simulate(month("week20", SHORT), agentic())
    for run in (
        played(Fake(card=Permanent("no"), strategy=Transient("no")), attempts=1),
        played(Fake(), without="cards,strategy"),
        played(Fake(card="{}", strategy='{"cap_cents": "all"}')),
    ):
        np.testing.assert_allclose(run.record.totals, plain.record.totals, atol=1e-6)


def test_wild_numbers_are_clipped_and_counted() -> None:
    wild = RULES.model_dump() | {"opening_percent": -900, "cap_cents": 10**9, "margin_percent": 10**6, "ask_percent": 0}
    run = played(Fake(strategy=wild))
    assert run.complete
    assert total(run, "clipped") == 4 * 24
    said = [m for m in map(parse, run.record.transcripts) if isinstance(m, StrategyChosen)]
    assert said[0].strategy["cap_cents"] == 100
    assert said[0].strategy["ask_percent"] == 10


def bids_of(run: Run) -> float:
    return float(run.record.opportunities()["bid_capacity_mw"].sum())


def test_a_strategy_steers() -> None:
    base = bids_of(played(Fake(strategy=RULES.model_dump()), without="cards"))
    few = bids_of(played(Fake(strategy=RULES.model_dump() | {"ask_percent": 20}), without="cards"))
    low = bids_of(played(Fake(strategy=RULES.model_dump() | {"cap_cents": 5}), without="cards"))
    assert 0 < few < 0.6 * base
    assert low < 0.6 * base
    dear = played(Fake(strategy=RULES.model_dump() | {"margin_percent": 25}), without="cards").record.opportunities()
    plain = played(Fake(strategy=RULES.model_dump()), without="cards").record.opportunities()
    raised = dear["bid_price_mwh"].mean() / plain["bid_price_mwh"].mean()
    assert 1.1 < raised <= 1.0 + MARGIN + 0.02


@pytest.mark.parametrize("mode", ["batched", "full"])
def test_the_homes_agents_ask_in_sampled_hours(mode: str) -> None:
    def openings(shown: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {"home": r["home"], "sells": int(r["home"] % 2 == 0), "markup_percent": 10, "concession_percent": 50}
            for r in shown["rows"]
        ]
        return {"openings": [*rows, {"home": 999, "sells": 1, "markup_percent": 0, "concession_percent": 0}]}

    model = Fake(openings=openings)
    run = played(model, mode=mode, sample_hours=3, without="cards,strategy")
    asked = [json.loads(user) for name, user in model.asked if name == "openings"]
    assert {m["hour"] for m in asked} == {"Tue 19:00", "Tue 20:00", "Tue 21:00"}
    sizes = {len(m["rows"]) for m in asked}
    assert sizes == {1} if mode == "full" else max(sizes) > 1
    assert len(asked) == 3 if mode == "batched" else len(asked) > 10
    assert total(run, "unsupported") == len(asked)
    said = [m for m in map(parse, run.record.transcripts) if isinstance(m, OpeningAsksMade)]
    assert len(said) == 3
    assert all(m.withheld > 0 and m.sources.keys() == {"model"} for m in said)
    # a home that was kept out, or an answer that fails, never sells more than by rules
    failed = played(Fake(openings=Permanent("no")), mode=mode, sample_hours=3, without="cards,strategy")
    assert bids_of(run) < bids_of(failed) == pytest.approx(bids_of(played(Fake(), without="cards,strategy")))


def test_sampled_hours_are_whole_days_or_an_evening() -> None:
    assert np.flatnonzero(sampled_hours(48, 1.0, 3)).tolist() == [19, 20, 21]
    days = np.flatnonzero(sampled_hours(744, 1.0, 72)) // 24
    assert sorted(set(days.tolist())) == [0, 15, 30]
    assert sampled_hours(744, 1.0, 10**6).all()
    assert not sampled_hours(744, 1.0, 0).any()
    assert sampled_hours(6, 1.0, 24).all()


def test_physical_envelope_knows_what_was_read_only() -> None:
    """With nothing read, a home that gave no card is not called; with the words read, it is."""
    mute = played(Fake(card=Permanent("no")), envelope="physical", without="strategy")
    assert bids_of(mute) == 0.0
    assert bids_of(played(Fake(), envelope="physical", without="strategy")) > 0.0


@pytest.mark.parametrize(
    "without", ["negotiation", "solver", "negotiation,solver", "values", "memory", "concessions", "rounds"]
)
def test_ablations_of_the_rules(without: str) -> None:
    run = simulate(month("week20", SHORT), agentic(without=without))
    table = run.record.opportunities()
    assert run.complete
    assert (table["negotiation_rounds"] == 0).all() == ("negotiation" in without)
    assert table["negotiation_rounds"].max() <= (1 if without == "rounds" else 3)
    assert (table["optimization_time"] == 0).all() == ("solver" in without)
    assert table["notes_fallbacks"].sum() == 0
    assert table["bid_capacity_mw"].sum() > 0


def test_memory_is_shown_or_not() -> None:
    shown, hidden = Fake(), Fake()
    played(shown, without="cards")
    played(hidden, without="cards,memory")
    last = [json.loads(user) for name, user in shown.asked if name == "strategy"][-1]
    assert len(last["before"]) == 3
    assert not any("before" in user for _, user in hidden.asked)


def test_a_budget_ends_in_rules_and_the_month_goes_on() -> None:
    run = played("scripted", max_calls=30)
    table = run.record.opportunities()
    assert run.complete
    assert len(table) == 24
    assert total(run, "calls") == 30
    assert total(run, "by_model") == 30
    assert total(run, "by_fallback") == total(run, "budget") == 14
    full = total(played("scripted"), "usd")
    half = played("scripted", budget_usd=full / 2)
    assert half.complete
    assert 0.3 * full < total(half, "usd") <= full / 2
    assert total(half, "by_fallback") > 0


def test_a_replay_that_misses_says_so(tmp_path: Any) -> None:
    tape = str(tmp_path / "t.sqlite")
    first = played("scripted", cassette=tape, max_calls=20)
    # homes without devices may say the same words: the second is answered from the tape
    recorded = total(first, "by_model") + total(first, "by_replay")
    assert recorded >= total(first, "by_model") == 20
    with pytest.raises(CassetteMiss, match="strict=False"):
        played("replay", cassette=tape)
    loose = played("replay", cassette=tape, strict=False)
    assert (total(loose, "by_replay"), total(loose, "by_fallback")) == (recorded, 44 - recorded)


def test_options_are_checked() -> None:
    for bad in (
        "agentic(brain='llm', mode='all')",
        "agentic(brain='llm', llm='gpt')",
        "agentic(brain='llm', envelope='none')",
        "agentic(brain='llm', strategy_every='week')",
        "agentic(without='cards')",
        "agentic(brain='llm', without='everything')",
    ):
        with pytest.raises(UnknownNameError):
            make_policy(bad)
    for bad in (
        "agentic(llm='gemini')",
        "agentic(budget_usd=1)",
        "agentic(brain='llm', batch=5)",
        "agentic(brain='llm', sample_hours=-1)",
        "agentic(brain='llm', budget_usd=-1)",
    ):
        with pytest.raises(PolicyError):
            make_policy(bad)


def test_guidance_is_bounded_in_the_program() -> None:
    rng = np.random.default_rng(0)
    n = 12
    kw = np.stack([rng.uniform(0, 7, n), rng.uniform(7, 12, n), rng.uniform(0, 7, n)])
    lines = Lines(kw, np.stack([rng.uniform(0.05, 0.1, n), rng.uniform(0.1, 0.3, n), rng.uniform(0, 0.002, n)]),
                  np.ones(n, dtype=bool))  # fmt: skip
    _, public, rules = gate()
    shown = notice(public, rules, make_forecaster("learned"))
    shown = replace(shown, min_bid_kw=1.0, rho=np.full(len(shown.rho), 0.5), required_kw=80.0)
    problem = CoalitionProblem(np.ones(n, dtype=bool), guided=True)
    envelope = kw[FULL] * rng.uniform(0.2, 1.0, n)
    solve: Callable[..., Any] = problem.solve
    share = solve(lines, shown, Guidance(reserve=0.25), envelope).share
    called = share[CAR] * kw[CAR] + (share[FULL] + share[RESERVE]) * kw[FULL]
    assert (called <= envelope + 1e-6).all()
    assert float(share[RESERVE] @ kw[FULL]) <= 0.25 * 80.0 + 1e-6
    assert solve(lines, shown, Guidance(reserve=-3.0), envelope).share[RESERVE].max() == pytest.approx(0.0, abs=1e-9)
    free = solve(lines, shown, Guidance(reserve=99.0), kw.max(axis=0)).share
    assert float(free[RESERVE] @ kw[FULL]) > 0.25 * 80.0
    # risk: a spectral measure - still probabilities, never above the mean
    for risk in (-1.0, 0.0, 0.4, 1.0, 7.0):
        w = cautious(shown.weight, risk)
        assert w.min() >= 0.0
        assert w.sum() == pytest.approx(1.0)
        assert w @ shown.price <= shown.weight @ shown.price + 1e-12
    asks = with_margin(lines.ask, 10**6)
    assert (asks >= lines.ask).all()
    assert (asks <= np.maximum(lines.ask * (1 + MARGIN), lines.ask) + 1e-12).all()


def test_fields_are_integers_and_bounded() -> None:
    for schema in (PreferenceCard, Strategy):
        for name, field in schema.model_fields.items():
            if field.annotation is int:
                extra = field.json_schema_extra
                assert isinstance(extra, dict), name
                assert {"minimum", "maximum"} <= extra.keys()
            assert field.annotation is not float, name
    assert set(FIELDS) | {"evidence"} == set(PreferenceCard.model_fields)
